// Streams of events: all of them open at once, each event relayed as it comes.
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bench/process_usage.h"
#include "tests/bench/sections.h"

namespace signalbox::bench {
namespace {

constexpr char kTable[] = "streams";
constexpr double kAskedPerSecond = 2'000;
constexpr int kMostStreams = 5'000;
constexpr double kLeastRampSeconds = 0.5;

std::string RowOf(int streams, const std::string& who) { return absl::StrCat(streams, " streams: ", who); }

void MeasureOne(Bench& bench, int streams, const Contender& contender) {
  StreamLoad load;
  load.address = contender.address;
  load.request = contender.Chat(kSmallBytes, /*stream=*/true);
  load.streams = streams;
  load.ramp_seconds = std::max(kLeastRampSeconds, streams / kAskedPerSecond);
  double rss = 0;
  load.on_all_open = [&] { rss = RssMegabytes(contender.proxy); };
  const double before_us = CpuMicros(contender.proxy);
  absl::StatusOr<StreamResult> result = RunStreams(load);
  const double cpu_us = CpuMicros(contender.proxy) - before_us;
  const std::string row = RowOf(streams, contender.name);
  if (!result.ok()) Die(absl::StrCat(row, ": ", std::string(result.status().message())));
  if (!result->error.ok()) std::fprintf(stderr, "%s: %s\n", row.c_str(), std::string(result->error.message()).c_str());
  Report& report = bench.report;
  report.Add(kTable, row, "complete", result->complete);
  report.Add(kTable, row, "events", static_cast<double>(result->events));
  report.Add(kTable, row, "CPU µs an event", cpu_us / static_cast<double>(std::max<int64_t>(result->events, 1)));
  report.Add(kTable, row, "RSS, MB", rss);
  report.Add(kTable, row, "first event p50, µs", Percentile(result->first_event_us, 0.50));
  report.Add(kTable, row, "p99, µs", Percentile(result->first_event_us, 0.99));
}

}  // namespace

void MeasureStreams(Bench& bench) {
  Report& report = bench.report;
  report.Declare(
      kTable, "Streams",
      absl::StrCat("Each stream is ", bench.contenders.options().events, " events of about 250 bytes, one every ",
                   bench.contenders.options().interval_ms,
                   " ms, and its end; they are asked for at 2,000 a second on connections already open, so that "
                   "5,000 are open at once. *CPU* counts everything from the first request to the last byte. Signalbox "
                   "asks the provider for one event more, the usage, and takes it out again. RSS while all are open."),
      {{"complete"}, {"events"}, {"CPU µs an event", 1}, {"RSS, MB"}, {"first event p50, µs"}, {"p99, µs"}});
  for (const int streams : {100, 1'000, kMostStreams}) {
    std::fprintf(stderr, "%d streams\n", streams);
    std::vector<std::string> names = {kDirect, kNginx, kPlainModel, kWalkthrough};
    if (bench.quick) names = {kNginx, kWalkthrough};
    const int rounds = bench.quick ? 1 : std::min(bench.rounds, 3);
    for (int round = 0; round < rounds; ++round) {
      for (const std::string& name : names) MeasureOne(bench, streams, bench.contenders.Get(name));
    }
  }
  const std::string nginx = RowOf(kMostStreams, kNginx);
  const std::string signalbox = RowOf(kMostStreams, kWalkthrough);
  report.AtLeast("streams-5000-complete", report.Median(kTable, signalbox, "complete"), kMostStreams);
  report.AtMost("streams-5000-cpu-per-event-over-nginx",
                report.Median(kTable, signalbox, "CPU µs an event") / report.Median(kTable, nginx, "CPU µs an event"),
                1.3);
  report.AtMost("streams-5000-rss-mb", report.Median(kTable, signalbox, "RSS, MB"), 80);
  report.AtMost("streams-5000-first-event-p99-over-nginx",
                report.Median(kTable, signalbox, "p99, µs") / report.Median(kTable, nginx, "p99, µs"), 2.0);
}

}  // namespace signalbox::bench
