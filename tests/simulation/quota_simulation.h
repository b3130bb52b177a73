// A seeded run of the quota core: proxies, their network, the service's log and snapshots, operators and clocks, all
// simulated in one thread, and the model that says what must come out. The same seed gives the same run everywhere.
// See docs/simulation.md.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace signalbox::simulation {

// What a run met: a simulation that never gets somewhere proves nothing about it.
enum class Event {
  kGranted,
  kDenied,
  kCapLowered,
  kShadowDenied,
  kExtended,
  kExtendDenied,
  kFallback,
  kRepeatAnswered,
  kAcknowledgedRepeated,
  kCancelled,
  kForceCharged,
  kMessageLost,
  kMessageDelayed,
  kMessageDuplicated,
  kAnswersLost,
  kAnswersDelayed,
  kProxyCrash,
  kSettledFromSpool,
  kServiceCrashBeforeCommit,
  kServiceCrashAfterCommit,
  kCompaction,
  kDaysAway,
  kClockBack,
  kClockForward,
  kSuspended,
  kSuspendedResolved,
  kSuspendedForgotten,
  kAskedAfterSuspension,
  kWindowTurned,
  kLimitChanged,
  kReset,
  kAdjusted,
  kAdjustmentRepeated,
  kSettledInPastWindow,
  kUsedMoreThanHeld,
  kCount_
};
inline constexpr int kEvents = static_cast<int>(Event::kCount_);
const char* NameOf(Event event);
using Coverage = std::array<int64_t, kEvents>;

inline constexpr int kStepsPerSeed = 3'000;

struct Outcome {
  int64_t requests = 0;  // begun: an acquire and what follows
  int64_t commands = 0;  // evaluated by the core, repeats not counted
  int steps = 0;
  Coverage coverage{};
  std::string violation;  // empty: none; else at step `steps`
};

Outcome Simulate(uint64_t seed, int steps = kStepsPerSeed);

}  // namespace signalbox::simulation
