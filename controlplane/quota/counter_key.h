// A counter's identity as one string. Pure.
#pragma once

#include <string>

#include "signalbox/v1/quota.pb.h"

namespace signalbox {

// (gateway, pool, unit, window, technique, identifier with its type), strings length-prefixed: two keys that differ
// anywhere never share one.
void AppendIdentity(const v1::CounterKey& key, std::string& out);
// Empty when a counter can have this key, else a sentence that says why not.
std::string KeyFault(const v1::CounterKey& key);

}  // namespace signalbox
