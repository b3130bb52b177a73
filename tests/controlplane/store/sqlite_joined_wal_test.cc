#include "controlplane/store/sqlite_joined_wal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>

#include "controlplane/store/sqlite_db.h"
#include "tests/controlplane/store/faulty_vfs_sqlite.h"
#include "tests/controlplane/store/store_fixture.h"

namespace signalbox {
namespace {

class JoinedWalTest : public ::testing::Test {
 protected:
  JoinedWalTest() { RegisterFaultyVfs(); }
  ~JoinedWalTest() override { HealWrites(); }

  std::unique_ptr<SqliteDb> Open(int checkpoint_pages = 1'000'000) {
    SqliteOptions options;
    options.path = dir_.path() + "/test.db";
    options.vfs = kFaultyVfs;
    options.checkpoint_pages = checkpoint_pages;
    options.power_safe = false;  // which would sync each commit
    auto db = SqliteDb::Open(options);
    EXPECT_TRUE(db.ok()) << db.status();
    EXPECT_TRUE((*db)->Exec("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, text BLOB)").ok());
    return *std::move(db);
  }
  static absl::Status Insert(SqliteDb& db, size_t bytes) {
    return db.Run("INSERT INTO t (text) VALUES (?)", SqlBlob{std::string(bytes, 'x')});
  }
  static int64_t Int(SqliteDb& db, const std::string& sql) {
    auto query = db.Query(sql);
    EXPECT_TRUE(query.ok() && query->Step().ok());
    return query->Int(0);
  }
  // By a connection of its own, which reads the log from the file.
  void ExpectAfterReopening(std::unique_ptr<SqliteDb> db, int64_t rows) {
    db.reset();
    db = Open();
    EXPECT_TRUE(db->CheckIntegrity(1 << 30).ok());
    EXPECT_EQ(Int(*db, "SELECT count(*) FROM t"), rows);
  }

  TempDir dir_;
};

TEST_F(JoinedWalTest, ACommitOfManyPagesIsOneWrite) {
  const auto db = Open();
  ASSERT_TRUE(Insert(*db, 10).ok());
  for (const size_t bytes : {10, 5'000, 30'000}) {
    FailFromWrite(2);
    EXPECT_TRUE(Insert(*db, bytes).ok()) << bytes;
    EXPECT_FALSE(WriteFailed()) << bytes;
  }
}

TEST_F(JoinedWalTest, ACommitThatCannotBeWrittenIsRefusedAndLeavesNothing) {
  auto db = Open();
  ASSERT_TRUE(Insert(*db, 10'000).ok());
  for (const bool io_error : {false, true}) {
    FailFromWrite(1, io_error);
    EXPECT_FALSE(Insert(*db, 10'000).ok());
    EXPECT_FALSE(Insert(*db, 10).ok());
    HealWrites();
    EXPECT_EQ(Int(*db, "SELECT count(*) FROM t"), 1);
  }
  EXPECT_TRUE(Insert(*db, 20'000).ok());
  ExpectAfterReopening(std::move(db), 2);
}

// More than is held back, and more than SQLite caches: it reads pages back that it wrote before the commit.
TEST_F(JoinedWalTest, ALongTransactionIsReadBackAndCommittedOrTakenBack) {
  auto db = Open();
  ASSERT_TRUE(db->Exec("PRAGMA cache_size = 10").ok());
  for (const bool commits : {true, false, true}) {
    const int64_t before = Int(*db, "SELECT count(*) FROM t");
    auto transaction = SqliteTransaction::Begin(*db);
    ASSERT_TRUE(transaction.ok());
    for (int i = 0; i < 300; ++i) {
      ASSERT_TRUE(Insert(*db, 3'000).ok());
      if (i % 50 > 0) continue;
      ASSERT_TRUE(db->Exec("UPDATE t SET text = text || 'y' WHERE id % 7 = 0").ok());
    }
    EXPECT_EQ(Int(*db, "SELECT count(*) FROM t WHERE length(text) >= 3000"), before + 300);
    if (!commits) continue;
    ASSERT_TRUE(transaction->Commit().ok());
  }
  ASSERT_TRUE(Insert(*db, 10).ok());
  EXPECT_EQ(Int(*db, "SELECT count(*) FROM t"), 601);
  ExpectAfterReopening(std::move(db), 601);
}

// Its pages are read back while the disk is full: the statement fails, and what it read for is still there.
TEST_F(JoinedWalTest, WhatIsHeldIsNotLostWhereReadingFails) {
  auto db = Open();
  ASSERT_TRUE(db->Exec("PRAGMA cache_size = 10").ok());
  int failures = 0;
  for (int n = 0; n < 40; ++n) {
    const int64_t before = Int(*db, "SELECT count(*) FROM t");
    auto transaction = SqliteTransaction::Begin(*db);
    ASSERT_TRUE(transaction.ok());
    for (int i = 0; i < 60 + n; ++i) ASSERT_TRUE(Insert(*db, 3'000).ok());
    FailFromWrite(1);
    const bool read = db->Exec("SELECT count(*) FROM t WHERE length(text) > 1").ok();
    failures += read ? 0 : 1;
    HealWrites();
    if (!db->InTransaction()) continue;  // SQLite took it back
    ASSERT_TRUE(transaction->Commit().ok());
    ASSERT_EQ(Int(*db, "SELECT count(*) FROM t WHERE length(text) = 3000"), before + 60 + n);
  }
  EXPECT_GT(failures, 0);
  const int64_t rows = Int(*db, "SELECT count(*) FROM t");
  ExpectAfterReopening(std::move(db), rows);
}

TEST_F(JoinedWalTest, WhatIsCheckpointedIsWhatWasWritten) {
  auto db = Open(/*checkpoint_pages=*/5);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(Insert(*db, static_cast<size_t>(i * 40)).ok());
  EXPECT_EQ(Int(*db, "SELECT sum(length(text)) FROM t"), 40 * 199 * 100);
  ExpectAfterReopening(std::move(db), 200);
}

TEST_F(JoinedWalTest, WhatWasCommittedSurvivesTheProcess) {
  int told[2];
  ASSERT_EQ(::pipe(told), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto db = Open();
    for (char i = 0; i < 50; ++i) {
      if (!Insert(*db, 6'000).ok() || ::write(told[1], &i, 1) != 1) break;
    }
    ::kill(::getpid(), SIGKILL);
  }
  ::close(told[1]);
  int64_t committed = 0;
  for (char byte; ::read(told[0], &byte, 1) == 1;) ++committed;
  ::close(told[0]);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(committed, 50);
  EXPECT_EQ(Int(*Open(), "SELECT count(*) FROM t"), committed);
}

TEST_F(JoinedWalTest, IsRegisteredOnceForEachBase) {
  const std::string over_system = JoinedWalVfs(""), over_faulty = JoinedWalVfs(kFaultyVfs);
  EXPECT_NE(over_system, over_faulty);
  const sqlite3_vfs* const first = sqlite3_vfs_find(over_system.c_str());
  EXPECT_NE(first, nullptr);
  EXPECT_EQ(JoinedWalVfs(""), over_system);
  EXPECT_EQ(sqlite3_vfs_find(over_system.c_str()), first);
  SqliteOptions options;
  options.path = dir_.path() + "/other.db";
  options.vfs = "no-such-vfs";
  EXPECT_FALSE(SqliteDb::Open(options).ok());
}

}  // namespace
}  // namespace signalbox
