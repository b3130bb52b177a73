// The terms of a `rate` element: as authored, read once for the validator and the compiler; as compiled, the counter it
// counts in; as text. Pure but for the tz database behind IsTimezone; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "signalbox/v1/compiled.pb.h"
#include "signalbox/v1/quota.pb.h"
#include "signalbox/v1/route.pb.h"

namespace signalbox {

// `window` and `timezone`; all zero and empty when `window` is no window. The time zone of UTC is empty, however it was
// written: the two share a counter.
struct LimitWindow {
  int64_t seconds = 0;
  v1::Calendar calendar = v1::CALENDAR_UNSPECIFIED;
  std::string timezone;
  bool operator==(const LimitWindow&) const = default;
};
LimitWindow ReadWindow(const v1::Properties& properties);

// "day", "month"; CALENDAR_UNSPECIFIED for any other text.
v1::Calendar ParseCalendar(std::string_view text);

// Empty for UTC and its other names, else the name as it is.
std::string NormalTimezone(std::string_view timezone);

// The fields of `key`, one or a list, in its order; what is not text is left out.
std::vector<std::string> KeyFields(const v1::Properties& properties);

// The counter that a limit counts in, but for the identifier: what the proxy asks for and what operators mean.
v1::CounterKey CounterOf(const std::string& gateway, const v1::CompiledElement::Limit& limit);
// The same into an empty one.
void FillCounter(const std::string& gateway, const v1::CompiledElement::Limit& limit, v1::CounterKey& counter);

// "dollars", "tokens", "requests".
std::string UnitText(v1::Unit unit);
// "86400 s", "month (Europe/Berlin)".
std::string WindowText(const v1::CounterKey& counter);
// "$1 per day", "10 requests per 90 seconds", "5000 tokens per month in Europe/Berlin (sliding)".
std::string LimitText(const v1::CompiledElement::Limit& limit);
// An amount in the unit, for people: "$0.50", "10 requests".
std::string AmountText(v1::Unit unit, int64_t amount);

}  // namespace signalbox
