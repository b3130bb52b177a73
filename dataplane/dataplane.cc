#include "dataplane/dataplane.h"

#include <glog/logging.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <latch>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/seal/seal.h"
#include "common/status_macros.h"
#include "common/thread_name.h"
#include "dataplane/cache/answer_cache.h"
#include "dataplane/cache/cache_metrics.h"
#include "dataplane/cache/redis_shared_cache.h"
#include "dataplane/config/config_client.h"
#include "dataplane/http/http_server.h"
#include "dataplane/quota/grpc_quota_client.h"
#include "dataplane/request/handle_request.h"
#include "dataplane/request/health_prober.h"
#include "dataplane/request/worker.h"
#include "dataplane/spend/grpc_spend_reporter.h"

namespace signalbox {
namespace {

constexpr char kBuild[] = "signalbox-proxy " SIGNALBOX_VERSION;
constexpr int kCutTimeoutMs = 3'000;  // for requests that were cut to wind up

// One worker: a thread that runs its own event loop. Other threads only post to `io` and read `in_flight`.
struct WorkerThread {
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);
  std::atomic<int64_t> in_flight{0};
  std::unique_ptr<GrpcQuotaClient> quota;
  std::unique_ptr<Worker> worker;
  std::unique_ptr<HttpServer> server;
  std::thread thread;
};

class InFlight {
 public:
  explicit InFlight(std::atomic<int64_t>& count) : count_(count) { count_.fetch_add(1, std::memory_order_relaxed); }
  ~InFlight() { count_.fetch_sub(1, std::memory_order_relaxed); }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

 private:
  std::atomic<int64_t>& count_;
};

absl::StatusOr<std::unique_ptr<asio::ssl::context>> ListenerTls(const TlsFiles& files) {
  if (files.cert.empty()) return nullptr;
  auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  boost::system::error_code error;
  context->set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, error);
  if (!error) context->use_certificate_chain_file(files.cert, error);
  if (error) {
    return absl::NotFoundError(absl::StrCat("cannot use the certificate ", files.cert, ": ", error.message()));
  }
  context->use_private_key_file(files.key, asio::ssl::context::pem, error);
  if (error) return absl::NotFoundError(absl::StrCat("cannot use the private key ", files.key, ": ", error.message()));
  return context;
}

class ProxyDataplane : public Dataplane {
 public:
  explicit ProxyDataplane(const DataplaneOptions& options) : options_(options), boot_id_(NewUuid()) {}

  ~ProxyDataplane() override { Stop(); }

  absl::Status Begin() {
    RETURN_IF_ERROR(CheckOptions());
    ASSIGN_OR_RETURN(listener_tls_, ListenerTls(options_.listener_tls));
    ASSIGN_OR_RETURN(asio::ssl::context upstream_tls, NewUpstreamTlsContext(options_.upstream_ca_file));
    upstream_tls_ = std::make_unique<asio::ssl::context>(std::move(upstream_tls));
    ASSIGN_OR_RETURN(const std::string token, ReadTokenFile(options_.token_file));
    MakeThreads();
    RETURN_IF_ERROR(ConnectQuota(token));
    RETURN_IF_ERROR(ConnectControlPlane(token));
    RETURN_IF_ERROR(BuildCache());
    RETURN_IF_ERROR(BuildWorkers());
    prober_ = std::make_unique<HealthProber>(workers_.front()->io, *upstream_tls_, health_, Clock::System());
    RETURN_IF_ERROR(BuildAdmin());
    config_->holder().AddListener(
        [this](std::shared_ptr<const ActiveSnapshot> snapshot) { SwapSnapshot(std::move(snapshot)); });
    for (auto& thread : workers_) StartThread(*thread);
    running_ = true;
    config_->Start();
    return absl::OkStatus();
  }

  std::string http_address() const override { return workers_.front()->server->address(); }
  std::string admin_address() const override { return admin_server_->address(); }

  void Stop() override {
    if (stopped_) return;
    stopped_ = true;
    draining_ = true;
    bool wound_up = true;
    if (running_) {
      prober_->Stop();
      for (auto& thread : workers_) {
        asio::post(thread->io, [server = thread->server.get()] { server->BeginDrain(); });
      }
      if (!WaitUntilIdle(options_.drain_timeout_ms)) {
        LOG(WARNING) << InFlightRequests() << " requests did not end within the drain; cutting them";
        wound_up = CutRequests();
      }
      WriteEnded();
      if (!FlushSettlements(kShutdownFlushTimeoutMs)) {
        LOG(WARNING) << "the quota service did not take every settlement; their records settle them at the next start";
      }
      if (!reporter_->Flush(kShutdownFlushTimeoutMs)) {
        LOG(WARNING) << "the control plane did not take every spend record; they stay in the spool";
      }
      // Connections on which half a request stands: on none may it still begin, and what began meanwhile is cut.
      wound_up = wound_up && CutRequests();
      WriteEnded();
      config_->Stop();
    }
    if (!wound_up) {
      // A coroutine that still waits for a callback would outlive what it refers to. Its holds are suspended.
      LOG(ERROR) << InFlightRequests() << " requests could not be cut; leaving without them";
      std::_Exit(1);
    }
    for (auto& thread : workers_) StopThread(*thread);
    if (admin_thread_.joinable()) {
      admin_io_.stop();
      admin_thread_.join();
    }
    // Servers and their coroutines go before the lines they settle and report on, and what the shared cache still
    // says goes to loops that are there.
    admin_server_.reset();
    prober_.reset();
    if (cache_ != nullptr) cache_->Stop();
    workers_.clear();
    cache_.reset();
    config_.reset();
    reporter_.reset();
  }

 private:
  absl::Status CheckOptions() {
    if (options_.proxy_id.empty()) return absl::InvalidArgumentError("--proxy_id is required");
    if (options_.data_dir.empty()) return absl::InvalidArgumentError("--data_dir is required");
    if (options_.token_file.empty()) return absl::InvalidArgumentError("--token_file is required");
    if (options_.workers < 0 || options_.workers > 256) {
      return absl::InvalidArgumentError("--workers must be between 0 (one per core) and 256");
    }
    if (options_.cache_bytes < 0) return absl::InvalidArgumentError("--cache_bytes must be 0 (keep none) or more");
    if (options_.request_timeout_ms <= 0) return absl::InvalidArgumentError("--request_timeout_ms must be positive");
    RETURN_IF_ERROR(CheckListenerIsSafe(options_.http_address, options_.listener_tls));
    RETURN_IF_ERROR(CheckListenerIsSafe(options_.admin_address, options_.listener_tls));
    std::error_code error;
    std::filesystem::create_directories(options_.data_dir, error);
    if (error) {
      return absl::UnavailableError(absl::StrCat("cannot make --data_dir ", options_.data_dir, ": ", error.message()));
    }
    ::chmod(options_.data_dir.c_str(), 0700);
    return absl::OkStatus();
  }

  void MakeThreads() {
    const int count =
        options_.workers > 0 ? options_.workers : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    for (int i = 0; i < count; ++i) workers_.push_back(std::make_unique<WorkerThread>());
  }

  // A session for each worker, on its loop.
  absl::Status ConnectQuota(const std::string& token) {
    RETURN_IF_ERROR(CheckPeerIsSafe(options_.quota, options_.peer_tls));
    ASSIGN_OR_RETURN(const GrpcTarget target, ParseGrpcTarget(options_.quota));
    if (!options_.peer_tls.empty()) {
      ASSIGN_OR_RETURN(quota_tls_, NewGrpcTlsContext(options_.peer_tls));
    }
    for (auto& thread : workers_) {
      QuotaClientOptions quota_options;
      quota_options.target = target;
      quota_options.tls = quota_tls_.get();
      quota_options.token = token;
      quota_options.proxy_id = options_.proxy_id;
      quota_options.boot_id = NewUuid();
      thread->quota = NewGrpcQuotaClient(thread->io, std::move(quota_options));
    }
    return absl::OkStatus();
  }

  absl::Status ConnectControlPlane(const std::string& token) {
    ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> control_plane,
                     NewChannel(options_.control_plane, options_.peer_tls));
    GrpcSpendReporterOptions reporter_options;
    reporter_options.channel = control_plane;
    reporter_options.token = token;
    reporter_options.proxy_id = options_.proxy_id;
    reporter_options.data_dir = options_.data_dir;
    // A record from before a crash may not have been settled: settling again is harmless.
    reporter_options.on_replayed = [this](const v1::SpendRecord& record) {
      v1::Settle settle;
      settle.set_request_id(record.request_id());
      settle.set_cost_nanos(record.cost_nanos());
      settle.set_tokens(record.tokens());
      workers_.front()->quota->Settle(settle);  // its loop does not run yet
    };
    reporter_options.on_refused = [this](const std::string&) { metrics_.CountRefusedRecord(); };
    ASSIGN_OR_RETURN(reporter_, NewGrpcSpendReporter(std::move(reporter_options)));

    ConfigClientOptions config_options;
    config_options.channel = control_plane;
    config_options.token = token;
    config_options.proxy_id = options_.proxy_id;
    config_options.boot_id = boot_id_;
    config_options.build = kBuild;
    config_options.http_address = [this] {
      return options_.advertise_http_address.empty() ? http_address() : options_.advertise_http_address;
    };
    config_options.http_tls = !options_.listener_tls.cert.empty();
    config_options.data_dir = options_.data_dir;
    config_options.max_schema = options_.max_schema;
    config_options.in_flight = [this] { return InFlightRequests(); };
    config_options.providers = [this] { return HealthReport(); };
    config_options.provider_changes = [this] { return health_.changes(); };
    ASSIGN_OR_RETURN(config_, NewConfigClient(std::move(config_options)));
    return absl::OkStatus();
  }

  absl::Status BuildCache() {
    std::unique_ptr<SharedCache> shared;
    if (!options_.cache_url.empty()) {
      RedisSharedCacheOptions redis_options;
      redis_options.url = options_.cache_url;
      redis_options.report = [](const std::string& report) { LOG(WARNING) << report; };
      absl::StatusOr<std::unique_ptr<SharedCache>> opened = OpenRedisSharedCache(std::move(redis_options));
      if (!opened.ok()) {
        return absl::InvalidArgumentError(absl::StrCat("--cache: ", std::string(opened.status().message())));
      }
      shared = *std::move(opened);
    }
    cache_metrics_ = std::make_unique<CacheMetrics>(shared != nullptr);
    cache_ =
        std::make_unique<AnswerCache>(static_cast<size_t>(options_.cache_bytes), std::move(shared), Clock::System());
    return absl::OkStatus();
  }

  absl::Status BuildWorkers() {
    std::string address = options_.http_address;
    for (auto& thread : workers_) {
      thread->worker.reset(new Worker{.io = thread->io,
                                      .clock = Clock::System(),
                                      .quota = *thread->quota,
                                      .reporter = *reporter_,
                                      .metrics = metrics_,
                                      .health = health_,
                                      .proxy_id = options_.proxy_id,
                                      .boot_id = boot_id_,
                                      .upstreams = NewUpstreamPool(thread->io, *upstream_tls_),
                                      .cache = cache_.get(),
                                      .request_timeout_us = int64_t{options_.request_timeout_ms} * 1'000});
      auto handler = [thread = thread.get()](HttpExchange& exchange) -> asio::awaitable<void> {
        const InFlight in_flight(thread->in_flight);
        co_await HandleRequest(*thread->worker, exchange);
      };
      HttpServerOptions server_options;
      server_options.address = address;
      server_options.tls = listener_tls_.get();
      server_options.reuse_port = workers_.size() > 1;
      server_options.refuse_taken_port = thread == workers_.front();
      ASSIGN_OR_RETURN(thread->server, NewHttpServer(thread->io, std::move(server_options), handler));
      address = thread->server->address();  // the others share the port that the first was given
    }
    return absl::OkStatus();
  }

  absl::Status BuildAdmin() {
    HttpServerOptions server_options;
    server_options.address = options_.admin_address;
    server_options.tls = listener_tls_.get();
    ASSIGN_OR_RETURN(admin_server_, NewHttpServer(admin_io_, std::move(server_options),
                                                  [this](HttpExchange& exchange) { return HandleAdmin(exchange); }));
    admin_server_->Start();
    admin_thread_ = std::thread([this] {
      NameThread("admin");
      admin_io_.run();
    });
    return absl::OkStatus();
  }

  asio::awaitable<void> HandleAdmin(HttpExchange& exchange) {
    const std::string& target = exchange.request().target;
    HttpReply reply;
    if (target == "/healthz") {
      reply.body = R"({"status":"ok"})";
    } else if (target == "/readyz") {
      const std::shared_ptr<const ActiveSnapshot> snapshot = config_->holder().Get();
      std::string reason;
      if (draining_) reason = "draining";
      if (snapshot == nullptr) reason = "no snapshot yet";
      if (!reporter_->CanAccept()) reason = "the spool of spend records is full or cannot be written";
      reply.status = reason.empty() ? 200 : 503;
      nlohmann::json body = {{"ready", reason.empty()},
                             {"control_plane_connected", config_->Connected()},
                             {"quota_connected", QuotaConnected()}};
      if (!reason.empty()) body["reason"] = reason;
      if (snapshot != nullptr) {
        body["snapshot"] = {{"lineage", snapshot->id.lineage()},
                            {"sequence", snapshot->id.sequence()},
                            {"sha256", snapshot->id.sha256()}};
      }
      reply.body = body.dump();
    } else if (target == "/metrics") {
      const std::shared_ptr<const ActiveSnapshot> snapshot = config_->holder().Get();
      metrics_.SetSnapshot(snapshot == nullptr ? 0 : snapshot->id.sequence());
      metrics_.SetStaleness(static_cast<double>(config_->StalenessMicros()) / 1e6);
      const ConfigClient::Counters counters = config_->counters();
      metrics_.SetSnapshotCounts(counters.applied, counters.rejected, counters.save_failures);
      metrics_.SetInFlight(static_cast<double>(InFlightRequests()));
      metrics_.SetQuotaConnected(QuotaConnected());
      metrics_.SetHealth(HealthReport(), health_.counters());
      reply.content_type = "text/plain; version=0.0.4";
      reply.body = metrics_.Serialize() + cache_metrics_->Serialize(cache_->counts());
    } else {
      reply = ErrorReply(404, "unknown_path", "the admin port serves /healthz, /readyz and /metrics");
    }
    co_await exchange.Reply(std::move(reply));
  }

  // Returns when every worker serves the new snapshot, so that an ack means what it says.
  void SwapSnapshot(std::shared_ptr<const ActiveSnapshot> snapshot) {
    health_.Configure(ProvidersOf(*snapshot));
    prober_->Watch(ProvidersOf(*snapshot));
    if (!running_) {
      for (auto& thread : workers_) thread->worker->snapshot = snapshot;
      return;
    }
    OnEveryWorker([snapshot](WorkerThread& thread) { thread.worker->snapshot = snapshot; });
  }

  void StartThread(WorkerThread& thread) {
    thread.server->Start();
    thread.thread = std::thread([&thread] {
      NameThread("worker");
      thread.io.run();
    });
  }

  static void StopThread(WorkerThread& thread) {
    thread.work.reset();
    thread.io.stop();
    if (thread.thread.joinable()) thread.thread.join();
  }

  // Closes every connection; false when a request did not end for all that.
  bool CutRequests() {
    OnEveryWorker([](WorkerThread& thread) {
      thread.worker->stopping = true;
      thread.server->CloseAll();
    });
    return WaitUntilIdle(kCutTimeoutMs);
  }

  // What ended on each worker is on disk then, and on its way to be settled.
  void WriteEnded() {
    OnEveryWorker([](WorkerThread& thread) { thread.worker->ended.Write(); });
  }

  // Runs `work` on every worker's loop; returns when all have done it.
  template <typename Work>
  void OnEveryWorker(const Work& work) {
    auto done = std::make_shared<std::latch>(static_cast<std::ptrdiff_t>(workers_.size()));
    for (auto& thread : workers_) {
      asio::post(thread->io, [thread = thread.get(), work, done] {
        work(*thread);
        done->count_down();
      });
    }
    done->wait();
  }

  static std::vector<std::shared_ptr<const v1::SnapshotProvider>> ProvidersOf(const ActiveSnapshot& snapshot) {
    std::vector<std::shared_ptr<const v1::SnapshotProvider>> providers;
    for (const auto& [gateway, of_gateway] : snapshot.gateways) {
      for (const auto& [name, provider] : of_gateway.providers) providers.push_back(provider);
    }
    return providers;
  }

  std::vector<v1::ProviderStatus> HealthReport() const {
    return health_.Report(Clock::System().MonotonicMicros(), Clock::System().UnixMicros());
  }

  bool QuotaConnected() const {
    return std::all_of(workers_.begin(), workers_.end(), [](const auto& thread) { return thread->quota->Connected(); });
  }

  // What every worker has to settle and to charge is answered. False when `timeout_ms` passed first.
  bool FlushSettlements(int timeout_ms) const {
    const int64_t deadline_us = Clock::System().MonotonicMicros() + int64_t{timeout_ms} * 1'000;
    return std::all_of(workers_.begin(), workers_.end(), [deadline_us](const auto& thread) {
      const int64_t left_us = deadline_us - Clock::System().MonotonicMicros();
      return thread->quota->Flush(static_cast<int>(std::max<int64_t>(left_us, 0) / 1'000));
    });
  }

  int64_t InFlightRequests() const {
    int64_t count = 0;
    for (const auto& thread : workers_) count += thread->in_flight.load(std::memory_order_relaxed);
    return count;
  }

  bool WaitUntilIdle(int timeout_ms) const {
    constexpr int kPollMs = 5;
    for (int waited_ms = 0; InFlightRequests() > 0; waited_ms += kPollMs) {
      if (waited_ms >= timeout_ms) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(kPollMs));
    }
    return true;
  }

  const DataplaneOptions options_;
  const std::string boot_id_;
  ProxyMetrics metrics_;
  ProviderHealth health_;
  std::unique_ptr<HealthProber> prober_;  // on the first worker
  std::unique_ptr<asio::ssl::context> listener_tls_;
  std::unique_ptr<asio::ssl::context> upstream_tls_;
  std::unique_ptr<asio::ssl::context> quota_tls_;  // null: plain text on loopback
  std::unique_ptr<SpendReporter> reporter_;
  std::unique_ptr<ConfigClient> config_;
  std::unique_ptr<AnswerCache> cache_;
  std::unique_ptr<CacheMetrics> cache_metrics_;  // the admin thread's
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  asio::io_context admin_io_{1};
  std::unique_ptr<HttpServer> admin_server_;
  std::thread admin_thread_;
  std::atomic<bool> running_{false};
  std::atomic<bool> draining_{false};
  bool stopped_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Dataplane>> Dataplane::Start(const DataplaneOptions& options) {
  auto dataplane = std::make_unique<ProxyDataplane>(options);
  RETURN_IF_ERROR(dataplane->Begin());
  return std::unique_ptr<Dataplane>(std::move(dataplane));
}

}  // namespace signalbox
