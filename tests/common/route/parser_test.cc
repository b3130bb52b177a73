#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "tests/common/route/route_fixture.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> ParseCodes(std::string_view json) { return Codes(ParseRoute(json).faults); }

TEST(ParseRoute, ReadsEveryFieldOfTheAuthoringFormat) {
  const ParsedRoute parsed = ParseRoute(R"({"name":"n","elements":[
    {"id":"a","type":"rate","properties":{"limitType":"cost","key":"metadata.email","limit":0.1,"window":86400,"pool":"p",
     "technique":"fixed","onError":"deny","admission":"strict"},"outputs":{"success":{"elementId":"b"}}},
    {"id":"b","type":"model","properties":{"provider":"openai","model":"gpt-5.1","timeout":0,"retries":0,
     "parameters":{"temperature":0.5,"stop":["a",null,true]},"backoff":"linear"}},
    {"id":"c","type":"end","properties":{"status":402,"message":"pay"}}]})");
  EXPECT_THAT(Codes(parsed.faults), IsEmpty());
  const v1::Properties& rate = parsed.spec.elements(0).properties();
  EXPECT_EQ(rate.limit(), 0.1);
  EXPECT_EQ(rate.key().string_value(), "metadata.email");
  EXPECT_EQ(rate.window().number_value(), 86400);
  EXPECT_EQ(parsed.spec.elements(0).outputs().at("success").element_id(), "b");
  const v1::Properties& model = parsed.spec.elements(1).properties();
  EXPECT_TRUE(model.has_timeout());
  EXPECT_TRUE(model.has_retries());
  EXPECT_EQ(model.parameters().fields().at("stop").list_value().values_size(), 3);
  EXPECT_EQ(parsed.spec.elements(2).properties().status(), 402);
}

TEST(ParseRoute, ListsEveryUnknownFieldAndNamesTheNearest) {
  const ParsedRoute parsed = ParseRoute(R"({"nmae":"n","elements":[{"id":"a","type":"model","colour":"red",
    "properties":{"modle":"x","qqqqqqqq":1},"outputs":{"success":{"elementid":"e","elemntId":"f"}}}]})");
  EXPECT_THAT(
      Codes(parsed.faults),
      ElementsAre("unknown_field a $.elements[0].colour", "wrong_case a $.elements[0].outputs.success.elementid",
                  "unknown_field a $.elements[0].outputs.success.elemntId",
                  "unknown_property a $.elements[0].properties.modle",
                  "unknown_property a $.elements[0].properties.qqqqqqqq", "unknown_field  $.nmae"));
  EXPECT_THAT(MessageOf(parsed.faults, "unknown_property"),
              HasSubstr("unknown property \"modle\"; did you mean \"model\"?"));
}

TEST(ParseRoute, NamesTheRightCase) {
  for (const char* wrong : {"element_id", "ElementId", "elementID", "ELEMENTID", "element-id"}) {
    const ParsedRoute parsed = ParseRoute(
        absl::StrCat(R"({"elements":[{"id":"a","type":"start","outputs":{"next":{")", wrong, R"(":"b"}}}]})"));
    ASSERT_EQ(parsed.faults.size(), 1u) << wrong;
    EXPECT_EQ(parsed.faults[0].code(), "wrong_case");
    EXPECT_EQ(parsed.faults[0].message(), absl::StrCat("\"", wrong, "\" must be written \"elementId\""));
    EXPECT_EQ(parsed.spec.elements(0).outputs().at("next").element_id(), "b")
        << "read as meant, so that nothing follows from it";
  }
  EXPECT_THAT(ParseCodes(R"({"elements":[{"id":"a","properties":{"limit_type":"cost","on_error":"deny"}}]})"),
              ElementsAre("wrong_case a $.elements[0].properties.limit_type",
                          "wrong_case a $.elements[0].properties.on_error"));
}

TEST(ParseRoute, SaysWhenAPropertyStandsBesideProperties) {
  EXPECT_EQ(ParseRoute(R"({"elements":[{"id":"a","provider":"openai"}]})").faults[0].message().substr(0, 62),
            "unknown field \"provider\"; it belongs inside \"properties\" (know");
}

TEST(ParseRoute, FindsDuplicatesAtEveryLevel) {
  EXPECT_THAT(
      ParseCodes(
          R"({"name":"a","name":"b","elements":[{"id":"x","id":"y","outputs":{"next":{"elementId":"p"},"next":{"elementId":"q"}},
    "properties":{"limit":1,"limit":2,"conditions":{"metadata.a":1,"metadata.a":2,"metadata.b":{"$gt":1,"$gt":2}},
    "parameters":{"x":{"y":1,"y":2}}}}]})"),
      ElementsAre("duplicate_field x $.elements[0].id", "duplicate_field x $.elements[0].outputs.next",
                  "duplicate_field x $.elements[0].properties.conditions[\"metadata.a\"]",
                  "duplicate_field x $.elements[0].properties.conditions[\"metadata.b\"].$gt",
                  "duplicate_field x $.elements[0].properties.limit",
                  "duplicate_field x $.elements[0].properties.parameters.x.y", "duplicate_field  $.name"));
}

TEST(ParseRoute, FindsADuplicateWrittenWithEscapes) {
  EXPECT_THAT(ParseCodes(R"({"name":"a","n\u0061me":"b"})"), ElementsAre("duplicate_field  $.name"));
}

TEST(ParseRoute, RefusesMistypedFields) {
  EXPECT_THAT(
      ParseCodes(R"({"name":1,"elements":[{"id":7,"type":null,"properties":[],"outputs":[]},"x",
    {"id":"b","properties":{"limit":"10","timeout":"5","retries":1.5,"status":3000000000,"conditions":[],"parameters":"x",
     "pool":true,"model":{}},"outputs":{"next":"c"}}]})"),
      ElementsAre("mistyped_field  $.elements[0].id", "mistyped_field  $.elements[0].outputs",
                  "mistyped_field  $.elements[0].properties", "mistyped_field  $.elements[0].type",
                  "mistyped_field  $.elements[1]", "mistyped_field b $.elements[2].outputs.next",
                  "mistyped_field b $.elements[2].properties.conditions",
                  "mistyped_field b $.elements[2].properties.limit", "mistyped_field b $.elements[2].properties.model",
                  "mistyped_field b $.elements[2].properties.parameters",
                  "mistyped_field b $.elements[2].properties.pool", "mistyped_field b $.elements[2].properties.retries",
                  "mistyped_field b $.elements[2].properties.status",
                  "mistyped_field b $.elements[2].properties.timeout", "mistyped_field  $.name"));
  EXPECT_EQ(MessageOf(ParseRoute(R"({"elements":[{"id":"b","properties":{"limit":"10"}}]})").faults, "mistyped_field"),
            "\"limit\" is a number, not a string");
  EXPECT_THAT(ParseCodes("[]"), ElementsAre("mistyped_field  $"));
  EXPECT_THAT(ParseCodes("null"), ElementsAre("mistyped_field  $"));
}

TEST(ParseRoute, AcceptsAWholeNumberHoweverItIsWritten) {
  const ParsedRoute parsed = ParseRoute(R"({"elements":[{"id":"a","properties":{"timeout":1000.0,"retries":1e0}}]})");
  EXPECT_THAT(Codes(parsed.faults), IsEmpty());
  EXPECT_EQ(parsed.spec.elements(0).properties().timeout(), 1000);
}

TEST(ParseRoute, RefusesAnIntegerThatRoundingWouldChange) {
  EXPECT_THAT(ParseCodes(R"({"elements":[{"id":"a","properties":{"parameters":{"seed":9007199254740993}}}]})"),
              ElementsAre("inexact_number a $.elements[0].properties.parameters.seed"));
  EXPECT_THAT(
      ParseCodes(R"({"elements":[{"id":"a","properties":{"parameters":{"seed":123456789012345678901234567890}}}]})"),
      ElementsAre("inexact_number a $.elements[0].properties.parameters.seed"));
}

TEST(ParseRoute, RefusesWhatIsNotJson) {
  for (const char* bad : {"",
                          " ",
                          "{",
                          "}",
                          "{\"name\":NaN}",
                          "{\"name\":Infinity}",
                          "{\"elements\":[1,]}",
                          "{\"name\":\"a\",}",
                          "{\"name\":\"a\"} x",
                          "{\"name\":\"a\"}{}",
                          "{name:\"a\"}",
                          "{'name':'a'}",
                          "{\"name\":01}",
                          "{\"name\":\"\\ud800\"}",
                          "{\"name\":\"a\tb\"}",
                          "// c\n{}",
                          "{\"elements\":[{\"properties\":{\"limit\":1e999}}]}",
                          "{\"name\":\"\xff\"}",
                          "\xff\xfe{\0}\0",
                          "{\"name\":+1}",
                          "{\"name\":0x10}",
                          "{\"name\":.5}",
                          "tru"}) {
    const ParsedRoute parsed = ParseRoute(bad);
    ASSERT_EQ(parsed.faults.size(), 1u) << bad;
    EXPECT_EQ(parsed.faults[0].code(), "invalid_json") << bad;
    EXPECT_THAT(parsed.faults[0].message(), HasSubstr("not valid JSON: ")) << bad;
  }
}

TEST(ParseRoute, SyntaxErrorsNameLineColumnAndPath) {
  const ParsedRoute parsed = ParseRoute("{\"name\":\"a\",\n\"elements\":[{\"id\":\"a\"},\n{\"id\":NaN}]}");
  EXPECT_EQ(parsed.faults[0].path(), "$.elements[1].id");
  EXPECT_THAT(parsed.faults[0].message(), HasSubstr("line 3, column 7"));
}

TEST(ParseRoute, BoundsNestingAndSize) {
  const std::string bomb(200'000, '[');
  EXPECT_EQ(ParseRoute(bomb).faults[0].code(), "nested_too_deep");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_EQ(ParseRoute(objects).faults[0].code(), "nested_too_deep");
  EXPECT_EQ(ParseRoute(std::string(kRouteJsonBytesMax + 1, ' ')).faults[0].code(), "route_too_large");
}

TEST(ParseRoute, BoundsTheNumberAndSizeOfFaults) {
  std::string json = R"({"elements":[{"id":")" + std::string(200'000, 'i') + R"(","properties":{)";
  for (int i = 0; i < 5'000; ++i) json += "\"unknown" + std::to_string(i) + "\":1,";
  json += "\"" + std::string(300'000, 'k') + "\":1}}]}";
  const ParsedRoute parsed = ParseRoute(json);
  ASSERT_EQ(parsed.faults.size(), static_cast<size_t>(kRouteFaultsMax) + 1);
  EXPECT_EQ(parsed.faults.back().code(), "too_many_faults");
  EXPECT_EQ(parsed.faults.back().message(), "4001 more faults are not listed");
  for (const v1::Fault& fault : parsed.faults) EXPECT_LT(fault.ByteSizeLong(), 2'000u);
}

TEST(ParseRoute, HostileNamesComeOutQuotedAndShort) {
  const ParsedRoute parsed = ParseRoute("{\"a\\u0000\\nb\\\"" + std::string(500, 'x') + "\":1}");
  ASSERT_EQ(parsed.faults.size(), 1u);
  EXPECT_THAT(parsed.faults[0].message(), HasSubstr("\"a\\u0000\\u000ab\\\"xxx"));
  EXPECT_LT(parsed.faults[0].path().size(), 250u);
}

TEST(CheckRoute, LeavesOutGraphFaultsThatOnlyRepeatAParseFault) {
  const ValidationContext context = TestContext();
  EXPECT_THAT(Codes(CheckRoute("{", context).faults), ElementsAre("invalid_json  $"));
  EXPECT_THAT(
      Codes(
          CheckRoute(RateAround(R"("limitType":"count","key":"metadata.a","limit":"10","window":60)"), context).faults),
      ElementsAre("mistyped_field x $.elements[1].properties.limit"));
  EXPECT_THAT(
      Codes(
          CheckRoute(RateAround(R"("limitType":"count","keys":"metadata.a","limit":10,"window":60)"), context).faults),
      ElementsAre("unknown_property x $.elements[1].properties.keys"));
  EXPECT_THAT(Codes(CheckRoute(R"({"elemnts":[]})", context).faults), ElementsAre("unknown_field  $.elemnts"));
  EXPECT_THAT(
      Codes(
          CheckRoute(
              R"({"elements":[{"id":"s","tpye":"start","outputs":{"next":{"elementId":"e"}}},{"id":"e","type":"end"}]})",
              context)
              .faults),
      ElementsAre("unknown_field s $.elements[0].tpye"));
}

TEST(CheckRoute, ReportsTheGraphsOwnFaultsBesideThoseOfTheJson) {
  EXPECT_THAT(
      Codes(CheckRoute(RateAround(R"("limitType":"count","key":"metadata.a","limit":0,"windw":60)"), TestContext())
                .faults),
      ElementsAre("invalid_limit x $.elements[1].properties.limit",
                  "unknown_property x $.elements[1].properties.windw"));
}

TEST(RouteSpecSha256, IgnoresSpacingAndOrderOfKeys) {
  const auto hash = [](const std::string& json) { return RouteSpecSha256(ParseRoute(json).spec); };
  EXPECT_EQ(
      hash(R"({"name":"a","elements":[{"id":"x","outputs":{"a":{"elementId":"1"},"b":{"elementId":"2"}}}]})"),
      hash(R"( { "elements": [ {"outputs":{"b":{"elementId":"2"},"a":{"elementId":"1"}}, "id":"x"}], "name":"a"} )"));
  EXPECT_NE(hash(R"({"elements":[{"id":"x","properties":{"timeout":0}}]})"),
            hash(R"({"elements":[{"id":"x","properties":{}}]})"));
  EXPECT_EQ(hash("{}").size(), 64u);
}

}  // namespace
}  // namespace signalbox
