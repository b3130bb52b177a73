// Faults that break the quota core on purpose, so that a test can show that the simulation sees each. Only in a build
// with SIGNALBOX_QUOTA_FAULTS, which nothing but the simulation links; elsewhere SB_BROKEN is the constant false.
#pragma once

#ifdef SIGNALBOX_QUOTA_FAULTS

// name, what is broken
#define SB_QUOTA_FAULTS(X) X(kGrantIgnoresHeld)

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

#else

#define SB_BROKEN(name) false

#endif
