// The whole system on a disk that is full for a while: every process gives errors, none gives a wrong answer, and when
// there is room again everything that was acknowledged is there and the books agree.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/integration/quota_view.h"
#include "tests/testing/eventually.h"
#include "tests/testing/stack.h"

namespace signalbox {
namespace {

using nlohmann::json;

constexpr char kTeam[] = "kites";
constexpr int kCalls = 12;

// A directory of its own for everything that starts while it lives; `Fill` lets every write there fail with ENOSPC.
class FillingDisk {
 public:
  FillingDisk() {
    root_ = (std::filesystem::temp_directory_path() / "signalbox-full-XXXXXX").string();
    EXPECT_NE(::mkdtemp(root_.data()), nullptr);
    std::filesystem::create_directory(Disk());
    if (const char* set = std::getenv("TMPDIR"); set != nullptr) tmpdir_ = set;
    ::setenv("TMPDIR", Disk().c_str(), 1);
    ::setenv("LD_PRELOAD", SIGNALBOX_FAULT_DISK_PRELOAD, 1);
    ::setenv("SIGNALBOX_FAULT_DIRECTORY", Disk().c_str(), 1);
    ::setenv("SIGNALBOX_FAULT_WHILE", Flag().c_str(), 1);
  }
  ~FillingDisk() {
    for (const char* name : {"LD_PRELOAD", "SIGNALBOX_FAULT_DIRECTORY", "SIGNALBOX_FAULT_WHILE"}) ::unsetenv(name);
    if (tmpdir_.empty()) {
      ::unsetenv("TMPDIR");
    } else {
      ::setenv("TMPDIR", tmpdir_.c_str(), 1);
    }
    std::filesystem::remove_all(root_);
  }
  void Fill() { std::ofstream(Flag()) << "full"; }
  void Free() { std::filesystem::remove(Flag()); }

 private:
  std::string Disk() const { return root_ + "/disk"; }
  std::string Flag() const { return root_ + "/full"; }
  std::string root_, tmpdir_;
};

std::string Route(int timeout_ms) {
  json route = json::parse(LimitedRoute({{"limitType", "cost"}, {"limit", 1}}));
  for (json& element : route["elements"]) {
    if (element["id"] == "model") element["properties"]["timeout"] = timeout_ms;
  }
  return route.dump();
}

TEST(FullDisk, GivesErrorsWhileItIsFullAndLosesNothingThatWasAcknowledged) {
  FillingDisk disk;
  Stack stack;
  stack.DeployRoute(Route(60'000));
  const std::string routes = "/v1/gateways/default/routes/limited";
  std::map<int, int> statuses;
  std::set<std::string> answered;
  const auto ask = [&](int i) {
    const HttpAnswer answer = stack.Chat({.proxy = static_cast<size_t>(i % 2),
                                          .route = "limited",
                                          .metadata = {{"team", kTeam}},
                                          .stream = i % 3 == 0,
                                          .body = {{"max_tokens", 100}}});
    ++statuses[answer.status];
    if (answer.status == 200) answered.insert(answer.Header("cf-aig-log-id"));
    return answer;
  };
  for (int i = 0; i < kCalls; ++i) EXPECT_EQ(ask(i).status, 200);
  const json saved = stack.Api("POST", routes + "/versions", {{"json", Route(50'000)}});
  ASSERT_EQ(statuses[200], kCalls);

  disk.Fill();
  for (int i = 0; i < kCalls; ++i) {
    const HttpAnswer answer = ask(i);
    EXPECT_EQ(answer.status, 503) << answer.body;
    EXPECT_THAT(answer.body, testing::HasSubstr("\"code\":")) << "an error, and in the client's language";
  }
  const std::map<std::string, std::pair<std::string, json>> changes = {
      {"a version", {routes + "/versions", {{"json", Route(40'000)}}}},
      {"a deployment", {routes + ":deploy", json::object()}},
      {"a key", {"/v1/gateways/default/keys", json::object()}}};
  for (const auto& [what, change] : changes) {
    const HttpAnswer refused = stack.Ask("POST", change.first, change.second);
    EXPECT_GE(refused.status, 400) << what;
    EXPECT_THAT(refused.body, testing::HasSubstr("routes.db")) << what;
  }
  for (Stack::Member* member : {&stack.control_plane(), &stack.quota(), &stack.proxy(0), &stack.proxy(1)}) {
    EXPECT_TRUE(member->process->Running()) << member->name;
  }
  // One that starts now says why it cannot.
  stack.quota().process->Kill();
  {
    std::vector<std::string> arguments = stack.quota().flags;
    arguments.push_back("--grpc_address=127.0.0.1:0");
    const CommandResult failed = RunCommand(
        BinDir() + "/signalbox-quota", arguments,
        (std::filesystem::path(stack.directory()).parent_path().parent_path() / "start-on-a-full-disk").string());
    EXPECT_NE(failed.exit_status, 0);
    EXPECT_THAT(failed.err, testing::HasSubstr("quota.db"));
  }
  disk.Free();
  stack.StartMember(stack.quota());

  for (size_t proxy = 0; proxy < 2; ++proxy) {
    EXPECT_TRUE(Eventually([&] { return ask(static_cast<int>(proxy)).status == 200; })) << "proxy " << proxy;
  }
  EXPECT_EQ(stack.Ask("POST", routes + "/versions", {{"json", Route(30'000)}}).status / 100, 2);
  const json versions = stack.Api("GET", routes + "/versions");
  bool found = false;
  for (const json& version : versions["versions"]) found |= version["sha256"] == saved["version"]["sha256"];
  EXPECT_TRUE(found) << "an acknowledged version is gone";
  // The books: every answered request is in the ledger, and ledger, counter and bill say the same.
  const int64_t billed = stack.Provider("/bill")["total_nanos"].get<int64_t>();
  std::set<std::string> missing;
  int64_t ledger = 0;
  EXPECT_TRUE(Eventually([&] {
    missing = answered;
    ledger = 0;
    for (const json& record : stack.Records()) {
      missing.erase(record.value("requestId", ""));
      ledger += CostNanos(record);
    }
    return missing.empty() && ledger == billed;
  })) << missing.size()
      << " records are missing; ledger " << ledger << ", bill " << billed;
  const QuotaView quota(stack);
  v1::Counter counter;
  EXPECT_TRUE(Eventually([&] {
    counter = quota.Team(kTeam);
    return counter.held() == 0 && counter.settled() == billed;
  })) << counter.ShortDebugString()
      << ", bill " << billed;
}

}  // namespace
}  // namespace signalbox
