// Where the members of a JSON object stand in its text: what a DOM does not tell and splicing needs. Reads only text
// that a validating parser accepted, so it judges nothing; on other text it stays within bounds and reports an end.
// Pure; one thread per object.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace signalbox {

// Half-open byte offsets into the scanned text.
struct JsonRange {
  size_t begin = 0;
  size_t end = 0;
  std::string_view Of(std::string_view json) const { return json.substr(begin, end - begin); }
};

// Walks the members of one object in the order written, duplicates included: the order of a DOM's iterator.
class MemberScanner {
 public:
  // `object_begin`: the offset of '{'.
  MemberScanner(std::string_view json, size_t object_begin) : json_(json), at_(object_begin + 1), last_(at_) {}
  // The value of the next member; false after the last one.
  bool Next(JsonRange& value);
  // Where a further member goes: behind the last value, or behind '{'. Valid once Next returned false.
  size_t insert_at() const { return last_; }
  bool empty() const { return count_ == 0; }

 private:
  std::string_view json_;
  size_t at_;
  size_t last_;
  size_t count_ = 0;
};

bool IsJsonSpace(char c);
size_t SkipJsonSpace(std::string_view json, size_t at);
// The end of the value that begins at `at`.
size_t SkipJsonValue(std::string_view json, size_t at);
// `text` as a JSON string, quotes included. `text` is UTF-8.
std::string QuoteJson(std::string_view text);

}  // namespace signalbox
