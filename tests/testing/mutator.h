// What fuzzing tests do to bodies and streams.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace signalbox {

// Seeded changes of a text: bytes, cuts, repeats and tokens that parsers trip over.
class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}
  size_t Below(size_t n) { return n == 0 ? 0 : random_() % n; }
  std::string Mutate(std::string text) {
    static constexpr std::string_view kTokens[] = {"\"",
                                                   "\\",
                                                   "{",
                                                   "}",
                                                   "[",
                                                   "]",
                                                   ",",
                                                   ":",
                                                   "null",
                                                   "true",
                                                   "-1",
                                                   "0",
                                                   "1e999",
                                                   "\\u0000",
                                                   "\\ud800",
                                                   "\xff",
                                                   "\xC3",
                                                   "\xEF\xBB\xBF",
                                                   "\n",
                                                   "\r",
                                                   "\r\n\r\n",
                                                   "data: ",
                                                   "[DONE]",
                                                   "event: ",
                                                   "9223372036854775808",
                                                   "\"type\":",
                                                   "\"index\":9,",
                                                   "\"text\":[],",
                                                   "\"content\":{},",
                                                   "\"usage\":{},",
                                                   "\"model\":",
                                                   "\"max_tokens\":5,",
                                                   "\"n\":1,",
                                                   "\"stream\":true,",
                                                   "4611686018427387904"};
    for (size_t rounds = 1 + Below(4); rounds > 0; --rounds) {
      const size_t at = Below(text.size() + 1);
      switch (Below(6)) {
        case 0:
          if (at < text.size()) text[at] = static_cast<char>(random_());
          break;
        case 1:
          text.erase(at, Below(12));
          break;
        case 2:
          text.insert(at, kTokens[Below(std::size(kTokens))]);
          break;
        case 3:
          text.insert(at, text.substr(Below(text.size() + 1), Below(60)));
          break;
        case 4:
          text.resize(at);
          break;
        default:
          if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << Below(8)));
      }
    }
    return text;
  }

 private:
  std::mt19937 random_;
};

}  // namespace signalbox
