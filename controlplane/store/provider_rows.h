// Rows of `providers` with their endpoints and secrets, for use inside the store, with its mutex held. Secrets are
// sealed before they touch the database and opened only to be published.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/store/store_core.h"
#include "signalbox/v1/compiled.pb.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

// What to do with a provider's secrets. Absent: the stored one stays; empty: it goes.
struct SecretChanges {
  std::optional<std::string> own;
  std::map<std::string, std::string> of_endpoints;  // by name
};

// Creates or replaces. Endpoints that are gone lose their secrets; those new get none.
absl::Status PutProvider(StoreCore& core, const v1::Provider& provider, const SecretChanges& secrets)
    SB_REQUIRES(core.mutex);

// As operators see it: the base URL filled in, no secrets. NOT_FOUND names those there are.
absl::StatusOr<v1::Provider> FindProvider(const StoreCore& core, const std::string& gateway, const std::string& name)
    SB_REQUIRES(core.mutex);

// Names, ordered.
absl::StatusOr<std::vector<std::string>> ProviderNames(const StoreCore& core, const std::string& gateway)
    SB_REQUIRES(core.mutex);

// As proxies get it: every address and secret filled in. DATA_LOSS when a stored secret cannot be opened,
// INVALID_ARGUMENT when one is not of the shape its kind needs.
absl::StatusOr<v1::SnapshotProvider> ProviderForSnapshot(const StoreCore& core, const std::string& gateway,
                                                         const std::string& name) SB_REQUIRES(core.mutex);

}  // namespace signalbox
