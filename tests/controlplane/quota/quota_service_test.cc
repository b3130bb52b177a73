#include "controlplane/quota/quota_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <thread>

#include "controlplane/quota/token_file.h"
#include "signalbox/v1/quota.grpc.pb.h"
#include "tests/controlplane/quota/quota_server.h"
#include "tests/controlplane/quota/quota_testing.h"
#include "tests/controlplane/quota/redis_server.h"
#include "tests/testing/eventually.h"

namespace signalbox::testing {
namespace {

using ::testing::HasSubstr;

class QuotaServiceTest : public ::testing::Test {
 protected:
  v1::QuotaRequest Message(uint64_t sequence, const Acq& acq) {
    v1::QuotaRequest message;
    message.set_proxy_id("p1");
    message.set_boot_id("boot");
    message.add_commands()->set_sequence(sequence);
    *message.mutable_commands(0)->mutable_acquire() = acq.acquire;
    return message;
  }
  TemporaryDirectory directory;
  std::unique_ptr<QuotaServer> server = std::make_unique<QuotaServer>(directory.path);
  std::unique_ptr<v1::Quota::Stub> stub = v1::Quota::NewStub(server->Channel());
};

TEST_F(QuotaServiceTest, ASessionWithoutATokenGetsNoAnswer) {
  for (const char* token : {"", "wrong"}) {
    grpc::ClientContext context;
    if (*token != '\0') AddToken(context, token);
    auto stream = stub->Session(&context);
    stream->Write(Message(1, Acq("a").Check(Count(), 1)));
    v1::QuotaResponse response;
    EXPECT_FALSE(stream->Read(&response));
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  }
  grpc::ClientContext context;
  v1::GetQuotaStatusResponse status;
  EXPECT_EQ(stub->GetQuotaStatus(&context, {}, &status).error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(QuotaServiceTest, ASessionAnswersInOrderAndEndsWhenTheClientDoes) {
  grpc::ClientContext context;
  AddToken(context, "secret");
  auto stream = stub->Session(&context);
  for (uint64_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(stream->Write(Message(i, Acq("r" + std::to_string(i)).Check(Count(), 2))));
  }
  stream->WritesDone();
  std::vector<v1::QuotaAnswer> answers;
  v1::QuotaResponse response;
  while (stream->Read(&response)) answers.insert(answers.end(), response.answers().begin(), response.answers().end());
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0].result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(answers[1].sequence(), 2u);
  EXPECT_EQ(answers[2].result(), v1::QuotaAnswer::DENIED);

  grpc::ClientContext read_context;
  AddToken(read_context, "secret");
  v1::GetCounterRequest request;
  *request.mutable_counter() = Count();
  v1::Counter counter;
  ASSERT_TRUE(stub->GetCounter(&read_context, request, &counter).ok());
  EXPECT_EQ(counter.settled(), 2);

  grpc::ClientContext status_context;
  AddToken(status_context, "secret");
  v1::GetQuotaStatusResponse status;
  ASSERT_TRUE(stub->GetQuotaStatus(&status_context, {}, &status).ok());
  EXPECT_EQ(status.decisions(), 3);
  EXPECT_EQ(status.store(), "sqlite");
  EXPECT_EQ(status.durability(), "process");
  EXPECT_EQ(server->host->metrics().decisions, 3);
}

TEST_F(QuotaServiceTest, ASessionThatDoesNotSayWhoItIsIsInvalid) {
  grpc::ClientContext context;
  AddToken(context, "secret");
  auto stream = stub->Session(&context);
  v1::QuotaRequest message = Message(1, Acq("a").Check(Count(), 1));
  message.clear_boot_id();
  stream->Write(message);
  v1::QuotaResponse response;
  EXPECT_FALSE(stream->Read(&response));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("names proxy_id and boot_id"));
}

TEST_F(QuotaServiceTest, AnImpossibleCounterIsInvalidArgument) {
  grpc::ClientContext context;
  AddToken(context, "secret");
  v1::Counter counter;
  EXPECT_EQ(stub->GetCounter(&context, {}, &counter).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(QuotaServiceTest, ShutdownEndsOpenSessionsAsUnavailable) {
  grpc::ClientContext context;
  AddToken(context, "secret");
  auto stream = stub->Session(&context);
  stream->Write(Message(1, Acq("a").Check(Count(), 1)));
  v1::QuotaResponse response;
  ASSERT_TRUE(stream->Read(&response));
  server->host->Shutdown();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(QuotaServiceTest, AnEmptySuspenseListIsAnAnswer) {
  grpc::ClientContext context;
  AddToken(context, "secret");
  v1::ListSuspenseResponse response;
  EXPECT_TRUE(stub->ListSuspense(&context, {}, &response).ok());
  EXPECT_EQ(response.holds_size(), 0);
}

TEST_F(QuotaServiceTest, ASessionIsToldAtOnceThatItsTokenWasAccepted) {
  grpc::ClientContext context;
  AddToken(context, "secret");
  auto stream = stub->Session(&context);
  stream->WaitForInitialMetadata();  // nothing was asked yet
  EXPECT_EQ(server->host->metrics().sessions, 1);
  stream->WritesDone();
  v1::QuotaResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_TRUE(Eventually([&] { return server->host->metrics().sessions == 0; }));
}

TEST_F(QuotaServiceTest, ASessionGoesOnAfterAMessageThatHasNoAnswer) {
  grpc::ClientContext context;
  AddToken(context, "secret");
  auto stream = stub->Session(&context);
  v1::QuotaResponse response;
  for (uint64_t i = 1; i <= 3; ++i) {
    v1::QuotaRequest heartbeat;
    heartbeat.set_proxy_id("p1");
    heartbeat.set_boot_id("boot");
    heartbeat.set_heartbeat(true);
    ASSERT_TRUE(stream->Write(heartbeat));
    ASSERT_TRUE(stream->Write(Message(i, Acq("r" + std::to_string(i)).Check(Count(), 5))));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.answers(0).sequence(), i);
  }
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(QuotaServiceTest, ATokenRevokedMeanwhileEndsTheSession) {
  grpc::ClientContext context;
  AddToken(context, "secret");
  auto stream = stub->Session(&context);
  stream->Write(Message(1, Acq("a").Check(Count(), 5)));
  v1::QuotaResponse response;
  ASSERT_TRUE(stream->Read(&response));
  server->authority.revoked = true;
  stream->Write(Message(2, Acq("b").Check(Count(), 5)));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(server->host->metrics().decisions, 1);
}

TEST_F(QuotaServiceTest, AMessageWithTooManyCommandsIsInvalid) {
  grpc::ClientContext context;
  AddToken(context, "secret");
  auto stream = stub->Session(&context);
  v1::QuotaRequest message = Message(1, Acq("a").Check(Count(), 5));
  for (uint64_t i = 2; i <= kQuotaBatchCommandsMax + 1; ++i) {
    message.add_commands()->set_sequence(i);
    message.mutable_commands()->rbegin()->mutable_settle()->set_request_id("a");
  }
  stream->Write(message);
  v1::QuotaResponse response;
  EXPECT_FALSE(stream->Read(&response));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("at most 1000"));
  EXPECT_EQ(server->host->metrics().decisions, 0);
}

// More messages than are read ahead, and nobody reads the answers meanwhile.
void ExpectABurstIsAnsweredInOrder(QuotaServer& server, const std::function<v1::QuotaRequest(uint64_t)>& message) {
  constexpr uint64_t kMessages = 5 * kQuotaSessionMessagesMax;
  const auto stub = v1::Quota::NewStub(server.Channel());
  grpc::ClientContext context;
  AddToken(context, "secret");
  auto stream = stub->Session(&context);
  for (uint64_t i = 1; i <= kMessages; ++i) ASSERT_TRUE(stream->Write(message(i)));
  stream->WritesDone();
  uint64_t last = 0;
  v1::QuotaResponse response;
  while (stream->Read(&response)) {
    for (const v1::QuotaAnswer& answer : response.answers()) EXPECT_EQ(answer.sequence(), ++last);
  }
  EXPECT_EQ(last, kMessages);
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(server.host->metrics().decisions, kMessages);
}

TEST_F(QuotaServiceTest, ABurstIsAnsweredInOrder) {
  ExpectABurstIsAnsweredInOrder(
      *server, [this](uint64_t i) { return Message(i, Acq("r" + std::to_string(i)).Check(Count(), 1'000)); });
}

TEST_F(QuotaServiceTest, ABurstIsAnsweredInOrderWhenRedisDecidesOnAThreadOfItsOwn) {
  const auto redis = RedisServer::Start();
  ASSERT_TRUE(redis.ok()) << redis.status();
  QuotaServer over_redis("", 0, (*redis)->url());
  ExpectABurstIsAnsweredInOrder(
      over_redis, [this](uint64_t i) { return Message(i, Acq("r" + std::to_string(i)).Check(Count(), 1'000)); });
}

TEST_F(QuotaServiceTest, AClientThatVanishesLeavesNoSession) {
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    AddToken(context, "secret");
    auto stream = stub->Session(&context);
    stream->Write(Message(static_cast<uint64_t>(i + 1), Acq("r" + std::to_string(i)).Check(Count(), 1'000)));
    if (i % 2 == 0) {
      v1::QuotaResponse response;
      ASSERT_TRUE(stream->Read(&response));
    }
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_TRUE(Eventually([&] { return server->host->metrics().sessions == 0; }));
}

TEST_F(QuotaServiceTest, SessionsSideBySideGetNoMoreThanTheLimit) {
  constexpr int kSessions = 8;
  constexpr int kMessages = 50;
  constexpr int kLimit = 123;
  std::atomic<int> granted{0};
  std::vector<std::thread> proxies;
  for (int p = 0; p < kSessions; ++p) {
    proxies.emplace_back([&, p] {
      const auto own_stub = v1::Quota::NewStub(server->Channel());
      grpc::ClientContext context;
      AddToken(context, "secret");
      auto stream = own_stub->Session(&context);
      v1::QuotaResponse response;
      for (int i = 1; i <= kMessages; ++i) {
        v1::QuotaRequest message =
            Message(static_cast<uint64_t>(i), Acq(absl::StrCat(p, "-", i)).Check(Count(), kLimit));
        message.set_boot_id(absl::StrCat("boot-", p));
        ASSERT_TRUE(stream->Write(message));
        ASSERT_TRUE(stream->Read(&response));
        granted += response.answers(0).result() == v1::QuotaAnswer::GRANTED ? 1 : 0;
      }
      stream->WritesDone();
      EXPECT_TRUE(stream->Finish().ok());
    });
  }
  std::thread operator_thread([&] {
    for (int i = 0; i < 5; ++i) {
      const absl::Status copied = server->host->BackupTo(absl::StrCat(directory.path, "/copy-", i));
      EXPECT_TRUE(copied.ok()) << copied;
    }
  });
  for (std::thread& proxy : proxies) proxy.join();
  operator_thread.join();
  EXPECT_EQ(granted, kLimit);
}

TEST_F(QuotaServiceTest, OnceShutDownEverythingIsUnavailable) {
  server->host->Shutdown();
  grpc::ClientContext context;
  AddToken(context, "secret");
  auto stream = stub->Session(&context);
  v1::QuotaResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  grpc::ClientContext read_context;
  AddToken(read_context, "secret");
  v1::GetCounterRequest request;
  *request.mutable_counter() = Count();
  v1::Counter counter;
  EXPECT_EQ(stub->GetCounter(&read_context, request, &counter).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(server->host->BackupTo(directory.path + "/copy").code(), absl::StatusCode::kUnavailable);
}

TEST_F(QuotaServiceTest, ShutdownAmidTrafficEndsEverySession) {
  constexpr int kSessions = 8;
  std::atomic<int> asking{0};
  std::vector<std::thread> proxies;
  for (int p = 0; p < kSessions; ++p) {
    proxies.emplace_back([&, p] {
      const auto own_stub = v1::Quota::NewStub(server->Channel());
      grpc::ClientContext context;
      AddToken(context, "secret");
      auto stream = own_stub->Session(&context);
      v1::QuotaResponse response;
      uint64_t sequence = 0;
      bool open = true;
      while (open) {
        ++sequence;
        v1::QuotaRequest message = Message(sequence, Acq(absl::StrCat(p, "-", sequence)).Check(Count(), 1'000'000'000));
        message.set_boot_id(absl::StrCat("boot-", p));
        open = stream->Write(message) && stream->Read(&response);
        if (sequence == 1) ++asking;
      }
      EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
    });
  }
  ASSERT_TRUE(Eventually([&] { return asking == kSessions; }));
  server->host->Shutdown();
  for (std::thread& proxy : proxies) proxy.join();
  EXPECT_TRUE(Eventually([&] { return server->host->metrics().sessions == 0; }));
}

TEST_F(QuotaServiceTest, AHostWhoseServerDidNotStartEnds) {
  TemporaryDirectory other;
  QuotaHostOptions options;
  options.data_dir = other.path;
  auto host = QuotaHost::Open(options, server->authority);
  ASSERT_TRUE(host.ok()) << host.status();
  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort(absl::StrCat("127.0.0.1:", server->port), grpc::InsecureServerCredentials());
  (*host)->Register(builder);
  EXPECT_EQ(builder.BuildAndStart(), nullptr);
}

TEST(FileTokenAuthority, TakesEveryLineButComments) {
  TemporaryDirectory directory;
  const std::string path = directory.path + "/tokens";
  std::ofstream(path) << "# proxies\nfirst\n\n  second  \n";
  ::chmod(path.c_str(), 0600);
  const auto authority = NewFileTokenAuthority(path);
  ASSERT_TRUE(authority.ok()) << authority.status();
  EXPECT_TRUE((*authority)->Authenticate("first").ok());
  EXPECT_TRUE((*authority)->Authenticate("second").ok());
  EXPECT_FALSE((*authority)->Authenticate("# proxies").ok());
  EXPECT_FALSE((*authority)->Authenticate("").ok());
  EXPECT_EQ((*authority)->Authenticate("first")->role, Role::kProxy);
  ::chmod(path.c_str(), 0644);
  EXPECT_EQ(NewFileTokenAuthority(path).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(FileTokenAuthority, ALineThatSaysAdminIsAnOperatorsToken) {
  TemporaryDirectory directory;
  const std::string path = directory.path + "/tokens";
  std::ofstream(path) << "proxys\nadmin  operators\nadmin\n";
  ::chmod(path.c_str(), 0600);
  const auto authority = NewFileTokenAuthority(path);
  ASSERT_TRUE(authority.ok()) << authority.status();
  EXPECT_EQ((*authority)->Authenticate("operators")->role, Role::kAdmin);
  EXPECT_EQ((*authority)->Authenticate("proxys")->role, Role::kProxy);
  EXPECT_EQ((*authority)->Authenticate("admin")->role, Role::kProxy) << "the word by itself is a token like any other";
  EXPECT_FALSE((*authority)->Authenticate("admin  operators").ok());
  std::ofstream(path) << "first\noperator second\n";
  const absl::Status status = NewFileTokenAuthority(path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(std::string(status.message()).find("line 2: a line is a proxy's token"), std::string::npos) << status;
}

}  // namespace
}  // namespace signalbox::testing
