#include "common/model_price.h"

#include <cstdint>
#include <random>

#include "common/money.h"
#include "gtest/gtest.h"

namespace signalbox {
namespace {

constexpr int64_t kHourUs = 3'600'000'000;
constexpr int64_t kMidnightUs = 20'000 * 24 * kHourUs;

v1::ModelPrice Rates(int64_t input, int64_t output) {
  v1::ModelPrice price;
  price.set_input_nanos_per_mtok(input);
  price.set_output_nanos_per_mtok(output);
  return price;
}

v1::TokenUsage Usage(int64_t input, int64_t output) {
  v1::TokenUsage usage;
  usage.set_input(input);
  usage.set_output(output);
  return usage;
}

void AddTier(v1::ModelPrice& price, int64_t above, const v1::ModelPrice& rates) {
  v1::PriceTier& tier = *price.add_tiers();
  tier.set_above_input_tokens(above);
  *tier.mutable_rates() = rates;
}

TEST(RatesFor, ATierHoldsForTheWholeRequestOnceItsInputIsLonger) {
  v1::ModelPrice price = Rates(1'000'000, 2'000'000);
  AddTier(price, 200, Rates(3'000'000, 4'000'000));
  AddTier(price, 400, Rates(5'000'000, 6'000'000));
  EXPECT_EQ(CostNanos(Usage(200, 10), price), 200 * 1 + 10 * 2) << "at the border the lower one";
  EXPECT_EQ(CostNanos(Usage(201, 10), price), 201 * 3 + 10 * 4) << "every token, not those past the border";
  EXPECT_EQ(CostNanos(Usage(401, 10), price), 401 * 5 + 10 * 6);
  v1::TokenUsage cached = Usage(401, 0);
  cached.set_cached_input(400);
  EXPECT_EQ(CostNanos(cached, price), 401 * 5) << "cached input counts for the length";
}

TEST(PriceAt, TheLastTimeThatFitsHoldsAndNamesAndLimitsStay) {
  v1::ModelPrice price = Rates(1, 1);
  price.set_provider("deepseek");
  price.set_model("chat");
  price.set_max_output_tokens(8'192);
  price.set_cap_field("max_tokens");
  price.set_image_tokens_max(5);
  price.set_source("data");
  price.mutable_match()->set_equals("chat");
  v1::TimedPrice& later = *price.add_times();
  later.set_start_us(kMidnightUs);
  *later.mutable_rates() = Rates(2, 2);
  v1::TimedPrice& morning = *price.add_times();
  morning.mutable_time_of_day()->set_start_us(kHourUs);
  morning.mutable_time_of_day()->set_end_us(4 * kHourUs);
  *morning.mutable_rates() = Rates(3, 3);
  v1::TimedPrice& night = *price.add_times();
  night.mutable_time_of_day()->set_start_us(22 * kHourUs);
  night.mutable_time_of_day()->set_end_us(kHourUs / 2);
  *night.mutable_rates() = Rates(4, 4);

  const auto input_at = [&price](int64_t unix_us) { return PriceAt(price, unix_us).input_nanos_per_mtok(); };
  EXPECT_EQ(input_at(kMidnightUs - 12 * kHourUs), 1);
  EXPECT_EQ(input_at(kMidnightUs - 1), 4) << "past ten at night, whatever the day";
  EXPECT_EQ(input_at(kMidnightUs), 4) << "till half past midnight";
  EXPECT_EQ(input_at(kMidnightUs + kHourUs / 2), 2) << "the end is excluded";
  EXPECT_EQ(input_at(kMidnightUs + kHourUs), 3) << "the start is included";
  EXPECT_EQ(input_at(kMidnightUs + 4 * kHourUs), 2);
  EXPECT_EQ(input_at(-1), 4) << "before 1970 there were days too";
  const v1::ModelPrice resolved = PriceAt(price, kMidnightUs + 2 * kHourUs);
  EXPECT_EQ(resolved.times_size(), 0);
  EXPECT_EQ(resolved.provider(), "deepseek");
  EXPECT_EQ(resolved.model(), "chat");
  EXPECT_EQ(resolved.max_output_tokens(), 8'192);
  EXPECT_EQ(resolved.cap_field(), "max_tokens");
  EXPECT_EQ(resolved.image_tokens_max(), 5);
  EXPECT_EQ(resolved.source(), "data");
  EXPECT_EQ(resolved.match().equals(), "chat");
  EXPECT_EQ(PriceAt(Rates(7, 7), 5).SerializeAsString(), Rates(7, 7).SerializeAsString());
}

TEST(DearestRatesOf, CoversTiersThatTheInputCanReachAndEveryTime) {
  v1::ModelPrice price = Rates(5, 5);
  price.set_request_nanos(1);
  v1::ModelPrice longer = Rates(7, 3);
  longer.set_cache_write_1h_nanos_per_mtok(20);
  longer.set_reasoning_nanos_per_mtok(9);
  longer.set_request_nanos(2);
  AddTier(price, 1'000, longer);
  EXPECT_EQ(DearestRatesOf(price).input_nanos_per_mtok, 20);
  EXPECT_EQ(DearestRatesOf(price).output_nanos_per_mtok, 9);
  EXPECT_EQ(DearestRatesOf(price).request_nanos, 2);
  EXPECT_EQ(DearestRatesOf(price, 1'000).input_nanos_per_mtok, 5);
  EXPECT_EQ(DearestRatesOf(price, 1'000).output_nanos_per_mtok, 5);
  EXPECT_EQ(DearestRatesOf(price, 1'000).request_nanos, 1);
  EXPECT_EQ(DearestRatesOf(price, 1'001).input_nanos_per_mtok, 20);
  v1::ModelPrice& peak = *price.add_times()->mutable_rates();
  peak = Rates(30, 40);
  EXPECT_EQ(DearestInputPrice(price), 30);
  EXPECT_EQ(DearestOutputPrice(price), 40);
}

// Whatever a price looks like and a usage says, what was held before is not less than what is charged after.
TEST(DearestRatesOf, ABoundIsNeverBelowTheCost) {
  std::mt19937_64 random(4);
  const auto draw = [&random](int64_t below) { return static_cast<int64_t>(random() % static_cast<uint64_t>(below)); };
  const auto rates = [&draw] {
    v1::ModelPrice price = Rates(draw(1'000'000'000), draw(1'000'000'000));
    if (draw(2) == 0) price.set_cached_input_nanos_per_mtok(draw(2'000'000'000));
    if (draw(2) == 0) price.set_cache_write_nanos_per_mtok(draw(2'000'000'000));
    if (draw(2) == 0) price.set_cache_write_1h_nanos_per_mtok(draw(2'000'000'000));
    if (draw(2) == 0) price.set_audio_input_nanos_per_mtok(draw(2'000'000'000));
    if (draw(2) == 0) price.set_cached_audio_input_nanos_per_mtok(draw(2'000'000'000));
    if (draw(2) == 0) price.set_image_input_nanos_per_mtok(draw(2'000'000'000));
    if (draw(2) == 0) price.set_cached_image_input_nanos_per_mtok(draw(2'000'000'000));
    if (draw(2) == 0) price.set_video_input_nanos_per_mtok(draw(2'000'000'000));
    if (draw(2) == 0) price.set_reasoning_nanos_per_mtok(draw(2'000'000'000));
    if (draw(2) == 0) price.set_citation_nanos_per_mtok(draw(2'000'000'000));
    if (draw(2) == 0) price.set_audio_output_nanos_per_mtok(draw(2'000'000'000));
    if (draw(2) == 0) price.set_image_output_nanos_per_mtok(draw(2'000'000'000));
    if (draw(2) == 0) price.set_video_output_nanos_per_mtok(draw(2'000'000'000));
    if (draw(2) == 0) price.set_request_nanos(draw(1'000));
    return price;
  };
  for (int i = 0; i < 5'000; ++i) {
    v1::ModelPrice price = rates();
    AddTier(price, draw(1'000), rates());
    AddTier(price, 1'000 + draw(1'000), rates());
    v1::TokenUsage usage = Usage(draw(3'000), draw(3'000));
    const auto part = [&draw](int64_t whole) { return draw(2 * whole + 2); };  // also more than there is
    usage.set_cached_input(part(usage.input()));
    usage.set_cached_audio_input(part(usage.cached_input()));
    usage.set_cached_image_input(part(usage.cached_input()));
    usage.set_cache_write(part(usage.input()));
    usage.set_cache_write_1h(part(usage.cache_write()));
    usage.set_audio_input(part(usage.input()));
    usage.set_image_input(part(usage.input()));
    usage.set_video_input(part(usage.input()));
    usage.set_reasoning(part(usage.output()));
    usage.set_citation(part(usage.output()));
    usage.set_audio_output(part(usage.output()));
    usage.set_image_output(part(usage.output()));
    usage.set_video_output(part(usage.output()));
    const int64_t input_max = usage.input() + draw(500);
    const DearestRates dearest = DearestRatesOf(price, input_max);
    const int64_t input_nanos = dearest.request_nanos + BoundNanos(0, 1, input_max, dearest.input_nanos_per_mtok);
    ASSERT_GE(BoundNanos(input_nanos, 1, usage.output(), dearest.output_nanos_per_mtok), CostNanos(usage, price))
        << i << "\n"
        << price.DebugString() << usage.DebugString();
  }
}

TEST(PricesTokens, NotWhereOnlyHoursOrPagesArePriced) {
  v1::ModelPrice price;
  EXPECT_TRUE(PricesTokens(price)) << "free is a price";
  price.add_unmetered("audio_hours");
  EXPECT_FALSE(PricesTokens(price));
  price.set_input_nanos_per_mtok(1);
  EXPECT_TRUE(PricesTokens(price));
}

TEST(PriceProblem, SaysWhatIsWrong) {
  EXPECT_EQ(PriceProblem(Rates(1, 1)), "");
  EXPECT_EQ(PriceProblem(Rates(-1, 1)), "has a negative price (input_nanos_per_mtok)");
  EXPECT_EQ(PriceProblem(Rates(1, kPriceNanosMax + 1)), "has a price past the largest (output_nanos_per_mtok)");
  v1::ModelPrice price = Rates(1, 1);
  price.set_max_output_tokens(-1);
  EXPECT_EQ(PriceProblem(price), "has a negative number of tokens");
  price = Rates(1, 1);
  AddTier(price, 10, Rates(1, 1));
  AddTier(price, 10, Rates(1, 1));
  EXPECT_EQ(PriceProblem(price), "has tiers that do not rise from 0 input tokens on");
  price = Rates(1, 1);
  AddTier(price, 10, Rates(1, -1));
  EXPECT_EQ(PriceProblem(price), "has a negative price (output_nanos_per_mtok)");
  price = Rates(1, 1);
  price.add_times()->mutable_rates()->add_times();
  EXPECT_EQ(PriceProblem(price), "has a timed price with times");
  price = Rates(1, 1);
  price.add_times()->mutable_time_of_day()->set_end_us(24 * kHourUs);
  EXPECT_EQ(PriceProblem(price), "has a time of day that is none");
  price = Rates(1, 1);
  for (int i = 0; i <= kPriceTiersMax; ++i) AddTier(price, i, Rates(1, 1));
  EXPECT_EQ(PriceProblem(price), "has more than 16 tiers");
}

}  // namespace
}  // namespace signalbox
