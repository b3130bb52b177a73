// The one validating pass: simdjson's DOM with buffers reused by each thread. Included by this folder's sources only
// (simdjson's header is large). Results live in the caller's document.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "dataplane/provider/json_scan.h"

namespace signalbox {

// Validates `json` whole and fills `document`, whose root() is then the value; it holds copies of all strings, so
// `json` may go. `readable_bytes`: how much may be read from json.data(); with SIMDJSON_PADDING bytes past the end the
// text is parsed where it stands, else from a copy.
simdjson::error_code ParseDom(std::string_view json, size_t readable_bytes, simdjson::dom::document& document);

// The same for a document that lives long: it takes the memory its content needs. A parser has to assume the worst,
// eight times the text, where chat completions need little more than the text. `members`: where the values of the root
// object's members stand in the text, in the order of the DOM's iterator; empty when the root is no object.
using MemberRanges = absl::InlinedVector<JsonRange, 12>;
simdjson::error_code ParseLastingDom(std::string_view json, size_t readable_bytes, simdjson::dom::document& document,
                                     MemberRanges& members);

// The last member of that name (as JavaScript and Python read duplicates); nullopt when there is none.
std::optional<simdjson::dom::element> FindLast(simdjson::dom::object object, std::string_view key);

// An object's members, read in one pass: for those who look for many names.
class Members {
 public:
  explicit Members(simdjson::dom::object object);
  // As FindLast.
  std::optional<simdjson::dom::element> Find(std::string_view key) const {
    if ((known_ & Bit(key)) == 0) return std::nullopt;  // most names that are looked for are not there
    for (auto member = members_.rbegin(); member != members_.rend(); ++member) {
      if (member->first == key) return member->second;
    }
    return std::nullopt;
  }

 private:
  static uint64_t Bit(std::string_view key) {
    const size_t ends = key.empty() ? 0 : static_cast<size_t>(key.front()) * 5 + static_cast<size_t>(key.back());
    return uint64_t{1} << ((key.size() + ends) % 64);
  }

  absl::InlinedVector<std::pair<std::string_view, simdjson::dom::element>, 12> members_;
  uint64_t known_ = 0;  // the bits of all names
};

// The offset at which `json` stops being JSON, found by a slower parser; nullopt when that one sees no fault either.
std::optional<size_t> FaultOffset(std::string_view json);

}  // namespace signalbox
