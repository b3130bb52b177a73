// Memory of strings and the like, given back while what held it stays.
#pragma once

#include <utility>

namespace signalbox {

// Leaves `value` empty and frees what it held: assigning it an empty one may keep the memory, as strings do.
template <typename T>
void GiveBack(T& value) {
  static_cast<void>(std::exchange(value, T()));
}

}  // namespace signalbox
