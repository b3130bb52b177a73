// The quota core as a backend, over a store that keeps its log: a turn takes what all sessions sent, applies it,
// commits it as one batch, then answers. Turns are taken by a thread of the engine's own, or by whoever asked to be
// woken for them. Invariant: nothing is answered that the store does not have, and the core never holds what the store
// lost: after a failed commit the core is thrown away and recovered from the store before anything else is decided.
// Thread-safe. Callbacks run within a turn and must not block.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/mutex.h"
#include "controlplane/quota/believed_time.h"
#include "controlplane/quota/quota_backend.h"
#include "controlplane/quota/quota_core.h"
#include "controlplane/quota/quota_store.h"

namespace signalbox {

class QuotaEngine final : public QuotaBackend {
 public:
  using Reader = std::function<void(absl::StatusOr<const QuotaCore*>, int64_t now_us)>;
  // What an operator should hear of: store failures, clock steps.
  using Report = std::function<void(const std::string&)>;

  // Called when a turn has become due, by the thread that submitted.
  using Wake = std::function<void()>;

  // Recovers the core. Errors of the store as they are. The log is replaced by the state once it has
  // `compact_after_bytes` and twice the state's size. Without `wake` a thread is started; with it nothing is decided
  // but in Turn().
  static absl::StatusOr<std::unique_ptr<QuotaEngine>> Open(std::unique_ptr<QuotaStore> store, const Clock& clock,
                                                           Report report,
                                                           int64_t compact_after_bytes = kQuotaLogBytesBeforeCompaction,
                                                           Wake wake = nullptr);
  ~QuotaEngine() override;

  void Submit(v1::QuotaRequest message, Done<v1::QuotaResponse> done) override;
  void Submit(std::unique_ptr<QuotaExchange> exchange, ExchangeDone done) override;
  void GetCounter(v1::CounterKey key, Done<v1::Counter> done) override;
  void ListCounters(v1::ListCountersRequest request, Done<v1::ListCountersResponse> done) override;
  void ListSuspense(v1::ListSuspenseRequest request, Done<v1::ListSuspenseResponse> done) override;
  void ListAdjustments(v1::ListAdjustmentsRequest request, Done<v1::ListAdjustmentsResponse> done) override;
  void AdjustCounter(v1::AdjustCounterRequest request, Done<v1::Adjustment> done) override;
  SteadyTime Turn() override;
  bool decides_elsewhere() const override { return wake_ == nullptr; }
  // A step a turn, decisions in between.
  absl::Status BackupTo(const std::string& path) override;
  const Counts& counts() const override { return counts_; }
  std::string store() const override { return store_->name(); }
  std::string durability() const override;
  void Stop() override;

  void Read(Reader reader);  // sees committed state only
  void Tick();               // looks for silent proxies in the next turn; one does so every kQuotaTickUs

 private:
  struct Submission {
    std::unique_ptr<QuotaExchange> exchange;
    ExchangeDone done;
  };
  struct Adjusting {
    v1::AdjustCounterRequest request;
    Done<v1::Adjustment> done;
  };
  struct Work {
    std::vector<Submission> submissions;
    std::vector<Adjusting> adjustings;
    std::vector<Reader> readers;
    bool tick = false;

    bool empty() const { return submissions.empty() && adjustings.empty() && readers.empty() && !tick; }
    void clear();  // keeps what was allocated
  };

  QuotaEngine(std::unique_ptr<QuotaStore> store, const Clock& clock, Report report, int64_t compact_after_bytes,
              Wake wake);
  // False when the engine is stopping: nothing was queued.
  template <typename Queue>
  bool Enqueue(Queue queue);
  void Run();
  void Process(Work& work);
  void DecideAndCommit(std::span<Submission> submissions, bool tick);
  void AdjustAndCommit(Adjusting adjusting);
  absl::Status Commit(v1::QuotaLogBatch& batch);
  absl::Status Recover();
  void CompactIfDue();
  int64_t Now();

  const std::unique_ptr<QuotaStore> store_;
  const Clock& clock_;
  const Report report_;
  const int64_t compact_after_bytes_;
  const Wake wake_;
  Counts counts_;

  Mutex turn_mutex_;  // held by a turn, before mutex_; guards what follows
  Work taken_;
  v1::QuotaLogBatch batch_;
  SteadyTime next_tick_{};
  bool stopped_ = false;
  std::unique_ptr<QuotaCore> core_;  // null: the store failed and was not recovered yet
  std::unique_ptr<BelievedTime> time_;
  absl::Status store_error_;
  int64_t compact_at_bytes_;

  Mutex mutex_;
  CondVar due_;
  Work queued_ SB_GUARDED_BY(mutex_);
  bool stopping_ SB_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace signalbox
