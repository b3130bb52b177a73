#include "controlplane/quota/believed_time.h"

#include <algorithm>

#include "common/limits.h"

namespace signalbox {

BelievedTime::Reading BelievedTime::Read(int64_t wall_us, int64_t monotonic_us) {
  const bool first = first_;
  const int64_t expected = first ? now_us_ : now_us_ + std::max<int64_t>(monotonic_us - monotonic_us_, 0);
  first_ = false;
  monotonic_us_ = monotonic_us;
  Reading reading;
  const bool ahead = !first && wall_us - expected > kBelievedClockJumpUs;
  const bool behind = expected - wall_us > kBelievedClockJumpUs;
  if (ahead || behind) {
    reading.jumped = !disbelieving_;
    reading.step_us = wall_us - expected;
    disbelieving_ = true;
    now_us_ = expected;
  } else {
    disbelieving_ = false;
    now_us_ = std::max(now_us_, wall_us);
  }
  reading.now_us = now_us_;
  return reading;
}

}  // namespace signalbox
