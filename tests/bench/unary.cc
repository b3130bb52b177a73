// CPU per request, latency and throughput of whole answers, closed loop.
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bench/process_usage.h"
#include "tests/bench/sections.h"

namespace signalbox::bench {
namespace {

constexpr char kTable[] = "unary";
constexpr double kWarmUpSeconds = 0.3;

std::string RowOf(size_t bytes, int connections, const std::string& who) {
  return absl::StrCat(bytes >> 10, " KB, ", connections, connections == 1 ? " connection: " : " connections: ", who);
}

void MeasureRows(Bench& bench, size_t bytes, int connections, const std::vector<std::string>& names, int rounds,
                 double seconds) {
  std::fprintf(stderr, "unary, %zu KB, %d connections\n", bytes >> 10, connections);
  DeclareUnary(
      bench.report, kTable, "Unary",
      "Closed loop. *CPU* is what the processes between client and provider used, a request; *all* adds quota service "
      "and control plane. *generator* is how much of a core the load generator used: well under 100 means it was not "
      "what was measured.");
  for (int round = 0; round < rounds; ++round) {
    for (const std::string& name : names) {
      MeasureUnaryRow(bench, kTable, RowOf(bytes, connections, name), bench.contenders.Get(name), bytes, connections,
                      seconds);
    }
  }
}

double Cpu(const Report& report, size_t bytes, const char* who, const char* column = "CPU µs") {
  return report.Median(kTable, RowOf(bytes, 64, who), column);
}

void Bounds(Bench& bench) {
  Report& report = bench.report;
  const double nginx = Cpu(report, kSmallBytes, kNginx);
  const double proxy = Cpu(report, kSmallBytes, kWalkthrough);
  report.AtMost("unary-1KB-64-proxy-cpu-over-nginx", proxy / nginx, 2.0);
  report.AtMost("unary-1KB-64-proxy-cpu-over-nginx-moonshot", proxy / nginx, 1.3);
  report.AtMost("unary-1KB-64-all-cpu-over-nginx", Cpu(report, kSmallBytes, kWalkthrough, "all, µs") / nginx, 3.0);
  if (report.Has(kTable, RowOf(kSmallBytes, 64, kPortkey), "CPU µs")) {
    report.AtLeast("unary-1KB-64-portkey-cpu-over-proxy", Cpu(report, kSmallBytes, kPortkey) / proxy, 25);
  }
  if (report.Has(kTable, RowOf(kLargeBytes, 64, kNginx), "CPU µs")) {
    report.AtMost("unary-50KB-64-proxy-cpu-over-nginx",
                  Cpu(report, kLargeBytes, kWalkthrough) / Cpu(report, kLargeBytes, kNginx), 1.5);
  }
}

}  // namespace

void DeclareUnary(Report& report, const std::string& table, const std::string& title, const std::string& what) {
  report.Declare(table, title, what,
                 {{"requests/s"},
                  {"CPU µs", 1},
                  {"all, µs", 1},
                  {"p50, µs"},
                  {"p99, µs"},
                  {"RSS, MB"},
                  {"generator, %"},
                  {"failed"}});
}

void MeasureUnaryRow(Bench& bench, const std::string& table, const std::string& row, const Contender& contender,
                     size_t bytes, int connections, double seconds) {
  std::vector<pid_t> all = contender.proxy;
  all.insert(all.end(), contender.others.begin(), contender.others.end());
  double proxy_us = 0, all_us = 0;
  Load load;
  load.address = contender.address;
  load.request = contender.Chat(bytes);
  load.connections = connections;
  load.seconds = seconds;
  load.warm_up_seconds = kWarmUpSeconds;
  load.on_begin = [&] {
    proxy_us = -CpuMicros(contender.proxy);
    all_us = -CpuMicros(all);
  };
  load.on_end = [&] {
    proxy_us += CpuMicros(contender.proxy);
    all_us += CpuMicros(all);
  };
  absl::StatusOr<LoadResult> result = RunLoad(load);
  if (!result.ok()) Die(absl::StrCat(row, ": ", std::string(result.status().message())));
  if (result->failed > 0) std::fprintf(stderr, "%s: %s\n", row.c_str(), std::string(result->error.message()).c_str());
  if (result->answered == 0) Die(absl::StrCat(row, ": nothing was answered"));
  const double answered = static_cast<double>(result->answered);
  Report& report = bench.report;
  report.Add(table, row, "requests/s", result->rate());
  report.Add(table, row, "CPU µs", proxy_us / answered);
  if (!contender.others.empty()) report.Add(table, row, "all, µs", all_us / answered);
  report.Add(table, row, "p50, µs", Percentile(result->latencies_us, 0.50));
  report.Add(table, row, "p99, µs", Percentile(result->latencies_us, 0.99));
  report.Add(table, row, "RSS, MB", RssMegabytes(contender.proxy));
  report.Add(table, row, "failed", static_cast<double>(result->failed));
  report.Add(table, row, "generator, %", result->own_cpu_us / result->seconds / 1e4);
}

void MeasureUnary64(Bench& bench) {
  for (const size_t bytes : {kSmallBytes, kLargeBytes}) {
    MeasureRows(bench, bytes, 64, {kDirect, kNginx, kPlainModel, kWalkthrough}, bench.rounds, bench.seconds);
  }
  Bounds(bench);
}

void MeasureUnary(Bench& bench) {
  std::vector<std::string> names = {kDirect, kDirectSimulated, kNginx, kPlainModel, kWalkthrough, kManyRoutes};
  if (bench.contenders.has_portkey()) names.push_back(kPortkey);
  for (const size_t bytes : {kSmallBytes, kLargeBytes}) {
    for (const int connections : {1, 16, 64, 256}) {
      const bool counts = connections == 64;  // for the bounds
      MeasureRows(bench, bytes, connections, names, bench.quick && !counts ? 1 : bench.rounds,
                  bench.quick && !counts ? bench.seconds / 2 : bench.seconds);
    }
  }
  Bounds(bench);
}

}  // namespace signalbox::bench
