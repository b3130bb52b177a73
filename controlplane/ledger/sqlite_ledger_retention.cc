// The part of the ledger that forgets: the horizon, and deleting what lies before it.
#include <algorithm>

#include "common/status_macros.h"
#include "controlplane/ledger/sqlite_ledger.h"

namespace signalbox {

absl::Status SqliteLedger::RaiseHorizon(int64_t horizon_us) {
  MutexLock lock(mutex_);
  if (horizon_us <= horizon_us_) return absl::OkStatus();
  RETURN_IF_ERROR(db_->Run("UPDATE retention SET horizon_us = ?", horizon_us));
  horizon_us_ = horizon_us;
  return absl::OkStatus();
}

absl::StatusOr<std::string> SqliteLedger::NextGateway(const std::string& after) const {
  ASSIGN_OR_RETURN(SqliteStatement next, db_->Query("SELECT min(gateway) FROM requests WHERE gateway > ?", after));
  RETURN_IF_ERROR(next.Step().status());
  return next.Text(0);
}

// Gateway by gateway, as the index over time is one of each gateway's.
absl::StatusOr<int64_t> SqliteLedger::NewestStart() const {
  MutexLock lock(mutex_);
  int64_t newest_us = 0;
  ASSIGN_OR_RETURN(std::string gateway, NextGateway(""));
  while (!gateway.empty()) {
    ASSIGN_OR_RETURN(SqliteStatement query,
                     db_->Query("SELECT max(start_time_us) FROM requests WHERE gateway = ?", gateway));
    RETURN_IF_ERROR(query.Step().status());
    newest_us = std::max(newest_us, query.Int(0));
    ASSIGN_OR_RETURN(gateway, NextGateway(gateway));
  }
  return newest_us;
}

absl::StatusOr<int64_t> SqliteLedger::DeleteExpired(int records_max) {
  MutexLock lock(mutex_);
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*db_));
  int64_t deleted = 0;
  ASSIGN_OR_RETURN(std::string gateway, NextGateway(""));
  while (!gateway.empty() && deleted < records_max) {
    RETURN_IF_ERROR(
        db_->Run("DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE gateway = ? AND "
                 "start_time_us < ? AND open = 0 ORDER BY start_time_us LIMIT ?)",
                 gateway, horizon_us_, records_max - deleted));
    deleted += db_->Changes();
    ASSIGN_OR_RETURN(gateway, NextGateway(gateway));
  }
  RETURN_IF_ERROR(transaction.Commit());
  records_ -= deleted;
  deleted_ += deleted;
  return deleted;
}

absl::StatusOr<LedgerSize> SqliteLedger::Size() const {
  MutexLock lock(mutex_);
  const auto number = [this](const char* sql) SB_REQUIRES(mutex_) -> absl::StatusOr<int64_t> {
    ASSIGN_OR_RETURN(SqliteStatement query, db_->Query(sql));
    RETURN_IF_ERROR(query.Step().status());
    return query.Int(0);
  };
  LedgerSize size;
  size.records = records_;
  ASSIGN_OR_RETURN(const int64_t page_bytes, number("PRAGMA page_size"));
  ASSIGN_OR_RETURN(const int64_t pages, number("PRAGMA page_count"));
  ASSIGN_OR_RETURN(const int64_t free_pages, number("PRAGMA freelist_count"));
  ASSIGN_OR_RETURN(size.open, number("SELECT count(*) FROM requests WHERE open = 1"));
  size.bytes = pages * page_bytes;
  size.free_bytes = free_pages * page_bytes;
  return size;
}

LedgerCounts SqliteLedger::counts() const {
  MutexLock lock(mutex_);
  return {deleted_, expired_};
}

}  // namespace signalbox
