// One conversation in every format: the same words, calls and token counts, written as each provider writes them.
#include "tests/simprovider/format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <tuple>

#include "absl/strings/escaping.h"
#include "tests/simprovider/event_stream.h"

namespace signalbox::sim {
namespace {

using testing::HasSubstr;

struct Asked {
  const Format* format;
  Target target;
  Ask ask;
};

Asked Read(const std::string& path, const std::string& body) {
  Asked asked;
  asked.format = FormatOf(path, asked.target);
  EXPECT_NE(asked.format, nullptr) << path;
  absl::StatusOr<Ask> ask = ReadAsk(*asked.format, asked.target, body);
  EXPECT_TRUE(ask.ok()) << path << ": " << ask.status();
  if (ask.ok()) asked.ask = *std::move(ask);
  return asked;
}

Json Unary(const std::string& path, const std::string& body, UsageShown usage = UsageShown::kTrue) {
  const Asked asked = Read(path, body);
  return Json::parse(asked.format->Unary(asked.ask, Compose(asked.ask), usage));
}

std::vector<StreamEvent> Stream(const std::string& path, const std::string& body) {
  const Asked asked = Read(path, body);
  EXPECT_TRUE(asked.ask.stream) << path;
  return asked.format->Stream(asked.ask, Compose(asked.ask), 3, UsageShown::kTrue);
}

std::string Refusal(const std::string& path, const std::string& body) {
  Target target;
  const Format* const format = FormatOf(path, target);
  const absl::StatusOr<Ask> ask = ReadAsk(*format, target, body);
  EXPECT_EQ(ask.status().code(), absl::StatusCode::kInvalidArgument) << body;
  return std::string(ask.status().message());
}

constexpr char kGemini[] = "/v1beta/models/m:generateContent";
constexpr char kGeminiStream[] = "/v1beta/models/m:streamGenerateContent?alt=sse";

// System, two turns, an image, a stop sequence that is never met.
const std::string kChatBody = R"({"model":"m","max_tokens":500,"stop":["zebra"],"messages":[
  {"role":"system","content":"Be brief"},{"role":"user","content":"Hello"},{"role":"assistant","content":"Hi!"},
  {"role":"user","content":[{"type":"text","text":"Describe it"},{"type":"image_url","image_url":{"url":"data:,"}}]}]})";
const std::string kMessagesBody = R"({"model":"m","max_tokens":500,"stop_sequences":["zebra"],"system":"Be brief",
  "messages":[{"role":"user","content":"Hello"},{"role":"assistant","content":"Hi!"},
  {"role":"user","content":[{"type":"text","text":"Describe it"},
    {"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]}]})";
const std::string kResponsesBody = R"({"model":"m","max_output_tokens":500,"instructions":"Be brief","input":[
  {"role":"user","content":"Hello"},{"role":"assistant","content":[{"type":"output_text","text":"Hi!"}]},
  {"role":"user","content":[{"type":"input_text","text":"Describe it"},{"type":"input_image","image_url":"data:,"}]}]})";
const std::string kGeminiBody = R"({"systemInstruction":{"parts":[{"text":"Be brief"}]},
  "generationConfig":{"maxOutputTokens":500,"stopSequences":["zebra"]},"contents":[
  {"role":"user","parts":[{"text":"Hello"}]},{"role":"model","parts":[{"text":"Hi!"}]},
  {"role":"user","parts":[{"text":"Describe it"},{"inlineData":{"mimeType":"image/png","data":"aGk="}}]}]})";
const std::string kConverseBody = R"({"system":[{"text":"Be brief"}],
  "inferenceConfig":{"maxTokens":500,"stopSequences":["zebra"]},"messages":[
  {"role":"user","content":[{"text":"Hello"}]},{"role":"assistant","content":[{"text":"Hi!"}]},
  {"role":"user","content":[{"text":"Describe it"},{"image":{"format":"png","source":{"bytes":"aGk="}}}]}]})";

TEST(Formats, TheSameConversationGetsTheSameWordsAndTokens) {
  const Json chat = Unary("/v1/chat/completions", kChatBody);
  const std::string words = chat["choices"][0]["message"]["content"];
  const Json input = chat["usage"]["prompt_tokens"];
  const Json output = chat["usage"]["completion_tokens"];
  EXPECT_EQ(input, (8 + 5 + 3 + 11 + 3) / 4 + 85);

  const Json messages = Unary("/v1/messages", kMessagesBody);
  EXPECT_EQ(messages["content"][0]["text"], words);
  EXPECT_EQ(messages["usage"]["input_tokens"], input);
  EXPECT_EQ(messages["usage"]["output_tokens"], output);
  EXPECT_EQ(messages["stop_reason"], "end_turn");

  const Json responses = Unary("/v1/responses", kResponsesBody);
  EXPECT_EQ(responses["output"][0]["content"][0]["text"], words);
  EXPECT_EQ(responses["usage"]["input_tokens"], input);
  EXPECT_EQ(responses["usage"]["output_tokens"], output);
  EXPECT_EQ(responses["status"], "completed");

  const Json gemini = Unary(kGemini, kGeminiBody);
  EXPECT_EQ(gemini["candidates"][0]["content"]["parts"][0]["text"], words);
  EXPECT_EQ(gemini["usageMetadata"]["promptTokenCount"], input);
  EXPECT_EQ(gemini["usageMetadata"]["candidatesTokenCount"], output);
  EXPECT_EQ(gemini["candidates"][0]["finishReason"], "STOP");

  const Json converse = Unary("/model/m/converse", kConverseBody);
  EXPECT_EQ(converse["output"]["message"]["content"][0]["text"], words);
  EXPECT_EQ(converse["usage"]["inputTokens"], input);
  EXPECT_EQ(converse["usage"]["outputTokens"], output);
  EXPECT_EQ(converse["stopReason"], "end_turn");
}

// The text of a stream, and whether exactly one event told the usage.
struct Heard {
  std::string text, thought, arguments, finish;
  int tells = 0;
};

Heard Hear(const std::string& path, const std::string& body) {
  Heard heard;
  int64_t before = 0;
  for (const StreamEvent& event : Stream(path, body)) {
    EXPECT_GE(event.output_tokens, before);
    before = event.output_tokens;
    heard.tells += event.tells;
    if (event.data == "[DONE]") continue;
    const Json json = Json::parse(event.data);
    if (event.name == "content_block_delta") {
      heard.text += TextOf(json["delta"], "text");
      heard.thought += TextOf(json["delta"], "thinking");
      heard.arguments += TextOf(json["delta"], "partial_json");
    } else if (event.name == "message_delta") {
      heard.finish = json["delta"]["stop_reason"];
    } else if (event.name == "response.output_text.delta") {
      heard.text += json["delta"].get<std::string>();
    } else if (event.name == "response.reasoning_summary_text.delta") {
      heard.thought += json["delta"].get<std::string>();
    } else if (event.name == "response.function_call_arguments.delta") {
      heard.arguments += json["delta"].get<std::string>();
    } else if (event.name == "response.completed") {
      heard.finish = json["response"]["status"];
    } else if (event.name == "contentBlockDelta") {
      const Json& delta = json["delta"];
      heard.text += TextOf(delta, "text");
      if (delta.contains("toolUse")) heard.arguments += TextOf(delta["toolUse"], "input");
      if (delta.contains("reasoningContent")) heard.thought += TextOf(delta["reasoningContent"], "text");
    } else if (event.name == "messageStop") {
      heard.finish = json["stopReason"];
    } else if (json.contains("candidates")) {
      const Json& candidate = json["candidates"][0];
      for (const Json& part : candidate["content"]["parts"]) {
        (part.contains("thought") ? heard.thought : heard.text) += TextOf(part, "text");
        if (part.contains("functionCall")) heard.arguments += part["functionCall"]["args"].dump();
      }
      heard.finish = TextOf(candidate, "finishReason");
    }
  }
  return heard;
}

std::string With(std::string body, const std::string& more) { return body.insert(1, more + ","); }

TEST(Formats, AStreamSaysWhatTheUnaryAnswerSays) {
  const std::string words = Unary("/v1/chat/completions", kChatBody)["choices"][0]["message"]["content"];
  const std::vector<std::tuple<std::string, std::string, std::string>> cases = {
      {"/v1/messages", With(kMessagesBody, R"("stream":true)"), "end_turn"},
      {"/v1/responses", With(kResponsesBody, R"("stream":true)"), "completed"},
      {kGeminiStream, kGeminiBody, "STOP"},
      {"/model/m/converse-stream", kConverseBody, "end_turn"}};
  for (const auto& [path, body, finish] : cases) {
    SCOPED_TRACE(path);
    const Heard heard = Hear(path, body);
    EXPECT_EQ(heard.text, words);
    EXPECT_EQ(heard.finish, finish);
    EXPECT_EQ(heard.tells, 1);
  }
}

TEST(Formats, EachCallsTheToolThatIsNamed) {
  const std::string schema = R"({"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}}})";
  const Json chat =
      Unary("/v1/chat/completions",
            R"({"model":"m","messages":[{"role":"user","content":"use weather"}],"tools":[{"type":"function",
      "function":{"name":"weather","description":"W","parameters":)" +
                schema + "}}]}");
  const std::string arguments = chat["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"];
  const Json output = chat["usage"]["completion_tokens"];
  const Json input = chat["usage"]["prompt_tokens"];

  const std::string messages = R"({"model":"m","max_tokens":99,"messages":[{"role":"user","content":"use weather"}],
      "tools":[{"name":"weather","description":"W","input_schema":)" +
                               schema + "}]}";
  const Json message = Unary("/v1/messages", messages);
  EXPECT_EQ(message["content"][0]["type"], "tool_use");
  EXPECT_EQ(message["content"][0]["input"], Json::parse(arguments));
  EXPECT_EQ(message["stop_reason"], "tool_use");
  EXPECT_EQ(message["usage"]["output_tokens"], output);
  EXPECT_EQ(message["usage"]["input_tokens"], input);
  EXPECT_EQ(Hear("/v1/messages", With(messages, R"("stream":true)")).arguments, arguments);

  const std::string responses = R"({"model":"m","input":"use weather","tools":[{"type":"function","name":"weather",
      "description":"W","parameters":)" +
                                schema + "}]}";
  const Json response = Unary("/v1/responses", responses);
  EXPECT_EQ(response["output"][0]["type"], "function_call");
  EXPECT_EQ(response["output"][0]["arguments"], arguments);
  EXPECT_EQ(response["usage"]["output_tokens"], output);
  EXPECT_EQ(Hear("/v1/responses", With(responses, R"("stream":true)")).arguments, arguments);

  const std::string gemini = R"({"contents":[{"parts":[{"text":"use weather"}]}],"tools":[{"functionDeclarations":[
      {"name":"weather","description":"W","parameters":{"type":"OBJECT","properties":{"city":{"type":"STRING"},
      "days":{"type":"INTEGER"}}}}]}]})";
  const Json content = Unary(kGemini, gemini);
  EXPECT_EQ(content["candidates"][0]["content"]["parts"][0]["functionCall"]["args"], Json::parse(arguments));
  EXPECT_EQ(content["usageMetadata"]["candidatesTokenCount"], output);
  EXPECT_EQ(content["usageMetadata"]["promptTokenCount"], input);
  EXPECT_EQ(Json::parse(Hear(kGeminiStream, gemini).arguments), Json::parse(arguments));

  const std::string converse =
      R"({"messages":[{"role":"user","content":[{"text":"use weather"}]}],"toolConfig":{"tools":
      [{"toolSpec":{"name":"weather","description":"W","inputSchema":{"json":)" +
      schema + "}}}]}}";
  const Json conversed = Unary("/model/m/converse", converse);
  EXPECT_EQ(conversed["output"]["message"]["content"][0]["toolUse"]["input"], Json::parse(arguments));
  EXPECT_EQ(conversed["stopReason"], "tool_use");
  EXPECT_EQ(Hear("/model/m/converse-stream", converse).arguments, arguments);
}

TEST(Formats, EachReadsWhatAToolAnswered) {
  EXPECT_THAT(Unary("/v1/messages", R"({"model":"m","max_tokens":99,"messages":[{"role":"user","content":"use weather"},
      {"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"weather","input":{}}]},
      {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"sunny"}]}]})")
                  .dump(),
              HasSubstr("read: sunny"));
  EXPECT_THAT(Unary("/v1/responses", R"({"model":"m","input":[{"role":"user","content":"use weather"},
      {"type":"function_call","call_id":"c1","name":"weather","arguments":"{}"},
      {"type":"function_call_output","call_id":"c1","output":"sunny"}]})")
                  .dump(),
              HasSubstr("read: sunny"));
  EXPECT_THAT(Unary(kGemini, R"({"contents":[{"role":"user","parts":[{"text":"use weather"}]},
      {"role":"model","parts":[{"functionCall":{"name":"weather","args":{}}}]},
      {"role":"user","parts":[{"functionResponse":{"name":"weather","response":{"output":"sunny"}}}]}]})")
                  .dump(),
              HasSubstr("read: sunny"));
  EXPECT_THAT(Unary("/model/m/converse", R"({"messages":[{"role":"user","content":[{"text":"use weather"}]},
      {"role":"assistant","content":[{"toolUse":{"toolUseId":"t1","name":"weather","input":{}}}]},
      {"role":"user","content":[{"toolResult":{"toolUseId":"t1","content":[{"text":"sunny"}]}}]}]})")
                  .dump(),
              HasSubstr("read: sunny"));
}

TEST(Formats, EachTellsReasoningAndCachesInItsOwnWay) {
  const std::string messages = R"({"model":"m","max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":1024},
      "system":[{"type":"text","text":"Be brief and kind, please do","cache_control":{"type":"ephemeral"}}],
      "messages":[{"role":"user","content":"Hello you"}]})";
  const Json message = Unary("/v1/messages", messages);
  EXPECT_EQ(message["content"][0]["thinking"].get<std::string>().size(), 4u * 64);
  EXPECT_EQ(message["content"][1]["type"], "text");
  EXPECT_EQ(message["usage"]["cache_read_input_tokens"], 5);
  EXPECT_EQ(message["usage"]["cache_creation_input_tokens"], 2);
  EXPECT_EQ(message["usage"]["input_tokens"], 3);  // of ten
  EXPECT_EQ(Hear("/v1/messages", With(messages, R"("stream":true)")).thought, message["content"][0]["thinking"]);

  const Json response =
      Unary("/v1/responses",
            R"({"model":"m","input":"12345678","reasoning":{"effort":"low","summary":"auto"},"prompt_cache_key":"k"})");
  EXPECT_EQ(response["output"][0]["summary"][0]["text"].get<std::string>().size(), 4u * 64);
  EXPECT_EQ(response["usage"]["output_tokens_details"]["reasoning_tokens"], 64);
  EXPECT_EQ(response["usage"]["input_tokens_details"]["cached_tokens"], 1);

  const std::string gemini = R"({"cachedContent":"cachedContents/1","contents":[{"parts":[{"text":"12345678"}]}],
      "generationConfig":{"thinkingConfig":{"thinkingBudget":1024,"includeThoughts":true}}})";
  const Json content = Unary(kGemini, gemini);
  EXPECT_EQ(content["usageMetadata"]["thoughtsTokenCount"], 64);
  EXPECT_EQ(content["usageMetadata"]["cachedContentTokenCount"], 1);
  EXPECT_EQ(content["candidates"][0]["content"]["parts"][0]["thought"], true);
  EXPECT_EQ(Hear(kGeminiStream, gemini).thought.size(), 4u * 64);

  const Json converse = Unary("/model/m/converse", R"({"additionalModelRequestFields":{"thinking":{"type":"enabled",
      "budget_tokens":1024}},"system":[{"text":"Be brief and kind, please do"},{"cachePoint":{"type":"default"}}],
      "messages":[{"role":"user","content":[{"text":"Hello you"}]}]})");
  EXPECT_EQ(converse["output"]["message"]["content"][0]["reasoningContent"]["reasoningText"]["text"],
            message["content"][0]["thinking"]);
  EXPECT_EQ(converse["usage"]["cacheReadInputTokens"], 5);
  EXPECT_EQ(converse["usage"]["cacheWriteInputTokens"], 2);
  EXPECT_EQ(converse["usage"]["inputTokens"], 3);
}

TEST(Formats, StructuredOutputIsTheSameValueEverywhere) {
  const std::string schema = R"({"type":"object","properties":{"days":{"type":"integer"},"city":{"type":"string"}}})";
  const std::string value =
      Unary("/v1/chat/completions", R"({"model":"m","messages":[{"role":"user","content":"hi"}],"response_format":
        {"type":"json_schema","json_schema":{"name":"a","schema":)" +
                                        schema + "}}}")["choices"][0]["message"]["content"];
  EXPECT_EQ(Json::parse(value)["city"], "example city");
  EXPECT_EQ(Unary("/v1/messages", R"({"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}],
      "output_config":{"format":{"type":"json_schema","schema":)" +
                                      schema + "}}}")["content"][0]["text"],
            value);
  EXPECT_EQ(Unary("/v1/responses", R"({"model":"m","input":"hi","text":{"format":{"type":"json_schema","name":"a",
      "schema":)" + schema + "}}}")["output"][0]["content"][0]["text"],
            value);
  EXPECT_EQ(Unary(kGemini, R"({"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"responseMimeType":
      "application/json","responseJsonSchema":)" +
                               schema + "}}")["candidates"][0]["content"]["parts"][0]["text"],
            value);
  EXPECT_EQ(
      Unary("/model/m/converse",
            Json{{"messages", {{{"role", "user"}, {"content", {{{"text", "hi"}}}}}}},
                 {"outputConfig",
                  {{"textFormat", {{"type", "json_schema"}, {"structure", {{"jsonSchema", {{"schema", schema}}}}}}}}}}
                .dump())["output"]["message"]["content"][0]["text"],
      value);
}

TEST(Formats, CapsAndStopSequencesAreNamedAsEachNamesThem) {
  const Json capped =
      Unary("/v1/messages", R"({"model":"m","max_tokens":7,"messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(capped["stop_reason"], "max_tokens");
  EXPECT_EQ(capped["usage"]["output_tokens"], 7);
  const Json stopped = Unary("/v1/messages", R"({"model":"m","max_tokens":99,"stop_sequences":[" on: "],
      "messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(stopped["stop_reason"], "stop_sequence");
  EXPECT_EQ(stopped["stop_sequence"], " on: ");
  const Json response = Unary("/v1/responses", R"({"model":"m","input":"hi","max_output_tokens":7})");
  EXPECT_EQ(response["status"], "incomplete");
  EXPECT_EQ(response["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(
      Unary(kGemini,
            R"({"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":7}})")["candidates"][0]
                                                                                                   ["finishReason"],
      "MAX_TOKENS");
  EXPECT_EQ(Unary("/model/m/converse", R"({"messages":[{"role":"user","content":[{"text":"hi"}]}],
      "inferenceConfig":{"maxTokens":7}})")["stopReason"],
            "max_tokens");
}

TEST(Formats, RefuseWhatTheRealOnesRefuse) {
  EXPECT_THAT(Refusal("/v1/messages", R"({"model":"m","messages":[{"role":"user","content":"x"}]})"),
              HasSubstr("max_tokens: Field required"));
  EXPECT_THAT(Refusal("/v1/messages", R"({"model":"m","max_tokens":9,"messages":[{"role":"system","content":"x"}]})"),
              HasSubstr("Unexpected role \"system\""));
  EXPECT_THAT(
      Refusal("/v1/messages", R"({"model":"m","max_tokens":9,"n":2,"messages":[{"role":"user","content":"x"}]})"),
      HasSubstr("n: Extra inputs are not permitted"));
  EXPECT_THAT(Refusal("/v1/messages", R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"},
      {"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"f","input":{}}]},
      {"role":"user","content":"never mind"}]})"),
              HasSubstr("`tool_use` ids were found without `tool_result` blocks immediately after: t1"));
  EXPECT_THAT(
      Refusal("/v1/messages", R"({"model":"m","max_tokens":900,"thinking":{"type":"enabled","budget_tokens":1024},
      "messages":[{"role":"user","content":"x"}]})"),
      HasSubstr("`max_tokens` must be greater"));
  EXPECT_THAT(Refusal("/v1/responses", R"({"model":"m","input":"x","max_tokens":3})"),
              HasSubstr("Unknown parameter: 'max_tokens'"));
  EXPECT_THAT(Refusal(kGemini, R"({"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"n":1}})"),
              HasSubstr("Unknown name \"n\" at 'generation_config'"));
  EXPECT_THAT(Refusal(kGemini, R"({"contents":[{"role":"user","parts":[{"text":"x"}]},
      {"role":"model","parts":[{"functionCall":{"name":"f"}}]},{"role":"user","parts":[{"text":"y"}]}]})"),
              HasSubstr("number of function response parts"));
  EXPECT_THAT(Refusal("/model/m/converse", R"({"messages":[{"role":"user","content":[{"text":"x"}]},
      {"role":"user","content":[{"text":"y"}]}]})"),
              HasSubstr("must alternate"));
  EXPECT_THAT(Refusal("/model/m/converse", R"({"messages":[{"role":"user","content":[{"text":" "}]}]})"),
              HasSubstr("is blank"));
  EXPECT_THAT(Refusal("/v1/embeddings", R"({"model":"m","input":""})"), HasSubstr("'$.input' is invalid"));
  // A value of another type is a sentence, never a crash.
  for (const char* path : {"/v1/chat/completions", "/v1/messages", "/v1/responses", kGemini, "/model/m/converse"}) {
    for (const char* body : {"[]", "{", R"({"model":"m","max_tokens":9,"messages":7,"input":7,"contents":7})",
                             R"({"model":"m","max_tokens":9,"messages":[7],"input":[7],"contents":[7]})"}) {
      EXPECT_NE(Refusal(path, body), "") << path << body;
    }
  }
}

TEST(Formats, EmbeddingsAreTheSameAsFloatsAndAsBytes) {
  const Json floats = Unary("/v1/embeddings", R"({"model":"e","input":["hello","hello",[1,2,3]],"dimensions":8})");
  ASSERT_EQ(floats["data"].size(), 3u);
  EXPECT_EQ(floats["data"][0]["embedding"], floats["data"][1]["embedding"]);
  EXPECT_NE(floats["data"][0]["embedding"], floats["data"][2]["embedding"]);
  EXPECT_EQ(floats["usage"]["prompt_tokens"], 2 + 2 + 3);
  double squares = 0;
  for (const Json& number : floats["data"][0]["embedding"]) squares += number.get<double>() * number.get<double>();
  EXPECT_NEAR(squares, 1, 1e-5);
  const Json bytes =
      Unary("/v1/embeddings", R"({"model":"e","input":"hello","dimensions":8,"encoding_format":"base64"})");
  std::string decoded;
  ASSERT_TRUE(absl::Base64Unescape(bytes["data"][0]["embedding"].get<std::string>(), &decoded));
  ASSERT_EQ(decoded.size(), 8u * sizeof(float));
  for (size_t i = 0; i < 8; ++i) {
    float number = 0;
    std::memcpy(&number, decoded.data() + i * sizeof(float), sizeof(float));
    EXPECT_FLOAT_EQ(number, floats["data"][0]["embedding"][i].get<float>());
  }
}

TEST(Formats, ErrorsAreShapedAsEachShapesThem) {
  EXPECT_EQ(Json::parse(MessagesFormat().Error(529, "Overloaded", -1).body)["error"]["type"], "overloaded_error");
  const Json google = Json::parse(GenerateContentFormat().Error(429, "slow down", 1'500).body)["error"];
  EXPECT_EQ(google["status"], "RESOURCE_EXHAUSTED");
  EXPECT_EQ(google["details"][0]["retryDelay"], "1.5s");
  const ErrorReply aws = ConverseFormat().Error(429, "slow down", -1);
  EXPECT_THAT(aws.headers[0].second, HasSubstr("ThrottlingException"));
  EXPECT_EQ(Json::parse(aws.body)["message"], "slow down");
  EXPECT_THAT(MessagesFormat().ErrorEvent({}), HasSubstr("event: error\ndata: {\"type\":\"error\""));
  EXPECT_THAT(ResponsesFormat().ErrorEvent({}), HasSubstr("event: error\n"));
  const auto frames = ReadEventStream(ConverseFormat().ErrorEvent({}));
  ASSERT_TRUE(frames.ok()) << frames.status();
  EXPECT_THAT((*frames)[0].headers, testing::Contains(testing::Pair(":exception-type", "modelStreamErrorException")));
}

TEST(Formats, UsageCanBeLeftOutOrZero) {
  EXPECT_FALSE(Unary("/v1/messages", kMessagesBody, UsageShown::kAbsent).contains("usage"));
  EXPECT_EQ(Unary("/v1/messages", kMessagesBody, UsageShown::kZero)["usage"]["output_tokens"], 0);
  EXPECT_FALSE(Unary("/v1/responses", kResponsesBody, UsageShown::kAbsent).contains("usage"));
  EXPECT_FALSE(Unary(kGemini, kGeminiBody, UsageShown::kAbsent).contains("usageMetadata"));
  EXPECT_FALSE(Unary("/model/m/converse", kConverseBody, UsageShown::kAbsent).contains("usage"));
}

TEST(Targets, PathsSayTheFormatTheModelAndWhetherToStream) {
  Target target;
  EXPECT_EQ(FormatOf("/model/anthropic.claude%3A0/converse-stream", target), &ConverseFormat());
  EXPECT_EQ(target.model, "anthropic.claude:0");
  EXPECT_TRUE(target.stream);
  Target azure;
  EXPECT_EQ(FormatOf("/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21", azure), &ChatFormat());
  EXPECT_EQ(azure.model, "my-gpt");
  EXPECT_TRUE(ReadAsk(ChatFormat(), azure, R"({"messages":[{"role":"user","content":"x"}]})").ok());
  Target unversioned;
  FormatOf("/openai/deployments/my-gpt/chat/completions", unversioned);
  EXPECT_THAT(
      std::string(
          ReadAsk(ChatFormat(), unversioned, R"({"messages":[{"role":"user","content":"x"}]})").status().message()),
      HasSubstr("api-version"));
  Target array;
  EXPECT_EQ(FormatOf("/v1beta/models/g:streamGenerateContent", array), &GenerateContentFormat());
  EXPECT_FALSE(array.sse);
  EXPECT_EQ(FormatOf("/v1/models", array), nullptr);
}

TEST(EventStream, SaysWhenAByteWasChanged) {
  const std::string message = EventStreamMessage({{":event-type", "messageStop"}}, R"({"stopReason":"end_turn"})");
  const auto frames = ReadEventStream(message + message);
  ASSERT_TRUE(frames.ok()) << frames.status();
  ASSERT_EQ(frames->size(), 2u);
  EXPECT_EQ((*frames)[1].payload, R"({"stopReason":"end_turn"})");
  for (size_t i = 0; i < message.size(); ++i) {
    std::string changed = message;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_EQ(ReadEventStream(changed).status().code(), absl::StatusCode::kDataLoss) << i;
  }
}

}  // namespace
}  // namespace signalbox::sim
