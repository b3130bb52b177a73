// Keeps the ledger to its retention: deletes records older than so many days, a few at a time, so that proxies' records
// are acknowledged in between. Deletes only while it may: a record must be here as long as the quota service may ask
// what its request really cost. A clock that is wrong must not empty the ledger: a step of the wall clock is not
// believed, and age is counted from the newest record where that is earlier. Owned by the control plane; its own
// thread; ledger and clock outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "controlplane/ledger/sqlite_ledger.h"
#include "controlplane/quota/believed_time.h"

namespace signalbox {

// Four hundred days: a month can be compared with the same one of the year before, and a bill can be questioned after
// the year's books are closed.
inline constexpr int kLedgerRetentionDaysDefault = 400;
inline constexpr int kLedgerRetentionDaysMin = 7;  // beyond the longest a request, a spool or an outage should last

class LedgerRetention {
 public:
  // `days` 0: nothing is ever deleted. `may_delete` null: always.
  LedgerRetention(SqliteLedger& ledger, const Clock& clock, int days, std::function<bool()> may_delete)
      : ledger_(ledger), clock_(clock), days_(days), may_delete_(std::move(may_delete)) {}
  ~LedgerRetention() { Stop(); }
  LedgerRetention(const LedgerRetention&) = delete;
  LedgerRetention& operator=(const LedgerRetention&) = delete;

  // Runs every `interval_ms` until Stop; a failure is logged when it is new, and tried again.
  void Start(int interval_ms);
  void Stop() SB_EXCLUDES(mutex_);

  // Deletes what has expired by now, or until Stop; how many. Called by the thread; by tests directly (never both).
  absl::StatusOr<int64_t> RunOnce() SB_EXCLUDES(mutex_);

 private:
  bool Pause(int ms) SB_EXCLUDES(mutex_);  // false once stopped

  SqliteLedger& ledger_;
  const Clock& clock_;
  const int days_;
  const std::function<bool()> may_delete_;
  BelievedTime time_{0};

  Mutex mutex_;
  CondVar stop_changed_;
  bool stopped_ SB_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace signalbox
