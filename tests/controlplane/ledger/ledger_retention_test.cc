#include "controlplane/ledger/ledger_retention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/controlplane/ledger/temp_dir.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kDayUs = 86'400'000'000;
constexpr int kDays = 30;

class LedgerRetentionTest : public ::testing::Test {
 protected:
  LedgerRetentionTest() { Reopen(); }
  void Reopen() {
    ledger_.reset();
    auto opened = SqliteLedger::Open({.path = dir_.File("ledger.db")});
    ASSERT_TRUE(opened.ok()) << opened.status();
    ledger_ = *std::move(opened);
  }
  v1::SpendRecord Record(const std::string& id, int64_t days_ago, const std::string& gateway = "default") {
    v1::SpendRecord record;
    record.set_request_id(id);
    record.set_gateway(gateway);
    record.set_outcome(v1::SUCCESS);
    record.set_start_time_us(clock_.UnixMicros() - days_ago * kDayUs);
    record.set_cost_nanos(5);
    record.add_attempts()->set_cost_nanos(5);
    return record;
  }
  void Append(const std::vector<v1::SpendRecord>& records) {
    const absl::Status status = ledger_->Append({records.begin(), records.end()});
    ASSERT_TRUE(status.ok()) << status;
  }
  v1::SuspendedHold Hold(const std::string& id, int64_t days_ago) {
    v1::SuspendedHold hold;
    hold.set_sequence(1);
    hold.set_request_id(id);
    hold.mutable_counter()->set_gateway("default");
    hold.mutable_counter()->set_pool("r-1/usd");
    hold.mutable_counter()->set_unit(v1::NANO_DOLLARS);
    hold.mutable_counter()->add_identifier()->set_string_value("ada");
    hold.set_amount(500);
    hold.set_suspend_time_us(clock_.UnixMicros() - days_ago * kDayUs);
    return hold;
  }
  void Suspend(const v1::SuspendedHold& hold) {
    const auto refused = ledger_->AppendSuspended({hold});
    ASSERT_TRUE(refused.ok()) << refused.status();
    EXPECT_THAT(*refused, IsEmpty());
  }
  // How many were deleted.
  int64_t Run(int days = kDays) {
    const auto deleted = LedgerRetention(*ledger_, clock_, days, nullptr).RunOnce();
    EXPECT_TRUE(deleted.ok()) << deleted.status();
    return deleted.value_or(-1);
  }
  bool Has(const std::string& id) {
    v1::GetRequestRequest request;
    request.set_request_id(id);
    return ledger_->GetRequest(request).ok();
  }
  int64_t TotalNanos() {
    const auto usage = ledger_->QueryUsage({});
    EXPECT_TRUE(usage.ok()) << usage.status();
    return usage.ok() && usage->rows_size() == 1 ? usage->rows(0).cost_nanos() : 0;
  }

  TempDir dir_;
  ManualClock clock_;
  std::unique_ptr<SqliteLedger> ledger_;
};

TEST_F(LedgerRetentionTest, WhatIsOlderIsDeletedInEveryGatewayAndTheRestStays) {
  Append({Record("old", 31), Record("old too", 40, "staging"), Record("young", 29), Record("now", 0, "zebra")});
  EXPECT_EQ(Run(), 2);
  EXPECT_FALSE(Has("old"));
  EXPECT_FALSE(Has("old too"));
  EXPECT_TRUE(Has("young"));
  EXPECT_EQ(*ledger_->CountRecords(), 2);
  EXPECT_EQ(TotalNanos(), 10) << "charges go with their records";
  EXPECT_EQ(ledger_->counts().deleted, 2);
  Reopen();
  EXPECT_EQ(*ledger_->CountRecords(), 2);
}

TEST_F(LedgerRetentionTest, ZeroDaysKeepEverything) {
  Append({Record("old", 4'000), Record("now", 0)});
  EXPECT_EQ(Run(0), 0);
  EXPECT_TRUE(Has("old"));
}

TEST_F(LedgerRetentionTest, ARecordResentAfterItsRowWasDeletedIsNotChargedAgain) {
  const v1::SpendRecord old = Record("old", 31);
  Append({old, Record("now", 0)});
  ASSERT_EQ(Run(), 1);
  Append({old});  // acknowledged, so that the proxy's spool is rid of it
  EXPECT_FALSE(Has("old"));
  EXPECT_EQ(TotalNanos(), 5);
  EXPECT_EQ(ledger_->counts().expired, 1);
  Reopen();
  EXPECT_EQ(Run(365), 0) << "a longer retention from now on";
  Append({old});
  EXPECT_FALSE(Has("old")) << "the horizon never goes back";
  EXPECT_EQ(*ledger_->CountRecords(), 1);
}

TEST_F(LedgerRetentionTest, ASuspendedRecordStaysUntilTheRealOneReplacesIt) {
  Suspend(Hold("lost", 31));
  Append({Record("now", 0)});
  EXPECT_EQ(Run(), 0);
  EXPECT_EQ(TotalNanos(), 505);
  Append({Record("lost", 32)});  // older than what is kept, and yet taken: it resolves
  EXPECT_EQ(TotalNanos(), 10);
  EXPECT_EQ(Run(), 1);
  EXPECT_EQ(TotalNanos(), 5);
}

TEST_F(LedgerRetentionTest, ASuspendedRecordGoesOnceItsHoldIsSettled) {
  v1::SuspendedHold hold = Hold("lost", 31);
  Suspend(hold);
  Append({Record("now", 0)});
  ASSERT_EQ(Run(), 0);
  ASSERT_EQ(ledger_->Size()->open, 1);
  hold.set_resolved(true);
  hold.set_settled(20);
  Suspend(hold);
  EXPECT_EQ(ledger_->Size()->open, 0);
  EXPECT_EQ(Run(), 1);
  Suspend(hold);  // the quota service lists it for days to come
  EXPECT_FALSE(Has("lost"));
  EXPECT_EQ(TotalNanos(), 5);
}

TEST_F(LedgerRetentionTest, AHoldOfARequestWhoseRecordWasDeletedIsNotChargedAgain) {
  Append({Record("old", 31), Record("now", 0)});
  ASSERT_EQ(Run(), 1);
  Suspend(Hold("old", 31));
  EXPECT_FALSE(Has("old"));
  EXPECT_EQ(TotalNanos(), 5);
}

TEST_F(LedgerRetentionTest, NothingIsDeletedWhileTheQuotaServiceMayStillAskWhatARequestCost) {
  Append({Record("old", 31), Record("now", 0)});
  bool may_delete = false;
  LedgerRetention retention(*ledger_, clock_, kDays, [&] { return may_delete; });
  EXPECT_EQ(*retention.RunOnce(), 0);
  Append({Record("late", 35)});
  EXPECT_TRUE(Has("late")) << "nor does the horizon rise";
  may_delete = true;
  EXPECT_EQ(*retention.RunOnce(), 2);
}

TEST_F(LedgerRetentionTest, AClockThatJumpedAheadEmptiesNothing) {
  Append({Record("a", 20), Record("b", 0)});
  LedgerRetention retention(*ledger_, clock_, kDays, nullptr);
  ASSERT_EQ(*retention.RunOnce(), 0);
  clock_.StepWall(400 * kDayUs);
  Append({Record("of the future", 0)});  // a proxy on the same machine believes it
  EXPECT_EQ(*retention.RunOnce(), 0);
  EXPECT_EQ(*ledger_->CountRecords(), 3);
  clock_.StepWall(-400 * kDayUs);
  Append({Record("of today", 0)});
  EXPECT_TRUE(Has("of today"));
}

TEST_F(LedgerRetentionTest, AMachineThatStartsInTheFutureDeletesOnlyAgainstTheNewestRecord) {
  Append({Record("a", 20), Record("b", 0)});
  clock_.StepWall(4'000 * kDayUs);
  EXPECT_EQ(Run(), 0);
  EXPECT_EQ(*ledger_->CountRecords(), 2);
}

TEST_F(LedgerRetentionTest, ManyAreDeletedInStepsWhileRecordsAreTaken) {
  std::vector<v1::SpendRecord> old = {Record("now", 0)};
  for (int i = 0; i < 1'000; ++i) old.push_back(Record("old " + std::to_string(i), 31 + i % 7));
  Append(old);
  LedgerRetention retention(*ledger_, clock_, kDays, nullptr);
  std::thread taker([&] {
    for (int i = 0; i < 20; ++i) Append({Record("new " + std::to_string(i), 0)});
  });
  EXPECT_EQ(*retention.RunOnce(), 1'000);
  taker.join();
  EXPECT_EQ(*ledger_->CountRecords(), 21);
}

TEST_F(LedgerRetentionTest, PagesOfWhatWasDeletedAreUsedAgain) {
  const auto fill = [&](int round) {
    std::vector<v1::SpendRecord> records;
    for (int i = 0; i < 300; ++i) {
      records.push_back(Record(std::to_string(round) + "/" + std::to_string(i), 0));
      records.back().set_metadata_json(std::string(1'000, 'x'));
    }
    Append(records);
  };
  fill(0);
  const int64_t bytes = ledger_->Size()->bytes;
  for (int round = 1; round < 6; ++round) {
    clock_.Advance(31 * kDayUs);
    Append({Record("tick " + std::to_string(round), 0)});
    ASSERT_GE(Run(), 300);
    EXPECT_GT(ledger_->Size()->free_bytes, bytes / 2);
    fill(round);
  }
  EXPECT_LT(ledger_->Size()->bytes, bytes + bytes / 4);
}

TEST_F(LedgerRetentionTest, StopEndsTheThreadAtOnce) {
  LedgerRetention retention(*ledger_, clock_, kDays, nullptr);
  retention.Start(/*interval_ms=*/3'600'000);
  retention.Stop();
}

}  // namespace
}  // namespace signalbox
