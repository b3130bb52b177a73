#include "controlplane/quota/quota_service.h"

#include <glog/logging.h>

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/mutex.h"
#include "common/status_macros.h"
#include "controlplane/quota/memory_quota_store.h"
#include "controlplane/quota/quota_engine.h"
#include "controlplane/quota/quota_session.h"
#include "controlplane/quota/redis_quota_backend.h"
#include "controlplane/quota/sqlite_quota_store.h"
#include "controlplane/quota/unary_call.h"
#include "signalbox/v1/quota.grpc.pb.h"

namespace signalbox {
namespace {

class GrpcQuotaHost final : public QuotaHost, private QuotaSession::Host {
 public:
  GrpcQuotaHost(std::unique_ptr<CallLoop> loop, std::unique_ptr<QuotaBackend> backend, const TokenAuthority& authority,
                bool tokens_may_be_revoked)
      : authority_(authority),
        tokens_may_be_revoked_(tokens_may_be_revoked),
        loop_(std::move(loop)),
        backend_(std::move(backend)) {}
  ~GrpcQuotaHost() override {
    Shutdown();
    Drain();
  }

  void Register(grpc::ServerBuilder& builder) override {
    loop_->AddTo(builder);
    builder.RegisterService(&service_);
  }

  void Start() override {
    QuotaSession::Await(*loop_, service_, *backend_, *this);
    Serve(&Service::RequestGetCounter, Role::kProxy,
          [this](const v1::GetCounterRequest& request, auto done) { backend_->GetCounter(request.counter(), done); });
    Serve(&Service::RequestListCounters, Role::kProxy,
          [this](const v1::ListCountersRequest& request, auto done) { backend_->ListCounters(request, done); });
    Serve(&Service::RequestListSuspense, Role::kProxy,
          [this](const v1::ListSuspenseRequest& request, auto done) { backend_->ListSuspense(request, done); });
    Serve(&Service::RequestListAdjustments, Role::kAdmin,
          [this](const v1::ListAdjustmentsRequest& request, auto done) { backend_->ListAdjustments(request, done); });
    Serve(&Service::RequestAdjustCounter, Role::kAdmin,
          [this](const v1::AdjustCounterRequest& request, auto done) { backend_->AdjustCounter(request, done); });
    Serve(&Service::RequestGetQuotaStatus, Role::kProxy,
          [this](const v1::GetQuotaStatusRequest&, auto done) { done(Status()); });
    loop_->Start([this] { return backend_->Turn(); });
  }

  CallLoop& loop() override { return *loop_; }

  QuotaHostMetrics metrics() const override {
    const QuotaBackend::Counts& counts = backend_->counts();
    QuotaHostMetrics metrics;
    metrics.decisions = counts.decisions;
    metrics.batches = counts.batches;
    metrics.sessions = Sessions();
    metrics.counters = counts.counters;
    metrics.holds = counts.requests;
    metrics.store_failures = counts.store_failures;
    metrics.clock_jumps = counts.clock_jumps;
    return metrics;
  }

  absl::Status BackupTo(const std::string& path) override { return backend_->BackupTo(path); }

  // New sessions are refused from now on; those open end once what they asked is answered.
  void Shutdown() override {
    {
      MutexLock lock(mutex_);
      closed_ = true;
      for (QuotaSession* const session : sessions_) session->Close(ShuttingDown());
    }
    backend_->Stop();
  }

  void Drain() override { loop_->Drain(); }

 private:
  using Service = QuotaSession::Service;

  static grpc::Status ShuttingDown() {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the quota service is shutting down");
  }

  grpc::Status OnStart(QuotaSession& session, const grpc::ServerContext& context) override {
    if (const auto caller = Authorize(context, authority_, Role::kProxy); !caller.ok()) {
      return ToGrpcStatus(caller.status());
    }
    MutexLock lock(mutex_);
    if (closed_) return ShuttingDown();
    sessions_.insert(&session);
    return grpc::Status::OK;
  }
  void OnEnd(QuotaSession& session) override {
    MutexLock lock(mutex_);
    sessions_.erase(&session);
  }
  absl::Status Allowed(const grpc::ServerContext& context) override {
    return tokens_may_be_revoked_ ? Authorize(context, authority_, Role::kProxy).status() : absl::OkStatus();
  }

  // Answers a unary method with what `ask` is done with.
  template <typename Owner, typename Request, typename Response, typename Ask>
  void Serve(void (Owner::*request)(grpc::ServerContext*, Request*, grpc::ServerAsyncResponseWriter<Response>*,
                                    grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*),
             Role role, Ask ask) {
    using Call = UnaryCall<Request, Response>;
    typename Call::Method method;
    method.request = [this, request](grpc::ServerContext* context, Request* message, typename Call::Writer* writer,
                                     grpc::ServerCompletionQueue* queue,
                                     void* tag) { (service_.*request)(context, message, writer, queue, queue, tag); };
    method.answer = [this, role, ask](const grpc::ServerContext& context, const Request& message,
                                      typename Call::Done done) {
      if (const auto caller = Authorize(context, authority_, role); !caller.ok()) return done(caller.status());
      ask(message, std::move(done));
    };
    Call::Serve(*loop_, std::move(method));
  }

  v1::GetQuotaStatusResponse Status() const {
    const QuotaBackend::Counts& counts = backend_->counts();
    v1::GetQuotaStatusResponse status;
    status.set_counters(counts.counters);
    status.set_holds(counts.requests);
    status.set_sessions(Sessions());
    status.set_decisions(counts.decisions);
    status.set_store(backend_->store());
    status.set_durability(backend_->durability());
    return status;
  }

  int64_t Sessions() const {
    MutexLock lock(mutex_);
    return static_cast<int64_t>(sessions_.size());
  }

  const TokenAuthority& authority_;
  const bool tokens_may_be_revoked_;
  Service service_;
  mutable Mutex mutex_;  // before a session's
  bool closed_ SB_GUARDED_BY(mutex_) = false;
  absl::flat_hash_set<QuotaSession*> sessions_ SB_GUARDED_BY(mutex_);  // those that were let in
  const std::unique_ptr<CallLoop> loop_;
  const std::unique_ptr<QuotaBackend> backend_;
};

void Report(const std::string& text) { LOG(ERROR) << "quota: " << text; }

absl::StatusOr<std::unique_ptr<QuotaStore>> OpenStore(const QuotaHostOptions& options) {
  if (options.store == "memory") return NewMemoryQuotaStore();
  if (options.store != "sqlite") {
    return absl::InvalidArgumentError(
        absl::StrCat("the quota store \"", options.store, "\" is not known; known: sqlite, redis://host:port, memory"));
  }
  std::error_code error;
  const std::filesystem::path directory(options.data_dir);
  if (std::filesystem::create_directories(directory, error)) {
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
  }
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot use the data directory ", options.data_dir, ": ", error.message()));
  }
  return OpenSqliteQuotaStore((directory / "quota.db").string(), options.durability);
}

absl::StatusOr<std::unique_ptr<QuotaBackend>> OpenBackend(const QuotaHostOptions& options, QuotaEngine::Wake wake) {
  if (options.store.starts_with("redis://")) {
    RedisQuotaOptions redis;
    redis.url = options.store;
    redis.clock = options.clock;
    redis.report = Report;
    return OpenRedisQuotaBackend(std::move(redis));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<QuotaStore> store, OpenStore(options));
  return QuotaEngine::Open(std::move(store), *options.clock, Report, options.compact_after_bytes, std::move(wake));
}

}  // namespace

absl::StatusOr<std::unique_ptr<QuotaHost>> QuotaHost::Open(QuotaHostOptions options, const TokenAuthority& authority) {
  auto loop = std::make_unique<CallLoop>();
  ASSIGN_OR_RETURN(std::unique_ptr<QuotaBackend> backend, OpenBackend(options, [raw = loop.get()] { raw->Wake(); }));
  return std::unique_ptr<QuotaHost>(
      std::make_unique<GrpcQuotaHost>(std::move(loop), std::move(backend), authority, options.tokens_may_be_revoked));
}

}  // namespace signalbox
