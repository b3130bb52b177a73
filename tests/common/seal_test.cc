#include "common/seal/seal.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

class SealerTest : public ::testing::Test {
 protected:
  SealerTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "seal_test.XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~SealerTest() override { std::filesystem::remove_all(directory_); }
  std::string KeyPath(const std::string& name = "key") const { return directory_ + "/" + name; }

  std::string directory_;
};

TEST_F(SealerTest, OpensWhatItSealedAlsoAfterARestart) {
  const auto sealer = Sealer::FromKeyFile(KeyPath());
  ASSERT_TRUE(sealer.ok()) << sealer.status();
  const std::string secret = std::string("sk-1\0 with any bytes\xff", 21);
  const std::string sealed = sealer->Seal(secret);
  EXPECT_EQ(sealed.find("sk-1"), std::string::npos);
  const auto again = Sealer::FromKeyFile(KeyPath());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->Open(sealed).value(), secret);
  EXPECT_EQ(again->Open(sealer->Seal("")).value(), "");
  EXPECT_NE(sealer->Seal(secret), sealed) << "a fresh nonce each time";
}

TEST_F(SealerTest, TheKeyFileItMakesIsPrivate) {
  ASSERT_TRUE(Sealer::FromKeyFile(KeyPath()).ok());
  struct stat info {};
  ASSERT_EQ(::stat(KeyPath().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(SealerTest, RefusesAlteredTextAndAnotherKey) {
  const auto sealer = Sealer::FromKeyFile(KeyPath());
  const auto other = Sealer::FromKeyFile(KeyPath("other"));
  ASSERT_TRUE(sealer.ok() && other.ok());
  const std::string sealed = sealer->Seal("secret");
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string altered = sealed;
    altered[i] = static_cast<char>(altered[i] ^ 1);
    EXPECT_EQ(sealer->Open(altered).status().code(), absl::StatusCode::kDataLoss);
  }
  EXPECT_EQ(other->Open(sealed).status().code(), absl::StatusCode::kDataLoss);
  for (size_t length : {size_t{0}, size_t{10}, sealed.size() - 1}) {
    EXPECT_EQ(sealer->Open(sealed.substr(0, length)).status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST_F(SealerTest, RefusesAKeyFileThatOthersCanReadOrThatIsNoKey) {
  ASSERT_TRUE(Sealer::FromKeyFile(KeyPath()).ok());
  ASSERT_EQ(::chmod(KeyPath().c_str(), 0644), 0);
  const auto shared = Sealer::FromKeyFile(KeyPath());
  EXPECT_EQ(shared.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(shared.status().message()), HasSubstr("chmod 600 " + KeyPath()));
  std::ofstream(KeyPath("broken")) << "not a key";
  ASSERT_EQ(::chmod(KeyPath("broken").c_str(), 0600), 0);
  EXPECT_EQ(Sealer::FromKeyFile(KeyPath("broken")).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Sealer::FromKeyFile(directory_ + "/missing/key").status().code(), absl::StatusCode::kUnavailable);
}

TEST(NewSecret, IsLongRandomAndPrefixed) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string secret = NewSecret("sbx_");
    EXPECT_EQ(secret.substr(0, 4), "sbx_");
    EXPECT_EQ(secret.size(), 68u);
    EXPECT_TRUE(seen.insert(secret).second);
  }
}

TEST(NewUuid, HasTheShapeOfVersion4) {
  EXPECT_THAT(NewUuid(), ::testing::MatchesRegex("........-....-4...-[89ab]...-............"));
  EXPECT_NE(NewUuid(), NewUuid());
}

TEST(ConstantTimeEquals, ComparesLengthAndBytes) {
  EXPECT_TRUE(ConstantTimeEquals("", ""));
  EXPECT_TRUE(ConstantTimeEquals("abc", "abc"));
  EXPECT_FALSE(ConstantTimeEquals("abc", "abd"));
  EXPECT_FALSE(ConstantTimeEquals("abc", "ab"));
}

}  // namespace
}  // namespace signalbox
