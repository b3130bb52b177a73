// Which of the gateway's endpoints a request line names. Pure; first stage of a request's life.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "dataplane/routing/refusal.h"

namespace signalbox {

struct Endpoint {
  enum class Kind { kChatCompletions, kModels };
  Kind kind = Kind::kChatCompletions;
  std::string gateway = "default";
};

// POST /v1/chat/completions, GET /v1/models, and both under /v1/{account}/{gateway}/compat. {account} is ignored.
// 404 unknown_path or 405 method_not_allowed, naming what would be right.
std::variant<Endpoint, Refusal> FindEndpoint(std::string_view method, std::string_view target);

}  // namespace signalbox
