// Counters over real gRPC, on a scripted quota service of the same process.
#include "common/limits.h"
#include "controlplane/api/limit_lookup.h"
#include "tests/controlplane/api/api_fixture.h"

namespace signalbox {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Keeps counters in a list, the fullest first when asked, and what was asked of it.
class ScriptedQuota : public v1::Quota::Service {
 public:
  grpc::Status GetCounter(grpc::ServerContext* context, const v1::GetCounterRequest* request,
                          v1::Counter* response) override {
    if (!status.ok()) return status;
    *response->mutable_key() = request->counter();
    for (const v1::Counter& counter : counters) {
      if (counter.key().SerializeAsString() == request->counter().SerializeAsString()) *response = counter;
    }
    return grpc::Status::OK;
  }
  grpc::Status ListCounters(grpc::ServerContext* context, const v1::ListCountersRequest* request,
                            v1::ListCountersResponse* response) override {
    if (!status.ok()) return status;
    int64_t in_pool = 0;
    const int size = request->page_size() == 0 ? kPageSizeDefault : request->page_size();
    for (const v1::Counter& counter : counters) {
      if (counter.key().gateway() != request->gateway() || counter.key().pool() != request->pool()) continue;
      ++in_pool;
      const bool whose = request->identifier().empty() ||
                         IdentifierText(request->identifier()) == IdentifierText(counter.key().identifier());
      if (whose && response->counters_size() < size) *response->add_counters() = counter;
    }
    response->set_counters_in_pool(in_pool);
    return grpc::Status::OK;
  }
  grpc::Status AdjustCounter(grpc::ServerContext* context, const v1::AdjustCounterRequest* request,
                             v1::Adjustment* response) override {
    if (!status.ok()) return status;
    tokens.push_back(BearerOf(*context));
    for (const v1::Adjustment& made : adjustments) {
      if (made.request().adjustment_id() == request->adjustment_id()) {
        *response = made;
        return grpc::Status::OK;
      }
    }
    response->set_sequence(static_cast<int64_t>(adjustments.size()) + 1);
    response->set_time_us(1'750'000'000'000'000);
    *response->mutable_request() = *request;
    *response->mutable_before()->mutable_key() = request->key();
    *response->mutable_after()->mutable_key() = request->key();
    response->mutable_before()->set_used(10);
    if (!request->reset()) response->mutable_after()->set_used(10 + request->delta());
    adjustments.push_back(*response);
    return grpc::Status::OK;
  }
  grpc::Status ListAdjustments(grpc::ServerContext* context, const v1::ListAdjustmentsRequest* request,
                               v1::ListAdjustmentsResponse* response) override {
    if (!status.ok()) return status;
    for (const v1::Adjustment& made : adjustments) {
      if (made.sequence() > request->after_sequence() && response->adjustments_size() < 3) {
        *response->add_adjustments() = made;
      }
    }
    return grpc::Status::OK;
  }
  static std::string BearerOf(const grpc::ServerContext& context) {
    const auto found = context.client_metadata().find("authorization");
    return found == context.client_metadata().end() ? "" : std::string(found->second.data(), found->second.size());
  }

  grpc::Status status;
  std::vector<v1::Counter> counters;
  std::vector<v1::Adjustment> adjustments;
  std::vector<std::string> tokens;
};

// start -> limits in a chain -> model -> end; each limit as {id, properties}.
std::string LimitedRoute(const std::string& name, const std::vector<std::pair<std::string, std::string>>& limits) {
  std::string elements;
  for (size_t i = 0; i < limits.size(); ++i) {
    const std::string next = i + 1 < limits.size() ? limits[i + 1].first : "mini";
    absl::StrAppend(&elements, R"({"id": ")", limits[i].first, R"(", "type": "rate", "properties": )", limits[i].second,
                    R"(, "outputs": {"success": {"elementId": ")", next, R"("}}},)");
  }
  return absl::StrCat(R"({"name": ")", name, R"(", "elements": [
  {"id": "start", "type": "start", "outputs": {"next": {"elementId": ")",
                      limits[0].first, R"("}}},)", elements, R"(
  {"id": "mini", "type": "model", "properties": {"provider": "openai", "model": "gpt-4o-mini"},
   "outputs": {"success": {"elementId": "end"}}},
  {"id": "end", "type": "end", "outputs": {}}]})");
}

constexpr char kPerDay[] = R"({"limitType": "count", "key": "metadata.email", "limit": 10, "window": 86400})";
constexpr char kDollars[] =
    R"({"limitType": "cost", "key": "metadata.email", "limit": 1.5, "window": 86400, "pool": "wallet"})";

class CountersApiTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    grpc::ServerBuilder builder;
    builder.RegisterService(&quota_);
    quota_server_ = builder.BuildAndStart();
    quota_connection_.Connect(quota_server_->InProcessChannel({}), "planes-own", "embedded");
    v1::ApplyProviderRequest provider;
    provider.mutable_provider()->set_gateway("default");
    provider.mutable_provider()->set_name("openai");
    provider.mutable_provider()->set_kind("openai");
    provider.mutable_provider()->set_base_url("http://127.0.0.1:1/v1");
    ASSERT_TRUE(Call(*providers_, &v1::Providers::Stub::ApplyProvider, provider).ok());
  }
  void TearDown() override {
    ApiTest::TearDown();
    quota_server_->Shutdown();
  }
  v1::Route Deploy(const std::string& name, const std::vector<std::pair<std::string, std::string>>& limits) {
    const auto created = CreateRoute(LimitedRoute(name, limits), /*deploy=*/true);
    EXPECT_TRUE(created.ok()) << created.status();
    return created.ok() ? created->route() : v1::Route();
  }
  v1::Counter& Count(const std::string& pool, const std::string& who, int64_t used, v1::Unit unit = v1::REQUESTS,
                     int64_t window_seconds = 86'400) {
    v1::Counter& counter = quota_.counters.emplace_back();
    counter.mutable_key()->set_gateway("default");
    counter.mutable_key()->set_pool(pool);
    counter.mutable_key()->set_unit(unit);
    counter.mutable_key()->set_window_seconds(window_seconds);
    counter.mutable_key()->set_technique(v1::FIXED);
    counter.mutable_key()->add_identifier()->set_string_value(who);
    counter.set_used(used);
    counter.set_settled(used);
    return counter;
  }
  // By route and element, or by pool alone.
  template <typename Request>
  static Request Name(const std::string& route, const std::string& element, const std::string& pool,
                      const std::vector<std::string>& who) {
    Request request;
    request.set_gateway("default");
    request.set_route(route);
    request.set_element(element);
    request.set_pool(pool);
    request.mutable_identifier()->Assign(who.begin(), who.end());
    return request;
  }
  absl::StatusOr<v1::LimitCounter> Get(const std::string& route, const std::string& element, const std::string& pool,
                                       const std::vector<std::string>& who) {
    return Call(*counters_, &v1::Counters::Stub::GetCounter,
                Name<v1::GetLimitCounterRequest>(route, element, pool, who));
  }
  absl::StatusOr<v1::CounterAdjustment> Reset(v1::ResetCounterRequest request, const std::string& why = "a refund") {
    request.set_why(why);
    return Call(*counters_, &v1::Counters::Stub::ResetCounter, request);
  }
  absl::StatusOr<v1::CounterAdjustment> Adjust(v1::AdjustLimitCounterRequest request, const std::string& amount,
                                               const std::string& id = "") {
    request.set_why("a gift");
    request.set_amount(amount);
    request.set_adjustment_id(id);
    return Call(*counters_, &v1::Counters::Stub::AdjustCounter, request);
  }

  ScriptedQuota quota_;
  std::unique_ptr<grpc::Server> quota_server_;
};

TEST_F(CountersApiTest, ALimitsCounterIsReadByRouteAndElementWithWhatRemains) {
  const v1::Route route = Deploy("my-saas", {{"per-day", kPerDay}, {"budget", kDollars}});
  Count(route.id() + "/per-day", "ada@example.com", 7);
  Count("wallet", "ada@example.com", 2'000'000'000, v1::NANO_DOLLARS);
  const auto requests = Get("my-saas", "per-day", "", {"ada@example.com"});
  ASSERT_TRUE(requests.ok()) << requests.status();
  EXPECT_EQ(requests->identifier(), "ada@example.com");
  EXPECT_EQ(requests->counter().used(), 7);
  EXPECT_EQ(requests->limit(), 10);
  EXPECT_EQ(requests->remaining(), 3);
  const auto dollars = Get(route.id(), "budget", "", {"ada@example.com"});
  ASSERT_TRUE(dollars.ok()) << dollars.status();
  EXPECT_EQ(dollars->counter().key().unit(), v1::NANO_DOLLARS);
  EXPECT_EQ(dollars->limit(), 1'500'000'000);
  EXPECT_EQ(dollars->remaining(), 0) << "never below zero";
}

TEST_F(CountersApiTest, ARoutesOnlyLimitNeedsNoElementAndSeveralAreNamed) {
  Deploy("one", {{"per-day", kPerDay}});
  Deploy("two", {{"per-day", kPerDay}, {"budget", kDollars}});
  EXPECT_TRUE(Get("one", "", "", {"ada"}).ok());
  ExpectRefused(Get("two", "", "", {"ada"}).status(), absl::StatusCode::kInvalidArgument,
                AllOf(HasSubstr("element: is missing"), HasSubstr("per-day, budget")));
  ExpectRefused(Get("two", "budge", "", {"ada"}).status(), absl::StatusCode::kNotFound,
                HasSubstr("has no limit at an element \"budge\" (known: per-day, budget)"));
}

TEST_F(CountersApiTest, TheDeployedVersionsLimitCounts) {
  const auto draft = CreateRoute(LimitedRoute("later", {{"per-day", kPerDay}}));
  ASSERT_TRUE(draft.ok()) << draft.status();
  ExpectRefused(Get("later", "per-day", "", {"ada"}).status(), absl::StatusCode::kFailedPrecondition,
                HasSubstr("route \"later\" is not deployed"));
  Deploy("plain", {{"per-day", kPerDay}});
  ASSERT_TRUE(SaveVersion("plain", LimitedRoute("plain", {{"per-hour", kPerDay}})).ok());
  EXPECT_TRUE(Get("plain", "per-day", "", {"ada"}).ok()) << "v2 is not deployed";
  EXPECT_EQ(Get("plain", "per-hour", "", {"ada"}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(CountersApiTest, APoolNamesItsLimitWhereItsLimitsAgree) {
  Deploy("a", {{"budget", kDollars}});
  const auto counter = Get("", "", "wallet", {"ada"});
  ASSERT_TRUE(counter.ok()) << counter.status();
  EXPECT_EQ(counter->limit(), 1'500'000'000);
  EXPECT_EQ(counter->counter().key().unit(), v1::NANO_DOLLARS);
  Deploy("b", {{"budget", R"({"limitType": "cost", "key": "metadata.email", "limit": 3, "window": 86400,
                              "pool": "wallet"})"}});
  EXPECT_FALSE(Get("", "", "wallet", {"ada"})->has_limit()) << "1.5 in one route, 3 in the other";
  Deploy("c", {{"hourly", R"({"limitType": "cost", "key": "metadata.email", "limit": 3, "window": 3600,
                              "pool": "wallet"})"}});
  ExpectRefused(Get("", "", "wallet", {"ada"}).status(), absl::StatusCode::kFailedPrecondition,
                AllOf(HasSubstr("several units or windows"), HasSubstr("c/hourly (dollars per 3600 s)")));
}

TEST_F(CountersApiTest, APoolThatNoRouteUsesAnyMoreIsFoundByWhatIsCountedThere) {
  Count("old", "ada", 4);
  EXPECT_EQ(Get("", "", "old", {"ada"})->counter().used(), 4);
  ExpectRefused(Get("", "", "old", {"bob"}).status(), absl::StatusCode::kNotFound,
                AllOf(HasSubstr("no deployed route has a limit in pool \"old\""), HasSubstr("for bob")));
  Count("old", "ada", 4, v1::REQUESTS, 3'600);
  EXPECT_EQ(Get("", "", "old", {"ada"}).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(CountersApiTest, TheTopOfALimitLeavesOutWhatOtherLimitsOfItsPoolCount) {
  Deploy("a", {{"budget", kDollars}});
  Count("wallet", "eve", 9, v1::REQUESTS);
  Count("wallet", "ada", 900'000'000, v1::NANO_DOLLARS);
  Count("wallet", "bob", 1, v1::NANO_DOLLARS);
  const auto top =
      Call(*counters_, &v1::Counters::Stub::ListCounters, Name<v1::ListLimitCountersRequest>("a", "budget", "", {}));
  ASSERT_TRUE(top.ok()) << top.status();
  EXPECT_EQ(top->pool(), "wallet");
  EXPECT_EQ(top->counters_in_pool(), 3);
  ASSERT_EQ(top->counters_size(), 2);
  EXPECT_EQ(top->counters(0).identifier(), "ada");
  EXPECT_EQ(top->counters(0).remaining(), 600'000'000);
  EXPECT_EQ(top->counters(1).identifier(), "bob");
  auto one = Name<v1::ListLimitCountersRequest>("", "", "wallet", {});
  one.set_page_size(1);
  const auto first = Call(*counters_, &v1::Counters::Stub::ListCounters, one);
  ASSERT_EQ(first->counters_size(), 1);
  EXPECT_FALSE(first->counters(0).has_limit()) << "no deployed limit counts requests there";
}

TEST_F(CountersApiTest, WhoAdjustedIsTheTokenAndNotTheClientsWord) {
  Deploy("a", {{"per-day", kPerDay}});
  const auto made = Reset(Name<v1::ResetCounterRequest>("a", "", "", {"ada"}));
  ASSERT_TRUE(made.ok()) << made.status();
  v1::ListTokensResponse tokens = *Call(*admin_, &v1::Admin::Stub::ListTokens, v1::ListTokensRequest());
  ASSERT_GE(tokens.tokens_size(), 1);
  EXPECT_EQ(made->who(), absl::StrCat("admin (", tokens.tokens(0).id(), ")"));
  EXPECT_EQ(made->why(), "a refund");
  EXPECT_TRUE(made->reset());
  EXPECT_EQ(made->before().counter().used(), 10);
  EXPECT_EQ(made->after().remaining(), 10);
  EXPECT_EQ(quota_.adjustments[0].request().who(), made->who());
  EXPECT_THAT(quota_.tokens, ElementsAre("Bearer planes-own")) << "the operator's own token stays here";
}

TEST_F(CountersApiTest, AnAdjustmentIsInTheUnitOfTheLimitToTheNanoDollar) {
  Deploy("a", {{"per-day", kPerDay}, {"budget", kDollars}});
  const auto dollars = Adjust(Name<v1::AdjustLimitCounterRequest>("a", "budget", "", {"ada"}), "-0.000000001");
  ASSERT_TRUE(dollars.ok()) << dollars.status();
  EXPECT_EQ(dollars->amount(), -1);
  EXPECT_EQ(Adjust(Name<v1::AdjustLimitCounterRequest>("a", "per-day", "", {"ada"}), "5")->amount(), 5);
  ExpectRefused(Adjust(Name<v1::AdjustLimitCounterRequest>("a", "per-day", "", {"ada"}), "0.5").status(),
                absl::StatusCode::kInvalidArgument, HasSubstr("\"0.5\" is no amount: give a whole number"));
}

TEST_F(CountersApiTest, TheSameIdAdjustsOnce) {
  Deploy("a", {{"per-day", kPerDay}});
  const auto request = Name<v1::AdjustLimitCounterRequest>("a", "", "", {"ada"});
  ASSERT_TRUE(Adjust(request, "5", "id-1").ok());
  ASSERT_TRUE(Adjust(request, "5", "id-1").ok());
  EXPECT_EQ(quota_.adjustments.size(), 1u);
  ASSERT_TRUE(Adjust(request, "5").ok());
  ASSERT_TRUE(Adjust(request, "5").ok());
  EXPECT_EQ(quota_.adjustments.size(), 3u) << "without an id each is one of its own";
}

TEST_F(CountersApiTest, AnAdjustmentWithoutAReasonIsRefused) {
  Deploy("a", {{"per-day", kPerDay}});
  const auto request = Name<v1::ResetCounterRequest>("a", "", "", {"ada"});
  ExpectRefused(Reset(request, " ").status(), absl::StatusCode::kInvalidArgument, HasSubstr("why: is missing"));
  ExpectRefused(Reset(request, std::string(2'000, 'x')).status(), absl::StatusCode::kInvalidArgument,
                HasSubstr("why: is over 1024 bytes"));
  EXPECT_THAT(quota_.adjustments, IsEmpty());
}

TEST_F(CountersApiTest, IdentifiersAreTypedAndCombinationsHaveAValueForEachField) {
  Deploy("a", {{"per-day", kPerDay}});
  auto request = Name<v1::ResetCounterRequest>("a", "", "", {"5"});
  request.add_identifier_type("number");
  ASSERT_TRUE(Reset(request).ok());
  EXPECT_EQ(quota_.adjustments[0].request().key().identifier(0).number_value(), 5);
  ExpectRefused(Reset(Name<v1::ResetCounterRequest>("a", "", "", {"ada", "gold"})).status(),
                absl::StatusCode::kInvalidArgument,
                HasSubstr("has 2 values, and the key of a/per-day has 1: metadata.email"));
  ExpectRefused(Reset(Name<v1::ResetCounterRequest>("a", "", "", {})).status(), absl::StatusCode::kInvalidArgument,
                HasSubstr("identifier: is missing"));
}

TEST_F(CountersApiTest, TheLogIsNewestFirstInPagesAndOnlyOfItsGateway) {
  Deploy("a", {{"per-day", kPerDay}});
  for (const char* who : {"ada", "bob", "ada", "cy", "ada"}) {
    ASSERT_TRUE(Reset(Name<v1::ResetCounterRequest>("a", "", "", {who})).ok());
  }
  quota_.adjustments[3].mutable_request()->mutable_key()->set_gateway("staging");
  v1::ListCounterAdjustmentsRequest request;
  request.set_gateway("default");
  request.set_page_size(2);
  std::vector<std::string> seen;
  do {
    const auto page = Call(*counters_, &v1::Counters::Stub::ListAdjustments, request);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const v1::CounterAdjustment& made : page->adjustments()) seen.push_back(made.after().identifier());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(seen, ElementsAre("ada", "ada", "bob", "ada"));
  request.add_identifier("bob");
  EXPECT_EQ(Call(*counters_, &v1::Counters::Stub::ListAdjustments, request)->adjustments_size(), 1);
  request.set_gateway("nowhere");
  EXPECT_EQ(Call(*counters_, &v1::Counters::Stub::ListAdjustments, request).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(CountersApiTest, AProxysTokenMayNotReadOrChangeCounters) {
  Deploy("a", {{"per-day", kPerDay}});
  token_ = *ReadTokenFile(dir_.path() + "/proxy.token");
  EXPECT_EQ(Get("a", "", "", {"ada"}).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Reset(Name<v1::ResetCounterRequest>("a", "", "", {"ada"})).status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(quota_.adjustments, IsEmpty());
}

TEST_F(CountersApiTest, WhatTheQuotaServiceRefusesOrDoesNotAnswerSaysTheRemedy) {
  Deploy("a", {{"per-day", kPerDay}});
  quota_.status = grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "needs an admin token");
  ExpectRefused(Reset(Name<v1::ResetCounterRequest>("a", "", "", {"ada"})).status(),
                absl::StatusCode::kFailedPrecondition, HasSubstr("make its line in the service's token file \"admin"));
  quota_.status = grpc::Status(grpc::StatusCode::UNAVAILABLE, "shutting down");
  ExpectRefused(Get("a", "", "", {"ada"}).status(), absl::StatusCode::kUnavailable,
                HasSubstr("the quota service (embedded) does not answer: shutting down"));
}

class NoQuotaApiTest : public ApiTest {};

TEST_F(NoQuotaApiTest, WithoutAQuotaServiceTheAnswerSaysWhichFlag) {
  v1::ListCounterAdjustmentsRequest request;
  request.set_gateway("default");
  ExpectRefused(Call(*counters_, &v1::Counters::Stub::ListAdjustments, request).status(),
                absl::StatusCode::kFailedPrecondition, HasSubstr("start it with --quota=embedded"));
}

TEST(ParseAmount, IsExactOrRefused) {
  EXPECT_EQ(*ParseAmount("1.25", v1::NANO_DOLLARS), 1'250'000'000);
  EXPECT_EQ(*ParseAmount("-0.1", v1::NANO_DOLLARS), -100'000'000);
  EXPECT_EQ(*ParseAmount("+3", v1::NANO_DOLLARS), 3'000'000'000);
  EXPECT_EQ(*ParseAmount("1000000000", v1::NANO_DOLLARS), 1'000'000'000'000'000'000);
  EXPECT_EQ(*ParseAmount("-7", v1::TOKENS), -7);
  for (const char* bad : {"", "-", "0", "0.0", "1.", ".5", "1e3", "1.0000000001", "--1", "1 ", "0x10", "1000000001",
                          "99999999999999999999", "nan"}) {
    EXPECT_EQ(ParseAmount(bad, v1::NANO_DOLLARS).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_EQ(ParseAmount("1.5", v1::REQUESTS).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ParseIdentifier, GivesEachValueItsType) {
  const auto parse = [](const std::vector<std::string>& values, const std::vector<std::string>& types) {
    return ParseIdentifier({values.begin(), values.end()}, {types.begin(), types.end()});
  };
  const auto mixed = parse({"ada", "5", "true"}, {"string", "number", "bool"});
  ASSERT_TRUE(mixed.ok()) << mixed.status();
  EXPECT_EQ((*mixed)[0].string_value(), "ada");
  EXPECT_EQ((*mixed)[1].number_value(), 5);
  EXPECT_TRUE((*mixed)[2].bool_value());
  EXPECT_TRUE((*parse({"5"}, {}))[0].has_string_value());
  EXPECT_THAT(std::string(parse({"a"}, {"number"}).status().message()), HasSubstr("\"a\" is no number"));
  EXPECT_THAT(std::string(parse({"yes"}, {"bool"}).status().message()), HasSubstr("give true or false"));
  EXPECT_THAT(std::string(parse({"a"}, {"json"}).status().message()), HasSubstr("give string, number or bool"));
  EXPECT_THAT(std::string(parse({"a", "b", "c"}, {"bool", "bool"}).status().message()), HasSubstr("2 entries for 3"));
  EXPECT_THAT(std::string(parse({""}, {}).status().message()), HasSubstr("must not be empty"));
}

TEST_F(CountersApiTest, EveryDeployedLimitIsListedWithItsFullestCounters) {
  Deploy("b", {{"per-day", kPerDay}, {"budget", kDollars}});
  Deploy("a", {{"budget", kDollars}});
  ASSERT_TRUE(CreateRoute(LimitedRoute("draft", {{"per-day", kPerDay}})).ok());
  for (int i = 0; i < 5; ++i) Count("wallet", absl::StrCat("user-", i), 1'000 - i, v1::NANO_DOLLARS);
  Count("wallet", "other", 5'000, v1::NANO_DOLLARS, 3'600);
  v1::ListLimitsRequest request;
  request.set_gateway("default");
  const auto listed = Call(*counters_, &v1::Counters::Stub::ListLimits, request);
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->limits_size(), 3);
  EXPECT_EQ(listed->limits(0).route(), "a");
  EXPECT_EQ(listed->limits(1).element_id(), "per-day");
  EXPECT_EQ(listed->limits(1).limit_type(), "count");
  EXPECT_EQ(listed->limits(1).limit(), 10);
  EXPECT_EQ(listed->limits(1).window(), "86400 s");
  EXPECT_EQ(listed->limits(1).fullest_size(), 0);
  const v1::DeployedRateLimit& budget = listed->limits(2);
  EXPECT_EQ(budget.route(), "b");
  EXPECT_EQ(budget.limit_type(), "cost");
  EXPECT_EQ(budget.limit(), 1'500'000'000);
  EXPECT_EQ(budget.pool(), "wallet");
  ASSERT_EQ(budget.key_size(), 1);
  EXPECT_EQ(budget.key(0), "metadata.email");
  EXPECT_EQ(budget.version(), 1);
  ASSERT_EQ(budget.fullest_size(), 3) << "and none of another window";
  for (const v1::LimitCounter& counter : budget.fullest()) {
    EXPECT_EQ(counter.counter().key().window_seconds(), 86'400);
    EXPECT_EQ(counter.limit(), 1'500'000'000);
  }
  request.set_page_size(2);
  const auto first = Call(*counters_, &v1::Counters::Stub::ListLimits, request);
  ASSERT_EQ(first->limits_size(), 2);
  request.set_page_token(first->next_page_token());
  const auto second = Call(*counters_, &v1::Counters::Stub::ListLimits, request);
  ASSERT_TRUE(second.ok()) << second.status();
  ASSERT_EQ(second->limits_size(), 1);
  EXPECT_EQ(second->limits(0).element_id(), "budget");
  EXPECT_EQ(second->next_page_token(), "");
}

}  // namespace
}  // namespace signalbox
