// The ledger: what every request cost, in its own database (ledger.db). Written by the spend service (proxies report)
// and the suspense reader (the quota service tells of proxies that vanished); read by the usage service.
// Invariants: one record a request id; a real record replaces a suspended one, anything else that comes again changes
// nothing; the charges of a record (one per attempt and model) always sum to the record's cost, so that every
// grouping of usage has the same total. What a call acknowledged is committed. Money is int64 nano-dollars.
// Thread-safe: one connection behind one mutex.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "controlplane/store/sqlite_db.h"
#include "signalbox/v1/quota.pb.h"
#include "signalbox/v1/spend.pb.h"

namespace signalbox {

class SqliteLedger {
 public:
  // Opens or creates, and migrates. Errors as SqliteDb::Open and Migrate.
  static absl::StatusOr<std::unique_ptr<SqliteLedger>> Open(const SqliteOptions& options);

  // All of the batch or nothing; committed on return. INVALID_ARGUMENT names the record and the field that is
  // malformed. Records known already are left as they are.
  absl::Status Append(const google::protobuf::RepeatedPtrField<v1::SpendRecord>& records) SB_EXCLUDES(mutex_);

  // Charges requests whose proxy vanished, by request id: the largest of a request's holds (limits in a chain hold the
  // same money), or what it was settled at. A request with a real record is left alone.
  absl::Status AppendSuspended(const std::vector<v1::SuspendedHold>& holds) SB_EXCLUDES(mutex_);

  // What the requests of those holds that are still open really cost, where the record is here: their settlement was
  // lost with the proxy.
  absl::StatusOr<std::vector<v1::Settle>> SettlementsOf(const std::vector<v1::SuspendedHold>& holds) const
      SB_EXCLUDES(mutex_);

  // Sums by any of the dimensions in `by`; `model` and `provider` are those of each attempt, so a fallback's billed
  // attempts count where the money went. An empty gateway means all. INVALID_ARGUMENT for an unknown dimension.
  absl::StatusOr<v1::QueryUsageResponse> QueryUsage(const v1::QueryUsageRequest& request) const SB_EXCLUDES(mutex_);
  // Newest first, refused ones too. An empty gateway means all.
  absl::StatusOr<v1::ListRequestsResponse> ListRequests(const v1::ListRequestsRequest& request) const
      SB_EXCLUDES(mutex_);
  // NOT_FOUND when the gateway (empty: any) has no such request.
  absl::StatusOr<v1::SpendRecord> GetRequest(const v1::GetRequestRequest& request) const SB_EXCLUDES(mutex_);

  // Cheap, for probes and metrics: reads one row to see that the database can be read, and counts in memory.
  absl::StatusOr<int64_t> CountRecords() const SB_EXCLUDES(mutex_);

  // An online copy; writers go on between its steps. FAILED_PRECONDITION when the file exists.
  absl::Status BackupTo(const std::string& path) SB_EXCLUDES(mutex_);

 private:
  SqliteLedger(std::unique_ptr<SqliteDb> db, int64_t records) : db_(std::move(db)), records_(records) {}
  absl::Status Insert(const v1::SpendRecord& record) SB_REQUIRES(mutex_);
  absl::StatusOr<v1::SpendRecord> Find(const std::string& request_id) const SB_REQUIRES(mutex_);

  mutable Mutex mutex_;
  const std::unique_ptr<SqliteDb> db_ SB_GUARDED_BY(mutex_);
  int64_t records_ SB_GUARDED_BY(mutex_);  // committed
};

// INVALID_ARGUMENT naming the field when a record from a peer is malformed.
absl::Status CheckSpendRecord(const v1::SpendRecord& record);

}  // namespace signalbox
