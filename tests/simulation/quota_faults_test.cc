// The simulation against cores that are broken on purpose, each in one line: it must see every one of them.
#include "tests/simulation/quota_faults.h"

#include <gtest/gtest.h>

#include "tests/simulation/quota_simulation.h"

namespace signalbox::simulation {
namespace {

constexpr int kSteps = 300;
// Small worlds that between them meet every fault; the seeds after them are tried when a change moved it elsewhere.
constexpr uint64_t kSeeds[] = {9, 46, 37, 3, 26, 16, 91, 96};
constexpr uint64_t kMoreSeeds = 150;

Outcome Catch(QuotaFault fault) {
  broken_quota = fault;
  Outcome outcome;
  for (const uint64_t seed : kSeeds) {
    if (outcome.violation.empty()) outcome = Simulate(seed, kSteps);
  }
  for (uint64_t seed = 1; seed <= kMoreSeeds && outcome.violation.empty(); ++seed) outcome = Simulate(seed, kSteps);
  broken_quota = QuotaFault::kNone;
  return outcome;
}

class QuotaFaults : public ::testing::TestWithParam<QuotaFaultName> {};

TEST_P(QuotaFaults, IsSeenByTheSimulation) {
  const Outcome outcome = Catch(GetParam().fault);
  EXPECT_NE(outcome.violation, "") << GetParam().name;
}

INSTANTIATE_TEST_SUITE_P(Each, QuotaFaults, ::testing::ValuesIn(kQuotaFaults),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(QuotaSimulation, WithNoFaultTheSameWorldsAreSound) {
  for (const uint64_t seed : kSeeds) EXPECT_EQ(Simulate(seed, kSteps).violation, "") << "seed " << seed;
}

}  // namespace
}  // namespace signalbox::simulation
