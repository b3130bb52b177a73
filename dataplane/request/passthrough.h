// Calls of providers' own APIs, with the gateway's key, limits, metering and records: docs/endpoints.md. Worker's
// thread only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "dataplane/request/call.h"

namespace signalbox {

// Calls `rest` (with a slash first) of the API of `provider`, as the client says both. A POST that asks a model in a
// format the gateway knows is a call like any other of a plain model. Everything else is relayed as it comes and costs
// $0 in the books; where a default route limits dollars or tokens, only what is known to cost nothing: GETs, counting
// tokens.
asio::awaitable<std::unique_ptr<OpenStream>> AnswerNative(const Call& call, const std::string& provider,
                                                          const std::string& rest, const std::string& query);

}  // namespace signalbox
