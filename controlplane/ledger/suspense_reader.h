// Brings the quota service's suspense into the ledger: holds of proxies that vanished become suspended records, by
// request id, until the real records come. Where the record came and the settlement did not (the proxy reported and
// died while the quota service was away), it settles in the proxy's stead. Owned by the control plane; its own thread;
// the ledger and whatever the functions refer to outlive it. Reading again from the start is harmless, so its place is
// kept in memory only.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/limits.h"
#include "common/mutex.h"
#include "controlplane/ledger/sqlite_ledger.h"
#include "signalbox/v1/quota.pb.h"

namespace signalbox {

// ListSuspense of a quota service, embedded or remote.
using ListSuspenseFunction =
    std::function<absl::StatusOr<v1::ListSuspenseResponse>(const v1::ListSuspenseRequest& request)>;

// Settles at that quota service; repeats are harmless.
using SettleFunction = std::function<absl::Status(const std::vector<v1::Settle>& settlements)>;

// Longer than a silent proxy's holds take to be suspended, after a restart of the quota service too.
inline constexpr std::chrono::minutes kSettledAfter{10};
static_assert(std::chrono::microseconds(kSettledAfter).count() >= 2 * kSuspendAfterUs);

class SuspenseReader {
 public:
  // `route_of_pool` as in SqliteLedger::AppendSuspended.
  SuspenseReader(ListSuspenseFunction list, SettleFunction settle, SqliteLedger& ledger,
                 SqliteLedger::RouteOfPool route_of_pool = nullptr)
      : list_(std::move(list)), settle_(std::move(settle)), ledger_(ledger), route_of_pool_(std::move(route_of_pool)) {}
  ~SuspenseReader() { Stop(); }
  SuspenseReader(const SuspenseReader&) = delete;
  SuspenseReader& operator=(const SuspenseReader&) = delete;

  // Reads every `interval_ms` until Stop; a failure is logged when it is new, and tried again.
  void Start(int interval_ms);
  void Stop() SB_EXCLUDES(mutex_);

  // Reads what there is. A hold that no request can have is reported in the log once and passed over; it holds up no
  // other. Called by the thread; by tests directly (never both).
  absl::Status ReadOnce();

  // Whether suspense has been read whole again and again for kSettledAfter, with no failure: then every hold of a proxy
  // that fell silent has been listed, and settled where its record is here. Any thread.
  bool HasSettled() const;

 private:
  const ListSuspenseFunction list_;
  const SettleFunction settle_;
  SqliteLedger& ledger_;
  const SqliteLedger::RouteOfPool route_of_pool_;
  int64_t open_from_ = 0;                   // every hold up to here was resolved when last seen
  std::set<std::string> reported_;          // holds passed over, as sentences
  std::atomic<int64_t> reads_since_ms_{0};  // steady clock; 0: the last read failed, or there was none

  Mutex mutex_;
  CondVar stop_changed_;
  bool stopped_ SB_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace signalbox
