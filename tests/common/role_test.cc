#include "common/role.h"

#include <gtest/gtest.h>

namespace signalbox {
namespace {

constexpr Role kOperators[] = {Role::kViewer, Role::kEditor, Role::kDeployer, Role::kAdmin};

TEST(Role, EachCoversTheOnesBelow) {
  for (const Role has : kOperators) {
    for (const Role needed : kOperators) EXPECT_EQ(Covers(has, needed), has >= needed);
    EXPECT_EQ(Covers(has, Role::kProxy), has == Role::kAdmin) << "what proxies get holds the providers' secrets";
    EXPECT_FALSE(Covers(Role::kProxy, has));
  }
  EXPECT_TRUE(Covers(Role::kProxy, Role::kProxy));
}

TEST(Role, NamesComeBack) {
  for (const Role role : kOperators) EXPECT_EQ(ParseRole(RoleName(role)), role);
  EXPECT_EQ(ParseRole("proxy"), Role::kProxy);
  for (const char* name : {"", "root", "Admin", "admin "}) EXPECT_FALSE(ParseRole(name).has_value()) << name;
}

TEST(Role, ARefusalSaysWhatIsNeededAndWhatWasGiven) {
  EXPECT_TRUE(CheckRole(Role::kDeployer, Role::kEditor).ok());
  EXPECT_EQ(
      CheckRole(Role::kViewer, Role::kEditor),
      absl::PermissionDeniedError("this call needs an editor token or one that may do more; a viewer token was given"));
  EXPECT_EQ(CheckRole(Role::kDeployer, Role::kAdmin),
            absl::PermissionDeniedError("this call needs an admin token; a deployer token was given"));
  EXPECT_EQ(CheckRole(Role::kViewer, Role::kProxy),
            absl::PermissionDeniedError("this call needs a proxy token; a viewer token was given"));
}

}  // namespace
}  // namespace signalbox
