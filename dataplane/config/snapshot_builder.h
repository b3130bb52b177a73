// From an offer to what a proxy can serve, or the reasons why not. Checks everything that requests will rely on, so
// that nothing after it needs to: hashes, the compiled routes' indices, names, providers. Pure; any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "dataplane/config/active_snapshot.h"
#include "dataplane/config/offer_assembler.h"
#include "signalbox/v1/compiled.pb.h"
#include "signalbox/v1/snapshot.pb.h"

namespace signalbox {

// A checked blob; exactly one pointer besides `bytes` is set. Shared by every snapshot that carries it.
struct SnapshotPart {
  std::shared_ptr<const std::string> bytes;
  std::shared_ptr<const v1::CompiledRoute> route;
  std::shared_ptr<const v1::SnapshotProvider> provider;
  std::shared_ptr<const v1::SnapshotKey> key;
  std::shared_ptr<const v1::SnapshotGateway> gateway;
  std::shared_ptr<const v1::SnapshotPrices> prices;
  PriceTable price_table;  // of `prices`
};

// What serves, and what it was made of.
struct BuiltSnapshot {
  std::shared_ptr<const ActiveSnapshot> active;
  int schema = 0;
  std::vector<v1::ManifestEntry> manifest;
  absl::flat_hash_map<std::string, SnapshotPart> parts;  // by sha256 (32 bytes)
};

// `live` (may be null) lends the parts that the offer does not carry. INVALID_ARGUMENT with every fault found, each
// with the resource's name as its path; codes: schema_too_new, bad_manifest, blob_missing, blob_corrupt, bad_resource,
// bad_route, bad_provider, bad_key, bad_prices, unknown_provider, unknown_route, duplicate_name.
absl::StatusOr<std::shared_ptr<const BuiltSnapshot>> BuildSnapshot(const SnapshotOffer& offer,
                                                                   const BuiltSnapshot* live, int max_schema);

}  // namespace signalbox
