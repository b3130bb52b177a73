// The rate element's whole language over the running binaries: units, techniques, windows, keys, pools, shadows, and
// what each does when the quota service is away.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/calendar.h"
#include "common/clock.h"
#include "tests/integration/load.h"
#include "tests/integration/quota_view.h"

namespace signalbox {
namespace {

using nlohmann::json;
using testing::EndsWith;
using testing::HasSubstr;

int CountStatus(const std::vector<HttpAnswer>& answers, int status) {
  return static_cast<int>(
      std::count_if(answers.begin(), answers.end(), [&](const HttpAnswer& answer) { return answer.status == status; }));
}

// A figure of the answer's only signalbox-limit header; -1 when it is not there.
double Figure(const HttpAnswer& answer, const std::string& name) {
  for (absl::string_view part : absl::StrSplit(answer.Header("signalbox-limit"), "; ")) {
    const std::vector<std::string> sides = absl::StrSplit(part, '=');
    double value = 0;
    if (sides.size() == 2 && sides[0] == name && absl::SimpleAtod(sides[1], &value)) return value;
  }
  return -1;
}

int64_t Int(const json& object, const std::string& field) {
  const auto found = object.find(field);
  if (found == object.end()) return 0;
  return found->is_string() ? std::stoll(found->get<std::string>()) : found->get<int64_t>();
}

// Input and output of every call that the provider was asked for.
int64_t TokensOnTheBill(Stack& stack) {
  const json bill = stack.Provider("/bill");
  int64_t tokens = 0;
  for (const json& line : bill["requests"]) tokens += Int(line, "input") + Int(line, "output");
  return tokens;
}

// Until nothing is held; the counter then.
v1::Counter Quiet(const QuotaView& quota, const std::string& team, v1::Unit unit) {
  v1::Counter counter;
  EXPECT_TRUE(Eventually([&] {
    counter = quota.Team(team, unit);
    return counter.held() == 0;
  })) << counter.ShortDebugString();
  return counter;
}

Stack::ChatOptions Ask(const std::string& team, int i = 0) {
  return {.proxy = static_cast<size_t>(i % 2), .route = "limited", .metadata = {{"team", team}}};
}

TEST(Language, ASlidingLimitAdmitsExactlyItsLimitAndReachesIntoTheNextWindow) {
  Stack stack;
  stack.DeployRoute(LimitedRoute({{"limitType", "count"}, {"limit", 10}, {"technique", "sliding"}}));
  const std::vector<HttpAnswer> answers = Parallel(80, 16, [&](int i) { return stack.Chat(Ask("red", i)); });
  EXPECT_EQ(CountStatus(answers, 200), 10);
  EXPECT_EQ(CountStatus(answers, 429), 70);
  for (const HttpAnswer& answer : answers) {
    EXPECT_GE(Figure(answer, "reset"), kLongWindowSeconds) << "what counts now still weighs in the next window";
    EXPECT_LE(Figure(answer, "reset"), 2.0 * kLongWindowSeconds);
    if (answer.status == 429) {
      EXPECT_EQ(Figure(answer, "remaining"), 0);
    }
  }
}

TEST(Language, AStrictTokensLimitIsNeverPassedAndItsCounterIsWhatTheProviderSold) {
  Stack stack;
  constexpr int64_t kLimit = 20'000;
  stack.DeployRoute(LimitedRoute({{"limitType", "tokens"}, {"limit", kLimit}}));
  const QuotaView quota(stack);
  const HttpAnswer first = stack.Chat(Ask("red"));
  ASSERT_EQ(first.status, 200) << first.body;
  // A sixteenth of the limit is 1,250, of which the request's own bytes are a part.
  const int64_t cap = std::atoll(first.Header("signalbox-max-tokens").c_str());
  EXPECT_GT(cap, 1'000);
  EXPECT_LT(cap, 1'250);
  EXPECT_THAT(first.Header("signalbox-limit"), HasSubstr("pool=team; unit=tokens; limit=20000; remaining="));
  EXPECT_EQ(Figure(first, "remaining"), kLimit - Quiet(quota, "red", v1::TOKENS).settled()) << "final, as it is unary";

  const std::vector<HttpAnswer> answers = Parallel(400, 24, [&](int i) {
    Stack::ChatOptions options = Ask("red", i);
    options.stream = i % 3 == 0;
    options.body = {{"max_tokens", 60}};
    return stack.Chat(options);
  });
  EXPECT_EQ(CountStatus(answers, 200) + CountStatus(answers, 429), 400);
  EXPECT_GT(CountStatus(answers, 429), 0) << "the limit was never met: the test shows nothing";
  int64_t recorded = 0;
  for (const json& record : stack.AwaitRecords(401)) recorded += Int(record, "tokens");
  const v1::Counter counter = Quiet(quota, "red", v1::TOKENS);
  EXPECT_LE(counter.settled(), kLimit);
  EXPECT_GT(counter.settled(), kLimit / 2);
  EXPECT_EQ(counter.settled(), recorded);
  EXPECT_EQ(counter.settled(), TokensOnTheBill(stack));
}

TEST(Language, AnObservedLimitOverspendsByNoMoreThanWhatIsInFlightWhenItIsCrossed) {
  constexpr int kClients = 16;
  constexpr int64_t kLimit = 3'000;
  Stack stack({.provider_flags = {"--latency_ms=20"}});
  stack.DeployRoute(LimitedRoute({{"limitType", "tokens"}, {"limit", kLimit}, {"admission", "observed"}}));
  const QuotaView quota(stack);
  const std::vector<HttpAnswer> answers = Parallel(200, kClients, [&](int i) {
    Stack::ChatOptions options = Ask("red", i);
    options.body = {{"max_tokens", 100}};
    return stack.Chat(options);
  });
  EXPECT_GT(CountStatus(answers, 429), 0);
  int64_t bound = 0;
  for (const json& record : stack.AwaitRecords(200)) {
    for (const json& attempt : record.value("attempts", json::array())) {
      bound = std::max(bound, Int(attempt, "boundTokens"));
    }
  }
  const v1::Counter counter = Quiet(quota, "red", v1::TOKENS);
  EXPECT_GE(counter.settled(), kLimit) << "it ends only when what is settled reaches it";
  EXPECT_LE(counter.settled(), kLimit + kClients * bound);
  EXPECT_EQ(counter.settled(), TokensOnTheBill(stack));
  for (const HttpAnswer& answer : answers) EXPECT_EQ(answer.Header("signalbox-max-tokens"), "");
}

TEST(Language, AChainOfDollarsAndTokensTakesTheSmallestCapAndSettlesEachInItsUnit) {
  json route = json::parse(LimitedRoute({{"limitType", "cost"}, {"limit", 1}}));
  json tokens = json::parse(LimitedRoute({{"limitType", "tokens"}, {"limit", 8'000}}))["elements"][1];
  tokens["id"] = "tokens";
  route["elements"][1]["outputs"]["success"]["elementId"] = "tokens";
  route["elements"].push_back(tokens);
  Stack stack;
  stack.DeployRoute(route.dump());
  const QuotaView quota(stack);
  const HttpAnswer answer = stack.Chat(Ask("red"));
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.headers.count("signalbox-limit"), 2u);
  const int64_t cap = std::atoll(answer.Header("signalbox-max-tokens").c_str());
  EXPECT_GT(cap, 256);
  EXPECT_LT(cap, 500) << "a sixteenth of 8,000 tokens; of the dollar's sixteenth it would be thousands";
  const json record = stack.AwaitRecords(1)[0];
  EXPECT_LE(Int(record["attempts"][0], "boundTokens"), 500) << "the hold of that cap";
  EXPECT_EQ(Quiet(quota, "red", v1::TOKENS).settled(), Int(record, "tokens"));
  EXPECT_EQ(Quiet(quota, "red", v1::NANO_DOLLARS).settled(), CostNanos(record));
  EXPECT_EQ(CostNanos(record), stack.Provider("/bill")["total_nanos"].get<int64_t>());
}

TEST(Language, AShadowLimitCountsAndReportsAndNeverRefuses) {
  Stack stack;
  stack.DeployRoute(LimitedRoute({{"limitType", "tokens"}, {"limit", 500}, {"shadow", true}}));
  const QuotaView quota(stack);
  int denied = 0;
  for (int i = 0; i < 12; ++i) {
    Stack::ChatOptions options = Ask("red", i);
    options.stream = i % 2 == 0;
    const HttpAnswer answer = stack.Chat(options);
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.Header("signalbox-max-tokens"), "");
    const bool would_deny = absl::EndsWith(answer.Header("signalbox-limit"), "; shadow=denied");
    if (!would_deny) {
      EXPECT_THAT(answer.Header("signalbox-limit"), EndsWith("; shadow=passed"));
    }
    denied += would_deny;
    Quiet(quota, "red", v1::TOKENS);
  }
  EXPECT_GT(denied, 0);
  EXPECT_LT(denied, 12);
  int recorded = 0;
  for (const json& record : stack.AwaitRecords(12)) {
    EXPECT_EQ(record["outcome"], "SUCCESS");
    recorded += record["limits"][0].value("shadowDenied", false);
  }
  EXPECT_EQ(recorded, denied);
  EXPECT_EQ(quota.Team("red", v1::TOKENS).settled(), TokensOnTheBill(stack));
  EXPECT_GT(quota.Team("red", v1::TOKENS).settled(), 500) << "it counts past its limit";
  std::string metrics;
  for (size_t i = 0; i < 2; ++i) metrics += Call(stack.admin_address(i), "GET", "/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("signalbox_limit_shadow_denied_total{element=\"limit\",route=\"limited\"}"));

  // Nor does it refuse while nobody counts, although tokens deny on errors by default, or one whom it does not know.
  stack.quota().process->Kill();
  EXPECT_EQ(stack.Chat(Ask("red")).status, 200);
  stack.StartMember(stack.quota());
  EXPECT_TRUE(Eventually([&] { return quota.Team("red", v1::TOKENS).settled() == TokensOnTheBill(stack); }))
      << "it is counted afterwards";
  EXPECT_EQ(stack.Chat({.route = "limited", .metadata = {{"name", "nobody"}}}).status, 200);
}

TEST(Language, LimitsOfTwoRoutesWithOnePoolShareTheirCounter) {
  Stack stack;
  json other = json::parse(LimitedRoute({{"limitType", "count"}, {"limit", 4}}));
  other["name"] = "other";
  stack.DeployRoute(LimitedRoute({{"limitType", "count"}, {"limit", 8}}));
  stack.DeployRoute(other.dump());
  const auto chat = [&](const std::string& route, int i) {
    Stack::ChatOptions options = Ask("red", i);
    options.route = route;
    return stack.Chat(options).status;
  };
  for (int i = 0; i < 4; ++i) EXPECT_EQ(chat(i % 2 == 0 ? "limited" : "other", i), 200) << i;
  EXPECT_EQ(chat("other", 0), 429) << "4 are used, two of them by the other route";
  for (int i = 0; i < 4; ++i) EXPECT_EQ(chat("limited", i), 200) << "and its own limit is 8";
  EXPECT_EQ(chat("limited", 1), 429);
  EXPECT_EQ(QuotaView(stack).Team("red", v1::REQUESTS).settled(), 8);
}

TEST(Language, ACalendarDayEndsAtItsTimeZonesMidnight) {
  // Of two places half the world apart one is hours from midnight.
  const auto end_us = [](const std::string& timezone) {
    return CalendarWindow(v1::DAY, timezone, Clock::System().UnixMicros()).end_us;
  };
  const std::string timezone = end_us("Asia/Tokyo") > end_us("America/New_York") ? "Asia/Tokyo" : "America/New_York";
  Stack stack;
  stack.DeployRoute(LimitedRoute({{"limitType", "count"}, {"limit", 3}, {"window", "day"}, {"timezone", timezone}}));
  const double before = static_cast<double>(end_us(timezone) - Clock::System().UnixMicros()) / 1e6;
  const std::vector<HttpAnswer> answers = Parallel(12, 4, [&](int i) { return stack.Chat(Ask("red", i)); });
  const double after = static_cast<double>(end_us(timezone) - Clock::System().UnixMicros()) / 1e6;
  EXPECT_EQ(CountStatus(answers, 200), 3);
  for (const HttpAnswer& answer : answers) {
    EXPECT_LE(Figure(answer, "reset"), before + 1);
    EXPECT_GE(Figure(answer, "reset"), after);
    if (answer.status != 429) continue;
    // Reckoned a moment before the header.
    EXPECT_NEAR(std::atof(answer.Header("retry-after").c_str()), Figure(answer, "reset"), 1);
  }
}

TEST(Language, AListOfFieldsCountsEachCombination) {
  Stack stack;
  stack.DeployRoute(
      LimitedRoute({{"limitType", "count"}, {"limit", 5}, {"key", {"metadata.team", "metadata.user", "body.seed"}}}));
  const auto chat = [&](int i, const std::string& team, const std::string& user, const json& seed) {
    return stack.Chat({.proxy = static_cast<size_t>(i % 2),
                       .route = "limited",
                       .metadata = {{"team", team}, {"user", user}},
                       .body = {{"seed", seed}}});
  };
  const std::vector<std::pair<std::string, std::string>> combinations = {
      {"red", "ann"}, {"red", "bob"}, {"blue", "ann"}, {"blue", "bob"}};
  const std::vector<HttpAnswer> answers = Parallel(48, 8, [&](int i) {
    const auto& [team, user] = combinations[static_cast<size_t>(i) % 4];
    return chat(i, team, user, 5);
  });
  std::map<size_t, int> answered;
  for (size_t i = 0; i < answers.size(); ++i) answered[i % 4] += answers[i].status == 200;
  EXPECT_THAT(answered, testing::Each(testing::Pair(testing::_, 5)));
  EXPECT_EQ(chat(0, "red", "ann", "5").status, 200) << "5 is not \"5\"";
  const HttpAnswer half = stack.Chat(Ask("red"));
  EXPECT_EQ(half.status, 400);
  EXPECT_THAT(half.body, HasSubstr("metadata.user is missing"));
  EXPECT_EQ(QuotaView(stack).Counters("team").size(), 5u);
}

TEST(Language, OnErrorSaysWhatHappensWhileNobodyCounts) {
  Stack stack;
  const json tokens = {{"limitType", "tokens"}, {"limit", 100'000}, {"admission", "observed"}};
  stack.DeployRoute(LimitedRoute(tokens));
  json allowing = json::parse(LimitedRoute(tokens));
  allowing["name"] = "allowing";
  allowing["elements"][1]["properties"]["onError"] = "allow";
  stack.DeployRoute(allowing.dump());
  const QuotaView quota(stack);
  EXPECT_EQ(stack.Chat(Ask("red")).status, 200);
  const int64_t before = Quiet(quota, "red", v1::TOKENS).settled();
  EXPECT_EQ(before, TokensOnTheBill(stack));
  stack.quota().process->Kill();
  const HttpAnswer denied = stack.Chat(Ask("red"));
  EXPECT_EQ(denied.status, 503);
  EXPECT_EQ(denied.Header("retry-after"), "1");
  EXPECT_THAT(denied.body, HasSubstr("quota_unavailable"));
  for (int i = 0; i < 3; ++i) {
    Stack::ChatOptions options = Ask("red", i);
    options.route = "allowing";
    options.stream = i == 1;
    EXPECT_EQ(stack.Chat(options).status, 200);
  }
  stack.StartMember(stack.quota());
  EXPECT_TRUE(Eventually([&] { return quota.Team("red", v1::TOKENS).settled() == TokensOnTheBill(stack); }))
      << "what was let through is counted in tokens";
  EXPECT_GT(quota.Team("red", v1::TOKENS).settled(), before);
}

}  // namespace
}  // namespace signalbox
