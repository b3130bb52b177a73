#include "controlplane/quota/amount_math.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "common/money.h"

namespace signalbox {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

TEST(AmountMath, SaturatesInsteadOfOverflowing) {
  EXPECT_EQ(Saturate(Int128{kMax} + 1), kMax);
  EXPECT_EQ(Saturate(-5), 0);
  EXPECT_EQ(AddSaturating(kMax, 1), kMax);
  EXPECT_EQ(AddSaturating(-kMax, -5), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(LargestBound({{BoundLine{kMax, kMax, 0, kMax}}}, kMax), kMax);
}

TEST(AmountMath, WhatStillWeighsIsRoundedUp) {
  EXPECT_EQ(static_cast<int64_t>(ScaleUp(10, 1, 3)), 4);
  EXPECT_EQ(static_cast<int64_t>(ScaleUp(10, 0, 3)), 0);
  EXPECT_EQ(static_cast<int64_t>(ScaleUp(10, 3, 3)), 10);
  EXPECT_EQ(static_cast<int64_t>(ScaleUp(kMax, kMax, kMax)), kMax);
}

TEST(AmountMath, AModelsOwnMaximumClipsTheCapAndIsNotWhatLowersIt) {
  const BoundLine small{0, 1'000'000, 100, 1};
  EXPECT_EQ(LargestBound({{small}}, 5'000), 100);
  EXPECT_EQ(LargestCap({{small}}, 100, 5'000), 5'000);
  EXPECT_EQ(LargestCap({{small}}, 99, 5'000), 99);
  EXPECT_EQ(LargestCap({{BoundLine{50, 1, 0, 1}}}, 49, 5'000), -1) << "the input alone is too much";
}

// The cap is the largest that fits: the next one does not.
TEST(AmountMath, TheLargestCapFitsAndTheNextDoesNot) {
  std::mt19937_64 random(11);
  for (int i = 0; i < 20'000; ++i) {
    std::vector<BoundLine> bounds;
    for (uint64_t n = random() % 4; n-- > 0;) {
      bounds.push_back({static_cast<int64_t>(random() % 10'000), static_cast<int64_t>(random() % 90'000'000'000),
                        static_cast<int64_t>(random() % 3 == 0 ? 0 : random() % 100'000),
                        static_cast<int64_t>(random() % 5)});
    }
    const int64_t asked = 1 + static_cast<int64_t>(random() % 200'000);
    const int64_t amount = static_cast<int64_t>(random() % (1ULL << (random() % 50)));
    const int64_t cap = LargestCap(bounds, amount, asked);
    ASSERT_LE(cap, asked);
    if (cap >= 0) {
      ASSERT_LE(LargestBound(bounds, cap), amount);
    }
    if (cap < asked) {
      ASSERT_GT(LargestBound(bounds, cap + 1), amount);
    }
  }
}

}  // namespace
}  // namespace signalbox
