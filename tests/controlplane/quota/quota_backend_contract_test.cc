// What every quota backend promises, run against all of them: memory, SQLite and Redis.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "controlplane/quota/memory_quota_store.h"
#include "controlplane/quota/quota_engine.h"
#include "controlplane/quota/sqlite_quota_store.h"
#include "tests/controlplane/quota/quota_testing.h"
#include "tests/controlplane/quota/redis_server.h"
#include "tests/controlplane/quota/redis_testing.h"

namespace signalbox::testing {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kHourUs = 3'600 * kSecondUs;

class SharedClock : public Clock {
 public:
  int64_t UnixMicros() const override { return now_us; }
  int64_t MonotonicMicros() const override { return now_us; }
  std::atomic<int64_t> now_us{kNoonUs};
};

enum class Kind { kMemory, kSqlite, kRedis };

class QuotaBackendContract : public ::testing::TestWithParam<Kind> {
 protected:
  static void TearDownTestSuite() { server_.reset(); }

  void SetUp() override {
    if (GetParam() == Kind::kRedis && server_ == nullptr) {
      auto started = RedisServer::Start();
      ASSERT_TRUE(started.ok()) << started.status();
      server_ = *std::move(started);
    }
    directory_ = (std::filesystem::temp_directory_path() / "contract_XXXXXX").string();
    ASSERT_NE(::mkdtemp(directory_.data()), nullptr);
    Open();
  }
  void TearDown() override {
    backend_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Open() {
    backend_.reset();
    if (GetParam() == Kind::kRedis) {
      const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
      RedisQuotaOptions options;
      options.url = absl::StrCat(server_->url(), "?prefix=", info->name());
      options.clock = &clock_;
      options.tick_us = 0;
      options.time_for_test = [this] { return clock_.now_us.load(); };
      auto opened = OpenRedisQuotaBackend(std::move(options));
      ASSERT_TRUE(opened.ok()) << opened.status();
      backend_ = *std::move(opened);
      return;
    }
    std::unique_ptr<QuotaStore> store;
    if (GetParam() == Kind::kMemory) {
      store = NewMemoryQuotaStore();
    } else {
      auto opened = OpenSqliteQuotaStore(absl::StrCat(directory_, "/quota.db"), Durability::kProcess);
      ASSERT_TRUE(opened.ok()) << opened.status();
      store = *std::move(opened);
    }
    auto engine = QuotaEngine::Open(std::move(store), clock_, [](const std::string&) {});
    ASSERT_TRUE(engine.ok()) << engine.status();
    backend_ = *std::move(engine);
  }

  void Tick() {
    if (GetParam() == Kind::kRedis) {
      const absl::Status ticked = RedisQuotaTick(*backend_);
      ASSERT_TRUE(ticked.ok()) << ticked;
      return;
    }
    static_cast<QuotaEngine&>(*backend_).Tick();
    // Questions are answered in order: the tick is done when one asked after it is.
    ASSERT_TRUE(Get(*backend_, Count()).ok());
  }

  // Moves on, with every proxy but the silent ones heard and the service ticking all along.
  void Pass(int64_t us) {
    for (int64_t left = us; left > 0; left -= 5 * kSecondUs) {
      clock_.now_us += std::min(left, 5 * kSecondUs);
      Tick();
    }
  }

  v1::QuotaAnswer Send(v1::QuotaCommand command, const std::string& proxy = "p1", uint64_t acked = 0) {
    if (command.sequence() == 0) command.set_sequence(++sequence_);
    v1::QuotaRequest message;
    message.set_proxy_id(proxy);
    message.set_boot_id("boot");
    message.set_acked_through(acked);
    *message.add_commands() = std::move(command);
    const absl::StatusOr<v1::QuotaResponse> response = Submit(*backend_, message);
    EXPECT_TRUE(response.ok()) << response.status();
    if (!response.ok() || response->answers_size() != 1) return {};
    return response->answers(0);
  }
  v1::QuotaAnswer Acquire(const Acq& acq, const std::string& proxy = "p1") {
    v1::QuotaCommand command;
    *command.mutable_acquire() = acq.acquire;
    return Send(std::move(command), proxy);
  }
  v1::QuotaAnswer Settle(const std::string& request, int64_t nanos, int64_t tokens = 0) {
    v1::QuotaCommand command;
    command.mutable_settle()->set_request_id(request);
    command.mutable_settle()->set_cost_nanos(nanos);
    command.mutable_settle()->set_tokens(tokens);
    return Send(std::move(command));
  }
  v1::QuotaAnswer Extend(const std::string& request, int64_t nanos) {
    v1::QuotaCommand command;
    command.mutable_extend()->set_request_id(request);
    command.mutable_extend()->set_required_nanos(nanos);
    return Send(std::move(command));
  }
  v1::QuotaAnswer Cancel(uint64_t sequence) {
    v1::QuotaCommand command;
    command.mutable_cancel()->set_sequence(sequence);
    return Send(std::move(command));
  }
  v1::Counter View(const v1::CounterKey& key) {
    const absl::StatusOr<v1::Counter> view = Get(*backend_, key);
    EXPECT_TRUE(view.ok()) << view.status();
    return view.ok() ? *view : v1::Counter();
  }

  SharedClock clock_;
  std::string directory_;
  std::unique_ptr<QuotaBackend> backend_;
  uint64_t sequence_ = 0;
  static std::unique_ptr<RedisServer> server_;
};
std::unique_ptr<RedisServer> QuotaBackendContract::server_;

TEST_P(QuotaBackendContract, NamesItsStore) {
  EXPECT_EQ(backend_->store(), GetParam() == Kind::kMemory   ? "memory"
                               : GetParam() == Kind::kSqlite ? "sqlite"
                                                             : "redis");
  EXPECT_EQ(backend_->durability(), GetParam() == Kind::kMemory   ? "none"
                                    : GetParam() == Kind::kSqlite ? "process"
                                                                  : "aof-always");
}

TEST_P(QuotaBackendContract, ARepeatGetsTheFirstAnswerAndChargesNothing) {
  v1::QuotaCommand command;
  *command.mutable_acquire() = Acq("r1").Check(Count(), 1).acquire;
  command.set_sequence(7);
  const v1::QuotaAnswer first = Send(command);
  EXPECT_EQ(first.result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(Send(command).DebugString(), first.DebugString());
  EXPECT_EQ(View(Count()).settled(), 1);
}

TEST_P(QuotaBackendContract, AnAcknowledgedSequenceIsNeverEvaluatedAgain) {
  v1::QuotaCommand command;
  *command.mutable_acquire() = Acq("r1").Check(Count(), 5).acquire;
  command.set_sequence(1);
  EXPECT_EQ(Send(command).result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(Send(command, "p1", 1).result(), v1::QuotaAnswer::UNKNOWN_SEQUENCE);
  EXPECT_EQ(View(Count()).settled(), 1);
}

TEST_P(QuotaBackendContract, ParallelClientsGetExactlyTheLimit) {
  constexpr int kClients = 8, kEach = 40, kLimit = 100;
  std::atomic<int> granted{0}, denied{0};
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      for (int i = 1; i <= kEach; ++i) {
        v1::QuotaRequest message;
        message.set_proxy_id(absl::StrCat("proxy", client));
        message.set_boot_id("boot");
        v1::QuotaCommand& command = *message.add_commands();
        command.set_sequence(static_cast<uint64_t>(i));
        *command.mutable_acquire() = Acq(absl::StrCat(client, "-", i)).Check(Count(), kLimit).acquire;
        const absl::StatusOr<v1::QuotaResponse> response = Submit(*backend_, message);
        ASSERT_TRUE(response.ok()) << response.status();
        (response->answers(0).result() == v1::QuotaAnswer::GRANTED ? granted : denied)++;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(granted, kLimit);
  EXPECT_EQ(denied, kClients * kEach - kLimit);
  EXPECT_EQ(View(Count()).settled(), kLimit);
  EXPECT_EQ(backend_->counts().decisions, kClients * kEach);
}

TEST_P(QuotaBackendContract, AHoldIsReplacedByWhatWasUsed) {
  const v1::QuotaAnswer answer = Acquire(Acq("r1").Check(Money(), kDollar).Cap(500, true));
  EXPECT_EQ(answer.result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(answer.limits(0).held(), 500);
  EXPECT_EQ(View(Money()).held(), 500);
  EXPECT_EQ(Extend("r1", 700).limits(0).held(), 700);
  EXPECT_EQ(Settle("r1", 300).result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(Settle("r1", 300).result(), v1::QuotaAnswer::GRANTED);  // once
  EXPECT_EQ(View(Money()).held(), 0);
  EXPECT_EQ(View(Money()).settled(), 300);
}

TEST_P(QuotaBackendContract, ACapIsLoweredToWhatFitsAndBelowTheMinimumDenied) {
  const v1::QuotaAnswer lowered = Acquire(Acq("r1").Check(Money(), 8'000).Cap(100'000));
  EXPECT_EQ(lowered.result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(lowered.output_cap(), 500);  // a sixteenth
  EXPECT_EQ(Acquire(Acq("r2").Check(Money(), 8'000).Cap(7'400, true)).output_cap(), 7'400);
  const v1::QuotaAnswer denied = Acquire(Acq("r3").Check(Money(), 8'000).Cap(100'000));
  EXPECT_EQ(denied.result(), v1::QuotaAnswer::DENIED);
  EXPECT_EQ(denied.limits(0).remaining(), 100);
  EXPECT_EQ(denied.limits(0).retry_us(), kNoonUs + kSecondUs);  // holds end soon
}

TEST_P(QuotaBackendContract, AChainHoldsWhatPassedBeforeItsDenial) {
  EXPECT_EQ(Acquire(Acq("r0").Check(Count("full"), 1)).result(), v1::QuotaAnswer::GRANTED);
  const v1::QuotaAnswer answer =
      Acquire(Acq("r1").Check(Count("first"), 5).Check(Count("full"), 1).Check(Money(), 900));
  EXPECT_EQ(answer.result(), v1::QuotaAnswer::DENIED);
  EXPECT_EQ(answer.denied_index(), 1u);
  EXPECT_EQ(answer.limits_size(), 2);
  EXPECT_EQ(View(Count("first")).settled(), 1);
  EXPECT_EQ(View(Count("full")).settled(), 1);
  EXPECT_EQ(View(Money()).held(), 0);
}

TEST_P(QuotaBackendContract, ACancelUndoesOrForbids) {
  EXPECT_EQ(Acquire(Acq("r1").Check(Count(), 5).Check(Money(), kDollar)).result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(Cancel(1).result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(View(Count()).settled(), 0);
  EXPECT_EQ(View(Money()).held(), 0);
  EXPECT_EQ(Cancel(9).result(), v1::QuotaAnswer::GRANTED);
  v1::QuotaCommand late;
  late.set_sequence(9);
  *late.mutable_acquire() = Acq("r2").Check(Count(), 5).acquire;
  EXPECT_EQ(Send(late).message(), "cancelled by its proxy");
  EXPECT_EQ(View(Count()).settled(), 0);
}

TEST_P(QuotaBackendContract, ASilentProxysHoldIsSuspendedAndItsRecordSettlesIt) {
  Tick();
  EXPECT_EQ(Acquire(Acq("r1").Check(Money(), kDollar).Cap(500, true)).result(), v1::QuotaAnswer::GRANTED);
  Pass(59 * kSecondUs);
  EXPECT_EQ(View(Money()).held(), 500);
  Pass(2 * kSecondUs);
  EXPECT_EQ(View(Money()).held(), 0);
  EXPECT_EQ(View(Money()).suspense(), 500);
  auto suspense = Suspense(*backend_);
  ASSERT_TRUE(suspense.ok()) << suspense.status();
  ASSERT_EQ(suspense->holds_size(), 1);
  EXPECT_EQ(suspense->holds(0).request_id(), "r1");
  EXPECT_EQ(suspense->holds(0).proxy_id(), "p1");
  EXPECT_EQ(suspense->holds(0).amount(), 500);
  EXPECT_EQ(suspense->holds(0).counter().DebugString(), Money().DebugString());
  EXPECT_EQ(Settle("r1", 200).result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(View(Money()).suspense(), 0);
  EXPECT_EQ(View(Money()).settled(), 200);
  suspense = Suspense(*backend_);
  ASSERT_TRUE(suspense.ok()) << suspense.status();
  EXPECT_TRUE(suspense->holds(0).resolved());
  EXPECT_EQ(suspense->holds(0).settled(), 200);
  EXPECT_EQ(Suspense(*backend_, 1)->holds_size(), 0);
}

TEST_P(QuotaBackendContract, TimeThatTheServiceWasAwayIsNobodysSilence) {
  if (GetParam() == Kind::kMemory) GTEST_SKIP() << "a restart empties it";
  Tick();
  EXPECT_EQ(Acquire(Acq("r1").Check(Money(), kDollar).Cap(500, true)).result(), v1::QuotaAnswer::GRANTED);
  clock_.now_us += kHourUs;
  Open();
  Tick();
  EXPECT_EQ(View(Money()).held(), 500);
  EXPECT_EQ(View(Money()).suspense(), 0);
}

TEST_P(QuotaBackendContract, WhatWasAnsweredSurvivesReopening) {
  if (GetParam() == Kind::kMemory) GTEST_SKIP() << "a restart empties it";
  v1::QuotaCommand command;
  *command.mutable_acquire() = Acq("r1").Check(Count(), 5).Check(Money(), kDollar).acquire;
  command.set_sequence(1);
  const v1::QuotaAnswer first = Send(command);
  const std::string money = View(Money()).DebugString();
  Open();
  EXPECT_EQ(View(Count()).settled(), 1);
  EXPECT_EQ(View(Money()).DebugString(), money);
  EXPECT_EQ(Send(command).DebugString(), first.DebugString());
}

TEST_P(QuotaBackendContract, TokensAreHeldAndSettledAsTokens) {
  const v1::CounterKey tokens = Key(v1::TOKENS, "ann");
  Acq acq("r1");
  acq.With(Bound(0, 1'000'000, 0));
  acq.acquire.mutable_bounds(0)->set_input_tokens(40);
  acq.Check(tokens, 10'000).Check(Money(), kDollar).Cap(500, true);
  acq.acquire.mutable_checks(0)->clear_bounds();
  acq.acquire.mutable_checks(0)->add_bounds(0);
  EXPECT_EQ(Acquire(acq).limits(0).held(), 540);
  Settle("r1", 77, 210);
  EXPECT_EQ(View(tokens).settled(), 210);
  EXPECT_EQ(View(Money()).settled(), 77);
}

TEST_P(QuotaBackendContract, ASlidingWindowWeighsItsPast) {
  v1::CounterKey key = Key(v1::REQUESTS, "ann", 3'600);
  key.set_technique(v1::SLIDING);
  for (int i = 0; i < 10; ++i) Acquire(Acq(absl::StrCat("r", i)).Check(key, 10));
  clock_.now_us += kHourUs + kHourUs / 4;
  EXPECT_EQ(View(key).settled(), 8);  // three quarters of ten, rounded up
  EXPECT_EQ(Acquire(Acq("s1").Check(key, 10)).result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(Acquire(Acq("s2").Check(key, 10)).result(), v1::QuotaAnswer::GRANTED);
  const v1::QuotaAnswer denied = Acquire(Acq("s3").Check(key, 10));
  EXPECT_EQ(denied.result(), v1::QuotaAnswer::DENIED);
  clock_.now_us = denied.limits(0).retry_us() - 1;
  EXPECT_EQ(Acquire(Acq("s4").Check(key, 10)).result(), v1::QuotaAnswer::DENIED);
  clock_.now_us += 1;
  EXPECT_EQ(Acquire(Acq("s5").Check(key, 10)).result(), v1::QuotaAnswer::GRANTED);
}

TEST_P(QuotaBackendContract, ACalendarDayEndsAtMidnightOfItsZone) {
  v1::CounterKey key = Key(v1::REQUESTS, "ann", 0);
  key.set_calendar(v1::DAY);
  key.set_timezone("Asia/Kolkata");  // 17:30 there at noon
  EXPECT_EQ(Acquire(Acq("r1").Check(key, 1)).limits(0).reset_us(), kNoonUs + 6 * kHourUs + kHourUs / 2);
  clock_.now_us += 6 * kHourUs + kHourUs / 2 - 1;
  EXPECT_EQ(Acquire(Acq("r2").Check(key, 1)).result(), v1::QuotaAnswer::DENIED);
  clock_.now_us += 1;
  EXPECT_EQ(Acquire(Acq("r3").Check(key, 1)).result(), v1::QuotaAnswer::GRANTED);
}

TEST_P(QuotaBackendContract, AShadowCountsAndNeverDenies) {
  Acq acq("r1");
  acq.Check(Count(), 1);
  acq.acquire.mutable_checks(0)->set_shadow(true);
  EXPECT_FALSE(Acquire(acq).limits(0).shadow_denied());
  acq.acquire.set_request_id("r2");
  const v1::QuotaAnswer second = Acquire(acq);
  EXPECT_EQ(second.result(), v1::QuotaAnswer::GRANTED);
  EXPECT_TRUE(second.limits(0).shadow_denied());
  EXPECT_EQ(View(Count()).settled(), 2);
}

TEST_P(QuotaBackendContract, AnAdjustmentIsMadeOnceAndKeptWithItsReason) {
  for (int i = 0; i < 5; ++i) Acquire(Acq(absl::StrCat("r", i)).Check(Count(), 5));
  v1::AdjustCounterRequest request;
  request.set_adjustment_id("a1");
  *request.mutable_key() = Count();
  request.set_delta(-2);
  request.set_who("ann");
  request.set_why("a bad day");
  const absl::StatusOr<v1::Adjustment> first = Adjust(*backend_, request);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->before().settled(), 5);
  EXPECT_EQ(first->after().settled(), 3);
  EXPECT_EQ(Adjust(*backend_, request)->DebugString(), first->DebugString());
  EXPECT_EQ(View(Count()).settled(), 3);
  request.set_adjustment_id("a2");
  request.clear_delta();
  request.set_reset(true);
  EXPECT_EQ(Adjust(*backend_, request)->after().used(), 0);
  request.clear_why();
  request.set_adjustment_id("a3");
  EXPECT_EQ(Adjust(*backend_, request).status().code(), absl::StatusCode::kInvalidArgument);
  const absl::StatusOr<v1::ListAdjustmentsResponse> made = Adjustments(*backend_);
  ASSERT_TRUE(made.ok()) << made.status();
  ASSERT_EQ(made->adjustments_size(), 2);
  EXPECT_EQ(made->adjustments(0).DebugString(), first->DebugString());
  EXPECT_EQ(made->adjustments(1).request().who(), "ann");
  EXPECT_EQ(Adjustments(*backend_, 1)->adjustments_size(), 1);
}

TEST_P(QuotaBackendContract, ACancelOfWhatAResetForgaveTakesNothingOff) {
  EXPECT_EQ(Acquire(Acq("r1").Check(Count(), 5)).result(), v1::QuotaAnswer::GRANTED);
  v1::AdjustCounterRequest request;
  request.set_adjustment_id("a1");
  *request.mutable_key() = Count();
  request.set_reset(true);
  request.set_who("ann");
  request.set_why("a new day");
  ASSERT_TRUE(Adjust(*backend_, request).ok());
  EXPECT_EQ(Acquire(Acq("r2").Check(Count(), 5)).result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(Cancel(1).result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(View(Count()).settled(), 1);
}

TEST_P(QuotaBackendContract, APoolIsListedFullestFirst) {
  const std::vector<std::string> users = {"ann", "bob", "cid"};
  for (size_t i = 0; i < users.size(); ++i) {
    for (size_t n = 0; n < (i + 1) % 3 + 1; ++n) Acquire(Acq(absl::StrCat(i, n)).Check(Count(users[i]), 9));
  }
  v1::ListCountersRequest request;
  request.set_gateway("default");
  request.set_pool("route/limit");
  request.set_page_size(2);
  const absl::StatusOr<v1::ListCountersResponse> list = List(*backend_, request);
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->counters_in_pool(), 3);
  ASSERT_EQ(list->counters_size(), 2);
  EXPECT_EQ(list->counters(0).DebugString(), View(Count("bob")).DebugString());
  EXPECT_EQ(list->counters(1).used(), 2);
  request.clear_page_size();
  request.add_identifier()->set_string_value("cid");
  ASSERT_EQ(List(*backend_, request)->counters_size(), 1);
  EXPECT_EQ(List(*backend_, request)->counters(0).used(), 1);
  request.set_pool("another");
  EXPECT_EQ(List(*backend_, request)->counters_size(), 0);
}

TEST_P(QuotaBackendContract, MalformedCommandsAreInvalidAndSayWhy) {
  EXPECT_EQ(Acquire(Acq("r1").Check(Count(), 0)).message(), "check 0: the limit 0 is not positive");
  EXPECT_EQ(Acquire(Acq("").Check(Count(), 1)).message(), "the request id is empty");
  v1::CounterKey key = Count();
  key.set_window_seconds(0);
  EXPECT_THAT(Acquire(Acq("r1").Check(key, 1)).message(), HasSubstr("the counter's window of 0 s"));
  EXPECT_THAT(Send(v1::QuotaCommand()).message(), HasSubstr("the command is empty"));
  EXPECT_EQ(Get(*backend_, key).status().code(), absl::StatusCode::kInvalidArgument);
  v1::QuotaRequest nameless;
  nameless.add_commands()->set_sequence(1);
  const absl::StatusOr<v1::QuotaResponse> response = Submit(*backend_, nameless);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->answers(0).message(), "the proxy id is empty");
}

TEST_P(QuotaBackendContract, AfterStopEverythingIsUnavailable) {
  backend_->Stop();
  v1::QuotaRequest message;
  message.set_proxy_id("p1");
  message.set_boot_id("boot");
  for (const absl::Status& status : {Submit(*backend_, message).status(), Get(*backend_, Count()).status(),
                                     Suspense(*backend_).status(), Adjustments(*backend_).status()}) {
    EXPECT_EQ(status, absl::UnavailableError("the quota service is shutting down"));
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, QuotaBackendContract, ::testing::Values(Kind::kMemory, Kind::kSqlite, Kind::kRedis),
                         [](const auto& info) {
                           return info.param == Kind::kMemory   ? "Memory"
                                  : info.param == Kind::kSqlite ? "Sqlite"
                                                                : "Redis";
                         });

}  // namespace
}  // namespace signalbox::testing
