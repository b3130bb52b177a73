// A short simulation in every test run; the long one is tests/simulation/run. QUOTA_SIMULATION_SEED=<seed> replays one
// seed of that.
#include "tests/simulation/quota_simulation.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace signalbox::simulation {
namespace {

// Small worlds, several steps past the check of everything.
constexpr int kSteps = 1'050;
constexpr uint64_t kSeeds[] = {3, 9, 16, 26, 37, 46, 86, 91, 96, 118, 119, 126, 137, 148};

TEST(QuotaSimulation, InvariantsHoldAfterEveryStepAndEverythingIsMet) {
  if (const char* seed = std::getenv("QUOTA_SIMULATION_SEED"); seed != nullptr) {
    const Outcome outcome = Simulate(std::strtoull(seed, nullptr, 10));
    ASSERT_EQ(outcome.violation, "") << "step " << outcome.steps;
    return;
  }
  Coverage met{};
  for (const uint64_t seed : kSeeds) {
    const Outcome outcome = Simulate(seed, kSteps);
    ASSERT_EQ(outcome.violation, "") << "seed " << seed << " step " << outcome.steps;
    for (size_t i = 0; i < met.size(); ++i) met[i] += outcome.coverage[i];
  }
  for (int i = 0; i < kEvents; ++i) {
    EXPECT_GT(met[static_cast<size_t>(i)], 0) << "no run meets: " << NameOf(static_cast<Event>(i));
  }
}

TEST(QuotaSimulation, TheSameSeedIsTheSameRun) {
  const Outcome once = Simulate(9, 200);
  const Outcome again = Simulate(9, 200);
  EXPECT_EQ(once.requests, again.requests);
  EXPECT_EQ(once.commands, again.commands);
  EXPECT_EQ(once.coverage, again.coverage);
  EXPECT_NE(once.coverage, Simulate(10, 200).coverage);
}

}  // namespace
}  // namespace signalbox::simulation
