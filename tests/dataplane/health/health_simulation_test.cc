// Seeded worlds of providers that get sick and well again, and of requests that walk over them as the request path
// does: what health promises must hold in each. A failure names its seed.
#include <algorithm>
#include <map>
#include <queue>
#include <random>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "dataplane/health/provider_health.h"
#include "dataplane/health/retry_policy.h"
#include "gtest/gtest.h"
#include "tests/dataplane/health/seconds.h"

namespace signalbox {
namespace {

using ProviderPtr = std::shared_ptr<const v1::SnapshotProvider>;

ProviderPtr Provider(const std::string& name, int endpoints) {
  auto provider = std::make_shared<v1::SnapshotProvider>();
  provider->set_gateway("default");
  provider->set_name(name);
  provider->set_base_url("http://127.0.0.1:1/v1");
  for (int i = 0; i < endpoints; ++i) {
    v1::SnapshotProvider::Endpoint& endpoint = *provider->add_endpoints();
    endpoint.set_name(absl::StrCat("e", i));
    endpoint.set_base_url(absl::StrCat("http://127.0.0.1:", i + 1, "/v1"));
    endpoint.set_weight(1);
  }
  return provider;
}

// Requests over a chain of providers, one model each, with `retries` at each; calls take time, many are out at once.
class World {
 public:
  World(uint64_t seed, std::vector<ProviderPtr> chain, int retries) : random_(seed), chain_(std::move(chain)) {
    health_.Configure(chain_);
    model_.set_retries(retries);
    policy_ = MakeRetryPolicy(model_, {});
  }

  double& fail_share(const std::string& provider, const std::string& endpoint = "") {
    return fail_share_[provider + "/" + endpoint];
  }
  ProviderHealth& health() { return health_; }
  int64_t now_us() const { return now_us_; }

  // `count` requests, one each `every_us`; until all ended.
  void Run(int count, int64_t every_us) {
    const int64_t begin_us = now_us_;
    for (int i = 0; i < count; ++i) At(begin_us + i * every_us, [this] { Begin(); });
    while (!events_.empty()) {
      Event event = events_.top();
      events_.pop();
      now_us_ = event.at_us;
      event.run();
    }
    now_us_ = std::max(now_us_, begin_us + count * every_us);
  }

  int requests = 0, succeeded = 0, attempts = 0;
  int most_attempts = 0;                   // of one request
  std::map<std::string, int> attempts_of;  // by provider/endpoint
  std::map<std::string, int> failures_of;

 private:
  struct Event {
    int64_t at_us;
    uint64_t order;
    std::function<void()> run;
    bool operator<(const Event& other) const { return std::tie(other.at_us, other.order) < std::tie(at_us, order); }
  };
  struct Request {
    explicit Request(int64_t deadline_us) : allowance(deadline_us) {}
    RequestAllowance allowance;
    size_t hop = 0;
    int attempts_of_model = 0;
    int attempts = 0;
    std::vector<std::string> tried;
  };

  void At(int64_t at_us, std::function<void()> run) { events_.push({at_us, order_++, std::move(run)}); }
  double Uniform() { return std::uniform_real_distribution<>(0, 1)(random_); }

  void Begin() {
    ++requests;
    Attempt(std::make_shared<Request>(now_us_ + int64_t{kRequestTimeoutMs} * 1'000));
  }

  void NextHop(const std::shared_ptr<Request>& request) {
    request->attempts_of_model = 0;
    request->tried.clear();
    if (++request->hop < chain_.size()) return Attempt(request);
    most_attempts = std::max(most_attempts, request->attempts);
  }

  void Attempt(const std::shared_ptr<Request>& request) {
    const bool retry = request->attempts_of_model > 0;
    if (!request->allowance.MayAttempt(retry)) return NextHop(request);
    const v1::SnapshotProvider& provider = *chain_[request->hop];
    ProviderHealth::Answer answer =
        health_.Ask({provider, "m", "", request->tried, retry, request->hop + 1 == chain_.size()}, now_us_, random_());
    auto* granted = std::get_if<ProviderHealth::Granted>(&answer);
    if (granted == nullptr) return NextHop(request);
    request->allowance.CountAttempt(retry);
    ++request->attempts;
    ++request->attempts_of_model;
    ++attempts;
    const std::string endpoint = granted->endpoint;
    ++attempts_of[provider.name() + "/" + endpoint];
    auto share = fail_share_.find(provider.name() + "/" + endpoint);
    if (share == fail_share_.end()) share = fail_share_.find(provider.name() + "/");
    const bool fails = share != fail_share_.end() && Uniform() < share->second;
    const int64_t takes_us = static_cast<int64_t>((0.05 + 0.2 * Uniform()) * kSecondUs);
    auto permit = std::make_shared<CallPermit>(std::move(granted->permit));
    At(now_us_ + takes_us, [this, request, permit, fails, endpoint, name = provider.name()] {
      permit->Ended(fails ? CallResult::kFailure : CallResult::kSuccess, now_us_, random_(), fails ? "status_500" : "");
      if (!fails) {
        ++succeeded;
        most_attempts = std::max(most_attempts, request->attempts);
        return;
      }
      ++failures_of[name + "/" + endpoint];
      request->tried.push_back(endpoint);
      FailedAttempt failed;
      failed.may_succeed_again = true;
      const std::optional<int64_t> delay_us =
          RetryDelayUs(policy_, request->attempts_of_model, failed, request->allowance, now_us_, random_());
      if (!delay_us.has_value()) return NextHop(request);
      At(now_us_ + *delay_us, [this, request] { Attempt(request); });
    });
  }

  std::mt19937_64 random_;
  std::vector<ProviderPtr> chain_;
  ProviderHealth health_;
  v1::CompiledElement::Model model_;
  RetryPolicy policy_;
  std::map<std::string, double> fail_share_;
  std::priority_queue<Event> events_;
  uint64_t order_ = 0;
  int64_t now_us_ = 0;
};

class HealthSimulation : public ::testing::TestWithParam<uint64_t> {};

TEST_P(HealthSimulation, ADeadFirstProviderCostsAFewCallsAndNoRequest) {
  World world(GetParam(), {Provider("a", 0), Provider("b", 0)}, /*retries=*/1);
  world.fail_share("a") = 1;
  world.Run(5'000, 20'000);  // 100 s at 50 a second
  EXPECT_EQ(world.succeeded, world.requests);
  // The calls that were out when it opened, then probes: at 2 s, 4 s, 8 s ... each jittered down to half at most.
  EXPECT_LE(world.attempts_of["a/default"], 60);
  EXPECT_GE(world.attempts_of["a/default"], kBreakerConsecutiveFailures + 2) << "it is probed";
}

TEST_P(HealthSimulation, AProviderThatIsWellAgainIsUsedAgain) {
  World world(GetParam(), {Provider("a", 0), Provider("b", 0)}, 1);
  world.fail_share("a") = 1;
  world.Run(1'000, 20'000);
  world.fail_share("a") = 0;
  world.Run(3'100, 20'000);  // longer than a breaker stays open
  const int before = world.attempts_of["a/default"];
  world.Run(500, 20'000);
  EXPECT_EQ(world.attempts_of["a/default"] - before, 500) << "all of its calls are back";
  EXPECT_EQ(world.succeeded, world.requests);
}

TEST_P(HealthSimulation, AProviderThatFailsNowAndThenKeepsItsCallsAndTheChainHoldsEveryRequest) {
  World world(GetParam(), {Provider("a", 0), Provider("b", 0), Provider("c", 0)}, 1);
  world.fail_share("a") = 0.37;
  world.Run(10'000, 5'000);
  EXPECT_EQ(world.succeeded, world.requests);
  EXPECT_LT(world.attempts, 16 * world.requests / 10);
  EXPECT_GT(world.attempts_of["a/default"], world.requests / 2);
}

TEST_P(HealthSimulation, RetriesNeverPassTheBudget) {
  World world(GetParam(), {Provider("a", 0)}, /*retries=*/5);
  world.fail_share("a") = 0.4;
  world.Run(10'000, 2'000);  // 20 s at 500 a second
  const ProviderHealth::Counters counters = world.health().counters().at(0);
  const int64_t calls = world.attempts - counters.retries;
  // Two windows, and the seconds in which a window holds more calls than came after them.
  EXPECT_LE(counters.retries, calls * kRetryBudgetPercent / 100 + 4 * kRetryBudgetFloor);
  EXPECT_GT(counters.budget_refusals, 0);
  EXPECT_LE(world.most_attempts, 6);
}

TEST_P(HealthSimulation, OneDeadEndpointOfThreeCostsNoRequestAndFewAttempts) {
  World world(GetParam(), {Provider("a", 3)}, 2);
  world.fail_share("a", "e1") = 1;
  world.Run(5'000, 20'000);
  EXPECT_EQ(world.succeeded, world.requests);
  EXPECT_LT(world.failures_of["a/e1"], 60);
  EXPECT_GT(world.attempts_of["a/e0"], 2'000);
  EXPECT_GT(world.attempts_of["a/e2"], 2'000);
}

TEST_P(HealthSimulation, WhenEveryEndpointIsHalfSickMostRequestsStillGetThrough) {
  World world(GetParam(), {Provider("a", 2)}, 2);
  world.fail_share("a") = 0.4;
  world.Run(2'000, 20'000);
  EXPECT_GT(world.succeeded, world.requests * 7 / 10);
}

INSTANTIATE_TEST_SUITE_P(Seeds, HealthSimulation, ::testing::Range<uint64_t>(1, 7));

}  // namespace
}  // namespace signalbox
