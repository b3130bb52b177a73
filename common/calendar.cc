#include "common/calendar.h"

#include <algorithm>
#include <functional>
#include <map>
#include <string>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace signalbox {
namespace {

constexpr size_t kTimezoneBytesMax = 64;

// Names become paths under the tz database: nothing that could leave it, nor what means another zone on another machine
// (localtime) or is a second copy of the database (posix, right, the latter with leap seconds).
bool IsPlainName(std::string_view name) {
  if (name == "localtime" || name == "posixrules" || name.substr(0, 6) == "posix/" || name.substr(0, 6) == "right/") {
    return false;
  }
  if (name.size() > kTimezoneBytesMax || name.front() == '/' || name.find("..") != std::string_view::npos) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_+-/").find(c) != std::string_view::npos;
  });
}

bool Load(std::string_view timezone, absl::TimeZone& zone) {
  zone = absl::UTCTimeZone();
  if (timezone.empty()) return true;
  // Those that exist, so no more than the tz database has. Abseil's own table has a lock.
  thread_local std::map<std::string, absl::TimeZone, std::less<>> known;
  if (const auto it = known.find(timezone); it != known.end()) {
    zone = it->second;
    return true;
  }
  const std::string name(timezone);
  if (!IsPlainName(name) || !absl::LoadTimeZone(name, &zone)) return false;
  known.emplace(name, zone);
  return true;
}

template <typename Civil>
Window WindowOf(const absl::TimeZone& zone, int64_t now_us) {
  const Civil civil(absl::ToCivilSecond(absl::FromUnixMicros(now_us), zone));
  return {absl::ToUnixMicros(absl::FromCivil(civil, zone)), absl::ToUnixMicros(absl::FromCivil(civil + 1, zone))};
}

}  // namespace

bool IsTimezone(std::string_view timezone) {
  absl::TimeZone ignored;
  return Load(timezone, ignored);
}

Window CalendarWindow(v1::Calendar calendar, const std::string& timezone, int64_t now_us) {
  absl::TimeZone zone;
  Load(timezone, zone);
  return calendar == v1::MONTH ? WindowOf<absl::CivilMonth>(zone, now_us) : WindowOf<absl::CivilDay>(zone, now_us);
}

}  // namespace signalbox
