#include "common/route/walker.h"

#include <cmath>
#include <optional>
#include <set>

#include "controlplane/compiler/compiler.h"
#include "tests/common/route/route_fixture.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;

std::optional<v1::ModelPrice> TestPrice(const std::string& provider, const std::string& model) {
  v1::ModelPrice price;
  price.set_provider(provider);
  price.set_model(model);
  price.set_input_nanos_per_mtok(1'000'000'000);
  price.set_output_nanos_per_mtok(2'000'000'000);
  price.set_max_output_tokens(1000);
  return price;
}

v1::CompiledRoute Compile(const std::string& json) {
  const CheckedRoute checked = CheckRoute(json, TestContext());
  EXPECT_TRUE(checked.compiles) << ::testing::PrintToString(Codes(checked.faults));
  auto route = CompileRoute({"default", "r1", "my-saas", 7}, checked.spec, TestPrice);
  EXPECT_TRUE(route.ok()) << route.status();
  return *std::move(route);
}

v1::CompiledRoute Walkthrough() { return Compile(RouteFile("valid/my-trillion-dollar-saas.json")); }

std::string IdOf(const v1::CompiledRoute& route, uint32_t element) {
  return route.elements(static_cast<int>(element)).id();
}

// "limits a,b by x,y" | "call m" | "answered" | "429 limit_exceeded"
std::string Show(const v1::CompiledRoute& route, const Step& step) {
  if (const auto* ask = std::get_if<CheckLimits>(&step)) {
    std::string ids, who;
    for (size_t i = 0; i < ask->elements.size(); ++i) {
      ids += (i > 0 ? "," : "") + IdOf(route, ask->elements[i]);
      who += (i > 0 ? "," : "") + IdentifierText(ask->identifiers[i]);
    }
    return "limits " + ids + " by " + who;
  }
  if (const auto* call = std::get_if<CallModel>(&step)) return "call " + IdOf(route, call->element);
  const Finish& finish = std::get<Finish>(step);
  if (finish.kind == Finish::Kind::kAnswered) return "answered";
  return std::to_string(finish.status) + " " + finish.code;
}

TEST(Walker, FreeUserPassesBothLimitsInOneQuestionAndGetsTheSmallModel) {
  const v1::CompiledRoute route = Walkthrough();
  FakeRequest request;
  request.Text("metadata.plan", "free").Text("metadata.email", "a@b.c");
  Walker walker(route, request, 0);
  EXPECT_EQ(Show(route, walker.Next()), "limits free-requests,free-budget by a@b.c,a@b.c");
  EXPECT_TRUE(walker.CanReachModel());
  EXPECT_EQ(Show(route, walker.OnLimits(2)), "call free-model");
  EXPECT_TRUE(walker.CanReachModel());
  EXPECT_EQ(Show(route, walker.OnModel(true)), "answered");
  EXPECT_FALSE(walker.CanReachModel());
  EXPECT_EQ(walker.Path(), "start/plan/free-requests/free-budget/free-model/end");
  std::vector<std::string> outputs;
  for (const TrailEntry& entry : walker.trail()) outputs.emplace_back(entry.output);
  EXPECT_THAT(outputs, ElementsAre("next", "true", "success", "success", "success", ""));
}

TEST(Walker, TheLimitThatDeniesNamesItselfAndEndsIn429) {
  const v1::CompiledRoute route = Walkthrough();
  FakeRequest request;
  request.Text("metadata.plan", "free").Text("metadata.email", "a@b.c");
  for (size_t passed : {0u, 1u}) {
    Walker walker(route, request, 0);
    walker.Next();
    const Step step = walker.OnLimits(passed);
    EXPECT_EQ(Show(route, step), "429 limit_exceeded");
    EXPECT_EQ(std::get<Finish>(step).message,
              passed == 0 ? "limit \"free-requests\" is exceeded" : "limit \"free-budget\" is exceeded");
    EXPECT_EQ(walker.Path(), passed == 0 ? "start/plan/free-requests/end" : "start/plan/free-requests/free-budget/end");
    EXPECT_FALSE(walker.CanReachModel());
  }
}

TEST(Walker, PaidUserFallsBackToTheSmallModelAndThenTo502) {
  const v1::CompiledRoute route = Walkthrough();
  FakeRequest request;
  request.Text("metadata.email", "a@b.c");  // no plan: not "free"
  Walker walker(route, request, 0);
  EXPECT_EQ(Show(route, walker.Next()), "limits paid-requests,paid-budget by a@b.c,a@b.c");
  EXPECT_EQ(Show(route, walker.OnLimits(2)), "call paid-model");
  EXPECT_EQ(Show(route, walker.OnModel(false)), "call free-model");
  EXPECT_TRUE(walker.CanReachModel());
  const Step step = walker.OnModel(false);
  EXPECT_EQ(Show(route, step), "502 model_failed");
  EXPECT_EQ(std::get<Finish>(step).message, "model \"free-model\" failed");
  EXPECT_EQ(walker.Path(), "start/plan/paid-requests/paid-budget/paid-model/free-model/end");
}

TEST(Walker, AnOverBudgetTeamMovesToTheFallbacksOwnLimit) {
  const v1::CompiledRoute route = Compile(RouteFile("valid/over-budget-downgrade.json"));
  FakeRequest request;
  request.Number("metadata.team", 7);
  Walker walker(route, request, 0);
  EXPECT_EQ(Show(route, walker.Next()), "limits budget by 7")
      << "what follows a fallback is asked only when it is reached";
  EXPECT_EQ(Show(route, walker.OnLimits(0)), "limits small-requests by 7");
  EXPECT_TRUE(walker.CanReachModel());
  EXPECT_EQ(Show(route, walker.OnLimits(1)), "call small");
  EXPECT_EQ(Show(route, walker.OnModel(true)), "answered");
  EXPECT_EQ(walker.Path(), "start/budget/small-requests/small/end");
}

TEST(Walker, AnIdentifierThatNamesNobodyIs400) {
  const v1::CompiledRoute route = Walkthrough();
  const std::vector<std::pair<FieldValue, std::string>> bad = {
      {{}, "is missing"},
      {{.kind = FieldValue::Kind::kNull}, "is null"},
      {{.kind = FieldValue::Kind::kArray}, "is neither a string, a number nor a boolean"},
      {{.kind = FieldValue::Kind::kObject}, "is neither a string, a number nor a boolean"},
      {{.kind = FieldValue::Kind::kString, .text = ""}, "is empty"},
      {{.kind = FieldValue::Kind::kString, .text = "\xff\xfe"}, "is not valid UTF-8"},
  };
  for (const auto& [value, why] : bad) {
    FakeRequest request;
    request.Text("metadata.plan", "free");
    if (value.kind != FieldValue::Kind::kMissing) request.Set("metadata.email", value);
    Walker walker(route, request, 0);
    const Step step = walker.Next();
    ASSERT_EQ(Show(route, step), "400 missing_identifier") << why;
    EXPECT_EQ(std::get<Finish>(step).message, "metadata.email " + why + "; limit \"free-requests\" needs it");
    EXPECT_EQ(std::get<Finish>(step).param, "metadata.email");
    EXPECT_EQ(walker.Path(), "start/plan/free-requests");
  }
  FakeRequest request;
  request.Text("metadata.plan", "free").Text("metadata.email", std::string(1025, 'x'));
  Walker walker(route, request, 0);
  EXPECT_EQ(std::get<Finish>(walker.Next()).message,
            "metadata.email is longer than 1024 bytes; limit \"free-requests\" needs it");
}

TEST(Walker, EveryScalarIsAnIdentifierWithItsType) {
  const v1::CompiledRoute route = Walkthrough();
  const auto identifier = [&](const FieldValue& value) {
    FakeRequest request;
    request.Set("metadata.email", value);
    Walker walker(route, request, 0);
    return std::get<CheckLimits>(walker.Next()).identifiers[0][0];
  };
  EXPECT_EQ(identifier({.kind = FieldValue::Kind::kNumber, .number = 5}).number_value(), 5);
  EXPECT_TRUE(identifier({.kind = FieldValue::Kind::kBool, .boolean = false}).has_bool_value());
  EXPECT_EQ(identifier({.kind = FieldValue::Kind::kString, .text = "5"}).string_value(), "5");
  EXPECT_FALSE(std::signbit(identifier({.kind = FieldValue::Kind::kNumber, .number = -0.0}).number_value()));
}

TEST(Walker, ALaterLimitOfTheChainNeedsItsIdentifierToo) {
  const v1::CompiledRoute route = Compile(RouteAround(
      R"({"id":"x","type":"rate","properties":{"limitType":"count","key":"metadata.a","limit":1,"window":60},
    "outputs":{"success":{"elementId":"y"},"fallback":{"elementId":"m"}}},
    {"id":"y","type":"rate","properties":{"limitType":"count","key":"headers.X-Team","limit":1,"window":60},"outputs":{"success":{"elementId":"m"}}})"));
  FakeRequest request;
  request.Text("metadata.a", "1");
  Walker walker(route, request, 0);
  const Step step = walker.Next();
  EXPECT_EQ(std::get<Finish>(step).message, "headers.x-team is missing; limit \"y\" needs it");
  request.Text("headers.x-team", "t");
  Walker second(route, request, 0);
  EXPECT_EQ(Show(route, second.Next()), "limits x,y by 1,t");
  EXPECT_EQ(Show(route, second.OnLimits(0)), "call m") << "y was not passed, and its identifier not used";
}

TEST(Walker, AKeyOfSeveralFieldsIsACombinationAndEachMustBeThere) {
  const v1::CompiledRoute route = Compile(RateAround(
      R"("limitType":"count","key":["metadata.team","headers.X-User","metadata.trial"],"limit":1,"window":60)"));
  FakeRequest request;
  request.Text("metadata.team", "red").Text("headers.x-user", "ann").Bool("metadata.trial", true);
  Walker walker(route, request, 0);
  const Step step = walker.Next();
  const Identifier& identifier = std::get<CheckLimits>(step).identifiers[0];
  ASSERT_EQ(identifier.size(), 3);
  EXPECT_EQ(IdentifierText(identifier), R"(["red","ann",true])");
  request.Set("headers.x-user", {});
  Walker second(route, request, 0);
  EXPECT_EQ(std::get<Finish>(second.Next()).message, "headers.x-user is missing; limit \"x\" needs it");
}

TEST(Walker, AShadowLimitThatFindsNobodyIsPassedAndNotAskedAbout) {
  const v1::CompiledRoute route = Compile(RouteAround(
      R"({"id":"x","type":"rate","properties":{"limitType":"count","key":"metadata.a","limit":1,"window":60},
    "outputs":{"success":{"elementId":"y"},"fallback":{"elementId":"e"}}},
    {"id":"y","type":"rate","properties":{"limitType":"count","key":["metadata.a","metadata.b"],"limit":1,"window":60,"shadow":true},
    "outputs":{"success":{"elementId":"m"},"fallback":{"elementId":"e"}}})"));
  FakeRequest request;
  request.Text("metadata.a", "1");
  Walker walker(route, request, 0);
  const Step step = walker.Next();
  const auto& asked = std::get<CheckLimits>(step);
  ASSERT_EQ(asked.elements.size(), 2u);
  EXPECT_EQ(asked.identifiers[0].size(), 1);
  EXPECT_TRUE(asked.identifiers[1].empty()) << "half a combination is nobody's";
  EXPECT_EQ(Show(route, walker.OnLimits(2)), "call m");
  EXPECT_EQ(walker.Path(), "s/x/y") << "the model joins when it has answered";
}

TEST(Walker, AnUnreachedLimitsIdentifierMayBeMissing) {
  const v1::CompiledRoute route =
      Compile(RouteAround(R"({"id":"x","type":"conditional","properties":{"conditions":{"metadata.free":true}},
    "outputs":{"true":{"elementId":"y"},"false":{"elementId":"m"}}},
    {"id":"y","type":"rate","properties":{"limitType":"count","key":"metadata.a","limit":1,"window":60},"outputs":{"success":{"elementId":"m"}}})"));
  const FakeRequest request;
  Walker walker(route, request, 0);
  EXPECT_EQ(Show(route, walker.Next()), "call m");
}

TEST(Walker, ALimitOrModelWithoutFallbackEndsTheRequestThere) {
  const v1::CompiledRoute limit = Compile(RouteAround(
      R"({"id":"x","type":"rate","properties":{"limitType":"count","key":"metadata.a","limit":1,"window":60},
    "outputs":{"success":{"elementId":"m"}}})"));
  FakeRequest request;
  request.Text("metadata.a", "1");
  Walker walker(limit, request, 0);
  walker.Next();
  EXPECT_EQ(Show(limit, walker.OnLimits(0)), "429 limit_exceeded");
  EXPECT_EQ(walker.Path(), "s/x");
  const v1::CompiledRoute model = Compile(ModelAround(R"("provider":"openai","model":"gpt-4o")"));
  Walker other(model, request, 0);
  EXPECT_EQ(Show(model, other.Next()), "call x");
  EXPECT_EQ(Show(model, other.OnModel(false)), "502 model_failed");
  EXPECT_EQ(other.Path(), "s/x");
}

TEST(Walker, AnEndWithoutAModelIs403UnlessItSaysOtherwise) {
  const auto walk = [](const std::string& end) {
    const v1::CompiledRoute route = Compile(RouteAround(
        R"({"id":"x","type":"conditional","properties":{"conditions":{"metadata.vip":true}},"outputs":{"true":{"elementId":"m"},"false":{"elementId":"stop"}}},
        {"id":"stop","type":"end")" +
        end + "}"));
    const FakeRequest request;
    Walker walker(route, request, 0);
    const Step step = walker.Next();
    return Show(route, step) + ": " + std::get<Finish>(step).message;
  };
  EXPECT_EQ(walk(""), "403 no_model: the route ends without a model for this request");
  EXPECT_EQ(walk(R"(,"properties":{"status":402,"message":"pay first"})"), "402 route_ended: pay first");
  EXPECT_EQ(walk(R"(,"properties":{"message":"members only"})"), "403 no_model: members only");
  EXPECT_EQ(walk(R"(,"properties":{"status":451})"),
            "451 route_ended: the route ends without a model for this request");
}

TEST(Walker, AnEndsOwnStatusWinsOverTheLimitsButNotOverAnAnswer) {
  const v1::CompiledRoute route =
      Compile(R"({"elements":[{"id":"s","type":"start","outputs":{"next":{"elementId":"x"}}},
    {"id":"x","type":"rate","properties":{"limitType":"count","key":"metadata.a","limit":1,"window":60},"outputs":{"success":{"elementId":"m"},"fallback":{"elementId":"e"}}},
    {"id":"m","type":"model","properties":{"provider":"openai","model":"gpt-4o"},"outputs":{"success":{"elementId":"e"}}},
    {"id":"e","type":"end","properties":{"status":402,"message":"top up"}}]})");
  FakeRequest request;
  request.Text("metadata.a", "1");
  Walker denied(route, request, 0);
  denied.Next();
  EXPECT_EQ(Show(route, denied.OnLimits(0)), "402 route_ended");
  Walker answered(route, request, 0);
  answered.Next();
  answered.OnLimits(1);
  EXPECT_EQ(Show(route, answered.OnModel(true)), "answered");
}

TEST(Walker, PathsEncodeWhatAHeaderCannotCarry) {
  const v1::CompiledRoute route = Compile(
      R"({"elements":[{"id":"s/1","type":"start","outputs":{"next":{"elementId":"e\r\nx: ü%"}}},{"id":"e\r\nx: ü%","type":"end"}]})");
  const FakeRequest request;
  Walker walker(route, request, 0);
  walker.Next();
  EXPECT_EQ(walker.Path(), "s%2F1/e%0D%0Ax:%20%C3%BC%25");
}

v1::CompiledRoute Canary(const std::string& id = "split") {
  std::string json = RouteFile("valid/canary-split.json");
  for (size_t at = json.find("\"split\""); at != std::string::npos; at = json.find("\"split\"", at + 1)) {
    json.replace(at, 7, "\"" + id + "\"");
  }
  return Compile(json);
}

std::string Branch(const v1::CompiledRoute& route, const FakeRequest& request, uint32_t draw = 0) {
  Walker walker(route, request, draw);
  walker.Next();
  return std::string(walker.trail()[1].output);
}

TEST(Walker, AStickyUserAlwaysGetsTheSameBranch) {
  const v1::CompiledRoute route = Canary();
  for (int user = 0; user < 50; ++user) {
    FakeRequest request;
    request.Text("metadata.user_id", std::to_string(user));
    const std::string first = Branch(route, request);
    for (uint32_t draw = 0; draw < 5; ++draw) EXPECT_EQ(Branch(Canary(), request, draw * 2'000), first);
  }
}

TEST(Walker, StickySharesComeOutAsWritten) {
  const v1::CompiledRoute route = Canary();
  int tenth = 0;
  for (int user = 0; user < 20'000; ++user) {
    FakeRequest request;
    tenth += Branch(route, request.Text("metadata.user_id", "user-" + std::to_string(user))) == "10%" ? 1 : 0;
  }
  EXPECT_NEAR(tenth, 2'000, 170);  // four standard deviations
}

TEST(Walker, ElementsAndTypesOfIdentifierSplitIndependently) {
  const v1::CompiledRoute one = Canary(), two = Canary("other");
  int both = 0, text_and_number = 0;
  for (int user = 0; user < 20'000; ++user) {
    FakeRequest text, number;
    text.Text("metadata.user_id", std::to_string(user));
    number.Number("metadata.user_id", user);
    const bool in_one = Branch(one, text) == "10%";
    both += in_one && Branch(two, text) == "10%" ? 1 : 0;
    text_and_number += in_one && Branch(one, number) == "10%" ? 1 : 0;
  }
  EXPECT_NEAR(both, 200, 60);
  EXPECT_NEAR(text_and_number, 200, 60);
}

TEST(Walker, AStickyKeyWithoutAValueIs400) {
  const v1::CompiledRoute route = Canary();
  const FakeRequest request;
  Walker walker(route, request, 0);
  const Step step = walker.Next();
  EXPECT_EQ(Show(route, step), "400 missing_identifier");
  EXPECT_EQ(std::get<Finish>(step).message, "metadata.user_id is missing; percentage \"split\" needs it");
}

v1::CompiledRoute TwoSplits() {
  return Compile(R"({"elements":[{"id":"s","type":"start","outputs":{"next":{"elementId":"p"}}},
    {"id":"p","type":"percentage","outputs":{"25% a":{"elementId":"q"},"75% b":{"elementId":"q"}}},
    {"id":"q","type":"percentage","outputs":{"50% a":{"elementId":"e"},"50% b":{"elementId":"f"}}},
    {"id":"e","type":"end"},{"id":"f","type":"end"}]})");
}

TEST(Walker, ADrawDecidesExactlyByShare) {
  const v1::CompiledRoute route = TwoSplits();
  const FakeRequest request;
  int quarter = 0;
  for (uint32_t draw = 0; draw < 10'000; ++draw) quarter += Branch(route, request, draw) == "25% a" ? 1 : 0;
  EXPECT_EQ(quarter, 2'500);
  EXPECT_EQ(Branch(route, request, 2'499), "25% a");
  EXPECT_EQ(Branch(route, request, 2'500), "75% b");
  EXPECT_EQ(Branch(route, request, UINT32_MAX), "75% b");  // 4294967295 % 10000 = 7295
}

TEST(Walker, TwoSplitsOnOneWalkAreIndependent) {
  const v1::CompiledRoute route = TwoSplits();
  const FakeRequest request;
  std::map<std::string, int> seen;
  for (uint32_t draw = 0; draw < 10'000; ++draw) {
    Walker walker(route, request, draw);
    walker.Next();
    seen[std::string(walker.trail()[1].output) + "/" + std::string(walker.trail()[2].output)]++;
  }
  EXPECT_NEAR(seen["25% a/50% a"], 1'250, 140);
  EXPECT_NEAR(seen["25% a/50% b"], 1'250, 140);
  EXPECT_NEAR(seen["75% b/50% a"], 3'750, 200);
}

}  // namespace
}  // namespace signalbox
