#include "controlplane/store/route_store.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/manifest.h"
#include "controlplane/store/publication.h"

namespace signalbox {
namespace {

absl::Status CheckEtag(const v1::Route& route, const std::string& etag) {
  if (etag.empty() || etag == route.etag()) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat(Describe(route), " was changed meanwhile (its etag is \"", route.etag(),
                                         "\", yours \"", etag, "\"); read it again and repeat"));
}

absl::Status NameTaken(const std::string& gateway, const std::string& name) {
  return absl::AlreadyExistsError(absl::StrCat("gateway \"", gateway, "\" already has a route \"", name, "\""));
}

// A draft may be what its author is still writing; anything else has no errors.
absl::Status CheckSavable(const CheckedRoute& checked, const std::string& context, bool allow_draft) {
  if (checked.compiles || allow_draft) return absl::OkStatus();
  return FaultsStatus(absl::StatusCode::kInvalidArgument, context, checked.faults);
}

absl::Status CheckNames(const v1::Route& route, const CheckedRoute& checked) {
  if (checked.spec.name().empty() || checked.spec.name() == route.name()) return absl::OkStatus();
  v1::Fault fault;
  fault.set_severity(v1::SEVERITY_ERROR);
  fault.set_path("$.name");
  fault.set_code("name_mismatch");
  fault.set_message(absl::StrCat("the JSON is of a route \"", checked.spec.name(), "\", not of \"", route.name(),
                                 "\"; correct its name, or rename the route"));
  return FaultsStatus(absl::StatusCode::kInvalidArgument, Describe(route), {fault});
}

}  // namespace

absl::StatusOr<v1::Version> RouteStore::InsertVersion(const v1::Route& route, const NewVersion& version,
                                                      const CheckedRoute& checked) {
  v1::Faults faults;
  faults.mutable_faults()->Assign(checked.faults.begin(), checked.faults.end());
  const int64_t number = route.latest_version();
  RETURN_IF_ERROR(core_.db->Run(
      "INSERT INTO versions(route_id, number, json, spec_sha256, compiles, faults, author, comment, create_us, "
      "positions_json) VALUES(?,?,?,?,?,?,?,?,?,?)",
      route.id(), number, version.json, RouteSpecSha256(checked.spec), checked.compiles,
      SqlBlob{faults.SerializeAsString()}, version.author, version.comment, core_.clock->UnixMicros(),
      version.positions_json));
  if (checked.compiles) RETURN_IF_ERROR(CompileVersion(core_, route, number, checked.spec).status());
  return FindVersion(core_, route, number);
}

absl::StatusOr<CreatedRoute> RouteStore::Create(const std::string& gateway, const NewVersion& version, bool deploy) {
  MutexLock lock(core_.mutex);
  RETURN_IF_ERROR(RequireGateway(core_, gateway));
  ASSIGN_OR_RETURN(const ValidationContext context, ContextOf(core_, gateway));
  const CheckedRoute checked = CheckRoute(version.json, context);
  const std::string described = absl::StrCat("route \"", checked.spec.name(), "\"");
  RETURN_IF_ERROR(CheckSavable(checked, described, version.allow_draft));
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
  const int64_t now_us = core_.clock->UnixMicros();
  const std::string id = NewUuid();
  const absl::Status inserted = core_.db->Run(
      "INSERT INTO routes(id, gateway, name, revision, latest_version, create_us, update_us) VALUES(?,?,?,1,1,?,?)", id,
      gateway, checked.spec.name(), now_us, now_us);
  if (absl::IsAlreadyExists(inserted)) return NameTaken(gateway, checked.spec.name());
  RETURN_IF_ERROR(inserted);
  ASSIGN_OR_RETURN(RouteRow row, FindRoute(core_, gateway, id));
  CreatedRoute created;
  ASSIGN_OR_RETURN(created.saved.version, InsertVersion(row.route, version, checked));
  if (deploy) {
    Deployed& deployed = created.deployed.emplace();
    ASSIGN_OR_RETURN(
        deployed.deployment,
        DeployVersion(core_, row.route, DeployOrder{1, version.author, version.comment, false}, deployed.snapshot));
  }
  RETURN_IF_ERROR(transaction.Commit());
  created.saved.route = row.route;
  return created;
}

absl::StatusOr<v1::Route> RouteStore::Get(const std::string& gateway, const std::string& route) const {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(RouteRow row, FindRoute(core_, gateway, route));
  return std::move(row.route);
}

absl::StatusOr<Page<v1::Route>> RouteStore::List(const std::string& gateway, const std::string& after_name,
                                                 int limit) const {
  MutexLock lock(core_.mutex);
  RETURN_IF_ERROR(RequireGateway(core_, gateway));
  std::vector<std::string> ids;
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core_.db->Query("SELECT id FROM routes WHERE gateway=? AND tombstone_us IS NULL AND name>?"
                                   " ORDER BY name LIMIT ?",
                                   gateway, after_name, limit + 1));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) break;
    ids.push_back(query.Text(0));
  }
  Page<v1::Route> page;
  page.more = ids.size() > static_cast<size_t>(limit);
  if (page.more) ids.pop_back();
  for (const std::string& id : ids) {
    ASSIGN_OR_RETURN(RouteRow row, FindRoute(core_, gateway, id));
    page.items.push_back(std::move(row.route));
  }
  return page;
}

absl::StatusOr<v1::Route> RouteStore::Rename(const std::string& gateway, const std::string& route,
                                             const std::string& new_name, const std::string& etag) {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(RouteRow row, FindRoute(core_, gateway, route));
  RETURN_IF_ERROR(CheckEtag(row.route, etag));
  if (row.route.name() == new_name) return row.route;
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
  const absl::Status renamed = core_.db->Run("UPDATE routes SET name=?, revision=revision+1, update_us=? WHERE id=?",
                                             new_name, core_.clock->UnixMicros(), row.route.id());
  if (absl::IsAlreadyExists(renamed)) return NameTaken(gateway, new_name);
  RETURN_IF_ERROR(renamed);
  ASSIGN_OR_RETURN(row, FindRoute(core_, gateway, row.route.id()));
  if (row.route.deployed_version() != 0) {
    ASSIGN_OR_RETURN(const std::string sha256, RecompileVersion(core_, row.route, row.route.deployed_version()));
    RETURN_IF_ERROR(SetResource(core_, RouteResource(gateway, row.route.id()), sha256));
  }
  RETURN_IF_ERROR(PublishKeysOfRoute(core_, row.route.id()));
  RETURN_IF_ERROR(PublishGateway(core_, gateway));  // it may be the default route
  RETURN_IF_ERROR(PublishNext(core_, absl::StrCat("rename to ", new_name), First::kNo, false).status());
  RETURN_IF_ERROR(transaction.Commit());
  return row.route;
}

absl::Status RouteStore::Delete(const std::string& gateway, const std::string& route, const std::string& etag,
                                bool force) {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(const RouteRow row, FindRoute(core_, gateway, route));
  RETURN_IF_ERROR(CheckEtag(row.route, etag));
  ASSIGN_OR_RETURN(const v1::GatewaySettings settings, FindSettings(core_, gateway));
  if (settings.default_route() == row.route.name()) {
    return absl::FailedPreconditionError(
        absl::StrCat(Describe(row.route), " is the default route of gateway \"", gateway,
                     "\": calls of plain models pass through it; give the gateway another one, or none, first"));
  }
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
  const int64_t now_us = core_.clock->UnixMicros();
  RETURN_IF_ERROR(core_.db->Run("UPDATE routes SET tombstone_us=?, update_us=?, revision=revision+1 WHERE id=?", now_us,
                                now_us, row.route.id()));
  RETURN_IF_ERROR(RemoveResource(core_, RouteResource(gateway, row.route.id())));
  RETURN_IF_ERROR(PublishKeysOfRoute(core_, row.route.id()));
  RETURN_IF_ERROR(PublishNext(core_, absl::StrCat("delete ", row.route.name()), First::kNo, force).status());
  return transaction.Commit();
}

absl::StatusOr<SavedVersion> RouteStore::Save(const std::string& gateway, const std::string& route,
                                              const std::string& etag, const NewVersion& version) {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(RouteRow row, FindRoute(core_, gateway, route));
  RETURN_IF_ERROR(CheckEtag(row.route, etag));
  ASSIGN_OR_RETURN(const ValidationContext context, ContextOf(core_, gateway));
  const CheckedRoute checked = CheckRoute(version.json, context);
  RETURN_IF_ERROR(CheckSavable(checked, Describe(row.route), version.allow_draft));
  RETURN_IF_ERROR(CheckNames(row.route, checked));

  SavedVersion saved;
  ASSIGN_OR_RETURN(saved.version, FindVersion(core_, row.route, 0));
  // What could not be read in full has no meaningful hash: drafts are compared as text.
  saved.unchanged = saved.version.compiles() == checked.compiles &&
                    (checked.compiles ? saved.version.sha256() == RouteSpecSha256(checked.spec)
                                      : saved.version.json() == version.json);
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
  if (saved.unchanged) {
    if (!version.positions_json.empty() && version.positions_json != saved.version.positions_json()) {
      RETURN_IF_ERROR(core_.db->Run("UPDATE versions SET positions_json=? WHERE route_id=? AND number=?",
                                    version.positions_json, row.route.id(), saved.version.number()));
      saved.version.set_positions_json(version.positions_json);
    }
  } else {
    RETURN_IF_ERROR(
        core_.db->Run("UPDATE routes SET latest_version=latest_version+1, revision=revision+1, update_us=? WHERE id=?",
                      core_.clock->UnixMicros(), row.route.id()));
    ASSIGN_OR_RETURN(row, FindRoute(core_, gateway, row.route.id()));
    ASSIGN_OR_RETURN(saved.version, InsertVersion(row.route, version, checked));
  }
  RETURN_IF_ERROR(transaction.Commit());
  saved.route = std::move(row.route);
  return saved;
}

absl::StatusOr<std::pair<v1::Route, v1::Version>> RouteStore::GetVersion(const std::string& gateway,
                                                                         const std::string& route,
                                                                         int64_t number) const {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(RouteRow row, FindRoute(core_, gateway, route, /*with_deleted=*/true));
  ASSIGN_OR_RETURN(v1::Version version, FindVersion(core_, row.route, number));
  return std::make_pair(std::move(row.route), std::move(version));
}

absl::StatusOr<Page<v1::Version>> RouteStore::ListVersions(const std::string& gateway, const std::string& route,
                                                           int64_t before, int limit) const {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(const RouteRow row, FindRoute(core_, gateway, route, /*with_deleted=*/true));
  Page<v1::Version> page;
  // Numbers run without gaps, so a page is a range.
  int64_t number = before == 0 ? row.route.latest_version() : std::min(before - 1, row.route.latest_version());
  for (; number >= 1 && page.items.size() < static_cast<size_t>(limit); --number) {
    ASSIGN_OR_RETURN(v1::Version version, FindVersion(core_, row.route, number));
    version.clear_json();
    version.clear_positions_json();
    page.items.push_back(std::move(version));
  }
  page.more = number >= 1;
  return page;
}

absl::StatusOr<CheckedRoute> RouteStore::Check(const std::string& gateway, const std::string& json) const {
  ValidationContext context;
  {
    MutexLock lock(core_.mutex);
    RETURN_IF_ERROR(RequireGateway(core_, gateway));
    ASSIGN_OR_RETURN(context, ContextOf(core_, gateway));
  }
  return CheckRoute(json, context);
}

absl::StatusOr<v1::CompiledRoute> RouteStore::Compile(const RouteIdentity& identity, const v1::RouteSpec& spec) const {
  MutexLock lock(core_.mutex);
  return CompileInGateway(core_, identity, spec);
}

absl::StatusOr<Deployed> RouteStore::Deploy(const std::string& gateway, const std::string& route, int64_t version,
                                            const std::string& author, const std::string& comment, bool force) {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(RouteRow row, FindRoute(core_, gateway, route));
  const DeployOrder order{version == 0 ? row.route.latest_version() : version, author, comment, force};
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
  Deployed deployed;
  ASSIGN_OR_RETURN(deployed.deployment, DeployVersion(core_, row.route, order, deployed.snapshot));
  RETURN_IF_ERROR(transaction.Commit());
  return deployed;
}

absl::StatusOr<Deployed> RouteStore::Rollback(const std::string& gateway, const std::string& route, int64_t to,
                                              const std::string& author, const std::string& comment, bool force) {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(RouteRow row, FindRoute(core_, gateway, route));
  const int64_t serving = row.route.deployed_version();
  if (serving == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(Describe(row.route), " was never deployed, so there is nothing to roll back"));
  }
  if (to == 0) {
    ASSIGN_OR_RETURN(
        SqliteStatement query,
        core_.db->Query("SELECT version FROM deployments WHERE route_id=? AND version<? ORDER BY id DESC LIMIT 1",
                        row.route.id(), serving));
    ASSIGN_OR_RETURN(const bool found, query.Step());
    if (!found) {
      return absl::FailedPreconditionError(absl::StrCat(Describe(row.route), ": no version earlier than v", serving,
                                                        ", which serves now, was ever deployed; name one"));
    }
    to = query.Int(0);
  }
  RETURN_IF_ERROR(FindVersion(core_, row.route, to).status());
  if (to >= serving) {
    return absl::FailedPreconditionError(absl::StrCat(Describe(row.route), ": v", to, " is not earlier than v", serving,
                                                      ", which serves now; deploy it instead"));
  }
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
  Deployed deployed;
  ASSIGN_OR_RETURN(deployed.deployment,
                   DeployVersion(core_, row.route, DeployOrder{to, author, comment, force}, deployed.snapshot));
  RETURN_IF_ERROR(transaction.Commit());
  return deployed;
}

absl::StatusOr<Page<v1::Deployment>> RouteStore::ListDeployments(const std::string& gateway, const std::string& route,
                                                                 int64_t before, int limit) const {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(const RouteRow row, FindRoute(core_, gateway, route, /*with_deleted=*/true));
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core_.db->Query("SELECT id, version, previous_version, author, comment, create_us, "
                                   "snapshot_sequence FROM deployments WHERE route_id=?1 AND (?2=0 OR id<?2)"
                                   " ORDER BY id DESC LIMIT ?3",
                                   row.route.id(), before, limit + 1));
  Page<v1::Deployment> page;
  while (true) {
    ASSIGN_OR_RETURN(const bool found, query.Step());
    if (!found) return page;
    if (page.items.size() == static_cast<size_t>(limit)) {
      page.more = true;
      return page;
    }
    v1::Deployment& deployment = page.items.emplace_back();
    deployment.set_id(query.Int(0));
    deployment.set_route_id(row.route.id());
    deployment.set_version(query.Int(1));
    deployment.set_previous_version(query.Int(2));
    deployment.set_rollback(query.Int(1) < query.Int(2));
    deployment.set_author(query.Text(3));
    deployment.set_comment(query.Text(4));
    *deployment.mutable_create_time() = ToTimestamp(query.Int(5));
    deployment.set_snapshot_sequence(query.Int(6));
  }
}

}  // namespace signalbox
