// The whole request path of one worker over real sockets: a real front, a real upstream client, a scripted provider.
// Only the two lines out of the process are fakes: the quota service (answers on demand) and the spend reporter.
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/mutex.h"
#include "common/route/walker.h"
#include "common/sha256.h"
#include "dataplane/http/http_server.h"
#include "dataplane/request/handle_request.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kKey[] = "sbx_test";

// start -> free? -> requests -> dollars -> a -> (fallback) b -> end; the limits' fallback is the end.
constexpr char kRoute[] = R"pb(
  gateway: "default"
  route_id: "r1"
  name: "my-saas"
  version: 7
  elements {
    id: "start"
    start { next: 1 }
  }
  elements {
    id: "requests"
    limit {
      pool: "r1/requests"
      unit: REQUESTS
      limit: 10
      window_seconds: 86400
      technique: FIXED
      admission: STRICT
      on_error: ALLOW
      key { root: METADATA path: "email" }
      on_success: 2
      on_fallback: 5
      reachable_models: 3
      reachable_models: 4
    }
  }
  elements {
    id: "dollars"
    limit {
      pool: "r1/dollars"
      unit: NANO_DOLLARS
      limit: 10000000000
      window_seconds: 86400
      technique: FIXED
      admission: STRICT
      on_error: DENY
      key { root: METADATA path: "email" }
      on_success: 3
      on_fallback: 5
      reachable_models: 3
      reachable_models: 4
    }
  }
  elements {
    id: "a"
    model {
      provider: "openai"
      model: "model-a"
      retries: 1
      on_success: 5
      on_fallback: 4
      price {
        provider: "openai"
        model: "model-a"
        input_nanos_per_mtok: 1000000000
        output_nanos_per_mtok: 2000000000
        max_output_tokens: 1000
        cap_field: "max_completion_tokens"
      }
    }
  }
  elements {
    id: "b"
    model {
      provider: "openai"
      model: "model-b"
      on_success: 5
      on_fallback: 5
      price {
        provider: "openai"
        model: "model-b"
        input_nanos_per_mtok: 500000000
        output_nanos_per_mtok: 1000000000
        max_output_tokens: 1000
        cap_field: "max_completion_tokens"
      }
    }
  }
  elements {
    id: "end"
    end {}
  }
)pb";

class FakeQuota : public QuotaClient {
 public:
  explicit FakeQuota(asio::io_context& io) : io_(io) {}

  std::function<absl::StatusOr<v1::QuotaAnswer>(const v1::Acquire&)> on_acquire = [](const v1::Acquire& acquire) {
    return Granted(acquire);
  };
  bool extend_fits = true;
  bool extend_answers = true;

  static v1::QuotaAnswer Granted(const v1::Acquire& acquire) {
    v1::QuotaAnswer answer;
    answer.set_result(v1::QuotaAnswer::GRANTED);
    answer.set_output_cap(acquire.output_cap());
    for (const v1::LimitCheck& check : acquire.checks()) {
      v1::LimitState& state = *answer.add_limits();
      state.set_limit(check.limit());
      state.set_remaining(check.limit() / 2);
      state.set_reset_us(Clock::System().UnixMicros() + 60'000'000);
    }
    return answer;
  }

  void Acquire(const v1::Acquire& acquire, Done done) override {
    absl::StatusOr<v1::QuotaAnswer> answer = on_acquire(acquire);
    MutexLock lock(mutex_);
    acquires.push_back(acquire);
    Answer(std::move(done), std::move(answer));
  }
  void Extend(const v1::Extend& extend, Done done) override {
    MutexLock lock(mutex_);
    extends.push_back(extend);
    if (!extend_answers) return Answer(std::move(done), absl::UnavailableError("gone"));
    v1::QuotaAnswer answer;
    answer.set_result(extend_fits ? v1::QuotaAnswer::GRANTED : v1::QuotaAnswer::DENIED);
    Answer(std::move(done), std::move(answer));
  }
  void Settle(const v1::Settle& settle) override {
    MutexLock lock(mutex_);
    settles.push_back(settle);
  }
  void ForceCharge(v1::ForceCharge charge) override {
    MutexLock lock(mutex_);
    charges.push_back(std::move(charge));
  }

  Mutex mutex_;
  std::vector<v1::Acquire> acquires;
  std::vector<v1::Extend> extends;
  std::vector<v1::Settle> settles;
  std::vector<v1::ForceCharge> charges;

 private:
  void Answer(Done done, absl::StatusOr<v1::QuotaAnswer> answer) {
    asio::post(io_, [done = std::move(done), answer = std::move(answer)]() mutable { done(std::move(answer)); });
  }

  asio::io_context& io_;
};

class FakeReporter : public SpendReporter {
 public:
  std::vector<Spool::Refused> Record(const SpendFrames& records) override {
    MutexLock lock(mutex_);
    for (size_t i = 0; i < records.size(); ++i) {
      const std::optional<std::string_view> payload = Unframe(records.frame(i));
      EXPECT_TRUE(payload.has_value() && records_.emplace_back().ParseFromArray(payload->data(), payload->size()));
    }
    changed_.NotifyAll();
    return {};
  }
  bool CanAccept() const override { return can_accept; }
  bool Flush(int) override { return true; }

  // Waits for the n-th record (from 1).
  v1::SpendRecord Wait(size_t n = 1) {
    MutexLock lock(mutex_);
    while (records_.size() < n) changed_.Wait(mutex_);
    return records_[n - 1];
  }
  std::atomic<bool> can_accept{true};

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<v1::SpendRecord> records_;
};

std::string Completion(int64_t prompt_tokens, int64_t completion_tokens) {
  return nlohmann::json{{"object", "chat.completion"},
                        {"choices", {{{"message", {{"content", "hi"}}}}}},
                        {"usage", {{"prompt_tokens", prompt_tokens}, {"completion_tokens", completion_tokens}}}}
      .dump();
}

using ProviderStep = std::function<asio::awaitable<void>(HttpExchange&)>;

ProviderStep Answers(int status, std::string body) {
  return [status, body](HttpExchange& exchange) -> asio::awaitable<void> {
    HttpReply reply;
    reply.status = status;
    reply.body = body;
    co_await exchange.Reply(std::move(reply));
  };
}

ProviderStep Refuses(int status, std::string header, std::string value) {
  return [status, header, value](HttpExchange& exchange) -> asio::awaitable<void> {
    HttpReply reply;
    reply.status = status;
    reply.headers.Add(header, value);
    reply.body = "{}";
    co_await exchange.Reply(std::move(reply));
  };
}

ProviderStep Streams(std::vector<std::string> events, bool cut) {
  return [events, cut](HttpExchange& exchange) -> asio::awaitable<void> {
    HeaderFields none;
    if (!co_await exchange.BeginStream(200, "text/event-stream", std::move(none), {})) co_return;
    for (const std::string& event : events) {
      if (!co_await exchange.WriteChunk(event)) co_return;
    }
    if (cut) {
      exchange.AbortStream();
    } else {
      co_await exchange.EndStream({});
    }
  };
}

std::string Delta(const std::string& text) {
  return absl::StrCat("data: {\"choices\":[{\"delta\":{\"content\":\"", text, "\"}}],\"usage\":null}\n\n");
}
constexpr char kUsageEvent[] = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":10}}\n\n";
constexpr char kDone[] = "data: [DONE]\n\n";

class RequestFlowTest : public ::testing::Test {
 protected:
  RequestFlowTest() : upstream_tls_(asio::ssl::context::tls_client) {
    worker_.reset(new Worker{.io = io_,
                             .clock = Clock::System(),
                             .quota = quota_,
                             .reporter = reporter_,
                             .metrics = metrics_,
                             .health = health_,
                             .proxy_id = "proxy-1",
                             .boot_id = "boot-1",
                             .upstreams = NewUpstreamPool(io_, upstream_tls_)});
    HttpServerOptions options;
    options.address = "127.0.0.1:0";
    provider_ = *NewHttpServer(io_, options, [this](HttpExchange& exchange) -> asio::awaitable<void> {
      provider_bodies_.push_back(exchange.request().body);
      if (provider_steps_.empty()) {
        co_await Answers(500, "{}")(exchange);
        co_return;
      }
      ProviderStep step = provider_steps_.front();
      provider_steps_.pop_front();
      co_await step(exchange);
    });
    front_ = *NewHttpServer(io_, options, [this](HttpExchange& exchange) -> asio::awaitable<void> {
      front_request_ = &exchange.request();
      co_await HandleRequest(*worker_, exchange);
    });
    worker_->snapshot = Snapshot([](v1::CompiledRoute&) {});
    provider_->Start();
    front_->Start();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~RequestFlowTest() override {
    work_.reset();
    asio::post(io_, [this] {
      front_.reset();
      provider_.reset();
      worker_->upstreams.reset();
      io_.stop();
    });
    thread_.join();
  }

  using Change = std::function<void(v1::CompiledRoute&)>;
  std::shared_ptr<const ActiveSnapshot> Snapshot(const Change& change) {
    auto snapshot = std::make_shared<ActiveSnapshot>();
    auto route = std::make_shared<v1::CompiledRoute>();
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(kRoute, route.get()));
    change(*route);
    EXPECT_EQ(CheckCompiledRoute(*route), absl::OkStatus());
    auto provider = std::make_shared<v1::SnapshotProvider>();
    provider->set_name("openai");
    provider->set_base_url(absl::StrCat("http://", provider_->address(), "/v1"));
    provider->set_secret("sk-provider");
    (*provider->mutable_headers())["Openai-Organization"] = "ours";
    change_provider_(*provider);
    health_.Configure({provider});
    auto key = std::make_shared<v1::SnapshotKey>();
    key->set_gateway("default");
    key->set_id("key-1");
    snapshot->keys.Insert(Sha256Hex(kKey), key);
    snapshot->gateways["default"].routes.Insert("my-saas", route);
    snapshot->gateways["default"].providers["openai"] = provider;
    return snapshot;
  }

  // From here on the route is another one.
  void Deploy(const Change& change) {
    std::promise<void> done;
    asio::post(io_, [&] {
      worker_->snapshot = Snapshot(change);
      done.set_value();
    });
    done.get_future().wait();
  }
  static v1::CompiledElement::Limit& Requests(v1::CompiledRoute& route) {
    return *route.mutable_elements(1)->mutable_limit();
  }
  static v1::CompiledElement::Limit& Dollars(v1::CompiledRoute& route) {
    return *route.mutable_elements(2)->mutable_limit();
  }
  static void CountTokens(v1::CompiledRoute& route) {
    Dollars(route).set_unit(v1::TOKENS);
    Dollars(route).set_limit(10'000);
  }
  // For a content_receiver of the test's own.
  static httplib::Request StreamedChat() {
    httplib::Request request;
    request.method = "POST";
    request.path = "/v1/chat/completions";
    request.headers = Headers();
    request.set_header("content-type", "application/json");
    request.body = Body(true);
    return request;
  }
  // The n-th signalbox-limit of an answer.
  static std::string LimitHeader(const httplib::Result& result, size_t n) {
    return result->get_header_value("signalbox-limit", n);
  }

  // Two keys of one provider at the same address.
  void DeployTwoEndpoints(const Change& change = [](v1::CompiledRoute&) {}) {
    change_provider_ = [](v1::SnapshotProvider& provider) {
      for (const char* name : {"first", "second"}) {
        v1::SnapshotProvider::Endpoint& endpoint = *provider.add_endpoints();
        endpoint.set_name(name);
        endpoint.set_base_url(provider.base_url());
        endpoint.set_weight(1);
        endpoint.set_secret(absl::StrCat("sk-", name));
      }
    };
    Deploy(change);
  }
  static v1::CompiledElement::Model& FirstModel(v1::CompiledRoute& route) {
    return *route.mutable_elements(3)->mutable_model();
  }
  static void OnlyTheFirstModel(v1::CompiledRoute& route) {
    FirstModel(route).clear_on_fallback();
    for (const int limit : {1, 2})
      route.mutable_elements(limit)->mutable_limit()->mutable_reachable_models()->Truncate(1);
  }
  httplib::Result PostWith(const httplib::Headers& more, bool stream = false) {
    httplib::Headers headers = Headers();
    headers.insert(more.begin(), more.end());
    return Client().Post("/v1/chat/completions", headers, Body(stream), "application/json");
  }

  void Provider(std::vector<ProviderStep> steps) {
    std::promise<void> done;
    asio::post(io_, [&] {
      provider_steps_.assign(steps.begin(), steps.end());
      done.set_value();
    });
    done.get_future().wait();
  }

  httplib::Client Client() {
    httplib::Client client(absl::StrCat("http://", front_->address()));
    client.set_read_timeout(30);
    return client;
  }
  static httplib::Headers Headers() {
    return {{"authorization", absl::StrCat("Bearer ", kKey)}, {"cf-aig-metadata", R"({"email":"ann@example.com"})"}};
  }
  static std::string Body(bool stream) {
    return absl::StrCat(R"({"model":"dynamic/my-saas","messages":[{"role":"user","content":"hello"}],"stream":)",
                        stream ? "true" : "false", "}");
  }
  httplib::Result Post(bool stream = false) {
    return Client().Post("/v1/chat/completions", Headers(), Body(stream), "application/json");
  }

  // The n-th record, when the request behind it has let go of everything.
  v1::SpendRecord Wait(size_t n = 1) {
    v1::SpendRecord record = reporter_.Wait(n);
    Provider({});
    return record;
  }

  static std::string CodeOf(const httplib::Result& result) {
    return nlohmann::json::parse(result->body)["error"]["code"];
  }

  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io_);
  asio::ssl::context upstream_tls_;
  FakeQuota quota_{io_};
  FakeReporter reporter_;
  ProxyMetrics metrics_;
  ProviderHealth health_;
  std::function<void(v1::SnapshotProvider&)> change_provider_ = [](v1::SnapshotProvider&) {};
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<HttpServer> provider_;
  std::unique_ptr<HttpServer> front_;
  std::deque<ProviderStep> provider_steps_;     // on the io thread
  std::vector<std::string> provider_bodies_;    // on the io thread
  const HttpRequest* front_request_ = nullptr;  // of the last request to the front
  std::function<void()> seen_;                  // the client has the first event
  std::thread thread_;
};

TEST_F(RequestFlowTest, UnaryAnswerIsRelayedBilledAndSettled) {
  Provider({Answers(200, Completion(100, 10))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->body, Completion(100, 10));
  EXPECT_EQ(result->get_header_value("cf-aig-model"), "model-a");
  EXPECT_EQ(result->get_header_value("cf-aig-provider"), "openai");
  EXPECT_EQ(result->get_header_value("cf-aig-step"), "0");
  EXPECT_EQ(result->get_header_value("signalbox-route"), "my-saas@7");
  EXPECT_EQ(result->get_header_value("signalbox-path"), "start/requests/dollars/a/end");
  EXPECT_EQ(result->get_header_value("signalbox-cost-usd"), "0.000120000");
  EXPECT_EQ(result->get_header_value_count("signalbox-limit"), 2u);

  const v1::SpendRecord record = Wait();
  EXPECT_EQ(record.request_id(), result->get_header_value("cf-aig-log-id"));
  EXPECT_EQ(record.outcome(), v1::SUCCESS);
  EXPECT_EQ(record.cost_nanos(), 120'000);  // 100 x $1/M + 10 x $2/M
  EXPECT_EQ(record.identifier(), "ann@example.com");
  EXPECT_FALSE(record.estimated());
  EXPECT_EQ(record.path(), "start/requests/dollars/a/end");
  ASSERT_THAT(quota_.acquires, SizeIs(1));
  EXPECT_EQ(quota_.acquires[0].checks_size(), 2);
  EXPECT_EQ(quota_.acquires[0].bounds_size(), 2);
  EXPECT_EQ(quota_.acquires[0].output_cap(), 1000);
  ASSERT_THAT(quota_.settles, SizeIs(1));
  EXPECT_EQ(quota_.settles[0].cost_nanos(), 120'000);
}

// Records are filled again by later requests.
TEST_F(RequestFlowTest, ARecordHoldsNothingOfTheRequestBefore) {
  Provider({Answers(200, Completion(100, 10))});
  ASSERT_TRUE(PostWith({{"cf-aig-collect-log-payload", "true"}, {"cf-aig-event-id", "e1"}}));
  const v1::SpendRecord first = Wait();
  EXPECT_EQ(first.response_body(), Completion(100, 10));
  EXPECT_EQ(first.event_id(), "e1");
  const httplib::Headers key = {{"authorization", absl::StrCat("Bearer ", kKey)}};
  ASSERT_TRUE(Client().Post("/v1/chat/completions", key, R"({"model":"dynamic/none"})", "application/json"));
  v1::SpendRecord second = Wait(2);
  EXPECT_NE(second.request_id(), first.request_id());
  EXPECT_GT(second.start_time_us(), 0);
  v1::SpendRecord expected;  // what such a request has of its own
  expected.set_gateway("default");
  expected.set_key_id(first.key_id());
  expected.set_outcome(v1::REFUSED);
  expected.set_status(second.status());
  expected.set_error_code(second.error_code());
  expected.set_proxy_id(first.proxy_id());
  expected.set_boot_id(first.boot_id());
  expected.set_snapshot_sequence(first.snapshot_sequence());
  expected.set_endpoint("chat");
  expected.mutable_usage();
  for (const char* own : {"request_id", "start_time_us", "duration_us"}) {
    second.GetReflection()->ClearField(&second, second.GetDescriptor()->FindFieldByName(own));
  }
  EXPECT_EQ(second.ShortDebugString(), expected.ShortDebugString());
}

TEST_F(RequestFlowTest, LoweredCapReachesTheProviderAndTheClient) {
  quota_.on_acquire = [](const v1::Acquire& acquire) {
    v1::QuotaAnswer answer = FakeQuota::Granted(acquire);
    answer.set_output_cap(300);
    return answer;
  };
  Provider({Answers(200, Completion(1, 1))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->get_header_value("signalbox-max-tokens"), "300");
  Wait();
  EXPECT_EQ(nlohmann::json::parse(provider_bodies_.at(0))["max_completion_tokens"], 300);
  EXPECT_EQ(nlohmann::json::parse(provider_bodies_.at(0))["model"], "model-a");
}

TEST_F(RequestFlowTest, DeniedLimitIs429WithRetryAfterAndCostsNothing) {
  quota_.on_acquire = [](const v1::Acquire& acquire) {
    v1::QuotaAnswer answer = FakeQuota::Granted(acquire);
    answer.set_result(v1::QuotaAnswer::DENIED);
    answer.set_denied_index(0);
    answer.mutable_limits()->DeleteSubrange(1, 1);
    answer.mutable_limits(0)->set_remaining(0);
    return answer;
  };
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 429);
  EXPECT_EQ(CodeOf(result), "limit_exceeded");
  EXPECT_EQ(result->get_header_value("retry-after"), "60");
  EXPECT_THAT(result->get_header_value("signalbox-limit"), HasSubstr("remaining=0"));
  const v1::SpendRecord record = Wait();
  EXPECT_EQ(record.outcome(), v1::REFUSED);
  EXPECT_EQ(record.cost_nanos(), 0);
  EXPECT_EQ(record.attempts_size(), 0);
  EXPECT_EQ(record.path(), "start/requests/end");
  ASSERT_EQ(record.limits_size(), 1);
  EXPECT_TRUE(record.limits(0).denied());
  ASSERT_THAT(quota_.settles, SizeIs(1));
}

TEST_F(RequestFlowTest, UnavailableQuotaIs503WhereAnyLimitSaysDeny) {
  quota_.on_acquire = [](const v1::Acquire&) { return absl::UnavailableError("gone"); };
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 503);
  EXPECT_EQ(CodeOf(result), "quota_unavailable");
  EXPECT_EQ(result->get_header_value("retry-after"), "1");
  EXPECT_EQ(Wait().outcome(), v1::ERROR);
  EXPECT_THAT(quota_.charges, SizeIs(0));
}

TEST_F(RequestFlowTest, LimitsTheServiceRefusesAsMalformedAreAnErrorWhateverOnErrorSays) {
  quota_.on_acquire = [](const v1::Acquire&) { return absl::InvalidArgumentError("check 0: no gateway"); };
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 500);
  EXPECT_EQ(CodeOf(result), "internal_error");
  EXPECT_THAT(result->body, HasSubstr("check 0: no gateway"));
  EXPECT_EQ(Wait().outcome(), v1::ERROR);
  EXPECT_THAT(quota_.charges, SizeIs(0));
  EXPECT_THAT(quota_.settles, SizeIs(1));
}

TEST_F(RequestFlowTest, HeadersOfTheProviderReplaceTheClients) {
  std::promise<std::string> organizations;
  Provider({[&organizations](HttpExchange& exchange) -> asio::awaitable<void> {
    std::string seen;
    for (const auto [name, value] : exchange.request().headers) {
      if (name == "openai-organization") absl::StrAppend(&seen, std::string(value), ";");
    }
    organizations.set_value(seen);
    co_await Answers(200, Completion(1, 1))(exchange);
  }});
  httplib::Headers headers = Headers();
  headers.emplace("OpenAI-Organization", "the-clients");
  ASSERT_TRUE(Client().Post("/v1/chat/completions", headers, Body(false), "application/json"));
  EXPECT_EQ(organizations.get_future().get(), "ours;");
  Wait();
}

TEST_F(RequestFlowTest, TransientFailureIsRetriedAndFree) {
  Provider({Answers(503, "{}"), Answers(200, Completion(100, 10))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->get_header_value("cf-aig-step"), "0");
  const v1::SpendRecord record = Wait();
  ASSERT_EQ(record.attempts_size(), 2);
  EXPECT_EQ(record.attempts(0).status(), 503);
  EXPECT_EQ(record.attempts(0).cost_nanos(), 0);
  EXPECT_EQ(record.cost_nanos(), 120'000);
  EXPECT_THAT(quota_.extends, SizeIs(0));
}

TEST_F(RequestFlowTest, AnErrorInsideA200IsAFailureAndFree) {
  Provider({Answers(200, R"({"error":{"message":"the model behind is away","code":502}})"),
            Answers(200, Completion(100, 10))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  const v1::SpendRecord record = Wait();
  ASSERT_EQ(record.attempts_size(), 2);
  EXPECT_EQ(record.attempts(0).error(), "provider_error");
  EXPECT_EQ(record.attempts(0).cost_nanos(), 0);
  EXPECT_EQ(record.cost_nanos(), 120'000);
}

TEST_F(RequestFlowTest, FallbackModelAnswersAfterTheRetries) {
  Provider({Answers(500, "{}"), Answers(500, "{}"), Answers(200, Completion(100, 10))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->get_header_value("cf-aig-model"), "model-b");
  EXPECT_EQ(result->get_header_value("cf-aig-step"), "1");
  EXPECT_EQ(result->get_header_value("signalbox-path"), "start/requests/dollars/a/b/end");
  EXPECT_EQ(Wait().cost_nanos(), 60'000);
}

TEST_F(RequestFlowTest, UnauthorizedFallsBackAtOnce) {
  Provider({Answers(401, "{}"), Answers(200, Completion(1, 1))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->get_header_value("cf-aig-model"), "model-b");
  EXPECT_EQ(Wait().attempts_size(), 2);
}

TEST_F(RequestFlowTest, TheClientsOwnErrorIsRelayedUnchanged) {
  Provider({Answers(400, R"({"error":{"message":"bad tool"}})")});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 400);
  EXPECT_EQ(result->body, R"({"error":{"message":"bad tool"}})");
  const v1::SpendRecord record = Wait();
  EXPECT_EQ(record.attempts_size(), 1);
  EXPECT_EQ(record.cost_nanos(), 0);
  EXPECT_EQ(record.error_code(), "provider_rejected");
}

TEST_F(RequestFlowTest, EveryModelFailedIs502WithTheLastReason) {
  Provider({});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 502);
  EXPECT_EQ(CodeOf(result), "model_failed");
  EXPECT_THAT(result->body, HasSubstr("the provider answered 500"));
  EXPECT_EQ(Wait().outcome(), v1::ERROR);
}

TEST_F(RequestFlowTest, UnknownOutcomeIsChargedItsBoundAndTheHoldExtended) {
  const ProviderStep cut = [](HttpExchange& exchange) -> asio::awaitable<void> {
    HeaderFields none;
    if (co_await exchange.BeginStream(200, "application/json", std::move(none), {})) {
      co_await exchange.WriteChunk("{\"half\":");
      exchange.AbortStream();
    }
  };
  Provider({cut, Answers(200, Completion(100, 10))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  const v1::SpendRecord record = Wait();
  ASSERT_EQ(record.attempts_size(), 2);
  EXPECT_TRUE(record.attempts(0).estimated());
  EXPECT_EQ(record.attempts(0).cost_nanos(), record.attempts(0).bound_nanos());
  EXPECT_TRUE(record.estimated());
  ASSERT_THAT(quota_.extends, SizeIs(1));
  EXPECT_EQ(quota_.extends[0].required_nanos(), 2 * record.attempts(0).bound_nanos());
  EXPECT_EQ(quota_.settles.at(0).cost_nanos(), record.attempts(0).bound_nanos() + 120'000);
}

TEST_F(RequestFlowTest, NoFurtherAttemptWhenTheHoldCannotBeExtended) {
  quota_.extend_fits = false;
  const ProviderStep reset = [](HttpExchange& exchange) -> asio::awaitable<void> {
    HeaderFields none;
    if (co_await exchange.BeginStream(200, "application/json", std::move(none), {})) exchange.AbortStream();
  };
  Provider({reset, Answers(200, Completion(1, 1))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 429);
  EXPECT_EQ(CodeOf(result), "limit_exceeded");
  EXPECT_EQ(Wait().attempts_size(), 1);
}

TEST_F(RequestFlowTest, StreamIsRelayedWithoutTheUsageNobodyAskedFor) {
  Provider({Streams({Delta("he"), Delta("llo"), kUsageEvent, kDone}, false)});
  const httplib::Result result = Post(true);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->body, absl::StrCat(Delta("he"), Delta("llo"), kDone));
  EXPECT_EQ(result->get_header_value("content-type"), "text/event-stream");
  const v1::SpendRecord record = Wait();
  EXPECT_EQ(record.outcome(), v1::SUCCESS);
  EXPECT_EQ(record.cost_nanos(), 120'000);
  EXPECT_FALSE(record.estimated());
  EXPECT_EQ(nlohmann::json::parse(provider_bodies_.at(0))["stream_options"]["include_usage"], true);
}

TEST_F(RequestFlowTest, WhatAnOpenStreamsClientSentIsLetGo) {
  size_t body_bytes = 1, headers = 1;
  Provider({[&](HttpExchange& exchange) -> asio::awaitable<void> {
    HeaderFields none;
    co_await exchange.BeginStream(200, "text/event-stream", std::move(none), {});
    co_await exchange.WriteChunk(Delta("hello"));
    asio::steady_timer until_seen(io_, asio::steady_timer::time_point::max());
    seen_ = [&until_seen] { until_seen.cancel(); };
    boost::system::error_code ignored;
    co_await until_seen.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    body_bytes = front_request_->body.size();
    headers = front_request_->headers.size();
    co_await exchange.WriteChunk(absl::StrCat(kUsageEvent, kDone));
    co_await exchange.EndStream({});
  }});
  httplib::Client client = Client();
  httplib::Request request = StreamedChat();
  std::string answer;
  request.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
    if (answer.empty()) asio::post(io_, [this] { seen_(); });
    answer.append(data, size);
    return true;
  };
  client.send(request);
  EXPECT_EQ(answer, absl::StrCat(Delta("hello"), kDone));
  EXPECT_EQ(body_bytes, 0u);
  EXPECT_EQ(headers, 0u);
  const v1::SpendRecord record = Wait();
  EXPECT_EQ(record.outcome(), v1::SUCCESS);
  EXPECT_FALSE(record.estimated());
}

TEST_F(RequestFlowTest, DoneWithoutItsBlankLineIsAnEnd) {
  Provider({Streams({Delta("hello"), kUsageEvent, "data: [DONE]\n"}, false)});
  const httplib::Result result = Post(true);
  ASSERT_TRUE(result);
  EXPECT_FALSE(absl::StrContains(result->body, "stream_cut"));
  EXPECT_THAT(result->body, HasSubstr("[DONE]"));
  EXPECT_EQ(Wait().outcome(), v1::SUCCESS);
}

TEST_F(RequestFlowTest, CutStreamEndsInAnErrorEventAndIsEstimated) {
  Provider({Streams({Delta("hello")}, true)});
  const httplib::Result result = Post(true);
  ASSERT_TRUE(result);
  EXPECT_THAT(result->body, HasSubstr("stream_cut"));
  EXPECT_FALSE(absl::StrContains(result->body, "[DONE]"));
  const v1::SpendRecord record = Wait();
  EXPECT_EQ(record.outcome(), v1::ERROR);
  EXPECT_TRUE(record.estimated());
  EXPECT_GT(record.cost_nanos(), 0);
  EXPECT_LE(record.cost_nanos(), record.attempts(0).bound_nanos());
}

TEST_F(RequestFlowTest, StreamThatBreaksBeforeItsFirstEventFallsBackUnseen) {
  Provider({Streams({}, true), Streams({}, true), Streams({Delta("b"), kUsageEvent, kDone}, false)});
  const httplib::Result result = Post(true);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->get_header_value("cf-aig-model"), "model-b");
  EXPECT_EQ(result->body, absl::StrCat(Delta("b"), kDone));
  EXPECT_EQ(Wait().attempts_size(), 3);
}

TEST_F(RequestFlowTest, ClientLeavingMidStreamCancelsTheProviderAndSettles) {
  std::promise<void> provider_saw_it;
  Provider({[&](HttpExchange& exchange) -> asio::awaitable<void> {
    asio::steady_timer forever(io_, asio::steady_timer::time_point::max());
    exchange.OnClientGone([&] {
      provider_saw_it.set_value();
      forever.cancel();
    });
    HeaderFields none;
    co_await exchange.BeginStream(200, "text/event-stream", std::move(none), {});
    co_await exchange.WriteChunk(Delta("hello"));
    boost::system::error_code error;
    co_await forever.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }});
  httplib::Client client = Client();
  httplib::Request request = StreamedChat();
  request.content_receiver = [](const char*, size_t, uint64_t, uint64_t) { return false; };  // closes
  client.send(request);
  provider_saw_it.get_future().wait();
  const v1::SpendRecord record = Wait();
  EXPECT_EQ(record.outcome(), v1::CANCELLED);
  EXPECT_TRUE(record.estimated());
  EXPECT_GT(record.cost_nanos(), 0);
  EXPECT_LT(record.cost_nanos(), record.attempts(0).bound_nanos());
  EXPECT_THAT(quota_.settles, SizeIs(1));
}

TEST_F(RequestFlowTest, ClientLeavingBeforeTheFirstTokenCancelsTheProviderAndSettles) {
  std::promise<void> provider_called;
  std::promise<void> provider_saw_it;
  Provider({[&](HttpExchange& exchange) -> asio::awaitable<void> {
    asio::steady_timer forever(io_, asio::steady_timer::time_point::max());
    exchange.OnClientGone([&] {
      provider_saw_it.set_value();
      forever.cancel();
    });
    provider_called.set_value();
    boost::system::error_code error;
    co_await forever.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }});
  httplib::Client client = Client();
  std::thread caller([&] { client.Post("/v1/chat/completions", Headers(), Body(false), "application/json"); });
  provider_called.get_future().wait();
  client.stop();
  provider_saw_it.get_future().wait();
  caller.join();
  const v1::SpendRecord record = Wait();
  EXPECT_EQ(record.outcome(), v1::CANCELLED);
  EXPECT_EQ(record.path(), "start/requests/dollars") << "how far the walk had come";
  EXPECT_EQ(record.attempts_size(), 1);
  EXPECT_THAT(quota_.settles, SizeIs(1));
}

// A provider that cannot be reached: calls connect until they are cancelled, or fail by an exception.
class UnreachablePool : public UpstreamPool {
 public:
  explicit UnreachablePool(asio::io_context& io, bool throws) : io_(io), throws_(throws) {}
  std::unique_ptr<UpstreamCall> NewCall(std::shared_ptr<const UpstreamEndpoint>) override {
    if (throws_) throw std::runtime_error("a defect");
    return std::make_unique<Call>(*this);
  }
  std::promise<void> connecting;

 private:
  struct Call : UpstreamCall {
    explicit Call(UnreachablePool& pool) : pool(pool), cancelled(pool.io_, asio::steady_timer::time_point::max()) {}
    asio::awaitable<absl::StatusOr<UpstreamHead>> Start(const UpstreamRequest&, int64_t) override {
      pool.connecting.set_value();
      boost::system::error_code error;
      co_await cancelled.async_wait(asio::redirect_error(asio::use_awaitable, error));
      co_return absl::CancelledError("cancelled");
    }
    asio::awaitable<absl::StatusOr<std::string_view>> ReadSome(int64_t) override { co_return ""; }
    asio::awaitable<absl::StatusOr<std::string>> ReadAll(size_t, int64_t) override { co_return ""; }
    void Cancel() override { cancelled.cancel(); }
    bool request_sent() const override { return false; }
    UnreachablePool& pool;
    asio::steady_timer cancelled;
  };
  asio::io_context& io_;
  const bool throws_;
};

TEST_F(RequestFlowTest, ClientLeavingWhileTheProviderIsNotEvenReachedPaysNothing) {
  auto pool = std::make_unique<UnreachablePool>(io_, false);
  std::future<void> connecting = pool->connecting.get_future();
  asio::post(io_, [&] { worker_->upstreams = std::move(pool); });
  httplib::Client client = Client();
  std::thread caller([&] { client.Post("/v1/chat/completions", Headers(), Body(false), "application/json"); });
  connecting.wait();
  client.stop();
  caller.join();
  const v1::SpendRecord record = Wait();
  EXPECT_EQ(record.outcome(), v1::CANCELLED);
  EXPECT_EQ(record.cost_nanos(), 0);
  EXPECT_FALSE(record.estimated());
  ASSERT_THAT(quota_.settles, SizeIs(1));
  EXPECT_EQ(quota_.settles[0].cost_nanos(), 0);
}

TEST_F(RequestFlowTest, AnExceptionIsAnErrorOfOursAndNotTheClientsLeaving) {
  auto pool = std::make_unique<UnreachablePool>(io_, true);
  asio::post(io_, [&] { worker_->upstreams = std::move(pool); });
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 500);
  const v1::SpendRecord record = Wait();
  EXPECT_EQ(record.outcome(), v1::ERROR);
  EXPECT_EQ(record.status(), 500);
  EXPECT_EQ(record.error_code(), "internal_error");
}

// ---- Tokens ----

// Grants, and holds `held` at the second limit.
std::function<absl::StatusOr<v1::QuotaAnswer>(const v1::Acquire&)> Holding(int64_t held) {
  return [held](const v1::Acquire& acquire) {
    v1::QuotaAnswer answer = FakeQuota::Granted(acquire);
    answer.mutable_limits(1)->set_held(held);
    return answer;
  };
}

TEST_F(RequestFlowTest, ATokensLimitIsAskedInTokensAndSettledWithInputAndOutput) {
  Deploy(CountTokens);
  quota_.on_acquire = Holding(1'100);
  Provider({Answers(200, Completion(100, 10))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_THAT(LimitHeader(result, 1), HasSubstr("pool=r1/dollars; unit=tokens; limit=10000; remaining=5990; reset="))
      << "5,000 beside the hold, and of its 1,100 only 110 were used";
  const v1::SpendRecord record = Wait();
  EXPECT_EQ(record.tokens(), 110);
  ASSERT_THAT(quota_.acquires, SizeIs(1));
  const v1::Acquire& acquire = quota_.acquires[0];
  EXPECT_EQ(acquire.checks(1).counter().unit(), v1::TOKENS);
  ASSERT_EQ(acquire.checks(1).bounds_size(), 2);
  EXPECT_EQ(acquire.bounds(0).input_tokens(), static_cast<int64_t>(Body(false).size())) << "a token is at least a byte";
  EXPECT_EQ(acquire.bounds(0).max_output_tokens(), 1'000);
  EXPECT_EQ(acquire.output_cap(), 1'000);
  ASSERT_THAT(quota_.settles, SizeIs(1));
  EXPECT_EQ(quota_.settles[0].tokens(), 110);
  EXPECT_EQ(quota_.settles[0].cost_nanos(), 120'000);
}

TEST_F(RequestFlowTest, AStrictTokensLimitLowersTheCapToo) {
  Deploy(CountTokens);
  quota_.on_acquire = [](const v1::Acquire& acquire) {
    v1::QuotaAnswer answer = FakeQuota::Granted(acquire);
    answer.set_output_cap(300);
    return answer;
  };
  Provider({Answers(200, Completion(1, 1))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->get_header_value("signalbox-max-tokens"), "300");
  const v1::SpendRecord record = Wait();
  EXPECT_EQ(record.attempts(0).bound_tokens(), static_cast<int64_t>(Body(false).size()) + 300);
  EXPECT_EQ(nlohmann::json::parse(provider_bodies_.at(0))["max_completion_tokens"], 300);
}

TEST_F(RequestFlowTest, AModelWithoutAPriceIsHeldInTokensAndGetsNoMadeUpCap) {
  Deploy([](v1::CompiledRoute& route) {
    CountTokens(route);
    Dollars(route).set_limit(1'000'000'000);
    for (v1::CompiledElement& element : *route.mutable_elements()) {
      if (element.has_model()) element.mutable_model()->clear_price();
    }
  });
  Provider({Answers(200, Completion(7, 3))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_FALSE(result->has_header("signalbox-max-tokens"));
  const v1::SpendRecord record = Wait();
  EXPECT_EQ(record.tokens(), 10);
  EXPECT_EQ(record.cost_nanos(), 0);
  EXPECT_EQ(quota_.acquires.at(0).bounds(0).max_output_tokens(), kUnknownOutputTokensMax);
  EXPECT_FALSE(nlohmann::json::parse(provider_bodies_.at(0)).contains("max_completion_tokens"));
}

TEST_F(RequestFlowTest, AnUnknownOutcomeCountsItsBoundInTokens) {
  Deploy([](v1::CompiledRoute& route) {
    CountTokens(route);
    route.mutable_elements(3)->mutable_model()->clear_price();  // costs nothing, and counts all the same
    route.mutable_elements(4)->mutable_model()->clear_price();
  });
  const ProviderStep cut = [](HttpExchange& exchange) -> asio::awaitable<void> {
    HeaderFields none;
    if (co_await exchange.BeginStream(200, "application/json", std::move(none), {})) exchange.AbortStream();
  };
  Provider({cut, Answers(200, Completion(100, 10))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  const v1::SpendRecord record = Wait();
  ASSERT_EQ(record.attempts_size(), 2);
  const int64_t bound = record.attempts(0).bound_tokens();
  EXPECT_EQ(bound, static_cast<int64_t>(Body(false).size()) + kUnknownOutputTokensMax);
  ASSERT_THAT(quota_.extends, SizeIs(1));
  EXPECT_EQ(quota_.extends[0].required_tokens(), 2 * bound);
  EXPECT_EQ(quota_.settles.at(0).tokens(), bound + 110);
  EXPECT_EQ(record.tokens(), bound + 110);
}

TEST_F(RequestFlowTest, OnlyAStrictLimitRefusesAPartThatMayBecomeAnyNumberOfTokens) {
  const std::string body =
      R"({"model":"dynamic/my-saas","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x"}}]}]})";
  const auto post = [&] { return Client().Post("/v1/chat/completions", Headers(), body, "application/json"); };
  Deploy(CountTokens);
  const httplib::Result strict = post();
  ASSERT_TRUE(strict);
  EXPECT_EQ(strict->status, 400);
  EXPECT_EQ(CodeOf(strict), "unbounded_request");
  EXPECT_THAT(strict->body, HasSubstr("holds tokens before they are used"));
  EXPECT_THAT(quota_.acquires, SizeIs(0));
  for (const bool shadow : {false, true}) {
    Deploy([shadow](v1::CompiledRoute& route) {
      CountTokens(route);
      shadow ? Dollars(route).set_shadow(true) : Dollars(route).set_admission(v1::OBSERVED);
    });
    Provider({Answers(200, Completion(1, 1))});
    const httplib::Result result = post();
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, 200) << shadow << result->body;
  }
  // An observed limit that names the model first does not hide it from the strict one.
  Deploy([](v1::CompiledRoute& route) {
    Requests(route).set_unit(v1::TOKENS);
    Requests(route).set_admission(v1::OBSERVED);
    CountTokens(route);
  });
  const httplib::Result second = post();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->status, 400);
}

TEST_F(RequestFlowTest, AnObservedLimitsRemainingNeverCountedTheHold) {
  Deploy([](v1::CompiledRoute& route) {
    CountTokens(route);
    Dollars(route).set_admission(v1::OBSERVED);
  });
  quota_.on_acquire = Holding(1'100);
  Provider({Answers(200, Completion(100, 10))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_THAT(LimitHeader(result, 1), HasSubstr("remaining=4890;"));
  EXPECT_FALSE(result->has_header("signalbox-max-tokens"));
}

// ---- Shadow ----

void Shadow(v1::CompiledRoute& route) { route.mutable_elements(2)->mutable_limit()->set_shadow(true); }

TEST_F(RequestFlowTest, AShadowLimitThatWouldDenyReportsItAndRefusesNothing) {
  Deploy(Shadow);
  quota_.on_acquire = [](const v1::Acquire& acquire) {
    v1::QuotaAnswer answer = FakeQuota::Granted(acquire);
    answer.mutable_limits(1)->set_shadow_denied(true);
    answer.mutable_limits(1)->set_remaining(0);
    answer.mutable_limits(1)->set_held(5'000'000);
    return answer;
  };
  Provider({Answers(200, Completion(100, 10)), Streams({Delta("hi"), kUsageEvent, kDone}, false)});
  for (const bool stream : {false, true}) {
    const httplib::Result result = Post(stream);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, 200);
    EXPECT_THAT(LimitHeader(result, 0), Not(HasSubstr("shadow")));
    EXPECT_THAT(LimitHeader(result, 1), HasSubstr("remaining=0.000000000; reset="));
    EXPECT_THAT(LimitHeader(result, 1), testing::EndsWith("; shadow=denied"));
    EXPECT_FALSE(result->has_header("signalbox-max-tokens")) << "a shadow lowers no cap";
    EXPECT_FALSE(nlohmann::json::parse(provider_bodies_.at(stream)).contains("max_completion_tokens"));
  }
  const v1::SpendRecord record = Wait(2);
  ASSERT_EQ(record.limits_size(), 2);
  EXPECT_FALSE(record.limits(0).shadow_denied());
  EXPECT_TRUE(record.limits(1).shadow_denied());
  EXPECT_FALSE(record.limits(1).denied());
  EXPECT_EQ(record.path(), "start/requests/dollars/a/end");
  EXPECT_TRUE(quota_.acquires.at(0).checks(1).shadow());
  EXPECT_THAT(metrics_.Serialize(),
              HasSubstr("signalbox_limit_shadow_denied_total{element=\"dollars\",route=\"my-saas\"} 2"));
}

TEST_F(RequestFlowTest, AShadowLimitThatWouldPassSaysSo) {
  Deploy(Shadow);
  Provider({Answers(200, Completion(1, 1))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_THAT(LimitHeader(result, 1), testing::EndsWith("; shadow=passed"));
  EXPECT_FALSE(Wait().limits(1).shadow_denied());
  EXPECT_THAT(metrics_.Serialize(), Not(HasSubstr("signalbox_limit_shadow_denied_total{")));
}

TEST_F(RequestFlowTest, AShadowLimitRefusesNothingWhileTheQuotaServiceIsAway) {
  Deploy(Shadow);  // dollars, onError deny
  quota_.on_acquire = [](const v1::Acquire&) { return absl::UnavailableError("gone"); };
  Provider({Answers(200, Completion(100, 10))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->get_header_value_count("signalbox-limit"), 0u) << "nobody knows what remains";
  const v1::SpendRecord record = Wait();
  EXPECT_EQ(record.limits_size(), 2);
  ASSERT_THAT(quota_.charges, SizeIs(2));
  EXPECT_EQ(quota_.charges[0].amount(), 1);
  EXPECT_EQ(quota_.charges[1].amount(), 120'000) << "it counts what passed, as ever";
}

TEST_F(RequestFlowTest, AShadowLimitThatFindsNobodyLetsThroughUncountedAndReported) {
  Deploy([](v1::CompiledRoute& route) {
    Shadow(route);
    v1::FieldRef& team = *Dollars(route).add_key();
    team.set_root(v1::FieldRef::METADATA);
    team.add_path("team");
  });
  Provider({Answers(200, Completion(100, 10))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->get_header_value_count("signalbox-limit"), 1u);
  const v1::SpendRecord record = Wait();
  EXPECT_EQ(quota_.acquires.at(0).checks_size(), 1);
  ASSERT_EQ(record.limits_size(), 2);
  EXPECT_TRUE(record.limits(1).shadow_denied());
  EXPECT_EQ(record.limits(1).identifier(), "");
  EXPECT_EQ(record.identifier(), "ann@example.com");
}

TEST_F(RequestFlowTest, ADenialBehindAShadowThatFindsNobodyIsOfTheRightElement) {
  Deploy([](v1::CompiledRoute& route) {
    Requests(route).set_shadow(true);
    Requests(route).mutable_key(0)->set_path(0, "team");
  });
  quota_.on_acquire = [](const v1::Acquire& acquire) {
    v1::QuotaAnswer answer = FakeQuota::Granted(acquire);
    answer.set_result(v1::QuotaAnswer::DENIED);
    answer.set_denied_index(0);
    answer.mutable_limits(0)->set_retry_us(answer.limits(0).reset_us() - 50'000'000);
    return answer;
  };
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 429);
  EXPECT_THAT(result->body, HasSubstr("limit \\\"dollars\\\" is exceeded"));
  EXPECT_EQ(result->get_header_value("retry-after"), "10");
  const v1::SpendRecord record = Wait();
  ASSERT_EQ(record.limits_size(), 2);
  EXPECT_FALSE(record.limits(0).denied());
  EXPECT_TRUE(record.limits(1).denied());
}

// ---- The service away ----

TEST_F(RequestFlowTest, WhatOnErrorLetThroughIsChargedLaterInEachLimitsUnitOnceACounter) {
  Deploy([](v1::CompiledRoute& route) {
    CountTokens(route);
    Dollars(route).set_on_error(v1::ALLOW);
    // The same counter twice on one walk.
    Requests(route).set_unit(v1::TOKENS);
    Requests(route).set_pool("r1/dollars");
  });
  quota_.on_acquire = [](const v1::Acquire&) { return absl::UnavailableError("gone"); };
  Provider({Answers(200, Completion(100, 10))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  Wait();
  ASSERT_THAT(quota_.charges, SizeIs(1));
  EXPECT_EQ(quota_.charges[0].counter().unit(), v1::TOKENS);
  EXPECT_EQ(quota_.charges[0].amount(), 110);
}

TEST_F(RequestFlowTest, AnotherAttemptNeedsTheServiceUnlessOnErrorAllows) {
  const ProviderStep cut = [](HttpExchange& exchange) -> asio::awaitable<void> {
    HeaderFields none;
    if (co_await exchange.BeginStream(200, "application/json", std::move(none), {})) exchange.AbortStream();
  };
  quota_.extend_answers = false;
  Provider({cut, Answers(200, Completion(1, 1))});
  const httplib::Result denied = Post();
  ASSERT_TRUE(denied);
  EXPECT_EQ(denied->status, 503);
  EXPECT_EQ(CodeOf(denied), "quota_unavailable");
  Deploy([](v1::CompiledRoute& route) { Dollars(route).set_on_error(v1::ALLOW); });
  Provider({cut, Answers(200, Completion(1, 1))});
  const httplib::Result allowed = Post();
  ASSERT_TRUE(allowed);
  EXPECT_EQ(allowed->status, 200);
  const v1::SpendRecord record = Wait(2);
  EXPECT_EQ(quota_.settles.at(1).cost_nanos(), record.cost_nanos());
  EXPECT_GT(record.cost_nanos(), record.attempts(0).bound_nanos());
}

// ---- Headers ----

TEST_F(RequestFlowTest, EveryAnswerBehindALimitSaysWhatRemains) {
  struct Case {
    std::string name;
    std::vector<ProviderStep> steps;
    FakeQuota* denies;
    Change change;
    int status;
    size_t limits;
  };
  const auto to_end = [](v1::CompiledRoute& route) {
    // requests -> end: a route that leads to no model.
    Requests(route).set_on_success(5);
    Requests(route).clear_reachable_models();
  };
  const auto needs_team = [](v1::CompiledRoute& route) {
    // requests -> a conditional -> dollars by team, which nobody names.
    v1::CompiledElement& between = *route.add_elements();
    between.set_id("between");
    v1::Condition& condition = *between.mutable_conditional()->mutable_condition();
    condition.set_op(v1::Condition::EXISTS);
    *condition.mutable_field() = Requests(route).key(0);
    condition.add_operands()->set_bool_value(true);
    between.mutable_conditional()->set_on_true(2);
    between.mutable_conditional()->set_on_false(2);
    Requests(route).set_on_success(static_cast<uint32_t>(route.elements_size()) - 1);
    Dollars(route).mutable_key(0)->set_path(0, "team");
  };
  const auto same = [](v1::CompiledRoute&) {};
  const Case cases[] = {
      {"unary", {Answers(200, Completion(1, 1))}, nullptr, same, 200, 2},
      {"the client's own error", {Answers(400, "{}")}, nullptr, same, 400, 2},
      {"every model failed", {}, nullptr, same, 502, 2},
      {"no model", {}, nullptr, to_end, 403, 1},
      {"missing identifier further on", {}, nullptr, needs_team, 400, 1},
      {"denied", {}, &quota_, same, 429, 2},
  };
  const auto grants = quota_.on_acquire;
  for (const Case& c : cases) {
    Deploy(c.change);
    Provider(c.steps);
    quota_.on_acquire = grants;
    if (c.denies != nullptr) {
      quota_.on_acquire = [](const v1::Acquire& acquire) {
        v1::QuotaAnswer answer = FakeQuota::Granted(acquire);
        answer.set_result(v1::QuotaAnswer::DENIED);
        answer.set_denied_index(1);
        return answer;
      };
    }
    const httplib::Result result = Post();
    ASSERT_TRUE(result) << c.name;
    EXPECT_EQ(result->status, c.status) << c.name;
    EXPECT_EQ(result->get_header_value_count("signalbox-limit"), c.limits) << c.name;
    EXPECT_THAT(LimitHeader(result, 0), HasSubstr("pool=r1/requests; unit=requests; limit=10; remaining=5; reset="))
        << c.name;
    EXPECT_EQ(result->has_header("retry-after"), c.status == 429) << c.name;
  }
}

TEST_F(RequestFlowTest, AFailedRequestGivesItsWholeHoldBack) {
  quota_.on_acquire = Holding(2'000'000);
  Provider({});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 502);
  EXPECT_THAT(LimitHeader(result, 1), HasSubstr("unit=usd; limit=10.000000000; remaining=5.002000000;"));
}

TEST_F(RequestFlowTest, AnEndsOwn503SaysWhenToComeBack) {
  Deploy([](v1::CompiledRoute& route) { route.mutable_elements(5)->mutable_end()->set_status(503); });
  const httplib::Result failed = Post();  // no provider answers
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->status, 503);
  EXPECT_EQ(CodeOf(failed), "route_ended");
  EXPECT_EQ(failed->get_header_value("retry-after"), "1");
  quota_.on_acquire = [](const v1::Acquire& acquire) {
    v1::QuotaAnswer answer = FakeQuota::Granted(acquire);
    answer.set_result(v1::QuotaAnswer::DENIED);
    answer.mutable_limits(0)->set_retry_us(1);  // past already: when only holds in flight were in the way
    return answer;
  };
  const httplib::Result denied = Post();
  ASSERT_TRUE(denied);
  EXPECT_EQ(denied->status, 503);
  EXPECT_EQ(denied->get_header_value("retry-after"), "1");
}

TEST_F(RequestFlowTest, ALimitsWholeKeyAndWindowReachTheService) {
  Deploy([](v1::CompiledRoute& route) {
    v1::FieldRef& plan = *Requests(route).add_key();
    plan.set_root(v1::FieldRef::HEADERS);
    plan.add_path("x-plan");
    Requests(route).set_technique(v1::SLIDING);
    Dollars(route).clear_window_seconds();
    Dollars(route).set_calendar(v1::MONTH);
    Dollars(route).set_timezone("Europe/Berlin");
  });
  Provider({Answers(200, Completion(1, 1))});
  httplib::Headers headers = Headers();
  headers.emplace("x-plan", "pro");
  const httplib::Result result = Client().Post("/v1/chat/completions", headers, Body(false), "application/json");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(Wait().limits(0).identifier(), R"(["ann@example.com","pro"])");
  const v1::CounterKey& requests = quota_.acquires.at(0).checks(0).counter();
  EXPECT_EQ(requests.technique(), v1::SLIDING);
  ASSERT_EQ(requests.identifier_size(), 2);
  EXPECT_EQ(requests.identifier(1).string_value(), "pro");
  const v1::CounterKey& dollars = quota_.acquires[0].checks(1).counter();
  EXPECT_EQ(dollars.calendar(), v1::MONTH);
  EXPECT_EQ(dollars.timezone(), "Europe/Berlin");
  EXPECT_EQ(dollars.window_seconds(), 0);
}

TEST_F(RequestFlowTest, BadRequestsAreRefusedByName) {
  struct Case {
    std::string body;
    httplib::Headers headers;
    int status;
    std::string code;
  };
  const Case cases[] = {
      {"{", Headers(), 400, "invalid_json"},
      {R"({"model":"dynamic/my-saas","max_tokens":5,"max\u005ftokens":6,"messages":[]})", Headers(), 400,
       "duplicate_key"},
      {R"({"model":"dynamic/nothing","messages":[]})", Headers(), 404, "route_not_found"},
      {R"({"model":"nobody/gpt-4o","messages":[]})", Headers(), 404, "provider_not_found"},
      {Body(false), {{"authorization", "Bearer wrong"}}, 401, "invalid_key"},
      {Body(false), {}, 401, "missing_key"},
      {Body(false), {{"authorization", absl::StrCat("Bearer ", kKey)}}, 400, "missing_identifier"},
      {Body(false),
       {{"authorization", absl::StrCat("Bearer ", kKey)}, {"cf-aig-metadata", "{"}},
       400,
       "invalid_metadata"},
  };
  for (const Case& c : cases) {
    const httplib::Result result = Client().Post("/v1/chat/completions", c.headers, c.body, "application/json");
    ASSERT_TRUE(result) << c.code;
    EXPECT_EQ(result->status, c.status) << c.code;
    EXPECT_EQ(CodeOf(result), c.code) << result->body;
  }
  EXPECT_THAT(quota_.acquires, SizeIs(0));
}

TEST_F(RequestFlowTest, ModelsListsTheRoutes) {
  const httplib::Result result = Client().Get("/v1/models", Headers());
  ASSERT_TRUE(result);
  EXPECT_EQ(nlohmann::json::parse(result->body)["data"][0]["id"], "dynamic/my-saas");
}

TEST_F(RequestFlowTest, FullSpoolRefusesBeforeAnythingIsSpent) {
  reporter_.can_accept = false;
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 503);
  EXPECT_EQ(CodeOf(result), "spool_full");
}

// ---- Failures; docs/failures.md.

TEST_F(RequestFlowTest, AnOpenBreakerIsNotCalledAndTheRecordSaysSo) {
  const std::vector<std::string> none;
  const v1::SnapshotProvider& provider = *worker_->snapshot->gateways.at("default").providers.at("openai");
  const auto now_us = [] { return Clock::System().MonotonicMicros(); };
  for (int i = 0; i < kBreakerConsecutiveFailures; ++i) {
    ProviderHealth::Answer answer = health_.Ask({provider, "model-a", "", none}, now_us(), 0);
    // The longest opening there is: a draw of its jitter's upper end.
    std::get<ProviderHealth::Granted>(answer).permit.Ended(CallResult::kFailure, now_us(), kBreakerOpenUsMin / 2);
  }
  Provider({Answers(200, Completion(100, 10))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->get_header_value("cf-aig-model"), "model-b");
  EXPECT_EQ(result->get_header_value("cf-aig-step"), "1");
  const v1::SpendRecord record = Wait();
  ASSERT_EQ(record.attempts_size(), 2);
  EXPECT_EQ(record.attempts(0).error(), "circuit_open");
  EXPECT_EQ(record.attempts(0).element_id(), "a");
  EXPECT_EQ(record.attempts(0).status(), 0);
  EXPECT_EQ(record.attempts(0).cost_nanos(), 0);
  EXPECT_EQ(record.attempts(1).error(), "");
  EXPECT_THAT(provider_bodies_, SizeIs(1));
}

TEST_F(RequestFlowTest, WhatCallsComeToReachesHealth) {
  Provider({Answers(500, "{}"), Answers(200, Completion(1, 1)), Streams({Delta("hi"), kUsageEvent, kDone}, false),
            Streams({Delta("hi")}, true)});
  for (const bool stream : {false, true, true}) ASSERT_TRUE(Post(stream));
  Wait(3);
  const std::vector<v1::ProviderStatus> report = health_.Report(Clock::System().MonotonicMicros(), 0);
  ASSERT_THAT(report, SizeIs(2));
  EXPECT_EQ(report[1].model(), "model-a");
  EXPECT_EQ(report[1].attempts(), 4);
  EXPECT_EQ(report[1].failures(), 2) << "the 500, and the cut";
  EXPECT_EQ(report[1].consecutive_failures(), 1);
  EXPECT_EQ(report[1].last_error(), "cut");
  EXPECT_EQ(health_.counters().at(0).retries, 1);
}

TEST_F(RequestFlowTest, AShortRetryAfterIsWaitedFor) {
  Deploy(OnlyTheFirstModel);
  Provider({Refuses(429, "retry-after-ms", "300"), Answers(200, Completion(100, 10))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->get_header_value("cf-aig-model"), "model-a");
  const v1::SpendRecord record = Wait();
  ASSERT_EQ(record.attempts_size(), 2);
  EXPECT_GE(record.attempts(1).start_us() - record.attempts(0).start_us(), 300'000) << "never earlier than told";
}

TEST_F(RequestFlowTest, ALongRetryAfterFallsBackAtOnceAndKeepsOthersAway) {
  Provider({Refuses(429, "retry-after", "60"), Answers(200, Completion(100, 10)), Answers(200, Completion(100, 10))});
  const httplib::Result first = Post();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->get_header_value("cf-aig-model"), "model-b");
  const httplib::Result second = Post();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->get_header_value("cf-aig-model"), "model-b");
  const v1::SpendRecord record = Wait(2);
  ASSERT_EQ(record.attempts_size(), 2);
  EXPECT_EQ(record.attempts(0).error(), "circuit_open");
}

TEST_F(RequestFlowTest, WhereNothingElseIsLeftTheAnswerSaysWhenToComeBack) {
  Deploy(OnlyTheFirstModel);
  Provider({Refuses(429, "retry-after", "60")});
  ASSERT_TRUE(Post());
  const httplib::Result second = Post();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->status, 502);
  EXPECT_EQ(CodeOf(second), "model_failed");
  EXPECT_EQ(second->get_header_value("retry-after"), "60");
  EXPECT_THAT(second->body, HasSubstr("asked for a pause"));
  Wait(2);
}

TEST_F(RequestFlowTest, AProviderThatSaysNotToRetryIsBelieved) {
  Provider({Refuses(500, "x-should-retry", "false"), Answers(200, Completion(100, 10))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->get_header_value("cf-aig-model"), "model-b");
  EXPECT_EQ(Wait().attempts_size(), 2);
}

TEST_F(RequestFlowTest, TheRequestsOwnAttemptsCountInsteadOfTheRoutes) {
  Provider({Answers(500, "{}"), Answers(500, "{}"), Answers(500, "{}"), Answers(200, Completion(100, 10))});
  const httplib::Result result = PostWith({{"cf-aig-max-attempts", "4"}, {"cf-aig-retry-delay", "1"}});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->get_header_value("cf-aig-model"), "model-a");
  EXPECT_EQ(Wait().attempts_size(), 4);
}

TEST_F(RequestFlowTest, TheRequestsOwnTimeoutCountsAndBlamesNobody) {
  const ProviderStep silent = [](HttpExchange& exchange) -> asio::awaitable<void> {
    asio::steady_timer never(co_await asio::this_coro::executor, std::chrono::steady_clock::time_point::max());
    exchange.OnClientGone([&never] { never.cancel(); });
    boost::system::error_code ignored;
    co_await never.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    exchange.OnClientGone({});
  };
  Provider({silent, Answers(200, Completion(100, 10))});
  const httplib::Result result = PostWith({{"cf-aig-max-attempts", "1"}, {"cf-aig-request-timeout", "50"}});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->get_header_value("cf-aig-model"), "model-b");
  const v1::SpendRecord record = Wait();
  EXPECT_EQ(record.attempts(0).error(), "timeout");
  for (const v1::ProviderStatus& status : health_.Report(Clock::System().MonotonicMicros(), 0)) {
    EXPECT_EQ(status.failures(), 0) << status.model() << ": 50 ms were the client's idea";
  }
}

TEST_F(RequestFlowTest, AWholeRequestsTimeIsUpWhateverIsLeftToTry) {
  std::promise<void> done;
  asio::post(io_, [&] {
    worker_->request_timeout_us = 1'000;
    done.set_value();
  });
  done.get_future().wait();
  const ProviderStep slow = [](HttpExchange& exchange) -> asio::awaitable<void> {
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(20));
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    co_await Answers(500, "{}")(exchange);
  };
  Provider({slow, slow, slow, slow});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 504);
  EXPECT_EQ(CodeOf(result), "deadline_exceeded");
  const v1::SpendRecord record = Wait();
  EXPECT_EQ(record.outcome(), v1::TIMEOUT);
  EXPECT_LE(record.attempts_size(), 1);
}

TEST_F(RequestFlowTest, ARefusedKeyGoesOnToTheOtherEndpoint) {
  DeployTwoEndpoints();
  Provider({Answers(401, "{}"), Answers(200, Completion(100, 10))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->get_header_value("cf-aig-model"), "model-a");
  const v1::SpendRecord record = Wait();
  ASSERT_EQ(record.attempts_size(), 2);
  EXPECT_EQ(record.attempts(0).error(), "status_401");
  EXPECT_THAT((std::vector<std::string>{record.attempts(0).endpoint(), record.attempts(1).endpoint()}),
              ::testing::UnorderedElementsAre("first", "second"));
}

TEST_F(RequestFlowTest, ARefusedKeyOfBothEndpointsIsNotTriedAThirdTime) {
  DeployTwoEndpoints([](v1::CompiledRoute& route) { FirstModel(route).set_retries(5); });
  Provider({Answers(401, "{}"), Answers(403, "{}"), Answers(200, Completion(100, 10))});
  const httplib::Result result = Post();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->get_header_value("cf-aig-model"), "model-b");
  EXPECT_EQ(Wait().attempts_size(), 3);
}

TEST_F(RequestFlowTest, AnAliasNamesTheEndpoint) {
  DeployTwoEndpoints();
  for (int i = 1; i <= 6; ++i) {
    Provider({Answers(200, Completion(100, 10))});
    ASSERT_TRUE(PostWith({{"cf-aig-byok-alias", "second"}}));
    EXPECT_EQ(Wait(static_cast<size_t>(i)).attempts(0).endpoint(), "second");
  }
  const httplib::Result unknown = PostWith({{"cf-aig-byok-alias", "third"}});
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->status, 400);
  EXPECT_EQ(CodeOf(unknown), "invalid_request");
  EXPECT_THAT(unknown->body, HasSubstr("(known: first, second)"));
  EXPECT_EQ(Wait(7).attempts_size(), 0);
}

}  // namespace
}  // namespace signalbox
