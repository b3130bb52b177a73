#include "controlplane/quota/quota_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <thread>

#include "common/status_macros.h"
#include "controlplane/quota/sqlite_quota_store.h"
#include "tests/controlplane/quota/quota_testing.h"

namespace signalbox::testing {
namespace {

using ::testing::HasSubstr;

// Stands where it is put; read by the engine's thread.
class StandingClock : public Clock {
 public:
  int64_t UnixMicros() const override { return now_us; }
  int64_t MonotonicMicros() const override { return now_us; }
  std::atomic<int64_t> now_us{kNoonUs};
};

// A store in memory whose n-th write fails, before or after it took effect. Outlives the engines that use it.
struct Disk {
  std::vector<v1::QuotaStatePart> parts;
  std::vector<v1::QuotaLogBatch> log;
  int writes = 0;
  int fail_at = 0;
  bool keep_failed = false;
};

class FaultyQuotaStore : public QuotaStore {
 public:
  explicit FaultyQuotaStore(Disk& disk) : disk_(disk) {}
  absl::Status Append(const v1::QuotaLogBatch& batch) override {
    const bool fails = ++disk_.writes == disk_.fail_at;
    if (!fails || disk_.keep_failed) disk_.log.push_back(batch);
    return fails ? absl::UnavailableError("disk full") : absl::OkStatus();
  }
  absl::Status Compact(const std::vector<v1::QuotaStatePart>& parts) override {
    disk_.parts = parts;
    disk_.log.clear();
    return absl::OkStatus();
  }
  absl::Status Recover(const std::function<absl::Status(const v1::QuotaStatePart&)>& on_part,
                       const std::function<absl::Status(const v1::QuotaLogBatch&)>& on_batch) override {
    for (const auto& part : disk_.parts) RETURN_IF_ERROR(on_part(part));
    for (const auto& batch : disk_.log) RETURN_IF_ERROR(on_batch(batch));
    return absl::OkStatus();
  }
  int64_t log_bytes() const override { return 0; }
  std::string name() const override { return "faulty"; }
  Durability durability() const override { return Durability::kProcess; }

 private:
  Disk& disk_;
};

v1::QuotaRequest Message(uint64_t sequence, const Acq& acq) {
  v1::QuotaRequest message;
  message.set_proxy_id("p1");
  message.set_boot_id("boot");
  v1::QuotaCommand& command = *message.add_commands();
  command.set_sequence(sequence);
  *command.mutable_acquire() = acq.acquire;
  return message;
}

absl::StatusOr<v1::QuotaResponse> Ask(QuotaEngine& engine, v1::QuotaRequest message) {
  std::promise<absl::StatusOr<v1::QuotaResponse>> promise;
  engine.Submit(std::move(message), [&](auto response) { promise.set_value(std::move(response)); });
  return promise.get_future().get();
}

std::string Dump(QuotaEngine& engine) {
  std::promise<std::string> promise;
  engine.Read([&](absl::StatusOr<const QuotaCore*> core, int64_t) {
    promise.set_value(core.ok() ? (*core)->Dump() : std::string(core.status().message()));
  });
  return promise.get_future().get();
}

std::string NewDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "quota_engine_XXXXXX").string();
  EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
  return pattern;
}

class QuotaEngineTest : public ::testing::Test {
 protected:
  ~QuotaEngineTest() override { std::filesystem::remove_all(directory); }
  std::unique_ptr<QuotaEngine> Open() {
    auto store = OpenSqliteQuotaStore(path, Durability::kProcess);
    EXPECT_TRUE(store.ok()) << store.status();
    auto engine = QuotaEngine::Open(*std::move(store), clock, [](const std::string&) {});
    EXPECT_TRUE(engine.ok()) << engine.status();
    return *std::move(engine);
  }
  StandingClock clock;
  const std::string directory = NewDirectory();
  const std::string path = directory + "/quota.db";
};

TEST_F(QuotaEngineTest, ReopeningRecoversTheSameState) {
  std::string before;
  {
    auto engine = Open();
    for (int i = 1; i <= 20; ++i) {
      const std::string id = "r" + std::to_string(i);
      ASSERT_TRUE(Ask(*engine, Message(i, Acq(id).Check(Count(), 10).Check(Money(), kDollar))).ok());
    }
    before = Dump(*engine);
  }
  auto engine = Open();
  EXPECT_EQ(Dump(*engine), before);
  // A repeat across the restart gets its first answer.
  const auto again = Ask(*engine, Message(3, Acq("r3").Check(Count(), 10)));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->answers(0).result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(Dump(*engine), before);
}

TEST_F(QuotaEngineTest, SnapshotAndLogGiveTheSameStateAsTheLogAlone) {
  Disk disk;
  std::string whole;
  {
    auto engine = QuotaEngine::Open(std::make_unique<FaultyQuotaStore>(disk), clock, [](const std::string&) {});
    ASSERT_TRUE(engine.ok());
    for (int i = 1; i <= 5; ++i) {
      Ask(**engine, Message(i, Acq("r" + std::to_string(i)).Check(Money(), kDollar))).IgnoreError();
    }
    whole = Dump(**engine);
  }
  auto store = OpenSqliteQuotaStore(path, Durability::kPower);
  ASSERT_TRUE(store.ok());
  QuotaCore core;
  for (size_t i = 0; i < disk.log.size(); ++i) {
    ASSERT_TRUE(core.Replay(disk.log[i]).ok());
    if (i == 2) {
      ASSERT_TRUE((*store)->Compact(core.Save(2)).ok());
    } else {
      ASSERT_TRUE((*store)->Append(disk.log[i]).ok());
    }
  }
  QuotaCore recovered;
  int batches = 0;
  ASSERT_TRUE((*store)
                  ->Recover([&](const v1::QuotaStatePart& part) { return recovered.Load(part); },
                            [&](const v1::QuotaLogBatch& batch) {
                              ++batches;
                              return recovered.Replay(batch);
                            })
                  .ok());
  EXPECT_EQ(batches, static_cast<int>(disk.log.size()) - 3);
  EXPECT_EQ(recovered.Dump(), whole);
}

TEST_F(QuotaEngineTest, SilentProxiesAreSuspendedOnTick) {
  auto engine = Open();
  Ask(*engine, Message(1, Acq("a").Check(Money(), kDollar).Cap(300))).IgnoreError();
  clock.now_us += 61'000'000;
  engine->Tick();
  EXPECT_THAT(Dump(*engine), HasSubstr("suspense_sequence: 1"));
}

// Fails the n-th write for n = 1, 2, 3 ... : whatever was answered is there, nothing is there twice.
TEST_F(QuotaEngineTest, EveryFailedWriteIsUnavailableAndLosesNothingAnswered) {
  for (const bool keep : {false, true}) {
    for (int n = 2; n <= 8; ++n) {
      Disk disk;
      disk.fail_at = n;
      disk.keep_failed = keep;
      auto engine = QuotaEngine::Open(std::make_unique<FaultyQuotaStore>(disk), clock, [](const std::string&) {});
      ASSERT_TRUE(engine.ok());
      int failures = 0;
      for (int i = 1; i <= 10; ++i) {
        const auto message = Message(i, Acq("r" + std::to_string(i)).Check(Count(), 10));
        auto answer = Ask(**engine, message);
        if (!answer.ok()) {
          ++failures;
          EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnavailable);
          EXPECT_THAT(std::string(answer.status().message()), HasSubstr("disk full"));
          answer = Ask(**engine, message);
        }
        ASSERT_TRUE(answer.ok()) << answer.status();
        EXPECT_EQ(answer->answers(0).result(), v1::QuotaAnswer::GRANTED);
        EXPECT_EQ(answer->answers(0).limits(0).remaining(), 10 - i);
      }
      EXPECT_EQ(failures, 1);
      EXPECT_EQ((*engine)->counts().store_failures, 1);
    }
  }
}

TEST_F(QuotaEngineTest, ManyThreadsShareOneLimitExactly) {
  auto engine = Open();
  std::atomic<int> granted{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        v1::QuotaRequest message = Message(i + 1, Acq(std::to_string(t) + "-" + std::to_string(i)).Check(Count(), 37));
        message.set_proxy_id("p" + std::to_string(t));
        const auto answer = Ask(*engine, std::move(message));
        if (answer.ok() && answer->answers(0).result() == v1::QuotaAnswer::GRANTED) ++granted;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(granted, 37);
}

TEST_F(QuotaEngineTest, AfterStopEverythingIsUnavailable) {
  auto engine = Open();
  engine->Stop();
  EXPECT_EQ(Ask(*engine, Message(1, Acq("a").Check(Count(), 1))).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(QuotaEngineTest, ASecondServiceOnTheSameFileIsRefused) {
  auto engine = Open();
  const auto second = OpenSqliteQuotaStore(path, Durability::kProcess);
  EXPECT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(path));
}

TEST_F(QuotaEngineTest, ADamagedRowIsDataLossThatNamesTheFile) {
  {
    auto engine = Open();
    Ask(*engine, Message(1, Acq("needle-in-the-row").Check(Count(), 1))).IgnoreError();
  }
  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  const size_t at = bytes.find("needle-in-the-row");
  ASSERT_NE(at, std::string::npos);
  bytes[at] = 'N';
  std::ofstream(path, std::ios::binary) << bytes;
  auto store = OpenSqliteQuotaStore(path, Durability::kProcess);
  ASSERT_TRUE(store.ok());
  const auto engine = QuotaEngine::Open(*std::move(store), clock, [](const std::string&) {});
  EXPECT_EQ(engine.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(engine.status().message()), HasSubstr(path));
}

// Whoever gives a way to be woken takes the turns.
class DrivenQuotaEngineTest : public ::testing::Test {
 protected:
  void Submit(uint64_t sequence) {
    engine->Submit(Message(sequence, Acq("r" + std::to_string(sequence)).Check(Count(), 10)),
                   [this](absl::StatusOr<v1::QuotaResponse> response) { answered.push_back(std::move(response)); });
  }
  StandingClock clock;
  Disk disk;
  int woken = 0;
  std::vector<absl::StatusOr<v1::QuotaResponse>> answered;
  std::unique_ptr<QuotaEngine> engine = *QuotaEngine::Open(
      std::make_unique<FaultyQuotaStore>(disk), clock, [](const std::string&) {}, kQuotaLogBytesBeforeCompaction,
      [this] { ++woken; });
};

TEST_F(DrivenQuotaEngineTest, NothingIsDecidedButInATurn) {
  const int writes = disk.writes;
  Submit(1);
  Submit(2);
  EXPECT_EQ(woken, 1) << "one turn is enough for both";
  EXPECT_TRUE(answered.empty());
  engine->Turn();
  ASSERT_EQ(answered.size(), 2u);
  EXPECT_EQ(answered[0]->answers(0).sequence(), 1u);
  EXPECT_EQ(answered[1]->answers(0).sequence(), 2u);
  EXPECT_EQ(disk.writes - writes, 1) << "and one batch";
  Submit(3);
  EXPECT_EQ(woken, 2);
  engine->Turn();
  EXPECT_EQ(answered.size(), 3u);
}

TEST_F(DrivenQuotaEngineTest, ATurnSaysWhenTheNextOneIsDueAnyway) {
  const auto before = std::chrono::steady_clock::now();
  const auto next = engine->Turn();
  EXPECT_GT(next, before);
  EXPECT_LE(next, std::chrono::steady_clock::now() + std::chrono::microseconds(kQuotaTickUs));
  EXPECT_EQ(woken, 0);
}

TEST_F(DrivenQuotaEngineTest, WhatAnAnswerAsksIsForTheNextTurn) {
  engine->Submit(Message(1, Acq("a").Check(Count(), 10)), [this](absl::StatusOr<v1::QuotaResponse>) { Submit(2); });
  engine->Turn();
  EXPECT_EQ(woken, 2);
  EXPECT_TRUE(answered.empty());
  engine->Turn();
  EXPECT_EQ(answered.size(), 1u);
}

TEST_F(DrivenQuotaEngineTest, ABatchThatCannotBeCommittedIsNotAnswered) {
  disk.fail_at = disk.writes + 1;
  Submit(1);
  engine->Turn();
  ASSERT_EQ(answered.size(), 1u);
  EXPECT_EQ(answered[0].status().code(), absl::StatusCode::kUnavailable);
  Submit(2);
  engine->Turn();
  EXPECT_TRUE(answered[1].ok()) << answered[1].status();
}

TEST_F(DrivenQuotaEngineTest, StopDecidesWhatWasSubmitted) {
  Submit(1);
  engine->Stop();
  ASSERT_EQ(answered.size(), 1u);
  EXPECT_TRUE(answered[0].ok()) << answered[0].status();
  Submit(2);
  EXPECT_EQ(answered[1].status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(engine->Turn(), QuotaBackend::SteadyTime::max()) << "nothing is ever due again";
}

TEST_F(DrivenQuotaEngineTest, ABackupIsTakenStepByStepInTurns) {
  const std::string directory = NewDirectory();
  auto store = OpenSqliteQuotaStore(directory + "/quota.db", Durability::kProcess);
  ASSERT_TRUE(store.ok()) << store.status();
  std::mutex mutex;
  std::condition_variable due;
  int wakes = 0;
  auto opened = QuotaEngine::Open(
      *std::move(store), clock, [](const std::string&) {}, kQuotaLogBytesBeforeCompaction,
      [&] {
        std::lock_guard lock(mutex);
        ++wakes;
        due.notify_one();
      });
  ASSERT_TRUE(opened.ok()) << opened.status();
  std::promise<absl::Status> copied;
  std::thread copier([&] { copied.set_value((*opened)->BackupTo(directory + "/copy.db")); });
  auto result = copied.get_future();
  while (result.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    std::unique_lock lock(mutex);
    due.wait_for(lock, std::chrono::milliseconds(1), [&] { return wakes > 0; });
    wakes = 0;
    lock.unlock();
    (*opened)->Turn();
  }
  copier.join();
  const absl::Status status = result.get();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(std::filesystem::exists(directory + "/copy.db"));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace signalbox::testing
