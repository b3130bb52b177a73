// The one place that holds what a proxy serves; SnapshotHolder is what the rest of the proxy sees of it. Thread-safe:
// listeners see every snapshot exactly once, in the order of the swaps.
#pragma once

#include <memory>
#include <vector>

#include "common/mutex.h"
#include "dataplane/config/active_snapshot.h"

namespace signalbox {

class SnapshotSlot final : public SnapshotHolder {
 public:
  std::shared_ptr<const ActiveSnapshot> Get() const override;
  void AddListener(Listener listener) override;
  void Swap(std::shared_ptr<const ActiveSnapshot> snapshot);

 private:
  Mutex swap_mutex_;  // held while listeners are called; taken before mutex_
  mutable Mutex mutex_;
  std::shared_ptr<const ActiveSnapshot> snapshot_ SB_GUARDED_BY(mutex_);
  std::vector<Listener> listeners_ SB_GUARDED_BY(swap_mutex_);
};

}  // namespace signalbox
