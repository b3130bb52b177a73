// Which of the gateway's endpoints a request line names. Pure; first stage of a request's life.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "dataplane/provider/format.h"
#include "dataplane/routing/refusal.h"

namespace signalbox {

struct Endpoint {
  enum class Kind { kModelCall, kModels };
  Kind kind = Kind::kModelCall;
  Format format = Format::kChat;  // of a model call
  std::string gateway = "default";
};

// POST /v1/chat/completions, /v1/messages, /v1/responses, /v1/embeddings and GET /v1/models, and all of them under
// /v1/{account}/{gateway}/compat. {account} is ignored.
// 404 unknown_path or 405 method_not_allowed, naming what would be right.
std::variant<Endpoint, Refusal> FindEndpoint(std::string_view method, std::string_view target);

}  // namespace signalbox
