#include "common/identifier.h"

#include <gtest/gtest.h>

#include <limits>

namespace signalbox {
namespace {

Identifier Of(std::initializer_list<const char*> texts) {
  Identifier identifier;
  for (const char* text : texts) identifier.Add()->set_string_value(text);
  return identifier;
}

TEST(IdentifierText, OneValueIsItself) {
  EXPECT_EQ(IdentifierText(Of({"ann@example.com"})), "ann@example.com");
  Identifier number;
  number.Add()->set_number_value(5);
  EXPECT_EQ(IdentifierText(number), "5");
  number[0].set_number_value(0.5);
  EXPECT_EQ(IdentifierText(number), "0.5");
  number[0].set_bool_value(true);
  EXPECT_EQ(IdentifierText(number), "true");
}

TEST(IdentifierText, ACombinationIsAnArrayThatTellsItsValuesApart) {
  Identifier combination = Of({"ann", "a\",\"b"});
  combination.Add()->set_number_value(5);
  combination.Add()->set_bool_value(false);
  EXPECT_EQ(IdentifierText(combination), R"(["ann","a\",\"b",5,false])");
  EXPECT_NE(IdentifierText(Of({"5", "x"})), IdentifierText(Of({"5,x"})));
}

TEST(IdentifierText, BytesThatAreNoTextDoNotThrow) {
  EXPECT_FALSE(IdentifierText(Of({"\xff", "x"})).empty());
  Identifier infinite = Of({"x"});
  infinite.Add()->set_number_value(std::numeric_limits<double>::infinity());
  EXPECT_FALSE(IdentifierText(infinite).empty());
}

}  // namespace
}  // namespace signalbox
