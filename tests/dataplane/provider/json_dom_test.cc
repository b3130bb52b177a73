#include "dataplane/provider/json_dom.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

namespace signalbox {
namespace {

using nlohmann::json;

// What a lasting document says, after the text and whatever was parsed since are gone.
std::string Lasting(std::string text) {
  simdjson::dom::document document;
  MemberRanges members;
  EXPECT_EQ(ParseLastingDom(text, text.size(), document, members), simdjson::SUCCESS) << text;
  text.assign(text.size(), '#');
  simdjson::dom::document other;
  EXPECT_EQ(ParseLastingDom(R"({"other":["strings",-1,18446744073709551615,2.5]})", 49, other, members),
            simdjson::SUCCESS);
  return simdjson::minify(document.root());
}

TEST(LastingDom, SaysWhatTheTextSaid) {
  for (const char* text : {"{}", "[]", "0", "\"\"", "\"alone\"", "null", "true", "[1.5]", "[-1]",
                           "[18446744073709551615]", R"({"a":""})", R"({"":"a"})", R"({"a":1})",
                           R"({"a":[{"b":"c"},"d",2]})", R"(["\u0000\ud83d\ude00\"\\"])", "[[[[[[[[[[]]]]]]]]]]"}) {
    EXPECT_EQ(json::parse(Lasting(text)), json::parse(text));
  }
}

TEST(LastingDom, TakesTheMemoryOfItsContent) {
  simdjson::dom::document document;
  const std::string text = json{{"text", std::string(100'000, 'x')}}.dump();
  MemberRanges members;
  ASSERT_EQ(ParseLastingDom(text, text.size(), document, members), simdjson::SUCCESS);
  EXPECT_EQ(document.capacity(), 0u);  // nobody parses into it
  EXPECT_EQ(document.root()["text"].get_string().value().size(), 100'000u);
}

TEST(LastingDom, AFaultLeavesTheDocumentAsItWas) {
  simdjson::dom::document document;
  MemberRanges members;
  ASSERT_EQ(ParseLastingDom(R"({"a":1})", 7, document, members), simdjson::SUCCESS);
  EXPECT_NE(ParseLastingDom(R"({"a":)", 5, document, members), simdjson::SUCCESS);
  EXPECT_EQ(simdjson::minify(document.root()), R"({"a":1})");
}

class AnyJson {
 public:
  explicit AnyJson(uint64_t seed) : random_(seed) {}
  json Value(int depth = 0) {
    switch (random_() % (depth < 5 ? 9 : 7)) {
      case 0:
        return nullptr;
      case 1:
        return random_() % 2 == 0;
      case 2:
        return static_cast<int64_t>(random_());
      case 3:
        return std::numeric_limits<uint64_t>::max() - random_() % 100;
      case 4:
        return static_cast<double>(static_cast<int64_t>(random_())) / 1024;
      case 5:
      case 6:
        return Text();
      case 7: {
        json array = json::array();
        for (uint64_t n = random_() % 6; n > 0; --n) array.push_back(Value(depth + 1));
        return array;
      }
      default: {
        json object = json::object();
        for (uint64_t n = random_() % 6; n > 0; --n) object[Text()] = Value(depth + 1);
        return object;
      }
    }
  }

 private:
  std::string Text() {
    std::string text(random_() % 40, ' ');
    for (char& c : text) c = static_cast<char>(random_() % 127 + 1);
    return text;
  }
  std::mt19937_64 random_;
};

std::vector<std::string> ValuesOf(const std::string& text) {
  simdjson::dom::document document;
  MemberRanges members;
  EXPECT_EQ(ParseLastingDom(text, text.size(), document, members), simdjson::SUCCESS) << text;
  std::vector<std::string> values;
  for (const JsonRange& range : members) values.emplace_back(range.Of(text));
  return values;
}

TEST(LastingDom, SaysWhereTheMembersStand) {
  using Values = std::vector<std::string>;
  EXPECT_EQ(ValuesOf("[{\"a\":1}]"), Values{});
  EXPECT_EQ(ValuesOf("7"), Values{});
  EXPECT_EQ(ValuesOf(" {\n} "), Values{});
  EXPECT_EQ(ValuesOf("\t{\"a\" :\r\n1.5e3 \t}\n"), Values{"1.5e3"});
  EXPECT_EQ(ValuesOf(R"({"a":"\"}, ","a":{"a":[1,{"b":2}],"c":[]} , "":[ ],"d":"","e":null})"),
            (Values{R"("\"}, ")", R"({"a":[1,{"b":2}],"c":[]})", "[ ]", "\"\"", "null"}));
  EXPECT_EQ(ValuesOf("{\"\xc3\xa9\":\"\xe2\x82\xac\"}"), Values{"\"\xe2\x82\xac\""}) << "bytes, not characters";
}

TEST(LastingDom, MembersStandWhereAScanFindsThem) {
  for (uint64_t seed = 0; seed < 2'000; ++seed) {
    AnyJson any(seed);
    json object = json::object();
    for (int i = 0; i < 8; ++i) object["key " + std::to_string(i)] = any.Value();
    const std::string text = object.dump(seed % 2 == 0 ? -1 : 3);
    std::vector<std::string> scanned;
    MemberScanner scanner(text, 0);
    for (JsonRange range; scanner.Next(range);) scanned.emplace_back(range.Of(text));
    ASSERT_EQ(ValuesOf(text), scanned) << text;
  }
}

TEST(LastingDom, AnyDocumentSurvives) {
  for (uint64_t seed = 0; seed < 2'000; ++seed) {
    const json value = AnyJson(seed).Value();
    ASSERT_EQ(json::parse(Lasting(value.dump())), value) << seed;
  }
}

}  // namespace
}  // namespace signalbox
