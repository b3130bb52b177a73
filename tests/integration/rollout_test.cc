// Versions reaching the fleet: deployments under load, a proxy that refuses one, tokens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/integration/load.h"
#include "tests/testing/eventually.h"
#include "tests/testing/stack.h"

namespace signalbox {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// One model under names of its own: half of one version and half of another would show in the path.
std::string SmallRoute(const std::string& prefix, const std::string& model) {
  return json{
      {"name", "small"},
      {"elements",
       {{{"id", prefix + "-start"}, {"type", "start"}, {"outputs", {{"next", {{"elementId", prefix + "-m"}}}}}},
        {{"id", prefix + "-m"},
         {"type", "model"},
         {"properties", {{"provider", "openai"}, {"model", model}, {"timeout", 0}, {"retries", 0}}},
         {"outputs", {{"success", {{"elementId", prefix + "-end"}}}, {"fallback", {{"elementId", prefix + "-end"}}}}}},
        {{"id", prefix + "-end"}, {"type", "end"}, {"outputs", json::object()}}}}}
      .dump();
}

TEST(Rollout, TwoHundredDeploymentsUnderLoadFailNoRequestAndShowNoHalfRoute) {
  Stack stack;
  const int64_t first = stack.DeployRoute(SmallRoute("a", "gpt-4o-mini"));
  const int64_t second = stack.DeployRoute(SmallRoute("b", "gpt-5.1"));
  ASSERT_NE(first, second);
  std::mutex mutex;
  std::vector<std::string> wrong;
  std::set<std::string> seen;
  Traffic traffic(4, [&](int thread, int round) {
    const HttpAnswer answer = stack.Chat({.proxy = static_cast<size_t>(round % 2), .route = "small"});
    const std::string route = answer.Header("signalbox-route");
    const std::string said = absl::StrCat(answer.status, " ", route, " ", answer.Header("signalbox-path"), " ",
                                          answer.Header("cf-aig-model"));
    std::lock_guard lock(mutex);
    seen.insert(route);
    if (said != absl::StrCat("200 small@", first, " a-start/a-m/a-end gpt-4o-mini") &&
        said != absl::StrCat("200 small@", second, " b-start/b-m/b-end gpt-5.1")) {
      wrong.push_back(said + answer.body);
    }
  });
  const std::string path = "/v1/gateways/default/routes/small";
  for (int i = 0; i < 199; ++i) {
    if (i % 2 == 0) {
      stack.Api("POST", path + ":rollback", {{"to", first}});
    } else {
      stack.Api("POST", path + ":deploy", {{"version", second}});
    }
  }
  // Changes within the debounce travel together, so only the last one is waited for.
  stack.Api("POST", path + ":deploy", {{"version", second}, {"waitMs", 20'000}});
  traffic.Stop();
  EXPECT_GT(traffic.calls(), 50);
  EXPECT_THAT(wrong, testing::IsEmpty());
  EXPECT_EQ(seen.size(), 2u) << "the load saw one version only";
  stack.AwaitInSync(0);
  stack.AwaitInSync(1);
  const json fleet = stack.Api("GET", "/v1/proxies");
  for (const json& proxy : fleet["proxies"]) {
    EXPECT_EQ(proxy["applied"]["sha256"], fleet["published"]["sha256"]) << proxy;
  }
  EXPECT_EQ(stack.Chat({.route = "small"}).Header("signalbox-route"), absl::StrCat("small@", second));
}

TEST(Rollout, AProxyThatRefusesAVersionIsNamedWithItsReasonAndTheOthersServe) {
  Stack stack;
  stack.DeployRoute(SmallRoute("a", "gpt-4o-mini"));
  const size_t old_proxy = stack.AddProxy({"--max_schema=0"});
  ASSERT_TRUE(Eventually([&] { return stack.Ctl({"fleet"}).out.find("proxy-3") != std::string::npos; }));
  std::ofstream(stack.directory() + "/b.json") << SmallRoute("b", "gpt-5.1");
  const CommandResult deployed =
      stack.Ctl({"route", "apply", "-f", stack.directory() + "/b.json", "--deploy", "--wait"});
  EXPECT_EQ(deployed.exit_status, 1);
  EXPECT_THAT(deployed.out, testing::ContainsRegex("proxy-1 +applied"));
  EXPECT_THAT(deployed.out, testing::ContainsRegex("proxy-2 +applied"));
  EXPECT_THAT(deployed.out, testing::ContainsRegex("proxy-3 +rejected.*schema"));
  EXPECT_THAT(deployed.err, HasSubstr("1 of 3 proxies refused it"));
  const CommandResult fleet = stack.Ctl({"fleet"});
  EXPECT_THAT(fleet.out, testing::ContainsRegex("proxy-3.*schema"));
  EXPECT_EQ(stack.Chat({.proxy = 0, .route = "small"}).Header("cf-aig-model"), "gpt-5.1");
  EXPECT_EQ(stack.Chat({.proxy = 1, .route = "small"}).Header("cf-aig-model"), "gpt-5.1");
  // It has never had a snapshot it understands; and it says so instead of guessing.
  const HttpAnswer refused = stack.Chat({.proxy = old_proxy, .route = "small"});
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.body, HasSubstr("\"code\":\"not_ready\""));
}

TEST(Rollout, AProxyThatRefusesAVersionGoesOnServingTheOldOne) {
  Stack stack;
  stack.DeployRoute(SmallRoute("a", "gpt-4o-mini"));
  // It keeps what it has on disk, and takes nothing new.
  stack.proxy(1).process->Kill();
  stack.proxy(1).flags.push_back("--max_schema=0");
  stack.StartMember(stack.proxy(1));
  ASSERT_TRUE(Eventually([&] { return stack.Chat({.proxy = 1, .route = "small"}).status == 200; }));
  std::ofstream(stack.directory() + "/b.json") << SmallRoute("b", "gpt-5.1");
  const CommandResult deployed =
      stack.Ctl({"route", "apply", "-f", stack.directory() + "/b.json", "--deploy", "--wait"});
  EXPECT_EQ(deployed.exit_status, 1);
  EXPECT_THAT(deployed.out, testing::ContainsRegex("proxy-1 +applied"));
  EXPECT_THAT(deployed.out, testing::ContainsRegex("proxy-2 +rejected.*schema"));
  const HttpAnswer from_new = stack.Chat({.proxy = 0, .route = "small"});
  EXPECT_EQ(from_new.Header("cf-aig-model"), "gpt-5.1");
  EXPECT_EQ(from_new.Header("signalbox-route"), "small@2");
  const HttpAnswer from_old = stack.Chat({.proxy = 1, .route = "small"});
  EXPECT_EQ(from_old.Header("cf-aig-model"), "gpt-4o-mini");
  EXPECT_EQ(from_old.Header("signalbox-route"), "small@1");
  EXPECT_THAT(stack.Ctl({"fleet"}).out, testing::ContainsRegex("proxy-2.*schema"));
}

TEST(Rollout, AProxyWithoutAValidTokenGetsNoSnapshotAndACallerWithoutOneNoAnswer) {
  Stack stack;
  stack.DeployRoute(SmallRoute("a", "gpt-4o-mini"));
  const std::string token_file = stack.directory() + "/wrong.token";
  std::ofstream(token_file) << "sbx_proxy_wrong\n";
  ASSERT_EQ(chmod(token_file.c_str(), 0600), 0);
  const size_t stranger = stack.AddProxy({}, token_file);
  // It has tried and was refused.
  ASSERT_TRUE(Eventually([&] {
    const std::string log = stack.proxy(stranger).process->Log();
    return log.find("oken") != std::string::npos;
  })) << stack.proxy(stranger).process->Log();
  EXPECT_EQ(stack.Chat({.proxy = stranger, .route = "small"}).status, 503);
  EXPECT_EQ(stack.Api("GET", "/v1/proxies").dump().find("proxy-3"), std::string::npos);

  const std::string http = stack.control_plane().addresses[1];
  EXPECT_EQ(Call(http, "GET", "/v1/gateways/default/routes").status, 401);
  EXPECT_EQ(Call(http, "GET", "/v1/gateways/default/routes", {{"authorization", "Bearer nonsense"}}).status, 401);
  const CommandResult ctl =
      RunCommand(std::string(SIGNALBOX_BIN_DIR) + "/signalboxctl",
                 {"--server=" + stack.control_plane().addresses[0], "--token_file=" + token_file, "route", "list"},
                 stack.directory() + "/stranger");
  EXPECT_EQ(ctl.exit_status, 1);
  EXPECT_THAT(ctl.err, HasSubstr("token"));
}

TEST(Rollout, EveryProcessStopsCleanlyOnSigterm) {
  Stack stack;
  stack.DeployRoute(WalkthroughRoute());
  EXPECT_EQ(stack.Chat({.metadata = {{"plan", "free"}, {"email", "a@example.com"}}}).status, 200);
  EXPECT_EQ(stack.proxy(0).process->Terminate(), 0) << stack.proxy(0).process->Log();
  EXPECT_EQ(stack.AwaitRecords(1).size(), 1u);
  EXPECT_EQ(stack.proxy(1).process->Terminate(), 0);
  EXPECT_EQ(stack.control_plane().process->Terminate(), 0) << stack.control_plane().process->Log();
  EXPECT_EQ(stack.quota().process->Terminate(), 0) << stack.quota().process->Log();
  EXPECT_EQ(stack.provider().process->Terminate(), 0);
}

}  // namespace
}  // namespace signalbox
