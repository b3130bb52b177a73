#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "common/limits.h"
#include "dataplane/provider/answer_stream.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

constexpr char kUsageEvent[] =
    "data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}\n\n";

std::string Chunk(const std::string& delta) {
  return "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":" + delta + "}]}\n\n";
}

std::string MustFeed(ChatStream& stream, std::string_view bytes) {
  const absl::StatusOr<std::string> out = stream.Feed(bytes);
  EXPECT_TRUE(out.ok()) << out.status();
  return out.value_or("");
}

TEST(ChatStream, RelaysWholeEventsByteForByte) {
  ChatStream stream(true);
  const std::string text =
      ": hello\n\nevent: x\nid: 7\ndata:{\"choices\":[]}\n\ndata: a\ndata: b\n\nretry: 5\n\n\n\ndata: [DONE]\n\n";
  EXPECT_EQ(MustFeed(stream, text), text);
  EXPECT_TRUE(stream.done());
  EXPECT_FALSE(stream.error_event());
}

TEST(ChatStream, HoldsBackAnEventUntilItIsWhole) {
  ChatStream stream(false);
  EXPECT_EQ(MustFeed(stream, "data: {\"a\":"), "");
  EXPECT_EQ(MustFeed(stream, "1}\n"), "");
  EXPECT_EQ(MustFeed(stream, "\nda"), "data: {\"a\":1}\n\n");
  EXPECT_EQ(MustFeed(stream, "ta: 2\r\n\r"), "data: 2\r\n\r");
  EXPECT_EQ(MustFeed(stream, "\n"), "\n");
}

TEST(ChatStream, TheUsageOnlyEventIsDroppedForClientsWhoDidNotAsk) {
  ChatStream stream(false);
  const std::string chunk = Chunk(R"({"content":"hi"})");
  EXPECT_EQ(MustFeed(stream, chunk + kUsageEvent + "data: [DONE]\n\n"), chunk + "data: [DONE]\n\n");
  ASSERT_TRUE(stream.usage().has_value());
  EXPECT_EQ(stream.usage()->input(), 9);
  EXPECT_EQ(stream.usage()->output(), 4);
  EXPECT_EQ(stream.content_bytes(), 2u);
}

TEST(ChatStream, TheUsageOnlyEventIsRelayedToClientsWhoAsked) {
  ChatStream stream(true);
  EXPECT_EQ(MustFeed(stream, kUsageEvent), kUsageEvent);
  EXPECT_TRUE(stream.usage().has_value());
}

TEST(ChatStream, UsageThatRidesOnContentStaysAndTheLastOneCounts) {
  ChatStream stream(false);
  const std::string text =
      "data: "
      "{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}\n\n"
      "data: "
      "{\"choices\":[{\"delta\":{\"content\":\"b\"}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n"
      "data: {\"choices\":[{\"delta\":{\"content\":\"c\"}}],\"usage\":null}\n\n"
      "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n";
  EXPECT_EQ(MustFeed(stream, text), text);
  EXPECT_FALSE(stream.usage().has_value()) << "a report on the way is not the last word";
  EXPECT_EQ(stream.content_bytes(), 3u);
  EXPECT_EQ(stream.Estimate(1'000).ShortDebugString(), "input: 9 output: 3") << "what came after it is reckoned";
  MustFeed(stream, "data: [DONE]\n\n");
  EXPECT_EQ(stream.usage()->output(), 2);
}

TEST(ChatStream, AReportIsTheLastWordOnceTheOnlyChoiceHasEnded) {
  const std::string end = R"("delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}})"
                          "\n\n";
  ChatStream one(false);
  MustFeed(one, "data: {\"choices\":[{\"index\":0," + end);
  EXPECT_TRUE(one.usage().has_value());
  ChatStream several(false);
  MustFeed(several, "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"a\"}}]}\n\n" +
                        ("data: {\"choices\":[{\"index\":0," + end));
  EXPECT_FALSE(several.usage().has_value()) << "another choice goes on";
}

TEST(ChatStream, ZerosOnTheWayDoNotUndoWhatWasReported) {
  ChatStream stream(false);
  const std::string zeros =
      "data: {\"choices\":[{\"index\":0,\"delta\":{}}],\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}}\n\n";
  MustFeed(stream, zeros + kUsageEvent + zeros + "data: [DONE]\n\n");
  EXPECT_EQ(stream.usage()->ShortDebugString(), "input: 9 output: 4");
  ChatStream only_zeros(false);
  MustFeed(only_zeros, zeros + "data: [DONE]\n\n");
  ASSERT_TRUE(only_zeros.usage().has_value()) << "an explicit zero is a zero";
  EXPECT_EQ(only_zeros.usage()->output(), 0);
}

TEST(ChatStream, WithoutAnyReportTheEstimateIsFromBytes) {
  ChatStream stream(false);
  MustFeed(stream, Chunk(R"({"content":"12345"})"));
  EXPECT_EQ(stream.Estimate(10).ShortDebugString(), "input: 3 output: 2");
}

TEST(ChatStream, AnEventWithUsageAndNoChoicesAtAllIsDroppedToo) {
  ChatStream stream(false);
  EXPECT_EQ(MustFeed(stream, "data: {\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}\n\n"), "");
  EXPECT_EQ(MustFeed(stream, "data: {\"choices\":null,\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}\n\n"),
            "");
  EXPECT_EQ(stream.usage()->input(), 9);
}

TEST(ChatStream, ADroppedEventTakesItsLateLineFeedAlong) {
  ChatStream stream(false);
  std::string event = kUsageEvent;
  event.replace(event.size() - 2, 2, "\r\n\r");
  EXPECT_EQ(MustFeed(stream, event), "");
  EXPECT_EQ(MustFeed(stream, "\ndata: x\n\n"), "data: x\n\n");
}

TEST(ChatStream, NothingAfterDoneIsRelayedButUsageThereStillCounts) {
  ChatStream stream(true);
  EXPECT_EQ(MustFeed(stream, std::string("data: [DONE]\n\ndata: more\n\n") + kUsageEvent), "data: [DONE]\n\n");
  EXPECT_EQ(MustFeed(stream, "data: more\n\n"), "");
  EXPECT_TRUE(stream.usage().has_value());
}

TEST(ChatStream, DoneMustBeTheWholeData) {
  ChatStream stream(false);
  MustFeed(stream,
           "data: [DONE]x\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"[DONE]\"}}]}\n\ndata: [DONE]\ndata: \n\n: "
           "[DONE]\n\n");
  EXPECT_FALSE(stream.done());
  MustFeed(stream, "data:[DONE]\r\r");
  EXPECT_TRUE(stream.done());
}

TEST(ChatStream, AnEndWithoutTheBlankLineStillBringsDone) {
  for (const char* tail : {"data: [DONE]", "data: [DONE]\n", "data: [DONE]\r", "data: [DONE]\r\n"}) {
    ChatStream stream(false);
    EXPECT_EQ(MustFeed(stream, tail), "");
    EXPECT_EQ(stream.Finish(), std::string(tail) + "\n\n");
    EXPECT_TRUE(stream.done());
    EXPECT_EQ(stream.Finish(), "");
  }
}

TEST(ChatStream, AnEndInTheMiddleOfAnEventIsNotRelayed) {
  ChatStream stream(true);
  EXPECT_EQ(MustFeed(stream, "data: {\"choices\":[{\"delta\":{\"content\":\"ab"), "");
  EXPECT_EQ(stream.Finish(), "");
  EXPECT_FALSE(stream.done());
  ChatStream with_usage(true);
  const std::string event = kUsageEvent;
  EXPECT_EQ(MustFeed(with_usage, event.substr(0, event.size() - 2)), "");
  EXPECT_EQ(with_usage.Finish(), "");
  EXPECT_EQ(with_usage.usage()->output(), 4);
}

TEST(ChatStream, ErrorsInTheStreamAreRelayedAndNoticed) {
  for (const std::string text :
       {"data: {\"error\":{\"message\":\"overloaded\"}}\n\n", "event: error\ndata: {\"message\":1}\n\n",
        "data: {\"error\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n"}) {
    ChatStream stream(false);
    EXPECT_EQ(MustFeed(stream, text), text);
    EXPECT_TRUE(stream.error_event()) << text;
    EXPECT_FALSE(stream.done());
  }
  ChatStream stream(false);
  MustFeed(stream, "data: {\"error\":null,\"choices\":[]}\n\n");
  EXPECT_FALSE(stream.error_event());
}

TEST(ChatStream, KnowsWhetherTheModelWasAtWork) {
  ChatStream stream(false);
  MustFeed(stream, "data: {\"error\":{\"message\":\"overloaded\"}}\n\n");
  EXPECT_FALSE(stream.began());
  MustFeed(stream, Chunk(R"({"role":"assistant"})"));
  EXPECT_TRUE(stream.began());
  EXPECT_EQ(stream.content_bytes(), 0u);
}

TEST(ChatStream, CountsEveryKindOfContent) {
  ChatStream stream(false);
  MustFeed(stream, Chunk(R"({"role":"assistant","content":""})") + Chunk(R"({"content":"four"})") +
                       Chunk(R"({"content":null})"));
  EXPECT_EQ(stream.content_bytes(), 4u);
  MustFeed(stream, Chunk(R"({"reasoning_content":"six!!!"})") + Chunk(R"({"refusal":"no"})"));
  EXPECT_EQ(stream.content_bytes(), 12u);
  MustFeed(
      stream,
      Chunk(
          R"({"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{\"a\""}},{"function":{"arguments":"1}"}}]})"));
  EXPECT_EQ(stream.content_bytes(), 19u);
  MustFeed(stream, Chunk(R"({"content":"\u00e9"})"));
  EXPECT_EQ(stream.content_bytes(), 21u);
  MustFeed(stream, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}},{\"delta\":{\"content\":\"b\"}}]}\n\n");
  EXPECT_EQ(stream.content_bytes(), 23u);
}

TEST(ChatStream, DataOverSeveralLinesIsOne) {
  ChatStream stream(false);
  const std::string text =
      "data: {\"choices\":[],\ndata: \"usage\":{\"prompt_tokens\":1,\r\ndata:\"completion_tokens\":2}}\n\n";
  EXPECT_EQ(MustFeed(stream, text), "");
  EXPECT_EQ(stream.usage()->output(), 2);
}

TEST(ChatStream, AByteOrderMarkIsNoPartOfTheFirstLine) {
  ChatStream stream(false);
  EXPECT_EQ(MustFeed(stream,
                     "\xEF\xBB\xBF"
                     "data: [DONE]\n\n"),
            "\xEF\xBB\xBF"
            "data: [DONE]\n\n");
  EXPECT_TRUE(stream.done());
  ChatStream alone(false);
  EXPECT_EQ(MustFeed(alone, "\xEF\xBB\xBF\n"), "\xEF\xBB\xBF\n");
}

TEST(ChatStream, AnEventPastTheLimitIsAnError) {
  ChatStream stream(false);
  const std::string half(kSseEventBytesMax / 2 + 10, 'x');
  EXPECT_EQ(MustFeed(stream, "data: " + half), "");
  const auto out = stream.Feed(half);
  EXPECT_EQ(out.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(out.status().message(), "the provider sent a stream event of more than 4194304 bytes");
  EXPECT_EQ(stream.Feed("\n\n").status().code(), absl::StatusCode::kResourceExhausted);
  ChatStream whole(false);
  EXPECT_EQ(whole.Feed("data: " + half + half + "\n\n").status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(ChatStream, ALargeEventUnderTheLimitIsRead) {
  ChatStream stream(false);
  const std::string event = Chunk("{\"content\":\"" + std::string(3 << 20, 'x') + "\"}");
  EXPECT_EQ(MustFeed(stream, event), event);
  EXPECT_EQ(stream.content_bytes(), 3u << 20);
}

// Everything a stream can contain, with all three line ends.
std::string Recorded() {
  return "\xEF\xBB\xBF: first\n\n" + Chunk(R"({"role":"assistant"})") +
         "data: {\"choices\":[{\"delta\":{\"content\":\"caf\xC3\xA9\"}}]}\r\n\r\n"
         "event: m\rdata: {\"choices\":[{\"delta\":\rdata: {\"content\":\"xy\"}}]}\r\r"
         ": ping\r\n\r\n\n\n"
         "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}\r\n\r\n"
         "data: [DONE]\r\n\r\nafter\r\n\r\n";
}

TEST(ChatStreamProperty, EverySplitGivesTheSame) {
  const std::string text = Recorded();
  for (const bool wants_usage : {false, true}) {
    ChatStream whole(wants_usage);
    const std::string expected = MustFeed(whole, text);
    EXPECT_EQ(expected.find("usage") != std::string::npos, wants_usage);
    EXPECT_EQ(whole.content_bytes(), 7u);
    const auto check = [&](const std::vector<size_t>& cuts) {
      ChatStream stream(wants_usage);
      std::string out;
      size_t at = 0;
      for (size_t cut : cuts) {
        out += MustFeed(stream, std::string_view(text).substr(at, cut - at));
        at = cut;
      }
      out += MustFeed(stream, std::string_view(text).substr(at));
      ASSERT_EQ(out, expected);
      ASSERT_TRUE(stream.done());
      ASSERT_EQ(stream.content_bytes(), whole.content_bytes());
      ASSERT_EQ(stream.usage()->output(), 4);
    };
    std::vector<size_t> each;
    for (size_t i = 1; i < text.size(); ++i) each.push_back(i);
    check(each);
    for (size_t i = 0; i <= text.size(); ++i) {
      check({i});
      for (size_t j = i; j <= text.size(); j += 3) check({i, j});
    }
    std::mt19937 random(7);
    for (int round = 0; round < 500; ++round) {
      std::vector<size_t> cuts;
      for (size_t at = 0; (at += random() % 9) < text.size();) cuts.push_back(at);
      check(cuts);
    }
  }
}

}  // namespace
}  // namespace signalbox
