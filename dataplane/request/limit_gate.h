// The limits of one request's walk: asks the quota service, remembers what was granted, says what remains. Worker's
// thread only; lives as long as the request.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/route/walker.h"
#include "dataplane/provider/openai_wire.h"
#include "dataplane/request/request_record.h"
#include "dataplane/routing/refusal.h"

namespace signalbox {

class LimitGate {
 public:
  LimitGate(Worker& worker, const v1::CompiledRoute& route, const ChatBody& body, RequestRecord& record);

  // How many of the asked limits passed, in order (fewer than all: the next one denied), or why the request cannot go
  // on: 503 quota_unavailable where onError says deny, 400 unbounded_request.
  asio::awaitable<std::variant<size_t, Refusal>> Check(const CheckLimits& asked);

  // Before an attempt that follows one whose outcome is unknown: money held must reach `required_nanos`.
  // 429 when it does not fit, 503 when nobody answers.
  asio::awaitable<std::optional<Refusal>> Extend(int64_t required_nanos);

  // The cap that strict money limits granted; nullopt: none was passed and the client's own stands.
  std::optional<int64_t> output_cap() const { return output_cap_; }
  // The most one attempt at `model` can cost under that cap; 0 when it has no price.
  int64_t AttemptBoundNanos(const v1::CompiledElement::Model& model) const;

  // signalbox-limit, one a limit passed or hit. With the request's final cost, what its hold did not use is given back
  // to `remaining`.
  HttpHeaders Headers(std::optional<int64_t> final_cost_nanos) const;
  // Seconds until the window of the limit that denied last turns; 0: none denied.
  int RetryAfterSeconds() const;

 private:
  struct Seen {
    uint32_t element;
    v1::LimitState state;
    bool denied;
  };
  std::variant<v1::Acquire, Refusal> BuildAcquire(const CheckLimits& asked) const;
  std::variant<size_t, Refusal> PassWithoutAnswer(const CheckLimits& asked, const v1::Acquire& acquire);
  v1::AttemptBound BoundFor(const v1::CompiledElement::Model& model, int64_t input_nanos) const;

  Worker& worker_;
  const v1::CompiledRoute& route_;
  const ChatBody& body_;
  RequestRecord& record_;
  std::optional<int64_t> output_cap_;
  bool holds_money_ = false;
  std::vector<Seen> seen_;
};

// Keeps [A-Za-z0-9._~/@:-] and percent-encodes the rest: names of authors must not break a header.
std::string HeaderSafe(std::string_view text);

}  // namespace signalbox
