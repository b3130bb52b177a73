// Answers calc_price.test.mjs from our catalogue and price engine, line by line on stdin and stdout:
//   u <unix_us> <a count for each of kCounts>   a usage and when its request began; no answer, numbered from 0
//   m <index>\t<source>                         the price of that index: `<model>`, then its cost for every usage
//   f <usage>\t<source>\t<name>                 `<provider>/<model> <cost>` of what that name is priced as, or `none`
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "common/model_price.h"
#include "common/money.h"
#include "common/price_table.h"
#include "controlplane/prices/bundled_prices.h"

namespace signalbox {
namespace {

using U = v1::TokenUsage;
constexpr void (U::*kCounts[])(int64_t) = {
    &U::set_input,           &U::set_cached_input, &U::set_cache_write,        &U::set_cache_write_1h,
    &U::set_audio_input,     &U::set_image_input,  &U::set_cached_audio_input, &U::set_cached_image_input,
    &U::set_video_input,     &U::set_output,       &U::set_reasoning,          &U::set_citation,
    &U::set_audio_output,    &U::set_image_output, &U::set_video_output,       &U::set_web_searches,
    &U::set_storage_searches};

struct Request {
  int64_t unix_us = 0;
  v1::TokenUsage usage;
};

int64_t Cost(const Request& request, const v1::ModelPrice& price) {
  return CostNanos(request.usage, PriceAt(price, request.unix_us));
}

int Run() {
  std::vector<Request> requests;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line.substr(1));
    if (line[0] == 'u') {
      Request& request = requests.emplace_back();
      words >> request.unix_us;
      for (const auto set : kCounts) {
        int64_t count = 0;
        words >> count;
        (request.usage.*set)(count);
      }
    } else if (line[0] == 'm') {
      size_t index = 0;
      std::string source;
      words >> index;
      std::getline(words.ignore(1), source);
      const v1::ModelPrice& price = BundledCatalogue().PricesOf(source).at(index);
      std::cout << price.model();
      for (const Request& request : requests) std::cout << ' ' << Cost(request, price);
      std::cout << '\n';
    } else if (line[0] == 'f') {
      size_t usage = 0;
      std::string source, name;
      words >> usage;
      std::getline(words.ignore(1), source, '\t');
      std::getline(words, name);
      const auto found = BundledCatalogue().Find(source, name);
      if (found.has_value()) {
        std::cout << found->source() << '\t' << Cost(requests.at(usage), *found) << '\n';
      } else {
        std::cout << "none\n";
      }
    } else {
      std::fprintf(stderr, "unknown line: %s\n", line.c_str());
      return 1;
    }
    if (words.fail() && !words.eof()) {
      std::fprintf(stderr, "unreadable line: %s\n", line.c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace signalbox

int main() {
  std::ios::sync_with_stdio(false);
  return signalbox::Run();
}
