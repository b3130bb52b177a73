#include "tests/bench/process_usage.h"

#include <unistd.h>

#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/testing/child_process.h"

namespace signalbox::bench {

double CpuMicros(const std::vector<pid_t>& pids) {
  static const double kTickUs = 1e6 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  double sum = 0;
  for (const pid_t pid : pids) {
    const std::string stat = ReadWholeFile(absl::StrCat("/proc/", pid, "/stat"));
    const size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos) continue;
    std::istringstream fields(stat.substr(name_end + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) fields >> skipped;  // state to cmajflt; utime and stime follow
    double user = 0, system = 0;
    fields >> user >> system;
    sum += (user + system) * kTickUs;
  }
  return sum;
}

double RssMegabytes(const std::vector<pid_t>& pids) {
  double pages = 0;
  for (const pid_t pid : pids) {
    std::istringstream fields(ReadWholeFile(absl::StrCat("/proc/", pid, "/statm")));
    double total = 0, resident = 0;
    fields >> total >> resident;
    pages += resident;
  }
  return pages * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::istringstream list(ReadWholeFile(absl::StrCat("/proc/", pid, "/task/", pid, "/children")));
  std::vector<pid_t> children;
  for (pid_t child = 0; list >> child;) children.push_back(child);
  return children;
}

}  // namespace signalbox::bench
