// Shows the client what a model answered: headers, a whole body, or a stream event by event without buffering.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "dataplane/http/header_fields.h"
#include "dataplane/request/active_request.h"
#include "dataplane/request/model_call.h"

namespace signalbox {

// A client's headers that may travel to the provider: no hop-by-hop ones, none of the gateway's own, no credentials,
// and none that holds the gateway key wherever it stands.
HttpHeaders ForwardedRequestHeaders(const HeaderFields& headers, std::string_view presented_key);
// A provider's headers that may travel to the client.
HttpHeaders ForwardedResponseHeaders(const HeaderFields& headers);

// Answers with a whole body and ends the record.
asio::awaitable<void> RelayUnary(ActiveRequest& request, ModelAnswer& answer, HttpHeaders headers);

// Relays the stream to its end and ends the record: success only if the provider ended it as its
// format wants; else the client gets an error event in its own format, or a cut where that has none.
asio::awaitable<void> RelayStream(ActiveRequest& request, const v1::CompiledElement::Model& model, ModelAnswer& answer,
                                  HttpHeaders headers);

}  // namespace signalbox
