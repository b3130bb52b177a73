// A whole control plane in the test's process, on real ports: what only the composition can get wrong.
#include "controlplane/controlplane.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/limits.h"
#include "signalbox/v1/admin.grpc.pb.h"
#include "signalbox/v1/quota.grpc.pb.h"
#include "signalbox/v1/route.grpc.pb.h"
#include "signalbox/v1/snapshot.grpc.pb.h"
#include "signalbox/v1/spend.grpc.pb.h"
#include "tests/controlplane/ledger/temp_dir.h"
#include "tests/testing/eventually.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr char kRoute[] = R"({"name": "my-saas", "elements": [
  {"id": "start", "type": "start", "outputs": {"next": {"elementId": "mini"}}},
  {"id": "mini", "type": "model", "properties": {"provider": "openai", "model": "gpt-4o-mini"},
   "outputs": {"success": {"elementId": "end"}}},
  {"id": "end", "type": "end", "outputs": {}}]})";

class ControlPlaneTest : public ::testing::Test {
 protected:
  ControlPlaneTest() { options_ = OptionsIn("plane"); }
  ~ControlPlaneTest() override {
    if (plane_ != nullptr) plane_->Stop();
  }

  ControlPlaneOptions OptionsIn(const std::string& name) {
    ControlPlaneOptions options;
    options.data_dir = dir_.File(name);
    options.grpc_address = "127.0.0.1:0";
    options.http_address = "127.0.0.1:0";
    return options;
  }
  void Start() {
    auto plane = ControlPlane::Start(options_);
    ASSERT_TRUE(plane.ok()) << plane.status();
    plane_ = *std::move(plane);
    channel_ = *NewChannel(plane_->grpc_address(), {});
    admin_ = *ReadTokenFile(options_.data_dir + "/admin.token");
    proxy_ = *ReadTokenFile(options_.data_dir + "/proxy.token");
    http_ = std::make_unique<httplib::Client>("http://" + plane_->http_address());
    http_->set_bearer_token_auth(admin_.c_str());
  }
  void Restart() {
    plane_->Stop();
    plane_.reset();
    Start();
  }
  Json Call(const std::string& verb, const std::string& path, const Json& body, int status = 200) {
    const auto result = verb == "GET"   ? http_->Get(path)
                        : verb == "PUT" ? http_->Put(path, body.dump(), "application/json")
                                        : http_->Post(path, body.dump(), "application/json");
    if (!result) {
      ADD_FAILURE() << verb << " " << path << ": no answer";
      return {};
    }
    EXPECT_EQ(result->status, status) << verb << " " << path << ": " << result->body;
    return Json::parse(result->body, nullptr, false);
  }
  void DeployTheRoute() {
    Call("PUT", "/v1/gateways/default/providers/openai",
         {{"provider", {{"kind", "openai"}, {"baseUrl", "http://127.0.0.1:1/v1"}}}, {"secret", "sk-test"}});
    Call("POST", "/v1/gateways/default/routes", {{"json", kRoute}, {"deploy", true}});
  }
  void ReportSpend(const std::string& request_id) {
    grpc::ClientContext context;
    AddToken(context, proxy_);
    const auto stream = v1::Spend::NewStub(channel_)->Report(&context);
    v1::SpendBatch batch;
    batch.set_batch(1);
    v1::SpendRecord& record = *batch.add_records();
    record.set_request_id(request_id);
    record.set_gateway("default");
    record.set_route("my-saas");
    record.set_outcome(v1::SUCCESS);
    record.set_start_time_us(1'750'000'000'000'000);
    record.set_cost_nanos(42);
    v1::SpendAck ack;
    ASSERT_TRUE(stream->Write(batch));
    if (!stream->Read(&ack)) FAIL() << stream->Finish().error_message();
    stream->WritesDone();
    ASSERT_TRUE(stream->Finish().ok());
  }

  TempDir dir_;
  ControlPlaneOptions options_;
  std::unique_ptr<ControlPlane> plane_;
  std::shared_ptr<grpc::Channel> channel_;
  std::string admin_, proxy_;
  std::unique_ptr<httplib::Client> http_;
};

TEST_F(ControlPlaneTest, ARouteMadeOverHttpReachesAProxysStream) {
  Start();
  DeployTheRoute();
  grpc::ClientContext context;
  AddToken(context, proxy_);
  const auto stream = v1::Snapshots::NewStub(channel_)->Stream(&context);
  v1::ProxyMessage hello;
  hello.mutable_hello()->set_proxy_id("proxy-1");
  hello.mutable_hello()->set_boot_id("boot-1");
  hello.mutable_hello()->set_build("test");
  hello.mutable_hello()->set_schema(kSchema);
  ASSERT_TRUE(stream->Write(hello));
  v1::ControlMessage message;
  ASSERT_TRUE(stream->Read(&message));
  EXPECT_GT(message.offer().id().sequence(), 0);
  std::vector<std::string> names;
  for (const v1::ManifestEntry& entry : message.offer().manifest()) names.push_back(entry.name());
  EXPECT_THAT(names, ::testing::Contains(HasSubstr("gateways/default/routes/")));
  EXPECT_THAT(names, ::testing::Contains("gateways/default/providers/openai"));
  const Json proxies = Call("GET", "/v1/proxies", {});
  ASSERT_EQ(proxies["proxies"].size(), 1u);
  EXPECT_EQ(proxies["proxies"][0]["proxyId"], "proxy-1");
  context.TryCancel();
}

TEST_F(ControlPlaneTest, WhatAProxySaysOfProvidersIsThereForOperatorsUntilItGoes) {
  Start();
  grpc::ClientContext context;
  AddToken(context, proxy_);
  const auto stream = v1::Snapshots::NewStub(channel_)->Stream(&context);
  v1::ProxyMessage hello;
  hello.mutable_hello()->set_proxy_id("proxy-1");
  hello.mutable_hello()->set_boot_id("boot-1");
  hello.mutable_hello()->set_schema(kSchema);
  ASSERT_TRUE(stream->Write(hello));
  v1::ProxyMessage said;
  v1::ProviderStatus& status = *said.mutable_status()->add_providers();
  status.set_gateway("default");
  status.set_provider("openai");
  status.set_endpoint("default");
  status.set_breaker(v1::ProviderStatus::HALF_OPEN);
  status.set_failures(3);
  ASSERT_TRUE(stream->Write(said));
  const auto statuses = [&] { return Call("GET", "/v1/gateways/default/providers:status", nullptr)["statuses"]; };
  ASSERT_TRUE(Eventually([&] { return statuses().size() == 1; }));
  const Json row = statuses()[0];
  EXPECT_EQ(row["provider"], "openai");
  EXPECT_EQ(row["proxyId"], "proxy-1");
  EXPECT_EQ(row["breaker"], "HALF_OPEN");
  EXPECT_EQ(row["failures"], "3");
  context.TryCancel();
  EXPECT_TRUE(Eventually([&] { return statuses().empty(); })) << "a proxy that is gone says nothing any more";
  stream->Finish();
}

TEST_F(ControlPlaneTest, SettingsOfAGatewayAreSetOverHttp) {
  Start();
  DeployTheRoute();
  const Json updated =
      Call("PUT", "/v1/gateways/default", {{"settings", {{"defaultRoute", "my-saas"}, {"refusePlainModels", false}}}});
  EXPECT_EQ(updated["settings"]["defaultRoute"], "my-saas");
  const Json refused = Call("PUT", "/v1/gateways/default", {{"settings", {{"defaultRoute", "nope"}}}}, 400);
  EXPECT_THAT(refused["error"]["message"].get<std::string>(), HasSubstr("settings.default_route: "));
  EXPECT_EQ(Call("GET", "/v1/gateways", nullptr)["gateways"][0]["settings"]["defaultRoute"], "my-saas");
}

TEST_F(ControlPlaneTest, SpendOfAProxyIsUsageForAnOperatorAndSurvivesARestart) {
  Start();
  ReportSpend("a");
  Restart();
  const Json usage = Call("GET", "/v1/gateways/default/usage?by=route", {});
  ASSERT_EQ(usage["rows"].size(), 1u);
  EXPECT_EQ(usage["rows"][0]["group"]["route"], "my-saas");
  EXPECT_EQ(usage["rows"][0]["costNanos"], "42");
}

TEST_F(ControlPlaneTest, TheEmbeddedQuotaServiceAnswersProxiesOnTheSamePort) {
  Start();
  grpc::ClientContext context;
  AddToken(context, proxy_);
  v1::GetQuotaStatusResponse response;
  const grpc::Status status = v1::Quota::NewStub(channel_)->GetQuotaStatus(&context, {}, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.store(), "sqlite");
}

TEST_F(ControlPlaneTest, WithoutAQuotaServiceThereIsNone) {
  options_.quota = "off";
  Start();
  grpc::ClientContext context;
  AddToken(context, proxy_);
  v1::GetQuotaStatusResponse response;
  EXPECT_EQ(v1::Quota::NewStub(channel_)->GetQuotaStatus(&context, {}, &response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(ControlPlaneTest, AQuotaServiceOfItsOwnThatIsAwayStopsNothing) {
  const std::string token_file = dir_.File("quota.token");
  std::ofstream(token_file) << "sbt_test\n";
  std::filesystem::permissions(token_file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  options_.quota = "127.0.0.1:1";
  options_.quota_token_file = token_file;
  Start();
  EXPECT_EQ(http_->Get("/readyz")->status, 200);
  // Its databases are two then: the counters are the other service's.
  EXPECT_EQ(Call("POST", "/v1/server:backup", {{"directory", dir_.File("backup")}})["files"].size(), 2u);
}

TEST_F(ControlPlaneTest, ABackupStartsAnotherControlPlaneWithEverythingButTheMasterKey) {
  Start();
  DeployTheRoute();
  ReportSpend("a");
  const Json lineage = Call("GET", "/v1/server", {})["lineage"];
  const std::string backup = dir_.File("backup");
  const Json answer = Call("POST", "/v1/server:backup", {{"directory", backup}});
  ASSERT_EQ(answer["files"].size(), 3u) << answer;
  EXPECT_FALSE(std::filesystem::exists(backup + "/master.key"));
  Call("POST", "/v1/server:backup", {{"directory", backup}}, 412);

  // Restoring: files into a new data directory, the master key from where it was kept, the token files of old.
  plane_->Stop();
  plane_.reset();
  for (const char* file : {"master.key", "admin.token", "proxy.token"}) {
    std::filesystem::copy_file(options_.data_dir + "/" + file, backup + "/" + file);
  }
  options_.data_dir = backup;
  Start();
  EXPECT_EQ(Call("GET", "/v1/server", {})["lineage"], lineage);
  EXPECT_EQ(Call("GET", "/v1/gateways/default/routes/my-saas", {})["deployedVersion"], "1");
  EXPECT_EQ(Call("GET", "/v1/gateways/default/requests/a", {})["costNanos"], "42");
}

TEST_F(ControlPlaneTest, TwoDoNotShareADataDirectory) {
  Start();
  const absl::Status status = ControlPlane::Start(options_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("another control plane is running on the data directory"));
}

TEST_F(ControlPlaneTest, ATakenPortIsAnErrorThatNamesIt) {
  Start();
  ControlPlaneOptions other = OptionsIn("other");
  other.grpc_address = plane_->grpc_address();
  EXPECT_THAT(std::string(ControlPlane::Start(other).status().message()),
              HasSubstr("cannot listen on " + plane_->grpc_address()));
  other = OptionsIn("other");
  other.http_address = plane_->http_address();
  EXPECT_THAT(std::string(ControlPlane::Start(other).status().message()),
              HasSubstr("cannot listen on " + plane_->http_address()));
}

TEST_F(ControlPlaneTest, BadOptionsAreNamedBeforeAnythingIsTouched) {
  ControlPlaneOptions bad = OptionsIn("bad");
  bad.quota = "embeded";
  EXPECT_THAT(std::string(ControlPlane::Start(bad).status().message()), HasSubstr("--quota=embeded is not known"));
  bad.quota = "127.0.0.1:9092";
  EXPECT_THAT(std::string(ControlPlane::Start(bad).status().message()), HasSubstr("needs --quota_token_file"));
  bad = OptionsIn("bad");
  for (const char* address : {"0.0.0.0:0", "127.example.com:0", ":0"}) {
    bad.http_address = address;
    EXPECT_THAT(std::string(ControlPlane::Start(bad).status().message()), HasSubstr("--tls_cert")) << address;
  }
  EXPECT_FALSE(std::filesystem::exists(bad.data_dir));
  bad = OptionsIn("bad");
  bad.data_dir.clear();
  EXPECT_THAT(std::string(ControlPlane::Start(bad).status().message()), HasSubstr("--data_dir"));
}

TEST_F(ControlPlaneTest, MetricsCountCallsByMethodAndCode) {
  Start();
  Call("GET", "/v1/gateways/default/usage?by=colour", {}, 400);
  const auto result = http_->Get("/metrics");
  ASSERT_TRUE(result);
  EXPECT_THAT(result->body,
              HasSubstr(R"(signalbox_rpcs_total{code="invalid_argument",method="signalbox.v1.Usage.QueryUsage"} 1)"));
  EXPECT_THAT(result->body, HasSubstr(R"(signalbox_http_responses_total{status="400"} 1)"));
  EXPECT_THAT(result->body, HasSubstr("signalbox_ledger_records 0"));
}

TEST_F(ControlPlaneTest, ARevokedTokenEndsOpenStreams) {
  Start();
  const Json created = Call("POST", "/v1/tokens", {{"role", "proxy"}});
  const std::string token = created["secret"];
  grpc::ClientContext context, quota_context;
  AddToken(context, token);
  AddToken(quota_context, token);
  const auto snapshots = v1::Snapshots::NewStub(channel_)->Stream(&context);
  v1::ProxyMessage hello;
  hello.mutable_hello()->set_proxy_id("proxy-1");
  hello.mutable_hello()->set_boot_id("boot-1");
  hello.mutable_hello()->set_schema(kSchema);
  ASSERT_TRUE(snapshots->Write(hello));
  const auto quota = v1::Quota::NewStub(channel_)->Session(&quota_context);
  v1::QuotaRequest command;
  command.set_proxy_id("proxy-1");
  command.set_boot_id("boot-1");
  command.add_commands()->set_sequence(1);
  command.mutable_commands(0)->mutable_settle()->set_request_id("r1");
  ASSERT_TRUE(quota->Write(command));
  v1::QuotaResponse answer;
  ASSERT_TRUE(quota->Read(&answer));
  while (Call("GET", "/v1/proxies", {})["proxies"].empty()) std::this_thread::yield();

  Call("POST", "/v1/tokens/" + created["token"]["id"].get<std::string>() + ":revoke", Json::object());
  DeployTheRoute();
  v1::ControlMessage offer;
  EXPECT_FALSE(snapshots->Read(&offer));
  EXPECT_EQ(snapshots->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  command.mutable_commands(0)->set_sequence(2);
  quota->Write(command);
  EXPECT_FALSE(quota->Read(&answer));
  EXPECT_EQ(quota->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(ControlPlaneTest, StopEndsOpenStreamsAndSaysToComeBack) {
  Start();
  grpc::ClientContext context;
  AddToken(context, proxy_);
  const auto stream = v1::Snapshots::NewStub(channel_)->Stream(&context);
  v1::ProxyMessage hello;
  hello.mutable_hello()->set_proxy_id("proxy-1");
  hello.mutable_hello()->set_boot_id("boot-1");
  hello.mutable_hello()->set_schema(kSchema);
  ASSERT_TRUE(stream->Write(hello));
  auto proxies = Call("GET", "/v1/proxies", {});
  auto stopped = std::async(std::launch::async, [this] { plane_->Stop(); });
  v1::ControlMessage message;
  while (stream->Read(&message)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  stopped.get();
}

TEST_F(ControlPlaneTest, ADeploymentRightAfterARestartWaitsForTheProxiesThereWere) {
  Start();
  DeployTheRoute();
  const auto hello = [this](grpc::ClientContext& context) {
    AddToken(context, proxy_);
    auto stream = v1::Snapshots::NewStub(channel_)->Stream(&context);
    v1::ProxyMessage message;
    message.mutable_hello()->set_proxy_id("proxy-1");
    message.mutable_hello()->set_boot_id("boot-1");
    message.mutable_hello()->set_schema(kSchema);
    EXPECT_TRUE(stream->Write(message));
    return stream;
  };
  {
    grpc::ClientContext context;
    const auto stream = hello(context);
    // Written down within a second or so.
    ASSERT_TRUE(Eventually([&] {
      const auto store = Call("GET", "/v1/proxies", nullptr);
      return store["proxies"].size() == 1;
    }));
    ASSERT_TRUE(Eventually([&] {
      std::ifstream in(options_.data_dir + "/routes.db-wal", std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
      return bytes.find("70726f78792d31") != std::string::npos;  // proxy-1 in hex
    }));
    context.TryCancel();
    plane_->Stop();
  }
  Restart();
  const Json waited = Call("POST", "/v1/gateways/default/routes/my-saas:deploy", {{"version", 1}, {"waitMs", 50}});
  ASSERT_EQ(waited["proxies"].size(), 1u) << waited;
  EXPECT_EQ(waited["proxies"][0]["proxyId"], "proxy-1");
  EXPECT_EQ(waited["proxies"][0]["state"], "NOT_HEARD");
}

TEST_F(ControlPlaneTest, ARetentionTooShortToBeMeantIsRefusedAndTheLedgersSizeIsAMetric) {
  options_.ledger_retention_days = 1;
  const absl::Status status = ControlPlane::Start(options_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--ledger_retention_days=1 is too short"));
  options_.ledger_retention_days = 0;
  Start();
  ReportSpend("a");
  const auto metrics = http_->Get("/metrics");
  ASSERT_TRUE(metrics);
  for (const char* name : {"signalbox_ledger_records 1", "signalbox_ledger_bytes ", "signalbox_ledger_free_bytes ",
                           "signalbox_ledger_open_suspense 0", "signalbox_ledger_records_deleted 0",
                           "signalbox_ledger_records_expired 0"}) {
    EXPECT_THAT(metrics->body, HasSubstr(name));
  }
}

TEST_F(ControlPlaneTest, ADamagedLedgerStopsTheStartAndNamesTheRemedy) {
  Start();
  for (int i = 0; i < 40; ++i) ReportSpend(std::string(200, 'x') + std::to_string(i));
  plane_->Stop();
  plane_.reset();
  {
    std::fstream file(options_.data_dir + "/ledger.db", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(3 * 4096);
    file << std::string(3 * 4096, '\xee');
  }
  const absl::Status status = ControlPlane::Start(options_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("ledger.db is damaged"));
}

}  // namespace
}  // namespace signalbox
