#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <set>

#include "common/mutex.h"
#include "common/rpc/rpc.h"
#include "dataplane/spend/grpc_spend_reporter.h"
#include "dataplane/spend/spend_client.h"
#include "signalbox/v1/spend.grpc.pb.h"

namespace signalbox {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kLongMs = 20'000;  // only a failing test waits so long

v1::SpendRecord Record(const std::string& id) {
  v1::SpendRecord record;
  record.set_request_id(id);
  record.set_cost_nanos(7);
  return record;
}

class TempDirectory {
 public:
  TempDirectory() {
    std::string path = (fs::temp_directory_path() / "signalbox_spend_XXXXXX").string();
    path_ = ::mkdtemp(path.data());
  }
  ~TempDirectory() { fs::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A control plane that does as told with each batch and checks the laws of the stream.
class ScriptedSpend final : public v1::Spend::Service {
 public:
  enum class Act { kAck, kAckTwice, kSilent, kDrop, kCommitAndDrop, kRefuse, kAckUnsent };
  using Script = std::function<Act(int stream, const v1::SpendBatch& batch)>;

  explicit ScriptedSpend(Script script, const std::string& address = "127.0.0.1:0") : script_(std::move(script)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~ScriptedSpend() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status Report(grpc::ServerContext* context,
                      grpc::ServerReaderWriter<v1::SpendAck, v1::SpendBatch>* stream) override {
    const auto token = context->client_metadata().find("authorization");
    EXPECT_TRUE(token != context->client_metadata().end() && token->second == "Bearer secret");
    int number = 0;
    {
      MutexLock lock(mutex_);
      number = ++streams_;
      changed_.NotifyAll();
    }
    uint64_t last = 0;
    v1::SpendBatch batch;
    while (stream->Read(&batch)) {
      EXPECT_EQ(batch.batch(), last + 1) << "batches count from 1 on each stream";
      EXPECT_EQ(batch.proxy_id(), "p1");
      EXPECT_GT(batch.records_size(), 0);
      EXPECT_LE(batch.records_size(), static_cast<int>(kSpendBatchRecordsMax));
      last = batch.batch();
      const Act act = script_(number, batch);
      Take(batch, act);
      v1::SpendAck ack;
      ack.set_batch(batch.batch());
      switch (act) {
        case Act::kAckTwice:
          stream->Write(ack);
          [[fallthrough]];
        case Act::kAck:
          stream->Write(ack);
          break;
        case Act::kAckUnsent:
          ack.set_batch(batch.batch() + 100);
          stream->Write(ack);
          break;
        case Act::kSilent:
          break;
        case Act::kDrop:
        case Act::kCommitAndDrop:
          return grpc::Status(grpc::StatusCode::UNAVAILABLE, "dropped by the script");
        case Act::kRefuse:
          return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "records: no request id");
      }
    }
    return grpc::Status::OK;
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::set<std::string> committed() const {
    MutexLock lock(mutex_);
    return committed_;
  }
  std::vector<std::string> received() const {
    MutexLock lock(mutex_);
    return received_;
  }
  int streams() const {
    MutexLock lock(mutex_);
    return streams_;
  }
  // Waits for `done`, asked after every batch.
  bool WaitUntil(const std::function<bool(const ScriptedSpend&)>& done) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kLongMs);
    while (!done(*this)) {
      MutexLock lock(mutex_);
      const size_t seen = received_.size() + streams_;
      while (received_.size() + streams_ == seen) {
        if (!changed_.WaitUntil(mutex_, deadline)) return false;
      }
    }
    return true;
  }

 private:
  void Take(const v1::SpendBatch& batch, Act act) {
    MutexLock lock(mutex_);
    for (const v1::SpendRecord& record : batch.records()) {
      received_.push_back(record.request_id());
      if (act == Act::kAck || act == Act::kAckTwice || act == Act::kCommitAndDrop)
        committed_.insert(record.request_id());
    }
    changed_.NotifyAll();
  }

  const Script script_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  mutable Mutex mutex_;
  mutable CondVar changed_;
  std::vector<std::string> received_;
  std::set<std::string> committed_;
  int streams_ = 0;
};

using Act = ScriptedSpend::Act;
ScriptedSpend::Script Always(Act act) {
  return [act](int, const v1::SpendBatch&) { return act; };
}

class SpendClientTest : public ::testing::Test {
 protected:
  std::unique_ptr<Spool> OpenSpool() {
    auto spool = Spool::Open({.directory = dir_.path() + "/spool"}, [](const v1::SpendRecord&) {});
    EXPECT_TRUE(spool.ok()) << spool.status();
    return *std::move(spool);
  }
  SpendClientOptions Options(Spool& spool, const std::string& address) {
    SpendClientOptions options;
    options.channel = *NewChannel(address, {});
    options.token = "secret";
    options.proxy_id = "p1";
    options.spool = &spool;
    options.pace_us = 0;
    options.backoff_us_min = 1'000;
    options.backoff_us_max = 10'000;
    return options;
  }
  std::set<std::string> Append(Spool& spool, int count) {
    std::set<std::string> ids;
    for (int i = 0; i < count; ++i) {
      const std::string id = "r" + std::to_string(i);
      EXPECT_TRUE(spool.Append(Record(id)).ok());
      ids.insert(id);
    }
    return ids;
  }
  TempDirectory dir_;
};

TEST_F(SpendClientTest, WhatTheControlPlaneAcksLeavesTheSpool) {
  ScriptedSpend server(Always(Act::kAck));
  const auto spool = OpenSpool();
  const std::set<std::string> ids = Append(*spool, 1200);
  const auto client = NewSpendClient(Options(*spool, server.address()));
  EXPECT_TRUE(client->Flush(kLongMs));
  EXPECT_EQ(server.committed(), ids);
  EXPECT_EQ(server.received().size(), ids.size()) << "nothing is sent twice on a healthy stream";
  EXPECT_TRUE(spool->AllAcked());
  EXPECT_EQ(server.streams(), 1);
}

TEST_F(SpendClientTest, ARecordThatComesLaterIsSentWithoutBeingAskedFor) {
  ScriptedSpend server(Always(Act::kAck));
  const auto spool = OpenSpool();
  const auto client = NewSpendClient(Options(*spool, server.address()));
  for (const char* id : {"a", "b", "c"}) {
    ASSERT_TRUE(spool->Append(Record(id)).ok());
    client->Wake();
    ASSERT_TRUE(server.WaitUntil([&](const ScriptedSpend& s) { return s.committed().count(id) == 1; }));
  }
  EXPECT_THAT(server.received(), ElementsAre("a", "b", "c"));
}

TEST_F(SpendClientTest, LateAcksKeepABoundedNumberOfBatchesUnderWay) {
  // Acks come only once the client has stopped sending: with the fourth batch.
  ScriptedSpend server(
      [](int, const v1::SpendBatch& batch) { return batch.batch() % 4 == 0 ? Act::kAck : Act::kSilent; });
  const auto spool = OpenSpool();
  const std::set<std::string> ids = Append(*spool, 40);
  SpendClientOptions options = Options(*spool, server.address());
  options.batch_records_max = 5;
  const auto client = NewSpendClient(std::move(options));
  EXPECT_TRUE(client->Flush(kLongMs));
  EXPECT_EQ(server.received().size(), ids.size());
  EXPECT_EQ(server.streams(), 1);
}

TEST_F(SpendClientTest, ADroppedStreamIsResentOnTheNext) {
  ScriptedSpend server([](int stream, const v1::SpendBatch& batch) {
    if (stream == 1 && batch.batch() == 2) return Act::kDrop;
    return stream == 2 ? Act::kCommitAndDrop : Act::kAck;
  });
  const auto spool = OpenSpool();
  const std::set<std::string> ids = Append(*spool, 30);
  SpendClientOptions options = Options(*spool, server.address());
  options.batch_records_max = 10;
  const auto client = NewSpendClient(std::move(options));
  EXPECT_TRUE(client->Flush(kLongMs));
  EXPECT_EQ(server.committed(), ids);
  EXPECT_GE(server.streams(), 3);
}

TEST_F(SpendClientTest, AStreamThatNeverAcksIsGivenUpAndResent) {
  ScriptedSpend server([](int stream, const v1::SpendBatch&) { return stream <= 2 ? Act::kSilent : Act::kAck; });
  const auto spool = OpenSpool();
  const std::set<std::string> ids = Append(*spool, 3);
  SpendClientOptions options = Options(*spool, server.address());
  options.ack_timeout_us = 30'000;
  const auto client = NewSpendClient(std::move(options));
  EXPECT_TRUE(client->Flush(kLongMs));
  EXPECT_EQ(server.committed(), ids);
  EXPECT_GE(server.streams(), 3);
}

TEST_F(SpendClientTest, DuplicateAcksAreHarmlessAndAcksOfNothingEndTheStream) {
  ScriptedSpend server(
      [](int stream, const v1::SpendBatch&) { return stream == 1 ? Act::kAckUnsent : Act::kAckTwice; });
  const auto spool = OpenSpool();
  const std::set<std::string> ids = Append(*spool, 20);
  SpendClientOptions options = Options(*spool, server.address());
  options.batch_records_max = 3;
  const auto client = NewSpendClient(std::move(options));
  EXPECT_TRUE(client->Flush(kLongMs));
  EXPECT_EQ(server.committed(), ids);
}

TEST_F(SpendClientTest, ARecordTheControlPlaneNeverTakesDoesNotBlockTheOthers) {
  ScriptedSpend server([](int, const v1::SpendBatch& batch) {
    for (const v1::SpendRecord& record : batch.records()) {
      if (record.request_id() == "r7") return Act::kRefuse;
    }
    return Act::kAck;
  });
  const auto spool = OpenSpool();
  std::set<std::string> ids = Append(*spool, 20);
  std::vector<std::string> refused;  // the client's thread's until Stop
  SpendClientOptions options = Options(*spool, server.address());
  options.on_refused = [&](const std::string& request_id) { refused.push_back(request_id); };
  const auto client = NewSpendClient(options);
  EXPECT_TRUE(client->Flush(kLongMs));
  ids.erase("r7");
  EXPECT_EQ(server.committed(), ids);
  client->Stop();
  EXPECT_EQ(refused, std::vector<std::string>{"r7"}) << "counted, as it is lost to the ledger";
}

// What is no record (text that is not UTF-8, here) breaks a stream without a word from the control plane.
TEST_F(SpendClientTest, ARecordThatCannotBeReadDoesNotBlockTheOthers) {
  ScriptedSpend server(Always(Act::kAck));
  const auto spool = OpenSpool();
  const std::set<std::string> ids = Append(*spool, 20);
  SpendClientOptions options = Options(*spool, server.address());
  options.batch_records_max = 2;
  std::vector<std::string> refused;  // the client's thread's until Stop
  options.on_refused = [&](const std::string& request_id) { refused.push_back(request_id); };
  const auto client = NewSpendClient(options);
  ASSERT_TRUE(client->Flush(kLongMs));  // the stream has acks: what follows is sent unread
  v1::SpendRecord unreadable = Record("unreadable");
  unreadable.set_path("\xff");
  ASSERT_TRUE(spool->Append(unreadable).ok());
  ASSERT_TRUE(spool->Append(Record("behind")).ok());
  client->Wake();
  EXPECT_TRUE(client->Flush(kLongMs));
  std::set<std::string> all = ids;
  all.insert("behind");
  EXPECT_EQ(server.committed(), all);
  client->Stop();
  EXPECT_EQ(refused, std::vector<std::string>{"unreadable"});
  EXPECT_EQ(server.streams(), 2);
}

TEST_F(SpendClientTest, AnUnreadableRecordIsCountedOnceHoweverOftenItIsMet) {
  ScriptedSpend server([](int stream, const v1::SpendBatch&) { return stream <= 3 ? Act::kDrop : Act::kAck; });
  const auto spool = OpenSpool();
  std::set<std::string> ids = Append(*spool, 1);
  for (const char* id : {"unreadable", "unreadable too"}) {
    v1::SpendRecord unreadable = Record(id);
    unreadable.set_path("\xff");
    ASSERT_TRUE(spool->Append(unreadable).ok());
  }
  ASSERT_TRUE(spool->Append(Record("behind")).ok());
  ids.insert("behind");
  std::vector<std::string> refused;  // the client's thread's until Stop
  SpendClientOptions options = Options(*spool, server.address());
  options.on_refused = [&](const std::string& request_id) { refused.push_back(request_id); };
  const auto client = NewSpendClient(options);
  EXPECT_TRUE(client->Flush(kLongMs));
  client->Stop();
  EXPECT_EQ(server.streams(), 4);
  EXPECT_EQ(server.committed(), ids);
  EXPECT_THAT(refused, ElementsAre("unreadable", "unreadable too"));
}

TEST_F(SpendClientTest, AnUnreadableLastRecordIsDoneWithTheOneBefore) {
  ScriptedSpend server(Always(Act::kAck));
  const auto spool = OpenSpool();
  Append(*spool, 1);
  v1::SpendRecord unreadable = Record("unreadable");
  unreadable.set_path("\xff");
  ASSERT_TRUE(spool->Append(unreadable).ok());
  SpendClientOptions options = Options(*spool, server.address());
  options.batch_records_max = 1;
  const auto client = NewSpendClient(options);
  EXPECT_TRUE(client->Flush(kLongMs));
  EXPECT_TRUE(spool->AllAcked());
  EXPECT_THAT(server.received(), ElementsAre("r0"));
}

TEST_F(SpendClientTest, AnAbsentControlPlaneIsWaitedFor) {
  std::string address;
  {
    ScriptedSpend server(Always(Act::kAck));
    address = server.address();
  }
  const auto spool = OpenSpool();
  const std::set<std::string> ids = Append(*spool, 3);
  const auto client = NewSpendClient(Options(*spool, address));
  EXPECT_FALSE(client->Flush(50));
  EXPECT_FALSE(spool->AllAcked());
  ScriptedSpend server(Always(Act::kAck), address);
  EXPECT_TRUE(client->Flush(kLongMs));
  EXPECT_EQ(server.committed(), ids);
}

TEST_F(SpendClientTest, StopEndsAStreamThatHangsAndKeepsTheRecords) {
  ScriptedSpend server(Always(Act::kSilent));
  const auto spool = OpenSpool();
  Append(*spool, 3);
  const auto client = NewSpendClient(Options(*spool, server.address()));
  ASSERT_TRUE(server.WaitUntil([](const ScriptedSpend& s) { return s.received().size() == 3; }));
  client->Stop();
  client->Stop();
  EXPECT_FALSE(client->Flush(0));
  EXPECT_FALSE(spool->AllAcked());
}

absl::Status Report(SpendReporter& reporter, const v1::SpendRecord& record) {
  SpendFrames frames;
  if (absl::Status status = frames.Add(record); !status.ok()) return status;
  const std::vector<Spool::Refused> refused = reporter.Record(frames);
  return refused.empty() ? absl::OkStatus() : refused.front().why;
}

class SpendReporterTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<SpendReporter>> Start(const std::string& address, int64_t bytes_max = kSpoolBytesMax) {
    GrpcSpendReporterOptions options;
    options.channel = *NewChannel(address, {});
    options.token = "secret";
    options.proxy_id = "p1";
    options.data_dir = dir_.path();
    options.spool_bytes_max = bytes_max;
    replayed_.clear();
    options.on_replayed = [this](const v1::SpendRecord& record) { replayed_.push_back(record.request_id()); };
    return NewGrpcSpendReporter(std::move(options));
  }
  TempDirectory dir_;
  std::vector<std::string> replayed_;
};

TEST_F(SpendReporterTest, ReportsAndLeavesNothingToReplay) {
  ScriptedSpend server(Always(Act::kAck));
  {
    const auto reporter = Start(server.address());
    ASSERT_TRUE(reporter.ok()) << reporter.status();
    EXPECT_TRUE((*reporter)->CanAccept());
    for (const char* id : {"a", "b"}) ASSERT_TRUE(Report(**reporter, Record(id)).ok());
    EXPECT_TRUE((*reporter)->Flush(kLongMs));
  }
  EXPECT_EQ(server.committed().size(), 2u);
  ASSERT_TRUE(Start(server.address()).ok());
  EXPECT_THAT(replayed_, IsEmpty());
}

TEST_F(SpendReporterTest, AKilledProxysRecordsAreReplayedAndReported) {
  {
    ScriptedSpend deaf(Always(Act::kSilent));
    const auto reporter = Start(deaf.address());
    ASSERT_TRUE(reporter.ok()) << reporter.status();
    for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(Report(**reporter, Record(id)).ok());
    EXPECT_FALSE((*reporter)->Flush(0));
  }
  ScriptedSpend server(Always(Act::kAck));
  const auto reporter = Start(server.address());
  ASSERT_TRUE(reporter.ok()) << reporter.status();
  EXPECT_THAT(replayed_, ElementsAre("a", "b", "c"));
  EXPECT_TRUE((*reporter)->Flush(kLongMs));
  EXPECT_THAT(server.committed(), ElementsAre("a", "b", "c"));
}

TEST_F(SpendReporterTest, AFullSpoolRefusesUntilTheControlPlaneIsBack) {
  std::string address;
  {
    ScriptedSpend server(Always(Act::kAck));
    address = server.address();
  }
  const auto reporter = Start(address, 20'000);
  ASSERT_TRUE(reporter.ok()) << reporter.status();
  int taken = 0;
  absl::Status status;
  while ((status = Report(**reporter, Record("r" + std::to_string(taken)))).ok()) ++taken;
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE((*reporter)->CanAccept());
  ScriptedSpend server(Always(Act::kAck), address);
  EXPECT_TRUE((*reporter)->Flush(kLongMs));
  EXPECT_EQ(server.committed().size(), static_cast<size_t>(taken));
  EXPECT_TRUE((*reporter)->CanAccept());
  EXPECT_TRUE(Report(**reporter, Record("again")).ok());
}

TEST_F(SpendReporterTest, TwoProxiesCannotShareADataDirectory) {
  ScriptedSpend server(Always(Act::kAck));
  const auto first = Start(server.address());
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = Start(server.address());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace signalbox
