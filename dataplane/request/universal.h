// The universal endpoint: an array of calls, tried in order until one answers. One request: one record over all
// entries, and what they cost counts at every limit that one of them passed. Worker's thread only.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "dataplane/request/call.h"

namespace signalbox {

// `call` is the whole request: its exchange's body is the array. An entry has answered with a 2xx; with anything else
// the next one is tried, and the last one's answer is the request's. Each is that of its provider's own format.
asio::awaitable<void> AnswerUniversal(const Call& call);

// Errors of the universal endpoint itself have an envelope of their own, and two of the codes are numbers that clients
// know: 2001 no such gateway, 2009 no good key.
HttpReply UniversalError(const Refusal& refusal, bool gateway_exists);

}  // namespace signalbox
