#include "controlplane/ledger/ledger_service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "tests/controlplane/ledger/temp_dir.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

class FixedTokens : public TokenAuthority {
 public:
  absl::StatusOr<Caller> Authenticate(std::string_view token) const override {
    if (token == "admin") return Caller{"1", "ada", Role::kAdmin};
    if (token == "proxy") return Caller{"2", "proxy-1", Role::kProxy};
    return absl::UnauthenticatedError("unknown token");
  }
};

v1::SpendBatch Batch(uint64_t number, const std::vector<std::string>& ids) {
  v1::SpendBatch batch;
  batch.set_batch(number);
  batch.set_proxy_id("proxy-1");
  for (const std::string& id : ids) {
    v1::SpendRecord& record = *batch.add_records();
    record.set_request_id(id);
    record.set_gateway("default");
    record.set_outcome(v1::SUCCESS);
    record.set_start_time_us(1'750'000'000'000'000);
    record.set_cost_nanos(5);
  }
  return batch;
}

class LedgerServiceTest : public ::testing::Test {
 protected:
  LedgerServiceTest() : ledger_(*SqliteLedger::Open({.path = dir_.File("ledger.db")})) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&spend_);
    builder.RegisterService(&usage_);
    server_ = builder.BuildAndStart();
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials());
  }
  ~LedgerServiceTest() override { server_->Shutdown(); }

  // Sends the batches one by one, each after the ack of the one before; the stream's end and how many were acked.
  std::pair<grpc::Status, int> Report(const std::string& token, const std::vector<v1::SpendBatch>& batches) {
    grpc::ClientContext context;
    if (!token.empty()) AddToken(context, token);
    const auto stub = v1::Spend::NewStub(channel_);
    const auto stream = stub->Report(&context);
    int acked = 0;
    for (const v1::SpendBatch& batch : batches) {
      v1::SpendAck ack;
      if (!stream->Write(batch) || !stream->Read(&ack)) break;
      EXPECT_EQ(ack.batch(), batch.batch());
      ++acked;
    }
    stream->WritesDone();
    return {stream->Finish(), acked};
  }

  TempDir dir_;
  std::unique_ptr<SqliteLedger> ledger_;
  FixedTokens tokens_;
  SpendService spend_{*ledger_, tokens_};
  UsageService usage_{*ledger_, tokens_};
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(LedgerServiceTest, BatchesAreAckedInOrderAndThenAreInTheLedger) {
  const auto [status, acked] = Report("proxy", {Batch(1, {"a", "b"}), Batch(2, {"b", "c"})});
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(acked, 2);
  EXPECT_EQ(*ledger_->CountRecords(), 3);
}

TEST_F(LedgerServiceTest, AMalformedBatchEndsTheStreamAndTheServiceGoesOn) {
  const auto [status, acked] = Report("proxy", {Batch(1, {"a"}), Batch(2, {"b", ""}), Batch(3, {"c"})});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("records[1] (): request_id:"));
  EXPECT_EQ(acked, 1);
  EXPECT_EQ(*ledger_->CountRecords(), 1);
  EXPECT_TRUE(Report("proxy", {Batch(1, {"b"})}).first.ok());
}

TEST_F(LedgerServiceTest, BatchNumbersMustRise) {
  const auto [status, acked] = Report("proxy", {Batch(1, {"a"}), Batch(1, {"b"})});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("batch: must be greater than 1"));
}

TEST_F(LedgerServiceTest, ACallerWithoutATokenGetsNoAnswer) {
  EXPECT_EQ(Report("", {Batch(1, {"a"})}).first.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Report("wrong", {Batch(1, {"a"})}).first.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(*ledger_->CountRecords(), 0);
}

TEST_F(LedgerServiceTest, ReadingNeedsAnAdminToken) {
  ASSERT_TRUE(Report("proxy", {Batch(1, {"a"})}).first.ok());
  const auto stub = v1::Usage::NewStub(channel_);
  const auto list = [&](const std::string& token) {
    grpc::ClientContext context;
    AddToken(context, token);
    v1::ListRequestsResponse response;
    const grpc::Status status = stub->ListRequests(&context, {}, &response);
    EXPECT_EQ(response.records_size(), status.ok() ? 1 : 0);
    return status.error_code();
  };
  EXPECT_EQ(list("proxy"), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(list("wrong"), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(list("admin"), grpc::StatusCode::OK);
}

}  // namespace
}  // namespace signalbox
