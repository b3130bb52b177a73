#include "dataplane/config/last_known_good.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "tests/controlplane/publish/snapshot_samples.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

// Files in memory. The n-th changing operation fails, having done half of what it should, and so do all after it: a
// disk that broke, or a machine that stopped there.
class BreakingFiles final : public FileSystem {
 public:
  int fail_at = 0;  // 0: never
  int operations = 0;
  std::map<std::string, std::string> files;

  absl::StatusOr<std::string> Read(const std::string& path) override {
    const auto file = files.find(path);
    if (file == files.end()) return absl::NotFoundError(absl::StrCat("cannot read ", path));
    return file->second;
  }
  absl::Status WriteAndSync(const std::string& path, std::string_view data) override {
    if (Fails()) {
      files[path] = std::string(data.substr(0, data.size() / 2));
      return absl::UnavailableError(absl::StrCat("cannot write ", path, ": disk full"));
    }
    files[path] = std::string(data);
    return absl::OkStatus();
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (Fails()) return absl::UnavailableError(absl::StrCat("cannot rename ", from));
    files[to] = files.at(from);
    files.erase(from);
    return absl::OkStatus();
  }
  absl::Status SyncDirectory(const std::string& path) override {
    if (Fails()) return absl::UnavailableError(absl::StrCat("cannot sync directory ", path));
    return absl::OkStatus();
  }

 private:
  bool Fails() { return ++operations >= fail_at && fail_at != 0; }
};

std::shared_ptr<const BuiltSnapshot> Build(int64_t sequence) {
  const SampleSnapshot sample = VersionOfRoute(sequence, sequence);
  SnapshotOffer offer;
  offer.id = sample.snapshot.id;
  offer.schema = sample.snapshot.schema;
  offer.manifest = sample.snapshot.manifest;
  offer.blobs.insert(sample.blobs.begin(), sample.blobs.end());
  auto built = BuildSnapshot(offer, nullptr, kSchema);
  EXPECT_TRUE(built.ok()) << built.status();
  return *built;
}

class LastKnownGoodTest : public ::testing::Test {
 protected:
  LastKnownGoodTest() {
    std::string pattern = ::testing::TempDir() + "/last_known_good_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~LastKnownGoodTest() override { std::filesystem::remove_all(directory_); }

  LastKnownGood Open(FileSystem& files, const std::string& key = "proxy.key") {
    auto sealer = Sealer::FromKeyFile(absl::StrCat(directory_, "/", key));
    EXPECT_TRUE(sealer.ok()) << sealer.status();
    return LastKnownGood(directory_, *sealer, files);
  }
  static int64_t SequenceOf(const LastKnownGood::Loaded& loaded) {
    return loaded.snapshot == nullptr ? 0 : loaded.snapshot->active->id.sequence();
  }
  std::string Slot(int slot) const { return absl::StrCat(directory_, "/snapshot.", slot); }

  std::string directory_;
  BreakingFiles files_;
};

TEST_F(LastKnownGoodTest, WhatWasSavedLastIsLoadedWithWhenAndWithItsSecrets) {
  LastKnownGood saver = Open(PosixFileSystem());
  EXPECT_EQ(SequenceOf(saver.Load(kSchema)), 0);
  for (int64_t sequence : {4, 5, 6}) ASSERT_TRUE(saver.Save(*Build(sequence), 1'000 + sequence).ok());
  const auto loaded = Open(PosixFileSystem()).Load(kSchema);
  EXPECT_EQ(SequenceOf(loaded), 6);
  EXPECT_EQ(loaded.saved_us, 1'006);
  EXPECT_TRUE(loaded.failures.empty());
  EXPECT_EQ(loaded.snapshot->active->gateways.at("default").providers.at("openai")->secret(), "sk-very-secret");
}

TEST_F(LastKnownGoodTest, ASavedLowerSequenceOfAnotherLineageIsTheNewest) {
  LastKnownGood saver = Open(files_);
  ASSERT_TRUE(saver.Save(*Build(9), 1).ok());
  ASSERT_TRUE(saver.Save(*Build(2), 2).ok());
  EXPECT_EQ(SequenceOf(Open(files_).Load(kSchema)), 2);
}

TEST_F(LastKnownGoodTest, ACorruptOrTruncatedNewestFileIsReportedAndTheOneBeforeServes) {
  LastKnownGood saver = Open(files_);
  ASSERT_TRUE(saver.Save(*Build(1), 1).ok());
  ASSERT_TRUE(saver.Save(*Build(2), 2).ok());
  const std::string good = files_.files.at(Slot(1));
  std::string flipped = good;
  flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 1);
  for (const std::string& bad : {flipped, good.substr(0, good.size() / 2), good.substr(0, 3), std::string()}) {
    files_.files[Slot(1)] = bad;
    const auto loaded = Open(files_).Load(kSchema);
    EXPECT_EQ(SequenceOf(loaded), 1);
    ASSERT_EQ(loaded.failures.size(), 1u);
    EXPECT_THAT(std::string(loaded.failures[0].message()), HasSubstr("snapshot.1: sealed data"));
  }
  // The next save replaces the bad one, not the good one.
  LastKnownGood next = Open(files_);
  next.Load(kSchema);
  files_.fail_at = files_.operations + 3;  // its last operation
  EXPECT_FALSE(next.Save(*Build(3), 3).ok());
  EXPECT_EQ(SequenceOf(Open(files_).Load(kSchema)), 3);
}

TEST_F(LastKnownGoodTest, WithBothFilesBadNothingIsLoadedAndSavingGoesOn) {
  files_.files[Slot(0)] = "garbage";
  files_.files[Slot(1)] = std::string(1'000, 'x');
  LastKnownGood kept = Open(files_);
  const auto loaded = kept.Load(kSchema);
  EXPECT_EQ(loaded.snapshot, nullptr);
  EXPECT_EQ(loaded.failures.size(), 2u);
  ASSERT_TRUE(kept.Save(*Build(1), 1).ok());
  EXPECT_EQ(SequenceOf(Open(files_).Load(kSchema)), 1);
}

TEST_F(LastKnownGoodTest, AFileOfAnotherKeyOrANewerSchemaIsNotUsed) {
  ASSERT_TRUE(Open(files_).Save(*Build(1), 1).ok());
  EXPECT_THAT(std::string(Open(files_, "other.key").Load(kSchema).failures.at(0).message()),
              HasSubstr("sealed with another key file"));
  EXPECT_THAT(std::string(Open(files_).Load(0).failures.at(0).message()), HasSubstr("needs schema 1"));
}

TEST_F(LastKnownGoodTest, WhicheverOperationFailsTheOldOrTheNewSnapshotIsLoadedAndLaterSavesRecover) {
  bool failed = true;
  for (int n = 1; failed; ++n) {
    ASSERT_LT(n, 20);
    BreakingFiles files;
    LastKnownGood saver = Open(files);
    ASSERT_TRUE(saver.Save(*Build(1), 1).ok());
    ASSERT_TRUE(saver.Save(*Build(2), 2).ok());
    files.fail_at = files.operations + n;
    failed = !saver.Save(*Build(3), 3).ok();
    files.fail_at = 0;
    const int64_t after_crash = SequenceOf(Open(files).Load(kSchema));
    EXPECT_TRUE(after_crash == 2 || after_crash == 3) << "operation " << n << ": " << after_crash;
    ASSERT_TRUE(saver.Save(*Build(4), 4).ok());
    EXPECT_EQ(SequenceOf(Open(files).Load(kSchema)), 4) << "operation " << n;
  }
}

}  // namespace
}  // namespace signalbox
