#include "common/custom_cost.h"

#include <string>

#include "common/money.h"
#include "gtest/gtest.h"

namespace signalbox {
namespace {

TEST(ScaleDecimal, ReadsEveryFormOfANumberExactly) {
  EXPECT_EQ(*ScaleDecimal("0.0000025", 15), 2'500'000'000);
  EXPECT_EQ(*ScaleDecimal("2.5e-06", 15), 2'500'000'000);
  EXPECT_EQ(*ScaleDecimal("25E-7", 15), 2'500'000'000);
  EXPECT_EQ(*ScaleDecimal("1", 15), 1'000'000'000'000'000);
  EXPECT_EQ(*ScaleDecimal("1e+2", 0), 100);
  EXPECT_EQ(*ScaleDecimal("0", 15), 0);
  EXPECT_EQ(*ScaleDecimal("0.000", 15), 0);
  EXPECT_EQ(*ScaleDecimal("0e99999", 15), 0);
  EXPECT_EQ(*ScaleDecimal("0.1", 17), 10'000'000'000'000'000) << "a double cannot hold it";
  EXPECT_EQ(*ScaleDecimal("1.000000000000001", 15), 1'000'000'000'000'001);
}

TEST(ScaleDecimal, RoundsToTheNearestOnce) {
  EXPECT_EQ(*ScaleDecimal("3.0000000000000004e-07", 15), 300'000'000) << "what 1e-7 + 2e-7 is in a double";
  EXPECT_EQ(*ScaleDecimal("1.4999999999999999999", 0), 1);
  EXPECT_EQ(*ScaleDecimal("1.5", 0), 2);
  EXPECT_EQ(*ScaleDecimal("0.5", 0), 1);
  EXPECT_EQ(*ScaleDecimal("0.49", 0), 0);
  EXPECT_EQ(*ScaleDecimal("0.05", 0), 0);
  EXPECT_EQ(*ScaleDecimal("1e-999999", 15), 0);
}

TEST(ScaleDecimal, RefusesWhatIsNoAmount) {
  for (const char* text : {"", "-1", "+1", "1.2.3", "e5", "1e", "1e--2", "0x10", "NaN", "1e1234567"}) {
    EXPECT_EQ(ScaleDecimal(text, 0).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_EQ(ScaleDecimal("1e18", 0).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(ScaleDecimal("1e99999", 0).status().code(), absl::StatusCode::kOutOfRange);
}

std::string Refusal(const std::string& json) { return std::string(ParseCustomCost(json).status().message()); }

TEST(ParseCustomCost, ReadsDollarsAToken) {
  const auto cost = ParseCustomCost(R"({"per_token_in": 0.0000025, "per_token_out": 1e-05})");
  ASSERT_TRUE(cost.ok()) << cost.status();
  EXPECT_EQ(cost->input, 2'500'000'000);
  EXPECT_EQ(cost->output, 10'000'000'000);
  EXPECT_FALSE(cost->cached_input.has_value());
  EXPECT_FALSE(cost->cache_write.has_value());
  const auto full = ParseCustomCost(
      R"({"per_token_in":1,"per_token_out":0,"per_cache_read_token":2.5e-7,"per_cache_write_token":0.000003})");
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ(full->input, 1'000'000'000'000'000);
  EXPECT_EQ(full->cached_input, 250'000'000);
  EXPECT_EQ(full->cache_write, 3'000'000'000);
}

TEST(ParseCustomCost, NamesTheFieldThatIsWrong) {
  EXPECT_EQ(Refusal("7"), "the custom cost: it is not a JSON object");
  EXPECT_EQ(Refusal("[]"), "the custom cost: it is not a JSON object");
  EXPECT_EQ(Refusal(R"({"per_token_in": )"), "the custom cost: it is not JSON");
  EXPECT_EQ(Refusal(""), "the custom cost: it is not JSON");
  EXPECT_EQ(Refusal("{}"), "the custom cost: \"per_token_in\" is missing");
  EXPECT_EQ(Refusal(R"({"per_token_in": 1e-6})"), "the custom cost: \"per_token_out\" is missing");
  EXPECT_EQ(Refusal(R"({"per_token_in": 1e-6, "per_token_in": 1e-6})"),
            "the custom cost: \"per_token_in\" is there twice");
  EXPECT_EQ(Refusal(R"({"per_token": 1e-6})"), "the custom cost: \"per_token\" is not a known field");
  EXPECT_EQ(Refusal(R"({"per_token_in": "1e-6"})"),
            "the custom cost: \"per_token_in\" must be a number of dollars a token");
  EXPECT_EQ(Refusal(R"({"per_token_in": {"per_token_out": 1}})"),
            "the custom cost: \"per_token_in\" must be a number of dollars a token");
  EXPECT_EQ(Refusal(R"({"per_token_in": -1})"),
            "the custom cost: \"per_token_in\" must be dollars a token from 0 to 1, not -1");
  EXPECT_EQ(Refusal(R"({"per_token_in": 1.5})"),
            "the custom cost: \"per_token_in\" must be dollars a token from 0 to 1, not 1.5");
  EXPECT_EQ(Refusal(std::string(2'000, ' ')), "the custom cost: it is over 1024 bytes");
}

TEST(CustomPrice, ReplacesEveryRateAndKeepsTheLimits) {
  v1::ModelPrice price;
  price.set_provider("openai");
  price.set_model("gpt-4o");
  price.set_input_nanos_per_mtok(9);
  price.set_cached_input_nanos_per_mtok(9);
  price.set_audio_input_nanos_per_mtok(9'000'000'000);
  price.add_tiers()->mutable_rates()->set_input_nanos_per_mtok(9'000'000'000);
  price.set_request_nanos(9);
  price.set_max_output_tokens(16'384);
  price.set_cap_field("max_completion_tokens");
  price.set_image_tokens_max(1'105);
  const v1::ModelPrice custom =
      CustomPrice(*ParseCustomCost(R"({"per_token_in": 1e-6, "per_token_out": 2e-6})"), price);
  v1::TokenUsage usage;
  usage.set_input(1'000'000);
  usage.set_cached_input(500'000);
  usage.set_audio_input(100'000);
  usage.set_output(1'000'000);
  EXPECT_EQ(CostNanos(usage, custom), 3'000'000'000);
  EXPECT_EQ(custom.max_output_tokens(), 16'384);
  EXPECT_EQ(custom.cap_field(), "max_completion_tokens");
  EXPECT_EQ(custom.image_tokens_max(), 1'105);
  EXPECT_EQ(custom.provider() + "/" + custom.model(), "openai/gpt-4o");
}

}  // namespace
}  // namespace signalbox
