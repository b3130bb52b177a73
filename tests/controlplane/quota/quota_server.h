// A quota service on a port of its own, with its own or a given directory. Tests only.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/rpc/rpc.h"
#include "controlplane/quota/quota_service.h"

namespace signalbox::testing {

class OneToken : public TokenAuthority {
 public:
  std::atomic<bool> revoked{false};

  absl::StatusOr<Caller> Authenticate(std::string_view token) const override {
    if (token == "secret" && !revoked) return Caller{"id", "proxy", Role::kProxy};
    return absl::UnauthenticatedError("unknown token");
  }
};

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    path = (std::filesystem::temp_directory_path() / "quota_XXXXXX").string();
    EXPECT_NE(::mkdtemp(path.data()), nullptr);
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
  std::string path;
};

class QuotaServer {
 public:
  // `port` 0: any.
  explicit QuotaServer(const std::string& data_dir, int port = 0, const std::string& store = "sqlite") {
    QuotaHostOptions options;
    options.data_dir = data_dir;
    options.store = store;
    auto opened = QuotaHost::Open(options, authority);
    EXPECT_TRUE(opened.ok()) << opened.status();
    host = *std::move(opened);
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials(), &this->port);
    host->Register(builder);
    server_ = builder.BuildAndStart();
    EXPECT_NE(server_, nullptr);
    host->Start();
  }
  ~QuotaServer() {
    host->Shutdown();
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
    host->Drain();
  }
  std::shared_ptr<grpc::Channel> Channel() const { return *NewChannel(absl::StrCat("127.0.0.1:", port), TlsFiles{}); }

  int port = 0;
  OneToken authority;
  std::unique_ptr<QuotaHost> host;

 private:
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace signalbox::testing
