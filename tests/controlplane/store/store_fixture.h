// What the store's tests share: a temporary data directory, a clock that stands still, prices, and small routes.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "controlplane/store/sqlite_store.h"

namespace signalbox {

class TempDir {
 public:
  TempDir() {
    std::string path = ::testing::TempDir() + "/signalbox-XXXXXX";
    path_ = ::mkdtemp(path.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::vector<v1::ModelPrice> TestPrices() {
  v1::ModelPrice mini;
  mini.set_provider("openai");
  mini.set_model("gpt-4o-mini");
  mini.set_input_nanos_per_mtok(150'000'000);
  mini.set_output_nanos_per_mtok(600'000'000);
  mini.set_max_output_tokens(16'384);
  mini.set_cap_field("max_completion_tokens");
  v1::ModelPrice big = mini;
  big.set_model("gpt-5.1");
  big.set_input_nanos_per_mtok(1'250'000'000);
  return {mini, big};
}

inline PriceCatalogue TestCatalogue(const std::vector<v1::ModelPrice>& prices = TestPrices()) {
  const absl::StatusOr<PriceCatalogue> catalogue = PriceCatalogue::OfPrices(prices);
  EXPECT_TRUE(catalogue.ok()) << catalogue.status();
  return catalogue.value_or(PriceCatalogue());
}

// start -> model -> end
inline std::string RouteJson(const std::string& name, const std::string& model = "gpt-4o-mini",
                             const std::string& provider = "openai") {
  return absl::StrCat(R"({"name": ")", name, R"(", "elements": [
  {"id": "start", "type": "start", "outputs": {"next": {"elementId": "mini"}}},
  {"id": "mini", "type": "model", "properties": {"provider": ")",
                      provider, R"(", "model": ")", model, R"(", "timeout": 0, "retries": 0},
   "outputs": {"success": {"elementId": "end"}, "fallback": {"elementId": "end"}}},
  {"id": "end", "type": "end", "outputs": {}}]})");
}

inline NewVersion VersionOf(const std::string& json, bool allow_draft = false) {
  return NewVersion{json, "", "ada", "", allow_draft};
}

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }

  void Reopen(const std::string& vfs = "") {
    store_.reset();
    absl::StatusOr<std::unique_ptr<SqliteStore>> store =
        SqliteStore::Open(StoreOptions{dir_.path(), "", TestCatalogue(), vfs}, clock_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  // A route that serves.
  v1::Route Deployed(const std::string& name, const std::string& model = "gpt-4o-mini") {
    const auto created = store_->routes().Create("default", VersionOf(RouteJson(name, model)), /*deploy=*/true);
    EXPECT_TRUE(created.ok()) << created.status();
    return created->saved.route;
  }

  v1::SnapshotId Snapshot() {
    const absl::StatusOr<PublishedSnapshot> snapshot = store_->ReadSnapshot();
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    return snapshot->id;
  }

  // Every published resource by name.
  std::map<std::string, v1::Resource> Published() {
    std::map<std::string, v1::Resource> resources;
    const absl::StatusOr<PublishedSnapshot> snapshot = store_->ReadSnapshot();
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    for (const v1::ManifestEntry& entry : snapshot->manifest) {
      const absl::StatusOr<std::string> blob = store_->ReadBlob(entry.sha256());
      EXPECT_TRUE(blob.ok()) << blob.status();
      EXPECT_TRUE(resources[entry.name()].ParseFromString(*blob));
    }
    return resources;
  }

  // All bytes of the data directory's database files.
  std::string DatabaseBytes() const {
    std::stringstream bytes;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
      if (entry.path().filename().string().starts_with("routes.db")) bytes << std::ifstream(entry.path()).rdbuf();
    }
    return bytes.str();
  }

  TempDir dir_;
  ManualClock clock_;
  std::unique_ptr<SqliteStore> store_;
};

}  // namespace signalbox
