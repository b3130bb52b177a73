// Gateways, their settings and their providers. A provider's secret is sealed before it touches the database, and
// travels only in the blob that proxies get. Thread-safe; a view of SqliteStore, which owns it.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/store/provider_rows.h"
#include "controlplane/store/store_core.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

class GatewayStore {
 public:
  explicit GatewayStore(StoreCore& core) : core_(core) {}

  // A new gateway has the providers `openai` and `anthropic`, without secrets. ALREADY_EXISTS when the name is taken.
  absl::StatusOr<v1::Gateway> Create(const std::string& name);
  absl::StatusOr<Page<v1::Gateway>> List(const std::string& after_name, int limit) const;
  absl::StatusOr<v1::Gateway> Get(const std::string& name) const;
  // Replaces the settings. INVALID_ARGUMENT when the default route, a name or an id, is not deployed.
  absl::StatusOr<v1::Gateway> Update(const std::string& name, const v1::GatewaySettings& settings);

  // Creates or replaces. INVALID_ARGUMENT when a stored secret that stays does not fit the kind.
  absl::StatusOr<v1::Provider> ApplyProvider(const v1::Provider& provider, const SecretChanges& secrets);
  absl::StatusOr<Page<v1::Provider>> ListProviders(const std::string& gateway, const std::string& after_name,
                                                   int limit) const;
  // FAILED_PRECONDITION, naming them, while deployed routes use it.
  absl::Status DeleteProvider(const std::string& gateway, const std::string& name);

 private:
  StoreCore& core_;
};

}  // namespace signalbox
