// What in a body may cost more tokens than it has bytes: links, compressed data, what a provider fetches or keeps
// itself. Included by this folder's sources only (simdjson's header is large). Pure.
#pragma once

#include <simdjson.h>

#include "dataplane/provider/request_body.h"

namespace signalbox {

// Of one member of the body; kinds we do not know count as files.
void CountParts(Format format, std::string_view key, simdjson::dom::element value, RequestBody::Parts& parts);

}  // namespace signalbox
