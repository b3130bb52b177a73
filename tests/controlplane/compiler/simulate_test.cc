#include "common/money.h"
#include "controlplane/compiler/compiler.h"
#include "tests/common/route/route_fixture.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// $1 per million tokens in, $2 out, at most 100,000 tokens out; gpt-5.1 ten times that.
std::optional<v1::ModelPrice> TestPrice(const std::string& provider, const std::string& model) {
  const int64_t factor = model == "gpt-5.1" ? 10 : 1;
  v1::ModelPrice price;
  price.set_input_nanos_per_mtok(1'000'000'000 * factor);
  price.set_output_nanos_per_mtok(2'000'000'000 * factor);
  price.set_max_output_tokens(100'000);
  return price;
}

v1::CompiledRoute Compile(const std::string& json) {
  auto route = CompileRoute({"default", "r1", "my-saas", 7}, ParseRoute(json).spec, TestPrice);
  EXPECT_TRUE(route.ok()) << route.status();
  return *std::move(route);
}

v1::CompiledRoute Walkthrough() { return Compile(RouteFile("valid/my-trillion-dollar-saas.json")); }

v1::SampleRequest Sample(const std::string& metadata, const std::string& body = "") {
  v1::SampleRequest request;
  request.set_metadata_json(metadata);
  request.set_body_json(body);
  return request;
}

std::vector<std::string> Reasons(const v1::SimulateResponse& response) {
  std::vector<std::string> reasons;
  for (const v1::SimulatedStep& step : response.steps()) reasons.push_back(step.element_id() + ": " + step.reason());
  return reasons;
}

const char kFree[] = R"({"plan":"free","email":"a@b.c"})";

TEST(SimulateRoute, TellsThatAnswersAreKeptAndWhatIsNotCounted) {
  const auto cached = SimulateRoute(Compile(RouteFile("valid/cached-answers.json")), Sample(R"({"user":"u"})"), {});
  ASSERT_TRUE(cached.ok()) << cached.status();
  EXPECT_EQ(Reasons(*cached)[0],
            "start: every request starts here; answers are kept for identical requests for 3600 s");
  const auto no_price = [](const std::string&, const std::string&) { return std::optional<v1::ModelPrice>(); };
  const auto route =
      CompileRoute({"default", "r1", "lax", 1}, ParseRoute(RouteFile("valid/unpriced-allowed.json")).spec, no_price);
  ASSERT_TRUE(route.ok()) << route.status();
  const auto lax = SimulateRoute(*route, Sample(R"({"user":"u"})"), {});
  ASSERT_TRUE(lax.ok()) << lax.status();
  EXPECT_EQ(lax->status(), 200);
  EXPECT_EQ(Reasons(*lax)[1],
            "dollars: within $1 per day for metadata.user \"u\"; without a price and so not counted: "
            "openai/gpt-4o-mini");
}

TEST(SimulateRoute, TellsTheWayAndWhy) {
  const auto response = SimulateRoute(Walkthrough(), Sample(kFree), {});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->path(), "start/plan/free-requests/free-budget/free-model/end");
  EXPECT_EQ(response->status(), 200);
  EXPECT_EQ(response->provider(), "openai");
  EXPECT_EQ(response->model(), "gpt-4o-mini");
  EXPECT_THAT(Reasons(*response),
              ElementsAre("start: every request starts here", "plan: metadata.plan is \"free\"",
                          "free-requests: within 10 requests per day for metadata.email \"a@b.c\"",
                          "free-budget: within $10 per day for metadata.email \"a@b.c\"",
                          "free-model: openai/gpt-4o-mini answers", "end: the client gets the model's answer"));
  EXPECT_EQ(response->steps(2).pool(), "r1/free-requests");
  EXPECT_EQ(response->steps(2).identifier(), "a@b.c");
  EXPECT_EQ(response->steps(2).hold_nanos(), 0);
  EXPECT_GT(response->steps(3).hold_nanos(), 0);
}

TEST(SimulateRoute, ExplainsWhatDidNotHold) {
  const auto reason = [](const std::string& conditions, const std::string& metadata) {
    const auto response = SimulateRoute(Compile(ConditionAround(conditions)), Sample(metadata), {});
    return response.ok() ? response->steps(1).output() + ": " + response->steps(1).reason()
                         : response.status().ToString();
  };
  EXPECT_EQ(reason(R"({"metadata.plan":"free"})", R"({"plan":"pro"})"),
            "false: metadata.plan is \"pro\", not \"free\"");
  EXPECT_EQ(reason(R"({"metadata.plan":"free"})", "{}"), "false: metadata.plan is missing");
  EXPECT_EQ(reason(R"({"metadata.plan":{"$ne":"free"}})", "{}"), "true: metadata.plan is missing");
  EXPECT_EQ(reason(R"({"metadata.age":{"$gte":18}})", R"({"age":17})"),
            "false: metadata.age is 17, which is not at least 18");
  EXPECT_EQ(reason(R"({"metadata.tier":{"$in":["gold","platinum"]}})", R"({"tier":"gold"})"),
            "true: metadata.tier is \"gold\", which is one of \"gold\", \"platinum\"");
  EXPECT_EQ(reason(R"({"$or":[{"metadata.a":1},{"metadata.b":2}]})", R"({"a":2,"b":2})"), "true: metadata.b is 2");
  EXPECT_EQ(reason(R"({"$or":[{"metadata.a":1},{"metadata.b":2}]})", R"({"a":"1"})"),
            "false: metadata.a is \"1\", not 1 and metadata.b is missing");
  EXPECT_EQ(reason(R"({"metadata.a":1,"metadata.b":{"$exists":true}})", R"({"a":1,"b":true})"),
            "true: metadata.a is 1 and metadata.b is present");
}

TEST(SimulateRoute, ReadsMetadataInTheProxysOrder) {
  v1::SampleRequest request =
      Sample(R"({"email":"own"})", R"({"messages":[],"metadata":{"email":"body","plan":"body"}})");
  (*request.mutable_headers())["CF-AIG-Metadata"] = R"({"email":"header","plan":"free"})";
  const auto response = SimulateRoute(Walkthrough(), request, {});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->steps(2).element_id(), "free-requests");
  EXPECT_EQ(response->steps(2).identifier(), "own");
}

TEST(SimulateRoute, SeesBodyAndHeaders) {
  v1::SampleRequest request = Sample("", R"({"messages":[{"role":"system"}],"tools":[]})");
  (*request.mutable_headers())["X-Region"] = "eu";
  const v1::CompiledRoute route = Compile(RouteFile("valid/by-content.json"));
  EXPECT_EQ(SimulateRoute(route, request, {})->path(), "start/tools/strong/end");
  request.set_body_json(R"({"messages":[]})");
  EXPECT_EQ(SimulateRoute(route, request, {})->path(), "start/tools/region/eu/end");
  const v1::CompiledRoute nested = Compile(ConditionAround(R"({"body.messages.0.role":"system"})"));
  EXPECT_EQ(SimulateRoute(nested, Sample("", R"({"messages":[{"role":"system"}]})"), {})->steps(1).output(), "true");
  EXPECT_EQ(SimulateRoute(nested, Sample("", R"({"messages":[]})"), {})->steps(1).output(), "false");
}

TEST(SimulateRoute, FollowsAssumptions) {
  v1::SimulateAssumptions assumptions;
  assumptions.add_denied_elements("free-budget");
  const auto denied = SimulateRoute(Walkthrough(), Sample(kFree), assumptions);
  ASSERT_TRUE(denied.ok());
  EXPECT_EQ(denied->status(), 429);
  EXPECT_EQ(denied->error_code(), "limit_exceeded");
  EXPECT_EQ(denied->steps(3).reason(), "assumed to be over $10 per day for metadata.email \"a@b.c\"");
  assumptions.Clear();
  assumptions.add_failed_elements("paid-model");
  const auto failed = SimulateRoute(Walkthrough(), Sample(R"({"email":"a"})"), assumptions);
  EXPECT_EQ(failed->path(), "start/plan/paid-requests/paid-budget/paid-model/free-model/end");
  EXPECT_EQ(failed->model(), "gpt-4o-mini");
  assumptions.add_failed_elements("free-model");
  EXPECT_EQ(SimulateRoute(Walkthrough(), Sample(R"({"email":"a"})"), assumptions)->error_code(), "model_failed");
  assumptions.add_failed_elements("plan");
  EXPECT_EQ(SimulateRoute(Walkthrough(), Sample(kFree), assumptions).status().message(),
            "failed_elements names \"plan\", which is no model element of this route");
}

TEST(SimulateRoute, ShowsTheFaultOfAMissingIdentifier) {
  const auto response = SimulateRoute(Walkthrough(), Sample(R"({"plan":"free"})"), {});
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->status(), 400);
  EXPECT_EQ(response->error_code(), "missing_identifier");
  EXPECT_EQ(response->steps(2).reason(), "metadata.email is missing; limit \"free-requests\" needs it");
}

TEST(SimulateRoute, RefusesASampleThatIsNoRequest) {
  const auto message = [](const v1::SampleRequest& request) {
    const absl::Status status = SimulateRoute(Walkthrough(), request, {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(message(Sample("[1]")), HasSubstr("the metadata of the sample request must be a JSON object"));
  EXPECT_THAT(message(Sample("{")), HasSubstr("must be a JSON object"));
  EXPECT_THAT(message(Sample(R"({"a":{}})")), HasSubstr("\"a\" must be a string, a number or a boolean"));
  EXPECT_THAT(message(Sample("", "nope")), HasSubstr("the body of the sample request must be a JSON object"));
  EXPECT_THAT(message(Sample("", R"({"max_tokens":-1})")),
              HasSubstr("body.max_tokens of the sample request must be a positive integer"));
  v1::SampleRequest both = Sample("");
  (*both.mutable_headers())["cf-aig-metadata"] = "{}";
  (*both.mutable_headers())["signalbox-metadata"] = "{}";
  EXPECT_THAT(message(both), HasSubstr("send one"));
}

// One dollar a day, behind it the model of TestPrice.
int64_t HoldAt(const std::string& limit, const std::string& body, const std::string& admission = "strict") {
  const v1::CompiledRoute route = Compile(RateAround(R"("limitType":"cost","key":"metadata.a","window":60,"limit":)" +
                                                     limit + R"(,"admission":")" + admission + "\""));
  const auto response = SimulateRoute(route, Sample(R"({"a":1})", body), {});
  EXPECT_TRUE(response.ok()) << response.status();
  return response->steps(1).output() == "success" ? response->steps(1).hold_nanos() : -1;
}

TEST(SimulateRoute, HoldsWhatTheQuotaServiceWouldHold) {
  const std::string capped = R"({"messages":[],"max_tokens":1000})", open = R"({"messages":[]})";
  const int64_t capped_input = static_cast<int64_t>(capped.size()) * 1'000,
                open_input = static_cast<int64_t>(open.size()) * 1'000;
  EXPECT_EQ(HoldAt("1", capped), capped_input + 1'000 * 2'000) << "the client's cap as it is";
  EXPECT_EQ(HoldAt("1", R"({"messages":[],"max_tokens":1000,"n":3})"), capped_input + 6'000 + 3 * 1'000 * 2'000);
  EXPECT_EQ(HoldAt("100", open), open_input + 100'000 * 2'000) << "the model's maximum is below a sixteenth";
  EXPECT_EQ(HoldAt("1", open), open_input + (62'500'000 - open_input) / 2'000 * 2'000) << "a sixteenth of the limit";
  EXPECT_EQ(HoldAt("0.001", open), open_input + 256 * 2'000) << "the minimum hold is above a sixteenth";
  EXPECT_EQ(HoldAt("0.0005", open), -1) << "not even the minimum fits";
  EXPECT_EQ(HoldAt("0.0005", open, "observed"), open_input + 100'000 * 2'000) << "kept for suspense, not tested";
  EXPECT_EQ(HoldAt("1", R"({"messages":[],"max_tokens":900000})") % 2'000, static_cast<int64_t>(33 * 1'000) % 2'000);
}

v1::SimulatedStep LimitStep(const std::string& properties, const std::string& metadata, const std::string& body = "",
                            const v1::SimulateAssumptions& assumptions = {}) {
  const auto response = SimulateRoute(Compile(RateAround(properties)), Sample(metadata, body), assumptions);
  EXPECT_TRUE(response.ok()) << response.status();
  return response.ok() ? response->steps(1) : v1::SimulatedStep();
}

TEST(SimulateRoute, ATokensLimitHoldsTokens) {
  const std::string body = R"({"messages":[],"max_tokens":1000,"n":2})";
  const std::string base = R"("limitType":"tokens","key":"metadata.a","window":3600,"technique":"sliding","limit":)";
  const v1::SimulatedStep roomy = LimitStep(base + "50000", R"({"a":1})", body);
  EXPECT_EQ(roomy.hold_tokens(), static_cast<int64_t>(body.size()) + 2 * 1'000);
  EXPECT_EQ(roomy.hold_nanos(), 0);
  EXPECT_EQ(roomy.reason(), "within 50000 tokens per hour (sliding) for metadata.a \"1\"");
  const v1::SimulatedStep open = LimitStep(base + "50000", R"({"a":1})", R"({"messages":[]})");
  EXPECT_EQ(open.hold_tokens(), 50'000 / 16) << "without a cap, a sixteenth";
  const v1::SimulatedStep small = LimitStep(base + "500", R"({"a":1})", body);
  EXPECT_EQ(small.output(), "fallback");
  EXPECT_EQ(small.reason(),
            "the least this request can use, 551 tokens, does not fit into 500 tokens per hour (sliding) for "
            "metadata.a \"1\"");
}

TEST(SimulateRoute, AShadowLimitOnlySaysWhatItWouldHaveDone) {
  const std::string base =
      R"("limitType":"tokens","key":["metadata.a","metadata.b"],"window":"month","shadow":true,"limit":)";
  const std::string both = R"({"a":1,"b":"x"})", body = R"({"messages":[],"max_tokens":1000})";
  const v1::SimulatedStep within = LimitStep(base + "50000", both, body);
  EXPECT_TRUE(within.shadow());
  EXPECT_EQ(within.output(), "success");
  EXPECT_EQ(within.identifier(), R"([1,"x"])");
  EXPECT_EQ(within.reason(), R"(shadow: within 50000 tokens per month in UTC for metadata.a, metadata.b [1,"x"])");
  const v1::SimulatedStep over = LimitStep(base + "10", both, body);
  EXPECT_EQ(over.output(), "success");
  EXPECT_EQ(over.hold_tokens(), static_cast<int64_t>(body.size()) + 1'000) << "and its limit lowers no cap";
  EXPECT_THAT(over.reason(), HasSubstr("shadow: would deny, but only reports: the least this request can use"));
  v1::SimulateAssumptions assumptions;
  assumptions.add_denied_elements("x");
  const v1::SimulatedStep assumed = LimitStep(base + "50000", both, body, assumptions);
  EXPECT_EQ(assumed.output(), "success");
  EXPECT_THAT(assumed.reason(), HasSubstr("only reports: assumed to be over 50000 tokens per month in UTC"));
  const v1::SimulatedStep nobody = LimitStep(base + "50000", R"({"a":1})", body);
  EXPECT_EQ(nobody.output(), "success");
  EXPECT_EQ(nobody.hold_tokens(), 0);
  EXPECT_EQ(nobody.reason(),
            "metadata.a, metadata.b identifies nobody: this shadow limit counts nothing here, and without \"shadow\" "
            "the request would be refused with 400");
}

TEST(SimulateRoute, ACalendarWindowIsNamed) {
  EXPECT_EQ(LimitStep(R"("limitType":"cost","key":"metadata.a","window":"day","timezone":"Asia/Tokyo","limit":1)",
                      R"({"a":"u"})")
                .reason(),
            "within $1 per day in Asia/Tokyo for metadata.a \"u\"");
}

TEST(SimulateRoute, TheHoldIsTheLargestOverTheModelsReachable) {
  const auto response = SimulateRoute(Walkthrough(), Sample(R"({"email":"a"})", R"({"max_tokens":10})"), {});
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->steps(3).hold_nanos(), 17 * 10'000 + 10 * 20'000);
}

TEST(SimulateRoute, SpokenAnswersAreHeldAtTheirPriceAsAProxyHoldsThem) {
  v1::CompiledRoute route = Walkthrough();
  for (v1::CompiledElement& element : *route.mutable_elements()) {
    if (element.has_model()) element.mutable_model()->mutable_price()->set_audio_output_nanos_per_mtok(30'000'000'000);
  }
  const auto response = SimulateRoute(route, Sample(R"({"email":"a"})", R"({"max_tokens":10})"), {});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->steps(3).hold_nanos(), 17 * 10'000 + 10 * 30'000);
}

}  // namespace
}  // namespace signalbox
