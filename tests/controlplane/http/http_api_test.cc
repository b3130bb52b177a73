// Real HTTP, a real gRPC server, the real usage service; a scripted Routes service for errors with faults.
#include "controlplane/http/http_api.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "common/faults.h"
#include "controlplane/ledger/ledger_service.h"
#include "signalbox/v1/route.grpc.pb.h"
#include "tests/controlplane/ledger/temp_dir.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class FixedTokens : public TokenAuthority {
 public:
  absl::StatusOr<Caller> Authenticate(std::string_view token) const override {
    if (token == "admin") return Caller{"1", "ada", Role::kAdmin};
    if (token == "proxy") return Caller{"2", "proxy-1", Role::kProxy};
    return absl::UnauthenticatedError("unknown token");
  }
};

class ScriptedRoutes : public v1::Routes::Service {
 public:
  grpc::Status Deploy(grpc::ServerContext*, const v1::DeployRequest* request, v1::DeployResponse* response) override {
    if (!status.ok()) return ToGrpcStatus(status);
    response->mutable_deployment()->set_version(request->version());
    response->mutable_deployment()->set_route_id(request->route());
    return grpc::Status::OK;
  }
  absl::Status status;
};

class HttpApiTest : public ::testing::Test {
 protected:
  HttpApiTest() : ledger_(*SqliteLedger::Open({.path = dir_.File("ledger.db")})) {
    grpc::ServerBuilder builder;
    builder.RegisterService(&usage_);
    builder.RegisterService(&routes_);
    server_ = builder.BuildAndStart();
    api_ = server_->InProcessChannel({});
    HttpApiOptions options;
    options.address = "127.0.0.1:0";
    options.ready = [this] { return ready_; };
    options.metrics = [] { return "signalbox_up 1\n"; };
    auto http = HttpApi::Start(options, api_, tokens_);
    EXPECT_TRUE(http.ok()) << http.status();
    http_ = *std::move(http);
    client_ = std::make_unique<httplib::Client>("http://" + http_->address());
    client_->set_bearer_token_auth("admin");
  }
  ~HttpApiTest() override {
    http_->Stop();
    server_->Shutdown();
  }

  static void ExpectError(const httplib::Result& result, int status, const std::string& code,
                          const std::string& message) {
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, status) << result->body;
    EXPECT_EQ(result->get_header_value("Content-Type"), "application/json");
    const Json json = Json::parse(result->body, nullptr, false);
    ASSERT_TRUE(json.is_object()) << result->body;
    EXPECT_EQ(json["error"]["code"], code);
    EXPECT_THAT(json["error"]["message"].get<std::string>(), HasSubstr(message));
    EXPECT_TRUE(json["error"].contains("type"));
    EXPECT_TRUE(json["error"].contains("param"));
  }

  TempDir dir_;
  std::unique_ptr<SqliteLedger> ledger_;
  FixedTokens tokens_;
  UsageService usage_{*ledger_, tokens_};
  ScriptedRoutes routes_;
  absl::Status ready_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> api_;
  std::unique_ptr<HttpApi> http_;
  std::unique_ptr<httplib::Client> client_;
};

TEST_F(HttpApiTest, AGetIsACallAndItsAnswerIsJson) {
  google::protobuf::RepeatedPtrField<v1::SpendRecord> records;
  v1::SpendRecord& record = *records.Add();
  record.set_request_id("a");
  record.set_gateway("default");
  record.set_outcome(v1::REFUSED);
  record.set_start_time_us(1'750'000'000'000'000);
  ASSERT_TRUE(ledger_->Append(records).ok());
  const auto result = client_->Get("/v1/gateways/default/requests?outcome=REFUSED&pageSize=5");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200) << result->body;
  const Json json = Json::parse(result->body);
  ASSERT_EQ(json["records"].size(), 1u);
  EXPECT_EQ(json["records"][0]["requestId"], "a");
  EXPECT_EQ(json["records"][0]["costNanos"], "0") << "zeros are printed";
  EXPECT_EQ(json["nextPageToken"], "");
}

TEST_F(HttpApiTest, APostFillsTheRequestFromPathAndBody) {
  const auto result =
      client_->Post("/v1/gateways/default/routes/my-saas:deploy", R"({"version": 7})", "application/json");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200) << result->body;
  const Json json = Json::parse(result->body);
  EXPECT_EQ(json["deployment"]["version"], "7");
  EXPECT_EQ(json["deployment"]["routeId"], "my-saas");
}

TEST_F(HttpApiTest, FaultsComeBesideTheError) {
  v1::Fault fault;
  fault.set_element_id("mini");
  fault.set_path("$.elements[3].properties.provider");
  fault.set_message("unknown provider \"opnai\"");
  fault.set_severity(v1::SEVERITY_ERROR);
  routes_.status = StatusWithFaults(absl::StatusCode::kFailedPrecondition, "version 7 does not compile", {fault});
  const auto result = client_->Post("/v1/gateways/default/routes/r:deploy", "{}", "application/json");
  ExpectError(result, 412, "failed_precondition", "version 7 does not compile");
  const Json json = Json::parse(result->body);
  ASSERT_EQ(json["faults"].size(), 1u);
  EXPECT_EQ(json["faults"][0]["elementId"], "mini");
  EXPECT_EQ(json["faults"][0]["severity"], "SEVERITY_ERROR");
}

TEST_F(HttpApiTest, EveryStatusHasItsHttpStatus) {
  const auto status_of = [&](absl::StatusCode code) {
    routes_.status = absl::Status(code, "no");
    const auto result = client_->Post("/v1/gateways/default/routes/r:deploy", "{}", "application/json");
    return result ? result->status : 0;
  };
  EXPECT_EQ(status_of(absl::StatusCode::kInvalidArgument), 400);
  EXPECT_EQ(status_of(absl::StatusCode::kUnauthenticated), 401);
  EXPECT_EQ(status_of(absl::StatusCode::kPermissionDenied), 403);
  EXPECT_EQ(status_of(absl::StatusCode::kNotFound), 404);
  EXPECT_EQ(status_of(absl::StatusCode::kAlreadyExists), 409);
  EXPECT_EQ(status_of(absl::StatusCode::kAborted), 409);
  EXPECT_EQ(status_of(absl::StatusCode::kFailedPrecondition), 412);
  EXPECT_EQ(status_of(absl::StatusCode::kResourceExhausted), 429);
  EXPECT_EQ(status_of(absl::StatusCode::kInternal), 500);
  EXPECT_EQ(status_of(absl::StatusCode::kUnavailable), 503);
}

TEST_F(HttpApiTest, ACallerWithoutATokenOfTheRoleGetsNoAnswer) {
  client_->set_bearer_token_auth("wrong");
  ExpectError(client_->Get("/v1/gateways/default/requests"), 401, "unauthenticated", "unknown token");
  ExpectError(client_->Post("/v1/gateways/default/routes/r:deploy", "{", "application/json"), 401, "unauthenticated",
              "unknown token");
  client_->set_bearer_token_auth("proxy");
  ExpectError(client_->Get("/v1/gateways/default/requests"), 403, "permission_denied",
              "needs a viewer token or one that may do more; a proxy token");
  httplib::Client anonymous("http://" + http_->address());
  const auto result = anonymous.Get("/v1/gateways/default/requests");
  ExpectError(result, 401, "unauthenticated", "Authorization: Bearer");
  EXPECT_EQ(result->get_header_value("WWW-Authenticate"), "Bearer");
}

TEST_F(HttpApiTest, BadInputIsA400ThatNamesTheParameter) {
  const auto result = client_->Get("/v1/gateways/default/usage?colour=red");
  ExpectError(result, 400, "invalid_argument", "\"colour\" is not a parameter");
  EXPECT_EQ(Json::parse(result->body)["error"]["param"], "colour");
  ExpectError(client_->Get("/v1/gateways/default/usage?by=colour"), 400, "invalid_argument", "unknown dimension");
  ExpectError(client_->Post("/v1/gateways/default/routes/r:deploy", "{", "application/json"), 400, "invalid_argument",
              "not the JSON of signalbox.v1.DeployRequest");
  ExpectError(client_->Get("/v1/gateways/default/usage?by=%zz"), 400, "invalid_argument", "percent escape");
}

TEST_F(HttpApiTest, UnknownPathsVerbsAndMethodsAreSaid) {
  ExpectError(client_->Get("/v1/nothing"), 404, "not_found", "no such path");
  ExpectError(client_->Get("/nothing"), 404, "not_found", "no such path");
  const auto result = client_->Put("/v1/gateways", "{}", "application/json");
  ExpectError(result, 405, "method_not_allowed", "takes POST, GET, not PUT");
  EXPECT_EQ(result->get_header_value("Allow"), "POST, GET");
  ExpectError(client_->Get("/v1/gateways"), 501, "unimplemented", "");
}

TEST_F(HttpApiTest, ABodyOverTheLimitIsRefusedAndTheServerGoesOn) {
  const std::string body = "{\"comment\": \"" + std::string(3 << 20, 'x') + "\"}";
  // The server may close before everything is sent: an answer is not owed then, its survival is.
  const auto result = client_->Post("/v1/gateways/default/routes/r:deploy", body, "application/json");
  if (result) ExpectError(result, 413, "body_too_large", "2097152 bytes");
  httplib::Client next("http://" + http_->address());
  const auto health = next.Get("/healthz");
  ASSERT_TRUE(health);
  EXPECT_EQ(health->status, 200);
}

TEST_F(HttpApiTest, HealthReadinessAndMetricsNeedNoTokenOnLoopback) {
  httplib::Client anonymous("http://" + http_->address());
  EXPECT_EQ(anonymous.Get("/healthz")->status, 200);
  EXPECT_EQ(anonymous.Get("/readyz")->status, 200);
  EXPECT_EQ(anonymous.Get("/metrics")->body, "signalbox_up 1\n");
  ready_ = absl::UnavailableError("the ledger is gone");
  const auto result = anonymous.Get("/readyz");
  EXPECT_EQ(result->status, 503);
  EXPECT_THAT(result->body, HasSubstr("the ledger is gone"));
}

TEST_F(HttpApiTest, TheFirstPageListsTheApi) {
  httplib::Client anonymous("http://" + http_->address());
  const auto result = anonymous.Get("/");
  EXPECT_EQ(result->status, 200);
  EXPECT_THAT(result->body, HasSubstr("/v1/gateways/{gateway}/routes/{route}:deploy"));
}

TEST_F(HttpApiTest, ATakenPortIsAnErrorThatNamesIt) {
  HttpApiOptions options;
  options.address = http_->address();
  const absl::Status status = HttpApi::Start(options, api_, tokens_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot listen on " + http_->address()));
}

TEST_F(HttpApiTest, OffLoopbackItRefusesWithoutACertificate) {
  HttpApiOptions options;
  options.address = "0.0.0.0:0";
  const absl::Status status = HttpApi::Start(options, api_, tokens_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--tls_cert"));
}

TEST_F(HttpApiTest, ACertificateThatDoesNotLoadIsNamed) {
  HttpApiOptions options;
  options.address = "127.0.0.1:0";
  options.tls = {.cert = dir_.File("none.crt"), .key = dir_.File("none.key")};
  const absl::Status status = HttpApi::Start(options, api_, tokens_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("none.crt"));
}

}  // namespace
}  // namespace signalbox
