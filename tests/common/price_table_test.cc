#include "common/price_table.h"

#include <string>
#include <vector>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace signalbox {
namespace {

v1::ModelPrice Price(const std::string& model, const std::string& match) {
  v1::ModelPrice price;
  price.set_provider("acme");
  price.set_model(model);
  if (!match.empty()) {
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(match, price.mutable_match())) << match;
  }
  return price;
}

std::string Find(const PriceTable& table, const std::string& name) {
  const v1::ModelPrice* found = table.Find(name);
  return found == nullptr ? "none" : found->model();
}

TEST(PriceTable, FindsByEachKindOfMatch) {
  const auto table = PriceTable::Of({
      Price("plain", ""),
      Price("equal", R"(equals: "Big-One")"),
      Price("start", R"(starts_with: "Mini-")"),
      Price("end", R"(ends_with: ":free")"),
      Price("both", R"(all { matches { contains: "pro" } matches { contains: "max" } })"),
      Price("either", R"(any { matches { equals: "x" } matches { equals: "y" } })"),
      Price("dated", R"(regex: "^gpt-5\\.4-\\d{4}-\\d{2}-\\d{2}$")"),
      Price("within", R"(contains: "Nano")"),
      Price("not-speech", R"(regex: "^(?!.*-[tT][tT][sS](?:$|-))flash")"),
  });
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(Find(*table, "plain"), "plain");
  EXPECT_EQ(Find(*table, " PLAIN\t"), "plain") << "case and blanks around do not count";
  EXPECT_EQ(Find(*table, "big-one"), "equal");
  EXPECT_EQ(Find(*table, "mini-7"), "start");
  EXPECT_EQ(Find(*table, "a:free"), "end");
  EXPECT_EQ(Find(*table, "max-pro"), "both");
  EXPECT_EQ(Find(*table, "max"), "none");
  EXPECT_EQ(Find(*table, "Y"), "either");
  EXPECT_EQ(Find(*table, "GPT-5.4-2026-03-05"), "dated");
  EXPECT_EQ(Find(*table, "gpt-5x4-2026-03-05"), "none");
  EXPECT_EQ(Find(*table, "a-nano-b"), "within");
  EXPECT_EQ(Find(*table, "flash-lite"), "not-speech");
  EXPECT_EQ(Find(*table, "flash-tts"), "none") << "lookahead";
  EXPECT_EQ(Find(*table, ""), "none");
  EXPECT_EQ(Find(*table, "  "), "none");
  EXPECT_EQ(Find(PriceTable(), "plain"), "none");
}

TEST(PriceTable, TheFirstThatFitsCounts) {
  const auto table =
      PriceTable::Of({Price("own", R"(equals: "mini-2")"), Price("catalogue", R"(starts_with: "mini")")});
  EXPECT_EQ(Find(*table, "mini-2"), "own");
  EXPECT_EQ(Find(*table, "mini-3"), "catalogue");
  ASSERT_EQ(table->prices().size(), 2u);
  EXPECT_EQ(table->prices()[0].model(), "own");
}

TEST(PriceTable, CompactDatesAreTriedSpelledOutAfterTheNameAsItIs) {
  const auto table =
      PriceTable::Of({Price("spelled", R"(equals: "o1-2024-12-17")"), Price("compact", R"(equals: "o3-20250416")"),
                      Price("o3-spelled", R"(equals: "o3-2025-04-16")")});
  EXPECT_EQ(Find(*table, "o1-20241217"), "spelled");
  EXPECT_EQ(Find(*table, "o3-20250416"), "compact");
  EXPECT_EQ(Find(*table, "o3-20250417"), "none");
}

TEST(SpellOutDates, TakesDaysThatExistAtAnEndOfAPart) {
  EXPECT_EQ(SpellOutDates("claude-opus-4-20250514"), "claude-opus-4-2025-05-14");
  EXPECT_EQ(SpellOutDates("a-20250514-b:c"), "a-2025-05-14-b:c");
  EXPECT_EQ(SpellOutDates("a-20250514:0"), "a-2025-05-14:0");
  EXPECT_EQ(SpellOutDates("a-20240229"), "a-2024-02-29");
  EXPECT_EQ(SpellOutDates("a-20240514-20250514"), "a-2024-05-14-2025-05-14");
  for (const char* name : {"a-20250230", "a-20251301", "a-19990101", "a-202505140", "20250514", "a-20250514x",
                           "a-2025051", "a20250514", ""}) {
    EXPECT_EQ(SpellOutDates(name), name);
  }
}

std::string Refusal(const std::string& match) {
  return std::string(PriceTable::Of({Price("m", match)}).status().message());
}

TEST(PriceTable, NamesThePriceWhosePatternCannotBeUsed) {
  EXPECT_TRUE(Refusal(R"(regex: "(")").starts_with(R"(the price of acme/m: pattern "(" cannot be read: )"));
  EXPECT_EQ(Refusal(R"(regex: "")"), "the price of acme/m: a pattern must have 1 to 256 bytes");
  EXPECT_EQ(Refusal(R"(regex: "(a{100}){100}")"), R"(the price of acme/m: pattern "(a{100}){100}" repeats too much)");
  EXPECT_EQ(Refusal(R"(regex: "a{1,99999}")"), R"(the price of acme/m: pattern "a{1,99999}" repeats too much)");
  EXPECT_EQ(Refusal(R"(any { matches { } })"),
            "the price of acme/m: its match is of a kind that this build does not know");
  std::string deep = R"(equals: "x")";
  for (int i = 0; i < 9; ++i) deep = "any { matches { " + deep + " } }";
  EXPECT_EQ(Refusal(deep), "the price of acme/m: its match is too deep or too large");
}

TEST(PriceTable, HostileNamesAndPatternsEndSoon) {
  const auto table = PriceTable::Of({Price("slow", R"(regex: "^(a+)+$")"), Price("slower", R"(regex: "(a|a?)+b")")});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(Find(*table, std::string(kPricedNameBytesMax - 1, 'a') + "!"), "none") << "backtracking would not end";
  EXPECT_EQ(Find(*table, std::string(1 << 20, 'a')), "none") << "longer than any model's name";
}

}  // namespace
}  // namespace signalbox
