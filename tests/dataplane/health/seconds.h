#pragma once

#include <cstdint>

namespace signalbox {

inline constexpr int64_t kSecondUs = 1'000'000;

}  // namespace signalbox
