// Live runs through the port: a plain HTTP server stands in for the proxy.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "controlplane/http/http_api.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class EdAndVic : public TokenAuthority {
 public:
  absl::StatusOr<Caller> Authenticate(std::string_view token) const override {
    if (token == "editor") return Caller{"1", "ed", Role::kEditor};
    if (token == "viewer") return Caller{"2", "vic", Role::kViewer};
    return absl::UnauthenticatedError("unknown token");
  }
};

class LiveRunTest : public ::testing::Test {
 protected:
  LiveRunTest() {
    proxy_.Post("/v1/live/default/compat/chat/completions",
                [this](const httplib::Request& request, httplib::Response& response) {
                  seen_ = request;
                  response.set_header("cf-aig-log-id", "log-1");
                  response.set_header("signalbox-path", "start/mini/end");
                  response.set_header("Set-Cookie", "stolen=1");
                  if (!Json::parse(request.body).value("stream", false)) {
                    response.status = 429;
                    response.set_header("Retry-After", "7");
                    return response.set_content(R"({"error": {"code": "limit"}})", "application/json");
                  }
                  response.set_chunked_content_provider(
                      "text/event-stream; charset=utf-8", [this](size_t, httplib::DataSink& sink) {
                        const std::string event = "data: " + std::to_string(events_++) + "\n\n";
                        if (!sink.write(event.data(), event.size())) {
                          left_.set_value();
                          return false;
                        }
                        if (events_ == 3 && !endless_) {
                          go_on_.get_future().wait();
                          sink.done();
                        }
                        if (endless_) std::this_thread::yield();
                        return true;
                      });
                });
    proxy_port_ = proxy_.bind_to_any_port("127.0.0.1");
    proxy_thread_ = std::thread([this] { proxy_.listen_after_bind(); });
    target_.proxy_id = "p1";
    target_.address = "127.0.0.1:" + std::to_string(proxy_port_);
    target_.key = "sbx_live";
    HttpApiOptions options;
    options.address = "127.0.0.1:0";
    options.live = [this](const std::string& gateway, const std::string& proxy_id) -> absl::StatusOr<LiveTarget> {
      asked_ = gateway + "/" + proxy_id;
      if (!refusal_.ok()) return refusal_;
      return target_;
    };
    options.audit = [this](const v1::AuditEntry& entry) {
      audit_.push_back(entry);
      return absl::OkStatus();
    };
    http_ = *HttpApi::Start(options, grpc::CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials()), tokens_);
    client_ = std::make_unique<httplib::Client>("http://" + http_->address());
    client_->set_bearer_token_auth("editor");
  }
  ~LiveRunTest() override {
    http_->Stop();
    while (!proxy_.is_running()) std::this_thread::yield();
    proxy_.stop();
    proxy_thread_.join();
  }
  httplib::Result Run(const Json& body) {
    return client_->Post("/v1/gateways/default/live", body.dump(), "application/json");
  }

  EdAndVic tokens_;
  httplib::Server proxy_;
  std::thread proxy_thread_;
  int proxy_port_ = 0;
  httplib::Request seen_;
  std::atomic<int> events_{0};
  std::atomic<bool> endless_{false};
  std::promise<void> go_on_;
  std::promise<void> left_;
  LiveTarget target_;
  absl::Status refusal_;
  std::string asked_;
  std::vector<v1::AuditEntry> audit_;
  std::unique_ptr<HttpApi> http_;
  std::unique_ptr<httplib::Client> client_;
};

TEST_F(LiveRunTest, TheProxysAnswerIsHandedOnWithItsStatusAndItsOwnHeaders) {
  const auto result =
      Run({{"proxyId", "p1"}, {"body", {{"model", "dynamic/a"}, {"messages", {}}}}, {"metadata", {{"plan", "free"}}}});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 429);
  EXPECT_EQ(result->body, R"({"error": {"code": "limit"}})");
  EXPECT_EQ(result->get_header_value("Content-Type"), "application/json");
  EXPECT_EQ(result->get_header_value("cf-aig-log-id"), "log-1");
  EXPECT_EQ(result->get_header_value("signalbox-path"), "start/mini/end");
  EXPECT_EQ(result->get_header_value("signalbox-proxy"), "p1");
  EXPECT_EQ(result->get_header_value("Retry-After"), "7");
  EXPECT_FALSE(result->has_header("Set-Cookie"));
  EXPECT_EQ(result->get_header_value("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(asked_, "default/p1");
  EXPECT_EQ(seen_.get_header_value("Authorization"), "Bearer sbx_live");
  EXPECT_EQ(Json::parse(seen_.get_header_value("cf-aig-metadata")), Json({{"plan", "free"}}));
  EXPECT_EQ(Json::parse(seen_.body)["model"], "dynamic/a");
  ASSERT_EQ(audit_.size(), 1u);
  EXPECT_EQ(audit_[0].method(), "live_run");
  EXPECT_EQ(audit_[0].resource(), "model dynamic/a");
  EXPECT_EQ(audit_[0].summary(), "live run through proxy p1");
  EXPECT_THAT(audit_[0].DebugString(), ::testing::Not(HasSubstr("sbx_")));
}

TEST_F(LiveRunTest, AStreamArrivesAsItComesAlsoWhereCompressionIsOffered) {
  std::string received;
  bool released = false;
  httplib::Request call;
  call.method = "POST";
  call.path = "/v1/gateways/default/live";
  call.headers = {
      {"Authorization", "Bearer editor"}, {"Content-Type", "application/json"}, {"Accept-Encoding", "gzip, br"}};
  call.body = Json({{"body", {{"model", "dynamic/a"}, {"stream", true}}}}).dump();
  std::string type;
  call.response_handler = [&](const httplib::Response& response) {
    type = response.get_header_value("Content-Type");
    return true;
  };
  call.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
    received.append(data, size);
    // The proxy ends its answer only once all three events are here.
    if (!released && received == "data: 0\n\ndata: 1\n\ndata: 2\n\n") {
      released = true;
      go_on_.set_value();
    }
    return true;
  };
  httplib::Response response;
  httplib::Error error = httplib::Error::Success;
  EXPECT_TRUE(client_->send(call, response, error)) << httplib::to_string(error);
  EXPECT_TRUE(released);
  EXPECT_EQ(type, "text/event-stream");
  EXPECT_FALSE(response.has_header("Content-Encoding"));
}

TEST_F(LiveRunTest, WhoLeavesCancelsTheCall) {
  endless_ = true;
  httplib::Request call;
  call.method = "POST";
  call.path = "/v1/gateways/default/live";
  call.headers = {{"Authorization", "Bearer editor"}, {"Content-Type", "application/json"}};
  call.body = Json({{"body", {{"stream", true}}}}).dump();
  call.content_receiver = [](const char*, size_t, uint64_t, uint64_t) { return false; };
  httplib::Response response;
  httplib::Error error = httplib::Error::Success;
  EXPECT_FALSE(client_->send(call, response, error));
  EXPECT_EQ(left_.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
}

TEST_F(LiveRunTest, WithoutAProxyItIsSaid) {
  refusal_ = absl::UnavailableError("no proxy is connected that a live run could go through");
  const auto result = Run({{"body", Json::object()}});
  EXPECT_EQ(result->status, 503);
  EXPECT_EQ(Json::parse(result->body)["error"]["code"], "no_proxy");
  ASSERT_EQ(audit_.size(), 1u);
  EXPECT_THAT(audit_[0].error(), HasSubstr("no proxy is connected"));
  refusal_ = absl::OkStatus();
  target_.address = "127.0.0.1:1";
  const auto gone = Run({{"body", Json::object()}});
  EXPECT_EQ(gone->status, 503);
  EXPECT_THAT(gone->body, HasSubstr("the proxy at http://127.0.0.1:1"));
}

TEST_F(LiveRunTest, AViewerAndBadInputAreRefused) {
  for (const char* body :
       {"", "[]", "{}", R"({"body": 5})", R"({"body": {}, "metadata": "x"})", R"({"body": {}, "colour": "red"})"}) {
    EXPECT_EQ(client_->Post("/v1/gateways/default/live", body, "application/json")->status, 400) << body;
  }
  client_->set_bearer_token_auth("viewer");
  const auto result = Run({{"body", Json::object()}});
  EXPECT_EQ(result->status, 403);
  EXPECT_THAT(result->body, HasSubstr("needs an editor token or one that may do more; a viewer token was given"));
  EXPECT_EQ(asked_, "") << "nothing was sent";
}

}  // namespace
}  // namespace signalbox
