// The wire formats the simulated provider speaks, each in its own file: how a request is read, and how answers, streams
// and errors are written. Written from the providers' own references and sharing nothing with the gateway's
// translators, so that what both agree on is likely to be true. Strict where the real ones are: an unknown field, an
// empty text or a tool result that answers no call is a 400. Stateless; any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/simprovider/answer.h"
#include "tests/simprovider/read_json.h"

namespace signalbox::sim {

// Where a request went, as far as formats need to know.
struct Target {
  std::string path;   // without the query, percent-encoding as sent
  std::string query;  // without its question mark
  std::string model;  // as the path names it, decoded; empty: it does not
  bool stream = false;
  bool sse = true;  // false: Gemini's stream as one JSON array
};

struct StreamEvent {
  std::string name;           // of the event where the format names them
  std::string data;           // what it says, JSON, or [DONE]
  int64_t output_tokens = 0;  // generated once this event is out, over all choices
  bool tells = false;         // carries the whole usage, readable
};

using HeaderList = std::vector<std::pair<std::string, std::string>>;

struct ErrorReply {
  std::string body;
  HeaderList headers;
};

class Format {
 public:
  virtual ~Format() = default;
  virtual std::string_view name() const = 0;  // chat, messages, responses, embeddings, generate_content, converse
  // INVALID_ARGUMENT with the provider's kind of sentence.
  virtual absl::StatusOr<Ask> Read(const Target& target, const Json& body) const = 0;
  virtual std::string Unary(const Ask& ask, const Answer& answer, UsageShown usage) const = 0;
  // The whole stream, its text in about `chunks` pieces. Empty: this format never streams.
  virtual std::vector<StreamEvent> Stream(const Ask& ask, const Answer& answer, int chunks, UsageShown usage) const = 0;
  // An event as it goes over the wire; `first` and `last` for formats that enclose all of them.
  virtual std::string Wire(const Target& target, const StreamEvent& event, bool first, bool last) const;
  virtual std::string_view StreamType(const Target& target) const;
  // `retry_after_ms` < 0: it does not say when to try again.
  virtual ErrorReply Error(int status, std::string_view message, int64_t retry_after_ms) const = 0;
  // A failure in the middle of a stream, as on the wire.
  virtual std::string ErrorEvent(const Target& target) const = 0;
};

const Format& ChatFormat();
const Format& MessagesFormat();
const Format& ResponsesFormat();
const Format& EmbeddingsFormat();
const Format& GenerateContentFormat();
const Format& ConverseFormat();

// The format of a POST to `target` (its request line's), and what the path says; null: no API stands there.
const Format* FormatOf(std::string_view target, Target& parsed);
// Reads a body: never throws, whatever it is.
absl::StatusOr<Ask> ReadAsk(const Format& format, const Target& target, std::string_view body);
// An error of chat completions that tells the usage of what was generated before the failure.
std::string BilledChatError(std::string_view message, const Answer& answer);

std::string PercentDecode(std::string_view text);
// The value of `name` in a query; "" when absent.
std::string QueryValue(std::string_view query, std::string_view name);

}  // namespace signalbox::sim
