// A short simulation in every test run; the long one is tests/simulation/run. QUOTA_SIMULATION_SEED=<seed> replays one.
#include "tests/simulation/quota_simulation.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace signalbox::simulation {
namespace {

TEST(QuotaSimulation, InvariantsHoldAfterEveryStep) {
  uint64_t first = 1, last = 8;
  if (const char* seed = std::getenv("QUOTA_SIMULATION_SEED"); seed != nullptr) {
    first = last = std::strtoull(seed, nullptr, 10);
  }
  for (uint64_t seed = first; seed <= last; ++seed) {
    const Outcome outcome = Simulate(seed, 1'000);
    ASSERT_EQ(outcome.violation, "") << "seed " << seed << " step " << outcome.steps;
  }
}

}  // namespace
}  // namespace signalbox::simulation
