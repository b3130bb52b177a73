// What operators see of limits and change in them, through the real binaries.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/eventually.h"
#include "tests/testing/stack.h"

namespace signalbox {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

constexpr char kLimited[] = R"({"name": "limited", "elements": [
  {"id": "start", "type": "start", "outputs": {"next": {"elementId": "per-day"}}},
  {"id": "per-day", "type": "rate",
   "properties": {"limitType": "count", "key": "metadata.email", "limit": 3, "window": 31536000},
   "outputs": {"success": {"elementId": "budget"}}},
  {"id": "budget", "type": "rate",
   "properties": {"limitType": "cost", "key": "metadata.email", "limit": 5, "window": 31536000, "pool": "wallet"},
   "outputs": {"success": {"elementId": "mini"}}},
  {"id": "mini", "type": "model", "properties": {"provider": "openai", "model": "gpt-4o-mini"},
   "outputs": {"success": {"elementId": "end"}}},
  {"id": "end", "type": "end", "outputs": {}}]})";

HttpAnswer ChatAs(Stack& stack, const std::string& who) {
  return stack.Chat({.route = "limited", .metadata = {{"email", who}}, .body = {{"max_tokens", 20}}});
}

TEST(Counters, AUserAtHerLimitIsOnTopIsResetAndAdmittedAgainAndTheLogSaysWhoAndWhy) {
  Stack stack;
  stack.DeployRoute(kLimited);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(ChatAs(stack, "ann@example.com").status, 200);
  ASSERT_EQ(ChatAs(stack, "ann@example.com").status, 429);
  ASSERT_EQ(ChatAs(stack, "bob@example.com").status, 200);

  const json top = stack.Api("GET", "/v1/gateways/default/counters?route=limited&element=per-day");
  ASSERT_EQ(top["counters"].size(), 2u) << top;
  EXPECT_EQ(top["counters"][0]["identifier"], "ann@example.com");
  EXPECT_EQ(top["counters"][0]["remaining"], "0");
  EXPECT_EQ(top["counters"][1]["remaining"], "2");
  const CommandResult table = stack.Ctl({"quota", "top", "--route", "limited", "--element", "per-day"});
  EXPECT_EQ(table.exit_status, 0) << table.err;
  EXPECT_LT(table.out.find("ann@example.com"), table.out.find("bob@example.com")) << table.out;

  const CommandResult unexplained = stack.Ctl({"quota", "reset", "ann@example.com", "--route", "limited"});
  EXPECT_EQ(unexplained.exit_status, 2) << "a reset needs its reason";
  const std::vector<std::string> reset = {"quota",     "reset",   "ann@example.com", "--route",           "limited",
                                          "--element", "per-day", "--why",           "refund, ticket 812"};
  const CommandResult done = stack.Ctl(reset);
  EXPECT_EQ(done.exit_status, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("3 used before, 0 now of 3 (reset by admin"));
  EXPECT_EQ(ChatAs(stack, "ann@example.com").status, 200);

  const CommandResult log = stack.Ctl({"quota", "log"});
  EXPECT_THAT(log.out, AllOf(HasSubstr("ann@example.com"), HasSubstr("admin ("), HasSubstr("refund, ticket 812")));
}

TEST(Counters, ACostCounterIsAdjustedInDollarsOnceByItsIdAndSurvivesTheServicesKill) {
  Stack stack;
  stack.DeployRoute(kLimited);
  ASSERT_EQ(ChatAs(stack, "ann@example.com").status, 200);
  const std::string path = "/v1/gateways/default/counter?pool=wallet&identifier=ann@example.com";
  // The request is settled right after it was answered.
  ASSERT_TRUE(Eventually([&] { return stack.Api("GET", path)["counter"]["held"] == "0"; }));
  const int64_t spent = std::stoll(stack.Api("GET", path)["counter"]["settled"].get<std::string>());
  ASSERT_GT(spent, 0);

  const std::vector<std::string> charge = {"quota",    "adjust", "ann@example.com",
                                           "--pool",   "wallet", "--by",
                                           "4.999999", "--why",  "moved here from another account",
                                           "--id",     "move-1"};
  ASSERT_EQ(stack.Ctl(charge).exit_status, 0);
  stack.quota().process->Kill();
  stack.StartMember(stack.quota());
  ASSERT_TRUE(Eventually([&] { return stack.Ctl(charge).exit_status == 0; })) << "the second time changes nothing";
  EXPECT_EQ(stack.Api("GET", path)["counter"]["settled"], std::to_string(spent + 4'999'999'000));
  EXPECT_EQ(stack.Api("GET", "/v1/gateways/default/adjustments")["adjustments"].size(), 1u);
  ASSERT_TRUE(Eventually([&] { return ChatAs(stack, "ann@example.com").status == 429; }));

  const CommandResult back = stack.Ctl(
      {"quota", "adjust", "ann@example.com", "--pool", "wallet", "--by", "-6", "--why", "a gift", "-o", "json"});
  ASSERT_EQ(back.exit_status, 0) << back.err;
  const json made = json::parse(back.out, nullptr, false);
  EXPECT_EQ(made["amount"], "-6000000000");
  EXPECT_EQ(made["after"]["counter"]["settled"], "0") << "never below nothing";
  EXPECT_EQ(ChatAs(stack, "ann@example.com").status, 200);
}

TEST(Counters, WhatCannotBeDoneSaysTheRemedy) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(kLimited);
  EXPECT_THAT(stack.Ctl({"quota", "get", "ann", "--route", "limited"}).err, HasSubstr("per-day, budget"));
  EXPECT_THAT(stack.Ctl({"quota", "get", "ann", "--pool", "walet"}).err, HasSubstr("no deployed route has a limit"));
  EXPECT_THAT(stack.Ctl({"quota", "top"}).err, HasSubstr("name a limit by route and element, or by pool"));
  stack.quota().process->Terminate();
  EXPECT_THAT(stack.Ctl({"quota", "get", "ann", "--pool", "wallet"}).err, HasSubstr("does not answer"));
  stack.control_plane().process->Terminate();
  std::vector<std::string>& flags = stack.control_plane().flags;
  for (std::string& flag : flags) {
    if (flag.starts_with("--quota=")) flag = "--quota=off";
  }
  stack.StartMember(stack.control_plane());
  EXPECT_THAT(stack.Ctl({"quota", "get", "ann", "--pool", "wallet"}).err, HasSubstr("start it with --quota=embedded"));
}

}  // namespace
}  // namespace signalbox
