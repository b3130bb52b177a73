#include "controlplane/prices/model_limits.h"

#include <gtest/gtest.h>

#include <string>

namespace signalbox {
namespace {

v1::ModelPrice Applied(const ModelLimits& limits, const std::string& provider, const std::string& model) {
  v1::ModelPrice price;
  price.set_provider(provider);
  price.set_model(model);
  limits.Apply(price);
  return price;
}

TEST(ModelLimits, TheFirstEntryThatFitsCounts) {
  const auto limits = ModelLimits::Parse(R"({"about": "x", "cap_fields": {"a": "max_completion_tokens"}, "limits": [
    {"providers": ["a"], "match": {"equals": "m-1"}, "max_output_tokens": 5, "image_tokens_max": 7, "source": "s"},
    {"providers": ["a", "b"], "match": {"starts_with": "m"}, "max_output_tokens": 6, "source": "s"}]})");
  ASSERT_TRUE(limits.ok()) << limits.status();
  EXPECT_EQ(Applied(*limits, "a", "m-1").max_output_tokens(), 5);
  EXPECT_EQ(Applied(*limits, "a", "m-1").image_tokens_max(), 7);
  EXPECT_EQ(Applied(*limits, "a", "m-1").cap_field(), "max_completion_tokens");
  EXPECT_EQ(Applied(*limits, "b", "m-1").max_output_tokens(), 6);
  EXPECT_EQ(Applied(*limits, "b", "m-1").cap_field(), "max_tokens");
  EXPECT_FALSE(Applied(*limits, "b", "m-1").has_image_tokens_max());
  EXPECT_EQ(Applied(*limits, "c", "m-1").max_output_tokens(), 0);
  EXPECT_EQ(Applied(*limits, "a", "n").max_output_tokens(), 0);
}

std::string Refusal(const std::string& json) { return std::string(ModelLimits::Parse(json).status().message()); }

TEST(ModelLimits, NamesTheEntryAndTheField) {
  EXPECT_EQ(Refusal("["), "model limits: the file is not a JSON object");
  EXPECT_EQ(Refusal(R"({"limit": []})"), "model limits: \"limit\" is not a known field");
  EXPECT_EQ(Refusal(R"({"cap_fields": {"a": "tokens"}})"),
            "model limits: \"cap_fields\": \"a\" must be max_tokens or max_completion_tokens");
  EXPECT_EQ(Refusal(R"({"limits": [{"match": {"equals": "m"}, "source": "s"}]})"),
            "model limits: limits[0] has no \"providers\"");
  EXPECT_EQ(Refusal(R"({"limits": [{"providers": ["a"], "source": "s"}]})"),
            "model limits: limits[0] has no \"match\"");
  EXPECT_EQ(Refusal(R"({"limits": [{"providers": ["a"], "match": {"equals": "m"}}]})"),
            "model limits: limits[0] has no \"source\"");
  EXPECT_EQ(Refusal(R"({"limits": [{"max_output_tokens": 0}]})"),
            "model limits: limits[0]: \"max_output_tokens\" must be a whole number from 1 to 100000000");
  EXPECT_EQ(Refusal(R"({"limits": [{"max_tokens": 1}]})"),
            "model limits: limits[0]: \"max_tokens\" is not a known field");
  EXPECT_EQ(Refusal(R"({"limits": [{"match": {"or": 1}}]})"),
            "model limits: limits[0]: \"match\" has \"or\" without a list");
}

}  // namespace
}  // namespace signalbox
