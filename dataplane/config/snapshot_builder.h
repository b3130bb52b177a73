// From an offer to what a proxy can serve, or the reasons why not. Checks everything that requests will rely on, so
// that nothing after it needs to: hashes, the compiled routes' indices, names, providers. Pure; any thread.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "dataplane/config/active_snapshot.h"
#include "dataplane/config/offer_assembler.h"
#include "dataplane/config/part_list.h"
#include "signalbox/v1/snapshot.pb.h"

namespace signalbox {

// What serves, and what it was made of.
struct BuiltSnapshot {
  std::shared_ptr<const ActiveSnapshot> active;
  int schema = 0;
  PartList parts;
};

// `live` (may be null) lends the parts that the offer does not carry, and is what an offer with a base is built on, at
// the cost of what changed. INVALID_ARGUMENT with every fault found, each with the resource's name as its path; codes:
// schema_too_new, bad_manifest, blob_missing, blob_corrupt, bad_resource, bad_route, bad_provider, bad_key, bad_prices,
// unknown_provider, unknown_route, duplicate_name. FAILED_PRECONDITION when the offer's base is not `live`: the offer
// then says nothing, and nothing is wrong with what it offers.
absl::StatusOr<std::shared_ptr<const BuiltSnapshot>> BuildSnapshot(const SnapshotOffer& offer,
                                                                   const BuiltSnapshot* live, int max_schema);

}  // namespace signalbox
