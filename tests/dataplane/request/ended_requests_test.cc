// The order that makes a crash harmless: records on disk, then settles; and one write for what ends together.
#include "dataplane/request/ended_requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Both lines out of the process, noting what came in which order.
class Lines : public SpendReporter, public QuotaClient {
 public:
  std::vector<Spool::Refused> Record(const SpendFrames& records) override {
    std::string note = "record";
    for (size_t i = 0; i < records.size(); ++i) {
      v1::SpendRecord record;
      const std::optional<std::string_view> payload = Unframe(records.frame(i));
      EXPECT_TRUE(payload.has_value() && record.ParseFromArray(payload->data(), payload->size()));
      absl::StrAppend(&note, " ", record.request_id());
    }
    notes.push_back(std::move(note));
    return std::exchange(refused, {});
  }
  bool CanAccept() const override { return true; }
  void Acquire(const v1::Acquire&, Done) override { FAIL(); }
  void Extend(const v1::Extend&, Done) override { FAIL(); }
  void Settle(const v1::Settle& settle) override {
    notes.push_back(absl::StrCat("settle ", settle.request_id(), " ", settle.cost_nanos(), " ", settle.tokens()));
  }
  void ForceCharge(v1::ForceCharge charge) override {
    notes.push_back(absl::StrCat("charge ", charge.request_id(), " ", charge.amount()));
  }
  bool Flush(int) override { return true; }

  std::vector<std::string> notes;
  std::vector<Spool::Refused> refused;
};

class EndedRequestsTest : public ::testing::Test {
 protected:
  void End(const std::string& id, bool settle = true, std::vector<v1::CounterKey> charge_later = {}) {
    v1::SpendRecord record;
    record.set_request_id(id);
    record.set_cost_nanos(7);
    record.set_tokens(3);
    record.set_outcome(v1::SUCCESS);
    ended_->Add(record, settle, std::move(charge_later));
  }

  boost::asio::io_context io_;
  Lines lines_;
  ProxyMetrics metrics_;
  std::unique_ptr<EndedRequests> ended_ = std::make_unique<EndedRequests>(io_, lines_, lines_, metrics_);
};

TEST_F(EndedRequestsTest, WhatEndsInOneTurnIsWrittenTogetherAndThenSettled) {
  boost::asio::post(io_, [this] { End("a"); });
  boost::asio::post(io_, [this] { End("b", /*settle=*/false); });
  boost::asio::post(io_, [this] { End("c"); });
  io_.run();
  EXPECT_THAT(lines_.notes, ElementsAre("record a b c", "settle a 7 3", "settle c 7 3"));
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("signalbox_requests_total{outcome=\"success\"} 3"));
  // The next turn's are the next write's.
  io_.restart();
  boost::asio::post(io_, [this] { End("d"); });
  io_.run();
  EXPECT_THAT(lines_.notes, ElementsAre("record a b c", "settle a 7 3", "settle c 7 3", "record d", "settle d 7 3"));
}

TEST_F(EndedRequestsTest, WhatWasLetThroughUnaskedIsChargedByItsUnit) {
  v1::CounterKey requests, tokens, dollars;
  requests.set_unit(v1::REQUESTS);
  tokens.set_unit(v1::TOKENS);
  dollars.set_unit(v1::NANO_DOLLARS);
  End("a", /*settle=*/false, {requests, tokens, dollars});
  io_.run();
  EXPECT_THAT(lines_.notes, ElementsAre("record a", "charge a 1", "charge a 3", "charge a 7"));
}

TEST_F(EndedRequestsTest, ACrowdDoesNotWaitForTheTurnsEnd) {
  for (size_t i = 0; i < kEndedRequestsMax; ++i) End(absl::StrCat(i), /*settle=*/false);
  EXPECT_EQ(lines_.notes.size(), 1u);
  io_.run();
  EXPECT_EQ(lines_.notes.size(), 1u);
}

TEST_F(EndedRequestsTest, NothingIsLeftWhenItGoes) {
  End("a");
  ended_.reset();
  EXPECT_THAT(lines_.notes, ElementsAre("record a", "settle a 7 3"));
}

TEST_F(EndedRequestsTest, ALostRecordIsCountedAndItsHoldSettled) {
  lines_.refused.push_back({1, absl::ResourceExhaustedError("full")});
  End("a");
  End("b");
  io_.run();
  EXPECT_THAT(lines_.notes, ElementsAre("record a b", "settle a 7 3", "settle b 7 3"));
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("signalbox_spend_records_lost_total 1"));
}

TEST_F(EndedRequestsTest, ARecordTooLargeToKeepIsLostAloneAndSettled) {
  v1::SpendRecord record;
  record.set_request_id("big");
  record.set_metadata_json(std::string(kSpoolRecordBytesMax, 'x'));
  ended_->Add(record, true, {});
  End("a");
  io_.run();
  EXPECT_THAT(lines_.notes, ElementsAre("record a", "settle big 0 0", "settle a 7 3"));
  EXPECT_THAT(metrics_.Serialize(), HasSubstr("signalbox_spend_records_lost_total 1"));
}

}  // namespace
}  // namespace signalbox
