#include "controlplane/store/route_store.h"

#include <algorithm>
#include <set>

#include "common/faults.h"
#include "common/manifest.h"
#include "common/seal/seal.h"
#include "common/sha256.h"
#include "tests/controlplane/store/store_fixture.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string Text(const absl::Status& status) { return std::string(status.message()); }

TEST_F(StoreTest, NothingIsPublishedBeforeTheFirstDeployment) {
  ASSERT_TRUE(store_->routes().Create("default", VersionOf(RouteJson("a")), false).ok());
  ASSERT_TRUE(store_->keys()
                  .Create(
                      [] {
                        v1::GatewayKey key;
                        key.set_gateway("default");
                        return key;
                      }(),
                      "aa")
                  .ok());
  EXPECT_EQ(Snapshot().sequence(), 0);
  EXPECT_THAT(store_->ReadSnapshot()->manifest, IsEmpty());
}

TEST_F(StoreTest, FirstDeploymentPublishesRoutesProvidersAndKeysTogether) {
  v1::GatewayKey key;
  key.set_gateway("default");
  const std::string key_id = store_->keys().Create(key, "aa")->id();
  const v1::Route route = Deployed("a");
  EXPECT_EQ(Snapshot().sequence(), 1);
  EXPECT_EQ(route.deployed_version(), 1);
  const auto published = Published();
  std::vector<std::string> names;
  for (const auto& [name, resource] : published) names.push_back(name);
  EXPECT_THAT(names, ElementsAre(KeyResource("default", key_id), PricesResource("default", "openai"),
                                 ProviderResource("default", "anthropic"), ProviderResource("default", "openai"),
                                 RouteResource("default", route.id()), GatewayResource("default")));
  EXPECT_EQ(published.at(RouteResource("default", route.id())).route().name(), "a");
  EXPECT_EQ(published.at(KeyResource("default", key_id)).key().sha256(), "aa");
  EXPECT_EQ(Snapshot().sha256(), ManifestSha256(store_->ReadSnapshot()->manifest));
}

TEST_F(StoreTest, ManifestAndBlobsAreTheSameAfterAReopen) {
  Deployed("a");
  const v1::SnapshotId before = Snapshot();
  Reopen();
  EXPECT_EQ(Snapshot().SerializeAsString(), before.SerializeAsString());
  EXPECT_EQ(Published().size(), 5u);
}

TEST_F(StoreTest, VersionNumbersCountUpAndKeepTheJsonAsWritten) {
  const v1::Route route = Deployed("a");
  const std::string json = absl::StrCat("  ", RouteJson("a", "gpt-5.1"), "\n\n");
  const auto saved = store_->routes().Save("default", "a", route.etag(), VersionOf(json));
  ASSERT_TRUE(saved.ok()) << saved.status();
  EXPECT_EQ(saved->version.number(), 2);
  EXPECT_EQ(store_->routes().GetVersion("default", "a", 0)->second.json(), json);
  EXPECT_EQ(Snapshot().sequence(), 1) << "a saved version serves nothing";
  EXPECT_EQ(store_->routes().Get("default", "a")->deployed_version(), 1);
}

TEST_F(StoreTest, EqualGraphIsNotSavedAgainButItsPositionsAre) {
  const v1::Route route = Deployed("a");
  NewVersion version = VersionOf(absl::StrCat(RouteJson("a"), "   "));
  version.positions_json = R"({"mini": [1, 2]})";
  const auto saved = store_->routes().Save("default", route.id(), "", version);
  ASSERT_TRUE(saved.ok()) << saved.status();
  EXPECT_TRUE(saved->unchanged);
  EXPECT_EQ(saved->version.number(), 1);
  EXPECT_EQ(saved->route.etag(), route.etag());
  EXPECT_EQ(store_->routes().GetVersion("default", "a", 1)->second.positions_json(), version.positions_json);
  EXPECT_EQ(store_->routes().GetVersion("default", "a", 1)->second.json(), RouteJson("a"));
}

TEST_F(StoreTest, StaleEtagIsAborted) {
  const v1::Route route = Deployed("a");
  ASSERT_TRUE(store_->routes().Save("default", "a", route.etag(), VersionOf(RouteJson("a", "gpt-5.1"))).ok());
  const absl::Status status =
      store_->routes().Save("default", "a", route.etag(), VersionOf(RouteJson("a", "gpt-4o-mini"))).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(Text(status), HasSubstr(R"(route "a" was changed meanwhile)"));
  EXPECT_EQ(store_->routes().Get("default", "a")->latest_version(), 2);
}

TEST_F(StoreTest, DraftIsSavedOnDemandAndDeploysOnceItCompiles) {
  const v1::Route route = Deployed("a");
  const std::string json = RouteJson("a", "gpt-4o-mini", "acme");
  const absl::Status refused = store_->routes().Save("default", "a", "", VersionOf(json)).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(FaultsOf(refused), Not(IsEmpty()));
  EXPECT_THAT(Text(refused), HasSubstr(R"(route "a": element "mini": )"));

  const auto draft = store_->routes().Save("default", "a", "", VersionOf(json, /*allow_draft=*/true));
  ASSERT_TRUE(draft.ok()) << draft.status();
  EXPECT_FALSE(draft->version.compiles());
  const absl::Status status = store_->routes().Deploy("default", "a", 2, "ada", "", false).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Text(status), HasSubstr(R"(route "a" v2: element "mini": )"));
  EXPECT_THAT(FaultsOf(status), Not(IsEmpty()));
  EXPECT_EQ(Snapshot().sequence(), 1);

  v1::Provider acme;
  acme.set_gateway("default");
  acme.set_name("acme");
  acme.set_kind("openai");
  acme.set_base_url("http://127.0.0.1:1/v1");
  ASSERT_TRUE(store_->gateways().ApplyProvider(acme, {}).ok());
  const auto deployed = store_->routes().Deploy("default", "a", 2, "ada", "", false);
  ASSERT_TRUE(deployed.ok()) << deployed.status();
  EXPECT_TRUE(store_->routes().GetVersion("default", "a", 2)->second.compiles());
  EXPECT_EQ(Published().at(RouteResource("default", route.id())).route().version(), 2);
}

TEST_F(StoreTest, CreateWithDeployOfADraftCreatesNothing) {
  const absl::Status status =
      store_->routes()
          .Create("default", VersionOf(RouteJson("a", "gpt-4o-mini", "acme"), /*allow_draft=*/true), /*deploy=*/true)
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(store_->routes().Get("default", "a").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(StoreTest, RollbackIsADeploymentOfAnEarlierVersionAndNeverGoesForward) {
  Deployed("a");
  for (const char* model : {"gpt-5.1", "gpt-4o-mini"}) {
    ASSERT_TRUE(store_->routes().Save("default", "a", "", VersionOf(RouteJson("a", model))).ok());
    ASSERT_TRUE(store_->routes().Deploy("default", "a", 0, "ada", "", false).ok());
  }
  const auto back = store_->routes().Rollback("default", "a", 0, "bob", "oops", false);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->deployment.version(), 2);
  EXPECT_EQ(back->deployment.previous_version(), 3);
  EXPECT_TRUE(back->deployment.rollback());
  EXPECT_EQ(back->deployment.author(), "bob");
  EXPECT_EQ(back->deployment.snapshot_sequence(), Snapshot().sequence());
  EXPECT_EQ(store_->routes().Rollback("default", "a", 0, "bob", "", false)->deployment.version(), 1);
  EXPECT_EQ(Text(store_->routes().Rollback("default", "a", 0, "bob", "", false).status()),
            R"(route "a": no version earlier than v1, which serves now, was ever deployed; name one)");
  EXPECT_EQ(Text(store_->routes().Rollback("default", "a", 2, "bob", "", false).status()),
            R"(route "a": v2 is not earlier than v1, which serves now; deploy it instead)");
  EXPECT_EQ(store_->routes().Rollback("default", "a", 9, "bob", "", false).status().code(),
            absl::StatusCode::kNotFound);
  const auto deployments = store_->routes().ListDeployments("default", "a", 0, 10);
  ASSERT_TRUE(deployments.ok());
  std::vector<int64_t> versions;
  for (const v1::Deployment& deployment : deployments->items) versions.push_back(deployment.version());
  EXPECT_THAT(versions, ElementsAre(1, 2, 3, 2, 1));
}

TEST_F(StoreTest, RolledBackContentHasTheHashItHadBefore) {
  Deployed("a");
  const std::string first = Snapshot().sha256();
  ASSERT_TRUE(store_->routes().Save("default", "a", "", VersionOf(RouteJson("a", "gpt-5.1"))).ok());
  ASSERT_TRUE(store_->routes().Deploy("default", "a", 2, "ada", "", false).ok());
  EXPECT_NE(Snapshot().sha256(), first);
  ASSERT_TRUE(store_->routes().Rollback("default", "a", 1, "ada", "", false).ok());
  EXPECT_EQ(Snapshot().sha256(), first);
  EXPECT_EQ(Snapshot().sequence(), 3);
}

TEST_F(StoreTest, DeployingWhatServesAlreadyMakesNoNewSnapshot) {
  Deployed("a");
  const auto again = store_->routes().Deploy("default", "a", 1, "ada", "", false);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->deployment.id(), 2);
  EXPECT_EQ(again->deployment.snapshot_sequence(), 1);
}

TEST_F(StoreTest, RenameRecompilesAndKeysFollow) {
  const v1::Route route = Deployed("a");
  v1::GatewayKey key;
  key.set_gateway("default");
  key.add_allowed_routes("a");
  const std::string key_id = store_->keys().Create(key, "aa")->id();
  const auto renamed = store_->routes().Rename("default", "a", "b", route.etag());
  ASSERT_TRUE(renamed.ok()) << renamed.status();
  EXPECT_EQ(renamed->id(), route.id());
  EXPECT_NE(renamed->etag(), route.etag());
  const auto published = Published();
  EXPECT_EQ(published.at(RouteResource("default", route.id())).route().name(), "b");
  EXPECT_THAT(published.at(KeyResource("default", key_id)).key().allowed_routes(), ElementsAre("b"));
  EXPECT_EQ(Snapshot().sequence(), 3);
}

TEST_F(StoreTest, RenameToATakenNameIsRefused) {
  Deployed("a");
  Deployed("b");
  const absl::Status status = store_->routes().Rename("default", "a", "b", "").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Text(status), R"(gateway "default" already has a route "b")");
}

TEST_F(StoreTest, DeletedNameMayBeUsedAgainTheIdNotAndKeysStayShut) {
  const v1::Route first = Deployed("a");
  Deployed("other");
  v1::GatewayKey key;
  key.set_gateway("default");
  key.add_allowed_routes("a");
  const std::string key_id = store_->keys().Create(key, "aa")->id();
  ASSERT_TRUE(store_->routes().Delete("default", "a", "", false).ok());
  EXPECT_EQ(Published().count(RouteResource("default", first.id())), 0u);
  EXPECT_THAT(Published().at(KeyResource("default", key_id)).key().allowed_routes(), ElementsAre("deleted:a"));
  const v1::Route second = Deployed("a");
  EXPECT_NE(second.id(), first.id());
  EXPECT_THAT(Published().at(KeyResource("default", key_id)).key().allowed_routes(), ElementsAre("deleted:a"));
  EXPECT_EQ(store_->routes().Get("default", first.id()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store_->routes().GetVersion("default", first.id(), 1)->second.number(), 1) << "history stays";
  EXPECT_EQ(store_->routes().ListDeployments("default", first.id(), 0, 10)->items.size(), 1u);
}

TEST_F(StoreTest, UnknownRouteNamesNearOnes) {
  for (const char* name : {"my-saas", "canary", "chat", "search", "support", "billing"}) Deployed(name);
  const absl::Status status = store_->routes().Get("default", "my-sass").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Text(status), R"(gateway "default": unknown route "my-sass" (did you mean my-saas?))");
  EXPECT_EQ(Text(store_->routes().Get("prod", "a").status()), R"(unknown gateway "prod" (known: default))");
  EXPECT_EQ(Text(store_->routes().GetVersion("default", "chat", 4).status()),
            R"(route "chat" has no version 4 (it has 1 to 1))");
}

TEST_F(StoreTest, PriceChangeRecompilesOnlyRoutesThatUseTheModel) {
  const v1::Route mini = Deployed("mini", "gpt-4o-mini");
  const v1::Route big = Deployed("big", "gpt-5.1");
  const auto before = store_->ReadSnapshot();
  v1::ModelPrice price = TestPrices()[0];
  price.set_input_nanos_per_mtok(42);
  ASSERT_TRUE(store_->prices().Set("default", price).ok());
  const auto after = store_->ReadSnapshot();
  EXPECT_EQ(after->id.sequence(), before->id.sequence() + 1);
  std::vector<std::string> changed;
  for (size_t i = 0; i < after->manifest.size(); ++i) {
    if (after->manifest[i].sha256() != before->manifest[i].sha256()) changed.push_back(after->manifest[i].name());
  }
  EXPECT_THAT(changed, ElementsAre(PricesResource("default", "openai"), RouteResource("default", mini.id())));
  EXPECT_EQ(store_->prices().Get("default", "openai", "gpt-4o-mini")->input_nanos_per_mtok(), 42);
  EXPECT_EQ(store_->prices().List("default")->size(), 2u);
}

TEST_F(StoreTest, ProviderInUseCannotBeDeleted) {
  Deployed("a");
  const absl::Status status = store_->gateways().DeleteProvider("default", "openai");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Text(status), R"(provider "openai" is used by deployed routes: "a")");
  EXPECT_TRUE(store_->gateways().DeleteProvider("default", "anthropic").ok());
  EXPECT_EQ(Published().count(ProviderResource("default", "anthropic")), 0u);
  EXPECT_EQ(store_->gateways().DeleteProvider("default", "anthropic").code(), absl::StatusCode::kNotFound);
}

TEST_F(StoreTest, ProviderSecretIsPublishedInTheClearAndNeverStoredSo) {
  Deployed("a");
  v1::Provider provider = store_->gateways().ListProviders("default", "", 10)->items.back();
  ASSERT_EQ(provider.name(), "openai");
  ASSERT_TRUE(store_->gateways().ApplyProvider(provider, {.own = "sk-very-secret-text"}).ok());
  EXPECT_EQ(Published().at(ProviderResource("default", "openai")).provider().secret(), "sk-very-secret-text");
  EXPECT_THAT(DatabaseBytes(), Not(HasSubstr("sk-very-secret-text")));
  const std::string sha256 = Snapshot().sha256();
  ASSERT_TRUE(store_->gateways().ApplyProvider(provider, {}).ok());  // keeps it
  EXPECT_EQ(Snapshot().sha256(), sha256) << "the same content keeps its hash";
  ASSERT_TRUE(store_->gateways().ApplyProvider(provider, {.own = "sk-very-secret-text"}).ok());
  EXPECT_EQ(Snapshot().sha256(), sha256);
  Reopen();
  EXPECT_EQ(Published().at(ProviderResource("default", "openai")).provider().secret(), "sk-very-secret-text");
  EXPECT_THAT(DatabaseBytes(), Not(HasSubstr("sk-very-secret-text")));
  ASSERT_TRUE(store_->gateways().ApplyProvider(provider, {.own = ""}).ok());
  EXPECT_EQ(Published().at(ProviderResource("default", "openai")).provider().secret(), "");
}

TEST_F(StoreTest, AnotherMasterKeyIsAClearError) {
  Deployed("a");
  store_.reset();
  const std::string key_file = dir_.path() + "/master.key";
  std::filesystem::remove(key_file);
  const absl::Status missing = SqliteStore::Open(StoreOptions{dir_.path(), "", TestCatalogue(), ""}, clock_).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Text(missing), HasSubstr("there is no master key at " + key_file));
  ASSERT_TRUE(Sealer::FromKeyFile(key_file).ok());  // makes another one
  Reopen();
  const auto snapshot = store_->ReadSnapshot();
  const auto sealed = std::find_if(snapshot->manifest.begin(), snapshot->manifest.end(), [](const auto& entry) {
    return entry.name() == ProviderResource("default", "openai");
  });
  ASSERT_NE(sealed, snapshot->manifest.end());
  const absl::Status status = store_->ReadBlob(sealed->sha256()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Text(status), HasSubstr("restore the master key file"));
}

TEST_F(StoreTest, RevokedKeyLeavesTheSnapshot) {
  Deployed("a");
  v1::GatewayKey key;
  key.set_gateway("default");
  *key.mutable_expire_time() = ToTimestamp(clock_.UnixMicros() + 5);
  const std::string id = store_->keys().Create(key, "aa")->id();
  EXPECT_EQ(Published().at(KeyResource("default", id)).key().expire_time_us(), clock_.UnixMicros() + 5);
  const int64_t sequence = Snapshot().sequence();
  ASSERT_TRUE(store_->keys().Revoke("default", id).ok());
  EXPECT_EQ(Published().count(KeyResource("default", id)), 0u);
  EXPECT_EQ(Snapshot().sequence(), sequence + 1);
  ASSERT_TRUE(store_->keys().Revoke("default", id).ok());
  EXPECT_EQ(Snapshot().sequence(), sequence + 1);
}

TEST_F(StoreTest, BlobsThatNothingNamesAreCollected) {
  Deployed("a");
  std::set<std::string> before;
  const PublishedSnapshot first = *store_->ReadSnapshot();
  for (const auto& entry : first.manifest) before.insert(entry.sha256());
  v1::ModelPrice price = TestPrices()[0];
  price.set_input_nanos_per_mtok(42);
  ASSERT_TRUE(store_->prices().Set("default", price).ok());
  const PublishedSnapshot second = *store_->ReadSnapshot();
  for (const auto& entry : second.manifest) before.erase(entry.sha256());
  ASSERT_EQ(before.size(), 2u) << "the route and the provider's prices";
  const absl::Status status = store_->ReadBlob(*before.begin()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Text(status), HasSubstr("no longer published"));
}

TEST_F(StoreTest, GatewaysKeepTheirRoutesApart) {
  ASSERT_TRUE(store_->gateways().Create("prod").ok());
  Deployed("a");
  EXPECT_EQ(store_->routes().Get("prod", "a").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(store_->routes().Create("prod", VersionOf(RouteJson("a")), true).ok());
  EXPECT_EQ(store_->gateways().Create("prod").status().code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(StoreTest, SequenceIsNeverReusedAndLineageStays) {
  const std::string lineage = store_->lineage();
  EXPECT_EQ(lineage.size(), 36u);
  for (int i = 0; i < 5; ++i) Deployed(absl::StrCat("r", i));
  EXPECT_EQ(Snapshot().sequence(), 5);
  Reopen();
  EXPECT_EQ(store_->lineage(), lineage);
  Deployed("r5");
  EXPECT_EQ(Snapshot().sequence(), 6);
}

TEST_F(StoreTest, BackupIsACompleteDatabase) {
  Deployed("a");
  const v1::SnapshotId id = Snapshot();
  TempDir copy;
  ASSERT_TRUE(store_->Backup(copy.path() + "/routes.db").ok());
  std::filesystem::copy(dir_.path() + "/master.key", copy.path() + "/master.key");
  auto restored = SqliteStore::Open(StoreOptions{copy.path(), "", TestCatalogue(), ""}, clock_);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ((*restored)->ReadSnapshot()->id.SerializeAsString(), id.SerializeAsString());
}

TEST_F(StoreTest, PagesCoverEverythingOnce) {
  for (const char* name : {"a", "b", "c", "d", "e"}) Deployed(name);
  std::vector<std::string> names;
  std::string after;
  while (true) {
    const auto page = store_->routes().List("default", after, 2);
    ASSERT_TRUE(page.ok());
    for (const v1::Route& route : page->items) names.push_back(route.name());
    if (!page->more) break;
    after = names.back();
  }
  EXPECT_THAT(names, ElementsAre("a", "b", "c", "d", "e"));
}

}  // namespace
}  // namespace signalbox
