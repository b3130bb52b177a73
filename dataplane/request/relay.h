// Shows the client what a model answered: headers, a whole body, or a stream event by event without buffering.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "dataplane/http/header_fields.h"
#include "dataplane/request/active_request.h"
#include "dataplane/request/cache_stage.h"
#include "dataplane/request/model_call.h"

namespace signalbox {

// A client's headers that may travel to the provider: no hop-by-hop ones, none of the gateway's own, no credentials,
// and none that holds the gateway key wherever it stands.
HeaderFields ForwardedRequestHeaders(const HeaderFields& headers, std::string_view presented_key);
// A provider's headers that may travel to the client.
HeaderFields ForwardedResponseHeaders(const HeaderFields& headers);

// Answers with a whole body and ends the record.
asio::awaitable<void> RelayUnary(ActiveRequest& request, ModelAnswer answer, HeaderFields headers);

// An answer that comes event by event, and all that is kept of its request meanwhile: a stream is silent for most of
// its time, and thousands are open at once.
struct OpenStream {
  std::shared_ptr<const v1::CompiledRoute> route;  // owns `model`
  const v1::CompiledElement::Model* model = nullptr;
  size_t request_bytes = 0;  // for an estimate
  int attempt = 0;           // index into the record's attempts
  int status = 0;
  std::string content_type;
  HeaderFields headers;
  std::string first;  // events, ready to send
  std::unique_ptr<AnswerStream> events;
  std::unique_ptr<UpstreamCall> call;
  CallPermit permit;
  std::unique_ptr<AnswerKeep> keep;  // null: the answer is not kept
  std::string fault;                 // why it broke off
};
std::unique_ptr<OpenStream> OpenStreamOf(ActiveRequest& request, const v1::CompiledElement::Model& model,
                                         ModelAnswer answer, HeaderFields headers);

// Relays the stream to its end and ends the record: success only if the provider ended it as its
// format wants; else the client gets an error event in its own format, or a cut where that has none. The exchange's
// request is let go.
asio::awaitable<void> RelayStream(Worker& worker, HttpExchange& exchange, RequestRecord& record,
                                  std::unique_ptr<OpenStream> stream);

}  // namespace signalbox
