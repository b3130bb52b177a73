// Where a change becomes content that proxies get: blobs, the manifest (`resources`) and the snapshot sequence. Every
// function runs with the store's mutex held and inside the caller's transaction, so that the change, the manifest and
// the sequence are committed together or not at all.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/store/store_core.h"
#include "signalbox/v1/compiled.pb.h"
#include "signalbox/v1/snapshot.pb.h"

namespace signalbox {

// Stores the bytes of `resource` unless they are there; sealed at rest with `sealed`. Returns their sha256 (32 bytes).
absl::StatusOr<std::string> PutBlob(StoreCore& core, const v1::Resource& resource, bool sealed) SB_REQUIRES(core.mutex);
// Points `name` at a blob, and collects the one it pointed at before if nothing else does.
absl::Status SetResource(StoreCore& core, const std::string& name, const std::string& sha256) SB_REQUIRES(core.mutex);
absl::Status RemoveResource(StoreCore& core, const std::string& name) SB_REQUIRES(core.mutex);
absl::Status CollectBlob(StoreCore& core, const std::string& sha256) SB_REQUIRES(core.mutex);

// Compiles a version of a route and makes the result the version's blob; notes which models it uses. Returns its
// sha256. The graph must be free of errors.
absl::StatusOr<std::string> CompileVersion(StoreCore& core, const v1::Route& route, int64_t version,
                                           const v1::RouteSpec& spec) SB_REQUIRES(core.mutex);
// The same from the stored JSON, checked against the gateway as it is now: FAILED_PRECONDITION with faults when it
// does not compile (any more).
absl::StatusOr<std::string> RecompileVersion(StoreCore& core, const v1::Route& route, int64_t version)
    SB_REQUIRES(core.mutex);

enum class First { kNo, kYes };  // whether this change may be the first ever published: deployments only

// The snapshot of the manifest as it now is: a new sequence when the content differs from the last one, else the last
// one. Sequence 0 before the first deployment. FAILED_PRECONDITION without `force` when over half the routes of the
// one before (of kShrinkGuardRoutesMin or more) would go.
absl::StatusOr<v1::SnapshotId> PublishNext(StoreCore& core, const std::string& cause, First first, bool force)
    SB_REQUIRES(core.mutex);

// The last snapshot; sequence 0 when there is none.
absl::StatusOr<v1::SnapshotId> LastSnapshot(const StoreCore& core) SB_REQUIRES(core.mutex);

struct DeployOrder {
  int64_t version = 0;  // a number, not 0
  std::string author;
  std::string comment;
  bool force = false;
};
// Deployment record, pointer and next sequence. `route` is updated.
absl::StatusOr<v1::Deployment> DeployVersion(StoreCore& core, v1::Route& route, const DeployOrder& order,
                                             v1::SnapshotId& snapshot) SB_REQUIRES(core.mutex);

// A gateway's settings, its default route by its present name.
absl::StatusOr<v1::GatewaySettings> FindSettings(const StoreCore& core, const std::string& gateway)
    SB_REQUIRES(core.mutex);
// What the settings' blob of a gateway says now.
absl::Status PublishGateway(StoreCore& core, const std::string& gateway) SB_REQUIRES(core.mutex);
// What a provider's blob says now, secrets opened, and that of its prices.
absl::Status PublishProvider(StoreCore& core, const std::string& gateway, const std::string& name)
    SB_REQUIRES(core.mutex);
// The prices in force for a provider of the gateway; nothing is published where there are none.
absl::Status PublishPrices(StoreCore& core, const std::string& gateway, const std::string& provider)
    SB_REQUIRES(core.mutex);
// Whether what is published was made by a build of this schema and with the catalogue in force.
absl::StatusOr<bool> IsMadeOfTheSame(const StoreCore& core) SB_REQUIRES(core.mutex);
absl::Status NoteWhatItIsMadeOf(StoreCore& core) SB_REQUIRES(core.mutex);
// Everything that is made of rows alone, in every gateway: after a migration or with other bundled prices. What cannot
// be made now (a secret that does not open, a route that no longer compiles) stays as it was published.
absl::Status PublishEverything(StoreCore& core, const std::string& cause) SB_REQUIRES(core.mutex);

// What a gateway key's blob says now.
absl::Status PublishKey(StoreCore& core, const std::string& key_id) SB_REQUIRES(core.mutex);
// Of every key that names the route among its allowed ones: after a rename or a deletion.
absl::Status PublishKeysOfRoute(StoreCore& core, const std::string& route_id) SB_REQUIRES(core.mutex);

}  // namespace signalbox
