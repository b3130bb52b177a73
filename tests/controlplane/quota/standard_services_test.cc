// Health and reflection as a client of either finds them in signalbox-quota, and on a loop in this process.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/descriptor_database.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "controlplane/quota/health_service.h"
#include "controlplane/quota/reflection_service.h"
#include "signalbox/v1/quota.grpc.pb.h"
#include "tests/controlplane/quota/quota_server.h"
#include "tests/testing/child_process.h"

namespace signalbox::testing {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using grpc::reflection::v1alpha::ServerReflection;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class LoopServer {
 public:
  LoopServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    loop_.AddTo(builder);
    health.Register(builder);
    reflection.Register(builder);
    server_ = builder.BuildAndStart();
    EXPECT_NE(server_, nullptr);
    health.Start(loop_);
    reflection.Start(loop_);
    loop_.Start([] { return std::chrono::steady_clock::time_point::max(); });
  }
  ~LoopServer() {
    health.Shutdown();
    server_->Shutdown();  // without a deadline: returns once no call is left
    loop_.Drain();
  }
  std::shared_ptr<grpc::Channel> Channel() const { return *NewChannel(absl::StrCat("127.0.0.1:", port_), TlsFiles{}); }

  HealthService health;
  ReflectionService reflection{{"some.Service"}};

 private:
  int port_ = 0;
  CallLoop loop_;
  std::unique_ptr<grpc::Server> server_;
};

HealthCheckRequest Of(const std::string& service) {
  HealthCheckRequest request;
  request.set_service(service);
  return request;
}

TEST(HealthService, CheckKnowsTheServerAndNoOther) {
  LoopServer server;
  const auto stub = Health::NewStub(server.Channel());
  HealthCheckResponse response;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(stub->Check(&context, Of(""), &response).ok());
    EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  }
  {
    grpc::ClientContext context;
    const grpc::Status status = stub->Check(&context, Of("elsewhere.Service"), &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_THAT(status.error_message(), HasSubstr("\"elsewhere.Service\""));
  }
  server.health.Shutdown();
  grpc::ClientContext context;
  ASSERT_TRUE(stub->Check(&context, Of(""), &response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
}

TEST(HealthService, WhoWatchesHearsOfTheEnd) {
  LoopServer server;
  const auto stub = Health::NewStub(server.Channel());
  grpc::ClientContext context, unknown_context;
  const auto watch = stub->Watch(&context, Of(""));
  const auto unknown = stub->Watch(&unknown_context, Of("elsewhere.Service"));
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  ASSERT_TRUE(unknown->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  server.health.Shutdown();
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_FALSE(unknown->Read(&response));
  EXPECT_EQ(unknown->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST(HealthService, WhoStopsWatchingIsForgotten) {
  LoopServer server;
  const auto stub = Health::NewStub(server.Channel());
  for (int i = 0; i < 10; ++i) {
    grpc::ClientContext context;
    const auto watch = stub->Watch(&context, Of(""));
    HealthCheckResponse response;
    if (i % 2 == 0) {
      ASSERT_TRUE(watch->Read(&response));
    }
    context.TryCancel();
    EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  // The server's end would wait for one that is still there.
}

ServerReflectionResponse Ask(grpc::ClientReaderWriter<ServerReflectionRequest, ServerReflectionResponse>& stream,
                             const ServerReflectionRequest& request) {
  ServerReflectionResponse response;
  EXPECT_TRUE(stream.Write(request));
  EXPECT_TRUE(stream.Read(&response));
  return response;
}

// As a client does that knows no more than the name.
std::set<std::string> MethodsOf(const ServerReflectionResponse& response, const std::string& service) {
  google::protobuf::SimpleDescriptorDatabase files;
  for (const std::string& bytes : response.file_descriptor_response().file_descriptor_proto()) {
    google::protobuf::FileDescriptorProto file;
    EXPECT_TRUE(file.ParseFromString(bytes));
    EXPECT_TRUE(files.Add(file));
  }
  google::protobuf::DescriptorPool pool(&files);
  std::set<std::string> methods;
  const google::protobuf::ServiceDescriptor* const descriptor = pool.FindServiceByName(service);
  if (descriptor == nullptr) return methods;
  for (int i = 0; i < descriptor->method_count(); ++i) methods.insert(descriptor->method(i)->name());
  return methods;
}

TEST(ReflectionService, AnswersEveryKindOfQuestionOnOneStream) {
  LoopServer server;
  const auto stub = ServerReflection::NewStub(server.Channel());
  grpc::ClientContext context;
  const auto stream = stub->ServerReflectionInfo(&context);
  ServerReflectionRequest request;
  request.set_host("here");
  request.set_list_services("");
  ServerReflectionResponse response = Ask(*stream, request);
  ASSERT_EQ(response.list_services_response().service_size(), 1);
  EXPECT_EQ(response.list_services_response().service(0).name(), "some.Service");
  EXPECT_EQ(response.valid_host(), "here");
  EXPECT_TRUE(response.original_request().has_list_services());

  request.set_file_containing_symbol("grpc.health.v1.Health");
  EXPECT_EQ(MethodsOf(Ask(*stream, request), "grpc.health.v1.Health"), (std::set<std::string>{"Check", "Watch"}));
  request.set_file_containing_symbol("grpc.health.v1.Health.Check");
  EXPECT_EQ(Ask(*stream, request).file_descriptor_response().file_descriptor_proto_size(), 1);
  request.set_file_by_filename("grpc/health/v1/health.proto");
  EXPECT_EQ(Ask(*stream, request).file_descriptor_response().file_descriptor_proto_size(), 1);

  request.set_all_extension_numbers_of_type("grpc.health.v1.HealthCheckRequest");
  response = Ask(*stream, request);
  EXPECT_EQ(response.all_extension_numbers_response().base_type_name(), "grpc.health.v1.HealthCheckRequest");
  EXPECT_EQ(response.all_extension_numbers_response().extension_number_size(), 0);
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(ReflectionService, WhatItDoesNotKnowIsAnAnswerToo) {
  LoopServer server;
  const auto stub = ServerReflection::NewStub(server.Channel());
  grpc::ClientContext context;
  const auto stream = stub->ServerReflectionInfo(&context);
  ServerReflectionRequest request;
  request.set_file_containing_symbol("no.Such");
  const ServerReflectionResponse response = Ask(*stream, request);
  EXPECT_EQ(response.error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(response.error_response().error_message(), "not found: no.Such");
  request.set_file_by_filename("no/such.proto");
  EXPECT_EQ(Ask(*stream, request).error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  request.mutable_file_containing_extension()->set_containing_type("grpc.health.v1.HealthCheckRequest");
  request.mutable_file_containing_extension()->set_extension_number(100);
  EXPECT_EQ(Ask(*stream, request).error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  request.set_all_extension_numbers_of_type("no.Such");
  EXPECT_EQ(Ask(*stream, request).error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Ask(*stream, ServerReflectionRequest()).error_response().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

// A second thread that polls takes the sessions' sockets in turns with the first, and wakes it for every message.
TEST(SignalboxQuota, OneThreadServesSessionsHealthAndReflection) {
  TemporaryDirectory directory;
  const std::string tokens = directory.path + "/tokens";
  std::ofstream(tokens) << "secret\n";
  std::filesystem::permissions(tokens, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  auto process = ChildProcess::Start(absl::StrCat(SIGNALBOX_BIN_DIR, "/signalbox-quota"),
                                     {absl::StrCat("--data_dir=", directory.path), "--grpc_address=127.0.0.1:0",
                                      absl::StrCat("--token_file=", tokens)},
                                     directory.path + "/process");
  ASSERT_TRUE(process.ok()) << process.status();
  const auto address = process->Listening("grpc");
  ASSERT_TRUE(address.ok()) << address.status();
  std::shared_ptr<grpc::Channel> channel = *NewChannel(*address, TlsFiles{});

  grpc::ClientContext health_context;
  HealthCheckResponse health;
  ASSERT_TRUE(Health::NewStub(channel)->Check(&health_context, Of(""), &health).ok());
  EXPECT_EQ(health.status(), HealthCheckResponse::SERVING);

  auto reflection = ServerReflection::NewStub(channel);
  grpc::ClientContext reflection_context;
  const auto stream = reflection->ServerReflectionInfo(&reflection_context);
  ServerReflectionRequest request;
  request.set_list_services("");
  std::vector<std::string> services;
  const ServerReflectionResponse listed = Ask(*stream, request);
  for (const auto& service : listed.list_services_response().service()) services.push_back(service.name());
  EXPECT_THAT(services, UnorderedElementsAre("signalbox.v1.Quota", "grpc.health.v1.Health",
                                             "grpc.reflection.v1alpha.ServerReflection"));
  request.set_file_containing_symbol("signalbox.v1.Quota");
  EXPECT_THAT(MethodsOf(Ask(*stream, request), "signalbox.v1.Quota"), Contains("Session"));
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());

  std::multiset<std::string> threads;
  for (const auto& task : std::filesystem::directory_iterator(absl::StrCat("/proc/", process->pid(), "/task"))) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm") >> std::ws, name);
    threads.insert(name);
  }
  EXPECT_EQ(threads.count("quota"), 1u);
  EXPECT_EQ(threads.count("nexting_thread"), 0u);   // of gRPC's callback API
  EXPECT_EQ(threads.count("grpcpp_sync_ser"), 0u);  // of its synchronous one
  reflection.reset();
  channel.reset();  // a connection that nobody reads from is waited for
  EXPECT_EQ(process->Terminate(), 0);
}

}  // namespace
}  // namespace signalbox::testing
