#include "dataplane/config/last_known_good.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "tests/controlplane/publish/snapshot_samples.h"
#include "tests/dataplane/config/what_serves.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

// Files in memory. The n-th changing operation fails, having done half of what it should, and so do all after it: a
// disk that broke, or a machine that stopped there.
class BreakingFiles final : public FileSystem {
 public:
  int fail_at = 0;         // 0: never
  bool all_of_it = false;  // a failing append leaves all it should write
  int operations = 0;
  size_t appended = 0;  // bytes
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
  absl::Status AppendAndSync(const std::string& path, size_t size, std::string_view data) override {
    const auto file = files.find(path);
    if (file == files.end()) return absl::NotFoundError(absl::StrCat("cannot write ", path));
    if (file->second.size() != size) return absl::FailedPreconditionError("another size");
    if (Fails()) {
      // A disk may have done all of it and still not say so.
      file->second += data.substr(0, all_of_it ? data.size() : data.size() / 2);
      return absl::UnavailableError(absl::StrCat("cannot write ", path, ": disk full"));
    }
    file->second += data;
    appended += data.size();
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

std::shared_ptr<const BuiltSnapshot> Build(const SampleSnapshot& sample) {
  SnapshotOffer offer;
  offer.id = sample.snapshot.id;
  offer.schema = sample.snapshot.schema;
  offer.manifest = sample.snapshot.manifest;
  offer.blobs.insert(sample.blobs.begin(), sample.blobs.end());
  auto built = BuildSnapshot(offer, nullptr, kSchema);
  EXPECT_TRUE(built.ok()) << built.status();
  return *built;
}

std::shared_ptr<const BuiltSnapshot> Build(int64_t sequence) { return Build(VersionOfRoute(sequence, sequence)); }

// So large that a changed route is a small part of it.
std::shared_ptr<const BuiltSnapshot> BuildMany(int64_t sequence) {
  std::vector<v1::Resource> resources = {SampleProvider(), SampleKey("k1"), SampleRoute("my-saas", sequence)};
  for (int i = 0; i < 400; ++i) resources.push_back(SampleRoute(absl::StrCat("route-", i), 1));
  return Build(MakeSnapshot(sequence, resources));
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
  for (int64_t sequence : {4, 5, 6}) ASSERT_TRUE(saver.Save(Build(sequence), 1'000 + sequence).ok());
  const auto loaded = Open(PosixFileSystem()).Load(kSchema);
  EXPECT_EQ(SequenceOf(loaded), 6);
  EXPECT_EQ(loaded.saved_us, 1'006);
  EXPECT_TRUE(loaded.failures.empty());
  EXPECT_EQ(loaded.snapshot->active->gateways.at("default").providers.at("openai")->secret(), "sk-very-secret");
}

TEST_F(LastKnownGoodTest, ASavedLowerSequenceOfAnotherLineageIsTheNewest) {
  LastKnownGood saver = Open(files_);
  ASSERT_TRUE(saver.Save(Build(9), 1).ok());
  ASSERT_TRUE(saver.Save(Build(2), 2).ok());
  EXPECT_EQ(SequenceOf(Open(files_).Load(kSchema)), 2);
}

TEST_F(LastKnownGoodTest, AChangeCostsWhatChangedAndIsWhatIsLoaded) {
  LastKnownGood saver = Open(files_);
  ASSERT_TRUE(saver.Save(BuildMany(1), 1).ok());
  const size_t whole = files_.files.at(Slot(0)).size();
  for (int64_t sequence : {2, 3}) ASSERT_TRUE(saver.Save(BuildMany(sequence), sequence).ok());
  EXPECT_EQ(files_.files.size(), 1u);
  EXPECT_EQ(files_.files.at(Slot(0)).size(), whole + files_.appended);
  EXPECT_LT(files_.appended, 2 * 1'500u);
  LastKnownGood next = Open(files_);
  const auto loaded = next.Load(kSchema);
  ASSERT_EQ(SequenceOf(loaded), 3);
  EXPECT_EQ(loaded.saved_us, 3);
  EXPECT_EQ(WhatServes(*loaded.snapshot->active), WhatServes(*BuildMany(3)->active));
  // A restart goes on where the file ends.
  files_.appended = 0;
  ASSERT_TRUE(next.Save(BuildMany(4), 4).ok());
  EXPECT_GT(files_.appended, 0u);
  EXPECT_EQ(files_.files.size(), 1u);
  EXPECT_EQ(SequenceOf(Open(files_).Load(kSchema)), 4);
}

TEST_F(LastKnownGoodTest, WhatIsRemovedIsGoneAfterARestartToo) {
  LastKnownGood saver = Open(files_);
  const SampleSnapshot more = MakeSnapshot(1, {SampleProvider(), SampleKey("k1"), SampleKey("k2")});
  const SampleSnapshot less = MakeSnapshot(2, {SampleProvider(), SampleKey("k1")});
  ASSERT_TRUE(saver.Save(Build(more), 1).ok());
  ASSERT_TRUE(saver.Save(Build(less), 2).ok());
  EXPECT_EQ(files_.files.size(), 1u);
  const auto loaded = Open(files_).Load(kSchema);
  ASSERT_EQ(SequenceOf(loaded), 2);
  EXPECT_EQ(loaded.snapshot->active->keys.size(), 1u);
}

TEST_F(LastKnownGoodTest, AFileThatHasGrownLongIsFollowedByAnotherInTheOtherSlot) {
  LastKnownGood saver = Open(files_);
  const auto last = static_cast<int64_t>(2 * kKeptRecordsMax + 10);
  size_t largest = 0;
  for (int64_t sequence = 1; sequence <= last; ++sequence) {
    ASSERT_TRUE(saver.Save(Build(sequence), sequence).ok());
    for (const auto& [path, text] : files_.files) largest = std::max(largest, text.size());
    if (sequence % 50 != 0) continue;
    ASSERT_EQ(SequenceOf(Open(files_).Load(kSchema)), sequence);
  }
  EXPECT_EQ(files_.files.size(), 2u);
  EXPECT_LT(largest, 200u << 10);
  const auto loaded = Open(files_).Load(kSchema);
  EXPECT_EQ(SequenceOf(loaded), last);
  EXPECT_TRUE(loaded.failures.empty());
}

TEST_F(LastKnownGoodTest, ALargeChangeIsKeptWholeInTheOtherSlot) {
  LastKnownGood saver = Open(files_);
  ASSERT_TRUE(saver.Save(Build(1), 1).ok());
  const SampleSnapshot large =
      MakeSnapshot(2, {SampleProvider(), SampleRoute("large", 1, std::string(200 << 10, 'x'))});
  ASSERT_TRUE(saver.Save(Build(large), 2).ok());
  EXPECT_EQ(files_.appended, 0u);
  EXPECT_EQ(files_.files.size(), 2u);
  EXPECT_EQ(SequenceOf(Open(files_).Load(kSchema)), 2);
}

TEST_F(LastKnownGoodTest, WhereverAFileIsCutOrAlteredTheNewestWholeSnapshotBeforeThatIsLoaded) {
  LastKnownGood saver = Open(files_);
  std::vector<size_t> ends;  // of the records
  for (int64_t sequence : {1, 2, 3}) {
    ASSERT_TRUE(saver.Save(Build(sequence), sequence).ok());
    ends.push_back(files_.files.at(Slot(0)).size());
  }
  const std::string good = files_.files.at(Slot(0));
  for (size_t at = 0; at < good.size(); ++at) {
    std::string flipped = good;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    const auto whole_before = static_cast<int64_t>(std::upper_bound(ends.begin(), ends.end(), at) - ends.begin());
    for (const std::string& bad : {flipped, good.substr(0, at)}) {
      files_.files[Slot(0)] = bad;
      const auto loaded = Open(files_).Load(kSchema);
      ASSERT_EQ(SequenceOf(loaded), whole_before) << at;
      // A file that ends with a record cannot be told from one that never had another.
      const bool cut_between = bad.size() < good.size() && std::count(ends.begin(), ends.end(), at) > 0;
      ASSERT_EQ(loaded.failures.size(), cut_between ? 0u : 1u) << at;
    }
  }
  files_.files[Slot(0)] = good.substr(0, good.size() - 1);
  EXPECT_EQ(std::string(Open(files_).Load(kSchema).failures.at(0).message()),
            absl::StrCat("last known good ", Slot(0), ": after ", ends[1], " bytes: a record is cut off"));
}

TEST_F(LastKnownGoodTest, RecordsThatWereMovedAboutAreNotBelieved) {
  LastKnownGood saver = Open(files_);
  std::vector<std::string> records;
  size_t end = 8;
  for (int64_t sequence : {1, 2, 3, 4}) {
    ASSERT_TRUE(saver.Save(Build(sequence), sequence).ok());
    records.push_back(files_.files.at(Slot(0)).substr(end));
    end = files_.files.at(Slot(0)).size();
  }
  const std::string magic = files_.files.at(Slot(0)).substr(0, 8);
  const auto loads = [&](const std::string& text) {
    files_.files[Slot(0)] = text;
    const auto loaded = Open(files_).Load(kSchema);
    EXPECT_EQ(loaded.failures.size(), 1u);
    return SequenceOf(loaded);
  };
  EXPECT_EQ(loads(absl::StrCat(magic, records[0], records[2])), 1);
  EXPECT_EQ(loads(absl::StrCat(magic, records[0], records[1], records[1])), 2);
  EXPECT_EQ(loads(absl::StrCat(magic, records[0], records[1], records[0])), 2);
  EXPECT_EQ(loads(absl::StrCat(magic, records[1], records[2])), 0);
  // Of another file, and of the right number.
  BreakingFiles others;
  LastKnownGood other = Open(others);
  ASSERT_TRUE(other.Save(Build(1), 1).ok());
  const size_t first = others.files.at(Slot(0)).size();
  ASSERT_TRUE(other.Save(Build(7), 2).ok());
  EXPECT_EQ(loads(absl::StrCat(magic, records[0], others.files.at(Slot(0)).substr(first))), 1);
}

TEST_F(LastKnownGoodTest, ADamagedFileIsNotAddedToAndTheOneBeforeItServesWhenNothingOfItIsLeft) {
  LastKnownGood saver = Open(files_);
  for (int64_t sequence : {1, 2}) ASSERT_TRUE(saver.Save(Build(sequence), sequence).ok());
  files_.files.at(Slot(0)).pop_back();
  LastKnownGood next = Open(files_);
  ASSERT_EQ(SequenceOf(next.Load(kSchema)), 1);
  ASSERT_TRUE(next.Save(Build(3), 3).ok());
  EXPECT_EQ(SequenceOf(Open(files_).Load(kSchema)), 3);
  files_.files.at(Slot(1)) = "SBKEPT2\ngarbage";
  const auto loaded = Open(files_).Load(kSchema);
  EXPECT_EQ(SequenceOf(loaded), 1);
  EXPECT_EQ(loaded.failures.size(), 2u);
}

TEST_F(LastKnownGoodTest, AFileThatSomebodyElseChangedIsFollowedByAWholeOne) {
  LastKnownGood saver = Open(files_);
  ASSERT_TRUE(saver.Save(Build(1), 1).ok());
  files_.files.erase(Slot(0));
  ASSERT_TRUE(saver.Save(Build(2), 2).ok());
  EXPECT_EQ(SequenceOf(Open(files_).Load(kSchema)), 2);
  files_.files.at(Slot(1)) += "more";
  ASSERT_TRUE(saver.Save(Build(3), 3).ok());
  EXPECT_EQ(SequenceOf(Open(files_).Load(kSchema)), 3);
}

TEST_F(LastKnownGoodTest, AFileOfBeforeTheyCouldGrowIsLoadedAndFollowedByOneThatCan) {
  v1::StoredSnapshot old;
  old.set_generation(5);
  old.set_saved_us(77);
  const SampleSnapshot sample = VersionOfRoute(9, 9);
  *old.mutable_offer()->mutable_id() = sample.snapshot.id;
  old.mutable_offer()->set_schema(sample.snapshot.schema);
  old.mutable_offer()->mutable_manifest()->Assign(sample.snapshot.manifest.begin(), sample.snapshot.manifest.end());
  for (const auto& [sha256, data] : sample.blobs) {
    v1::BlobChunk* blob = old.mutable_offer()->add_blobs();
    blob->set_sha256(sha256);
    blob->set_data(data);
    blob->set_size(data.size());
  }
  old.mutable_offer()->set_last(true);
  auto sealer = Sealer::FromKeyFile(absl::StrCat(directory_, "/proxy.key"));
  ASSERT_TRUE(sealer.ok());
  files_.files[Slot(0)] = sealer->Seal(old.SerializeAsString());
  LastKnownGood kept = Open(files_);
  const auto loaded = kept.Load(kSchema);
  EXPECT_EQ(SequenceOf(loaded), 9);
  EXPECT_EQ(loaded.saved_us, 77);
  EXPECT_TRUE(loaded.failures.empty());
  const std::string before = files_.files.at(Slot(0));
  for (int64_t sequence : {10, 11}) ASSERT_TRUE(kept.Save(Build(sequence), sequence).ok());
  EXPECT_EQ(files_.files.at(Slot(0)), before);
  EXPECT_GT(files_.appended, 0u);
  EXPECT_EQ(SequenceOf(Open(files_).Load(kSchema)), 11);
}

TEST_F(LastKnownGoodTest, NoRecordShowsASecret) {
  LastKnownGood saver = Open(files_);
  for (int64_t sequence : {1, 2}) ASSERT_TRUE(saver.Save(Build(sequence), sequence).ok());
  const SampleSnapshot turned = MakeSnapshot(3, {SampleProvider("sk-another-secret"), SampleRoute("my-saas", 2)});
  ASSERT_TRUE(saver.Save(Build(turned), 3).ok());
  EXPECT_GT(files_.appended, 0u);
  for (const auto& [path, text] : files_.files) {
    EXPECT_EQ(text.find("secret"), std::string::npos);
    EXPECT_EQ(text.find("my-saas"), std::string::npos);
  }
}

TEST_F(LastKnownGoodTest, WithBothFilesBadNothingIsLoadedAndSavingGoesOn) {
  files_.files[Slot(0)] = "garbage";
  files_.files[Slot(1)] = std::string(1'000, 'x');
  LastKnownGood kept = Open(files_);
  const auto loaded = kept.Load(kSchema);
  EXPECT_EQ(loaded.snapshot, nullptr);
  EXPECT_EQ(loaded.failures.size(), 2u);
  ASSERT_TRUE(kept.Save(Build(1), 1).ok());
  EXPECT_EQ(SequenceOf(Open(files_).Load(kSchema)), 1);
}

TEST_F(LastKnownGoodTest, AFileOfAnotherKeyOrANewerSchemaIsNotUsed) {
  ASSERT_TRUE(Open(files_).Save(Build(1), 1).ok());
  EXPECT_THAT(std::string(Open(files_, "other.key").Load(kSchema).failures.at(0).message()),
              HasSubstr("sealed with another key file"));
  EXPECT_THAT(std::string(Open(files_).Load(0).failures.at(0).message()), HasSubstr("needs schema 1"));
}

// Every operation in turn, of a young file and of one that is about to be followed by another.
TEST_F(LastKnownGoodTest, WhicheverOperationFailsTheOldOrTheNewSnapshotIsLoadedAndLaterSavesRecover) {
  for (const int64_t before : {int64_t{2}, static_cast<int64_t>(kKeptRecordsMax) - 3}) {
    BreakingFiles young;
    LastKnownGood first = Open(young);
    for (int64_t sequence = 1; sequence <= before; ++sequence) {
      ASSERT_TRUE(first.Save(Build(sequence), sequence).ok());
    }
    for (const bool all_of_it : {false, true}) {
      bool failed = true;
      for (int n = 1; failed; ++n) {
        ASSERT_LT(n, 40);
        BreakingFiles files = young;
        files.all_of_it = all_of_it;
        LastKnownGood saver = Open(files);
        ASSERT_EQ(SequenceOf(saver.Load(kSchema)), before);
        files.fail_at = files.operations + n;
        int64_t saved = before;
        while (saved < before + 8) {
          // The save's own second way, a whole file, meets the same disk.
          failed = !saver.Save(Build(saved + 1), saved + 1).ok();
          if (failed) break;
          ++saved;
        }
        files.fail_at = 0;
        const int64_t after_crash = SequenceOf(Open(files).Load(kSchema));
        EXPECT_TRUE(after_crash == saved || after_crash == saved + 1) << "operation " << n << ": " << after_crash;
        if (!failed) break;
        ASSERT_TRUE(saver.Save(Build(saved + 1), saved + 1).ok());
        ASSERT_TRUE(saver.Save(Build(saved + 2), saved + 2).ok());
        EXPECT_EQ(SequenceOf(Open(files).Load(kSchema)), saved + 2) << "operation " << n;
      }
    }
  }
}

// A machine that stops loses nothing that was saved, however often it stops and wherever.
TEST_F(LastKnownGoodTest, CrashAfterCrashAtRandomOperationsLosesNothingSaved) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    BreakingFiles files;
    int64_t saved = 0;
    int64_t next = 1;
    for (int life = 0; life < 30; ++life) {
      LastKnownGood kept = Open(files);
      const int64_t found = SequenceOf(kept.Load(kSchema));
      ASSERT_TRUE(found >= saved && found < next) << "seed " << seed << ", life " << life << ": " << found;
      files.all_of_it = random() % 2 == 0;
      files.fail_at = files.operations + 1 + static_cast<int>(random() % 8);
      saved = found;
      while (kept.Save(Build(next), next).ok()) saved = next++;
      ++next;  // it may be there or not
      files.fail_at = 0;
    }
  }
}

// The same on the machine's own files.
TEST_F(LastKnownGoodTest, OnlyAFileOfTheSizeItShouldHaveIsAddedTo) {
  const std::string path = absl::StrCat(directory_, "/f");
  FileSystem& files = PosixFileSystem();
  EXPECT_EQ(files.AppendAndSync(path, 0, "x").code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(files.WriteAndSync(path, "abc").ok());
  ASSERT_TRUE(files.AppendAndSync(path, 3, "de").ok());
  const absl::Status refused = files.AppendAndSync(path, 3, "fg");
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("it has 5 bytes instead of 3"));
  EXPECT_EQ(*files.Read(path), "abcde");
}

}  // namespace
}  // namespace signalbox
