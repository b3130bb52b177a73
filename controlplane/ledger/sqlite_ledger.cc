#include "controlplane/ledger/sqlite_ledger.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/identifier.h"
#include "common/limits.h"
#include "common/status_macros.h"
#include "controlplane/ledger/latency_buckets.h"
#include "controlplane/ledger/ledger_schema.h"
#include "controlplane/ledger/usage_query.h"

namespace signalbox {
namespace {

constexpr size_t kRequestIdBytesMax = 256;
constexpr int64_t kTokensMax = 1'000'000'000'000;
constexpr int kAttemptsMax = 1'000;
constexpr int kBackupPages = 256;
constexpr int kPageBytes = 8'192;  // a dozen records: half as many calls to write them as with the default
// Records that come before the index is brought up to date: of 1,000 identifiers, some eight each are then one page's
// change. A start reads them again.
constexpr int64_t kUnindexedMax = 8'192;

absl::Status Malformed(const std::string& field, const std::string& rule) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", rule));
}

absl::Status CheckUsage(const v1::TokenUsage& usage, const char* field) {
  for (const UsageKind& kind : kUsageKinds) {
    const int64_t amount = (usage.*kind.get)();
    if (amount < 0 || amount > kTokensMax) {
      return Malformed(absl::StrCat(field, ".", kind.column), absl::StrCat("must be from 0 to ", kTokensMax));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckCost(int64_t nanos, const char* field) {
  if (nanos >= 0 && nanos <= kLimitNanosMax) return absl::OkStatus();
  return Malformed(field, absl::StrCat("must be from 0 to ", kLimitNanosMax));
}

v1::SpendRecord SuspendedRecord(const v1::SuspendedHold& hold) {
  v1::SpendRecord record;
  record.set_request_id(hold.request_id());
  record.set_gateway(hold.counter().gateway());
  record.set_identifier(IdentifierText(hold.counter().identifier()));
  record.set_outcome(v1::SUSPENDED);
  record.set_error_code("suspended");
  record.set_estimated(true);
  record.set_start_time_us(hold.suspend_time_us());
  record.set_proxy_id(hold.proxy_id());
  record.set_boot_id(hold.boot_id());
  return record;
}

// Adds the hold to the record of its request; false when that changes nothing.
bool AddHold(const v1::SuspendedHold& hold, v1::SpendRecord& record) {
  const std::string before = record.SerializeAsString();
  const std::string identifier = IdentifierText(hold.counter().identifier());
  bool known = false;
  for (const v1::LimitPassed& limit : record.limits()) {
    known = known || (limit.pool() == hold.counter().pool() && limit.identifier() == identifier);
  }
  if (!known) {
    v1::LimitPassed& limit = *record.add_limits();
    limit.set_pool(hold.counter().pool());
    limit.set_identifier(identifier);
  }
  // What is settled was used; what is held is the most that can have been. Only dollars are money.
  if (hold.counter().unit() == v1::TOKENS) {
    record.set_tokens(hold.resolved() ? hold.settled() : std::max(record.tokens(), hold.amount()));
  } else if (hold.counter().unit() == v1::NANO_DOLLARS) {
    record.set_cost_nanos(hold.resolved() ? hold.settled() : std::max(record.cost_nanos(), hold.amount()));
  }
  return record.SerializeAsString() != before;
}

// The ordinal of the charge whose latency is the request's; -1: the request has none that says how quick models are.
int64_t AnsweredBy(const v1::SpendRecord& record) {
  if (record.outcome() != v1::SUCCESS || record.cache() == v1::HIT) return -1;
  for (int i = record.attempts_size() - 1; i >= 0; --i) {
    if (record.attempts(i).provider() == record.provider() && record.attempts(i).model() == record.model()) return i;
  }
  return std::max(0, record.attempts_size() - 1);
}

}  // namespace

absl::Status CheckSpendRecord(const v1::SpendRecord& record) {
  if (record.request_id().empty() || record.request_id().size() > kRequestIdBytesMax) {
    return Malformed("request_id", absl::StrCat("must have 1 to ", kRequestIdBytesMax, " bytes"));
  }
  if (record.gateway().empty()) return Malformed("gateway", "must be given");
  if (!v1::Outcome_IsValid(record.outcome()) || record.outcome() == v1::OUTCOME_UNSPECIFIED) {
    return Malformed("outcome", absl::StrCat("unknown outcome ", static_cast<int>(record.outcome())));
  }
  if (!v1::CacheStatus_IsValid(record.cache())) {
    return Malformed("cache", absl::StrCat("unknown cache status ", static_cast<int>(record.cache())));
  }
  if (record.start_time_us() <= 0) return Malformed("start_time_us", "must be a Unix time in microseconds");
  RETURN_IF_ERROR(CheckCost(record.cost_nanos(), "cost_nanos"));
  RETURN_IF_ERROR(CheckUsage(record.usage(), "usage"));
  if (record.attempts_size() > kAttemptsMax) {
    return Malformed("attempts", absl::StrCat("must be at most ", kAttemptsMax));
  }
  for (int i = 0; i < record.attempts_size(); ++i) {
    const v1::Attempt& attempt = record.attempts(i);
    absl::Status status = CheckCost(attempt.cost_nanos(), "cost_nanos");
    if (status.ok()) status = CheckUsage(attempt.usage(), "usage");
    if (!status.ok()) return absl::InvalidArgumentError(absl::StrCat("attempts[", i, "].", status.message()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SqliteLedger>> SqliteLedger::Open(SqliteOptions options) {
  options.page_bytes = kPageBytes;
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteDb> db, SqliteDb::Open(options));
  RETURN_IF_ERROR(db->CheckIntegrity());
  RETURN_IF_ERROR(db->Migrate(LedgerMigrations()));
  RETURN_IF_ERROR(FillInColumns(*db));
  RETURN_IF_ERROR(db->Exec(LedgerConnectionSetup()));
  int64_t records = 0, horizon_us = 0, unindexed = 0;
  {
    ASSIGN_OR_RETURN(SqliteStatement count,
                     db->Query("SELECT count(*), (SELECT horizon_us FROM retention), (SELECT count(*) FROM requests "
                               "WHERE id > (SELECT identified_through FROM retention)) FROM requests"));
    RETURN_IF_ERROR(count.Step().status());
    records = count.Int(0);
    horizon_us = count.Int(1);
    unindexed = count.Int(2);
  }
  return std::unique_ptr<SqliteLedger>(new SqliteLedger(std::move(db), records, horizon_us, unindexed));
}

absl::Status SqliteLedger::FillInColumns(SqliteDb& db) {
  constexpr int kRowsAStep = 2'000;
  while (true) {
    ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(db));
    std::vector<std::pair<int64_t, v1::SpendRecord>> rows;
    {
      ASSIGN_OR_RETURN(SqliteStatement query,
                       db.Query("SELECT id, record FROM requests WHERE status = -1 LIMIT ?", kRowsAStep));
      while (true) {
        ASSIGN_OR_RETURN(const bool found, query.Step());
        if (!found) break;
        if (!rows.emplace_back(query.Int(0), v1::SpendRecord()).second.ParseFromString(query.Text(1))) {
          return absl::DataLossError(absl::StrCat("the ledger's record ", query.Int(0), " is unreadable"));
        }
      }
    }
    if (rows.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(
        SqliteStatement fill,
        db.Prepare("UPDATE requests SET status = ?, provider = ?, model = ?, error_code = ?, "
                   "duration_us = ?, duration_bucket = ?, first_byte_bucket = ?, answered = ? WHERE id = ?"));
    for (const auto& [id, record] : rows) {
      fill.BindAll(std::max(0, record.status()), record.provider(), record.model(), record.error_code(),
                   record.duration_us(), LatencyBucket(record.duration_us()), LatencyBucket(record.first_byte_us()),
                   AnsweredBy(record), id);
      RETURN_IF_ERROR(fill.Run());
    }
    RETURN_IF_ERROR(transaction.Commit());
  }
}

absl::Status SqliteLedger::Append(const google::protobuf::RepeatedPtrField<v1::SpendRecord>& records) {
  for (int i = 0; i < records.size(); ++i) {
    const absl::Status status = CheckSpendRecord(records[i]);
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("records[", i, "] (", records[i].request_id(), "): ", std::string(status.message())));
    }
  }
  ++appending_;
  MutexLock lock(mutex_);
  --appending_;
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*db_));
  int64_t added = 0, expired = 0, replaced = 0;
  for (const v1::SpendRecord& record : records) {
    if (record.start_time_us() >= horizon_us_) {
      ASSIGN_OR_RETURN(const bool inserted, Insert(record, /*open=*/false));
      if (inserted) {
        ++added;
        continue;
      }
    }
    ASSIGN_OR_RETURN(SqliteStatement known,
                     db_->Query("SELECT id, outcome FROM requests WHERE request_id = ?", record.request_id()));
    ASSIGN_OR_RETURN(const bool found, known.Step());
    if (!found) {
      ++expired;  // it was here and is deleted, or would be at once: charged once, or never kept
      continue;
    }
    if (known.Int(1) != v1::SUSPENDED || record.outcome() == v1::SUSPENDED) continue;
    RETURN_IF_ERROR(db_->Run("DELETE FROM requests WHERE id = ?", known.Int(0)));
    RETURN_IF_ERROR(Insert(record, /*open=*/false).status());
    ++replaced;
  }
  RETURN_IF_ERROR(transaction.Commit());
  IndexWhenMany();
  records_ += added;
  expired_ += expired;
  replaced_ += replaced;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> SqliteLedger::AppendSuspended(const std::vector<v1::SuspendedHold>& holds,
                                                                       const RouteOfPool& route_of_pool) {
  std::vector<std::string> refused;
  MutexLock lock(mutex_);
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*db_));
  int64_t added = 0, replaced = 0;
  for (const v1::SuspendedHold& hold : holds) {
    v1::SpendRecord record = SuspendedRecord(hold);
    const absl::StatusOr<v1::SpendRecord> known = Find(hold.request_id());
    if (known.ok()) {
      if (known->outcome() != v1::SUSPENDED) continue;
      record = *known;
    } else if (!absl::IsNotFound(known.status())) {
      return known.status();
    } else if (hold.suspend_time_us() < horizon_us_) {
      continue;  // its record was here and is deleted
    } else if (route_of_pool) {
      route_of_pool(hold.counter(), record);
    }
    const bool changed = AddHold(hold, record);
    ASSIGN_OR_RETURN(const bool open, IsOpen(hold.request_id()));
    if (!changed && known.ok() && open == !hold.resolved()) continue;
    if (const absl::Status status = CheckSpendRecord(record); !status.ok()) {
      refused.push_back(absl::StrCat("suspended hold ", hold.sequence(), " of request \"", hold.request_id(),
                                     "\": ", std::string(status.message())));
      continue;
    }
    RETURN_IF_ERROR(db_->Run("DELETE FROM requests WHERE request_id = ?", hold.request_id()));
    RETURN_IF_ERROR(Insert(record, /*open=*/!hold.resolved()).status());
    ++(known.ok() ? replaced : added);
  }
  RETURN_IF_ERROR(transaction.Commit());
  IndexWhenMany();
  records_ += added;
  replaced_ += replaced;
  return refused;
}

absl::StatusOr<bool> SqliteLedger::IsOpen(const std::string& request_id) const {
  ASSIGN_OR_RETURN(SqliteStatement query, db_->Query("SELECT open FROM requests WHERE request_id = ?", request_id));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  return found && query.Int(0) != 0;
}

absl::StatusOr<std::vector<v1::Settle>> SqliteLedger::SettlementsOf(const std::vector<v1::SuspendedHold>& holds) const {
  MutexLock lock(mutex_);
  std::vector<v1::Settle> settlements;
  for (const v1::SuspendedHold& hold : holds) {
    if (hold.resolved()) continue;
    const absl::StatusOr<v1::SpendRecord> record = Find(hold.request_id());
    if (absl::IsNotFound(record.status())) continue;
    RETURN_IF_ERROR(record.status());
    if (record->outcome() == v1::SUSPENDED) continue;
    v1::Settle& settle = settlements.emplace_back();
    settle.set_request_id(record->request_id());
    settle.set_cost_nanos(record->cost_nanos());
    settle.set_tokens(record->tokens());
  }
  return settlements;
}

absl::StatusOr<bool> SqliteLedger::Insert(const v1::SpendRecord& record, bool open) {
  std::string bytes;
  if (record.request_body().empty() && record.response_body().empty() && !record.skip_log()) {
    bytes = record.SerializeAsString();
  } else {
    v1::SpendRecord stored = record;
    stored.clear_request_body();
    stored.clear_response_body();
    if (record.skip_log()) {
      stored.clear_metadata_json();
      stored.clear_event_id();
    }
    bytes = stored.SerializeAsString();
  }
  RETURN_IF_ERROR(db_->Run(
      "INSERT INTO requests (request_id, gateway, route_id, route, version, key_id, identifier, outcome, "
      "start_time_us, cost_nanos, record, open, cache, endpoint, listed, status, provider, model, error_code, "
      "duration_us, duration_bucket, first_byte_bucket, answered) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT (request_id) DO NOTHING",
      record.request_id(), record.gateway(), record.route_id(), record.route(), record.version(), record.key_id(),
      record.identifier(), record.outcome(), record.start_time_us(), record.cost_nanos(), SqlBlob{bytes}, open,
      record.cache(), record.endpoint(), !record.skip_log(), std::max(0, record.status()), record.provider(),
      record.model(), record.error_code(), record.duration_us(), LatencyBucket(record.duration_us()),
      LatencyBucket(record.first_byte_us()), AnsweredBy(record)));
  if (db_->Changes() == 0) return false;
  const int64_t id = db_->LastInsertRowId();
  if (!record.identifier().empty()) {
    RETURN_IF_ERROR(db_->Run("INSERT INTO recent_identifiers VALUES (?, ?, ?, ?)", record.gateway(),
                             record.identifier(), record.start_time_us(), id));
  }
  ++unindexed_;
  if (!record.skip_log() && (!record.request_body().empty() || !record.response_body().empty())) {
    const std::string_view request(record.request_body()), response(record.response_body());
    RETURN_IF_ERROR(db_->Run("INSERT INTO payloads (request, request_body, response_body) VALUES (?, ?, ?)", id,
                             SqlBlob{request.substr(0, kLoggedPayloadBytesMax)},
                             SqlBlob{response.substr(0, kLoggedPayloadBytesMax)}));
  }
  RETURN_IF_ERROR(InsertCharges(record, id));
  return true;
}

absl::Status SqliteLedger::InsertCharges(const v1::SpendRecord& record, int64_t id) {
  static const auto* const sql = new std::string([] {
    std::string columns, marks;
    for (const UsageKind& kind : kUsageKinds) {
      absl::StrAppend(&columns, ", ", kind.column);
      absl::StrAppend(&marks, ", ?");
    }
    return absl::StrCat("INSERT INTO charges (request, ordinal, provider, model, cost_nanos, estimated", columns,
                        ") VALUES (?, ?, ?, ?, ?, ?", marks, ")");
  }());
  ASSIGN_OR_RETURN(SqliteStatement charge, db_->Prepare(*sql));
  const auto insert = [&](int ordinal, const std::string& provider, const std::string& model, int64_t cost_nanos,
                          bool estimated, const v1::TokenUsage& usage) {
    charge.BindBorrowed(id, ordinal, provider, model, cost_nanos, estimated);
    int index = 6;
    for (const UsageKind& kind : kUsageKinds) charge.Bind(++index, (usage.*kind.get)());
    return charge.Run();
  };
  // What no attempt accounts for: a refused request's nothing, a suspended hold, a record that disagrees with its
  // attempts. It keeps totals equal whichever way usage is grouped.
  v1::TokenUsage rest = record.usage();
  int64_t rest_nanos = record.cost_nanos();
  int ordinal = 0;
  for (const v1::Attempt& attempt : record.attempts()) {
    RETURN_IF_ERROR(insert(ordinal++, attempt.provider(), attempt.model(), attempt.cost_nanos(), attempt.estimated(),
                           attempt.usage()));
    rest_nanos -= attempt.cost_nanos();
    for (const UsageKind& kind : kUsageKinds) (rest.*kind.set)((rest.*kind.get)() - (attempt.usage().*kind.get)());
  }
  bool accounted = rest_nanos == 0;
  for (const UsageKind& kind : kUsageKinds) accounted = accounted && (rest.*kind.get)() == 0;
  if (ordinal > 0 && accounted) return absl::OkStatus();
  return insert(ordinal, record.provider(), record.model(), rest_nanos, record.estimated(), rest);
}

void SqliteLedger::IndexWhenMany() {
  if (unindexed_ < kUnindexedMax) return;
  unindexed_ = 0;  // after a failure too, which is not repeated at each batch
  if (const absl::Status status = IndexIdentifiers(); !status.ok()) {
    LOG(WARNING) << "the ledger's index of identifiers stays behind for now: " << status;
  }
}

absl::Status SqliteLedger::IndexIdentifiers() {
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*db_));
  RETURN_IF_ERROR(
      db_->Run("INSERT OR IGNORE INTO identifier_index SELECT gateway, identifier, start_time_us, id "
               "FROM recent_identifiers ORDER BY gateway, identifier, start_time_us, id"));
  RETURN_IF_ERROR(db_->Run("DELETE FROM recent_identifiers"));
  RETURN_IF_ERROR(db_->Run("UPDATE retention SET identified_through = (SELECT ifnull(max(id), 0) FROM requests)"));
  return transaction.Commit();
}

absl::StatusOr<v1::SpendRecord> SqliteLedger::Find(const std::string& request_id) const {
  ASSIGN_OR_RETURN(SqliteStatement query, db_->Query("SELECT record FROM requests WHERE request_id = ?", request_id));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) return absl::NotFoundError(absl::StrCat("no request \"", request_id, "\" in the ledger"));
  v1::SpendRecord record;
  if (!record.ParseFromString(query.Text(0))) {
    return absl::DataLossError(absl::StrCat("the ledger's record of request \"", request_id, "\" is unreadable"));
  }
  return record;
}

absl::StatusOr<v1::ListRequestsResponse> SqliteLedger::ListRequests(const v1::ListRequestsRequest& request) const {
  ASSIGN_OR_RETURN(const RequestsQuery query, BuildRequestsQuery(request));
  MutexLock lock(mutex_);
  ASSIGN_OR_RETURN(SqliteStatement statement, db_->Prepare(query.sql));
  BindValues(statement, query.values);
  v1::ListRequestsResponse response;
  std::string next;
  while (true) {
    ASSIGN_OR_RETURN(const bool found, statement.Step());
    if (!found) break;
    if (response.records_size() == query.page_size) {
      response.set_next_page_token(next);
      break;
    }
    if (!response.add_records()->ParseFromString(statement.Text(0))) {
      return absl::DataLossError(absl::StrCat("the ledger's record ", statement.Int(2), " is unreadable"));
    }
    next = RequestsPageToken(statement.Int(1), statement.Int(2));
  }
  return response;
}

absl::StatusOr<v1::SpendRecord> SqliteLedger::GetRequest(const v1::GetRequestRequest& request) const {
  if (request.request_id().empty()) return absl::InvalidArgumentError("request_id: must be given");
  MutexLock lock(mutex_);
  ASSIGN_OR_RETURN(v1::SpendRecord record, Find(request.request_id()));
  if (!request.gateway().empty() && record.gateway() != request.gateway()) {
    return absl::NotFoundError(absl::StrCat("gateway \"", request.gateway(), "\" has no request \"",
                                            request.request_id(), "\" in the ledger"));
  }
  if (record.skip_log()) {
    return absl::NotFoundError(
        absl::StrCat("request \"", request.request_id(), "\" is in the ledger's sums only: it was to leave no log"));
  }
  ASSIGN_OR_RETURN(SqliteStatement payload,
                   db_->Query("SELECT p.request_body, p.response_body FROM payloads p JOIN requests r"
                              " ON r.id = p.request WHERE r.request_id = ?",
                              request.request_id()));
  ASSIGN_OR_RETURN(const bool found, payload.Step());
  if (found) {
    record.set_request_body(payload.Text(0));
    record.set_response_body(payload.Text(1));
  }
  return record;
}

absl::StatusOr<int64_t> SqliteLedger::CountRecords() const {
  MutexLock lock(mutex_);
  ASSIGN_OR_RETURN(SqliteStatement query, db_->Query("SELECT id FROM requests LIMIT 1"));
  RETURN_IF_ERROR(query.Step().status());
  return records_;
}

absl::Status SqliteLedger::BackupTo(const std::string& path) {
  absl::StatusOr<SqliteBackup> backup = [&] {
    MutexLock lock(mutex_);
    return SqliteBackup::Start(*db_, path);
  }();
  RETURN_IF_ERROR(backup.status());
  while (true) {
    LetRecordsIn();
    MutexLock lock(mutex_);
    ASSIGN_OR_RETURN(const bool complete, backup->Step(kBackupPages));
    if (complete) return absl::OkStatus();
  }
}

}  // namespace signalbox
