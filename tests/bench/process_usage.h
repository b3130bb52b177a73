// What processes use, as the kernel counts it: CPU of all their threads, those that ended included, and resident
// memory. A process that is gone counts as nothing.
#pragma once

#include <sys/types.h>

#include <vector>

namespace signalbox::bench {

// Microseconds in user and kernel mode since they started, from /proc/<pid>/stat; it counts in steps of 10 ms.
double CpuMicros(const std::vector<pid_t>& pids);
double RssMegabytes(const std::vector<pid_t>& pids);
std::vector<pid_t> ChildrenOf(pid_t pid);

}  // namespace signalbox::bench
