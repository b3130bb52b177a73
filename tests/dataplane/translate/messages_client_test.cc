// Anthropic's clients before chat completions: their requests, and answers, errors and streams as they expect them.
#include <gmock/gmock.h>

#include "dataplane/translate/plain_chat.h"
#include "tests/dataplane/translate/translated.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

nlohmann::json Chat(std::string_view body) { return Translated(MessagesClient().Request(body)); }
BodyFault Fault(std::string_view body) { return Refused(MessagesClient().Request(body)); }
std::string With(std::string_view members) {
  return std::string(R"({"model":"dynamic/r","max_tokens":100,"messages":[{"role":"user","content":"Hi"}],)") +
         std::string(members) + "}";
}

TEST(MessagesClientRequest, EverythingSimpleFindsItsPlace) {
  EXPECT_EQ(
      Chat(R"({"model":"dynamic/r","max_tokens":100,"stream":true,"temperature":0.3,"top_p":0.8,"top_k":4,
      "stop_sequences":["A","B"],"system":"Be brief.","metadata":{"user_id":"u-1"},"service_tier":"standard_only",
      "messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},
                  {"role":"system","content":"Now in French."},{"role":"user","content":[{"type":"text","text":"Bye"}]}]})"),
      Parsed(R"({"model":"dynamic/r","max_completion_tokens":100,"stream":true,"stream_options":{"include_usage":true},
      "temperature":0.3,"top_p":0.8,"top_k":4,"stop":["A","B"],"user":"u-1","service_tier":"default",
      "messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"},
                  {"role":"assistant","content":"Hello"},{"role":"system","content":"Now in French."},
                  {"role":"user","content":"Bye"}]})"));
}

TEST(MessagesClientRequest, SystemBlocksKeepTheirCacheMarks) {
  EXPECT_EQ(
      Chat(With(
          R"("system":[{"type":"text","text":"a"},{"type":"text","text":"b","cache_control":{"type":"ephemeral","ttl":"1h"}}])"))
          ["messages"][0],
      Parsed(R"({"role":"system","content":[{"type":"text","text":"a"},
                {"type":"text","text":"b","cache_control":{"type":"ephemeral","ttl":"1h"}}]})"));
}

TEST(MessagesClientRequest, ImagesAndDocuments) {
  EXPECT_EQ(Chat(R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":[
      {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAA="}},
      {"type":"image","source":{"type":"url","url":"https://x.test/a.png"}},
      {"type":"document","title":"a.pdf","source":{"type":"base64","media_type":"application/pdf","data":"JVBE"}},
      {"type":"document","source":{"type":"text","media_type":"text/plain","data":"hello"}},
      {"type":"text","text":"?"}]}]})")["messages"],
            Parsed(R"([{"role":"user","content":[
      {"type":"image_url","image_url":{"url":"data:image/png;base64,AAA="}},
      {"type":"image_url","image_url":{"url":"https://x.test/a.png"}},
      {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBE"}},
      {"type":"file","file":{"file_data":"data:text/plain;base64,aGVsbG8="}},
      {"type":"text","text":"?"}]}])"));
}

TEST(MessagesClientRequest, ToolsCallsAndResults) {
  EXPECT_EQ(Chat(R"({"model":"m","max_tokens":9,
      "tools":[{"name":"weather","description":"d","input_schema":{"type":"object","properties":{"city":{"type":"string"}}},
                "cache_control":{"type":"ephemeral"}},{"type":"custom","name":"now","input_schema":{"type":"object"},"strict":true}],
      "tool_choice":{"type":"any","disable_parallel_tool_use":true},
      "messages":[{"role":"user","content":"Weather?"},
        {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"Looking."},
           {"type":"tool_use","id":"t1","name":"weather","input":{"city":"Paris"}},{"type":"tool_use","id":"t2","name":"now","input":{}}]},
        {"role":"user","content":[
           {"type":"tool_result","tool_use_id":"t1","content":"18 C"},
           {"type":"tool_result","tool_use_id":"t2","is_error":true,"content":[{"type":"text","text":"no clock"}]},
           {"type":"text","text":"And?"}]}]})"),
            Parsed(R"({"model":"m","max_completion_tokens":9,
      "tools":[{"type":"function","cache_control":{"type":"ephemeral"},"function":{"name":"weather","description":"d",
                "parameters":{"type":"object","properties":{"city":{"type":"string"}}}}},
               {"type":"function","function":{"name":"now","parameters":{"type":"object"},"strict":true}}],
      "tool_choice":"required","parallel_tool_calls":false,
      "messages":[{"role":"user","content":"Weather?"},
        {"role":"assistant","content":"Looking.","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"}],
         "tool_calls":[{"id":"t1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Paris\"}"}},
                       {"id":"t2","type":"function","function":{"name":"now","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"t1","content":"18 C"},
        {"role":"tool","tool_call_id":"t2","content":"Error: no clock"},
        {"role":"user","content":"And?"}]})"));
}

TEST(MessagesClientRequest, AnImageInAToolsResultFollowsInTheUsersMessage) {
  EXPECT_EQ(Chat(R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":[
      {"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"A map"},
         {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAA="}}]},
      {"type":"tool_result","tool_use_id":"t2"}]}]})")["messages"],
            Parsed(R"([
      {"role":"tool","tool_call_id":"t1","content":[{"type":"text","text":"A map"},
         {"type":"text","text":"[The rest follows in the user's message.]"}]
},
      {"role":"tool","tool_call_id":"t2","content":""},
      {"role":"user","content":[{"type":"text","text":"What tool call t1 returned besides text:"},
         {"type":"image_url","image_url":{"url":"data:image/png;base64,AAA="}}]}])"));
}

TEST(MessagesClientRequest, ToolChoices) {
  EXPECT_EQ(Chat(With(R"("tool_choice":{"type":"auto"})"))["tool_choice"], "auto");
  EXPECT_EQ(Chat(With(R"("tool_choice":{"type":"none"})"))["tool_choice"], "none");
  EXPECT_EQ(Chat(With(R"("tool_choice":{"type":"tool","name":"f"})"))["tool_choice"],
            Parsed(R"({"type":"function","function":{"name":"f"}})"));
}

TEST(MessagesClientRequest, ReasoningAndStructuredOutput) {
  const auto effort = [](const char* members) { return Chat(With(members)).value("reasoning_effort", "unsaid"); };
  EXPECT_EQ(effort(R"("thinking":{"type":"enabled","budget_tokens":2048})"), "low");
  EXPECT_EQ(effort(R"("thinking":{"type":"enabled","budget_tokens":8192})"), "medium");
  EXPECT_EQ(effort(R"("thinking":{"type":"enabled","budget_tokens":30000})"), "high");
  EXPECT_EQ(effort(R"("thinking":{"type":"adaptive"},"output_config":{"effort":"medium"})"), "medium");
  EXPECT_EQ(effort(R"("thinking":{"type":"adaptive","display":"omitted"})"), "high");
  EXPECT_EQ(effort(R"("thinking":{"type":"disabled"})"), "none");
  EXPECT_EQ(effort(R"("temperature":1)"), "unsaid");
  EXPECT_EQ(
      Chat(With(R"("output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}})"))["response_format"],
      Parsed(R"({"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":{"type":"object"}}})"));
}

TEST(MessagesClientRequest, WhatOnlyAnthropicsApiHasIsRefusedByName) {
  struct Case {
    const char* members;
    const char* param;
  };
  for (const Case& c :
       {Case{R"("container":"c")", "container"}, Case{R"("mcp_servers":[{}])", "mcp_servers"},
        Case{R"("speed":"fast")", "speed"}, Case{R"("inference_geo":"us")", "inference_geo"},
        Case{R"("thinking":{"type":"between_tools"})", "thinking.type"},
        Case{R"("tools":[{"type":"web_search_20250305","name":"web_search"}])", "tools[0].type"},
        Case{R"("tools":[{"name":"a","input_schema":{},"defer_loading":true}])", "tools[0].defer_loading"},
        Case{R"("output_config":{"task_budget":{}})", "output_config.task_budget"}}) {
    const BodyFault fault = Fault(With(c.members));
    EXPECT_EQ(fault.param, c.param);
    EXPECT_EQ(fault.code, "unsupported_parameter") << c.members;
  }
  const auto block = [](const char* text) {
    return Fault(std::string(R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":[)") + text + "]}]}")
        .param;
  };
  EXPECT_EQ(block(R"({"type":"search_result"})"), "messages[0].content[0].type");
  EXPECT_EQ(block(R"({"type":"image","source":{"type":"file","file_id":"f"}})"), "messages[0].content[0].source");
  EXPECT_EQ(block(R"({"type":"document","source":{"type":"url","url":"u"}})"), "messages[0].content[0].source");
  EXPECT_EQ(block(R"({"type":"document","citations":{"enabled":true},"source":{"type":"file","file_id":"f"}})"),
            "messages[0].content[0].citations");
  EXPECT_EQ(Fault(R"({"model":"m","max_tokens":0,"messages":[]})").param, "max_tokens");
  EXPECT_EQ(Fault(R"({"model":"m"})").param, "messages");
  EXPECT_EQ(Fault("nope").code, "invalid_json");
}

TEST(PlainChat, LeavesOutWhatOnlyTranslatorsRead) {
  const std::string chat = std::get<std::string>(MessagesClient().Request(
      R"({"model":"m","max_tokens":9,"cache_control":{"type":"ephemeral"},"system":[{"type":"text","text":"s","cache_control":{}}],
      "tools":[{"name":"a","input_schema":{},"cache_control":{}}],"messages":[
      {"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"x"}]},
      {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"r","cache_control":{}}]}]})"));
  EXPECT_EQ(Parsed(PlainChat(chat, "max_completion_tokens")), Parsed(R"({"model":"m","max_completion_tokens":9,
      "tools":[{"type":"function","function":{"name":"a","parameters":{}}}],"messages":[
      {"role":"system","content":[{"type":"text","text":"s"}]},{"role":"assistant","content":"x"},
      {"role":"tool","tool_call_id":"t","content":"r"}]})"));
  // A model that knows only the older name of the cap gets it under that.
  EXPECT_EQ(Parsed(PlainChat(R"({"model":"m","max_completion_tokens":9})", "max_tokens")),
            Parsed(R"({"model":"m","max_tokens":9})"));
  const std::string plain = R"({ "model":"m" , "messages":[] })";
  EXPECT_EQ(PlainChat(plain, "max_tokens"), plain);
}

nlohmann::json Answer(std::string_view chat) {
  const absl::StatusOr<std::string> answer = MessagesClient().Answer(chat, kContext);
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.ok() ? Parsed(*answer) : nlohmann::json();
}

TEST(MessagesClientAnswer, TextToolsReasoningAndUsage) {
  EXPECT_EQ(Answer(R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-5","choices":[{"index":0,
      "message":{"role":"assistant","content":"Hi","reasoning_content":"hm","tool_calls":[
        {"id":"call_1","type":"function","function":{"name":"w","arguments":"{\"city\":\"Paris\"}"}},
        {"id":"call_2","type":"function","function":{"name":"bad","arguments":"{oops"}}]},
      "finish_reason":"tool_calls"}],"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,
      "prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30,"cache_write_1h_tokens":10},
      "completion_tokens_details":{"reasoning_tokens":5}}})"),
            Parsed(R"({"id":"msg_chatcmpl-1","type":"message","role":"assistant","model":"gpt-5","content":[
      {"type":"thinking","thinking":"hm","signature":""},{"type":"text","text":"Hi","citations":null},
      {"type":"tool_use","id":"call_1","name":"w","input":{"city":"Paris"}},
      {"type":"tool_use","id":"call_2","name":"bad","input":{"INVALID_JSON":"{oops"}}],
      "stop_reason":"tool_use","stop_sequence":null,"stop_details":null,
      "usage":{"input_tokens":10,"cache_creation_input_tokens":30,"cache_read_input_tokens":60,
        "cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10},"output_tokens":20,
        "output_tokens_details":{"thinking_tokens":5},"server_tool_use":null,"service_tier":null}})"));
}

TEST(MessagesClientAnswer, FinishReasonsHaveTheirCounterparts) {
  const auto stop = [](const std::string& members) {
    return Answer(R"({"choices":[{"message":{"content":"x"},)" + members + "}]}")["stop_reason"];
  };
  EXPECT_EQ(stop(R"("finish_reason":"stop")"), "end_turn");
  EXPECT_EQ(stop(R"("finish_reason":"length")"), "max_tokens");
  EXPECT_EQ(stop(R"("finish_reason":"tool_calls")"), "tool_use");
  EXPECT_EQ(stop(R"("finish_reason":"content_filter")"), "refusal");
  EXPECT_EQ(stop(R"("finish_reason":null)"), "end_turn");
  EXPECT_EQ(stop(R"("finish_reason":"stop","native_finish_reason":"stop_sequence","stop_sequence":"END")"),
            "stop_sequence");
  EXPECT_EQ(Answer(R"({"choices":[{"message":{"content":null,"refusal":"No."},"finish_reason":"stop"}]})")["content"],
            Parsed(R"([{"type":"text","text":"No.","citations":null}])"));
}

TEST(MessagesClientAnswer, WhatIsNoCompletionIsDataLoss) {
  for (const char* body : {"", "{}", R"({"choices":[]})", "[1]"}) {
    EXPECT_EQ(MessagesClient().Answer(body, kContext).status().code(), absl::StatusCode::kDataLoss) << body;
  }
}

TEST(MessagesClientError, HasAnthropicsShapeAndTheOriginal) {
  EXPECT_EQ(Parsed(MessagesClient().Error(429, R"({"error":{"message":"Slow.","type":"rate_limit_error",
      "code":"limit_exceeded","param":null,"provider_error":{"x":1}}})")),
            Parsed(R"({"type":"error","request_id":null,"error":{"type":"rate_limit_error","message":"Slow.",
      "code":"limit_exceeded","provider_error":{"x":1}}})"));
  const auto type = [](int status) {
    return Parsed(MessagesClient().Error(status, R"({"error":{"message":"m"}})"))["error"]["type"];
  };
  EXPECT_EQ(type(400), "invalid_request_error");
  EXPECT_EQ(type(401), "authentication_error");
  EXPECT_EQ(type(403), "permission_error");
  EXPECT_EQ(type(404), "not_found_error");
  EXPECT_EQ(type(413), "request_too_large");
  EXPECT_EQ(type(500), "api_error");
  EXPECT_EQ(type(502), "api_error");
  EXPECT_EQ(type(503), "overloaded_error");
  EXPECT_EQ(type(504), "timeout_error");
  EXPECT_EQ(Parsed(MessagesClient().Error(502, "<html>"))["error"]["provider_error"], "<html>");
}

constexpr std::string_view kChunks =
    R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-5","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}

data: {"id":"chatcmpl-1","model":"gpt-5","choices":[{"index":0,"delta":{"reasoning_content":"Hm, "},"finish_reason":null}]}

data: {"id":"chatcmpl-1","model":"gpt-5","choices":[{"index":0,"delta":{"reasoning_content":"yes."},"finish_reason":null}]}

data: {"id":"chatcmpl-1","model":"gpt-5","choices":[{"index":0,"delta":{"thinking_blocks":[{"type":"thinking","thinking":"Hm, yes.","signature":"sig"}]}}]}

data: {"id":"chatcmpl-1","model":"gpt-5","choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}

data: {"id":"chatcmpl-1","model":"gpt-5","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":null}]}

data: {"id":"chatcmpl-1","model":"gpt-5","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"w","arguments":""}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","model":"gpt-5","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","model":"gpt-5","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","model":"gpt-5","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"v","arguments":"{}"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","model":"gpt-5","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: {"id":"chatcmpl-1","model":"gpt-5","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":4}}}

data: [DONE]

)";

Streamed Stream(std::string_view bytes, size_t piece = 1'000'000) {
  return FeedAll(*MessagesClient().Stream(kContext), bytes, piece);
}

TEST(MessagesClientStream, EventsAreAnthropicsInTheirOrder) {
  const std::vector<Event> events = Events(Stream(kChunks).text);
  const char* const kExpected[] = {
      R"({"type":"message_start","message":{"id":"msg_chatcmpl-1","type":"message","role":"assistant","model":"gpt-5","content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":null,"output_tokens":0,"output_tokens_details":null,"server_tool_use":null,"service_tier":null}}})",
      R"({"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}})",
      R"({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm, "}})",
      R"({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"yes."}})",
      R"({"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig"}})",
      R"({"type":"content_block_stop","index":0})",
      R"({"type":"content_block_start","index":1,"content_block":{"type":"text","text":"","citations":null}})",
      R"({"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hel"}})",
      R"({"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"lo"}})",
      R"({"type":"content_block_stop","index":1})",
      R"({"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"call_1","name":"w","input":{}}})",
      R"({"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}})",
      R"({"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1}"}})",
      R"({"type":"content_block_stop","index":2})",
      R"({"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"call_2","name":"v","input":{}}})",
      R"({"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{}"}})",
      R"({"type":"content_block_stop","index":3})",
      R"({"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null,"stop_details":null},"usage":{"input_tokens":6,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"cache_creation":null,"output_tokens":7,"output_tokens_details":null,"server_tool_use":null,"service_tier":null}})",
      R"({"type":"message_stop"})",
  };
  ASSERT_EQ(events.size(), std::size(kExpected));
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].data, Parsed(kExpected[i])) << i;
    EXPECT_EQ(events[i].name, events[i].data["type"]) << i;
  }
}

TEST(MessagesClientStream, ByteByByteIsTheSameAsAtOnce) {
  const std::string whole = Stream(kChunks).text;
  for (const size_t piece : {1, 3, 50}) EXPECT_EQ(Stream(kChunks, piece).text, whole) << piece;
}

TEST(MessagesClientStream, WithoutTheEndMarkerThereIsNoMessageStop) {
  const std::string cut(kChunks.substr(0, kChunks.find("data: [DONE]")));
  EXPECT_THAT(Stream(cut).text, ::testing::Not(HasSubstr("message_stop")));
}

TEST(MessagesClientStream, AnErrorBecomesAnErrorEventAndIsTheLast) {
  const std::string text =
      Stream(
          "data: {\"error\":{\"message\":\"cut\",\"type\":\"server_error\",\"code\":\"stream_cut\"}}\n\ndata: "
          "[DONE]\n\n")
          .text;
  const std::vector<Event> events = Events(text);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].name, "error");
  EXPECT_EQ(events[0].data, Parsed(R"({"type":"error","request_id":null,
      "error":{"type":"api_error","message":"cut","code":"stream_cut"}})"));
}

TEST(MessagesClientStream, CallsWithoutIdsOrWithLateNamesStillMakeBlocks) {
  const std::string text =
      Stream(
          R"(data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]}}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"w","arguments":":1}"}}]},"finish_reason":"stop"}]}

data: [DONE]

)")
          .text;
  const std::vector<Event> events = Events(text);
  ASSERT_GE(events.size(), 5u);
  EXPECT_EQ(events[1].data["content_block"]["id"], "toolu_log-1_0");
  EXPECT_EQ(events[2].data["delta"]["partial_json"], R"({"a":1})");
  EXPECT_EQ(events[4].data["delta"]["stop_reason"], "tool_use");
}

TEST(MessagesClientStream, RedactedReasoningIsABlockOfItsOwn) {
  const std::vector<Event> events = Events(
      Stream(
          R"(data: {"choices":[{"index":0,"delta":{"thinking_blocks":[{"type":"redacted_thinking","data":"xyz"}]}}]}

)")
          .text);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[1].data["content_block"], Parsed(R"({"type":"redacted_thinking","data":"xyz"})"));
  EXPECT_EQ(events[2].data["type"], "content_block_stop");
}

TEST(MessagesClientFuzz, MutatedInputNeverCrashes) {
  const std::string body =
      R"({"model":"m","max_tokens":9,"system":[{"type":"text","text":"s","cache_control":{}}],"stream":true,
      "thinking":{"type":"enabled","budget_tokens":9},"output_config":{"format":{"type":"json_schema","schema":{}}},
      "tools":[{"name":"a","input_schema":{}}],"tool_choice":{"type":"tool","name":"a"},"metadata":{"user_id":"u","k":1},
      "messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"a/b","data":"AA"}},
      {"type":"document","source":{"type":"text","data":"x"}},{"type":"tool_result","tool_use_id":"t","is_error":true,"content":[{"type":"text","text":"r"}]}]},
      {"role":"assistant","content":[{"type":"thinking","thinking":"t"},{"type":"tool_use","id":"t","name":"a","input":{}}]}]})";
  const std::string answer =
      R"({"choices":[{"message":{"content":[{"type":"text","text":"x"}],"refusal":"r","reasoning":"y","thinking_blocks":[{}],
      "tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],
      "usage":{"prompt_tokens":4,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}})";
  for (uint32_t seed = 0; seed < 1'000; ++seed) {
    Mutator mutator(seed);
    const auto request = MessagesClient().Request(mutator.Mutate(body));
    if (const auto* chat = std::get_if<std::string>(&request)) {
      ASSERT_FALSE(nlohmann::json::parse(*chat, nullptr, false).is_discarded()) << "seed " << seed;
    }
    const std::string mutated = mutator.Mutate(answer);
    if (const auto message = MessagesClient().Answer(mutated, kContext); message.ok()) {
      ASSERT_FALSE(nlohmann::json::parse(*message, nullptr, false).is_discarded()) << "seed " << seed;
    }
    ASSERT_FALSE(nlohmann::json::parse(MessagesClient().Error(400, mutated), nullptr, false).is_discarded()) << seed;
    const std::string stream = mutator.Mutate(std::string(kChunks));
    const Streamed at_once = Stream(stream);
    const Streamed in_pieces = Stream(stream, 1 + mutator.Below(40));
    ASSERT_EQ(at_once.status.code(), in_pieces.status.code()) << "seed " << seed;
    if (!at_once.status.ok()) continue;
    ASSERT_EQ(at_once.text, in_pieces.text) << "seed " << seed;
  }
}

}  // namespace
}  // namespace signalbox
