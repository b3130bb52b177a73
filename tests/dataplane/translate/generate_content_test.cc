// Google's generateContent both ways, from bodies in the shape of its documentation and of recorded answers.
#include <gtest/gtest.h>

#include "dataplane/translate/chat_json.h"
#include "dataplane/translate/sse.h"

namespace signalbox {
namespace {

const AnswerContext kContext = {"log-1", "gemini-2.5-flash", 1763000000};

Json Parsed(std::string_view text) {
  std::optional<Json> json = ParseJson(text);
  if (!json) ADD_FAILURE() << "not JSON: " << text;
  return json.value_or(Json());
}

Json Translated(std::string_view chat) {
  std::variant<std::string, BodyFault> body = GenerateContentProvider().Request(chat);
  if (const BodyFault* fault = std::get_if<BodyFault>(&body)) {
    ADD_FAILURE() << fault->code << ": " << fault->message;
    return Json();
  }
  return Parsed(std::get<std::string>(body));
}

BodyFault FaultOf(std::string_view chat) {
  std::variant<std::string, BodyFault> body = GenerateContentProvider().Request(chat);
  if (const std::string* text = std::get_if<std::string>(&body)) {
    ADD_FAILURE() << "accepted: " << *text;
    return BodyFault();
  }
  return std::get<BodyFault>(body);
}

Json Answered(std::string_view body) {
  absl::StatusOr<std::string> answer = GenerateContentProvider().Answer(body, kContext);
  if (!answer.ok()) {
    ADD_FAILURE() << answer.status();
    return Json();
  }
  return Parsed(*answer);
}

// The data of every event, [DONE] included.
std::vector<std::string> Streamed(const std::vector<std::string>& events, absl::Status* status = nullptr) {
  std::unique_ptr<StreamTranslator> stream = GenerateContentProvider().Stream(kContext);
  std::string out;
  for (const std::string& event : events) {
    const std::optional<Json> json = ParseJson(event);
    absl::StatusOr<std::string> fed = stream->Feed("data: " + (json ? DumpJson(*json) : event) + "\r\n\r\n");
    if (!fed.ok()) {
      if (status == nullptr) ADD_FAILURE() << fed.status();
      if (status != nullptr) *status = fed.status();
      return {};
    }
    out += *fed;
  }
  out += stream->Finish();
  SseReader reader;
  std::vector<std::string> data;
  const auto read = reader.Feed(out);
  for (const SseEvent& event : *read) data.push_back(event.data);
  return data;
}

TEST(GenerateContentRequest, ConversationWithToolsAndImages) {
  EXPECT_EQ(Translated(R"({"model":"gemini-2.5-flash","stream":true,"stream_options":{"include_usage":true},
      "metadata":{"email":"a@b.c"},"messages":[
      {"role":"system","content":"Be brief."},
      {"role":"user","content":[{"type":"text","text":"What is this?"},
        {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"}},
        {"type":"image_url","image_url":{"url":"https://example.com/cat.jpg?size=2","detail":"low"}}]},
      {"role":"assistant","content":null,"tool_calls":[
        {"id":"call_a","type":"function","function":{"name":"look","arguments":"{\"z\":1,\"a\":[\"\u00e9\"]}"},
         "extra_content":{"google":{"thought_signature":"c2ln"}}},
        {"id":"call_b","type":"function","function":{"name":"now","arguments":""}}]},
      {"role":"tool","tool_call_id":"call_a","content":"{\"animal\":\"cat\"}"},
      {"role":"tool","tool_call_id":"call_b","content":[{"type":"text","text":"12:"},{"type":"text","text":"30"}]},
      {"role":"assistant","reasoning_content":"hm","content":"A cat."},
      {"role":"developer","content":"Answer in French."},
      {"role":"user","content":"Thanks."}],
      "tools":[{"type":"function","function":{"name":"look","description":"Looks.","parameters":{"type":"object",
        "properties":{"z":{"type":"integer"},"a":{"type":"array","items":{"type":"string"}}},"required":["z"]}}},
        {"type":"function","function":{"name":"now"}}],
      "tool_choice":"auto"})"),
            Parsed(R"({"systemInstruction":{"parts":[{"text":"Be brief."},{"text":"Answer in French."}]},
      "contents":[
      {"role":"user","parts":[{"text":"What is this?"},
        {"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}},
        {"fileData":{"mimeType":"image/jpeg","fileUri":"https://example.com/cat.jpg?size=2"}}]},
      {"role":"model","parts":[
        {"functionCall":{"id":"call_a","name":"look","args":{"z":1,"a":["é"]}},"thoughtSignature":"c2ln"},
        {"functionCall":{"id":"call_b","name":"now","args":{}}}]},
      {"role":"user","parts":[
        {"functionResponse":{"id":"call_a","name":"look","response":{"animal":"cat"}}},
        {"functionResponse":{"id":"call_b","name":"now","response":{"output":"12:30"}}}]},
      {"role":"model","parts":[{"text":"hm","thought":true},{"text":"A cat."}]},
      {"role":"user","parts":[{"text":"Thanks."}]}],
      "tools":[{"functionDeclarations":[{"name":"look","description":"Looks.","parametersJsonSchema":{"type":"object",
        "properties":{"z":{"type":"integer"},"a":{"type":"array","items":{"type":"string"}}},"required":["z"]}},
        {"name":"now"}]}],
      "toolConfig":{"functionCallingConfig":{"mode":"AUTO"}},
      "generationConfig":{"mediaResolution":"MEDIA_RESOLUTION_LOW"}})"));
}

TEST(GenerateContentRequest, EveryParameterWithACounterpart) {
  EXPECT_EQ(Translated(R"({"model":"gemini-2.5-pro","messages":[{"role":"user","content":"hi"}],
      "temperature":0.25,"top_p":0.5,"top_k":40,"n":2,"max_tokens":100,"max_completion_tokens":50,
      "stop":["a","b"],"presence_penalty":0.5,"frequency_penalty":-0.5,"seed":7,"logprobs":true,"top_logprobs":3,
      "reasoning_effort":"medium","service_tier":"flex","modalities":["text"],"parallel_tool_calls":true,
      "logit_bias":{},"user":null,
      "response_format":{"type":"json_schema","json_schema":{"name":"out","strict":true,"schema":{
        "$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":false,
        "properties":{"kind":{"const":"x"},"node":{"$ref":"#/$defs/node","description":"a node"}},
        "$defs":{"node":{"type":"object"}},"required":["kind"]}}},
      "safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"}],
      "generation_config":{"speechConfig":{"languageCode":"de"}}})"),
            Parsed(R"({"contents":[{"role":"user","parts":[{"text":"hi"}]}],"serviceTier":"flex",
      "safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"}],
      "generationConfig":{"temperature":0.25,"topP":0.5,"topK":40,"seed":7,"candidateCount":2,"presencePenalty":0.5,
      "frequencyPenalty":-0.5,"responseLogprobs":true,"logprobs":3,"maxOutputTokens":50,"stopSequences":["a","b"],
      "thinkingConfig":{"includeThoughts":true,"thinkingBudget":8192},"responseMimeType":"application/json",
      "responseJsonSchema":{"type":"object","additionalProperties":false,
        "properties":{"kind":{"enum":["x"]},"node":{"$ref":"#/$defs/node"}},
        "$defs":{"node":{"type":"object"}},"required":["kind"]},
      "speechConfig":{"languageCode":"de"}}})"));
}

TEST(GenerateContentRequest, ThinkingIsALevelFromGemini3OnAndABudgetBefore) {
  const auto thinking = [](const std::string& model, const std::string& effort) {
    return Translated(R"({"model":")" + model +
                      R"(","messages":[{"role":"user","content":"hi"}],"reasoning_effort":")" + effort +
                      "\"}")["generationConfig"]["thinkingConfig"];
  };
  EXPECT_EQ(thinking("gemini-3-pro-preview", "low"), Parsed(R"({"includeThoughts":true,"thinkingLevel":"LOW"})"));
  EXPECT_EQ(thinking("google/gemini-3.8-flash", "minimal"),
            Parsed(R"({"includeThoughts":true,"thinkingLevel":"MINIMAL"})"));
  EXPECT_EQ(thinking("gemini-2.5-flash", "high"), Parsed(R"({"includeThoughts":true,"thinkingBudget":24576})"));
  EXPECT_EQ(thinking("gemini-flash-latest", "none"), Parsed(R"({"thinkingBudget":0})"));
  EXPECT_EQ(FaultOf(R"({"model":"m","messages":[{"role":"user","content":"x"}],"reasoning_effort":"xhigh"})").param,
            "reasoning_effort");
}

TEST(GenerateContentRequest, GooglesOwnExtraBodyIsRead) {
  const Json body = Translated(R"({"model":"m","messages":[{"role":"user","content":"hi"}],"extra_body":{"google":{
      "thinking_config":{"thinking_budget":800,"include_thoughts":true},"cached_content":"cachedContents/1"}}})");
  EXPECT_EQ(body["generationConfig"]["thinkingConfig"], Parsed(R"({"thinkingBudget":800,"includeThoughts":true})"));
  EXPECT_EQ(body["cachedContent"], "cachedContents/1");
}

TEST(GenerateContentRequest, ToolChoiceAndStrictFunctions) {
  const auto calling = [](const std::string& rest) {
    return Translated(R"({"model":"m","messages":[{"role":"user","content":"hi"}],)" + rest +
                      "}")["toolConfig"]["functionCallingConfig"];
  };
  EXPECT_EQ(calling(R"("tool_choice":"none")"), Parsed(R"({"mode":"NONE"})"));
  EXPECT_EQ(calling(R"("tool_choice":"required")"), Parsed(R"({"mode":"ANY"})"));
  EXPECT_EQ(calling(R"("tool_choice":{"type":"function","function":{"name":"f"}})"),
            Parsed(R"({"mode":"ANY","allowedFunctionNames":["f"]})"));
  EXPECT_EQ(calling(R"("tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[
      {"type":"function","function":{"name":"f"}}]}})"),
            Parsed(R"({"mode":"VALIDATED","allowedFunctionNames":["f"]})"));
  EXPECT_EQ(calling(R"("tools":[{"type":"function","function":{"name":"f","strict":true}}])"),
            Parsed(R"({"mode":"VALIDATED"})"));
  EXPECT_EQ(Translated(R"({"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"googleSearch":{}}]})")
                .value("tools", Json()),
            Parsed(R"([{"googleSearch":{}}])"));
}

TEST(GenerateContentRequest, CallsOfOtherModelsGetGooglesWordForThemFromGemini3On) {
  const std::string rest = R"(","messages":[{"role":"user","content":"hi"},{"role":"assistant","tool_calls":[
      {"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},
      {"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}]})";
  const Json checked = Translated(R"({"model":"gemini-3-flash)" + rest);
  EXPECT_EQ(
      checked["contents"][1]["parts"],
      Parsed(R"([{"functionCall":{"id":"a","name":"f","args":{}},"thoughtSignature":"skip_thought_signature_validator"},
                       {"functionCall":{"id":"b","name":"g","args":{}}}])"));
  const Json unchecked = Translated(R"({"model":"gemini-2.5-flash)" + rest);
  EXPECT_FALSE(unchecked["contents"][1]["parts"][0].contains("thoughtSignature"));
}

TEST(GenerateContentRequest, AudioFilesAndVideo) {
  EXPECT_EQ(Translated(R"({"model":"m","messages":[{"role":"user","content":[
      {"type":"input_audio","input_audio":{"data":"AAAA","format":"mp3"}},
      {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERg=="}},
      {"type":"file","file":{"file_id":"https://generativelanguage.googleapis.com/v1beta/files/x1"}},
      {"type":"video_url","video_url":{"url":"gs://bucket/v.mp4"}}]}]})")["contents"][0]["parts"],
            Parsed(R"([{"inlineData":{"mimeType":"audio/mp3","data":"AAAA"}},
      {"inlineData":{"mimeType":"application/pdf","data":"JVBERg=="}},
      {"fileData":{"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/x1"}},
      {"fileData":{"mimeType":"video/mp4","fileUri":"gs://bucket/v.mp4"}}])"));
}

TEST(GenerateContentRequest, AFailedToolIsAnErrorAndCacheMarksAreGeminisOwnAffair) {
  EXPECT_EQ(Translated(R"({"model":"m","messages":[{"role":"assistant","tool_calls":[
      {"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"a","content":"boom","is_error":true,"cache_control":{"type":"ephemeral"}},
      {"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]})")["contents"],
            Parsed(R"([{"role":"model","parts":[{"functionCall":{"id":"a","name":"f","args":{}}}]},
      {"role":"user","parts":[{"functionResponse":{"id":"a","name":"f","response":{"error":"boom"}}}]},
      {"role":"user","parts":[{"text":"x"}]}])"));
}

TEST(GenerateContentRequest, WhatHasNoCounterpartIsRefusedByName) {
  const struct {
    const char* rest;  // of the body, or
    const char* part;  // of the content
    const char* param;
  } kCases[] = {
      {R"("user":"u1")", "", "user"},
      {R"("parallel_tool_calls":false)", "", "parallel_tool_calls"},
      {R"("logit_bias":{"1":2})", "", "logit_bias"},
      {R"("store":true)", "", "store"},
      {R"("prediction":{"type":"content","content":"x"})", "", "prediction"},
      {R"("modalities":["audio"])", "", "modalities"},
      {R"("service_tier":"scale")", "", "service_tier"},
      {R"("functions":[{"name":"f"}])", "", "functions"},
      {R"("tools":[{"type":"custom","custom":{"name":"x"}}])", "", "tools[0].type"},
      {R"("tools":[{"type":"function","function":{"name":"x","defer":true}}])", "", "tools[0].function.defer"},
      {R"("tool_choice":{"type":"custom"})", "", "tool_choice"},
      {R"("response_format":{"type":"grammar"})", "", "response_format.type"},
      {R"("contents":[])", "", "contents"},
      {R"("system_instruction":{})", "", "system_instruction"},
      {R"("generationConfig":{"maxOutputTokens":9})", "", "generationConfig.maxOutputTokens"},
      {R"("generation_config":{"candidate_count":9})", "", "generationConfig.candidate_count"},
      {R"("top_p":1,"generation_config":{"top_p":0.5})", "", "generationConfig.top_p"},
      {R"("reasoning_effort":"low","extra_body":{"google":{"thinking_config":{"thinking_budget":1}}})", "",
       "extra_body.google.thinking_config"},
      {"", R"({"type":"text","text":"x","prompt_cache_breakpoint":{}})",
       "messages[0].content[0].prompt_cache_breakpoint"},
      {"", R"({"type":"image_url","image_url":{"url":"ftp://x"}})", "messages[0].content[0].image_url.url"},
      {"", R"({"type":"image_url","image_url":{"url":"https://x","detail":"huge"}})",
       "messages[0].content[0].image_url.detail"},
      {"", R"({"type":"file","file":{"file_id":"file-abc"}})", "messages[0].content[0].file.file_id"},
      {"", R"({"type":"hologram"})", "messages[0].content[0].type"},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.param);
    std::string body = R"({"model":"m","messages":[{"role":"user","content":[)";
    body += *test.part == '\0' ? R"({"type":"text","text":"hi"})" : test.part;
    body += "]}]";
    if (*test.rest != '\0') body += std::string(",") + test.rest;
    const BodyFault fault = FaultOf(body + "}");
    EXPECT_EQ(fault.status, 400);
    EXPECT_EQ(fault.param, test.param);
    EXPECT_NE(fault.message.find(std::string("`") + test.param + "` "), std::string::npos) << fault.message;
  }
}

TEST(GenerateContentRequest, BadMessagesAreTheClientsFault) {
  const struct {
    const char* messages;
    const char* param;
  } kCases[] = {
      {R"([{"role":"system","content":"x"}])", "messages"},
      {R"([{"role":"tool","tool_call_id":"nowhere","content":"x"}])", "messages[0].tool_call_id"},
      {R"([{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"[1]"}}]}])",
       "messages[0].tool_calls[0].function.arguments"},
      {R"([{"role":"user","content":7}])", "messages[0].content"},
      {R"([{"role":"user","content":["x"]}])", "messages[0].content[0]"},
      {R"([{"role":"critic","content":"x"}])", "messages[0].role"},
      {R"([{"role":"user","content":"x","name":"bob"}])", "messages[0].name"},
      {R"(["x"])", "messages[0]"},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.messages);
    EXPECT_EQ(FaultOf(std::string(R"({"model":"m","messages":)") + test.messages + "}").param, test.param);
  }
  EXPECT_EQ(FaultOf("[1]").code, "invalid_json");
  EXPECT_EQ(FaultOf(R"({"model":"m"})").param, "messages");
}

TEST(GenerateContentAnswer, TextThoughtsCallsAndEveryKindOfToken) {
  EXPECT_EQ(Answered(R"({"candidates":[{"content":{"parts":[
      {"text":"Let me think.","thought":true},{"text":"Hel"},{"text":"lo é","thoughtSignature":"dGV4dA=="},
      {"functionCall":{"name":"look","args":{"z":1,"a":2}},"thoughtSignature":"Y2FsbA=="},
      {"functionCall":{"id":"own","name":"now"}}],"role":"model"},"finishReason":"STOP","index":0,
      "avgLogprobs":-0.5}],
      "usageMetadata":{"promptTokenCount":100,"candidatesTokenCount":20,"totalTokenCount":165,"cachedContentTokenCount":60,
      "thoughtsTokenCount":40,"toolUsePromptTokenCount":5,
      "promptTokensDetails":[{"modality":"TEXT","tokenCount":70},{"modality":"AUDIO","tokenCount":30}],
      "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":8}]},
      "modelVersion":"gemini-2.5-flash-001","responseId":"resp-9"})"),
            Parsed(R"({"id":"resp-9","object":"chat.completion","created":1763000000,"model":"gemini-2.5-flash-001",
      "choices":[{"index":0,"message":{"role":"assistant","content":"Hello é","reasoning_content":"Let me think.",
      "tool_calls":[{"id":"call_resp-9_0_0","type":"function","function":{"name":"look","arguments":"{\"z\":1,\"a\":2}"},
        "extra_content":{"google":{"thought_signature":"Y2FsbA=="}}},
        {"id":"own","type":"function","function":{"name":"now","arguments":"{}"}}],
      "extra_content":{"google":{"thought_signature":"dGV4dA=="}},"refusal":null},
      "extra_content":{"google":{"avgLogprobs":-0.5}},"logprobs":null,"finish_reason":"tool_calls"}],
      "usage":{"prompt_tokens":105,"completion_tokens":60,"total_tokens":165,
      "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":30},
      "completion_tokens_details":{"reasoning_tokens":40,"audio_tokens":8}}})"));
}

TEST(GenerateContentAnswer, AnAnswerGoesBackAsItCame) {
  const Json message = Answered(R"({"candidates":[{"content":{"parts":[{"text":"a","thoughtSignature":"c2ln"},
      {"inlineData":{"mimeType":"image/png","data":"AAAA"},"thoughtSignature":"aW1n"},
      {"executableCode":{"language":"PYTHON","code":"1"}},
      {"functionCall":{"id":"i","name":"f","args":{"x":1.5}},"thoughtSignature":"Y2FsbA=="}]},"finishReason":"STOP"}]})")
      ["choices"][0]["message"];
  Json chat = {{"model", "gemini-3-pro"}, {"messages", Json::array({{{"role", "user"}, {"content", "q"}}, message})}};
  EXPECT_EQ(Translated(chat.dump())["contents"][1]["parts"],
            Parsed(R"([{"text":"a"},{"inlineData":{"mimeType":"image/png","data":"AAAA"},"thoughtSignature":"c2ln"},
      {"executableCode":{"language":"PYTHON","code":"1"}},
      {"functionCall":{"id":"i","name":"f","args":{"x":1.5}},"thoughtSignature":"Y2FsbA=="}])"));
}

TEST(GenerateContentAnswer, FinishReasons) {
  const auto finish = [](const std::string& reason) {
    Json choice = Answered(R"({"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":")" + reason +
                           "\"}]}")["choices"][0];
    return choice["finish_reason"].get<std::string>() + " " + choice.value("native_finish_reason", "");
  };
  EXPECT_EQ(finish("STOP"), "stop ");
  EXPECT_EQ(finish("MAX_TOKENS"), "length ");
  for (const char* reason : {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"}) {
    EXPECT_EQ(finish(reason), std::string("content_filter ") + reason);
  }
  EXPECT_EQ(finish("MALFORMED_FUNCTION_CALL"), "stop MALFORMED_FUNCTION_CALL");
  EXPECT_EQ(finish("OTHER"), "stop OTHER");
}

TEST(GenerateContentAnswer, ABlockedPromptIsAFilteredChoice) {
  const Json answer = Answered(R"({"promptFeedback":{"blockReason":"SAFETY","safetyRatings":[]},
      "usageMetadata":{"promptTokenCount":9,"totalTokenCount":9}})");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "content_filter");
  EXPECT_EQ(answer["choices"][0]["native_finish_reason"], "PROMPT_BLOCKED");
  EXPECT_EQ(answer["choices"][0]["message"]["content"], nullptr);
  EXPECT_EQ(answer["choices"][0]["extra_content"]["google"]["promptFeedback"]["blockReason"], "SAFETY");
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 9);
}

TEST(GenerateContentAnswer, LogprobsAndSeveralCandidates) {
  const Json answer = Answered(R"({"candidates":[{"index":0,"content":{"parts":[{"text":"a"}]},"finishReason":"STOP",
      "logprobsResult":{"chosenCandidates":[{"token":"a","logProbability":-0.25,"tokenId":5}],
      "topCandidates":[{"candidates":[{"token":"a","logProbability":-0.25},{"token":"b","logProbability":-2}]}]}},
      {"index":1,"content":{"parts":[{"text":"b"}]},"finishReason":"MAX_TOKENS"}]})");
  EXPECT_EQ(answer["choices"][0]["logprobs"],
            Parsed(R"({"content":[{"token":"a","logprob":-0.25,"bytes":[97],"top_logprobs":[
      {"token":"a","logprob":-0.25,"bytes":[97]},{"token":"b","logprob":-2,"bytes":[98]}]}],"refusal":null})"));
  EXPECT_EQ(answer["choices"][1]["index"], 1);
  EXPECT_EQ(answer["choices"][1]["message"]["content"], "b");
  EXPECT_EQ(answer["choices"][1]["finish_reason"], "length");
}

TEST(GenerateContentAnswer, WhatTheTotalAloneNamesCountsAsReasoning) {
  const Json usage = Answered(R"({"candidates":[],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,
      "totalTokenCount":40}})")["usage"];
  EXPECT_EQ(usage["completion_tokens"], 30);
  EXPECT_EQ(usage["completion_tokens_details"]["reasoning_tokens"], 25);
}

TEST(GenerateContentAnswer, UsageThatCannotBeIsNone) {
  for (const char* usage : {R"({"promptTokenCount":-1,"candidatesTokenCount":5})", R"({"promptTokenCount":"9"})",
                            R"({"promptTokenCount":9223372036854775807})", "{}", "7"}) {
    EXPECT_FALSE(Answered(std::string(R"({"candidates":[{}],"usageMetadata":)") + usage + "}").contains("usage"));
  }
}

TEST(GenerateContentAnswer, AnotherFormatIsDataLoss) {
  for (const char* body : {"", "[]", "<html>", "{}", R"({"choices":[]})"}) {
    const absl::StatusOr<std::string> answer = GenerateContentProvider().Answer(body, kContext);
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kDataLoss) << body;
  }
}

TEST(GenerateContentError, KeepsTheOriginal) {
  const char kBody[] = R"({"error":{"code":429,"message":"Quota exceeded.","status":"RESOURCE_EXHAUSTED",
      "details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"20s"}]}})";
  const Json error = Parsed(GenerateContentProvider().Error(429, kBody));
  EXPECT_EQ(error["error"]["message"], "Quota exceeded.");
  EXPECT_EQ(error["error"]["type"], "rate_limit_error");
  EXPECT_EQ(error["error"]["code"], "RESOURCE_EXHAUSTED");
  EXPECT_EQ(error["error"]["param"], nullptr);
  EXPECT_EQ(error["error"]["provider_error"], Parsed(kBody)["error"]);
  EXPECT_EQ(Parsed(GenerateContentProvider().Error(400, std::string("[") + kBody + "]"))["error"]["message"],
            "Quota exceeded.");
}

TEST(GenerateContentError, ABodyThatIsNoneOfGooglesIsKeptAsText) {
  const Json error = Parsed(GenerateContentProvider().Error(502, "<html>bad \xff gateway"));
  EXPECT_EQ(error["error"]["message"], "the provider answered 502: <html>bad \xEF\xBF\xBD gateway");
  EXPECT_EQ(error["error"]["type"], "server_error");
  EXPECT_EQ(error["error"]["provider_error"], "<html>bad \xEF\xBF\xBD gateway");
}

TEST(GenerateContentStream, TextThoughtsAndACall) {
  const std::vector<std::string> data =
      Streamed({R"({"candidates":[{"content":{"parts":[{"text":"Hm.","thought":true}],"role":"model"},"index":0}],
           "usageMetadata":{"promptTokenCount":4,"totalTokenCount":4},"modelVersion":"g-1","responseId":"r"})",
                R"({"candidates":[{"content":{"parts":[{"text":"Hel"}],"role":"model"},"index":0}],
           "usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":1,"totalTokenCount":5}})",
                R"({"candidates":[{"content":{"parts":[{"text":"lo"},{"functionCall":{"name":"f","args":{"a":1}},
           "thoughtSignature":"c2ln"}],"role":"model"},"index":0}]})",
                R"({"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"ZW5k"}],"role":"model"},
           "finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":6,
           "thoughtsTokenCount":3,"totalTokenCount":13}})"});
  ASSERT_EQ(data.size(), 7u);
  std::vector<Json> deltas;
  for (size_t i = 0; i < 5; ++i) deltas.push_back(Parsed(data[i])["choices"][0]["delta"]);
  EXPECT_EQ(deltas[0], Parsed(R"({"reasoning_content":"Hm.","role":"assistant"})"));
  EXPECT_EQ(deltas[1], Parsed(R"({"content":"Hel"})"));
  EXPECT_EQ(deltas[2], Parsed(R"({"content":"lo","tool_calls":[{"index":0,"id":"call_r_0_0","type":"function",
      "function":{"name":"f","arguments":"{\"a\":1}"},"extra_content":{"google":{"thought_signature":"c2ln"}}}]})"));
  EXPECT_EQ(deltas[3], Parsed(R"({"extra_content":{"google":{"thought_signature":"ZW5k"}}})"));
  EXPECT_EQ(deltas[4], Json::object());
  EXPECT_EQ(Parsed(data[4])["choices"][0]["finish_reason"], "tool_calls");
  EXPECT_EQ(Parsed(data[4])["id"], "r");
  EXPECT_EQ(Parsed(data[4])["model"], "g-1");
  const Json usage = Parsed(data[5]);
  EXPECT_TRUE(usage["choices"].empty());
  EXPECT_EQ(usage["usage"]["prompt_tokens"], 4);
  EXPECT_EQ(usage["usage"]["completion_tokens"], 9);
  EXPECT_EQ(usage["usage"]["completion_tokens_details"]["reasoning_tokens"], 3);
  EXPECT_EQ(data[6], "[DONE]");
}

TEST(GenerateContentStream, CutBeforeAFinishReasonHasNoEndAndNoFinalUsage) {
  const std::vector<std::string> data =
      Streamed({R"({"candidates":[{"content":{"parts":[{"text":"Hel"}]}}],"usageMetadata":{"promptTokenCount":4}})"});
  ASSERT_EQ(data.size(), 2u);
  EXPECT_EQ(Parsed(data[1])["choices"][0]["finish_reason"], nullptr);
  EXPECT_EQ(Parsed(data[0])["choices"][0]["usage"]["prompt_tokens"], 4);
  EXPECT_EQ(Parsed(data[1])["choices"][0]["usage"]["prompt_tokens"], 4);
}

TEST(GenerateContentStream, AnErrorEventEndsIt) {
  const std::vector<std::string> data =
      Streamed({R"({"candidates":[{"content":{"parts":[{"text":"Hel"}]},"finishReason":"STOP"}]})",
                R"({"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}})",
                R"({"candidates":[{"content":{"parts":[{"text":"late"}]}}]})"});
  ASSERT_EQ(data.size(), 2u);
  EXPECT_EQ(Parsed(data[1])["error"]["code"], "UNAVAILABLE");
  EXPECT_EQ(Parsed(data[1])["error"]["type"], "server_error");
}

TEST(GenerateContentStream, CallsOfOneChoiceAreCountedAcrossChunksAndChoicesAreApart) {
  const std::vector<std::string> data =
      Streamed({R"({"candidates":[{"index":0,"content":{"parts":[{"functionCall":{"name":"f"}}]}},
                         {"index":1,"content":{"parts":[{"functionCall":{"name":"g"}}]}}]})",
                R"({"candidates":[{"index":0,"content":{"parts":[{"functionCall":{"name":"h"}}]},"finishReason":"STOP"},
                         {"index":1,"finishReason":"MAX_TOKENS"}]})"});
  ASSERT_EQ(data.size(), 6u);
  EXPECT_EQ(Parsed(data[0])["choices"][0]["delta"]["tool_calls"][0]["index"], 0);
  EXPECT_EQ(Parsed(data[1])["choices"][0]["index"], 1);
  EXPECT_EQ(Parsed(data[1])["choices"][0]["delta"]["tool_calls"][0]["index"], 0);
  EXPECT_EQ(Parsed(data[2])["choices"][0]["delta"]["tool_calls"][0]["index"], 1);
  EXPECT_EQ(Parsed(data[3])["choices"][0]["finish_reason"], "tool_calls");
  EXPECT_EQ(Parsed(data[4])["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(data[5], "[DONE]");
}

TEST(GenerateContentStream, ABlockedPromptEndsWell) {
  const std::vector<std::string> data =
      Streamed({R"({"promptFeedback":{"blockReason":"OTHER"},"usageMetadata":{"promptTokenCount":4}})"});
  ASSERT_EQ(data.size(), 4u);
  EXPECT_EQ(Parsed(data[1])["choices"][0]["finish_reason"], "content_filter");
  EXPECT_EQ(data[3], "[DONE]");
}

TEST(GenerateContentStream, WhatIsNoJsonIsDataLoss) {
  absl::Status status;
  Streamed({R"({"candidates":[{"content":)"}, &status);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace signalbox
