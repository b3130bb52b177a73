#include <sys/stat.h>

#include "tests/controlplane/api/api_fixture.h"

namespace signalbox {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(ApiTest, EveryServiceRefusesCallersWithoutATokenOfTheRole) {
  const std::string proxy_token = *ReadTokenFile(dir_.path() + "/proxy.token");
  const auto statuses = [&] {
    return std::vector<absl::Status>{
        Call(*routes_, &v1::Routes::Stub::ListRoutes, v1::ListRoutesRequest()).status(),
        Call(*routes_, &v1::Routes::Stub::Deploy, v1::DeployRequest()).status(),
        Call(*routes_, &v1::Routes::Stub::Simulate, v1::SimulateRequest()).status(),
        Call(*gateways_, &v1::Gateways::Stub::ListGateways, v1::ListGatewaysRequest()).status(),
        Call(*providers_, &v1::Providers::Stub::ApplyProvider, v1::ApplyProviderRequest()).status(),
        Call(*keys_, &v1::Keys::Stub::CreateKey, v1::CreateKeyRequest()).status(),
        Call(*prices_, &v1::Prices::Stub::SetPrice, v1::SetPriceRequest()).status(),
        Call(*admin_, &v1::Admin::Stub::CreateToken, v1::CreateTokenRequest()).status(),
        Call(*admin_, &v1::Admin::Stub::Backup, v1::BackupRequest()).status()};
  };
  token_ = "";
  for (const absl::Status& status : statuses()) {
    ExpectRefused(status, absl::StatusCode::kUnauthenticated,
                  "no token: send the metadata authorization: Bearer <token>");
  }
  token_ = "sbt_" + std::string(64, '0');
  for (const absl::Status& status : statuses()) {
    ExpectRefused(status, absl::StatusCode::kUnauthenticated, "the token is unknown or revoked");
  }
  token_ = proxy_token;
  for (const absl::Status& status : statuses()) {
    ExpectRefused(status, absl::StatusCode::kPermissionDenied, EndsWith("; a proxy token was given"));
  }
  EXPECT_EQ(publisher_.commits, 0);
}

TEST_F(ApiTest, FirstTokensAreMadeOnceInPrivateFiles) {
  const std::string admin = *ReadTokenFile(dir_.path() + "/admin.token");
  EXPECT_THAT(admin, MatchesRegex("sbt_[0-9a-f]{64}"));
  for (const char* file : {"/admin.token", "/proxy.token"}) {
    struct stat info {};
    ASSERT_EQ(::stat((dir_.path() + file).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600);
  }
  EXPECT_THAT(DatabaseBytes(), Not(HasSubstr(admin)));
  Stop();
  Reopen();
  Start();
  EXPECT_EQ(*ReadTokenFile(dir_.path() + "/admin.token"), admin);
  EXPECT_TRUE(Call(*admin_, &v1::Admin::Stub::GetServerInfo, v1::GetServerInfoRequest()).ok());
  EXPECT_EQ(store_->tokens().All()->size(), 2u);
}

TEST_F(ApiTest, RevokedTokenIsRefusedAtOnceAndAfterARestart) {
  v1::CreateTokenRequest create;
  create.set_role("admin");
  create.set_display_name("grace");
  const auto created = Call(*admin_, &v1::Admin::Stub::CreateToken, create);
  ASSERT_TRUE(created.ok()) << created.status();
  const std::string first = token_;
  token_ = created->secret();
  EXPECT_EQ(CreateRoute(RouteJson("a"))->version().author(), "grace");
  v1::RevokeTokenRequest revoke;
  revoke.set_id(created->token().id());
  ASSERT_TRUE(Call(*admin_, &v1::Admin::Stub::RevokeToken, revoke).ok());
  ExpectRefused(Call(*admin_, &v1::Admin::Stub::RevokeToken, revoke).status(), absl::StatusCode::kUnauthenticated,
                "the token is unknown or revoked");
  Stop();
  Reopen();
  Start();
  token_ = created->secret();
  EXPECT_EQ(Call(*admin_, &v1::Admin::Stub::ListTokens, v1::ListTokensRequest()).status().code(),
            absl::StatusCode::kUnauthenticated);
  token_ = first;
  const auto tokens = Call(*admin_, &v1::Admin::Stub::ListTokens, v1::ListTokensRequest());
  ASSERT_EQ(tokens->tokens_size(), 3);
  EXPECT_TRUE(tokens->tokens(2).has_revoke_time());
  EXPECT_THAT(tokens->DebugString(), Not(HasSubstr("sbt_")));
  revoke.set_id(tokens->tokens(0).id());
  ExpectRefused(Call(*admin_, &v1::Admin::Stub::RevokeToken, revoke).status(), absl::StatusCode::kFailedPrecondition,
                HasSubstr("is the last admin token; create another one first"));
  create.set_role("root");
  ExpectRefused(Call(*admin_, &v1::Admin::Stub::CreateToken, create).status(), absl::StatusCode::kInvalidArgument,
                R"(role "root": must be viewer, editor, deployer, admin or proxy)");
}

TEST_F(ApiTest, ServerInfoNamesBuildAndSnapshot) {
  ASSERT_TRUE(CreateRoute(RouteJson("a"), true).ok());
  const auto info = Call(*admin_, &v1::Admin::Stub::GetServerInfo, v1::GetServerInfoRequest());
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->build(), "test-build");
  EXPECT_EQ(info->lineage(), store_->lineage());
  EXPECT_EQ(info->snapshot_sequence(), 1);
  EXPECT_EQ(info->snapshot_sha256(), Snapshot().sha256());
  EXPECT_EQ(FromTimestamp(info->start_time()), clock_.UnixMicros());
}

TEST_F(ApiTest, BackupGoesIntoANewDirectoryOnly) {
  v1::BackupRequest request;
  request.set_directory(dir_.path() + "/backup");
  const auto backup = Call(*admin_, &v1::Admin::Stub::Backup, request);
  ASSERT_TRUE(backup.ok()) << backup.status();
  ASSERT_EQ(backup->files_size(), 1);
  EXPECT_TRUE(std::filesystem::exists(backup->files(0)));
  ExpectRefused(Call(*admin_, &v1::Admin::Stub::Backup, request).status(), absl::StatusCode::kFailedPrecondition,
                HasSubstr("is not empty; name a new one"));
  request.set_directory("relative");
  ExpectRefused(Call(*admin_, &v1::Admin::Stub::Backup, request).status(), absl::StatusCode::kInvalidArgument,
                StartsWith("directory: must be an absolute path"));
}

}  // namespace
}  // namespace signalbox
