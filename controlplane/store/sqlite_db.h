// A thin layer over one SQLite connection: what every store of the control plane and of the quota service stands on.
// Invariant: exactly one connection per database file (locking_mode=EXCLUSIVE enforces it between processes too),
// WAL, foreign keys on. Not thread-safe: its owner guards the connection, and all statements of it, with one Mutex.
// Statements and transactions must not outlive their SqliteDb. Errors name the database file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/status_macros.h"

struct sqlite3;
struct sqlite3_stmt;

namespace signalbox {

// Binds as a BLOB where a plain string binds as TEXT.
struct SqlBlob {
  std::string_view bytes;
};

class SqliteStatementCache;
struct SqliteKeptStatement;

// A prepared statement. Parameters count from 1, columns from 0. Bound bytes are copied, except by BindBorrowed. What
// it was prepared for is kept by the database when it goes, for the next of the same text.
class SqliteStatement {
 public:
  SqliteStatement() = default;
  SqliteStatement(SqliteStatement&& other) noexcept { *this = std::move(other); }
  SqliteStatement& operator=(SqliteStatement&& other) noexcept;
  ~SqliteStatement();

  // A failed bind is reported by the next Step or Run.
  template <typename T>
  SqliteStatement& Bind(int index, const T& value) {
    if constexpr (std::is_same_v<T, SqlBlob>) {
      BindBlob(index, value.bytes);
    } else if constexpr (std::is_same_v<T, std::nullptr_t>) {
      BindNull(index);
    } else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
      BindInt(index, static_cast<int64_t>(value));
    } else if constexpr (std::is_floating_point_v<T>) {
      BindDouble(index, value);
    } else {
      BindText(index, std::string_view(value));
    }
    return *this;
  }
  template <typename... Args>
  SqliteStatement& BindAll(const Args&... args) {
    int index = 0;
    (Bind(++index, args), ...);
    return *this;
  }
  // Without copying: texts and blobs must stay as they are until the statement is reset (Run does) or goes.
  template <typename... Args>
  SqliteStatement& BindBorrowed(const Args&... args) {
    borrows_ = true;
    BindAll(args...);
    borrows_ = false;
    return *this;
  }

  absl::StatusOr<bool> Step();  // true: a row is there; false: done
  absl::Status Run();           // steps to the end, then resets for another use
  void Reset();                 // ready for new binds; old binds are cleared

  int64_t Int(int column) const;
  double Double(int column) const;
  std::string Text(int column) const;  // TEXT or BLOB, whole
  bool IsNull(int column) const;

 private:
  friend class SqliteDb;
  void BindInt(int index, int64_t value);
  void BindDouble(int index, double value);
  void BindText(int index, std::string_view value);
  void BindBlob(int index, std::string_view value);
  void BindNull(int index);
  void Note(int code);

  void GiveBack();

  sqlite3_stmt* statement_ = nullptr;
  SqliteKeptStatement* kept_ = nullptr;  // the cache's, if it keeps the statement
  std::shared_ptr<SqliteStatementCache> cache_;
  const std::string* path_ = nullptr;  // the SqliteDb's
  int bind_error_ = 0;
  bool borrows_ = false;
  bool used_ = false;  // since it was made or reset
};

struct SqliteOptions {
  std::string path;
  bool power_safe = true;  // synchronous=FULL; false: NORMAL (survives kill -9, not a power cut)
  int busy_timeout_ms = 5'000;
  int page_bytes = 0;            // of a database that is made now; 0: SQLite's 4,096
  int checkpoint_pages = 1'000;  // of log, then a commit brings them into the database, which syncs both
  std::string vfs;               // empty: the system's; tests put faults here
};

class SqliteDb {
 public:
  static constexpr int64_t kCheckedBytesMax = 1LL << 30;

  // Opens or creates. UNAVAILABLE when another process has it, or the file cannot be opened; DATA_LOSS when it is no
  // database.
  static absl::StatusOr<std::unique_ptr<SqliteDb>> Open(const SqliteOptions& options);
  SqliteDb(const SqliteDb&) = delete;
  SqliteDb& operator=(const SqliteDb&) = delete;
  ~SqliteDb();

  // Reads the whole file (about a second a gigabyte, so one of over `bytes_max` is taken as it is): DATA_LOSS naming
  // what is damaged, before anything is built on it.
  absl::Status CheckIntegrity(int64_t bytes_max = kCheckedBytesMax);

  // Step n brings the database from version n to n + 1 (PRAGMA user_version); each in its own transaction.
  // FAILED_PRECONDITION when the database is newer than `steps`.
  absl::Status Migrate(const std::vector<std::string>& steps);

  absl::Status Exec(const std::string& sql);  // any number of statements, no parameters, no rows
  absl::StatusOr<SqliteStatement> Prepare(std::string_view sql);
  // Prepared and bound; step it for rows.
  template <typename... Args>
  absl::StatusOr<SqliteStatement> Query(std::string_view sql, const Args&... args) {
    ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
    statement.BindAll(args...);
    return statement;
  }
  template <typename... Args>
  absl::Status Run(std::string_view sql, const Args&... args) {
    ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
    return statement.BindBorrowed(args...).Run();
  }

  int64_t LastInsertRowId() const;
  int64_t Changes() const;  // rows the last statement changed
  bool InTransaction() const;
  const std::string& path() const { return path_; }

 private:
  friend class SqliteBackup;
  explicit SqliteDb(std::string path);
  std::string path_;
  std::shared_ptr<SqliteStatementCache> cache_;
  sqlite3* db_ = nullptr;
};

// BEGIN IMMEDIATE ... COMMIT. What was not committed is rolled back when it goes out of scope.
class SqliteTransaction {
 public:
  static absl::StatusOr<SqliteTransaction> Begin(SqliteDb& db);
  SqliteTransaction(SqliteTransaction&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
  SqliteTransaction& operator=(SqliteTransaction&&) = delete;
  ~SqliteTransaction();
  // After an error nothing of the transaction is in the database.
  absl::Status Commit();

 private:
  explicit SqliteTransaction(SqliteDb* db) : db_(db) {}
  SqliteDb* db_;
};

// An online copy, a few pages at a time, so that the owner can let go of its mutex between steps. Writes made through
// `source` meanwhile are in the copy. The target file must not exist; a copy that was not finished is removed.
class SqliteBackup {
 public:
  static absl::StatusOr<SqliteBackup> Start(SqliteDb& source, const std::string& target_path);
  SqliteBackup(SqliteBackup&& other) noexcept;
  SqliteBackup& operator=(SqliteBackup&&) = delete;
  ~SqliteBackup();
  absl::StatusOr<bool> Step(int pages);  // true: the copy is complete and on disk

 private:
  SqliteBackup() = default;
  void Close();
  std::string path_;
  sqlite3* target_ = nullptr;
  void* backup_ = nullptr;  // sqlite3_backup
  bool complete_ = false;
};

}  // namespace signalbox
