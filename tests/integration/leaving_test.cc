// Clients that leave: the provider's connection closes at once, the hold is settled, the record says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/testing/eventually.h"
#include "tests/testing/stack.h"

namespace signalbox {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const json kUser = {{"plan", "free"}, {"email", "leaver@example.com"}};

json OnlyRecord(Stack& stack) {
  const std::vector<json> records = stack.AwaitRecords(1);
  EXPECT_EQ(records.size(), 1u);
  return records.empty() ? json::object() : records[0];
}

// Nothing is held any more: what the next request finds left is the limit without what the ledger says was spent.
void ExpectHoldSettled(Stack& stack, const json& record) {
  stack.ControlProvider({{"fail", ""}, {"chunk_interval_ms", 0}});
  const HttpAnswer next = stack.Chat({.metadata = kUser, .body = {{"max_tokens", 10}}});
  EXPECT_EQ(next.status, 200) << next.body;
  const std::vector<json> records = stack.AwaitRecords(2);
  const int64_t spent = CostNanos(record) + CostNanos(records[0]);
  const int64_t left = 10'000'000'000 - spent;
  std::string limits;
  for (const auto& [name, value] : next.headers) {
    if (name == "signalbox-limit") absl::StrAppend(&limits, value, "\n");
  }
  EXPECT_THAT(limits, HasSubstr(absl::StrFormat("remaining=%d.%09d", left / 1'000'000'000, left % 1'000'000'000)));
}

TEST(Leaving, BeforeTheFirstTokenClosesTheProvidersConnectionAtOnce) {
  Stack stack({.provider_flags = {"--fail=hang"}});
  stack.DeployRoute(WalkthroughRoute());
  {
    RawConnection client(stack.proxy_address(0));
    ASSERT_TRUE(client.Send(stack.ChatBytes({.metadata = kUser, .stream = true, .body = {{"max_tokens", 50}}})));
    ASSERT_TRUE(Eventually([&] { return stack.Provider("/connections")["open_requests"] == 1; }));
  }
  EXPECT_TRUE(Eventually([&] { return stack.Provider("/connections")["open_requests"] == 0; }));
  EXPECT_EQ(stack.Provider("/connections")["closed_by_peer_mid_answer"], 1);
  const json record = OnlyRecord(stack);
  EXPECT_EQ(record["outcome"], "CANCELLED");
  ExpectHoldSettled(stack, record);
}

TEST(Leaving, MidStreamIsChargedForWhatWasGeneratedAndNoMoreIsGenerated) {
  Stack stack({.provider_flags = {"--fail=stall_after=4"}});
  stack.DeployRoute(WalkthroughRoute());
  {
    RawConnection client(stack.proxy_address(0));
    ASSERT_TRUE(client.Send(stack.ChatBytes({.metadata = kUser, .stream = true, .body = {{"max_tokens", 50}}})));
    EXPECT_THAT(client.ReadUntil("\"delta\":{\"content\""), HasSubstr("HTTP/1.1 200"));
  }
  EXPECT_TRUE(Eventually([&] { return stack.Provider("/connections")["open_requests"] == 0; }));
  EXPECT_EQ(stack.Provider("/connections")["closed_by_peer_mid_answer"], 1);
  const json record = OnlyRecord(stack);
  EXPECT_EQ(record["outcome"], "CANCELLED");
  EXPECT_EQ(record["estimated"], true);
  EXPECT_GT(CostNanos(record), 0);
  ExpectHoldSettled(stack, record);
}

TEST(Leaving, BeforeAUnaryAnswerIsNoticedToo) {
  Stack stack({.provider_flags = {"--fail=hang"}});
  stack.DeployRoute(WalkthroughRoute());
  {
    RawConnection client(stack.proxy_address(1));
    ASSERT_TRUE(client.Send(stack.ChatBytes({.metadata = kUser, .body = {{"max_tokens", 50}}})));
    ASSERT_TRUE(Eventually([&] { return stack.Provider("/connections")["open_requests"] == 1; }));
  }
  EXPECT_TRUE(Eventually([&] { return stack.Provider("/connections")["open_requests"] == 0; }));
  EXPECT_EQ(OnlyRecord(stack)["outcome"], "CANCELLED");
}

TEST(Leaving, AStreamThatTheProviderCutsEndsWithAnErrorEventAndNoDone) {
  Stack stack({.provider_flags = {"--fail=cut=4"}});
  stack.DeployRoute(WalkthroughRoute());
  const HttpAnswer answer = stack.Chat({.metadata = kUser, .stream = true});
  EXPECT_THAT(answer.body, HasSubstr("\"code\":\"stream_cut\""));
  EXPECT_THAT(answer.body, testing::Not(HasSubstr("[DONE]")));
  const json record = OnlyRecord(stack);
  EXPECT_EQ(record["outcome"], "ERROR");
  EXPECT_GT(CostNanos(record), 0);
}

TEST(Leaving, AProxyThatStopsLetsAStreamEnd) {
  Stack stack({.provider_flags = {"--chunks=10", "--chunk_interval_ms=40"}});
  stack.DeployRoute(WalkthroughRoute());
  RawConnection client(stack.proxy_address(0));
  ASSERT_TRUE(client.Send(stack.ChatBytes({.metadata = kUser, .stream = true})));
  client.ReadUntil("\"delta\":{\"content\"");
  EXPECT_EQ(stack.proxy(0).process->Terminate(), 0);
  EXPECT_THAT(client.ReadToEnd(), HasSubstr("data: [DONE]"));
  EXPECT_EQ(OnlyRecord(stack)["outcome"], "SUCCESS");
}

}  // namespace
}  // namespace signalbox
