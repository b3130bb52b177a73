// What Anthropic Messages answers, as chat completions: whole, streamed, and errors. Shapes as recorded from the API.
#include <gmock/gmock.h>

#include "tests/dataplane/translate/translated.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

nlohmann::json Answer(std::string_view body) {
  const absl::StatusOr<std::string> answer = MessagesProvider().Answer(body, kContext);
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.ok() ? Parsed(*answer) : nlohmann::json();
}

Streamed Stream(std::string_view bytes, size_t piece = 1'000'000) {
  return FeedAll(*MessagesProvider().Stream(kContext), bytes, piece);
}

TEST(MessagesAnswer, TextAndUsageWithItsCaches) {
  EXPECT_EQ(
      Answer(R"({"id":"msg_01","type":"message","role":"assistant","model":"claude-sonnet-4-6-20260101",
      "content":[{"type":"text","text":"Hel"},{"type":"text","text":"lo","citations":null}],
      "stop_reason":"end_turn","stop_sequence":null,
      "usage":{"input_tokens":10,"cache_creation_input_tokens":300,"cache_read_input_tokens":2000,
        "cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200},
        "output_tokens":50,"output_tokens_details":{"thinking_tokens":20},"service_tier":"standard"}})"),
      Parsed(R"({"id":"msg_01","object":"chat.completion","created":1700000000,"model":"claude-sonnet-4-6-20260101",
      "choices":[{"index":0,"message":{"role":"assistant","content":"Hello","refusal":null},"finish_reason":"stop"}],
      "usage":{"prompt_tokens":2310,"completion_tokens":50,"total_tokens":2360,
        "prompt_tokens_details":{"cached_tokens":2000,"cache_write_tokens":300,"cache_write_1h_tokens":200},
        "completion_tokens_details":{"reasoning_tokens":20}}})"));
}

TEST(MessagesAnswer, ToolCallsAndReasoning) {
  const nlohmann::json answer = Answer(R"({"id":"msg_1","model":"m","stop_reason":"tool_use","content":[
      {"type":"thinking","thinking":"Let me see.","signature":"sig"},
      {"type":"redacted_thinking","data":"xyz"},
      {"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Paris","days":2}},
      {"type":"tool_use","id":"toolu_2","name":"now","input":{}}],"usage":{"input_tokens":1,"output_tokens":2}})");
  EXPECT_EQ(answer["choices"][0], Parsed(R"({"index":0,"finish_reason":"tool_calls","message":{"role":"assistant",
      "content":null,"refusal":null,"reasoning_content":"Let me see.",
      "thinking_blocks":[{"type":"thinking","thinking":"Let me see.","signature":"sig"},
                         {"type":"redacted_thinking","data":"xyz"}],
      "tool_calls":[
        {"id":"toolu_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Paris\",\"days\":2}"}},
        {"id":"toolu_2","type":"function","function":{"name":"now","arguments":"{}"}}]}})"));
}

TEST(MessagesAnswer, StopReasonsHaveTheirCounterparts) {
  struct Case {
    const char* said;
    const char* finish;
    const char* native;  // null: nothing more to say
  };
  for (const Case& c : {Case{"end_turn", "stop", nullptr}, Case{"max_tokens", "length", nullptr},
                        Case{"tool_use", "tool_calls", nullptr}, Case{"stop_sequence", "stop", "stop_sequence"},
                        Case{"pause_turn", "stop", "pause_turn"}, Case{"refusal", "content_filter", "refusal"},
                        Case{"model_context_window_exceeded", "length", "model_context_window_exceeded"}}) {
    const nlohmann::json choice =
        Answer(std::string(R"({"content":[],"stop_sequence":"END","stop_reason":")") + c.said + "\"}")["choices"][0];
    EXPECT_EQ(choice["finish_reason"], c.finish);
    EXPECT_EQ(choice.value("native_finish_reason", ""), c.native == nullptr ? "" : c.native);
    EXPECT_EQ(choice["stop_sequence"], "END");
  }
}

TEST(MessagesAnswer, ARefusalSaysWhy) {
  const nlohmann::json choice = Answer(R"({"content":[],"stop_reason":"refusal",
      "stop_details":{"type":"refusal","category":"cyber","explanation":"Not that."}})")["choices"][0];
  EXPECT_EQ(choice["message"]["refusal"], "Not that.");
  EXPECT_EQ(choice["message"]["content"], "");
}

TEST(MessagesAnswer, TheAnswerToolsInputIsTheContent) {
  const nlohmann::json choice = Answer(R"({"stop_reason":"tool_use","content":[
      {"type":"tool_use","id":"t","name":"signalbox_json_answer","input":{"z":1,"a":[2]}}]})")["choices"][0];
  EXPECT_EQ(choice["message"]["content"], R"({"z":1,"a":[2]})");
  EXPECT_EQ(choice["finish_reason"], "stop");
  EXPECT_FALSE(choice["message"].contains("tool_calls"));
}

TEST(MessagesAnswer, WhatChatCompletionsHaveNoWordForIsKeptBeside) {
  const nlohmann::json message = Answer(R"({"stop_reason":"end_turn","content":[
      {"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"q"}},
      {"type":"text","text":"Found.","citations":[{"type":"web_search_result_location","url":"https://x.test"}]}],
      "usage":{"input_tokens":1,"output_tokens":1,"server_tool_use":{"web_search_requests":1}}})");
  EXPECT_EQ(message["choices"][0]["message"]["provider_content"][0]["name"], "web_search");
  EXPECT_EQ(message["choices"][0]["message"]["citations"][0]["url"], "https://x.test");
  EXPECT_EQ(message["usage"]["server_tool_use"]["web_search_requests"], 1);
}

TEST(MessagesAnswer, WithoutUsageNoneIsInventedAndIdAndModelAreTheContexts) {
  const nlohmann::json answer = Answer(R"({"content":[{"type":"text","text":"x"}],"stop_reason":"end_turn"})");
  EXPECT_FALSE(answer.contains("usage"));
  EXPECT_EQ(answer["id"], "log-1");
  EXPECT_EQ(answer["model"], "asked-model");
  EXPECT_FALSE(Answer(R"({"content":[],"usage":{"input_tokens":-1,"output_tokens":1}})").contains("usage"));
  EXPECT_EQ(Answer(R"({"content":[],"usage":{"input_tokens":0,"output_tokens":0}})")["usage"]["total_tokens"], 0);
}

TEST(MessagesAnswer, WhatIsNoMessageIsDataLoss) {
  for (const char* body : {"", "no", "[]", "{}", R"({"content":"text"})", "{\"content\":["}) {
    const absl::StatusOr<std::string> answer = MessagesProvider().Answer(body, kContext);
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kDataLoss) << body;
    EXPECT_THAT(std::string(answer.status().message()), HasSubstr("not a message of Anthropic's"));
  }
}

TEST(MessagesError, KeepsTheOriginal) {
  EXPECT_EQ(
      Parsed(MessagesProvider().Error(
          429, R"({"type":"error","error":{"type":"rate_limit_error","message":"Slow down."},"request_id":"req_1"})")),
      Parsed(R"({"error":{"message":"Slow down.","type":"rate_limit_error","code":"rate_limit_error","param":null,
      "provider_error":{"type":"error","error":{"type":"rate_limit_error","message":"Slow down."},"request_id":"req_1"}}})"));
  const nlohmann::json overloaded = Parsed(
      MessagesProvider().Error(529, R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})"));
  EXPECT_EQ(overloaded["error"]["type"], "server_error");
  EXPECT_EQ(overloaded["error"]["code"], "overloaded_error");
}

TEST(MessagesError, AnyBodyWillDo) {
  EXPECT_EQ(Parsed(MessagesProvider().Error(502, "<html>Bad gateway</html>")),
            Parsed(R"({"error":{"message":"the provider answered 502: <html>Bad gateway</html>","type":"server_error",
                       "code":null,"param":null,"provider_error":"<html>Bad gateway</html>"}})"));
  EXPECT_EQ(Parsed(MessagesProvider().Error(500, ""))["error"]["message"],
            "the provider answered 500 and said nothing");
  EXPECT_FALSE(Parsed(MessagesProvider().Error(500, ""))["error"].contains("provider_error"));
  EXPECT_EQ(Parsed(MessagesProvider().Error(500, "\xff\xfe"))["error"]["type"], "server_error");
  EXPECT_EQ(Parsed(MessagesProvider().Error(400, "[1]"))["error"]["provider_error"], Parsed("[1]"));
  EXPECT_EQ(Parsed(MessagesProvider().Error(400, R"({"error":"just text"})"))["error"]["type"],
            "invalid_request_error");
}

// A stream with every kind of block, as the API sends them.
constexpr std::string_view kStream =
    "event: message_start\n"
    R"(data: {"type":"message_start","message":{"id":"msg_9","type":"message","role":"assistant","content":[],)"
    R"("model":"claude-sonnet-4-6","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,)"
    R"("cache_creation_input_tokens":0,"cache_read_input_tokens":100,"output_tokens":1}}})"
    "\n\nevent: content_block_start\n"
    R"(data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}})"
    "\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\nevent: content_block_delta\n"
    R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm, "}})"
    "\n\nevent: content_block_delta\n"
    R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"yes."}})"
    "\n\nevent: content_block_delta\n"
    R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQB"}})"
    "\n\nevent: content_block_stop\n"
    R"(data: {"type":"content_block_stop","index":0})"
    "\n\nevent: content_block_start\n"
    R"(data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}})"
    "\n\nevent: content_block_delta\n"
    R"(data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hel"}})"
    "\n\nevent: content_block_delta\n"
    R"(data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"lo é"}})"
    "\n\nevent: content_block_stop\n"
    R"(data: {"type":"content_block_stop","index":1})"
    "\n\nevent: content_block_start\n"
    R"(data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"weather","input":{}}})"
    "\n\nevent: content_block_delta\n"
    R"(data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}})"
    "\n\nevent: content_block_delta\n"
    R"(data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"city\":"}})"
    "\n\nevent: content_block_delta\n"
    R"(data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":" \"Paris\"}"}})"
    "\n\nevent: content_block_stop\n"
    R"(data: {"type":"content_block_stop","index":2})"
    "\n\nevent: content_block_start\n"
    R"(data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_2","name":"now","input":{}}})"
    "\n\nevent: content_block_stop\n"
    R"(data: {"type":"content_block_stop","index":3})"
    "\n\nevent: message_delta\n"
    R"(data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":89}})"
    "\n\nevent: message_stop\n"
    R"(data: {"type":"message_stop"})"
    "\n\n";

TEST(MessagesStream, EveryDeltaReachesTheClient) {
  const Streamed streamed = Stream(kStream);
  ASSERT_TRUE(streamed.status.ok());
  const Gathered gathered = GatherChat(streamed.text);
  EXPECT_EQ(gathered.content, "Hello é");
  EXPECT_EQ(gathered.reasoning, "Hm, yes.");
  EXPECT_EQ(gathered.thinking_blocks, Parsed(R"([{"type":"thinking","thinking":"Hm, yes.","signature":"EqQB"}])"));
  EXPECT_THAT(gathered.calls,
              ElementsAre(Parsed(R"({"id":"toolu_1","name":"weather","arguments":"{\"city\": \"Paris\"}"})"),
                          Parsed(R"({"id":"toolu_2","name":"now","arguments":"{}"})")));
  EXPECT_EQ(gathered.finish_reason, "tool_calls");
  EXPECT_EQ(gathered.usage["prompt_tokens"], 125);
  EXPECT_EQ(gathered.usage["prompt_tokens_details"]["cached_tokens"], 100);
  EXPECT_EQ(gathered.usage["completion_tokens"], 89);
  EXPECT_TRUE(gathered.done);
  for (const Event& event : Events(streamed.text)) {
    if (event.data.is_null()) continue;
    EXPECT_EQ(event.name, "");
    EXPECT_EQ(event.data["object"], "chat.completion.chunk");
    EXPECT_EQ(event.data["id"], "msg_9");
    EXPECT_EQ(event.data["model"], "claude-sonnet-4-6");
  }
}

TEST(MessagesStream, UsageStandsInAnEventWithoutChoicesBeforeTheEnd) {
  const std::vector<Event> events = Events(Stream(kStream).text);
  ASSERT_GE(events.size(), 3u);
  EXPECT_EQ(events[events.size() - 2].data["choices"], nlohmann::json::array());
  EXPECT_TRUE(events[events.size() - 2].data.contains("usage"));
  EXPECT_EQ(events[events.size() - 3].data["choices"][0]["finish_reason"], "tool_calls");
  // What the start told of the input stands in the first choice, so that a broken stream still knows it.
  EXPECT_EQ(events[0].data["choices"][0]["usage"]["prompt_tokens"], 125);
}

TEST(MessagesStream, ByteByByteIsTheSameAsAtOnce) {
  const std::string whole = Stream(kStream).text;
  for (const size_t piece : {1, 2, 7, 64}) EXPECT_EQ(Stream(kStream, piece).text, whole) << piece;
}

TEST(MessagesStream, ABrokenStreamHasNoEndAndNoUsageOfTheWhole) {
  for (size_t cut = 0; cut + 1 < kStream.size(); cut += 13) {
    const Gathered gathered = GatherChat(Stream(kStream.substr(0, cut)).text);
    EXPECT_FALSE(gathered.done) << cut;
    EXPECT_EQ(gathered.usage.is_null(), gathered.finish_reason.empty()) << cut;
  }
  // Once it said why it ended, the figures are the answer's, but the stream still lacks its end.
  const size_t stop = kStream.find("event: message_stop");
  const Gathered gathered = GatherChat(Stream(kStream.substr(0, stop)).text);
  EXPECT_EQ(gathered.usage["completion_tokens"], 89);
  EXPECT_FALSE(gathered.done);
}

TEST(MessagesStream, AnErrorEventEndsIt) {
  const std::string bytes = std::string(kStream.substr(0, kStream.find("event: content_block_stop"))) +
                            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
                            "\"message\":\"Overloaded\"}}\n\n" +
                            std::string(kStream.substr(kStream.find("event: message_delta")));
  const Gathered gathered = GatherChat(Stream(bytes).text);
  EXPECT_EQ(gathered.error["message"], "Overloaded");
  EXPECT_EQ(gathered.error["type"], "server_error");
  EXPECT_EQ(gathered.error["code"], "overloaded_error");
  EXPECT_EQ(gathered.error["provider_error"]["error"]["type"], "overloaded_error");
  EXPECT_FALSE(gathered.done);
  EXPECT_EQ(gathered.finish_reason, "");
}

TEST(MessagesStream, TheAnswerToolStreamsAsContent) {
  const Gathered gathered = GatherChat(
      Stream(
          R"(data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"signalbox_json_answer","input":{}}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}

data: {"type":"content_block_stop","index":0}

data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"input_tokens":3,"output_tokens":4}}

data: {"type":"message_stop"}

)")
          .text);
  EXPECT_EQ(gathered.content, R"({"a":1})");
  EXPECT_TRUE(gathered.calls.empty());
  EXPECT_EQ(gathered.finish_reason, "stop");
  EXPECT_EQ(gathered.usage["prompt_tokens"], 3);
}

TEST(MessagesStream, ServerToolsAreKeptBeside) {
  const std::string text =
      Stream(
          R"(data: {"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"query\":\"q\"}"}}

data: {"type":"content_block_stop","index":0}

)")
          .text;
  const std::vector<Event> events = Events(text);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(
      events[0].data["choices"][0]["delta"],
      Parsed(
          R"({"provider_content":[{"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"q"}}]})"));
}

TEST(MessagesStream, AnEventThatIsNoJsonIsDataLoss) {
  EXPECT_EQ(Stream("event: message_start\ndata: {nope\n\n").status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Stream("data: [1]\n\n").status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Stream("data: " + std::string((4 << 20) + 1, 'x')).status.code(), absl::StatusCode::kResourceExhausted);
}

TEST(MessagesFuzz, MutatedAnswersAndStreamsNeverCrash) {
  const std::string answer =
      R"({"id":"msg_1","model":"m","stop_reason":"tool_use","stop_details":{"explanation":"x"},"content":[
      {"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"a","citations":[{}]},
      {"type":"tool_use","id":"t","name":"w","input":{"c":1}},{"type":"server_tool_use"}],
      "usage":{"input_tokens":1,"output_tokens":2,"cache_creation":{"ephemeral_1h_input_tokens":1}}})";
  for (uint32_t seed = 0; seed < 1'000; ++seed) {
    Mutator mutator(seed);
    const std::string mutated = mutator.Mutate(answer);
    if (const auto chat = MessagesProvider().Answer(mutated, kContext); chat.ok()) {
      ASSERT_FALSE(nlohmann::json::parse(*chat, nullptr, false).is_discarded()) << "seed " << seed;
    }
    ASSERT_FALSE(nlohmann::json::parse(MessagesProvider().Error(500, mutated), nullptr, false).is_discarded()) << seed;
    const std::string stream = mutator.Mutate(std::string(kStream));
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
