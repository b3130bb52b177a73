// Seeded damage to good routes: the parser survives every byte, and what it accepts compiles into what a walker
// accepts.
#include <cstdint>
#include <random>

#include "common/route/walker.h"
#include "controlplane/compiler/compiler.h"
#include "tests/common/route/route_fixture.h"

namespace signalbox {
namespace {

constexpr uint64_t kSeed = 20261122;
constexpr int kRoundsPerFile = 1'500;

std::optional<v1::ModelPrice> AnyPrice(const std::string&, const std::string&) { return v1::ModelPrice(); }

std::string Mutate(std::string json, std::mt19937_64& random) {
  static const std::vector<std::string> kPieces = {"\"",      "{",         "}",
                                                   "[",       "]",         ",",
                                                   ":",       "null",      "-",
                                                   "1e308",   "0.1",       "\\u0000",
                                                   "\xff",    "$not",      "\"id\":\"x\",",
                                                   "$and",    "metadata.", "%",
                                                   "50%",     "true",      "\n",
                                                   "end",     "start",     "day",
                                                   "sliding", "tokens",    "metadata.a\",\""};
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  for (size_t edits = 1 + below(3); edits > 0 && !json.empty(); --edits) {
    const size_t at = below(json.size());
    switch (below(6)) {
      case 0:
        json[at] = static_cast<char>(random());
        break;
      case 1:
        json.erase(at, 1 + below(8));
        break;
      case 2:
        json.insert(at, kPieces[below(kPieces.size())]);
        break;
      case 3:
        json[at] = static_cast<char>(json[at] ^ (1 << below(8)));
        break;
      case 4:  // swap digits for others: numbers stay numbers
        for (size_t i = at; i < json.size() && i < at + 200; ++i) {
          if (json[i] >= '0' && json[i] <= '9') json[i] = static_cast<char>('0' + below(10));
        }
        break;
      default:
        json.insert(at, json.substr(below(json.size()), below(120)));
    }
  }
  return json;
}

TEST(RouteMutations, NeverCrashAndWhatIsAcceptedCompiles) {
  std::mt19937_64 random(kSeed);
  int accepted = 0, refused = 0;
  for (const char* file : {"valid/by-content.json", "valid/canary-split.json", "valid/fallback-chain.json",
                           "valid/my-trillion-dollar-saas.json", "valid/over-budget-downgrade.json",
                           "valid/team-month-and-user-tokens.json", "valid/observed-tokens-allowed-on-error.json"}) {
    const std::string original = RouteFile(file);
    for (int round = 0; round < kRoundsPerFile; ++round) {
      const std::string json = Mutate(original, random);
      const CheckedRoute checked = CheckRoute(json, TestContext());
      for (const v1::Fault& fault : checked.faults) {
        ASSERT_FALSE(fault.code().empty() || fault.path().empty() || fault.message().empty()) << json;
      }
      if (!checked.compiles) {
        ASSERT_FALSE(checked.faults.empty()) << json;
        ++refused;
        continue;
      }
      ++accepted;
      const auto route = CompileRoute({"default", "r1", "name", 1}, checked.spec, AnyPrice);
      ASSERT_TRUE(route.ok()) << route.status() << "\n" << json;
      ASSERT_TRUE(CheckCompiledRoute(*route).ok()) << json;
      v1::SampleRequest sample;
      sample.set_metadata_json(R"({"plan":"free","email":"a@b.c","user_id":"u","user":"ann","team":5})");
      ASSERT_TRUE(SimulateRoute(*route, sample, {}).ok()) << json;
    }
  }
  EXPECT_GT(accepted, 100) << "of " << refused + accepted << ": the mutations hit only syntax";
  EXPECT_GT(refused, 1'000);
}

// The same for blobs, which come from a peer or a disk.
TEST(RouteMutations, DamagedBlobsAreRefusedOrWalkable) {
  std::mt19937_64 random(kSeed);
  const auto compiled = CompileRoute({"default", "r1", "name", 1},
                                     ParseRoute(RouteFile("valid/my-trillion-dollar-saas.json")).spec, AnyPrice);
  ASSERT_TRUE(compiled.ok());
  const std::string bytes = SerializeDeterministic(*compiled);
  int walked = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = bytes;
    for (size_t edits = 1 + random() % 3; edits > 0; --edits)
      damaged[random() % damaged.size()] = static_cast<char>(random());
    v1::CompiledRoute route;
    if (!route.ParseFromString(damaged) || !CheckCompiledRoute(route).ok()) continue;
    FakeRequest request;
    request.Text("metadata.plan", "free").Text("metadata.email", "a@b.c");
    Walker walker(route, request, static_cast<uint32_t>(random()));
    Step step = walker.Next();
    int steps = 0;
    while (!std::holds_alternative<Finish>(step)) {
      ASSERT_LT(++steps, 100);
      if (const auto* ask = std::get_if<CheckLimits>(&step)) {
        step = walker.OnLimits(random() % (ask->elements.size() + 1));
      } else {
        step = walker.OnModel(random() % 2 == 0);
      }
    }
    ++walked;
  }
  EXPECT_GT(walked, 100);
}

}  // namespace
}  // namespace signalbox
