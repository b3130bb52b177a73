// What operators do to counters: look, reset, adjust; each with who and why.
#include <gtest/gtest.h>

#include "common/limits.h"
#include "tests/controlplane/quota/quota_testing.h"

namespace signalbox::testing {
namespace {

using A = v1::QuotaAnswer;

class QuotaAdjustTest : public ::testing::Test {
 protected:
  static v1::AdjustCounterRequest Request(const v1::CounterKey& key, int64_t delta, const std::string& id) {
    v1::AdjustCounterRequest request;
    request.set_adjustment_id(id);
    *request.mutable_key() = key;
    request.set_reset(delta == 0);
    request.set_delta(delta);
    request.set_who("ops");
    request.set_why("a refund");
    return request;
  }
  v1::Adjustment Adjust(const v1::CounterKey& key, int64_t delta, const std::string& id, int64_t now_us = kNoonUs) {
    v1::Adjustment adjustment;
    const absl::Status status = core.Adjust(Request(key, delta, id), now_us, adjustment);
    EXPECT_TRUE(status.ok()) << status;
    const absl::Status sums = core.Check();
    EXPECT_TRUE(sums.ok()) << sums;
    return adjustment;
  }
  void Use(const std::string& id, int64_t nanos) {
    ASSERT_EQ(proxy.Acquire(Acq(id).Check(Money(), kDollar).Cap(nanos, true)).result(), A::GRANTED);
    proxy.Settle(id, nanos);
  }

  QuotaCore core;
  Proxy proxy{core, "p"};
};

TEST_F(QuotaAdjustTest, AResetEmptiesTheWindowAndSaysWhatItWas) {
  Use("a", 700);
  const v1::Adjustment adjustment = Adjust(Money(), 0, "1");
  EXPECT_EQ(adjustment.before().settled(), 700);
  EXPECT_EQ(adjustment.after().settled(), 0);
  EXPECT_EQ(adjustment.request().who(), "ops");
  EXPECT_EQ(View(core, Money()).settled(), 0);
}

TEST_F(QuotaAdjustTest, ADeltaMovesWhatIsSettledAndNeverBelowNothing) {
  Use("a", 700);
  EXPECT_EQ(Adjust(Money(), 250, "1").after().settled(), 950);
  EXPECT_EQ(Adjust(Money(), -1'000, "2").after().settled(), 0);
  EXPECT_EQ(Adjust(Money("new"), 5, "3").after().settled(), 5) << "also of who never asked";
}

TEST_F(QuotaAdjustTest, ARepeatChangesNothingAndGetsTheFirstAnswer) {
  const v1::Adjustment first = Adjust(Money(), 250, "1");
  EXPECT_EQ(Adjust(Money(), 250, "1", kNoonUs + 5).SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(View(core, Money()).settled(), 250);
  EXPECT_EQ(core.Adjustments(0, 10).size(), 1u);
}

TEST_F(QuotaAdjustTest, WhatIsInFlightAtAResetCountsWhenItSettles) {
  ASSERT_EQ(proxy.Acquire(Acq("a").Check(Money(), kDollar).Cap(900, true)).result(), A::GRANTED);
  EXPECT_EQ(Adjust(Money(), 0, "1").after().held(), 900);
  proxy.Settle("a", 500);
  EXPECT_EQ(View(core, Money()).settled(), 500);
  EXPECT_EQ(View(core, Money()).held(), 0);
}

TEST_F(QuotaAdjustTest, AResetForgivesSuspenseForGood) {
  ASSERT_EQ(proxy.Acquire(Acq("a").Check(Money(), kDollar).Cap(900, true)).result(), A::GRANTED);
  core.Tick(kNoonUs + kSuspendAfterUs);
  const int64_t later_us = kNoonUs + kSuspendAfterUs;
  EXPECT_EQ(Adjust(Money(), 0, "1", later_us).before().suspense(), 900);
  EXPECT_EQ(View(core, Money(), later_us).used(), 0);
  Proxy ledger(core, "ledger");
  ledger.Settle("a", 500, later_us);
  EXPECT_EQ(View(core, Money(), later_us).used(), 0);
  EXPECT_EQ(core.requests(), 0u);
  EXPECT_TRUE(core.Suspense(0, 1)[0].resolved());
}

TEST_F(QuotaAdjustTest, ACancelDoesNotTakeBackAChargeThatAResetForgave) {
  ASSERT_EQ(proxy.Acquire(Acq("a").Check(Count(), 10)).result(), A::GRANTED);
  Adjust(Count(), 0, "1");
  ASSERT_EQ(proxy.Acquire(Acq("b").Check(Count(), 10)).result(), A::GRANTED);
  proxy.Cancel(1);
  EXPECT_EQ(View(core, Count()).settled(), 1) << "b's";
}

TEST_F(QuotaAdjustTest, AMalformedAdjustmentIsRefusedAndChangesNothing) {
  Use("a", 700);
  const std::string before = core.Dump();
  const auto fault = [this](v1::AdjustCounterRequest request) {
    v1::Adjustment ignored;
    return std::string(core.Adjust(request, kNoonUs, ignored).message());
  };
  v1::AdjustCounterRequest request = Request(Money(), 5, "");
  EXPECT_EQ(fault(request), "the adjustment id is empty");
  request = Request(Money(), 5, "1");
  request.set_reset(true);
  EXPECT_EQ(fault(request), "an adjustment either resets or has a delta that is not 0");
  request = Request(Money(), 5, "1");
  request.clear_why();
  EXPECT_EQ(fault(request), "the adjustment does not say why");
  request = Request(Money(), 5, "1");
  request.set_who(std::string(kQuotaReasonBytesMax + 1, 'x'));
  EXPECT_EQ(fault(request), "the adjustment's who is longer than 1024 bytes");
  EXPECT_EQ(core.Dump(), before);
}

TEST_F(QuotaAdjustTest, APoolIsListedFullestFirst) {
  for (const auto& [who, nanos] : {std::pair{"ann", 300}, {"bob", 900}, {"cem", 600}}) {
    ASSERT_EQ(proxy.Acquire(Acq(who).Check(Money(who), kDollar).Cap(nanos, true)).result(), A::GRANTED);
    proxy.Settle(who, nanos);
  }
  v1::CounterKey other = Money("dan");
  other.set_pool("another");
  Adjust(other, 5'000, "1");
  v1::ListCountersRequest request;
  request.set_gateway("default");
  request.set_pool("route/limit");
  request.set_page_size(2);
  const v1::ListCountersResponse list = core.List(request, kNoonUs);
  EXPECT_EQ(list.counters_in_pool(), 3);
  ASSERT_EQ(list.counters_size(), 2);
  EXPECT_EQ(list.counters(0).key().identifier(0).string_value(), "bob");
  EXPECT_EQ(list.counters(1).used(), 600);
  *request.add_identifier() = Money("ann").identifier(0);
  ASSERT_EQ(core.List(request, kNoonUs).counters_size(), 1);
  EXPECT_EQ(core.List(request, kNoonUs).counters(0).used(), 300);
  EXPECT_EQ(core.List(request, kNoonUs + kDayUs).counters(0).used(), 0) << "as of now, turned or not";
}

TEST_F(QuotaAdjustTest, ForgottenCountersLeaveTheirPool) {
  Use("a", 700);
  Adjust(Money("bob"), 5, "1");
  v1::QuotaRequest message;
  message.set_proxy_id("p");
  message.set_boot_id("boot");
  message.set_acked_through(50);
  v1::QuotaResponse answers;
  core.Apply(message, kNoonUs, answers);  // what it answered is acknowledged: nothing points to the counters
  core.Apply(message, kNoonUs + kDayUs, answers);
  EXPECT_EQ(core.counters(), 0u);
  EXPECT_TRUE(core.Check().ok());
}

TEST_F(QuotaAdjustTest, AdjustmentsAreKeptByALoadedCoreToo) {
  Use("a", 700);
  Adjust(Money(), 250, "1");
  Adjust(Money(), 0, "2");
  QuotaCore copy;
  for (const v1::QuotaStatePart& part : core.Save(2)) ASSERT_TRUE(copy.Load(part).ok());
  copy.LoadDone();
  EXPECT_EQ(copy.Dump(), core.Dump());
  ASSERT_EQ(copy.Adjustments(1, 10).size(), 1u);
  v1::Adjustment repeated;
  ASSERT_TRUE(copy.Adjust(Request(Money(), 250, "1"), kNoonUs, repeated).ok());
  EXPECT_EQ(repeated.after().settled(), 950);
}

}  // namespace
}  // namespace signalbox::testing
