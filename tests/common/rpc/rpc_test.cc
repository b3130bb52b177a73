#include "common/rpc/rpc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace signalbox {
namespace {

using ::testing::HasSubstr;

class ReadTokenFileTest : public ::testing::Test {
 protected:
  ReadTokenFileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "signalbox_rpc_XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~ReadTokenFileTest() override { std::filesystem::remove_all(directory_); }

  absl::StatusOr<std::string> Read(const std::string& content, mode_t mode = 0600) const {
    const std::string path = directory_ + "/token";
    std::ofstream(path, std::ios::binary) << content;
    ::chmod(path.c_str(), mode);
    return ReadTokenFile(path);
  }
  std::string directory_;
};

TEST_F(ReadTokenFileTest, TheFirstLineWithoutTheSpaceAroundItIsTheToken) {
  EXPECT_EQ(*Read("sbt_1\nsbt_2\n"), "sbt_1");
  EXPECT_EQ(*Read(" sbt_1 \r\n"), "sbt_1");
}

TEST_F(ReadTokenFileTest, WhatIsNoTokenNeverReachesGrpc) {
  for (const std::string& content : {std::string("\xff\xfe\n"), std::string("a\0b", 3), std::string(5'000, 'a')}) {
    const auto token = Read(content);
    EXPECT_EQ(token.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(token.status().message()), HasSubstr("is not a token"));
  }
  EXPECT_EQ(Read("\n").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadTokenFile(directory_).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadTokenFile(directory_ + "/none").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ReadTokenFileTest, AFileThatOthersReadIsRefused) {
  EXPECT_THAT(std::string(Read("sbt_1", 0644).status().message()), HasSubstr("is accessible by others"));
}

TEST(CheckListenerIsSafe, AnAddressHasAPortThatExists) {
  const TlsFiles none;
  EXPECT_TRUE(CheckListenerIsSafe("127.0.0.1:0", none).ok());
  EXPECT_TRUE(CheckListenerIsSafe("[::1]:65535", none).ok());
  for (const char* address : {"127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:", "127.0.0.1", "127.0.0.1:http"}) {
    EXPECT_EQ(CheckListenerIsSafe(address, none).code(), absl::StatusCode::kInvalidArgument) << address;
  }
  EXPECT_EQ(CheckListenerIsSafe("0.0.0.0:9090", none).code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace signalbox
