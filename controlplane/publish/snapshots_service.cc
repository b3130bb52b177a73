#include "controlplane/publish/snapshots_service.h"

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/publish/published_content.h"

namespace signalbox {

// Ends itself: gRPC calls OnDone once, after Finish and after every started operation has come back. All state is
// guarded by the service's mutex.
class SnapshotsService::Reactor final : public grpc::ServerBidiReactor<v1::ProxyMessage, v1::ControlMessage> {
 public:
  Reactor(SnapshotsService& service, PublishCore::StreamId id, grpc::CallbackServerContext& context)
      : service_(service), id_(id), context_(context) {}

  // So that the proxy knows it is connected although there may be nothing to offer for hours.
  void Open() SB_REQUIRES(service_.mutex_) {
    StartSendInitialMetadata();
    StartRead(&incoming_);
  }

  // Said by the service once it holds its own mutex: the analysis cannot know that it is service_'s.
  void MutexIsHeld() const SB_TSA(assert_capability(service_.mutex_)) {}

  void Offer(OfferChunks chunks) SB_REQUIRES(service_.mutex_) {
    if (finished_ || !StillAllowed()) return;
    chunks_.emplace(std::move(chunks));
    // The answer to the offer before can overtake the news that its last chunk is written.
    if (!writing_) WriteNext();
  }

  void Close(const absl::Status& status) SB_REQUIRES(service_.mutex_) {
    if (finished_) return;
    finished_ = true;
    chunks_.reset();
    Finish(ToGrpcStatus(status));
    // A silent peer may never take the status: do not leave the call to its mercy.
    if (absl::IsDeadlineExceeded(status)) context_.TryCancel();
  }

  void OnReadDone(bool ok) override {
    MutexLock lock(service_.mutex_);
    if (!ok) {  // the proxy ended the stream, or the connection broke
      service_.core_.OnClosed(id_, service_.clock_.MonotonicMicros());
      Close(absl::OkStatus());
      service_.changed_.NotifyAll();
      return;
    }
    if (finished_ || !StillAllowed()) return;
    const bool answer = incoming_.has_ack() || incoming_.has_nack();
    if (answer && chunks_.has_value()) {
      service_.core_.OnClosed(id_, service_.clock_.MonotonicMicros());
      Close(absl::InvalidArgumentError("snapshot stream: an answer before the offer's last chunk"));
    } else {
      service_.Run(
          service_.core_.OnMessage(id_, incoming_, service_.clock_.MonotonicMicros(), service_.clock_.UnixMicros()));
    }
    service_.changed_.NotifyAll();
    if (!finished_) StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(service_.mutex_);
    writing_ = false;
    if (ok && chunks_.has_value()) WriteNext();  // a failed write ends the read too, which closes the stream
  }

  void OnCancel() override {
    MutexLock lock(service_.mutex_);
    service_.core_.OnClosed(id_, service_.clock_.MonotonicMicros());
    Close(absl::CancelledError("the stream was cancelled"));
    service_.changed_.NotifyAll();
  }

  void OnDone() override {
    {
      MutexLock lock(service_.mutex_);
      service_.core_.OnClosed(id_, service_.clock_.MonotonicMicros());
      service_.reactors_.erase(id_);
      service_.changed_.NotifyAll();
    }
    delete this;
  }

 private:
  // A token revoked meanwhile ends the stream: no offer, which holds secrets, follows.
  bool StillAllowed() SB_REQUIRES(service_.mutex_) {
    const absl::StatusOr<Caller> caller = Authorize(context_, service_.tokens_, Role::kProxy);
    if (caller.ok()) return true;
    service_.core_.OnClosed(id_, service_.clock_.MonotonicMicros());
    Close(caller.status());
    service_.changed_.NotifyAll();
    return false;
  }

  // The offer counts as under way until its last chunk is handed to gRPC: an answer can come right after.
  void WriteNext() SB_REQUIRES(service_.mutex_) {
    *outgoing_.mutable_offer() = chunks_->Next();
    if (chunks_->done()) chunks_.reset();
    writing_ = true;
    StartWrite(&outgoing_);
  }

  SnapshotsService& service_;
  const PublishCore::StreamId id_;
  grpc::CallbackServerContext& context_;
  v1::ProxyMessage incoming_;
  v1::ControlMessage outgoing_;
  std::optional<OfferChunks> chunks_ SB_GUARDED_BY(service_.mutex_);  // what is left to write of the offer under way
  bool writing_ SB_GUARDED_BY(service_.mutex_) = false;
  bool finished_ SB_GUARDED_BY(service_.mutex_) = false;
};

namespace {

// Refuses a call before it became a stream.
class RefusingReactor final : public grpc::ServerBidiReactor<v1::ProxyMessage, v1::ControlMessage> {
 public:
  explicit RefusingReactor(const absl::Status& status) { Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

SnapshotsService::~SnapshotsService() {
  MutexLock lock(mutex_);
  while (!reactors_.empty()) changed_.Wait(mutex_);
}

grpc::ServerBidiReactor<v1::ProxyMessage, v1::ControlMessage>* SnapshotsService::Stream(
    grpc::CallbackServerContext* context) {
  const absl::StatusOr<Caller> caller = Authorize(*context, tokens_, Role::kProxy);
  if (!caller.ok()) return new RefusingReactor(caller.status());
  MutexLock lock(mutex_);
  if (shut_down_) return new RefusingReactor(absl::UnavailableError("the control plane is stopping"));
  const PublishCore::StreamId id = ++last_stream_;
  auto* reactor = new Reactor(*this, id, *context);
  reactors_[id] = reactor;
  core_.OnOpened(id, clock_.MonotonicMicros());
  reactor->MutexIsHeld();
  reactor->Open();
  return reactor;
}

void SnapshotsService::Run(PublishCore::Actions actions) {
  for (PublishCore::Action& action : actions) {
    const auto found = reactors_.find(action.stream);
    if (found == reactors_.end()) continue;
    Reactor* const reactor = found->second;
    reactor->MutexIsHeld();
    if (action.content == nullptr) {
      reactor->Close(action.close);
    } else if (action.change != nullptr) {
      reactor->Offer(OfferChunks(action.nonce, std::move(action.content), std::move(action.change)));
    } else {
      reactor->Offer(OfferChunks(action.nonce, std::move(action.content), std::move(action.blobs)));
    }
  }
}

void SnapshotsService::Remember(const std::vector<std::string>& proxy_ids) {
  MutexLock lock(mutex_);
  core_.OnRemembered(proxy_ids, clock_.MonotonicMicros());
}

void SnapshotsService::Publish(std::shared_ptr<const PublishedContent> content) {
  MutexLock lock(mutex_);
  if (shut_down_) return;
  Run(core_.OnPublished(std::move(content), clock_.MonotonicMicros()));
  changed_.NotifyAll();
}

void SnapshotsService::Tick() {
  MutexLock lock(mutex_);
  Run(core_.OnTick(clock_.MonotonicMicros()));
}

void SnapshotsService::Shutdown() {
  MutexLock lock(mutex_);
  shut_down_ = true;
  for (const auto& [id, reactor] : reactors_) {
    reactor->MutexIsHeld();
    reactor->Close(absl::UnavailableError("the control plane is stopping"));
  }
  changed_.NotifyAll();
}

std::vector<v1::ProxyStatus> SnapshotsService::Fleet() const {
  MutexLock lock(mutex_);
  return core_.Fleet();
}

std::vector<v1::ProviderStatus> SnapshotsService::ProviderStatuses(const std::string& gateway) const {
  MutexLock lock(mutex_);
  return core_.ProviderStatuses(gateway);
}

v1::SnapshotId SnapshotsService::Published() const {
  MutexLock lock(mutex_);
  return core_.published() == nullptr ? v1::SnapshotId() : core_.published()->snapshot.id;
}

absl::Status SnapshotsService::WaitForProxy(const std::string& proxy_id, int64_t sequence, int wait_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  MutexLock lock(mutex_);
  for (bool in_time = true;;) {
    const PublishCore::Progress progress = core_.ProgressOf(sequence, clock_.MonotonicMicros());
    for (const v1::ProxyResult& result : progress.results) {
      if (result.proxy_id() != proxy_id) continue;
      if (result.state() == v1::ProxyResult::APPLIED) return absl::OkStatus();
      if (result.state() == v1::ProxyResult::REJECTED) {
        return absl::FailedPreconditionError(
            absl::StrCat("proxy ", proxy_id, " refused the newest snapshot; GET /v1/proxies says why"));
      }
    }
    if (!in_time || shut_down_) {
      return absl::UnavailableError(absl::StrCat("proxy ", proxy_id, " did not take the newest snapshot in time"));
    }
    in_time = changed_.WaitUntil(mutex_, deadline);
  }
}

std::vector<v1::ProxyResult> SnapshotsService::WaitForFleet(int64_t sequence, int wait_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  MutexLock lock(mutex_);
  for (bool in_time = true;;) {
    PublishCore::Progress progress = core_.ProgressOf(sequence, clock_.MonotonicMicros());
    if (progress.complete || !in_time || shut_down_) return std::move(progress.results);
    in_time = changed_.WaitUntil(mutex_, deadline);
  }
}

}  // namespace signalbox
