// What clients of chat completions say, as Bedrock's Converse.
#include <gmock/gmock.h>

#include "tests/dataplane/translate/translated.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

constexpr char kSonnet[] = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

nlohmann::json Request(std::string_view chat) { return Translated(ConverseProvider().Request(chat)); }
BodyFault Fault(std::string_view chat) { return Refused(ConverseProvider().Request(chat)); }
std::string With(std::string_view members, std::string_view model = kSonnet) {
  return std::string(R"({"model":")") + std::string(model) +
         R"(","messages":[{"role":"user","content":"Hi"}],"max_tokens":2000,)" + std::string(members) + "}";
}

TEST(ConverseRequest, ModelAndStreamAreNotInTheBody) {
  EXPECT_EQ(Request(R"({"model":"amazon.nova-pro-v1:0","stream":true,"stream_options":{"include_usage":true},
      "messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"},
                  {"role":"assistant","content":"Hello."},{"role":"user","content":"Bye"}],
      "max_tokens":200,"temperature":0.5,"top_p":0.9,"stop":"END","user":"u-1","service_tier":"priority"})"),
            Parsed(R"({"system":[{"text":"Be brief."}],
      "messages":[{"role":"user","content":[{"text":"Hi"}]},{"role":"assistant","content":[{"text":"Hello."}]},
                  {"role":"user","content":[{"text":"Bye"}]}],
      "inferenceConfig":{"maxTokens":200,"temperature":0.5,"topP":0.9,"stopSequences":["END"]},
      "requestMetadata":{"user_id":"u-1"},"serviceTier":{"type":"priority"}})"));
}

TEST(ConverseRequest, WithoutACapNoneIsSent) {
  EXPECT_FALSE(Request(R"({"model":"m","messages":[]})").contains("inferenceConfig"));
}

TEST(ConverseRequest, ToolsCallsAndResultsAlternate) {
  EXPECT_EQ(Request(R"({"model":"amazon.nova-pro-v1:0",
      "tools":[{"type":"function","function":{"name":"weather","description":"d","parameters":{"type":"object","properties":{"city":{}}}}},
               {"type":"function","cache_control":{"type":"ephemeral"},"function":{"name":"now"}}],
      "tool_choice":{"type":"function","function":{"name":"now"}},
      "messages":[{"role":"user","content":"A?"},{"role":"user","content":"B?"},
        {"role":"assistant","content":"Looking.","tool_calls":[
          {"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Paris\"}"}},
          {"id":"c2","type":"function","function":{"name":"now","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"c1","content":"18 C"},
        {"role":"tool","tool_call_id":"c2","content":""},
        {"role":"user","content":"And?"}]})"),
            Parsed(R"({
      "toolConfig":{"tools":[
        {"toolSpec":{"name":"weather","description":"d","inputSchema":{"json":{"type":"object","properties":{"city":{}}}}}},
        {"toolSpec":{"name":"now","inputSchema":{"json":{"type":"object","properties":{}}}}},
        {"cachePoint":{"type":"default"}}],"toolChoice":{"tool":{"name":"now"}}},
      "messages":[{"role":"user","content":[{"text":"A?"},{"text":"B?"}]},
        {"role":"assistant","content":[{"text":"Looking."},
          {"toolUse":{"toolUseId":"c1","name":"weather","input":{"city":"Paris"}}},
          {"toolUse":{"toolUseId":"c2","name":"now","input":{}}}]},
        {"role":"user","content":[
          {"toolResult":{"toolUseId":"c1","content":[{"text":"18 C"}]}},
          {"toolResult":{"toolUseId":"c2","content":[{"text":" "}]}},{"text":"And?"}]}]})"));
}

TEST(ConverseRequest, ToolChoices) {
  const std::string tools = R"("tools":[{"type":"function","function":{"name":"f"}}],)";
  const auto choice = [&](const char* said) {
    return Request(With(tools + said))["toolConfig"].value("toolChoice", nlohmann::json());
  };
  EXPECT_EQ(choice(R"("tool_choice":"auto")"), Parsed(R"({"auto":{}})"));
  EXPECT_EQ(choice(R"("tool_choice":"required")"), Parsed(R"({"any":{}})"));
  EXPECT_FALSE(Request(With(tools + R"("tool_choice":"none")")).contains("toolConfig"));
  EXPECT_EQ(
      Fault(R"({"model":"m","tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none","messages":[
      {"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}]})")
          .param,
      "tool_choice");
  // One call at a time is Anthropic's own word.
  const nlohmann::json alone = Request(With(tools + R"("parallel_tool_calls":false,"tool_choice":"required")"));
  EXPECT_EQ(alone["additionalModelRequestFields"],
            Parsed(R"({"tool_choice":{"type":"any","disable_parallel_tool_use":true}})"));
  EXPECT_FALSE(alone["toolConfig"].contains("toolChoice"));
  EXPECT_EQ(Fault(With(tools + R"("parallel_tool_calls":false)", "amazon.nova-pro-v1:0")).param, "parallel_tool_calls");
}

TEST(ConverseRequest, ImagesAndDocumentsAreBytes) {
  EXPECT_EQ(Request(R"({"model":"m","messages":[{"role":"user","content":[
      {"type":"text","text":"?"},
      {"type":"image_url","image_url":{"url":"data:image/jpeg;base64,AAA="}},
      {"type":"file","file":{"filename":"My report_v2.pdf","file_data":"data:application/pdf;base64,JVBE"}},
      {"type":"file","file":{"filename":"My report_v2.pdf","file_data":"data:application/pdf;base64,JVBE"}},
      {"type":"file","file":{"file_data":"data:text/csv;base64,YQ=="}}]}]})")["messages"][0]["content"],
            Parsed(R"([{"text":"?"},{"image":{"format":"jpeg","source":{"bytes":"AAA="}}},
      {"document":{"format":"pdf","name":"My report-v2","source":{"bytes":"JVBE"}}},
      {"document":{"format":"pdf","name":"My report-v2-2","source":{"bytes":"JVBE"}}},
      {"document":{"format":"csv","name":"document","source":{"bytes":"YQ=="}}}])"));
  const auto fault = [](const char* part) {
    return Fault(std::string(R"({"model":"m","messages":[{"role":"user","content":[)") + part + "]}]}");
  };
  EXPECT_THAT(fault(R"({"type":"image_url","image_url":{"url":"https://x.test/a.png"}})").message,
              HasSubstr("Bedrock fetches no images"));
  EXPECT_EQ(fault(R"({"type":"image_url","image_url":{"url":"data:image/bmp;base64,AA"}})").code,
            "unsupported_parameter");
  EXPECT_EQ(fault(R"({"type":"file","file":{"file_id":"f"}})").param, "messages[0].content[0].file.file_id");
  EXPECT_EQ(fault(R"({"type":"file","file":{"file_data":"data:application/zip;base64,AA"}})").param,
            "messages[0].content[0].file.file_data");
}

TEST(ConverseRequest, CacheMarksBecomeCachePoints) {
  EXPECT_EQ(Request(R"({"model":"m","messages":[
      {"role":"system","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"text","text":"b"}]},
      {"role":"user","content":[{"type":"text","text":"c","cache_control":{"type":"ephemeral"}}]}]})"),
            Parsed(R"({"system":[{"text":"a"},{"cachePoint":{"type":"default","ttl":"1h"}},{"text":"b"}],
      "messages":[{"role":"user","content":[{"text":"c"},{"cachePoint":{"type":"default"}}]}]})"));
}

TEST(ConverseRequest, ReasoningIsAskedForInEachFamilysWords) {
  const auto fields = [](const char* effort, const char* model) {
    return Request(With(std::string(R"("reasoning_effort":")") + effort + "\"", model))
        .value("additionalModelRequestFields", nlohmann::json());
  };
  EXPECT_EQ(fields("low", kSonnet), Parsed(R"({"thinking":{"type":"enabled","budget_tokens":1999}})"));
  EXPECT_EQ(fields("low", "us.anthropic.claude-opus-4-6-v1"),
            Parsed(R"({"thinking":{"type":"adaptive"},"output_config":{"effort":"low"}})"));
  EXPECT_EQ(fields("high", "openai.gpt-oss-120b-1:0"), Parsed(R"({"reasoning_effort":"high"})"));
  EXPECT_EQ(fields("medium", "us.amazon.nova-2-lite-v1:0"),
            Parsed(R"({"reasoningConfig":{"type":"enabled","maxReasoningEffort":"medium"}})"));
  EXPECT_EQ(fields("none", "meta.llama3-3-70b-instruct-v1:0"), nlohmann::json());
  EXPECT_EQ(Fault(With(R"("reasoning_effort":"low")", "meta.llama3-3-70b-instruct-v1:0")).param, "reasoning_effort");
  EXPECT_EQ(Fault(With(R"("reasoning_effort":"low")", "anthropic.claude-3-haiku-20240307-v1:0")).param,
            "reasoning_effort");
  EXPECT_EQ(Request(std::string(R"({"model":")") + kSonnet +
                    R"(","messages":[],"reasoning_effort":"low"})")["inferenceConfig"]["maxTokens"],
            32000 + 4096);
}

TEST(ConverseRequest, StructuredOutputByPlaceOrByTool) {
  const std::string schema =
      R"("response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","schema":{"type":"object","properties":{"b":{},"a":{}}}}})";
  EXPECT_EQ(Request(With(schema))["outputConfig"], Parsed(R"({"textFormat":{"type":"json_schema","structure":{
      "jsonSchema":{"name":"n","description":"d","schema":"{\"type\":\"object\",\"properties\":{\"b\":{},\"a\":{}}}"}}}})"));
  const nlohmann::json older = Request(With(schema, "anthropic.claude-3-5-sonnet-20241022-v2:0"));
  EXPECT_EQ(older["toolConfig"]["toolChoice"], Parsed(R"({"tool":{"name":"signalbox_json_answer"}})"));
  EXPECT_EQ(older["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]["type"], "object");
  EXPECT_FALSE(older.contains("outputConfig"));
  EXPECT_EQ(Request(With(R"("response_format":{"type":"json_object"})",
                         "meta.llama3-3-70b-instruct-v1:0"))["toolConfig"]["toolChoice"],
            Parsed(R"({"auto":{}})"));
}

TEST(ConverseRequest, SignedReasoningGoesBack) {
  EXPECT_EQ(Request(R"({"model":"m","messages":[{"role":"assistant","content":"x","thinking_blocks":[
      {"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"r"}]}]})")["messages"][0]
                                                                                                        ["content"],
            Parsed(R"([{"reasoningContent":{"reasoningText":{"text":"hm","signature":"s"}}},
                       {"reasoningContent":{"redactedContent":"r"}},{"text":"x"}])"));
}

TEST(ConverseRequest, TheRestIsPassedOn) {
  const nlohmann::json request = Request(With(
      R"("top_k":5,"guardrailConfig":{"guardrailIdentifier":"g"},"additionalModelRequestFields":{"x":1},"anthropic_beta":["b"],
         "additionalModelResponseFieldPaths":["/stop_sequence"])"));
  EXPECT_EQ(request["additionalModelRequestFields"], Parsed(R"({"top_k":5,"x":1,"anthropic_beta":["b"]})"));
  EXPECT_EQ(request["guardrailConfig"]["guardrailIdentifier"], "g");
  EXPECT_EQ(request["additionalModelResponseFieldPaths"], Parsed(R"(["/stop_sequence"])"));
  EXPECT_EQ(Request(With(R"("top_k":5)", "amazon.nova-pro-v1:0"))["additionalModelRequestFields"],
            Parsed(R"({"inferenceConfig":{"topK":5}})"));
  EXPECT_EQ(Fault(With(R"("user":"u","requestMetadata":{"a":"b"})")).param, "requestMetadata");
}

TEST(ConverseRequest, WhatHasNoCounterpartIsRefusedByName) {
  struct Case {
    const char* members;
    const char* param;
  };
  for (const Case& c :
       {Case{R"("n":2)", "n"}, Case{R"("logprobs":true)", "logprobs"}, Case{R"("seed":1)", "seed"},
        Case{R"("logit_bias":{"1":1})", "logit_bias"}, Case{R"("temperature":1.2)", "temperature"},
        Case{R"("frequency_penalty":1)", "frequency_penalty"}, Case{R"("service_tier":"scale")", "service_tier"},
        Case{R"("tools":[{"type":"web_search_20250305","name":"w"}])", "tools[0].type"}}) {
    const BodyFault fault = Fault(With(c.members));
    EXPECT_EQ(fault.code, "unsupported_parameter") << c.members;
    EXPECT_EQ(fault.param, c.param);
  }
  EXPECT_EQ(Fault("{").code, "invalid_json");
}

TEST(ConverseRequest, MutatedBodiesNeverCrash) {
  const std::string body = With(
      R"("tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"tool_choice":"required","stop":["a"],
         "response_format":{"type":"json_schema","json_schema":{"schema":{}}},"reasoning_effort":"low","top_k":1,
         "messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t","cache_control":{}},
         {"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}},{"type":"file","file":{"filename":"a.b","file_data":"data:text/csv;base64,AA=="}}]},
         {"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},
         {"role":"tool","tool_call_id":"1","content":"r"}])");
  for (uint32_t seed = 0; seed < 2'000; ++seed) {
    const auto request = ConverseProvider().Request(Mutator(seed).Mutate(body));
    if (const auto* sent = std::get_if<std::string>(&request)) {
      ASSERT_FALSE(nlohmann::json::parse(*sent, nullptr, false).is_discarded()) << "seed " << seed;
    } else {
      ASSERT_FALSE(std::get<BodyFault>(request).message.empty()) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace signalbox
