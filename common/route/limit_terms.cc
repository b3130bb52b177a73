#include "common/route/limit_terms.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/limits.h"
#include "common/money.h"
#include "common/route/quantity.h"

namespace signalbox {
namespace {

// The tz database's links to UTC and to GMT, which is no other time.
constexpr std::array<std::string_view, 18> kNamesOfUtc = {
    "UTC",       "Etc/UTC",   "UCT",      "Etc/UCT", "Universal", "Etc/Universal", "Zulu", "Etc/Zulu",  "Etc/GMT",
    "Etc/GMT+0", "Etc/GMT-0", "Etc/GMT0", "GMT",     "GMT+0",     "GMT-0",         "GMT0", "Greenwich", "Etc/Greenwich",
};

// "day", "3 hours", "90 seconds".
std::string SpanText(int64_t seconds) {
  constexpr std::array<std::pair<int64_t, const char*>, 5> kSpans = {
      {{604'800, "week"}, {86'400, "day"}, {3'600, "hour"}, {60, "minute"}, {1, "second"}}};
  const auto& [size, name] =
      *std::find_if(kSpans.begin(), kSpans.end(), [&](const auto& span) { return seconds % span.first == 0; });
  return seconds == size ? name : absl::StrCat(seconds / size, " ", name, "s");
}

}  // namespace

v1::Calendar ParseCalendar(std::string_view text) {
  if (text == "day") return v1::DAY;
  if (text == "month") return v1::MONTH;
  return v1::CALENDAR_UNSPECIFIED;
}

std::string NormalTimezone(std::string_view timezone) {
  const bool utc = std::find(kNamesOfUtc.begin(), kNamesOfUtc.end(), timezone) != kNamesOfUtc.end();
  return utc ? "" : std::string(timezone);
}

LimitWindow ReadWindow(const v1::Properties& properties) {
  LimitWindow window;
  const google::protobuf::Value& value = properties.window();
  if (value.has_number_value()) {
    window.seconds = WholeNumber(value.number_value(), 1, kWindowSecondsMax).value_or(0);
  } else if (value.has_string_value()) {
    window.calendar = ParseCalendar(value.string_value());
    if (window.calendar != v1::CALENDAR_UNSPECIFIED) window.timezone = NormalTimezone(properties.timezone());
  }
  return window;
}

std::vector<std::string> KeyFields(const v1::Properties& properties) {
  std::vector<std::string> fields;
  const google::protobuf::Value& key = properties.key();
  if (key.has_string_value()) fields.push_back(key.string_value());
  for (const google::protobuf::Value& item : key.list_value().values()) {
    if (item.has_string_value()) fields.push_back(item.string_value());
  }
  return fields;
}

void FillCounter(const std::string& gateway, const v1::CompiledElement::Limit& limit, v1::CounterKey& counter) {
  counter.set_gateway(gateway);
  counter.set_pool(limit.pool());
  counter.set_unit(limit.unit());
  counter.set_window_seconds(limit.window_seconds());
  counter.set_calendar(limit.calendar());
  counter.set_timezone(limit.timezone());
  counter.set_technique(limit.technique());
}

v1::CounterKey CounterOf(const std::string& gateway, const v1::CompiledElement::Limit& limit) {
  v1::CounterKey counter;
  FillCounter(gateway, limit, counter);
  return counter;
}

std::string UnitText(v1::Unit unit) {
  return unit == v1::NANO_DOLLARS ? "dollars" : unit == v1::TOKENS ? "tokens" : "requests";
}

std::string WindowText(const v1::CounterKey& counter) {
  if (counter.calendar() == v1::CALENDAR_UNSPECIFIED) return absl::StrCat(counter.window_seconds(), " s");
  return absl::StrCat(counter.calendar() == v1::DAY ? "day" : "month", " (",
                      counter.timezone().empty() ? "UTC" : counter.timezone(), ")");
}

std::string AmountText(v1::Unit unit, int64_t amount) {
  if (unit == v1::NANO_DOLLARS) return std::string(absl::StripSuffix(FormatMoney(amount), ".00"));
  return absl::StrCat(amount, unit == v1::TOKENS ? " token" : " request", amount == 1 ? "" : "s");
}

std::string LimitText(const v1::CompiledElement::Limit& limit) {
  std::string window = SpanText(limit.window_seconds());
  if (limit.calendar() != v1::CALENDAR_UNSPECIFIED) {
    window = absl::StrCat(limit.calendar() == v1::MONTH ? "month" : "day", " in ",
                          limit.timezone().empty() ? "UTC" : limit.timezone());
  }
  return absl::StrCat(AmountText(limit.unit(), limit.limit()), " per ", window,
                      limit.technique() == v1::SLIDING ? " (sliding)" : "");
}

}  // namespace signalbox
