// Percent-encoding of request lines. Pure.
#pragma once

#include <string>
#include <string_view>

namespace signalbox {

// What is no escape stays as it is.
std::string PercentDecoded(std::string_view text);

}  // namespace signalbox
