#include "controlplane/store/sqlite_store.h"

#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/limits.h"
#include "common/sha256.h"
#include "controlplane/store/publication.h"
#include "controlplane/store/schema.h"

namespace signalbox {

SqliteStore::SqliteStore(std::unique_ptr<StoreCore> core)
    : core_(std::move(core)),
      routes_(*core_),
      gateways_(*core_),
      keys_(*core_),
      prices_(*core_),
      catalogue_(*core_),
      tokens_(*core_),
      audit_(*core_) {}

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const StoreOptions& options, const Clock& clock) {
  auto core = std::make_unique<StoreCore>();
  core->clock = &clock;
  core->bundled_catalogue = options.bundled_catalogue;
  const std::string key_path =
      options.master_key_path.empty() ? absl::StrCat(options.data_dir, "/master.key") : options.master_key_path;
  const std::string database_path = absl::StrCat(options.data_dir, "/routes.db");
  if (std::error_code ignored;  // what cannot be looked at cannot be opened either, and says so then
      std::filesystem::exists(database_path, ignored) && !std::filesystem::exists(key_path, ignored)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "there is no master key at ", key_path, ", but ", database_path,
        " may hold secrets that only it opens: put the key back, or give its place with --master_key_file"));
  }
  ASSIGN_OR_RETURN(core->sealer, Sealer::FromKeyFile(key_path));
  SqliteOptions sqlite;
  sqlite.path = database_path;
  sqlite.vfs = options.vfs;
  {
    MutexLock lock(core->mutex);
    ASSIGN_OR_RETURN(core->db, SqliteDb::Open(sqlite));
    RETURN_IF_ERROR(core->db->CheckIntegrity());
    RETURN_IF_ERROR(core->db->Migrate(StoreMigrations()));
    core->catalogue = options.bundled_catalogue;
    RETURN_IF_ERROR(LoadCatalogue(*core, options.read_catalogue));
  }
  std::unique_ptr<SqliteStore> store(new SqliteStore(std::move(core)));
  RETURN_IF_ERROR(store->Prepare());
  return store;
}

// Lineage first, gateway second: a crash in between is made good by the next start.
absl::Status SqliteStore::Prepare() {
  {
    MutexLock lock(core_->mutex);
    RETURN_IF_ERROR(
        core_->db->Run("INSERT INTO meta(key, value) VALUES('lineage',?) ON CONFLICT DO NOTHING", NewUuid()));
    ASSIGN_OR_RETURN(SqliteStatement query, core_->db->Query("SELECT value FROM meta WHERE key='lineage'"));
    RETURN_IF_ERROR(query.Step().status());
    core_->lineage = query.Text(0);
    bool found = false;
    {
      ASSIGN_OR_RETURN(SqliteStatement gateway, core_->db->Query("SELECT 1 FROM gateways WHERE name='default'"));
      ASSIGN_OR_RETURN(found, gateway.Step());
    }
    if (found) return PublishAfterUpgrade();
  }
  RETURN_IF_ERROR(gateways_.Create("default").status());
  MutexLock lock(core_->mutex);
  return NoteWhatItIsMadeOf(*core_);
}

absl::Status SqliteStore::PublishAfterUpgrade() {
  ASSIGN_OR_RETURN(const bool same, IsMadeOfTheSame(*core_));
  if (same) return absl::OkStatus();
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_->db));
  RETURN_IF_ERROR(PublishEverything(*core_, "start"));
  return transaction.Commit();
}

absl::StatusOr<PublishedSnapshot> SqliteStore::ReadSnapshot() const {
  MutexLock lock(core_->mutex);
  PublishedSnapshot snapshot;
  snapshot.schema = kSchema;
  ASSIGN_OR_RETURN(snapshot.id, LastSnapshot(*core_));
  if (snapshot.id.sequence() == 0) return snapshot;
  ASSIGN_OR_RETURN(SqliteStatement query, core_->db->Query("SELECT name, sha256 FROM resources ORDER BY name"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return snapshot;
    v1::ManifestEntry& entry = snapshot.manifest.emplace_back();
    entry.set_name(query.Text(0));
    entry.set_sha256(query.Text(1));
  }
}

absl::StatusOr<std::string> SqliteStore::ReadBlob(const std::string& sha256) const {
  MutexLock lock(core_->mutex);
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core_->db->Query("SELECT content, sealed FROM blobs WHERE sha256=?", SqlBlob{sha256}));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) return absl::NotFoundError(absl::StrCat("blob ", Hex(sha256), " is no longer published"));
  if (query.Int(1) == 0) return query.Text(0);
  absl::StatusOr<std::string> clear = core_->sealer->Open(query.Text(0));
  if (clear.ok()) return clear;
  return absl::Status(clear.status().code(),
                      absl::StrCat("blob ", Hex(sha256), ": ", std::string(clear.status().message()),
                                   "; restore the master key file that belongs to ", core_->db->path()));
}

// Ids have no fixed alphabet: each in hex, behind a blank.
absl::Status SqliteStore::RememberFleet(const std::vector<std::string>& proxy_ids) {
  std::string text;
  for (const std::string& id : proxy_ids) absl::StrAppend(&text, text.empty() ? "" : " ", absl::BytesToHexString(id));
  MutexLock lock(core_->mutex);
  return core_->db->Run(
      "INSERT INTO meta(key, value) VALUES('fleet',?) ON CONFLICT(key) DO UPDATE SET value=excluded.value", text);
}

absl::StatusOr<std::vector<std::string>> SqliteStore::RememberedFleet() const {
  MutexLock lock(core_->mutex);
  ASSIGN_OR_RETURN(SqliteStatement query, core_->db->Query("SELECT value FROM meta WHERE key='fleet'"));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  std::vector<std::string> proxy_ids;
  if (!found) return proxy_ids;
  const std::string text = query.Text(0);
  for (const absl::string_view id : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    proxy_ids.push_back(absl::HexStringToBytes(id));
  }
  return proxy_ids;
}

absl::Status SqliteStore::Backup(const std::string& target_path) const {
  constexpr int kPagesAStep = 256;  // a megabyte at a time, so that nobody waits long for the mutex
  std::optional<SqliteBackup> backup;
  {
    MutexLock lock(core_->mutex);
    ASSIGN_OR_RETURN(SqliteBackup started, SqliteBackup::Start(*core_->db, target_path));
    backup.emplace(std::move(started));
  }
  while (true) {
    MutexLock lock(core_->mutex);
    absl::StatusOr<bool> complete = backup->Step(kPagesAStep);
    if (complete.ok() && !*complete) continue;
    backup.reset();  // under the mutex: it lets go of the connection
    return complete.status();
  }
}

}  // namespace signalbox
