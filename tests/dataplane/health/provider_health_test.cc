#include "dataplane/health/provider_health.h"

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/dataplane/health/seconds.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using ProviderPtr = std::shared_ptr<const v1::SnapshotProvider>;

// Endpoints by name and weight; none: the provider's own.
ProviderPtr Provider(const std::vector<std::pair<std::string, int>>& endpoints = {}, const std::string& secret = "sk-1",
                     bool checked = false) {
  auto provider = std::make_shared<v1::SnapshotProvider>();
  provider->set_gateway("default");
  provider->set_name("openai");
  provider->set_kind("openai");
  provider->set_base_url("http://127.0.0.1:1/v1");
  provider->set_secret(secret);
  for (const auto& [name, weight] : endpoints) {
    v1::SnapshotProvider::Endpoint& endpoint = *provider->add_endpoints();
    endpoint.set_name(name);
    endpoint.set_base_url("http://127.0.0.1:1/v1");
    endpoint.set_weight(weight);
    endpoint.set_secret(secret);
  }
  if (checked) provider->mutable_health_check()->set_path("/models");
  return provider;
}

class ProviderHealthTest : public ::testing::Test {
 protected:
  void Configure(ProviderPtr provider) {
    provider_ = std::move(provider);
    health_.Configure({provider_});
  }
  ProviderHealth::Answer Ask(const std::string& model = "gpt-4o-mini", bool retry = false,
                             const std::vector<std::string>& tried = {}, const std::string& endpoint = "",
                             bool last_resort = false) {
    return health_.Ask({*provider_, model, endpoint, tried, retry, last_resort}, now_us_, random_());
  }
  // Makes a call if it may be made; the endpoint it went to, or "" when refused.
  std::string Call(CallResult result, const std::string& model = "gpt-4o-mini", int64_t rest_us = 0,
                   const std::vector<std::string>& tried = {}, const std::string& endpoint = "") {
    ProviderHealth::Answer answer = Ask(model, false, tried, endpoint);
    auto* granted = std::get_if<ProviderHealth::Granted>(&answer);
    if (granted == nullptr) return "";
    granted->permit.Ended(result, now_us_, random_(), "status_500", rest_us);
    return granted->endpoint;
  }
  // Makes calls until one is refused; how many were made.
  int CallUntilRefused(CallResult result, const std::string& model = "gpt-4o-mini") {
    int calls = 0;
    while (!Call(result, model).empty()) {
      if (++calls > 1'000) break;
    }
    return calls;
  }
  v1::ProviderStatus StatusOf(const std::string& endpoint, const std::string& model) {
    for (const v1::ProviderStatus& status : health_.Report(now_us_, kUnixUs + now_us_)) {
      if (status.endpoint() == endpoint && status.model() == model) return status;
    }
    return {};
  }
  ProviderHealth::Counters Counters() { return health_.counters().at(0); }

  static constexpr int64_t kUnixUs = 1'750'000'000'000'000;
  ProviderHealth health_;
  ProviderPtr provider_;
  int64_t now_us_ = 100 * kSecondUs;
  std::mt19937_64 random_{7};
};

TEST_F(ProviderHealthTest, AProviderWithoutEndpointsIsOneNamedDefault) {
  Configure(Provider());
  EXPECT_EQ(Call(CallResult::kSuccess), "default");
}

TEST_F(ProviderHealthTest, FailuresInARowCloseOffOneModelAndNoOther) {
  Configure(Provider());
  EXPECT_EQ(CallUntilRefused(CallResult::kFailure), kBreakerConsecutiveFailures);
  const ProviderHealth::Answer refused = Ask();
  ASSERT_TRUE(std::holds_alternative<ProviderHealth::CircuitOpen>(refused));
  const auto& open = std::get<ProviderHealth::CircuitOpen>(refused);
  EXPECT_FALSE(open.resting);
  EXPECT_GT(open.retry_us, now_us_);
  EXPECT_EQ(Call(CallResult::kSuccess, "gpt-4o"), "default");
  EXPECT_EQ(Counters().openings, 1);
  EXPECT_EQ(Counters().circuit_refusals, 2);
  EXPECT_EQ(Counters().ejections, 0) << "there is nowhere else to go";
}

TEST_F(ProviderHealthTest, AfterTheOpenTimeOneProbeAtATimeClosesIt) {
  Configure(Provider());
  CallUntilRefused(CallResult::kFailure);
  now_us_ = std::get<ProviderHealth::CircuitOpen>(Ask()).retry_us;
  EXPECT_EQ(StatusOf("default", "gpt-4o-mini").breaker(), v1::ProviderStatus::HALF_OPEN);
  ProviderHealth::Answer probe = Ask();
  ASSERT_TRUE(std::holds_alternative<ProviderHealth::Granted>(probe));
  EXPECT_TRUE(std::holds_alternative<ProviderHealth::CircuitOpen>(Ask()));
  std::get<ProviderHealth::Granted>(probe).permit.Answering(now_us_);
  EXPECT_EQ(StatusOf("default", "gpt-4o-mini").breaker(), v1::ProviderStatus::CLOSED);
  EXPECT_EQ(Call(CallResult::kSuccess), "default");
}

TEST_F(ProviderHealthTest, AProbeWhoseClientLeftMakesRoomForTheNext) {
  Configure(Provider());
  CallUntilRefused(CallResult::kFailure);
  now_us_ = std::get<ProviderHealth::CircuitOpen>(Ask()).retry_us;
  {
    const ProviderHealth::Answer probe = Ask();
    ASSERT_TRUE(std::holds_alternative<ProviderHealth::Granted>(probe));
  }
  EXPECT_EQ(Call(CallResult::kSuccess), "default");
}

TEST_F(ProviderHealthTest, AMovedPermitIsOnePermit) {
  Configure(Provider());
  CallUntilRefused(CallResult::kFailure);
  now_us_ = std::get<ProviderHealth::CircuitOpen>(Ask()).retry_us;
  ProviderHealth::Answer probe = Ask();
  CallPermit permit;
  permit = std::move(std::get<ProviderHealth::Granted>(probe).permit);
  probe = ProviderHealth::BudgetSpent{};
  EXPECT_TRUE(std::holds_alternative<ProviderHealth::CircuitOpen>(Ask())) << "the probe is still out";
  permit.Ended(CallResult::kSuccess, now_us_, 0);
  permit.Ended(CallResult::kFailure, now_us_, 0);
  EXPECT_EQ(StatusOf("default", "gpt-4o-mini").failures(), kBreakerConsecutiveFailures) << "the second word is void";
}

TEST_F(ProviderHealthTest, ARateLimitedModelRestsUntilTheProviderSays) {
  Configure(Provider());
  EXPECT_EQ(Call(CallResult::kRateLimited, "gpt-4o-mini", 7 * kSecondUs), "default");
  const ProviderHealth::Answer refused = Ask();
  ASSERT_TRUE(std::holds_alternative<ProviderHealth::CircuitOpen>(refused));
  EXPECT_EQ(std::get<ProviderHealth::CircuitOpen>(refused).retry_us, now_us_ + 7 * kSecondUs);
  EXPECT_TRUE(std::get<ProviderHealth::CircuitOpen>(refused).resting);
  EXPECT_EQ(Call(CallResult::kSuccess, "gpt-4o"), "default") << "its limits are its own";
  const v1::ProviderStatus status = StatusOf("default", "gpt-4o-mini");
  EXPECT_EQ(status.breaker(), v1::ProviderStatus::OPEN);
  EXPECT_EQ(status.retry_us(), kUnixUs + now_us_ + 7 * kSecondUs);
  now_us_ += 7 * kSecondUs;
  const ProviderHealth::Answer one = Ask(), two = Ask();
  EXPECT_TRUE(std::holds_alternative<ProviderHealth::Granted>(one));
  EXPECT_TRUE(std::holds_alternative<ProviderHealth::Granted>(two)) << "nobody was sick, nobody has to probe";
}

TEST_F(ProviderHealthTest, NobodyRestsForADay) {
  Configure(Provider());
  Call(CallResult::kRateLimited, "gpt-4o-mini", 86'400 * kSecondUs);
  EXPECT_EQ(std::get<ProviderHealth::CircuitOpen>(Ask()).retry_us, now_us_ + kRestUsMax);
}

TEST_F(ProviderHealthTest, EndpointsAreDrawnByWeight) {
  Configure(Provider({{"a", 3}, {"b", 1}}));
  std::map<std::string, int> drawn;
  for (int i = 0; i < 4'000; ++i) ++drawn[Call(CallResult::kSuccess)];
  EXPECT_NEAR(drawn["a"], 3'000, 200);
  EXPECT_NEAR(drawn["b"], 1'000, 200);
}

TEST_F(ProviderHealthTest, AnEndpointThatFailsWithAnyModelIsEjectedAndOthersTakeItsCalls) {
  Configure(Provider({{"a", 1}, {"b", 1}}));
  int failed = 0;
  for (int i = 0; i < 200; ++i) {
    ProviderHealth::Answer answer = Ask(absl::StrCat("model-", i % 40));
    auto& granted = std::get<ProviderHealth::Granted>(answer);
    const bool dead = granted.endpoint == "a";
    failed += dead;
    granted.permit.Ended(dead ? CallResult::kFailure : CallResult::kSuccess, now_us_, random_(), "connect");
  }
  EXPECT_EQ(failed, kEjectionConsecutiveFailures);
  EXPECT_EQ(Counters().ejections, 1);
  EXPECT_TRUE(StatusOf("a", "").ejected());
  EXPECT_EQ(StatusOf("a", "").last_error(), "connect");
  EXPECT_FALSE(StatusOf("b", "").ejected());
}

TEST_F(ProviderHealthTest, AnEjectedEndpointComesBackByOneCall) {
  Configure(Provider({{"a", 1}, {"b", 1}}));
  for (int i = 0; i < kEjectionConsecutiveFailures; ++i) Call(CallResult::kFailure, "m", 0, {}, "a");
  EXPECT_TRUE(StatusOf("a", "").ejected());
  now_us_ += kBreakerOpenUsMin;
  std::vector<ProviderHealth::Answer> out;
  int to_a = 0;
  for (int i = 0; i < 100; ++i) {
    out.push_back(Ask("m"));
    to_a += std::get<ProviderHealth::Granted>(out.back()).endpoint == "a";
  }
  EXPECT_EQ(to_a, 1);
  for (auto& answer : out) std::get<ProviderHealth::Granted>(answer).permit.Ended(CallResult::kSuccess, now_us_, 0);
  EXPECT_FALSE(StatusOf("a", "").ejected());
}

TEST_F(ProviderHealthTest, WhenAllAreEjectedTheLeastBadIsCalled) {
  Configure(Provider({{"a", 1}, {"b", 1}}));
  for (int i = 0; i < kEjectionConsecutiveFailures + 2; ++i) Call(CallResult::kFailure, absl::StrCat(i), 0, {}, "a");
  for (int i = 0; i < kEjectionConsecutiveFailures; ++i) Call(CallResult::kFailure, absl::StrCat(i), 0, {}, "b");
  ASSERT_TRUE(StatusOf("a", "").ejected() && StatusOf("b", "").ejected());
  EXPECT_EQ(Call(CallResult::kFailure, "x"), "b");
  EXPECT_EQ(Call(CallResult::kFailure, "y"), "b");
  EXPECT_EQ(Call(CallResult::kFailure, "z"), "a") << "seven each: the first of them";
  EXPECT_EQ(Call(CallResult::kSuccess, "z"), "b");
}

TEST_F(ProviderHealthTest, ARetryGoesToAnEndpointNotTriedYet) {
  Configure(Provider({{"a", 1'000}, {"b", 1}}));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Call(CallResult::kSuccess, "m", 0, {"a"}), "b");
  EXPECT_EQ(Call(CallResult::kSuccess, "m", 0, {"b"}), "a");
  EXPECT_THAT(Call(CallResult::kSuccess, "m", 0, {"a", "b"}), ::testing::AnyOf("a", "b"));
}

TEST_F(ProviderHealthTest, AModelThatRestsAtOneEndpointIsCalledAtAnother) {
  Configure(Provider({{"a", 1'000}, {"b", 1}}));
  Call(CallResult::kRateLimited, "m", 20 * kSecondUs, {}, "a");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Call(CallResult::kSuccess, "m"), "b");
  EXPECT_FALSE(StatusOf("a", "").ejected());
  EXPECT_EQ(Call(CallResult::kSuccess, "other", 0, {"b"}), "a");
}

TEST_F(ProviderHealthTest, ARefusedKeyEjectsItsEndpoint) {
  Configure(Provider({{"a", 1}, {"b", 1}}));
  for (int i = 0; i < kEjectionConsecutiveFailures; ++i) Call(CallResult::kKeyRefused, absl::StrCat(i), 0, {}, "a");
  EXPECT_TRUE(StatusOf("a", "").ejected());
}

TEST_F(ProviderHealthTest, AMissingModelSaysNothingAboutTheEndpoint) {
  Configure(Provider({{"a", 1}, {"b", 1}}));
  for (int i = 0; i < 3 * kEjectionConsecutiveFailures; ++i) {
    Call(CallResult::kModelMissing, absl::StrCat(i % 3), 0, {}, "a");
  }
  EXPECT_FALSE(StatusOf("a", "").ejected());
}

TEST_F(ProviderHealthTest, TheNamedEndpointIsTheOnlyOneAsked) {
  Configure(Provider({{"a", 1}, {"b", 1}}));
  for (int i = 0; i < 2 * kEjectionConsecutiveFailures; ++i) Call(CallResult::kFailure, absl::StrCat(i), 0, {}, "a");
  ASSERT_TRUE(StatusOf("a", "").ejected());
  EXPECT_EQ(Call(CallResult::kSuccess, "m", 0, {}, "a"), "a") << "named, so there is no other";
  EXPECT_TRUE(std::holds_alternative<ProviderHealth::NoSuchEndpoint>(Ask("m", false, {}, "c")));
}

TEST_F(ProviderHealthTest, RetriesAreAShareOfCallsAndAFloor) {
  Configure(Provider());
  const auto retries = [&] {
    int made = 0;
    while (true) {
      ProviderHealth::Answer answer = Ask("m", true);
      if (!std::holds_alternative<ProviderHealth::Granted>(answer)) break;
      std::get<ProviderHealth::Granted>(answer).permit.Ended(CallResult::kSuccess, now_us_, 0);
      ++made;
    }
    return made;
  };
  EXPECT_EQ(retries(), kRetryBudgetFloor);
  EXPECT_TRUE(std::holds_alternative<ProviderHealth::BudgetSpent>(Ask("m", true)));
  for (int i = 0; i < 500; ++i) Call(CallResult::kSuccess, "m");
  EXPECT_EQ(retries(), 500 * kRetryBudgetPercent / 100);
  EXPECT_EQ(Counters().retries, kRetryBudgetFloor + 500 * kRetryBudgetPercent / 100);
  EXPECT_EQ(Counters().budget_refusals, 3);
  now_us_ += kRetryBudgetWindowUs;
  EXPECT_EQ(retries(), kRetryBudgetFloor);
}

TEST_F(ProviderHealthTest, AFirstAttemptIsNeverRefusedByTheBudget) {
  Configure(Provider());
  while (std::holds_alternative<ProviderHealth::Granted>(Ask("m", true))) {
  }
  EXPECT_EQ(Call(CallResult::kSuccess, "m"), "default");
}

TEST_F(ProviderHealthTest, ChecksTakeAnEndpointDownAndBringItBack) {
  using Check = ProviderHealth::Check;
  Configure(Provider({}, "sk-1", /*checked=*/true));
  for (int i = 0; i < kHealthCheckFailures; ++i) {
    EXPECT_EQ(Call(CallResult::kSuccess), "default");
    health_.Checked(*provider_, "default", Check::kFailed, "status_503", now_us_);
  }
  EXPECT_TRUE(std::holds_alternative<ProviderHealth::CircuitOpen>(Ask()));
  EXPECT_TRUE(StatusOf("default", "").ejected());
  EXPECT_EQ(StatusOf("default", "").last_error(), "status_503");
  EXPECT_EQ(Counters().failed_checks, kHealthCheckFailures);
  EXPECT_TRUE(std::holds_alternative<ProviderHealth::Granted>(Ask("m", false, {}, "", /*last_resort=*/true)))
      << "a check may be wrong, and nothing else is left";
  health_.Checked(*provider_, "default", Check::kReached, "", now_us_);
  EXPECT_EQ(Call(CallResult::kSuccess), "default");
  EXPECT_FALSE(StatusOf("default", "").ejected());
}

TEST_F(ProviderHealthTest, OnlyAHealthyCheckEndsAnEjection) {
  using Check = ProviderHealth::Check;
  Configure(Provider({{"a", 1}, {"b", 1}}, "sk-1", /*checked=*/true));
  for (int i = 0; i < kEjectionConsecutiveFailures; ++i) Call(CallResult::kKeyRefused, "m", 0, {}, "a");
  health_.Checked(*provider_, "a", Check::kReached, "", now_us_);
  EXPECT_TRUE(StatusOf("a", "").ejected()) << "the check's key is refused as well";
  health_.Checked(*provider_, "a", Check::kHealthy, "", now_us_);
  EXPECT_FALSE(StatusOf("a", "").ejected());
}

TEST_F(ProviderHealthTest, WithoutChecksNothingStaysDown) {
  Configure(Provider({}, "sk-1", /*checked=*/true));
  for (int i = 0; i < kHealthCheckFailures; ++i) {
    health_.Checked(*provider_, "default", ProviderHealth::Check::kFailed, "connect", now_us_);
  }
  Configure(Provider());
  EXPECT_EQ(Call(CallResult::kSuccess), "default");
}

TEST_F(ProviderHealthTest, ANewSnapshotKeepsWhatIsKnownUnlessTheEndpointChanged) {
  Configure(Provider());
  CallUntilRefused(CallResult::kFailure);
  Configure(Provider());
  EXPECT_EQ(Call(CallResult::kSuccess), "") << "still open";
  Configure(Provider({}, "sk-2"));
  EXPECT_EQ(Call(CallResult::kSuccess), "default") << "another key: another try";
  EXPECT_EQ(Counters().openings, 1) << "counters go on";
}

TEST_F(ProviderHealthTest, ARequestOfAnotherSnapshotIsServedUntracked) {
  Configure(Provider());
  const ProviderPtr older = Provider({{"gone", 1}});
  ProviderHealth::Answer answer = health_.Ask({*older, "m", "", {}, false, false}, now_us_, 0);
  ASSERT_TRUE(std::holds_alternative<ProviderHealth::Granted>(answer));
  EXPECT_EQ(std::get<ProviderHealth::Granted>(answer).endpoint, "gone");
  std::get<ProviderHealth::Granted>(answer).permit.Ended(CallResult::kFailure, now_us_, 0);
  health_.Configure({});
  EXPECT_TRUE(std::holds_alternative<ProviderHealth::Granted>(health_.Ask({*older, "m", "", {}, false, false}, 0, 0)));
  EXPECT_THAT(health_.Report(now_us_, kUnixUs), IsEmpty());
}

TEST_F(ProviderHealthTest, APermitMayOutliveItsConfiguration) {
  Configure(Provider());
  ProviderHealth::Answer answer = Ask();
  health_.Configure({});
  std::get<ProviderHealth::Granted>(answer).permit.Ended(CallResult::kFailure, now_us_, 0, "cut");
  EXPECT_THAT(health_.counters(), IsEmpty());
}

TEST_F(ProviderHealthTest, ReportsEndpointsAndTheirModelsInOrder) {
  Configure(Provider({{"b", 1}, {"a", 1}}));
  Call(CallResult::kSuccess, "m2", 0, {}, "a");
  Call(CallResult::kFailure, "m1", 0, {}, "a");
  now_us_ += kSecondUs;
  std::vector<std::string> rows;
  for (const v1::ProviderStatus& status : health_.Report(now_us_, kUnixUs)) {
    rows.push_back(absl::StrCat(status.gateway(), " ", status.provider(), " ", status.endpoint(), " ", status.model(),
                                " ", status.attempts(), "/", status.failures()));
  }
  EXPECT_THAT(rows, ElementsAre("default openai a  2/1", "default openai a m1 1/1", "default openai a m2 1/0",
                                "default openai b  0/0"));
  const v1::ProviderStatus failed = StatusOf("a", "m1");
  EXPECT_EQ(failed.last_error(), "status_500");
  EXPECT_EQ(failed.last_failure_us(), kUnixUs + now_us_ - kSecondUs);
  EXPECT_EQ(failed.consecutive_failures(), 1);
  EXPECT_EQ(StatusOf("a", "m2").last_failure_us(), 0);
  EXPECT_EQ(StatusOf("a", "m2").retry_us(), 0);
}

TEST_F(ProviderHealthTest, ChangesAreWhatAReportWouldSayAnew) {
  using Check = ProviderHealth::Check;
  Configure(Provider({}, "sk-1", /*checked=*/true));
  Call(CallResult::kSuccess);
  Call(CallResult::kFailure);
  EXPECT_EQ(health_.changes(), 1u) << "configured";
  CallUntilRefused(CallResult::kFailure);
  EXPECT_EQ(health_.changes(), 2u) << "opened";
  now_us_ = std::get<ProviderHealth::CircuitOpen>(Ask()).retry_us;
  EXPECT_EQ(Call(CallResult::kSuccess), "default");
  EXPECT_EQ(health_.changes(), 3u) << "closed";
  Call(CallResult::kRateLimited, "m", kSecondUs);
  EXPECT_EQ(health_.changes(), 4u) << "rests";
  for (int i = 0; i < 2 * kHealthCheckFailures; ++i) {
    health_.Checked(*provider_, "default", Check::kFailed, "connect", now_us_);
  }
  EXPECT_EQ(health_.changes(), 5u) << "down";
  for (int i = 0; i < 2; ++i) health_.Checked(*provider_, "default", Check::kReached, "", now_us_);
  EXPECT_EQ(health_.changes(), 6u) << "up";
}

TEST_F(ProviderHealthTest, ModelsThatClientsMakeUpDoNotPileUp) {
  Configure(Provider());
  CallUntilRefused(CallResult::kFailure, "sick");
  for (size_t i = 0; i < 2 * kHealthModelsPerEndpointMax; ++i) {
    now_us_ += 1;
    Call(CallResult::kSuccess, absl::StrCat("made-up-", i));
  }
  EXPECT_THAT(health_.Report(now_us_, kUnixUs), SizeIs(1 + kHealthModelsPerEndpointMax));
  EXPECT_EQ(StatusOf("default", "sick").breaker(), v1::ProviderStatus::OPEN) << "an opened breaker is kept";
}

TEST_F(ProviderHealthTest, AReportIsBoundedAndKeepsTheTroubledOnes) {
  std::vector<ProviderPtr> providers;
  for (int i = 0; i < 10; ++i) {
    auto provider = std::make_shared<v1::SnapshotProvider>(*Provider());
    provider->set_name(absl::StrCat("p", i));
    providers.push_back(std::move(provider));
  }
  health_.Configure(providers);
  for (const ProviderPtr& provider : providers) {
    provider_ = provider;
    CallUntilRefused(CallResult::kFailure, "sick");
    for (size_t i = 1; i < kHealthModelsPerEndpointMax; ++i) Call(CallResult::kSuccess, absl::StrCat(i));
  }
  const std::vector<v1::ProviderStatus> report = health_.Report(now_us_, kUnixUs);
  EXPECT_THAT(report, SizeIs(kHealthStatusesMax));
  EXPECT_EQ(std::count_if(report.begin(), report.end(), [](const auto& status) { return status.model() == "sick"; }),
            10);
  EXPECT_EQ(std::count_if(report.begin(), report.end(), [](const auto& status) { return status.model().empty(); }), 10);
}

TEST_F(ProviderHealthTest, WorkersShareIt) {
  Configure(Provider({{"a", 1}, {"b", 2}}));
  std::atomic<int64_t> calls{0};
  std::vector<std::thread> workers;
  for (int t = 0; t < 4; ++t) {
    workers.emplace_back([this, t, &calls] {
      std::mt19937_64 random(static_cast<uint64_t>(t));
      const std::vector<std::string> tried;
      for (int64_t i = 0; i < 2'000; ++i) {
        const int64_t now_us = i * 1'000;
        ProviderHealth::Answer answer =
            health_.Ask({*provider_, i % 2 == 0 ? "m" : "n", "", tried, i % 7 == 0, false}, now_us, random());
        if (auto* granted = std::get_if<ProviderHealth::Granted>(&answer)) {
          ++calls;
          if (i % 3 == 0) granted->permit.Answering(now_us);
          granted->permit.Ended(i % 5 == 0 ? CallResult::kFailure : CallResult::kSuccess, now_us, random(), "cut");
        }
        if (t == 0 && i % 100 == 0) health_.Configure({provider_});
        if (t == 1 && i % 100 == 0) health_.Report(now_us, kUnixUs);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(StatusOf("a", "").attempts() + StatusOf("b", "").attempts(), calls.load());
}

TEST(ResultOfStatus, TellsWhoseFaultItWas) {
  for (const int status : {200, 201, 400, 409, 413, 422}) EXPECT_EQ(ResultOfStatus(status), CallResult::kSuccess);
  for (const int status : {408, 500, 502, 503, 504, 529}) EXPECT_EQ(ResultOfStatus(status), CallResult::kFailure);
  EXPECT_EQ(ResultOfStatus(429), CallResult::kRateLimited);
  EXPECT_EQ(ResultOfStatus(401), CallResult::kKeyRefused);
  EXPECT_EQ(ResultOfStatus(403), CallResult::kKeyRefused);
  EXPECT_EQ(ResultOfStatus(404), CallResult::kModelMissing);
}

}  // namespace
}  // namespace signalbox
