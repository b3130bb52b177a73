// Writes what providers get of one request: spliced where a provider speaks the client's format, translated by way of a
// chat completion where it does not. Pure; one request's, one thread's.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "dataplane/provider/request_body.h"

namespace signalbox {

class BodyWriter {
 public:
  // `text` is what `body` was read from; both outlive the writer.
  BodyWriter(const RequestBody& body, std::string_view text) : body_(body), text_(text) {}

  // The body for a provider that is asked in `provider` (as ProviderFormat says). 400 unsupported_parameter when the
  // request has something that the provider's format has no counterpart for.
  std::variant<std::string, BodyFault> Write(Format provider, const RequestBody::Rewrite& rewrite);

 private:
  std::variant<const RequestBody*, BodyFault> Chat();

  const RequestBody& body_;
  std::string_view text_;
  std::string chat_text_;
  std::unique_ptr<RequestBody> chat_;  // what `body_` is as a chat completion; null: not asked for yet
};

// Whether a route's `parameters`, which are a chat completion's, mean the same in a body of that format.
bool ParametersFit(Format format, std::string_view parameters_json);

}  // namespace signalbox
