#include "controlplane/http/api_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_split.h"
#include "controlplane/api/method_roles.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

std::string MethodAt(const char* verb, const char* path) {
  const ApiMatch match = MatchApi(verb, path);
  return match.method == nullptr ? "" : match.method->method;
}

TEST(ApiTable, HasEveryUnaryMethodOfEveryOperatorService) {
  std::set<std::string> in_table;
  for (const ApiMethod& entry : ApiTable()) in_table.insert(entry.method);
  const auto* const pool = google::protobuf::DescriptorPool::generated_pool();
  ASSERT_NE(FindMethod("signalbox.v1.Routes.Deploy"), nullptr);
  for (const std::string& name : ApiServices()) {
    const auto* const service = pool->FindServiceByName(name);
    ASSERT_NE(service, nullptr) << name;
    for (int i = 0; i < service->method_count(); ++i) {
      if (service->method(i)->client_streaming() || service->method(i)->server_streaming()) continue;
      EXPECT_TRUE(in_table.contains(service->method(i)->full_name())) << service->method(i)->full_name();
    }
  }
}

TEST(MethodRoles, NameEveryMethodOnceAndNothingElse) {
  std::set<std::string> in_table;
  for (const ApiMethod& entry : ApiTable()) in_table.insert(entry.method);
  std::set<std::string> with_role;
  for (const MethodRole& entry : MethodRoles()) {
    EXPECT_TRUE(with_role.insert(std::string(entry.method)).second) << entry.method;
  }
  for (const std::string& method : in_table) EXPECT_TRUE(with_role.contains(method)) << method;
  for (const std::string& method : with_role) {
    if (method.starts_with("signalbox.")) {
      EXPECT_TRUE(in_table.contains(method)) << method;
    }
  }
}

TEST(MethodRoles, GetIsReadingAndReadingIsForViewers) {
  for (const ApiMethod& entry : ApiTable()) {
    const MethodRole role = RoleOf(entry.method);
    if (entry.verb == std::string("GET")) {
      EXPECT_FALSE(role.changes) << entry.method;
    }
    if (!role.changes) {
      EXPECT_EQ(role.role, Role::kViewer) << entry.method;
    }
    if (role.changes) {
      EXPECT_NE(role.role, Role::kViewer) << entry.method;
    }
  }
  EXPECT_EQ(RoleOf("signalbox.v1.Routes.Unheard").role, Role::kAdmin);
}

TEST(ApiTable, NoTwoMethodsTakeTheSameRequest) {
  std::set<std::string> seen, methods;
  for (const ApiMethod& entry : ApiTable()) {
    if (!methods.insert(entry.method).second) continue;
    EXPECT_TRUE(seen.insert(FindMethod(entry.method)->input_type()->full_name()).second) << entry.method;
  }
}

TEST(ApiTable, EveryServiceWithOnlyUnaryMethodsIsAnOperatorService) {
  const auto* const file = FindMethod("signalbox.v1.Routes.Deploy")->file();
  const auto* const pool = file->pool();
  for (const char* name : {"admin", "counters", "gateway", "route", "snapshot", "spend"}) {
    const auto* const proto = pool->FindFileByName(std::string("signalbox/v1/") + name + ".proto");
    ASSERT_NE(proto, nullptr) << name;
    for (int i = 0; i < proto->service_count(); ++i) {
      const std::string& service = proto->service(i)->full_name();
      if (service == "signalbox.v1.Spend" || service == "signalbox.v1.Snapshots") continue;
      EXPECT_THAT(ApiServices(), ::testing::Contains(service));
    }
  }
}

TEST(ApiTable, EveryPathFieldIsAFieldOfItsRequest) {
  for (const ApiMethod& entry : ApiTable()) {
    const auto* const method = FindMethod(entry.method);
    ASSERT_NE(method, nullptr) << entry.method;
    std::string path = entry.path;
    for (size_t open = path.find('{'); open != std::string::npos; open = path.find('{', open + 1)) {
      const google::protobuf::Descriptor* type = method->input_type();
      const std::string name = path.substr(open + 1, path.find('}', open) - open - 1);
      const std::vector<std::string> parts = absl::StrSplit(name, '.');
      for (const std::string& part : parts) {
        ASSERT_NE(type, nullptr) << entry.path;
        const auto* const field = type->FindFieldByName(part);
        ASSERT_NE(field, nullptr) << entry.path << ": " << name;
        type = field->message_type();
      }
    }
  }
}

TEST(ApiTable, NoTwoEntriesShareVerbAndPath) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const ApiMethod& entry : ApiTable()) EXPECT_TRUE(seen.insert({entry.verb, entry.path}).second) << entry.path;
}

TEST(MatchApi, TakesFieldsFromThePath) {
  const ApiMatch match = MatchApi("GET", "/v1/gateways/default/routes/my%20saas/versions/3");
  ASSERT_NE(match.method, nullptr);
  EXPECT_STREQ(match.method->method, "signalbox.v1.Routes.GetVersion");
  EXPECT_THAT(match.fields,
              UnorderedElementsAre(Pair("gateway", "default"), Pair("route", "my saas"), Pair("number", "3")));
}

TEST(MatchApi, AVerbEndsTheLastSegment) {
  EXPECT_EQ(MethodAt("POST", "/v1/gateways/default/routes/my-saas:deploy"), "signalbox.v1.Routes.Deploy");
  EXPECT_EQ(MethodAt("POST", "/v1/gateways/default/routes:simulate"), "signalbox.v1.Routes.Simulate");
  EXPECT_EQ(MatchApi("GET", "/v1/gateways/default/routes/a%3Adeploy").fields.at("route"), "a:deploy");
  EXPECT_EQ(MatchApi("GET", "/v1/gateways/g/prices/ollama/llama3:8b").fields.at("model"), "llama3:8b");
  EXPECT_EQ(MatchApi("GET", "/v1/gateways/g/prices/together/meta%2Fllama").fields.at("model"), "meta/llama");
}

TEST(MatchApi, KnowsTheVerbsOfAPath) {
  EXPECT_EQ(MatchApi("PATCH", "/v1/gateways").method, nullptr);
  EXPECT_THAT(MatchApi("PATCH", "/v1/gateways").allowed, ElementsAre("POST", "GET"));
  EXPECT_THAT(MatchApi("GET", "/v1/nothing").allowed, ElementsAre());
}

TEST(MatchApi, RefusesEmptyFieldsAndBrokenEscapes) {
  EXPECT_EQ(MethodAt("GET", "/v1/gateways//routes"), "");
  EXPECT_EQ(MethodAt("POST", "/v1/gateways/default/routes/:deploy"), "");
  EXPECT_EQ(MethodAt("GET", "/v1/gateways/%zz/routes"), "");
  EXPECT_EQ(MethodAt("GET", "/v1/gateways/default/routes/"), "");
}

}  // namespace
}  // namespace signalbox
