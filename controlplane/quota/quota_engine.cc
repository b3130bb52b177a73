#include "controlplane/quota/quota_engine.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

absl::Status StoreFailed(const absl::Status& cause) {
  return absl::UnavailableError(
      absl::StrCat("the quota store failed, nothing was decided: ", std::string(cause.message())));
}

}  // namespace

absl::StatusOr<std::unique_ptr<QuotaEngine>> QuotaEngine::Open(std::unique_ptr<QuotaStore> store, const Clock& clock,
                                                               Report report) {
  std::unique_ptr<QuotaEngine> engine(new QuotaEngine(std::move(store), clock, std::move(report)));
  RETURN_IF_ERROR(engine->Recover());
  engine->thread_ = std::thread([raw = engine.get()] { raw->Run(); });
  return engine;
}

QuotaEngine::QuotaEngine(std::unique_ptr<QuotaStore> store, const Clock& clock, Report report)
    : store_(std::move(store)),
      clock_(clock),
      report_(std::move(report)),
      compact_after_bytes_(kQuotaLogBytesBeforeCompaction) {}

QuotaEngine::~QuotaEngine() { Stop(); }

void QuotaEngine::Submit(v1::QuotaRequest message, Answered done) {
  {
    MutexLock lock(mutex_);
    if (!stopping_) {
      queued_.submissions.push_back({std::move(message), std::move(done)});
      wake_.NotifyOne();
      return;
    }
  }
  done(absl::UnavailableError("the quota service is shutting down"));
}

void QuotaEngine::Read(Reader reader) {
  {
    MutexLock lock(mutex_);
    if (!stopping_) {
      queued_.readers.push_back(std::move(reader));
      wake_.NotifyOne();
      return;
    }
  }
  reader(absl::UnavailableError("the quota service is shutting down"), 0);
}

void QuotaEngine::Tick() {
  MutexLock lock(mutex_);
  queued_.tick = true;
  wake_.NotifyOne();
}

void QuotaEngine::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
}

void QuotaEngine::Run() {
  auto next_tick = std::chrono::steady_clock::now();
  while (true) {
    Work work;
    bool stopping = false;
    {
      MutexLock lock(mutex_);
      while (queued_.submissions.empty() && queued_.readers.empty() && !queued_.tick && !stopping_) {
        if (!wake_.WaitUntil(mutex_, next_tick)) break;
      }
      work = std::exchange(queued_, Work{});
      stopping = stopping_;
    }
    if (const auto now = std::chrono::steady_clock::now(); now >= next_tick) {
      work.tick = true;
      next_tick = now + std::chrono::microseconds(kQuotaTickUs);
    }
    Process(std::move(work));
    if (stopping) return;  // nothing is queued after it was set
  }
}

void QuotaEngine::Process(Work work) {
  if (core_ == nullptr) {
    if (absl::Status status = Recover(); !status.ok()) store_error_ = status;
  }
  for (size_t begin = 0; begin < work.submissions.size(); begin += kQuotaBatchMessagesMax) {
    const size_t end = std::min(work.submissions.size(), begin + kQuotaBatchMessagesMax);
    std::vector<Submission> slice(std::make_move_iterator(work.submissions.begin() + begin),
                                  std::make_move_iterator(work.submissions.begin() + end));
    DecideAndCommit(slice, false);
  }
  if (work.tick && core_ != nullptr && core_->TickIsDue(Now())) {
    std::vector<Submission> none;
    DecideAndCommit(none, true);
  }
  for (Reader& reader : work.readers) {
    if (core_ == nullptr) {
      reader(StoreFailed(store_error_), 0);
    } else {
      reader(core_.get(), Now());
    }
  }
  CompactIfDue();
}

void QuotaEngine::DecideAndCommit(std::vector<Submission>& submissions, bool tick) {
  std::vector<v1::QuotaResponse> answers(submissions.size());
  absl::Status status = core_ == nullptr ? store_error_ : absl::OkStatus();
  if (status.ok()) {
    v1::QuotaLogBatch batch;
    batch.set_now_us(Now());
    if (tick) {
      core_->Tick(batch.now_us());
      batch.add_entries()->set_tick(true);
    }
    const int64_t decided = core_->decisions();
    for (size_t i = 0; i < submissions.size(); ++i) {
      core_->Apply(submissions[i].message, batch.now_us(), answers[i]);
      batch.add_entries()->mutable_message()->Swap(&submissions[i].message);
    }
    const int64_t decisions = core_->decisions() - decided;
    status = Commit(batch);
    if (status.ok()) {
      counts_.decisions += decisions;
      counts_.counters = static_cast<int64_t>(core_->counters());
      counts_.requests = static_cast<int64_t>(core_->requests());
    }
  }
  for (size_t i = 0; i < submissions.size(); ++i) {
    if (status.ok()) {
      submissions[i].done(std::move(answers[i]));
    } else {
      submissions[i].done(StoreFailed(status));
    }
  }
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
  if (core_ == nullptr || store_->log_bytes() < compact_after_bytes_) return;
  const std::vector<v1::QuotaStatePart> parts = core_->Save();
  int64_t state_bytes = 0;
  for (const v1::QuotaStatePart& part : parts) state_bytes += static_cast<int64_t>(part.ByteSizeLong());
  if (absl::Status status = store_->Compact(parts); !status.ok()) {
    ++counts_.store_failures;
    report_(absl::StrCat("cannot compact the quota log: ", status.ToString()));
    compact_after_bytes_ = 2 * store_->log_bytes();
    // What the failed transaction left is for the file to say.
    core_.reset();
    if (absl::Status recovered = Recover(); !recovered.ok()) store_error_ = recovered;
    return;
  }
  compact_after_bytes_ = std::max(kQuotaLogBytesBeforeCompaction, 2 * state_bytes);
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
