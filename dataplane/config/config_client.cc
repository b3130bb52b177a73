#include "dataplane/config/config_client.h"

#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/faults.h"
#include "common/mutex.h"
#include "common/status_macros.h"
#include "common/thread_name.h"
#include "dataplane/config/last_known_good.h"
#include "dataplane/config/offer_assembler.h"
#include "dataplane/config/snapshot_builder.h"
#include "dataplane/config/snapshot_client.h"
#include "dataplane/config/snapshot_slot.h"

namespace signalbox {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr int64_t kBackoffUsMin = 50'000;
constexpr int64_t kBackoffUsMax = 2'000'000;
constexpr size_t kHaveMax = 100'000;  // hashes in a Hello, which must stay below gRPC's message limit

// Everything that decides runs on one thread, in the order: receive, build, swap, save, answer.
class StreamingConfigClient final : public ConfigClient {
 public:
  StreamingConfigClient(ConfigClientOptions options, LastKnownGood kept)
      : options_(std::move(options)), kept_(std::move(kept)), random_(std::random_device{}()) {
    heard_us_ = options_.clock->UnixMicros();
    LoadKept();
  }
  ~StreamingConfigClient() override { Stop(); }

  SnapshotHolder& holder() override { return slot_; }

  void Start() override {
    thread_ = std::thread([this] { Run(); });
  }

  void Stop() override {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.NotifyAll();
    }
    if (thread_.joinable()) thread_.join();
  }

  bool WaitForFirst(int timeout_ms) override {
    const SteadyTime deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    MutexLock lock(mutex_);
    while (slot_.Get() == nullptr && !stopping_) {
      if (!changed_.WaitUntil(mutex_, deadline)) break;
    }
    return slot_.Get() != nullptr;
  }

  bool Connected() const override {
    MutexLock lock(mutex_);
    return connected_;
  }
  int64_t StalenessMicros() const override {
    MutexLock lock(mutex_);
    return connected_ ? 0 : std::max<int64_t>(0, options_.clock->UnixMicros() - heard_us_);
  }
  Counters counters() const override {
    MutexLock lock(mutex_);
    return counters_;
  }

 private:
  void LoadKept() {
    LastKnownGood::Loaded loaded = kept_.Load(kSchema);
    for (const absl::Status& failure : loaded.failures) LOG(ERROR) << failure.message() << "; going on without it";
    if (loaded.snapshot == nullptr) return;
    live_ = loaded.snapshot;
    {
      MutexLock lock(mutex_);
      heard_us_ = loaded.saved_us;
    }
    LOG(INFO) << "serving snapshot " << live_->active->id.sequence() << " from disk until the control plane is heard";
    slot_.Swap(live_->active);
  }

  void Run() {
    NameThread("config client");
    int64_t backoff_us = kBackoffUsMin;
    while (!Stopping()) {
      const bool was_connected = RunStream();
      if (unkept_) Keep();
      backoff_us = was_connected ? kBackoffUsMin : std::min(backoff_us * 2, kBackoffUsMax);
      // Half of it at random: a fleet that lost its control plane must not come back in step.
      SleepUnlessStopping(backoff_us / 2 + std::uniform_int_distribution<int64_t>(0, backoff_us / 2)(random_));
    }
  }

  // From opening to the end of one stream; whether the control plane took it.
  bool RunStream() {
    SnapshotStream stream(options_.channel, options_.token, [this](StreamEvent event) {
      MutexLock lock(mutex_);
      events_.push_back(std::move(event));
      changed_.NotifyAll();
    });
    stream.Open();
    stream.Send(MakeHello());
    assembler_ = OfferAssembler();
    told_changes_ = ~uint64_t{0};  // who takes the stream may know nothing yet
    bool was_connected = false;
    bool cancelled = false;
    SteadyTime status_at = NextStatus();
    while (true) {
      const SteadyTime look_at = options_.provider_changes
                                     ? std::chrono::steady_clock::now() + std::chrono::microseconds(kStatusChangeUs)
                                     : status_at;
      std::optional<StreamEvent> event = NextEvent(std::min(status_at, look_at), cancelled);
      if (!event.has_value()) {
        if (!Stopping() && std::chrono::steady_clock::now() < status_at && !ProvidersChanged()) continue;
        if (Stopping()) {
          cancelled = true;
          stream.Cancel();
        } else {
          if (unkept_) Keep();
          stream.Send(MakeStatus());
          status_at = NextStatus();
        }
        continue;
      }
      switch (event->kind) {
        case StreamEvent::Kind::kConnected:
          if (!std::exchange(was_connected, true)) OnConnected();
          break;
        case StreamEvent::Kind::kMessage:
          if (cancelled) break;
          // The first message can overtake the news that the stream was taken.
          if (!std::exchange(was_connected, true)) OnConnected();
          if (const absl::Status status = OnOffer(stream, event->message.offer()); status.ok()) {
            stream.ReadNext();
          } else {
            LOG(ERROR) << "snapshot stream given up: " << status;
            cancelled = true;
            stream.Cancel();
          }
          break;
        case StreamEvent::Kind::kEnded:
          OnEnded(event->status, was_connected);
          return was_connected;
      }
    }
  }

  // The stream is of no use any more when this is not OK.
  absl::Status OnOffer(SnapshotStream& stream, const v1::Offer& chunk) {
    ASSIGN_OR_RETURN(const bool whole, assembler_.Add(chunk));
    if (!whole) return absl::OkStatus();
    const uint64_t nonce = assembler_.nonce();
    const SnapshotOffer offer = assembler_.Take();
    const absl::StatusOr<std::shared_ptr<const BuiltSnapshot>> built =
        BuildSnapshot(offer, live_.get(), options_.max_schema);
    // The control plane is wrong about what serves here: the next Hello will tell.
    if (absl::IsFailedPrecondition(built.status())) return built.status();
    if (built.ok()) {
      Apply(*built);
    } else {
      LOG(ERROR) << "refused, the snapshot before goes on serving: " << built.status().message();
      MutexLock lock(mutex_);
      ++counters_.rejected;
    }
    v1::ProxyMessage answer;
    if (built.ok()) {
      answer.mutable_ack()->set_nonce(nonce);
      *answer.mutable_ack()->mutable_applied() = offer.id;
    } else {
      v1::Nack& nack = *answer.mutable_nack();
      nack.set_nonce(nonce);
      if (live_ != nullptr) *nack.mutable_active() = live_->active->id;
      const std::vector<v1::Fault> faults = FaultsOf(built.status());
      nack.mutable_faults()->Assign(faults.begin(), faults.end());
    }
    stream.Send(std::move(answer));
    return absl::OkStatus();
  }

  // Saved before it is acked: what the control plane knows as applied is also what a restart finds.
  void Apply(std::shared_ptr<const BuiltSnapshot> built) {
    live_ = std::move(built);
    slot_.Swap(live_->active);
    unkept_ = false;
    Keep();
    MutexLock lock(mutex_);
    ++counters_.applied;
    changed_.NotifyAll();
  }

  // After a failure again with every status: a restart must not go back to what was served before.
  void Keep() {
    const absl::Status saved = kept_.Save(live_, options_.clock->UnixMicros());
    const int64_t sequence = live_->active->id.sequence();
    if (saved.ok() && unkept_) LOG(INFO) << "snapshot " << sequence << " is kept now";
    if (!saved.ok() && !unkept_) LOG(ERROR) << "snapshot " << sequence << " serves but is not kept: " << saved;
    unkept_ = !saved.ok();
    if (saved.ok()) return;
    MutexLock lock(mutex_);
    ++counters_.save_failures;
  }

  void OnConnected() {
    LOG(INFO) << "connected to the control plane";
    MutexLock lock(mutex_);
    connected_ = true;
    ++counters_.connects;
    last_failure_.clear();
  }

  void OnEnded(const absl::Status& status, bool was_connected) {
    MutexLock lock(mutex_);
    if (connected_) heard_us_ = options_.clock->UnixMicros();
    connected_ = false;
    if (stopping_) return;
    // One line for a state, not one for each attempt.
    const std::string failure = status.ToString();
    if (failure != last_failure_) LOG(WARNING) << "no stream from the control plane, trying again: " << failure;
    last_failure_ = failure;
  }

  v1::ProxyMessage MakeHello() const {
    v1::ProxyMessage message;
    v1::Hello& hello = *message.mutable_hello();
    hello.set_proxy_id(options_.proxy_id);
    hello.set_boot_id(options_.boot_id);
    hello.set_build(options_.build);
    hello.set_schema(options_.max_schema);
    if (options_.http_address) hello.set_http_address(options_.http_address());
    hello.set_http_tls(options_.http_tls);
    hello.set_takes_changes(true);
    hello.mutable_labels()->insert(options_.labels.begin(), options_.labels.end());
    if (live_ == nullptr) return message;
    *hello.mutable_active() = live_->active->id;
    if (live_->parts.size() > kHaveMax) return message;  // then everything is sent again
    live_->parts.ForEach([&hello](const PartList::EntryPtr& entry) { hello.add_have(entry->sha256); });
    return message;
  }

  v1::ProxyMessage MakeStatus() {
    v1::ProxyMessage message;
    if (live_ != nullptr) *message.mutable_status()->mutable_active() = live_->active->id;
    message.mutable_status()->set_in_flight_requests(options_.in_flight ? options_.in_flight() : 0);
    if (options_.provider_changes) told_changes_ = options_.provider_changes();
    if (!options_.providers) return message;
    for (v1::ProviderStatus& provider : options_.providers()) {
      provider.set_proxy_id(options_.proxy_id);
      *message.mutable_status()->add_providers() = std::move(provider);
    }
    return message;
  }

  // Since the last Status.
  bool ProvidersChanged() const { return options_.provider_changes && options_.provider_changes() != told_changes_; }

  SteadyTime NextStatus() const {
    return std::chrono::steady_clock::now() + std::chrono::microseconds(options_.status_us);
  }

  // nullopt: time for a Status, or to stop. Once cancelled, waits for the stream's end however long it takes.
  std::optional<StreamEvent> NextEvent(SteadyTime deadline, bool cancelled) {
    MutexLock lock(mutex_);
    while (events_.empty()) {
      if (cancelled) {
        changed_.Wait(mutex_);
      } else if (stopping_ || !changed_.WaitUntil(mutex_, deadline)) {
        if (events_.empty()) return std::nullopt;
      }
    }
    StreamEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

  bool Stopping() const {
    MutexLock lock(mutex_);
    return stopping_;
  }
  void SleepUnlessStopping(int64_t us) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(us);
    MutexLock lock(mutex_);
    while (!stopping_ && changed_.WaitUntil(mutex_, deadline)) {
    }
  }

  const ConfigClientOptions options_;
  SnapshotSlot slot_;
  // Of the thread, and of the constructor before it.
  LastKnownGood kept_;
  std::shared_ptr<const BuiltSnapshot> live_;
  bool unkept_ = false;        // live_ could not be saved
  uint64_t told_changes_ = 0;  // of providers, as of the last Status
  OfferAssembler assembler_;
  std::mt19937_64 random_;
  std::thread thread_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<StreamEvent> events_ SB_GUARDED_BY(mutex_);
  bool stopping_ SB_GUARDED_BY(mutex_) = false;
  bool connected_ SB_GUARDED_BY(mutex_) = false;
  int64_t heard_us_ SB_GUARDED_BY(mutex_) = 0;  // Unix; while not connected
  std::string last_failure_ SB_GUARDED_BY(mutex_);
  Counters counters_ SB_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<ConfigClient>> NewConfigClient(ConfigClientOptions options) {
  if (options.proxy_id.empty()) return absl::InvalidArgumentError("a proxy needs an id: give --proxy_id");
  ASSIGN_OR_RETURN(Sealer sealer, Sealer::FromKeyFile(absl::StrCat(options.data_dir, "/proxy.key")));
  LastKnownGood kept(options.data_dir, std::move(sealer), PosixFileSystem());
  return std::unique_ptr<ConfigClient>(std::make_unique<StreamingConfigClient>(std::move(options), std::move(kept)));
}

}  // namespace signalbox
