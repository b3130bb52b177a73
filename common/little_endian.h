// Unsigned numbers in bytes, the lowest first: as files of ours have them, on whatever machine. Pure.
#pragma once

#include <cstddef>
#include <type_traits>

namespace signalbox {

template <typename T>
void PutLittleEndian(T value, char* at) {
  static_assert(std::is_unsigned_v<T>);
  for (size_t i = 0; i < sizeof(T); ++i) at[i] = static_cast<char>(value >> (8 * i));
}

template <typename T>
T GetLittleEndian(const char* at) {
  static_assert(std::is_unsigned_v<T>);
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value |= T{static_cast<unsigned char>(at[i])} << (8 * i);
  return value;
}

}  // namespace signalbox
