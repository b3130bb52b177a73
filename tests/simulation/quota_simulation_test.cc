// A seeded simulation of the quota core: proxies that lose, repeat and reorder messages, give up, crash and come back;
// a service that crashes before or after its commit; clocks that jump. After each step the invariants of the limits
// must hold. A failure prints its seed: QUOTA_SIMULATION_SEED=<seed> replays it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controlplane/quota/quota_core.h"
#include "tests/controlplane/quota/quota_testing.h"

namespace signalbox::testing {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kLongWindowSeconds = 366LL * 86'400;  // never turns during a run
constexpr int64_t kStrictLimit = 20'000;
constexpr int64_t kCountLimit = 40;

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : random_(seed) {
    for (int i = 0; i < 4; ++i) proxies_.push_back(NewBoot(i));
  }

  void Run(int steps) {
    for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE(absl::StrCat("step ", step));
      Step();
      CheckInvariants();
    }
    if (!::testing::Test::HasFailure()) EndEverything();
  }

 private:
  struct SimProxy {
    int number = 0;
    std::string boot_id;
    uint64_t next = 1;
    std::map<uint64_t, v1::QuotaCommand> pending;  // unanswered
    std::map<uint64_t, uint64_t> cancelling;       // cancel to target
    std::map<uint64_t, std::string> answered;      // first answers, kept by the model
    std::map<std::string, int64_t> held;           // granted and not settled: the most it may cost
    std::vector<v1::QuotaRequest> old_messages;    // to be delivered again, late
  };

  int Pick(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }
  bool Chance(int percent) { return Pick(100) < percent; }

  SimProxy NewBoot(int number) {
    SimProxy proxy;
    proxy.number = number;
    proxy.boot_id = absl::StrCat("boot", ++boots_);
    return proxy;
  }

  v1::CounterKey LongMoney(int user) {
    return Key(v1::NANO_DOLLARS, absl::StrCat("u", user), kLongWindowSeconds, "long");
  }
  v1::CounterKey ShortMoney(int user) { return Key(v1::NANO_DOLLARS, absl::StrCat("u", user), 3'600, "short"); }
  v1::CounterKey ShortCount(int user) { return Key(v1::REQUESTS, absl::StrCat("u", user), 600, "count"); }

  void Step() {
    now_us_ += Pick(2'000) * 1'000;
    if (Chance(2)) now_us_ += Pick(200) * kSecondUs;  // long enough to be suspended, or to turn a window
    const int64_t seen = Chance(3) ? now_us_ - Pick(600) * kSecondUs : now_us_;  // the wall clock steps back
    SimProxy& proxy = proxies_[Pick(static_cast<int>(proxies_.size()))];
    switch (Pick(12)) {
      case 0:
      case 1:
      case 2:
        return StartRequest(proxy);
      case 3:
        return SettleSome(proxy);
      case 4:
        return ExtendSome(proxy);
      case 5:
        return GiveUp(proxy);
      case 6:
        if (Chance(15)) CrashProxy(proxy);
        return;
      case 7:
        if (Chance(20)) CrashService();
        return;
      case 8:
        return Commit(TickEntry(), seen, nullptr, true);
      default:
        return Exchange(proxy, seen);
    }
  }

  v1::QuotaCommand& NewCommand(SimProxy& proxy) {
    v1::QuotaCommand& command = proxy.pending[proxy.next];
    command.set_sequence(proxy.next++);
    return command;
  }

  void StartRequest(SimProxy& proxy) {
    const std::string id = absl::StrCat("r", ++requests_);
    const int user = Pick(3);
    Acq acq(id);
    if (Chance(70)) acq.Check(ShortCount(user), kCountLimit);
    acq.Check(LongMoney(user), kStrictLimit * 50);
    if (Chance(70)) acq.Check(ShortMoney(user), kStrictLimit);
    acq.Cap(1 + Pick(4'000), Chance(50));
    *NewCommand(proxy).mutable_acquire() = acq.acquire;
  }

  void SettleSome(SimProxy& proxy) {
    if (proxy.held.empty()) return;
    const auto it = std::next(proxy.held.begin(), Pick(static_cast<int>(proxy.held.size())));
    for (const auto& [sequence, command] : proxy.pending) {
      if (command.has_extend() && command.extend().request_id() == it->first) return;  // first its answer
    }
    const int64_t cost = it->second == 0 ? 0 : Pick(static_cast<int>(it->second) + 1);
    v1::Settle& settle = *NewCommand(proxy).mutable_settle();
    settle.set_request_id(it->first);
    settle.set_cost_nanos(cost);
    cost_of_[it->first] = cost;
    proxy.held.erase(it);
  }

  void ExtendSome(SimProxy& proxy) {
    if (proxy.held.empty()) return;
    const auto it = std::next(proxy.held.begin(), Pick(static_cast<int>(proxy.held.size())));
    v1::Extend& extend = *NewCommand(proxy).mutable_extend();
    extend.set_request_id(it->first);
    extend.set_required_nanos(it->second + Pick(500));
  }

  // An acquire without an answer is cancelled; nothing more comes of its request.
  void GiveUp(SimProxy& proxy) {
    for (const auto& [sequence, command] : proxy.pending) {
      if (!command.has_acquire()) continue;
      const uint64_t target = sequence;
      proxy.pending.erase(target);
      v1::QuotaCommand& cancel = NewCommand(proxy);
      cancel.mutable_cancel()->set_sequence(target);
      proxy.cancelling[cancel.sequence()] = target;
      return;
    }
  }

  // A new boot follows. What the old one had in flight is settled from its spool, or never heard of until the end.
  void CrashProxy(SimProxy& proxy) {
    SimProxy next = NewBoot(proxy.number);
    for (const auto& [sequence, command] : proxy.pending) {
      if (command.has_acquire()) lost_.push_back(command.acquire().request_id());
      if (!command.has_settle()) continue;
      const uint64_t fresh = next.next++;
      next.pending[fresh] = command;
      next.pending[fresh].set_sequence(fresh);
    }
    for (const auto& [sequence, target] : proxy.cancelling) lost_.push_back(acquire_of_[{proxy.boot_id, target}]);
    next.held = proxy.held;
    foreign_.insert(proxy.held.begin(), proxy.held.end());
    // The holds belong to the dead boot: only settles make sense for them.
    for (const auto& [id, most] : next.held) spooled_.push_back(id);
    next.held.clear();
    proxy = std::move(next);
  }

  static v1::QuotaLogEntry TickEntry() {
    v1::QuotaLogEntry entry;
    entry.set_tick(true);
    return entry;
  }

  // Applies, then commits; false when the service died before the commit.
  void Commit(const v1::QuotaLogEntry& entry, int64_t now_us, v1::QuotaResponse* answers, bool commit) {
    v1::QuotaLogBatch batch;
    batch.set_now_us(now_us);
    *batch.add_entries() = entry;
    if (entry.has_message()) {
      v1::QuotaResponse ignored;
      core_->Apply(entry.message(), now_us, answers != nullptr ? *answers : ignored);
    } else {
      ASSERT_TRUE(core_->Replay(batch).ok());
    }
    if (commit) {
      log_.push_back(batch);
    } else {
      Recover();
    }
  }

  void Recover() {
    auto recovered = std::make_unique<QuotaCore>();
    for (const v1::QuotaStatePart& part : snapshot_) ASSERT_TRUE(recovered->Load(part).ok());
    recovered->LoadDone();
    for (const v1::QuotaLogBatch& batch : log_) ASSERT_TRUE(recovered->Replay(batch).ok());
    core_ = std::move(recovered);
    v1::QuotaLogBatch batch;
    batch.set_now_us(now_us_);
    batch.add_entries()->set_restarted(true);
    ASSERT_TRUE(core_->Replay(batch).ok());
    log_.push_back(batch);
  }

  void CrashService() {
    const std::string before = core_->Dump();
    auto copy = std::make_unique<QuotaCore>();
    for (const v1::QuotaStatePart& part : snapshot_) ASSERT_TRUE(copy->Load(part).ok());
    copy->LoadDone();
    for (const v1::QuotaLogBatch& batch : log_) ASSERT_TRUE(copy->Replay(batch).ok());
    ASSERT_EQ(copy->Dump(), before);  // what is on disk is what answered
    Recover();
    if (!Chance(50)) return;
    snapshot_ = core_->Save(1 + Pick(20));
    log_.clear();
  }

  uint64_t AckedThrough(const SimProxy& proxy) const {
    uint64_t first = proxy.pending.empty() ? proxy.next : proxy.pending.begin()->first;
    for (const auto& [cancel, target] : proxy.cancelling) first = std::min(first, target);
    return first - 1;
  }

  void Exchange(SimProxy& proxy, int64_t now_us) {
    v1::QuotaRequest message;
    if (!proxy.old_messages.empty() && Chance(10)) {
      message = proxy.old_messages[Pick(static_cast<int>(proxy.old_messages.size()))];
    } else {
      message.set_proxy_id(absl::StrCat("p", proxy.number));
      message.set_boot_id(proxy.boot_id);
      message.set_heartbeat(true);
      message.set_acked_through(AckedThrough(proxy));
      for (const auto& [sequence, command] : proxy.pending) {
        *message.add_commands() = command;
        if (command.has_acquire()) acquire_of_[{proxy.boot_id, sequence}] = command.acquire().request_id();
      }
      proxy.old_messages.push_back(message);
      if (proxy.old_messages.size() > 5) proxy.old_messages.erase(proxy.old_messages.begin());
    }
    if (Chance(10)) return;  // lost on the way
    v1::QuotaLogEntry entry;
    *entry.mutable_message() = message;
    v1::QuotaResponse answers;
    const bool committed = !Chance(3);
    Commit(entry, now_us, &answers, committed);
    if (!committed || Chance(10)) return;  // the answers are lost
    for (const v1::QuotaAnswer& answer : answers.answers()) Take(proxy, answer);
  }

  void Take(SimProxy& proxy, const v1::QuotaAnswer& answer) {
    ASSERT_NE(answer.result(), v1::QuotaAnswer::INVALID) << answer.ShortDebugString();
    const auto it = proxy.pending.find(answer.sequence());
    if (it == proxy.pending.end()) {
      const auto first = proxy.answered.find(answer.sequence());
      if (first != proxy.answered.end() && answer.result() != v1::QuotaAnswer::UNKNOWN_SEQUENCE) {
        ASSERT_EQ(first->second, answer.SerializeAsString()) << "another answer for sequence " << answer.sequence();
      }
      return;
    }
    ASSERT_NE(answer.result(), v1::QuotaAnswer::UNKNOWN_SEQUENCE) << "forgotten before it was acknowledged";
    proxy.answered[answer.sequence()] = answer.SerializeAsString();
    const v1::QuotaCommand command = std::move(it->second);
    proxy.pending.erase(it);
    proxy.cancelling.erase(answer.sequence());
    if (command.has_acquire() && (answer.result() == v1::QuotaAnswer::GRANTED || answer.limits_size() > 1)) {
      int64_t most = std::numeric_limits<int64_t>::max();
      for (const v1::LimitState& state : answer.limits()) {
        if (state.held() > 0) most = std::min(most, state.held());
      }
      proxy.held[command.acquire().request_id()] = most == std::numeric_limits<int64_t>::max() ? 0 : most;
    }
    if (command.has_extend() && answer.result() == v1::QuotaAnswer::GRANTED) {
      const auto held = proxy.held.find(command.extend().request_id());
      if (held != proxy.held.end()) held->second = std::max(held->second, command.extend().required_nanos());
    }
  }

  void CheckInvariants() {
    const absl::Status sums = core_->Check();
    ASSERT_TRUE(sums.ok()) << sums;
    for (int user = 0; user < 3; ++user) {
      const auto money = View(*core_, ShortMoney(user), now_us_);
      ASSERT_LE(money.settled() + money.held() + money.suspense(), kStrictLimit) << "user " << user;
      ASSERT_LE(View(*core_, ShortCount(user), now_us_).settled(), kCountLimit) << "user " << user;
      const auto whole = View(*core_, LongMoney(user), now_us_);
      ASSERT_LE(whole.settled() + whole.held() + whole.suspense(), kStrictLimit * 50);
    }
  }

  // Every record comes in the end: nothing stays held, and the money counts once.
  void EndEverything() {
    for (SimProxy& proxy : proxies_) {
      while (!proxy.pending.empty() && !::testing::Test::HasFailure()) Exchange(proxy, now_us_);
      while (!proxy.held.empty()) SettleSome(proxy);
      while (!proxy.pending.empty() && !::testing::Test::HasFailure()) Exchange(proxy, now_us_);
    }
    Proxy last(*core_, "last");
    for (const std::string& id : spooled_) {
      cost_of_[id] = foreign_[id];
      last.Settle(id, cost_of_[id], now_us_);
    }
    for (const std::string& id : lost_) last.Settle(id, 0, now_us_);
    int64_t settled = 0, spent = 0;
    for (int user = 0; user < 3; ++user) {
      const auto view = View(*core_, LongMoney(user), now_us_);
      EXPECT_EQ(view.held(), 0);
      EXPECT_EQ(view.suspense(), 0);
      settled += view.settled();
    }
    for (const auto& [id, cost] : cost_of_) spent += cost;
    EXPECT_EQ(core_->requests(), 0u);
    EXPECT_EQ(settled, spent);
    EXPECT_GT(spent, 0);
  }

  std::mt19937_64 random_;
  std::unique_ptr<QuotaCore> core_ = std::make_unique<QuotaCore>();
  std::vector<v1::QuotaStatePart> snapshot_;
  std::vector<v1::QuotaLogBatch> log_;
  std::vector<SimProxy> proxies_;
  int64_t now_us_ = 50 * kLongWindowSeconds * kSecondUs + 3'600 * kSecondUs;
  int boots_ = 0;
  int requests_ = 0;
  std::map<std::string, int64_t> cost_of_;  // what each settled request cost
  std::map<std::string, int64_t> foreign_;  // held by dead boots
  std::vector<std::string> spooled_, lost_;
  std::map<std::pair<std::string, uint64_t>, std::string> acquire_of_;
};

TEST(QuotaSimulation, InvariantsHoldAfterEveryStep) {
  uint64_t first = 1, last = 6;
  if (const char* seed = std::getenv("QUOTA_SIMULATION_SEED"); seed != nullptr) {
    first = last = std::strtoull(seed, nullptr, 10);
  }
  for (uint64_t seed = first; seed <= last; ++seed) {
    SCOPED_TRACE(absl::StrCat("QUOTA_SIMULATION_SEED=", seed));
    Simulation(seed).Run(1'500);
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace signalbox::testing
