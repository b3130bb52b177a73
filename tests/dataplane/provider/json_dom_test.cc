#include "dataplane/provider/json_dom.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

namespace signalbox {
namespace {

using nlohmann::json;

// What a lasting document says, after the text and whatever was parsed since are gone.
std::string Lasting(std::string text) {
  simdjson::dom::document document;
  EXPECT_EQ(ParseLastingDom(text, text.size(), document), simdjson::SUCCESS) << text;
  text.assign(text.size(), '#');
  simdjson::dom::document other;
  EXPECT_EQ(ParseLastingDom(R"({"other":["strings",-1,18446744073709551615,2.5]})", 49, other), simdjson::SUCCESS);
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
  ASSERT_EQ(ParseLastingDom(text, text.size(), document), simdjson::SUCCESS);
  EXPECT_EQ(document.capacity(), 0u);  // nobody parses into it
  EXPECT_EQ(document.root()["text"].get_string().value().size(), 100'000u);
}

TEST(LastingDom, AFaultLeavesTheDocumentAsItWas) {
  simdjson::dom::document document;
  ASSERT_EQ(ParseLastingDom(R"({"a":1})", 7, document), simdjson::SUCCESS);
  EXPECT_NE(ParseLastingDom(R"({"a":)", 5, document), simdjson::SUCCESS);
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

TEST(LastingDom, AnyDocumentSurvives) {
  for (uint64_t seed = 0; seed < 2'000; ++seed) {
    const json value = AnyJson(seed).Value();
    ASSERT_EQ(json::parse(Lasting(value.dump())), value) << seed;
  }
}

}  // namespace
}  // namespace signalbox
