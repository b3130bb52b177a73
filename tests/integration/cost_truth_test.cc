// Cost truth: after a seeded mix of everything that can happen to a request, what the ledger charged is what the quota
// service settled and what the provider billed. SIGNALBOX_TRUTH_SEED repeats a run's mix (not its interleaving).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/integration/books.h"
#include "tests/integration/load.h"
#include "tests/integration/route_elements.h"

namespace signalbox {
namespace {

using nlohmann::json;

constexpr int kRequests = 400;
constexpr int kThreads = 16;
constexpr int kUsers = 6;
constexpr size_t kProxies = 2;

const std::vector<OddPrice> kPrices = {
    {"truth-a", "1.234567891", "0.123456789", "1.543209864", "9.876543211", "40.000000007", "80.000000013"},
    {"truth-b", "3.000000001", "0.300000001", "3.750000002", "15.000000007", "33.333333337", "66.666666661"},
};
const std::vector<std::string> kPools = {"count", "tokens", "dollars", "watched", "observed"};

json Model(const std::string& id, const std::string& model, int retries, const std::string& fallback) {
  return {{"id", id},
          {"type", "model"},
          {"properties",
           {{"provider", "openai"}, {"model", model}, {"timeout", 400}, {"retries", retries}, {"backoff", "constant"}}},
          {"outputs", {{"success", To("end")}, {"fallback", To(fallback)}}}};
}

// Requests, tokens and dollars strictly, a shadow over them, then two models; whoever has no dollars left, or a plan of
// another name, is only observed.
std::string Route() {
  const json elements = {{{"id", "start"}, {"type", "start"}, {"outputs", {{"next", To("plan")}}}},
                         {{"id", "plan"},
                          {"type", "conditional"},
                          {"properties", {{"conditions", {{"metadata.plan", "strict"}}}}},
                          {"outputs", {{"true", To("count")}, {"false", To("observed")}}}},
                         UserLimit("count", "count", 10'000, "tokens", "end"),
                         UserLimit("tokens", "tokens", 60'000, "dollars", "end"),
                         UserLimit("dollars", "cost", 0.4, "watched", "observed"),
                         UserLimit("watched", "cost", 0.0001, "model-a", "end", {{"shadow", true}}),
                         UserLimit("observed", "cost", 0.2, "model-b", "end", {{"admission", "observed"}}),
                         Model("model-a", "truth-a", 1, "model-a2"),
                         Model("model-a2", "truth-b", 0, "end"),
                         Model("model-b", "truth-b", 1, "end"),
                         {{"id", "end"}, {"type", "end"}, {"outputs", json::object()}}};
  return json{{"name", "truth"}, {"elements", elements}}.dump();
}

// How one request goes, drawn before anything runs.
struct Plan {
  Stack::ChatOptions chat;
  std::string headers;
  enum Client {
    kStays,
    kClosesAtOnce,
    kClosesAtHead,
    kClosesMidBody,
    kResets,
    kHalfCloses,
    kClosesSoon
  } client = kStays;
  int patience_us = 0;  // of kClosesSoon and kResets
};

std::vector<Plan> Draw(uint64_t seed) {
  const std::vector<std::string> shapes = {"openai",       "deepseek", "groq",       "last_chunk", "moonshot",
                                           "every_chunk",  "xai",      "total_only", "openrouter", "cache_inside",
                                           "cache_beside", "audio",    "negative",   "text"};
  const std::vector<std::string> fates = {"nth=1:503",
                                          "nth=1:model=truth-a:billed_status=500",
                                          "model=truth-a:billed_status=404",
                                          "model=truth-a:429",
                                          "status=400",
                                          "nth=1:reset",
                                          "nth=1:cut=3",
                                          "cut=5",
                                          "cut_at_end",
                                          "no_usage",
                                          "zero_usage",
                                          "reset_after",
                                          "nth=1:hang",
                                          "error_event=0",
                                          "error_event=1",
                                          "error_event=4",
                                          "malformed",
                                          "latency_ms=20",
                                          "nth=1:no_usage",
                                          "hang",
                                          "nth=2:no_usage",
                                          "nth=1:cut_at_end,nth=2:reset_after"};
  std::mt19937_64 random(seed);
  const auto below = [&random](size_t n) { return static_cast<size_t>(random() % n); };
  std::vector<Plan> plans(kRequests);
  for (Plan& plan : plans) {
    plan.chat.proxy = below(kProxies);
    plan.chat.route = "truth";
    plan.chat.stream = below(2) == 0;
    plan.chat.metadata = {{"user", absl::StrCat("user-", below(kUsers))}, {"plan", below(4) == 0 ? "seen" : "strict"}};
    std::string prompt = "Describe";
    for (size_t words = below(200); words > 0; --words) prompt += below(9) == 0 ? " d\u00e9j\u00e0" : " kite";
    json& body = plan.chat.body;
    body["messages"] = {{{"role", "user"}, {"content", prompt}}};
    if (below(3) != 0) body["max_tokens"] = 1 + below(200);
    if (below(5) == 0) body["n"] = 2;
    if (below(3) == 0) body["reasoning_effort"] = "low";
    if (below(3) == 0) body["prompt_cache_key"] = "kites";
    if (plan.chat.stream && below(2) == 0) body["stream_options"] = {{"include_usage", true}};
    plan.headers = absl::StrCat("connection: close\r\nx-sim-usage: ", shapes[below(shapes.size())], "\r\n");
    if (below(2) == 0) absl::StrAppend(&plan.headers, "x-sim-fail: ", fates[below(fates.size())], "\r\n");
    if (below(4) == 0) plan.client = static_cast<Plan::Client>(1 + below(6));
    plan.patience_us = static_cast<int>(below(30'000));
  }
  return plans;
}

HttpAnswer Play(Stack& stack, const Plan& plan) {
  HttpAnswer answer;
  RawConnection connection(stack.proxy_address(plan.chat.proxy));
  if (!connection.connected() || !connection.Send(stack.ChatBytes(plan.chat, plan.headers))) return answer;
  std::string text;
  switch (plan.client) {
    case Plan::kClosesAtOnce:
      return answer;
    case Plan::kClosesAtHead:
      connection.ReadUntil("\r\n\r\n");
      return answer;
    case Plan::kClosesMidBody:
      connection.ReadUntil("\"content\"");
      return answer;
    case Plan::kResets:
    case Plan::kClosesSoon:
      std::this_thread::sleep_for(std::chrono::microseconds(plan.patience_us));
      if (plan.client == Plan::kResets) connection.Reset();
      return answer;
    case Plan::kHalfCloses:
      connection.HalfClose();
      [[fallthrough]];
    case Plan::kStays:
      text = connection.ReadToEnd();
  }
  if (text.size() > 12) answer.status = std::atoi(text.c_str() + 9);
  answer.body = text;
  return answer;
}

uint64_t Seed() {
  uint64_t seed = 20'251'122;
  const char* const chosen = std::getenv("SIGNALBOX_TRUTH_SEED");
  EXPECT_TRUE(chosen == nullptr || absl::SimpleAtoi(chosen, &seed)) << chosen;
  return seed;
}

TEST(CostTruth, LedgerQuotaAndBillAgreeAfterEverythingThatCanHappen) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(absl::StrCat("SIGNALBOX_TRUTH_SEED=", seed));
  Stack stack({.proxies = kProxies,
               .provider_flags = {"--latency_ms=2", "--chunk_interval_ms=1"},
               .provider_prices = PriceFile(kPrices)});
  SetPrices(stack, kPrices);
  stack.DeployRoute(Route());
  const QuotaView quota(stack);
  const std::vector<Plan> plans = Draw(seed);
  std::map<int, int> statuses;
  for (const HttpAnswer& answer :
       Parallel(kRequests, kThreads, [&](int i) { return Play(stack, plans[static_cast<size_t>(i)]); })) {
    ++statuses[answer.status];
  }
  const Books books = CloseBooks(stack, quota, kProxies, kPools);
  ExpectQuotaEqualsLedger(quota, books, kPools);
  const Matched matched = ExpectLedgerEqualsBill(books);

  // Operators see the same sums, and which part of them is estimated.
  const json usage = stack.Api("GET", "/v1/gateways/default/usage?by=route");
  int64_t cost = 0;
  int64_t estimated = 0;
  for (const json& row : usage["rows"]) {
    cost += Number(row, "costNanos");
    estimated += Number(row, "estimatedNanos");
  }
  EXPECT_EQ(cost, matched.exact_nanos + matched.estimated_nanos);
  EXPECT_EQ(estimated, matched.estimated_nanos);

  // The mix was one.
  std::map<std::string, int> outcomes;
  for (const json& record : books.records) ++outcomes[record.value("outcome", "")];
  const auto at_least = [&](const std::string& outcome, int count) {
    EXPECT_GE(outcomes[outcome], count) << json(outcomes);
  };
  at_least("SUCCESS", 100);
  at_least("REFUSED", 3);
  at_least("CANCELLED", 10);
  at_least("ERROR", 10);
  EXPECT_GE(matched.exact, 100);
  EXPECT_GE(matched.estimated, 30);
  EXPECT_GE(matched.failed_but_billed, 3);
  EXPECT_GE(statuses[429], 1);
}

}  // namespace
}  // namespace signalbox
