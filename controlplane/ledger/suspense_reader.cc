#include "controlplane/ledger/suspense_reader.h"

#include <glog/logging.h>

#include <chrono>
#include <string>
#include <vector>

#include "common/limits.h"
#include "common/status_macros.h"

namespace signalbox {

void SuspenseReader::Start(int interval_ms) {
  thread_ = std::thread([this, interval_ms] {
    absl::Status last;
    while (true) {
      const absl::Status status = ReadOnce();
      if (!status.ok() && status != last) LOG(WARNING) << "cannot bring suspense into the ledger: " << status;
      if (status.ok() && !last.ok()) LOG(INFO) << "suspense is read again";
      last = status;
      const auto next = std::chrono::steady_clock::now() + std::chrono::milliseconds(interval_ms);
      MutexLock lock(mutex_);
      while (!stopped_ && stop_changed_.WaitUntil(mutex_, next)) {
      }
      if (stopped_) return;
    }
  });
}

void SuspenseReader::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    stop_changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

// Holds that are still open are read again each time, as they are how a late settlement shows.
absl::Status SuspenseReader::ReadOnce() {
  int64_t after = open_from_;
  bool all_resolved = true;
  while (true) {
    v1::ListSuspenseRequest request;
    request.set_after_sequence(after);
    request.set_page_size(kPageSizeMax);
    ASSIGN_OR_RETURN(const v1::ListSuspenseResponse response, list_(request));
    if (response.holds().empty()) return absl::OkStatus();
    const std::vector<v1::SuspendedHold> holds(response.holds().begin(), response.holds().end());
    RETURN_IF_ERROR(ledger_.AppendSuspended(holds));
    ASSIGN_OR_RETURN(const std::vector<v1::Settle> settlements, ledger_.SettlementsOf(holds));
    if (!settlements.empty()) RETURN_IF_ERROR(settle_(settlements));
    for (const v1::SuspendedHold& hold : holds) {
      if (hold.sequence() <= after) return absl::DataLossError("the quota service's suspense is not in order");
      after = hold.sequence();
      all_resolved = all_resolved && hold.resolved();
      if (all_resolved) open_from_ = after;
    }
  }
}

}  // namespace signalbox
