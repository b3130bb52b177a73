#include "controlplane/quota/quota_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "common/limits.h"
#include "tests/controlplane/quota/quota_testing.h"

namespace signalbox::testing {
namespace {

using ::testing::HasSubstr;
using A = v1::QuotaAnswer;

class QuotaCoreTest : public ::testing::Test {
 protected:
  QuotaCore core;
  Proxy proxy{core, "p1"};
};

TEST_F(QuotaCoreTest, CountGrantsExactlyTheLimit) {
  for (int i = 0; i < 10; ++i) {
    const A answer = proxy.Acquire(Acq("r" + std::to_string(i)).Check(Count(), 10));
    EXPECT_EQ(answer.result(), A::GRANTED);
    EXPECT_EQ(answer.limits(0).remaining(), 9 - i);
    EXPECT_EQ(answer.limits(0).reset_us(), 20'001 * kDayUs);
  }
  const A denied = proxy.Acquire(Acq("r10").Check(Count(), 10));
  EXPECT_EQ(denied.result(), A::DENIED);
  EXPECT_EQ(denied.limits(0).remaining(), 0);
  EXPECT_EQ(View(core, Count()).settled(), 10);
}

TEST_F(QuotaCoreTest, IdentifiersOfDifferentTypesHaveDifferentCounters) {
  v1::CounterKey number = Count();
  number.mutable_identifier(0)->set_number_value(5);
  EXPECT_EQ(proxy.Acquire(Acq("a").Check(number, 1)).result(), A::GRANTED);
  EXPECT_EQ(proxy.Acquire(Acq("b").Check(Count("5"), 1)).result(), A::GRANTED);
  EXPECT_EQ(proxy.Acquire(Acq("c").Check(number, 1)).result(), A::DENIED);
}

TEST_F(QuotaCoreTest, LengthPrefixKeepsNeighboursApart) {
  EXPECT_EQ(proxy.Acquire(Acq("a").Check(Key(v1::REQUESTS, "bc", 60, "a"), 1)).result(), A::GRANTED);
  EXPECT_EQ(proxy.Acquire(Acq("b").Check(Key(v1::REQUESTS, "c", 60, "ab"), 1)).result(), A::GRANTED);
}

TEST_F(QuotaCoreTest, LimitsMayDifferWithinAPool) {
  EXPECT_EQ(proxy.Acquire(Acq("a").Check(Count(), 1)).result(), A::GRANTED);
  EXPECT_EQ(proxy.Acquire(Acq("b").Check(Count(), 1)).result(), A::DENIED);
  EXPECT_EQ(proxy.Acquire(Acq("c").Check(Count(), 2)).result(), A::GRANTED);
}

TEST_F(QuotaCoreTest, ChainChargesThoseBeforeTheFirstDenialOnly) {
  proxy.Acquire(Acq("used").Check(Count("second"), 1));
  const A answer = proxy.Acquire(Acq("r").Check(Count("first"), 5).Check(Count("second"), 1).Check(Count("third"), 5));
  EXPECT_EQ(answer.result(), A::DENIED);
  EXPECT_EQ(answer.denied_index(), 1u);
  EXPECT_EQ(answer.limits_size(), 2);
  EXPECT_EQ(View(core, Count("first")).settled(), 1);
  EXPECT_EQ(View(core, Count("second")).settled(), 1);
  EXPECT_EQ(View(core, Count("third")).settled(), 0);
}

TEST_F(QuotaCoreTest, SameCounterTwiceOnOneWalkIsOneCharge) {
  EXPECT_EQ(proxy.Acquire(Acq("r").Check(Count(), 1).Check(Count(), 1)).result(), A::GRANTED);
  EXPECT_EQ(proxy.Acquire(Acq("r").Check(Count(), 1)).result(), A::GRANTED);
  EXPECT_EQ(View(core, Count()).settled(), 1);
}

TEST_F(QuotaCoreTest, SameMoneyCounterTwiceHoldsTheLarger) {
  EXPECT_EQ(proxy.Acquire(Acq("r").Check(Money(), kDollar).Cap(300)).limits(0).held(), 300);
  EXPECT_EQ(proxy.Acquire(Acq("r").Check(Money(), kDollar).Cap(500)).limits(0).held(), 500);
  EXPECT_EQ(proxy.Acquire(Acq("r").Check(Money(), kDollar).Cap(400)).limits(0).held(), 500);
  EXPECT_EQ(View(core, Money()).held(), 500);
}

TEST_F(QuotaCoreTest, SameMoneyCounterTwiceInOneAcquireBearsBothLimits) {
  // The second check's model is too dear for the first check's limit on the same counter.
  const A answer = proxy.Acquire(Acq("r")
                                     .With(Bound(0, 1'000'000, 1'000))
                                     .With(Bound(5'000, 1'000'000, 1'000))
                                     .Check(Money(), 2'000, v1::STRICT, {0})
                                     .Check(Money(), 1'000'000, v1::STRICT, {1}));
  EXPECT_EQ(answer.result(), A::DENIED);
  EXPECT_EQ(answer.denied_index(), 1u);
  EXPECT_LE(View(core, Money()).held(), 2'000);
}

TEST_F(QuotaCoreTest, StrictDeniesWhenTheMinimumDoesNotFit) {
  // 256 tokens at a nano-dollar each, plus 100 of input.
  const auto acq = [](const std::string& id) { return Acq(id).With(Bound(100, 1'000'000, 10'000)).Cap(10'000); };
  EXPECT_EQ(proxy.Acquire(acq("a").Check(Money(), 355)).result(), A::DENIED);
  EXPECT_EQ(View(core, Money()).held(), 0);
  const A answer = proxy.Acquire(acq("b").Check(Money(), 356));
  EXPECT_EQ(answer.result(), A::GRANTED);
  EXPECT_EQ(answer.output_cap(), 256);
  EXPECT_EQ(answer.limits(0).held(), 356);
  EXPECT_EQ(answer.limits(0).remaining(), 0);
}

TEST_F(QuotaCoreTest, WithoutAClientCapAHoldTakesASixteenthOfTheLimit) {
  const A answer = proxy.Acquire(Acq("a").Check(Money(), 160'000).Cap(100'000));
  EXPECT_EQ(answer.output_cap(), 10'000);
  EXPECT_EQ(answer.limits(0).held(), 10'000);
}

TEST_F(QuotaCoreTest, AClientCapThatFitsIsKept) {
  const A answer = proxy.Acquire(Acq("a").Check(Money(), 160'000).Cap(100'000, true));
  EXPECT_EQ(answer.output_cap(), 100'000);
  EXPECT_EQ(answer.limits(0).held(), 100'000);
  // The next does not fit and is lowered like one without a client's cap.
  EXPECT_EQ(proxy.Acquire(Acq("b").Check(Money(), 160'000).Cap(100'000, true)).output_cap(), 10'000);
}

TEST_F(QuotaCoreTest, AModelsOwnMaximumNeverLowersTheCapOfAnother) {
  const A answer = proxy.Acquire(Acq("a")
                                     .With(Bound(0, 10'000'000, 100))   // dear, but at most 100 tokens: 1,000
                                     .With(Bound(0, 1'000'000, 5'000))  // 5,000
                                     .Check(Money(), 160'000, v1::STRICT, {0, 1})
                                     .Cap(5'000));
  EXPECT_EQ(answer.output_cap(), 5'000);
  EXPECT_EQ(answer.limits(0).held(), 5'000);
}

TEST_F(QuotaCoreTest, TheSmallestCapOfAChainAppliesToEveryHold) {
  const A answer = proxy.Acquire(Acq("a").Check(Money("wide"), 1'600'000).Check(Money("narrow"), 16'000).Cap(50'000));
  EXPECT_EQ(answer.result(), A::GRANTED);
  EXPECT_EQ(answer.output_cap(), 1'000);
  EXPECT_EQ(View(core, Money("wide")).held(), 1'000);
  EXPECT_EQ(View(core, Money("narrow")).held(), 1'000);
}

TEST_F(QuotaCoreTest, ObservedAdmitsWhileSettledIsBelowTheLimit) {
  const auto acq = [](const std::string& id) { return Acq(id).Check(Money(), 1'000, v1::OBSERVED).Cap(900); };
  EXPECT_EQ(proxy.Acquire(acq("a")).output_cap(), 900);
  EXPECT_EQ(proxy.Acquire(acq("b")).result(), A::GRANTED);  // holds are kept, not tested
  EXPECT_EQ(View(core, Money()).held(), 1'800);
  proxy.Settle("a", 999);
  EXPECT_EQ(proxy.Acquire(acq("c")).result(), A::GRANTED);
  proxy.Settle("b", 1);
  EXPECT_EQ(proxy.Acquire(acq("d")).result(), A::DENIED);
}

TEST_F(QuotaCoreTest, SettleReplacesTheHoldByTheCostOnce) {
  proxy.Acquire(Acq("a").Check(Money(), kDollar).Cap(500));
  EXPECT_EQ(proxy.Settle("a", 123).result(), A::GRANTED);
  EXPECT_EQ(proxy.Settle("a", 456).result(), A::GRANTED);
  EXPECT_EQ(View(core, Money()).settled(), 123);
  EXPECT_EQ(View(core, Money()).held(), 0);
  EXPECT_EQ(core.requests(), 0u);
}

TEST_F(QuotaCoreTest, SettleOfAnUnknownRequestIsGranted) { EXPECT_EQ(proxy.Settle("x", 5).result(), A::GRANTED); }

TEST_F(QuotaCoreTest, SettleWorksFromAnotherBoot) {
  proxy.Acquire(Acq("a").Check(Money(), kDollar).Cap(500));
  Proxy(core, "p1", "next").Settle("a", 7);
  EXPECT_EQ(View(core, Money()).settled(), 7);
}

TEST_F(QuotaCoreTest, SettleEndsTheRecordOfACountedRequest) {
  proxy.Acquire(Acq("a").Check(Count(), 5));
  EXPECT_EQ(core.requests(), 1u);
  proxy.Settle("a", 1'000);
  EXPECT_EQ(core.requests(), 0u);
  EXPECT_EQ(View(core, Count()).settled(), 1);
}

TEST_F(QuotaCoreTest, AHoldWeighsUntilItEndsThenBelongsToTheWindowThatGrantedIt) {
  proxy.Acquire(Acq("a").Check(Money(), 1'000).Cap(900, true));
  const int64_t tomorrow = kNoonUs + kDayUs;
  EXPECT_EQ(View(core, Money(), tomorrow).held(), 900);
  EXPECT_EQ(proxy.Acquire(Acq("b").Check(Money(), 1'000).Cap(900, true), tomorrow).result(), A::DENIED);
  proxy.Settle("a", 800, tomorrow);
  EXPECT_EQ(View(core, Money(), tomorrow).settled(), 0);
  EXPECT_EQ(proxy.Acquire(Acq("b").Check(Money(), 1'000).Cap(900, true), tomorrow).result(), A::GRANTED);
}

TEST_F(QuotaCoreTest, WindowsAlignToTheEpochAndTurn) {
  const v1::CounterKey minute = Key(v1::REQUESTS, "ann", 60);
  EXPECT_EQ(proxy.Acquire(Acq("a").Check(minute, 1), 59'999'999).limits(0).reset_us(), 60'000'000);
  EXPECT_EQ(proxy.Acquire(Acq("b").Check(minute, 1), 59'999'999).result(), A::DENIED);
  EXPECT_EQ(proxy.Acquire(Acq("c").Check(minute, 1), 60'000'000).result(), A::GRANTED);
}

TEST_F(QuotaCoreTest, TimeNeverRunsBackwards) {
  const v1::CounterKey minute = Key(v1::REQUESTS, "ann", 60);
  proxy.Acquire(Acq("a").Check(minute, 1), 60'000'000);
  EXPECT_EQ(proxy.Acquire(Acq("b").Check(minute, 1), 1'000'000).result(), A::DENIED);
}

TEST_F(QuotaCoreTest, ExtendRaisesEveryMoneyHoldOrNone) {
  proxy.Acquire(Acq("a").Check(Money("x"), 10'000).Check(Money("y"), 2'000).Check(Count(), 5).Cap(400, true));
  const A granted = proxy.Extend("a", 1'500);
  EXPECT_EQ(granted.result(), A::GRANTED);
  EXPECT_EQ(granted.limits_size(), 2);
  EXPECT_EQ(View(core, Money("x")).held(), 1'500);
  const A denied = proxy.Extend("a", 2'001);
  EXPECT_EQ(denied.result(), A::DENIED);
  EXPECT_EQ(denied.denied_index(), 1u);
  EXPECT_EQ(View(core, Money("x")).held(), 1'500);
  EXPECT_EQ(View(core, Money("y")).held(), 1'500);
}

TEST_F(QuotaCoreTest, ExtendOfAnObservedHoldIsNotTested) {
  proxy.Acquire(Acq("a").Check(Money(), 1'000, v1::OBSERVED).Cap(400));
  EXPECT_EQ(proxy.Extend("a", 5'000).result(), A::GRANTED);
  EXPECT_EQ(View(core, Money()).held(), 5'000);
}

TEST_F(QuotaCoreTest, ExtendOfAnUnknownRequestIsDenied) {
  const A answer = proxy.Extend("x", 5);
  EXPECT_EQ(answer.result(), A::DENIED);
  EXPECT_THAT(answer.message(), HasSubstr("has no hold"));
}

TEST_F(QuotaCoreTest, ARepeatedSequenceGetsTheFirstAnswer) {
  v1::QuotaCommand command;
  *command.mutable_acquire() = Acq("a").Check(Count(), 1).acquire;
  command.set_sequence(7);
  const A first = proxy.Send(command, kNoonUs);
  const A again = proxy.Send(command, kNoonUs + 1);
  EXPECT_EQ(first.result(), A::GRANTED);
  EXPECT_EQ(again.SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(View(core, Count()).settled(), 1);
}

TEST_F(QuotaCoreTest, AForgottenSequenceIsNeverEvaluatedAgain) {
  v1::QuotaCommand command;
  *command.mutable_acquire() = Acq("a").Check(Count(), 5).acquire;
  command.set_sequence(7);
  proxy.Send(command, kNoonUs);
  proxy.Heartbeat(kNoonUs, 7);
  EXPECT_EQ(proxy.Send(command, kNoonUs).result(), A::UNKNOWN_SEQUENCE);
  EXPECT_EQ(View(core, Count()).settled(), 1);
}

TEST_F(QuotaCoreTest, SequencesOfAnotherBootAreOthers) {
  v1::QuotaCommand command;
  *command.mutable_acquire() = Acq("a").Check(Count(), 1).acquire;
  command.set_sequence(7);
  EXPECT_EQ(proxy.Send(command, kNoonUs).result(), A::GRANTED);
  command.mutable_acquire()->set_request_id("b");
  EXPECT_EQ(Proxy(core, "p2").Send(command, kNoonUs).result(), A::DENIED);
}

TEST_F(QuotaCoreTest, CancelUndoesAnAcquire) {
  proxy.Acquire(Acq("a").Check(Count(), 1).Check(Money(), 1'000).Cap(300));
  EXPECT_EQ(proxy.Cancel(proxy.last_sequence()).result(), A::GRANTED);
  EXPECT_EQ(View(core, Count()).settled(), 0);
  EXPECT_EQ(View(core, Money()).held(), 0);
  EXPECT_EQ(core.requests(), 0u);
}

TEST_F(QuotaCoreTest, CancelUndoesOnlyWhatItsSequenceAdded) {
  proxy.Acquire(Acq("a").Check(Money(), kDollar).Cap(300));
  proxy.Extend("a", 500);
  proxy.Cancel(proxy.last_sequence());
  EXPECT_EQ(View(core, Money()).held(), 300);
}

TEST_F(QuotaCoreTest, ACancelledSequenceThatArrivesLaterIsNotEvaluated) {
  EXPECT_EQ(proxy.Cancel(50).result(), A::GRANTED);
  v1::QuotaCommand command;
  *command.mutable_acquire() = Acq("a").Check(Count(), 1).acquire;
  command.set_sequence(50);
  const A answer = proxy.Send(command, kNoonUs);
  EXPECT_EQ(answer.result(), A::DENIED);
  EXPECT_THAT(answer.message(), HasSubstr("cancelled"));
  EXPECT_EQ(View(core, Count()).settled(), 0);
}

TEST_F(QuotaCoreTest, CancelTwiceUndoesOnce) {
  proxy.Acquire(Acq("keep").Check(Count(), 5));
  proxy.Acquire(Acq("a").Check(Count(), 5));
  const uint64_t target = proxy.last_sequence();
  proxy.Cancel(target);
  EXPECT_EQ(proxy.Cancel(target).result(), A::GRANTED);
  EXPECT_EQ(View(core, Count()).settled(), 1);
}

TEST_F(QuotaCoreTest, ASettleCannotBeCancelled) {
  proxy.Settle("a", 1);
  const A answer = proxy.Cancel(proxy.last_sequence());
  EXPECT_EQ(answer.result(), A::INVALID);
  EXPECT_THAT(answer.message(), HasSubstr("only an acquire or an extend"));
}

TEST_F(QuotaCoreTest, CancelOfLastWindowsChargeLeavesTodaysCounterAlone) {
  proxy.Acquire(Acq("a").Check(Count(), 5));
  const uint64_t target = proxy.last_sequence();
  proxy.Acquire(Acq("b").Check(Count(), 5), kNoonUs + kDayUs);
  proxy.Cancel(target, kNoonUs + kDayUs);
  EXPECT_EQ(View(core, Count(), kNoonUs + kDayUs).settled(), 1);
}

TEST_F(QuotaCoreTest, ForceChargeIsUnconditional) {
  EXPECT_EQ(proxy.ForceCharge(Count(), 3).result(), A::GRANTED);
  EXPECT_EQ(View(core, Count()).settled(), 3);
  EXPECT_EQ(proxy.Acquire(Acq("a").Check(Count(), 3)).result(), A::DENIED);
}

TEST_F(QuotaCoreTest, HoldsOfASilentProxyAreSuspendedAndChargedInFull) {
  proxy.Acquire(Acq("a").Check(Money(), 1'000).Check(Count(), 5).Cap(600, true));
  EXPECT_FALSE(core.TickIsDue(kNoonUs + kSuspendAfterUs - 1));
  EXPECT_TRUE(core.TickIsDue(kNoonUs + kSuspendAfterUs));
  core.Tick(kNoonUs + kSuspendAfterUs);
  EXPECT_EQ(View(core, Money()).held(), 0);
  EXPECT_EQ(View(core, Money()).suspense(), 600);
  const auto listed = core.Suspense(0, 10);
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].request_id(), "a");
  EXPECT_EQ(listed[0].amount(), 600);
  EXPECT_EQ(listed[0].proxy_id(), "p1");
  EXPECT_EQ(core.Suspense(listed[0].sequence(), 10).size(), 0u);
  EXPECT_EQ(proxy.Acquire(Acq("b").Check(Money(), 1'000).Cap(600, true), kNoonUs + kSuspendAfterUs).output_cap(), 256);
  EXPECT_TRUE(core.Check().ok());
}

TEST_F(QuotaCoreTest, HeartbeatsKeepHoldsAlive) {
  proxy.Acquire(Acq("a").Check(Money(), 1'000).Cap(600, true));
  proxy.Heartbeat(kNoonUs + kSuspendAfterUs - 1);
  EXPECT_FALSE(core.TickIsDue(kNoonUs + kSuspendAfterUs));
  core.Tick(kNoonUs + kSuspendAfterUs);
  EXPECT_EQ(View(core, Money()).held(), 600);
}

TEST_F(QuotaCoreTest, TheServicesOwnAbsenceIsNobodysSilence) {
  proxy.Acquire(Acq("a").Check(Money(), 1'000).Cap(600, true));
  core.Restarted(kNoonUs + 10 * kSuspendAfterUs);
  core.Tick(kNoonUs + 10 * kSuspendAfterUs);
  EXPECT_EQ(View(core, Money()).held(), 600);
}

TEST_F(QuotaCoreTest, TheRealCostReplacesASuspendedHold) {
  proxy.Acquire(Acq("a").Check(Money(), 1'000).Cap(600, true));
  core.Tick(kNoonUs + kSuspendAfterUs);
  Proxy(core, "p1", "next").Settle("a", 50, kNoonUs + kSuspendAfterUs + 1);
  EXPECT_EQ(View(core, Money()).suspense(), 0);
  EXPECT_EQ(View(core, Money()).settled(), 50);
  EXPECT_TRUE(core.Suspense(0, 10)[0].resolved());
  EXPECT_EQ(core.Suspense(0, 10)[0].settled(), 50);
  EXPECT_EQ(core.Suspense(0, 10)[0].amount(), 600) << "what was held stays told";
}

TEST_F(QuotaCoreTest, SuspenseEndsWithItsWindowAndALateSettleIsStillNoted) {
  proxy.Acquire(Acq("a").Check(Money(), 1'000).Cap(600, true));
  core.Tick(kNoonUs + kSuspendAfterUs);
  const int64_t tomorrow = kNoonUs + kDayUs;
  EXPECT_EQ(View(core, Money(), tomorrow).suspense(), 0);
  proxy.Settle("a", 50, tomorrow);
  EXPECT_EQ(View(core, Money(), tomorrow).settled(), 0);
  EXPECT_EQ(core.Suspense(0, 10)[0].settled(), 50);
}

TEST_F(QuotaCoreTest, ASuspendedHoldIsNotExtended) {
  proxy.Acquire(Acq("a").Check(Money(), 1'000).Cap(300, true));
  core.Tick(kNoonUs + kSuspendAfterUs);
  const A answer = proxy.Extend("a", 400, kNoonUs + kSuspendAfterUs);
  EXPECT_EQ(answer.result(), A::DENIED);
  EXPECT_THAT(answer.message(), HasSubstr("suspended"));
}

TEST_F(QuotaCoreTest, MemoryIsGivenBackOnceNothingDependsOnIt) {
  for (int i = 0; i < 300; ++i) {
    proxy.Acquire(Acq("r" + std::to_string(i)).Check(Count("u" + std::to_string(i)), 5));
    proxy.Settle("r" + std::to_string(i), 0);
  }
  EXPECT_EQ(core.counters(), 300u);
  Proxy silent(core, "p2");
  silent.Acquire(Acq("lost").Check(Money(), kDollar).Cap(300));
  proxy.Heartbeat(kNoonUs, proxy.last_sequence());
  core.Tick(kNoonUs + kSuspendAfterUs);
  EXPECT_EQ(core.Suspense(0, 10).size(), 1u);
  const int64_t later = kNoonUs + kSuspendAfterUs + kQuotaSuspenseRetentionUs + kQuotaBootRetentionUs;
  core.Tick(later);
  for (int i = 0; i < 20; ++i) core.Tick(later + kDayUs + i);
  EXPECT_EQ(core.Suspense(0, 10).size(), 0u);
  EXPECT_EQ(core.counters(), 0u);
  EXPECT_EQ(core.requests(), 0u);
  EXPECT_EQ(core.boots(), 0u);
  EXPECT_TRUE(core.Check().ok());
}

TEST_F(QuotaCoreTest, UnacknowledgedAnswersAreBounded) {
  v1::QuotaRequest message;
  message.set_proxy_id("p");
  message.set_boot_id("b");
  for (uint64_t i = 1; i <= kQuotaAnswersMaxPerBoot + 1; ++i) {
    v1::QuotaCommand& command = *message.add_commands();
    command.set_sequence(i);
    command.mutable_settle()->set_request_id("r");
  }
  v1::QuotaResponse answers;
  core.Apply(message, kNoonUs, answers);
  const A& last = answers.answers(answers.answers_size() - 1);
  EXPECT_EQ(last.result(), A::INVALID);
  EXPECT_THAT(last.message(), HasSubstr("not acknowledged"));
}

TEST_F(QuotaCoreTest, MalformedCommandsAreInvalidAndSayWhy) {
  const auto expect = [this](const Acq& acq, const std::string& why) {
    const A answer = proxy.Acquire(acq);
    EXPECT_EQ(answer.result(), A::INVALID) << why;
    EXPECT_THAT(answer.message(), HasSubstr(why));
  };
  expect(Acq("a").Check(Count(), 0), "check 0: the limit 0 is not positive");
  expect(Acq("a").Check(Money(), -1), "the limit -1 is not positive");
  expect(Acq("a").Check(Money(), kLimitNanosMax + 1), "above");
  expect(Acq("a").Check(Key(v1::REQUESTS, "u", 0), 1), "window of 0 s");
  expect(Acq("a").Check(Key(v1::REQUESTS, "u", std::numeric_limits<int64_t>::max()), 1), "window of");
  expect(Acq("a").Check(Key(v1::REQUESTS, ""), 1), "identifier is empty");
  expect(Acq("a").Check(Key(v1::REQUESTS, "u", 60, ""), 1), "no pool");
  expect(Acq("a").Check(Key(v1::UNIT_UNSPECIFIED, "u"), 1), "unit 0");
  expect(Acq("").Check(Count(), 1), "request id is empty");
  expect(Acq(std::string(300, 'x')).Check(Count(), 1), "longer than 256 bytes");
  expect(Acq("a").Check(Money(), 1, v1::STRICT, {7}), "bound 7 does not exist");
  expect(Acq("a").Check(Money(), 1, v1::ADMISSION_UNSPECIFIED), "admission 0");
  expect(Acq("a").Check(Money(), 1).Cap(0), "no output tokens");
  expect(Acq("a").With(Bound(-1, 1, 1)).Check(Money(), 1), "bound 0 has a negative number");
  EXPECT_EQ(proxy.Settle("a", -1).result(), A::INVALID);
  EXPECT_EQ(proxy.Extend("a", -1).result(), A::INVALID);
  EXPECT_EQ(proxy.ForceCharge(Count(), -1).result(), A::INVALID);
  EXPECT_EQ(proxy.ForceCharge(Key(v1::REQUESTS, "u", -5), 1).result(), A::INVALID);
  EXPECT_EQ(proxy.Cancel(0).result(), A::INVALID);
  EXPECT_EQ(proxy.Send(v1::QuotaCommand(), kNoonUs).result(), A::INVALID);
  EXPECT_EQ(core.counters(), 0u);
}

TEST_F(QuotaCoreTest, HugeNumbersSaturateAndDeny) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  const auto huge = Acq("a").With(Bound(kMax, kMax, kMax, kMax)).Cap(kMax);
  EXPECT_EQ(proxy.Acquire(Acq(huge).Check(Money(), kLimitNanosMax)).result(), A::DENIED);
  for (int i = 0; i < 20; ++i) {
    Acq observed = Acq(huge).Check(Money(), kLimitNanosMax, v1::OBSERVED);
    observed.acquire.set_request_id("o" + std::to_string(i));
    EXPECT_EQ(proxy.Acquire(observed).result(), A::GRANTED);
  }
  for (int i = 0; i < 20; ++i) proxy.Settle("o" + std::to_string(i), 1);
  EXPECT_EQ(View(core, Money()).held(), 0);
  EXPECT_EQ(View(core, Money()).settled(), 20);
  proxy.ForceCharge(Money(), kMax);
  proxy.ForceCharge(Money(), kMax);
  EXPECT_EQ(View(core, Money()).settled(), kMax);
}

TEST_F(QuotaCoreTest, ARequestBelongsToOneProxy) {
  proxy.Acquire(Acq("a").Check(Count(), 5));
  const A answer = Proxy(core, "p2").Acquire(Acq("a").Check(Count(), 5));
  EXPECT_EQ(answer.result(), A::INVALID);
  EXPECT_THAT(answer.message(), HasSubstr("another proxy"));
}

TEST_F(QuotaCoreTest, SavedAndLoadedStateIsTheSame) {
  proxy.Acquire(Acq("a").Check(Count(), 5).Check(Money(), 5'000).Cap(600, true));
  proxy.Extend("a", 900);
  proxy.Cancel(77);
  Proxy silent(core, "p2");
  silent.Acquire(Acq("lost").Check(Money(), 5'000).Cap(300));
  proxy.Heartbeat(kNoonUs + kSuspendAfterUs);
  core.Tick(kNoonUs + kSuspendAfterUs);
  QuotaCore loaded;
  for (const v1::QuotaStatePart& part : core.Save(1)) ASSERT_TRUE(loaded.Load(part).ok());
  loaded.LoadDone();
  EXPECT_EQ(loaded.Dump(), core.Dump());
  EXPECT_TRUE(loaded.Check().ok());
  v1::QuotaCommand cancel;
  cancel.set_sequence(100);
  cancel.mutable_cancel()->set_sequence(2);  // the extend
  Proxy(loaded, "p1").Send(cancel, kNoonUs + kSuspendAfterUs);
  EXPECT_EQ(View(loaded, Money()).held(), 600);
}

TEST_F(QuotaCoreTest, AStateThatContradictsItselfIsDataLoss) {
  v1::QuotaStatePart part;
  part.add_requests()->set_request_id("a");
  EXPECT_EQ(core.Load(part).code(), absl::StatusCode::kDataLoss);
}

TEST_F(QuotaCoreTest, AStateWithAnAnswerTwiceIsDataLoss) {
  v1::QuotaAnswer answer;
  answer.set_sequence(7);
  v1::QuotaStatePart part;
  v1::BootState& boot = *part.add_boots();
  boot.add_answers()->set_answer(answer.SerializeAsString());
  boot.add_answers()->set_answer(answer.SerializeAsString());
  const absl::Status status = core.Load(part);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("an answer twice"));
}

TEST_F(QuotaCoreTest, AStateWhoseAnswerOrSuspendedHoldCannotBeReadIsDataLoss) {
  v1::QuotaStatePart answers;
  answers.add_boots()->add_answers()->set_answer("\xff");
  EXPECT_THAT(std::string(core.Load(answers).message()), HasSubstr("an answer that cannot be read"));
  v1::QuotaStatePart holds;
  holds.add_suspense("\xff");
  const absl::Status status = core.Load(holds);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("a suspended hold that cannot be read"));
}

TEST_F(QuotaCoreTest, TheSinkGetsThePartsThatSaveReturns) {
  for (int i = 0; i < 20; ++i) proxy.Acquire(Acq("r" + std::to_string(i)).Check(Money(), 500'000).Cap(300));
  const std::vector<v1::QuotaStatePart> parts = core.Save(7);
  ASSERT_GT(parts.size(), 2u);
  size_t n = 0;
  core.Save(7, [&](const v1::QuotaStatePart& part) {
    ASSERT_LT(n, parts.size());
    EXPECT_EQ(part.SerializeAsString(), parts[n++].SerializeAsString());
  });
  EXPECT_EQ(n, parts.size());
}

}  // namespace
}  // namespace signalbox::testing
