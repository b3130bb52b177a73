#include "common/money.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace signalbox {
namespace {

v1::ModelPrice Price() {  // gpt-4o's shape: $2.50 in, $1.25 cached, $10 out, per million tokens
  v1::ModelPrice price;
  price.set_input_nanos_per_mtok(2'500'000'000);
  price.set_cached_input_nanos_per_mtok(1'250'000'000);
  price.set_output_nanos_per_mtok(10'000'000'000);
  return price;
}

v1::TokenUsage Usage(int64_t input, int64_t cached, int64_t written, int64_t output) {
  v1::TokenUsage usage;
  usage.set_input(input);
  usage.set_cached_input(cached);
  usage.set_cache_write(written);
  usage.set_output(output);
  return usage;
}

TEST(CostNanos, PricesEachKindOfTokenOnce) {
  EXPECT_EQ(CostNanos(Usage(1'000, 0, 0, 100), Price()), 2'500'000 + 1'000'000);
  EXPECT_EQ(CostNanos(Usage(1'000, 400, 0, 0), Price()), 600 * 2'500 + 400 * 1'250);
  EXPECT_EQ(CostNanos(Usage(1'000, 0, 400, 0), Price()), 2'500'000)
      << "cache writes cost as input where no price says otherwise";
  v1::ModelPrice price = Price();
  price.set_cache_write_nanos_per_mtok(3'125'000'000);
  EXPECT_EQ(CostNanos(Usage(1'000, 100, 400, 0), price), 500 * 2'500 + 100 * 1'250 + 400 * 3'125);
  price.set_cached_input_nanos_per_mtok(0);
  EXPECT_EQ(CostNanos(Usage(1'000, 1'000, 0, 0), price), 0) << "an explicit zero is a price";
}

TEST(CostNanos, PricesSpokenTokensApartWhereThePriceSaysSo) {
  v1::TokenUsage usage = Usage(1'000, 100, 0, 50);
  usage.set_audio_input(600);
  usage.set_audio_output(30);
  EXPECT_EQ(CostNanos(usage, Price()), 900 * 2'500 + 100 * 1'250 + 50 * 10'000) << "as text without a price";
  v1::ModelPrice price = Price();  // gpt-4o-audio-preview's: $40 in, $80 out
  price.set_audio_input_nanos_per_mtok(40'000'000'000);
  price.set_audio_output_nanos_per_mtok(80'000'000'000);
  EXPECT_EQ(CostNanos(usage, price), 300 * 2'500 + 100 * 1'250 + 600 * 40'000 + 20 * 10'000 + 30 * 80'000);
  usage.set_audio_input(5'000);
  usage.set_audio_output(5'000);
  EXPECT_EQ(CostNanos(usage, price), 900 * 40'000 + 100 * 1'250 + 50 * 80'000) << "parts cannot exceed the whole";
}

TEST(CostNanos, PricesWhatIsCachedSpokenAndDrawnAsTheOverlapOfBoth) {
  v1::ModelPrice price;
  price.set_input_nanos_per_mtok(1'000'000);
  price.set_cached_input_nanos_per_mtok(10'000'000);
  price.set_audio_input_nanos_per_mtok(100'000'000);
  price.set_image_input_nanos_per_mtok(1'000'000'000);
  price.set_cached_audio_input_nanos_per_mtok(10'000'000'000);
  price.set_cached_image_input_nanos_per_mtok(100'000'000'000);
  v1::TokenUsage usage = Usage(1'000, 50, 0, 0);
  usage.set_audio_input(70);
  usage.set_cached_audio_input(20);
  usage.set_image_input(40);
  usage.set_cached_image_input(10);
  // 50 cached (20 spoken, 10 drawn, 20 text), 50 more spoken, 30 more drawn, 870 text
  EXPECT_EQ(CostNanos(usage, price), 870 * 1 + 20 * 10 + 50 * 100 + 30 * 1'000 + 20 * 10'000 + 10 * 100'000);
  price.clear_cached_audio_input_nanos_per_mtok();
  EXPECT_EQ(CostNanos(usage, price), 870 * 1 + 40 * 10 + 50 * 100 + 30 * 1'000 + 10 * 100'000)
      << "what is cached costs as cached where no price says otherwise";
}

TEST(CostNanos, PricesEachPartOfTheOutputAndLongCacheWritesApart) {
  v1::ModelPrice price;
  price.set_input_nanos_per_mtok(1'000'000);
  price.set_cache_write_nanos_per_mtok(2'000'000);
  price.set_output_nanos_per_mtok(1'000'000);
  v1::TokenUsage usage = Usage(1'000, 0, 300, 100);
  usage.set_cache_write_1h(200);
  usage.set_reasoning(40);
  usage.set_citation(30);
  usage.set_image_output(20);
  usage.set_video_output(10);
  EXPECT_EQ(CostNanos(usage, price), 700 + 300 * 2 + 100);
  price.set_cache_write_1h_nanos_per_mtok(3'000'000);
  price.set_reasoning_nanos_per_mtok(10'000'000);
  price.set_citation_nanos_per_mtok(100'000'000);
  price.set_image_output_nanos_per_mtok(1'000'000'000);
  price.set_video_output_nanos_per_mtok(10'000'000'000);
  EXPECT_EQ(CostNanos(usage, price), 700 + 100 * 2 + 200 * 3 + 40 * 10 + 30 * 100 + 20 * 1'000 + 10 * 10'000);
}

TEST(CostNanos, AddsWhatTheCallAndItsSearchesCostEach) {
  v1::ModelPrice price = Price();
  price.set_request_nanos(5'000'000);
  price.set_web_search_nanos(10'000'000);
  price.set_storage_search_nanos(2'500'000);
  EXPECT_EQ(CostNanos(Usage(0, 0, 0, 0), price), 5'000'000);
  v1::TokenUsage usage = Usage(1'000, 0, 0, 0);
  usage.set_web_searches(3);
  usage.set_storage_searches(2);
  EXPECT_EQ(CostNanos(usage, price), 2'500'000 + 5'000'000 + 30'000'000 + 5'000'000);
  usage.set_web_searches(INT64_MAX);
  EXPECT_EQ(CostNanos(usage, price), INT64_MAX);
  usage.set_web_searches(-1);
  EXPECT_EQ(CostNanos(usage, price), 2'500'000 + 5'000'000 + 5'000'000);
}

TEST(AddUsage, AddsEveryCount) {
  v1::TokenUsage one;
  const auto* fields = v1::TokenUsage::descriptor();
  for (int i = 0; i < fields->field_count(); ++i) one.GetReflection()->SetInt64(&one, fields->field(i), i + 1);
  v1::TokenUsage sum = one;
  AddUsage(sum, one);
  for (int i = 0; i < fields->field_count(); ++i) {
    EXPECT_EQ(sum.GetReflection()->GetInt64(sum, fields->field(i)), 2 * (i + 1)) << fields->field(i)->name();
  }
}

TEST(CostNanos, RoundsUpOnceOverTheSum) {
  v1::ModelPrice price;
  price.set_input_nanos_per_mtok(1);
  price.set_output_nanos_per_mtok(1);
  EXPECT_EQ(CostNanos(Usage(1, 0, 0, 0), price), 1);
  EXPECT_EQ(CostNanos(Usage(1, 0, 0, 1), price), 1) << "not one nano-dollar for each kind";
  EXPECT_EQ(CostNanos(Usage(0, 0, 0, 0), price), 0);
  EXPECT_EQ(CostNanos(Usage(500'000, 0, 0, 500'000), price), 1);
  EXPECT_EQ(CostNanos(Usage(500'000, 0, 0, 500'001), price), 2);
}

TEST(CostNanos, SurvivesHostileCounts) {
  EXPECT_EQ(CostNanos(Usage(-5, -5, -5, -5), Price()), 0);
  EXPECT_EQ(CostNanos(Usage(100, 1'000, 1'000, 0), Price()), 100 * 1'250) << "parts cannot exceed the whole";
  EXPECT_EQ(CostNanos(Usage(INT64_MAX, 0, 0, INT64_MAX), Price()), INT64_MAX);
}

TEST(BoundNanos, IsNeverBelowTheCostOfWhatItBounds) {
  for (int64_t input : {0, 1, 999, 123'456}) {
    for (int64_t output : {0, 1, 256, 16'384}) {
      const int64_t input_nanos = BoundNanos(0, 1, input, DearestInputPrice(Price()));
      for (int64_t cached : {int64_t{0}, input / 2, input}) {
        EXPECT_GE(BoundNanos(input_nanos, 1, output, Price().output_nanos_per_mtok()),
                  CostNanos(Usage(input, cached, 0, output), Price()));
      }
    }
  }
}

TEST(BoundNanos, CountsChoicesAndSaturates) {
  EXPECT_EQ(BoundNanos(7, 3, 100, 10'000'000'000), 7 + 3'000'000);
  EXPECT_EQ(BoundNanos(7, 0, 100, 10'000'000'000), 7 + 1'000'000) << "at least one choice";
  EXPECT_EQ(BoundNanos(0, INT64_MAX, INT64_MAX, INT64_MAX), INT64_MAX);
  EXPECT_EQ(BoundNanos(INT64_MAX, 1, 1, 1'000'000), INT64_MAX);
}

TEST(DearestInputPrice, TakesCacheWritesIntoAccount) {
  v1::ModelPrice price = Price();
  EXPECT_EQ(DearestInputPrice(price), 2'500'000'000);
  price.set_cache_write_nanos_per_mtok(3'125'000'000);
  EXPECT_EQ(DearestInputPrice(price), 3'125'000'000);
  price.set_audio_input_nanos_per_mtok(40'000'000'000);
  EXPECT_EQ(DearestInputPrice(price), 40'000'000'000);
}

TEST(DearestOutputPrice, TakesSpeechIntoAccount) {
  v1::ModelPrice price = Price();
  EXPECT_EQ(DearestOutputPrice(price), 10'000'000'000);
  price.set_audio_output_nanos_per_mtok(80'000'000'000);
  EXPECT_EQ(DearestOutputPrice(price), 80'000'000'000);
}

TEST(LargestCapWithin, IsTheInverseOfTheBound) {
  for (int64_t nanos : {1'000, 12'345, 1'000'000, 987'654'321}) {
    for (int64_t choices : {1, 3}) {
      for (int64_t price : {1'000'000, 3'333'333, 10'000'000}) {
        const int64_t cap = LargestCapWithin(nanos, 1'000, choices, price);
        ASSERT_GE(cap, 0);
        EXPECT_LE(BoundNanos(1'000, choices, cap, price), nanos);
        EXPECT_GT(BoundNanos(1'000, choices, cap + 1, price), nanos);
      }
    }
  }
  EXPECT_EQ(LargestCapWithin(999, 1'000, 1, 1'000'000), -1);
  EXPECT_EQ(LargestCapWithin(1'000, 1'000, 1, 1'000'000), 0);
  EXPECT_EQ(LargestCapWithin(1'000, 1'000, 1, 0), INT64_MAX) << "free output has no cap";
}

TEST(FormatDollars, KeepsNineDecimalsAndTheSign) {
  EXPECT_EQ(FormatDollars(1'250'000'000), "1.250000000");
  EXPECT_EQ(FormatDollars(-1), "-0.000000001");
  EXPECT_EQ(FormatDollars(0), "0.000000000");
  EXPECT_EQ(FormatDollars(INT64_MIN), "-9223372036.854775808");
}

}  // namespace
}  // namespace signalbox
