#include "dataplane/health/retry_policy.h"

#include "gtest/gtest.h"
#include "tests/dataplane/health/seconds.h"

namespace signalbox {
namespace {

using Backoff = RetryPolicy::Backoff;
constexpr int64_t kFarUs = 1'000 * kSecondUs;

v1::CompiledElement::Model Model(int retries, int timeout_ms = 0, const std::string& backoff = "") {
  v1::CompiledElement::Model model;
  model.set_retries(retries);
  model.set_timeout_ms(timeout_ms);
  model.set_backoff(backoff);
  return model;
}

FailedAttempt Transient(std::optional<int64_t> retry_after_us = std::nullopt) {
  FailedAttempt failed;
  failed.may_succeed_again = true;
  failed.retry_after_us = retry_after_us;
  return failed;
}

TEST(RetryPolicy, IsTheElementsWhenTheRequestSaysNothing) {
  const RetryPolicy policy = MakeRetryPolicy(Model(2, 1'500, "linear"), {});
  EXPECT_EQ(policy.attempts_max, 3);
  EXPECT_EQ(policy.timeout_us, 1'500'000);
  EXPECT_EQ(policy.delay_us, 100'000);
  EXPECT_EQ(policy.backoff, Backoff::kLinear);
  EXPECT_EQ(MakeRetryPolicy(Model(0), {}).backoff, Backoff::kExponential);
}

TEST(RetryPolicy, TheRequestsWordIsTheLast) {
  RetryOverrides overrides;
  overrides.max_attempts = 5;
  overrides.retry_delay_ms = 40;
  overrides.backoff = "constant";
  overrides.timeout_ms = 250;
  const RetryPolicy policy = MakeRetryPolicy(Model(0, 9'000, "exponential"), overrides);
  EXPECT_EQ(policy.attempts_max, 5);
  EXPECT_EQ(policy.delay_us, 40'000);
  EXPECT_EQ(policy.backoff, Backoff::kConstant);
  EXPECT_EQ(policy.timeout_us, 250'000);
}

TEST(Backoff, GrowsAsNamedAndIsJitteredInItsUpperHalf) {
  RetryPolicy policy;
  const auto range = [&policy](int retry) {
    int64_t least = INT64_MAX, most = 0;
    for (uint64_t random = 0; random < 10'000'019; random += 9'973) {
      const int64_t delay_us = BackoffUs(policy, retry, random);
      least = std::min(least, delay_us);
      most = std::max(most, delay_us);
    }
    return std::make_pair(least / 1'000, (most + 999) / 1'000);
  };
  policy.backoff = Backoff::kConstant;
  EXPECT_EQ(range(0), std::make_pair(int64_t{50}, int64_t{100}));
  EXPECT_EQ(range(7), std::make_pair(int64_t{50}, int64_t{100}));
  policy.backoff = Backoff::kLinear;
  EXPECT_EQ(range(2), std::make_pair(int64_t{150}, int64_t{300}));
  policy.backoff = Backoff::kExponential;
  EXPECT_EQ(range(0), std::make_pair(int64_t{50}, int64_t{100}));
  EXPECT_EQ(range(3), std::make_pair(int64_t{400}, int64_t{800}));
  EXPECT_EQ(range(1'000'000), std::make_pair(int64_t{2'500}, int64_t{5'000}));
}

TEST(Backoff, OfNoDelayIsNone) {
  RetryPolicy policy;
  policy.delay_us = 0;
  EXPECT_EQ(BackoffUs(policy, 5, 12'345), 0);
}

TEST(Retry, EndsWithTheAttemptsOfTheModel) {
  const RetryPolicy policy = MakeRetryPolicy(Model(2), {});
  const RequestAllowance allowance(kFarUs);
  EXPECT_TRUE(RetryDelayUs(policy, 1, Transient(), allowance, 0, 0).has_value());
  EXPECT_TRUE(RetryDelayUs(policy, 2, Transient(), allowance, 0, 0).has_value());
  EXPECT_FALSE(RetryDelayUs(policy, 3, Transient(), allowance, 0, 0).has_value());
}

TEST(Retry, NeverFollowsWhatWillNotSucceed) {
  EXPECT_FALSE(RetryDelayUs(MakeRetryPolicy(Model(5), {}), 1, FailedAttempt(), RequestAllowance(kFarUs), 0, 0));
}

TEST(Retry, WaitsAsLongAsTheProviderSays) {
  const RetryPolicy policy = MakeRetryPolicy(Model(5), {});
  const RequestAllowance allowance(kFarUs);
  for (uint64_t random = 0; random < 1'000'000; random += 1'237) {
    const std::optional<int64_t> delay_us = RetryDelayUs(policy, 1, Transient(2 * kSecondUs), allowance, 0, random);
    ASSERT_TRUE(delay_us.has_value());
    ASSERT_GE(*delay_us, 2 * kSecondUs);
    ASSERT_LE(*delay_us, 2 * kSecondUs + kSecondUs / 5);
  }
  // A shorter one than the backoff changes nothing: the provider's figure is the least, not the most.
  EXPECT_EQ(RetryDelayUs(policy, 1, Transient(1), allowance, 0, 0), 50'000);
}

TEST(Retry, DoesNotWaitForLong) {
  const RetryPolicy policy = MakeRetryPolicy(Model(5), {});
  const RequestAllowance allowance(kFarUs);
  EXPECT_TRUE(RetryDelayUs(policy, 1, Transient(kRetryAfterWaitUsMax), allowance, 0, 0).has_value());
  EXPECT_FALSE(RetryDelayUs(policy, 1, Transient(kRetryAfterWaitUsMax + 1), allowance, 0, 0).has_value());
}

TEST(Retry, DoesNotWaitPastTheRequestsEnd) {
  const RetryPolicy policy = MakeRetryPolicy(Model(5), {});
  const RequestAllowance allowance(kSecondUs);
  EXPECT_TRUE(RetryDelayUs(policy, 1, Transient(), allowance, 0, 0).has_value());
  EXPECT_FALSE(RetryDelayUs(policy, 1, Transient(), allowance, kSecondUs - 50'000, 0).has_value());
}

TEST(RequestAllowance, RetriesOfAWholeWalkEndButEveryModelHasItsFirstAttempt) {
  RequestAllowance allowance(kFarUs);
  allowance.CountAttempt(false);
  int retries = 0;
  for (; allowance.MayAttempt(true); ++retries) allowance.CountAttempt(true);
  EXPECT_EQ(retries, kRequestRetriesMax);
  EXPECT_FALSE(RetryDelayUs(MakeRetryPolicy(Model(10), {}), 1, Transient(), allowance, 0, 0).has_value());
  int attempts = 1 + retries;
  for (; allowance.MayAttempt(false); ++attempts) allowance.CountAttempt(false);
  EXPECT_EQ(attempts, kRequestAttemptsMax);
}

TEST(RequestAllowance, AnAttemptEndsAtItsOwnTimeoutOrTheRequests) {
  const RequestAllowance allowance(10 * kSecondUs);
  EXPECT_EQ(allowance.AttemptDeadlineUs(MakeRetryPolicy(Model(0, 2'000), {}), kSecondUs), 3 * kSecondUs);
  EXPECT_EQ(allowance.AttemptDeadlineUs(MakeRetryPolicy(Model(0, 2'000), {}), 9 * kSecondUs), 10 * kSecondUs);
  EXPECT_EQ(allowance.AttemptDeadlineUs(MakeRetryPolicy(Model(0), {}), kSecondUs), 10 * kSecondUs);
}

}  // namespace
}  // namespace signalbox
