#include "controlplane/store/publication.h"

#include "common/limits.h"
#include "controlplane/store/schema.h"
#include "tests/controlplane/store/store_fixture.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

// The rule is about content, however it came to shrink; so the manifest is edited directly.
class ShrinkGuardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SqliteOptions options;
    options.path = dir_.path() + "/routes.db";
    auto db = SqliteDb::Open(options);
    ASSERT_TRUE(db.ok()) << db.status();
    core_.db = *std::move(db);
    core_.clock = &clock_;
    ASSERT_TRUE(core_.db->Migrate(StoreMigrations()).ok());
  }

  absl::StatusOr<v1::SnapshotId> PublishRoutes(int count, bool force) {
    EXPECT_TRUE(core_.db->Exec("DELETE FROM resources").ok());
    v1::Resource resource;
    resource.mutable_route()->set_name("r");
    const auto sha256 = PutBlob(core_, resource, false);
    EXPECT_TRUE(sha256.ok());
    for (int i = 0; i < count; ++i) {
      EXPECT_TRUE(SetResource(core_, absl::StrCat("gateways/g/routes/", i), *sha256).ok());
    }
    return PublishNext(core_, "test", First::kYes, force);
  }

  TempDir dir_;
  ManualClock clock_;
  StoreCore core_;
};

TEST_F(ShrinkGuardTest, LosingOverHalfOfManyRoutesNeedsForce) {
  ASSERT_TRUE(PublishRoutes(kShrinkGuardRoutesMin, false).ok());
  const absl::Status status = PublishRoutes(kShrinkGuardRoutesMin / 2 - 1, false).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(std::string(status.message()),
            "this would leave 4 of 10 routes deployed; repeat it with force if that is meant");
  EXPECT_TRUE(PublishRoutes(kShrinkGuardRoutesMin / 2 - 1, true).ok());
}

TEST_F(ShrinkGuardTest, ExactlyHalfAndFewRoutesPass) {
  ASSERT_TRUE(PublishRoutes(kShrinkGuardRoutesMin, false).ok());
  EXPECT_TRUE(PublishRoutes(kShrinkGuardRoutesMin / 2, false).ok());
  EXPECT_TRUE(PublishRoutes(1, false).ok());
}

}  // namespace
}  // namespace signalbox
