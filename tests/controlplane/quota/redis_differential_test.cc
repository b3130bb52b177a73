// The script in Redis against QuotaCore: the same random commands at the same times get the same answers, byte by byte,
// whichever of two services in front of Redis they come through, and leave the same counters.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "controlplane/quota/quota_core.h"
#include "controlplane/quota/redis_quota_script.h"
#include "tests/controlplane/quota/quota_testing.h"
#include "tests/controlplane/quota/redis_server.h"
#include "tests/controlplane/quota/redis_testing.h"

namespace signalbox::testing {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kTickGapUs = 15 * kSecondUs;  // of redis_quota_script.cc
constexpr int kSteps = 4'000;

// Where the core counts on, Redis stands still.
int64_t AsRedisCounts(int64_t value) { return std::min(value, kRedisExactMax + 1); }
v1::Counter AsRedisCounts(v1::Counter view) {
  view.set_settled(AsRedisCounts(view.settled()));
  view.set_held(AsRedisCounts(view.held()));
  view.set_suspense(AsRedisCounts(view.suspense()));
  view.set_used(AsRedisCounts(view.used()));
  return view;
}
v1::Adjustment AsRedisCounts(v1::Adjustment adjustment) {
  *adjustment.mutable_before() = AsRedisCounts(adjustment.before());
  *adjustment.mutable_after() = AsRedisCounts(adjustment.after());
  return adjustment;
}

class Stream {
 public:
  explicit Stream(uint64_t seed) : random_(seed) {
    MakeKeys();
    for (const char* proxy : {"p1", "p2", "proxy\xc3\xa9"}) {
      for (const char* boot : {"a", "b"}) boots_.push_back({proxy, boot, 0, 0, {}});
    }
  }

  int64_t Below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  bool OneIn(int64_t n) { return Below(n) == 0; }

  // How the time changes before a step.
  int64_t TimeStep() {
    if (OneIn(800)) return Below(40) * kDayUs;
    if (OneIn(100)) return Below(3 * 3'600) * kSecondUs;
    if (OneIn(30)) return Below(70) * kSecondUs;
    if (OneIn(25)) return -Below(30) * kSecondUs;
    if (OneIn(2)) return 0;
    return Below(1'500'000);
  }

  v1::QuotaRequest Message() {
    Boot& boot = boots_[static_cast<size_t>(Below(static_cast<int64_t>(boots_.size())))];
    v1::QuotaRequest message;
    message.set_proxy_id(boot.proxy);
    message.set_boot_id(boot.id);
    if (OneIn(6)) boot.acked = std::max<uint64_t>(boot.acked, static_cast<uint64_t>(Below(boot.sequence + 1)));
    if (OneIn(500)) boot.acked = boot.sequence += static_cast<uint64_t>(Below(100'000));
    message.set_acked_through(OneIn(20) ? 0 : boot.acked);
    message.set_heartbeat(OneIn(5));
    for (int64_t left = Below(5); left > 0; --left) *message.add_commands() = Command(boot);
    return message;
  }

  v1::AdjustCounterRequest Adjustment() {
    v1::AdjustCounterRequest request;
    request.set_adjustment_id(absl::StrCat("adjust ", Below(2'000)));
    *request.mutable_key() = AnyKey();
    if (OneIn(2)) {
      request.set_reset(true);
    } else {
      request.set_delta(Below(4'000'000) - 2'000'000);
    }
    if (!OneIn(20)) request.set_who("ann");
    request.set_why("because");
    return request;
  }

  const std::vector<v1::CounterKey>& keys() const { return keys_; }
  // A few are asked for more often, so that things meet at one counter.
  const v1::CounterKey& AnyKey() {
    const int64_t size = static_cast<int64_t>(keys_.size());
    return keys_[static_cast<size_t>(OneIn(2) ? Below(size) : Below(6) * (size / 6))];
  }

 private:
  struct Boot {
    std::string proxy, id;
    uint64_t sequence = 0, acked = 0;
    std::vector<v1::QuotaCommand> sent;
  };

  void MakeKeys() {
    for (const v1::Unit unit : {v1::REQUESTS, v1::NANO_DOLLARS, v1::TOKENS}) {
      for (const int64_t window : {10, 60, 3'600}) {
        for (const v1::Technique technique : {v1::FIXED, v1::SLIDING}) {
          keys_.push_back(Key(unit, absl::StrCat("user", Below(3)), window, "pool"));
          keys_.back().set_technique(technique);
        }
      }
      for (const char* zone : {"", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"}) {
        for (const v1::Calendar calendar : {v1::DAY, v1::MONTH}) {
          keys_.push_back(Key(unit, "calendar", 0, "calendar pool"));
          keys_.back().set_calendar(calendar);
          keys_.back().set_timezone(zone);
        }
      }
      keys_.push_back(Key(unit, "ann"));
      keys_.back().clear_identifier();
      keys_.back().add_identifier()->set_number_value(5);
      keys_.push_back(keys_.back());
      keys_.back().add_identifier()->set_bool_value(true);
      keys_.push_back(Key(unit, "5"));
    }
  }

  v1::CounterKey MaybeBrokenKey() {
    v1::CounterKey key = AnyKey();
    if (!OneIn(60)) return key;
    switch (Below(5)) {
      case 0:
        key.clear_pool();
        break;
      case 1:
        key.set_window_seconds(-1);
        break;
      case 2:
        key.clear_identifier();
        break;
      case 3:
        key.set_timezone("Mars/Olympus");
        break;
      default:
        key.set_calendar(v1::MONTH);
        key.set_technique(v1::SLIDING);
    }
    return key;
  }

  std::string AnyRequest() { return OneIn(200) ? "" : absl::StrCat("request", Below(40)); }

  // Mostly within what fits, now and then at the edges of arithmetic.
  v1::AttemptBound AnyBound() {
    v1::AttemptBound bound;
    bound.set_input_nanos(Below(5'000));
    bound.set_output_nanos_per_mtok(OneIn(8) ? 0 : OneIn(8) ? Below(1'000'000'000'000) : Below(5'000'000'000));
    bound.set_max_output_tokens(OneIn(3) ? 0 : Below(5'000));
    bound.set_choices(OneIn(4) ? Below(5) : 1);
    bound.set_input_tokens(Below(500));
    if (OneIn(300)) bound.set_input_nanos(-1);
    return bound;
  }

  v1::Acquire AnyAcquire() {
    v1::Acquire acquire;
    acquire.set_request_id(AnyRequest());
    acquire.set_output_cap(OneIn(100) ? 0 : OneIn(50) ? Below(1'000'000'000) : 1 + Below(3'000));
    acquire.set_client_cap(OneIn(2));
    for (int64_t left = 1 + Below(3); left > 0; --left) *acquire.add_bounds() = AnyBound();
    for (int64_t left = Below(5); left > 0; --left) {
      v1::LimitCheck& check = *acquire.add_checks();
      *check.mutable_counter() = MaybeBrokenKey();
      const bool counts = check.counter().unit() == v1::REQUESTS;
      check.set_limit(OneIn(200)  ? 0
                      : counts    ? 1 + Below(6)
                      : OneIn(10) ? 1 + Below(1'000'000'000'000)
                                  : 1 + Below(4'000'000));
      if (OneIn(40) && check.counter().unit() != v1::TOKENS) check.set_limit(kRedisExactMax - Below(3));
      check.set_admission(OneIn(100) ? v1::ADMISSION_UNSPECIFIED : OneIn(3) ? v1::OBSERVED : v1::STRICT);
      check.set_shadow(OneIn(6));
      for (int64_t bounds = Below(4); bounds > 0; --bounds) {
        check.add_bounds(static_cast<uint32_t>(Below(acquire.bounds_size() + (OneIn(200) ? 1 : 0))));
      }
    }
    return acquire;
  }

  v1::QuotaCommand Command(Boot& boot) {
    if (!boot.sent.empty() && OneIn(8)) {  // again, or another under a sequence that was used
      v1::QuotaCommand again = boot.sent[static_cast<size_t>(Below(static_cast<int64_t>(boot.sent.size())))];
      if (!OneIn(10)) return again;
      again.mutable_settle()->set_request_id(AnyRequest());
      return again;
    }
    v1::QuotaCommand command;
    boot.sequence += OneIn(20) ? static_cast<uint64_t>(Below(10)) : 1;
    command.set_sequence(boot.sequence);
    if (OneIn(300)) command.set_sequence(0);
    const int64_t kind = Below(100);
    if (kind < 45) {
      *command.mutable_acquire() = AnyAcquire();
    } else if (kind < 57) {
      command.mutable_extend()->set_request_id(AnyRequest());
      command.mutable_extend()->set_required_nanos(OneIn(50) ? -1 : Below(3'000'000));
      command.mutable_extend()->set_required_tokens(Below(5'000));
    } else if (kind < 82) {
      command.mutable_settle()->set_request_id(AnyRequest());
      command.mutable_settle()->set_cost_nanos(OneIn(50) ? -1 : Below(2'000'000));
      command.mutable_settle()->set_tokens(Below(4'000));
    } else if (kind < 94) {
      const int64_t reach = static_cast<int64_t>(std::min<uint64_t>(boot.sequence, 12));
      command.mutable_cancel()->set_sequence(boot.sequence + 2 - static_cast<uint64_t>(Below(reach + 3)));
    } else if (kind < 99) {
      command.mutable_force_charge()->set_request_id(AnyRequest());
      *command.mutable_force_charge()->mutable_counter() = MaybeBrokenKey();
      command.mutable_force_charge()->set_amount(Below(10) - (OneIn(20) ? 10 : 0));
    }
    boot.sent.push_back(command);
    if (boot.sent.size() > 30) boot.sent.erase(boot.sent.begin());
    return command;
  }

  std::mt19937_64 random_;
  std::vector<v1::CounterKey> keys_;
  std::vector<Boot> boots_;
};

class RedisDifferential : public ::testing::TestWithParam<int> {
 protected:
  static void SetUpTestSuite() {
    RedisServerOptions options;
    options.appendfsync = "no";
    auto started = RedisServer::Start(options);
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = started->release();
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }
  static RedisServer* server_;
};
RedisServer* RedisDifferential::server_ = nullptr;

TEST_P(RedisDifferential, ScriptAndCoreAnswerAlikeAndCountAlike) {
  // Longer by hand: SIGNALBOX_DIFFERENTIAL_STEPS and _SEED.
  int steps = kSteps, seed = GetParam();
  if (const char* text = std::getenv("SIGNALBOX_DIFFERENTIAL_STEPS")) {
    ASSERT_TRUE(absl::SimpleAtoi(text, &steps));
  }
  if (const char* text = std::getenv("SIGNALBOX_DIFFERENTIAL_SEED")) {
    int first = 0;
    ASSERT_TRUE(absl::SimpleAtoi(text, &first));
    seed += first;
  }
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  Stream stream(static_cast<uint64_t>(seed));
  int64_t now_us = kNoonUs, latest_us = 0, last_tick_us = 0;
  const std::string url = absl::StrCat(server_->url(), "?prefix=seed", seed);
  const std::unique_ptr<QuotaBackend> services[] = {OpenRedis(url, &now_us), OpenRedis(url, &now_us)};
  ASSERT_NE(services[0], nullptr);
  ASSERT_NE(services[1], nullptr);
  QuotaCore core;
  int64_t granted = 0, denied = 0, lowered = 0, shadowed = 0, suspended = 0, settled_late = 0;
  for (int step = 0; step < steps; ++step) {
    SCOPED_TRACE(absl::StrCat("step ", step));
    now_us += stream.TimeStep();
    latest_us = std::max(latest_us, now_us);
    QuotaBackend& service = *services[stream.Below(2)];
    const auto tick = [&] {
      if (latest_us - last_tick_us >= kTickGapUs) core.Restarted(now_us);
      core.Tick(now_us);
      last_tick_us = latest_us;
      return RedisQuotaTick(service);
    };
    if (stream.OneIn(12)) {
      const absl::Status ticked = tick();
      ASSERT_TRUE(ticked.ok()) << ticked;
      continue;
    }
    if (stream.OneIn(100)) {  // all proxies fall silent while the services go on
      for (int i = 0; i < 8; ++i) {
        now_us = latest_us += 9 * kSecondUs;
        const absl::Status ticked = tick();
        ASSERT_TRUE(ticked.ok()) << ticked;
      }
      continue;
    }
    if (stream.OneIn(15)) {
      const v1::AdjustCounterRequest request = stream.Adjustment();
      v1::Adjustment expected;
      const absl::Status status = core.Adjust(request, now_us, expected);
      const absl::StatusOr<v1::Adjustment> adjusted = Adjust(service, request);
      ASSERT_EQ(adjusted.status(), status);
      if (status.ok()) {
        ASSERT_EQ(adjusted->DebugString(), AsRedisCounts(expected).DebugString());
      }
      continue;
    }
    const v1::QuotaRequest message = stream.Message();
    v1::QuotaResponse expected;
    core.Apply(message, now_us, expected);
    const absl::StatusOr<v1::QuotaResponse> answered = Submit(service, message);
    ASSERT_TRUE(answered.ok()) << answered.status();
    ASSERT_EQ(answered->DebugString(), expected.DebugString()) << message.DebugString();
    for (int i = 0; i < expected.answers_size(); ++i) {
      const v1::QuotaAnswer& answer = expected.answers(i);
      if (answer.result() == v1::QuotaAnswer::GRANTED) ++granted;
      if (answer.result() == v1::QuotaAnswer::DENIED) ++denied;
      if (answer.output_cap() > 0 && answer.output_cap() < message.commands(i).acquire().output_cap()) ++lowered;
      for (const v1::LimitState& state : answer.limits()) shadowed += state.shadow_denied() ? 1 : 0;
    }
    if (step % 100 != 99 && step != steps - 1) continue;
    const absl::Status sums = core.Check();
    ASSERT_TRUE(sums.ok()) << sums;
    std::map<std::string, v1::Counter> used;
    for (const v1::CounterKey& key : stream.keys()) {
      v1::Counter view;
      ASSERT_TRUE(core.Read(key, now_us, view).ok());
      const absl::StatusOr<v1::Counter> counter = Get(service, key);
      ASSERT_TRUE(counter.ok()) << counter.status();
      ASSERT_EQ(counter->DebugString(), AsRedisCounts(view).DebugString());
      if (view.used() > 0) used[key.SerializeAsString()] = AsRedisCounts(view);
    }
    v1::ListCountersRequest pools;
    pools.set_gateway("default");
    pools.set_page_size(1'000);
    for (const char* pool : {"pool", "calendar pool", "route/limit"}) {
      pools.set_pool(pool);
      const absl::StatusOr<v1::ListCountersResponse> list = List(service, pools);
      ASSERT_TRUE(list.ok()) << list.status();
      EXPECT_EQ(list->counters_in_pool(), list->counters_size());
      for (int i = 0; i < list->counters_size(); ++i) {
        const v1::Counter& counter = list->counters(i);
        if (i > 0) {
          EXPECT_LE(counter.used(), list->counters(i - 1).used());
        }
        if (counter.used() == 0) continue;
        EXPECT_EQ(counter.DebugString(), used[counter.key().SerializeAsString()].DebugString());
        used.erase(counter.key().SerializeAsString());
      }
    }
    EXPECT_TRUE(used.empty()) << "not listed: " << used.begin()->second.DebugString();
    const absl::StatusOr<v1::ListSuspenseResponse> suspense = Suspense(service);
    ASSERT_TRUE(suspense.ok()) << suspense.status();
    v1::ListSuspenseResponse holds;
    for (v1::SuspendedHold& hold : core.Suspense(0, 1'000)) {
      suspended = std::max(suspended, hold.sequence());
      settled_late += hold.settled() > 0 ? 1 : 0;
      *holds.add_holds() = std::move(hold);
    }
    ASSERT_EQ(suspense->DebugString(), holds.DebugString());
    const absl::StatusOr<v1::ListAdjustmentsResponse> adjustments = Adjustments(service);
    ASSERT_TRUE(adjustments.ok()) << adjustments.status();
    v1::ListAdjustmentsResponse made;
    for (const v1::Adjustment& adjustment : core.Adjustments(0, 1'000)) {
      *made.add_adjustments() = AsRedisCounts(adjustment);
    }
    ASSERT_EQ(adjustments->DebugString(), made.DebugString());
  }
  // The stream reached what it is for.
  EXPECT_GT(granted, steps / 10);
  EXPECT_GT(denied, steps / 20);
  EXPECT_GT(lowered, steps / 100);
  EXPECT_GT(shadowed, steps / 100);
  EXPECT_GT(suspended, steps / 100);
  EXPECT_GT(settled_late, 0);
  EXPECT_EQ(services[0]->counts().decisions + services[1]->counts().decisions, core.decisions());
}

INSTANTIATE_TEST_SUITE_P(Seeds, RedisDifferential, ::testing::Range(1, 5));

}  // namespace
}  // namespace signalbox::testing
