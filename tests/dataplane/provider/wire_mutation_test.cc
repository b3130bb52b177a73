// Seeded mutations of real bodies and streams: whatever comes in, nothing crashes (the asan preset runs this too), and
// what is accepted keeps its promises. A failure names its seed.
#include <gtest/gtest.h>

#include "dataplane/provider/answer_stream.h"
#include "dataplane/provider/request_body.h"
#include "tests/testing/mutator.h"

namespace signalbox {
namespace {

const char* const kBodies[] = {
    R"({"model":"dynamic/my-saas","messages":[{"role":"system","content":"Be \"brief\"."},{"role":"user","content":[{"type":"text","text":"é\u00e9"},{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}],"stream":true,"stream_options":{"include_usage":false,"x":[1,{}]},"n":2,"max_tokens":100,"max_completion_tokens":null,"metadata":{"email":"a@b.c","age":5,"paid":true,"none":null},"temperature":1e-1,"tools":[]})",
    "  { \"model\" : \"m\" , \"a\\\\\\\"}\" : { \"b\" : [ [ ] , { } , \"]\" ] } , \"stream\" : null }  \n",
};
const char* const kStreams[] = {
    "data: "
    "{\"choices\":[{\"delta\":{\"content\":\"hi\",\"tool_calls\":[{\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n: "
    "ping\r\n\r\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}\r\rdata: [DONE]\n\n",
    "\xEF\xBB\xBF"
    "event: error\ndata: {\"error\":{\"message\":\"x\"}}\n\ndata: a\ndata: b\n\n",
};
const char kUnary[] =
    R"({"id":"c","choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":30}}})";

TEST(WireMutation, AnAcceptedBodySplicesIntoABodyThatSaysWhatWasAsked) {
  int accepted = 0;
  for (uint32_t seed = 1; seed <= 30'000; ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutator(seed);
    const std::string text = mutator.Mutate(kBodies[seed % std::size(kBodies)]);
    BodyFault fault;
    const auto body = RequestBody::Parse(text, fault);
    if (body == nullptr) {
      ASSERT_EQ(fault.status, 400);
      ASSERT_FALSE(fault.message.empty());
      continue;
    }
    ++accepted;
    body->metadata();
    body->Get({"messages", "1", "content", "0", "type"});
    RequestBody::Rewrite rewrite;
    rewrite.model = "gpt-4o";
    rewrite.output_cap = 64;
    rewrite.parameters_json = mutator.Below(2) == 0 ? R"({"temperature":0,"top_p":1,"max_tokens":50})"
                                                    : mutator.Mutate(R"({"seed":1,"n":1})");
    const std::string spliced = body->Splice(rewrite);
    const auto again = RequestBody::Parse(spliced, fault);
    ASSERT_NE(again, nullptr) << fault.message << "\n" << text << "\n" << spliced;
    ASSERT_EQ(again->model(), "gpt-4o");
    ASSERT_EQ(again->stream(), body->stream());
    ASSERT_LE(again->output_cap().value_or(1000), 64) << spliced;
    ASSERT_LE(again->choices(), body->choices());
    ASSERT_TRUE(!again->stream() || again->client_wants_usage()) << spliced;
    ASSERT_EQ(again->Splice(rewrite), spliced);
  }
  EXPECT_GT(accepted, 1'000);
}

TEST(WireMutation, AStreamGivesTheSameHoweverItIsSplit) {
  for (uint32_t seed = 1; seed <= 20'000; ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutator(seed);
    const std::string text = mutator.Mutate(kStreams[seed % std::size(kStreams)]);
    ChatStream whole(seed % 3 == 0);
    ChatStream split(seed % 3 == 0);
    std::string expected = whole.Feed(text).value();
    std::string out;
    for (size_t at = 0; at < text.size();) {
      const size_t size = std::min(text.size() - at, 1 + mutator.Below(7));
      // A copy of its own size, so that a read past the end is seen.
      out += split.Feed(std::string(text.substr(at, size))).value();
      at += size;
    }
    ASSERT_EQ(out, expected) << text;
    ASSERT_EQ(split.Finish(), whole.Finish());
    ASSERT_EQ(split.done(), whole.done());
    ASSERT_EQ(split.error_event(), whole.error_event());
    ASSERT_EQ(split.content_bytes(), whole.content_bytes());
    ASSERT_EQ(split.usage().has_value(), whole.usage().has_value());
  }
}

TEST(WireMutation, UsageIsNeverNegativeNorAPartLargerThanItsWhole) {
  for (uint32_t seed = 1; seed <= 20'000; ++seed) {
    SCOPED_TRACE(seed);
    const std::string answer = Mutator(seed).Mutate(kUnary);
    std::string with_room;
    with_room.reserve(answer.size() + 100);
    const UnaryReport quick = ReadUnary(with_room += answer);
    const auto usage = ParseUsage(answer);
    if (!usage) continue;
    ASSERT_TRUE(quick.usage.has_value()) << answer;
    ASSERT_EQ(quick.usage->SerializeAsString(), usage->SerializeAsString()) << answer;
    ASSERT_GE(usage->input(), 0);
    ASSERT_GE(usage->output(), 0);
    ASSERT_GE(usage->cached_input(), 0);
    ASSERT_GE(usage->cache_write(), 0);
    ASSERT_LE(usage->cached_input() + usage->cache_write(), usage->input());
    ASSERT_LE(usage->reasoning(), usage->output());
  }
}

}  // namespace
}  // namespace signalbox
