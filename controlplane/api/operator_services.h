// The operators' gRPC API: Gateways, Providers, Keys, Prices, Routes, Admin over the store, Counters over the quota
// service. Built by the
// composition root, registered on its server. Every call needs a token of the role that
// controlplane/api/method_roles.h says. Thread-safe; what the deps point to
// outlives it, and it outlives the server.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "controlplane/publish/publisher.h"
#include "controlplane/store/sqlite_store.h"

namespace grpc {
class ServerBuilder;
}

namespace signalbox {

class PriceRefresher;
class QuotaConnection;
class StoredTokenAuthority;

struct OperatorDeps {
  SqliteStore* store = nullptr;
  Publisher* publisher = nullptr;
  StoredTokenAuthority* authority = nullptr;  // controlplane/api/token_authority.h
  const QuotaConnection* quota = nullptr;     // controlplane/api/quota_connection.h
  PriceRefresher* refresher = nullptr;        // controlplane/prices/price_refresher.h
  const Clock* clock = nullptr;
  std::string build;  // version and build of the binary
  // Writes online copies of every database into `directory`, which exists and is empty, and returns their paths.
  std::function<absl::StatusOr<std::vector<std::string>>(const std::string& directory)> backup;
};

class OperatorServices {
 public:
  explicit OperatorServices(const OperatorDeps& deps);
  ~OperatorServices();
  void Register(grpc::ServerBuilder& builder);

 private:
  struct Services;
  std::unique_ptr<Services> services_;
};

}  // namespace signalbox
