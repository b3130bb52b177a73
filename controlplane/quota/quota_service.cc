#include "controlplane/quota/quota_service.h"

#include <glog/logging.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <future>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/mutex.h"
#include "common/status_macros.h"
#include "controlplane/quota/quota_engine.h"
#include "controlplane/quota/quota_session.h"
#include "controlplane/quota/sqlite_quota_store.h"
#include "signalbox/v1/quota.grpc.pb.h"

namespace signalbox {
namespace {

class QuotaService final : public v1::Quota::CallbackService {
 public:
  QuotaService(QuotaEngine& engine, const TokenAuthority& authority) : engine_(engine), authority_(authority) {}

  grpc::ServerBidiReactor<v1::QuotaRequest, v1::QuotaResponse>* Session(grpc::CallbackServerContext* context) override {
    const auto allowed = [this, context] { return Authorize(*context, authority_, Role::kProxy).status(); };
    auto session = std::make_shared<QuotaSession>(engine_, allowed, [this](QuotaSession* done) {
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

  grpc::ServerUnaryReactor* ListSuspense(grpc::CallbackServerContext* context, const v1::ListSuspenseRequest* request,
                                         v1::ListSuspenseResponse* response) override {
    return Answer(context, [request, response](const QuotaCore& core, int64_t) {
      const int size = request->page_size() > 0 ? std::min(request->page_size(), kPageSizeMax) : kPageSizeDefault;
      for (v1::SuspendedHold& hold : core.Suspense(request->after_sequence(), size)) {
        *response->add_holds() = std::move(hold);
      }
      return absl::OkStatus();
    });
  }

  grpc::ServerUnaryReactor* GetCounter(grpc::CallbackServerContext* context, const v1::GetCounterRequest* request,
                                       v1::GetCounterResponse* response) override {
    return Answer(context, [request, response](const QuotaCore& core, int64_t now_us) {
      QuotaCore::CounterView view;
      RETURN_IF_ERROR(core.Read(request->counter(), now_us, view));
      response->set_settled(view.settled);
      response->set_held(view.held);
      response->set_suspense(view.suspense);
      response->set_reset_us(view.reset_us);
      return absl::OkStatus();
    });
  }

  grpc::ServerUnaryReactor* GetQuotaStatus(grpc::CallbackServerContext* context, const v1::GetQuotaStatusRequest*,
                                           v1::GetQuotaStatusResponse* response) override {
    return Answer(context, [this, response](const QuotaCore& core, int64_t) {
      response->set_counters(static_cast<int64_t>(core.counters()));
      response->set_holds(static_cast<int64_t>(core.requests()));
      response->set_sessions(sessions());
      response->set_decisions(engine_.counts().decisions);
      response->set_store(engine_.store().name());
      response->set_durability(engine_.store().durability() == Durability::kPower ? "power" : "process");
      return absl::OkStatus();
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

  // Answers a unary call from committed state, on the engine's thread.
  template <typename Fill>
  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, Fill fill) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (const auto caller = Authorize(*context, authority_, Role::kProxy); !caller.ok()) {
      reactor->Finish(ToGrpcStatus(caller.status()));
      return reactor;
    }
    engine_.Read([reactor, fill](absl::StatusOr<const QuotaCore*> core, int64_t now_us) {
      reactor->Finish(ToGrpcStatus(core.ok() ? fill(**core, now_us) : core.status()));
    });
    return reactor;
  }

  QuotaEngine& engine_;
  const TokenAuthority& authority_;
  mutable Mutex mutex_;
  bool closed_ SB_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<QuotaSession*, std::shared_ptr<QuotaSession>> sessions_ SB_GUARDED_BY(mutex_);
};

class GrpcQuotaHost final : public QuotaHost {
 public:
  GrpcQuotaHost(std::unique_ptr<QuotaEngine> engine, const TokenAuthority& authority)
      : engine_(std::move(engine)), service_(*engine_, authority) {}
  ~GrpcQuotaHost() override { Shutdown(); }

  grpc::Service* service() override { return &service_; }

  QuotaHostMetrics metrics() const override {
    const QuotaEngine::Counts& counts = engine_->counts();
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

  // Step by step on the engine's thread, which decides in between.
  absl::Status BackupTo(const std::string& path) override {
    std::function<absl::StatusOr<bool>()> step;
    while (true) {
      std::promise<absl::StatusOr<bool>> complete;
      engine_->Read([&](absl::StatusOr<const QuotaCore*> core, int64_t) {
        if (!core.ok()) return complete.set_value(core.status());
        if (step) return complete.set_value(step());
        auto started = engine_->store().StartBackup(path);
        if (started.ok()) step = *std::move(started);
        complete.set_value(started.ok() ? absl::StatusOr<bool>(false) : started.status());
      });
      const absl::StatusOr<bool> done = complete.get_future().get();
      RETURN_IF_ERROR(done.status());
      if (*done) return absl::OkStatus();
    }
  }

  void Shutdown() override {
    service_.CloseSessions();
    engine_->Stop();
  }

 private:
  const std::unique_ptr<QuotaEngine> engine_;
  QuotaService service_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<QuotaHost>> QuotaHost::Open(QuotaHostOptions options, const TokenAuthority& authority) {
  std::error_code error;
  const std::filesystem::path directory(options.data_dir);
  if (std::filesystem::create_directories(directory, error)) {
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
  }
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot use the data directory ", options.data_dir, ": ", error.message()));
  }
  ASSIGN_OR_RETURN(auto store, OpenSqliteQuotaStore((directory / "quota.db").string(), options.durability));
  ASSIGN_OR_RETURN(auto engine, QuotaEngine::Open(std::move(store), *options.clock,
                                                  [](const std::string& text) { LOG(ERROR) << "quota: " << text; }));
  return std::unique_ptr<QuotaHost>(std::make_unique<GrpcQuotaHost>(std::move(engine), authority));
}

}  // namespace signalbox
