#include "controlplane/store/publication.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/manifest.h"
#include "common/sha256.h"
#include "controlplane/store/key_store.h"
#include "controlplane/store/provider_rows.h"

namespace signalbox {

absl::StatusOr<std::string> PutBlob(StoreCore& core, const v1::Resource& resource, bool sealed) {
  const std::string clear = SerializeDeterministic(resource);
  if (clear.size() > kBlobBytesMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a resource of ", clear.size(), " bytes is over the limit of ", kBlobBytesMax));
  }
  const std::string sha256 = Sha256(clear);
  const std::string content = sealed ? core.sealer->Seal(clear) : clear;
  RETURN_IF_ERROR(core.db->Run("INSERT INTO blobs(sha256, content, sealed) VALUES(?,?,?) ON CONFLICT DO NOTHING",
                               SqlBlob{sha256}, SqlBlob{content}, sealed));
  return sha256;
}

absl::Status CollectBlob(StoreCore& core, const std::string& sha256) {
  return core.db->Run(
      "DELETE FROM blobs WHERE sha256=?1 AND NOT EXISTS(SELECT 1 FROM resources WHERE sha256=?1)"
      " AND NOT EXISTS(SELECT 1 FROM versions WHERE blob_sha256=?1)",
      SqlBlob{sha256});
}

absl::Status SetResource(StoreCore& core, const std::string& name, const std::string& sha256) {
  std::string old;
  {
    ASSIGN_OR_RETURN(SqliteStatement query, core.db->Query("SELECT sha256 FROM resources WHERE name=?", name));
    ASSIGN_OR_RETURN(const bool found, query.Step());
    if (found) old = query.Text(0);
  }
  if (old == sha256) return absl::OkStatus();
  RETURN_IF_ERROR(
      core.db->Run("INSERT INTO resources(name, sha256) VALUES(?,?)"
                   " ON CONFLICT(name) DO UPDATE SET sha256=excluded.sha256",
                   name, SqlBlob{sha256}));
  return old.empty() ? absl::OkStatus() : CollectBlob(core, old);
}

absl::Status RemoveResource(StoreCore& core, const std::string& name) {
  std::string old;
  {
    ASSIGN_OR_RETURN(SqliteStatement query, core.db->Query("SELECT sha256 FROM resources WHERE name=?", name));
    ASSIGN_OR_RETURN(const bool found, query.Step());
    if (!found) return absl::OkStatus();
    old = query.Text(0);
  }
  RETURN_IF_ERROR(core.db->Run("DELETE FROM resources WHERE name=?", name));
  return CollectBlob(core, old);
}

absl::StatusOr<std::string> CompileVersion(StoreCore& core, const v1::Route& route, int64_t version,
                                           const v1::RouteSpec& spec) {
  v1::Resource resource;
  ASSIGN_OR_RETURN(*resource.mutable_route(),
                   CompileInGateway(core, RouteIdentity{route.gateway(), route.id(), route.name(), version}, spec));
  ASSIGN_OR_RETURN(const std::string sha256, PutBlob(core, resource, /*sealed=*/false));
  std::string old;
  {
    ASSIGN_OR_RETURN(
        SqliteStatement query,
        core.db->Query("SELECT blob_sha256 FROM versions WHERE route_id=? AND number=?", route.id(), version));
    RETURN_IF_ERROR(query.Step().status());
    old = query.Text(0);
  }
  RETURN_IF_ERROR(core.db->Run("UPDATE versions SET blob_sha256=? WHERE route_id=? AND number=?", SqlBlob{sha256},
                               route.id(), version));
  if (!old.empty() && old != sha256) RETURN_IF_ERROR(CollectBlob(core, old));
  for (const v1::CompiledElement& element : resource.route().elements()) {
    if (!element.has_model()) continue;
    RETURN_IF_ERROR(core.db->Run(
        "INSERT INTO version_models(route_id, version, provider, model) VALUES(?,?,?,?) ON CONFLICT DO NOTHING",
        route.id(), version, element.model().provider(), element.model().model()));
  }
  return sha256;
}

absl::StatusOr<std::string> RecompileVersion(StoreCore& core, const v1::Route& route, int64_t number) {
  ASSIGN_OR_RETURN(const v1::Version version, FindVersion(core, route, number));
  ASSIGN_OR_RETURN(const ValidationContext context, ContextOf(core, route.gateway()));
  const CheckedRoute checked = CheckRoute(version.json(), context);
  if (!checked.compiles) {
    return FaultsStatus(absl::StatusCode::kFailedPrecondition, Describe(route, number), checked.faults);
  }
  v1::Faults faults;
  faults.mutable_faults()->Assign(checked.faults.begin(), checked.faults.end());
  RETURN_IF_ERROR(core.db->Run("UPDATE versions SET compiles=1, faults=? WHERE route_id=? AND number=?",
                               SqlBlob{faults.SerializeAsString()}, route.id(), number));
  return CompileVersion(core, route, number, checked.spec);
}

absl::StatusOr<v1::SnapshotId> LastSnapshot(const StoreCore& core) {
  v1::SnapshotId id;
  id.set_lineage(core.lineage);
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core.db->Query("SELECT sequence, sha256 FROM snapshots ORDER BY sequence DESC LIMIT 1"));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  if (found) {
    id.set_sequence(query.Int(0));
    id.set_sha256(query.Text(1));
  }
  return id;
}

absl::StatusOr<v1::SnapshotId> PublishNext(StoreCore& core, const std::string& cause, First first, bool force) {
  ASSIGN_OR_RETURN(v1::SnapshotId id, LastSnapshot(core));
  if (id.sequence() == 0 && first == First::kNo) return id;
  std::vector<v1::ManifestEntry> manifest;
  int64_t routes = 0;
  {
    ASSIGN_OR_RETURN(SqliteStatement query, core.db->Query("SELECT name, sha256 FROM resources ORDER BY name"));
    while (true) {
      ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) break;
      v1::ManifestEntry& entry = manifest.emplace_back();
      entry.set_name(query.Text(0));
      entry.set_sha256(query.Text(1));
      if (entry.name().find("/routes/") != std::string::npos) ++routes;
    }
  }
  const std::string sha256 = ManifestSha256(manifest);
  if (id.sequence() != 0 && sha256 == id.sha256()) return id;
  int64_t routes_before = 0;
  if (id.sequence() != 0) {
    ASSIGN_OR_RETURN(SqliteStatement query,
                     core.db->Query("SELECT routes FROM snapshots WHERE sequence=?", id.sequence()));
    RETURN_IF_ERROR(query.Step().status());
    routes_before = query.Int(0);
  }
  if (!force && routes_before >= kShrinkGuardRoutesMin && routes * 2 < routes_before) {
    return absl::FailedPreconditionError(absl::StrCat("this would leave ", routes, " of ", routes_before,
                                                      " routes deployed; repeat it with force if that is meant"));
  }
  RETURN_IF_ERROR(core.db->Run("INSERT INTO snapshots(sha256, routes, cause, create_us) VALUES(?,?,?,?)", sha256,
                               routes, cause, core.clock->UnixMicros()));
  id.set_sequence(core.db->LastInsertRowId());
  id.set_sha256(sha256);
  return id;
}

absl::StatusOr<v1::Deployment> DeployVersion(StoreCore& core, v1::Route& route, const DeployOrder& order,
                                             v1::SnapshotId& snapshot) {
  ASSIGN_OR_RETURN(const std::string sha256, RecompileVersion(core, route, order.version));
  RETURN_IF_ERROR(SetResource(core, RouteResource(route.gateway(), route.id()), sha256));
  const int64_t now_us = core.clock->UnixMicros();
  RETURN_IF_ERROR(
      core.db->Run("UPDATE routes SET deployed_version=?, update_us=? WHERE id=?", order.version, now_us, route.id()));
  ASSIGN_OR_RETURN(snapshot, PublishNext(core, absl::StrCat("deploy ", route.name(), " v", order.version), First::kYes,
                                         order.force));
  RETURN_IF_ERROR(core.db->Run(
      "INSERT INTO deployments(route_id, version, previous_version, author, comment, "
      "create_us, snapshot_sequence) VALUES(?,?,?,?,?,?,?)",
      route.id(), order.version, route.deployed_version(), order.author, order.comment, now_us, snapshot.sequence()));
  v1::Deployment deployment;
  deployment.set_id(core.db->LastInsertRowId());
  deployment.set_route_id(route.id());
  deployment.set_version(order.version);
  deployment.set_previous_version(route.deployed_version());
  deployment.set_rollback(order.version < route.deployed_version());
  deployment.set_author(order.author);
  deployment.set_comment(order.comment);
  *deployment.mutable_create_time() = ToTimestamp(now_us);
  deployment.set_snapshot_sequence(snapshot.sequence());
  route.set_deployed_version(order.version);
  *route.mutable_update_time() = ToTimestamp(now_us);
  return deployment;
}

absl::StatusOr<v1::GatewaySettings> FindSettings(const StoreCore& core, const std::string& gateway) {
  ASSIGN_OR_RETURN(SqliteStatement query, core.db->Query("SELECT g.settings, r.name FROM gateways g LEFT JOIN routes r"
                                                         " ON r.id=g.default_route_id WHERE g.name=?",
                                                         gateway));
  RETURN_IF_ERROR(query.Step().status());
  v1::GatewaySettings settings;
  if (!settings.ParseFromString(query.Text(0))) {
    return absl::DataLossError(absl::StrCat("gateway \"", gateway, "\": its stored settings are unreadable"));
  }
  settings.set_default_route(query.Text(1));
  return settings;
}

absl::Status PublishGateway(StoreCore& core, const std::string& gateway) {
  v1::Resource resource;
  resource.mutable_gateway()->set_gateway(gateway);
  ASSIGN_OR_RETURN(*resource.mutable_gateway()->mutable_settings(), FindSettings(core, gateway));
  ASSIGN_OR_RETURN(const std::string sha256, PutBlob(core, resource, /*sealed=*/false));
  return SetResource(core, GatewayResource(gateway), sha256);
}

absl::Status PublishProvider(StoreCore& core, const std::string& gateway, const std::string& name) {
  v1::Resource resource;
  ASSIGN_OR_RETURN(*resource.mutable_provider(), ProviderForSnapshot(core, gateway, name));
  ASSIGN_OR_RETURN(const std::string sha256, PutBlob(core, resource, /*sealed=*/true));
  RETURN_IF_ERROR(SetResource(core, ProviderResource(gateway, name), sha256));
  return PublishPrices(core, gateway, name);
}

absl::Status PublishPrices(StoreCore& core, const std::string& gateway, const std::string& provider) {
  v1::Resource resource;
  v1::SnapshotPrices& published = *resource.mutable_prices();
  published.set_gateway(gateway);
  published.set_provider(provider);
  ASSIGN_OR_RETURN(const std::vector<v1::ModelPrice> prices, PricesInForce(core, gateway, provider));
  if (prices.empty()) return RemoveResource(core, PricesResource(gateway, provider));
  published.mutable_prices()->Assign(prices.begin(), prices.end());
  ASSIGN_OR_RETURN(const std::string sha256, PutBlob(core, resource, /*sealed=*/false));
  return SetResource(core, PricesResource(gateway, provider), sha256);
}

namespace {

// What blobs are made of besides rows: with another one they are made anew.
std::string MadeOf(const StoreCore& core) SB_REQUIRES(core.mutex) {
  return absl::StrCat("schema ", kSchema, ", prices ", core.catalogue.sha256());
}

}  // namespace

absl::StatusOr<bool> IsMadeOfTheSame(const StoreCore& core) {
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core.db->Query("SELECT 1 FROM meta WHERE key='made_of' AND value=?", MadeOf(core)));
  return query.Step();
}

absl::Status NoteWhatItIsMadeOf(StoreCore& core) {
  return core.db->Run(
      "INSERT INTO meta(key, value) VALUES('made_of',?) ON CONFLICT(key) DO UPDATE SET value=excluded.value",
      MadeOf(core));
}

absl::Status PublishEverything(StoreCore& core, const std::string& cause) {
  ASSIGN_OR_RETURN(const std::vector<std::string> gateways,
                   TextColumn(core.db->Query("SELECT name FROM gateways ORDER BY name")));
  for (const std::string& gateway : gateways) {
    RETURN_IF_ERROR(PublishGateway(core, gateway));
    ASSIGN_OR_RETURN(const std::vector<std::string> providers, ProviderNames(core, gateway));
    for (const std::string& provider : providers) {
      if (const absl::Status status = ProviderForSnapshot(core, gateway, provider).status(); !status.ok()) continue;
      RETURN_IF_ERROR(PublishProvider(core, gateway, provider));
    }
    ASSIGN_OR_RETURN(const std::vector<std::string> routes,
                     TextColumn(core.db->Query("SELECT id FROM routes WHERE gateway=? AND tombstone_us IS NULL AND"
                                               " deployed_version<>0 ORDER BY id",
                                               gateway)));
    for (const std::string& id : routes) {
      ASSIGN_OR_RETURN(const RouteRow row, FindRoute(core, gateway, id));
      const absl::StatusOr<std::string> sha256 = RecompileVersion(core, row.route, row.route.deployed_version());
      if (absl::IsFailedPrecondition(sha256.status())) continue;
      RETURN_IF_ERROR(sha256.status());
      RETURN_IF_ERROR(SetResource(core, RouteResource(gateway, id), *sha256));
    }
  }
  RETURN_IF_ERROR(PublishNext(core, cause, First::kNo, false).status());
  return NoteWhatItIsMadeOf(core);
}

absl::Status PublishKey(StoreCore& core, const std::string& key_id) {
  ASSIGN_OR_RETURN(const KeyRow row, FindKey(core, key_id));
  const std::string name = KeyResource(row.key.gateway(), key_id);
  if (row.key.has_revoke_time()) return RemoveResource(core, name);
  v1::Resource resource;
  v1::SnapshotKey& key = *resource.mutable_key();
  key.set_gateway(row.key.gateway());
  key.set_id(key_id);
  key.set_sha256(row.sha256);
  key.set_pinned_metadata_json(row.key.pinned_metadata_json());
  key.set_cache_group(row.key.cache_group());
  *key.mutable_allowed_routes() = row.key.allowed_routes();
  if (row.key.has_expire_time()) key.set_expire_time_us(FromTimestamp(row.key.expire_time()));
  ASSIGN_OR_RETURN(const std::string sha256, PutBlob(core, resource, /*sealed=*/false));
  return SetResource(core, name, sha256);
}

}  // namespace signalbox
