// Routes, their versions and their deployments. Save makes a version, deploy makes it serve; nothing of history is
// ever edited. Thread-safe; a view of SqliteStore, which owns it. Wherever `route` is a parameter, a name or an id is
// accepted. Errors: NOT_FOUND with near names, ABORTED for a stale etag, ALREADY_EXISTS for a taken name,
// INVALID_ARGUMENT or FAILED_PRECONDITION with faults, and the database's own.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/route/validator.h"
#include "controlplane/store/store_core.h"
#include "signalbox/v1/compiled.pb.h"
#include "signalbox/v1/route.pb.h"
#include "signalbox/v1/snapshot.pb.h"

namespace signalbox {

struct NewVersion {
  std::string json;  // as the author wrote it
  std::string positions_json;
  std::string author;
  std::string comment;
  bool allow_draft = false;  // also when it does not compile
};

struct SavedVersion {
  v1::Route route;
  v1::Version version;
  bool unchanged = false;  // the latest version has this graph already
};

struct Deployed {
  v1::Deployment deployment;
  v1::SnapshotId snapshot;
};

struct CreatedRoute {
  SavedVersion saved;
  std::optional<Deployed> deployed;
};

class RouteStore {
 public:
  explicit RouteStore(StoreCore& core) : core_(core) {}

  // Named by its JSON. With `deploy`, version 1 is deployed in the same transaction, or nothing happens.
  absl::StatusOr<CreatedRoute> Create(const std::string& gateway, const NewVersion& version, bool deploy);
  absl::StatusOr<v1::Route> Get(const std::string& gateway, const std::string& route) const;
  // By name, from the first after `after_name`.
  absl::StatusOr<Page<v1::Route>> List(const std::string& gateway, const std::string& after_name, int limit) const;
  absl::StatusOr<v1::Route> Rename(const std::string& gateway, const std::string& route, const std::string& new_name,
                                   const std::string& etag);
  absl::Status Delete(const std::string& gateway, const std::string& route, const std::string& etag, bool force);

  // A graph equal to the latest version's is not saved again; its canvas positions, being no part of the graph, are.
  absl::StatusOr<SavedVersion> Save(const std::string& gateway, const std::string& route, const std::string& etag,
                                    const NewVersion& version);
  // `number` 0: the latest. Versions and deployments of a deleted route are read by its id.
  absl::StatusOr<std::pair<v1::Route, v1::Version>> GetVersion(const std::string& gateway, const std::string& route,
                                                               int64_t number) const;
  // Newest first, from the first below `before` (0: the newest). Without their JSON.
  absl::StatusOr<Page<v1::Version>> ListVersions(const std::string& gateway, const std::string& route, int64_t before,
                                                 int limit) const;

  // Checks a graph against the gateway's providers and prices.
  absl::StatusOr<CheckedRoute> Check(const std::string& gateway, const std::string& json) const;
  // Compiles a checked graph as it would be compiled now; stores nothing.
  absl::StatusOr<v1::CompiledRoute> Compile(const RouteIdentity& identity, const v1::RouteSpec& spec) const;

  // `version` 0: the latest.
  absl::StatusOr<Deployed> Deploy(const std::string& gateway, const std::string& route, int64_t version,
                                  const std::string& author, const std::string& comment, bool force);
  // Goes back to `to`, which must be earlier than what serves; 0: the last one deployed that is earlier.
  absl::StatusOr<Deployed> Rollback(const std::string& gateway, const std::string& route, int64_t to,
                                    const std::string& author, const std::string& comment, bool force);
  // Newest first, from the first below `before` (0: the newest).
  absl::StatusOr<Page<v1::Deployment>> ListDeployments(const std::string& gateway, const std::string& route,
                                                       int64_t before, int limit) const;

 private:
  absl::StatusOr<v1::Version> InsertVersion(const v1::Route& route, const NewVersion& version,
                                            const CheckedRoute& checked) SB_REQUIRES(core_.mutex);

  StoreCore& core_;
};

}  // namespace signalbox
