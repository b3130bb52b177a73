// Runs the binary where it needs no control plane.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/controlplane/cli/run_shell.h"

namespace signalbox {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Ran RunCtl(const std::string& arguments) {
  return RunShell(std::string("SIGNALBOX_TOKEN_FILE= ") + SIGNALBOX_BIN_DIR + "/signalboxctl " + arguments);
}

std::string RoutesDirectory(const std::string& kind) {
  return std::string(SIGNALBOX_SOURCE_DIR) + "/tests/routes/" + kind;
}

TEST(Signalboxctl, ValidatesEveryGoodRouteOfflineAndRefusesEveryBadOne) {
  int files = 0;
  for (const std::string kind : {"valid", "invalid"}) {
    ASSERT_TRUE(std::filesystem::exists(RoutesDirectory(kind)));
    for (const auto& entry : std::filesystem::directory_iterator(RoutesDirectory(kind))) {
      const Ran ran = RunCtl("route validate -f " + entry.path().string());
      EXPECT_EQ(ran.exit_code, kind == "valid" ? 0 : 1) << entry.path() << "\n" << ran.output;
      EXPECT_THAT(ran.output, HasSubstr(kind == "valid" ? ": ok" : "error: ")) << entry.path();
      ++files;
    }
  }
  EXPECT_GE(files, 20);
}

TEST(Signalboxctl, EveryFaultOfAFileIsPrintedWithItsElementAndPath) {
  const Ran ran = RunCtl("route validate -f " + RoutesDirectory("invalid") + "/many-faults.json");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.output,
              AllOf(HasSubstr("[dangling_output]"), HasSubstr("[unknown_operator]"),
                    HasSubstr("element \"r\" ($.elements[2].properties.limit)"), HasSubstr("[missing_property]")));
}

TEST(Signalboxctl, WrongUseIsExitCodeTwoAndHelpIsNot) {
  EXPECT_EQ(RunCtl("nonsense").exit_code, 2);
  EXPECT_EQ(RunCtl("route").exit_code, 2);
  EXPECT_EQ(RunCtl("route validate").exit_code, 2);
  EXPECT_EQ(RunCtl("-o yaml fleet").exit_code, 2);
  EXPECT_EQ(RunCtl("--help").exit_code, 0);
  EXPECT_EQ(RunCtl("provider apply openai --base-url http://x --secret sk-shown-to-everybody").exit_code, 2);
}

TEST(Signalboxctl, WhatCannotBeReadOrReachedIsOneClearLine) {
  Ran ran = RunCtl("route validate -f /nonexistent.json");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.output, HasSubstr("cannot read /nonexistent.json"));
  ran = RunCtl("--token_file=/nonexistent fleet");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(ran.output, "signalboxctl: no token file at /nonexistent\n");
}

}  // namespace
}  // namespace signalbox
