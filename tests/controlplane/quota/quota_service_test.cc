#include "controlplane/quota/quota_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "controlplane/quota/token_file.h"
#include "signalbox/v1/quota.grpc.pb.h"
#include "tests/controlplane/quota/quota_server.h"
#include "tests/controlplane/quota/quota_testing.h"

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
