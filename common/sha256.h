// SHA-256 (FIPS 180-4) by OpenSSL. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace signalbox {

std::string Sha256(std::string_view data);     // 32 bytes
std::string Sha256Hex(std::string_view data);  // 64 lower-case hex digits
std::string Hex(std::string_view bytes);
// Of the pieces one after another.
std::string Sha256Hex(const std::vector<std::string_view>& pieces);

}  // namespace signalbox
