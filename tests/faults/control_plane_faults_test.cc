// What the control plane keeps, on a failing disk: routes.db (versions, deployments, keys, tokens, prices), ledger.db,
// the master key and the token files. What was acknowledged is there, what failed said so and left nothing half done.
#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "controlplane/api/token_authority.h"
#include "controlplane/ledger/sqlite_ledger.h"
#include "controlplane/store/sqlite_store.h"
#include "tests/faults/fault_loop.h"

namespace signalbox {
namespace {

using ::testing::AnyOf;
using ::testing::Eq;

constexpr int kAttemptsMax = 3;  // of one change while the disk fails, before it is healed

// An error of a failing disk, never another one.
void ExpectDiskError(const absl::Status& status) {
  EXPECT_TRUE(DiskFailed()) << status;
  EXPECT_THAT(status.code(), AnyOf(Eq(absl::StatusCode::kUnavailable), Eq(absl::StatusCode::kResourceExhausted)))
      << status;
}

// Tries until it succeeds; the disk is healed when it goes on failing.
void Persist(const std::function<absl::Status()>& change) {
  for (int attempt = 0; attempt < 2 * kAttemptsMax; ++attempt) {
    if (attempt == kAttemptsMax) HealDisk();
    const absl::Status status = change();
    if (status.ok()) return;
    ExpectDiskError(status);
  }
  ADD_FAILURE() << "still failing on a sound disk";
}

std::string RouteJson(int timeout_ms) {
  return absl::StrCat(R"({"name": "a", "elements": [
  {"id": "start", "type": "start", "outputs": {"next": {"elementId": "mini"}}},
  {"id": "mini", "type": "model", "properties": {"provider": "openai", "model": "gpt-4o-mini", "timeout": )",
                      timeout_ms, R"(, "retries": 0},
   "outputs": {"success": {"elementId": "end"}, "fallback": {"elementId": "end"}}},
  {"id": "end", "type": "end", "outputs": {}}]})");
}

std::vector<v1::ModelPrice> Prices() {
  v1::ModelPrice mini;
  mini.set_provider("openai");
  mini.set_model("gpt-4o-mini");
  mini.set_input_nanos_per_mtok(150'000'000);
  mini.set_output_nanos_per_mtok(600'000'000);
  mini.set_max_output_tokens(16'384);
  mini.set_cap_field("max_completion_tokens");
  return {mini};
}

class Store {
 public:
  explicit Store(const std::string& directory) : directory_(directory) {}
  absl::Status Open() {
    store_.reset();
    auto store = SqliteStore::Open(StoreOptions{directory_, "", *PriceCatalogue::OfPrices(Prices()), ""}, clock_);
    if (store.ok()) store_ = *std::move(store);
    return store.status();
  }
  void Close() { store_.reset(); }
  SqliteStore& operator*() { return *store_; }
  SqliteStore* operator->() { return store_.get(); }

 private:
  const std::string directory_;
  ManualClock clock_;
  std::unique_ptr<SqliteStore> store_;
};

class ControlPlaneFaults : public DiskFaults {};
SIGNALBOX_FAULT_CASES(ControlPlaneFaults);

// What the store says of itself must fit together, whatever failed before.
void ExpectConsistent(SqliteStore& store, const std::set<int64_t>& versions, const std::set<int64_t>& deployments,
                      const std::set<std::string>& keys) {
  const auto stored = store.routes().ListVersions("default", "a", 0, 100);
  ASSERT_TRUE(stored.ok()) << stored.status();
  std::set<int64_t> numbers;
  for (const v1::Version& version : stored->items) {
    EXPECT_TRUE(numbers.insert(version.number()).second);
    const auto whole = store.routes().GetVersion("default", "a", version.number());
    ASSERT_TRUE(whole.ok()) << whole.status();
    EXPECT_EQ(whole->second.sha256(), version.sha256());
  }
  EXPECT_TRUE(std::includes(numbers.begin(), numbers.end(), versions.begin(), versions.end()));
  const auto deployed = store.routes().ListDeployments("default", "a", 0, 100);
  ASSERT_TRUE(deployed.ok()) << deployed.status();
  std::set<int64_t> ids;
  for (const v1::Deployment& deployment : deployed->items) {
    ids.insert(deployment.id());
    EXPECT_TRUE(numbers.contains(deployment.version()));
  }
  EXPECT_TRUE(std::includes(ids.begin(), ids.end(), deployments.begin(), deployments.end()));
  const auto route = store.routes().Get("default", "a");
  ASSERT_TRUE(route.ok()) << route.status();
  EXPECT_EQ(route->deployed_version(), deployed->items.front().version());
  const auto listed = store.keys().List("default", "", 100);
  ASSERT_TRUE(listed.ok()) << listed.status();
  std::set<std::string> key_ids;
  for (const v1::GatewayKey& key : listed->items) key_ids.insert(key.id());
  EXPECT_TRUE(std::includes(key_ids.begin(), key_ids.end(), keys.begin(), keys.end()));
  // What is published is what is deployed: every blob is there and is what its name says.
  const auto snapshot = store.ReadSnapshot();
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  bool route_found = false;
  size_t keys_found = 0;
  for (const v1::ManifestEntry& entry : snapshot->manifest) {
    const auto blob = store.ReadBlob(entry.sha256());
    ASSERT_TRUE(blob.ok()) << blob.status();
    v1::Resource resource;
    ASSERT_TRUE(resource.ParseFromString(*blob));
    keys_found += resource.has_key();
    if (!resource.has_route()) continue;
    route_found = true;
    EXPECT_EQ(resource.route().version(), route->deployed_version());
  }
  EXPECT_TRUE(route_found);
  EXPECT_EQ(keys_found, key_ids.size());
}

TEST_P(ControlPlaneFaults, RoutesVersionsDeploymentsAndKeysThatWereAcknowledgedAreThere) {
  ForEveryOperation([&](const std::string& directory) {
    std::set<int64_t> versions, deployments;
    std::set<std::string> keys;
    Store store(directory);
    Persist([&] { return store.Open(); });
    const auto create = [&] {
      const auto created = store->routes().Create("default", {RouteJson(1), "", "ada", "", false}, /*deploy=*/true);
      // An error may have come after the commit: then it is there.
      if (absl::IsAlreadyExists(created.status())) return absl::OkStatus();
      if (created.ok()) {
        versions.insert(created->saved.version.number());
        deployments.insert(created->deployed->deployment.id());
      }
      return created.status();
    };
    Persist(create);
    for (int i = 2; i <= 3; ++i) {
      Persist([&] {
        const auto saved = store->routes().Save("default", "a", "", {RouteJson(i), "", "ada", "", false});
        if (saved.ok()) versions.insert(saved->version.number());
        return saved.status();
      });
      Persist([&] {
        const auto deployed = store->routes().Deploy("default", "a", 0, "ada", "", false);
        if (deployed.ok()) deployments.insert(deployed->deployment.id());
        return deployed.status();
      });
      Persist([&] {
        v1::GatewayKey key;
        key.set_gateway("default");
        const auto created = store->keys().Create(key, std::string(63, '0') + std::to_string(i));
        if (created.ok()) keys.insert(created->id());
        return absl::IsAlreadyExists(created.status()) ? absl::OkStatus() : created.status();
      });
      ExpectConsistent(*store, versions, deployments, keys);
      if (HasFailure()) return;
    }
    HealDisk();
    store.Close();
    const absl::Status opened = store.Open();
    ASSERT_TRUE(opened.ok()) << opened;
    ExpectConsistent(*store, versions, deployments, keys);
  });
}

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

TEST_P(ControlPlaneFaults, TheMasterKeyAndTheTokenFilesAreWholeAndWorkOrTheStartSaysWhyNot) {
  ForEveryOperation([&](const std::string& directory) {
    std::unique_ptr<StoredTokenAuthority> authority;
    Store store(directory);
    Persist([&] {
      authority.reset();
      const absl::Status opened = store.Open();
      if (!opened.ok()) return opened;
      auto made = StoredTokenAuthority::Open(store->tokens(), directory);
      if (made.ok()) authority = *std::move(made);
      return made.status();
    });
    HealDisk();
    ASSERT_NE(authority, nullptr);
    for (const auto& [file, role] :
         {std::pair("/admin.token", Role::kAdmin), std::pair("/proxy.token", Role::kProxy)}) {
      const auto caller = authority->Authenticate(FirstLine(directory + file));
      ASSERT_TRUE(caller.ok()) << file << ": " << caller.status();
      EXPECT_EQ(caller->role, role);
    }
    authority.reset();
    store.Close();
    const absl::Status again = store.Open();
    EXPECT_TRUE(again.ok()) << again;
  });
}

v1::SpendRecord Record(int number) {
  v1::SpendRecord record;
  record.set_request_id(absl::StrCat("request-", number));
  record.set_gateway("default");
  record.set_route("a");
  record.set_route_id("id");
  record.set_outcome(v1::SUCCESS);
  record.set_status(200);
  record.set_start_time_us(1'800'000'000'000'000);
  record.set_cost_nanos(1'000 + number);
  v1::Attempt& attempt = *record.add_attempts();
  attempt.set_provider("openai");
  attempt.set_model("gpt-4o-mini");
  attempt.set_cost_nanos(record.cost_nanos());
  return record;
}

int64_t TotalCost(const SqliteLedger& ledger, const std::string& by) {
  v1::QueryUsageRequest request;
  request.add_by(by);
  const auto usage = ledger.QueryUsage(request);
  EXPECT_TRUE(usage.ok()) << usage.status();
  int64_t total = 0;
  for (const v1::UsageRow& row : usage->rows()) total += row.cost_nanos();
  return total;
}

TEST_P(ControlPlaneFaults, ARecordIsInTheLedgerOnceOrTheBatchWasNotAcknowledged) {
  constexpr int kBatches = 4;
  constexpr int kBatchRecords = 3;
  ForEveryOperation([&](const std::string& directory) {
    SqliteOptions options;
    options.path = directory + "/ledger.db";
    std::unique_ptr<SqliteLedger> ledger;
    const auto open = [&] {
      ledger.reset();
      auto opened = SqliteLedger::Open(options);
      if (opened.ok()) ledger = *std::move(opened);
      return opened.status();
    };
    Persist(open);
    int64_t total = 0;
    for (int batch = 0; batch < kBatches; ++batch) {
      google::protobuf::RepeatedPtrField<v1::SpendRecord> records;
      for (int i = 0; i < kBatchRecords; ++i) {
        *records.Add() = Record(batch * kBatchRecords + i);
        total += records.rbegin()->cost_nanos();
      }
      Persist([&] {
        const absl::Status appended = ledger->Append(records);
        // All of a batch or none, also while it fails.
        const auto count = ledger->CountRecords();
        if (count.ok()) {
          EXPECT_EQ(*count % kBatchRecords, 0);
        }
        return appended;
      });
      EXPECT_EQ(TotalCost(*ledger, "model"), total);
    }
    HealDisk();
    const absl::Status opened = open();
    ASSERT_TRUE(opened.ok()) << opened;
    EXPECT_EQ(*ledger->CountRecords(), kBatches * kBatchRecords);
    for (const char* by : {"model", "route", "outcome"}) EXPECT_EQ(TotalCost(*ledger, by), total) << by;
  });
}

}  // namespace
}  // namespace signalbox
