// Which of the gateway's endpoints a request line names. Pure; first stage of a request's life.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "dataplane/provider/format.h"
#include "dataplane/routing/refusal.h"

namespace signalbox {

struct Endpoint {
  enum class Kind {
    kModelCall,    // the unified API: a body of `format` names a route or a model
    kModels,       // what may be called
    kPassthrough,  // the API of `provider`, called at `rest`
    kUniversal,    // an array of calls, tried in order
  };
  Kind kind = Kind::kModelCall;
  Format format = Format::kChat;  // of a model call
  std::string gateway = "default";
  std::string provider;  // of a passthrough, as the path says it
  std::string rest;      // of a passthrough: what follows the provider, with a slash first and without the query
};

// POST /v1/chat/completions, /v1/messages, /v1/responses, /v1/embeddings and GET /v1/models, and all of them under
// /v1/{account}/{gateway}/compat; any method under /v1/{account}/{gateway}/{provider}/; POST /v1/{account}/{gateway}.
// {account} is ignored, but is no word that stands there in OpenAI's API (audio, files ...), so that a call of an API
// that the gateway does not have is not taken for another one.
// 404 unknown_path or 405 method_not_allowed, naming what would be right.
std::variant<Endpoint, Refusal> FindEndpoint(std::string_view method, std::string_view target);

// The same for what follows `compat` in a path or stands in an entry of a universal call ("chat/completions",
// "v1/messages"). False when the unified API has no such thing.
bool FindUnified(std::string_view rest, Endpoint& endpoint);

// What follows the path in a request line, without its ?.
std::string_view QueryOf(std::string_view target);

}  // namespace signalbox
