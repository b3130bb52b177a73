// The quota service's engine by itself: commands in messages as proxies batch them, decided, committed, answered.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controlplane/quota/memory_quota_store.h"
#include "controlplane/quota/quota_engine.h"
#include "controlplane/quota/sqlite_quota_store.h"
#include "tests/bench/quota_requests.h"
#include "tests/bench/sections.h"

namespace signalbox::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr char kTable[] = "quota";
constexpr char kGrowthTable[] = "quota-growth";
constexpr int kProxies = 8;
constexpr int kRequestsPerMessage = 50;
constexpr int kMessagesInFlight = 4;  // of each proxy
constexpr int64_t kIdentifiers = 1'000;
constexpr int kMessages = 4'000;
constexpr int64_t kStartUs = 1'800'000'000'000'000;

double SecondsSince(SteadyClock::time_point begin) {
  return std::chrono::duration<double>(SteadyClock::now() - begin).count();
}

// Submits each proxy's messages in order, a few of each at a time, until all are answered; limits decided a second.
class EngineRun {
 public:
  explicit EngineRun(QuotaEngine& engine) : engine_(engine), ready_(kProxies) {
    for (int proxy = 0; proxy < kProxies; ++proxy) {
      MessageMaker maker(absl::StrCat("proxy-", proxy), kRequestsPerMessage, proxy, kIdentifiers);
      for (int i = 0; i < kMessages / kProxies; ++i) ready_[static_cast<size_t>(proxy)].push_back(maker.Next());
    }
  }

  double LimitsPerSecond() {
    const auto begin = SteadyClock::now();
    for (int turn = 0; turn < kMessagesInFlight; ++turn) {
      for (size_t proxy = 0; proxy < kProxies; ++proxy) Submit(proxy);
    }
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return answered_ == kMessages; });
    if (wrong_ > 0) Die(absl::StrCat("the quota engine refused ", wrong_.load(), " commands"));
    return static_cast<double>(kMessages) * kRequestsPerMessage * kLimitsPerAcquire / SecondsSince(begin);
  }

 private:
  // On the engine's thread after the first ones; each proxy's messages one after the other.
  void Submit(size_t proxy) {
    const size_t next = next_[proxy]++;
    if (next >= ready_[proxy].size()) return;
    engine_.Submit(std::move(ready_[proxy][next]), [this, proxy](absl::StatusOr<v1::QuotaResponse> answers) {
      if (!answers.ok()) Die(std::string(answers.status().message()));
      for (const v1::QuotaAnswer& answer : answers->answers())
        wrong_ += answer.result() == v1::QuotaAnswer::GRANTED ? 0 : 1;
      Submit(proxy);
      std::lock_guard lock(mutex_);
      if (++answered_ == kMessages) ended_.notify_all();
    });
  }

  QuotaEngine& engine_;
  std::vector<std::vector<v1::QuotaRequest>> ready_;
  std::array<std::atomic<size_t>, kProxies> next_{};
  std::atomic<int64_t> wrong_{0};
  std::mutex mutex_;
  std::condition_variable ended_;
  int answered_ = 0;
};

double MeasureEngine(std::unique_ptr<QuotaStore> store) {
  auto engine = QuotaEngine::Open(std::move(store), Clock::System(),
                                  [](const std::string& report) { std::fprintf(stderr, "%s\n", report.c_str()); });
  if (!engine.ok()) Die(std::string(engine.status().message()));
  const double rate = EngineRun(**engine).LimitsPerSecond();
  (*engine)->Stop();
  return rate;
}

// Microseconds a limit in the state machine alone, one thread, when there are so many identifiers.
double CoreMicros(int64_t identifiers, int64_t& counters) {
  constexpr int kMeasured = 1'000;  // messages
  QuotaCore core;
  int64_t now_us = kStartUs;
  const auto apply = [&](MessageMaker& maker) {
    const v1::QuotaRequest message = maker.Next();
    v1::QuotaResponse answers;
    core.Apply(message, now_us += 250, answers);
  };
  MessageMaker fill("fill", kRequestsPerMessage, 0, identifiers);
  for (int64_t i = 0; i < identifiers + kRequestsPerMessage; i += kRequestsPerMessage) apply(fill);
  counters = static_cast<int64_t>(core.counters());
  MessageMaker maker("measured", kRequestsPerMessage, 1, identifiers);
  std::vector<v1::QuotaRequest> messages;
  for (int i = 0; i < kMeasured; ++i) messages.push_back(maker.Next());
  const auto begin = SteadyClock::now();
  for (const v1::QuotaRequest& message : messages) {
    v1::QuotaResponse answers;
    core.Apply(message, now_us += 250, answers);
  }
  return SecondsSince(begin) * 1e6 / (kMeasured * kRequestsPerMessage * kLimitsPerAcquire);
}

void MeasureCounterGrowth(Bench& bench) {
  Report& report = bench.report;
  report.Declare(kGrowthTable, "Quota service: cost and identifiers",
                 "The state machine alone on one thread; two counters an identifier, visited far apart.",
                 {{"µs a limit", 2}, {"counters"}});
  const auto row = [](int64_t identifiers) {
    return absl::StrCat(identifiers, identifiers == 1 ? " identifier" : " identifiers");
  };
  const int rounds = bench.quick ? 1 : std::min(bench.rounds, 3);
  for (int round = 0; round < rounds; ++round) {
    for (const int64_t identifiers : {1, 1'000, 1'000'000}) {
      int64_t counters = 0;
      report.Add(kGrowthTable, row(identifiers), "µs a limit", CoreMicros(identifiers, counters));
      report.Add(kGrowthTable, row(identifiers), "counters", static_cast<double>(counters));
    }
  }
  report.AtMost(
      "growth-quota-million-over-thousand-identifiers",
      report.Median(kGrowthTable, row(1'000'000), "µs a limit") / report.Median(kGrowthTable, row(1'000), "µs a limit"),
      2.0);
}

}  // namespace

void MeasureQuota(Bench& bench) {
  std::fprintf(stderr, "quota service\n");
  Report& report = bench.report;
  report.Declare(
      kTable, "Quota service: decisions, batched",
      absl::StrCat(
          "The service's engine in one process: messages of ", kRequestsPerMessage, " requests from ", kProxies,
          " proxies, each request a count and a strict dollar limit and later its settle; decided, committed "
          "to the store, then answered. A decision is one limit decided: two an acquire; settles are not counted."),
      {{"decisions/s"}, {"acquires/s"}});
  const auto add = [&](const char* row, double limits) {
    report.Add(kTable, row, "decisions/s", limits);
    report.Add(kTable, row, "acquires/s", limits / kLimitsPerAcquire);
  };
  constexpr char kMemory[] = "memory", kSqlite[] = "SQLite, process durability";
  for (int round = 0; round < bench.rounds; ++round) {
    add(kMemory, MeasureEngine(NewMemoryQuotaStore()));
    const std::string path = absl::StrCat(bench.contenders.options().directory, "/quota-", round, ".db");
    auto store = OpenSqliteQuotaStore(path, Durability::kProcess);
    if (!store.ok()) Die(std::string(store.status().message()));
    add(kSqlite, MeasureEngine(*std::move(store)));
    std::filesystem::remove(path);
  }
  report.AtLeast("quota-memory-decisions-per-s", report.Median(kTable, kMemory, "decisions/s"), 500'000);
  report.AtLeast("quota-sqlite-decisions-per-s", report.Median(kTable, kSqlite, "decisions/s"), 300'000);
  MeasureCounterGrowth(bench);
}

}  // namespace signalbox::bench
