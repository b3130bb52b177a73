#include "tests/simprovider/bill.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/simprovider/default_prices.h"

namespace signalbox::sim {
namespace {

using testing::HasSubstr;

PriceList Published() {
  absl::StatusOr<PriceList> prices = PriceList::Parse(kDefaultPrices);
  EXPECT_TRUE(prices.ok()) << prices.status();
  return *std::move(prices);
}

TEST(ParseDollars, ReadsExactDecimals) {
  EXPECT_EQ(*ParseDollars("1.25"), 1'250'000'000);
  EXPECT_EQ(*ParseDollars("0.075"), 75'000'000);
  EXPECT_EQ(*ParseDollars("10"), 10'000'000'000);
  EXPECT_EQ(*ParseDollars("0.000000001"), 1);
}

TEST(ParseDollars, RefusesWhatIsNotAnExactDecimal) {
  for (const char* text : {"", ".", "1.", ".5", "-1", "1e3", "1.0000000001", "1,25", "NaN", "99999999"}) {
    EXPECT_EQ(ParseDollars(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(PriceList, HasThePublishedPrices) {
  const PriceList prices = Published();
  ASSERT_NE(prices.Find("gpt-5.1"), nullptr);
  EXPECT_EQ(prices.Find("gpt-5.1")->input, 1'250'000'000);
  EXPECT_EQ(prices.Find("gpt-5.1")->cached_input, 125'000'000);
  EXPECT_EQ(prices.Find("gpt-5.1")->output, 10'000'000'000);
  ASSERT_NE(prices.Find("gpt-4o-mini"), nullptr);
  EXPECT_EQ(prices.Find("gpt-4o-mini")->input, 150'000'000);
  EXPECT_EQ(prices.Find("gpt-6"), nullptr);
}

TEST(PriceList, NamesTheModelWhosePriceIsWrong) {
  const auto list = PriceList::Parse(R"({"models":{"m":{"input":"1","cached_input":"x","output":"2"}}})");
  EXPECT_THAT(std::string(list.status().message()), HasSubstr("model \"m\": cached_input: \"x\" is not a price"));
  const auto number = PriceList::Parse(R"({"models":{"m":{"input":1,"cached_input":"1","output":"2"}}})");
  EXPECT_THAT(std::string(number.status().message()), HasSubstr("model \"m\": \"input\" must be a string"));
}

TEST(Cost, IsExactWhereTheSumIsWhole) {
  // 1,000 × $1.25/M + 500 × $10/M = $0.00125 + $0.005
  EXPECT_EQ(Cost({1'250'000'000, 125'000'000, 10'000'000'000}, {1'000, 0, 500, 0}), 6'250'000);
}

TEST(Cost, PricesCachedTokensApart) {
  EXPECT_EQ(Cost({1'250'000'000, 125'000'000, 10'000'000'000}, {1'000, 400, 0, 0}), 600 * 1'250 + 400 * 125);
}

TEST(Cost, RoundsUpOnceNotOncePerTerm) {
  // A third of a nano-dollar each, thrice: one nano-dollar, not three.
  EXPECT_EQ(Cost({333'333, 333'333, 333'334}, {2, 1, 1, 0}), 1);
  EXPECT_EQ(Cost({1, 1, 1}, {1, 0, 0, 0}), 1);
  EXPECT_EQ(Cost({1, 1, 1}, {0, 0, 0, 0}), 0);
  EXPECT_EQ(Cost({1'000'001, 0, 0}, {1, 0, 0, 0}), 2);
}

TEST(Cost, HoldsForBillionsOfTokens) {
  // 2,000,000,001 tokens at $3.000000001 a million.
  EXPECT_EQ(Cost({3'000'000'001, 0, 0}, {2'000'000'001, 0, 0, 0}), 6'000'000'005'001);
}

TEST(Cost, PricesWritesAndSpeechApart) {
  const Price price{2'500'000'000, 1'250'000'000, 10'000'000'000, 3'125'000'000, 40'000'000'000, 80'000'000'000};
  Usage usage{1'000, 100, 50, 0};
  usage.written = 200;
  usage.audio_input = 300;
  usage.audio_output = 30;
  EXPECT_EQ(Cost(price, usage), 400 * 2'500 + 100 * 1'250 + 200 * 3'125 + 300 * 40'000 + 20 * 10'000 + 30 * 80'000);
}

TEST(PriceList, WritesAndSpeechCostAsInputAndOutputWhereNothingElseIsSaid) {
  const auto list = PriceList::Parse(R"({"models":{"m":{"input":"1","cached_input":"0.5","output":"2"},
      "a":{"input":"1","cached_input":"0.5","output":"2","cache_write":"3","audio_input":"4","audio_output":"5"}}})");
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->Find("m")->cache_write, 1'000'000'000);
  EXPECT_EQ(list->Find("m")->audio_output, 2'000'000'000);
  EXPECT_EQ(list->Find("a")->cache_write, 3'000'000'000);
  EXPECT_EQ(list->Find("a")->audio_input, 4'000'000'000);
  EXPECT_EQ(list->Find("a")->audio_output, 5'000'000'000);
}

TEST(Bill, CountsTheCallsOfARequest) {
  Bill bill(Published());
  bill.Open("a", "gpt-5.1", false);
  bill.Open("b", "gpt-5.1", false);
  bill.SetTold(bill.Open("a", "gpt-5.1", false), true);
  EXPECT_EQ(bill.CallsOf("a"), 2);
  EXPECT_EQ(bill.CallsOf("c"), 0);
  EXPECT_FALSE(bill.lines()[0].told);
  EXPECT_TRUE(bill.lines()[2].told);
}

TEST(Bill, TotalsWhatItsLinesCost) {
  Bill bill(Published());
  const size_t a = bill.Open("req-a", "gpt-4o-mini", false);
  const size_t b = bill.Open("req-b", "gpt-5.1", true);
  bill.Charge(a, {100, 0, 50, 0});
  bill.Charge(b, {10, 0, 1, 0});
  bill.Charge(b, {10, 0, 5, 0});  // replaces: a stream charges as it goes
  bill.SetStatus(b, 200);
  bill.SetCompleted(b, true);
  EXPECT_EQ(bill.lines()[a].cost_nanos, 100 * 150 + 50 * 600);
  EXPECT_EQ(bill.lines()[b].cost_nanos, 10 * 1'250 + 5 * 10'000);
  EXPECT_EQ(bill.total_nanos(), 45'000 + 62'500);
  const nlohmann::json json = nlohmann::json::parse(bill.ToJson());
  EXPECT_EQ(json["total_nanos"], 107'500);
  EXPECT_EQ(json["requests"][1]["request_id"], "req-b");
  EXPECT_EQ(json["requests"][1]["output"], 5);
  EXPECT_EQ(json["requests"][1]["completed"], true);
  EXPECT_EQ(json["requests"][0]["completed"], false);
}

TEST(Bill, AModelWithoutAPriceIsFreeAndMarked) {
  Bill bill(Published());
  bill.Charge(bill.Open("r", "unheard-of", false), {1'000, 0, 1'000, 0});
  EXPECT_EQ(bill.total_nanos(), 0);
  EXPECT_FALSE(bill.lines()[0].priced);
}

TEST(Bill, ALineFromBeforeClearIsIgnoredAfterIt) {
  Bill bill(Published());
  const size_t old = bill.Open("old", "gpt-5.1", true);
  bill.Clear();
  const size_t fresh = bill.Open("fresh", "gpt-5.1", true);
  bill.Charge(old, {1'000, 0, 1'000, 0});
  bill.Charge(fresh, {1, 0, 0, 0});
  ASSERT_EQ(bill.lines().size(), 1u);
  EXPECT_EQ(bill.lines()[0].request_id, "fresh");
  EXPECT_EQ(bill.total_nanos(), 1'250);
}

}  // namespace
}  // namespace signalbox::sim
