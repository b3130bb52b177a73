#include "dataplane/health/retry_policy.h"

#include <algorithm>

namespace signalbox {
namespace {

constexpr int64_t kDelayUsMax = int64_t{kRetryDelayMsMax} * 1'000;

RetryPolicy::Backoff ParseBackoff(const std::string& text) {
  if (text == "constant") return RetryPolicy::Backoff::kConstant;
  if (text == "linear") return RetryPolicy::Backoff::kLinear;
  return RetryPolicy::Backoff::kExponential;
}

}  // namespace

RetryPolicy MakeRetryPolicy(const v1::CompiledElement::Model& model, const RetryOverrides& overrides) {
  RetryPolicy policy;
  policy.attempts_max = std::max(overrides.max_attempts.value_or(model.retries() + 1), 1);
  policy.delay_us = std::clamp<int64_t>(overrides.retry_delay_ms.value_or(kRetryDelayMs), 0, kRetryDelayMsMax) * 1'000;
  policy.backoff = ParseBackoff(overrides.backoff.empty() ? model.backoff() : overrides.backoff);
  policy.timeout_us =
      std::clamp<int64_t>(overrides.timeout_ms.value_or(model.timeout_ms()), 0, kModelTimeoutMsMax) * 1'000;
  return policy;
}

int64_t BackoffUs(const RetryPolicy& policy, int retry, uint64_t random) {
  int64_t delay_us = policy.delay_us;
  if (policy.backoff == RetryPolicy::Backoff::kLinear) {
    delay_us *= std::min(retry, 1'000) + 1;
  } else if (policy.backoff == RetryPolicy::Backoff::kExponential) {
    delay_us <<= std::min(retry, 10);
  }
  delay_us = std::min(delay_us, kDelayUsMax);
  return delay_us / 2 + static_cast<int64_t>(random % static_cast<uint64_t>(delay_us / 2 + 1));
}

int64_t RequestAllowance::AttemptDeadlineUs(const RetryPolicy& policy, int64_t now_us) const {
  return policy.timeout_us == 0 ? deadline_us_ : std::min(deadline_us_, now_us + policy.timeout_us);
}

std::optional<int64_t> RetryDelayUs(const RetryPolicy& policy, int attempts, const FailedAttempt& failed,
                                    const RequestAllowance& allowance, int64_t now_us, uint64_t random) {
  if (!failed.may_succeed_again || attempts >= policy.attempts_max || !allowance.MayAttempt(true)) return std::nullopt;
  int64_t delay_us = BackoffUs(policy, std::max(attempts - 1, 0), random);
  if (failed.retry_after_us.has_value()) {
    if (*failed.retry_after_us > kRetryAfterWaitUsMax) return std::nullopt;
    // Never earlier than told, and not all at that very moment.
    if (*failed.retry_after_us > delay_us) {
      const int64_t spread_us = *failed.retry_after_us / 10;
      delay_us = *failed.retry_after_us + static_cast<int64_t>(random % static_cast<uint64_t>(spread_us + 1));
    }
  }
  if (now_us + delay_us >= allowance.deadline_us()) return std::nullopt;
  return delay_us;
}

}  // namespace signalbox
