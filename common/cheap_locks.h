// What a program says first when gRPC does its talking.
#pragma once

#include "absl/synchronization/mutex.h"

namespace signalbox {

// Debian's Abseil follows every lock of gRPC's in a graph of locks, which costs more than the locks.
inline void UseCheapLocks() { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }

}  // namespace signalbox
