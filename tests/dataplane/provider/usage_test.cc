#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "dataplane/provider/answer_stream.h"

namespace signalbox {
namespace {

std::string Read(std::string_view usage) {
  const auto read = ParseUsage("{\"id\":\"x\",\"usage\":" + std::string(usage) + ",\"choices\":[]}");
  return read ? read->ShortDebugString() : "none";
}

// What providers were seen to send, or document: the usage object as it stands in a unary answer.
struct Shape {
  const char* name;
  const char* source;
  const char* usage;
  const char* read;
};

const Shape kShapes[] = {
    {"openai", "platform.openai.com/docs/api-reference/chat/object",
     R"({"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
         "prompt_tokens_details":{"cached_tokens":40,"audio_tokens":0},
         "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":0,"accepted_prediction_tokens":0,
                                      "rejected_prediction_tokens":0}})",
     "input: 100 cached_input: 40 output: 50 reasoning: 30"},
    {"openai_audio", "platform.openai.com/docs/guides/audio",
     R"({"prompt_tokens":150,"completion_tokens":300,"total_tokens":450,
         "prompt_tokens_details":{"cached_tokens":0,"text_tokens":20,"image_tokens":0,"audio_tokens":130},
         "completion_tokens_details":{"reasoning_tokens":0,"text_tokens":60,"audio_tokens":240}})",
     "input: 150 output: 300 audio_input: 130 audio_output: 240"},
    {"azure_without_details", "learn.microsoft.com/azure/ai-services/openai/reference",
     R"({"completion_tokens":37,"prompt_tokens":33,"total_tokens":70})", "input: 33 output: 37"},
    {"deepseek", "api-docs.deepseek.com/guides/kv_cache",
     R"({"prompt_tokens":10000,"completion_tokens":500,"total_tokens":10500,"prompt_cache_hit_tokens":9000,
         "prompt_cache_miss_tokens":1000,"completion_tokens_details":{"reasoning_tokens":400}})",
     "input: 10000 cached_input: 9000 output: 500 reasoning: 400"},
    {"deepseek_with_both_names", "api-docs.deepseek.com/api/create-chat-completion",
     R"({"prompt_tokens":16,"completion_tokens":10,"total_tokens":26,"prompt_tokens_details":{"cached_tokens":0},
         "prompt_cache_hit_tokens":0,"prompt_cache_miss_tokens":16})",
     "input: 16 output: 10"},
    {"groq", "console.groq.com/docs/api-reference",
     R"({"queue_time":0.147255087,"prompt_tokens":40,"prompt_time":0.006949183,"completion_tokens":25,
         "completion_time":0.033333333,"total_tokens":65,"total_time":0.040282516})",
     "input: 40 output: 25"},
    {"mistral", "docs.mistral.ai/api", R"({"prompt_tokens":16,"completion_tokens":34,"total_tokens":50})",
     "input: 16 output: 34"},
    {"xai_reasoning_beside", "docs.x.ai/developers (usage of a reasoning model)",
     R"({"prompt_tokens":26,"completion_tokens":168,"total_tokens":498,
         "prompt_tokens_details":{"text_tokens":26,"audio_tokens":0,"image_tokens":0,"cached_tokens":4},
         "completion_tokens_details":{"reasoning_tokens":304,"audio_tokens":0,"accepted_prediction_tokens":0,
                                      "rejected_prediction_tokens":0},"num_sources_used":0})",
     "input: 26 cached_input: 4 output: 472 reasoning: 304"},
    {"xai_without_reasoning", "a recorded answer of grok-4-1-fast-non-reasoning",
     R"({"prompt_tokens":176,"completion_tokens":8,"total_tokens":184,
         "prompt_tokens_details":{"audio_tokens":0,"cached_tokens":161,"text_tokens":176,"image_tokens":0},
         "completion_tokens_details":{"reasoning_tokens":0},"num_sources_used":0,"cost_in_usd_ticks":150500})",
     "input: 176 cached_input: 161 output: 8"},
    {"gemini_thinking_only_in_the_total", "ai.google.dev/gemini-api/docs/openai",
     R"({"prompt_tokens":8,"completion_tokens":30,"total_tokens":1038})", "input: 8 output: 1030 reasoning: 1000"},
    {"anthropic_compatible", "docs.claude.com/en/api/openai-sdk",
     R"({"prompt_tokens":14,"completion_tokens":7,"total_tokens":21,"prompt_tokens_details":null,
         "completion_tokens_details":null})",
     "input: 14 output: 7"},
    {"cache_inside_the_prompt", "docs.litellm.ai/docs/completion/prompt_caching",
     R"({"prompt_tokens":2000,"completion_tokens":10,"total_tokens":2010,"cache_creation_input_tokens":500,
         "cache_read_input_tokens":1200,"prompt_tokens_details":{"cached_tokens":1200}})",
     "input: 2000 cached_input: 1200 cache_write: 500 output: 10"},
    {"cache_beside_the_prompt_by_the_total", "gateways that copy Anthropic's counts",
     R"({"prompt_tokens":300,"completion_tokens":10,"total_tokens":2010,"cache_creation_input_tokens":500,
         "cache_read_input_tokens":1200})",
     "input: 2000 cached_input: 1200 cache_write: 500 output: 10"},
    {"cache_beside_the_prompt_by_its_size", "gateways that copy Anthropic's counts, without a total",
     R"({"prompt_tokens":3,"completion_tokens":10,"cache_read_input_tokens":1200})",
     "input: 1203 cached_input: 1200 output: 10"},
    {"anthropic_names", "docs.claude.com/en/api/messages, passed on unchanged",
     R"({"input_tokens":300,"output_tokens":100,"cache_creation_input_tokens":50,"cache_read_input_tokens":200})",
     "input: 550 cached_input: 200 cache_write: 50 output: 100"},
    {"responses_names", "platform.openai.com/docs/api-reference/responses",
     R"({"input_tokens":36,"input_tokens_details":{"cached_tokens":12},"output_tokens":87,
         "output_tokens_details":{"reasoning_tokens":64},"total_tokens":123})",
     "input: 36 cached_input: 12 output: 87 reasoning: 64"},
    {"openrouter", "openrouter.ai/docs/use-cases/usage-accounting",
     R"({"prompt_tokens":10339,"completion_tokens":60,"total_tokens":10399,"cost":0.0137,
         "prompt_tokens_details":{"cached_tokens":10000,"cache_write_tokens":318,"audio_tokens":0},
         "completion_tokens_details":{"reasoning_tokens":40},"cost_details":{"upstream_inference_cost":null}})",
     "input: 10339 cached_input: 10000 cache_write: 318 output: 60 reasoning: 40"},
    {"dashscope", "help.aliyun.com/zh/model-studio/context-cache",
     R"({"prompt_tokens":3019,"completion_tokens":104,"total_tokens":3123,
         "prompt_tokens_details":{"cached_tokens":2048,"cache_creation_input_tokens":900,"cache_type":"ephemeral"}})",
     "input: 3019 cached_input: 2048 cache_write: 900 output: 104"},
    {"moonshot", "platform.moonshot.ai/docs/api/chat",
     R"({"prompt_tokens":19,"completion_tokens":21,"total_tokens":40,"cached_tokens":10})",
     "input: 19 cached_input: 10 output: 21"},
    {"perplexity_reasoning_apart", "docs.perplexity.ai (sonar-deep-research)",
     R"({"prompt_tokens":33,"completion_tokens":7163,"total_tokens":7196,"citation_tokens":19016,
         "num_search_queries":18,"reasoning_tokens":73994})",
     "input: 33 output: 100173 reasoning: 73994 citation: 19016 web_searches: 18"},
    {"messages_long_cache_and_search", "docs.claude.com (prompt caching, web search)",
     R"({"input_tokens":100,"cache_creation_input_tokens":50,"cache_read_input_tokens":20,"output_tokens":30,
         "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":40},
         "server_tool_use":{"web_search_requests":3}})",
     "input: 170 cached_input: 20 cache_write: 50 output: 30 cache_write_1h: 40 web_searches: 3"},
    {"chat_of_every_kind", "what translators write",
     R"({"prompt_tokens":1000,"completion_tokens":500,"total_tokens":1500,
         "prompt_tokens_details":{"cached_tokens":100,"cache_write_tokens":50,"cache_write_1h_tokens":20,
           "audio_tokens":60,"image_tokens":70,"video_tokens":80,
           "cached_tokens_details":{"audio_tokens":10,"image_tokens":15}},
         "completion_tokens_details":{"reasoning_tokens":5,"audio_tokens":6,"image_tokens":7,"video_tokens":8}})",
     "input: 1000 cached_input: 100 cache_write: 50 output: 500 reasoning: 5 audio_input: 60 audio_output: 6 "
     "cache_write_1h: 20 cached_audio_input: 10 image_input: 70 cached_image_input: 15 image_output: 7 "
     "video_input: 80 video_output: 8"},
    {"parts_that_exceed_the_whole", "nobody, but who knows",
     R"({"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
         "prompt_tokens_details":{"cached_tokens":8,"cache_write_1h_tokens":9,"audio_tokens":60,"image_tokens":70,
           "cached_tokens_details":{"audio_tokens":90,"image_tokens":90}},
         "completion_tokens_details":{"image_tokens":70}})",
     "input: 10 cached_input: 8 output: 5 audio_input: 10 cached_audio_input: 8 image_output: 5"},
    {"vllm_with_nulls", "docs.vllm.ai (openai compatible server)",
     R"({"prompt_tokens":9,"total_tokens":21,"completion_tokens":12,"prompt_tokens_details":null})",
     "input: 9 output: 12"},
};

class UsageShapes : public testing::TestWithParam<Shape> {};

TEST_P(UsageShapes, AreReadAsTheProviderMeansThem) { EXPECT_EQ(Read(GetParam().usage), GetParam().read); }

TEST_P(UsageShapes, SayTheSameInTheLastEventOfAStream) {
  const std::string usage = GetParam().usage;
  std::string one_line = usage;
  std::replace(one_line.begin(), one_line.end(), '\n', ' ');
  const std::string content = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"abc\"}}],\"usage\":null}\n\n";
  const std::string places[] = {
      "data: {\"choices\":[],\"usage\":" + one_line + "}\n\ndata: [DONE]\n\n",
      "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":" + one_line +
          "}\n\ndata: [DONE]\n\n",
      // Groq
      "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{\"id\":\"r\",\"usage\":" +
          one_line + "}}\n\ndata: [DONE]\n\n",
      // Moonshot
      "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\",\"usage\":" + one_line +
          "}]}\n\ndata: [DONE]\n\n"};
  for (const std::string& end : places) {
    ChatStream stream(false);
    ASSERT_TRUE(stream.Feed(content + end).ok());
    ASSERT_TRUE(stream.usage().has_value()) << end;
    EXPECT_EQ(stream.usage()->ShortDebugString(), GetParam().read) << end;
  }
}

INSTANTIATE_TEST_SUITE_P(Providers, UsageShapes, testing::ValuesIn(kShapes),
                         [](const auto& param) { return param.param.name; });

TEST(ParseUsage, ReasoningLargerThanTheOutputStandsBesideItUnlessTheTotalSaysNo) {
  EXPECT_EQ(Read(R"({"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":99}})"),
            "input: 10 output: 104 reasoning: 99");
  EXPECT_EQ(Read(R"({"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
                     "completion_tokens_details":{"reasoning_tokens":99}})"),
            "input: 10 output: 5 reasoning: 5");
}

TEST(ParseUsage, ATotalThatCannotBeTrueSaysNothing) {
  for (const char* total : {"\"35\"", "-1", "1e18", "3.5", "null", "7"}) {
    EXPECT_EQ(Read("{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":" + std::string(total) + "}"),
              "input: 10 output: 5")
        << total;
  }
}

TEST(ReadUnary, CountsWhatWasSaidWhereNoUsageCame) {
  const UnaryReport report = ReadUnary(
      R"({"choices":[{"message":{"content":"12345","reasoning_content":"123","tool_calls":[
          {"function":{"name":"f","arguments":"{}"}}]}},{"message":{"content":null,"refusal":"no"}}],"usage":null})");
  EXPECT_FALSE(report.usage.has_value());
  EXPECT_EQ(report.content_bytes, 5u + 3u + 3u + 2u);
  EXPECT_FALSE(report.names_usage);
  EXPECT_EQ(ReadUnary("not json").content_bytes, 8u) << "what cannot be read counts whole";
  EXPECT_TRUE(ReadUnary(R"({"error":{},"usage":{"prompt_tokens":-1}})").names_usage) << "though it cannot be read";
}

// Behind a text with room behind it, as those that were read from a connection, its usage is found without reading the
// rest: what is said must be the same.
TEST(ReadUnary, SaysTheSameWhetherThereIsRoomBehindTheTextOrNot) {
  std::vector<std::string> answers = {
      R"({"usage":{"prompt_tokens":1,"completion_tokens":2},"choices":[{"finish_reason":"length"}]})",
      R"({"choices":[{"finish_reason":"len\u0067th"},{"finish_reason":"stop"}],
          "usage":{"prompt_tokens":1,"completion_tokens":2}})",
      R"({"choices":[{"finish_reason":null}],"usage":{"prompt_tokens":1,"completion_tokens":2}})",
      R"({"choices":[{"finish_re\u0061son":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":2}})",
      R"({"choices":[{"finish_reason":"length"}],"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}})",
      R"({"choices":[{"finish_reason":"length","finish_reason":"stop"},{"finish_reason":"stop","finish_reason":null}],
          "usage":{"prompt_tokens":1,"completion_tokens":2}})",
      R"({"us\u0061ge":{"prompt_tokens":1,"completion_tokens":2}})",
      R"({"usage":{"prompt_tokens":1,"completion_tokens":2},"usage":{"prompt_tokens":3,"completion_tokens":4}})",
      R"({"usage":{"prompt_tokens":1,"completion_tokens":2},"usage":null})",
      R"({"usage":{"prompt_tokens":1}})",
      R"({"usage":{}, "x_groq":{"usage":{"prompt_tokens":1,"completion_tokens":2}}})",
      R"({"usage":[1],"choices":[{"usage":{"prompt_tokens":1,"completion_tokens":2}}]})",
      R"({"usage":{"prompt_tokens":1,"completion_tokens":2},"choices":{"a":1}})",
      R"({"usage":{"prompt_tokens":1,"completion_tokens":2},"choices":[1,"a",null]})",
      R"({"error":{"message":"a"},"usage":{"prompt_tokens":1,"completion_tokens":2}})",
      R"({"error":null,"usage":{"prompt_tokens":1,"completion_tokens":2}})",
      R"({"error":{},"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}})",
      R"({"usage":{"prompt_tokens":1,"completion_tokens":2}} )",
      R"({"usage":{"prompt_tokens":1,"completion_tokens":2}}x)",
      R"({"usage":{"prompt_tokens":1,"completion_tokens":2})",
      R"([{"usage":{"prompt_tokens":1,"completion_tokens":2}}])",
      R"("usage")",
      "",
      " "};
  for (const Shape& shape : kShapes) {
    answers.push_back("{\"choices\":[{\"message\":{\"content\":\"a\\\"b\"}}],\"usage\":" + std::string(shape.usage) +
                      "}");
  }
  for (const std::string& answer : answers) {
    std::string with_room;
    with_room.reserve(answer.size() + 100);
    with_room += answer;
    const UnaryReport expected = ReadUnary(answer), report = ReadUnary(with_room);
    ASSERT_EQ(report.usage.has_value(), expected.usage.has_value()) << answer;
    if (report.usage.has_value()) {
      EXPECT_EQ(report.usage->ShortDebugString(), expected.usage->ShortDebugString()) << answer;
    } else {
      EXPECT_EQ(report.content_bytes, expected.content_bytes) << answer;
    }
    EXPECT_EQ(report.names_usage, expected.names_usage) << answer;
    EXPECT_EQ(report.hit_cap, expected.hit_cap) << answer;
    EXPECT_EQ(report.only_error, expected.only_error) << answer;
  }
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
            "input: 10 cached_input: 10 output: 104 reasoning: 99");
  EXPECT_EQ(Read(R"({"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
                     "prompt_tokens_details":{"cached_tokens":8,"audio_tokens":9},"cache_creation_input_tokens":9,
                     "completion_tokens_details":{"audio_tokens":6}})"),
            "input: 10 cached_input: 8 cache_write: 2 output: 5 audio_output: 5");
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
