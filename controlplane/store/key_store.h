// Gateway keys: stored as the SHA-256 of their text. Allowed routes are kept by id, so a rename keeps a permission
// and a new route under an old name has none. Thread-safe; a view of SqliteStore, which owns it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/store/store_core.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

class KeyStore {
 public:
  explicit KeyStore(StoreCore& core) : core_(core) {}

  // `sha256`: hex, of the key's text. Id and create time of `key` are assigned. NOT_FOUND for an unknown allowed route.
  absl::StatusOr<v1::GatewayKey> Create(const v1::GatewayKey& key, const std::string& sha256);
  // Oldest first, revoked ones too; from the first after the key `after_id` (empty: the oldest).
  absl::StatusOr<Page<v1::GatewayKey>> List(const std::string& gateway, const std::string& after_id, int limit) const;
  // The key leaves the next snapshot. Repeating it keeps the first time.
  absl::StatusOr<v1::GatewayKey> Revoke(const std::string& gateway, const std::string& id);

  // The key of the gateway's live runs, its text kept sealed: made at first use, and again after it was revoked or when
  // its text no longer opens.
  struct LiveKey {
    v1::GatewayKey key;
    std::string text;
    int64_t snapshot_sequence = 0;  // from which on proxies know it; 0: nothing was published yet
    bool made = false;              // by this call
  };
  absl::StatusOr<LiveKey> GetLiveKey(const std::string& gateway);

 private:
  absl::StatusOr<std::string> Insert(const v1::GatewayKey& key, const std::string& sha256,
                                     const std::vector<std::string>& route_ids) SB_REQUIRES(core_.mutex);
  absl::StatusOr<std::optional<LiveKey>> FindLiveKey(const std::string& gateway) SB_REQUIRES(core_.mutex);

  StoreCore& core_;
};

// A row of `keys`, for use inside the store. A deleted route among the allowed ones reads `deleted:<name>`, which no
// route can be called: a list never becomes empty, which would mean every route.
struct KeyRow {
  v1::GatewayKey key;
  std::string sha256;
};
absl::StatusOr<KeyRow> FindKey(const StoreCore& core, const std::string& id) SB_REQUIRES(core.mutex);

}  // namespace signalbox
