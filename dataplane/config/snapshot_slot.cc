#include "dataplane/config/snapshot_slot.h"

#include <utility>

namespace signalbox {

std::shared_ptr<const ActiveSnapshot> SnapshotSlot::Get() const {
  MutexLock lock(mutex_);
  return snapshot_;
}

void SnapshotSlot::AddListener(Listener listener) {
  MutexLock swap_lock(swap_mutex_);
  if (std::shared_ptr<const ActiveSnapshot> snapshot = Get(); snapshot != nullptr) listener(std::move(snapshot));
  listeners_.push_back(std::move(listener));
}

void SnapshotSlot::Swap(std::shared_ptr<const ActiveSnapshot> snapshot) {
  MutexLock swap_lock(swap_mutex_);
  {
    MutexLock lock(mutex_);
    snapshot_ = snapshot;
  }
  for (const Listener& listener : listeners_) listener(snapshot);
}

}  // namespace signalbox
