// Which windows count, in which unit: sliding and calendar windows, tokens, combinations, shadows.
#include <gtest/gtest.h>

#include "common/limits.h"
#include "tests/controlplane/quota/quota_testing.h"

namespace signalbox::testing {
namespace {

using A = v1::QuotaAnswer;
constexpr int64_t kHourUs = 3'600'000'000;

v1::CounterKey Sliding(v1::Unit unit, int64_t window_seconds = 3'600) {
  v1::CounterKey key = Key(unit, "ann", window_seconds);
  key.set_technique(v1::SLIDING);
  return key;
}

v1::CounterKey Calendar(v1::Calendar calendar, const std::string& timezone) {
  v1::CounterKey key = Key(v1::REQUESTS, "ann", 0);
  key.set_calendar(calendar);
  key.set_timezone(timezone);
  return key;
}

v1::CounterKey Tokens() { return Key(v1::TOKENS, "ann"); }

class QuotaWindowsTest : public ::testing::Test {
 protected:
  // Requests granted of `asked` at `now_us`.
  int Grants(const v1::CounterKey& key, int64_t limit, int asked, int64_t now_us) {
    int granted = 0;
    for (int i = 0; i < asked; ++i) {
      const std::string id = "r" + std::to_string(++requests);
      granted += proxy.Acquire(Acq(id).Check(key, limit), now_us).result() == A::GRANTED;
      proxy.Settle(id, 0, now_us);
    }
    return granted;
  }
  v1::QuotaAnswer Settle(const std::string& id, int64_t nanos, int64_t tokens, int64_t now_us = kNoonUs) {
    v1::QuotaCommand command;
    command.mutable_settle()->set_request_id(id);
    command.mutable_settle()->set_cost_nanos(nanos);
    command.mutable_settle()->set_tokens(tokens);
    return proxy.Send(command, now_us);
  }

  QuotaCore core;
  Proxy proxy{core, "p"};
  int requests = 0;
};

TEST_F(QuotaWindowsTest, ASlidingWindowWeighsThePreviousOneByWhatRemainsOfIt) {
  const v1::CounterKey key = Sliding(v1::REQUESTS);
  EXPECT_EQ(Grants(key, 10, 20, kNoonUs - 1'000'000), 10);
  EXPECT_EQ(Grants(key, 10, 20, kNoonUs), 0) << "the turn of the window alone gives nothing back";
  EXPECT_EQ(Grants(key, 10, 20, kNoonUs + kHourUs / 2), 5);
  EXPECT_EQ(View(core, key, kNoonUs + kHourUs / 2).settled(), 10);
  EXPECT_EQ(Grants(key, 10, 20, kNoonUs + kHourUs * 3 / 4), 2) << "ceil(10 / 4) + 5 leave 2";
  EXPECT_EQ(Grants(key, 10, 20, kNoonUs + 3 * kHourUs), 10) << "two windows later nothing weighs";
}

TEST_F(QuotaWindowsTest, WhatASlidingWindowWeighsIsRoundedUp) {
  const v1::CounterKey key = Sliding(v1::REQUESTS);
  EXPECT_EQ(Grants(key, 1, 5, kNoonUs - 1), 1);
  EXPECT_EQ(Grants(key, 1, 5, kNoonUs + kHourUs - 1), 0) << "a microsecond of it remains";
  EXPECT_EQ(Grants(key, 1, 5, kNoonUs + kHourUs), 1);
}

TEST_F(QuotaWindowsTest, ADeniedSlidingCheckSaysWhenItCouldPass) {
  const v1::CounterKey key = Sliding(v1::REQUESTS);
  EXPECT_EQ(Grants(key, 10, 10, kNoonUs - 1), 10);
  const A denied = proxy.Acquire(Acq("late").Check(key, 10), kNoonUs + 1);
  ASSERT_EQ(denied.result(), A::DENIED);
  const int64_t retry_us = denied.limits(0).retry_us();
  EXPECT_EQ(retry_us, kNoonUs + kHourUs / 10);
  EXPECT_EQ(proxy.Acquire(Acq("early").Check(key, 10), retry_us - 1).result(), A::DENIED);
  EXPECT_EQ(proxy.Acquire(Acq("then").Check(key, 10), retry_us).result(), A::GRANTED);
}

TEST_F(QuotaWindowsTest, ASlidingWindowThatIsFullItselfSaysWhenTheNextOneHasRoom) {
  const v1::CounterKey key = Sliding(v1::REQUESTS);
  EXPECT_EQ(Grants(key, 4, 4, kNoonUs), 4);
  const A denied = proxy.Acquire(Acq("late").Check(key, 4), kNoonUs + 1);
  const int64_t retry_us = denied.limits(0).retry_us();
  EXPECT_EQ(retry_us, kNoonUs + kHourUs + kHourUs / 4);
  EXPECT_EQ(proxy.Acquire(Acq("early").Check(key, 4), retry_us - 1).result(), A::DENIED);
  EXPECT_EQ(proxy.Acquire(Acq("then").Check(key, 4), retry_us).result(), A::GRANTED);
}

TEST_F(QuotaWindowsTest, AHoldOfASlidingWindowSettlesIntoTheWindowThatGrantedIt) {
  const v1::CounterKey key = Sliding(v1::NANO_DOLLARS);
  ASSERT_EQ(proxy.Acquire(Acq("r").Check(key, 10'000).Cap(600, true), kNoonUs - 1).result(), A::GRANTED);
  const int64_t later_us = kNoonUs + kHourUs / 2;
  EXPECT_EQ(View(core, key, later_us).held(), 600) << "a hold weighs 1 until it ends";
  Settle("r", 300, 0, later_us);
  EXPECT_EQ(View(core, key, later_us).settled(), 150) << "half of the window before remains";
  EXPECT_EQ(View(core, key, later_us).held(), 0);
}

TEST_F(QuotaWindowsTest, SuspenseWeighsOffWithTheWindowThatGrantedIt) {
  const v1::CounterKey key = Sliding(v1::NANO_DOLLARS);
  ASSERT_EQ(proxy.Acquire(Acq("r").Check(key, 10'000).Cap(600, true), kNoonUs - 1).result(), A::GRANTED);
  core.Tick(kNoonUs + kSuspendAfterUs);
  const int64_t later_us = kNoonUs + kHourUs / 2;
  EXPECT_EQ(View(core, key, later_us).suspense(), 300);
  Settle("r", 100, 0, later_us);
  EXPECT_EQ(View(core, key, later_us).suspense(), 0);
  EXPECT_EQ(View(core, key, later_us).settled(), 50);
}

TEST_F(QuotaWindowsTest, ARetryIsNeverInThePastAlsoWhereSettledAndSuspendedAreRoundedUpApart) {
  const v1::CounterKey key = Sliding(v1::NANO_DOLLARS);
  ASSERT_EQ(proxy.Acquire(Acq("a").Check(key, 2).Cap(1, true), kNoonUs - 1).result(), A::GRANTED);
  Settle("a", 1, 0, kNoonUs - 1);
  ASSERT_EQ(proxy.Acquire(Acq("b").Check(key, 2).Cap(1, true), kNoonUs - 1).result(), A::GRANTED);
  core.Tick(kNoonUs + kSuspendAfterUs);
  const int64_t later_us = kNoonUs + kHourUs * 3 / 4;
  EXPECT_EQ(View(core, key, later_us).used(), 2) << "a quarter of 1 and a quarter of 1";
  const A denied = proxy.Acquire(Acq("c").Check(key, 2).Cap(1, true), later_us);
  ASSERT_EQ(denied.result(), A::DENIED);
  EXPECT_EQ(denied.limits(0).retry_us(), later_us + 1);
}

TEST_F(QuotaWindowsTest, ADayInNewYorkTurnsAtItsMidnight) {
  // 2025-03-09, the day of 23 hours: midnight EST is 05:00 UTC, the next midnight EDT is 04:00 UTC.
  const int64_t midnight_us = 1'741'496'400LL * 1'000'000;
  const v1::CounterKey key = Calendar(v1::DAY, "America/New_York");
  EXPECT_EQ(Grants(key, 3, 5, midnight_us), 3);
  EXPECT_EQ(View(core, key, midnight_us).reset_us(), midnight_us + 23 * kHourUs);
  EXPECT_EQ(Grants(key, 3, 5, midnight_us + 23 * kHourUs - 1), 0);
  EXPECT_EQ(Grants(key, 3, 5, midnight_us + 23 * kHourUs), 3);
  EXPECT_EQ(View(core, key, midnight_us + 23 * kHourUs).reset_us(), midnight_us + 47 * kHourUs);
}

TEST_F(QuotaWindowsTest, AMonthIsAsLongAsItIs) {
  const int64_t february_us = 1'738'368'000LL * 1'000'000;  // 2025-02-01 UTC
  const v1::CounterKey key = Calendar(v1::MONTH, "");
  EXPECT_EQ(Grants(key, 2, 5, february_us + kDayUs), 2);
  EXPECT_EQ(Grants(key, 2, 5, february_us + 28 * kDayUs - 1), 0);
  EXPECT_EQ(Grants(key, 2, 5, february_us + 28 * kDayUs), 2);
}

TEST_F(QuotaWindowsTest, WindowsThatCannotBeAreInvalid) {
  const auto message = [this](const v1::CounterKey& key) {
    const A answer = proxy.Acquire(Acq("r").Check(key, 1));
    EXPECT_EQ(answer.result(), A::INVALID);
    return answer.message();
  };
  v1::CounterKey both = Calendar(v1::DAY, "");
  both.set_window_seconds(5);
  EXPECT_EQ(message(both), "check 0: the counter has a calendar window and a length in seconds");
  v1::CounterKey sliding = Calendar(v1::DAY, "");
  sliding.set_technique(v1::SLIDING);
  EXPECT_EQ(message(sliding), "check 0: the counter's calendar window is not fixed");
  EXPECT_EQ(message(Calendar(v1::DAY, "Mars/Olympus")),
            "check 0: the counter's time zone is not known to this quota service");
  EXPECT_EQ(message(Calendar(v1::DAY, "../../etc/passwd")),
            "check 0: the counter's time zone is not known to this quota service");
  v1::CounterKey zoned = Count();
  zoned.set_timezone("UTC");
  EXPECT_EQ(message(zoned), "check 0: the counter has a time zone and no calendar window");
}

TEST_F(QuotaWindowsTest, TokensAreHeldAtTheirBoundAndSettledToWhatWasUsed) {
  Acq acq("r");
  v1::AttemptBound bound = Bound(0, 1'000'000, 4'000, 2);
  bound.set_input_tokens(100);
  acq.With(bound).Check(Tokens(), 100'000).Cap(500, true);
  const A granted = proxy.Acquire(acq);
  ASSERT_EQ(granted.result(), A::GRANTED);
  EXPECT_EQ(granted.limits(0).held(), 100 + 2 * 500);
  Settle("r", 999'999, 345);
  EXPECT_EQ(View(core, Tokens()).settled(), 345) << "tokens, not dollars";
  EXPECT_EQ(View(core, Tokens()).held(), 0);
}

TEST_F(QuotaWindowsTest, DollarsAndTokensOfOneChainAreHeldAtOneCap) {
  Acq acq("r");
  v1::AttemptBound bound = Bound(50, 2'000'000, 100'000);
  bound.set_input_tokens(10);
  acq.With(bound).Check(Money(), 1'000'000).Check(Tokens(), 1'010, v1::STRICT).Cap(100'000, true);
  const A granted = proxy.Acquire(acq);
  ASSERT_EQ(granted.result(), A::GRANTED);
  EXPECT_EQ(granted.output_cap(), 256) << "the least share of the tokens, which is the smallest cap of the chain";
  EXPECT_EQ(granted.limits(0).held(), 50 + 2 * 256);
  EXPECT_EQ(granted.limits(1).held(), 10 + 256);
}

TEST_F(QuotaWindowsTest, AnExtendRaisesEachHoldInItsUnit) {
  Acq acq("r");
  v1::AttemptBound bound = Bound(0, 1'000'000, 0);
  acq.With(bound).Check(Money(), 1'000).Check(Tokens(), 1'000).Cap(100, true);
  ASSERT_EQ(proxy.Acquire(acq).result(), A::GRANTED);
  v1::QuotaCommand command;
  command.mutable_extend()->set_request_id("r");
  command.mutable_extend()->set_required_nanos(300);
  command.mutable_extend()->set_required_tokens(700);
  ASSERT_EQ(proxy.Send(command, kNoonUs).result(), A::GRANTED);
  EXPECT_EQ(View(core, Money()).held(), 300);
  EXPECT_EQ(View(core, Tokens()).held(), 700);
  command.mutable_extend()->set_required_tokens(1'001);
  EXPECT_EQ(proxy.Send(command, kNoonUs).result(), A::DENIED);
}

TEST_F(QuotaWindowsTest, ACombinationOfValuesIsOneCounter) {
  v1::CounterKey ann_eu = Count("ann"), ann_us = Count("ann"), eu_ann = Count("eu");
  ann_eu.add_identifier()->set_string_value("eu");
  ann_us.add_identifier()->set_string_value("us");
  eu_ann.add_identifier()->set_string_value("ann");
  EXPECT_EQ(Grants(ann_eu, 1, 3, kNoonUs), 1);
  EXPECT_EQ(Grants(ann_us, 1, 3, kNoonUs), 1);
  EXPECT_EQ(Grants(eu_ann, 1, 3, kNoonUs), 1) << "in the order of the key";
  EXPECT_EQ(Grants(Count("ann"), 1, 3, kNoonUs), 1);
  v1::CounterKey joined = Count("anneu");
  EXPECT_EQ(Grants(joined, 1, 3, kNoonUs), 1);
}

Acq Shadow(Acq acq) {
  acq.acquire.mutable_checks(acq.acquire.checks_size() - 1)->set_shadow(true);
  return acq;
}

TEST_F(QuotaWindowsTest, AShadowCountsAndSaysWhatItWouldHaveDone) {
  EXPECT_FALSE(proxy.Acquire(Shadow(Acq("a").Check(Count(), 1))).limits(0).shadow_denied());
  const A second = proxy.Acquire(Shadow(Acq("b").Check(Count(), 1)));
  EXPECT_EQ(second.result(), A::GRANTED);
  EXPECT_TRUE(second.limits(0).shadow_denied());
  EXPECT_EQ(second.limits(0).remaining(), 0);
  EXPECT_EQ(View(core, Count()).settled(), 2);
}

TEST_F(QuotaWindowsTest, AShadowBudgetHoldsAndNeverLowersTheCap) {
  const A granted = proxy.Acquire(Shadow(Acq("a").Check(Money(), 100)).Cap(5'000, true));
  EXPECT_EQ(granted.result(), A::GRANTED);
  EXPECT_EQ(granted.output_cap(), 5'000);
  EXPECT_TRUE(granted.limits(0).shadow_denied()) << "256 tokens do not fit";
  EXPECT_EQ(granted.limits(0).held(), 5'000);
  Settle("a", 4'000, 0);
  EXPECT_EQ(View(core, Money()).settled(), 4'000);
}

TEST_F(QuotaWindowsTest, AShadowsHoldIsNoBoundOfAStrictLimitOnTheSameCounter) {
  ASSERT_EQ(proxy.Acquire(Shadow(Acq("a").Check(Money(), 100)).Cap(5'000, true)).result(), A::GRANTED);
  const A strict = proxy.Acquire(Acq("a").Check(Money(), 1'000).Cap(5'000, true));
  ASSERT_EQ(strict.result(), A::GRANTED);
  EXPECT_EQ(strict.limits(0).held(), strict.output_cap());
  EXPECT_LE(View(core, Money()).used(), 1'000);
  EXPECT_EQ(proxy.Acquire(Acq("b").Check(Money(), View(core, Money()).used()).Cap(1, true)).result(), A::DENIED);
}

TEST_F(QuotaWindowsTest, ADenialThatOnlyHoldsInFlightCauseCanBeRetriedSoon) {
  ASSERT_EQ(proxy.Acquire(Acq("a").Check(Money(), 1'000).Cap(1'000, true)).result(), A::GRANTED);
  const A denied = proxy.Acquire(Acq("b").Check(Money(), 1'000).Cap(1'000, true));
  ASSERT_EQ(denied.result(), A::DENIED);
  EXPECT_EQ(denied.limits(0).retry_us(), kNoonUs + 1'000'000);
  Settle("a", 1'000, 0);
  EXPECT_EQ(proxy.Acquire(Acq("c").Check(Money(), 1'000).Cap(1'000, true)).limits(0).retry_us(), kNoonUs + kDayUs / 2);
}

}  // namespace
}  // namespace signalbox::testing
