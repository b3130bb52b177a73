// Windows that follow the calendar of a time zone: a day of 23 or 25 hours where clocks change, a month as long as it
// is. Pure but for the tz database, which is read once a zone and process. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "signalbox/v1/compiled.pb.h"

namespace signalbox {

struct Window {
  int64_t start_us = 0;  // Unix microseconds
  int64_t end_us = 0;    // the next one's start
};

// Whether `timezone` is an IANA name that the tz database of this machine knows; empty is UTC.
bool IsTimezone(std::string_view timezone);

// The window that contains `now_us`. `calendar` is DAY or MONTH; a time zone that is not known counts as UTC.
Window CalendarWindow(v1::Calendar calendar, const std::string& timezone, int64_t now_us);

}  // namespace signalbox
