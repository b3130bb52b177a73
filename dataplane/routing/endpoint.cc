#include "dataplane/routing/endpoint.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace signalbox {

std::variant<Endpoint, Refusal> FindEndpoint(std::string_view method, std::string_view target) {
  const std::string path(target.substr(0, target.find('?')));
  std::vector<std::string> parts = absl::StrSplit(path, '/');  // the first is empty
  Endpoint endpoint;
  std::string rest = path;
  if (parts.size() >= 6 && parts[1] == "v1" && parts[4] == "compat" && !parts[3].empty()) {
    endpoint.gateway = parts[3];
    rest = "/v1";
    for (size_t i = 5; i < parts.size(); ++i) absl::StrAppend(&rest, "/", parts[i]);
  }
  std::string expected = "POST";
  if (rest == "/v1/chat/completions") {
    endpoint.format = Format::kChat;
  } else if (rest == "/v1/messages") {
    endpoint.format = Format::kMessages;
  } else if (rest == "/v1/responses") {
    endpoint.format = Format::kResponses;
  } else if (rest == "/v1/embeddings") {
    endpoint.format = Format::kEmbeddings;
  } else if (rest == "/v1/models") {
    endpoint.kind = Endpoint::Kind::kModels;
    expected = "GET";
  } else {
    return Refusal{
        404, "unknown_path",
        absl::StrCat("nothing is served at ", path.substr(0, 200),
                     "; use POST /v1/chat/completions, /v1/messages, /v1/responses or /v1/embeddings, or GET "
                     "/v1/models (also under /v1/{account}/{gateway}/compat)"),
        ""};
  }
  if (method != expected) {
    return Refusal{405, "method_not_allowed", absl::StrCat(path, " takes ", expected), ""};
  }
  return endpoint;
}

}  // namespace signalbox
