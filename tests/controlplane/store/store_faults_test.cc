// What a full or failing disk and a vanishing process may do to the store: an error, never a lost acknowledgement and
// never half a change.
#include <sys/wait.h>
#include <unistd.h>

#include "tests/controlplane/store/faulty_vfs_sqlite.h"
#include "tests/controlplane/store/store_fixture.h"

namespace signalbox {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

class StoreFaultsTest : public StoreTest, public ::testing::WithParamInterface<bool> {
 protected:
  void TearDown() override { HealWrites(); }
};

// Whether versions, deployments and the snapshot agree with each other.
void ExpectConsistent(SqliteStore& store, int64_t deployed_version) {
  const auto route = store.routes().Get("default", "a");
  ASSERT_TRUE(route.ok()) << route.status();
  EXPECT_EQ(route->deployed_version(), deployed_version);
  const auto deployments = store.routes().ListDeployments("default", "a", 0, 100);
  ASSERT_TRUE(deployments.ok());
  EXPECT_EQ(deployments->items.front().version(), deployed_version);
  const auto snapshot = store.ReadSnapshot();
  ASSERT_TRUE(snapshot.ok());
  EXPECT_EQ(snapshot->id.sequence(), deployments->items.front().snapshot_sequence());
  for (const v1::ManifestEntry& entry : snapshot->manifest) {
    const auto blob = store.ReadBlob(entry.sha256());
    ASSERT_TRUE(blob.ok()) << blob.status();
    v1::Resource resource;
    ASSERT_TRUE(resource.ParseFromString(*blob));
    if (resource.has_route()) {
      EXPECT_EQ(resource.route().version(), deployed_version);
    }
  }
}

// Fails the n-th write of a deployment for n = 1, 2, 3 ... until one succeeds.
TEST_P(StoreFaultsTest, FailedWriteDuringADeploymentLeavesTheOneBefore) {
  RegisterFaultyVfs();
  Reopen(kFaultyVfs);
  Deployed("a");
  ASSERT_TRUE(store_->routes().Save("default", "a", "", VersionOf(RouteJson("a", "gpt-5.1"))).ok());
  int failures = 0;
  for (int n = 1;; ++n) {
    ASSERT_LT(n, 1000);
    SCOPED_TRACE(n);
    FailFromWrite(n, /*io_error=*/GetParam());
    const auto deployed = store_->routes().Deploy("default", "a", 2, "ada", "", false);
    const bool failed = WriteFailed();
    HealWrites();
    if (deployed.ok()) {
      EXPECT_FALSE(failed) << "acknowledged although a write failed";
      break;
    }
    ++failures;
    EXPECT_THAT(deployed.status().code(), AnyOf(absl::StatusCode::kResourceExhausted, absl::StatusCode::kUnavailable));
    EXPECT_THAT(std::string(deployed.status().message()), HasSubstr("routes.db: "));
    ExpectConsistent(*store_, 1);
    Reopen(kFaultyVfs);
    ExpectConsistent(*store_, 1);
  }
  EXPECT_GT(failures, 1);
  ExpectConsistent(*store_, 2);
  Reopen();
  ExpectConsistent(*store_, 2);
}

INSTANTIATE_TEST_SUITE_P(DiskFullAndIoError, StoreFaultsTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "IoError" : "DiskFull"; });

TEST_F(StoreTest, AcknowledgedChangesSurviveAProcessThatVanishes) {
  store_.reset();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto store = SqliteStore::Open(StoreOptions{dir_.path(), "", TestCatalogue(), ""}, clock_);
    const bool good = store.ok() && (*store)->routes().Create("default", VersionOf(RouteJson("a")), true).ok() &&
                      (*store)->routes().Save("default", "a", "", VersionOf(RouteJson("a", "gpt-5.1"))).ok() &&
                      (*store)->routes().Deploy("default", "a", 2, "ada", "", false).ok();
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  Reopen();
  ExpectConsistent(*store_, 2);
  EXPECT_EQ(Snapshot().sequence(), 2);
}

}  // namespace
}  // namespace signalbox
