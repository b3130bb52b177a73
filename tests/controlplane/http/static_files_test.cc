#include "controlplane/http/static_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "common/limits.h"
#include "tests/controlplane/ledger/temp_dir.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

class StaticFilesTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::string& content) {
    const std::filesystem::path file = Console() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
  }
  std::string Console() const { return dir_.File("console"); }
  TempDir dir_;
};

TEST_F(StaticFilesTest, FilesAreFoundByTheirPath) {
  Write("/index.html", "<!doctype html>");
  Write("/assets/app-1.js", std::string(10'000, 'a'));
  Write("/assets/app-1.js.gz", "passed over");
  const auto files = StaticFiles::Load(Console());
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->Find("/")->content, "<!doctype html>");
  EXPECT_EQ(&files->index(), files->Find("/index.html"));
  const StaticFile* const script = files->Find("/assets/app-1.js");
  ASSERT_NE(script, nullptr);
  EXPECT_EQ(script->content_type, "text/javascript; charset=utf-8");
  EXPECT_TRUE(script->immutable);
  EXPECT_FALSE(files->index().immutable);
  EXPECT_LT(script->gzip.size(), 200u);
  EXPECT_NE(script->etag, files->index().etag);
  EXPECT_EQ(files->Find("/assets/app-1.js.gz"), nullptr);
}

TEST_F(StaticFilesTest, NothingOutsideIsReached) {
  Write("/index.html", "<!doctype html>");
  std::ofstream(dir_.File("secret.txt")) << "secret";
  std::filesystem::create_symlink(dir_.File("secret.txt"), Console() + "/link.txt");
  const auto files = StaticFiles::Load(Console());
  ASSERT_TRUE(files.ok()) << files.status();
  for (const char* path : {"/../secret.txt", "/link.txt", "//etc/passwd", "/./index.html", "", "../secret.txt"}) {
    EXPECT_EQ(files->Find(path), nullptr) << path;
  }
}

TEST_F(StaticFilesTest, WhatIsNoConsoleIsNamed) {
  EXPECT_EQ(StaticFiles::Load(Console()).status().code(), absl::StatusCode::kUnavailable);
  Write("/assets/a.css", "a{}");
  const absl::Status without = StaticFiles::Load(Console()).status();
  EXPECT_EQ(without.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(without.message()), HasSubstr("has no index.html"));
  Write("/index.html", "");
  Write("/run.exe", "MZ");
  EXPECT_THAT(std::string(StaticFiles::Load(Console()).status().message()), HasSubstr("/run.exe is of no type"));
  std::filesystem::remove(Console() + "/run.exe");
  Write("/big.txt", std::string(kConsoleBytesMax, 'x') + "x");
  EXPECT_THAT(std::string(StaticFiles::Load(Console()).status().message()), HasSubstr("is over"));
}

}  // namespace
}  // namespace signalbox
