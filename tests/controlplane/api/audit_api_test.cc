// Roles as the services apply them, and the entries that changing calls leave.
#include "tests/controlplane/api/api_fixture.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class AuditApiTest : public ApiTest {
 protected:
  std::string TokenOf(const std::string& role) {
    v1::CreateTokenRequest create;
    create.set_role(role);
    create.set_display_name("the-" + role);
    const auto created = Call(*admin_, &v1::Admin::Stub::CreateToken, create);
    EXPECT_TRUE(created.ok()) << created.status();
    return created.ok() ? created->secret() : "";
  }
  std::vector<v1::AuditEntry> Entries(const std::string& method = "", const std::string& who = "") {
    v1::ListAuditRequest request;
    request.set_method(method);
    request.set_who(who);
    const auto response = Call(*admin_, &v1::Admin::Stub::ListAudit, request);
    EXPECT_TRUE(response.ok()) << response.status();
    if (!response.ok()) return {};
    return {response->entries().begin(), response->entries().end()};
  }
  static std::string Line(const v1::AuditEntry& entry) {
    return absl::StrCat(entry.who(), " ", entry.role(), " | ", entry.gateway(), " | ", entry.resource(), " | ",
                        entry.summary(), entry.error().empty() ? "" : " | ", entry.error());
  }
  std::string Newest(const std::string& method) {
    const auto entries = Entries(method);
    return entries.empty() ? "none" : Line(entries[0]);
  }
};

TEST_F(AuditApiTest, EachRoleDoesItsPart) {
  const std::string admin = token_;
  const std::string viewer = TokenOf("viewer"), editor = TokenOf("editor"), deployer = TokenOf("deployer");
  token_ = viewer;
  EXPECT_TRUE(Call(*admin_, &v1::Admin::Stub::GetServerInfo, v1::GetServerInfoRequest()).ok());
  EXPECT_EQ(CreateRoute(RouteJson("a")).status().code(), absl::StatusCode::kPermissionDenied);
  token_ = editor;
  ExpectRefused(CreateRoute(RouteJson("a"), /*deploy=*/true).status(), absl::StatusCode::kPermissionDenied,
                "this call needs a deployer token or one that may do more; an editor token was given");
  ASSERT_TRUE(CreateRoute(RouteJson("a")).ok());
  EXPECT_TRUE(SaveVersion("a", RouteJson("a", "gpt-5.1")).ok());
  ExpectRefused(Deploy("a", 1).status(), absl::StatusCode::kPermissionDenied,
                "this call needs a deployer token or one that may do more; an editor token was given");
  v1::RenameRouteRequest rename;
  rename.set_gateway("default");
  rename.set_route("a");
  rename.set_new_name("b");
  EXPECT_TRUE(Call(*routes_, &v1::Routes::Stub::RenameRoute, rename).ok()) << "nothing serves under the old name";
  token_ = deployer;
  EXPECT_TRUE(Deploy("b", 1).ok());
  v1::CreateKeyRequest key;
  key.set_gateway("default");
  EXPECT_EQ(Call(*keys_, &v1::Keys::Stub::CreateKey, key).status().code(), absl::StatusCode::kPermissionDenied);
  token_ = editor;
  rename.set_route("b");
  rename.set_new_name("c");
  EXPECT_EQ(Call(*routes_, &v1::Routes::Stub::RenameRoute, rename).status().code(),
            absl::StatusCode::kPermissionDenied);
  token_ = admin;
  EXPECT_TRUE(Call(*keys_, &v1::Keys::Stub::CreateKey, key).ok());
}

TEST_F(AuditApiTest, EveryChangingCallLeavesOneEntryAndReadingNone) {
  ASSERT_TRUE(CreateRoute(RouteJson("a"), true).ok());
  EXPECT_EQ(Newest("CreateRoute"), "admin admin | default | route a | created and deployed");
  ASSERT_TRUE(SaveVersion("a", RouteJson("a", "gpt-5.1")).ok());
  EXPECT_EQ(Newest("SaveVersion"), "admin admin | default | route a | version 2 saved");
  ASSERT_TRUE(Deploy("a", 2).ok());
  EXPECT_EQ(Newest("Deploy"), "admin admin | default | route a | version 2 deployed (was 1)");
  v1::RollbackRequest rollback;
  rollback.set_gateway("default");
  rollback.set_route("a");
  rollback.set_comment("too dear");
  ASSERT_TRUE(Call(*routes_, &v1::Routes::Stub::Rollback, rollback).ok());
  EXPECT_EQ(Newest("Rollback"), "admin admin | default | route a | version 1 rolled back to (was 2): too dear");
  v1::CreateKeyRequest key;
  key.set_gateway("default");
  key.set_display_name("app");
  const auto created = Call(*keys_, &v1::Keys::Stub::CreateKey, key);
  ASSERT_TRUE(created.ok());
  EXPECT_EQ(Newest("CreateKey"),
            absl::StrCat("admin admin | default | key ", created->key().id(), " | created \"app\""));
  v1::ApplyProviderRequest provider;
  provider.mutable_provider()->set_gateway("default");
  provider.mutable_provider()->set_name("openai");
  provider.mutable_provider()->set_kind("openai");
  provider.set_secret("sk-very-secret");
  ASSERT_TRUE(Call(*providers_, &v1::Providers::Stub::ApplyProvider, provider).ok());
  EXPECT_THAT(Newest("ApplyProvider"), HasSubstr("provider openai | applied, kind openai"));
  v1::DeleteRouteRequest remove;
  remove.set_gateway("default");
  remove.set_route("a");
  ASSERT_TRUE(Call(*routes_, &v1::Routes::Stub::DeleteRoute, remove).ok());
  EXPECT_EQ(Newest("signalbox.v1.Routes.DeleteRoute"), "admin admin | default | route a | deleted");

  const size_t before = Entries().size();
  EXPECT_EQ(before, 7u);
  EXPECT_TRUE(Call(*routes_, &v1::Routes::Stub::ListRoutes,
                   [] {
                     v1::ListRoutesRequest list;
                     list.set_gateway("default");
                     return list;
                   }())
                  .ok());
  EXPECT_EQ(Entries().size(), before);
  EXPECT_THAT(DatabaseBytes(), Not(HasSubstr("sk-very-secret")));
  for (const v1::AuditEntry& entry : Entries()) {
    EXPECT_THAT(entry.DebugString(), Not(HasSubstr(created->secret())));
    EXPECT_EQ(entry.time_us(), clock_.UnixMicros());
    EXPECT_FALSE(entry.token_id().empty());
  }
}

TEST_F(AuditApiTest, RefusedAndFailedCallsAreThereWithTheReason) {
  const std::string viewer = TokenOf("viewer"), admin = token_;
  token_ = viewer;
  EXPECT_FALSE(Deploy("a", 7).ok());
  token_ = admin;
  EXPECT_FALSE(Deploy("nowhere", 0).ok());
  token_ = "sbt_unknown";
  EXPECT_FALSE(Deploy("a", 1).ok());
  token_ = admin;
  const auto entries = Entries("Deploy");
  ASSERT_EQ(entries.size(), 2u) << "nobody known, nothing to write down";
  EXPECT_THAT(Line(entries[0]), HasSubstr("route nowhere | deploy the latest version | gateway \"default\": unknown"));
  EXPECT_EQ(Line(entries[1]),
            "the-viewer viewer | default | route a | deploy version 7 | this call needs a deployer token or one that "
            "may do more; a viewer token was given");
}

TEST_F(AuditApiTest, ItIsPagedFilteredAndThereAfterARestart) {
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(CreateRoute(RouteJson(name)).ok());
  Stop();
  Reopen();
  Start();
  v1::ListAuditRequest request;
  request.set_page_size(2);
  std::vector<std::string> resources;
  do {
    const auto page = Call(*admin_, &v1::Admin::Stub::ListAudit, request);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const v1::AuditEntry& entry : page->entries()) resources.push_back(entry.resource());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(resources, ElementsAre("route c", "route b", "route a"));
  EXPECT_EQ(Entries("", "admin").size(), 3u);
  EXPECT_THAT(Entries("", "somebody"), IsEmpty());
  EXPECT_THAT(Entries("Route"), IsEmpty()) << "the last part, whole";
}

TEST_F(AuditApiTest, ManyEntriesPushTheOldestOut) {
  v1::AuditEntry entry;
  for (int64_t i = 1; i <= 3; ++i) ASSERT_TRUE(store_->audit().Append(entry).ok());
  store_->audit().set_entries_max(2);
  ASSERT_TRUE(store_->audit().Append(entry).ok());
  const auto kept = store_->audit().List({}, 0, 10);
  ASSERT_TRUE(kept.ok());
  ASSERT_EQ(kept->items.size(), 2u);
  EXPECT_EQ(kept->items[0].id(), 4);
  EXPECT_EQ(kept->items[1].id(), 3);
}

}  // namespace
}  // namespace signalbox
