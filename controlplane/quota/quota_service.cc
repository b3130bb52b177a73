#include "controlplane/quota/quota_service.h"

#include <glog/logging.h>

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/mutex.h"
#include "common/status_macros.h"
#include "controlplane/quota/memory_quota_store.h"
#include "controlplane/quota/quota_engine.h"
#include "controlplane/quota/quota_session.h"
#include "controlplane/quota/redis_quota_backend.h"
#include "controlplane/quota/sqlite_quota_store.h"
#include "signalbox/v1/quota.grpc.pb.h"

namespace signalbox {
namespace {

class QuotaService final : public v1::Quota::CallbackService {
 public:
  QuotaService(QuotaBackend& backend, const TokenAuthority& authority) : backend_(backend), authority_(authority) {}

  grpc::ServerBidiReactor<v1::QuotaRequest, v1::QuotaResponse>* Session(grpc::CallbackServerContext* context) override {
    const auto allowed = [this, context] { return Authorize(*context, authority_, Role::kProxy).status(); };
    auto session = std::make_shared<QuotaSession>(backend_, allowed, [this](QuotaSession* done) {
      MutexLock lock(mutex_);
      sessions_.erase(done);
    });
    if (const absl::Status status = allowed(); !status.ok()) {
      session->Refuse(ToGrpcStatus(status));
      return session.get();
    }
    {
      MutexLock lock(mutex_);
      if (!closed_) {
        sessions_.emplace(session.get(), session);
        session->Start();
        return session.get();
      }
    }
    session->Refuse(ShuttingDown());
    return session.get();
  }

  grpc::ServerUnaryReactor* GetCounter(grpc::CallbackServerContext* context, const v1::GetCounterRequest* request,
                                       v1::Counter* response) override {
    return Answer(context, Role::kProxy, response,
                  [this, request](auto done) { backend_.GetCounter(request->counter(), std::move(done)); });
  }

  grpc::ServerUnaryReactor* ListCounters(grpc::CallbackServerContext* context, const v1::ListCountersRequest* request,
                                         v1::ListCountersResponse* response) override {
    return Answer(context, Role::kProxy, response,
                  [this, request](auto done) { backend_.ListCounters(*request, std::move(done)); });
  }

  grpc::ServerUnaryReactor* ListSuspense(grpc::CallbackServerContext* context, const v1::ListSuspenseRequest* request,
                                         v1::ListSuspenseResponse* response) override {
    return Answer(context, Role::kProxy, response,
                  [this, request](auto done) { backend_.ListSuspense(*request, std::move(done)); });
  }

  grpc::ServerUnaryReactor* ListAdjustments(grpc::CallbackServerContext* context,
                                            const v1::ListAdjustmentsRequest* request,
                                            v1::ListAdjustmentsResponse* response) override {
    return Answer(context, Role::kAdmin, response,
                  [this, request](auto done) { backend_.ListAdjustments(*request, std::move(done)); });
  }

  grpc::ServerUnaryReactor* AdjustCounter(grpc::CallbackServerContext* context, const v1::AdjustCounterRequest* request,
                                          v1::Adjustment* response) override {
    return Answer(context, Role::kAdmin, response,
                  [this, request](auto done) { backend_.AdjustCounter(*request, std::move(done)); });
  }

  grpc::ServerUnaryReactor* GetQuotaStatus(grpc::CallbackServerContext* context, const v1::GetQuotaStatusRequest*,
                                           v1::GetQuotaStatusResponse* response) override {
    return Answer(context, Role::kProxy, response, [this](auto done) {
      const QuotaBackend::Counts& counts = backend_.counts();
      v1::GetQuotaStatusResponse status;
      status.set_counters(counts.counters);
      status.set_holds(counts.requests);
      status.set_sessions(sessions());
      status.set_decisions(counts.decisions);
      status.set_store(backend_.store());
      status.set_durability(backend_.durability());
      done(std::move(status));
    });
  }

  int64_t sessions() const {
    MutexLock lock(mutex_);
    return static_cast<int64_t>(sessions_.size());
  }

  // New sessions are refused from now on; those open end once what they asked is answered.
  void CloseSessions() {
    std::vector<std::shared_ptr<QuotaSession>> open;
    {
      MutexLock lock(mutex_);
      closed_ = true;
      for (const auto& [raw, session] : sessions_) open.push_back(session);
    }
    for (const auto& session : open) session->Close(ShuttingDown());
  }

 private:
  static grpc::Status ShuttingDown() {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the quota service is shutting down");
  }

  // Answers a unary call with what `ask` is done with.
  template <typename Response, typename Ask>
  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, Role role, Response* response, Ask ask) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (const auto caller = Authorize(*context, authority_, role); !caller.ok()) {
      reactor->Finish(ToGrpcStatus(caller.status()));
      return reactor;
    }
    ask([reactor, response](absl::StatusOr<Response> answer) {
      if (answer.ok()) *response = *std::move(answer);
      reactor->Finish(ToGrpcStatus(answer.status()));
    });
    return reactor;
  }

  QuotaBackend& backend_;
  const TokenAuthority& authority_;
  mutable Mutex mutex_;
  bool closed_ SB_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<QuotaSession*, std::shared_ptr<QuotaSession>> sessions_ SB_GUARDED_BY(mutex_);
};

class GrpcQuotaHost final : public QuotaHost {
 public:
  GrpcQuotaHost(std::unique_ptr<QuotaBackend> backend, const TokenAuthority& authority)
      : backend_(std::move(backend)), service_(*backend_, authority) {}
  ~GrpcQuotaHost() override { Shutdown(); }

  grpc::Service* service() override { return &service_; }

  QuotaHostMetrics metrics() const override {
    const QuotaBackend::Counts& counts = backend_->counts();
    QuotaHostMetrics metrics;
    metrics.decisions = counts.decisions;
    metrics.batches = counts.batches;
    metrics.sessions = service_.sessions();
    metrics.counters = counts.counters;
    metrics.holds = counts.requests;
    metrics.store_failures = counts.store_failures;
    metrics.clock_jumps = counts.clock_jumps;
    return metrics;
  }

  absl::Status BackupTo(const std::string& path) override { return backend_->BackupTo(path); }

  void Shutdown() override {
    service_.CloseSessions();
    backend_->Stop();
  }

 private:
  const std::unique_ptr<QuotaBackend> backend_;
  QuotaService service_;
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

absl::StatusOr<std::unique_ptr<QuotaBackend>> OpenBackend(const QuotaHostOptions& options) {
  if (options.store.starts_with("redis://")) {
    RedisQuotaOptions redis;
    redis.url = options.store;
    redis.clock = options.clock;
    redis.report = Report;
    return OpenRedisQuotaBackend(std::move(redis));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<QuotaStore> store, OpenStore(options));
  return QuotaEngine::Open(std::move(store), *options.clock, Report, options.compact_after_bytes);
}

}  // namespace

absl::StatusOr<std::unique_ptr<QuotaHost>> QuotaHost::Open(QuotaHostOptions options, const TokenAuthority& authority) {
  ASSIGN_OR_RETURN(std::unique_ptr<QuotaBackend> backend, OpenBackend(options));
  return std::unique_ptr<QuotaHost>(std::make_unique<GrpcQuotaHost>(std::move(backend), authority));
}

}  // namespace signalbox
