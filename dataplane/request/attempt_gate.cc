#include "dataplane/request/attempt_gate.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/limits.h"

namespace signalbox {
namespace {

RetryOverrides OverridesOf(const RequestOptions& options) {
  RetryOverrides overrides;
  overrides.max_attempts = options.max_attempts;
  overrides.retry_delay_ms = options.retry_delay_ms;
  overrides.backoff = options.backoff;
  overrides.timeout_ms = options.request_timeout_ms;
  return overrides;
}

// Whether a failure of this model leaves nothing else to try.
bool IsLastResort(const v1::CompiledRoute& route, const v1::CompiledElement::Model& model) {
  return !model.has_on_fallback() || route.elements(static_cast<int>(model.on_fallback())).has_end();
}

int64_t SecondsUp(int64_t us) { return us <= 0 ? 0 : (us + 999'999) / 1'000'000; }

}  // namespace

AttemptGate::AttemptGate(ActiveRequest& request, const v1::CompiledElement& element,
                         const v1::SnapshotProvider& provider)
    : request_(request),
      element_(element),
      provider_(provider),
      policy_(MakeRetryPolicy(element.model(), OverridesOf(request.options))),
      last_resort_(IsLastResort(request.route, element.model())) {}

AttemptGate::Next AttemptGate::Ask() {
  const int64_t now_us = request_.worker.clock.MonotonicMicros();
  if (now_us >= request_.allowance.deadline_us()) {
    return Refusal(504, "deadline_exceeded",
                   absl::StrCat("no model answered within the ", request_.worker.request_timeout_us / 1'000,
                                " ms that a request may take"));
  }
  const bool retry = attempts_ > 0;
  if (retry && ((!last_->retry_may_help && !last_->other_endpoint_may_help) || attempts_ >= policy_.attempts_max)) {
    return last_->failure;
  }
  if (!request_.allowance.MayAttempt(retry)) return GaveUp("this request's attempts are used up");

  ProviderHealth::Answer answer = request_.worker.health.Ask(
      {provider_, element_.model().model(), request_.options.byok_alias, tried_, retry, last_resort_}, now_us,
      request_.worker.random());
  if (std::holds_alternative<ProviderHealth::NoSuchEndpoint>(answer)) return Refused();
  if (std::holds_alternative<ProviderHealth::BudgetSpent>(answer)) {
    return GaveUp("the provider's retry budget is spent");
  }
  if (const auto* open = std::get_if<ProviderHealth::CircuitOpen>(&answer)) return OnCircuitOpen(*open, now_us);

  auto& granted = std::get<ProviderHealth::Granted>(answer);
  Attempt attempt;
  if (retry && TriedAlready(granted.endpoint)) {
    if (!last_->retry_may_help) return last_->failure;
    FailedAttempt failed;
    failed.may_succeed_again = true;
    failed.retry_after_us = last_->retry_after_us;
    const std::optional<int64_t> delay_us =
        RetryDelayUs(policy_, attempts_, failed, request_.allowance, now_us, request_.worker.random());
    if (!delay_us.has_value()) return last_->failure;
    attempt.wait_us = std::max<int64_t>(failed_at_us_ + *delay_us - now_us, 0);  // a rest may have been waited for
  }
  ++attempts_;
  request_.allowance.CountAttempt(retry);
  attempt.permit = std::move(granted.permit);
  attempt.endpoint = std::move(granted.endpoint);
  return attempt;
}

AttemptGate::Next AttemptGate::OnCircuitOpen(const ProviderHealth::CircuitOpen& open, int64_t now_us) {
  const bool retry = attempts_ > 0;
  // A rest that ends soon is worth the wait where the alternative is a failure, or the retry would have waited too.
  if (open.resting && (retry || last_resort_) && waits_ < kRequestRetriesMax) {
    FailedAttempt failed;
    failed.may_succeed_again = true;
    failed.retry_after_us = open.retry_us - now_us;
    const std::optional<int64_t> delay_us =
        RetryDelayUs(policy_, attempts_, failed, request_.allowance, now_us, request_.worker.random());
    if (delay_us.has_value()) {
      ++waits_;
      return Wait{*delay_us};
    }
  }
  ModelFailure failure;
  failure.retry_after_s = SecondsUp(open.retry_us - now_us);
  if (retry) {
    failure.timed_out = last_->failure.timed_out;
    failure.message = last_->failure.message;
    return failure;
  }
  v1::Attempt& attempt = request_.record.AddAttempt();
  attempt.set_element_id(element_.id());
  attempt.set_provider(element_.model().provider());
  attempt.set_model(element_.model().model());
  attempt.set_endpoint(request_.options.byok_alias);
  attempt.set_error("circuit_open");
  failure.message = open.resting ? "the provider asked for a pause, and was not called"
                                 : "the provider is failing, and was not called";
  return failure;
}

void AttemptGate::OnFailed(Failed failed) {
  if (!TriedAlready(failed.endpoint)) tried_.push_back(failed.endpoint);
  if (!request_.options.byok_alias.empty() || static_cast<int>(tried_.size()) >= provider_.endpoints_size()) {
    failed.other_endpoint_may_help = false;
  }
  last_ = std::move(failed);
  failed_at_us_ = request_.worker.clock.MonotonicMicros();
}

CallResult AttemptGate::ResultOfTimeout(int64_t waited_us) const {
  const int64_t own_us = int64_t{element_.model().timeout_ms()} * 1'000;
  const int64_t fair_us = own_us > 0 ? std::min(own_us, kTimeoutBlameUs) : kTimeoutBlameUs;
  return waited_us >= fair_us ? CallResult::kFailure : CallResult::kUnknown;
}

AttemptGate::Next AttemptGate::Refused() const {
  std::vector<std::string> names;
  for (const auto& endpoint : EndpointsOf(provider_)) names.push_back(endpoint.name());
  return Refusal(400, "invalid_request",
                 absl::StrCat("cf-aig-byok-alias: provider \"", provider_.name(), "\" has no endpoint \"",
                              request_.options.byok_alias, "\" (known: ", absl::StrJoin(names, ", "), ")"),
                 "cf-aig-byok-alias");
}

ModelFailure AttemptGate::GaveUp(const std::string& why) const {
  ModelFailure failure;
  if (last_.has_value()) failure = last_->failure;
  failure.message = failure.message.empty() ? why : absl::StrCat(failure.message, "; ", why);
  return failure;
}

bool AttemptGate::TriedAlready(const std::string& endpoint) const {
  return std::find(tried_.begin(), tried_.end(), endpoint) != tried_.end();
}

}  // namespace signalbox
