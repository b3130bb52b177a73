// One proxy's stream on the server's side: reads ahead of the engine within bounds, writes its answers, one write
// outstanding. Lives until gRPC is done with it and no answer is under way. gRPC's and the engine's threads.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/mutex.h"
#include "controlplane/quota/quota_backend.h"
#include "signalbox/v1/quota.pb.h"

namespace signalbox {

class QuotaSession : public grpc::ServerBidiReactor<v1::QuotaRequest, v1::QuotaResponse>,
                     public std::enable_shared_from_this<QuotaSession> {
 public:
  // `allowed` is asked for every message, so that a token revoked meanwhile ends the session. `on_done` is called last,
  // once.
  QuotaSession(QuotaBackend& backend, std::function<absl::Status()> allowed, std::function<void(QuotaSession*)> on_done)
      : backend_(backend), allowed_(std::move(allowed)), on_done_(std::move(on_done)) {}

  void Start();
  void Refuse(const grpc::Status& status);  // instead of Start
  // Reads no more, writes what is decided, then finishes with `status`.
  void Close(const grpc::Status& status);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  std::string TakeIds() SB_REQUIRES(mutex_);
  void Answered(const absl::Status& status, std::unique_ptr<QuotaExchange> exchange);
  void Pump() SB_REQUIRES(mutex_);  // writes, reads on or finishes, whatever is next

  QuotaBackend& backend_;
  const std::function<absl::Status()> allowed_;
  const std::function<void(QuotaSession*)> on_done_;
  std::unique_ptr<QuotaExchange> incoming_;
  // Written in one message, the first one's: it borrows the answers of the others.
  std::vector<std::unique_ptr<QuotaExchange>> outgoing_;
  std::shared_ptr<QuotaSession> self_;

  Mutex mutex_;
  std::string proxy_id_ SB_GUARDED_BY(mutex_);
  std::string boot_id_ SB_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<QuotaExchange>> unsent_ SB_GUARDED_BY(mutex_);
  grpc::Status status_ SB_GUARDED_BY(mutex_);
  int in_engine_ SB_GUARDED_BY(mutex_) = 0;
  bool reading_ SB_GUARDED_BY(mutex_) = false;
  bool writing_ SB_GUARDED_BY(mutex_) = false;
  bool closing_ SB_GUARDED_BY(mutex_) = false;
  bool broken_ SB_GUARDED_BY(mutex_) = false;
  bool finished_ SB_GUARDED_BY(mutex_) = false;
};

}  // namespace signalbox
