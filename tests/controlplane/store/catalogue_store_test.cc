// The catalogue under the gateways' own prices: other ones put in force, restarts, failures.
#include "controlplane/store/catalogue_store.h"

#include <string>
#include <utility>

#include "common/manifest.h"
#include "controlplane/prices/genai_prices.h"
#include "tests/controlplane/store/store_fixture.h"

namespace signalbox {
namespace {

constexpr char kUrl[] = "https://prices.example/data.json";

std::string DataOf(const std::string& mini_input) {
  return R"([{"id": "openai", "models": [
    {"id": "gpt-4o-mini", "match": {"starts_with": "gpt-4o-mini"}, "prices": {"input_mtok": )" +
         mini_input + R"(, "output_mtok": 2}},
    {"id": "whisper", "match": {"equals": "whisper"}, "prices": {"audio_hours": 0.36}}]},
  {"id": "aws", "models": [{"id": "titan", "match": {"contains": "titan"}, "prices": {"input_mtok": 3}}]}])";
}

absl::StatusOr<PriceCatalogue> Read(std::string_view text, std::string origin) {
  return ParseGenaiPrices(text, std::move(origin), ModelLimits());
}

class CatalogueStoreTest : public StoreTest {
 protected:
  void ReopenReading(const CatalogueReader& read) {
    store_.reset();
    StoreOptions options{dir_.path(), "", TestCatalogue(), ""};
    options.read_catalogue = read;
    auto store = SqliteStore::Open(options, clock_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  absl::Status Install(const std::string& text) {
    const auto catalogue = Read(text, kUrl);
    EXPECT_TRUE(catalogue.ok()) << catalogue.status();
    return store_->catalogue().Install(*catalogue, text);
  }

  int64_t PublishedInput(const v1::Route& route) {
    return Published()
        .at(RouteResource("default", route.id()))
        .route()
        .elements(1)
        .model()
        .price()
        .input_nanos_per_mtok();
  }
};

TEST_F(CatalogueStoreTest, AnotherCatalogueIsPublishedWithTheRoutesThatItPrices) {
  const v1::Route route = Deployed("a");
  const v1::Route dated = Deployed("b", "gpt-5.1");
  EXPECT_EQ(PublishedInput(route), 150'000'000);
  const v1::SnapshotId before = Snapshot();
  ASSERT_TRUE(Install(DataOf("1")).ok());
  EXPECT_EQ(Snapshot().sequence(), before.sequence() + 1);
  EXPECT_EQ(PublishedInput(route), 1'000'000'000);
  EXPECT_EQ(Published().at(PricesResource("default", "openai")).prices().prices(0).match().starts_with(),
            "gpt-4o-mini");
  EXPECT_EQ(PublishedInput(dated), 0) << "it has no price any more, and no cost limit that needs one";
  const v1::ModelPrice price = *store_->prices().Get("default", "openai", "gpt-4o-mini-2024-07-18");
  EXPECT_EQ(price.input_nanos_per_mtok(), 1'000'000'000);
  EXPECT_EQ(price.model(), "gpt-4o-mini-2024-07-18");
  EXPECT_EQ(price.source(), "https://prices.example/data.json: openai/gpt-4o-mini");

  const std::vector<v1::ModelPrice> list = *store_->prices().List("default");
  ASSERT_EQ(list.size(), 2u) << "of the providers that are set up";
  EXPECT_EQ(list[0].model(), "gpt-4o-mini");
  EXPECT_EQ(list[0].source(), kUrl);

  const v1::PriceCatalogueStatus status = *store_->catalogue().Status();
  EXPECT_EQ(status.source(), kUrl);
  EXPECT_FALSE(status.bundled());
  EXPECT_EQ(status.models(), 3);
  EXPECT_EQ(status.update_us(), clock_.UnixMicros());
  EXPECT_EQ(status.last_refresh_us(), clock_.UnixMicros());
  EXPECT_EQ(status.last_error(), "");
}

TEST_F(CatalogueStoreTest, ARestartKeepsItAndTheBuildsOneComesBackWhenAsked) {
  const v1::Route route = Deployed("a");
  ASSERT_TRUE(Install(DataOf("1")).ok());
  const v1::SnapshotId installed = Snapshot();
  ReopenReading(Read);
  EXPECT_EQ(Snapshot().sequence(), installed.sequence()) << "nothing is published again";
  EXPECT_EQ(store_->catalogue().InForce().origin(), kUrl);
  EXPECT_EQ(store_->prices().Get("default", "openai", "gpt-4o-mini")->input_nanos_per_mtok(), 1'000'000'000);
  ASSERT_TRUE(store_->catalogue().InstallBundled().ok());
  EXPECT_EQ(PublishedInput(route), 150'000'000);
  EXPECT_TRUE(store_->catalogue().Status()->bundled());
  EXPECT_EQ(store_->catalogue().Status()->update_us(), 0);
  ReopenReading(Read);
  EXPECT_TRUE(store_->catalogue().Status()->bundled());
}

TEST_F(CatalogueStoreTest, OneThatThisBuildCannotReadIsLeftAloneAndSaysSo) {
  const v1::Route route = Deployed("a");
  ASSERT_TRUE(Install(DataOf("1")).ok());
  ReopenReading([](std::string_view, std::string) { return absl::InvalidArgumentError("too new"); });
  EXPECT_EQ(PublishedInput(route), 150'000'000);
  EXPECT_TRUE(store_->catalogue().Status()->bundled());
  EXPECT_EQ(store_->catalogue().Status()->last_error(),
            "the catalogue fetched from https://prices.example/data.json cannot be read by this build, which uses its "
            "own: too new");
  ReopenReading(Read);
  EXPECT_EQ(PublishedInput(route), 1'000'000'000) << "a build that can has it back";
}

TEST_F(CatalogueStoreTest, ARouteThatTheNewPricesWouldBreakKeepsItsOldOnes) {
  const std::string limited = R"({"name": "limited", "elements": [
  {"id": "start", "type": "start", "outputs": {"next": {"elementId": "limit"}}},
  {"id": "limit", "type": "rate", "properties": {"limitType": "cost", "key": "metadata.user", "limit": 5, "window": 60},
   "outputs": {"success": {"elementId": "m"}, "fallback": {"elementId": "end"}}},
  {"id": "m", "type": "model", "properties": {"provider": "openai", "model": "gpt-5.1", "timeout": 0, "retries": 0},
   "outputs": {"success": {"elementId": "end"}, "fallback": {"elementId": "end"}}},
  {"id": "end", "type": "end", "outputs": {}}]})";
  const auto created = store_->routes().Create("default", VersionOf(limited), /*deploy=*/true);
  ASSERT_TRUE(created.ok()) << created.status();
  const v1::Route route = created->saved.route;
  ASSERT_TRUE(Install(DataOf("1")).ok());
  const v1::CompiledRoute compiled = Published().at(RouteResource("default", route.id())).route();
  EXPECT_EQ(compiled.elements(2).model().price().input_nanos_per_mtok(), 1'250'000'000);
}

TEST_F(CatalogueStoreTest, AFailedRefreshIsNotedAndChangesNothing) {
  const v1::Route route = Deployed("a");
  const v1::SnapshotId before = Snapshot();
  ASSERT_TRUE(store_->catalogue().NoteRefresh("https://prices.example answered 503").ok());
  EXPECT_EQ(store_->catalogue().Status()->last_error(), "https://prices.example answered 503");
  EXPECT_EQ(store_->catalogue().Status()->last_refresh_us(), clock_.UnixMicros());
  EXPECT_EQ(store_->catalogue().Install(PriceCatalogue(), "").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Snapshot().sequence(), before.sequence());
  EXPECT_EQ(PublishedInput(route), 150'000'000);
}

TEST_F(CatalogueStoreTest, OverridesStayStrongestAndKindsFindTheirPrices) {
  Deployed("a");
  ASSERT_TRUE(Install(DataOf("1")).ok());
  v1::ModelPrice own = TestPrices()[0];
  own.set_input_nanos_per_mtok(7);
  ASSERT_TRUE(store_->prices().Set("default", own).ok());
  ASSERT_TRUE(Install(DataOf("2")).ok());
  EXPECT_EQ(store_->prices().Get("default", "openai", "gpt-4o-mini")->input_nanos_per_mtok(), 7);
  EXPECT_EQ(store_->prices().Get("default", "openai", "GPT-4o-mini")->input_nanos_per_mtok(), 7);
  EXPECT_EQ(store_->prices().Get("default", "openai", "gpt-4o-mini-x")->input_nanos_per_mtok(), 2'000'000'000);
  EXPECT_EQ(store_->prices().Get("default", "bedrock", "us.titan")->input_nanos_per_mtok(), 3'000'000'000)
      << "aws in the data";
  EXPECT_EQ(store_->prices().Get("default", "openai", "nano").status().message(),
            "gateway \"default\": no price for openai/nano (known: gpt-4o-mini, whisper)");
}

}  // namespace
}  // namespace signalbox
