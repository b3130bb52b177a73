// Calls the model of one `model` element: attempts with retries until one can be shown to the client. Nothing was sent
// to the client before this returns, so every failure here may still be retried or fall back.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>
#include <variant>

#include "dataplane/http/upstream.h"
#include "dataplane/request/active_request.h"
#include "dataplane/request/attempt_gate.h"

namespace signalbox {

// A response worth relaying: 2xx, or a 4xx that is the client's own.
struct ModelAnswer {
  int attempt = 0;  // index into the record's attempts
  UpstreamHead head;
  bool as_it_came = true;                // else written anew in the client's format
  bool hit_cap = false;                  // unary: it ended at its cap
  std::string body;                      // unary: whole; stream: the first events, ready to send
  std::unique_ptr<AnswerStream> stream;  // set: a stream, open on `call`
  std::unique_ptr<UpstreamCall> call;
  CallPermit permit;  // of a stream: how it ends is told by who relays it
};

struct ClientGone {};

using ModelResult = std::variant<ModelAnswer, ModelFailure, Refusal, ClientGone>;

asio::awaitable<ModelResult> TryModel(ActiveRequest& request, const v1::CompiledElement& element);

// The cap to write into the body for this model; nullopt: the client's stands.
std::optional<int64_t> LoweredCap(const ActiveRequest& request, const v1::CompiledElement::Model& model);

// Closes the books of an attempt that answered: cost from its usage, or from the estimate, at most its bound, when
// there is none.
void SettleAttempt(RequestRecord& record, const v1::CompiledElement::Model& model, v1::Attempt& attempt,
                   const std::optional<v1::TokenUsage>& usage, const v1::TokenUsage& estimate);

}  // namespace signalbox
