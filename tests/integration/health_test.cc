// What proxies do about providers in trouble, by the real binaries: breakers, endpoints, retry-after, active checks,
// and where operators see them. docs/failures.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/integration/route_elements.h"
#include "tests/testing/eventually.h"
#include "tests/testing/stack.h"

namespace signalbox {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr char kModel[] = "gpt-4o-mini";

json Model(const std::string& provider, int retries, const std::string& fallback) {
  json outputs = {{"success", To("end")}};
  if (!fallback.empty()) outputs["fallback"] = To(fallback);
  return {{"id", provider},
          {"type", "model"},
          {"properties", {{"provider", provider}, {"model", kModel}, {"timeout", 5000}, {"retries", retries}}},
          {"outputs", outputs}};
}

json Route(const std::string& name, std::vector<json> models) {
  json elements = {{{"id", "start"}, {"type", "start"}, {"outputs", {{"next", To(models.front()["id"])}}}}};
  for (json& model : models) elements.push_back(std::move(model));
  elements.push_back({{"id", "end"}, {"type", "end"}, {"outputs", json::object()}});
  return {{"name", name}, {"elements", elements}};
}

class Health : public testing::Test {
 protected:
  Health() : stack_({.proxies = 1}) {
    spare_ = stack_.AddProvider();
    stack_.ApplyProvider("openai", stack_.provider_url(), Stack::provider_key());
    stack_.ApplyProvider("spare", {{"kind", "openai"}, {"baseUrl", stack_.provider_url(spare_)}},
                         Stack::provider_key());
    stack_.DeployRoute(Route("spared", {Model("openai", 0, "spare"), Model("spare", 0, "")}).dump());
  }
  HttpAnswer Chat(const std::string& route = "spared") { return stack_.Chat({.route = route}); }
  // The model of the route that answered, from 0; -1 when none did.
  int Step(const HttpAnswer& answer) {
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.status == 200 ? std::stoi(answer.Header("cf-aig-step")) : -1;
  }
  // What the control plane says of it; null before a proxy said anything.
  json StatusOf(const std::string& provider, const std::string& endpoint, const std::string& model) {
    const json all = stack_.Api("GET", "/v1/gateways/default/providers:status");
    for (const json& status : all.value("statuses", json::array())) {
      if (status.value("provider", "") == provider && status.value("endpoint", "") == endpoint &&
          status.value("model", "") == model) {
        return status;
      }
    }
    return json::object();
  }
  std::string Metrics() { return Call(stack_.admin_address(0), "GET", "/metrics", {}, "").body; }

  Stack stack_;
  size_t spare_ = 0;
};

TEST_F(Health, ABreakerOpensTakesTheFallbackAtOnceAndAProbeClosesIt) {
  EXPECT_EQ(Step(Chat()), 0);
  stack_.ControlProvider({{"fail", "503"}});
  ASSERT_TRUE(Eventually([&] {
    EXPECT_EQ(Step(Chat()), 1);
    return StatusOf("openai", "default", kModel).value("breaker", "") == "OPEN";
  }));
  const json open = StatusOf("openai", "default", kModel);
  EXPECT_EQ(open.value("lastError", ""), "status_503");
  EXPECT_GT(std::stoll(open.value("retryUs", "0")), 0);
  EXPECT_FALSE(open.value("proxyId", "").empty());
  EXPECT_THAT(stack_.Ctl({"provider", "status"}).out, HasSubstr("status_503"));
  EXPECT_THAT(Metrics(), HasSubstr("signalbox_provider_breaker_openings_total"));

  stack_.ControlProvider({{"fail", ""}});
  ASSERT_TRUE(Eventually([&] { return Step(Chat()) == 0; })) << "a probe finds it well";
  EXPECT_EQ(Step(Chat()), 0);
  EXPECT_TRUE(Eventually([&] { return StatusOf("openai", "default", kModel).value("breaker", "") == "CLOSED"; }));

  bool not_made = false;
  for (const json& record : stack_.Records()) {
    for (const json& attempt : record["attempts"]) not_made |= attempt.value("error", "") == "circuit_open";
  }
  EXPECT_TRUE(not_made) << "some request found it open, and its record says so";
}

TEST_F(Health, ARateLimitedModelIsLeftAloneForAsLongAsItsProviderSays) {
  stack_.ControlProvider({{"fail", "first=1:429+retry_after=100"}});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Step(Chat()), 1);
  const std::vector<json> records = stack_.AwaitRecords(5);
  int asked = 0, left_alone = 0;
  for (const json& record : records) {
    asked += record["attempts"][0].value("error", "") == "status_429";
    left_alone += record["attempts"][0].value("error", "") == "circuit_open";
  }
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(left_alone, 4);
}

TEST_F(Health, OfTwoEndpointsOneDeadRequestsSucceedAndAttemptsStayLow) {
  stack_.ApplyProvider("twin",
                       {{"kind", "openai"},
                        {"baseUrl", stack_.provider_url()},
                        {"endpoints",
                         {{{"name", "dead"}, {"baseUrl", "http://127.0.0.1:1/v1"}, {"weight", 1}},
                          {{"name", "alive"}, {"baseUrl", stack_.provider_url()}, {"weight", 1}}}}},
                       "", {{"dead", Stack::provider_key()}, {"alive", Stack::provider_key()}});
  stack_.DeployRoute(Route("twins", {Model("twin", 2, "")}).dump());
  constexpr int kRequests = 100;
  for (int i = 0; i < kRequests; ++i) EXPECT_EQ(Step(Chat("twins")), 0);
  EXPECT_TRUE(Eventually([&] { return StatusOf("twin", "dead", "").value("ejected", false); }));
  EXPECT_FALSE(StatusOf("twin", "alive", "").value("ejected", false));
  size_t attempts = 0;
  for (const json& record : stack_.AwaitRecords(kRequests)) attempts += record["attempts"].size();
  // The five that eject it, and a probe of each time it comes back.
  EXPECT_LT(attempts, kRequests * 13 / 10);
  EXPECT_THAT(Metrics(), HasSubstr("signalbox_provider_endpoint_ejected{gateway=\"default\",provider=\"twin\","
                                   "endpoint=\"dead\"} 1"));
}

TEST_F(Health, ActiveChecksTakeAProviderDownBeforeACallDoesAndBringItBack) {
  stack_.ApplyProvider("openai",
                       {{"kind", "openai"},
                        {"baseUrl", stack_.provider_url()},
                        {"healthCheck", {{"path", "/models"}, {"intervalS", 1}}}},
                       Stack::provider_key());
  stack_.AwaitInSync(0);
  stack_.ControlProvider({{"fail", "model=/models:503"}});
  ASSERT_TRUE(Eventually([&] { return StatusOf("openai", "default", "").value("ejected", false); }));
  EXPECT_EQ(StatusOf("openai", "default", "").value("lastError", ""), "check_status_503");
  EXPECT_EQ(Step(Chat()), 1) << "no call was made to find out";
  stack_.ControlProvider({{"fail", ""}});
  EXPECT_TRUE(Eventually([&] { return Step(Chat()) == 0; }));
}

}  // namespace
}  // namespace signalbox
