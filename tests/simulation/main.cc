// The simulation as a command: seeds without end until --seconds have passed, on --threads threads. See
// tests/simulation/run.
#include <malloc.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/simulation/quota_simulation.h"

#ifdef SIGNALBOX_QUOTA_FAULTS
#include "tests/simulation/quota_faults.h"
#endif

namespace signalbox::simulation {
namespace {

using Clock = std::chrono::steady_clock;

struct Arguments {
  double seconds = 60;
  uint64_t seed = 1;
  uint64_t seeds = 0;  // 0: as many as fit into the time
  int steps = kStepsPerSeed;
  int threads = 1;
  std::string fault;
  bool faults = false;
};

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Total {
  std::mutex mutex;
  int64_t seeds = 0, requests = 0, commands = 0, steps = 0;
  Coverage coverage{};
  bool violated = false;
};

void PrintViolation(uint64_t seed, const Outcome& outcome) {
  std::printf("VIOLATION seed %llu step %d: %s\nreplay: tests/simulation/run --seed %llu\n",
              static_cast<unsigned long long>(seed), outcome.steps, outcome.violation.c_str(),
              static_cast<unsigned long long>(seed));
}

// By processor time: what one core does, however busy the machine is.
void PrintProgress(const Total& total, double seconds) {
  const double cpu_seconds = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  std::printf("%7.1f s  %lld seeds  %lld steps  %lld requests  %lld commands  %.0f requests/s per core\n", seconds,
              static_cast<long long>(total.seeds), static_cast<long long>(total.steps),
              static_cast<long long>(total.requests), static_cast<long long>(total.commands),
              static_cast<double>(total.requests) / cpu_seconds);
  std::fflush(stdout);
}

// Seeds from `first` on, shared by all threads; true when none was violated.
bool RunSeeds(const Arguments& arguments) {
  const Clock::time_point start = Clock::now();
  std::atomic<uint64_t> next{arguments.seed};
  Total total;
  double printed = 0;
  const auto work = [&] {
    while (true) {
      {
        const std::lock_guard lock(total.mutex);
        if (total.violated) return;
        if (arguments.seeds == 0 && SecondsSince(start) >= arguments.seconds && total.seeds > 0) return;
      }
      const uint64_t seed = next++;
      if (arguments.seeds > 0 && seed - arguments.seed >= arguments.seeds) return;
      const Outcome outcome = Simulate(seed, arguments.steps);
      const std::lock_guard lock(total.mutex);
      ++total.seeds;
      total.requests += outcome.requests;
      total.commands += outcome.commands;
      total.steps += outcome.steps;
      for (size_t i = 0; i < outcome.coverage.size(); ++i) total.coverage[i] += outcome.coverage[i];
      if (!outcome.violation.empty()) {
        total.violated = true;
        PrintViolation(seed, outcome);
      }
      if (SecondsSince(start) - printed >= 10) {
        printed = SecondsSince(start);
        PrintProgress(total, printed);
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < arguments.threads; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  PrintProgress(total, SecondsSince(start));
  for (int i = 0; i < kEvents; ++i) {
    std::printf("  %-28s %lld\n", NameOf(static_cast<Event>(i)),
                static_cast<long long>(total.coverage[static_cast<size_t>(i)]));
  }
  std::printf(total.violated ? "violated\n" : "no violation\n");
  return !total.violated;
}

#ifdef SIGNALBOX_QUOTA_FAULTS
// How long each fault takes to be caught; false when one is not within a minute.
bool RunFaults(const Arguments& arguments) {
  bool all = true;
  double slowest = 0;
  for (const QuotaFaultName& fault : kQuotaFaults) {
    broken_quota = fault.fault;
    const Clock::time_point start = Clock::now();
    Outcome outcome;
    uint64_t seed = arguments.seed;
    int64_t requests = 0;
    for (; outcome.violation.empty() && SecondsSince(start) < 60; ++seed) {
      outcome = Simulate(seed, std::min(arguments.steps, 300));  // many short ones: many worlds
      requests += outcome.requests;
    }
    broken_quota = QuotaFault::kNone;
    const double seconds = SecondsSince(start);
    slowest = std::max(slowest, seconds);
    all = all && !outcome.violation.empty();
    std::printf("%-40s %7.3f s  %9lld requests  seed %llu: %.100s\n", fault.name, seconds,
                static_cast<long long>(requests), static_cast<unsigned long long>(seed - 1),
                outcome.violation.empty() ? "NOT CAUGHT" : outcome.violation.c_str());
    std::fflush(stdout);
  }
  std::printf("%zu faults, %s, the slowest in %.3f s\n", std::size(kQuotaFaults), all ? "all caught" : "NOT ALL CAUGHT",
              slowest);
  return all;
}
#endif

int Usage(const char* problem) {
  std::fprintf(
      stderr,
      "%s\nusage: run [--seconds N | --seeds N] [--seed S] [--steps N] [--threads K] [--fault NAME | --faults]\n",
      problem);
  return 2;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  bool seconds_given = false, seed_given = false;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--faults") {
      arguments.faults = true;
      continue;
    }
    if (i + 1 == argc) return Usage(("no value, or an unknown flag: " + flag).c_str());
    const char* value = argv[++i];
    if (flag == "--seconds") {
      arguments.seconds = std::strtod(value, nullptr);
      seconds_given = true;
    } else if (flag == "--seed") {
      arguments.seed = std::strtoull(value, nullptr, 10);
      seed_given = true;
    } else if (flag == "--seeds") {
      arguments.seeds = std::strtoull(value, nullptr, 10);
    } else if (flag == "--steps") {
      arguments.steps = std::atoi(value);
    } else if (flag == "--threads") {
      arguments.threads = std::max(1, std::atoi(value));
    } else if (flag == "--fault") {
      arguments.fault = value;
    } else {
      return Usage(("an unknown flag: " + flag).c_str());
    }
  }
  if (seed_given && !seconds_given && arguments.seeds == 0) arguments.seeds = 1;
#ifdef SIGNALBOX_QUOTA_FAULTS
  if (arguments.faults) return RunFaults(arguments) ? 0 : 1;
  if (!arguments.fault.empty()) {
    for (const QuotaFaultName& fault : kQuotaFaults) {
      if (arguments.fault == fault.name) broken_quota = fault.fault;
    }
    if (broken_quota == QuotaFault::kNone) return Usage(("no such fault: " + arguments.fault).c_str());
  }
#else
  if (arguments.faults || !arguments.fault.empty())
    return Usage("this build has no faults: use quota_simulation_faulty");
#endif
  return RunSeeds(arguments) ? 0 : 1;
}

}  // namespace
}  // namespace signalbox::simulation

int main(int argc, char** argv) {
  // Each seed builds and drops a few MB many times: memory stays with the process, and no lists of small free chunks
  // are gathered again and again.
  mallopt(M_MXFAST, 0);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
  return signalbox::simulation::Main(argc, argv);
}
