#include "common/sha256.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

namespace signalbox {

std::string Sha256(std::string_view data) {
  // Looked up once: that takes longer than the digest of a key.
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr, algorithm, nullptr);
  return digest;
}

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (unsigned char c : bytes) {
    hex.push_back(kDigits[c >> 4]);
    hex.push_back(kDigits[c & 15]);
  }
  return hex;
}

std::string Sha256Hex(std::string_view data) { return Hex(Sha256(data)); }

}  // namespace signalbox
