// What clients of chat completions say, as Anthropic Messages.
#include <gmock/gmock.h>

#include "tests/dataplane/translate/translated.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

nlohmann::json Request(std::string_view chat) { return Translated(MessagesProvider().Request(chat)); }
BodyFault Fault(std::string_view chat) { return Refused(MessagesProvider().Request(chat)); }

// A request of one user message with `members` added.
std::string With(std::string_view members, std::string_view model = "claude-sonnet-4-6") {
  return std::string(R"({"model":")") + std::string(model) +
         R"(","messages":[{"role":"user","content":"Hi"}],"max_tokens":2000,)" + std::string(members) + "}";
}

TEST(MessagesRequest, SystemSamplingAndStopsGoToTheirPlaces) {
  EXPECT_EQ(Request(R"({
      "model": "claude-sonnet-4-6", "stream": true, "stream_options": {"include_usage": true},
      "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Bye"}],
      "max_completion_tokens": 300, "max_tokens": 200, "temperature": 0.5, "top_p": 0.9, "stop": ["END", "\n\n"],
      "user": "u-1", "metadata": {"email": "a@b.c"}, "n": 1, "logprobs": false, "service_tier": "default"})"),
            Parsed(R"({
      "model": "claude-sonnet-4-6", "max_tokens": 200, "stream": true, "temperature": 0.5, "top_p": 0.9,
      "stop_sequences": ["END", "\n\n"],
      "system": [{"type": "text", "text": "Be brief."},
                 {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
      "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."},
                   {"role": "user", "content": "Bye"}],
      "metadata": {"user_id": "u-1"}, "service_tier": "standard_only"})"));
}

TEST(MessagesRequest, OneStopIsAListOfOne) {
  EXPECT_EQ(Request(With(R"("stop":"END")"))["stop_sequences"], Parsed(R"(["END"])"));
  EXPECT_FALSE(Request(With(R"("stop":null)")).contains("stop_sequences"));
}

TEST(MessagesRequest, MaxTokensHasADefaultOfTheModelsAge) {
  const auto cap = [](const char* model) {
    return Request(std::string(R"({"messages":[{"role":"user","content":"Hi"}],"model":")") + model +
                   "\"}")["max_tokens"];
  };
  EXPECT_EQ(cap("claude-3-haiku-20240307"), 4096);
  EXPECT_EQ(cap("claude-3-5-sonnet-20241022"), 4096);
  EXPECT_EQ(cap("claude-3-7-sonnet-20250219"), 32000);
  EXPECT_EQ(cap("claude-sonnet-4-20250514"), 32000);
  EXPECT_EQ(cap("claude-opus-5-5"), 32000);
  EXPECT_EQ(cap("some-model"), 4096);
}

TEST(MessagesRequest, ImagesAndFilesBecomeSources) {
  EXPECT_EQ(Request(R"({"model":"claude-sonnet-4-6","max_tokens":9,"messages":[{"role":"user","content":[
      {"type":"text","text":"What is this?"},
      {"type":"image_url","image_url":{"url":"https://x.test/a.png","detail":"high"}},
      {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0="}},
      {"type":"image_url","image_url":{"url":"data:image/jpg;base64,/9g="}},
      {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}},
      {"type":"file","file":{"file_data":"data:text/plain;base64,aGVsbG8="}},
      {"type":"file","file":{"file_id":"file_1"}},
      {"type":"text","text":""}]}]})")["messages"],
            Parsed(R"([{"role":"user","content":[
      {"type":"text","text":"What is this?"},
      {"type":"image","source":{"type":"url","url":"https://x.test/a.png"}},
      {"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0="}},
      {"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"/9g="}},
      {"type":"document","title":"a.pdf","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}},
      {"type":"document","source":{"type":"text","media_type":"text/plain","data":"hello"}},
      {"type":"document","source":{"type":"file","file_id":"file_1"}}]}])"));
}

TEST(MessagesRequest, ToolsTheirChoiceCallsAndResults) {
  EXPECT_EQ(Request(R"({"model":"claude-sonnet-4-6","max_tokens":9,
      "tools":[{"type":"function","cache_control":{"type":"ephemeral"},"function":{"name":"weather",
                "description":"Of a city","strict":true,"parameters":{"type":"object","properties":{"city":{"type":"string"}}}}},
               {"type":"function","function":{"name":"now"}},
               {"type":"web_search_20250305","name":"web_search","max_uses":2}],
      "tool_choice":"required","parallel_tool_calls":false,
      "messages":[
        {"role":"user","content":"Weather in Paris and Rome?"},
        {"role":"assistant","content":null,"tool_calls":[
          {"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Paris\"}"}},
          {"id":"c2","type":"function","function":{"name":"now","arguments":""}}]},
        {"role":"tool","tool_call_id":"c1","content":"18 C"},
        {"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"noon"}]},
        {"role":"user","content":"Thanks?"}]})"),
            Parsed(R"({"model":"claude-sonnet-4-6","max_tokens":9,
      "tools":[{"name":"weather","description":"Of a city","strict":true,"cache_control":{"type":"ephemeral"},
                "input_schema":{"type":"object","properties":{"city":{"type":"string"}}}},
               {"name":"now","input_schema":{"type":"object","properties":{}}},
               {"type":"web_search_20250305","name":"web_search","max_uses":2}],
      "tool_choice":{"type":"any","disable_parallel_tool_use":true},
      "messages":[
        {"role":"user","content":"Weather in Paris and Rome?"},
        {"role":"assistant","content":[
          {"type":"tool_use","id":"c1","name":"weather","input":{"city":"Paris"}},
          {"type":"tool_use","id":"c2","name":"now","input":{}}]},
        {"role":"user","content":[
          {"type":"tool_result","tool_use_id":"c1","content":[{"type":"text","text":"18 C"}]},
          {"type":"tool_result","tool_use_id":"c2","content":[{"type":"text","text":"noon"}]},
          {"type":"text","text":"Thanks?"}]}]})"));
}

TEST(MessagesRequest, ASchemaKeepsTheOrderOfItsMembers) {
  const auto request = MessagesProvider().Request(With(
      R"("tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"z":{},"a":{},"m":{}}}}}])"));
  EXPECT_THAT(std::get<std::string>(request), HasSubstr(R"("properties":{"z":{},"a":{},"m":{}})"));
}

TEST(MessagesRequest, EveryToolChoiceHasItsCounterpart) {
  const auto choice = [](const std::string& said) {
    return Request(With(R"("tools":[{"type":"function","function":{"name":"f"}}],)" + said))
        .value("tool_choice", nlohmann::json());
  };
  EXPECT_EQ(choice(R"("tool_choice":"auto")"), Parsed(R"({"type":"auto"})"));
  EXPECT_EQ(choice(R"("tool_choice":"none")"), Parsed(R"({"type":"none"})"));
  EXPECT_EQ(choice(R"("tool_choice":"required")"), Parsed(R"({"type":"any"})"));
  EXPECT_EQ(choice(R"("tool_choice":{"type":"function","function":{"name":"f"}})"),
            Parsed(R"({"type":"tool","name":"f"})"));
  EXPECT_EQ(choice(R"("parallel_tool_calls":false)"), Parsed(R"({"type":"auto","disable_parallel_tool_use":true})"));
  EXPECT_EQ(choice(R"("parallel_tool_calls":true)"), nlohmann::json());
  EXPECT_EQ(Fault(With(R"("tool_choice":{"type":"allowed_tools"})")).param, "tool_choice");
}

TEST(MessagesRequest, AJsonSchemaIsTheOutputsFormat) {
  const std::string format =
      R"("response_format":{"type":"json_schema","json_schema":{"name":"city","strict":true,"description":"A city",
         "schema":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"],"additionalProperties":false}}})";
  const nlohmann::json request = Request(With(format));
  EXPECT_EQ(request["output_config"], Parsed(R"({"format":{"type":"json_schema","schema":{"type":"object",
      "properties":{"name":{"type":"string"}},"required":["name"],"additionalProperties":false,"description":"A city"}}})"));
  EXPECT_FALSE(request.contains("tools"));
}

TEST(MessagesRequest, WithoutStructuredOutputJsonIsTheInputOfATool) {
  const std::string schema =
      R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object","properties":{"a":{}}}}})";
  const nlohmann::json older = Request(With(schema, "claude-3-5-haiku-20241022"));
  EXPECT_FALSE(older.contains("output_config"));
  EXPECT_EQ(older["tools"].size(), 1u);
  EXPECT_EQ(older["tools"][0]["name"], "signalbox_json_answer");
  EXPECT_EQ(older["tools"][0]["input_schema"], Parsed(R"({"type":"object","properties":{"a":{}}})"));
  EXPECT_EQ(older["tool_choice"],
            Parsed(R"({"type":"tool","name":"signalbox_json_answer","disable_parallel_tool_use":true})"));

  const std::string object = R"("response_format":{"type":"json_object"})";
  EXPECT_EQ(Request(With(object))["tools"][0]["input_schema"], Parsed(R"({"type":"object"})"));
  // Beside other tools the model may call one of them first; one that thinks cannot be forced.
  const std::string others = object + R"(,"tools":[{"type":"function","function":{"name":"f"}}])";
  EXPECT_EQ(Request(With(others))["tool_choice"], Parsed(R"({"type":"any"})"));
  EXPECT_EQ(Request(With(object + R"(,"reasoning_effort":"low")"))["tool_choice"], Parsed(R"({"type":"auto"})"));
  EXPECT_EQ(Request(With(others + R"(,"tool_choice":"none")"))["tools"].size(), 1u);
}

TEST(MessagesRequest, ReasoningEffortByGeneration) {
  const auto effort = [](const std::string& value, const char* model) {
    return Request(With(R"("reasoning_effort":")" + value + "\"", model));
  };
  nlohmann::json newest = effort("high", "claude-opus-5-5");
  EXPECT_EQ(newest["thinking"], Parsed(R"({"type":"adaptive","display":"summarized"})"));
  EXPECT_EQ(newest["output_config"], Parsed(R"({"effort":"high"})"));
  EXPECT_EQ(effort("minimal", "claude-sonnet-4-6")["output_config"], Parsed(R"({"effort":"low"})"));
  EXPECT_EQ(effort("low", "claude-sonnet-4-6")["thinking"], Parsed(R"({"type":"adaptive"})"));
  EXPECT_EQ(effort("none", "claude-sonnet-4-6")["thinking"], Parsed(R"({"type":"disabled"})"));
  // A budget stays below the client's cap of 2,000.
  EXPECT_EQ(effort("high", "claude-sonnet-4-5-20250929")["thinking"],
            Parsed(R"({"type":"enabled","budget_tokens":1999})"));
  EXPECT_FALSE(effort("none", "claude-sonnet-4-5").contains("thinking"));
  const nlohmann::json uncapped = Request(
      R"({"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"Hi"}],"reasoning_effort":"medium"})");
  EXPECT_EQ(uncapped["thinking"]["budget_tokens"], 8192);
  EXPECT_EQ(uncapped["max_tokens"], 32000 + 8192);
}

TEST(MessagesRequest, ReasoningThatCannotBeIsRefused) {
  EXPECT_THAT(Fault(With(R"("reasoning_effort":"low")", "claude-3-5-sonnet-20241022")).message,
              HasSubstr("does not reason"));
  const BodyFault small =
      Fault(R"({"model":"claude-sonnet-4-5","max_tokens":1024,"messages":[],"reasoning_effort":"low"})");
  EXPECT_EQ(small.param, "reasoning_effort");
  EXPECT_THAT(small.message, HasSubstr("more than 1024 tokens"));
  EXPECT_EQ(Fault(With(R"("reasoning_effort":"much")")).code, "invalid_request");
  const std::string both = R"("reasoning_effort":"minimal","thinking":{"type":"enabled","budget_tokens":1500})";
  EXPECT_EQ(Fault(With(both, "claude-sonnet-4-5")).param, "reasoning_effort");
  EXPECT_EQ(Request(With(both))["output_config"], Parsed(R"({"effort":"low"})"));
}

TEST(MessagesRequest, SignedReasoningGoesBackFirst) {
  EXPECT_EQ(Request(R"({"model":"claude-sonnet-4-6","max_tokens":9,"messages":[{"role":"user","content":"Hi"},
      {"role":"assistant","content":"Hello","reasoning_content":"hm","refusal":null,"annotations":[],"parsed":{},
       "thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"}]}]})")["messages"][1],
            Parsed(R"({"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},
                                                     {"type":"text","text":"Hello"}]})"));
}

TEST(MessagesRequest, ReasoningThatNobodySignedStaysBehind) {
  EXPECT_EQ(Request(R"({"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":"Hello","thinking_blocks":[
      {"type":"thinking","thinking":"hm","signature":""},{"type":"redacted_thinking","data":"r"},7]}]})")["messages"][0]
                                                                                                         ["content"],
            Parsed(R"([{"type":"redacted_thinking","data":"r"},{"type":"text","text":"Hello"}])"));
}

TEST(MessagesRequest, IdsOfOtherProvidersCallsAreMadeFit) {
  const nlohmann::json turns = Request(R"({"model":"m","max_tokens":9,"messages":[
      {"role":"assistant","tool_calls":[
        {"id":"functions.f:0","type":"function","function":{"name":"f","arguments":"{}"}},
        {"id":"functions.f.0","type":"function","function":{"name":"f","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"functions.f:0","content":"a"},
      {"role":"tool","tool_call_id":"functions.f.0","content":"b"}]})")["messages"];
  const std::string first = turns[0]["content"][0]["id"];
  EXPECT_THAT(first, ::testing::MatchesRegex("functions_f_0_[0-9a-f]*"));
  EXPECT_NE(first, turns[0]["content"][1]["id"]);
  EXPECT_EQ(first, turns[1]["content"][0]["tool_use_id"]);
  EXPECT_EQ(turns[0]["content"][1]["id"], turns[1]["content"][1]["tool_use_id"]);
  const nlohmann::json longer = Request(R"({"model":"m","messages":[{"role":"tool","tool_call_id":")" +
                                        std::string(65, 'x') + R"(","content":"a"}]})");
  EXPECT_LE(longer["messages"][0]["content"][0]["tool_use_id"].get<std::string>().size(), 64u);
}

TEST(MessagesRequest, WhatIsNotOpenAIsIsPassedOn) {
  const nlohmann::json request = Request(
      With(R"("top_k":5,"container":"c","thinking":{"type":"enabled","budget_tokens":1024},"reasoning_effort":"low",
                      "output_config":{"effort":"max"},"cache_control":{"type":"ephemeral"},"service_tier":"auto")"));
  EXPECT_EQ(request["top_k"], 5);
  EXPECT_EQ(request["container"], "c");
  EXPECT_EQ(request["thinking"], Parsed(R"({"type":"enabled","budget_tokens":1024})"));
  EXPECT_EQ(request["output_config"], Parsed(R"({"effort":"max"})"));
  EXPECT_EQ(request["cache_control"], Parsed(R"({"type":"ephemeral"})"));
  EXPECT_EQ(Fault(With(R"("stop":"a","stop_sequences":["b"])")).param, "stop_sequences");
}

TEST(MessagesRequest, WhatHasNoCounterpartIsRefusedByName) {
  struct Case {
    const char* members;
    const char* param;
  };
  const Case cases[] = {
      {R"("n":2)", "n"},
      {R"("logprobs":true)", "logprobs"},
      {R"("top_logprobs":3)", "top_logprobs"},
      {R"("logit_bias":{"50256":-100})", "logit_bias"},
      {R"("seed":7)", "seed"},
      {R"("frequency_penalty":0.5)", "frequency_penalty"},
      {R"("presence_penalty":-1)", "presence_penalty"},
      {R"("audio":{"voice":"alloy"})", "audio"},
      {R"("modalities":["text","audio"])", "modalities"},
      {R"("prediction":{"type":"content"})", "prediction"},
      {R"("verbosity":"low")", "verbosity"},
      {R"("store":true)", "store"},
      {R"("functions":[{"name":"f"}])", "functions"},
      {R"("function_call":"auto")", "function_call"},
      {R"("web_search_options":{})", "web_search_options"},
      {R"("prompt_cache_key":"k")", "prompt_cache_key"},
      {R"("service_tier":"flex")", "service_tier"},
      {R"("temperature":1.5)", "temperature"},
      {R"("response_format":{"type":"grammar"})", "response_format.type"},
      {R"("tools":[{"type":"custom","custom":{"name":"c"}}])", "tools[0].type"},
  };
  for (const Case& refused : cases) {
    const BodyFault fault = Fault(With(refused.members));
    EXPECT_EQ(fault.status, 400) << refused.members;
    EXPECT_EQ(fault.code, "unsupported_parameter") << refused.members;
    EXPECT_EQ(fault.param, refused.param) << refused.members;
    EXPECT_THAT(fault.message, HasSubstr(refused.param));
  }
  for (const char* nothing : {R"("n":1)", R"("logprobs":false)", R"("logit_bias":{})", R"("frequency_penalty":0)",
                              R"("modalities":["text"])", R"("seed":null)", R"("store":false)", R"("top_logprobs":0)",
                              R"("verbosity":"medium")", R"("response_format":{"type":"text"})"}) {
    EXPECT_EQ(Request(With(nothing)), Parsed(R"({"model":"claude-sonnet-4-6","max_tokens":2000,
        "messages":[{"role":"user","content":"Hi"}]})"))
        << nothing;
  }
}

TEST(MessagesRequest, FaultsInMessagesNameTheirPlace) {
  const auto fault = [](std::string_view messages) {
    return Fault(R"({"model":"claude-sonnet-4-6","messages":[{"role":"user","content":"Hi"},)" + std::string(messages) +
                 "]}");
  };
  EXPECT_EQ(fault(R"({"role":"user","content":[{"type":"input_audio","input_audio":{}}]})").param,
            "messages[1].content[0].type");
  EXPECT_EQ(fault(R"({"role":"user","name":"bob","content":"x"})").param, "messages[1].name");
  EXPECT_EQ(
      fault(R"({"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x","detail":"low"}}]})").param,
      "messages[1].content[0].image_url.detail");
  EXPECT_EQ(fault(R"({"role":"user","content":[{"type":"file","file":{"file_data":"JVBERi0="}}]})").param,
            "messages[1].content[0].file.file_data");
  EXPECT_EQ(fault(R"({"role":"function","name":"f","content":"x"})").param, "messages[1].role");
  EXPECT_EQ(fault(R"({"role":"robot","content":"x"})").param, "messages[1].role");
  EXPECT_EQ(fault(R"({"role":"assistant","audio":{"id":"a"}})").param, "messages[1].audio");
  EXPECT_EQ(fault(R"({"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"[1]"}}]})").param,
            "messages[1].tool_calls[0].function.arguments");
  EXPECT_EQ(fault(R"(7)").param, "messages[1]");
  EXPECT_EQ(Fault(R"({"model":"m"})").param, "messages");
  EXPECT_EQ(Fault("[]").code, "invalid_json");
  EXPECT_EQ(Fault("{").code, "invalid_json");
}

TEST(MessagesRequest, MutatedBodiesNeverCrash) {
  const std::string body = With(
      R"("tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"tool_choice":"auto","stop":["a"],
         "response_format":{"type":"json_schema","json_schema":{"schema":{}}},"reasoning_effort":"low",
         "messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"},
         {"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}},{"type":"file","file":{"file_data":"data:a/b;base64,AA=="}}]},
         {"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},
         {"role":"tool","tool_call_id":"1","content":"r"}])");
  for (uint32_t seed = 0; seed < 2'000; ++seed) {
    const std::string mutated = Mutator(seed).Mutate(body);
    const auto request = MessagesProvider().Request(mutated);
    if (const auto* sent = std::get_if<std::string>(&request)) {
      ASSERT_FALSE(nlohmann::json::parse(*sent, nullptr, false).is_discarded()) << "seed " << seed;
    } else {
      ASSERT_FALSE(std::get<BodyFault>(request).message.empty()) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace signalbox
