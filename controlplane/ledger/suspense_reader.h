// Brings the quota service's suspense into the ledger: holds of proxies that vanished become suspended records, by
// request id, until the real records come. Where the record came and the settlement did not (the proxy reported and
// died while the quota service was away), it settles in the proxy's stead. Owned by the control plane; its own thread;
// the ledger and whatever the functions refer to outlive it. Reading again from the start is harmless, so its place is
// kept in memory only.
#pragma once

#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "controlplane/ledger/sqlite_ledger.h"
#include "signalbox/v1/quota.pb.h"

namespace signalbox {

// ListSuspense of a quota service, embedded or remote.
using ListSuspenseFunction =
    std::function<absl::StatusOr<v1::ListSuspenseResponse>(const v1::ListSuspenseRequest& request)>;

// Settles at that quota service; repeats are harmless.
using SettleFunction = std::function<absl::Status(const std::vector<v1::Settle>& settlements)>;

class SuspenseReader {
 public:
  SuspenseReader(ListSuspenseFunction list, SettleFunction settle, SqliteLedger& ledger)
      : list_(std::move(list)), settle_(std::move(settle)), ledger_(ledger) {}
  ~SuspenseReader() { Stop(); }
  SuspenseReader(const SuspenseReader&) = delete;
  SuspenseReader& operator=(const SuspenseReader&) = delete;

  // Reads every `interval_ms` until Stop; a failure is logged when it is new, and tried again.
  void Start(int interval_ms);
  void Stop() SB_EXCLUDES(mutex_);

  // Reads what there is. Called by the thread; by tests directly (never both).
  absl::Status ReadOnce();

 private:
  const ListSuspenseFunction list_;
  const SettleFunction settle_;
  SqliteLedger& ledger_;
  int64_t open_from_ = 0;  // every hold up to here was resolved when last seen

  Mutex mutex_;
  CondVar stop_changed_;
  bool stopped_ SB_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace signalbox
