#include "dataplane/http/header_fields.h"

#include <string>
#include <string_view>

#include "dataplane/http/request_head.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/header_pairs.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using testing::HeaderPairs;
using ::testing::Pair;

TEST(HeaderFields, NamesAreLowerCaseWhateverTheirLengthAndOtherBytesStay) {
  for (size_t length = 1; length <= 40; ++length) {
    for (int byte = 1; byte < 256; ++byte) {
      const std::string name(length, static_cast<char>(byte));
      HeaderFields fields;
      fields.Add(name, "A Value");
      std::string lower = name;
      for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      ASSERT_THAT(HeaderPairs(fields), ElementsAre(Pair(lower, "A Value"))) << length << " times " << byte;
    }
  }
  HeaderFields mixed{{"X-Ratelimit-Limit-Requests@[`{", "1"}};
  EXPECT_THAT(HeaderPairs(mixed), ElementsAre(Pair("x-ratelimit-limit-requests@[`{", "1")));
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
