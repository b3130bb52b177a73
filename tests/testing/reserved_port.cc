#include "tests/testing/reserved_port.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"

namespace signalbox {
namespace {

constexpr int kFirst = 12'000;
constexpr int kPorts = 20'000;

// A name in the abstract namespace of Unix sockets is free again when its holder ends, however it ends.
bool Hold(int port) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string name = absl::StrCat("signalbox-test-port-", port);
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const int held = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (held >= 0 && ::bind(held, reinterpret_cast<const sockaddr*>(&address), size) == 0) return true;
  if (held >= 0) ::close(held);
  return false;
}

bool Free(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  ::setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  const bool free = probe >= 0 && ::bind(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  if (probe >= 0) ::close(probe);
  return free;
}

}  // namespace

int ReservedPort() {
  static int next = static_cast<int>(::getpid()) * 37;  // neighbours begin elsewhere
  for (int tries = 0; tries < kPorts; ++tries) {
    const int port = kFirst + next++ % kPorts;
    if (Hold(port) && Free(port)) return port;
  }
  std::fprintf(stderr, "no port is left from %d to %d\n", kFirst, kFirst + kPorts - 1);
  std::abort();
}

}  // namespace signalbox
