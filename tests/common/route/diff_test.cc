#include "common/route/validator.h"
#include "tests/common/route/route_fixture.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Diff(const std::string& a, const std::string& b) {
  std::vector<std::string> changes;
  for (const v1::ElementChange& change : DiffRoutes(ParseRoute(a).spec, ParseRoute(b).spec)) {
    changes.push_back(v1::ElementChange::Kind_Name(change.kind()) + " " + change.element_id() + " " + change.path() +
                      ": " + change.before() + " -> " + change.after());
  }
  return changes;
}

TEST(DiffRoutes, EqualGraphsHaveNoChanges) {
  const std::string route = RouteFile("valid/my-trillion-dollar-saas.json");
  EXPECT_THAT(Diff(route, route), IsEmpty());
}

TEST(DiffRoutes, ComparesByElementThenByPropertyAndOutput) {
  EXPECT_THAT(
      Diff(
          R"({"name":"a","elements":[{"id":"x","type":"rate","properties":{"limit":10,"window":60,"key":"metadata.a"},"outputs":{"success":{"elementId":"m"}}},
               {"id":"gone","type":"end"}]})",
          R"({"name":"b","elements":[{"id":"new","type":"end","properties":{"status":402},"outputs":{}},
               {"id":"x","type":"rate","properties":{"limit":0.5,"key":"metadata.a","pool":"p"},"outputs":{"success":{"elementId":"n"},"fallback":{"elementId":"e"}}}]})"),
      ElementsAre("CHANGED  name: \"a\" -> \"b\"",
                  "REMOVED gone : {\"id\":\"gone\",\"type\":\"end\",\"outputs\":{}} -> ",
                  "ADDED new :  -> {\"id\":\"new\",\"type\":\"end\",\"properties\":{\"status\":402},\"outputs\":{}}",
                  "CHANGED x outputs.fallback:  -> {\"elementId\":\"e\"}",
                  "CHANGED x outputs.success: {\"elementId\":\"m\"} -> {\"elementId\":\"n\"}",
                  "CHANGED x properties.limit: 10 -> 0.5", "CHANGED x properties.pool:  -> \"p\"",
                  "CHANGED x properties.window: 60 -> "));
}

TEST(DiffRoutes, SeesHowLongAnswersAreKeptAndWhatPassesWithoutAPrice) {
  EXPECT_THAT(
      Diff(R"({"elements":[{"id":"s","type":"start","properties":{"cacheTtl":60}},
                                   {"id":"x","properties":{"unpriced":"deny"}}]})",
           R"({"elements":[{"id":"s","type":"start","properties":{"cacheTtl":0}},
                                   {"id":"x","properties":{"unpriced":"allow"}}]})"),
      ElementsAre("CHANGED s properties.cacheTtl: 60 -> 0", "CHANGED x properties.unpriced: \"deny\" -> \"allow\""));
}

TEST(DiffRoutes, SeesSwitchesListsAndCalendarWindows) {
  EXPECT_THAT(
      Diff(
          R"({"elements":[{"id":"x","properties":{"shadow":true,"key":"metadata.a","window":86400}}]})",
          R"({"elements":[{"id":"x","properties":{"shadow":false,"key":["metadata.a","metadata.b"],"window":"day","timezone":"Asia/Tokyo"}}]})"),
      ElementsAre("CHANGED x properties.key: \"metadata.a\" -> [\"metadata.a\",\"metadata.b\"]",
                  "CHANGED x properties.shadow: true -> false", "CHANGED x properties.timezone:  -> \"Asia/Tokyo\"",
                  "CHANGED x properties.window: 86400 -> \"day\""));
}

TEST(DiffRoutes, SeesInsideConditionsAndParameters) {
  EXPECT_THAT(
      Diff(
          R"({"elements":[{"id":"x","properties":{"conditions":{"metadata.plan":{"$eq":"free"}},"parameters":{"b":1,"a":[true,null]}}}]})",
          R"({"elements":[{"id":"x","properties":{"conditions":{"metadata.plan":{"$eq":"pro"}},"parameters":{"a":[true,null],"b":1}}}]})"),
      ElementsAre("CHANGED x properties.conditions: {\"metadata.plan\":{\"$eq\":\"free\"}} -> "
                  "{\"metadata.plan\":{\"$eq\":\"pro\"}}"));
}

TEST(DiffRoutes, DraftsThatUseAnIdTwiceAreComparedInOrder) {
  EXPECT_THAT(Diff(R"({"elements":[{"id":"x","type":"end"},{"id":"x","type":"start"}]})",
                   R"({"elements":[{"id":"x","type":"end"},{"id":"x","type":"model"}]})"),
              ElementsAre("CHANGED x type: \"start\" -> \"model\""));
}

}  // namespace
}  // namespace signalbox
