#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "tests/common/route/route_fixture.h"

namespace signalbox {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<v1::Fault> Check(const std::string& json) { return CheckRoute(json, TestContext()).faults; }
std::vector<std::string> CheckCodes(const std::string& json) { return Codes(Check(json)); }

std::string Properties(const std::string& property) { return "$.elements[1].properties." + property; }

struct Case {
  std::string properties;
  std::string fault;    // code and property; empty: accepted
  std::string message;  // a part of it
};

void ExpectCases(const std::vector<Case>& cases, std::string (*around)(const std::string&)) {
  for (const auto& [properties, fault, message] : cases) {
    const std::vector<v1::Fault> faults = Check(around(properties));
    if (fault.empty()) {
      EXPECT_THAT(Codes(faults), IsEmpty()) << properties;
      continue;
    }
    const size_t space = fault.find(' ');
    EXPECT_THAT(Codes(faults), ElementsAre(fault.substr(0, space) + " x " + Properties(fault.substr(space + 1))))
        << properties;
    if (!faults.empty()) {
      EXPECT_THAT(faults[0].message(), HasSubstr(message)) << properties;
    }
  }
}

TEST(ValidateRoute, ChecksEveryPropertyOfALimit) {
  const std::string base = R"("key":"metadata.email","window":60)";
  ExpectCases(
      {
          {R"("limitType":"count","limit":10,)" + base, "", ""},
          {R"("limitType":"cost","limit":0.000000001,)" + base, "", ""},
          {R"("limitType":"cost","limit":1,"technique":"fixed","admission":"observed","onError":"allow","pool":"p",)" +
               base,
           "", ""},
          {R"("limit":10,)" + base, "missing_property limitType", "count, cost or tokens"},
          {R"("limitType":"tokens","limit":10,)" + base, "", ""},
          {R"("limitType":"tokens","limit":1000000000000000,)" + base, "", ""},
          {R"("limitType":"tokens","limit":1000000000000001,)" + base, "invalid_limit limit",
           "at most 1000000000000000"},
          {R"("limitType":"tokens","limit":0.5,)" + base, "invalid_limit limit", "positive whole number of tokens"},
          {R"("limitType":"tokens","limit":-5,)" + base, "invalid_limit limit", "not -5"},
          {R"("limitType":"token","limit":10,)" + base, "invalid_limit_type limitType", "did you mean \"tokens\"?"},
          {R"("limitType":"Count","limit":10,)" + base, "invalid_limit_type limitType", "not \"Count\""},
          {R"("limitType":"count",)" + base, "missing_property limit", "how much"},
          {R"("limitType":"count","limit":0,)" + base, "invalid_limit limit", "positive whole number"},
          {R"("limitType":"count","limit":1.5,)" + base, "invalid_limit limit", "not 1.5"},
          {R"("limitType":"count","limit":1e18,)" + base, "invalid_limit limit", "at most"},
          {R"("limitType":"cost","limit":-0.01,)" + base, "invalid_limit limit", "positive number of dollars"},
          {R"("limitType":"cost","limit":1000000001,)" + base, "invalid_limit limit", "at most 1000000000"},
          {R"("limitType":"cost","limit":1e-10,)" + base, "invalid_limit limit", "positive number of dollars"},
          {R"("limitType":"count","limit":1,"window":60)", "missing_property key", "metadata.email"},
          {R"("limitType":"count","limit":1,"window":60,"key":["metadata.a"])", "", ""},
          {R"("limitType":"count","limit":1,"window":60,"key":["metadata.a","headers.X-Team"])", "", ""},
          {R"("limitType":"count","limit":1,"window":60,"key":[])", "invalid_key key", "1 to 8"},
          {R"("limitType":"count","limit":1,"window":60,"key":["body.a","body.b","body.c","body.d","body.e","body.f","body.g","body.h","body.i"])",
           "invalid_key key", "1 to 8 of them; not 9"},
          {R"("limitType":"count","limit":1,"window":60,"key":["metadata.a",5])", "invalid_key key[1]",
           "each item of \"key\" is the name of a field"},
          {R"("limitType":"count","limit":1,"window":60,"key":["metadata.a","email"])", "unknown_field_root key[1]",
           "metadata.email"},
          {R"("limitType":"count","limit":1,"window":60,"key":["headers.X-Team","headers.x-team"])",
           "invalid_key key[1]", "the same field as item 0"},
          {R"("limitType":"count","limit":1,"window":60,"key":5)", "invalid_key key", "name of a field"},
          {R"("limitType":"count","limit":1,"window":60,"key":"email")", "unknown_field_root key",
           "did you mean \"metadata.email\"?"},
          {R"("limitType":"count","limit":1,"window":60,"key":"user.email")", "unknown_field_root key",
           "begins with metadata."},
          {R"("limitType":"count","limit":1,"window":60,"key":"metadata.")", "invalid_field key", "has an empty name"},
          {R"("limitType":"count","limit":1,"window":60,"key":"body.a..b")", "invalid_field key", "has an empty name"},
          {R"("limitType":"count","limit":1,"window":60,"key":"body.user.id")", "", ""},
          {R"("limitType":"count","limit":1,"window":60,"key":"headers.X-User")", "", ""},
          {R"("limitType":"count","limit":1,"key":"metadata.a")", "missing_property window", "seconds"},
          {R"("limitType":"count","limit":1,"key":"metadata.a","window":"1d")", "invalid_window window",
           "whole number of seconds"},
          {R"("limitType":"count","limit":1,"key":"metadata.a","window":0.5)", "invalid_window window", "positive"},
          {R"("limitType":"count","limit":1,"key":"metadata.a","window":-60)", "invalid_window window", "positive"},
          {R"("limitType":"count","limit":1,"key":"metadata.a","window":31622401)", "invalid_window window", "at most"},
          {R"("limitType":"count","limit":1,"technique":"sliding",)" + base, "", ""},
          {R"("limitType":"cost","limit":1,"technique":"sliding","shadow":true,)" + base, "", ""},
          {R"("limitType":"count","limit":1,"shadow":false,)" + base, "", ""},
          {R"("limitType":"count","limit":1,"shadow":"true",)" + base, "mistyped_field shadow",
           "\"shadow\" is true or false, not a string"},
          {R"("limitType":"count","limit":1,"shadow":1,)" + base, "mistyped_field shadow", "not a number"},
          {R"("limitType":"count","limit":1,"key":"metadata.a","window":"day")", "", ""},
          {R"("limitType":"count","limit":1,"key":"metadata.a","window":"month","timezone":"Europe/Berlin")", "", ""},
          {R"("limitType":"count","limit":1,"key":"metadata.a","window":"day","timezone":"UTC","technique":"fixed")",
           "", ""},
          {R"("limitType":"count","limit":1,"key":"metadata.a","window":"week")", "invalid_window window",
           "\"day\" or \"month\", which follow the calendar; not \"week\""},
          {R"("limitType":"count","limit":1,"key":"metadata.a","window":"86400")", "invalid_window window",
           "not \"86400\""},
          {R"("limitType":"count","limit":1,"key":"metadata.a","window":null)", "invalid_window window", "not null"},
          {R"("limitType":"count","limit":1,"key":"metadata.a","window":"day","technique":"sliding")",
           "invalid_technique technique", "a calendar window does not slide: write \"technique\": \"fixed\""},
          {R"("limitType":"count","limit":1,"timezone":"Europe/Berlin",)" + base, "invalid_timezone timezone",
           "only a calendar window has a time zone"},
          {R"("limitType":"count","limit":1,"key":"metadata.a","window":"day","timezone":"Europe/Berln")",
           "invalid_timezone timezone", "unknown time zone \"Europe/Berln\"; it is an IANA name such as"},
          {R"("limitType":"count","limit":1,"key":"metadata.a","window":"day","timezone":"../etc/passwd")",
           "invalid_timezone timezone", "IANA name"},
          {R"("limitType":"count","limit":1,"key":"metadata.a","window":"day","timezone":"")",
           "invalid_timezone timezone", "those of UTC"},
          {R"("limitType":"count","limit":1,"admission":"observed",)" + base, "admission_without_effect admission",
           "remove \"admission\""},
          {R"("limitType":"count","limit":1,"technique":"x",)" + base, "invalid_technique technique", "fixed"},
          {R"("limitType":"count","limit":1,"admission":"loose",)" + base, "invalid_admission admission",
           "strict, observed"},
          {R"("limitType":"count","limit":1,"onError":"retry",)" + base, "invalid_on_error onError", "allow, deny"},
          {R"("limitType":"count","limit":1,"pool":"",)" + base, "invalid_pool pool", "1 to"},
          {R"("limitType":"count","limit":1,"provider":"openai",)" + base, "misplaced_property provider",
           "\"provider\" does not belong to a rate element; it belongs to: model"},
          {R"("limitType":"count","limit":1,"timeout":0,)" + base, "misplaced_property timeout", "model"},
      },
      RateAround);
}

TEST(ValidateRoute, ChecksEveryPropertyOfAModel) {
  const std::string base = R"("provider":"openai","model":"gpt-4o")";
  ExpectCases(
      {
          {base, "", ""},
          {base + R"(,"timeout":0,"retries":0,"backoff":"exponential","parameters":{"temperature":0,"max_tokens":50})",
           "", ""},
          {R"("model":"gpt-4o")", "missing_property provider", "configured provider"},
          {R"("provider":"openai","model":"")", "missing_property model", "name of the model"},
          {R"("provider":"OpenAI","model":"gpt-4o")", "unknown_provider provider", "unknown provider \"OpenAI\""},
          {base + R"(,"timeout":-1)", "invalid_timeout timeout", "not -1"},
          {base + R"(,"timeout":3600001)", "invalid_timeout timeout", "3600000"},
          {base + R"(,"retries":11)", "invalid_retries retries", "0 to 10"},
          {base + R"(,"backoff":"random")", "invalid_backoff backoff", "constant, linear, exponential"},
          {base + R"(,"parameters":{"model":"gpt-5.1"})", "invalid_parameters parameters.model",
           "cannot override \"model\""},
          {base + R"(,"parameters":{"n":5})", "invalid_parameters parameters.n", "cannot override \"n\""},
          {base + R"(,"parameters":{"max_tokens":"5"})", "invalid_parameters parameters.max_tokens",
           "positive whole number"},
      },
      ModelAround);
}

TEST(ValidateRoute, ChecksConditions) {
  const auto check = [](const std::string& conditions) { return Check(ConditionAround(conditions)); };
  for (const char* good :
       {R"({"metadata.a":"x"})", R"({"metadata.a":null})", R"({"metadata.a":{"$in":[]}})",
        R"({"metadata.a":{"$not":{"$gt":5}}})", R"({"$not":{"metadata.a":1}})",
        R"({"$and":[{"metadata.a":1},{"$or":[{"body.b":2},{"headers.c":"d"}]}]})",
        R"({"metadata.a":{"$gte":1,"$lt":5},"metadata.b":{"$exists":false,"$nin":["x",1,null,true]}})",
        R"({"metadata.a":{"$neq":"x","$lte":"m","$contains":"y"}})"}) {
    EXPECT_THAT(Codes(check(good)), IsEmpty()) << good;
  }
  const std::vector<std::pair<std::string, std::string>> bad = {
      {R"({})", "empty_condition"},
      {R"({"metadata.a":{}})", "empty_condition"},
      {R"({"metadata.a":[1]})", "invalid_operand"},
      {R"({"metadata.a":{"b":1}})", "unknown_operator"},
      {R"({"metadata.a":{"$regex":"x"}})", "unknown_operator"},
      {R"({"$nor":[{"metadata.a":1}]})", "unknown_operator"},
      {R"({"$eq":1})", "misplaced_operator"},
      {R"({"metadata.a":{"$and":[]}})", "misplaced_operator"},
      {R"({"metadata.a":{"$eq":{"b":1}}})", "invalid_operand"},
      {R"({"metadata.a":{"$in":"x"}})", "invalid_operand"},
      {R"({"metadata.a":{"$in":[[1]]}})", "invalid_operand"},
      {R"({"metadata.a":{"$exists":1}})", "invalid_operand"},
      {R"({"metadata.a":{"$gt":true}})", "invalid_operand"},
      {R"({"metadata.a":{"$lte":null}})", "invalid_operand"},
      {R"({"metadata.a":{"$contains":null}})", "invalid_operand"},
      {R"({"metadata.a":{"$not":5}})", "invalid_operand"},
      {R"({"$not":[{"metadata.a":1}]})", "invalid_operand"},
      {R"({"$and":{}})", "invalid_operand"},
      {R"({"$or":[]})", "invalid_operand"},
      {R"({"$or":[5]})", "invalid_operand"},
      {R"({"a":1})", "unknown_field_root"},
      {R"({"metadata":1})", "unknown_field_root"},
      {R"({"":1})", "unknown_field_root"},
      {R"({"headers.":1})", "invalid_field"},
  };
  for (const auto& [conditions, code] : bad) {
    const std::vector<v1::Fault> faults = check(conditions);
    ASSERT_EQ(faults.size(), 1u) << conditions << "\n" << ::testing::PrintToString(Codes(faults));
    EXPECT_EQ(faults[0].code(),
              code == "unknown_field_root" && conditions == R"({"metadata":1})" ? "invalid_field" : code)
        << conditions;
    EXPECT_EQ(faults[0].element_id(), "x") << conditions;
  }
}

TEST(ValidateRoute, SuggestsTheNearestOperator) {
  EXPECT_THAT(Check(ConditionAround(R"({"metadata.a":{"$exist":true}})"))[0].message(),
              HasSubstr("did you mean \"$exists\"?"));
}

TEST(ValidateRoute, BoundsTheDepthOfConditions) {
  const auto nested = [](int depth) {
    std::string conditions = R"({"metadata.a":1})";
    for (int i = 1; i < depth; ++i) conditions = R"({"$and":[)" + conditions + "]}";
    return CheckCodes(ConditionAround(conditions));
  };
  EXPECT_THAT(nested(kConditionDepthMax), IsEmpty());
  EXPECT_THAT(nested(kConditionDepthMax + 1), ElementsAre(HasSubstr("condition_too_deep x ")));
}

TEST(ValidateRoute, ChecksShares) {
  const auto split = [](const std::string& outputs) {
    return CheckCodes(RouteAround(R"({"id":"x","type":"percentage","outputs":{)" + outputs + "}}"));
  };
  const std::string to_m = R"(:{"elementId":"m"})", to_e = R"(:{"elementId":"e"})";
  EXPECT_THAT(split(R"("10%")" + to_m + R"(,"90%")" + to_e), IsEmpty());
  EXPECT_THAT(split(R"("50% a")" + to_m + R"(,"50% b")" + to_e), IsEmpty());
  EXPECT_THAT(split(R"("33.33%")" + to_m + R"(,"66.67%")" + to_e), IsEmpty());
  EXPECT_THAT(split(R"("33.33%")" + to_m + R"(,"66.66%")" + to_e),
              ElementsAre("percentages_not_100 x $.elements[1].outputs"));
  EXPECT_THAT(split(R"("100%")" + to_m + R"(,"1%")" + to_e),
              ElementsAre("percentages_not_100 x $.elements[1].outputs"));
  EXPECT_THAT(split(R"("half")" + to_m + R"(,"50%")" + to_e), ElementsAre("wrong_output x $.elements[1].outputs.half"));
  EXPECT_THAT(split(""), Contains("missing_output x $.elements[1].outputs"));
  EXPECT_EQ(
      MessageOf(Check(RouteAround(
                    R"({"id":"x","type":"percentage","outputs":{"10%":{"elementId":"m"},"85.5%":{"elementId":"e"}}})")),
                "percentages_not_100"),
      "the shares sum to 95.50%, not to 100%");
}

TEST(ValidateRoute, ChecksOutputs) {
  const auto outputs = [](const std::string& type, const std::string& text) {
    return CheckCodes(RouteAround(R"({"id":"x","type":")" + type + R"(","outputs":{)" + text + "}}"));
  };
  EXPECT_THAT(outputs("conditional", R"("true":{"elementId":"m"})"),
              Contains("missing_output x $.elements[1].outputs.false"));
  EXPECT_THAT(outputs("end", R"("next":{"elementId":"m"})"), ElementsAre("wrong_output x $.elements[1].outputs.next"));
  EXPECT_THAT(outputs("rate", R"("fallback":{"elementId":"m"})"),
              Contains("missing_output x $.elements[1].outputs.success"));
  EXPECT_THAT(outputs("conditional", R"("true":{"elementId":"m"},"false":{})"),
              Contains("dangling_output x $.elements[1].outputs.false.elementId"));
  EXPECT_THAT(outputs("conditional", R"("true":{"elementId":"m"},"false":{"elementId":"zz"})"),
              Contains("dangling_output x $.elements[1].outputs.false.elementId"));
}

TEST(ValidateRoute, ALimitAndAModelNeedNoFallback) {
  EXPECT_THAT(
      CheckCodes(RouteAround(
          R"({"id":"x","type":"rate","properties":{"limitType":"count","key":"metadata.a","limit":1,"window":60},
    "outputs":{"success":{"elementId":"m"}}})")),
      IsEmpty());
  EXPECT_THAT(CheckCodes(ModelAround(R"("provider":"openai","model":"gpt-4o")")), IsEmpty());
}

TEST(ValidateRoute, SuccessOfAModelLeadsToAnEnd) {
  EXPECT_THAT(CheckCodes(RouteAround(R"({"id":"x","type":"model","properties":{"provider":"openai","model":"gpt-4o"},
    "outputs":{"success":{"elementId":"m"}}})")),
              ElementsAre("model_success_not_end x $.elements[1].outputs.success.elementId"));
}

TEST(ValidateRoute, ChecksIdsTypesAndTheStart) {
  EXPECT_THAT(CheckCodes(R"({"elements":[]})"), ElementsAre("no_start  $.elements"));
  EXPECT_THAT(CheckCodes("{}"), ElementsAre("no_start  $.elements"));
  EXPECT_THAT(CheckCodes(RouteAround(R"({"id":"","type":"end"})")), Contains("invalid_id  $.elements[1].id"));
  EXPECT_THAT(CheckCodes(RouteAround(R"({"id":")" + std::string(129, 'i') + R"(","type":"end"})")),
              Contains("invalid_id  $.elements[1].id"));
  EXPECT_THAT(CheckCodes(RouteAround(R"({"id":"m","type":"end"})")), Contains("duplicate_id m $.elements[2].id"));
  EXPECT_THAT(CheckCodes(RouteAround(R"({"id":"x","type":"modle"})")), Contains("unknown_type x $.elements[1].type"));
  EXPECT_THAT(Check(RouteAround(R"({"id":"x","type":"modle"})"))[0].message(), HasSubstr("did you mean \"model\"?"));
  EXPECT_THAT(CheckCodes(RouteAround(R"({"id":"x","type":"start","outputs":{"next":{"elementId":"m"}}})")),
              Contains("two_starts x $.elements[1]"));
}

TEST(ValidateRoute, IdsMayBeAnyText) {
  EXPECT_THAT(
      CheckCodes(
          R"({"elements":[{"id":"/ ü%\n","type":"start","outputs":{"next":{"elementId":"…"}}},{"id":"…","type":"end"}]})"),
      IsEmpty());
}

TEST(ValidateRoute, ChecksTheEnd) {
  const auto end = [](const std::string& properties) {
    return CheckCodes(RouteAround(
        R"({"id":"x","type":"conditional","properties":{"conditions":{"metadata.a":1}},"outputs":{"true":{"elementId":"m"},
      "false":{"elementId":"y"}}},{"id":"y","type":"end","properties":)" +
        properties + "}"));
  };
  EXPECT_THAT(end(R"({"status":402,"message":"pay"})"), IsEmpty());
  EXPECT_THAT(end(R"({"status":200})"), ElementsAre("invalid_status y $.elements[2].properties.status"));
  EXPECT_THAT(end(R"({"status":600})"), ElementsAre("invalid_status y $.elements[2].properties.status"));
}

TEST(ValidateRoute, ASelfLoopIsACycle) {
  EXPECT_THAT(CheckCodes(RouteAround(R"({"id":"x","type":"conditional","properties":{"conditions":{"metadata.a":1}},
    "outputs":{"true":{"elementId":"m"},"false":{"elementId":"x"}}})")),
              ElementsAre("cycle x $.elements[1]"));
}

std::string Chain(int length) {
  std::string json = R"({"elements":[{"id":"s","type":"start","outputs":{"next":{"elementId":"0"}}})";
  for (int i = 0; i < length; ++i) {
    absl::StrAppend(
        &json, R"(,{"id":")", i,
        R"(","type":"conditional","properties":{"conditions":{"metadata.a":1}},"outputs":{"true":{"elementId":")",
        i + 1 < length ? std::to_string(i + 1) : "e", R"("},"false":{"elementId":"e"}}})");
  }
  return json + R"(,{"id":"e","type":"end"}]})";
}

TEST(ValidateRoute, BoundsDepthAndSize) {
  EXPECT_THAT(CheckCodes(Chain(kRouteDepthMax - 2)), IsEmpty());
  EXPECT_THAT(CheckCodes(Chain(kRouteDepthMax - 1)), ElementsAre("route_too_deep  $.elements"));
  EXPECT_THAT(CheckCodes(Chain(5'000)), ElementsAre("too_many_elements  $.elements"));
}

TEST(ValidateRoute, AModelWithoutAPriceBehindACostLimitIsAFault) {
  const std::string cost = R"("limitType":"cost","key":"metadata.a","limit":1,"window":60)";
  ValidationContext context = TestContext();
  context.priced_models.clear();
  EXPECT_THAT(Codes(CheckRoute(RateAround(cost), context).faults),
              ElementsAre("unpriced_model m $.elements[2].properties.model"));
  EXPECT_EQ(CheckRoute(RateAround(cost), context).faults[0].message(),
            "model \"gpt-4o\" of \"openai\" has no price, which the cost limit \"x\" needs; set one, or let such "
            "models pass it with \"unpriced\": \"allow\"");
  EXPECT_THAT(
      Codes(CheckRoute(RateAround(R"("limitType":"count","key":"metadata.a","limit":1,"window":60)"), context).faults),
      IsEmpty());
  context.check_prices = false;
  EXPECT_THAT(Codes(CheckRoute(RateAround(cost), context).faults), IsEmpty());
}

TEST(ValidateRoute, ACostLimitMayAllowModelsWithoutAPriceAndTheyAreWarnings) {
  const std::string cost = R"("limitType":"cost","key":"metadata.a","limit":1,"window":60)";
  ValidationContext context = TestContext();
  context.priced_models.clear();
  const CheckedRoute checked = CheckRoute(RateAround(cost + R"(,"unpriced":"allow")"), context);
  EXPECT_TRUE(checked.compiles);
  ASSERT_THAT(Codes(checked.faults), ElementsAre("unpriced_model m $.elements[2].properties.model"));
  EXPECT_EQ(checked.faults[0].severity(), v1::SEVERITY_WARNING);
  EXPECT_EQ(checked.faults[0].message(),
            "model \"gpt-4o\" of \"openai\" has no price, so what it is used for counts $0 at the cost limit \"x\", "
            "which allows that");
  EXPECT_FALSE(CheckRoute(RateAround(cost + R"(,"unpriced":"deny")"), context).compiles);
  // Of several limits on the way one that denies is enough.
  const std::string strict_below = RouteAround(
      R"({"id":"x","type":"rate","properties":{"limitType":"cost","key":"metadata.a","limit":1,"window":60,"unpriced":"allow"},
      "outputs":{"success":{"elementId":"y"}}},{"id":"y","type":"rate","properties":{"limitType":"cost","key":"metadata.b","limit":1,"window":60},
      "outputs":{"success":{"elementId":"m"}}})");
  EXPECT_FALSE(CheckRoute(strict_below, context).compiles);
  EXPECT_THAT(CheckRoute(strict_below, context).faults[0].message(), HasSubstr("which the cost limit \"y\" needs"));
}

TEST(ValidateRoute, ChecksHowLongAnswersAreKept) {
  const auto with_ttl = [](const std::string& ttl) {
    return R"({"name":"r","elements":[{"id":"s","type":"start","properties":{"cacheTtl":)" + ttl +
           R"(},"outputs":{"next":{"elementId":"e"}}},{"id":"e","type":"end","outputs":{}}]})";
  };
  EXPECT_THAT(CheckCodes(with_ttl("0")), IsEmpty());
  EXPECT_THAT(CheckCodes(with_ttl("2592000")), IsEmpty());
  const auto refused = CheckRoute(with_ttl("2592001"), TestContext()).faults;
  ASSERT_THAT(Codes(refused), ElementsAre("invalid_cache_ttl s $.elements[0].properties.cacheTtl"));
  EXPECT_EQ(refused[0].message(), "answers are kept for 0 (not at all) to 2592000 seconds; not 2592001");
  EXPECT_THAT(CheckCodes(with_ttl("-1")), ElementsAre("invalid_cache_ttl s $.elements[0].properties.cacheTtl"));
  EXPECT_THAT(CheckCodes(with_ttl("1.5")), ElementsAre("mistyped_field s $.elements[0].properties.cacheTtl"));
}

TEST(ValidateRoute, AKnownProviderThatIsNotSetUpIsToldApartFromAMisspeltOne) {
  ValidationContext context = TestContext();
  context.providers = {"anthropic", "openai"};
  const auto message = [&](const std::string& provider) {
    return CheckRoute(ModelAround(R"("provider":")" + provider + R"(","model":"gpt-4o")"), context).faults[0].message();
  };
  EXPECT_EQ(message("groq"),
            "provider \"groq\" is not set up in this gateway (set up: anthropic, openai); apply it first: signalboxctl "
            "provider apply groq");
  EXPECT_EQ(message("opnai"), "unknown provider \"opnai\"; did you mean \"openai\"? (known: anthropic, openai)");
}

TEST(ValidateRoute, APoolUsedWithAnotherUnitIsAWarningOnly) {
  const CheckedRoute checked = CheckRoute(
      RouteAround(
          R"({"id":"x","type":"rate","properties":{"limitType":"cost","key":"metadata.a","limit":1,"window":60,"pool":"p"},
      "outputs":{"success":{"elementId":"y"}}},{"id":"y","type":"rate","properties":{"limitType":"count","key":"metadata.a","limit":1,"window":60,"pool":"p"},
      "outputs":{"success":{"elementId":"m"}}})"),
      TestContext());
  EXPECT_THAT(Codes(checked.faults), ElementsAre("pool_mismatch y $.elements[2].properties.pool"));
  EXPECT_EQ(checked.faults[0].severity(), v1::SEVERITY_WARNING);
  EXPECT_TRUE(checked.compiles);
}

// x and y share the pool p; what the warning says of y.
std::string PoolWarning(const std::string& x, const std::string& y) {
  const auto rate = [](const std::string& id, const std::string& properties, const std::string& next) {
    return R"({"id":")" + id + R"(","type":"rate","properties":{"limit":1,"pool":"p",)" + properties +
           R"(},"outputs":{"success":{"elementId":")" + next + R"("}}})";
  };
  const CheckedRoute checked = CheckRoute(RouteAround(rate("x", x, "y") + "," + rate("y", y, "m")), TestContext());
  EXPECT_TRUE(checked.compiles) << x << " | " << y;
  EXPECT_LE(checked.faults.size(), 1u);
  return checked.faults.empty() ? "" : checked.faults[0].code() + ": " + checked.faults[0].message();
}

TEST(ValidateRoute, APoolWhoseLimitsDoNotShareACounterIsAWarningThatSaysWhy) {
  const std::string base = R"("limitType":"cost","key":"metadata.a","window":86400)";
  const auto warning = [](const std::string& what) {
    return "pool_mismatch: pool \"p\" is used by \"x\" with another " + what + ", so the two do not share a counter";
  };
  EXPECT_EQ(PoolWarning(base, base), "");
  EXPECT_EQ(PoolWarning(base, R"("limitType":"cost","key":["metadata.a"],"window":86400,"technique":"fixed")"), "");
  EXPECT_EQ(PoolWarning(base, R"("limitType":"cost","key":"metadata.b","window":86400)"), "")
      << "whose the counter is, the request says";
  EXPECT_EQ(PoolWarning(base, R"("limitType":"tokens","key":"metadata.a","window":86400)"), warning("unit"));
  EXPECT_EQ(PoolWarning(base, base + R"(,"technique":"sliding")"), warning("technique"));
  EXPECT_EQ(PoolWarning(base, R"("limitType":"cost","key":"metadata.a","window":"day")"), warning("window"))
      << "a day of UTC and 86,400 s turn together, but count apart";
  const std::string day = R"("limitType":"cost","key":"metadata.a","window":"day")";
  EXPECT_EQ(PoolWarning(day, day + R"(,"timezone":"Etc/UTC")"), "");
  EXPECT_EQ(PoolWarning(day, day + R"(,"timezone":"Asia/Tokyo")"), warning("window"));
  EXPECT_EQ(PoolWarning(base, R"("limitType":"cost","key":["metadata.a","metadata.b"],"window":86400)"),
            warning("number of key fields"));
  EXPECT_EQ(PoolWarning(R"("limitType":"cost","key":["metadata.b","metadata.a"],"window":86400)",
                        R"("limitType":"count","key":["metadata.a","metadata.b"],"window":60)"),
            warning("unit, window, order of key fields"));
}

TEST(ValidateRoute, AModelWithoutAPriceBehindATokensLimitIsAWarning) {
  ValidationContext context = TestContext();
  context.priced_models.clear();
  const CheckedRoute checked =
      CheckRoute(RateAround(R"("limitType":"tokens","key":"metadata.a","limit":1000,"window":60)"), context);
  EXPECT_TRUE(checked.compiles);
  EXPECT_THAT(Codes(checked.faults), ElementsAre("unknown_output_maximum m $.elements[2].properties.model"));
  EXPECT_EQ(checked.faults[0].message(),
            "model \"gpt-4o\" of \"openai\" has no price, so its output maximum is not known and the tokens limit "
            "\"x\" reckons with 1048576 where the client names no cap; set a price with its maximum");
}

TEST(ValidateRoute, FaultsAreOrderedByPathWithNumbersByValue) {
  std::string json = R"({"elements":[{"id":"s","type":"start","outputs":{"next":{"elementId":"e0"}}})";
  for (int i = 0; i < 12; ++i) absl::StrAppend(&json, R"(,{"id":"e)", i, R"(","type":"nope"})");
  std::vector<std::string> paths;
  for (const v1::Fault& fault : CheckRoute(json + "]}", TestContext()).faults) {
    if (fault.code() == "unknown_type") paths.push_back(fault.path());
  }
  ASSERT_EQ(paths.size(), 12u);
  EXPECT_EQ(paths[1], "$.elements[2].type");
  EXPECT_EQ(paths[11], "$.elements[12].type");
}

}  // namespace
}  // namespace signalbox
