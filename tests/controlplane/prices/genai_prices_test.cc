#include "controlplane/prices/genai_prices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/model_price.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

constexpr char kData[] = R"([
  {"id": "acme", "name": "Acme", "api_pattern": "x", "fallback_model_providers": ["other", "gone"], "models": [
    {"id": "tiered", "match": {"equals": "tiered"}, "prices": {
      "input_mtok": {"base": 1.25, "tiers": [{"start": 400000, "price": 5}, {"start": 200000, "price": 2.5}]},
      "cache_read_mtok": 0.05,
      "output_mtok": {"base": 10, "tiers": [{"start": 200000, "price": 15}]},
      "requests_kcount": 5, "web_searches_kcount": 10, "audio_hours": 1.5}},
    {"id": "timed", "match": {"or": [{"starts_with": "timed-"}, {"equals": "timed"}]}, "prices": [
      {"prices": {"input_mtok": 1, "output_mtok": 2}},
      {"constraint": {"start_date": "2025-02-01", "type": "start_date"}, "prices": {"input_mtok": 3}},
      {"constraint": {"start_time": "23:30:00+01:00", "end_time": "00:30:00.5Z", "type": "time_of_date"},
       "prices": {"input_mtok": 4}}]},
    {"id": "spoken", "match": {"equals": "spoken"}, "prices": {"audio_hours": 0.36, "input_audio_hours": 0.36}}]},
  {"id": "other", "models": [
    {"id": "shared", "match": {"contains": "shared"}, "prices": {"input_mtok": 0.08333333333333334}},
    {"id": "free", "match": {"ends_with": ":free"}, "prices": {}}]}
])";

PriceCatalogue Parse(const std::string& json) {
  const auto limits = ModelLimits::Parse(R"({"limits": [
      {"providers": ["acme"], "match": {"equals": "timed"}, "max_output_tokens": 100, "source": "s"}]})");
  EXPECT_TRUE(limits.ok()) << limits.status();
  const auto catalogue = ParseGenaiPrices(json, "data 1", *limits);
  EXPECT_TRUE(catalogue.ok()) << catalogue.status();
  return catalogue.ok() ? *catalogue : PriceCatalogue();
}

std::string Refusal(const std::string& json) {
  return std::string(ParseGenaiPrices(json, "data", ModelLimits()).status().message());
}

std::string Changed(const std::string& from, const std::string& to) {
  const std::string changed = absl::StrReplaceAll(kData, {{from, to}});
  EXPECT_NE(changed, kData) << from;
  return changed;
}

TEST(ParseGenaiPrices, TurnsTiersOfEachUnitIntoRatesOfEachLength) {
  const v1::ModelPrice price = *Parse(kData).Find("acme", "tiered");
  EXPECT_EQ(price.input_nanos_per_mtok(), 1'250'000'000);
  EXPECT_EQ(price.cached_input_nanos_per_mtok(), 50'000'000);
  EXPECT_EQ(price.output_nanos_per_mtok(), 10'000'000'000);
  EXPECT_EQ(price.request_nanos(), 5'000'000);
  EXPECT_EQ(price.web_search_nanos(), 10'000'000);
  ASSERT_EQ(price.tiers_size(), 2);
  EXPECT_EQ(price.tiers(0).above_input_tokens(), 200'000);
  EXPECT_EQ(price.tiers(0).rates().input_nanos_per_mtok(), 2'500'000'000);
  EXPECT_EQ(price.tiers(0).rates().cached_input_nanos_per_mtok(), 50'000'000) << "what has no tiers is the same there";
  EXPECT_EQ(price.tiers(0).rates().output_nanos_per_mtok(), 15'000'000'000);
  EXPECT_EQ(price.tiers(0).rates().request_nanos(), 5'000'000);
  EXPECT_EQ(price.tiers(1).above_input_tokens(), 400'000);
  EXPECT_EQ(price.tiers(1).rates().input_nanos_per_mtok(), 5'000'000'000);
  EXPECT_EQ(price.tiers(1).rates().output_nanos_per_mtok(), 15'000'000'000);
  ASSERT_EQ(price.unmetered_size(), 1);
  EXPECT_EQ(price.unmetered(0), "audio_hours");
  EXPECT_TRUE(PricesTokens(price));
  EXPECT_FALSE(PricesTokens(*Parse(kData).Find("acme", "spoken")));
}

TEST(ParseGenaiPrices, ReadsDatesAndTimesOfDay) {
  const v1::ModelPrice price = *Parse(kData).Find("acme", "timed-2");
  constexpr int64_t kFebruaryUs = 1'738'368'000'000'000;  // 2025-02-01T00:00:00Z
  EXPECT_EQ(PriceAt(price, kFebruaryUs - 3'600'000'000).input_nanos_per_mtok(), 4'000'000'000) << "23:00 UTC";
  EXPECT_EQ(PriceAt(price, kFebruaryUs + 1'800'499'999).input_nanos_per_mtok(), 4'000'000'000) << "00:30:00.499999";
  EXPECT_EQ(PriceAt(price, kFebruaryUs + 1'800'500'000).input_nanos_per_mtok(), 3'000'000'000);
  EXPECT_EQ(PriceAt(price, kFebruaryUs - 7'200'000'000).input_nanos_per_mtok(), 1'000'000'000);
  EXPECT_EQ(price.max_output_tokens(), 100) << "limits go by the id in the data";
  EXPECT_EQ(price.cap_field(), "max_tokens");
  EXPECT_EQ(price.model(), "timed-2");
  EXPECT_EQ(price.source(), "data 1: acme/timed");
}

TEST(ParseGenaiPrices, AnUnconditionalPriceHidesThoseBeforeIt) {
  const std::string json = Changed(R"("constraint": {"start_date": "2025-02-01", "type": "start_date"}, )", "");
  const v1::ModelPrice price = *Parse(json).Find("acme", "timed");
  EXPECT_EQ(price.input_nanos_per_mtok(), 3'000'000'000);
  EXPECT_EQ(price.times_size(), 1);
}

TEST(ParseGenaiPrices, FallsBackToTheModelsOfOtherProviders) {
  const PriceCatalogue catalogue = Parse(kData);
  EXPECT_EQ(catalogue.Find("acme", "a-shared-model")->input_nanos_per_mtok(), 83'333'333);
  EXPECT_EQ(catalogue.Find("acme", "a-shared-model")->source(), "data 1: other/shared");
  EXPECT_FALSE(catalogue.Find("other", "tiered").has_value());
  EXPECT_EQ(catalogue.models(), 5);
  EXPECT_EQ(catalogue.paid_models(), 3);
  EXPECT_EQ(catalogue.sources(), (std::vector<std::string>{"acme", "other"}));
}

TEST(ParseGenaiPrices, RefusesTheWholeForOneFault) {
  EXPECT_EQ(Refusal("{"), "it is not JSON");
  EXPECT_EQ(Refusal("{}"), "it is not a list of providers");
  EXPECT_EQ(Refusal("[]"), "it is not a list of providers");
  EXPECT_EQ(Refusal("[7]"), "a provider has no \"id\" of 1 to 256 bytes");
  EXPECT_EQ(Refusal(R"([{"id": "p"}])"), "provider \"p\": \"models\" must be a list");
  EXPECT_EQ(Refusal(R"([{"id": "p", "models": []}, {"id": "p", "models": []}])"), "provider \"p\" is there twice");
  EXPECT_EQ(Refusal(Changed(R"("input_mtok": 1,)", R"("input_mtok": -1,)")),
            "provider \"acme\": model \"timed\": \"input_mtok\" must be from 0 to 1e+06 dollars");
  EXPECT_EQ(Refusal(Changed(R"("input_mtok": 1,)", R"("input_mtok": 1e7,)")),
            "provider \"acme\": model \"timed\": \"input_mtok\" must be from 0 to 1e+06 dollars");
  EXPECT_EQ(Refusal(Changed(R"("input_mtok": 1,)", R"("input_mtok": "1",)")),
            "provider \"acme\": model \"timed\": \"input_mtok\" must be a number or tiers");
  EXPECT_EQ(Refusal(Changed(R"("start": 400000)", R"("start": -4)")),
            "provider \"acme\": model \"tiered\": \"input_mtok\" has a tier without a whole \"start\" and a \"price\"");
  EXPECT_EQ(Refusal(Changed("2025-02-01", "2025-02-30")),
            "provider \"acme\": model \"timed\": \"start_date\" 2025-02-30 does not exist");
  EXPECT_THAT(Refusal(Changed("23:30:00+01:00", "24:30:00Z")), HasSubstr("\"start_time\" must be a time of day"));
  EXPECT_THAT(Refusal(Changed("23:30:00+01:00", "23:30:00+1")), HasSubstr("\"start_time\" must be a time of day"));
  EXPECT_THAT(Refusal(Changed("\"start_date\":", "\"end_date\":")), HasSubstr("neither a start_date nor"));
  EXPECT_EQ(Refusal(Changed(R"({"contains": "shared"})", R"({"sounds_like": "shared"})")),
            "provider \"other\": model \"shared\": \"match\" has the unknown kind \"sounds_like\"");
  EXPECT_THAT(Refusal(Changed(R"({"contains": "shared"})", R"({"regex": "("})")),
              HasSubstr("the price of other/shared: pattern \"(\" cannot be read"));
  EXPECT_EQ(Refusal(Changed(R"(, "prices": {}}]})", "}]}")),
            "provider \"other\": model \"free\": \"prices\" is missing");
}

// Whatever is cut off, doubled or replaced, the answer is a status or a catalogue whose every price is sound.
TEST(ParseGenaiPrices, NoMutationOfTheDataGetsPast) {
  const std::string data = kData;
  for (size_t i = 0; i < data.size(); ++i) {
    for (const std::string& mutated :
         {data.substr(0, i), data.substr(0, i) + data.substr(i + 1), data.substr(0, i) + "9" + data.substr(i + 1),
          data.substr(0, i) + "[" + data.substr(i + 1), data.substr(0, i) + "null" + data.substr(i),
          data.substr(0, i) + "\"" + data.substr(i + 1)}) {
      const auto catalogue = ParseGenaiPrices(mutated, "data", ModelLimits());
      if (!catalogue.ok()) {
        ASSERT_EQ(catalogue.status().code(), absl::StatusCode::kInvalidArgument) << mutated;
        continue;
      }
      for (const std::string& source : catalogue->sources()) {
        for (const v1::ModelPrice& price : catalogue->PricesOf(source)) ASSERT_EQ(PriceProblem(price), "") << mutated;
      }
    }
  }
}

}  // namespace
}  // namespace signalbox
