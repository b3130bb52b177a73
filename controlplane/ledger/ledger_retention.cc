#include "controlplane/ledger/ledger_retention.h"

#include <glog/logging.h>

#include <algorithm>
#include <chrono>

#include "common/status_macros.h"

namespace signalbox {
namespace {

constexpr int64_t kDayUs = 86'400'000'000;
constexpr int kStepRecords = 200;  // some milliseconds, an fsync included
constexpr int kStepPauseMs = 20;

}  // namespace

void LedgerRetention::Start(int interval_ms) {
  if (days_ == 0) return;
  thread_ = std::thread([this, interval_ms] {
    absl::Status last;
    do {
      const absl::StatusOr<int64_t> deleted = RunOnce();
      if (!deleted.ok() && deleted.status() != last) {
        LOG(WARNING) << "cannot delete old records from the ledger: " << deleted.status();
      }
      if (deleted.ok() && *deleted > 0) {
        LOG(INFO) << *deleted << " records older than " << days_ << " days were deleted from the ledger";
      }
      last = deleted.status();
    } while (Pause(interval_ms));
  });
}

void LedgerRetention::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    stop_changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

bool LedgerRetention::Pause(int ms) {
  const auto next = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  MutexLock lock(mutex_);
  while (!stopped_ && stop_changed_.WaitUntil(mutex_, next)) {
  }
  return !stopped_;
}

absl::StatusOr<int64_t> LedgerRetention::RunOnce() {
  if (days_ == 0 || (may_delete_ && !may_delete_())) return 0;
  const BelievedTime::Reading now = time_.Read(clock_.UnixMicros(), clock_.MonotonicMicros());
  if (now.jumped) LOG(WARNING) << "the clock jumped by " << now.step_us / 1'000'000 << " s: not believed by retention";
  ASSIGN_OR_RETURN(const int64_t newest_us, ledger_.NewestStart());
  RETURN_IF_ERROR(ledger_.RaiseHorizon(std::min(now.now_us, newest_us) - days_ * kDayUs));
  int64_t deleted = 0;
  while (true) {
    ASSIGN_OR_RETURN(const int64_t step, ledger_.DeleteExpired(kStepRecords));
    deleted += step;
    if (step < kStepRecords || !Pause(kStepPauseMs)) return deleted;
  }
}

}  // namespace signalbox
