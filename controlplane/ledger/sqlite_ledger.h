// The ledger: what every request cost, in its own database (ledger.db). Written by the spend service (proxies report)
// and the suspense reader (the quota service tells of proxies that vanished); read by the usage service.
// Invariants: one record a request id; a real record replaces a suspended one, anything else that comes again changes
// nothing; the charges of a record (one per attempt and model) always sum to the record's cost, so that every
// grouping of usage has the same total; a record that was deleted for its age is never taken again. What a call
// acknowledged is committed. Money is int64 nano-dollars.
// Thread-safe: one connection behind one mutex. Reading a lot and deleting a lot go in slices and let go of it between;
// every 8,192 records the index of identifiers holds it for some 20 ms.
#pragma once

#include <atomic>
#include <functional>
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

struct LedgerSize {
  int64_t records = 0;
  int64_t bytes = 0;       // of the database file
  int64_t free_bytes = 0;  // of it, left by what was deleted and used again by what comes
  int64_t open = 0;        // suspended records whose real record or settlement has not come
};

// Counted since the process started.
struct LedgerCounts {
  int64_t deleted = 0;  // for their age
  int64_t expired = 0;  // acknowledged and not kept: they started before what is kept
};

class SqliteLedger {
 public:
  // Opens or creates, and migrates. Errors as SqliteDb::Open and Migrate.
  static absl::StatusOr<std::unique_ptr<SqliteLedger>> Open(SqliteOptions options);

  // All of the batch or nothing; committed on return. INVALID_ARGUMENT names the record and the field that is
  // malformed. Records known already are left as they are; those older than the horizon are not kept.
  absl::Status Append(const google::protobuf::RepeatedPtrField<v1::SpendRecord>& records) SB_EXCLUDES(mutex_);

  // Charges requests whose proxy vanished, by request id: the largest of a request's holds (limits in a chain hold the
  // same money), or what it was settled at. A request with a real record is left alone. `route_of_pool`, when given,
  // fills in the route of a record that is new. Returns a sentence for each hold that no request can have; the others
  // are taken all the same.
  using RouteOfPool = std::function<void(const v1::CounterKey& counter, v1::SpendRecord& record)>;
  absl::StatusOr<std::vector<std::string>> AppendSuspended(const std::vector<v1::SuspendedHold>& holds,
                                                           const RouteOfPool& route_of_pool = nullptr)
      SB_EXCLUDES(mutex_);

  // What the requests of those holds that are still open really cost, where the record is here: their settlement was
  // lost with the proxy.
  absl::StatusOr<std::vector<v1::Settle>> SettlementsOf(const std::vector<v1::SuspendedHold>& holds) const
      SB_EXCLUDES(mutex_);

  // Sums by any of the dimensions in `by`; `model` and `provider` are those of each attempt, so a fallback's billed
  // attempts count where the money went. An empty gateway means all. INVALID_ARGUMENT for an unknown dimension.
  absl::StatusOr<v1::QueryUsageResponse> QueryUsage(const v1::QueryUsageRequest& request) const SB_EXCLUDES(mutex_);
  // Newest first, refused ones too, but none that asked for no log; without bodies. An empty gateway means all.
  absl::StatusOr<v1::ListRequestsResponse> ListRequests(const v1::ListRequestsRequest& request) const
      SB_EXCLUDES(mutex_);
  // With its bodies, where they were kept. NOT_FOUND when the gateway (empty: any) has no such request, or one that
  // asked for no log.
  absl::StatusOr<v1::SpendRecord> GetRequest(const v1::GetRequestRequest& request) const SB_EXCLUDES(mutex_);

  // Cheap, for probes and metrics: reads one row to see that the database can be read, and counts in memory.
  absl::StatusOr<int64_t> CountRecords() const SB_EXCLUDES(mutex_);

  // From now on nothing that started before `horizon_us` (Unix) is kept, except what is open. Never goes back.
  absl::Status RaiseHorizon(int64_t horizon_us) SB_EXCLUDES(mutex_);
  // Deletes up to `records_max` records that started before the horizon, the oldest first; how many.
  absl::StatusOr<int64_t> DeleteExpired(int records_max) SB_EXCLUDES(mutex_);
  // When the newest request started; 0 in an empty ledger.
  absl::StatusOr<int64_t> NewestStart() const SB_EXCLUDES(mutex_);
  absl::StatusOr<LedgerSize> Size() const SB_EXCLUDES(mutex_);
  LedgerCounts counts() const SB_EXCLUDES(mutex_);

  // An online copy; writers go on between its steps. FAILED_PRECONDITION when the file exists.
  absl::Status BackupTo(const std::string& path) SB_EXCLUDES(mutex_);

 private:
  SqliteLedger(std::unique_ptr<SqliteDb> db, int64_t records, int64_t horizon_us, int64_t unindexed)
      : db_(std::move(db)), records_(records), horizon_us_(horizon_us), unindexed_(unindexed) {}
  // False, and nothing changed, where a record of its request is there.
  absl::StatusOr<bool> Insert(const v1::SpendRecord& record, bool open) SB_REQUIRES(mutex_);
  // Columns that came with a later schema, of records from before it.
  static absl::Status FillInColumns(SqliteDb& db);
  absl::Status InsertCharges(const v1::SpendRecord& record, int64_t id) SB_REQUIRES(mutex_);
  // Brings the index of identifiers up to date once much has come since: in their order, a page of it changes once for
  // many records. What came is committed before and found without, so a failure is only logged.
  void IndexWhenMany() SB_REQUIRES(mutex_);
  absl::Status IndexIdentifiers() SB_REQUIRES(mutex_);
  // The first gateway after `after` that has records; empty: none.
  absl::StatusOr<std::string> NextGateway(const std::string& after) const SB_REQUIRES(mutex_);
  void LetRecordsIn() const SB_EXCLUDES(mutex_);  // between slices: those that wait to be written go first
  int64_t Replaced() const SB_EXCLUDES(mutex_);
  absl::StatusOr<std::string> GatewayAfter(const std::string& after) const SB_EXCLUDES(mutex_);
  absl::StatusOr<bool> IsOpen(const std::string& request_id) const SB_REQUIRES(mutex_);
  absl::StatusOr<v1::SpendRecord> Find(const std::string& request_id) const SB_REQUIRES(mutex_);

  std::atomic<int> appending_{0};  // that wait for the mutex
  mutable Mutex mutex_;
  const std::unique_ptr<SqliteDb> db_ SB_GUARDED_BY(mutex_);
  int64_t records_ SB_GUARDED_BY(mutex_);  // committed
  int64_t horizon_us_ SB_GUARDED_BY(mutex_);
  int64_t unindexed_ SB_GUARDED_BY(mutex_);  // records since the index was brought up to date, about
  int64_t deleted_ SB_GUARDED_BY(mutex_) = 0;
  int64_t expired_ SB_GUARDED_BY(mutex_) = 0;
  int64_t replaced_ SB_GUARDED_BY(mutex_) = 0;  // suspended records, by what came after them
};

// INVALID_ARGUMENT naming the field when a record from a peer is malformed.
absl::Status CheckSpendRecord(const v1::SpendRecord& record);

}  // namespace signalbox
