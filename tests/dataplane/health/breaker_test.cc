#include "dataplane/health/breaker.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/dataplane/health/seconds.h"

namespace signalbox {
namespace {

using State = Breaker::State;
constexpr int kInARow = 10;

// Fails `count` calls at `now_us`; whether the last one opened the breaker.
bool Fail(Breaker& breaker, int count, int64_t now_us, uint64_t random = 0) {
  bool opened = false;
  for (int i = 0; i < count; ++i) opened = breaker.Failed(breaker.Admit(now_us), now_us, random);
  return opened;
}

void Succeed(Breaker& breaker, int count, int64_t now_us) {
  for (int i = 0; i < count; ++i) breaker.Succeeded(breaker.Admit(now_us), now_us);
}

TEST(Breaker, FailuresInARowOpenIt) {
  Breaker breaker(kInARow);
  EXPECT_FALSE(Fail(breaker, kInARow - 1, 0));
  EXPECT_EQ(breaker.state(0), State::kClosed);
  EXPECT_TRUE(Fail(breaker, 1, 0));
  EXPECT_EQ(breaker.state(0), State::kOpen);
  EXPECT_FALSE(breaker.Admits(0));
}

TEST(Breaker, ASuccessBetweenStartsTheRowAnew) {
  Breaker breaker(kInARow);
  Fail(breaker, kInARow - 1, 0);
  Succeed(breaker, 1, 0);
  EXPECT_FALSE(Fail(breaker, kInARow - 1, 0));
}

TEST(Breaker, AShareOfFailuresOpensItOnceThereAreCallsEnough) {
  Breaker breaker(1'000);
  int calls = 0;
  bool opened = false;
  while (!opened) {
    if (calls % 3 == 0) {
      Succeed(breaker, 1, 0);
    } else {
      opened = Fail(breaker, 1, 0);
    }
    ++calls;
    ASSERT_LT(calls, 1'000);
  }
  EXPECT_EQ(calls, kHealthWindowCallsMin);
}

TEST(Breaker, AThirdOfFailuresForEverDoesNot) {
  Breaker breaker(kInARow);
  for (int64_t i = 0; i < 3'000; ++i) {
    const int64_t now_us = i * 20'000;
    if (i % 3 == 0) {
      ASSERT_FALSE(Fail(breaker, 1, now_us));
    } else {
      Succeed(breaker, 1, now_us);
    }
  }
  EXPECT_EQ(breaker.state(60 * kSecondUs), State::kClosed);
}

TEST(Breaker, FailuresLeaveTheWindowWithTime) {
  Breaker breaker(1'000);
  Fail(breaker, kHealthWindowCallsMin - 1, 0);
  const int64_t later_us = kHealthWindowUs + kSecondUs;
  EXPECT_FALSE(Fail(breaker, kHealthWindowCallsMin - 1, later_us));
  EXPECT_TRUE(Fail(breaker, 1, later_us));
}

TEST(Breaker, StaysOpenHalfItsTimeAtLeastAndAllOfItAtMost) {
  for (const uint64_t random : {uint64_t{0}, uint64_t{1} << 40, ~uint64_t{0}}) {
    Breaker breaker(kInARow);
    Fail(breaker, kInARow, 0, random);
    EXPECT_GE(breaker.retry_us(0), kBreakerOpenUsMin / 2);
    EXPECT_LE(breaker.retry_us(0), kBreakerOpenUsMin);
    EXPECT_EQ(breaker.state(breaker.retry_us(0) - 1), State::kOpen);
    EXPECT_EQ(breaker.state(breaker.retry_us(0)), State::kHalfOpen);
  }
}

TEST(Breaker, HalfOpenLetsOneProbePassAtATime) {
  Breaker breaker(kInARow);
  Fail(breaker, kInARow, 0);
  const int64_t now_us = breaker.retry_us(0);
  ASSERT_TRUE(breaker.Admits(now_us));
  const Breaker::Ticket probe = breaker.Admit(now_us);
  EXPECT_FALSE(breaker.Admits(now_us));
  breaker.Abandon(probe);
  EXPECT_TRUE(breaker.Admits(now_us));
  EXPECT_EQ(breaker.state(now_us), State::kHalfOpen);
}

TEST(Breaker, AProbeThatSucceedsClosesIt) {
  Breaker breaker(kInARow);
  Fail(breaker, kInARow, 0);
  const int64_t now_us = breaker.retry_us(0);
  breaker.Succeeded(breaker.Admit(now_us), now_us);
  EXPECT_EQ(breaker.state(now_us), State::kClosed);
  EXPECT_FALSE(Fail(breaker, kInARow - 1, now_us)) << "what was before is forgotten";
}

TEST(Breaker, AProbeWhoseAnswerBeganClosesItAndMayStillFail) {
  Breaker breaker(kInARow);
  Fail(breaker, kInARow, 0);
  const int64_t now_us = breaker.retry_us(0);
  const Breaker::Ticket probe = breaker.Admit(now_us);
  breaker.Answering(probe, now_us);
  EXPECT_EQ(breaker.state(now_us), State::kClosed);
  EXPECT_FALSE(breaker.Failed(probe, now_us, 0));
  EXPECT_TRUE(Fail(breaker, kInARow - 1, now_us)) << "the broken answer counts as the first of the row";
}

TEST(Breaker, AProbeThatFailsOpensItForLonger) {
  Breaker breaker(kInARow);
  Fail(breaker, kInARow, 0);
  int64_t now_us = breaker.retry_us(0);
  int64_t before_us = now_us;
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(breaker.Failed(breaker.Admit(now_us), now_us, 0));
    const int64_t open_us = breaker.retry_us(now_us) - now_us;
    EXPECT_EQ(open_us, std::min(before_us * 2, kBreakerOpenUsMax / 2)) << i;
    before_us = open_us;
    now_us = breaker.retry_us(now_us);
  }
}

TEST(Breaker, AfterACalmTimeItOpensForAShortTimeAgain) {
  Breaker breaker(kInARow);
  Fail(breaker, kInARow, 0);
  int64_t now_us = breaker.retry_us(0);
  breaker.Failed(breaker.Admit(now_us), now_us, 0);
  now_us = breaker.retry_us(now_us);
  breaker.Succeeded(breaker.Admit(now_us), now_us);

  Breaker soon = breaker;
  Fail(soon, kInARow, now_us + kBreakerCalmUs);
  EXPECT_EQ(soon.retry_us(0), now_us + kBreakerCalmUs + 4 * kBreakerOpenUsMin / 2);

  Fail(breaker, kInARow, now_us + kBreakerCalmUs + 1);
  EXPECT_EQ(breaker.retry_us(0), now_us + kBreakerCalmUs + 1 + kBreakerOpenUsMin / 2);
}

TEST(Breaker, ResultsOfCallsFromBeforeItOpenedChangeNothing) {
  Breaker breaker(kInARow);
  const Breaker::Ticket early = breaker.Admit(0);
  const Breaker::Ticket other = breaker.Admit(0);
  Fail(breaker, kInARow, 0);
  const int64_t retry_us = breaker.retry_us(0);
  breaker.Succeeded(early, 0);
  EXPECT_EQ(breaker.state(0), State::kOpen);
  EXPECT_FALSE(breaker.Failed(other, 0, ~uint64_t{0}));
  EXPECT_EQ(breaker.retry_us(0), retry_us);

  Breaker closed_again = breaker;
  closed_again.Succeeded(closed_again.Admit(retry_us), retry_us);
  for (int i = 0; i < kInARow; ++i) EXPECT_FALSE(closed_again.Failed(other, retry_us, 0));
  EXPECT_EQ(closed_again.state(retry_us), State::kClosed);
}

TEST(Breaker, AProbeThatIsNeverHeardOfMakesRoomForAnother) {
  Breaker breaker(kInARow);
  Fail(breaker, kInARow, 0);
  const int64_t now_us = breaker.retry_us(0);
  const Breaker::Ticket lost = breaker.Admit(now_us);
  EXPECT_FALSE(breaker.Admits(now_us + kBreakerProbeUs - 1));
  EXPECT_TRUE(breaker.Admits(now_us + kBreakerProbeUs));
  breaker.Admit(now_us + kBreakerProbeUs);
  breaker.Abandon(lost);
  EXPECT_FALSE(breaker.Admits(now_us + kBreakerProbeUs)) << "the slot is the second probe's";
}

TEST(Breaker, ARestKeepsCallsAwayAndNeedsNoProbeAfterIt) {
  Breaker breaker(kInARow);
  breaker.Rest(0, 5 * kSecondUs);
  breaker.Rest(0, kSecondUs);
  EXPECT_EQ(breaker.state(0), State::kOpen);
  EXPECT_FALSE(breaker.opened());
  EXPECT_EQ(breaker.retry_us(0), 5 * kSecondUs);
  EXPECT_EQ(breaker.state(5 * kSecondUs), State::kClosed);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(breaker.Admit(5 * kSecondUs).probe, 0u);
  EXPECT_TRUE(breaker.Admits(5 * kSecondUs));
}

TEST(Breaker, ARestOutlastsAShorterOpening) {
  Breaker breaker(kInARow);
  Fail(breaker, kInARow, 0);
  breaker.Rest(0, kBreakerOpenUsMin * 10);
  EXPECT_EQ(breaker.retry_us(0), kBreakerOpenUsMin * 10);
  EXPECT_EQ(breaker.state(kBreakerOpenUsMin * 10 - 1), State::kOpen);
  EXPECT_EQ(breaker.state(kBreakerOpenUsMin * 10), State::kHalfOpen);
}

TEST(Breaker, ACallThatWasMadeAllTheSameNeitherClosesNorReopensIt) {
  Breaker breaker(kInARow);
  Fail(breaker, kInARow, 0);
  const int64_t retry_us = breaker.retry_us(0);
  ASSERT_FALSE(breaker.Admits(0));
  breaker.Succeeded(breaker.Admit(0), 0);
  EXPECT_EQ(breaker.state(0), State::kOpen);
  EXPECT_FALSE(breaker.Failed(breaker.Admit(0), 0, ~uint64_t{0}));
  EXPECT_EQ(breaker.retry_us(0), retry_us);
}

}  // namespace
}  // namespace signalbox
