#include <functional>

#include "common/limits.h"
#include "common/manifest.h"
#include "common/seal/seal.h"
#include "controlplane/store/schema.h"
#include "tests/controlplane/store/store_fixture.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Text(const absl::Status& status) { return std::string(status.message()); }

v1::Provider ProviderOf(const std::string& name, const std::string& kind, const std::string& base_url = "") {
  v1::Provider provider;
  provider.set_gateway("default");
  provider.set_name(name);
  provider.set_kind(kind);
  provider.set_base_url(base_url);
  return provider;
}

void AddEndpoint(v1::Provider& provider, const std::string& name, int weight, const std::string& base_url = "") {
  v1::ProviderEndpoint& endpoint = *provider.add_endpoints();
  endpoint.set_name(name);
  endpoint.set_weight(weight);
  endpoint.set_base_url(base_url);
}

class ProviderStoreTest : public StoreTest {
 protected:
  v1::SnapshotProvider PublishedProvider(const std::string& name) {
    return Published().at(ProviderResource("default", name)).provider();
  }
  v1::GatewaySettings PublishedSettings() { return Published().at(GatewayResource("default")).gateway().settings(); }
  absl::Status Update(const v1::GatewaySettings& settings) {
    return store_->gateways().Update("default", settings).status();
  }
};

TEST_F(ProviderStoreTest, NewGatewaysHaveTheTwoProvidersInTheirOwnFormats) {
  Deployed("a");
  EXPECT_EQ(PublishedProvider("openai").kind(), "openai");
  EXPECT_EQ(PublishedProvider("openai").base_url(), "https://api.openai.com/v1");
  EXPECT_EQ(PublishedProvider("anthropic").kind(), "anthropic");
  EXPECT_EQ(PublishedProvider("anthropic").base_url(), "https://api.anthropic.com/v1");
}

TEST_F(ProviderStoreTest, AddressesThatGoWithoutSayingAreInTheSnapshot) {
  Deployed("a");
  ASSERT_TRUE(store_->gateways().ApplyProvider(ProviderOf("groq", "openai"), {.own = "gsk"}).ok());
  v1::Provider bedrock = ProviderOf("bedrock", "bedrock");
  (*bedrock.mutable_options())["region"] = "eu-central-1";
  const auto applied = store_->gateways().ApplyProvider(bedrock, {.own = "AKIA:secret"});
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(applied->base_url(), "https://bedrock-runtime.eu-central-1.amazonaws.com");
  EXPECT_EQ(PublishedProvider("groq").base_url(), "https://api.groq.com/openai/v1");
  EXPECT_EQ(PublishedProvider("bedrock").base_url(), "https://bedrock-runtime.eu-central-1.amazonaws.com");
  EXPECT_EQ(PublishedProvider("bedrock").options().at("region"), "eu-central-1");
}

TEST_F(ProviderStoreTest, EndpointsHaveTheirOwnSecretsOrTheProviders) {
  Deployed("a");
  v1::Provider provider = ProviderOf("acme", "openai", "https://acme.example/v1");
  AddEndpoint(provider, "east", 3, "https://east.acme.example/v1");
  AddEndpoint(provider, "west", 0);
  provider.mutable_health_check()->set_path("/models");
  provider.mutable_health_check()->set_interval_s(30);
  const auto applied =
      store_->gateways().ApplyProvider(provider, {.own = "sk-of-acme", .of_endpoints = {{"east", "sk-of-east"}}});
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_TRUE(applied->has_secret());
  EXPECT_TRUE(applied->endpoints(0).has_secret());
  EXPECT_FALSE(applied->endpoints(1).has_secret());
  EXPECT_THAT(applied->DebugString(), Not(HasSubstr("sk-of")));
  Reopen();
  EXPECT_THAT(DatabaseBytes(), Not(HasSubstr("sk-of")));
  const v1::SnapshotProvider published = PublishedProvider("acme");
  ASSERT_EQ(published.endpoints_size(), 2);
  EXPECT_EQ(published.endpoints(0).secret(), "sk-of-east");
  EXPECT_EQ(published.endpoints(0).base_url(), "https://east.acme.example/v1");
  EXPECT_EQ(published.endpoints(0).weight(), 3);
  EXPECT_EQ(published.endpoints(1).secret(), "sk-of-acme");
  EXPECT_EQ(published.endpoints(1).base_url(), "https://acme.example/v1");
  EXPECT_EQ(published.endpoints(1).weight(), 1);
  EXPECT_EQ(published.health_check().path(), "/models");
}

TEST_F(ProviderStoreTest, EndpointSecretsStayUntilReplacedRemovedOrTheirEndpointGoes) {
  Deployed("a");
  v1::Provider provider = ProviderOf("acme", "openai", "https://acme.example/v1");
  AddEndpoint(provider, "east", 1);
  AddEndpoint(provider, "west", 1);
  const auto secrets = [&] {
    std::vector<std::string> all;
    const v1::SnapshotProvider published = PublishedProvider("acme");
    for (const auto& endpoint : published.endpoints()) all.push_back(endpoint.secret());
    return all;
  };
  ASSERT_TRUE(store_->gateways().ApplyProvider(provider, {.of_endpoints = {{"east", "sk-1"}, {"west", "sk-2"}}}).ok());
  EXPECT_THAT(secrets(), ElementsAre("sk-1", "sk-2"));
  const std::string sha256 = Snapshot().sha256();
  ASSERT_TRUE(store_->gateways().ApplyProvider(provider, {}).ok());
  EXPECT_EQ(Snapshot().sha256(), sha256);
  ASSERT_TRUE(store_->gateways().ApplyProvider(provider, {.of_endpoints = {{"east", "sk-3"}, {"west", ""}}}).ok());
  EXPECT_THAT(secrets(), ElementsAre("sk-3", ""));
  v1::Provider fewer = ProviderOf("acme", "openai", "https://acme.example/v1");
  AddEndpoint(fewer, "west", 1);
  ASSERT_TRUE(store_->gateways().ApplyProvider(fewer, {}).ok());
  ASSERT_TRUE(store_->gateways().ApplyProvider(provider, {}).ok());
  EXPECT_THAT(secrets(), ElementsAre("", "")) << "the secret went with its endpoint";
}

TEST_F(ProviderStoreTest, AStoredSecretThatDoesNotFitANewKindIsAskedForAgain) {
  ASSERT_TRUE(
      store_->gateways().ApplyProvider(ProviderOf("acme", "openai", "http://127.0.0.1:1"), {.own = "sk-1"}).ok());
  v1::Provider bedrock = ProviderOf("acme", "bedrock", "http://127.0.0.1:1");
  const absl::Status status = store_->gateways().ApplyProvider(bedrock, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Text(status), HasSubstr("ACCESS_KEY_ID:SECRET_ACCESS_KEY"));
  EXPECT_EQ(store_->gateways().ListProviders("default", "", 1)->items[0].kind(), "openai") << "nothing was changed";
  EXPECT_TRUE(store_->gateways().ApplyProvider(bedrock, {.own = "AKIA0:abc:token"}).ok());
}

TEST_F(ProviderStoreTest, DeletingAProviderTakesItsPricesAndSecretsAlong) {
  ASSERT_TRUE(store_->gateways().DeleteProvider("default", "openai").ok());
  v1::Provider provider = ProviderOf("openai", "openai");
  AddEndpoint(provider, "east", 1);
  ASSERT_TRUE(store_->gateways().ApplyProvider(provider, {.of_endpoints = {{"east", "sk-1"}}}).ok());
  v1::ModelPrice price;
  price.set_provider("anthropic");
  price.set_model("claude");
  price.set_input_nanos_per_mtok(7);
  ASSERT_TRUE(store_->prices().Set("default", price).ok());
  Deployed("a");
  EXPECT_EQ(Published().at(PricesResource("default", "anthropic")).prices().prices(0).input_nanos_per_mtok(), 7);
  ASSERT_TRUE(store_->gateways().DeleteProvider("default", "anthropic").ok());
  EXPECT_EQ(Published().count(PricesResource("default", "anthropic")), 0u);
}

TEST_F(ProviderStoreTest, PricesOfEachProviderArePublishedAndFollowOverrides) {
  Deployed("a");
  const v1::SnapshotPrices before = Published().at(PricesResource("default", "openai")).prices();
  ASSERT_EQ(before.prices_size(), 2);
  EXPECT_EQ(before.provider(), "openai");
  EXPECT_EQ(Published().count(PricesResource("default", "anthropic")), 0u) << "there are none";
  v1::ModelPrice price = TestPrices()[1];
  price.set_input_nanos_per_mtok(7);
  ASSERT_TRUE(store_->prices().Set("default", price).ok());
  const std::string sha256 = Snapshot().sha256();
  bool found = false;
  const v1::SnapshotPrices after = Published().at(PricesResource("default", "openai")).prices();
  for (const v1::ModelPrice& one : after.prices()) {
    if (one.model() != "gpt-5.1") continue;
    EXPECT_EQ(one.input_nanos_per_mtok(), 7) << "the gateway's own is tried first";
    found = true;
    break;
  }
  EXPECT_TRUE(found);
  ASSERT_TRUE(store_->prices().Set("default", price).ok());
  EXPECT_EQ(Snapshot().sha256(), sha256) << "the same price changes nothing";
  v1::ModelPrice elsewhere = price;
  elsewhere.set_provider("nobody");
  ASSERT_TRUE(store_->prices().Set("default", elsewhere).ok());
  EXPECT_EQ(Snapshot().sha256(), sha256) << "a provider that is not set up has no prices to publish";
}

TEST_F(ProviderStoreTest, CacheGroupsTravelWithTheirKeys) {
  Deployed("a");
  v1::GatewayKey key;
  key.set_gateway("default");
  key.set_cache_group("web");
  const auto created = store_->keys().Create(key, "aa");
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->cache_group(), "web");
  EXPECT_EQ(Published().at(KeyResource("default", created->id())).key().cache_group(), "web");
}

// ---- Settings ----

TEST_F(ProviderStoreTest, SettingsArePublishedAndKeptAcrossAReopen) {
  Deployed("a");
  EXPECT_EQ(PublishedSettings().SerializeAsString(), "");
  v1::GatewaySettings settings;
  settings.set_default_route("a");
  settings.set_collect_log_payload(true);
  settings.set_skip_log(true);
  const int64_t sequence = Snapshot().sequence();
  const auto updated = store_->gateways().Update("default", settings);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->settings().SerializeAsString(), settings.SerializeAsString());
  EXPECT_EQ(Snapshot().sequence(), sequence + 1);
  ASSERT_TRUE(Update(settings).ok());
  EXPECT_EQ(Snapshot().sequence(), sequence + 1) << "the same settings are the same content";
  Reopen();
  EXPECT_EQ(PublishedSettings().SerializeAsString(), settings.SerializeAsString());
  EXPECT_EQ(store_->gateways().List("", 10)->items[0].settings().default_route(), "a");
  ASSERT_TRUE(Update({}).ok());
  EXPECT_EQ(PublishedSettings().default_route(), "");
}

TEST_F(ProviderStoreTest, ADefaultRouteMustBeDeployed) {
  ASSERT_TRUE(store_->routes().Create("default", VersionOf(RouteJson("draft")), false).ok());
  v1::GatewaySettings settings;
  settings.set_default_route("draft");
  const absl::Status draft = Update(settings);
  EXPECT_EQ(draft.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Text(draft),
            "settings.default_route: route \"draft\" is not deployed, so plain calls could not pass through it; deploy "
            "it first");
  settings.set_default_route("nope");
  const absl::Status unknown = Update(settings);
  EXPECT_EQ(unknown.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Text(unknown), R"(settings.default_route: gateway "default": unknown route "nope" (known: draft))");
  EXPECT_EQ(store_->gateways().Update("nowhere", {}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ProviderStoreTest, ARenamedDefaultRouteStaysTheDefault) {
  Deployed("a");
  v1::GatewaySettings settings;
  settings.set_default_route("a");
  ASSERT_TRUE(Update(settings).ok());
  ASSERT_TRUE(store_->routes().Rename("default", "a", "b", "").ok());
  EXPECT_EQ(PublishedSettings().default_route(), "b");
}

TEST_F(ProviderStoreTest, TheDefaultRouteCannotBeDeleted) {
  Deployed("a");
  v1::GatewaySettings settings;
  settings.set_default_route("a");
  ASSERT_TRUE(Update(settings).ok());
  const absl::Status status = store_->routes().Delete("default", "a", "", /*force=*/true);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Text(status),
            "route \"a\" is the default route of gateway \"default\": calls of plain models pass through it; give the "
            "gateway another one, or none, first");
  ASSERT_TRUE(Update({}).ok());
  EXPECT_TRUE(store_->routes().Delete("default", "a", "", true).ok());
}

// ---- A database of the first schema ----

// As the build before this schema left it: one deployed route, both providers, a key.
void MakeFirstSchema(const std::string& directory, const std::string& anthropic_url) {
  const auto sealer = Sealer::FromKeyFile(directory + "/master.key");
  ASSERT_TRUE(sealer.ok()) << sealer.status();
  auto db = SqliteDb::Open({.path = directory + "/routes.db"});
  ASSERT_TRUE(db.ok()) << db.status();
  ASSERT_TRUE((*db)->Migrate({StoreMigrations()[0]}).ok());
  const auto run = [&](const char* sql, const auto&... args) {
    const absl::Status status = (*db)->Run(sql, args...);
    ASSERT_TRUE(status.ok()) << status;
  };
  run("INSERT INTO meta VALUES('lineage','the-lineage')");
  run("INSERT INTO gateways VALUES('default',1)");
  v1::Provider headers;
  (*headers.mutable_headers())["x-team"] = "a";
  run("INSERT INTO providers VALUES('default','openai','openai','https://api.openai.com/v1',?,?,2)",
      SqlBlob{headers.SerializeAsString()}, SqlBlob{sealer->Seal("sk-old")});
  run("INSERT INTO providers VALUES('default','anthropic','openai',?,x'',NULL,2)", anthropic_url);
  run("INSERT INTO routes VALUES('id-a','default','a',1,1,1,3,3,NULL)");
  const std::string blob = "what an older build compiled";
  run("INSERT INTO blobs VALUES(?,?,0)", SqlBlob{"0123"}, SqlBlob{blob});
  run("INSERT INTO versions VALUES('id-a',1,?,'',1,x'','ada','',3,'',?)", RouteJson("a"), SqlBlob{"0123"});
  run("INSERT INTO resources VALUES(?,?)", RouteResource("default", "id-a"), SqlBlob{"0123"});
  run("INSERT INTO keys(id, gateway, display_name, sha256, pinned_metadata_json, expire_us, create_us, revoke_us) "
      "VALUES('k1','default','web','aa','',0,4,0)");
  run("INSERT INTO snapshots(sha256, routes, cause, create_us) VALUES('old',1,'deploy',5)");
}

class OldDatabaseTest : public ProviderStoreTest {
 protected:
  void SetUp() override {}  // each test makes the database first
};

TEST_F(OldDatabaseTest, IsBroughtForwardWithItsSecretsAndPublishedAnew) {
  MakeFirstSchema(dir_.path(), "https://api.anthropic.com/v1");
  Reopen();
  EXPECT_EQ(store_->lineage(), "the-lineage");
  EXPECT_EQ(Snapshot().sequence(), 2);
  EXPECT_EQ(PublishedProvider("openai").secret(), "sk-old");
  EXPECT_EQ(PublishedProvider("openai").headers().at("x-team"), "a");
  EXPECT_EQ(PublishedProvider("anthropic").kind(), "anthropic") << "as in new gateways";
  EXPECT_EQ(PublishedProvider("anthropic").base_url(), "https://api.anthropic.com/v1");
  EXPECT_EQ(Published().at(RouteResource("default", "id-a")).route().elements_size(), 3) << "compiled anew";
  EXPECT_EQ(Published().at(PricesResource("default", "openai")).prices().prices_size(), 2);
  EXPECT_EQ(PublishedSettings().SerializeAsString(), "");
  EXPECT_EQ(store_->keys().List("default", "", 1)->items[0].cache_group(), "");
  Reopen();
  EXPECT_EQ(Snapshot().sequence(), 2) << "once";
}

TEST_F(OldDatabaseTest, AProviderOfAnotherAddressKeepsItsKind) {
  MakeFirstSchema(dir_.path(), "https://relay.example/v1");
  Reopen();
  EXPECT_EQ(PublishedProvider("anthropic").kind(), "openai");
  EXPECT_EQ(PublishedProvider("anthropic").base_url(), "https://relay.example/v1");
}

TEST_F(OldDatabaseTest, ASecretThatDoesNotOpenStopsNothingElse) {
  MakeFirstSchema(dir_.path(), "https://api.anthropic.com/v1");
  std::filesystem::remove(dir_.path() + "/master.key");
  ASSERT_TRUE(Sealer::FromKeyFile(dir_.path() + "/master.key").ok());  // makes another one
  Reopen();
  EXPECT_EQ(Published().count(ProviderResource("default", "openai")), 0u) << "it was not published before either";
  EXPECT_EQ(PublishedProvider("anthropic").kind(), "anthropic");
  EXPECT_TRUE(store_->gateways().ApplyProvider(ProviderOf("openai", "openai"), {.own = "sk-again"}).ok());
  EXPECT_EQ(PublishedProvider("openai").secret(), "sk-again");
}

TEST_F(StoreTest, OtherBundledPricesAreCompiledInAtTheNextStart) {
  const v1::Route route = Deployed("a");
  store_.reset();
  std::vector<v1::ModelPrice> dearer = TestPrices();
  dearer[0].set_input_nanos_per_mtok(77);
  store_ = *SqliteStore::Open(StoreOptions{dir_.path(), "", TestCatalogue(dearer), ""}, clock_);
  const auto published = Published();
  EXPECT_EQ(
      published.at(RouteResource("default", route.id())).route().elements(1).model().price().input_nanos_per_mtok(),
      77);
  EXPECT_EQ(published.at(PricesResource("default", "openai")).prices().prices(0).input_nanos_per_mtok(), 77);
  EXPECT_EQ(Snapshot().sequence(), 2);
}

}  // namespace
}  // namespace signalbox
