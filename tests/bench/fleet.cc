// Two thousand routes: compiling them, carrying one change to fifty proxies, and what a proxy weighs with them.
#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/route/validator.h"
#include "controlplane/compiler/compiler.h"
#include "controlplane/prices/bundled_prices.h"
#include "dataplane/config/config_client.h"
#include "tests/bench/process_usage.h"
#include "tests/bench/sections.h"
#include "tests/testing/eventually.h"
#include "tests/testing/stack.h"

namespace signalbox::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;
using nlohmann::json;

constexpr char kTable[] = "fleet";
constexpr char kValue[] = "measured";
constexpr int kProxies = 50;
constexpr char kChangedRoute[] = "saas-1000";
constexpr int64_t kChangedLimit = 500'000'000;

int64_t UnixMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Milliseconds from the authors' JSON to the bytes of snapshots, and of compiling alone, on one thread.
struct CompileTimes {
  double all_ms = 0, compile_ms = 0;
};
CompileTimes MeasureCompile() {
  std::vector<std::string> texts;
  for (int i = 0; i < kManyRoutesCount; ++i) texts.push_back(BoundlessWalkthrough(absl::StrCat("saas-", i)));
  const PriceLookup prices = [](const std::string& provider, const std::string& model) {
    return BundledCatalogue().Find(PriceSourceOf(provider, "openai"), model);
  };
  ValidationContext context;
  context.providers = BuiltInProviders();
  context.check_prices = false;
  prices("openai", "gpt-4o-mini");  // the catalogue is read when first used
  SteadyClock::duration all{}, compiling{};
  size_t bytes = 0;
  for (const std::string& text : texts) {
    const auto begin = SteadyClock::now();
    const CheckedRoute checked = CheckRoute(text, context);
    if (!checked.compiles) Die("the walkthrough's route does not compile: " + checked.faults[0].message());
    const auto compile_begin = SteadyClock::now();
    const auto compiled = CompileRoute({"default", "r", "saas", 1}, checked.spec, prices);
    if (!compiled.ok()) Die(std::string(compiled.status().message()));
    bytes += SerializeDeterministic(*compiled).size();
    const auto end = SteadyClock::now();
    all += end - begin;
    compiling += end - compile_begin;
  }
  if (bytes == 0) Die("nothing was compiled");
  const auto ms = [](SteadyClock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); };
  return {ms(all), ms(compiling)};
}

// Proxies as the control plane sees them: the real configuration client, each with a channel, threads and a directory
// of its own, and nothing behind it. Remembers when each had which version of the changed route.
class Fleet {
 public:
  Fleet(Stack& stack, const std::string& directory) : applied_(kProxies) {
    const std::string token_file = ReadWholeFile(stack.directory() + "/controlplane/proxy.token");
    for (int i = 0; i < kProxies; ++i) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      arguments.SetMaxReceiveMessageSize(-1);
      ConfigClientOptions options;
      options.channel =
          grpc::CreateCustomChannel(stack.control_plane().addresses[0], grpc::InsecureChannelCredentials(), arguments);
      options.token = token_file.substr(0, token_file.find_first_of("\r\n"));
      options.proxy_id = absl::StrCat("bench-", i);
      options.boot_id = absl::StrCat("boot-", i);
      options.build = "bench";
      options.data_dir = absl::StrCat(directory, "/bench-", i);
      std::filesystem::create_directories(options.data_dir);
      absl::StatusOr<std::unique_ptr<ConfigClient>> client = NewConfigClient(std::move(options));
      if (!client.ok()) Die(std::string(client.status().message()));
      (*client)->holder().AddListener([this, i](const std::shared_ptr<const ActiveSnapshot>& snapshot) {
        const int64_t now_us = UnixMicros();
        const auto gateway = snapshot->gateways.find("default");
        if (gateway == snapshot->gateways.end()) return;
        const auto* const route = gateway->second.routes.Find(kChangedRoute);
        if (route == nullptr) return;
        std::lock_guard lock(mutex_);
        if ((*route)->version() > applied_[static_cast<size_t>(i)].version) {
          applied_[static_cast<size_t>(i)] = {(*route)->version(), now_us};
        }
      });
      clients_.push_back(*std::move(client));
    }
    for (const auto& client : clients_) client->Start();
    for (const auto& client : clients_) {
      if (!client->WaitForFirst(60'000)) Die("a configuration client got no snapshot");
    }
  }
  ~Fleet() {
    for (const auto& client : clients_) client->Stop();
  }

  // Unix microseconds at which each of them had that version.
  std::vector<int64_t> Await(int64_t version) {
    std::vector<int64_t> times;
    const bool all = Eventually([&] {
      std::lock_guard lock(mutex_);
      times.clear();
      for (const Applied& applied : applied_) {
        if (applied.version == version) times.push_back(applied.at_us);
      }
      return times.size() == kProxies;
    });
    if (!all) Die(absl::StrCat("only ", times.size(), " of ", kProxies, " got version ", version));
    return times;
  }

 private:
  struct Applied {
    int64_t version = 0;
    int64_t at_us = 0;
  };
  std::mutex mutex_;
  std::vector<Applied> applied_;
  std::vector<std::unique_ptr<ConfigClient>> clients_;
};

// One change of one route: milliseconds from the call, and from the deployment's own time, to each proxy's having it.
struct ChangeTimes {
  std::vector<float> from_call_ms, from_commit_ms;
};
void ChangeOneRoute(Stack& stack, Fleet& fleet, int64_t limit, ChangeTimes& times) {
  const std::string path = absl::StrCat("/v1/gateways/default/routes/", kChangedRoute);
  json route = json::parse(BoundlessWalkthrough(kChangedRoute));
  for (json& element : route["elements"]) {
    if (element["id"] == "free-requests") element["properties"]["limit"] = limit;
  }
  stack.Api("POST", path + "/versions", {{"json", route.dump()}});
  const int64_t called_us = UnixMicros();
  const json deployed = stack.Api("POST", path + ":deploy", json::object());
  const json& deployment = deployed.at("deployment");
  google::protobuf::Timestamp time;
  if (!google::protobuf::util::TimeUtil::FromString(deployment.at("createTime").get<std::string>(), &time)) {
    Die("a deployment has no time");
  }
  const int64_t committed_us = google::protobuf::util::TimeUtil::TimestampToMicroseconds(time);
  for (const int64_t at_us : fleet.Await(std::stoll(deployment.at("version").get<std::string>()))) {
    times.from_call_ms.push_back(static_cast<float>(at_us - called_us) / 1'000);
    times.from_commit_ms.push_back(static_cast<float>(at_us - committed_us) / 1'000);
  }
}

// Until all of them, and the control plane with them, have done what the changes cost.
void AwaitAcks(Stack& stack) {
  const bool acked = Eventually([&stack] {
    const json fleet = stack.Api("GET", "/v1/proxies");
    return std::all_of(fleet["proxies"].begin(), fleet["proxies"].end(),
                       [](const json& proxy) { return proxy.value("inSync", false); });
  });
  if (!acked) Die("not every proxy acked the last change");
}

}  // namespace

void MeasureFleet(Bench& bench) {
  std::fprintf(stderr, "2,000 routes\n");
  Report& report = bench.report;
  report.Declare(
      kTable, "2,000 routes and 50 proxies",
      "The walkthrough's route 2,000 times. The 50 are the proxies' real configuration client, 50 times in one "
      "process, so 50 machines' work of verifying, swapping and keeping the last known good on disk runs on these "
      "two cores too.",
      {{kValue, 1}});
  constexpr char kCompileAll[] = "check and compile 2,000 routes, ms";
  constexpr char kCompile[] = "of that, compiling, ms";
  for (int round = 0; round < bench.rounds; ++round) {
    const CompileTimes times = MeasureCompile();
    report.Add(kTable, kCompileAll, kValue, times.all_ms);
    report.Add(kTable, kCompile, kValue, times.compile_ms);
  }
  constexpr char kRss[] = "RSS of a proxy with 2,000 routes, MB";
  Stack& stack = bench.contenders.many_routes_stack();
  report.Add(kTable, kRss, kValue, bench.contenders.many_routes_rss_mb());
  constexpr char kCommitP99[] = "one route changed: commit to applied by 50 proxies, p99, ms";
  ChangeTimes all;
  {
    Fleet fleet(stack, bench.contenders.options().directory);
    const int changes = bench.quick ? 5 : 20;
    const std::vector<pid_t> control_plane = {stack.control_plane().process->pid()};
    const std::vector<pid_t> clients = {::getpid()};
    AwaitAcks(stack);
    const double control_plane_us = CpuMicros(control_plane);
    const double clients_us = CpuMicros(clients);
    for (int change = 0; change < changes; ++change) {
      ChangeTimes times;
      ChangeOneRoute(stack, fleet, kChangedLimit + change, times);
      report.Add(kTable, "one route changed: commit to applied by the first of 50, ms", kValue,
                 Percentile(times.from_commit_ms, 0));
      report.Add(kTable, "one route changed: commit to applied by the last of 50, ms", kValue,
                 Percentile(times.from_commit_ms, 1));
      report.Add(kTable, "deploy called to applied by the last of 50, ms", kValue, Percentile(times.from_call_ms, 1));
      report.Add(kTable, "one route changed: commit to applied by half of 50, ms", kValue,
                 Percentile(times.from_commit_ms, 0.5));
      all.from_commit_ms.insert(all.from_commit_ms.end(), times.from_commit_ms.begin(), times.from_commit_ms.end());
    }
    AwaitAcks(stack);
    report.Add(kTable, "one route saved, deployed and changed: CPU of the control plane, ms", kValue,
               (CpuMicros(control_plane) - control_plane_us) / 1'000 / changes);
    report.Add(kTable, "one route changed: CPU of each of 50 clients, ms", kValue,
               (CpuMicros(clients) - clients_us) / 1'000 / changes / kProxies);
  }
  report.Add(kTable, kCommitP99, kValue, Percentile(all.from_commit_ms, 0.99));
  report.AtMost("compile-2000-routes-ms", report.Median(kTable, kCompileAll, kValue), 1'000);
  report.AtMost("50-proxies-applied-p99-ms", report.Median(kTable, kCommitP99, kValue), 100);
  report.AtMost("proxy-rss-2000-routes-mb", report.Median(kTable, kRss, kValue), 60);
}

}  // namespace signalbox::bench
