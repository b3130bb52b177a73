// The way of one answer: from the format a provider was called in to the format its client speaks. Where the two agree
// it goes on byte for byte, and is read beside that. Pure; stateless but for the streams it makes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "dataplane/provider/answer_stream.h"
#include "dataplane/translate/translator.h"

namespace signalbox {

class AnswerPath {
 public:
  // `provider` is what ProviderFormat gave for `client`.
  AnswerPath(Format provider, Format client);

  struct Unary {
    std::string body;  // for the client
    UnaryReport report;
  };
  // A 2xx answer. DATA_LOSS when it is not of the provider's format and has to be translated.
  absl::StatusOr<Unary> Answer(std::string body, const AnswerContext& context) const;
  // What a non-2xx answer says it used, and its body for the client: the provider's own where the formats agree, else
  // an error in the client's format that keeps the original.
  Unary Error(int status, std::string body) const;
  std::unique_ptr<AnswerStream> Stream(bool client_wants_usage, const AnswerContext& context) const;

  bool as_it_came() const { return as_it_came_; }  // bytes are relayed, not written anew

 private:
  Format client_;
  bool as_it_came_;
  const AnswerTranslator* from_provider_;  // null: it speaks chat completions
  const ClientTranslator* to_client_;      // null: it gets what it is, or a chat completion
};

// Null when clients of that format get chat completions, or the provider's bytes.
const ClientTranslator* ClientTranslatorOf(Format client);
// Null for chat completions, and for formats that only clients start.
const ProviderTranslator* ProviderTranslatorOf(Format provider);

// An OpenAI-shaped error as clients of that format expect it.
std::string ErrorFor(Format client, int status, std::string chat_error);

}  // namespace signalbox
