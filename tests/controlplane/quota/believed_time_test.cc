#include "controlplane/quota/believed_time.h"

#include <gtest/gtest.h>

#include "common/limits.h"

namespace signalbox {
namespace {

constexpr int64_t kT = 1'750'000'000'000'000;
constexpr int64_t kHour = 3'600'000'000;

TEST(BelievedTime, FollowsTheWallClock) {
  BelievedTime time(0);
  EXPECT_EQ(time.Read(kT, 5).now_us, kT);
  EXPECT_EQ(time.Read(kT + 10, 15).now_us, kT + 10);
}

TEST(BelievedTime, StandsStillWhileTheWallClockIsBehind) {
  BelievedTime time(0);
  time.Read(kT, 0);
  EXPECT_EQ(time.Read(kT - 5'000'000, 10).now_us, kT);
  EXPECT_FALSE(time.Read(kT - 4'000'000, 20).jumped);
  EXPECT_EQ(time.Read(kT + 1, 5'000'000).now_us, kT + 1);
}

TEST(BelievedTime, DoesNotBelieveAStepForwardAndReportsItOnce) {
  BelievedTime time(0);
  time.Read(kT, 0);
  const auto reading = time.Read(kT + 10 * kHour, 100);
  EXPECT_TRUE(reading.jumped);
  EXPECT_EQ(reading.step_us, 10 * kHour - 100);
  EXPECT_EQ(reading.now_us, kT + 100);
  EXPECT_FALSE(time.Read(kT + 10 * kHour + 100, 200).jumped);
  EXPECT_EQ(time.now_us(), kT + 200);
  EXPECT_EQ(time.Read(kT + 300, 300).now_us, kT + 300);
  EXPECT_TRUE(time.believes_wall());
  EXPECT_TRUE(time.Read(kT + 10 * kHour, 400).jumped);
}

TEST(BelievedTime, BelievesAStepOfUpToAnHour) {
  BelievedTime time(0);
  time.Read(kT, 0);
  EXPECT_EQ(time.Read(kT + kBelievedClockJumpUs, 0).now_us, kT + kBelievedClockJumpUs);
}

TEST(BelievedTime, GoesOnByTheMonotonicClockWhenTheWallClockFallsFarBack) {
  BelievedTime time(0);
  time.Read(kT, 0);
  EXPECT_TRUE(time.Read(kT - 10 * kHour, 100).jumped);
  EXPECT_EQ(time.Read(kT - 10 * kHour, 700).now_us, kT + 700);
}

TEST(BelievedTime, NeverRunsBackwardsAcrossARestart) {
  BelievedTime time(kT);
  EXPECT_EQ(time.Read(kT - 1'000, 0).now_us, kT);
  BelievedTime far(kT);
  EXPECT_TRUE(far.Read(kT - 2 * kHour, 0).jumped);
  EXPECT_EQ(far.Read(kT - 2 * kHour + 50, 50).now_us, kT + 50);
}

TEST(BelievedTime, BelievesTheWallClockAfterBeingAway) {
  BelievedTime time(kT);
  const auto reading = time.Read(kT + 48 * kHour, 0);
  EXPECT_FALSE(reading.jumped);
  EXPECT_EQ(reading.now_us, kT + 48 * kHour);
}

}  // namespace
}  // namespace signalbox
