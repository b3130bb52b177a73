#include "dataplane/quota/grpc_quota_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <thread>

#include "controlplane/quota/quota_service.h"
#include "signalbox/v1/quota.grpc.pb.h"
#include "tests/controlplane/quota/quota_server.h"
#include "tests/controlplane/quota/quota_testing.h"
#include "tests/testing/eventually.h"
#include "tests/testing/looped_quota_client.h"

namespace signalbox::testing {
namespace {

using Answer = absl::StatusOr<v1::QuotaAnswer>;

std::unique_ptr<LoopedQuotaClient> NewClient(int port, const std::string& proxy_id,
                                             int64_t call_timeout_us = 20'000'000) {
  QuotaClientOptions options;
  options.target = *ParseGrpcTarget(absl::StrCat("127.0.0.1:", port));
  options.token = "secret";
  options.proxy_id = proxy_id;
  options.boot_id = "boot-" + proxy_id;
  options.call_timeout_us = call_timeout_us;
  return std::make_unique<LoopedQuotaClient>(std::move(options));
}

Answer Ask(QuotaClient& client, const Acq& acq) {
  std::promise<Answer> promise;
  client.Acquire(acq.acquire, [&](Answer answer) { promise.set_value(std::move(answer)); });
  return promise.get_future().get();
}

int64_t Settled(QuotaServer& server, const v1::CounterKey& key) {
  grpc::ClientContext context;
  AddToken(context, "secret");
  v1::GetCounterRequest request;
  *request.mutable_counter() = key;
  v1::Counter counter;
  const grpc::Status status = v1::Quota::NewStub(server.Channel())->GetCounter(&context, request, &counter);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return counter.settled();
}

TEST(GrpcQuotaClient, TwoProxiesAdmitWhatOneWould) {
  TemporaryDirectory directory;
  QuotaServer server(directory.path);
  auto a = NewClient(server.port, "a");
  auto b = NewClient(server.port, "b");
  std::atomic<int> granted{0}, denied{0};
  std::latch done(400);
  for (int i = 0; i < 400; ++i) {
    QuotaClient& client = i % 2 == 0 ? *a : *b;
    client.Acquire(Acq("r" + std::to_string(i)).Check(Count(), 10).acquire, [&](Answer answer) {
      ASSERT_TRUE(answer.ok()) << answer.status();
      ++(answer->result() == v1::QuotaAnswer::GRANTED ? granted : denied);
      done.count_down();
    });
  }
  done.wait();
  EXPECT_EQ(granted, 10);
  EXPECT_EQ(denied, 390);
  EXPECT_LT(a->metrics().messages, 100);  // batched
}

TEST(GrpcQuotaClient, SettleIsAnsweredBeforeFlushReturns) {
  TemporaryDirectory directory;
  QuotaServer server(directory.path);
  auto client = NewClient(server.port, "a");
  ASSERT_TRUE(Ask(*client, Acq("r").Check(Money(), kDollar)).ok());
  v1::Settle settle;
  settle.set_request_id("r");
  settle.set_cost_nanos(77);
  client->Settle(settle);
  ASSERT_TRUE(client->Flush(10'000));
  EXPECT_EQ(Settled(server, Money()), 77);
}

TEST(GrpcQuotaClient, RestartOfTheServiceLosesNothingAndDoublesNothing) {
  TemporaryDirectory directory;
  auto server = std::make_unique<QuotaServer>(directory.path);
  const int port = server->port;
  auto client = NewClient(server->port, "a");
  ASSERT_TRUE(Ask(*client, Acq("first").Check(Count(), 1'000).Check(Money(), kDollar)).ok());
  std::atomic<int> granted{0};
  std::latch done(200);
  const auto ask = [&](int i) {
    client->Acquire(Acq("r" + std::to_string(i)).Check(Count(), 1'000).acquire, [&](Answer answer) {
      EXPECT_TRUE(answer.ok()) << answer.status();
      if (answer.ok() && answer->result() == v1::QuotaAnswer::GRANTED) ++granted;
      done.count_down();
    });
  };
  for (int i = 0; i < 100; ++i) ask(i);
  server.reset();
  v1::Settle settle;
  settle.set_request_id("first");
  settle.set_cost_nanos(5);
  client->Settle(settle);
  for (int i = 100; i < 200; ++i) ask(i);
  server = std::make_unique<QuotaServer>(directory.path, port);
  done.wait();
  EXPECT_EQ(granted, 200);
  ASSERT_TRUE(client->Flush(10'000));
  EXPECT_EQ(Settled(*server, Count()), 201);
  EXPECT_EQ(Settled(*server, Money()), 5);
  EXPECT_GE(client->metrics().reconnects, 1);
}

TEST(GrpcQuotaClient, WhatWaitsForTheServiceGrowsWithTheCountersAndNotWithTheRequests) {
  constexpr int kCounters = 3;
  constexpr int kRequests = 3'000;
  TemporaryDirectory directory;
  auto server = std::make_unique<QuotaServer>(directory.path);
  const int port = server->port;
  auto client = NewClient(server->port, "a", 20'000);
  ASSERT_TRUE(Eventually([&] { return client->Connected(); }));
  server.reset();
  // Gone for longer than a call takes: what is asked now is turned away at once.
  ASSERT_TRUE(Eventually([&] {
    return !client->Connected() &&
           Ask(*client, Acq("probe").Check(Count(), 1)).status().message() == "no connection to the quota service";
  }));
  for (int i = 0; i < kRequests; ++i) {
    const std::string id = "r" + std::to_string(i);
    EXPECT_FALSE(Ask(*client, Acq(id).Check(Count(), 1)).ok());
    v1::ForceCharge charge;
    charge.set_request_id(id);
    charge.set_amount(2);
    *charge.mutable_counter() = Count("u" + std::to_string(i % kCounters));
    client->ForceCharge(charge);
    v1::Settle settle;
    settle.set_request_id(id);
    client->Settle(settle);
  }
  EXPECT_LE(client->metrics().waiting, kCounters + 1);
  EXPECT_EQ(client->metrics().dropped_charges, 0);
  server = std::make_unique<QuotaServer>(directory.path, port);
  ASSERT_TRUE(client->Flush(20'000));
  for (int i = 0; i < kCounters; ++i) {
    EXPECT_EQ(Settled(*server, Count("u" + std::to_string(i))), 2 * kRequests / kCounters);
  }
}

TEST(GrpcQuotaClient, WithoutAServiceCallsAreUnavailableInTime) {
  auto client = NewClient(1, "a", 20'000);
  EXPECT_EQ(Ask(*client, Acq("a").Check(Count(), 1)).status().code(), absl::StatusCode::kUnavailable);
  const Answer second = Ask(*client, Acq("b").Check(Count(), 1));
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(client->Connected());
  v1::Settle settle;
  settle.set_request_id("a");
  client->Settle(settle);
  EXPECT_FALSE(client->Flush(10));
}

TEST(GrpcQuotaClient, AMalformedCommandIsInvalidArgument) {
  TemporaryDirectory directory;
  QuotaServer server(directory.path);
  auto client = NewClient(server.port, "a");
  const Answer answer = Ask(*client, Acq("a").Check(Count(), 0));
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kInvalidArgument);
}

// Takes commands and answers only the cancel: what a proxy gives up on is cancelled by its sequence.
class SilentQuota final : public v1::Quota::Service {
 public:
  grpc::Status Session(grpc::ServerContext* context,
                       grpc::ServerReaderWriter<v1::QuotaResponse, v1::QuotaRequest>* stream) override {
    stream->SendInitialMetadata();
    v1::QuotaRequest request;
    while (stream->Read(&request)) {
      for (const v1::QuotaCommand& command : request.commands()) {
        if (command.has_acquire()) acquired = command.sequence();
        if (command.has_cancel()) cancelled.set_value({command.cancel().sequence(), request.acked_through()});
      }
    }
    return grpc::Status::OK;
  }
  std::atomic<uint64_t> acquired{0};
  std::promise<std::pair<uint64_t, uint64_t>> cancelled;
};

TEST(GrpcQuotaClient, ACallGivenUpIsCancelledAndNotAcknowledgedBefore) {
  SilentQuota service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  {
    auto client = NewClient(port, "a", 1'000'000);
    EXPECT_EQ(Ask(*client, Acq("a").Check(Count(), 1)).status().code(), absl::StatusCode::kUnavailable);
    const auto [cancelled, acked] = service.cancelled.get_future().get();
    EXPECT_EQ(cancelled, service.acquired);
    EXPECT_LT(acked, cancelled);
    EXPECT_EQ(client->metrics().timeouts, 1);
  }
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
}

}  // namespace
}  // namespace signalbox::testing
