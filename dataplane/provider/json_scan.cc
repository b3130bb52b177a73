#include "dataplane/provider/json_scan.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_format.h"

namespace signalbox {
namespace {

// The end of the string whose opening quote is at `at`.
size_t SkipString(std::string_view json, size_t at) {
  const size_t begin = at + 1;
  size_t from = begin;
  while (from < json.size()) {
    const void* found = std::memchr(json.data() + from, '"', json.size() - from);
    if (found == nullptr) return json.size();
    const size_t quote = static_cast<const char*>(found) - json.data();
    size_t backslashes = 0;
    while (quote - backslashes > begin && json[quote - backslashes - 1] == '\\') ++backslashes;
    if (backslashes % 2 == 0) return quote + 1;
    from = quote + 1;
  }
  return json.size();
}

size_t SkipContainer(std::string_view json, size_t at) {
  size_t depth = 0;
  while (at < json.size()) {
    switch (json[at]) {
      case '"':
        at = SkipString(json, at);
        continue;
      case '{':
      case '[':
        ++depth;
        break;
      case '}':
      case ']':
        if (--depth == 0) return at + 1;
        break;
      default:
        break;
    }
    ++at;
  }
  return at;
}

}  // namespace

bool IsJsonSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

size_t SkipJsonSpace(std::string_view json, size_t at) {
  while (at < json.size() && IsJsonSpace(json[at])) ++at;
  return at;
}

size_t SkipJsonValue(std::string_view json, size_t at) {
  if (at >= json.size()) return json.size();
  if (json[at] == '"') return SkipString(json, at);
  if (json[at] == '{' || json[at] == '[') return SkipContainer(json, at);
  const size_t end = json.find_first_of(",]} \n\r\t", at);
  return end == std::string_view::npos ? json.size() : end;
}

bool MemberScanner::Next(JsonRange& value) {
  at_ = SkipJsonSpace(json_, at_);
  if (at_ < json_.size() && json_[at_] == ',') at_ = SkipJsonSpace(json_, at_ + 1);
  if (at_ >= json_.size() || json_[at_] != '"') return false;
  at_ = SkipJsonSpace(json_, SkipString(json_, at_));
  if (at_ >= json_.size() || json_[at_] != ':') return false;
  value.begin = SkipJsonSpace(json_, at_ + 1);
  value.end = SkipJsonValue(json_, value.begin);
  at_ = last_ = value.end;
  ++count_;
  return true;
}

std::string QuoteJson(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  out += '"';
  const auto is_plain = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\'; };
  for (auto at = text.begin(); at != text.end();) {
    const auto run_end = std::find_if_not(at, text.end(), is_plain);
    out.append(at, run_end);
    if (run_end == text.end()) break;
    if (static_cast<unsigned char>(*run_end) < 0x20) {
      out += absl::StrFormat("\\u%04x", static_cast<unsigned char>(*run_end));
    } else {
      out.append({'\\', *run_end});
    }
    at = run_end + 1;
  }
  return out += '"';
}

}  // namespace signalbox
