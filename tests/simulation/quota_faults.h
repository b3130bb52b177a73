// Faults that break the quota core on purpose, so that a test can show that the simulation sees each.
// quota_faults.patch puts them into a copy of the core, which nothing but the simulation links; the core itself knows
// nothing of them.
#pragma once

// Each is a line of the core that is wrong while it is chosen.
#define SB_QUOTA_FAULTS(X)    \
  X(kDeniedIsTakenToo)        \
  X(kCountAdmitsOneMore)      \
  X(kTokensHeldAsDollars)     \
  X(kShadowLowersCap)         \
  X(kShadowRefuses)           \
  X(kEarlierLimitForgotten)   \
  X(kSuspendedHoldGrows)      \
  X(kObservedIgnoresSuspense) \
  X(kObservedTestsHolds)      \
  X(kGrantIgnoresHeld)        \
  X(kGrantIgnoresSuspense)    \
  X(kCapNotLowered)           \
  X(kSecondHoldAdds)          \
  X(kExtendIgnoresLimit)      \
  X(kExtendSkipsTokens)       \
  X(kTimeGoesBack)            \
  X(kAcknowledgedIsEvaluated) \
  X(kRepeatIsEvaluated)       \
  X(kCancelledIsEvaluated)    \
  X(kTokensSettledAsDollars)  \
  X(kForcedChargeIsFree)      \
  X(kCancelDoesNotUndo)       \
  X(kCancelUndoesTwice)       \
  X(kSuspendsEarly)           \
  X(kSilenceIsIgnored)        \
  X(kAdjustmentAppliedTwice)  \
  X(kResetKeepsSuspense)      \
  X(kResetDropsHolds)         \
  X(kTimeDownIsSilence)       \
  X(kReplayLosesMessages)     \
  X(kReplayLosesTicks)        \
  X(kReplayLosesAdjustments)  \
  X(kSuspendedStaysHeld)      \
  X(kSuspendedMoneyVanishes)  \
  X(kSuspenseForgottenEarly)  \
  X(kWindowTurnsEarly)        \
  X(kSlidingForgetsThePast)   \
  X(kTurnKeepsSettled)        \
  X(kForgetsWhatStillWeighs)  \
  X(kSlidingRoundsDown)       \
  X(kSettleLeavesHold)        \
  X(kRecordOfSuspendedIsLost) \
  X(kSettleCountsTwice)       \
  X(kLateSettleCountsNow)     \
  X(kResetIsUndone)           \
  X(kSnapshotForgetsThePast)  \
  X(kSnapshotForgetsAnswers)  \
  X(kSnapshotForgetsSuspense) \
  X(kTypesDoNotCount)         \
  X(kCalendarIsUtc)

namespace signalbox {

enum class QuotaFault {
  kNone,
#define SB_FAULT(name) name,
  SB_QUOTA_FAULTS(SB_FAULT)
#undef SB_FAULT
};

struct QuotaFaultName {
  QuotaFault fault;
  const char* name;
};
inline constexpr QuotaFaultName kQuotaFaults[] = {
#define SB_FAULT(name) {QuotaFault::name, #name},
    SB_QUOTA_FAULTS(SB_FAULT)
#undef SB_FAULT
};

// What is broken now; set before a simulation begins, read by all its threads.
inline QuotaFault broken_quota = QuotaFault::kNone;

}  // namespace signalbox

#define SB_BROKEN(name) (::signalbox::broken_quota == ::signalbox::QuotaFault::name)
