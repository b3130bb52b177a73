#include "tests/testing/fault_disk.h"

#include <dlfcn.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace signalbox {
namespace {

// Plain memory: it is used before and after every static object of the process.
char directory[PATH_MAX];
char while_file[PATH_MAX];
std::atomic<bool> armed{false};
std::atomic<int> operations_left{0};
std::atomic<bool> stays{false};
std::atomic<bool> failed{false};
std::atomic<int> kind{0};

template <typename Function>
Function Real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

bool Beneath(const char* path) {
  const size_t size = std::strlen(directory);
  return std::strncmp(path, directory, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

bool Beneath(int fd) {
  char link[64];
  char path[PATH_MAX];
  std::snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t size = ::readlink(link, path, sizeof(path) - 1);
  if (size < 0) return false;
  path[size] = '\0';
  return Beneath(path);
}

enum class Operation { kWrite, kSync, kName };

// Whether this operation fails; it counts only when it could.
bool Fails(Operation operation) {
  const auto fault = static_cast<DiskFault>(kind.load());
  if (fault == DiskFault::kShort && operation != Operation::kWrite) return false;
  if (fault == DiskFault::kFull && operation == Operation::kName) return false;
  if (while_file[0] != '\0') {
    if (::access(while_file, F_OK) != 0) return false;
  } else if (operations_left.fetch_sub(1) > 1) {
    return false;
  } else if (!stays) {
    armed = false;
  }
  failed = true;
  return true;
}

template <typename Target>
bool FailsOn(Target target, Operation operation) {
  if (!armed.load()) return false;
  const int kept = errno;
  const bool fails = Beneath(target) && Fails(operation);
  errno = kept;
  return fails;
}

int Fault() {
  errno = static_cast<DiskFault>(kind.load()) == DiskFault::kFull ? ENOSPC : EIO;
  return -1;
}

// `some(bytes)` writes the first bytes.
template <typename Some>
ssize_t FaultyWrite(size_t size, const Some& some) {
  const auto fault = static_cast<DiskFault>(kind.load());
  if (fault == DiskFault::kShort && size > 1) return some(size / 2);
  if (fault == DiskFault::kShort) return some(size);
  if (fault == DiskFault::kTorn && some(size / 2) < 0) return -1;
  return Fault();
}

__attribute__((constructor)) void ReadEnvironment() {
  const char* beneath = std::getenv("SIGNALBOX_FAULT_DIRECTORY");
  if (beneath == nullptr) return;
  const char* at = std::getenv("SIGNALBOX_FAULT_AT");
  const char* as_long_as = std::getenv("SIGNALBOX_FAULT_WHILE");
  const char* how = std::getenv("SIGNALBOX_FAULT_KIND");
  std::snprintf(directory, sizeof(directory), "%s", beneath);
  DiskFault fault = as_long_as != nullptr ? DiskFault::kFull : DiskFault::kIoError;
  if (how != nullptr && std::strcmp(how, "full") == 0) fault = DiskFault::kFull;
  if (how != nullptr && std::strcmp(how, "torn") == 0) fault = DiskFault::kTorn;
  if (how != nullptr && std::strcmp(how, "short") == 0) fault = DiskFault::kShort;
  kind = static_cast<int>(fault);
  if (as_long_as != nullptr) std::snprintf(while_file, sizeof(while_file), "%s", as_long_as);
  operations_left = at != nullptr ? std::atoi(at) : INT_MAX;
  armed = at != nullptr || as_long_as != nullptr;
}

}  // namespace

void FailDisk(const std::string& beneath, int n, DiskFault fault, bool and_stays) {
  armed = false;
  std::snprintf(directory, sizeof(directory), "%s", beneath.c_str());
  kind = static_cast<int>(fault);
  operations_left = n;
  stays = and_stays;
  failed = false;
  armed = true;
}
void HealDisk() { armed = false; }
bool DiskFailed() { return failed; }

}  // namespace signalbox

using signalbox::FailsOn;
using signalbox::Fault;
using signalbox::FaultyWrite;
using signalbox::Operation;
using signalbox::Real;

extern "C" {

ssize_t write(int fd, const void* data, size_t size) {
  static const auto real = Real<ssize_t (*)(int, const void*, size_t)>("write");
  if (!FailsOn(fd, Operation::kWrite)) return real(fd, data, size);
  return FaultyWrite(size, [&](size_t some) { return real(fd, data, some); });
}

ssize_t writev(int fd, const iovec* parts, int count) {
  static const auto real = Real<ssize_t (*)(int, const iovec*, int)>("writev");
  if (!FailsOn(fd, Operation::kWrite)) return real(fd, parts, count);
  return Fault();
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  static const auto real = Real<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  if (!FailsOn(fd, Operation::kWrite)) return real(fd, data, size, offset);
  return FaultyWrite(size, [&](size_t some) { return real(fd, data, some, offset); });
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  static const auto real = Real<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64");
  if (!FailsOn(fd, Operation::kWrite)) return real(fd, data, size, offset);
  return FaultyWrite(size, [&](size_t some) { return real(fd, data, some, offset); });
}

int fsync(int fd) {
  static const auto real = Real<int (*)(int)>("fsync");
  return FailsOn(fd, Operation::kSync) ? Fault() : real(fd);
}

int fdatasync(int fd) {
  static const auto real = Real<int (*)(int)>("fdatasync");
  return FailsOn(fd, Operation::kSync) ? Fault() : real(fd);
}

int ftruncate(int fd, off_t size) noexcept {
  static const auto real = Real<int (*)(int, off_t)>("ftruncate");
  return FailsOn(fd, Operation::kName) ? Fault() : real(fd, size);
}

int ftruncate64(int fd, off64_t size) noexcept {
  static const auto real = Real<int (*)(int, off64_t)>("ftruncate64");
  return FailsOn(fd, Operation::kName) ? Fault() : real(fd, size);
}

int rename(const char* from, const char* to) noexcept {
  static const auto real = Real<int (*)(const char*, const char*)>("rename");
  return FailsOn(from, Operation::kName) ? Fault() : real(from, to);
}

int link(const char* from, const char* to) noexcept {
  static const auto real = Real<int (*)(const char*, const char*)>("link");
  return FailsOn(from, Operation::kName) ? Fault() : real(from, to);
}

int unlink(const char* path) noexcept {
  static const auto real = Real<int (*)(const char*)>("unlink");
  return FailsOn(path, Operation::kName) ? Fault() : real(path);
}

}  // extern "C"
