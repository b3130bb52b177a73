#include "dataplane/routing/endpoint.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace signalbox {
namespace {

// Collections of OpenAI's and Anthropic's own APIs: /v1/audio/speech is no gateway called "speech".
constexpr std::array<std::string_view, 27> kNotAccounts = {
    "assistants", "audio",   "batches",     "chat",         "completions",   "containers", "conversations",
    "embeddings", "evals",   "files",       "fine-tuning",  "fine_tuning",   "graders",    "images",
    "messages",   "models",  "moderations", "organization", "organizations", "realtime",   "responses",
    "skills",     "threads", "uploads",     "v1",           "vector_stores", "videos"};

constexpr std::array<const char*, 5> kPassedMethods = {"GET", "POST", "PUT", "PATCH", "DELETE"};

Refusal UnknownPath(std::string_view path) {
  return Refusal(404, "unknown_path",
                 absl::StrCat("nothing is served at ", std::string(path.substr(0, 200)),
                              "; use POST /v1/chat/completions, /v1/messages, /v1/responses or /v1/embeddings, or GET "
                              "/v1/models (also under /v1/{account}/{gateway}/compat), a provider's own API under "
                              "/v1/{account}/{gateway}/{provider}/, or POST /v1/{account}/{gateway}"));
}

std::variant<Endpoint, Refusal> WithMethod(std::string_view method, std::string_view path, Endpoint endpoint) {
  const std::string_view expected = endpoint.kind == Endpoint::Kind::kModels ? "GET" : "POST";
  if (method == expected) return endpoint;
  return Refusal(405, "method_not_allowed",
                 absl::StrCat(std::string(path.substr(0, 200)), " takes ", std::string(expected)));
}

}  // namespace

bool FindUnified(std::string_view rest, Endpoint& endpoint) {
  if (rest.starts_with('/')) rest.remove_prefix(1);
  if (rest.starts_with("v1/")) rest.remove_prefix(3);
  endpoint.kind = Endpoint::Kind::kModelCall;
  if (rest == "chat/completions") {
    endpoint.format = Format::kChat;
  } else if (rest == "messages") {
    endpoint.format = Format::kMessages;
  } else if (rest == "responses") {
    endpoint.format = Format::kResponses;
  } else if (rest == "embeddings") {
    endpoint.format = Format::kEmbeddings;
  } else if (rest == "models") {
    endpoint.kind = Endpoint::Kind::kModels;
  } else {
    return false;
  }
  return true;
}

std::string_view QueryOf(std::string_view target) {
  const size_t mark = target.find('?');
  return mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
}

std::variant<Endpoint, Refusal> FindEndpoint(std::string_view method, std::string_view target) {
  const std::string path(target.substr(0, target.find('?')));
  Endpoint endpoint;
  if (!path.starts_with("/v1/")) return UnknownPath(path);
  const std::string_view below = std::string_view(path).substr(4);
  if (below != "v1" && !below.starts_with("v1/") && FindUnified(below, endpoint)) {
    return WithMethod(method, path, std::move(endpoint));
  }
  std::vector<std::string> parts = absl::StrSplit(path, '/');  // the first is empty, the next is v1
  const bool account = std::find(kNotAccounts.begin(), kNotAccounts.end(), parts[2]) == kNotAccounts.end();
  if (parts.size() < 4 || !account || parts[2].empty() || parts[3].empty()) return UnknownPath(path);
  endpoint.gateway = parts[3];
  if (parts.size() == 4 || (parts.size() == 5 && parts[4].empty())) {
    endpoint.kind = Endpoint::Kind::kUniversal;
    return WithMethod(method, path, std::move(endpoint));
  }
  const std::string rest = absl::StrCat("/", absl::StrJoin(parts.begin() + 5, parts.end(), "/"));
  if (parts[4] == "compat") {
    if (!FindUnified(rest, endpoint)) return UnknownPath(path);
    return WithMethod(method, path, std::move(endpoint));
  }
  if (parts[4].empty() || rest.size() < 2) return UnknownPath(path);
  if (std::find(kPassedMethods.begin(), kPassedMethods.end(), method) == kPassedMethods.end()) {
    return Refusal(405, "method_not_allowed",
                   absl::StrCat("providers' own APIs are called with ", absl::StrJoin(kPassedMethods, ", ")));
  }
  endpoint.kind = Endpoint::Kind::kPassthrough;
  endpoint.provider = parts[4];
  endpoint.rest = rest;
  return endpoint;
}

}  // namespace signalbox
