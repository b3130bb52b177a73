#include <gtest/gtest.h>

#include "dataplane/provider/openai_wire.h"

namespace signalbox {
namespace {

std::string Read(std::string_view usage) {
  const auto read = ParseUsage("{\"id\":\"x\",\"usage\":" + std::string(usage) + ",\"choices\":[]}");
  return read ? read->ShortDebugString() : "none";
}

TEST(ParseUsage, ReadsOpenAisShape) {
  EXPECT_EQ(Read(R"({"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
                     "prompt_tokens_details":{"cached_tokens":40,"audio_tokens":0},
                     "completion_tokens_details":{"reasoning_tokens":30}})"),
            "input: 100 cached_input: 40 output: 50 reasoning: 30");
}

TEST(ParseUsage, ReadsTheCacheFieldsOfCompatibleProviders) {
  EXPECT_EQ(
      Read(R"({"prompt_tokens":10,"completion_tokens":1,"prompt_cache_hit_tokens":7,"prompt_cache_miss_tokens":3})"),
      "input: 10 cached_input: 7 output: 1");
  EXPECT_EQ(
      Read(R"({"prompt_tokens":10,"completion_tokens":1,"cache_read_input_tokens":4,"cache_creation_input_tokens":5})"),
      "input: 10 cached_input: 4 cache_write: 5 output: 1");
}

TEST(ParseUsage, ReasoningCountedBesideTheOutputIsAddedToIt) {
  EXPECT_EQ(Read(R"({"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,
                     "completion_tokens_details":{"reasoning_tokens":20}})"),
            "input: 10 output: 25 reasoning: 20");
}

TEST(ParseUsage, AnExplicitZeroIsAZero) {
  const auto usage = ParseUsage(R"({"usage":{"prompt_tokens":0,"completion_tokens":0}})");
  ASSERT_TRUE(usage.has_value());
  EXPECT_EQ(usage->input(), 0);
  EXPECT_EQ(usage->output(), 0);
}

TEST(ParseUsage, ADetailNeverPassesItsTotal) {
  EXPECT_EQ(Read(R"({"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":99},
                     "cache_creation_input_tokens":9,"completion_tokens_details":{"reasoning_tokens":99}})"),
            "input: 10 cached_input: 10 output: 5 reasoning: 5");
  EXPECT_EQ(Read(R"({"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":-3},
                     "completion_tokens_details":null})"),
            "input: 10 output: 5");
}

TEST(ParseUsage, WhatCannotBeTrueCountsAsAbsent) {
  for (const char* usage :
       {"null", "[]", "{}", "5", R"({"prompt_tokens":-1,"completion_tokens":5})",
        R"({"prompt_tokens":"1","completion_tokens":5})", R"({"prompt_tokens":1})", R"({"completion_tokens":1})",
        R"({"prompt_tokens":1.5,"completion_tokens":5})", R"({"prompt_tokens":1,"completion_tokens":1000000001})",
        R"({"prompt_tokens":18446744073709551615,"completion_tokens":1})",
        R"({"prompt_tokens":null,"completion_tokens":5})"}) {
    EXPECT_EQ(Read(usage), "none") << usage;
  }
  EXPECT_FALSE(ParseUsage("").has_value());
  EXPECT_FALSE(ParseUsage("not json").has_value());
  EXPECT_FALSE(ParseUsage("[1]").has_value());
  EXPECT_FALSE(ParseUsage(R"({"id":"x"})").has_value());
  EXPECT_EQ(Read(R"({"prompt_tokens":12.0,"completion_tokens":5})"), "input: 12 output: 5");
}

TEST(EstimateUsage, TakesFourBytesForATokenRoundedUp) {
  EXPECT_EQ(EstimateUsage(0, 0).input(), 0);
  EXPECT_EQ(EstimateUsage(1, 4).input(), 1);
  EXPECT_EQ(EstimateUsage(1, 4).output(), 1);
  EXPECT_EQ(EstimateUsage(401, 5).input(), 101);
  EXPECT_EQ(EstimateUsage(401, 5).output(), 2);
}

TEST(JudgeStatus, SaysWhatToDoNext) {
  for (int status : {200, 201, 299}) EXPECT_EQ(JudgeStatus(status), AttemptVerdict::kAnswered) << status;
  for (int status : {408, 409, 429, 500, 502, 503, 529, 599})
    EXPECT_EQ(JudgeStatus(status), AttemptVerdict::kRetry) << status;
  for (int status : {401, 403, 404, 301, 307, 100, 0})
    EXPECT_EQ(JudgeStatus(status), AttemptVerdict::kFallback) << status;
  for (int status : {400, 402, 405, 413, 422, 451})
    EXPECT_EQ(JudgeStatus(status), AttemptVerdict::kClientFault) << status;
}

}  // namespace
}  // namespace signalbox
