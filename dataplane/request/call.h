// One call to be answered: a request's own, one of a provider's own API, or an entry of a universal request. Lives in
// the frame of whoever answers it; worker's thread only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "dataplane/http/http_server.h"
#include "dataplane/provider/request_body.h"
#include "dataplane/request/logged_exchange.h"
#include "dataplane/request/request_record.h"
#include "dataplane/request/worker.h"
#include "dataplane/routing/refusal.h"
#include "dataplane/routing/request_options.h"

namespace signalbox {

struct OpenStream;

struct Call {
  Worker& worker;
  HttpExchange& exchange;  // its request is the call's: headers and body
  LoggedExchange& logged;  // of the whole request
  RequestRecord& record;
  const ActiveSnapshot& snapshot;
  const v1::SnapshotKey& key;
  std::string gateway;
  std::string_view presented_key;  // must never leave
  Format format = Format::kChat;   // of the body, and of errors
  // Of a provider's own API: its name, what the path says, and the query to go along (without the key).
  std::string provider;
  PathSays path;
  std::string query;
};

// Body, route, metadata, walk: docs/life_of_a_request.md. Null: the call is answered. Else its answer is that stream,
// which needs nothing more of the call but its exchange and its record.
asio::awaitable<std::unique_ptr<OpenStream>> AnswerCall(const Call& call);

// Whether the record is listed and bodies are kept: as the request says, else as the gateway's settings do.
void ApplyLogOptions(const Call& call, const RequestOptions& options);

// Ends the record and answers in the call's format.
asio::awaitable<void> RefuseCall(const Call& call, Refusal refusal);

}  // namespace signalbox
