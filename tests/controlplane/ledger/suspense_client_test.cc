#include "controlplane/ledger/suspense_client.h"

#include <gtest/gtest.h>

#include "signalbox/v1/quota.grpc.pb.h"
#include "tests/controlplane/quota/quota_server.h"
#include "tests/controlplane/quota/quota_testing.h"

namespace signalbox::testing {
namespace {

class SuspenseClientTest : public ::testing::Test {
 protected:
  // A proxy takes a hold and vanishes.
  void Hold(const std::string& request_id, int64_t nanos) {
    grpc::ClientContext context;
    AddToken(context, "secret");
    const auto stream = stub->Session(&context);
    v1::QuotaRequest message;
    message.set_proxy_id("p1");
    message.set_boot_id("boot");
    message.add_commands()->set_sequence(1);
    *message.mutable_commands(0)->mutable_acquire() =
        Acq(request_id).Check(Money(), 1'000'000).Cap(nanos, /*of_client=*/true).acquire;
    ASSERT_TRUE(stream->Write(message));
    v1::QuotaResponse response;
    ASSERT_TRUE(stream->Read(&response));
    ASSERT_EQ(response.answers(0).result(), v1::QuotaAnswer::GRANTED);
    stream->WritesDone();
    ASSERT_TRUE(stream->Finish().ok());
  }
  v1::Counter Counter() {
    grpc::ClientContext context;
    AddToken(context, "secret");
    v1::GetCounterRequest request;
    *request.mutable_counter() = Money();
    v1::Counter counter;
    EXPECT_TRUE(stub->GetCounter(&context, request, &counter).ok());
    return counter;
  }
  static v1::Settle Settlement(const std::string& request_id, int64_t nanos) {
    v1::Settle settle;
    settle.set_request_id(request_id);
    settle.set_cost_nanos(nanos);
    return settle;
  }

  TemporaryDirectory directory;
  QuotaServer server{directory.path};
  std::unique_ptr<v1::Quota::Stub> stub = v1::Quota::NewStub(server.Channel());
};

TEST_F(SuspenseClientTest, SettlesInTheProxysSteadAndMoneyCountsOnce) {
  Hold("r1", 500);
  ASSERT_EQ(Counter().held(), 500);
  const SettleFunction settle = SettleOver(server.Channel(), "secret");
  for (int i = 0; i < 2; ++i) {
    const absl::Status settled = settle({Settlement("r1", 20), Settlement("never held", 9)});
    ASSERT_TRUE(settled.ok()) << settled;
    EXPECT_EQ(Counter().held(), 0);
    EXPECT_EQ(Counter().settled(), 20);
  }
}

TEST_F(SuspenseClientTest, ARefusedTokenIsAnErrorOfBoth) {
  EXPECT_EQ(SettleOver(server.Channel(), "wrong")({Settlement("r1", 1)}).code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(ListSuspenseOver(server.Channel(), "wrong")({}).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(ListSuspenseOver(server.Channel(), "secret")({}).ok());
}

}  // namespace
}  // namespace signalbox::testing
