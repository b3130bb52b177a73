// The port as a browser meets it: the console's files, sessions, what they may do, the headers of every answer.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/limits.h"
#include "controlplane/http/http_api.h"
#include "signalbox/v1/gateway.grpc.pb.h"
#include "signalbox/v1/route.grpc.pb.h"
#include "tests/controlplane/ledger/temp_dir.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using Json = nlohmann::json;

class Tokens : public TokenAuthority {
 public:
  absl::StatusOr<Caller> Authenticate(std::string_view token) const override {
    if (token == revoked) return absl::UnauthenticatedError("unknown token");
    if (token == "sbt_ann") return Caller{"1", "ann", Role::kDeployer};
    if (token == "sbt_vic") return Caller{"2", "vic", Role::kViewer};
    if (token == "sbt_proxy") return Caller{"3", "proxy", Role::kProxy};
    return absl::UnauthenticatedError("unknown token");
  }
  std::string revoked;
};

class Gateways : public v1::Gateways::Service {
 public:
  grpc::Status ListGateways(grpc::ServerContext*, const v1::ListGatewaysRequest*,
                            v1::ListGatewaysResponse* response) override {
    response->add_gateways()->set_name("default");
    response->add_gateways()->set_name("second");
    return grpc::Status::OK;
  }
};

class Routes : public v1::Routes::Service {
 public:
  explicit Routes(const TokenAuthority& tokens) : tokens_(tokens) {}
  grpc::Status Deploy(grpc::ServerContext* context, const v1::DeployRequest*, v1::DeployResponse* response) override {
    const auto caller = Authorize(*context, tokens_, Role::kDeployer);
    if (!caller.ok()) return ToGrpcStatus(caller.status());
    response->mutable_deployment()->set_author(caller->name);
    return grpc::Status::OK;
  }
  grpc::Status ListRoutes(grpc::ServerContext* context, const v1::ListRoutesRequest*,
                          v1::ListRoutesResponse*) override {
    return ToGrpcStatus(Authorize(*context, tokens_, Role::kViewer).status());
  }

 private:
  const TokenAuthority& tokens_;
};

class ConsoleTest : public ::testing::Test {
 protected:
  ConsoleTest() {
    std::filesystem::create_directories(dir_.File("console/assets"));
    std::ofstream(dir_.File("console/index.html")) << "<!doctype html><title>console</title>";
    std::ofstream(dir_.File("console/assets/app-1.js")) << std::string(10'000, 'a');
    std::ofstream(dir_.File("secret.txt")) << "secret";
    grpc::ServerBuilder builder;
    builder.RegisterService(&gateways_);
    builder.RegisterService(&routes_);
    server_ = builder.BuildAndStart();
    options_.address = "127.0.0.1:0";
    options_.console_dir = dir_.File("console");
    options_.clock = &clock_;
    options_.metrics = [] { return "signalbox_up 1\n"; };
    options_.audit = [this](v1::AuditEntry entry) {
      if (!audit_status_.ok()) return audit_status_;
      audit_.push_back(entry.who() + " " + entry.method());
      return absl::OkStatus();
    };
    Start();
  }
  ~ConsoleTest() override {
    http_->Stop();
    server_->Shutdown();
  }
  void Start() {
    auto http = HttpApi::Start(options_, server_->InProcessChannel({}), tokens_);
    ASSERT_TRUE(http.ok()) << http.status();
    http_ = *std::move(http);
    client_ = std::make_unique<httplib::Client>("http://" + http_->address());
  }

  httplib::Result SignIn(const std::string& token, const httplib::Headers& headers = {}) {
    return client_->Post("/session", headers, Json({{"token", token}}).dump(), "application/json");
  }
  // The headers of a signed-in browser, with the CSRF token.
  httplib::Headers Browser(const std::string& token) {
    const auto result = SignIn(token);
    EXPECT_EQ(result->status, 200) << result->body;
    const std::string cookie = result->get_header_value("Set-Cookie");
    return {{"Cookie", cookie.substr(0, cookie.find(';'))},
            {"x-csrf-token", Json::parse(result->body)["csrf"].get<std::string>()}};
  }
  static httplib::Headers Without(httplib::Headers headers, const std::string& name) {
    headers.erase(name);
    return headers;
  }
  httplib::Result Deploy(const httplib::Headers& headers) {
    return client_->Post("/v1/gateways/default/routes/r:deploy", headers, "{}", "application/json");
  }
  static std::string CodeOf(const httplib::Result& result) {
    return Json::parse(result->body, nullptr, false)["error"]["code"].get<std::string>();
  }

  TempDir dir_;
  ManualClock clock_;
  Tokens tokens_;
  Gateways gateways_;
  Routes routes_{tokens_};
  absl::Status audit_status_;
  std::vector<std::string> audit_;
  std::unique_ptr<grpc::Server> server_;
  HttpApiOptions options_;
  std::unique_ptr<HttpApi> http_;
  std::unique_ptr<httplib::Client> client_;
};

TEST_F(ConsoleTest, SigningInGivesACookieThatScriptsCannotRead) {
  const auto result = SignIn("sbt_ann");
  ASSERT_TRUE(result);
  ASSERT_EQ(result->status, 200) << result->body;
  EXPECT_THAT(result->get_header_value("Set-Cookie"),
              MatchesRegex("signalbox_session=sbs_[0-9a-f]{64}; HttpOnly; SameSite=Strict; Path=/"));
  const Json session = Json::parse(result->body);
  EXPECT_EQ(session["name"], "ann");
  EXPECT_EQ(session["role"], "deployer");
  EXPECT_EQ(session["gateways"], Json({"default", "second"}));
  EXPECT_THAT(session["csrf"].get<std::string>(), MatchesRegex("sbc_[0-9a-f]{64}"));
  EXPECT_THAT(result->body, Not(HasSubstr("sbt_")));
  EXPECT_EQ(result->get_header_value("Cache-Control"), "no-store");
  EXPECT_THAT(audit_, ElementsAre("ann session.start"));
}

TEST_F(ConsoleTest, BadTokensSignNobodyIn) {
  for (const char* token : {"sbt_proxy", "sbt_unknown", ""}) {
    const auto result = SignIn(token);
    EXPECT_EQ(result->status, 401) << token;
    EXPECT_FALSE(result->has_header("Set-Cookie"));
  }
  for (const char* body : {"", "[]", "{}", R"({"token": 5})", "\xff"}) {
    EXPECT_EQ(client_->Post("/session", body, "application/json")->status, 400) << body;
  }
  EXPECT_TRUE(audit_.empty());
}

TEST_F(ConsoleTest, ASessionReadsAndChangesInItsTokensName) {
  const httplib::Headers browser = Browser("sbt_ann");
  EXPECT_EQ(client_->Get("/v1/gateways/default/routes", Without(browser, "x-csrf-token"))->status, 200);
  const auto deployed = Deploy(browser);
  EXPECT_EQ(deployed->status, 200) << deployed->body;
  EXPECT_EQ(Json::parse(deployed->body)["deployment"]["author"], "ann");
  const auto session = client_->Get("/session", Without(browser, "x-csrf-token"));
  EXPECT_EQ(session->status, 200);
  EXPECT_EQ(Json::parse(session->body)["csrf"], browser.find("x-csrf-token")->second);
}

TEST_F(ConsoleTest, AViewerIsRefusedADeployment) {
  const auto result = Deploy(Browser("sbt_vic"));
  EXPECT_EQ(result->status, 403);
  EXPECT_EQ(CodeOf(result), "permission_denied");
  EXPECT_THAT(result->body, HasSubstr("needs a deployer token or one that may do more; a viewer token was given"));
}

TEST_F(ConsoleTest, WithoutItsCsrfTokenASessionChangesNothing) {
  const httplib::Headers browser = Browser("sbt_ann");
  httplib::Headers wrong = Without(browser, "x-csrf-token");
  EXPECT_EQ(Deploy(wrong)->status, 403);
  EXPECT_EQ(CodeOf(Deploy(wrong)), "csrf");
  wrong.emplace("x-csrf-token", Browser("sbt_ann").find("x-csrf-token")->second);
  EXPECT_EQ(CodeOf(Deploy(wrong)), "csrf") << "that of another session";
  EXPECT_EQ(client_->Delete("/session", Without(browser, "x-csrf-token"))->status, 403);
  EXPECT_EQ(client_->Get("/session", browser)->status, 200) << "it goes on";
}

TEST_F(ConsoleTest, APageOfAnotherSiteUsesNoSession) {
  const httplib::Headers browser = Browser("sbt_ann");
  for (const auto& [name, value] : httplib::Headers{{"Sec-Fetch-Site", "cross-site"},
                                                    {"Sec-Fetch-Site", "same-site"},
                                                    {"Origin", "http://evil.example"},
                                                    {"Origin", "null"}}) {
    httplib::Headers foreign = browser;
    foreign.emplace(name, value);
    EXPECT_EQ(CodeOf(Deploy(foreign)), "csrf") << value;
    EXPECT_EQ(client_->Get("/v1/gateways/default/routes", foreign)->status, 403) << value;
    EXPECT_EQ(client_->Get("/session", foreign)->status, 403) << value;
    EXPECT_EQ(SignIn("sbt_ann", {{name, value}})->status, 403) << value;
  }
  httplib::Headers own = browser;
  own.emplace("Origin", "http://" + http_->address());
  EXPECT_EQ(Deploy(own)->status, 200);
}

TEST_F(ConsoleTest, ATokenInTheHeaderNeedsNoCsrfTokenAndWinsOverACookie) {
  httplib::Headers both = Browser("sbt_vic");
  both.erase("x-csrf-token");
  both.emplace("Authorization", "Bearer sbt_ann");
  EXPECT_EQ(Deploy(both)->status, 200);
}

TEST_F(ConsoleTest, SigningOutEndsTheSessionAtTheServer) {
  const httplib::Headers browser = Browser("sbt_ann");
  const auto result = client_->Delete("/session", browser);
  EXPECT_EQ(result->status, 204);
  EXPECT_EQ(result->get_header_value("Set-Cookie"), "signalbox_session=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
  EXPECT_EQ(client_->Get("/session", browser)->status, 401);
  EXPECT_EQ(Deploy(browser)->status, 401);
  EXPECT_EQ(client_->Delete("/session", browser)->status, 204) << "once more changes nothing";
  EXPECT_THAT(audit_, ElementsAre("ann session.start", "ann session.end"));
}

TEST_F(ConsoleTest, ARevokedTokenARestartAndTimeEndASession) {
  const httplib::Headers browser = Browser("sbt_ann");
  tokens_.revoked = "sbt_ann";
  EXPECT_EQ(client_->Get("/v1/gateways/default/routes", browser)->status, 401);
  tokens_.revoked = "";
  const httplib::Headers second = Browser("sbt_ann");
  http_->Stop();
  Start();
  EXPECT_EQ(client_->Get("/session", second)->status, 401);
  const httplib::Headers third = Browser("sbt_ann");
  clock_.Advance(kSessionIdleUs);
  EXPECT_EQ(client_->Get("/session", third)->status, 401);
}

TEST_F(ConsoleTest, WhatCannotBeWrittenDownIsRefused) {
  audit_status_ = absl::UnavailableError("the audit log cannot be written");
  const auto result = SignIn("sbt_ann");
  EXPECT_EQ(result->status, 503);
  EXPECT_FALSE(result->has_header("Set-Cookie"));
}

TEST_F(ConsoleTest, EveryAnswerCarriesTheSecurityHeaders) {
  const httplib::Headers browser = Browser("sbt_ann");
  const auto expect_headers = [](const httplib::Result& result, const std::string& what) {
    ASSERT_TRUE(result) << what;
    const std::string policy = result->get_header_value("Content-Security-Policy");
    EXPECT_THAT(policy, HasSubstr("default-src 'none'; script-src 'self'; style-src 'self';")) << what;
    EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'")) << what;
    EXPECT_THAT(policy, Not(HasSubstr("unsafe"))) << what;
    EXPECT_EQ(result->get_header_value("X-Content-Type-Options"), "nosniff") << what;
    EXPECT_EQ(result->get_header_value("Referrer-Policy"), "no-referrer") << what;
    EXPECT_EQ(result->get_header_value("Cross-Origin-Opener-Policy"), "same-origin") << what;
    EXPECT_EQ(result->get_header_value("Cross-Origin-Resource-Policy"), "same-origin") << what;
    EXPECT_FALSE(result->has_header("Access-Control-Allow-Origin")) << what;
  };
  for (const char* path : {"/", "/assets/app-1.js", "/assets/none.js", "/routes/my-saas", "/v1", "/v1/none", "/healthz",
                           "/readyz", "/metrics", "/session"}) {
    expect_headers(client_->Get(path), path);
    expect_headers(client_->Get(path, browser), path);
  }
  expect_headers(SignIn("sbt_ann"), "sign-in");
  expect_headers(Deploy(browser), "a call");
  expect_headers(Deploy(Without(browser, "x-csrf-token")), "a refusal");
  expect_headers(client_->Put("/", "", "text/plain"), "a verb that is not there");
  expect_headers(client_->Delete("/session", browser), "sign-out");
}

TEST_F(ConsoleTest, FilesAreServedWithTypeAndEtag) {
  const auto index = client_->Get("/");
  EXPECT_EQ(index->status, 200);
  EXPECT_EQ(index->body, "<!doctype html><title>console</title>");
  EXPECT_EQ(index->get_header_value("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(index->get_header_value("Cache-Control"), "no-cache");
  const auto script = client_->Get("/assets/app-1.js", {{"Accept-Encoding", "identity"}});
  EXPECT_EQ(script->body, std::string(10'000, 'a'));
  EXPECT_EQ(script->get_header_value("Content-Type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(script->get_header_value("Cache-Control"), "public, max-age=31536000, immutable");
  const std::string etag = script->get_header_value("ETag");
  const auto again = client_->Get("/assets/app-1.js", {{"Accept-Encoding", "identity"}, {"If-None-Match", etag}});
  EXPECT_EQ(again->status, 304);
  EXPECT_EQ(again->body, "");
  EXPECT_EQ(again->get_header_value("ETag"), etag);
}

TEST_F(ConsoleTest, FilesAreSentCompressedToWhoTakesThem) {
  client_->set_decompress(false);
  const auto script = client_->Get("/assets/app-1.js", {{"Accept-Encoding", "gzip, br"}});
  EXPECT_EQ(script->get_header_value("Content-Encoding"), "gzip");
  EXPECT_EQ(script->get_header_value("Vary"), "Accept-Encoding");
  EXPECT_LT(script->body.size(), 200u);
  EXPECT_EQ(script->body.substr(0, 2), "\x1f\x8b");
  EXPECT_THAT(script->get_header_value("ETag"), HasSubstr("-gzip"));
  client_->set_decompress(true);
  EXPECT_EQ(client_->Get("/assets/app-1.js", {{"Accept-Encoding", "gzip"}})->body, std::string(10'000, 'a'));
}

TEST_F(ConsoleTest, APlaceInTheConsoleIsTheConsoleAndNothingElseIs) {
  for (const char* path : {"/routes/my-saas", "/usage", "/index.html"}) {
    EXPECT_THAT(client_->Get(path)->body, HasSubstr("<title>console</title>")) << path;
  }
  for (const char* path : {"/assets/none.js", "/v1/none", "/session/x", "/healthz/x"}) {
    EXPECT_NE(client_->Get(path)->status, 200) << path;
  }
  EXPECT_EQ(client_->Get("/healthz")->body, "ok\n");
  EXPECT_THAT(client_->Get("/v1")->body, HasSubstr("/v1/gateways/{gateway}/routes/{route}:deploy"));
}

TEST_F(ConsoleTest, NoPathLeadsOutOfTheDirectory) {
  for (const char* path : {"/../secret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt",
                           "/assets/%2e%2e%2f%2e%2e%2fsecret.txt", "//secret.txt", "/.%00/secret.txt"}) {
    const auto result = client_->Get(path);
    if (result) {
      EXPECT_THAT(result->body, Not(HasSubstr("secret"))) << path;
    }
  }
}

TEST_F(ConsoleTest, ADirectoryThatIsNoConsoleIsNamedAtTheStart) {
  HttpApiOptions options;
  options.address = "127.0.0.1:0";
  options.console_dir = dir_.File("console/assets");
  const absl::Status status = HttpApi::Start(options, server_->InProcessChannel({}), tokens_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("has no index.html: build the console first"));
}

}  // namespace
}  // namespace signalbox
