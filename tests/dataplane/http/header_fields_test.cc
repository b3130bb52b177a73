#include "dataplane/http/header_fields.h"

#include <string>
#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/header_pairs.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using testing::HeaderPairs;
using ::testing::Pair;

// One byte at a time: other characters are no part of a name, and are told from those next to them in ASCII.
TEST(HeaderFields, NamesAreLowerCaseWhateverTheirLengthAndOtherBytesStay) {
  for (size_t length = 1; length <= 40; ++length) {
    for (int byte = 1; byte < 256; ++byte) {
      const std::string name(length, static_cast<char>(byte));
      HeaderFields fields;
      ASSERT_EQ(fields.Add(name, "A Value"), IsToken(name));
      if (!IsToken(name)) {
        ASSERT_EQ(fields.size(), 0u);
        ASSERT_EQ(fields.left_out(), name);
        continue;
      }
      std::string lower = name;
      for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      ASSERT_THAT(HeaderPairs(fields), ElementsAre(Pair(lower, "A Value"))) << length << " times " << byte;
    }
  }
  HeaderFields mixed{{"X-Ratelimit-Limit-Requests^`|", "1"}};
  EXPECT_THAT(HeaderPairs(mixed), ElementsAre(Pair("x-ratelimit-limit-requests^`|", "1")));
}

TEST(HeaderFields, WhatIsNotValidIsLeftOutAndSaidSo) {
  HeaderFields fields{{"a", "1"}};
  EXPECT_EQ(fields.left_out(), "");
  for (const char* name : {"", "b c", "b:", "b\r\n", "\xc3\xa9"}) EXPECT_FALSE(fields.Add(name, "2")) << name;
  for (const char* value : {"2\r\nc: 3", "2\n", "\r", "\x7f"}) EXPECT_FALSE(fields.Add("d", value)) << value;
  EXPECT_FALSE(fields.Add("d", std::string_view("\0", 1)));
  EXPECT_TRUE(fields.Add("E", "\xc3\xa9 \t"));
  EXPECT_THAT(HeaderPairs(fields), ElementsAre(Pair("a", "1"), Pair("e", "\xc3\xa9 \t")));
  EXPECT_EQ(fields.left_out(), "(empty)") << "the first";
  HeaderFields others;
  others.Append(fields);
  EXPECT_EQ(others.left_out(), "(empty)") << "whoever writes them may say so";
}

TEST(HeaderFields, AnOwnNameIsTakenAsItIsAndItsValueCheckedAllTheSame) {
  HeaderFields fields;
  EXPECT_TRUE(fields.AddOwn("cf-aig-step", "0"));
  EXPECT_FALSE(fields.AddOwn("cf-aig-model", "a\r\nb: c"));
  EXPECT_THAT(HeaderPairs(fields), ElementsAre(Pair("cf-aig-step", "0")));
  EXPECT_EQ(fields.left_out(), "cf-aig-model");
  EXPECT_TRUE(fields.AddOwn("x-none", std::string_view())) << "a view of nothing is an empty value";
  EXPECT_FALSE(fields.Add(std::string_view(), "1"));
  EXPECT_THAT(HeaderPairs(fields), ElementsAre(Pair("cf-aig-step", "0"), Pair("x-none", "")));
}

// Whether there was room made for them or not.
TEST(HeaderFields, ManyAreKeptWhole) {
  for (const size_t room : {0, 10, 10'000}) {
    HeaderFields fields;
    fields.Reserve(room);
    std::string expected = "head\r\n";
    for (int i = 0; i < 100; ++i) {
      const std::string name = "n" + std::to_string(i), value(static_cast<size_t>(i), 'v');
      ASSERT_TRUE(fields.Add(name, value));
      expected += name + ": " + value + "\r\n";
    }
    std::string head = "head\r\n";
    HeaderFields(fields).WriteTo(head, [](std::string_view) { return false; });
    EXPECT_EQ(head, expected);
    EXPECT_EQ(fields.text_bytes(), expected.size() - 6) << "not the room behind them";
  }
}

std::string Written(const HeaderFields& fields, std::string_view but = "") {
  std::string head = "head\r\n";
  fields.WriteTo(head, [but](std::string_view name) { return name == but; });
  return head;
}

TEST(HeaderFields, AreWrittenAsLinesWithoutWhatWasRemovedOrIsSkipped) {
  HeaderFields fields{{"A", "1"}, {"b", ""}, {"c", "3"}, {"a", "4"}, {"d", "5"}};
  EXPECT_EQ(Written(HeaderFields()), "head\r\n");
  EXPECT_EQ(Written(fields), "head\r\na: 1\r\nb: \r\nc: 3\r\na: 4\r\nd: 5\r\n");
  EXPECT_EQ(Written(fields, "a"), "head\r\nb: \r\nc: 3\r\nd: 5\r\n");
  EXPECT_EQ(Written(fields, "d"), "head\r\na: 1\r\nb: \r\nc: 3\r\na: 4\r\n");
  fields.Remove("c");
  EXPECT_EQ(Written(fields), "head\r\na: 1\r\nb: \r\na: 4\r\nd: 5\r\n");
  EXPECT_EQ(Written(fields, "b"), "head\r\na: 1\r\na: 4\r\nd: 5\r\n");
  fields.Set("a", "6");
  HeaderFields some{{"x", "0"}};
  some.AppendIf(fields, [](const HeaderFields::Field& field) { return field.value != "5"; });
  EXPECT_EQ(Written(some), "head\r\nx: 0\r\nb: \r\na: 6\r\n");
}

TEST(HeaderFields, AppendedOnesFollowAndRemovedOnesStayAway) {
  HeaderFields first{{"a", "1"}, {"b", "2"}, {"a", "3"}};
  first.Remove("A");
  HeaderFields second{{"c", "4"}, {"d", "5"}, {"e", ""}};
  second.RemoveIf([](const HeaderFields::Field& field) { return field.value == "5"; });
  first.Append(second);
  first.Append(HeaderFields());
  first.Add("f", "6");
  EXPECT_THAT(HeaderPairs(first), ElementsAre(Pair("b", "2"), Pair("c", "4"), Pair("e", ""), Pair("f", "6")));
  EXPECT_EQ(first.Value("C"), "4");
  EXPECT_FALSE(first.Find("d").has_value());
}

// Every byte at every place of texts around the eight that are looked at together.
TEST(FieldValue, OneControlCharacterAnywhereIsFound) {
  for (size_t length = 1; length <= 25; ++length) {
    for (size_t at = 0; at < length; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(length, 'v');
        text[at] = static_cast<char>(byte);
        const bool fine = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
        ASSERT_EQ(IsFieldValue(text), fine) << length << " bytes, " << byte << " at " << at;
        text[(at + 5) % length] = '\t';
        ASSERT_EQ(IsFieldValue(text), fine || (at + 5) % length == at) << "with a tab";
      }
    }
  }
}

}  // namespace
}  // namespace signalbox
