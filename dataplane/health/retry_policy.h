// When an attempt is followed by another one of the same model, and how long to wait before: from the route's element,
// what the request's headers put in its place, and what the whole request has left. Pure; one request's, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/limits.h"
#include "signalbox/v1/compiled.pb.h"

namespace signalbox {

// What a request's own headers say; absent: the element's word counts.
struct RetryOverrides {
  std::optional<int> max_attempts;
  std::optional<int64_t> retry_delay_ms;
  std::string backoff;  // constant, linear, exponential
  std::optional<int64_t> timeout_ms;
};

// Of one model.
struct RetryPolicy {
  enum class Backoff { kConstant, kLinear, kExponential };
  int attempts_max = 1;
  int64_t delay_us = int64_t{kRetryDelayMs} * 1'000;
  Backoff backoff = Backoff::kExponential;
  int64_t timeout_us = 0;  // of an attempt, to its first byte; 0: only the whole request's
};
RetryPolicy MakeRetryPolicy(const v1::CompiledElement::Model& model, const RetryOverrides& overrides);

// Before retry number `retry` (from 0). The upper half is at random, so that requests that failed together do not come
// back together; at most kRetryDelayMsMax.
int64_t BackoffUs(const RetryPolicy& policy, int retry, uint64_t random);

// What one request may still do, over its whole walk.
class RequestAllowance {
 public:
  explicit RequestAllowance(int64_t deadline_us) : deadline_us_(deadline_us) {}
  int64_t deadline_us() const { return deadline_us_; }  // monotonic
  // Of an attempt that starts now: the earlier of its own timeout's and the request's.
  int64_t AttemptDeadlineUs(const RetryPolicy& policy, int64_t now_us) const;
  bool MayAttempt(bool retry) const {
    return attempts_ < kRequestAttemptsMax && (!retry || retries_ < kRequestRetriesMax);
  }
  void CountAttempt(bool retry) {
    ++attempts_;
    if (retry) ++retries_;
  }

 private:
  const int64_t deadline_us_;
  int attempts_ = 0;
  int retries_ = 0;
};

// A failed attempt, or one that health did not let be made, as far as the next one depends on it.
struct FailedAttempt {
  bool may_succeed_again = false;         // connect errors, timeouts, 408, 409, 429, 5xx
  std::optional<int64_t> retry_after_us;  // what the provider said, or when its breaker lets a call pass again
};

// How long to wait before the next attempt of the model at the same endpoint; nullopt: none, the walk goes on. It waits
// for as long as the provider said, but not longer than kRetryAfterWaitUsMax, nor past the request's deadline.
// `attempts`: made of this model so far.
std::optional<int64_t> RetryDelayUs(const RetryPolicy& policy, int attempts, const FailedAttempt& failed,
                                    const RequestAllowance& allowance, int64_t now_us, uint64_t random);

}  // namespace signalbox
