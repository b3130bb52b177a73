#include "controlplane/ledger/sqlite_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <thread>

#include "common/limits.h"
#include "controlplane/ledger/ledger_schema.h"
#include "controlplane/ledger/usage_query.h"
#include "tests/controlplane/ledger/temp_dir.h"
#include "tests/controlplane/store/faulty_vfs_sqlite.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kHourUs = 3'600'000'000;
constexpr int64_t kMidnightUs = 1'750'032'000'000'000;  // 2025-06-16T00:00:00Z

google::protobuf::RepeatedPtrField<v1::SpendRecord> Batch(const std::vector<v1::SpendRecord>& records) {
  return {records.begin(), records.end()};
}

v1::SpendRecord Record(const std::string& id, int64_t cost_nanos, v1::Outcome outcome = v1::SUCCESS) {
  v1::SpendRecord record;
  record.set_request_id(id);
  record.set_gateway("default");
  record.set_route_id("r-1");
  record.set_route("my-saas");
  record.set_version(1);
  record.set_key_id("k-1");
  record.set_identifier("ada@example.com");
  record.set_path("start/mini/end");
  record.set_outcome(outcome);
  record.set_status(outcome == v1::REFUSED ? 429 : 200);
  record.set_start_time_us(kMidnightUs);
  record.set_cost_nanos(cost_nanos);
  if (outcome != v1::REFUSED) {
    v1::Attempt& attempt = *record.add_attempts();
    attempt.set_provider("openai");
    attempt.set_model("gpt-4o-mini");
    attempt.set_cost_nanos(cost_nanos);
    attempt.mutable_usage()->set_input(100);
    attempt.mutable_usage()->set_output(10);
    *record.mutable_usage() = attempt.usage();
    record.set_provider("openai");
    record.set_model("gpt-4o-mini");
  }
  return record;
}

v1::QueryUsageRequest By(const std::vector<std::string>& by) {
  v1::QueryUsageRequest request;
  request.set_gateway("default");
  request.mutable_by()->Assign(by.begin(), by.end());
  return request;
}

std::string Line(const v1::UsageRow& row, const std::string& group) {
  return row.group().at(group) + " requests=" + std::to_string(row.requests()) +
         " cost=" + std::to_string(row.cost_nanos());
}

v1::ListRequestsRequest OfIdentifier(const std::string& identifier) {
  v1::ListRequestsRequest request;
  request.set_identifier(identifier);
  return request;
}

class SqliteLedgerTest : public ::testing::Test {
 protected:
  SqliteLedgerTest() { Reopen(); }
  void Reopen(const std::string& vfs = "") {
    ledger_.reset();
    SqliteOptions options;
    options.path = dir_.File("ledger.db");
    options.vfs = vfs;
    auto opened = SqliteLedger::Open(options);
    ASSERT_TRUE(opened.ok()) << opened.status();
    ledger_ = *std::move(opened);
  }
  void Append(const std::vector<v1::SpendRecord>& records) {
    const absl::Status status = ledger_->Append(Batch(records));
    ASSERT_TRUE(status.ok()) << status;
  }
  std::vector<std::string> Usage(const v1::QueryUsageRequest& request, const std::string& group) {
    const auto response = ledger_->QueryUsage(request);
    EXPECT_TRUE(response.ok()) << response.status();
    std::vector<std::string> lines;
    if (!response.ok()) return lines;
    for (const v1::UsageRow& row : response->rows()) lines.push_back(Line(row, group));
    return lines;
  }
  std::vector<std::string> Requests(v1::ListRequestsRequest request) {
    request.set_gateway("default");
    const auto response = ledger_->ListRequests(request);
    EXPECT_TRUE(response.ok()) << response.status();
    std::vector<std::string> ids;
    if (!response.ok()) return ids;
    for (const v1::SpendRecord& record : response->records()) ids.push_back(record.request_id());
    return ids;
  }
  v1::SpendRecord Get(const std::string& id) {
    v1::GetRequestRequest request;
    request.set_gateway("default");
    request.set_request_id(id);
    const auto record = ledger_->GetRequest(request);
    EXPECT_TRUE(record.ok()) << record.status();
    return record.ok() ? *record : v1::SpendRecord();
  }

  TempDir dir_;
  std::unique_ptr<SqliteLedger> ledger_;
};

TEST_F(SqliteLedgerTest, ARecordComesBackAsItWas) {
  const v1::SpendRecord record = Record("a", 5);
  Append({record});
  EXPECT_EQ(Get("a").SerializeAsString(), record.SerializeAsString());
}

TEST_F(SqliteLedgerTest, ARepeatChangesNothing) {
  Append({Record("a", 5)});
  Append({Record("a", 7), Record("b", 1), Record("b", 2)});
  EXPECT_EQ(*ledger_->CountRecords(), 2);
  EXPECT_EQ(Get("a").cost_nanos(), 5);
  EXPECT_THAT(Usage(By({"route"}), "route"), ElementsAre("my-saas requests=2 cost=6"));
}

TEST_F(SqliteLedgerTest, WhatWasAcknowledgedIsThereAfterAReopen) {
  Append({Record("a", 5)});
  Reopen();
  EXPECT_EQ(*ledger_->CountRecords(), 1);
}

TEST_F(SqliteLedgerTest, ABadRecordRefusesItsWholeBatchAndNamesTheField) {
  v1::SpendRecord bad = Record("bad", 1);
  bad.mutable_attempts(0)->set_cost_nanos(-1);
  const absl::Status status = ledger_->Append(Batch({Record("good", 1), bad}));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("records[1] (bad): attempts[0].cost_nanos: must be from 0"));
  EXPECT_EQ(*ledger_->CountRecords(), 0);
}

v1::SpendRecord CacheHit(const std::string& id) {
  v1::SpendRecord record = Record(id, 0);
  record.clear_attempts();
  record.clear_usage();
  record.set_cache(v1::HIT);
  return record;
}

TEST_F(SqliteLedgerTest, HitsAreCountedAmongTheRequestsAndCostNothing) {
  v1::SpendRecord miss = Record("miss", 5);
  miss.set_cache(v1::MISS);
  Append({miss, CacheHit("hit-1"), CacheHit("hit-2"), Record("other", 7)});
  const auto response = ledger_->QueryUsage(By({"route"}));
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->rows_size(), 1);
  EXPECT_EQ(response->rows(0).requests(), 4);
  EXPECT_EQ(response->rows(0).cache_hits(), 2);
  EXPECT_EQ(response->rows(0).cost_nanos(), 12);
  EXPECT_THAT(Usage(By({"cache"}), "cache"),
              ElementsAre(" requests=1 cost=7", "MISS requests=1 cost=5", "HIT requests=2 cost=0"));
}

TEST_F(SqliteLedgerTest, EveryKindOfUsageIsSummed) {
  ASSERT_EQ(v1::TokenUsage::descriptor()->field_count(), static_cast<int>(std::size(kUsageKinds)))
      << "a new kind of usage needs a column: a migration and kUsageKinds";
  v1::SpendRecord record = Record("a", 5);
  int64_t amount = 10;
  for (const UsageKind& kind : kUsageKinds) {
    v1::TokenUsage& total = *record.mutable_usage();
    (record.mutable_attempts(0)->mutable_usage()->*kind.set)(amount++);
    (total.*kind.set)(amount);  // one more of each than its attempt accounts for
    const auto* field = v1::TokenUsage::descriptor()->FindFieldByName(kind.column);
    ASSERT_NE(field, nullptr) << kind.column;
    EXPECT_EQ(total.GetReflection()->GetInt64(total, field), amount) << kind.column;
  }
  Append({record, Record("b", 7)});
  const auto response = ledger_->QueryUsage(By({"route"}));
  ASSERT_TRUE(response.ok()) << response.status();
  v1::TokenUsage sum = record.usage();
  sum.set_input(sum.input() + 100);
  sum.set_output(sum.output() + 10);
  EXPECT_EQ(response->rows(0).usage().SerializeAsString(), sum.SerializeAsString());
  EXPECT_EQ(response->rows(0).requests(), 2);
  EXPECT_EQ(response->rows(0).cost_nanos(), 12);
}

TEST_F(SqliteLedgerTest, WhatWasCalledIsADimension) {
  v1::SpendRecord chat = Record("a", 5), messages = Record("b", 7);
  chat.set_endpoint("chat");
  messages.set_endpoint("messages");
  messages.set_event_id("evt-1");
  Append({chat, messages});
  EXPECT_THAT(Usage(By({"endpoint"}), "endpoint"), ElementsAre("messages requests=1 cost=7", "chat requests=1 cost=5"));
  EXPECT_EQ(Get("b").event_id(), "evt-1");
}

TEST_F(SqliteLedgerTest, ARequestThatWantsNoLogIsCountedAndShownToNobody) {
  v1::SpendRecord silent = Record("silent", 5);
  silent.set_skip_log(true);
  silent.set_metadata_json(R"({"email":"ada@example.com"})");
  silent.set_request_body("what nobody may read");
  Append({silent, Record("told", 7)});
  EXPECT_THAT(Usage(By({"route"}), "route"), ElementsAre("my-saas requests=2 cost=12"));
  EXPECT_THAT(Requests({}), ElementsAre("told"));
  v1::GetRequestRequest get;
  get.set_gateway("default");
  get.set_request_id("silent");
  const absl::Status status = ledger_->GetRequest(get).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(std::string(status.message()), "request \"silent\" is in the ledger's sums only: it was to leave no log");
  Append({silent});
  EXPECT_EQ(*ledger_->CountRecords(), 2) << "a repeat changes nothing here either";
}

TEST_F(SqliteLedgerTest, BodiesAreKeptUpToTheirBoundAndComeWithTheirRequestOnly) {
  v1::SpendRecord record = Record("a", 5);
  record.set_request_body(std::string(kLoggedPayloadBytesMax + 1, 'q'));
  record.set_response_body(std::string("an\0swer", 7));
  Append({record});
  Reopen();
  EXPECT_EQ(Get("a").request_body(), std::string(kLoggedPayloadBytesMax, 'q'));
  EXPECT_EQ(Get("a").response_body(), std::string("an\0swer", 7));
  v1::ListRequestsRequest list;
  const auto listed = ledger_->ListRequests(list);
  ASSERT_TRUE(listed.ok());
  ASSERT_EQ(listed->records_size(), 1);
  EXPECT_EQ(listed->records(0).request_body(), "");
  EXPECT_EQ(listed->records(0).response_body(), "");
}

TEST_F(SqliteLedgerTest, ALedgerOfTheSchemaBeforeIsBroughtForward) {
  ledger_.reset();
  std::filesystem::remove(dir_.File("ledger.db"));
  {
    auto db = SqliteDb::Open({.path = dir_.File("ledger.db")});
    ASSERT_TRUE(db.ok()) << db.status();
    ASSERT_TRUE((*db)->Migrate({LedgerMigrations().begin(), LedgerMigrations().begin() + 2}).ok());
    const v1::SpendRecord record = Record("old", 5);
    ASSERT_TRUE((*db)
                    ->Run("INSERT INTO requests (request_id, gateway, route_id, route, version, key_id, identifier, "
                          "outcome, start_time_us, cost_nanos, record) VALUES (?, ?, ?, ?, 1, '', ?, 1, ?, 5, ?)",
                          record.request_id(), record.gateway(), record.route_id(), record.route(), record.identifier(),
                          record.start_time_us(), SqlBlob{record.SerializeAsString()})
                    .ok());
    ASSERT_TRUE((*db)->Run("INSERT INTO charges VALUES (1, 0, 'openai', 'gpt-4o-mini', 1, 0, 0, 1, 0, 5, 0)").ok());
  }
  Reopen();
  EXPECT_THAT(Requests({}), ElementsAre("old"));
  EXPECT_THAT(Requests(OfIdentifier("ada@example.com")), ElementsAre("old"));
  const auto response = ledger_->QueryUsage(By({"route"}));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->rows(0).requests(), 1);
  EXPECT_EQ(response->rows(0).cache_hits(), 0);
}

// What a ledger should say of each identifier, kept beside it.
class IdentifierIndexTest : public SqliteLedgerTest {
 protected:
  // Of five identifiers and none; start times run ahead and back a little, as those of several proxies do, and four of
  // an identifier are equal.
  v1::SpendRecord Next() {
    const int64_t number = made_++;
    v1::SpendRecord record = Record("request-" + std::to_string(number), number);
    record.set_identifier(number % 6 == 5 ? "" : "user-" + std::to_string(number % 6));
    record.set_start_time_us(kMidnightUs + number / 24 * 24'000 - number / 24 % 7 * 90'000);
    return record;
  }
  void AppendNext(int count) {
    std::vector<v1::SpendRecord> records;
    for (int i = 0; i < count; ++i) records.push_back(Next());
    Append(records);
    for (v1::SpendRecord& record : records) expected_.push_back(std::move(record));
  }
  void ExpectAllFound() {
    for (int user = 0; user < 5; ++user) {
      const std::string identifier = "user-" + std::to_string(user);
      std::vector<const v1::SpendRecord*> mine;
      int64_t cost_nanos = 0;
      for (const v1::SpendRecord& record : expected_) {
        if (record.identifier() != identifier) continue;
        mine.insert(mine.begin(), &record);  // of equal ones the newest first
        cost_nanos += record.cost_nanos();
      }
      std::stable_sort(mine.begin(), mine.end(),
                       [](const auto* a, const auto* b) { return a->start_time_us() > b->start_time_us(); });
      std::vector<std::string> ids, found;
      for (const auto* record : mine) ids.push_back(record->request_id());
      v1::ListRequestsRequest list = OfIdentifier(identifier);
      list.set_gateway("default");
      list.set_page_size(kPageSizeMax);
      do {
        const auto page = ledger_->ListRequests(list);
        ASSERT_TRUE(page.ok()) << page.status();
        for (const v1::SpendRecord& record : page->records()) found.push_back(record.request_id());
        list.set_page_token(page->next_page_token());
      } while (!list.page_token().empty());
      EXPECT_EQ(found, ids) << identifier;

      v1::QueryUsageRequest usage = By({"route"});
      usage.set_identifier(identifier);
      EXPECT_THAT(Usage(usage, "route"), ElementsAre("my-saas requests=" + std::to_string(mine.size()) +
                                                     " cost=" + std::to_string(cost_nanos)));
      usage.set_start_time_us(kMidnightUs + 3'000'000);
      usage.set_end_time_us(kMidnightUs + 7'000'000);
      const auto in_span = static_cast<size_t>(std::count_if(mine.begin(), mine.end(), [&](const auto* record) {
        return record->start_time_us() >= usage.start_time_us() && record->start_time_us() < usage.end_time_us();
      }));
      const auto span = ledger_->QueryUsage(usage);
      ASSERT_TRUE(span.ok()) << span.status();
      EXPECT_EQ(span->rows_size() == 0 ? 0 : static_cast<size_t>(span->rows(0).requests()), in_span) << identifier;
    }
  }
  // Of the index on disk; the ledger is closed for it.
  int64_t CountIndexed() {
    ledger_.reset();
    int64_t count = -1;
    {
      auto db = SqliteDb::Open({.path = dir_.File("ledger.db")});
      EXPECT_TRUE(db.ok()) << db.status();
      auto query = (*db)->Query("SELECT count(*) FROM identifier_index");
      EXPECT_TRUE(query.ok() && query->Step().ok());
      count = query->Int(0);
    }
    Reopen();
    return count;
  }

  int64_t made_ = 0;
  std::vector<v1::SpendRecord> expected_;  // in the order appended
};

TEST_F(IdentifierIndexTest, RequestsAreFoundBeforeTheyAreInTheIndexAndAfter) {
  AppendNext(8'100);
  ExpectAllFound();
  EXPECT_EQ(CountIndexed(), 0);
  ExpectAllFound();  // what was not in the index is found anew
  AppendNext(300);
  ExpectAllFound();
  EXPECT_EQ(CountIndexed(), 8'400 * 5 / 6);
  AppendNext(1'000);
  v1::SpendRecord late = Next();
  late.set_identifier("user-1");
  late.set_start_time_us(kMidnightUs + 3'000'000);  // among those that are in the index
  Append({late});
  expected_.push_back(late);
  ExpectAllFound();
  Reopen();
  ExpectAllFound();
}

TEST_F(IdentifierIndexTest, RecordsOfNobodyBringItUpToDateToo) {
  std::vector<v1::SpendRecord> records(9'000, Record("", 1));
  for (size_t i = 0; i < records.size(); ++i) {
    records[i].set_request_id("nobody-" + std::to_string(i));
    records[i].set_identifier("");
  }
  AppendNext(6);
  Append(records);
  EXPECT_EQ(CountIndexed(), 5);
  ExpectAllFound();
}

TEST_F(IdentifierIndexTest, WhatIsDeletedOrReplacedLeavesTheIndex) {
  v1::SpendRecord real = Next();
  v1::SpendRecord suspended = real;
  suspended.set_outcome(v1::SUSPENDED);
  Append({suspended});
  AppendNext(10'000);
  Append({real});  // the suspended one is in the index, this one is not yet
  expected_.push_back(real);
  ExpectAllFound();
  const int64_t horizon_us = kMidnightUs + 2'000'000;
  ASSERT_TRUE(ledger_->RaiseHorizon(horizon_us).ok());
  ASSERT_TRUE(ledger_->DeleteExpired(100'000).ok());
  std::erase_if(expected_, [&](const auto& record) { return record.start_time_us() < horizon_us; });
  ExpectAllFound();
  AppendNext(9'000);  // brings what is left of the recent ones into the index
  const auto identified = std::count_if(expected_.begin(), expected_.end(),
                                        [](const auto& record) { return !record.identifier().empty(); });
  EXPECT_EQ(CountIndexed(), identified);
  ExpectAllFound();
}

// Whichever write fails, of the batch or of the index after it: what was acknowledged is found, and nothing else.
TEST_F(IdentifierIndexTest, AFailedWriteCostsNoRecordThatWasTaken) {
  RegisterFaultyVfs();
  AppendNext(8'191);  // the next brings the index up to date
  ledger_.reset();
  std::filesystem::copy_file(dir_.File("ledger.db"), dir_.File("before.db"));
  const std::vector<v1::SpendRecord> before = expected_;
  int refused = 0, taken = 0;
  for (int n = 1; n < 100'000; n = n < 12 ? n + 1 : n * 2) {
    SCOPED_TRACE(n);
    std::filesystem::copy_file(dir_.File("before.db"), dir_.File("ledger.db"),
                               std::filesystem::copy_options::overwrite_existing);
    expected_ = before;
    made_ = 8'191;
    Reopen(kFaultyVfs);
    const v1::SpendRecord record = Next();
    FailFromWrite(n);
    const absl::Status status = ledger_->Append(Batch({record}));
    const bool failed = WriteFailed();
    HealWrites();
    if (status.ok()) expected_.push_back(record);
    ++(status.ok() ? taken : refused);
    AppendNext(10);
    ExpectAllFound();
    Reopen();
    ExpectAllFound();
    ledger_.reset();
    if (!failed) break;
  }
  EXPECT_GT(refused, 1);
  EXPECT_GT(taken, 1);
  Reopen();
}

TEST(CheckSpendRecord, NamesTheFieldAtFault) {
  const auto fault = [](auto change) {
    v1::SpendRecord record = Record("a", 1);
    change(record);
    const absl::Status status = CheckSpendRecord(record);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_TRUE(CheckSpendRecord(Record("a", 1)).ok());
  EXPECT_THAT(fault([](v1::SpendRecord& r) { r.clear_request_id(); }), HasSubstr("request_id:"));
  EXPECT_THAT(fault([](v1::SpendRecord& r) { r.set_request_id(std::string(300, 'x')); }), HasSubstr("request_id:"));
  EXPECT_THAT(fault([](v1::SpendRecord& r) { r.clear_gateway(); }), HasSubstr("gateway:"));
  EXPECT_THAT(fault([](v1::SpendRecord& r) { r.clear_outcome(); }), HasSubstr("outcome:"));
  EXPECT_THAT(fault([](v1::SpendRecord& r) { r.set_outcome(static_cast<v1::Outcome>(99)); }), HasSubstr("99"));
  EXPECT_THAT(fault([](v1::SpendRecord& r) { r.clear_start_time_us(); }), HasSubstr("start_time_us:"));
  EXPECT_THAT(fault([](v1::SpendRecord& r) { r.set_cost_nanos(INT64_MIN); }), HasSubstr("cost_nanos:"));
  EXPECT_THAT(fault([](v1::SpendRecord& r) { r.mutable_usage()->set_input(-1); }), HasSubstr("usage.input:"));
}

TEST_F(SqliteLedgerTest, UsageByModelGivesEachAttemptsCostToItsOwnModel) {
  v1::SpendRecord fallback = Record("a", 7);
  fallback.mutable_attempts(0)->set_cost_nanos(3);
  fallback.mutable_attempts(0)->set_estimated(true);
  *fallback.add_attempts() = fallback.attempts(0);
  fallback.mutable_attempts(1)->set_provider("anthropic");
  fallback.mutable_attempts(1)->set_model("claude-sonnet-4-5");
  fallback.mutable_attempts(1)->set_cost_nanos(4);
  fallback.mutable_attempts(1)->set_estimated(false);
  fallback.mutable_usage()->set_input(200);
  fallback.mutable_usage()->set_output(20);
  fallback.set_provider("anthropic");
  fallback.set_model("claude-sonnet-4-5");
  Append({fallback});
  EXPECT_THAT(Usage(By({"model"}), "model"),
              ElementsAre("claude-sonnet-4-5 requests=1 cost=4", "gpt-4o-mini requests=1 cost=3"));
  const auto total = ledger_->QueryUsage(By({}));
  ASSERT_EQ(total->rows_size(), 1);
  EXPECT_EQ(total->rows(0).requests(), 1);
  EXPECT_EQ(total->rows(0).cost_nanos(), 7);
  EXPECT_EQ(total->rows(0).estimated_nanos(), 3);
  EXPECT_EQ(total->rows(0).usage().input(), 200);
}

TEST_F(SqliteLedgerTest, EveryGroupingHasTheSameTotalEvenWhenARecordDisagreesWithItsAttempts) {
  v1::SpendRecord odd = Record("odd", 10);
  odd.mutable_attempts(0)->set_cost_nanos(4);
  Append({odd, Record("refused", 0, v1::REFUSED), Record("plain", 100)});
  for (const char* by : {"route", "version", "identifier", "model", "provider", "key", "hour", "day", "outcome"}) {
    const auto response = ledger_->QueryUsage(By({by}));
    ASSERT_TRUE(response.ok()) << by << response.status();
    int64_t total = 0;
    for (const v1::UsageRow& row : response->rows()) {
      total += row.cost_nanos();
      EXPECT_TRUE(row.group().contains(by)) << by;
    }
    EXPECT_EQ(total, 110) << by;
  }
}

TEST_F(SqliteLedgerTest, UsageCountsRefusedAndFailedRequests) {
  Append({Record("a", 1), Record("b", 0, v1::REFUSED), Record("c", 0, v1::ERROR), Record("d", 0, v1::TIMEOUT)});
  const auto response = ledger_->QueryUsage(By({"identifier"}));
  ASSERT_EQ(response->rows_size(), 1);
  EXPECT_EQ(response->rows(0).requests(), 4);
  EXPECT_EQ(response->rows(0).refused(), 1);
  EXPECT_EQ(response->rows(0).errors(), 2);
  EXPECT_THAT(Usage(By({"outcome"}), "outcome"), ElementsAre("SUCCESS requests=1 cost=1", "REFUSED requests=1 cost=0",
                                                             "ERROR requests=1 cost=0", "TIMEOUT requests=1 cost=0"));
}

TEST_F(SqliteLedgerTest, ARenamedRouteIsOneRouteUnderItsNewestName) {
  v1::SpendRecord renamed = Record("b", 2);
  renamed.set_route("my-saas-2");
  renamed.set_start_time_us(kMidnightUs + 1);
  v1::SpendRecord reused = Record("c", 1);
  reused.set_route_id("r-2");
  Append({Record("a", 1), renamed, reused});
  EXPECT_THAT(Usage(By({"route"}), "route"), ElementsAre("my-saas-2 requests=2 cost=3", "my-saas requests=1 cost=1"));
}

TEST_F(SqliteLedgerTest, VersionsCountWithinTheirRoute) {
  v1::SpendRecord other = Record("b", 2);
  other.set_route_id("r-2");
  other.set_route("other");
  Append({Record("a", 1), other});
  const auto response = ledger_->QueryUsage(By({"version"}));
  ASSERT_EQ(response->rows_size(), 2);
  EXPECT_EQ(response->rows(0).group().at("route"), "other");
  EXPECT_EQ(response->rows(0).group().at("version"), "1");
}

TEST_F(SqliteLedgerTest, TimeRowsComeOldestFirst) {
  v1::SpendRecord later = Record("b", 1);
  later.set_start_time_us(kMidnightUs + kHourUs);
  v1::SpendRecord before = Record("c", 9);
  before.set_start_time_us(kMidnightUs - 1);
  Append({later, Record("a", 1), before});
  EXPECT_THAT(Usage(By({"hour"}), "hour"),
              ElementsAre("2025-06-15T23:00:00Z requests=1 cost=9", "2025-06-16T00:00:00Z requests=1 cost=1",
                          "2025-06-16T01:00:00Z requests=1 cost=1"));
  EXPECT_THAT(Usage(By({"day"}), "day"), ElementsAre("2025-06-15 requests=1 cost=9", "2025-06-16 requests=2 cost=2"));
}

TEST_F(SqliteLedgerTest, UsageFiltersByEverythingItsRequestNames) {
  v1::SpendRecord other = Record("b", 2);
  other.set_route_id("r-2");
  other.set_route("other");
  other.set_identifier("bob@example.com");
  other.set_start_time_us(kMidnightUs + kHourUs);
  other.mutable_attempts(0)->set_model("gpt-5.1");
  v1::SpendRecord elsewhere = Record("c", 4);
  elsewhere.set_gateway("staging");
  Append({Record("a", 1), other, elsewhere});
  const auto total = [&](auto change) -> int64_t {
    v1::QueryUsageRequest request = By({});
    change(request);
    const auto response = ledger_->QueryUsage(request);
    return response.ok() && response->rows_size() == 1 ? response->rows(0).cost_nanos() : -1;
  };
  EXPECT_EQ(total([](auto& r) {}), 3);
  EXPECT_EQ(total([](auto& r) { r.clear_gateway(); }), 7);
  EXPECT_EQ(total([](auto& r) { r.set_route("other"); }), 2);
  EXPECT_EQ(total([](auto& r) { r.set_route("r-2"); }), 2);
  EXPECT_EQ(total([](auto& r) { r.set_identifier("bob@example.com"); }), 2);
  EXPECT_EQ(total([](auto& r) { r.set_model("gpt-5.1"); }), 2);
  EXPECT_EQ(total([](auto& r) { r.set_start_time_us(kMidnightUs + 1); }), 2);
  EXPECT_EQ(total([](auto& r) { r.set_end_time_us(kMidnightUs + kHourUs); }), 1);
  EXPECT_EQ(total([](auto& r) { r.set_route("' OR 1=1 --"); }), -1) << "no row";
}

TEST_F(SqliteLedgerTest, UsageComesInPages) {
  for (int i = 0; i < 5; ++i) {
    v1::SpendRecord record = Record("a" + std::to_string(i), 5 - i);
    record.set_identifier("user" + std::to_string(i));
    Append({record});
  }
  v1::QueryUsageRequest request = By({"identifier"});
  request.set_page_size(2);
  std::vector<std::string> seen;
  int pages = 0;
  do {
    const auto response = ledger_->QueryUsage(request);
    ASSERT_TRUE(response.ok()) << response.status();
    for (const v1::UsageRow& row : response->rows()) seen.push_back(row.group().at("identifier"));
    request.set_page_token(response->next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(pages, 3);
  EXPECT_THAT(seen, ElementsAre("user0", "user1", "user2", "user3", "user4"));
}

TEST_F(SqliteLedgerTest, BadQueriesSayWhatWouldBeRight) {
  const auto fault = [&](auto change) {
    v1::QueryUsageRequest request;
    change(request);
    const absl::Status status = ledger_->QueryUsage(request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(fault([](auto& r) { r.add_by("colour"); }),
              HasSubstr("unknown dimension \"colour\" (known: route, version, identifier, model"));
  EXPECT_THAT(fault([](auto& r) { r.set_page_token("x"); }), HasSubstr("page_token:"));
  EXPECT_THAT(fault([](auto& r) { r.set_page_size(-1); }), HasSubstr("page_size:"));
  EXPECT_THAT(fault([](auto& r) {
                r.set_start_time_us(2);
                r.set_end_time_us(1);
              }),
              HasSubstr("end_time_us:"));
}

TEST_F(SqliteLedgerTest, SumsBeyondAnInt64StopAtItsMaximum) {
  std::vector<v1::SpendRecord> records;
  for (int i = 0; i < 12; ++i) records.push_back(Record("a" + std::to_string(i), 1'000'000'000'000'000'000));
  Append(records);
  EXPECT_EQ(ledger_->QueryUsage(By({}))->rows(0).cost_nanos(), INT64_MAX);
}

TEST_F(SqliteLedgerTest, RequestsComeNewestFirstInPagesRefusedOnesToo) {
  for (int i = 0; i < 5; ++i) {
    v1::SpendRecord record = Record(std::string(1, static_cast<char>('a' + i)), 1, i == 2 ? v1::REFUSED : v1::SUCCESS);
    record.set_start_time_us(kMidnightUs + (i < 3 ? 0 : 1));
    Append({record});
  }
  v1::ListRequestsRequest request;
  EXPECT_THAT(Requests(request), ElementsAre("e", "d", "c", "b", "a"));
  request.set_outcome(v1::REFUSED);
  EXPECT_THAT(Requests(request), ElementsAre("c"));
  request.clear_outcome();
  request.set_page_size(2);
  std::vector<std::string> seen;
  do {
    const auto response = ledger_->ListRequests(request);
    ASSERT_TRUE(response.ok()) << response.status();
    for (const v1::SpendRecord& record : response->records()) seen.push_back(record.request_id());
    request.set_page_token(response->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(seen, ElementsAre("e", "d", "c", "b", "a"));
}

TEST_F(SqliteLedgerTest, ARequestOfAnotherGatewayIsNotFound) {
  Append({Record("a", 1)});
  v1::GetRequestRequest request;
  request.set_gateway("staging");
  request.set_request_id("a");
  const absl::Status status = ledger_->GetRequest(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("gateway \"staging\" has no request \"a\""));
}

TEST_F(SqliteLedgerTest, ABackupIsAWholeLedger) {
  Append({Record("a", 1), Record("b", 2)});
  ASSERT_TRUE(ledger_->BackupTo(dir_.File("copy.db")).ok());
  const absl::Status again = ledger_->BackupTo(dir_.File("copy.db"));
  EXPECT_EQ(again.code(), absl::StatusCode::kFailedPrecondition) << "a backup never overwrites: " << again;
  auto copy = SqliteLedger::Open({.path = dir_.File("copy.db")});
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(*(*copy)->CountRecords(), 2);
}

TEST_F(SqliteLedgerTest, UsageOfManyRequestsIsSummedSliceBySliceToTheSameTotals) {
  std::vector<v1::SpendRecord> records;
  for (int i = 0; i < 4'500; ++i) {
    records.push_back(Record("a" + std::to_string(i), 1 + i % 3));
    records.back().set_identifier("user" + std::to_string(i % 2));
    records.back().set_start_time_us(kMidnightUs + i / 1'500 * kHourUs);  // slices end within a microsecond
  }
  records.push_back(Record("b", 100));
  records.back().set_gateway("staging");
  records[4'499].set_route("renamed");
  records[4'499].set_start_time_us(records[4'499].start_time_us() + 1);
  Append(records);
  EXPECT_THAT(Usage(By({"route"}), "route"), ElementsAre("renamed requests=4500 cost=9000"));
  EXPECT_THAT(Usage(By({"identifier"}), "identifier"),
              ElementsAre("user0 requests=2250 cost=4500", "user1 requests=2250 cost=4500"));
  EXPECT_THAT(Usage(By({"hour"}), "hour"), ElementsAre("2025-06-16T00:00:00Z requests=1500 cost=3000",
                                                       "2025-06-16T01:00:00Z requests=1500 cost=3000",
                                                       "2025-06-16T02:00:00Z requests=1500 cost=3000"));
  v1::QueryUsageRequest all = By({"outcome"});
  all.clear_gateway();
  EXPECT_THAT(Usage(all, "outcome"), ElementsAre("SUCCESS requests=4501 cost=9100"));
  v1::QueryUsageRequest one = By({"identifier"});
  one.set_identifier("user1");
  one.set_start_time_us(kMidnightUs + kHourUs);
  one.set_end_time_us(kMidnightUs + 2 * kHourUs);
  EXPECT_THAT(Usage(one, "identifier"), ElementsAre("user1 requests=750 cost=1500"));
}

TEST_F(SqliteLedgerTest, ARecordThatIsReplacedWhileUsageIsSummedCountsOnce) {
  constexpr int kSuspended = 60;
  std::vector<v1::SpendRecord> records;
  for (int i = 0; i < 4'000; ++i) {
    records.push_back(Record("a" + std::to_string(i), 1));
    records.back().set_start_time_us(kMidnightUs + i);
  }
  std::vector<v1::SuspendedHold> holds(kSuspended);
  for (int i = 0; i < kSuspended; ++i) {
    holds[i].set_sequence(i + 1);
    holds[i].set_request_id("s" + std::to_string(i));
    holds[i].mutable_counter()->set_gateway("default");
    holds[i].set_suspend_time_us(kMidnightUs + 3'999);  // counted last, and after its replacement first
  }
  Append(records);
  ASSERT_TRUE(ledger_->AppendSuspended(holds).ok());
  std::thread replacer([&] {
    for (int i = 0; i < kSuspended; ++i) Append({Record("s" + std::to_string(i), 1)});
  });
  for (int i = 0; i < 20; ++i) {
    const auto usage = ledger_->QueryUsage(By({}));
    ASSERT_TRUE(usage.ok()) << usage.status();
    EXPECT_EQ(usage->rows(0).requests(), 4'000 + kSuspended);
  }
  replacer.join();
  EXPECT_EQ(ledger_->QueryUsage(By({}))->rows(0).requests(), 4'000 + kSuspended);
}

TEST_F(SqliteLedgerTest, RequestsAreFilteredByWhatAnsweredThemAndWhen) {
  v1::SpendRecord other = Record("b", 20);
  other.set_model("gpt-5.1");
  other.set_version(2);
  other.set_key_id("k-2");
  other.set_start_time_us(kMidnightUs + kHourUs);
  v1::SpendRecord refused = Record("c", 0, v1::REFUSED);
  refused.set_error_code("limit");
  refused.set_start_time_us(kMidnightUs + 2 * kHourUs);
  Append({Record("a", 10), other, refused});
  const auto with = [](const std::function<void(v1::ListRequestsRequest&)>& set) {
    v1::ListRequestsRequest request;
    set(request);
    return request;
  };
  EXPECT_THAT(Requests(with([](auto& r) { r.set_model("gpt-5.1"); })), ElementsAre("b"));
  EXPECT_THAT(Requests(with([](auto& r) { r.set_provider("openai"); })), ElementsAre("b", "a"));
  EXPECT_THAT(Requests(with([](auto& r) { r.set_version(1); })), ElementsAre("c", "a"));
  EXPECT_THAT(Requests(with([](auto& r) { r.set_key_id("k-2"); })), ElementsAre("b"));
  EXPECT_THAT(Requests(with([](auto& r) { r.set_error_code("limit"); })), ElementsAre("c"));
  EXPECT_THAT(Requests(with([](auto& r) {
                r.set_start_time_us(kMidnightUs + kHourUs);
                r.set_end_time_us(kMidnightUs + 2 * kHourUs);
              })),
              ElementsAre("b"));
  v1::ListRequestsRequest backwards;
  backwards.set_start_time_us(2);
  backwards.set_end_time_us(1);
  EXPECT_EQ(ledger_->ListRequests(backwards).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SqliteLedgerTest, UsageByMinuteMonthAndStatusAndItsFilters) {
  v1::SpendRecord next = Record("b", 20);
  next.set_start_time_us(kMidnightUs + 61'000'000);
  next.set_key_id("k-2");
  v1::SpendRecord july = Record("c", 40);
  july.set_start_time_us(kMidnightUs + 30 * 24 * kHourUs);
  july.set_version(2);
  Append({Record("a", 10), next, july, Record("d", 0, v1::REFUSED)});
  EXPECT_THAT(Usage(By({"month"}), "month"), ElementsAre("2025-06 requests=3 cost=30", "2025-07 requests=1 cost=40"));
  EXPECT_THAT(Usage(By({"minute"}), "minute"),
              ElementsAre("2025-06-16T00:00:00Z requests=2 cost=10", "2025-06-16T00:01:00Z requests=1 cost=20",
                          "2025-07-16T00:00:00Z requests=1 cost=40"));
  EXPECT_THAT(Usage(By({"status"}), "status"), ElementsAre("200 requests=3 cost=70", "429 requests=1 cost=0"));
  v1::QueryUsageRequest request = By({"model"});
  request.set_key("k-2");
  EXPECT_THAT(Usage(request, "model"), ElementsAre("gpt-4o-mini requests=1 cost=20"));
  request = By({"model"});
  request.set_version(2);
  request.set_provider("openai");
  EXPECT_THAT(Usage(request, "model"), ElementsAre("gpt-4o-mini requests=1 cost=40"));
  request.set_provider("anthropic");
  EXPECT_THAT(Usage(request, "model"), ElementsAre());
}

TEST_F(SqliteLedgerTest, LatencyIsOfWhatAModelAnsweredAndWhereItWasAnswered) {
  std::vector<v1::SpendRecord> records;
  for (int i = 0; i < 100; ++i) {
    v1::SpendRecord record = Record("r" + std::to_string(i), 10);
    record.set_duration_us(i < 90 ? 100'000 : 4'000'000);
    record.set_first_byte_us(50'000);
    v1::Attempt& failed = *record.add_attempts();
    failed.set_provider("anthropic");
    failed.set_model("claude");
    std::swap(*record.mutable_attempts(0), *record.mutable_attempts(1));
    records.push_back(record);
  }
  v1::SpendRecord cached = Record("hit", 0);
  cached.set_cache(v1::HIT);
  cached.set_duration_us(1);
  v1::SpendRecord refused = Record("no", 0, v1::REFUSED);
  refused.set_duration_us(1);
  records.push_back(cached);
  records.push_back(refused);
  Append(records);
  const auto all = ledger_->QueryUsage(By({}));
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->rows_size(), 1);
  const v1::Latency& latency = all->rows(0).latency();
  EXPECT_EQ(latency.requests(), 100);
  EXPECT_EQ(latency.mean_us(), 490'000);
  EXPECT_NEAR(static_cast<double>(latency.p50_us()), 100'000, 30'000);
  EXPECT_NEAR(static_cast<double>(latency.p95_us()), 4'000'000, 1'300'000);
  EXPECT_NEAR(static_cast<double>(latency.first_byte_p95_us()), 50'000, 15'000);
  const auto by_model = ledger_->QueryUsage(By({"model"}));
  ASSERT_TRUE(by_model.ok());
  for (const v1::UsageRow& row : by_model->rows()) {
    EXPECT_EQ(row.latency().requests(), row.group().at("model") == "gpt-4o-mini" ? 100 : 0) << row.DebugString();
  }
}

TEST_F(SqliteLedgerTest, RecordsFromBeforeTheColumnsAreFilledIn) {
  v1::SpendRecord record = Record("old", 10);
  record.set_duration_us(100'000);
  Append({record});
  ledger_.reset();
  {
    auto db = SqliteDb::Open({.path = dir_.File("ledger.db")});
    ASSERT_TRUE(db.ok()) << db.status();
    ASSERT_TRUE((*db)->Run("UPDATE requests SET status=-1, model='', provider='', duration_us=0, answered=-1").ok());
  }
  Reopen();
  v1::ListRequestsRequest request;
  request.set_model("gpt-4o-mini");
  EXPECT_THAT(Requests(request), ElementsAre("old"));
  const auto usage = ledger_->QueryUsage(By({"status"}));
  ASSERT_TRUE(usage.ok());
  ASSERT_EQ(usage->rows_size(), 1);
  EXPECT_EQ(usage->rows(0).group().at("status"), "200");
  EXPECT_EQ(usage->rows(0).latency().mean_us(), 100'000);
}

}  // namespace
}  // namespace signalbox
