#include "controlplane/ledger/suspense_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controlplane/ledger/temp_dir.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

// A quota service's list of suspense, in pages of two.
class FakeQuota {
 public:
  absl::StatusOr<v1::ListSuspenseResponse> List(const v1::ListSuspenseRequest& request) {
    ++calls;
    if (!failure.ok()) return failure;
    v1::ListSuspenseResponse response;
    for (const v1::SuspendedHold& hold : holds) {
      if (hold.sequence() > request.after_sequence() && response.holds_size() < 2) *response.add_holds() = hold;
    }
    return response;
  }
  v1::SuspendedHold& Suspend(const std::string& request_id, int64_t amount_nanos, const std::string& pool = "r-1/usd") {
    v1::SuspendedHold hold;
    hold.set_sequence(static_cast<int64_t>(holds.size()) + 1);
    hold.set_request_id(request_id);
    hold.set_proxy_id("proxy-1");
    hold.set_boot_id("boot-1");
    hold.mutable_counter()->set_gateway("default");
    hold.mutable_counter()->set_pool(pool);
    hold.mutable_counter()->set_unit(v1::NANO_DOLLARS);
    hold.mutable_counter()->add_identifier()->set_string_value("ada@example.com");
    hold.set_amount(amount_nanos);
    hold.set_suspend_time_us(1'750'000'000'000'000);
    holds.push_back(hold);
    return holds.back();
  }
  absl::Status Settle(const std::vector<v1::Settle>& settlements) {
    if (!settle_failure.ok()) return settle_failure;
    for (const v1::Settle& settle : settlements) {
      for (v1::SuspendedHold& hold : holds) {
        if (hold.request_id() != settle.request_id()) continue;
        hold.set_resolved(true);
        hold.set_settled(hold.counter().unit() == v1::TOKENS ? settle.tokens() : settle.cost_nanos());
      }
    }
    return absl::OkStatus();
  }
  std::vector<v1::SuspendedHold> holds;
  absl::Status failure;
  absl::Status settle_failure;
  int calls = 0;
};

class SuspenseReaderTest : public ::testing::Test {
 protected:
  SuspenseReaderTest() : ledger_(*SqliteLedger::Open({.path = dir_.File("ledger.db")})) {}
  v1::SpendRecord Get(const std::string& id) {
    v1::GetRequestRequest request;
    request.set_request_id(id);
    const auto record = ledger_->GetRequest(request);
    EXPECT_TRUE(record.ok()) << record.status();
    return record.ok() ? *record : v1::SpendRecord();
  }
  void AppendReal(const std::string& id, int64_t cost_nanos, int64_t tokens = 0) {
    google::protobuf::RepeatedPtrField<v1::SpendRecord> records;
    v1::SpendRecord& record = *records.Add();
    record.set_request_id(id);
    record.set_gateway("default");
    record.set_outcome(v1::SUCCESS);
    record.set_start_time_us(1'750'000'000'000'000);
    record.set_cost_nanos(cost_nanos);
    record.set_tokens(tokens);
    ASSERT_TRUE(ledger_->Append(records).ok());
  }

  TempDir dir_;
  std::unique_ptr<SqliteLedger> ledger_;
  FakeQuota quota_;
  std::vector<v1::Settle> settled_;
  SuspenseReader reader_{[this](const v1::ListSuspenseRequest& request) { return quota_.List(request); },
                         [this](const std::vector<v1::Settle>& settlements) {
                           settled_.insert(settled_.end(), settlements.begin(), settlements.end());
                           return quota_.Settle(settlements);
                         },
                         *ledger_};
};

TEST_F(SuspenseReaderTest, AHoldIsChargedInFullByRequestIdOnce) {
  quota_.Suspend("a", 500, "r-1/daily");
  quota_.Suspend("a", 500, "r-1/monthly");  // the same money at the second limit of the chain
  quota_.Suspend("b", 7);
  ASSERT_TRUE(reader_.ReadOnce().ok());
  ASSERT_TRUE(reader_.ReadOnce().ok());
  EXPECT_EQ(*ledger_->CountRecords(), 2);
  const v1::SpendRecord record = Get("a");
  EXPECT_EQ(record.outcome(), v1::SUSPENDED);
  EXPECT_EQ(record.cost_nanos(), 500);
  EXPECT_TRUE(record.estimated());
  EXPECT_EQ(record.identifier(), "ada@example.com");
  EXPECT_EQ(record.limits_size(), 2);
}

TEST_F(SuspenseReaderTest, TheRealRecordReplacesItAndStays) {
  quota_.Suspend("a", 500);
  ASSERT_TRUE(reader_.ReadOnce().ok());
  AppendReal("a", 3);
  ASSERT_TRUE(reader_.ReadOnce().ok());
  EXPECT_EQ(*ledger_->CountRecords(), 1);
  EXPECT_EQ(Get("a").outcome(), v1::SUCCESS);
  EXPECT_EQ(Get("a").cost_nanos(), 3);
}

TEST_F(SuspenseReaderTest, AHoldWhoseRecordCameAndSettlementDidNotIsSettledAtWhatItCost) {
  AppendReal("reported", 3);
  quota_.Suspend("reported", 500, "r-1/daily");
  quota_.Suspend("reported", 500, "r-1/monthly");
  quota_.Suspend("unheard of", 500);
  ASSERT_TRUE(reader_.ReadOnce().ok());
  EXPECT_TRUE(quota_.holds[0].resolved());
  EXPECT_EQ(quota_.holds[0].settled(), 3);
  EXPECT_TRUE(quota_.holds[1].resolved());
  EXPECT_FALSE(quota_.holds[2].resolved());
  EXPECT_EQ(Get("reported").cost_nanos(), 3);
}

TEST_F(SuspenseReaderTest, TokensThatWereHeldAreNoMoney) {
  quota_.Suspend("a", 500);
  quota_.Suspend("a", 9'000, "r-1/tokens").mutable_counter()->set_unit(v1::TOKENS);
  AppendReal("reported", 3, 70);
  quota_.Suspend("reported", 9'000, "r-1/tokens").mutable_counter()->set_unit(v1::TOKENS);
  ASSERT_TRUE(reader_.ReadOnce().ok());
  EXPECT_EQ(Get("a").cost_nanos(), 500);
  EXPECT_EQ(Get("a").tokens(), 9'000);
  EXPECT_EQ(quota_.holds[2].settled(), 70);
}

TEST_F(SuspenseReaderTest, ASettlementThatCameLateCorrectsTheCharge) {
  quota_.Suspend("a", 500);
  ASSERT_TRUE(reader_.ReadOnce().ok());
  quota_.holds[0].set_resolved(true);
  quota_.holds[0].set_settled(20);
  ASSERT_TRUE(reader_.ReadOnce().ok());
  EXPECT_EQ(Get("a").outcome(), v1::SUSPENDED);
  EXPECT_EQ(Get("a").cost_nanos(), 20);
}

TEST_F(SuspenseReaderTest, WhatIsResolvedIsNotReadAgain) {
  for (int i = 0; i < 4; ++i) quota_.Suspend("a" + std::to_string(i), 1).set_resolved(true);
  ASSERT_TRUE(reader_.ReadOnce().ok());
  EXPECT_EQ(quota_.calls, 3);
  ASSERT_TRUE(reader_.ReadOnce().ok());
  EXPECT_EQ(quota_.calls, 4);
}

TEST_F(SuspenseReaderTest, OnlyDollarsAreMoneyAndBothAreSettledFromTheRecord) {
  quota_.Suspend("a", 500);
  quota_.Suspend("a", 9'000, "r-1/tokens").mutable_counter()->set_unit(v1::TOKENS);
  quota_.Suspend("b", 7'000, "r-1/tokens").mutable_counter()->set_unit(v1::TOKENS);
  ASSERT_TRUE(reader_.ReadOnce().ok());
  EXPECT_EQ(Get("a").cost_nanos(), 500);
  EXPECT_EQ(Get("a").tokens(), 9'000);
  EXPECT_EQ(Get("b").cost_nanos(), 0);
  EXPECT_EQ(Get("b").outcome(), v1::SUSPENDED);
  v1::SpendRecord real = Get("a");
  real.set_outcome(v1::SUCCESS);
  real.set_cost_nanos(3);
  real.set_tokens(42);
  ASSERT_TRUE(ledger_->Append(google::protobuf::RepeatedPtrField<v1::SpendRecord>(&real, &real + 1)).ok());
  ASSERT_TRUE(reader_.ReadOnce().ok());
  ASSERT_EQ(settled_.size(), 2u) << "once a hold";
  EXPECT_EQ(settled_[0].cost_nanos(), 3);
  EXPECT_EQ(settled_[0].tokens(), 42);
}

TEST_F(SuspenseReaderTest, AHoldThatNoRequestCanHaveHoldsUpNoOther) {
  quota_.Suspend("", 500);
  quota_.Suspend("too dear", INT64_MAX);
  quota_.Suspend("b", 7);
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = reader_.ReadOnce();
    EXPECT_TRUE(status.ok()) << status;
  }
  EXPECT_EQ(*ledger_->CountRecords(), 1);
  EXPECT_EQ(Get("b").cost_nanos(), 7);
}

TEST_F(SuspenseReaderTest, ASettlementThatIsRefusedHoldsUpNoLaterHold) {
  AppendReal("a", 3);
  quota_.Suspend("a", 500);
  quota_.Suspend("b", 7);
  quota_.Suspend("c", 8);
  quota_.settle_failure = absl::InternalError("refused");
  EXPECT_EQ(reader_.ReadOnce(), quota_.settle_failure);
  EXPECT_EQ(Get("c").cost_nanos(), 8) << "on the second page";
  EXPECT_FALSE(reader_.HasSettled());
}

TEST_F(SuspenseReaderTest, ANewSuspendedRecordCarriesItsRouteWhereThatIsKnown) {
  SuspenseReader reader([this](const v1::ListSuspenseRequest& request) { return quota_.List(request); },
                        [this](const std::vector<v1::Settle>& settlements) { return quota_.Settle(settlements); },
                        *ledger_,
                        [](const v1::CounterKey& counter, v1::SpendRecord& record) {
                          if (counter.pool() == "r-1/usd") record.set_route_id("r-1");
                        });
  quota_.Suspend("a", 500);
  quota_.Suspend("b", 500, "shared");
  ASSERT_TRUE(reader.ReadOnce().ok());
  EXPECT_EQ(Get("a").route_id(), "r-1");
  EXPECT_EQ(Get("b").route_id(), "");
}

TEST_F(SuspenseReaderTest, AnAbsentQuotaServiceIsAnErrorAndTheNextReadCatchesUp) {
  quota_.Suspend("a", 1);
  quota_.failure = absl::UnavailableError("no quota service");
  EXPECT_EQ(reader_.ReadOnce(), quota_.failure);
  quota_.failure = absl::OkStatus();
  EXPECT_TRUE(reader_.ReadOnce().ok());
  EXPECT_EQ(*ledger_->CountRecords(), 1);
}

TEST_F(SuspenseReaderTest, AListOutOfOrderIsAnErrorNotALoop) {
  quota_.Suspend("a", 1);
  quota_.Suspend("b", 1).set_sequence(1);
  const absl::Status status = reader_.ReadOnce();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not in order"));
}

TEST_F(SuspenseReaderTest, StopEndsTheThreadAtOnce) {
  reader_.Start(/*interval_ms=*/3'600'000);
  reader_.Stop();
}

}  // namespace
}  // namespace signalbox
