// The operators' database: <data_dir>/routes.db, one connection, one mutex. Everything acknowledged is on disk
// (synchronous=FULL), and what a change publishes is committed with the change. Stage one of a configuration's life:
// store -> publisher -> proxies. Thread-safe; owned by the control plane, outlives its areas' users.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "controlplane/publish/snapshot_source.h"
#include "controlplane/store/audit_store.h"
#include "controlplane/store/catalogue_store.h"
#include "controlplane/store/gateway_store.h"
#include "controlplane/store/key_store.h"
#include "controlplane/store/price_store.h"
#include "controlplane/store/route_store.h"
#include "controlplane/store/token_store.h"

namespace signalbox {

struct StoreOptions {
  std::string data_dir;              // must exist
  std::string master_key_path;       // empty: <data_dir>/master.key
  PriceCatalogue bundled_catalogue;  // BundledCatalogue()
  std::string vfs;                   // empty: the system's; tests put faults here
  CatalogueReader read_catalogue;    // for one that was fetched; null: it stays out of force
};

class SqliteStore : public SnapshotSource {
 public:
  // Opens or creates, migrates, and makes sure of the gateway `default`.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const StoreOptions& options, const Clock& clock);

  RouteStore& routes() { return routes_; }
  GatewayStore& gateways() { return gateways_; }
  KeyStore& keys() { return keys_; }
  PriceStore& prices() { return prices_; }
  CatalogueStore& catalogue() { return catalogue_; }
  TokenStore& tokens() { return tokens_; }
  AuditStore& audit() { return audit_; }

  absl::StatusOr<PublishedSnapshot> ReadSnapshot() const override;
  absl::StatusOr<std::string> ReadBlob(const std::string& sha256) const override;

  // Which proxies there were, for the publisher.
  absl::Status RememberFleet(const std::vector<std::string>& proxy_ids);
  absl::StatusOr<std::vector<std::string>> RememberedFleet() const;

  const std::string& lineage() const { return core_->lineage; }
  // An online copy into a new file; others read and write meanwhile. Without the master key file (kept elsewhere on
  // purpose) provider secrets in it stay sealed.
  absl::Status Backup(const std::string& target_path) const;

 private:
  explicit SqliteStore(std::unique_ptr<StoreCore> core);
  absl::Status Prepare();
  absl::Status PublishAfterUpgrade() SB_REQUIRES(core_->mutex);

  std::unique_ptr<StoreCore> core_;
  RouteStore routes_;
  GatewayStore gateways_;
  KeyStore keys_;
  PriceStore prices_;
  CatalogueStore catalogue_;
  TokenStore tokens_;
  AuditStore audit_;
};

}  // namespace signalbox
