#include "controlplane/cli/values.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "common/limits.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

bool AllDigits(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
}

// How many columns a terminal gives it: one for each UTF-8 sequence.
size_t Width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

absl::StatusOr<int64_t> ParseDuration(std::string_view text) {
  constexpr int64_t kSecond = 1'000'000;
  int64_t unit = 0;
  if (!text.empty()) {
    switch (text.back()) {
      case 's':
        unit = kSecond;
        break;
      case 'm':
        unit = 60 * kSecond;
        break;
      case 'h':
        unit = 3'600 * kSecond;
        break;
      case 'd':
        unit = 86'400 * kSecond;
        break;
      case 'w':
        unit = 7 * 86'400 * kSecond;
        break;
      default:
        break;
    }
  }
  int64_t count = 0;
  const absl::string_view digits(text.data(), text.empty() ? 0 : text.size() - 1);
  if (unit == 0 || digits.empty() || !AllDigits(digits) || !absl::SimpleAtoi(digits, &count) ||
      count > std::numeric_limits<int64_t>::max() / unit / 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", std::string(text), "\" is no duration such as 90s, 15m, 24h, 30d or 2w"));
  }
  return count * unit;
}

absl::StatusOr<std::pair<std::string, std::string>> SplitPair(const std::string& pair) {
  const size_t equals = pair.find('=');
  if (equals == std::string::npos || equals == 0) {
    return absl::InvalidArgumentError(absl::StrCat("\"", pair, "\" is not of the form name=value"));
  }
  return std::make_pair(pair.substr(0, equals), pair.substr(equals + 1));
}

absl::StatusOr<std::string> PairsToJson(const std::vector<std::string>& pairs) {
  if (pairs.empty()) return std::string();
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (const std::string& pair : pairs) {
    ASSIGN_OR_RETURN(auto sides, SplitPair(pair));
    auto& [name, value] = sides;
    nlohmann::ordered_json parsed = value;
    if (name.size() > 1 && name.back() == ':') {
      name.pop_back();
      parsed = nlohmann::ordered_json::parse(value, nullptr, /*allow_exceptions=*/false);
      if (parsed.is_discarded()) {
        return absl::InvalidArgumentError(absl::StrCat("\"", pair, "\": what follows := is no JSON value"));
      }
    }
    if (object.contains(name)) return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is given twice"));
    object[name] = std::move(parsed);
  }
  // Invalid UTF-8 becomes U+FFFD: dump would throw.
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string FormatTimeMicros(int64_t unix_us) {
  if (unix_us == 0) return "-";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixMicros(unix_us), absl::UTCTimeZone());
}

std::string FormatTimestamp(const google::protobuf::Timestamp& time) {
  return FormatTimeMicros(time.seconds() * 1'000'000 + time.nanos() / 1'000);
}

std::string FormatMillis(int64_t us) { return absl::StrFormat("%d.%d ms", us / 1'000, us % 1'000 / 100); }

std::string Table::ToString() const {
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string text;
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - Width(row[i]) + 2, ' ');
    }
    text += '\n';
  }
  return text;
}

}  // namespace signalbox
