#include "common/sha256.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <memory>
#include <span>

namespace signalbox {
namespace {

std::string DigestOf(std::span<const std::string_view> pieces) {
  // Looked up once, and the context kept: either takes longer than the digest of a key.
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  static thread_local const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  EVP_DigestInit_ex(context.get(), algorithm, nullptr);
  for (const std::string_view piece : pieces) EVP_DigestUpdate(context.get(), piece.data(), piece.size());
  EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr);
  return digest;
}

}  // namespace

std::string Sha256(std::string_view data) { return DigestOf({&data, 1}); }

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex(bytes.size() * 2, '\0');
  char* out = hex.data();
  for (const unsigned char c : bytes) {
    *out++ = kDigits[c >> 4];
    *out++ = kDigits[c & 15];
  }
  return hex;
}

std::string Sha256Hex(std::string_view data) { return Hex(Sha256(data)); }

std::string Sha256Hex(const std::vector<std::string_view>& pieces) { return Hex(DigestOf(pieces)); }

}  // namespace signalbox
