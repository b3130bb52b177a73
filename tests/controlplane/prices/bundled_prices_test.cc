#include "controlplane/prices/bundled_prices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace signalbox {
namespace {

using ::testing::HasSubstr;

TEST(BundledPrices, AreWhatTheMakersPublish) {
  const auto large = BundledPrice("openai", "gpt-5.1");
  ASSERT_TRUE(large.has_value());
  EXPECT_EQ(large->input_nanos_per_mtok(), 1'250'000'000);
  EXPECT_EQ(large->cached_input_nanos_per_mtok(), 125'000'000);
  EXPECT_EQ(large->output_nanos_per_mtok(), 10'000'000'000);
  EXPECT_EQ(large->max_output_tokens(), 128'000);
  EXPECT_EQ(large->cap_field(), "max_completion_tokens");

  const auto mini = BundledPrice("openai", "gpt-4o-mini");
  ASSERT_TRUE(mini.has_value());
  EXPECT_EQ(mini->input_nanos_per_mtok(), 150'000'000);
  EXPECT_EQ(mini->cached_input_nanos_per_mtok(), 75'000'000);
  EXPECT_EQ(mini->output_nanos_per_mtok(), 600'000'000);
  EXPECT_EQ(mini->max_output_tokens(), 16'384);

  const auto sonnet = BundledPrice("anthropic", "claude-sonnet-4-5");
  ASSERT_TRUE(sonnet.has_value());
  EXPECT_EQ(sonnet->input_nanos_per_mtok(), 3'000'000'000);
  EXPECT_EQ(sonnet->cached_input_nanos_per_mtok(), 300'000'000);
  EXPECT_EQ(sonnet->cache_write_nanos_per_mtok(), 3'750'000'000);
  EXPECT_EQ(sonnet->output_nanos_per_mtok(), 15'000'000'000);
  EXPECT_EQ(sonnet->cap_field(), "max_tokens");
}

TEST(BundledPrices, EveryOneNamesItsSourceAndItsOutputMaximum) {
  ASSERT_EQ(BundledPrices().size(), 4u);
  for (const v1::ModelPrice& price : BundledPrices()) {
    EXPECT_THAT(price.source(), HasSubstr("https://")) << price.model();
    EXPECT_GT(price.max_output_tokens(), 0) << price.model();
    EXPECT_FALSE(price.has_image_tokens_max()) << price.model() << ": only where its maker documents a maximum";
  }
}

TEST(BundledPrices, AnUnknownModelHasNone) {
  EXPECT_FALSE(BundledPrice("openai", "gpt-4o-2099-01-01").has_value());
  EXPECT_FALSE(BundledPrice("anthropic", "gpt-4o").has_value());
}

TEST(ParseDollars, IsExact) {
  EXPECT_EQ(*ParseDollars("0.000000001"), 1);
  EXPECT_EQ(*ParseDollars("0"), 0);
  EXPECT_EQ(*ParseDollars("1000000"), 1'000'000'000'000'000);
  EXPECT_EQ(*ParseDollars("0.1"), 100'000'000);
}

TEST(ParseDollars, RefusesWhatIsNoDecimal) {
  for (const char* text : {"", ".", ".5", "1.", "-1", "+1", "1e3", " 1", "0x1", "01", "1,25", "1.0000000001", "1000001",
                           "99999999", "nan"}) {
    EXPECT_EQ(ParseDollars(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

constexpr char kEntry[] = R"({"provider": "p", "model": "m", "input": "1", "output": "2",
    "max_output_tokens": 100, "cap_field": "max_tokens", "source": "s"})";

std::string Refusal(const std::string& json) { return std::string(ParsePriceFile(json).status().message()); }

TEST(ParsePriceFile, NamesTheEntryAndTheField) {
  EXPECT_TRUE(ParsePriceFile(std::string(R"({"prices": [)") + kEntry + "]}").ok());
  EXPECT_EQ(Refusal("{"), "the price file is not JSON");
  EXPECT_THAT(Refusal("[]"), HasSubstr("list named \"prices\""));
  EXPECT_THAT(Refusal(R"({"prices": [], "extra": 1})"), HasSubstr("\"extra\" is not a known field"));
  EXPECT_THAT(Refusal(R"({"prices": [{"provider": "p"}]})"), HasSubstr("prices[0]: \"model\" is missing"));
  EXPECT_THAT(Refusal(R"({"prices": [{"provider": "p", "model": "m", "input": 1.25}]})"),
              HasSubstr("prices[0]: \"input\" must be text"));
  EXPECT_THAT(Refusal(R"({"prices": [{"provider": "p", "model": "m", "input": "1.x"}]})"),
              HasSubstr("prices[0]: \"input\" must be dollars in decimal text"));
  EXPECT_EQ(Refusal(std::string(R"({"prices": [)") + kEntry + "," + kEntry + "]}"), "prices[1]: p/m is there twice");
}

TEST(ParsePriceFile, RefusesAnUnknownField) {
  const std::string entry = R"({"provider": "p", "model": "m", "input": "1", "output": "2", "outputs": "3",
      "max_output_tokens": 100, "cap_field": "max_tokens", "source": "s"})";
  EXPECT_EQ(Refusal("{\"prices\": [" + entry + "]}"), "prices[0]: \"outputs\" is not a known field");
}

}  // namespace
}  // namespace signalbox
