// The operators' API over real gRPC on port 0, on a store in a temporary directory, with a publisher that records.
#pragma once

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/rpc/rpc.h"
#include "controlplane/api/operator_services.h"
#include "controlplane/api/quota_connection.h"
#include "controlplane/api/token_authority.h"
#include "controlplane/prices/genai_prices.h"
#include "controlplane/prices/price_refresher.h"
#include "signalbox/v1/admin.grpc.pb.h"
#include "signalbox/v1/counters.grpc.pb.h"
#include "signalbox/v1/gateway.grpc.pb.h"
#include "signalbox/v1/route.grpc.pb.h"
#include "tests/controlplane/store/store_fixture.h"

namespace signalbox {

class RecordingPublisher : public Publisher {
 public:
  void OnCommitted() override { ++commits; }
  std::vector<v1::ProxyResult> WaitForFleet(int64_t sequence, int wait_ms) override {
    waits.emplace_back(sequence, wait_ms);
    v1::ProxyResult result;
    result.set_proxy_id("proxy-1");
    result.set_state(v1::ProxyResult::APPLIED);
    return {result};
  }
  absl::Status WaitForProxy(const std::string& proxy_id, int64_t sequence, int) override {
    waits_for_proxies.emplace_back(proxy_id, sequence);
    return absl::OkStatus();
  }
  std::vector<v1::ProxyStatus> Fleet() const override { return fleet; }
  std::vector<v1::ProviderStatus> ProviderStatuses(const std::string& gateway) const override {
    v1::ProviderStatus status;
    status.set_gateway(gateway);
    status.set_provider("openai");
    status.set_breaker(v1::ProviderStatus::OPEN);
    return {status};
  }

  int commits = 0;
  std::vector<std::pair<int64_t, int>> waits;
  std::vector<std::pair<std::string, int64_t>> waits_for_proxies;
  std::vector<v1::ProxyStatus> fleet;
};

class ApiTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    Start();
  }
  void TearDown() override { Stop(); }

  void Start() {
    auto authority = StoredTokenAuthority::Open(store_->tokens(), dir_.path());
    ASSERT_TRUE(authority.ok()) << authority.status();
    authority_ = *std::move(authority);
    RefreshOptions refresh;
    refresh.url = price_url_;
    refresh.fetch = [this](const std::string&, const std::function<bool()>&) { return price_data_; };
    refresh.read = [](std::string_view text, std::string origin) {
      return ParseGenaiPrices(text, std::move(origin), ModelLimits());
    };
    refresh.on_published = [this] { publisher_.OnCommitted(); };
    refresher_ = std::make_unique<PriceRefresher>(store_->catalogue(), clock_, std::move(refresh));
    OperatorDeps deps;
    deps.store = store_.get();
    deps.refresher = refresher_.get();
    deps.publisher = &publisher_;
    deps.authority = authority_.get();
    deps.quota = &quota_connection_;
    deps.clock = &clock_;
    deps.build = "test-build";
    deps.backup = [this](const std::string& directory) -> absl::StatusOr<std::vector<std::string>> {
      const std::string file = directory + "/routes.db";
      RETURN_IF_ERROR(store_->Backup(file));
      return std::vector<std::string>{file};
    };
    services_ = std::make_unique<OperatorServices>(deps);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    services_->Register(builder);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    const auto channel = NewChannel(absl::StrCat("127.0.0.1:", port), TlsFiles());
    ASSERT_TRUE(channel.ok());
    routes_ = v1::Routes::NewStub(*channel);
    gateways_ = v1::Gateways::NewStub(*channel);
    providers_ = v1::Providers::NewStub(*channel);
    keys_ = v1::Keys::NewStub(*channel);
    prices_ = v1::Prices::NewStub(*channel);
    admin_ = v1::Admin::NewStub(*channel);
    counters_ = v1::Counters::NewStub(*channel);
    token_ = *ReadTokenFile(dir_.path() + "/admin.token");
  }

  void Stop() {
    if (server_ != nullptr) server_->Shutdown();
    server_.reset();
    services_.reset();
    refresher_.reset();
    authority_.reset();
  }

  // Call(*routes_, &v1::Routes::Stub::GetRoute, request): the answer, or the status it came with.
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(Stub& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request) {
    grpc::ClientContext context;
    if (!token_.empty()) AddToken(context, token_);
    Response response;
    const absl::Status status = FromGrpcStatus((stub.*method)(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }

  absl::StatusOr<v1::CreateRouteResponse> CreateRoute(const std::string& json, bool deploy = false) {
    v1::CreateRouteRequest request;
    request.set_gateway("default");
    request.set_json(json);
    request.set_deploy(deploy);
    return Call(*routes_, &v1::Routes::Stub::CreateRoute, request);
  }
  absl::StatusOr<v1::SaveVersionResponse> SaveVersion(const std::string& route, const std::string& json,
                                                      const std::string& etag = "", bool allow_draft = false) {
    v1::SaveVersionRequest request;
    request.set_gateway("default");
    request.set_route(route);
    request.set_json(json);
    request.set_etag(etag);
    request.set_allow_draft(allow_draft);
    return Call(*routes_, &v1::Routes::Stub::SaveVersion, request);
  }
  absl::StatusOr<v1::DeployResponse> Deploy(const std::string& route, int64_t version, int wait_ms = 0) {
    v1::DeployRequest request;
    request.set_gateway("default");
    request.set_route(route);
    request.set_version(version);
    request.set_wait_ms(wait_ms);
    return Call(*routes_, &v1::Routes::Stub::Deploy, request);
  }
  absl::StatusOr<v1::CreateKeyResponse> CreateKey(const v1::CreateKeyRequest& request) {
    return Call(*keys_, &v1::Keys::Stub::CreateKey, request);
  }

  RecordingPublisher publisher_;
  std::unique_ptr<StoredTokenAuthority> authority_;
  QuotaConnection quota_connection_;  // to nothing, unless a test connects it
  std::string price_url_;             // of the refresher; empty until Start() is called with another one
  absl::StatusOr<std::string> price_data_ = absl::UnavailableError("nobody is there");  // what it then fetches
  std::unique_ptr<PriceRefresher> refresher_;
  std::unique_ptr<OperatorServices> services_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::Routes::Stub> routes_;
  std::unique_ptr<v1::Gateways::Stub> gateways_;
  std::unique_ptr<v1::Providers::Stub> providers_;
  std::unique_ptr<v1::Keys::Stub> keys_;
  std::unique_ptr<v1::Prices::Stub> prices_;
  std::unique_ptr<v1::Admin::Stub> admin_;
  std::unique_ptr<v1::Counters::Stub> counters_;
  std::string token_;
};

// The code and the whole text of a refusal.
inline void ExpectRefused(const absl::Status& status, absl::StatusCode code,
                          const ::testing::Matcher<const std::string&>& text) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), text);
}

}  // namespace signalbox
