#include "controlplane/ledger/suspense_reader.h"

#include <glog/logging.h>

#include <chrono>
#include <string>
#include <vector>

#include "common/status_macros.h"

namespace signalbox {
namespace {

int64_t SteadyMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

bool SuspenseReader::HasSettled() const {
  const int64_t since_ms = reads_since_ms_;
  return since_ms != 0 && SteadyMs() - since_ms >= std::chrono::milliseconds(kSettledAfter).count();
}

void SuspenseReader::Start(int interval_ms) {
  thread_ = std::thread([this, interval_ms] {
    absl::Status last;
    while (true) {
      const absl::Status status = ReadOnce();
      if (!status.ok()) {
        reads_since_ms_ = 0;
      } else if (reads_since_ms_ == 0) {
        reads_since_ms_ = SteadyMs();
      }
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
  absl::Status settled;  // the first failure: it keeps nothing else from being read
  while (true) {
    v1::ListSuspenseRequest request;
    request.set_after_sequence(after);
    request.set_page_size(kPageSizeMax);
    ASSIGN_OR_RETURN(const v1::ListSuspenseResponse response, list_(request));
    if (response.holds().empty()) return settled;
    const std::vector<v1::SuspendedHold> holds(response.holds().begin(), response.holds().end());
    ASSIGN_OR_RETURN(const std::vector<std::string> refused, ledger_.AppendSuspended(holds, route_of_pool_));
    for (const std::string& why : refused) {
      if (reported_.insert(why).second) LOG(ERROR) << "passed over, the ledger cannot take it: " << why;
    }
    ASSIGN_OR_RETURN(const std::vector<v1::Settle> settlements, ledger_.SettlementsOf(holds));
    if (!settlements.empty()) settled.Update(settle_(settlements));
    for (const v1::SuspendedHold& hold : holds) {
      if (hold.sequence() <= after) return absl::DataLossError("the quota service's suspense is not in order");
      after = hold.sequence();
      all_resolved = all_resolved && hold.resolved();
      if (all_resolved) open_from_ = after;
    }
  }
}

}  // namespace signalbox
