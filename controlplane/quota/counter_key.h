// A counter's identity and its windows. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "common/calendar.h"
#include "signalbox/v1/quota.pb.h"

namespace signalbox {

// (gateway, pool, unit, window, technique, identifier with its types), strings length-prefixed: two keys that differ
// anywhere never share one.
void AppendIdentity(const v1::CounterKey& key, std::string& out);
// Empty when a counter can have this key, else a sentence that says why not.
std::string KeyFault(const v1::CounterKey& key);

// The window that contains `now_us`: aligned to the UTC epoch, or the calendar's. `key` has no fault.
Window WindowOf(const v1::CounterKey& key, int64_t now_us);
// How long after it was used at the latest an amount stops counting.
int64_t WeighsAtMostUs(const v1::CounterKey& key);

}  // namespace signalbox
