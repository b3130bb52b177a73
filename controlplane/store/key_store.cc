#include "controlplane/store/key_store.h"

#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/seal/seal.h"
#include "common/sha256.h"
#include "controlplane/store/publication.h"

namespace signalbox {

absl::StatusOr<KeyRow> FindKey(const StoreCore& core, const std::string& id) {
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core.db->Query("SELECT gateway, display_name, sha256, pinned_metadata_json, expire_us, create_us, "
                                  "revoke_us, cache_group FROM keys WHERE id=?",
                                  id));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found)
    return absl::NotFoundError(absl::StrCat("unknown key \"", id, "\"; list the gateway's keys for their ids"));
  KeyRow row;
  row.key.set_gateway(query.Text(0));
  row.key.set_id(id);
  row.key.set_display_name(query.Text(1));
  row.sha256 = query.Text(2);
  row.key.set_pinned_metadata_json(query.Text(3));
  if (query.Int(4) != 0) *row.key.mutable_expire_time() = ToTimestamp(query.Int(4));
  *row.key.mutable_create_time() = ToTimestamp(query.Int(5));
  if (query.Int(6) != 0) *row.key.mutable_revoke_time() = ToTimestamp(query.Int(6));
  row.key.set_cache_group(query.Text(7));
  ASSIGN_OR_RETURN(SqliteStatement routes,
                   core.db->Query("SELECT r.name, r.tombstone_us IS NULL FROM key_routes k JOIN routes r"
                                  " ON r.id=k.route_id WHERE k.key_id=? ORDER BY k.position",
                                  id));
  while (true) {
    ASSIGN_OR_RETURN(const bool more, routes.Step());
    if (!more) return row;
    row.key.add_allowed_routes(routes.Int(1) != 0 ? routes.Text(0) : absl::StrCat("deleted:", routes.Text(0)));
  }
}

absl::Status PublishKeysOfRoute(StoreCore& core, const std::string& route_id) {
  std::vector<std::string> ids;
  {
    ASSIGN_OR_RETURN(SqliteStatement query,
                     core.db->Query("SELECT DISTINCT key_id FROM key_routes WHERE route_id=?", route_id));
    while (true) {
      ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) break;
      ids.push_back(query.Text(0));
    }
  }
  for (const std::string& id : ids) RETURN_IF_ERROR(PublishKey(core, id));
  return absl::OkStatus();
}

absl::StatusOr<v1::GatewayKey> KeyStore::Create(const v1::GatewayKey& key, const std::string& sha256) {
  MutexLock lock(core_.mutex);
  RETURN_IF_ERROR(RequireGateway(core_, key.gateway()));
  std::vector<std::string> route_ids;
  std::set<std::string> seen;
  for (const std::string& name : key.allowed_routes()) {
    ASSIGN_OR_RETURN(const RouteRow row, FindRoute(core_, key.gateway(), name));
    if (seen.insert(row.route.id()).second) route_ids.push_back(row.route.id());
  }
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
  ASSIGN_OR_RETURN(const std::string id, Insert(key, sha256, route_ids));
  RETURN_IF_ERROR(PublishNext(core_, absl::StrCat("key ", id), First::kNo, false).status());
  ASSIGN_OR_RETURN(KeyRow row, FindKey(core_, id));
  RETURN_IF_ERROR(transaction.Commit());
  return std::move(row.key);
}

absl::StatusOr<std::string> KeyStore::Insert(const v1::GatewayKey& key, const std::string& sha256,
                                             const std::vector<std::string>& route_ids) {
  const std::string id = NewUuid();
  RETURN_IF_ERROR(core_.db->Run(
      "INSERT INTO keys(id, gateway, display_name, sha256, pinned_metadata_json, expire_us, create_us, revoke_us, "
      "cache_group) VALUES(?,?,?,?,?,?,?,0,?)",
      id, key.gateway(), key.display_name(), sha256, key.pinned_metadata_json(),
      key.has_expire_time() ? FromTimestamp(key.expire_time()) : int64_t{0}, core_.clock->UnixMicros(),
      key.cache_group()));
  for (size_t i = 0; i < route_ids.size(); ++i) {
    RETURN_IF_ERROR(core_.db->Run("INSERT INTO key_routes(key_id, position, route_id) VALUES(?,?,?)", id,
                                  static_cast<int64_t>(i), route_ids[i]));
  }
  RETURN_IF_ERROR(PublishKey(core_, id));
  return id;
}

absl::StatusOr<std::optional<KeyStore::LiveKey>> KeyStore::FindLiveKey(const std::string& gateway) {
  ASSIGN_OR_RETURN(
      SqliteStatement query,
      core_.db->Query("SELECT key_id, sealed_text, snapshot_sequence FROM live_keys WHERE gateway=?", gateway));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) return std::optional<LiveKey>();
  ASSIGN_OR_RETURN(KeyRow row, FindKey(core_, query.Text(0)));
  absl::StatusOr<std::string> text = core_.sealer->Open(query.Text(1));
  if (row.key.has_revoke_time() || !text.ok()) return std::optional<LiveKey>();
  return std::optional<LiveKey>(LiveKey{std::move(row.key), *std::move(text), query.Int(2), /*made=*/false});
}

absl::StatusOr<KeyStore::LiveKey> KeyStore::GetLiveKey(const std::string& gateway) {
  MutexLock lock(core_.mutex);
  RETURN_IF_ERROR(RequireGateway(core_, gateway));
  ASSIGN_OR_RETURN(std::optional<LiveKey> known, FindLiveKey(gateway));
  if (known.has_value()) return *std::move(known);
  LiveKey live;
  live.made = true;
  live.text = NewSecret("sbx_");
  v1::GatewayKey key;
  key.set_gateway(gateway);
  key.set_display_name("console live runs");
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
  ASSIGN_OR_RETURN(const std::string id, Insert(key, Sha256Hex(live.text), {}));
  ASSIGN_OR_RETURN(const v1::SnapshotId snapshot,
                   PublishNext(core_, absl::StrCat("key ", id), First::kNo, /*force=*/false));
  live.snapshot_sequence = snapshot.sequence();
  RETURN_IF_ERROR(
      core_.db->Run("INSERT INTO live_keys(gateway, key_id, sealed_text, snapshot_sequence) VALUES(?,?,?,?)"
                    " ON CONFLICT(gateway) DO UPDATE SET key_id=excluded.key_id, sealed_text=excluded.sealed_text,"
                    " snapshot_sequence=excluded.snapshot_sequence",
                    gateway, id, SqlBlob{core_.sealer->Seal(live.text)}, live.snapshot_sequence));
  ASSIGN_OR_RETURN(KeyRow row, FindKey(core_, id));
  RETURN_IF_ERROR(transaction.Commit());
  live.key = std::move(row.key);
  return live;
}

absl::StatusOr<Page<v1::GatewayKey>> KeyStore::List(const std::string& gateway, const std::string& after_id,
                                                    int limit) const {
  MutexLock lock(core_.mutex);
  RETURN_IF_ERROR(RequireGateway(core_, gateway));
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core_.db->Query("SELECT id FROM keys WHERE gateway=? AND"
                                   " seq>coalesce((SELECT seq FROM keys WHERE id=?),0) ORDER BY seq LIMIT ?",
                                   gateway, after_id, limit + 1));
  Page<v1::GatewayKey> page;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, query.Step());
    if (!more) return page;
    if (page.items.size() == static_cast<size_t>(limit)) {
      page.more = true;
      return page;
    }
    ASSIGN_OR_RETURN(KeyRow row, FindKey(core_, query.Text(0)));
    page.items.push_back(std::move(row.key));
  }
}

absl::StatusOr<v1::GatewayKey> KeyStore::Revoke(const std::string& gateway, const std::string& id) {
  MutexLock lock(core_.mutex);
  RETURN_IF_ERROR(RequireGateway(core_, gateway));
  ASSIGN_OR_RETURN(KeyRow row, FindKey(core_, id));
  if (row.key.gateway() != gateway) {
    return absl::NotFoundError(absl::StrCat("gateway \"", gateway, "\": unknown key \"", id, "\""));
  }
  if (row.key.has_revoke_time()) return std::move(row.key);
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
  RETURN_IF_ERROR(core_.db->Run("UPDATE keys SET revoke_us=? WHERE id=?", core_.clock->UnixMicros(), id));
  RETURN_IF_ERROR(PublishKey(core_, id));
  RETURN_IF_ERROR(PublishNext(core_, absl::StrCat("revoke key ", id), First::kNo, false).status());
  ASSIGN_OR_RETURN(row, FindKey(core_, id));
  RETURN_IF_ERROR(transaction.Commit());
  return std::move(row.key);
}

}  // namespace signalbox
