// What reaches the provider: every byte the client wrote except what the route changes, and never the gateway's key.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/testing/eventually.h"
#include "tests/testing/stack.h"

namespace signalbox {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

const json kUser = {{"plan", "paid"}, {"email", "relay@example.com"}};

TEST(Relay, EveryByteOfTheBodyReachesTheProviderExceptWhatTheRouteChanges) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(WalkthroughRoute());
  const std::string body =
      "{ \"z_unknown\" :  [1e5, 1.50, -0,\t\"\\u00e9é𝄞\\/\"],\n  \"model\":\"dynamic/my-trillion-dollar-saas\" ,"
      "\"max_completion_tokens\": 20,\r\n \"messages\" : [ {\"content\":\"Straße \\ud834\\udd1e\",\"role\":\"user\"} ],"
      " \"nested\":{\"model\":\"untouched\",\"a\":{}}  , \"temperature\":0.70 }";
  const HttpAnswer answer =
      Call(stack.proxy_address(0), "POST", "/v1/chat/completions",
           {{"authorization", "Bearer " + stack.key()}, {"cf-aig-metadata", kUser.dump()}, {"x-custom", "kept or not"}},
           body);
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(Call(stack.provider().addresses[0], "GET", "/requests/last/body").body,
            absl::StrReplaceAll(body, {{"dynamic/my-trillion-dollar-saas", "gpt-5.1"}}));
}

TEST(Relay, AStreamAsksForUsageUpstreamAndStripsItForAClientWhoDidNotAsk) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(WalkthroughRoute());
  const HttpAnswer plain = stack.Chat({.metadata = kUser, .stream = true, .body = {{"max_tokens", 30}}});
  EXPECT_THAT(Call(stack.provider().addresses[0], "GET", "/requests/last/body").body,
              HasSubstr("\"include_usage\":true"));
  EXPECT_THAT(plain.body, Not(HasSubstr("prompt_tokens")));
  const HttpAnswer asked = stack.Chat(
      {.metadata = kUser, .stream = true, .body = {{"max_tokens", 30}, {"stream_options", {{"include_usage", true}}}}});
  EXPECT_THAT(asked.body, HasSubstr("\"prompt_tokens\""));
}

TEST(Relay, TheGatewaysKeyAndTheCallersMetadataNeverReachTheProvider) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(WalkthroughRoute());
  const std::string body = R"({"model":"dynamic/my-trillion-dollar-saas","messages":[{"role":"user","content":"x"}]})";
  for (const Headers& headers :
       {Headers{{"authorization", "Bearer " + stack.key()}}, Headers{{"cf-aig-authorization", "Bearer " + stack.key()}},
        Headers{{"cf-aig-authorization", "Bearer " + stack.key()}, {"authorization", "Bearer " + stack.key()}}}) {
    Headers all = headers;
    all.emplace_back("cf-aig-metadata", kUser.dump());
    const HttpAnswer answer = Call(stack.proxy_address(0), "POST", "/v1/chat/completions", all, body);
    ASSERT_EQ(answer.status, 200) << answer.body;
    const json received = stack.Provider("/requests/last")["requests"][0];
    EXPECT_THAT(received.dump(), Not(HasSubstr(stack.key())));
    EXPECT_THAT(received["headers"].dump(), Not(HasSubstr("relay@example.com")));
    bool own_secret = false;
    bool log_id = false;
    for (const json& header : received["headers"]) {
      const std::string name = absl::AsciiStrToLower(header[0].get<std::string>());
      own_secret |= name == "authorization" && header[1] == "Bearer sk-the-providers-own-secret";
      log_id |= name == "x-client-request-id" && header[1] == answer.Header("cf-aig-log-id");
      EXPECT_NE(name, "cf-aig-authorization");
      EXPECT_NE(name, "cf-aig-metadata");
    }
    EXPECT_TRUE(own_secret) << received["headers"];
    EXPECT_TRUE(log_id) << received["headers"];
  }
}

TEST(Relay, TheCompatiblePathServesTheNamedGateway) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(WalkthroughRoute());
  const HttpAnswer answer =
      Call(stack.proxy_address(0), "POST", "/v1/any-account/default/compat/chat/completions",
           {{"cf-aig-authorization", "Bearer " + stack.key()}, {"cf-aig-metadata", kUser.dump()}},
           R"({"model":"dynamic/my-trillion-dollar-saas","messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.Header("cf-aig-model"), "gpt-5.1");
}

TEST(Relay, TheModelsListNamesTheRoutes) {
  Stack stack({.proxies = 1});
  stack.DeployRoute(WalkthroughRoute());
  const HttpAnswer answer =
      Call(stack.proxy_address(0), "GET", "/v1/models", {{"authorization", "Bearer " + stack.key()}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr("dynamic/my-trillion-dollar-saas"));
}

TEST(Relay, TheAdminPortTellsHealthReadinessAndMetrics) {
  Stack stack({.proxies = 1});
  EXPECT_EQ(Call(stack.admin_address(0), "GET", "/readyz").status, 503);
  EXPECT_EQ(Call(stack.admin_address(0), "GET", "/healthz").status, 200);
  stack.DeployRoute(WalkthroughRoute());
  EXPECT_EQ(Call(stack.admin_address(0), "GET", "/readyz").status, 200);
  stack.Chat({.metadata = kUser});
  EXPECT_THAT(Call(stack.admin_address(0), "GET", "/metrics").body, HasSubstr("signalbox_"));
}

}  // namespace
}  // namespace signalbox
