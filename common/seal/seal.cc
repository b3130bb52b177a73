#include "common/seal/seal.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/sha256.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

std::string RandomBytes(size_t n) {
  // libsodium's documented way: safe to call more than once and from several threads.
  static const bool ready = sodium_init() >= 0;
  (void)ready;
  std::string bytes(n, '\0');
  randombytes_buf(bytes.data(), bytes.size());
  return bytes;
}

absl::Status ErrnoStatus(std::string_view what, const std::string& path) {
  return absl::UnavailableError(absl::StrCat(std::string(what), " ", path, ": ", std::strerror(errno)));
}

// Whole or not at all, so that a crash or a full disk never leaves a file that is no key. Fine when there is one.
absl::Status MakeKeyFile(const std::string& path) {
  const std::string tmp = absl::StrCat(path, ".", NewUuid(), ".tmp");
  const int fd = ::open(tmp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoStatus("cannot create key file", tmp);
  const std::string text = absl::StrCat(Hex(RandomBytes(crypto_secretbox_KEYBYTES)), "\n");
  errno = ENOSPC;  // for a write that took only a part
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
  absl::Status status = written ? absl::OkStatus() : ErrnoStatus("cannot write key file", path);
  ::close(fd);
  // Unlike rename, link never replaces a key that another process made meanwhile.
  if (written && ::link(tmp.c_str(), path.c_str()) != 0 && errno != EEXIST) {
    status = ErrnoStatus("cannot create key file", path);
  }
  ::unlink(tmp.c_str());
  if (!status.ok()) return status;
  // What is sealed with it must not outlive it.
  const std::string directory = path.substr(0, path.find_last_of('/') + 1);
  const int directory_fd = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_fd < 0) return ErrnoStatus("cannot open the directory of key file", path);
  if (::fsync(directory_fd) != 0) status = ErrnoStatus("cannot sync the directory of key file", path);
  ::close(directory_fd);
  return status;
}

}  // namespace

absl::StatusOr<Sealer> Sealer::FromKeyFile(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) RETURN_IF_ERROR(MakeKeyFile(path));
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus("cannot read key file", path);
  struct stat info {};
  char buffer[256];
  const bool stat_ok = ::fstat(fd, &info) == 0;
  const ssize_t n = ::read(fd, buffer, sizeof(buffer));
  ::close(fd);
  if (!stat_ok || n < 0) return ErrnoStatus("cannot read key file", path);
  if ((info.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("key file ", path, " is accessible by others; make it private: chmod 600 ", path));
  }
  const std::string text(absl::StripSuffix(absl::string_view(buffer, static_cast<size_t>(n)), "\n"));
  bool hex = text.size() == crypto_secretbox_KEYBYTES * 2;
  for (char c : text) hex = hex && absl::ascii_isxdigit(static_cast<unsigned char>(c));
  if (!hex) {
    return absl::InvalidArgumentError(
        absl::StrCat("key file ", path, " does not hold a key (64 hex digits); restore it from your backup"));
  }
  return Sealer(absl::HexStringToBytes(text));
}

std::string Sealer::Seal(std::string_view plaintext) const {
  const std::string nonce = RandomBytes(crypto_secretbox_NONCEBYTES);
  std::string sealed = nonce;
  sealed.resize(nonce.size() + crypto_secretbox_MACBYTES + plaintext.size());
  crypto_secretbox_easy(reinterpret_cast<unsigned char*>(sealed.data()) + nonce.size(),
                        reinterpret_cast<const unsigned char*>(plaintext.data()), plaintext.size(),
                        reinterpret_cast<const unsigned char*>(nonce.data()),
                        reinterpret_cast<const unsigned char*>(key_.data()));
  return sealed;
}

absl::StatusOr<std::string> Sealer::Open(std::string_view sealed) const {
  constexpr size_t kOverhead = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
  if (sealed.size() < kOverhead) return absl::DataLossError("sealed data is too short");
  std::string plaintext(sealed.size() - kOverhead, '\0');
  const auto* bytes = reinterpret_cast<const unsigned char*>(sealed.data());
  if (crypto_secretbox_open_easy(reinterpret_cast<unsigned char*>(plaintext.data()),
                                 bytes + crypto_secretbox_NONCEBYTES, sealed.size() - crypto_secretbox_NONCEBYTES,
                                 bytes, reinterpret_cast<const unsigned char*>(key_.data())) != 0) {
    return absl::DataLossError("sealed data was altered, or was sealed with another key file");
  }
  return plaintext;
}

std::string NewSecret(std::string_view prefix) { return absl::StrCat(std::string(prefix), Hex(RandomBytes(32))); }

std::string NewUuid() {
  std::string bytes = RandomBytes(16);
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);  // RFC 9562, version 4
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  const std::string hex = Hex(bytes);
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-", hex.substr(16, 4), "-",
                      hex.substr(20));
}

bool ConstantTimeEquals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace signalbox
