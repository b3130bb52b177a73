#include "controlplane/quota/quota_engine.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/status_macros.h"
#include "common/thread_name.h"

namespace signalbox {
namespace {

absl::Status StoreFailed(const absl::Status& cause) {
  return absl::UnavailableError(
      absl::StrCat("the quota store failed, nothing was decided: ", std::string(cause.message())));
}

}  // namespace

absl::StatusOr<std::unique_ptr<QuotaEngine>> QuotaEngine::Open(std::unique_ptr<QuotaStore> store, const Clock& clock,
                                                               Report report, int64_t compact_after_bytes, Wake wake) {
  std::unique_ptr<QuotaEngine> engine(
      new QuotaEngine(std::move(store), clock, std::move(report), compact_after_bytes, std::move(wake)));
  RETURN_IF_ERROR(engine->Recover());
  if (!engine->wake_) engine->thread_ = std::thread([raw = engine.get()] { raw->Run(); });
  return engine;
}

QuotaEngine::QuotaEngine(std::unique_ptr<QuotaStore> store, const Clock& clock, Report report,
                         int64_t compact_after_bytes, Wake wake)
    : store_(std::move(store)),
      clock_(clock),
      report_(std::move(report)),
      compact_after_bytes_(compact_after_bytes),
      wake_(std::move(wake)),
      compact_at_bytes_(compact_after_bytes) {}

QuotaEngine::~QuotaEngine() { Stop(); }

void QuotaEngine::Submit(v1::QuotaRequest message, Done<v1::QuotaResponse> done) {
  Submit(std::make_unique<QuotaExchange>(std::move(message)),
         [done = std::move(done)](const absl::Status& status, std::unique_ptr<QuotaExchange> exchange) {
           if (!status.ok()) return done(status);
           done(std::move(exchange->response()));
         });
}

template <typename Queue>
bool QuotaEngine::Enqueue(Queue queue) {
  bool first = false;
  {
    MutexLock lock(mutex_);
    if (stopping_) return false;
    first = queued_.empty();
    queue(queued_);
    if (first && !wake_) due_.NotifyOne();
  }
  if (first && wake_) wake_();
  return true;
}

void QuotaEngine::Submit(std::unique_ptr<QuotaExchange> exchange, ExchangeDone done) {
  if (Enqueue([&](Work& work) { work.submissions.push_back({std::move(exchange), std::move(done)}); })) return;
  done(ShuttingDown(), std::move(exchange));
}

void QuotaEngine::AdjustCounter(v1::AdjustCounterRequest request, Done<v1::Adjustment> done) {
  if (Enqueue([&](Work& work) { work.adjustings.push_back({std::move(request), std::move(done)}); })) return;
  done(ShuttingDown());
}

void QuotaEngine::Read(Reader reader) {
  if (Enqueue([&](Work& work) { work.readers.push_back(std::move(reader)); })) return;
  reader(ShuttingDown(), 0);
}

void QuotaEngine::GetCounter(v1::CounterKey key, Done<v1::Counter> done) {
  Read([key = std::move(key), done = std::move(done)](absl::StatusOr<const QuotaCore*> core, int64_t now_us) {
    v1::Counter counter;
    absl::Status status = core.status();
    if (core.ok()) status = (*core)->Read(key, now_us, counter);
    done(status.ok() ? absl::StatusOr<v1::Counter>(std::move(counter)) : status);
  });
}

void QuotaEngine::ListCounters(v1::ListCountersRequest request, Done<v1::ListCountersResponse> done) {
  request.set_page_size(PageSize(request.page_size()));
  Read([request = std::move(request), done = std::move(done)](absl::StatusOr<const QuotaCore*> core, int64_t now_us) {
    if (!core.ok()) return done(core.status());
    done((*core)->List(request, now_us));
  });
}

void QuotaEngine::ListSuspense(v1::ListSuspenseRequest request, Done<v1::ListSuspenseResponse> done) {
  Read([request = std::move(request), done = std::move(done)](absl::StatusOr<const QuotaCore*> core, int64_t) {
    if (!core.ok()) return done(core.status());
    v1::ListSuspenseResponse page;
    for (v1::SuspendedHold& hold : (*core)->Suspense(request.after_sequence(), PageSize(request.page_size()))) {
      *page.add_holds() = std::move(hold);
    }
    done(std::move(page));
  });
}

void QuotaEngine::ListAdjustments(v1::ListAdjustmentsRequest request, Done<v1::ListAdjustmentsResponse> done) {
  Read([request = std::move(request), done = std::move(done)](absl::StatusOr<const QuotaCore*> core, int64_t) {
    if (!core.ok()) return done(core.status());
    v1::ListAdjustmentsResponse page;
    for (v1::Adjustment& adjustment : (*core)->Adjustments(request.after_sequence(), PageSize(request.page_size()))) {
      *page.add_adjustments() = std::move(adjustment);
    }
    done(std::move(page));
  });
}

absl::Status QuotaEngine::BackupTo(const std::string& path) {
  std::function<absl::StatusOr<bool>()> step;
  while (true) {
    std::promise<absl::StatusOr<bool>> complete;
    Read([&](absl::StatusOr<const QuotaCore*> core, int64_t) {
      if (!core.ok()) return complete.set_value(core.status());
      if (step) return complete.set_value(step());
      auto started = store_->StartBackup(path);
      if (started.ok()) step = *std::move(started);
      complete.set_value(started.ok() ? absl::StatusOr<bool>(false) : started.status());
    });
    const absl::StatusOr<bool> done = complete.get_future().get();
    RETURN_IF_ERROR(done.status());
    if (*done) return absl::OkStatus();
  }
}

std::string QuotaEngine::durability() const {
  switch (store_->durability()) {
    case Durability::kNone:
      return "none";
    case Durability::kProcess:
      return "process";
    case Durability::kPower:
      return "power";
  }
  return "";
}

void QuotaEngine::Tick() {
  Enqueue([](Work& work) { work.tick = true; });
}

void QuotaEngine::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    due_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
  Turn();  // nothing is queued after `stopping_` was set
  MutexLock turn(turn_mutex_);
  stopped_ = true;
}

void QuotaEngine::Run() {
  NameThread("quota engine");
  while (true) {
    const SteadyTime next_turn = Turn();
    MutexLock lock(mutex_);
    while (queued_.empty() && !stopping_) {
      if (!due_.WaitUntil(mutex_, next_turn)) break;
    }
    if (stopping_) return;
  }
}

QuotaEngine::SteadyTime QuotaEngine::Turn() {
  MutexLock turn(turn_mutex_);
  if (stopped_) return SteadyTime::max();
  {
    MutexLock lock(mutex_);
    std::swap(taken_, queued_);
  }
  if (const SteadyTime now = std::chrono::steady_clock::now(); now >= next_tick_) {
    taken_.tick = true;
    next_tick_ = now + std::chrono::microseconds(kQuotaTickUs);
  }
  if (!taken_.empty()) Process(taken_);
  taken_.clear();
  return next_tick_;
}

void QuotaEngine::Work::clear() {
  submissions.clear();
  adjustings.clear();
  readers.clear();
  tick = false;
}

void QuotaEngine::Process(Work& work) {
  if (core_ == nullptr) {
    if (absl::Status status = Recover(); !status.ok()) store_error_ = status;
  }
  for (size_t begin = 0; begin < work.submissions.size(); begin += kQuotaBatchMessagesMax) {
    const size_t size = std::min(work.submissions.size() - begin, kQuotaBatchMessagesMax);
    DecideAndCommit(std::span(work.submissions).subspan(begin, size), false);
  }
  if (work.tick && core_ != nullptr && core_->TickIsDue(Now())) DecideAndCommit({}, true);
  for (Adjusting& adjusting : work.adjustings) AdjustAndCommit(std::move(adjusting));
  for (Reader& reader : work.readers) {
    if (core_ == nullptr) {
      reader(StoreFailed(store_error_), 0);
    } else {
      reader(core_.get(), Now());
    }
  }
  CompactIfDue();
}

void QuotaEngine::DecideAndCommit(std::span<Submission> submissions, bool tick) {
  absl::Status status = core_ == nullptr ? store_error_ : absl::OkStatus();
  if (status.ok()) {
    v1::QuotaLogBatch& batch = batch_;
    batch.Clear();  // keeps its entries, to be filled again
    batch.set_now_us(Now());
    if (tick) {
      core_->Tick(batch.now_us());
      batch.add_entries()->set_tick(true);
    }
    const int64_t decided = core_->decisions();
    for (const Submission& submission : submissions) {
      QuotaExchange& exchange = *submission.exchange;
      core_->Apply(exchange.request(), batch.now_us(), exchange.response());
      batch.add_entries()->unsafe_arena_set_allocated_message(&exchange.request());
    }
    const int64_t decisions = core_->decisions() - decided;
    status = Commit(batch);
    for (v1::QuotaLogEntry& entry : *batch.mutable_entries()) {
      if (entry.has_message()) entry.unsafe_arena_release_message();  // lent by its exchange
    }
    if (status.ok()) {
      counts_.decisions += decisions;
      counts_.counters = static_cast<int64_t>(core_->counters());
      counts_.requests = static_cast<int64_t>(core_->requests());
    }
  }
  if (!status.ok()) status = StoreFailed(status);
  for (Submission& submission : submissions) submission.done(status, std::move(submission.exchange));
}

void QuotaEngine::AdjustAndCommit(Adjusting adjusting) {
  if (core_ == nullptr) return adjusting.done(StoreFailed(store_error_));
  v1::QuotaLogBatch batch;
  batch.set_now_us(Now());
  v1::Adjustment adjustment;
  absl::Status status = core_->Adjust(adjusting.request, batch.now_us(), adjustment);
  if (!status.ok()) return adjusting.done(status);
  *batch.add_entries()->mutable_adjust() = std::move(adjusting.request);
  status = Commit(batch);
  if (!status.ok()) return adjusting.done(StoreFailed(status));
  adjusting.done(std::move(adjustment));
}

// Whether a failed append is in the file is unknown, and the core has already applied it: both are settled by reading
// the file again.
absl::Status QuotaEngine::Commit(v1::QuotaLogBatch& batch) {
  absl::Status status = store_->Append(batch);
  if (status.ok()) {
    ++counts_.batches;
    return status;
  }
  ++counts_.store_failures;
  report_(absl::StrCat("cannot commit a quota batch, its sessions are closed: ", status.ToString()));
  store_error_ = status;
  core_.reset();
  if (absl::Status recovered = Recover(); !recovered.ok()) {
    report_(absl::StrCat("cannot read the quota store again, nothing is decided until it can: ", recovered.ToString()));
  }
  return status;
}

absl::Status QuotaEngine::Recover() {
  auto core = std::make_unique<QuotaCore>();
  int64_t batches = 0;
  RETURN_IF_ERROR(store_->Recover([&](const v1::QuotaStatePart& part) { return core->Load(part); },
                                  [&](const v1::QuotaLogBatch& batch) {
                                    ++batches;
                                    return core->Replay(batch);
                                  }));
  core->LoadDone();
  if (time_ == nullptr) time_ = std::make_unique<BelievedTime>(core->now_us());
  v1::QuotaLogBatch batch;
  batch.set_now_us(Now());
  batch.add_entries()->set_restarted(true);
  RETURN_IF_ERROR(core->Replay(batch));
  RETURN_IF_ERROR(store_->Append(batch));
  counts_.counters = static_cast<int64_t>(core->counters());
  counts_.requests = static_cast<int64_t>(core->requests());
  core_ = std::move(core);
  return absl::OkStatus();
}

// A failed compaction loses nothing: the log is still there and only grows. It is tried again when it has doubled.
void QuotaEngine::CompactIfDue() {
  if (core_ == nullptr || store_->log_bytes() < compact_at_bytes_) return;
  const std::vector<v1::QuotaStatePart> parts = core_->Save();
  int64_t state_bytes = 0;
  for (const v1::QuotaStatePart& part : parts) state_bytes += static_cast<int64_t>(part.ByteSizeLong());
  if (absl::Status status = store_->Compact(parts); !status.ok()) {
    ++counts_.store_failures;
    report_(absl::StrCat("cannot compact the quota log: ", status.ToString()));
    compact_at_bytes_ = 2 * store_->log_bytes();
    // What the failed transaction left is for the file to say.
    core_.reset();
    if (absl::Status recovered = Recover(); !recovered.ok()) store_error_ = recovered;
    return;
  }
  compact_at_bytes_ = std::max(compact_after_bytes_, 2 * state_bytes);
}

int64_t QuotaEngine::Now() {
  const BelievedTime::Reading reading = time_->Read(clock_.UnixMicros(), clock_.MonotonicMicros());
  if (reading.jumped) {
    ++counts_.clock_jumps;
    report_(absl::StrCat("the wall clock stands ", reading.step_us / 1'000'000,
                         " s off the monotonic clock and is not believed; windows go on by the monotonic clock. If the "
                         "clock is right, restart the quota service to accept it"));
  }
  return reading.now_us;
}

}  // namespace signalbox
