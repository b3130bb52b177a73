// Latency added at a fixed rate: requests fall due whatever the answers do, and the wait for a turn counts.
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bench/process_usage.h"
#include "tests/bench/sections.h"

namespace signalbox::bench {
namespace {

constexpr char kTable[] = "open-loop";
constexpr int kConnections = 256;
constexpr double kWarmUpSeconds = 0.5;

std::string RowOf(int rate, const std::string& who) { return absl::StrCat(rate, " a second: ", who); }

void MeasureOne(Bench& bench, int rate, const Contender& contender, double seconds, double& direct_p50,
                double& direct_p99) {
  Load load;
  load.address = contender.address;
  load.request = contender.Chat(kSmallBytes);
  load.connections = kConnections;
  load.rate = rate;
  load.seconds = seconds;
  load.warm_up_seconds = kWarmUpSeconds;
  double cpu_us = 0;
  load.on_begin = [&] { cpu_us = -CpuMicros(contender.proxy); };
  load.on_end = [&] { cpu_us += CpuMicros(contender.proxy); };
  absl::StatusOr<LoadResult> result = RunLoad(load);
  const std::string row = RowOf(rate, contender.name);
  if (!result.ok()) Die(absl::StrCat(row, ": ", std::string(result.status().message())));
  if (result->failed > 0) std::fprintf(stderr, "%s: %s\n", row.c_str(), std::string(result->error.message()).c_str());
  const double p50 = Percentile(result->latencies_us, 0.50);
  const double p99 = Percentile(result->latencies_us, 0.99);
  if (contender.name == kDirect) {
    direct_p50 = p50;
    direct_p99 = p99;
  }
  Report& report = bench.report;
  report.Add(kTable, row, "answered/s", result->rate());
  report.Add(kTable, row, "p50, µs", p50);
  report.Add(kTable, row, "p99, µs", p99);
  if (contender.name != kDirect) {
    report.Add(kTable, row, "added p50, µs", p50 - direct_p50);
    report.Add(kTable, row, "added p99, µs", p99 - direct_p99);
  }
  report.Add(kTable, row, "CPU µs", cpu_us / static_cast<double>(std::max<int64_t>(result->answered, 1)));
  report.Add(kTable, row, "failed", static_cast<double>(result->failed));
  report.Add(kTable, row, "waiting, most", static_cast<double>(result->late_max));
}

}  // namespace

void MeasureOpenLoop(Bench& bench) {
  Report& report = bench.report;
  report.Declare(
      kTable, "Latency at a fixed rate",
      "Open loop, 1 KB, 256 connections: a request falls due at its time whatever became of the ones before, and its "
      "latency counts from then. *added* is against the direct calls of the same round. *waiting*: requests that were "
      "due and found every connection taken; above 0 the rate was more than could be served.",
      {{"answered/s"},
       {"p50, µs"},
       {"p99, µs"},
       {"added p50, µs"},
       {"added p99, µs"},
       {"CPU µs", 1},
       {"waiting, most"}});
  for (const int rate : {1'000, 2'000, 5'000}) {
    std::fprintf(stderr, "open loop, %d a second\n", rate);
    const int rounds = bench.quick && rate != 2'000 ? 1 : bench.rounds;
    for (int round = 0; round < rounds; ++round) {
      double direct_p50 = 0, direct_p99 = 0;
      for (const char* name : {kDirect, kNginx, kPlainModel, kWalkthrough}) {
        MeasureOne(bench, rate, bench.contenders.Get(name), bench.seconds, direct_p50, direct_p99);
      }
    }
  }
  const std::string row = RowOf(2'000, kWalkthrough);
  report.AtMost("added-p50-us-at-2000", report.Median(kTable, row, "added p50, µs"), 250);
  report.AtMost("added-p99-us-at-2000", report.Median(kTable, row, "added p99, µs"), 1'500);
}

}  // namespace signalbox::bench
