#include "dataplane/spend/spool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

namespace signalbox {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::SpendRecord Record(const std::string& id, size_t padding = 0) {
  v1::SpendRecord record;
  record.set_request_id(id);
  record.set_metadata_json(std::string(padding, 'x'));
  return record;
}

SpendFrames Frames(const std::vector<std::string>& ids, size_t padding = 0) {
  SpendFrames frames;
  for (const std::string& id : ids) EXPECT_TRUE(frames.Add(Record(id, padding)).ok());
  return frames;
}

std::vector<size_t> Places(const std::vector<Spool::Refused>& refused) {
  std::vector<size_t> places;
  for (const Spool::Refused& record : refused) places.push_back(record.frame);
  return places;
}

// A directory of the test's own, gone with it.
class TempDirectory {
 public:
  TempDirectory() {
    std::string path = (fs::temp_directory_path() / "signalbox_spool_XXXXXX").string();
    path_ = ::mkdtemp(path.data());
  }
  ~TempDirectory() { fs::remove_all(path_); }
  std::string spool() const { return path_ + "/spool"; }

 private:
  std::string path_;
};

// Passes on to the real files, but lets the n-th operation fail; a failing append leaves half of the record behind.
class FaultyFiles : public SpoolFiles {
 public:
  explicit FaultyFiles(int fail_at = 0, bool stay_broken = false) : fail_at_(fail_at), stay_broken_(stay_broken) {}
  void Heal() { fail_at_ = 0, stay_broken_ = false; }
  void Break() { fail_at_ = operations_ + 1, stay_broken_ = true; }
  bool failed() const { return failed_; }
  int appends() const { return appends_; }

  absl::Status MakeDirectory(const std::string& path) override { return Fail() ? Fault() : real_.MakeDirectory(path); }
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override {
    if (Fail()) return Fault();
    return real_.List(path);
  }
  absl::StatusOr<std::unique_ptr<SpoolFile>> Lock(const std::string& path) override {
    if (Fail()) return Fault();
    return real_.Lock(path);
  }
  absl::StatusOr<std::unique_ptr<SpoolFile>> Create(const std::string& path) override {
    if (Fail()) return Fault();
    auto file = real_.Create(path);
    if (!file.ok()) return file.status();
    return std::make_unique<File>(*this, *std::move(file));
  }
  absl::StatusOr<std::string> Read(const std::string& path, int64_t offset, int64_t bytes_max) override {
    if (Fail()) return Fault();
    return real_.Read(path, offset, bytes_max);
  }
  absl::Status Overwrite(const std::string& path, std::string_view data) override {
    if (!Fail()) return real_.Overwrite(path, data);
    EXPECT_TRUE(real_.Overwrite(path, data.substr(0, data.size() / 2)).ok());
    return Fault();
  }
  absl::Status Remove(const std::string& path) override { return Fail() ? Fault() : real_.Remove(path); }

 private:
  class File : public SpoolFile {
   public:
    File(FaultyFiles& owner, std::unique_ptr<SpoolFile> real) : owner_(owner), real_(std::move(real)) {}
    absl::Status Append(std::string_view data) override {
      ++owner_.appends_;
      if (!owner_.Fail()) return real_->Append(data);
      EXPECT_TRUE(real_->Append(data.substr(0, data.size() / 2)).ok());
      return owner_.Fault();
    }
    absl::Status Truncate(int64_t size) override { return owner_.Fail() ? owner_.Fault() : real_->Truncate(size); }

   private:
    FaultyFiles& owner_;
    std::unique_ptr<SpoolFile> real_;
  };
  bool Fail() {
    ++operations_;
    const bool fail = fail_at_ > 0 && (operations_ == fail_at_ || (stay_broken_ && operations_ > fail_at_));
    failed_ |= fail;
    return fail;
  }
  absl::Status Fault() const { return absl::UnavailableError("cannot write x: No space left on device"); }

  SpoolFiles& real_ = PosixSpoolFiles();
  int fail_at_;
  bool stay_broken_;
  int operations_ = 0;
  int appends_ = 0;
  bool failed_ = false;
};

struct Opened {
  std::unique_ptr<Spool> spool;
  std::vector<std::string> pending;
};

absl::StatusOr<Opened> TryOpen(SpoolOptions options) {
  Opened opened;
  auto spool = Spool::Open(std::move(options),
                           [&](const v1::SpendRecord& record) { opened.pending.push_back(record.request_id()); });
  if (!spool.ok()) return spool.status();
  opened.spool = *std::move(spool);
  return opened;
}

Opened MustOpen(SpoolOptions options) {
  absl::StatusOr<Opened> opened = TryOpen(std::move(options));
  EXPECT_TRUE(opened.ok()) << opened.status();
  return *std::move(opened);
}

std::vector<std::string> Ids(const Spool::Batch& batch) {
  std::vector<std::string> ids;
  for (size_t i = 0; i < batch.size(); ++i) {
    v1::SpendRecord record;
    EXPECT_TRUE(record.ParseFromString(std::string(batch.record(i))));
    ids.push_back(record.request_id());
  }
  return ids;
}

std::vector<std::string> ReadAll(Spool& spool, size_t records_max = 100) {
  std::vector<std::string> all;
  Spool::Position at = spool.acked();
  while (true) {
    const auto batch = spool.Read(at, records_max, 1 << 20);
    EXPECT_TRUE(batch.ok()) << batch.status();
    if (!batch.ok() || batch->size() == 0) return all;
    for (const std::string& id : Ids(*batch)) all.push_back(id);
    at = batch->end;
  }
}

std::vector<std::string> SegmentFiles(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() == ".spool") names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Spool, GivesBackWhatWasAppendedInOrder) {
  TempDirectory dir;
  Opened opened = MustOpen({.directory = dir.spool()});
  Spool& spool = *opened.spool;
  EXPECT_TRUE(opened.pending.empty());
  EXPECT_TRUE(spool.AllAcked());
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(spool.Append(Record(id)).ok());
  EXPECT_FALSE(spool.AllAcked());
  const auto first = spool.Read(spool.acked(), 2, 1 << 20);
  EXPECT_THAT(Ids(*first), ElementsAre("a", "b"));
  const auto second = spool.Read(first->end, 2, 1 << 20);
  EXPECT_THAT(Ids(*second), ElementsAre("c"));
  EXPECT_EQ(spool.Read(second->end, 2, 1 << 20)->size(), 0u);
  ASSERT_TRUE(spool.Ack(first->end).ok());
  EXPECT_THAT(ReadAll(spool), ElementsAre("c"));
  ASSERT_TRUE(spool.Ack(second->end).ok());
  EXPECT_TRUE(spool.AllAcked());
}

TEST(Spool, ABatchIsBoundedInBytesButTakesAtLeastOneRecord) {
  TempDirectory dir;
  Opened opened = MustOpen({.directory = dir.spool()});
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(opened.spool->Append(Record(id, 1000)).ok());
  EXPECT_THAT(Ids(*opened.spool->Read({}, 10, 2500)), ElementsAre("a", "b"));
  EXPECT_THAT(Ids(*opened.spool->Read({}, 10, 1)), ElementsAre("a"));
}

TEST(Spool, WhatComesTogetherIsOneWriteAndReadAsRecords) {
  TempDirectory dir;
  FaultyFiles files;
  const SpoolOptions options{.directory = dir.spool(), .files = &files};
  Opened opened = MustOpen(options);
  EXPECT_THAT(opened.spool->Append(Frames({"a", "b", "c"})), IsEmpty());
  EXPECT_EQ(files.appends(), 1);
  EXPECT_THAT(opened.spool->Append(SpendFrames()), IsEmpty());
  EXPECT_EQ(files.appends(), 1);
  EXPECT_THAT(ReadAll(*opened.spool, 2), ElementsAre("a", "b", "c"));
  opened.spool.reset();
  EXPECT_THAT(MustOpen(options).pending, ElementsAre("a", "b", "c"));
}

TEST(Spool, AsManyOfABatchAreTakenAsThereIsRoomFor) {
  TempDirectory dir;
  Opened opened = MustOpen({.directory = dir.spool(), .bytes_max = 1'000});
  const std::vector<Spool::Refused> refused = opened.spool->Append(Frames({"a", "b", "c", "d", "e"}, 200));
  EXPECT_THAT(Places(refused), ElementsAre(4));
  EXPECT_EQ(refused[0].why.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(opened.spool->CanAccept());
  EXPECT_THAT(ReadAll(*opened.spool), ElementsAre("a", "b", "c", "d"));
}

TEST(SpendFrames, AreUsedAgainOnceCleared) {
  SpendFrames frames = Frames({"a", "b"});
  EXPECT_EQ(frames.Add(Record("big", kSpoolRecordBytesMax)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(frames.size(), 2u);
  frames.Clear();
  EXPECT_TRUE(frames.empty());
  ASSERT_TRUE(frames.Add(Record("c")).ok());
  EXPECT_EQ(frames.frame(0), frames.bytes());
  v1::SpendRecord record;
  const std::optional<std::string_view> payload = Unframe(frames.frame(0));
  ASSERT_TRUE(payload.has_value() && record.ParseFromArray(payload->data(), payload->size()));
  EXPECT_EQ(record.request_id(), "c");
}

TEST(Spool, UnackedRecordsOutliveTheProcess) {
  TempDirectory dir;
  {
    Opened opened = MustOpen({.directory = dir.spool()});
    for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(opened.spool->Append(Record(id)).ok());
    ASSERT_TRUE(opened.spool->Ack(opened.spool->Read({}, 1, 1 << 20)->end).ok());
  }
  {
    Opened opened = MustOpen({.directory = dir.spool()});
    EXPECT_THAT(opened.pending, ElementsAre("b", "c"));
    ASSERT_TRUE(opened.spool->Append(Record("d")).ok());
    EXPECT_THAT(ReadAll(*opened.spool), ElementsAre("b", "c", "d"));
  }
  Opened opened = MustOpen({.directory = dir.spool()});
  EXPECT_THAT(opened.pending, ElementsAre("b", "c", "d"));
  ASSERT_TRUE(opened.spool->Ack(opened.spool->end()).ok());
  EXPECT_TRUE(SegmentFiles(dir.spool()).empty());
}

TEST(Spool, NothingIsLeftBehindWhenAllIsAcked) {
  TempDirectory dir;
  {
    Opened opened = MustOpen({.directory = dir.spool()});
    ASSERT_TRUE(opened.spool->Append(Record("a")).ok());
    ASSERT_TRUE(opened.spool->Ack(opened.spool->end()).ok());
  }
  EXPECT_TRUE(SegmentFiles(dir.spool()).empty());
  Opened opened = MustOpen({.directory = dir.spool()});
  EXPECT_TRUE(opened.pending.empty());
  ASSERT_TRUE(opened.spool->Append(Record("b")).ok());
  EXPECT_THAT(ReadAll(*opened.spool), ElementsAre("b"));
}

TEST(Spool, SegmentsAreRemovedWhenAllOfThemIsAcked) {
  TempDirectory dir;
  Opened opened = MustOpen({.directory = dir.spool(), .segment_bytes_max = 300});
  Spool& spool = *opened.spool;
  std::vector<std::string> ids;
  for (int i = 0; i < 10; ++i) {
    ids.push_back("r" + std::to_string(i));
    ASSERT_TRUE(spool.Append(Record(ids.back(), 100)).ok());
  }
  EXPECT_EQ(SegmentFiles(dir.spool()).size(), 5u);
  EXPECT_EQ(ReadAll(spool, 3), ids);
  const auto batch = spool.Read({}, 2, 1 << 20);
  const int64_t before = spool.bytes();
  ASSERT_TRUE(spool.Ack(batch->end).ok());
  EXPECT_EQ(SegmentFiles(dir.spool()).size(), 4u);
  EXPECT_LT(spool.bytes(), before);
  ASSERT_TRUE(spool.Ack(spool.end()).ok());
  EXPECT_EQ(SegmentFiles(dir.spool()).size(), 1u);  // the active one
}

TEST(Spool, AFullSpoolRefusesAndAcceptsAgainOnceEmptier) {
  TempDirectory dir;
  Opened opened = MustOpen({.directory = dir.spool(), .bytes_max = 10'000});
  Spool& spool = *opened.spool;
  int accepted = 0;
  absl::Status status;
  bool refused_early = false;
  while ((status = spool.Append(Record("r" + std::to_string(accepted), 200))).ok()) {
    ++accepted;
    refused_early |= !spool.CanAccept();
    ASSERT_LE(spool.bytes(), 10'000);
  }
  EXPECT_TRUE(refused_early) << "requests are refused while those under way still find room";
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is full"));
  EXPECT_FALSE(spool.CanAccept());
  EXPECT_EQ(ReadAll(spool).size(), static_cast<size_t>(accepted));
  Spool::Position at = spool.acked();
  while (!spool.CanAccept()) {
    const auto batch = spool.Read(at, 1, 1 << 20);
    ASSERT_EQ(batch->size(), 1u);
    at = batch->end;
    ASSERT_TRUE(spool.Ack(at).ok());
  }
  EXPECT_LE(spool.bytes(), 9'000);
  EXPECT_TRUE(spool.Append(Record("again", 200)).ok());
}

TEST(Spool, ARecordPastTheLimitIsRefused) {
  TempDirectory dir;
  Opened opened = MustOpen({.directory = dir.spool()});
  const absl::Status status = opened.spool->Append(Record("big", kSpoolRecordBytesMax));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("request big"));
}

TEST(Spool, ADirectoryHasOneUser) {
  TempDirectory dir;
  Opened opened = MustOpen({.directory = dir.spool()});
  const absl::Status status = TryOpen({.directory = dir.spool()}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("give every proxy a data directory of its own"));
}

TEST(Spool, EveryTornTailLosesOnlyTheTornRecord) {
  TempDirectory dir;
  {
    Opened opened = MustOpen({.directory = dir.spool()});
    for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(opened.spool->Append(Record(id, 20)).ok());
  }
  const std::string path = dir.spool() + "/" + SegmentFiles(dir.spool())[0];
  const auto size = fs::file_size(path);
  for (auto left = size - 1; left > size / 3 * 2; --left) {
    fs::resize_file(path, left);
    Opened opened = MustOpen({.directory = dir.spool()});
    EXPECT_THAT(opened.pending, ElementsAre("a", "b"));
    EXPECT_EQ(opened.spool->losses().segments, 1);
    EXPECT_EQ(opened.spool->losses().bytes, static_cast<int64_t>(left - size / 3 * 2));
    EXPECT_THAT(ReadAll(*opened.spool), ElementsAre("a", "b"));
  }
  // As a power cut may leave it: the right length, zeros in it.
  fs::resize_file(path, size / 3 * 2);
  fs::resize_file(path, size);
  EXPECT_THAT(MustOpen({.directory = dir.spool()}).pending, ElementsAre("a", "b"));
}

TEST(Spool, ADamagedSegmentIsCountedAndTheNextOnesAreRead) {
  TempDirectory dir;
  {
    Opened opened = MustOpen({.directory = dir.spool(), .segment_bytes_max = 300});
    for (int i = 0; i < 6; ++i) ASSERT_TRUE(opened.spool->Append(Record("r" + std::to_string(i), 100)).ok());
  }
  const std::vector<std::string> names = SegmentFiles(dir.spool());
  ASSERT_EQ(names.size(), 3u);
  {
    std::fstream file(dir.spool() + "/" + names[1], std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(50);
    file.put('!');
  }
  Opened opened = MustOpen({.directory = dir.spool()});
  EXPECT_THAT(opened.pending, ElementsAre("r0", "r1", "r4", "r5"));
  EXPECT_EQ(opened.spool->losses().segments, 1);
  EXPECT_GT(opened.spool->losses().bytes, 200);
  EXPECT_THAT(ReadAll(*opened.spool, 1), ElementsAre("r0", "r1", "r4", "r5"));
  ASSERT_TRUE(opened.spool->Ack(opened.spool->end()).ok());
  EXPECT_TRUE(SegmentFiles(dir.spool()).empty());
}

TEST(Spool, DamageWhileRunningIsSkippedToo) {
  TempDirectory dir;
  Opened opened = MustOpen({.directory = dir.spool()});
  for (const char* id : {"a", "b"}) ASSERT_TRUE(opened.spool->Append(Record(id, 20)).ok());
  {
    std::fstream file(dir.spool() + "/" + SegmentFiles(dir.spool())[0],
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(12);
    file.put('!');
  }
  EXPECT_TRUE(ReadAll(*opened.spool).empty());
  EXPECT_EQ(opened.spool->losses().segments, 1);
  ASSERT_TRUE(opened.spool->Append(Record("c")).ok());
  EXPECT_THAT(ReadAll(*opened.spool), ElementsAre("c"));
}

TEST(Spool, ForeignFilesAndABadAckFileDoNotMatter) {
  TempDirectory dir;
  {
    Opened opened = MustOpen({.directory = dir.spool()});
    for (const char* id : {"a", "b"}) ASSERT_TRUE(opened.spool->Append(Record(id)).ok());
    ASSERT_TRUE(opened.spool->Ack(opened.spool->Read({}, 1, 1 << 20)->end).ok());
  }
  std::ofstream(dir.spool() + "/notes.txt") << "hello";
  std::ofstream(dir.spool() + "/x.spool") << "hello";
  std::ofstream(dir.spool() + "/acked") << "nonsense";
  EXPECT_THAT(MustOpen({.directory = dir.spool()}).pending, ElementsAre("a", "b"));
}

// Fails the n-th operation for n = 1, 2, 3 ... until a run sees no failure.
void FailEachOperation(bool stay_broken, int64_t kept_bytes_max) {
  for (int n = 1;; ++n) {
    SCOPED_TRACE(n);
    TempDirectory dir;
    FaultyFiles files(n, stay_broken);
    const SpoolOptions options{
        .directory = dir.spool(), .segment_bytes_max = 300, .kept_bytes_max = kept_bytes_max, .files = &files};
    std::vector<std::string> appended;
    std::vector<std::string> acked;
    for (int run = 0; run < 2; ++run) {
      absl::StatusOr<Opened> opened = TryOpen(options);
      if (!opened.ok()) {
        EXPECT_EQ(opened.status().code(), absl::StatusCode::kUnavailable);
        continue;
      }
      Spool& spool = *opened->spool;
      for (int i = 0; i < 6; ++i) {
        std::vector<std::string> ids = {std::to_string(run) + "/" + std::to_string(i)};
        if (i % 3 == 2) ids.push_back(ids[0] + "/with it");
        const std::vector<Spool::Refused> refused = spool.Append(Frames(ids, 100));
        const std::vector<size_t> places = Places(refused);
        for (size_t j = 0; j < ids.size(); ++j) {
          if (std::find(places.begin(), places.end(), j) == places.end()) appended.push_back(ids[j]);
        }
        for (const auto& [place, why] : refused) EXPECT_THAT(why.ToString(), HasSubstr("No space left"));
        if (i % 2 == 0) continue;
        const auto batch = spool.Read(spool.acked(), 1, 1 << 20);
        if (!batch.ok() || batch->size() == 0) continue;
        for (const std::string& sent : Ids(*batch)) acked.push_back(sent);
        spool.Ack(batch->end).IgnoreError();
      }
    }
    files.Heal();
    Opened opened = MustOpen(options);
    // Every record is either acked or still there; one that is both is sent twice, which the ledger takes.
    std::vector<std::string> known = acked;
    known.insert(known.end(), opened.pending.begin(), opened.pending.end());
    for (const std::string& id : appended) EXPECT_THAT(known, ::testing::Contains(id));
    EXPECT_EQ(ReadAll(*opened.spool), opened.pending);
    ASSERT_TRUE(opened.spool->Append(Record("after", 100)).ok());
    ASSERT_TRUE(opened.spool->Ack(opened.spool->end()).ok());
    EXPECT_LE(SegmentFiles(dir.spool()).size(), 1u);
    if (!files.failed()) return;
    ASSERT_LT(n, 1000);
  }
}

TEST(SpoolFaults, AnyOneFailingOperationLosesNothingThatWasTaken) { FailEachOperation(false, 0); }
TEST(SpoolFaults, AFileSystemThatStaysBrokenLosesNothingThatWasTaken) { FailEachOperation(true, 0); }
TEST(SpoolFaults, WhatIsKeptInMemoryMeanwhileIsNotLostEither) { FailEachOperation(false, 1 << 20); }

TEST(SpoolFaults, RecordsTheDiskDoesNotTakeAreKeptInOrderAndWrittenWhenItDoes) {
  TempDirectory dir;
  FaultyFiles files;
  const SpoolOptions options{.directory = dir.spool(), .kept_bytes_max = 500, .files = &files};
  Opened opened = MustOpen(options);
  Spool& spool = *opened.spool;
  ASSERT_TRUE(spool.Append(Record("before")).ok());
  const Spool::Position end = spool.end();
  files.Break();
  ASSERT_TRUE(spool.Append(Record("kept-1", 100)).ok());
  ASSERT_TRUE(spool.Append(Record("kept-2", 100)).ok());
  EXPECT_FALSE(spool.CanAccept()) << "a full disk stops requests";
  EXPECT_EQ(spool.kept(), 2u);
  // Memory has its bound, past which the caller is told.
  EXPECT_THAT(spool.Append(Record("lost", 400)).ToString(), HasSubstr("No space left"));
  EXPECT_TRUE(spool.end() == end) << "what is not on disk is not sent";
  EXPECT_THAT(spool.Ack(end).ToString(), HasSubstr("No space left"));
  EXPECT_FALSE(spool.AllAcked());
  EXPECT_EQ(spool.WriteKept(), 2u);
  files.Heal();
  EXPECT_TRUE(spool.Ack(spool.acked()).ok()) << "now the file says so too";
  EXPECT_EQ(spool.WriteKept(), 0u);
  EXPECT_TRUE(spool.CanAccept());
  ASSERT_TRUE(spool.Append(Record("after")).ok());
  EXPECT_THAT(ReadAll(spool), ElementsAre("kept-1", "kept-2", "after"));
  opened.spool.reset();
  EXPECT_THAT(MustOpen(options).pending, ElementsAre("kept-1", "kept-2", "after"));
}

TEST(SpoolFaults, OfABatchTheDiskDoesNotTakeAsManyAreKeptAsThereIsRoomFor) {
  TempDirectory dir;
  FaultyFiles files;
  const SpoolOptions options{.directory = dir.spool(), .kept_bytes_max = 300, .files = &files};
  Opened opened = MustOpen(options);
  files.Break();
  const std::vector<Spool::Refused> refused = opened.spool->Append(Frames({"a", "b", "c"}, 100));
  EXPECT_THAT(Places(refused), ElementsAre(2));
  EXPECT_THAT(refused[0].why.ToString(), HasSubstr("No space left"));
  EXPECT_FALSE(opened.spool->CanAccept());
  files.Heal();
  EXPECT_THAT(opened.spool->Append(Frames({"d", "e"})), IsEmpty());
  EXPECT_TRUE(opened.spool->CanAccept());
  EXPECT_THAT(ReadAll(*opened.spool), ElementsAre("a", "b", "d", "e"));
}

TEST(SpoolFaults, TheNextRecordBringsTheKeptOnesBeforeIt) {
  TempDirectory dir;
  FaultyFiles files;
  const SpoolOptions options{.directory = dir.spool(), .files = &files};
  Opened opened = MustOpen(options);
  files.Break();
  ASSERT_TRUE(opened.spool->Append(Record("kept")).ok());
  files.Heal();
  ASSERT_TRUE(opened.spool->Append(Record("next")).ok());
  EXPECT_THAT(ReadAll(*opened.spool), ElementsAre("kept", "next"));
}

TEST(SpoolFaults, ADiskThatTakesNothingIsNotTrustedWithRequestsUntilItDoes) {
  TempDirectory dir;
  FaultyFiles files;
  const SpoolOptions options{.directory = dir.spool(), .kept_bytes_max = 0, .files = &files};
  Opened opened = MustOpen(options);
  Spool& spool = *opened.spool;
  ASSERT_TRUE(spool.Append(Record("before")).ok());
  files.Break();
  EXPECT_TRUE(spool.CanAccept());
  EXPECT_THAT(spool.Append(Record("lost")).ToString(), HasSubstr("No space left"));
  EXPECT_FALSE(spool.CanAccept());
  EXPECT_FALSE(spool.CanAccept());
  files.Heal();
  EXPECT_TRUE(spool.CanAccept());
  ASSERT_TRUE(spool.Append(Record("after")).ok());
  EXPECT_THAT(ReadAll(spool), ElementsAre("before", "after"));
  opened.spool.reset();
  EXPECT_THAT(MustOpen(options).pending, ElementsAre("before", "after"));
}

TEST(SpoolThreads, WritersAndTheReaderWorkAtOnce) {
  TempDirectory dir;
  Opened opened = MustOpen({.directory = dir.spool(), .segment_bytes_max = 2'000});
  Spool& spool = *opened.spool;
  constexpr int kWriters = 4;
  constexpr int kRecords = 300;
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&spool, w] {
      for (int i = 0; i < kRecords; ++i) {
        const std::string id = std::to_string(w) + "/" + std::to_string(i);
        if (i % 3 == 0 && ++i < kRecords) {
          EXPECT_THAT(spool.Append(Frames({id, std::to_string(w) + "/" + std::to_string(i)}, 50)), IsEmpty());
        } else {
          EXPECT_TRUE(spool.Append(Record(id, 50)).ok());
        }
        EXPECT_TRUE(spool.CanAccept());
      }
    });
  }
  std::vector<int> next(kWriters, 0);
  int read = 0;
  while (read < kWriters * kRecords) {
    const auto batch = spool.Read(spool.acked(), 7, 1 << 20);
    ASSERT_TRUE(batch.ok()) << batch.status();
    for (const std::string& id : Ids(*batch)) {
      const int writer = id[0] - '0';
      EXPECT_EQ(id, std::to_string(writer) + "/" + std::to_string(next[writer]++));
      ++read;
    }
    ASSERT_TRUE(spool.Ack(batch->end).ok());
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_TRUE(spool.AllAcked());
}

}  // namespace
}  // namespace signalbox
