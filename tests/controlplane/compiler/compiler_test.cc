#include "controlplane/compiler/compiler.h"

#include "common/faults.h"
#include "common/route/walker.h"
#include "google/protobuf/text_format.h"
#include "tests/common/route/route_fixture.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::optional<v1::ModelPrice> TestPrice(const std::string& provider, const std::string& model) {
  v1::ModelPrice price;
  price.set_provider(provider);
  price.set_model(model);
  price.set_input_nanos_per_mtok(150'000'000);
  return price;
}
std::optional<v1::ModelPrice> NoPrice(const std::string&, const std::string&) { return std::nullopt; }

absl::StatusOr<v1::CompiledRoute> Compile(const std::string& json, const PriceLookup& prices = TestPrice) {
  return CompileRoute({"default", "r1", "my-saas", 7}, ParseRoute(json).spec, prices);
}

v1::CompiledRoute CompileFile(const std::string& file) {
  auto route = Compile(RouteFile(file));
  EXPECT_TRUE(route.ok()) << route.status();
  return *std::move(route);
}

std::vector<std::string> Ids(const v1::CompiledRoute& route) {
  std::vector<std::string> ids;
  for (const v1::CompiledElement& element : route.elements()) ids.push_back(element.id());
  return ids;
}

TEST(CompileRoute, PutsEveryElementBeforeThoseItLeadsTo) {
  EXPECT_THAT(Ids(CompileFile("valid/my-trillion-dollar-saas.json")),
              ElementsAre("start", "plan", "free-requests", "paid-requests", "free-budget", "paid-budget", "paid-model",
                          "free-model", "end"));
  for (const char* file : {"valid/by-content.json", "valid/canary-split.json", "valid/fallback-chain.json",
                           "valid/over-budget-downgrade.json"}) {
    const v1::CompiledRoute route = CompileFile(file);
    for (int i = 0; i < route.elements_size(); ++i) {
      for (uint32_t target : Targets(route.elements(i))) EXPECT_GT(target, static_cast<uint32_t>(i)) << file;
    }
  }
}

TEST(CompileRoute, HowLongAnswersAreKeptAndWhatPassesWithoutAPriceAreInTheSnapshot) {
  EXPECT_EQ(CompileFile("valid/cached-answers.json").elements(0).start().cache_ttl_s(), 3'600);
  EXPECT_EQ(CompileFile("valid/sliding-requests.json").elements(0).start().cache_ttl_s(), 0);
  const auto lax = Compile(RouteFile("valid/unpriced-allowed.json"), NoPrice);
  ASSERT_TRUE(lax.ok()) << lax.status();
  EXPECT_TRUE(lax->elements(1).limit().allow_unpriced());
  EXPECT_FALSE(lax->elements(2).model().has_price());
  EXPECT_FALSE(CompileFile("valid/unpriced-denied.json").elements(1).limit().allow_unpriced());
  EXPECT_EQ(Compile(RouteFile("valid/unpriced-denied.json"), NoPrice).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(SerializeDeterministic(CompileFile("valid/cached-answers.json")),
            SerializeDeterministic(CompileFile("valid/cached-answers.json")));
}

TEST(CompileRoute, MakesExactLimitsWithDefaults) {
  const v1::CompiledRoute route = CompileFile("valid/my-trillion-dollar-saas.json");
  const v1::CompiledElement::Limit& count = route.elements(2).limit();
  EXPECT_EQ(count.pool(), "r1/free-requests");
  EXPECT_EQ(count.unit(), v1::REQUESTS);
  EXPECT_EQ(count.limit(), 10);
  EXPECT_EQ(count.window_seconds(), 86'400);
  EXPECT_EQ(count.on_error(), v1::ALLOW);
  EXPECT_EQ(count.admission(), v1::STRICT);
  EXPECT_EQ(count.technique(), v1::FIXED);
  EXPECT_EQ(count.key(0).root(), v1::FieldRef::METADATA);
  EXPECT_THAT(count.key(0).path(), ElementsAre("email"));
  const v1::CompiledElement::Limit& cost = route.elements(4).limit();
  EXPECT_EQ(cost.unit(), v1::NANO_DOLLARS);
  EXPECT_EQ(cost.limit(), 10'000'000'000);
  EXPECT_EQ(cost.on_error(), v1::DENY);
  EXPECT_THAT(cost.reachable_models(), ElementsAre(7u));
  EXPECT_THAT(route.elements(5).limit().reachable_models(), ElementsAre(6u, 7u)) << "the fallback's model too";
  EXPECT_EQ(route.elements(6).model().timeout_ms(), 180'000);
  EXPECT_EQ(route.elements(6).model().price().input_nanos_per_mtok(), 150'000'000);
}

TEST(CompileRoute, KeepsWhatTheAuthorChose) {
  const auto route = Compile(RateAround(
      R"("limitType":"cost","key":"headers.X-Team","limit":0.1,"window":60,"pool":"p","admission":"observed","onError":"allow")"));
  ASSERT_TRUE(route.ok()) << route.status();
  const v1::CompiledElement::Limit& limit = route->elements(1).limit();
  EXPECT_EQ(limit.limit(), 100'000'000);
  EXPECT_EQ(limit.pool(), "p");
  EXPECT_EQ(limit.admission(), v1::OBSERVED);
  EXPECT_EQ(limit.on_error(), v1::ALLOW);
  EXPECT_THAT(limit.key(0).path(), ElementsAre("x-team"));
  const auto model = Compile(ModelAround(
      R"("provider":"openai","model":"m","parameters":{"temperature":0.5,"seed":7,"stop":["\n"]},"backoff":"linear")"));
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->elements(1).model().parameters_json(), R"({"seed":7,"stop":["\n"],"temperature":0.5})");
  EXPECT_EQ(model->elements(1).model().backoff(), "linear");
  EXPECT_FALSE(model->elements(1).model().has_on_fallback());
}

v1::CompiledElement::Limit CompileLimit(const std::string& properties, const PriceLookup& prices = TestPrice) {
  const auto route = Compile(RateAround(properties), prices);
  EXPECT_TRUE(route.ok()) << route.status();
  return route.ok() ? route->elements(1).limit() : v1::CompiledElement::Limit();
}

TEST(CompileRoute, ATokensLimitDeniesOnErrorAndKnowsItsModels) {
  const auto limit = CompileLimit(
      R"("limitType":"tokens","key":["metadata.team","metadata.user"],"limit":50000,"window":60,"technique":"sliding","shadow":true)",
      NoPrice);
  EXPECT_EQ(limit.unit(), v1::TOKENS);
  EXPECT_EQ(limit.limit(), 50'000);
  EXPECT_EQ(limit.technique(), v1::SLIDING);
  EXPECT_EQ(limit.on_error(), v1::DENY);
  EXPECT_EQ(limit.admission(), v1::STRICT);
  EXPECT_TRUE(limit.shadow());
  ASSERT_EQ(limit.key_size(), 2);
  EXPECT_THAT(limit.key(1).path(), ElementsAre("user"));
  EXPECT_EQ(limit.reachable_models_size(), 1);
}

TEST(CompileRoute, ACalendarWindowHasNoSecondsAndUtcHasOneName) {
  const std::string base = R"("limitType":"count","key":"metadata.a","limit":5,"window":)";
  const auto month = CompileLimit(base + R"("month","timezone":"Europe/Berlin")");
  EXPECT_EQ(month.calendar(), v1::MONTH);
  EXPECT_EQ(month.window_seconds(), 0);
  EXPECT_EQ(month.timezone(), "Europe/Berlin");
  EXPECT_EQ(month.technique(), v1::FIXED);
  for (const std::string utc : {R"("day")", R"("day","timezone":"UTC")", R"("day","timezone":"Etc/UTC")",
                                R"("day","timezone":"Zulu")", R"("day","timezone":"GMT")"}) {
    const auto day = CompileLimit(base + utc);
    EXPECT_EQ(day.calendar(), v1::DAY) << utc;
    EXPECT_EQ(day.timezone(), "") << utc;
  }
}

TEST(CompileRoute, OrdersBranchesByKey) {
  const v1::CompiledRoute route = CompileFile("valid/canary-split.json");
  const v1::CompiledElement::Percentage& split = route.elements(1).percentage();
  EXPECT_EQ(split.branches(0).output(), "10%");
  EXPECT_EQ(split.branches(0).basis_points(), 1'000u);
  EXPECT_EQ(split.branches(1).output(), "90%");
  EXPECT_THAT(split.sticky_key().path(), ElementsAre("user_id"));
}

TEST(CompileRoute, TheSameInputGivesTheSameBytes) {
  const std::string once = SerializeDeterministic(CompileFile("valid/by-content.json"));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(SerializeDeterministic(CompileFile("valid/by-content.json")), once);
}

TEST(CompileRoute, SurvivesTheWire) {
  for (const char* file : {"valid/by-content.json", "valid/my-trillion-dollar-saas.json"}) {
    v1::CompiledRoute read;
    ASSERT_TRUE(read.ParseFromString(SerializeDeterministic(CompileFile(file))));
    EXPECT_TRUE(CheckCompiledRoute(read).ok());
  }
}

TEST(CompileRoute, TheDeepestConditionThatValidatesSurvivesTheWireToo) {
  std::string conditions = R"({"metadata.a":{"$not":{"$gt":1,"$lt":5}},"metadata.b":2})";
  for (int i = 2; i < 16; ++i) conditions = R"({"$and":[)" + conditions + R"(,{"metadata.c":1}],"metadata.d":1})";
  const auto route = Compile(ConditionAround(conditions));
  ASSERT_TRUE(route.ok()) << route.status();
  v1::Resource resource, read;
  *resource.mutable_route() = *route;
  ASSERT_TRUE(read.ParseFromString(SerializeDeterministic(resource)));
  EXPECT_TRUE(CheckCompiledRoute(read.route()).ok());
}

TEST(CompileRoute, RefusesAGraphWithFaultsAndListsThem) {
  const absl::Status status = Compile(RouteFile("invalid/many-faults.json")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("route \"my-saas\" v7 does not compile"));
  EXPECT_EQ(FaultsOf(status).size(), 8u);
}

TEST(CompileRoute, RefusesAnUnpricedModelBehindACostLimitOnly) {
  const absl::Status status = Compile(RouteFile("valid/my-trillion-dollar-saas.json"), NoPrice).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Codes(FaultsOf(status)), ElementsAre("unpriced_model free-model $.elements[4].properties.model",
                                                   "unpriced_model paid-model $.elements[7].properties.model"));
  const auto free = Compile(RouteFile("valid/fallback-chain.json"), NoPrice);
  ASSERT_TRUE(free.ok()) << free.status();
  EXPECT_FALSE(free->elements(1).model().has_price());
  EXPECT_TRUE(Compile(RouteFile("valid/fallback-chain.json"), nullptr).ok());
}

}  // namespace
}  // namespace signalbox
