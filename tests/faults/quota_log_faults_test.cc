// The quota log on a failing disk: an error for what was not committed, the first answer for what was, never half of
// either, and after the disk came back the state of a run without faults.
#include <gmock/gmock.h>

#include <future>

#include "controlplane/quota/quota_engine.h"
#include "controlplane/quota/sqlite_quota_store.h"
#include "tests/controlplane/quota/quota_testing.h"
#include "tests/faults/fault_loop.h"

namespace signalbox::testing {
namespace {

using ::testing::AnyOf;
using ::testing::Eq;
using ::testing::HasSubstr;

constexpr int kAttemptsMax = 3;  // of one command while the disk fails, before it is healed

std::vector<v1::QuotaCommand> Script() {
  std::vector<v1::QuotaCommand> script;
  const auto add = [&script]() -> v1::QuotaCommand& {
    v1::QuotaCommand& command = script.emplace_back();
    command.set_sequence(script.size());
    return command;
  };
  for (int i = 0; i < 4; ++i) {
    *add().mutable_acquire() = Acq("r" + std::to_string(i)).Check(Count(), 3).Check(Money(), kDollar).Cap(300).acquire;
  }
  v1::Extend& extend = *add().mutable_extend();
  extend.set_request_id("r0");
  extend.set_required_nanos(5'000);
  v1::Settle& settle = *add().mutable_settle();
  settle.set_request_id("r0");
  settle.set_cost_nanos(1'234);
  add().mutable_cancel()->set_sequence(2);
  v1::ForceCharge& charge = *add().mutable_force_charge();
  charge.set_request_id("forced");
  *charge.mutable_counter() = Count("bob");
  charge.set_amount(1);
  return script;
}

class Service {
 public:
  Service(std::string directory, Durability durability) : directory_(std::move(directory)), durability_(durability) {}

  absl::Status Open() {
    engine_.reset();
    auto store = OpenSqliteQuotaStore(directory_ + "/quota.db", durability_);
    if (!store.ok()) return store.status();
    auto engine = QuotaEngine::Open(*std::move(store), clock_, [](const std::string&) {});
    if (!engine.ok()) return engine.status();
    engine_ = *std::move(engine);
    return absl::OkStatus();
  }
  void Close() { engine_.reset(); }
  bool open() const { return engine_ != nullptr; }

  absl::StatusOr<v1::QuotaAnswer> Ask(const v1::QuotaCommand& command) {
    v1::QuotaRequest message;
    message.set_proxy_id("p1");
    message.set_boot_id("boot");
    *message.add_commands() = command;
    std::promise<absl::StatusOr<v1::QuotaResponse>> promise;
    engine_->Submit(message,
                    [&](absl::StatusOr<v1::QuotaResponse> response) { promise.set_value(std::move(response)); });
    const absl::StatusOr<v1::QuotaResponse> response = promise.get_future().get();
    if (!response.ok()) return response.status();
    return response->answers(0);
  }
  std::string Dump() {
    std::promise<std::string> promise;
    engine_->Read([&](absl::StatusOr<const QuotaCore*> core, int64_t) {
      promise.set_value(core.ok() ? (*core)->Dump() : std::string(core.status().message()));
    });
    return promise.get_future().get();
  }

 private:
  class StandingClock : public Clock {
   public:
    int64_t UnixMicros() const override { return kNoonUs; }
    int64_t MonotonicMicros() const override { return kNoonUs; }
  };
  const std::string directory_;
  const Durability durability_;
  const StandingClock clock_;
  std::unique_ptr<QuotaEngine> engine_;
};

// Opened as often as it takes; with a disk that stays broken it is mended after a while.
void OpenInTheEnd(Service& service) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    const absl::Status opened = service.Open();
    if (opened.ok()) return;
    EXPECT_THAT(std::string(opened.message()), HasSubstr("quota.db")) << opened;
    EXPECT_TRUE(DiskFailed()) << opened;
  }
  HealDisk();
  const absl::Status opened = service.Open();
  ASSERT_TRUE(opened.ok()) << opened;
}

class QuotaLogFaults : public DiskFaults {
 protected:
  void Run(Durability durability) {
    const std::vector<v1::QuotaCommand> script = Script();
    std::vector<std::string> expected, repeated;  // a repeat of what was cancelled meanwhile says so
    std::string dump;
    {
      FaultDirectory directory;
      Service service(directory.path(), durability);
      ASSERT_TRUE(service.Open().ok());
      for (const v1::QuotaCommand& command : script) expected.push_back(service.Ask(command)->SerializeAsString());
      for (const v1::QuotaCommand& command : script) repeated.push_back(service.Ask(command)->SerializeAsString());
      dump = service.Dump();
    }
    ForEveryOperation([&](const std::string& directory) {
      Service service(directory, durability);
      OpenInTheEnd(service);
      for (size_t i = 0; i < script.size() && !HasFatalFailure(); ++i) {
        absl::StatusOr<v1::QuotaAnswer> answer = service.Ask(script[i]);
        for (int attempt = 0; !answer.ok(); ++attempt) {
          EXPECT_TRUE(DiskFailed());
          EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnavailable) << answer.status();
          EXPECT_THAT(std::string(answer.status().message()), HasSubstr("nothing was decided"));
          ASSERT_LT(attempt, 2 * kAttemptsMax) << answer.status();
          if (attempt == kAttemptsMax) HealDisk();
          answer = service.Ask(script[i]);
        }
        EXPECT_EQ(answer->SerializeAsString(), expected[i]) << answer->ShortDebugString();
      }
      // As after a kill: what the object would still write at its end does not reach the disk.
      HealDisk();
      service.Close();
      ASSERT_TRUE(service.Open().ok());
      EXPECT_EQ(service.Dump(), dump);
      for (size_t i = 0; i < script.size(); ++i) {
        const absl::StatusOr<v1::QuotaAnswer> again = service.Ask(script[i]);
        ASSERT_TRUE(again.ok()) << again.status();
        EXPECT_EQ(again->SerializeAsString(), repeated[i]) << again->ShortDebugString();
      }
      EXPECT_EQ(service.Dump(), dump) << "a repeat was counted again";
    });
  }
};
SIGNALBOX_FAULT_CASES(QuotaLogFaults);

TEST_P(QuotaLogFaults, EveryCommandTakesEffectOnceAndIsAnsweredOnlyWhenCommitted) { Run(Durability::kProcess); }
TEST_P(QuotaLogFaults, WithFsyncToo) { Run(Durability::kPower); }

// Compaction replaces log and snapshot in one transaction: after a failure either the old two are there or the new.
TEST_P(QuotaLogFaults, AFailedCompactionLosesNothing) {
  std::vector<v1::QuotaLogBatch> batches;
  std::string dump;
  std::vector<v1::QuotaStatePart> parts;
  {
    QuotaCore core;
    uint64_t sequence = 0;
    for (int i = 0; i < 30; ++i) {
      v1::QuotaLogBatch& batch = batches.emplace_back();
      batch.set_now_us(kNoonUs + i);
      v1::QuotaRequest& message = *batch.add_entries()->mutable_message();
      message.set_proxy_id("p1");
      message.set_boot_id("boot");
      v1::QuotaCommand& command = *message.add_commands();
      command.set_sequence(++sequence);
      *command.mutable_acquire() = Acq("r" + std::to_string(i)).Check(Money("u" + std::to_string(i)), kDollar).acquire;
      ASSERT_TRUE(core.Replay(batch).ok());
    }
    dump = core.Dump();
    parts = core.Save(7);
  }
  const auto recovered = [](QuotaStore& store) {
    QuotaCore core;
    const absl::Status status = store.Recover([&](const v1::QuotaStatePart& part) { return core.Load(part); },
                                              [&](const v1::QuotaLogBatch& batch) { return core.Replay(batch); });
    EXPECT_TRUE(status.ok()) << status;
    core.LoadDone();
    return core.Dump();
  };
  int n = 0;
  bool failed = true;
  while (failed) {
    ASSERT_LT(++n, 1'000);
    SCOPED_TRACE(::testing::Message() << "operation " << n << " fails");
    FaultDirectory directory;
    const std::string path = directory.path() + "/quota.db";
    {
      auto store = OpenSqliteQuotaStore(path, Durability::kPower);
      ASSERT_TRUE(store.ok()) << store.status();
      for (const v1::QuotaLogBatch& batch : batches) ASSERT_TRUE((*store)->Append(batch).ok());
      FailDisk(directory.path(), n, GetParam().fault, GetParam().stays);
      const absl::Status compacted = (*store)->Compact(parts);
      failed = DiskFailed();
      if (!compacted.ok()) {
        EXPECT_TRUE(failed);
        EXPECT_THAT(compacted.code(),
                    AnyOf(Eq(absl::StatusCode::kUnavailable), Eq(absl::StatusCode::kResourceExhausted)));
        EXPECT_THAT(std::string(compacted.message()), HasSubstr("quota.db"));
      }
      HealDisk();
      EXPECT_EQ(recovered(**store), dump);
    }
    auto store = OpenSqliteQuotaStore(path, Durability::kPower);
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ(recovered(**store), dump);
    if (HasFailure()) return;
  }
  EXPECT_GT(n, 1);
}

}  // namespace
}  // namespace signalbox::testing
