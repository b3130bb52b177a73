// quota_bench: how many limits the quota service decides a second, and how long one takes. The real binary behind real
// gRPC sessions of the proxies' own client, each session a proxy of its own; every store in turn, rounds interleaved so
// that a slow moment of the machine meets all of them; medians. A request is what the walkthrough's is: one acquire of
// a count and a strict dollar limit, answered, then its settle. Prints a Markdown table.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/program_flags.h"
#include "common/status_macros.h"
#include "controlplane/quota/quota_core.h"
#include "tests/bench/quota_requests.h"
#include "tests/controlplane/quota/redis_server.h"
#include "tests/testing/child_process.h"
#include "tests/testing/looped_quota_client.h"

ABSL_FLAG(std::string, bin_dir, SIGNALBOX_BIN_DIR, "where signalbox-quota is");
ABSL_FLAG(std::string, data_dir, "", "where the stores keep their files; empty: a temporary directory");
ABSL_FLAG(int, rounds, 5, "rounds over all stores; the median counts");
ABSL_FLAG(int, seconds, 2, "of load, in each measurement of decisions a second");
ABSL_FLAG(int, in_flight, 512, "requests in flight in each session under load");
ABSL_FLAG(int, calls, 500, "in each measurement of round trips, in each session");
ABSL_FLAG(bool, redis, true, "measure Redis too (needs redis-server)");

namespace signalbox {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::microseconds;

constexpr char kToken[] = "a-benchmarks-token";
constexpr int kIdentifiers = 1'000;
constexpr int kCallsPauseUs = 1'000;  // between a settle and the next acquire: a calm proxy
constexpr int kWarmUpCalls = 50;

struct Store {
  std::string name;
  std::vector<std::string> flags;
};

struct Measured {
  double decisions_per_s = 0;
  double p50_us = 0;
  double p99_us = 0;
};

double Percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const size_t at = std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}
double Median(const std::vector<double>& values) { return Percentile(values, 0.5); }

// One session: a proxy that keeps `in_flight` requests under way until told to stop.
class LoadSession {
 public:
  LoadSession(GrpcQuotaClient& client, std::string name) : client_(client), name_(std::move(name)) {}

  void Start(int in_flight) {
    open_ = in_flight;
    for (int i = 0; i < in_flight; ++i) One();
  }
  int64_t decided() const { return decided_; }
  int64_t failed() const { return failed_; }
  void Stop() {
    stopping_ = true;
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return open_ == 0; });
  }

 private:
  void One() {
    const int64_t number = next_++;
    std::string id = absl::StrCat(name_, "-", number);
    v1::Acquire acquire = bench::AcquireOf(id, number % kIdentifiers);
    client_.Acquire(std::move(acquire), [this, id = std::move(id)](absl::StatusOr<v1::QuotaAnswer> answer) {
      if (answer.ok() && answer->result() == v1::QuotaAnswer::GRANTED) {
        ++decided_;
        client_.Settle(bench::SettleOf(id));
      } else {
        ++failed_;
      }
      if (!stopping_) return One();
      std::lock_guard lock(mutex_);
      --open_;
      ended_.notify_all();
    });
  }

  GrpcQuotaClient& client_;
  const std::string name_;
  std::atomic<int64_t> next_{0}, decided_{0}, failed_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable ended_;
  int open_ = 0;
};

// The microseconds of `calls` acquires, one after another, each after a quiet moment.
std::vector<double> RoundTrips(GrpcQuotaClient& client, const std::string& name, int calls) {
  std::vector<double> times;
  for (int i = 0; i < calls + kWarmUpCalls; ++i) {
    const std::string id = absl::StrCat(name, "-calm-", i);
    std::mutex mutex;
    std::condition_variable answered;
    bool done = false;
    SteadyClock::time_point end;
    const auto begin = SteadyClock::now();
    client.Acquire(bench::AcquireOf(id, i % kIdentifiers), [&](absl::StatusOr<v1::QuotaAnswer> answer) {
      const auto now = SteadyClock::now();
      std::lock_guard lock(mutex);
      if (answer.ok()) end = now;
      done = true;
      answered.notify_one();
    });
    {
      std::unique_lock lock(mutex);
      answered.wait(lock, [&] { return done; });
    }
    if (end != SteadyClock::time_point() && i >= kWarmUpCalls) {
      times.push_back(std::chrono::duration<double, std::micro>(end - begin).count());
    }
    client.Settle(bench::SettleOf(id));
    std::this_thread::sleep_for(microseconds(kCallsPauseUs));
  }
  return times;
}

class Bench {
 public:
  explicit Bench(std::string directory) : directory_(std::move(directory)) {}

  absl::StatusOr<Measured> Measure(const Store& store, int sessions, int round) {
    const std::string name = absl::StrCat("run-", ++runs_);
    const std::string data = absl::StrCat(directory_, "/", name);
    std::filesystem::create_directories(data);
    const std::string tokens = absl::StrCat(directory_, "/tokens");
    {
      std::ofstream file(tokens);
      file << kToken << "\n";
    }
    std::filesystem::permissions(tokens, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    std::vector<std::string> flags = {absl::StrCat("--data_dir=", data), absl::StrCat("--token_file=", tokens),
                                      "--grpc_address=127.0.0.1:0"};
    flags.insert(flags.end(), store.flags.begin(), store.flags.end());
    ASSIGN_OR_RETURN(ChildProcess service, ChildProcess::Start(absl::GetFlag(FLAGS_bin_dir) + "/signalbox-quota", flags,
                                                               absl::StrCat(data, ".process")));
    ASSIGN_OR_RETURN(const std::string address, service.Listening("grpc"));
    ASSIGN_OR_RETURN(const GrpcTarget target, ParseGrpcTarget(address));
    std::vector<std::unique_ptr<GrpcQuotaClient>> clients;
    for (int i = 0; i < sessions; ++i) {
      QuotaClientOptions options;
      options.target = target;
      options.token = kToken;
      options.proxy_id = absl::StrCat("proxy-", i);
      options.boot_id = absl::StrCat(name, "-", round, "-", i);
      options.call_timeout_us = 60'000'000;
      clients.push_back(std::make_unique<testing::LoopedQuotaClient>(std::move(options)));
    }
    const auto give_up = SteadyClock::now() + std::chrono::seconds(20);
    for (const auto& client : clients) {
      while (!client->Connected()) {
        if (SteadyClock::now() > give_up) return absl::UnavailableError(absl::StrCat(store.name, ": ", service.Log()));
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    }
    Measured measured;
    RETURN_IF_ERROR(MeasureCalm(clients, name, measured));
    RETURN_IF_ERROR(MeasureLoad(clients, name, measured));
    clients.clear();
    service.Kill();
    std::filesystem::remove_all(data);
    return measured;
  }

 private:
  static absl::Status MeasureCalm(std::vector<std::unique_ptr<GrpcQuotaClient>>& clients, const std::string& name,
                                  Measured& measured) {
    std::vector<std::vector<double>> times(clients.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < clients.size(); ++i) {
      threads.emplace_back(
          [&, i] { times[i] = RoundTrips(*clients[i], absl::StrCat(name, "-", i), absl::GetFlag(FLAGS_calls)); });
    }
    for (std::thread& thread : threads) thread.join();
    std::vector<double> all;
    for (const auto& own : times) all.insert(all.end(), own.begin(), own.end());
    if (all.size() != clients.size() * static_cast<size_t>(absl::GetFlag(FLAGS_calls))) {
      return absl::UnavailableError("some calls were not answered");
    }
    measured.p50_us = Percentile(all, 0.50);
    measured.p99_us = Percentile(all, 0.99);
    return absl::OkStatus();
  }

  static absl::Status MeasureLoad(std::vector<std::unique_ptr<GrpcQuotaClient>>& clients, const std::string& name,
                                  Measured& measured) {
    std::vector<std::unique_ptr<LoadSession>> sessions;
    for (size_t i = 0; i < clients.size(); ++i) {
      sessions.push_back(std::make_unique<LoadSession>(*clients[i], absl::StrCat(name, "-load-", i)));
      sessions.back()->Start(absl::GetFlag(FLAGS_in_flight));
    }
    const auto decided = [&] {
      int64_t sum = 0;
      for (const auto& session : sessions) sum += session->decided();
      return sum;
    };
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // until the pace is even
    const auto begin = SteadyClock::now();
    const int64_t before = decided();
    std::this_thread::sleep_for(std::chrono::seconds(absl::GetFlag(FLAGS_seconds)));
    const int64_t after = decided();
    const double seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
    int64_t failed = 0;
    for (const auto& session : sessions) {
      session->Stop();
      failed += session->failed();
    }
    if (failed > 0) return absl::UnavailableError(absl::StrCat(failed, " acquires were not granted"));
    measured.decisions_per_s = static_cast<double>(after - before) / seconds;
    return absl::OkStatus();
  }

  const std::string directory_;
  int runs_ = 0;
};

// Acquires a second of the state machine alone: messages of fifty requests, settled in the next message.
double CoreDecisionsPerSecond() {
  QuotaCore core;
  int64_t now_us = 1'800'000'000'000'000;
  bench::MessageMaker maker("proxy", /*requests_per_message=*/50, 0, kIdentifiers);
  std::vector<v1::QuotaRequest> messages;
  for (int i = 0; i < 4'000; ++i) messages.push_back(maker.Next());
  const auto begin = SteadyClock::now();
  for (const v1::QuotaRequest& message : messages) {
    v1::QuotaResponse answers;
    core.Apply(message, now_us += 250, answers);
  }
  const double seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
  return static_cast<double>(core.decisions()) / seconds;
}

std::string Machine() {
  std::ifstream file("/proc/cpuinfo");
  std::string line, model = "unknown processor";
  while (std::getline(file, line)) {
    if (line.starts_with("model name")) {
      model = line.substr(line.find(':') + 2);
      break;
    }
  }
  return absl::StrCat(std::thread::hardware_concurrency(), " x ", model);
}

std::string Thousands(double value) { return absl::StrFormat("%.1f k", value / 1'000); }

absl::Status Run() {
  std::string directory = absl::GetFlag(FLAGS_data_dir);
  const bool own_directory = directory.empty();
  if (own_directory) {
    directory = (std::filesystem::temp_directory_path() / "signalbox-bench-XXXXXX").string();
    if (::mkdtemp(directory.data()) == nullptr) return absl::UnavailableError("cannot make a temporary directory");
  }
  std::vector<Store> stores = {{"memory", {"--store=memory"}},
                               {"SQLite, process", {"--store=sqlite", "--durability=process"}},
                               {"SQLite, power", {"--store=sqlite", "--durability=power"}}};
  std::vector<std::unique_ptr<testing::RedisServer>> redis;
  if (absl::GetFlag(FLAGS_redis)) {
    for (const char* fsync : {"everysec", "always"}) {
      ASSIGN_OR_RETURN(auto server, testing::RedisServer::Start({.appendfsync = fsync, .more_arguments = {}}));
      stores.push_back({absl::StrCat("Redis, appendfsync ", fsync), {absl::StrCat("--store=", server->url())}});
      redis.push_back(std::move(server));
    }
  }
  const std::vector<int> session_counts = {1, 4};
  struct Cell {
    std::vector<double> decisions, p50, p99;
  };
  std::vector<std::vector<Cell>> cells(stores.size(), std::vector<Cell>(session_counts.size()));
  std::vector<double> core;
  Bench bench(directory);
  for (int round = 0; round < absl::GetFlag(FLAGS_rounds); ++round) {
    core.push_back(CoreDecisionsPerSecond());
    for (size_t s = 0; s < stores.size(); ++s) {
      for (size_t c = 0; c < session_counts.size(); ++c) {
        ASSIGN_OR_RETURN(const Measured measured, bench.Measure(stores[s], session_counts[c], round));
        cells[s][c].decisions.push_back(measured.decisions_per_s);
        cells[s][c].p50.push_back(measured.p50_us);
        cells[s][c].p99.push_back(measured.p99_us);
      }
    }
    std::cerr << "round " << round + 1 << " of " << absl::GetFlag(FLAGS_rounds) << " done" << std::endl;
  }
  std::cout << "Machine: " << Machine() << ". Medians of " << absl::GetFlag(FLAGS_rounds) << " rounds, "
            << absl::GetFlag(FLAGS_seconds) << " s of load each, " << absl::GetFlag(FLAGS_in_flight)
            << " requests in flight a session.\n\n"
            << "| store | proxies | decisions/s | round trip p50, µs | p99, µs |\n|---|---:|---:|---:|---:|\n"
            << "| none: the core alone, one thread | – | " << Thousands(Median(core)) << " | – | – |\n";
  for (size_t s = 0; s < stores.size(); ++s) {
    for (size_t c = 0; c < session_counts.size(); ++c) {
      std::cout << "| " << stores[s].name << " | " << session_counts[c] << " | "
                << Thousands(Median(cells[s][c].decisions)) << " | "
                << absl::StrFormat("%.0f | %.0f |", Median(cells[s][c].p50), Median(cells[s][c].p99)) << "\n";
    }
  }
  if (own_directory) std::filesystem::remove_all(directory);
  return absl::OkStatus();
}

}  // namespace
}  // namespace signalbox

int main(int argc, char** argv) {
  signalbox::ParseProgramFlags(argc, argv, "quota_bench [--rounds=N] [--seconds=N] [--noredis]", "quota_bench.cc");
  if (const absl::Status status = signalbox::Run(); !status.ok()) {
    std::cerr << "quota_bench: " << std::string(status.message()) << std::endl;
    return 1;
  }
  return 0;
}
