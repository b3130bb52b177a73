#include "tests/simprovider/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/simprovider/format.h"

namespace signalbox::sim {
namespace {

using nlohmann::json;
using testing::HasSubstr;

absl::StatusOr<Ask> ReadChat(std::string_view body) { return ReadAsk(ChatFormat(), Target{}, body); }

Ask Parsed(std::string_view body) {
  absl::StatusOr<Ask> request = ReadChat(body);
  EXPECT_TRUE(request.ok()) << request.status();
  return *std::move(request);
}

json Unary(std::string_view body) {
  const Ask ask = Parsed(body);
  return json::parse(ChatFormat().Unary(ask, Compose(ask), UsageShown::kTrue));
}

std::vector<StreamEvent> Stream(std::string_view body, int chunks = 4) {
  const Ask ask = Parsed(body);
  return ChatFormat().Stream(ask, Compose(ask), chunks, UsageShown::kTrue);
}

constexpr char kHello[] = R"({"model":"gpt-4o-mini","messages":[{"role":"user","content":"Write a website text"}]})";

TEST(Answer, IsAFunctionOfTheRequest) {
  EXPECT_EQ(Unary(kHello), Unary(kHello));
  EXPECT_NE(Unary(kHello)["choices"],
            Unary(R"({"model":"gpt-5.1","messages":[{"role":"user","content":"Write a website text"}]})")["choices"]);
}

TEST(Answer, EchoesTheModelAndCountsFourBytesAToken) {
  const json answer = Unary(kHello);
  EXPECT_EQ(answer["model"], "gpt-4o-mini");
  EXPECT_EQ(answer["object"], "chat.completion");
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 5);
  const std::string text = answer["choices"][0]["message"]["content"];
  EXPECT_EQ(answer["usage"]["completion_tokens"], (text.size() + 3) / 4);
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
}

TEST(Answer, StopsAtTheSmallerCapWithFinishReasonLength) {
  const json answer =
      Unary(R"({"model":"m","max_tokens":7,"max_completion_tokens":9,"messages":[{"role":"user","content":"hello"}]})");
  EXPECT_EQ(answer["usage"]["completion_tokens"], 7);
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
}

TEST(Answer, GivesEachOfNChoicesItsOwnTextAndCountsThemAll) {
  const json answer = Unary(R"({"model":"m","n":3,"messages":[{"role":"user","content":"hello"}]})");
  ASSERT_EQ(answer["choices"].size(), 3u);
  size_t tokens = 0;
  for (const json& choice : answer["choices"]) {
    tokens += (choice["message"]["content"].get<std::string>().size() + 3) / 4;
  }
  EXPECT_EQ(answer["usage"]["completion_tokens"], tokens);
}

TEST(Answer, ReportsCachedAndReasoningTokens) {
  const json answer = Unary(
      R"({"model":"gpt-5.1","reasoning_effort":"low","prompt_cache_key":"k","messages":[{"role":"user","content":"12345678"}]})");
  EXPECT_EQ(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 1);
  EXPECT_EQ(answer["usage"]["completion_tokens_details"]["reasoning_tokens"], 64);
  EXPECT_GT(answer["usage"]["completion_tokens"], 64);
}

TEST(Answer, CallsAToolWhenTheRequestDemandsOne) {
  const json answer = Unary(R"({"model":"m","tool_choice":"required","messages":[{"role":"user","content":"?"}],
    "tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object",
      "properties":{"city":{"type":"string","enum":["Lisbon","Porto"]},"days":{"type":"integer"}}}}}]})");
  const json& call = answer["choices"][0]["message"]["tool_calls"][0];
  EXPECT_EQ(call["function"]["name"], "get_weather");
  const json arguments = json::parse(call["function"]["arguments"].get<std::string>());
  EXPECT_EQ(arguments["city"], "Lisbon");
  EXPECT_TRUE(arguments["days"].is_number_integer());
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "tool_calls");
  EXPECT_TRUE(answer["choices"][0]["message"]["content"].is_null());
}

TEST(Answer, CallsAToolThatTheUserNamesAndSpeaksOnceItHasTheResult) {
  const json named = Unary(R"({"model":"m","messages":[{"role":"user","content":"please use get_weather"}],
    "tools":[{"type":"function","function":{"name":"get_weather"}}]})");
  EXPECT_EQ(named["choices"][0]["finish_reason"], "tool_calls");
  const json answered = Unary(R"({"model":"m","messages":[{"role":"user","content":"please use get_weather"},
    {"role":"tool","tool_call_id":"call_1","content":"sunny"}],
    "tools":[{"type":"function","function":{"name":"get_weather"}}]})");
  EXPECT_THAT(answered["choices"][0]["message"]["content"].get<std::string>(), HasSubstr("sunny"));
}

TEST(Answer, StopsBeforeAStopSequence) {
  const json answer = Unary(R"({"model":"m","stop":["nowhere"," on: "],"messages":[{"role":"user","content":"hi"}]})");
  const std::string text = answer["choices"][0]["message"]["content"];
  EXPECT_EQ(text.substr(text.size() - 3), " (m");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(answer["usage"]["completion_tokens"], (text.size() + 3) / 4);
}

TEST(Answer, IsJsonOfTheSchemaAskedFor) {
  const json answer = Unary(R"({"model":"m","messages":[{"role":"user","content":"hi"}],
    "response_format":{"type":"json_schema","json_schema":{"name":"site","strict":true,"schema":{"type":"object",
      "$defs":{"page":{"type":"object","properties":{"title":{"type":"string"},"kind":{"const":"home"}}}},
      "properties":{"pages":{"type":"array","minItems":2,"items":{"$ref":"#/$defs/page"}},
        "price":{"type":["number","null"],"minimum":20},"colour":{"enum":["red","blue"]},
        "public":{"anyOf":[{"type":"boolean"},{"type":"null"}]}}}}}})");
  const json value = json::parse(answer["choices"][0]["message"]["content"].get<std::string>());
  ASSERT_EQ(value["pages"].size(), 2u);
  EXPECT_EQ(value["pages"][1], (json{{"title", "example title"}, {"kind", "home"}}));
  EXPECT_GE(value["price"].get<double>(), 20);
  EXPECT_EQ(value["colour"], "red");
  EXPECT_TRUE(value["public"].is_boolean());
}

TEST(Answer, ReasonsAloudOnlyWhereTheProviderDoes) {
  const std::string body = R"({"model":"m","reasoning_effort":"low","messages":[{"role":"user","content":"hi"}]})";
  EXPECT_FALSE(Unary(body)["choices"][0]["message"].contains("reasoning_content"));
  Ask ask = Parsed(body);
  ask.shape = UsageShape::kDeepSeek;
  const json aloud = json::parse(ChatFormat().Unary(ask, Compose(ask), UsageShown::kTrue));
  EXPECT_EQ(aloud["choices"][0]["message"]["reasoning_content"].get<std::string>().size(), 4u * 64);
}

TEST(AnswerStream, SaysTheSameAsTheUnaryAnswerAndSendsUsageOnlyWhenAsked) {
  const std::string asked =
      R"({"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Write a website text"}]})";
  std::string text;
  const std::vector<StreamEvent> events = Stream(asked);
  for (size_t i = 0; i + 2 < events.size(); ++i) {
    const json event = json::parse(events[i].data);
    EXPECT_TRUE(event.contains("usage") && event["usage"].is_null());
    if (event["choices"][0]["delta"].contains("content")) text += event["choices"][0]["delta"]["content"];
  }
  const json unary = Unary(kHello);
  EXPECT_EQ(text, unary["choices"][0]["message"]["content"]);
  const json last = json::parse(events[events.size() - 2].data);
  EXPECT_EQ(last["choices"], json::array());
  EXPECT_EQ(last["usage"], unary["usage"]);
  EXPECT_EQ(events.back().data, "[DONE]");
  EXPECT_EQ(events.back().output_tokens, unary["usage"]["completion_tokens"].get<int64_t>());

  for (const StreamEvent& event :
       Stream(R"({"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]})")) {
    EXPECT_EQ(event.data.find("usage"), std::string::npos) << event.data;
  }
}

TEST(AnswerStream, SendsToolArgumentsInPieces) {
  std::string arguments;
  std::string finish;
  for (
      const StreamEvent& event : Stream(
          R"({"model":"m","stream":true,"tool_choice":{"type":"function","function":{"name":"f"}},"messages":[{"role":"user","content":"hi"}],
             "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]})")) {
    if (event.data == "[DONE]") continue;
    const json choice = json::parse(event.data)["choices"][0];
    if (choice["delta"].contains("tool_calls")) {
      arguments += choice["delta"]["tool_calls"][0]["function"]["arguments"].get<std::string>();
    }
    if (choice["finish_reason"].is_string()) finish = choice["finish_reason"];
  }
  EXPECT_EQ(json::parse(arguments)["city"], "example city");
  EXPECT_EQ(finish, "tool_calls");
}

TEST(UsageShapes, EachTellsTheWholeOnceInAnAnswerAndInAStream) {
  const std::string body = R"({"model":"m","stream":true,"stream_options":{"include_usage":true},
      "reasoning_effort":"low","n":2,"prompt_cache_key":"k","messages":[{"role":"user","content":"hello there"}]})";
  for (const std::string& name : UsageShapeNames()) {
    SCOPED_TRACE(name);
    absl::StatusOr<Ask> request = ReadChat(body);
    ASSERT_TRUE(request.ok());
    request->shape = *ParseUsageShape(name);
    const Answer answer = Compose(*request);
    EXPECT_LE(answer.usage.cached + answer.usage.written + answer.usage.audio_input, answer.usage.input);
    const std::string unary = json::parse(ChatFormat().Unary(*request, answer, UsageShown::kTrue))["usage"].dump();
    int tells = 0;
    for (const StreamEvent& event : ChatFormat().Stream(*request, answer, 3, UsageShown::kTrue)) {
      tells += event.tells;
      if (event.tells) {
        EXPECT_THAT(event.data, HasSubstr(json::parse(unary)["total_tokens"].dump()));
      }
    }
    EXPECT_EQ(tells, Readable(request->shape) ? 1 : 0);
  }
  EXPECT_THAT(std::string(ParseUsageShape("x").status().message()), HasSubstr("known: openai, deepseek"));
}

TEST(ChatFormat, RefusesAsTheProviderDoes) {
  const auto message = [](std::string_view body) {
    const auto request = ReadChat(body);
    EXPECT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument) << body;
    return std::string(request.status().message());
  };
  EXPECT_THAT(message("{"), HasSubstr("could not parse the JSON body"));
  EXPECT_THAT(message(R"({"messages":[]})"), HasSubstr("model parameter"));
  EXPECT_THAT(message(R"({"model":"m"})"), HasSubstr("Missing required parameter: 'messages'"));
  EXPECT_THAT(message(R"({"model":"m","messages":[{"role":"user","content":"x"}],"stream_options":{}})"),
              HasSubstr("only allowed when 'stream' is enabled"));
  EXPECT_THAT(message(R"({"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":0})"),
              HasSubstr("'max_tokens'"));
}

}  // namespace
}  // namespace signalbox::sim
