// Header fields as pairs, for matchers of containers.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "dataplane/http/header_fields.h"

namespace signalbox::testing {

inline std::vector<std::pair<std::string, std::string>> HeaderPairs(const HeaderFields& headers) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto [name, value] : headers) pairs.emplace_back(name, value);
  return pairs;
}

}  // namespace signalbox::testing
