// Answers for identical requests, through the whole stack: what is found, for whom, at what price, and what is not
// kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/controlplane/quota/redis_server.h"
#include "tests/integration/load.h"
#include "tests/integration/quota_view.h"
#include "tests/integration/route_elements.h"
#include "tests/testing/eventually.h"
#include "tests/testing/stack.h"

namespace signalbox {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const Headers kKeepTenMinutes = {{"cf-aig-cache-ttl", "600"}};

// A model whose failure ends the route.
json Model(const std::string& id, const std::string& model) {
  return {{"id", id},
          {"type", "model"},
          {"properties", {{"provider", "openai"}, {"model", model}, {"timeout", 60'000}, {"retries", 0}}},
          {"outputs", {{"success", To("end")}, {"fallback", To("end")}}}};
}

json Limit(const std::string& id, const std::string& type, double limit, const std::string& success,
           const std::string& fallback) {
  return {
      {"id", id},
      {"type", "rate"},
      {"properties",
       {{"limitType", type}, {"limit", limit}, {"key", "metadata.team"}, {"window", kLongWindowSeconds}, {"pool", id}}},
      {"outputs", {{"success", To(success)}, {"fallback", To(fallback)}}}};
}

// The elements between a start and an end, the first of them first.
std::string Route(const std::vector<json>& elements, const json& start = json::object()) {
  json all = {{{"id", "start"}, {"type", "start"}, {"outputs", {{"next", To(elements[0]["id"])}}}}};
  if (!start.empty()) all[0]["properties"] = start;
  for (const json& element : elements) all.push_back(element);
  all.push_back({{"id", "end"}, {"type", "end"}, {"outputs", json::object()}});
  return json{{"name", "cached"}, {"elements", all}}.dump();
}

std::string PlainRoute(const json& start = json::object()) { return Route({Model("model", "gpt-4o-mini")}, start); }

struct Question {
  std::string text = "What is a kite?";
  size_t proxy = 0;
  bool stream = false;
  std::string team = "red";
  std::string key;  // empty: the stack's
  json body = json::object();
  Headers headers = kKeepTenMinutes;
};

std::string BytesOf(Stack& stack, const Question& question) {
  json body = {{"messages", {{{"role", "user"}, {"content", question.text}}}}};
  body.update(question.body);
  std::string headers;
  for (const auto& [name, value] : question.headers) absl::StrAppend(&headers, name, ": ", value, "\r\n");
  return stack.ChatBytes({.route = "cached",
                          .metadata = {{"team", question.team}},
                          .stream = question.stream,
                          .body = body,
                          .key = question.key},
                         headers);
}

HttpAnswer Ask(Stack& stack, const Question& question) {
  const std::string bytes = BytesOf(stack, question);
  Headers headers = {{"authorization", absl::StrCat("Bearer ", question.key.empty() ? stack.key() : question.key)},
                     {"cf-aig-metadata", json{{"team", question.team}}.dump()}};
  headers.insert(headers.end(), question.headers.begin(), question.headers.end());
  return Call(stack.proxy_address(question.proxy), "POST", "/v1/chat/completions", headers,
              bytes.substr(bytes.find("\r\n\r\n") + 4));
}

std::string Status(const HttpAnswer& answer) {
  return answer.status == 200 ? answer.Header("cf-aig-cache-status") : absl::StrCat(answer.status, " ", answer.body);
}

size_t Sold(Stack& stack) { return stack.Provider("/bill")["requests"].size(); }

std::string Metrics(Stack& stack, size_t proxy = 0) { return Call(stack.admin_address(proxy), "GET", "/metrics").body; }

bool Waiting(Stack& stack, int requests) {
  return Eventually([&] {
    return absl::StrContains(Metrics(stack), absl::StrCat("signalbox_cache_waiting_requests ", requests, "\n"));
  });
}

// Gets and puts that the proxy's shared cache is done with, however they went.
int SharedCommands(Stack& stack, size_t proxy) {
  int commands = 0;
  for (absl::string_view line : absl::StrSplit(Metrics(stack, proxy), '\n')) {
    int count = 0;
    if (absl::StartsWith(line, "signalbox_cache_shared_total{") &&
        absl::SimpleAtoi(line.substr(line.rfind(' ') + 1), &count)) {
      commands += count;
    }
  }
  return commands;
}

size_t CountStatus(const std::vector<HttpAnswer>& answers, const std::string& status) {
  return static_cast<size_t>(std::count_if(answers.begin(), answers.end(),
                                           [&](const HttpAnswer& answer) { return Status(answer) == status; }));
}

int64_t Int(const json& object, const std::string& field) {
  const auto found = object.find(field);
  if (found == object.end()) return 0;
  return found->is_string() ? std::stoll(found->get<std::string>()) : found->get<int64_t>();
}

TEST(Cache, TheSameQuestionGetsTheSameAnswerByteForByteAndForNothing) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(PlainRoute());
  const HttpAnswer first = Ask(stack, {});
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.Header("cf-aig-cache-status"), "MISS");
  const HttpAnswer again = Ask(stack, {});
  ASSERT_EQ(again.status, 200) << again.body;
  EXPECT_EQ(again.Header("cf-aig-cache-status"), "HIT");
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(again.Header("content-type"), first.Header("content-type"));
  EXPECT_EQ(again.Header("cf-aig-provider"), "openai");
  EXPECT_EQ(again.Header("cf-aig-model"), "gpt-4o-mini");
  EXPECT_EQ(again.Header("signalbox-path"), "start/model/end");
  EXPECT_EQ(again.Header("signalbox-cost-usd"), "0.000000000");
  EXPECT_NE(again.Header("cf-aig-log-id"), first.Header("cf-aig-log-id"));
  EXPECT_NE(again.Header("age"), "");
  EXPECT_EQ(Sold(stack), 1u);

  const std::vector<json> records = stack.AwaitRecords(2);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].value("cache", ""), "HIT");
  EXPECT_EQ(CostNanos(records[0]), 0);
  EXPECT_EQ(Int(records[0], "tokens"), 0);
  EXPECT_EQ(records[0].value("outcome", ""), "SUCCESS");
  EXPECT_EQ(records[0].value("provider", ""), "openai");
  EXPECT_EQ(records[0].value("model", ""), "gpt-4o-mini");
  EXPECT_TRUE(records[0].value("attempts", json::array()).empty());
  EXPECT_EQ(records[1].value("cache", ""), "MISS");
  EXPECT_GT(CostNanos(records[1]), 0);
  const std::string metrics = Metrics(stack);
  EXPECT_THAT(metrics, HasSubstr("signalbox_cache_lookups_total{result=\"hit\"} 1\n"));
  EXPECT_THAT(metrics, HasSubstr("signalbox_cache_lookups_total{result=\"miss\"} 1\n"));
  EXPECT_THAT(metrics, HasSubstr("signalbox_cache_entries 1\n"));
}

TEST(Cache, AStreamIsReplayedAsTheStreamItWas) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(PlainRoute());
  const HttpAnswer first = Ask(stack, {.stream = true});
  ASSERT_EQ(Status(first), "MISS");
  EXPECT_THAT(first.body, HasSubstr("data: [DONE]"));
  const HttpAnswer again = Ask(stack, {.stream = true});
  EXPECT_EQ(Status(again), "HIT");
  EXPECT_EQ(again.body, first.body);
  EXPECT_THAT(again.Header("content-type"), StartsWith("text/event-stream"));
  EXPECT_EQ(again.Header("transfer-encoding"), "chunked");
  EXPECT_TRUE(again.complete);
  // Who did not ask for a stream is not given one, nor is who wants to be told the usage in it.
  EXPECT_EQ(Status(Ask(stack, {})), "MISS");
  const json with_usage = {{"stream_options", {{"include_usage", true}}}};
  const HttpAnswer told = Ask(stack, {.stream = true, .body = with_usage});
  EXPECT_EQ(Status(told), "MISS");
  EXPECT_THAT(told.body, HasSubstr("\"prompt_tokens\""));
  EXPECT_THAT(again.body, Not(HasSubstr("\"prompt_tokens\"")));
  EXPECT_EQ(Ask(stack, {.stream = true, .body = with_usage}).body, told.body);
  EXPECT_EQ(Sold(stack), 3u);
}

TEST(Cache, ARouteKeepsAnswersForItsCallersAndARequestMayOverruleIt) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(PlainRoute({{"cacheTtl", 600}}));
  EXPECT_EQ(Status(Ask(stack, {.headers = {}})), "MISS");
  EXPECT_EQ(Status(Ask(stack, {.headers = {}})), "HIT");
  EXPECT_EQ(Status(Ask(stack, {.headers = {{"cf-aig-skip-cache", "true"}}})), "") << "neither looked up nor kept";
  EXPECT_EQ(Status(Ask(stack, {.headers = {{"cf-aig-cache-ttl", "0"}}})), "");
  EXPECT_EQ(Sold(stack), 3u);
  EXPECT_EQ(Status(Ask(stack, {.headers = {}})), "HIT");
}

TEST(Cache, WithoutATimeToLiveNothingIsKept) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(PlainRoute());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Status(Ask(stack, {.headers = {}})), "");
  EXPECT_EQ(Sold(stack), 2u);
  EXPECT_THAT(Metrics(stack), HasSubstr("signalbox_cache_entries 0\n"));
}

TEST(Cache, AClientsOwnKeyStandsForTheBodyButNotForTheModel) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(Route({{{"id", "plan"},
                            {"type", "conditional"},
                            {"properties", {{"conditions", {{"metadata.team", {{"$eq", "red"}}}}}}},
                            {"outputs", {{"true", To("small")}, {"false", To("large")}}}},
                           Model("small", "gpt-4o-mini"),
                           Model("large", "gpt-5.1")}));
  const Headers headers = {{"cf-aig-cache-ttl", "600"}, {"cf-aig-cache-key", "faq-7"}};
  const HttpAnswer first = Ask(stack, {.text = "What is a kite?", .headers = headers});
  EXPECT_EQ(Status(first), "MISS");
  const HttpAnswer reworded = Ask(stack, {.text = "what's a kite", .headers = headers});
  EXPECT_EQ(Status(reworded), "HIT");
  EXPECT_EQ(reworded.body, first.body);
  EXPECT_EQ(Status(Ask(stack, {.text = "what's a kite", .team = "blue", .headers = headers})), "MISS");
  EXPECT_EQ(Status(Ask(stack, {.text = "what's a kite"})), "MISS");
}

TEST(Cache, FreeAndPaidUsersWithDifferentModelsNeverShare) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(Route({{{"id", "plan"},
                            {"type", "conditional"},
                            {"properties", {{"conditions", {{"metadata.team", {{"$eq", "free"}}}}}}},
                            {"outputs", {{"true", To("small")}, {"false", To("large")}}}},
                           Model("small", "gpt-4o-mini"),
                           Model("large", "gpt-5.1")}));
  EXPECT_EQ(Ask(stack, {.team = "free"}).Header("cf-aig-model"), "gpt-4o-mini");
  const HttpAnswer paid = Ask(stack, {.team = "paid"});
  EXPECT_EQ(Status(paid), "MISS");
  EXPECT_EQ(paid.Header("cf-aig-model"), "gpt-5.1");
  EXPECT_EQ(Status(Ask(stack, {.team = "free"})), "HIT");
  const HttpAnswer another = Ask(stack, {.team = "also paid"});
  EXPECT_EQ(Status(another), "HIT") << "one key, one model, one question: who asks does not matter";
  EXPECT_EQ(another.body, paid.body);
}

TEST(Cache, KeysShareOnlyWithinTheirGroup) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(PlainRoute());
  const std::string stranger = stack.CreateKey();
  const std::string one = stack.CreateKey({{"cacheGroup", "team"}});
  const std::string two = stack.CreateKey({{"cacheGroup", "team"}});
  const std::string other = stack.CreateKey({{"cacheGroup", "others"}});
  EXPECT_EQ(Status(Ask(stack, {})), "MISS");
  for (const std::string& key : {stranger, one, other}) {
    EXPECT_TRUE(Eventually([&] { return Ask(stack, {.key = key, .headers = {}}).status == 200; })) << "key not there";
    EXPECT_EQ(Status(Ask(stack, {.key = key})), "MISS");
  }
  EXPECT_TRUE(Eventually([&] { return Ask(stack, {.key = two, .headers = {}}).status == 200; }));
  EXPECT_EQ(Status(Ask(stack, {.key = two})), "HIT");
  EXPECT_EQ(Status(Ask(stack, {.key = stranger})), "HIT") << "its own";
}

TEST(Cache, GatewaysNeverShareNotEvenAGroupOfOneName) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(PlainRoute());
  stack.Api("POST", "/v1/gateways", {{"name", "other"}});
  stack.Api("PUT", "/v1/gateways/other/providers/openai",
            {{"provider", {{"kind", "openai"}, {"baseUrl", stack.provider_url()}}},
             {"secret", "sk-the-providers-own-secret"}});
  stack.Api("POST", "/v1/gateways/other/routes", {{"json", PlainRoute()}, {"deploy", true}});
  const std::string here = stack.CreateKey({{"cacheGroup", "team"}});
  const std::string there = stack.CreateKey({{"cacheGroup", "team"}}, "other");
  const auto ask_there = [&](const Headers& more) {
    const std::string bytes = BytesOf(stack, {});
    Headers headers = {{"authorization", absl::StrCat("Bearer ", there)}};
    headers.insert(headers.end(), more.begin(), more.end());
    return Call(stack.proxy_address(0), "POST", "/v1/account/other/compat/chat/completions", headers,
                bytes.substr(bytes.find("\r\n\r\n") + 4));
  };
  EXPECT_TRUE(Eventually([&] { return Ask(stack, {.key = here, .headers = {}}).status == 200; }));
  EXPECT_TRUE(Eventually([&] { return ask_there({}).status == 200; })) << ask_there({}).body;
  EXPECT_EQ(Status(Ask(stack, {.key = here})), "MISS");
  EXPECT_EQ(Status(ask_there(kKeepTenMinutes)), "MISS");
  EXPECT_EQ(Status(ask_there(kKeepTenMinutes)), "HIT");
}

TEST(Cache, ErrorsAndCutStreamsAreNotKept) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(PlainRoute());
  stack.ControlProvider({{"fail", "status=400"}});
  EXPECT_EQ(Ask(stack, {}).status, 400);
  stack.ControlProvider({{"fail", "500"}});
  EXPECT_EQ(Ask(stack, {}).status, 502);
  stack.ControlProvider({{"fail", "cut=4"}});
  EXPECT_THAT(Ask(stack, {.stream = true}).body, HasSubstr("stream_cut"));
  stack.ControlProvider({{"fail", "error_event=4"}});
  EXPECT_THAT(Ask(stack, {.stream = true}).body, Not(HasSubstr("[DONE]")));
  stack.ControlProvider({{"fail", ""}});
  EXPECT_EQ(Status(Ask(stack, {})), "MISS");
  const HttpAnswer stream = Ask(stack, {.stream = true});
  EXPECT_EQ(Status(stream), "MISS");
  EXPECT_THAT(stream.body, HasSubstr("[DONE]"));
}

// ---- Limits ----

TEST(Cache, AHitCountsAgainstRequestsAndTakesNothingElse) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(
      Route({Limit("requests", "count", 3, "tokens", "end"), Limit("tokens", "tokens", 1e6, "budget", "end"),
             Limit("budget", "cost", 10, "model", "end"), Model("model", "gpt-4o-mini")}));
  const QuotaView quota(stack);
  EXPECT_EQ(Status(Ask(stack, {})), "MISS");
  const int64_t cost = CostNanos(stack.AwaitRecords(1)[0]);
  EXPECT_GT(cost, 0);
  const HttpAnswer hit = Ask(stack, {});
  EXPECT_EQ(Status(hit), "HIT");
  EXPECT_THAT(hit.Header("signalbox-limit"), HasSubstr("pool=requests; unit=requests; limit=3; remaining=1"));
  EXPECT_EQ(hit.headers.count("signalbox-limit"), 1u) << "the other limits were not asked";
  EXPECT_EQ(Status(Ask(stack, {})), "HIT");
  EXPECT_EQ(Ask(stack, {}).status, 429);
  EXPECT_EQ(quota.Team("red", v1::REQUESTS, "requests").settled(), 3);
  v1::Counter budget = quota.Team("red", v1::NANO_DOLLARS, "budget");
  EXPECT_EQ(budget.settled(), cost);
  EXPECT_EQ(budget.held(), 0);
  EXPECT_EQ(quota.Team("red", v1::TOKENS, "tokens").held(), 0);
  const std::vector<json> records = stack.AwaitRecords(4);
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[0].value("outcome", ""), "REFUSED");
  EXPECT_EQ(records[1].value("identifier", ""), "red");
  EXPECT_EQ(quota.Team("red", v1::TOKENS, "tokens").settled(), Int(records[3], "tokens"));
}

TEST(Cache, AnExhaustedBudgetStillServesWhatIsPaidFor) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(Route({Limit("budget", "cost", 0.0005, "model", "end"), Model("model", "gpt-4o-mini")}));
  EXPECT_EQ(Status(Ask(stack, {})), "MISS");
  HttpAnswer refused;
  for (int i = 0; i < 200 && refused.status != 429; ++i) {
    refused = Ask(stack, {.text = absl::StrCat("Another question, number ", i), .headers = {}});
  }
  ASSERT_EQ(refused.status, 429) << "the budget was never exhausted: the test shows nothing";
  EXPECT_EQ(Status(Ask(stack, {})), "HIT");
}

TEST(Cache, AnAnswerCutAtACapThatTheGatewayLoweredIsNotKept) {
  Stack stack({.proxies = 1});
  // A sixteenth of the limit: some hundred tokens.
  stack.DeployRoute(Route({Limit("tokens", "tokens", 5'000, "model", "end"), Model("model", "gpt-4o-mini")}));
  const std::string text = "Tell me everything there is to know about kites. " + std::string(400, '.');
  for (const bool stream : {false, true}) {
    const Question question{.text = text, .stream = stream, .body = {{"max_tokens", 100'000}}};
    const HttpAnswer cut = Ask(stack, question);
    ASSERT_EQ(Status(cut), "MISS");
    ASSERT_NE(cut.Header("signalbox-max-tokens"), "");
    const bool was_cut = absl::StrContains(cut.body, "\"finish_reason\":\"length\"");
    EXPECT_EQ(Status(Ask(stack, question)), was_cut ? "MISS" : "HIT");
  }
}

// Without the cache the budget before the count would have been held: the way to the other model must hold it too.
TEST(Cache, WhenACountRefusesTheWayToAHitTheWayAroundIsPaidInFull) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(Route(
      {Limit("first", "count", 100, "budget", "end"), Limit("budget", "cost", 10, "requests", "end"),
       Limit("requests", "count", 1, "model", "other"), Model("model", "gpt-4o-mini"), Model("other", "gpt-5.1")}));
  const QuotaView quota(stack);
  EXPECT_EQ(Status(Ask(stack, {})), "MISS");
  const HttpAnswer around = Ask(stack, {});
  EXPECT_EQ(Status(around), "MISS");
  EXPECT_EQ(around.Header("cf-aig-model"), "gpt-5.1");
  EXPECT_EQ(around.Header("signalbox-path"), "start/first/budget/requests/other/end");
  int64_t spent = 0;
  for (const json& record : stack.AwaitRecords(2)) {
    EXPECT_EQ(record.value("cache", ""), "MISS");
    spent += CostNanos(record);
  }
  EXPECT_TRUE(Eventually([&] { return quota.Team("red", v1::NANO_DOLLARS, "budget").held() == 0; }));
  EXPECT_EQ(quota.Team("red", v1::NANO_DOLLARS, "budget").settled(), spent);
  EXPECT_EQ(quota.Team("red", v1::REQUESTS, "first").settled(), 2) << "each request once";
  EXPECT_EQ(quota.Team("red", v1::REQUESTS, "requests").settled(), 1);

  // The other model's answer is kept as well: the third asks neither model and holds nothing.
  const HttpAnswer third = Ask(stack, {});
  EXPECT_EQ(Status(third), "HIT");
  EXPECT_EQ(third.body, around.body);
  EXPECT_EQ(quota.Team("red", v1::REQUESTS, "first").settled(), 3);
  EXPECT_EQ(quota.Team("red", v1::NANO_DOLLARS, "budget").settled(), spent);
  EXPECT_EQ(Sold(stack), 2u);
}

TEST(Cache, AHitThatNeedsNoCountIsServedWhileTheQuotaServiceIsAway) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(Route({Limit("budget", "cost", 10, "model", "end"), Model("model", "gpt-4o-mini")}));
  EXPECT_EQ(Status(Ask(stack, {})), "MISS");
  stack.quota().process->Kill();
  EXPECT_EQ(Status(Ask(stack, {})), "HIT");
  EXPECT_EQ(Ask(stack, {.text = "Something new"}).status, 503);
}

// ---- In flight ----

TEST(Cache, FiftyIdenticalRequestsAtOnceAreOneCallOfTheProvider) {
  for (const bool stream : {false, true}) {
    Stack stack({.proxies = 1, .provider_flags = {"--latency_ms=500"}});
    stack.DeployRoute(Route({Limit("requests", "count", 1'000, "model", "end"), Model("model", "gpt-4o-mini")}));
    const QuotaView quota(stack);
    const std::vector<HttpAnswer> answers = Parallel(50, 50, [&](int) { return Ask(stack, {.stream = stream}); });
    EXPECT_EQ(CountStatus(answers, "MISS"), 1u);
    EXPECT_EQ(CountStatus(answers, "HIT"), 49u);
    std::set<std::string> bodies;
    for (const HttpAnswer& answer : answers) bodies.insert(answer.body);
    EXPECT_EQ(bodies.size(), 1u);
    EXPECT_EQ(Sold(stack), 1u);
    EXPECT_EQ(quota.Team("red", v1::REQUESTS, "requests").settled(), 50);
    int64_t paid = 0;
    for (const json& record : stack.AwaitRecords(50)) paid += CostNanos(record) > 0 ? 1 : 0;
    EXPECT_EQ(paid, 1);
  }
}

TEST(Cache, WhenTheFirstFailsOneOfTheOthersAsksAndTheRestGetItsAnswer) {
  Stack stack({.proxies = 1, .provider_flags = {"--fail=first=1:500+latency_ms=500", "--latency_ms=200"}});
  stack.DeployRoute(PlainRoute());
  const std::vector<HttpAnswer> answers = Parallel(20, 20, [&](int) { return Ask(stack, {}); });
  EXPECT_EQ(CountStatus(answers, "MISS"), 1u);
  EXPECT_EQ(CountStatus(answers, "HIT"), 18u);
  EXPECT_EQ(std::count_if(answers.begin(), answers.end(), [](const auto& answer) { return answer.status == 502; }), 1);
  EXPECT_EQ(Sold(stack), 2u) << "the call that failed, and one more";
}

TEST(Cache, WhenTheFirstLeavesTheNextAsks) {
  Stack stack({.proxies = 1, .provider_flags = {"--fail=hang"}});
  stack.DeployRoute(PlainRoute());
  auto first = std::make_unique<RawConnection>(stack.proxy_address(0));
  ASSERT_TRUE(first->Send(BytesOf(stack, {})));
  ASSERT_TRUE(Eventually([&] { return stack.Provider("/connections")["open_requests"] == 1; }));
  RawConnection second(stack.proxy_address(0));
  ASSERT_TRUE(second.Send(BytesOf(stack, {})));
  ASSERT_TRUE(Waiting(stack, 1));
  stack.ControlProvider({{"fail", ""}});
  first = nullptr;
  const std::string answer = second.ReadUntil("\"usage\"");
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("cf-aig-cache-status: MISS"));
  EXPECT_EQ(Status(Ask(stack, {})), "HIT");
}

TEST(Cache, AClientThatLeavesWhileItWaitsCostsNothingAndDisturbsNobody) {
  Stack stack({.proxies = 1, .provider_flags = {"--fail=hang"}});
  stack.DeployRoute(PlainRoute());
  RawConnection first(stack.proxy_address(0));
  ASSERT_TRUE(first.Send(BytesOf(stack, {})));
  ASSERT_TRUE(Eventually([&] { return stack.Provider("/connections")["open_requests"] == 1; }));
  {
    RawConnection second(stack.proxy_address(0));
    ASSERT_TRUE(second.Send(BytesOf(stack, {})));
    ASSERT_TRUE(Waiting(stack, 1));
  }
  ASSERT_TRUE(Waiting(stack, 0));
  const std::vector<json> records = stack.AwaitRecords(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].value("outcome", ""), "CANCELLED");
  EXPECT_EQ(CostNanos(records[0]), 0);
  EXPECT_TRUE(records[0].value("attempts", json::array()).empty());
  EXPECT_EQ(stack.Provider("/connections")["open_requests"], 1) << "the first still waits for its answer";
}

TEST(Cache, AnAnswerWhoseReaderLeftInTheMiddleIsNotKept) {
  Stack stack({.proxies = 1, .provider_flags = {"--fail=stall_after=4"}});
  stack.DeployRoute(PlainRoute());
  {
    RawConnection client(stack.proxy_address(0));
    ASSERT_TRUE(client.Send(BytesOf(stack, {.stream = true})));
    EXPECT_THAT(client.ReadUntil("\"delta\":{\"content\""), HasSubstr("HTTP/1.1 200"));
  }
  ASSERT_TRUE(Eventually([&] { return stack.Provider("/connections")["open_requests"] == 0; }));
  stack.ControlProvider({{"fail", ""}});
  const HttpAnswer whole = Ask(stack, {.stream = true});
  EXPECT_EQ(Status(whole), "MISS");
  EXPECT_THAT(whole.body, HasSubstr("[DONE]"));
}

// ---- Shared ----

TEST(Cache, ProxiesThatNameOneRedisShareAndDoWithoutItWhenItIsGone) {
  absl::StatusOr<std::unique_ptr<testing::RedisServer>> redis = testing::RedisServer::Start();
  ASSERT_TRUE(redis.ok()) << redis.status();
  Stack stack({.proxies = 0});
  const std::string flag = absl::StrCat("--cache=", (*redis)->url(), "/3?prefix=fleet");
  stack.AddProxy({flag});
  stack.AddProxy({flag});
  stack.AddProxy();
  stack.DeployRoute(PlainRoute());
  // On a slow machine Redis may answer too late, which is a miss by design: one of these will be in time.
  Question question{.stream = true};
  bool shared = false;
  for (int i = 0; i < 20 && !shared; ++i) {
    question.text = absl::StrCat("What is kite number ", i, "?");
    question.proxy = 0;
    const HttpAnswer first = Ask(stack, question);
    EXPECT_EQ(Status(first), "MISS");
    EXPECT_TRUE(Eventually([&] { return SharedCommands(stack, 0) == 2 * (i + 1); })) << Metrics(stack, 0);
    question.proxy = 1;
    const HttpAnswer second = Ask(stack, question);
    shared = Status(second) == "HIT";
    EXPECT_TRUE(!shared || second.body == first.body);
  }
  EXPECT_TRUE(shared);
  EXPECT_THAT(Metrics(stack, 1), HasSubstr("signalbox_cache_lookups_total{result=\"shared_hit\"} 1\n"));
  question.proxy = 2;
  EXPECT_EQ(Status(Ask(stack, question)), "MISS") << "it names no Redis";

  (*redis)->Kill();
  question.proxy = 1;
  EXPECT_EQ(Status(Ask(stack, question)), "HIT") << "kept in its own memory meanwhile";
  EXPECT_EQ(Status(Ask(stack, {.text = "Something new", .proxy = 0})), "MISS");
  EXPECT_EQ(Status(Ask(stack, {.text = "Something new", .proxy = 0})), "HIT");
  EXPECT_THAT(Metrics(stack, 0), HasSubstr("signalbox_cache_shared_connected 0\n"));
}

}  // namespace
}  // namespace signalbox
