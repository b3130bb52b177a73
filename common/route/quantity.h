// Numbers of the route language, made exact once. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "signalbox/v1/compiled.pb.h"

namespace signalbox {

// Dollars as written to nano-dollars: the shortest decimal that reads back as `dollars`, half to even at the ninth
// place (0.1 is exactly 100,000,000). nullopt when not finite, not positive after rounding, or above kLimitNanosMax.
std::optional<int64_t> DollarsToNanos(double dollars);

// A whole number in [low, high], or nullopt.
std::optional<int64_t> WholeNumber(double value, int64_t low, int64_t high);

// "33.34%", "50% a" (a label after the share) to basis points in [0, 10000]; nullopt when it is no share.
std::optional<uint32_t> ParseShare(std::string_view output);

}  // namespace signalbox
