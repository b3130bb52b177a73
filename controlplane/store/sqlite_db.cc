#include "controlplane/store/sqlite_db.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "controlplane/store/sqlite_joined_wal.h"

namespace signalbox {
namespace {

absl::StatusCode CodeOf(int extended) {
  switch (extended) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
      return absl::StatusCode::kAlreadyExists;
    default:
      break;
  }
  switch (extended & 0xff) {
    case SQLITE_FULL:
    case SQLITE_TOOBIG:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_NOMEM:
      return absl::StatusCode::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_CONSTRAINT:
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::StatusCode::kInternal;
  }
}

std::string Remedy(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return "; the disk is full: free some space";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "; another process uses it: only one may";
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return "; check that the directory exists and is writable";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return "; restore it from a backup";
    default:
      return "";
  }
}

absl::Status ErrorOf(sqlite3* db, int code, const std::string& path) {
  const int extended = db != nullptr && sqlite3_errcode(db) == (code & 0xff) ? sqlite3_extended_errcode(db) : code;
  const char* text = db != nullptr && sqlite3_errcode(db) == (code & 0xff) ? sqlite3_errmsg(db) : sqlite3_errstr(code);
  return absl::Status(CodeOf(extended), absl::StrCat("database ", path, ": ", text, Remedy(code)));
}

}  // namespace

// ---- Statements that are kept ----

struct SqliteKeptStatement {
  sqlite3_stmt* statement = nullptr;
  bool taken = false;
};

// By their text: parsing one costs several times what running it does.
class SqliteStatementCache {
 public:
  ~SqliteStatementCache() { Close(); }
  // Null: there is none, or it is in use.
  SqliteKeptStatement* Take(std::string_view sql) {
    const auto found = kept_.find(absl::string_view(sql.data(), sql.size()));
    if (found == kept_.end() || std::exchange(found->second->taken, true)) return nullptr;
    return found->second.get();
  }
  // In use from the start. Null: there is one of that text already, and this one is the caller's alone.
  SqliteKeptStatement* Keep(sqlite3_stmt* statement) {
    if (kept_.size() >= kKeptMax) ClearUnused();  // texts that are made up as they are needed
    auto& kept = kept_[sqlite3_sql(statement)];
    if (kept != nullptr) return nullptr;
    kept = std::make_unique<SqliteKeptStatement>(SqliteKeptStatement{statement, true});
    return kept.get();
  }
  void Put(SqliteKeptStatement* kept) {
    kept->taken = false;
    if (closed_) ClearUnused();
  }
  void Close() {
    closed_ = true;
    ClearUnused();
  }

 private:
  static constexpr size_t kKeptMax = 128;
  void ClearUnused() {
    absl::erase_if(kept_, [](const auto& entry) {
      if (entry.second->taken) return false;
      sqlite3_finalize(entry.second->statement);
      return true;
    });
  }
  absl::flat_hash_map<std::string, std::unique_ptr<SqliteKeptStatement>> kept_;
  bool closed_ = false;
};

// ---- SqliteStatement ----

SqliteStatement& SqliteStatement::operator=(SqliteStatement&& other) noexcept {
  if (this != &other) {
    GiveBack();
    statement_ = std::exchange(other.statement_, nullptr);
    kept_ = std::exchange(other.kept_, nullptr);
    cache_ = std::move(other.cache_);
    path_ = other.path_;
    bind_error_ = other.bind_error_;
    used_ = other.used_;
  }
  return *this;
}

SqliteStatement::~SqliteStatement() { GiveBack(); }

void SqliteStatement::GiveBack() {
  if (statement_ == nullptr) return;
  if (kept_ == nullptr) {
    sqlite3_finalize(statement_);
    return;
  }
  if (used_) Reset();
  cache_->Put(kept_);
}

void SqliteStatement::Note(int code) {
  used_ = true;
  if (code != SQLITE_OK && bind_error_ == SQLITE_OK) bind_error_ = code;
}

void SqliteStatement::BindInt(int index, int64_t value) { Note(sqlite3_bind_int64(statement_, index, value)); }
void SqliteStatement::BindDouble(int index, double value) { Note(sqlite3_bind_double(statement_, index, value)); }
void SqliteStatement::BindNull(int index) { Note(sqlite3_bind_null(statement_, index)); }

// A null pointer would bind NULL, hence the "" for empty views.
void SqliteStatement::BindText(int index, std::string_view value) {
  Note(sqlite3_bind_text64(statement_, index, value.empty() ? "" : value.data(), value.size(),
                           borrows_ ? SQLITE_STATIC : SQLITE_TRANSIENT, SQLITE_UTF8));
}
void SqliteStatement::BindBlob(int index, std::string_view value) {
  Note(sqlite3_bind_blob64(statement_, index, value.empty() ? "" : value.data(), value.size(),
                           borrows_ ? SQLITE_STATIC : SQLITE_TRANSIENT));
}

absl::StatusOr<bool> SqliteStatement::Step() {
  if (bind_error_ != SQLITE_OK) return ErrorOf(nullptr, bind_error_, *path_);
  used_ = true;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  const absl::Status status = ErrorOf(sqlite3_db_handle(statement_), code, *path_);
  sqlite3_reset(statement_);
  return status;
}

absl::Status SqliteStatement::Run() {
  while (true) {
    ASSIGN_OR_RETURN(const bool row, Step());
    if (!row) break;
  }
  Reset();
  return absl::OkStatus();
}

void SqliteStatement::Reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  bind_error_ = SQLITE_OK;
  used_ = false;
}

int64_t SqliteStatement::Int(int column) const { return sqlite3_column_int64(statement_, column); }
double SqliteStatement::Double(int column) const { return sqlite3_column_double(statement_, column); }
bool SqliteStatement::IsNull(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

std::string SqliteStatement::Text(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), static_cast<size_t>(size));
}

// ---- SqliteDb ----

absl::StatusOr<std::unique_ptr<SqliteDb>> SqliteDb::Open(const SqliteOptions& options) {
  // Born private; SQLite gives its journal the same mode. Only when new: closing a descriptor of a file that this
  // process has open would drop its locks.
  const int fd = ::open(options.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) ::close(fd);
  // Counting what SQLite allocates takes a lock each time, and nobody asks. Refused, harmlessly, once SQLite is in use.
  static const int uncounted = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  static_cast<void>(uncounted);
  std::unique_ptr<SqliteDb> db(new SqliteDb(options.path));
  // NOMUTEX: the owner's Mutex guards the connection.
  const int code =
      sqlite3_open_v2(options.path.c_str(), &db->db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                      JoinedWalVfs(options.vfs).c_str());
  if (code != SQLITE_OK) return ErrorOf(db->db_, code, options.path);
  sqlite3_extended_result_codes(db->db_, 1);
  sqlite3_busy_timeout(db->db_, options.busy_timeout_ms);
  if (options.page_bytes > 0) RETURN_IF_ERROR(db->Exec(absl::StrCat("PRAGMA page_size=", options.page_bytes)));
  // EXCLUSIVE before WAL: the wal-index then lives in memory, and no second process can open the file.
  for (const char* pragma : {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL",
                             options.power_safe ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
                             "PRAGMA foreign_keys=ON", "PRAGMA trusted_schema=OFF", "BEGIN IMMEDIATE; COMMIT"}) {
    RETURN_IF_ERROR(db->Exec(pragma));
  }
  RETURN_IF_ERROR(db->Exec(absl::StrCat("PRAGMA wal_autocheckpoint=", options.checkpoint_pages)));
  ASSIGN_OR_RETURN(SqliteStatement mode, db->Query("PRAGMA journal_mode"));
  ASSIGN_OR_RETURN(const bool row, mode.Step());
  if (!row || mode.Text(0) != "wal") {
    return absl::FailedPreconditionError(
        absl::StrCat("database ", options.path, ": its filesystem does not support write-ahead logging"));
  }
  return db;
}

SqliteDb::SqliteDb(std::string path) : path_(std::move(path)), cache_(std::make_shared<SqliteStatementCache>()) {}

// Statements still open would keep the connection alive (zombie) rather than dangle.
SqliteDb::~SqliteDb() {
  cache_->Close();
  sqlite3_close_v2(db_);
}

absl::Status SqliteDb::Exec(const std::string& sql) {
  const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : ErrorOf(db_, code, path_);
}

absl::StatusOr<SqliteStatement> SqliteDb::Prepare(std::string_view sql) {
  SqliteStatement statement;
  statement.path_ = &path_;
  statement.cache_ = cache_;
  if (SqliteKeptStatement* const kept = cache_->Take(sql); kept != nullptr) {
    statement.kept_ = kept;
    statement.statement_ = kept->statement;
    return statement;
  }
  const int code = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                      &statement.statement_, nullptr);
  if (code != SQLITE_OK) return ErrorOf(db_, code, path_);
  if (statement.statement_ != nullptr) statement.kept_ = cache_->Keep(statement.statement_);
  return statement;
}

absl::Status SqliteDb::CheckIntegrity(int64_t bytes_max) {
  const auto damaged = [this](const std::string& what) {
    return absl::DataLossError(absl::StrCat("database ", path_, " is damaged (", what,
                                            "): put it aside and restore it from a backup, as docs/operating.md says "
                                            "under \"Backup and restore\""));
  };
  ASSIGN_OR_RETURN(SqliteStatement size,
                   Query("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"));
  RETURN_IF_ERROR(size.Step().status());
  if (size.Int(0) > bytes_max) return absl::OkStatus();
  ASSIGN_OR_RETURN(SqliteStatement check, Query("PRAGMA quick_check(1)"));
  const absl::StatusOr<bool> row = check.Step();
  if (absl::IsDataLoss(row.status())) return damaged(std::string(row.status().message()));
  RETURN_IF_ERROR(row.status());
  return *row && check.Text(0) == "ok" ? absl::OkStatus() : damaged(check.Text(0));
}

absl::Status SqliteDb::Migrate(const std::vector<std::string>& steps) {
  int64_t version = 0;
  {
    ASSIGN_OR_RETURN(SqliteStatement query, Query("PRAGMA user_version"));
    RETURN_IF_ERROR(query.Step().status());
    version = query.Int(0);
  }
  if (version > static_cast<int64_t>(steps.size())) {
    return absl::FailedPreconditionError(absl::StrCat("database ", path_, " has schema ", version,
                                                      ", newer than this build's ", steps.size(),
                                                      ": run the newer build, or restore an older backup"));
  }
  for (; version < static_cast<int64_t>(steps.size()); ++version) {
    ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*this));
    RETURN_IF_ERROR(Exec(steps[static_cast<size_t>(version)]));
    RETURN_IF_ERROR(Exec(absl::StrCat("PRAGMA user_version=", version + 1)));
    RETURN_IF_ERROR(transaction.Commit());
  }
  return absl::OkStatus();
}

int64_t SqliteDb::LastInsertRowId() const { return sqlite3_last_insert_rowid(db_); }
int64_t SqliteDb::Changes() const { return sqlite3_changes64(db_); }
bool SqliteDb::InTransaction() const { return sqlite3_get_autocommit(db_) == 0; }

// ---- SqliteTransaction ----

absl::StatusOr<SqliteTransaction> SqliteTransaction::Begin(SqliteDb& db) {
  RETURN_IF_ERROR(db.Run("BEGIN IMMEDIATE"));
  return SqliteTransaction(&db);
}

absl::Status SqliteTransaction::Commit() {
  const absl::Status status = db_->Run("COMMIT");
  if (status.ok()) db_ = nullptr;
  return status;
}

// SQLite rolls some failures back itself (full disk, I/O), and then there is nothing left to roll back. A ROLLBACK
// that fails leaves the database file as it was: the journal is only valid once committed.
SqliteTransaction::~SqliteTransaction() {
  if (db_ != nullptr && db_->InTransaction()) db_->Run("ROLLBACK").IgnoreError();
}

// ---- SqliteBackup ----

absl::StatusOr<SqliteBackup> SqliteBackup::Start(SqliteDb& source, const std::string& target_path) {
  // Secrets inside are sealed, yet a copy of the database is nobody else's business.
  const int fd = ::open(target_path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    return absl::FailedPreconditionError(absl::StrCat("cannot create ", target_path, ": ", std::strerror(errno)));
  }
  ::close(fd);
  SqliteBackup backup;
  backup.path_ = target_path;
  const int code = sqlite3_open_v2(target_path.c_str(), &backup.target_, SQLITE_OPEN_READWRITE, nullptr);
  if (code != SQLITE_OK) return ErrorOf(backup.target_, code, target_path);
  backup.backup_ = sqlite3_backup_init(backup.target_, "main", source.db_, "main");
  if (backup.backup_ == nullptr) return ErrorOf(backup.target_, sqlite3_errcode(backup.target_), target_path);
  return backup;
}

SqliteBackup::SqliteBackup(SqliteBackup&& other) noexcept
    : path_(std::move(other.path_)),
      target_(std::exchange(other.target_, nullptr)),
      backup_(std::exchange(other.backup_, nullptr)),
      complete_(other.complete_) {}

absl::StatusOr<bool> SqliteBackup::Step(int pages) {
  if (complete_) return true;
  const int code = sqlite3_backup_step(static_cast<sqlite3_backup*>(backup_), pages);
  if (code == SQLITE_OK) return false;
  if (code != SQLITE_DONE) return ErrorOf(nullptr, code, path_);
  const int finished = sqlite3_backup_finish(static_cast<sqlite3_backup*>(std::exchange(backup_, nullptr)));
  if (finished != SQLITE_OK) return ErrorOf(target_, finished, path_);
  complete_ = true;
  return true;
}

SqliteBackup::~SqliteBackup() { Close(); }

void SqliteBackup::Close() {
  if (target_ == nullptr) return;
  if (backup_ != nullptr) sqlite3_backup_finish(static_cast<sqlite3_backup*>(backup_));
  sqlite3_close_v2(target_);
  target_ = nullptr;
  if (!complete_) ::unlink(path_.c_str());
}

}  // namespace signalbox
