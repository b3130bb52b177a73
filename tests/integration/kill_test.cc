// kill -9 of proxies, quota service and control plane at seeded moments, while requests, versions, deployments and keys
// go on. Afterwards everything acknowledged is stored, no limit was passed, every hold has ended, and the ledger is
// what the counters settled. SIGNALBOX_TRIALS kills of each kind (default 1; tests/chaos/run does more),
// SIGNALBOX_SEED.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/integration/load.h"
#include "tests/integration/quota_view.h"
#include "tests/testing/eventually.h"
#include "tests/testing/stack.h"

namespace signalbox {
namespace {

using nlohmann::json;

constexpr int kClients = 6;
constexpr size_t kProxies = 2;
constexpr int kTeamsATrial = 6;
constexpr int64_t kCountLimit = 10;
constexpr double kBudgetDollars = 0.0025;
constexpr int64_t kBudgetNanos = 2'500'000;
constexpr int kSuspensionPatienceMs = 150'000;  // a minute after the last sign of life, and the control plane's look
constexpr char kRequestsPool[] = "requests";

int EnvironmentOr(const char* name, int fallback) {
  const char* text = std::getenv(name);
  int value = 0;
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : fallback;
}

// A budget, then a count, then the model; both of metadata.team.
std::string TwoLimitRoute() {
  json route = json::parse(LimitedRoute({{"limitType", "cost"}, {"limit", kBudgetDollars}}));
  for (json& element : route["elements"]) {
    if (element["id"] == "limit") element["outputs"]["success"]["elementId"] = "count";
  }
  route["elements"].push_back(
      {{"id", "count"},
       {"type", "rate"},
       {"properties",
        {{"limitType", "count"},
         {"key", "metadata.team"},
         {"limit", kCountLimit},
         {"window", kLongWindowSeconds},
         {"onError", "deny"},
         {"pool", kRequestsPool}}},
       {"outputs", {{"success", {{"elementId", "model"}}}, {"fallback", {{"elementId", "end"}}}}}});
  return route.dump();
}

// A route that differs from every other number's.
std::string ChurningRoute(int number) {
  const auto to = [](const std::string& id) { return json{{"elementId", id}}; };
  return json{{"name", "churn"},
              {"elements",
               {{{"id", "start"}, {"type", "start"}, {"outputs", {{"next", to("model")}}}},
                {{"id", "model"},
                 {"type", "model"},
                 {"properties",
                  {{"provider", "openai"}, {"model", "gpt-4o-mini"}, {"timeout", 1'000 + number}, {"retries", 0}}},
                 {"outputs", {{"success", to("end")}, {"fallback", to("end")}}}},
                {{"id", "end"}, {"type", "end"}, {"outputs", json::object()}}}}}
      .dump();
}

// All items of a paged list.
std::vector<json> ListAll(Stack& stack, const std::string& path, const std::string& field) {
  std::vector<json> items;
  std::string token;
  do {
    const json page =
        stack.Api("GET", absl::StrCat(path, "?page_size=1000", token.empty() ? "" : "&page_token=", token));
    if (page.contains(field)) items.insert(items.end(), page[field].begin(), page[field].end());
    token = page.value("nextPageToken", "");
  } while (!token.empty());
  return items;
}

std::string Text(const json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

// The load, and what was acknowledged to it. One thread starts and stops; the notes are shared.
class Chaos {
 public:
  explicit Chaos(Stack& stack) : stack_(stack) {}

  void Start() {
    clients_ = std::make_unique<Traffic>(kClients, [this](int thread, int round) { Ask(thread, round); });
    operator_ = std::make_unique<Traffic>(1, [this](int, int round) { Change(round); });
  }
  void Stop() {
    operator_.reset();
    clients_.reset();
  }
  void NextTrial() { ++trial_; }
  int operations() const { return operations_; }
  int answered() const { return answered_; }
  int changed() const { return changed_; }
  // Until `count` more of that happened.
  void Await(int (Chaos::*what)() const, int count) const {
    const int until = (this->*what)() + count;
    ASSERT_TRUE(Eventually([&] { return (this->*what)() >= until; })) << last_failure();
  }

  std::string last_failure() const {
    std::lock_guard lock(mutex_);
    return last_failure_;
  }
  std::map<std::string, int> statuses() const {
    std::lock_guard lock(mutex_);
    return statuses_;
  }

  // ---- After Stop ----
  const std::map<std::string, std::set<std::string>>& answered_of() const { return answered_of_; }  // team, ids
  const std::map<std::string, std::string>& versions() const { return versions_; }                  // number, sha256
  const std::set<std::string>& deployments() const { return deployments_; }
  const std::set<std::string>& keys() const { return keys_; }
  int trials() const { return trial_ + 1; }

 private:
  void Ask(int thread, int round) {
    const std::string team = absl::StrCat("trial-", trial_.load(), "-", (thread + round) % kTeamsATrial);
    const HttpAnswer answer = stack_.Chat({.proxy = static_cast<size_t>(round) % kProxies,
                                           .route = "limited",
                                           .metadata = {{"team", team}},
                                           .stream = round % 3 == 0,
                                           .body = {{"max_tokens", round % 2 == 0 ? 40 : 600}}});
    std::lock_guard lock(mutex_);
    ++operations_;
    ++statuses_[std::to_string(answer.status)];
    if (answer.status == 200) {
      ++answered_;
      // A stream that broke off was begun, so it was granted too.
      answered_of_[team].insert(answer.Header("cf-aig-log-id"));
    } else if (answer.status != 429 && answer.status != 0) {
      last_failure_ = absl::StrCat(answer.status, " ", answer.body);
    }
  }

  // Only what was answered with 2xx is acknowledged.
  void Change(int round) {
    const int from = operations_;
    const std::string routes = "/v1/gateways/default/routes/churn";
    const auto parsed = [&](const HttpAnswer& answer) {
      ++operations_;
      if (answer.status / 100 != 2) return json();
      ++changed_;
      return json::parse(answer.body, nullptr, false);
    };
    const json saved = parsed(stack_.Ask("POST", routes + "/versions", {{"json", ChurningRoute(round)}}));
    const json deployed = parsed(stack_.Ask("POST", routes + ":deploy", json::object()));
    const json key = parsed(stack_.Ask("POST", "/v1/gateways/default/keys", {{"displayName", absl::StrCat(round)}}));
    {
      std::lock_guard lock(mutex_);
      if (saved.contains("version") && !saved.value("unchanged", false)) {
        const auto [at, first] = versions_.emplace(Text(saved["version"]["number"]), Text(saved["version"]["sha256"]));
        EXPECT_TRUE(first) << "version " << at->first << " was given twice";
      }
      if (deployed.contains("deployment")) deployments_.insert(Text(deployed["deployment"]["id"]));
      if (key.contains("key")) keys_.insert(Text(key["key"]["id"]));
    }
    // At the clients' pace, or the store grows by hundreds of versions a trial.
    Eventually([&] { return operations_ >= from + 13; }, 2'000);
  }

  Stack& stack_;
  std::atomic<int> trial_{0}, operations_{0}, answered_{0}, changed_{0};
  mutable std::mutex mutex_;
  std::map<std::string, int> statuses_;
  std::string last_failure_;
  std::map<std::string, std::set<std::string>> answered_of_;
  std::map<std::string, std::string> versions_;
  std::set<std::string> deployments_, keys_;
  std::unique_ptr<Traffic> clients_, operator_;
};

std::set<std::string> RecordIds(const std::vector<json>& records) {
  std::set<std::string> ids;
  for (const json& record : records) ids.insert(record.value("requestId", ""));
  return ids;
}

std::vector<std::string> Missing(const std::set<std::string>& wanted, const std::set<std::string>& present) {
  std::vector<std::string> missing;
  for (const std::string& id : wanted) {
    if (!present.contains(id)) missing.push_back(id);
  }
  return missing;
}

std::set<std::string> Ids(const std::vector<json>& items, const char* field) {
  std::set<std::string> ids;
  for (const json& item : items) ids.insert(Text(item[field]));
  return ids;
}

void ExpectChangesStored(Stack& stack, const Chaos& chaos) {
  const std::string routes = "/v1/gateways/default/routes/churn";
  std::map<std::string, std::string> stored;
  for (const json& version : ListAll(stack, routes + "/versions", "versions")) {
    stored[Text(version["number"])] = Text(version["sha256"]);
  }
  for (const auto& [number, sha256] : chaos.versions()) EXPECT_EQ(stored[number], sha256) << "version " << number;
  EXPECT_THAT(Missing(chaos.deployments(), Ids(ListAll(stack, routes + "/deployments", "deployments"), "id")),
              testing::IsEmpty());
  EXPECT_THAT(Missing(chaos.keys(), Ids(ListAll(stack, "/v1/gateways/default/keys", "keys"), "id")),
              testing::IsEmpty());
  EXPECT_FALSE(chaos.versions().empty());
  EXPECT_FALSE(chaos.deployments().empty());
  EXPECT_FALSE(chaos.keys().empty());
}

// One kind of victim after the other, each at a moment of the seed's choosing.
void KillInTurn(Stack& stack, Chaos& chaos, std::mt19937& random, int trials, std::set<std::string>& reported) {
  const auto draw = [&random](int from, int to) { return std::uniform_int_distribution<int>(from, to)(random); };
  const std::vector<std::function<Stack::Member&()>> kinds = {
      [&]() -> Stack::Member& { return stack.proxy(static_cast<size_t>(draw(0, kProxies - 1))); },
      [&]() -> Stack::Member& { return stack.quota(); }, [&]() -> Stack::Member& { return stack.control_plane(); }};
  for (int trial = 0; trial < trials * static_cast<int>(kinds.size()); ++trial) {
    if (trial > 0) chaos.NextTrial();
    Stack::Member& victim = kinds[static_cast<size_t>(trial) % kinds.size()]();
    SCOPED_TRACE(absl::StrCat("trial ", trial, ": ", victim.name));
    chaos.Await(&Chaos::operations, draw(5, 120));
    // What the ledger has shown once it never loses.
    if (&victim == &stack.control_plane()) {
      const json page = stack.Api("GET", "/v1/gateways/default/requests?page_size=1000");
      if (page.contains("records")) {
        for (const json& record : page["records"]) reported.insert(record.value("requestId", ""));
      }
      chaos.Await(&Chaos::operations, draw(0, 30));
    }
    victim.process->Kill();
    chaos.Await(&Chaos::operations, draw(0, 25));
    stack.StartMember(victim);
    chaos.Await(&Chaos::changed, 2);
    chaos.NextTrial();  // teams with their limits before them: somebody must be answered
    chaos.Await(&Chaos::answered, 5);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(Kill, NothingAcknowledgedIsLostNoLimitIsPassedAndEveryHoldEnds) {
  const int trials = EnvironmentOr("SIGNALBOX_TRIALS", 1);
  const int seed = EnvironmentOr("SIGNALBOX_SEED", 20'261'122);
  std::printf("%d trials of each kind, SIGNALBOX_SEED=%d\n", trials, seed);
  SCOPED_TRACE(absl::StrCat("SIGNALBOX_SEED=", seed));
  std::mt19937 random(static_cast<uint32_t>(seed));
  Stack stack({.proxies = kProxies, .provider_flags = {"--latency_ms=4", "--chunk_interval_ms=1"}});
  stack.DeployRoute(ChurningRoute(0));
  stack.DeployRoute(TwoLimitRoute());
  Chaos chaos(stack);
  std::set<std::string> reported;
  chaos.Start();
  KillInTurn(stack, chaos, random, trials, reported);
  chaos.Stop();
  if (HasFatalFailure()) return;
  for (size_t i = 0; i < kProxies; ++i) stack.AwaitInSync(i);
  ExpectChangesStored(stack, chaos);

  // Every hold ends: settled by its proxy or by the spool it left, or suspended a minute after its last sign of life.
  const QuotaView quota(stack);
  std::vector<std::string> teams;
  for (int trial = 0; trial < chaos.trials(); ++trial) {
    for (int i = 0; i < kTeamsATrial; ++i) teams.push_back(absl::StrCat("trial-", trial, "-", i));
  }
  for (const std::string& team : teams) {
    v1::Counter budget;
    EXPECT_TRUE(Eventually([&] { return (budget = quota.Team(team)).held() == 0; }, kSuspensionPatienceMs))
        << team << ": " << budget.ShortDebugString();
  }

  // Then the ledger has everything, suspended holds too, and says what the counters say.
  std::vector<json> records;
  std::map<std::string, int64_t> cost;  // by team
  std::set<std::string> answered;
  for (const auto& [team, ids] : chaos.answered_of()) answered.insert(ids.begin(), ids.end());
  std::map<std::string, v1::Counter> budgets;
  for (const std::string& team : teams) budgets[team] = quota.Team(team);
  std::vector<std::string> differ;
  Eventually(
      [&] {
        records = stack.Records();
        cost.clear();
        for (const json& record : records) cost[record.value("identifier", "")] += CostNanos(record);
        differ.clear();
        for (const auto& [team, budget] : budgets) {
          if (cost[team] != budget.settled() + budget.suspense()) differ.push_back(team);
        }
        return differ.empty() && Missing(answered, RecordIds(records)).empty();
      },
      kSuspensionPatienceMs);
  EXPECT_THAT(Missing(answered, RecordIds(records)), testing::IsEmpty()) << "answered, and in no record";
  EXPECT_THAT(Missing(reported, RecordIds(records)), testing::IsEmpty()) << "shown by the ledger once, and gone";
  EXPECT_EQ(RecordIds(records).size(), records.size()) << "a request has two records";
  for (const std::string& team : differ) {
    ADD_FAILURE() << team << ": the ledger has " << cost[team] << ", the counter " << budgets[team].ShortDebugString();
  }
  std::map<std::string, int64_t> billed;
  const json bill = stack.Provider("/bill");
  for (const json& line : bill["requests"]) {
    billed[line["request_id"].get<std::string>()] += line["cost_nanos"].get<int64_t>();
  }
  std::map<std::string, int64_t> billed_to;
  int suspended = 0;
  for (const json& record : records) {
    const int64_t truth = billed[record.value("requestId", "")];
    EXPECT_GE(CostNanos(record), truth) << record;
    suspended += record.value("outcome", "") == "SUSPENDED";
    billed_to[record.value("identifier", "")] += truth;
  }
  for (const auto& [team, ids] : chaos.answered_of()) {
    SCOPED_TRACE(team);
    EXPECT_LE(static_cast<int64_t>(ids.size()), kCountLimit);
    const v1::Counter count = quota.Team(team, v1::REQUESTS, kRequestsPool);
    EXPECT_LE(count.settled(), kCountLimit);
    EXPECT_GE(count.settled(), static_cast<int64_t>(ids.size())) << "a grant that was answered is forgotten";
    EXPECT_LE(budgets[team].settled() + budgets[team].suspense(), kBudgetNanos);
    EXPECT_LE(billed_to[team], kBudgetNanos);
  }
  std::string statuses;
  for (const auto& [status, seen] : chaos.statuses()) absl::StrAppend(&statuses, " ", status, ":", seen);
  std::printf("%zu records, %d suspended, %zu versions, %zu deployments, %zu keys; answers%s; last failure %s\n",
              records.size(), suspended, chaos.versions().size(), chaos.deployments().size(), chaos.keys().size(),
              statuses.c_str(), chaos.last_failure().c_str());
}

}  // namespace
}  // namespace signalbox
