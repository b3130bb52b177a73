#include "controlplane/quota/sqlite_quota_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "common/status_macros.h"
#include "controlplane/store/sqlite_db.h"

namespace signalbox {
namespace {

constexpr int kBackupPages = 64;  // decisions wait for one step
// Decisions wait for a checkpoint too, most of which is syncing the log: it is rare, and the kernel is told to write
// the log out long before.
constexpr int kCheckpointPages = 4'000;
constexpr int64_t kWriteOutBytes = 1 << 20;
constexpr int64_t kPageBytes = 4'096;  // SQLite's default

// Never edited: a change is another step.
const std::vector<std::string>& Migrations() {
  static const auto* const steps = new std::vector<std::string>{
      "CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL, batch BLOB NOT NULL);"
      "CREATE TABLE snapshot (part INTEGER PRIMARY KEY, digest BLOB NOT NULL, state BLOB NOT NULL);",
      // AUTOINCREMENT writes a page of its own for every row. Ids need only order the rows that are there.
      "CREATE TABLE ordered_log (id INTEGER PRIMARY KEY, digest BLOB NOT NULL, batch BLOB NOT NULL);"
      "INSERT INTO ordered_log (id, digest, batch) SELECT id, digest, batch FROM log;"
      "DROP TABLE log;"
      "ALTER TABLE ordered_log RENAME TO log;"};
  return *steps;
}

class SqliteQuotaStore : public QuotaStore {
 public:
  SqliteQuotaStore(std::unique_ptr<SqliteDb> db, Durability durability) : db_(std::move(db)), durability_(durability) {}

  ~SqliteQuotaStore() override {
    if (log_file_ >= 0) ::close(log_file_);
  }

  absl::Status Prepare() {
    RETURN_IF_ERROR(db_->Migrate(Migrations()));
    ASSIGN_OR_RETURN(insert_, db_->Prepare("INSERT INTO log (digest, batch) VALUES (?, ?)"));
    ASSIGN_OR_RETURN(auto size, db_->Query("SELECT COALESCE(SUM(LENGTH(batch)), 0) FROM log"));
    RETURN_IF_ERROR(size.Step().status());
    log_bytes_ = size.Int(0);
    if (durability_ == Durability::kProcess) log_file_ = ::open((db_->path() + "-wal").c_str(), O_RDONLY | O_CLOEXEC);
    return absl::OkStatus();
  }

  absl::Status Append(const v1::QuotaLogBatch& batch) override {
    if (!batch.SerializeToString(&bytes_)) return absl::InternalError("a quota batch cannot be serialised");
    // One statement is one transaction.
    RETURN_IF_ERROR(insert_.BindAll(SqlBlob{Sha256(bytes_)}, SqlBlob{bytes_}).Run());
    log_bytes_ += static_cast<int64_t>(bytes_.size());
    WriteOut(kPageBytes + static_cast<int64_t>(bytes_.size()));
    return absl::OkStatus();
  }

  absl::Status Compact(const std::vector<v1::QuotaStatePart>& parts) override {
    ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*db_));
    RETURN_IF_ERROR(db_->Run("DELETE FROM snapshot"));
    for (size_t i = 0; i < parts.size(); ++i) {
      if (!parts[i].SerializeToString(&bytes_)) return absl::InternalError("the quota state cannot be serialised");
      RETURN_IF_ERROR(db_->Run("INSERT INTO snapshot (part, digest, state) VALUES (?, ?, ?)", i,
                               SqlBlob{Sha256(bytes_)}, SqlBlob{bytes_}));
    }
    RETURN_IF_ERROR(db_->Run("DELETE FROM log"));
    RETURN_IF_ERROR(transaction.Commit());
    log_bytes_ = 0;
    return absl::OkStatus();
  }

  absl::Status Recover(const std::function<absl::Status(const v1::QuotaStatePart&)>& on_part,
                       const std::function<absl::Status(const v1::QuotaLogBatch&)>& on_batch) override {
    RETURN_IF_ERROR(ReadRows("SELECT part, digest, state FROM snapshot ORDER BY part", "snapshot part", on_part));
    return ReadRows("SELECT id, digest, batch FROM log ORDER BY id", "log row", on_batch);
  }

  absl::StatusOr<std::function<absl::StatusOr<bool>()>> StartBackup(const std::string& path) const override {
    ASSIGN_OR_RETURN(SqliteBackup started, SqliteBackup::Start(*db_, path));
    const auto backup = std::make_shared<SqliteBackup>(std::move(started));
    return [backup] { return backup->Step(kBackupPages); };
  }

  int64_t log_bytes() const override { return log_bytes_; }
  std::string name() const override { return "sqlite"; }
  Durability durability() const override { return durability_; }

 private:
  // Begins to write the log file out and does not wait: what a checkpoint then waits for is little.
  void WriteOut(int64_t bytes) {
    not_written_out_ += bytes;
    if (log_file_ < 0 || not_written_out_ < kWriteOutBytes) return;
    ::sync_file_range(log_file_, 0, 0, SYNC_FILE_RANGE_WRITE);  // a hint: where it fails the checkpoint waits longer
    not_written_out_ = 0;
  }

  template <typename Message>
  absl::Status ReadRows(std::string_view sql, const char* what,
                        const std::function<absl::Status(const Message&)>& callback) {
    ASSIGN_OR_RETURN(auto rows, db_->Prepare(sql));
    while (true) {
      ASSIGN_OR_RETURN(const bool more, rows.Step());
      if (!more) return absl::OkStatus();
      const std::string bytes = rows.Text(2);
      Message message;
      if (Sha256(bytes) != rows.Text(1) || !message.ParseFromString(bytes)) {
        return absl::DataLossError(absl::StrCat(db_->path(), ": ", what, " ", rows.Int(0),
                                                " is damaged; restore the file from a backup, or move it away to "
                                                "start with empty counters"));
      }
      RETURN_IF_ERROR(callback(message));
    }
  }

  std::unique_ptr<SqliteDb> db_;
  SqliteStatement insert_;  // after db_: goes first
  Durability durability_;
  int64_t log_bytes_ = 0;
  int64_t not_written_out_ = 0;  // bytes, about
  int log_file_ = -1;            // SQLite's write-ahead log; -1: not needed, or not there
  std::string bytes_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<QuotaStore>> OpenSqliteQuotaStore(const std::string& path, Durability durability) {
  SqliteOptions options;
  options.path = path;
  options.power_safe = durability == Durability::kPower;
  options.busy_timeout_ms = 1'000;
  options.checkpoint_pages = kCheckpointPages;
  ASSIGN_OR_RETURN(auto db, SqliteDb::Open(options));
  auto store = std::make_unique<SqliteQuotaStore>(std::move(db), durability);
  RETURN_IF_ERROR(store->Prepare());
  return std::unique_ptr<QuotaStore>(std::move(store));
}

}  // namespace signalbox
