#include "dataplane/quota/grpc_stream.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <fstream>
#include <functional>
#include <future>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "signalbox/v1/quota.grpc.pb.h"
#include "tests/dataplane/http/test_certificate.h"

namespace signalbox::testing {
namespace {

using ::testing::HasSubstr;

// Answers a message with one whose first answer says how long its proxy_id was and is as long as `acked_through` asks.
class Measurer final : public v1::Quota::Service {
 public:
  grpc::Status Session(grpc::ServerContext* context,
                       grpc::ServerReaderWriter<v1::QuotaResponse, v1::QuotaRequest>* stream) override {
    const auto token = context->client_metadata().find("authorization");
    if (token == context->client_metadata().end() || token->second != "Bearer secret") {
      return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "no: 100 % \"sure\"\n");
    }
    stream->SendInitialMetadata();
    v1::QuotaRequest request;
    while (stream->Read(&request)) {
      if (request.heartbeat()) return grpc::Status::OK;
      v1::QuotaResponse response;
      v1::QuotaAnswer& answer = *response.add_answers();
      answer.set_sequence(request.proxy_id().size());
      answer.set_message(std::string(request.acked_through(), 'x'));
      stream->Write(response);
    }
    return grpc::Status::OK;
  }
};

class Server {
 public:
  explicit Server(std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials()) {
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(64 << 20);
    builder.AddListeningPort("127.0.0.1:0", credentials, &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
  }
  ~Server() { server_->Shutdown(std::chrono::system_clock::now()); }
  int port = 0;

 private:
  Measurer service_;
  std::unique_ptr<grpc::Server> server_;
};

// A stream on a loop and a thread of its own; what it says is waited for.
class Talk final : private GrpcStream::Handler {
 public:
  explicit Talk(const std::string& target, asio::ssl::context* tls = nullptr, const std::string& token = "secret",
                size_t message_bytes_max = 4 << 20)
      : thread_([this] { io_.run(); }) {
    asio::post(io_, [=, this] {
      stream_.reset(new GrpcStream(io_,
                                   {.target = *ParseGrpcTarget(target),
                                    .tls = tls,
                                    .method = "/signalbox.v1.Quota/Session",
                                    .token = token,
                                    .message_bytes_max = message_bytes_max},
                                   *this));
    });
  }
  explicit Talk(int port) : Talk(absl::StrCat("127.0.0.1:", port)) {}
  ~Talk() override {
    asio::post(io_, [this] {
      stream_.reset();
      work_.reset();
    });
    thread_.join();
  }

  // Sends when the stream takes it.
  void Send(size_t id_bytes, size_t answer_bytes, bool last = false) {
    v1::QuotaRequest request;
    request.set_proxy_id(std::string(id_bytes, 'p'));
    request.set_acked_through(answer_bytes);
    request.set_heartbeat(last);
    asio::post(io_, [this, bytes = request.SerializeAsString()] {
      unsent_.push_back(bytes);
      SendNext();
    });
  }
  v1::QuotaAnswer Answer() {
    MutexLock lock(mutex_);
    while (answers_.empty() && !end_.has_value()) changed_.Wait(mutex_);
    EXPECT_FALSE(answers_.empty()) << *end_;
    if (answers_.empty()) return {};
    v1::QuotaAnswer answer = std::move(answers_.front());
    answers_.erase(answers_.begin());
    return answer;
  }
  absl::Status End() {
    MutexLock lock(mutex_);
    while (!end_.has_value()) changed_.Wait(mutex_);
    return *end_;
  }

 private:
  void SendNext() {
    if (!open_ || unsent_.empty() || stream_->sending()) return;
    const std::string bytes = std::move(unsent_.front());
    unsent_.erase(unsent_.begin());
    stream_->Send(bytes);
    if (!stream_->sending()) SendNext();
  }
  void OnOpen() override {
    open_ = true;
    SendNext();
  }
  void OnMessage(std::string_view message) override {
    v1::QuotaResponse response;
    response.ParseFromArray(message.data(), static_cast<int>(message.size()));
    MutexLock lock(mutex_);
    answers_.push_back(response.answers_size() > 0 ? response.answers(0) : v1::QuotaAnswer());
    changed_.NotifyAll();
  }
  void OnSent() override { SendNext(); }
  void OnEnd(const absl::Status& status) override {
    MutexLock lock(mutex_);
    EXPECT_FALSE(end_.has_value());
    end_ = status;
    changed_.NotifyAll();
  }

  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  std::unique_ptr<GrpcStream> stream_;
  std::vector<std::string> unsent_;
  bool open_ = false;
  Mutex mutex_;
  CondVar changed_;
  std::vector<v1::QuotaAnswer> answers_ SB_GUARDED_BY(mutex_);
  std::optional<absl::Status> end_ SB_GUARDED_BY(mutex_);
  std::thread thread_;
};

TEST(GrpcStream, MessagesOfEverySizeTravelBothWays) {
  Server server;
  Talk talk(server.port);
  // Around a frame's, a read's and a flow-control window's size, both ways.
  const std::vector<size_t> sizes = {0, 1, 100, 16'370, 16'384, 16'400, 65'535, 65'536, 1'000'000, 3'000'000};
  for (const size_t size : sizes) {
    talk.Send(size, 0);
    talk.Send(0, size);
  }
  for (const size_t size : sizes) {
    EXPECT_EQ(talk.Answer().sequence(), size);
    EXPECT_EQ(talk.Answer().message().size(), size);
  }
  talk.Send(0, 0, /*last=*/true);
  EXPECT_EQ(talk.End(), absl::OkStatus());
}

TEST(GrpcStream, ManyMessagesKeepTheirOrder) {
  Server server;
  Talk talk(server.port);
  for (size_t i = 0; i < 2'000; ++i) talk.Send(i, 10);
  for (size_t i = 0; i < 2'000; ++i) ASSERT_EQ(talk.Answer().sequence(), i);
}

TEST(GrpcStream, TheServersStatusIsTheEnd) {
  Server server;
  Talk talk(absl::StrCat("127.0.0.1:", server.port), nullptr, "wrong");
  EXPECT_EQ(talk.End(), absl::UnauthenticatedError("no: 100 % \"sure\"\n"));
}

TEST(GrpcStream, AMessageThatIsTooLongEndsTheCall) {
  Server server;
  Talk talk(absl::StrCat("localhost:", server.port), nullptr, "secret", 1'000);
  talk.Send(0, 900);
  EXPECT_EQ(talk.Answer().message().size(), 900u);
  talk.Send(0, 1'001);
  EXPECT_EQ(talk.End().code(), absl::StatusCode::kResourceExhausted);
}

TEST(GrpcStream, AServerThatGoesAwayIsUnavailable) {
  auto server = std::make_unique<Server>();
  Talk talk(server->port);
  talk.Send(7, 0);
  EXPECT_EQ(talk.Answer().sequence(), 7u);
  server.reset();
  EXPECT_EQ(talk.End().code(), absl::StatusCode::kUnavailable);
}

TEST(GrpcStream, NobodyThereIsUnavailable) { EXPECT_EQ(Talk(1).End().code(), absl::StatusCode::kUnavailable); }

std::string ReadFile(const std::string& path) {
  std::stringstream content;
  content << std::ifstream(path).rdbuf();
  return content.str();
}

class TlsServer {
 public:
  explicit TlsServer(const std::string& names) : certificate_(names) {
    key_path_ = certificate_.path() + ".key";
    certificate_.WriteKey(key_path_);
    grpc::SslServerCredentialsOptions options;
    options.pem_key_cert_pairs.push_back({ReadFile(key_path_), ReadFile(certificate_.path())});
    server_ = std::make_unique<Server>(grpc::SslServerCredentials(options));
  }
  ~TlsServer() { ::unlink(key_path_.c_str()); }
  std::string target(const std::string& host = "127.0.0.1") const { return absl::StrCat(host, ":", server_->port); }
  const std::string& ca() const { return certificate_.path(); }

 private:
  TestCertificate certificate_;
  std::string key_path_;
  std::unique_ptr<Server> server_;
};

TEST(GrpcStream, SpeaksTlsWithAServerThatProvesItsName) {
  TlsServer server("DNS:localhost,IP:127.0.0.1");
  const auto tls = *NewGrpcTlsContext({.cert = "", .key = "", .ca = server.ca()});
  for (const char* host : {"127.0.0.1", "localhost"}) {
    Talk talk(server.target(host), tls.get());
    talk.Send(5, 1'000'000);
    EXPECT_EQ(talk.Answer().message().size(), 1'000'000u);
    talk.Send(1'000'000, 0);
    EXPECT_EQ(talk.Answer().sequence(), 1'000'000u);
  }
}

TEST(GrpcStream, RefusesAServerOfAnotherNameOrAuthority) {
  TlsServer server("DNS:elsewhere.example");
  const auto tls = *NewGrpcTlsContext({.cert = "", .key = "", .ca = server.ca()});
  Talk of_another_name(server.target(), tls.get());
  EXPECT_EQ(of_another_name.End().code(), absl::StatusCode::kUnavailable);
  TlsServer stranger("IP:127.0.0.1");
  Talk of_another_authority(stranger.target(), tls.get());
  EXPECT_EQ(of_another_authority.End().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(NewGrpcTlsContext({.cert = "/nowhere", .key = "", .ca = server.ca()}).status().code(),
            absl::StatusCode::kNotFound);
}

// Takes one connection and says `bytes`, whatever it is told.
class RawServer {
 public:
  explicit RawServer(std::string bytes)
      : acceptor_(io_, {asio::ip::make_address("127.0.0.1"), 0}), thread_([this, bytes = std::move(bytes)] {
          boost::system::error_code ignored;
          asio::ip::tcp::socket socket(io_);
          acceptor_.accept(socket, ignored);
          char preface[24];
          asio::read(socket, asio::buffer(preface), ignored);
          asio::write(socket, asio::buffer(bytes), ignored);
          socket.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
          char rest[1024];
          while (!ignored) socket.read_some(asio::buffer(rest), ignored);
        }) {}
  ~RawServer() { thread_.join(); }
  int port() const { return acceptor_.local_endpoint().port(); }

 private:
  asio::io_context io_;
  asio::ip::tcp::acceptor acceptor_;
  std::thread thread_;
};

TEST(GrpcStream, WhatIsNoGrpcServerEndsTheCall) {
  for (const std::string bytes : {"HTTP/1.1 400 Bad Request\r\n\r\n", "", "SSH-2.0-OpenSSH_9.2\r\n"}) {
    RawServer server(bytes);
    Talk talk(server.port());
    EXPECT_EQ(talk.End().code(), absl::StatusCode::kUnavailable) << bytes;
  }
}

// A server's bytes, some of them altered: the call ends, whatever they became, and nothing breaks.
TEST(GrpcStream, AlteredFramesNeverBreakIt) {
  std::string valid;
  const auto frame = [&valid](uint8_t type, uint8_t flags, uint8_t stream, const std::string& payload) {
    valid += {'\0',
              static_cast<char>(payload.size() >> 8),
              static_cast<char>(payload.size()),
              static_cast<char>(type),
              static_cast<char>(flags),
              '\0',
              '\0',
              '\0',
              static_cast<char>(stream)};
    valid += payload;
  };
  v1::QuotaResponse response;
  response.add_answers()->set_message("hello");
  const std::string message = response.SerializeAsString();
  frame(4, 0, 0, "");      // SETTINGS
  frame(1, 4, 1, "\x88");  // HEADERS, END_HEADERS: ":status: 200"
  frame(0, 0, 1, std::string("\0\0\0\0", 4) + static_cast<char>(message.size()) + message);  // DATA
  frame(6, 0, 0, "12345678");                                                                // PING
  frame(1, 5, 1, std::string("\x40\x0bgrpc-status\x01") + "0");                              // HEADERS, END_STREAM
  {
    RawServer server(valid);
    Talk talk(server.port());
    EXPECT_EQ(talk.Answer().message(), "hello");
    EXPECT_EQ(talk.End(), absl::OkStatus());
  }
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    std::string altered = valid;
    for (int changes = 1 + static_cast<int>(random() % 3); changes > 0; --changes) {
      altered[random() % altered.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) altered.resize(random() % altered.size());
    RawServer server(altered);
    Talk talk(server.port());
    static_cast<void>(talk.End());
  }
}

TEST(GrpcStream, ATargetIsHostAndPort) {
  EXPECT_EQ(ParseGrpcTarget("[::1]:80")->host, "::1");
  EXPECT_EQ(ParseGrpcTarget("quota.example:9092")->port, 9092);
  for (const char* bad : {"", ":", "host", "host:", ":80", "host:0", "host:65536", "host:http"}) {
    EXPECT_EQ(ParseGrpcTarget(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace signalbox::testing
