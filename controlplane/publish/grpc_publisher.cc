#include "controlplane/publish/grpc_publisher.h"

#include <glog/logging.h>

#include <chrono>
#include <thread>
#include <utility>

#include "common/limits.h"
#include "common/mutex.h"
#include "controlplane/publish/fleet_service.h"
#include "controlplane/publish/published_content.h"
#include "controlplane/publish/snapshots_service.h"

namespace signalbox {
namespace {

constexpr std::chrono::microseconds kTick{1'000'000};

class ThreadedGrpcPublisher final : public GrpcPublisher {
 public:
  ThreadedGrpcPublisher(const SnapshotSource& source, const TokenAuthority& tokens, const Clock& clock,
                        FleetMemory memory)
      : source_(source),
        clock_(clock),
        remember_(std::move(memory.remember)),
        remembered_(std::move(memory.known)),
        snapshots_(tokens, clock),
        fleet_(snapshots_, tokens, [this] { AwaitPublished(); }) {
    snapshots_.Remember(remembered_);
  }
  ~ThreadedGrpcPublisher() override { Shutdown(); }

  std::vector<grpc::Service*> services() override { return {&snapshots_, &fleet_}; }

  void Start() override {
    {
      MutexLock lock(mutex_);
      dirty_ = true;
      committed_us_ = clock_.MonotonicMicros();
      // What is there at the start has waited long enough.
      publish_at_ = std::chrono::steady_clock::now();
    }
    thread_ = std::thread([this] { PublishUntilStopped(); });
  }

  void Shutdown() override {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      wake_.NotifyAll();
    }
    if (thread_.joinable()) thread_.join();
    snapshots_.Shutdown();
  }

  void OnCommitted() override {
    MutexLock lock(mutex_);
    if (dirty_) return;  // travels with the one before
    dirty_ = true;
    committed_us_ = clock_.MonotonicMicros();
    publish_at_ = std::chrono::steady_clock::now() + std::chrono::microseconds(kDebounceUs);
    wake_.NotifyAll();
  }

  std::vector<v1::ProxyResult> WaitForFleet(int64_t sequence, int wait_ms) override {
    return snapshots_.WaitForFleet(sequence, wait_ms);
  }
  absl::Status WaitForProxy(const std::string& proxy_id, int64_t sequence, int wait_ms) override {
    return snapshots_.WaitForProxy(proxy_id, sequence, wait_ms);
  }
  std::vector<v1::ProxyStatus> Fleet() const override { return snapshots_.Fleet(); }
  std::vector<v1::ProviderStatus> ProviderStatuses(const std::string& gateway) const override {
    return snapshots_.ProviderStatuses(gateway);
  }

 private:
  void PublishUntilStopped() {
    auto tick_at = std::chrono::steady_clock::now() + kTick;
    while (true) {
      bool publish = false;
      int64_t committed_us = 0;
      {
        MutexLock lock(mutex_);
        if (stopping_) return;
        const auto now = std::chrono::steady_clock::now();
        publish = dirty_ && publish_at_ <= now;
        if (!publish && now < tick_at) {
          wake_.WaitUntil(mutex_, dirty_ ? std::min(publish_at_, tick_at) : tick_at);
          continue;
        }
        if (publish) dirty_ = false;  // a commit from here on is another publication
        publishing_ = publish;
        committed_us = committed_us_;
      }
      if (publish && !Publish(committed_us)) PublishAgainLater(committed_us);
      if (publish) {
        MutexLock lock(mutex_);
        publishing_ = false;
        wake_.NotifyAll();
      }
      if (std::chrono::steady_clock::now() >= tick_at) {
        snapshots_.Tick();
        RememberFleet();
        tick_at = std::chrono::steady_clock::now() + kTick;
      }
    }
  }

  // Not for longer than a moment: what cannot be published is another matter.
  void AwaitPublished() {
    const auto deadline = std::chrono::steady_clock::now() + kTick;
    MutexLock lock(mutex_);
    while ((dirty_ || publishing_) && !stopping_ && wake_.WaitUntil(mutex_, deadline)) {
    }
  }

  void RememberFleet() {
    if (!remember_) return;
    std::vector<std::string> known;
    for (const v1::ProxyStatus& proxy : snapshots_.Fleet()) known.push_back(proxy.proxy_id());
    if (known == remembered_) return;
    if (const absl::Status status = remember_(known); !status.ok()) {
      LOG_EVERY_N(WARNING, 60) << "cannot write down which proxies there are: " << status;
      return;
    }
    remembered_ = std::move(known);
  }

  bool Publish(int64_t committed_us) {
    absl::StatusOr<std::shared_ptr<const PublishedContent>> content =
        ReadContent(source_, content_.get(), committed_us);
    if (!content.ok()) {
      LOG(ERROR) << "cannot read the snapshot to publish, proxies keep the one before: " << content.status();
      return false;
    }
    content_ = *std::move(content);
    snapshots_.Publish(content_);
    return true;
  }

  void PublishAgainLater(int64_t committed_us) {
    MutexLock lock(mutex_);
    dirty_ = true;
    committed_us_ = committed_us;
    publish_at_ = std::chrono::steady_clock::now() + kTick;
  }

  const SnapshotSource& source_;
  const Clock& clock_;
  const std::function<absl::Status(const std::vector<std::string>&)> remember_;
  std::vector<std::string> remembered_;  // the publishing thread's, once it runs
  SnapshotsService snapshots_;
  FleetService fleet_;
  std::shared_ptr<const PublishedContent> content_;  // the publishing thread's
  Mutex mutex_;
  CondVar wake_;
  bool dirty_ SB_GUARDED_BY(mutex_) = false;
  bool publishing_ SB_GUARDED_BY(mutex_) = false;
  int64_t committed_us_ SB_GUARDED_BY(mutex_) = 0;  // monotonic: the first commit not yet published
  std::chrono::steady_clock::time_point publish_at_ SB_GUARDED_BY(mutex_);
  bool stopping_ SB_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<GrpcPublisher> NewGrpcPublisher(const SnapshotSource& source, const TokenAuthority& tokens,
                                                const Clock& clock, FleetMemory memory) {
  return std::make_unique<ThreadedGrpcPublisher>(source, tokens, clock, std::move(memory));
}

}  // namespace signalbox
