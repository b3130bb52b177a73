#include "common/manifest.h"

#include "common/sha256.h"
#include "gtest/gtest.h"

namespace signalbox {
namespace {

v1::ManifestEntry Entry(const std::string& name, const std::string& content) {
  v1::ManifestEntry entry;
  entry.set_name(name);
  entry.set_sha256(Sha256(content));
  return entry;
}

TEST(ManifestSha256, IsTheHashOfNamesAndContents) {
  const std::string text = std::string("a\0", 2) + Sha256("1") + "\n" + std::string("b\0", 2) + Sha256("2") + "\n";
  EXPECT_EQ(ManifestSha256({Entry("a", "1"), Entry("b", "2")}), Sha256Hex(text));
  EXPECT_EQ(ManifestSha256({}), Sha256Hex(""));
}

TEST(ManifestSha256, DiffersWhenANameOrAContentDoes) {
  const std::string base = ManifestSha256({Entry("a", "1"), Entry("b", "2")});
  EXPECT_NE(ManifestSha256({Entry("a", "1"), Entry("b", "3")}), base);
  EXPECT_NE(ManifestSha256({Entry("a", "1"), Entry("c", "2")}), base);
  EXPECT_NE(ManifestSha256({Entry("a", "1")}), base);
  EXPECT_NE(ManifestSha256({Entry("a", "2"), Entry("b", "1")}), base);
}

TEST(Sha256Hex, MatchesTheStandardsExample) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Resources, AreNamedByGatewayAndKind) {
  EXPECT_EQ(RouteResource("default", "r1"), "gateways/default/routes/r1");
  EXPECT_EQ(ProviderResource("default", "openai"), "gateways/default/providers/openai");
  EXPECT_EQ(KeyResource("eu", "k1"), "gateways/eu/keys/k1");
}

}  // namespace
}  // namespace signalbox
