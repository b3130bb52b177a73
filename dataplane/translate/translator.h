// Between the wire formats that clients and providers speak. Chat completions (OpenAI's) stand in the middle: what a
// client says in another format becomes a chat completion, what a provider wants in another format is made of one, and
// answers go the same way back. So usage, errors and the end of a stream are read in one place, from chat completions.
// Law: what has no counterpart is refused by name (unsupported_parameter) or passed through, never dropped in silence.
// Pure: no clock, I/O or threads; translators are stateless and shared, a StreamTranslator is one answer's and one
// thread's. Peer input never throws out of here, and never crashes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "dataplane/provider/body_fault.h"
#include "dataplane/provider/format.h"

namespace signalbox {

// What an answer says that its source does not.
struct AnswerContext {
  std::string id;         // of the answer where the source has none, e.g. the log id
  std::string model;      // where the source names none
  int64_t created_s = 0;  // Unix seconds
};

// Follows one streamed answer. Takes bytes in one format, gives whole events in the other.
class StreamTranslator {
 public:
  virtual ~StreamTranslator() = default;
  // The events that `bytes` complete; empty: none yet. DATA_LOSS when the source breaks its own format,
  // RESOURCE_EXHAUSTED when one event passes kSseEventBytesMax.
  virtual absl::StatusOr<std::string> Feed(std::string_view bytes) = 0;
  // The source ended. What is still to be said; the end marker ([DONE] in chat completions) only when the source did
  // end as it should, be it now or before.
  virtual std::string Finish() = 0;
};

// Answers in some format, as chat completions.
class AnswerTranslator {
 public:
  virtual ~AnswerTranslator() = default;
  // A 2xx answer. Usage is always there if the source has any, with all its kinds. DATA_LOSS when it is not of the
  // format.
  virtual absl::StatusOr<std::string> Answer(std::string_view body, const AnswerContext& context) const = 0;
  // A non-2xx answer: {"error":{"message","type","code","param","provider_error": the original}}. `body` may be
  // anything.
  virtual std::string Error(int status, std::string_view body) const = 0;
  // Gives "data: {chunk}\n\n" events: usage always (in an event without choices), [DONE] where the source ended well,
  // {"error":...} for an error in the stream.
  virtual std::unique_ptr<StreamTranslator> Stream(const AnswerContext& context) const = 0;
};

// A provider that speaks another format than chat completions.
class ProviderTranslator : public AnswerTranslator {
 public:
  // The provider's body for a chat completion: valid JSON, with the model, the caps and the parameters already in. The
  // model and whether to stream are in the body only where the format has them there.
  virtual std::variant<std::string, BodyFault> Request(std::string_view chat_body) const = 0;
};

// A client that speaks another format than chat completions.
class ClientTranslator {
 public:
  virtual ~ClientTranslator() = default;
  // As a chat completion; `stream_options.include_usage` is on for streams, since these formats always tell usage.
  virtual std::variant<std::string, BodyFault> Request(std::string_view body) const = 0;
  // A chat completion's answer, and an OpenAI-shaped error, in the client's format.
  virtual absl::StatusOr<std::string> Answer(std::string_view chat_answer, const AnswerContext& context) const = 0;
  virtual std::string Error(int status, std::string_view chat_error) const = 0;
  // Takes chat-completion events, gives the client's. An {"error":...} event becomes the client's error event.
  virtual std::unique_ptr<StreamTranslator> Stream(const AnswerContext& context) const = 0;
};

// Providers.
const ProviderTranslator& MessagesProvider();
const ProviderTranslator& GenerateContentProvider();
const ProviderTranslator& ConverseProvider();
// Only to be read: providers that are called in these formats are called by clients that speak them.
const AnswerTranslator& ResponsesAnswers();
const AnswerTranslator& EmbeddingsAnswers();  // never a stream

// Clients.
const ClientTranslator& MessagesClient();
const ClientTranslator& ResponsesClient();

}  // namespace signalbox
