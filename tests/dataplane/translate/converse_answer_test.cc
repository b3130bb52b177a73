// What Bedrock's Converse answers, as chat completions: whole, streamed, and errors. Shapes as recorded from the API.
#include <gmock/gmock.h>

#include "tests/dataplane/translate/aws_message.h"
#include "tests/dataplane/translate/translated.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

nlohmann::json Answer(std::string_view body) {
  const absl::StatusOr<std::string> answer = ConverseProvider().Answer(body, kContext);
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.ok() ? Parsed(*answer) : nlohmann::json();
}

TEST(ConverseAnswer, TextAndUsageWithItsCaches) {
  EXPECT_EQ(
      Answer(R"({"metrics":{"latencyMs":1234},"output":{"message":{"role":"assistant","content":[{"text":"Hello"}]}},
      "stopReason":"end_turn","usage":{"inputTokens":10,"outputTokens":20,"totalTokens":330,"cacheReadInputTokens":200,
      "cacheWriteInputTokens":100,"cacheDetails":[{"ttl":"1h","inputTokens":60},{"ttl":"5m","inputTokens":40}]}})"),
      Parsed(R"({"id":"log-1","object":"chat.completion","created":1700000000,"model":"asked-model",
      "choices":[{"index":0,"message":{"role":"assistant","content":"Hello","refusal":null},"finish_reason":"stop"}],
      "usage":{"prompt_tokens":310,"completion_tokens":20,"total_tokens":330,
        "prompt_tokens_details":{"cached_tokens":200,"cache_write_tokens":100,"cache_write_1h_tokens":60},
        "completion_tokens_details":{"reasoning_tokens":0}}})"));
}

TEST(ConverseAnswer, ToolCallsAndReasoning) {
  EXPECT_EQ(Answer(R"({"output":{"message":{"role":"assistant","content":[
      {"reasoningContent":{"reasoningText":{"text":"hm","signature":"s"}}},
      {"reasoningContent":{"redactedContent":"cg=="}},{"text":"Looking."},
      {"toolUse":{"toolUseId":"tooluse_1","name":"weather","input":{"city":"Paris"}}}]}},"stopReason":"tool_use"})")
                ["choices"][0],
            Parsed(R"({"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":"Looking.",
      "refusal":null,"reasoning_content":"hm","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"},
        {"type":"redacted_thinking","data":"cg=="}],
      "tool_calls":[{"id":"tooluse_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Paris\"}"}}]}})"));
}

TEST(ConverseAnswer, StopReasonsHaveTheirCounterparts) {
  const auto finish = [](const std::string& reason) {
    return Answer(R"({"output":{"message":{"content":[]}},"stopReason":")" + reason +
                  "\"}")["choices"][0]["finish_reason"];
  };
  EXPECT_EQ(finish("end_turn"), "stop");
  EXPECT_EQ(finish("stop_sequence"), "stop");
  EXPECT_EQ(finish("max_tokens"), "length");
  EXPECT_EQ(finish("model_context_window_exceeded"), "length");
  EXPECT_EQ(finish("tool_use"), "tool_calls");
  EXPECT_EQ(finish("guardrail_intervened"), "content_filter");
  EXPECT_EQ(finish("content_filtered"), "content_filter");
  EXPECT_EQ(Answer(R"({"output":{"message":{"content":[]}},"stopReason":"stop_sequence",
      "additionalModelResponseFields":{"stop_sequence":"END"}})")["choices"][0]["stop_sequence"],
            "END");
}

TEST(ConverseAnswer, TheAnswerToolAndWhatHasNoWord) {
  const nlohmann::json choice = Answer(R"({"stopReason":"tool_use","output":{"message":{"content":[
      {"toolUse":{"toolUseId":"t","name":"signalbox_json_answer","input":{"a":1}}},{"video":{"format":"mp4"}},
      {"citationsContent":{"content":[{"text":"!"}],"citations":[{"title":"T"}]}}]}}})")["choices"][0];
  EXPECT_EQ(choice["message"]["content"], R"({"a":1}!)");
  EXPECT_EQ(choice["finish_reason"], "stop");
  EXPECT_EQ(choice["message"]["provider_content"], Parsed(R"([{"video":{"format":"mp4"}}])"));
  EXPECT_EQ(choice["message"]["citations"], Parsed(R"([{"title":"T"}])"));
}

TEST(ConverseAnswer, WhatIsNoneIsDataLossAndMissingUsageStaysMissing) {
  for (const char* body : {"", "{}", R"({"output":{}})", R"({"output":{"message":{"content":"x"}}})"}) {
    EXPECT_EQ(ConverseProvider().Answer(body, kContext).status().code(), absl::StatusCode::kDataLoss) << body;
  }
  EXPECT_FALSE(Answer(R"({"output":{"message":{"content":[]}}})").contains("usage"));
  EXPECT_FALSE(Answer(R"({"output":{"message":{"content":[]}},"usage":{"inputTokens":5}})").contains("usage"));
}

TEST(ConverseError, KeepsTheOriginal) {
  EXPECT_EQ(
      Parsed(ConverseProvider().Error(429, R"({"message":"Too many requests, please wait before trying again."})")),
      Parsed(R"({"error":{"message":"Too many requests, please wait before trying again.","type":"rate_limit_error",
      "code":null,"param":null,"provider_error":{"message":"Too many requests, please wait before trying again."}}})"));
  const nlohmann::json coral = Parsed(
      ConverseProvider().Error(403, R"({"__type":"com.amazon.coral.service#AccessDeniedException","Message":"No."})"));
  EXPECT_EQ(coral["error"]["code"], "AccessDeniedException");
  EXPECT_EQ(coral["error"]["message"], "No.");
  EXPECT_EQ(Parsed(ConverseProvider().Error(503, "gone"))["error"]["message"], "the provider answered 503: gone");
}

std::string WholeStream() {
  return AwsEventMessage("messageStart", R"({"p":"abcd","role":"assistant"})") +
         AwsEventMessage("contentBlockDelta",
                         R"({"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"Hm, "}}})") +
         AwsEventMessage("contentBlockDelta",
                         R"({"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"yes."}}})") +
         AwsEventMessage("contentBlockDelta",
                         R"({"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"sig"}}})") +
         AwsEventMessage("contentBlockStop", R"({"contentBlockIndex":0})") +
         AwsEventMessage("contentBlockDelta", R"({"contentBlockIndex":1,"delta":{"text":"Hel"}})") +
         AwsEventMessage("contentBlockDelta", R"({"contentBlockIndex":1,"delta":{"text":"lo"}})") +
         AwsEventMessage("contentBlockStop", R"({"contentBlockIndex":1})") +
         AwsEventMessage("contentBlockStart",
                         R"({"contentBlockIndex":2,"start":{"toolUse":{"toolUseId":"t1","name":"weather"}}})") +
         AwsEventMessage("contentBlockDelta", R"({"contentBlockIndex":2,"delta":{"toolUse":{"input":"{\"city\":"}}})") +
         AwsEventMessage("contentBlockDelta", R"({"contentBlockIndex":2,"delta":{"toolUse":{"input":"\"Paris\"}"}}})") +
         AwsEventMessage("contentBlockStop", R"({"contentBlockIndex":2})") +
         AwsEventMessage("contentBlockStart",
                         R"({"contentBlockIndex":3,"start":{"toolUse":{"toolUseId":"t2","name":"now"}}})") +
         AwsEventMessage("contentBlockStop", R"({"contentBlockIndex":3})") +
         AwsEventMessage("messageStop", R"({"stopReason":"tool_use"})") +
         AwsEventMessage("metadata",
                         R"({"usage":{"inputTokens":5,"outputTokens":9,"totalTokens":24,"cacheReadInputTokens":10},)"
                         R"("metrics":{"latencyMs":7}})");
}

Streamed Stream(std::string_view bytes, size_t piece = 1'000'000) {
  return FeedAll(*ConverseProvider().Stream(kContext), bytes, piece);
}

TEST(ConverseStream, EveryDeltaReachesTheClient) {
  const Streamed streamed = Stream(WholeStream());
  ASSERT_TRUE(streamed.status.ok()) << streamed.status;
  const Gathered gathered = GatherChat(streamed.text);
  EXPECT_EQ(gathered.content, "Hello");
  EXPECT_EQ(gathered.reasoning, "Hm, yes.");
  EXPECT_EQ(gathered.thinking_blocks, Parsed(R"([{"type":"thinking","thinking":"Hm, yes.","signature":"sig"}])"));
  EXPECT_THAT(gathered.calls, ElementsAre(Parsed(R"({"id":"t1","name":"weather","arguments":"{\"city\":\"Paris\"}"})"),
                                          Parsed(R"({"id":"t2","name":"now","arguments":"{}"})")));
  EXPECT_EQ(gathered.finish_reason, "tool_calls");
  EXPECT_EQ(gathered.usage["prompt_tokens"], 15);
  EXPECT_EQ(gathered.usage["prompt_tokens_details"]["cached_tokens"], 10);
  EXPECT_EQ(gathered.usage["completion_tokens"], 9);
  EXPECT_TRUE(gathered.done);
  const std::vector<Event> events = Events(streamed.text);
  EXPECT_EQ(events[0].data["choices"][0]["delta"], Parsed(R"({"role":"assistant","content":""})"));
  EXPECT_EQ(events[events.size() - 2].data["choices"], nlohmann::json::array());
}

TEST(ConverseStream, ByteByByteIsTheSameAsAtOnce) {
  const std::string bytes = WholeStream();
  const std::string whole = Stream(bytes).text;
  for (const size_t piece : {1, 2, 13, 100}) EXPECT_EQ(Stream(bytes, piece).text, whole) << piece;
}

TEST(ConverseStream, ABrokenStreamHasNoEnd) {
  const std::string bytes = WholeStream();
  const size_t last = bytes.find("messageStop") + 100;
  for (size_t cut = 0; cut < last; cut += 11) {
    EXPECT_FALSE(GatherChat(Stream(std::string_view(bytes).substr(0, cut)).text).done) << cut;
  }
  // A metadata event cut in its middle is a cut.
  EXPECT_FALSE(GatherChat(Stream(std::string_view(bytes).substr(0, bytes.size() - 1)).text).done);
}

TEST(ConverseStream, WithoutMetadataTheAnswerIsWholeAndItsUsageMissing) {
  const std::string bytes = AwsEventMessage("messageStart", R"({"role":"assistant"})") +
                            AwsEventMessage("contentBlockDelta", R"({"contentBlockIndex":0,"delta":{"text":"x"}})") +
                            AwsEventMessage("messageStop", R"({"stopReason":"end_turn"})");
  const Gathered gathered = GatherChat(Stream(bytes).text);
  EXPECT_TRUE(gathered.done);
  EXPECT_TRUE(gathered.usage.is_null());
}

TEST(ConverseStream, AnExceptionEndsItWithItsKind) {
  const std::string bytes = AwsEventMessage("messageStart", R"({"role":"assistant"})") +
                            AwsExceptionMessage("throttlingException", R"({"message":"Too many tokens."})") +
                            AwsEventMessage("messageStop", R"({"stopReason":"end_turn"})");
  const Gathered gathered = GatherChat(Stream(bytes).text);
  EXPECT_EQ(gathered.error,
            Parsed(R"({"message":"Too many tokens.","type":"rate_limit_error","code":"throttlingException",
      "param":null,"provider_error":{"message":"Too many tokens."}})"));
  EXPECT_FALSE(gathered.done);
  EXPECT_EQ(gathered.finish_reason, "");
  const std::string error =
      AwsMessageOfHeaders(AwsStringHeader(":message-type", "error") + AwsStringHeader(":error-code", "InternalError") +
                              AwsStringHeader(":error-message", "It broke."),
                          "");
  EXPECT_EQ(GatherChat(Stream(error).text).error["message"], "It broke.");
  EXPECT_EQ(GatherChat(Stream(error).text).error["type"], "server_error");
}

TEST(ConverseStream, TheAnswerToolStreamsAsContent) {
  const Gathered gathered = GatherChat(
      Stream(
          AwsEventMessage(
              "contentBlockStart",
              R"({"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"t","name":"signalbox_json_answer"}}})") +
          AwsEventMessage("contentBlockDelta", R"({"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"a\":1}"}}})") +
          AwsEventMessage("contentBlockStop", R"({"contentBlockIndex":0})") +
          AwsEventMessage("messageStop", R"({"stopReason":"tool_use"})"))
          .text);
  EXPECT_EQ(gathered.content, R"({"a":1})");
  EXPECT_EQ(gathered.finish_reason, "stop");
}

TEST(ConverseStream, WhatIsNotItsFormatIsDataLoss) {
  EXPECT_EQ(Stream("data: {\"choices\":[]}\n\n").status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Stream(AwsEventMessage("messageStart", "{nope")).status.code(), absl::StatusCode::kDataLoss);
}

TEST(ConverseFuzz, MutatedAnswersAndEventsNeverCrash) {
  const std::string answer =
      R"({"output":{"message":{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"h","signature":"s"}}},
      {"text":"x"},{"toolUse":{"toolUseId":"t","name":"w","input":{"c":1}}},{"citationsContent":{"content":[{"text":"c"}],"citations":[{}]}}]}},
      "stopReason":"tool_use","usage":{"inputTokens":1,"outputTokens":2,"cacheDetails":[{"ttl":"1h","inputTokens":1}]}})";
  const std::pair<const char*, const char*> kEvents[] = {
      {"messageStart", R"({"role":"assistant"})"},
      {"contentBlockStart", R"({"contentBlockIndex":2,"start":{"toolUse":{"toolUseId":"t1","name":"weather"}}})"},
      {"contentBlockDelta", R"({"contentBlockIndex":2,"delta":{"toolUse":{"input":"{}"}}})"},
      {"contentBlockDelta", R"({"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"x","signature":"y"}}})"},
      {"contentBlockDelta", R"({"contentBlockIndex":0,"delta":{"text":"Hel"}})"},
      {"contentBlockStop", R"({"contentBlockIndex":0})"},
      {"messageStop", R"({"stopReason":"tool_use","additionalModelResponseFields":{"stop_sequence":"x"}})"},
      {"metadata", R"({"usage":{"inputTokens":5,"outputTokens":9,"cacheReadInputTokens":10}})"}};
  for (uint32_t seed = 0; seed < 1'000; ++seed) {
    Mutator mutator(seed);
    const std::string mutated = mutator.Mutate(answer);
    if (const auto chat = ConverseProvider().Answer(mutated, kContext); chat.ok()) {
      ASSERT_FALSE(nlohmann::json::parse(*chat, nullptr, false).is_discarded()) << "seed " << seed;
    }
    ASSERT_FALSE(nlohmann::json::parse(ConverseProvider().Error(500, mutated), nullptr, false).is_discarded()) << seed;
    std::string stream;
    for (const auto& [type, payload] : kEvents) {
      stream += AwsEventMessage(type, mutator.Below(3) == 0 ? mutator.Mutate(payload) : payload);
    }
    if (mutator.Below(2) == 0) stream = mutator.Mutate(stream);
    const Streamed at_once = Stream(stream);
    const Streamed in_pieces = Stream(stream, 1 + mutator.Below(40));
    ASSERT_EQ(at_once.status.code(), in_pieces.status.code()) << "seed " << seed;
    if (!at_once.status.ok()) continue;
    ASSERT_EQ(at_once.text, in_pieces.text) << "seed " << seed;
    GatherChat(at_once.text);
    ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace signalbox
