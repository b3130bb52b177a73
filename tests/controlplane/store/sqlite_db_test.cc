#include "controlplane/store/sqlite_db.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/controlplane/store/store_fixture.h"

namespace signalbox {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class SqliteDbTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<SqliteDb>> Open(int busy_timeout_ms = 0) {
    SqliteOptions options;
    options.path = path_;
    options.busy_timeout_ms = busy_timeout_ms;
    return SqliteDb::Open(options);
  }
  TempDir dir_;
  const std::string path_ = dir_.path() + "/test.db";
};

int64_t Count(SqliteDb& db) {
  auto query = db.Query("SELECT count(*) FROM t");
  EXPECT_TRUE(query.ok() && query->Step().ok());
  return query->Int(0);
}

TEST_F(SqliteDbTest, BindsAndReadsEveryType) {
  auto db = Open();
  ASSERT_TRUE(db.ok()) << db.status();
  ASSERT_TRUE((*db)->Exec("CREATE TABLE t(a, b, c, d, e)").ok());
  const std::string blob("\0\xff", 2);
  ASSERT_TRUE((*db)->Run("INSERT INTO t VALUES(?,?,?,?,?)", 7, 0.5, "text", SqlBlob{blob}, nullptr).ok());
  auto query = (*db)->Query("SELECT a, b, c, d, e, typeof(c), typeof(d) FROM t WHERE a=?", int64_t{7});
  ASSERT_TRUE(query.ok());
  ASSERT_TRUE(*query->Step());
  EXPECT_EQ(query->Int(0), 7);
  EXPECT_EQ(query->Double(1), 0.5);
  EXPECT_EQ(query->Text(2), "text");
  EXPECT_EQ(query->Text(3), blob);
  EXPECT_TRUE(query->IsNull(4));
  EXPECT_EQ(query->Text(5), "text");
  EXPECT_EQ(query->Text(6), "blob");
  EXPECT_FALSE(*query->Step());
}

TEST_F(SqliteDbTest, FileIsPrivate) {
  auto db = Open();
  ASSERT_TRUE(db.ok());
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600);
}

TEST_F(SqliteDbTest, TransactionNotCommittedIsRolledBack) {
  auto db = Open();
  ASSERT_TRUE(db.ok());
  ASSERT_TRUE((*db)->Exec("CREATE TABLE t(a)").ok());
  {
    auto transaction = SqliteTransaction::Begin(**db);
    ASSERT_TRUE(transaction.ok());
    ASSERT_TRUE((*db)->Run("INSERT INTO t VALUES(1)").ok());
  }
  EXPECT_EQ(Count(**db), 0);
}

TEST_F(SqliteDbTest, UniqueViolationIsAlreadyExists) {
  auto db = Open();
  ASSERT_TRUE(db.ok());
  ASSERT_TRUE((*db)->Exec("CREATE TABLE t(a PRIMARY KEY)").ok());
  ASSERT_TRUE((*db)->Run("INSERT INTO t VALUES(1)").ok());
  EXPECT_EQ((*db)->Run("INSERT INTO t VALUES(1)").code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(SqliteDbTest, MigratesFromWhereItStands) {
  {
    auto db = Open();
    ASSERT_TRUE(db.ok());
    ASSERT_TRUE((*db)->Migrate({"CREATE TABLE t(a)"}).ok());
    ASSERT_TRUE((*db)->Run("INSERT INTO t VALUES(1)").ok());
  }
  auto db = Open();
  ASSERT_TRUE(db.ok());
  ASSERT_TRUE((*db)->Migrate({"CREATE TABLE t(a)", "ALTER TABLE t ADD COLUMN b"}).ok());
  ASSERT_TRUE((*db)->Run("INSERT INTO t(a, b) VALUES(2, 3)").ok());
  EXPECT_EQ(Count(**db), 2);
}

TEST_F(SqliteDbTest, FailedMigrationLeavesTheSchemaBefore) {
  auto db = Open();
  ASSERT_TRUE(db.ok());
  EXPECT_FALSE((*db)->Migrate({"CREATE TABLE t(a)", "CREATE TABLE u(a); INSERT INTO nowhere VALUES(1)"}).ok());
  EXPECT_TRUE((*db)->Migrate({"CREATE TABLE t(a)", "CREATE TABLE u(a)"}).ok());
}

TEST_F(SqliteDbTest, DatabaseNewerThanTheBuildIsRefused) {
  auto db = Open();
  ASSERT_TRUE(db.ok());
  ASSERT_TRUE((*db)->Migrate({"CREATE TABLE t(a)", "CREATE TABLE u(a)"}).ok());
  const absl::Status status = (*db)->Migrate({"CREATE TABLE t(a)"});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("has schema 2, newer than this build's 1"));
}

TEST_F(SqliteDbTest, SecondProcessIsRefusedWhileOneHasIt) {
  auto db = Open();
  ASSERT_TRUE(db.ok());
  auto second = Open();
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("another process uses it"));
}

TEST_F(SqliteDbTest, FileThatIsNoDatabaseIsDataLoss) {
  std::ofstream(path_) << std::string(8192, 'x');
  const absl::Status status = Open().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
}

TEST_F(SqliteDbTest, ADamagedPageIsDataLossThatNamesTheBackup) {
  {
    auto db = Open();
    ASSERT_TRUE(db.ok()) << db.status();
    ASSERT_TRUE((*db)->Exec("CREATE TABLE t(a TEXT)").ok());
    for (int i = 0; i < 500; ++i) ASSERT_TRUE((*db)->Run("INSERT INTO t VALUES(?)", std::string(200, 'x')).ok());
    EXPECT_TRUE((*db)->CheckIntegrity().ok());
  }
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(5 * 4096);
  file << std::string(512, '\xee');
  file.close();
  auto db = Open();
  ASSERT_TRUE(db.ok()) << "the first page is whole: " << db.status();
  const absl::Status status = (*db)->CheckIntegrity();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(path_), HasSubstr("is damaged"), HasSubstr("restore it from a backup")));
  EXPECT_TRUE((*db)->CheckIntegrity(/*bytes_max=*/4096).ok()) << "too large to be read whole at each start";
}

TEST_F(SqliteDbTest, MissingDirectoryIsAClearError) {
  SqliteOptions options;
  options.path = dir_.path() + "/nowhere/test.db";
  const absl::Status status = SqliteDb::Open(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("check that the directory exists"));
}

TEST_F(SqliteDbTest, FullDatabaseIsResourceExhaustedAndKeepsWhatWasCommitted) {
  auto db = Open();
  ASSERT_TRUE(db.ok());
  ASSERT_TRUE((*db)->Exec("CREATE TABLE t(a); PRAGMA max_page_count=10").ok());
  int64_t committed = 0;
  absl::Status status;
  while (status.ok()) {
    status = (*db)->Run("INSERT INTO t VALUES(zeroblob(3000))");
    if (status.ok()) ++committed;
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the disk is full"));
  EXPECT_EQ(Count(**db), committed);
}

TEST_F(SqliteDbTest, BackupHoldsWritesMadeMeanwhile) {
  auto db = Open();
  ASSERT_TRUE(db.ok());
  ASSERT_TRUE((*db)->Exec("CREATE TABLE t(a)").ok());
  for (int i = 0; i < 100; ++i) ASSERT_TRUE((*db)->Run("INSERT INTO t VALUES(zeroblob(3000))").ok());
  const std::string target = dir_.path() + "/copy.db";
  {
    auto backup = SqliteBackup::Start(**db, target);
    ASSERT_TRUE(backup.ok()) << backup.status();
    ASSERT_FALSE(*backup->Step(5));
    ASSERT_TRUE((*db)->Run("INSERT INTO t VALUES('late')").ok());
    while (!*backup->Step(5)) {
    }
  }
  SqliteOptions options;
  options.path = target;
  auto copy = SqliteDb::Open(options);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(Count(**copy), 101);
}

TEST_F(SqliteDbTest, BackupNeverOverwritesAndUnfinishedOnesAreRemoved) {
  auto db = Open();
  ASSERT_TRUE(db.ok());
  ASSERT_TRUE((*db)->Exec("CREATE TABLE t(a); INSERT INTO t VALUES(zeroblob(100000))").ok());
  const std::string target = dir_.path() + "/copy.db";
  {
    auto backup = SqliteBackup::Start(**db, target);
    ASSERT_TRUE(backup.ok());
    ASSERT_FALSE(*backup->Step(1));
    EXPECT_EQ(SqliteBackup::Start(**db, target).status().code(), absl::StatusCode::kFailedPrecondition);
  }
  EXPECT_FALSE(std::filesystem::exists(target));
}

TEST_F(SqliteDbTest, CommittedRowsSurviveAProcessThatVanishes) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto db = Open();
    const bool good = db.ok() && (*db)->Exec("CREATE TABLE t(a); INSERT INTO t VALUES(1)").ok() &&
                      (*db)->Exec("BEGIN; INSERT INTO t VALUES(2)").ok();
    ::_exit(good ? 0 : 1);  // no destructor, no checkpoint; the second row was never committed
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  auto db = Open();
  ASSERT_TRUE(db.ok()) << db.status();
  EXPECT_EQ(Count(**db), 1);
}

}  // namespace
}  // namespace signalbox
