// The body of the universal endpoint: calls of providers' own APIs, to be tried in order until one answers. Pure; views
// point into the text it was read from.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "dataplane/provider/body_fault.h"

namespace signalbox {

struct UniversalEntry {
  std::string provider;  // as the client says it; "compat": the unified API
  std::string endpoint;  // the rest of the provider's path, maybe with a query
  // What the entry asks beside the request's own headers: its `config` as the headers it stands for, then its
  // `headers`. Names in lower case.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string_view query;  // the body, byte for byte as the client wrote it
};

// An array of 1 to kUniversalEntriesMax entries, or one entry alone. 400 invalid_json, or invalid_request with the path
// of what is wrong (`[1].config.maxAttempts`): an unknown member too, for it would be ignored in silence.
std::variant<std::vector<UniversalEntry>, BodyFault> ReadUniversalBody(std::string_view json);

}  // namespace signalbox
