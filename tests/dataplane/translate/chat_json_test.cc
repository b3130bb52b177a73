#include "dataplane/translate/chat_json.h"

#include <gtest/gtest.h>

namespace signalbox {
namespace {

std::string Again(std::string_view text) {
  const std::optional<Json> value = ParseJson(text);
  return value ? DumpJson(*value) : "none";
}

TEST(ChatJson, MembersKeepTheirOrderAndTheLastOfOneNameCounts) {
  EXPECT_EQ(Again(R"( {"z":1,"a":{"y":[],"b":null},"z":2} )"), R"({"z":2,"a":{"y":[],"b":null}})");
}

TEST(ChatJson, ManyMembersOfOneObjectAreNotQuadratic) {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += "\"key" + std::to_string(i % 150'000) + "\":" + std::to_string(i) + ",";
  text += "\"last\":0}";
  const std::optional<Json> value = ParseJson(text);  // minutes, were each looked up from the front
  ASSERT_TRUE(value);
  EXPECT_EQ(value->size(), 150'001u);
  EXPECT_EQ(CountAt(*value, "key7"), 150'007);
}

TEST(ChatJson, NestingIsBounded) {
  EXPECT_TRUE(ParseJson(std::string(1'000, '[') + std::string(1'000, ']')));
  EXPECT_FALSE(ParseJson(std::string(2'000, '[') + std::string(2'000, ']')));
}

TEST(ChatJson, WhatIsNoJsonIsNone) {
  for (const char* text :
       {"", " ", "{", "[1,]", "{} {}", "nul", "1e999", "\"\xff\"", "{\"a\":1", "01", "\"\\x\"", "\"\\u12\""}) {
    EXPECT_FALSE(ParseJson(text)) << text;
  }
}

TEST(ChatJson, NumbersPast64BitsBecomeFloating) {
  EXPECT_EQ(
      Again(R"({"id":123456789012345678901234567890,"n":-98765432109876543210,"s":"123456789012345678901234567890"})"),
      R"({"id":1.2345678901234568e+29,"n":-9.876543210987654e+19,"s":"123456789012345678901234567890"})");
  EXPECT_EQ(Again("[18446744073709551615,-9223372036854775808]"), "[18446744073709551615,-9223372036854775808]");
}

TEST(ChatJson, HalfASurrogatePairIsReplaced) {
  EXPECT_EQ(Again(R"(["\ud83d","\ude00x","\ud83d\ude00","\\ud83d","\ud83d\n"])"),
            "[\"\uFFFD\",\"\uFFFDx\",\"\U0001F600\",\"\\\\ud83d\",\"\uFFFD\\n\"]");
}

TEST(ChatJson, CountsAreWholeAndNotNegative) {
  const Json object =
      *ParseJson(R"({"a":12,"b":12.0,"c":-1,"d":1.5,"e":"12","f":18446744073709551615,"g":null,"h":1e300})");
  EXPECT_EQ(CountAt(object, "a"), 12);
  EXPECT_EQ(CountAt(object, "b"), 12);
  for (const char* key : {"c", "d", "e", "f", "g", "h", "missing"})
    EXPECT_EQ(CountAt(object, key), std::nullopt) << key;
  EXPECT_EQ(CountAt(Json(7), "a"), std::nullopt);
}

TEST(ChatJson, NullsAreAbsent) {
  const Json object = *ParseJson(R"({"n":null,"o":{},"a":[],"s":"x"})");
  EXPECT_EQ(Find(object, "n"), nullptr);
  EXPECT_NE(FindObject(object, "o"), nullptr);
  EXPECT_EQ(FindObject(object, "a"), nullptr);
  EXPECT_NE(FindArray(object, "a"), nullptr);
  EXPECT_EQ(StringAt(object, "s"), "x");
  EXPECT_EQ(StringAt(object, "o", "other"), "other");
}

TEST(ChatJson, DataUrls) {
  const std::optional<DataUrl> url = ParseDataUrl("DATA:image/png;charset=x;base64,AAA=");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->media_type, "image/png");
  EXPECT_EQ(url->data, "AAA=");
  for (const char* none : {"", "data:", "https://x/y.png", "data:image/png,abc", "data:image/png;base64"}) {
    EXPECT_FALSE(ParseDataUrl(none)) << none;
  }
}

}  // namespace
}  // namespace signalbox
