// Seeded mutations of what peers send, through every entry point of every translator: nothing crashes (the asan preset
// runs this too), what comes out is of its format, and how bytes were cut into pieces makes no difference. A failure
// names its seed; SIGNALBOX_FUZZ_SEED starts elsewhere.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/dataplane/translate/translated.h"
#include "tests/dataplane/translate/wire_forms.h"

namespace signalbox {
namespace {

using nlohmann::json;

constexpr uint32_t kSeeds = 1'500;

uint32_t FirstSeed() {
  const char* text = std::getenv("SIGNALBOX_FUZZ_SEED");
  return text == nullptr ? 0 : static_cast<uint32_t>(std::strtoul(text, nullptr, 10));
}

struct NamedAnswers {
  const char* name;
  const AnswerTranslator& translator;
};
const NamedAnswers kAnswers[] = {{"messages", MessagesProvider()},
                                 {"generateContent", GenerateContentProvider()},
                                 {"converse", ConverseProvider()},
                                 {"responses", ResponsesAnswers()},
                                 {"embeddings", EmbeddingsAnswers()}};
const ProviderTranslator* const kProviders[] = {&MessagesProvider(), &GenerateContentProvider(), &ConverseProvider()};
const ClientTranslator* const kClients[] = {&MessagesClient(), &ResponsesClient()};
constexpr Wire kClientWires[] = {Wire::kChat, Wire::kMessages, Wire::kResponses};
constexpr Wire kProviderWires[] = {Wire::kChat, Wire::kMessages, Wire::kGenerateContent, Wire::kConverse};

// What random conversations do not have in them.
constexpr const char* kRequests[] = {
    R"({"model":"gemini-3-pro","messages":[{"role":"assistant","content":[{"type":"refusal","refusal":"no"}],"refusal":"no",
    "reasoning_content":"hm","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"},
    {"type":"redacted_thinking","data":"x"}],"extra_content":{"google":{"thought_signature":"s","parts":[{"a":1}]}},
    "images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}],"annotations":[{}]},
    {"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}},
    {"type":"file","file":{"filename":"a b.pdf","file_data":"data:application/pdf;base64,JVBERg=="}},
    {"type":"file","file":{"file_id":"https://x/y"}},{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}],
    "response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","schema":{"$schema":"x",
    "anyOf":[{"$ref":"#/$defs/a","title":"t"},{"const":1}],"$defs":{"a":{"type":"object","properties":{"b":{}}}}}}},
    "reasoning_effort":"high","logprobs":true,"top_logprobs":2,"n":1,"seed":5,"service_tier":"flex","user":null,
    "modalities":["text","image"],"extra_body":{"google":{"thinking_config":{"thinking_budget":5}}},
    "generationConfig":{"topK":3},"tools":[{"googleSearch":{}},{"type":"function","function":{"name":"f","strict":true}}],
    "tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}})",
    R"({"model":"claude-sonnet-4-5","max_tokens":5000,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],
    "messages":[{"role":"user","content":[{"type":"document","title":"t","source":{"type":"base64","media_type":"application/pdf",
    "data":"JVBERg=="}},{"type":"tool_result","tool_use_id":"a","is_error":true,"content":[{"type":"text","text":"x"},
    {"type":"image","source":{"type":"url","url":"https://x"}}]}]},{"role":"assistant","content":[{"type":"thinking",
    "thinking":"t","signature":"s"},{"type":"redacted_thinking","data":"d"}]}],"thinking":{"type":"enabled",
    "budget_tokens":2000},"tool_choice":{"type":"any","disable_parallel_tool_use":true},"metadata":{"user_id":"u"},
    "output_config":{"format":{"type":"json_schema","schema":{"type":"object"}},"effort":"low"},"stop_sequences":["x"],
    "service_tier":"auto","top_k":5,"tools":[{"name":"f","input_schema":{"type":"object"},"cache_control":{}}]})",
    R"({"model":"m","input":[{"type":"reasoning","summary":[{"type":"summary_text","text":"t"}],
    "encrypted_content":"{\"thinking_blocks\":[{\"type\":\"thinking\"}]}"},{"role":"assistant","content":[{"type":"refusal",
    "refusal":"no"}]},{"type":"function_call","call_id":"a","name":"f","arguments":"{}"},{"type":"function_call_output",
    "call_id":"a","output":[{"type":"input_image","image_url":"data:image/png;base64,AA=="}]}],
    "text":{"format":{"type":"json_schema","name":"n","schema":{}},"verbosity":"low"},"reasoning":{"effort":"low"},
    "tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]},
    "include":["message.output_text.logprobs"],"top_logprobs":3,"store":false,"truncation":"disabled"})",
};

constexpr const char* kBodies[] = {
    R"({"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="},"thoughtSignature":"s"},
    {"executableCode":{"code":"1"}},{"functionCall":{"name":"f","args":{"a":[1]}},"thoughtSignature":"s"}]},
    "finishReason":"MALFORMED_FUNCTION_CALL","index":1,"safetyRatings":[],"logprobsResult":{"chosenCandidates":[{"token":"a",
    "logProbability":-1}],"topCandidates":[{"candidates":[{"token":"b"}]}]}}],"promptFeedback":{"blockReason":"SAFETY"},
    "usageMetadata":{"promptTokenCount":4611686018427387904,"candidatesTokenCount":4,"toolUsePromptTokenCount":2,
    "promptTokensDetails":[{"modality":"AUDIO","tokenCount":3}],"totalTokenCount":99}})",
    R"({"id":"resp_1","object":"response","status":"incomplete","incomplete_details":{"reason":"content_filter"},"output":[
    {"type":"reasoning","summary":[{"type":"summary_text","text":"t"}]},{"type":"message","content":[{"type":"output_text",
    "text":"x"},{"type":"refusal","refusal":"r"}]},{"type":"custom_tool_call","call_id":"c","name":"f","input":"i"}],
    "usage":{"input_tokens":9223372036854775807,"output_tokens":5,"input_tokens_details":{"cached_tokens":4}}})",
    R"({"object":"list","data":[{"embedding":[0.5,-1e300],"index":0}],"model":"e","usage":{"prompt_tokens":8}})",
    R"({"id":"msg_1","type":"message","content":[{"type":"server_tool_use","id":"s","name":"web_search","input":{}},
    {"type":"redacted_thinking","data":"x"},{"type":"tool_use","id":"t","name":"signalbox_json_answer","input":{"a":1}},
    {"type":"text","text":"x","citations":[{"cited_text":"c"}]}],"stop_reason":"stop_sequence","stop_sequence":"S",
    "usage":{"input_tokens":4611686018427387904,"output_tokens":4611686018427387904,"cache_read_input_tokens":5,
    "cache_creation":{"ephemeral_1h_input_tokens":7}}})",
    R"({"output":{"message":{"content":[{"reasoningContent":{"redactedContent":"AA=="}},{"citationsContent":{"content":[
    {"text":"c"}],"citations":[{}]}},{"toolUse":{"toolUseId":"t","name":"f","input":{"a":{}}}}]}},
    "stopReason":"guardrail_intervened","usage":{"inputTokens":4611686018427387904,"outputTokens":4,"cacheWriteInputTokens":9,
    "cacheDetails":[{"ttl":"1h","inputTokens":5}]},"additionalModelResponseFields":{"stop_sequence":"x"}})",
    R"({"choices":[{"index":0,"message":{"content":[{"type":"text","text":"x"}],"refusal":"r","reasoning":"t","annotations":
    [{"url_citation":{"url":"u"}}],"tool_calls":[{"id":"c","function":{"name":"f","arguments":"not json"}}],"images":[{}],
    "thinking_blocks":[{"type":"thinking"}]},"logprobs":{"content":[{}]},"finish_reason":"stop"}],"service_tier":"x"})",
    R"({"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED","details":[{}]}})",
    R"([{"error":{"code":400,"message":"Bad"}}])",
    R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"})",
    R"({"__type":"com.amazon.coral.service#ThrottlingException","message":"slow down"})",
    "<html>502</html>",
    "",
};

constexpr const char* kStreams[] = {
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"m\"}}\n\n"
    "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":"
    "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\"}}\n\n"
    "data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":0,\"delta\":\"{\"}\n\n"
    "data: {\"type\":\"response.reasoning_text.delta\",\"delta\":\"t\"}\n\n"
    "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"x\",\"message\":\"m\"},\"usage\":"
    "{\"input_tokens\":1,\"output_tokens\":2}}}\n\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\",\"thoughtSignature\":\"s\"}]},\"index\":5}]}\n\n"
    "data: {\"error\":{\"code\":503,\"message\":\"m\"}}\n\n",
    "event: message_start\ndata: "
    "{\"type\":\"message_start\",\"message\":{\"id\":\"i\",\"usage\":{\"input_tokens\":1}}}\n\n"
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":3,\"delta\":{\"type\":"
    "\"input_json_delta\",\"partial_json\":\"{\"}}\n\n"
    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":7,\"function\":{\"arguments\":\"x\"}},"
    "{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\"}}],\"images\":[{}],\"annotations\":[{}],\"refusal\":\"r\","
    "\"thinking_blocks\":[{\"type\":\"redacted_thinking\"}],\"extra_content\":{\"google\":{\"parts\":[1]}}}}]}\n\n"
    "data: {\"error\":{\"message\":\"m\"}}\n\n",
};

bool IsObject(std::string_view text) { return json::parse(text, nullptr, false).is_object(); }

void CheckRequest(const std::variant<std::string, BodyFault>& made) {
  if (const BodyFault* fault = std::get_if<BodyFault>(&made)) {
    EXPECT_EQ(fault->status, 400);
    EXPECT_FALSE(fault->code.empty());
    EXPECT_FALSE(fault->message.empty());
    return;
  }
  EXPECT_TRUE(IsObject(std::get<std::string>(made))) << std::get<std::string>(made);
}

// What a translator says in chat completions, every client's translator can take.
void CheckChatAnswer(const std::string& chat) {
  EXPECT_TRUE(IsObject(chat)) << chat;
  for (const ClientTranslator* client : kClients) {
    const absl::StatusOr<std::string> answer = client->Answer(chat, kContext);
    if (answer.ok()) {
      EXPECT_TRUE(IsObject(*answer)) << *answer;
    }
    if (!answer.ok()) {
      EXPECT_EQ(answer.status().code(), absl::StatusCode::kDataLoss);
    }
  }
}

void CheckEvents(const std::string& text) {
  SseReader reader;
  const absl::StatusOr<std::vector<SseEvent>> events = reader.Feed(text);
  ASSERT_TRUE(events.ok());
  bool done = false;
  for (const SseEvent& event : *events) {
    EXPECT_FALSE(done) << "an event after [DONE]";
    done = event.data == "[DONE]";
    if (!done) {
      EXPECT_TRUE(IsObject(event.data)) << event.data;
    }
  }
}

// Fed whole and in pieces; returns what came.
template <typename MakeStream>
Streamed CheckStream(MakeStream&& make, const std::string& bytes, Mutator& mutator) {
  const Streamed whole = FeedAll(*make(), bytes, bytes.size() + 1);
  const Streamed pieces = FeedAll(*make(), bytes, 1 + mutator.Below(9));
  EXPECT_EQ(whole.status.code(), pieces.status.code());
  if (!whole.status.ok()) return whole;
  EXPECT_EQ(whole.text, pieces.text);
  CheckEvents(whole.text);
  return whole;
}

void CheckChatStream(const Streamed& chat, Mutator& mutator) {
  if (!chat.status.ok()) return;
  for (const ClientTranslator* client : kClients) {
    EXPECT_TRUE(CheckStream([&] { return client->Stream(kContext); }, chat.text, mutator).status.ok());
  }
}

TEST(TranslatorFuzz, Requests) {
  for (uint32_t seed = FirstSeed(); seed < FirstSeed() + kSeeds; ++seed) {
    Dice dice(seed);
    Mutator mutator(seed);
    const size_t which = mutator.Below(6);
    std::string body = which < 3 ? WriteTalk(kClientWires[which], RandomTalk(dice), "claude-3", dice.OneIn(2), dice)
                                 : kRequests[which - 3];
    if (!dice.OneIn(20)) body = mutator.Mutate(std::move(body));
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + body);
    for (const ClientTranslator* client : kClients) {
      const std::variant<std::string, BodyFault> chat = client->Request(body);
      CheckRequest(chat);
      if (!std::holds_alternative<std::string>(chat)) continue;
      for (const ProviderTranslator* provider : kProviders)
        CheckRequest(provider->Request(std::get<std::string>(chat)));
    }
    for (const ProviderTranslator* provider : kProviders) CheckRequest(provider->Request(body));
    if (HasFailure()) break;
  }
}

TEST(TranslatorFuzz, AnswersAndErrors) {
  for (uint32_t seed = FirstSeed(); seed < FirstSeed() + kSeeds; ++seed) {
    Dice dice(seed);
    Mutator mutator(seed);
    const size_t which = mutator.Below(4 + std::size(kBodies));
    std::string body = which < 4 ? WriteReply(kProviderWires[which], RandomReply(dice), dice) : kBodies[which - 4];
    if (!dice.OneIn(20)) body = mutator.Mutate(std::move(body));
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + body);
    for (const NamedAnswers& answers : kAnswers) {
      SCOPED_TRACE(answers.name);
      const absl::StatusOr<std::string> chat = answers.translator.Answer(body, kContext);
      if (chat.ok()) CheckChatAnswer(*chat);
      if (!chat.ok()) {
        EXPECT_EQ(chat.status().code(), absl::StatusCode::kDataLoss);
      }
      const std::string error = answers.translator.Error(400 + static_cast<int>(mutator.Below(200)), body);
      EXPECT_TRUE(json::parse(error, nullptr, false)["error"]["message"].is_string()) << error;
      for (const ClientTranslator* client : kClients) EXPECT_TRUE(IsObject(client->Error(500, error)));
    }
    CheckChatAnswer("{}");
    for (const ClientTranslator* client : kClients) {
      const absl::StatusOr<std::string> answer = client->Answer(body, kContext);
      if (answer.ok()) {
        EXPECT_TRUE(IsObject(*answer));
      }
      EXPECT_TRUE(IsObject(client->Error(500, body)));
    }
    if (HasFailure()) break;
  }
}

TEST(TranslatorFuzz, Streams) {
  for (uint32_t seed = FirstSeed(); seed < FirstSeed() + kSeeds / 3; ++seed) {
    Dice dice(seed);
    Mutator mutator(seed);
    const size_t which = mutator.Below(4 + std::size(kStreams));
    std::string bytes =
        which < 4 ? WriteReplyStream(kProviderWires[which], RandomReply(dice), dice) : kStreams[which - 4];
    bytes = mutator.Mutate(std::move(bytes));
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + bytes);
    for (const NamedAnswers& answers : kAnswers) {
      SCOPED_TRACE(answers.name);
      CheckChatStream(CheckStream([&] { return answers.translator.Stream(kContext); }, bytes, mutator), mutator);
    }
    for (const ClientTranslator* client : kClients) {
      CheckStream([&] { return client->Stream(kContext); }, bytes, mutator);
    }
    if (HasFailure()) break;
  }
}

// A broken checksum ends a stream at once: to come further the payloads are changed, then framed.
TEST(TranslatorFuzz, ConverseEvents) {
  const std::pair<const char*, const char*> kEvents[] = {
      {"messageStart", R"({"role":"assistant"})"},
      {"contentBlockStart", R"({"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"t","name":"f"}}})"},
      {"contentBlockDelta", R"({"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"a\""}}})"},
      {"contentBlockDelta", R"({"contentBlockIndex":1,"delta":{"text":"x"}})"},
      {"contentBlockDelta", R"({"contentBlockIndex":2,"delta":{"reasoningContent":{"text":"t","signature":"s"}}})"},
      {"contentBlockStop", R"({"contentBlockIndex":0})"},
      {"messageStop", R"({"stopReason":"tool_use","additionalModelResponseFields":{"stop_sequence":"x"}})"},
      {"metadata", R"({"usage":{"inputTokens":4611686018427387904,"outputTokens":5,"cacheReadInputTokens":9}})"},
      {"throttlingException", R"({"message":"slow"})"},
  };
  for (uint32_t seed = FirstSeed(); seed < FirstSeed() + kSeeds; ++seed) {
    Mutator mutator(seed);
    std::string bytes;
    for (size_t n = 1 + mutator.Below(12); n > 0; --n) {
      const auto& [type, payload] = kEvents[mutator.Below(std::size(kEvents))];
      const bool exception = mutator.Below(12) == 0;
      bytes += AwsMessage(
          {{exception ? ":exception-type" : ":event-type", type}, {":message-type", exception ? "exception" : "event"}},
          mutator.Below(3) == 0 ? mutator.Mutate(payload) : payload);
    }
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + bytes);
    CheckChatStream(CheckStream([&] { return ConverseProvider().Stream(kContext); }, bytes, mutator), mutator);
    if (HasFailure()) break;
  }
}

// Deeper than any parser follows, and as deep as one does.
TEST(TranslatorFuzz, NestingIsBounded) {
  for (const size_t depth : {size_t{1'000}, size_t{20'000}}) {
    for (const std::string& open : {std::string("["), std::string(R"({"properties":)")}) {
      std::string deep;
      for (size_t i = 0; i < depth; ++i) deep += open;
      deep += "{}";
      for (size_t i = 0; i < depth; ++i) deep += open[0] == '[' ? "]" : "}";
      const std::string quoted = json(deep).dump();
      const std::string bodies[] = {
          deep,
          R"({"model":"m","messages":[{"role":"user","content":)" + deep + "}]}",
          R"({"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":)" +
              deep + "}}]}",
          R"({"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":)" +
              quoted + R"(}}]},{"role":"tool","tool_call_id":"a","content":)" + quoted + "}]}",
          R"({"model":"m","input":[{"type":"function_call","call_id":"a","name":"f","arguments":)" + quoted + "}]}",
          R"({"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":)" + deep + "}}]}}]}",
          R"({"content":[{"type":"tool_use","name":"f","input":)" + deep + "}]}"};
      for (const std::string& body : bodies) {
        for (const ClientTranslator* client : kClients) CheckRequest(client->Request(body));
        for (const ProviderTranslator* provider : kProviders) CheckRequest(provider->Request(body));
        for (const NamedAnswers& answers : kAnswers) {
          if (const auto chat = answers.translator.Answer(body, kContext); chat.ok()) CheckChatAnswer(*chat);
          EXPECT_TRUE(IsObject(answers.translator.Error(500, body)));
          const Streamed streamed = FeedAll(*answers.translator.Stream(kContext), "data: " + body + "\n\n", 1 << 20);
          if (streamed.status.ok()) CheckEvents(streamed.text);
        }
      }
    }
  }
}

// A search for each of them would take minutes.
TEST(TranslatorFuzz, ManyMembersAreTakenOnceEach) {
  std::string members, schema;
  for (int i = 0; i < 20'000; ++i) {
    members += ",\"x" + std::to_string(i) + "\":1";
    schema += (i == 0 ? "\"p" : ",\"p") + std::to_string(i) + "\":{}";
  }
  const std::string tool =
      R"([{"type":"function","function":{"name":"f","parameters":{"properties":{)" + schema + "}}}}]";
  for (const ProviderTranslator* provider : kProviders) {
    CheckRequest(provider->Request(R"({"model":"m","messages":[{"role":"user","content":"x"}],"tools":)" + tool +
                                   members + "}"));
  }
  CheckRequest(GenerateContentProvider().Request(
      R"({"model":"m","messages":[{"role":"user","content":"x"}],"generationConfig":{"topK":1)" + members + "}}"));
  for (const char* said : {R"("input":"x")", R"("max_tokens":5,"messages":[{"role":"user","content":"x"}])"}) {
    for (const ClientTranslator* client : kClients) {
      CheckRequest(client->Request(R"({"model":"m",)" + std::string(said) + members + "}"));
    }
  }
  for (const NamedAnswers& answers : kAnswers) {
    const auto chat = answers.translator.Answer(
        R"({"data":[],"output":[],"content":[],"candidates":[{"index":0)" + members + "}]" + members + "}", kContext);
    if (chat.ok()) CheckChatAnswer(*chat);
  }
}

}  // namespace
}  // namespace signalbox
