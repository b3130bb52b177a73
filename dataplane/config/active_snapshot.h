// The configuration a proxy serves: built beside the live one, sharing with it what did not change, swapped in one
// step, never changed after. A request keeps the one it started with.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "common/price_table.h"
#include "dataplane/config/shared_map.h"
#include "signalbox/v1/compiled.pb.h"
#include "signalbox/v1/snapshot.pb.h"

namespace signalbox {

struct ActiveSnapshot {
  struct Gateway {
    SharedMap<std::shared_ptr<const v1::CompiledRoute>> routes;                               // by name; checked
    absl::flat_hash_map<std::string, std::shared_ptr<const v1::SnapshotProvider>> providers;  // by name
    absl::flat_hash_map<std::string, PriceTable> prices;                                      // by provider
    std::shared_ptr<const v1::SnapshotGateway> settings;  // null: none; its default route is among `routes`
  };
  v1::SnapshotId id;
  absl::flat_hash_map<std::string, Gateway> gateways;      // by name
  SharedMap<std::shared_ptr<const v1::SnapshotKey>> keys;  // by hex sha256 of the key's text
};

// Holds the live snapshot. Thread-safe. Listeners are called with each new one, and once at once if there is one,
// on the thread that swaps; they must only post to their own executor.
class SnapshotHolder {
 public:
  using Listener = std::function<void(std::shared_ptr<const ActiveSnapshot>)>;
  virtual ~SnapshotHolder() = default;
  virtual std::shared_ptr<const ActiveSnapshot> Get() const = 0;  // null before the first
  virtual void AddListener(Listener listener) = 0;
};

}  // namespace signalbox
