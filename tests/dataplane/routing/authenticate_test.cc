#include "dataplane/routing/authenticate.h"

#include <gtest/gtest.h>

#include "common/sha256.h"

namespace signalbox {
namespace {

constexpr int64_t kNowUs = 1'750'000'000'000'000;

ActiveSnapshot SnapshotWithKey(const std::string& secret, const std::string& gateway, int64_t expire_us = 0) {
  auto key = std::make_shared<v1::SnapshotKey>();
  key->set_gateway(gateway);
  key->set_id("key-1");
  key->set_sha256(Sha256Hex(secret));
  key->set_expire_time_us(expire_us);
  ActiveSnapshot snapshot;
  snapshot.keys.Insert(key->sha256(), key);
  return snapshot;
}

std::string CodeOf(const ActiveSnapshot& snapshot, std::string_view presented, const std::string& gateway = "default") {
  const auto result = AuthenticateKey(snapshot, presented, gateway, kNowUs);
  return std::holds_alternative<Refusal>(result) ? std::get<Refusal>(result).code : "ok";
}

TEST(AuthenticateKey, AKeyOfTheGatewayIsAdmitted) {
  EXPECT_EQ(CodeOf(SnapshotWithKey("sbx_1", "default"), "sbx_1"), "ok");
}

TEST(AuthenticateKey, RefusalsSayWhich) {
  const ActiveSnapshot snapshot = SnapshotWithKey("sbx_1", "default");
  EXPECT_EQ(CodeOf(snapshot, ""), "missing_key");
  EXPECT_EQ(CodeOf(snapshot, "sbx_2"), "invalid_key");
  EXPECT_EQ(CodeOf(snapshot, "sbx_1", "shop"), "wrong_gateway");
}

TEST(AuthenticateKey, ExpiryCountsFromTheMicrosecondItNames) {
  EXPECT_EQ(CodeOf(SnapshotWithKey("sbx_1", "default", kNowUs), "sbx_1"), "expired_key");
  EXPECT_EQ(CodeOf(SnapshotWithKey("sbx_1", "default", kNowUs + 1), "sbx_1"), "ok");
}

TEST(PresentedKey, IsWhereEachKindOfClientPutsItAndTheGatewaysOwnHeaderWins) {
  HeaderFields headers;
  EXPECT_EQ(PresentedKey(headers, "/v1/messages"), "");
  EXPECT_EQ(PresentedKey(headers, "/v1/messages?x=1&key=sbx%5Fgoogle&key=other"), "sbx_google");
  headers.Set("api-key", "sbx_azure");
  EXPECT_EQ(PresentedKey(headers, "/v1/messages?key=sbx_google"), "sbx_azure");
  headers.Set("x-goog-api-key", "sbx_google");
  EXPECT_EQ(PresentedKey(headers, "/"), "sbx_google");
  headers.Set("X-Api-Key", "sbx_anthropic");
  EXPECT_EQ(PresentedKey(headers, "/"), "sbx_anthropic");
  headers.Set("Authorization", "Bearer sbx_sdk");
  EXPECT_EQ(PresentedKey(headers, "/"), "sbx_sdk");
  headers.Set("cf-aig-authorization", "bearer  sbx_own");
  EXPECT_EQ(PresentedKey(headers, "/"), "sbx_own");
}

TEST(QueryWithoutKey, DropsTheKeyHoweverItIsWrittenAndKeepsTheRestAsItIs) {
  EXPECT_EQ(QueryWithoutKey("", "sbx_1"), "");
  EXPECT_EQ(QueryWithoutKey("alt=sse&key=sbx_1&pageSize=2", "sbx_1"), "alt=sse&pageSize=2");
  EXPECT_EQ(QueryWithoutKey("a=%20b&%6Bey=x&token=sbx%5f1&c", "sbx_1"), "a=%20b&c");
  EXPECT_EQ(QueryWithoutKey("sbx_1=1&monkey=2", "sbx_1"), "monkey=2");
}

TEST(KeyAllowsRoute, AnEmptyListAllowsEveryRoute) {
  v1::SnapshotKey key;
  EXPECT_TRUE(KeyAllowsRoute(key, "any"));
  key.add_allowed_routes("one");
  EXPECT_TRUE(KeyAllowsRoute(key, "one"));
  EXPECT_FALSE(KeyAllowsRoute(key, "any"));
}

}  // namespace
}  // namespace signalbox
