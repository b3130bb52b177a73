#include "controlplane/http/origin.h"

#include <gtest/gtest.h>

namespace signalbox {
namespace {

TEST(CheckSameOrigin, BelievesTheBrowser) {
  EXPECT_TRUE(CheckSameOrigin("same-origin", "http://elsewhere", "console:1").ok());
  EXPECT_TRUE(CheckSameOrigin("none", "", "console:1").ok());
  for (const char* site : {"cross-site", "same-site", "unheard-of"}) {
    EXPECT_EQ(CheckSameOrigin(site, "", "console:1").code(), absl::StatusCode::kPermissionDenied) << site;
  }
}

TEST(CheckSameOrigin, WithoutItComparesTheOrigin) {
  EXPECT_TRUE(CheckSameOrigin("", "", "console:1").ok()) << "a program";
  EXPECT_TRUE(CheckSameOrigin("", "http://console:1", "console:1").ok());
  for (const char* origin : {"http://console:2", "http://evil", "null", "http://console:1.evil", "console:1"}) {
    EXPECT_EQ(CheckSameOrigin("", origin, "console:1").code(), absl::StatusCode::kPermissionDenied) << origin;
  }
}

TEST(CookieValue, IsOfThatNameOnly) {
  EXPECT_EQ(CookieValue("a=1; signalbox_session=x; b=2", "signalbox_session"), "x");
  EXPECT_EQ(CookieValue("signalbox_session=x=y", "signalbox_session"), "x=y");
  EXPECT_EQ(CookieValue("not_signalbox_session=x", "signalbox_session"), "");
  EXPECT_EQ(CookieValue("signalbox_sessions=x", "signalbox_session"), "");
  EXPECT_EQ(CookieValue("", "signalbox_session"), "");
}

}  // namespace
}  // namespace signalbox
