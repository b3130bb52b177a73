// A request's life, stage by stage: docs/life_of_a_request.md follows this file.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "dataplane/http/http_server.h"
#include "dataplane/request/worker.h"

namespace signalbox {

// Answers one exchange, whatever it is. Worker's thread.
asio::awaitable<void> HandleRequest(Worker& worker, HttpExchange& exchange);

}  // namespace signalbox
