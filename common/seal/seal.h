// Authenticated encryption of secrets at rest (libsodium secretbox: XSalsa20-Poly1305). Any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace signalbox {

class Sealer {
 public:
  // Reads the 32-byte key (hex) at `path`, or makes one there, mode 0600. FAILED_PRECONDITION when the file is
  // readable by others, INVALID_ARGUMENT when it is no key.
  static absl::StatusOr<Sealer> FromKeyFile(const std::string& path);

  std::string Seal(std::string_view plaintext) const;  // fresh nonce each time
  // DATA_LOSS when `sealed` was altered or made with another key.
  absl::StatusOr<std::string> Open(std::string_view sealed) const;

 private:
  explicit Sealer(std::string key) : key_(std::move(key)) {}
  std::string key_;
};

// 256 random bits as text with a prefix: sbx_<64 hex>, sbt_... . Shown once, stored as SHA-256.
std::string NewSecret(std::string_view prefix);
std::string NewUuid();
// Comparison whose time does not depend on where the strings differ.
bool ConstantTimeEquals(std::string_view a, std::string_view b);

}  // namespace signalbox
