#include "controlplane/ledger/latency_buckets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace signalbox {
namespace {

TEST(LatencyBucket, IsHalfAnOctaveWide) {
  EXPECT_EQ(LatencyBucket(-1), 0);
  EXPECT_EQ(LatencyBucket(0), 0);
  EXPECT_EQ(LatencyBucket(999), 0);
  EXPECT_EQ(LatencyBucket(1'000), 1);
  EXPECT_EQ(LatencyBucket(1'414), 1);
  EXPECT_EQ(LatencyBucket(1'415), 2);
  EXPECT_EQ(LatencyBucket(2'000), 3);
  EXPECT_EQ(LatencyBucket(1'000'000), 20);
  EXPECT_EQ(LatencyBucket(int64_t{1} << 50), kLatencyBuckets - 1);
}

TEST(LatencyQuantile, OfNothingIsZero) {
  EXPECT_EQ(LatencyQuantile(std::vector<int64_t>(kLatencyBuckets), 0.5), 0);
  EXPECT_EQ(LatencyQuantile({}, 0.5), 0);
}

TEST(LatencyQuantile, OfOneBucketStaysWithinIt) {
  std::vector<int64_t> counts(kLatencyBuckets);
  counts[3] = 7;  // 2.000 to 2.828 ms
  EXPECT_EQ(LatencyQuantile(counts, 0), 2'000);
  EXPECT_NEAR(LatencyQuantile(counts, 0.5), 2'378, 1);
  EXPECT_NEAR(LatencyQuantile(counts, 1), 2'828, 1);
}

TEST(LatencyQuantile, IsNearTheTruthForAnyDistribution) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    std::lognormal_distribution<double> latency(std::log(1e5) + round % 5, 0.1 + round % 4);
    std::vector<int64_t> sample, counts(kLatencyBuckets);
    for (int i = 0; i < 1'000; ++i) {
      sample.push_back(std::clamp<int64_t>(static_cast<int64_t>(latency(random)), 1'000, 1'900'000'000));
      ++counts[static_cast<size_t>(LatencyBucket(sample.back()))];
    }
    std::sort(sample.begin(), sample.end());
    for (const double quantile : {0.5, 0.95, 0.99}) {
      const auto truth = static_cast<double>(sample[static_cast<size_t>(quantile * 1'000) - 1]);
      const auto estimate = static_cast<double>(LatencyQuantile(counts, quantile));
      EXPECT_GT(estimate, truth / 1.42) << "round " << round << " quantile " << quantile;
      EXPECT_LT(estimate, truth * 1.42) << "round " << round << " quantile " << quantile;
    }
  }
}

}  // namespace
}  // namespace signalbox
