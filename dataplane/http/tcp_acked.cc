#include "dataplane/http/tcp_acked.h"

#include <linux/tcp.h>  // the C library's own tcp_info lacks the count, and the two headers exclude each other
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>

namespace signalbox {

std::optional<uint64_t> TcpBytesAcked(int fd) {
  tcp_info info = {};
  socklen_t length = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return std::nullopt;
  if (length < offsetof(tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked) return std::nullopt;
  return info.tcpi_bytes_acked;
}

}  // namespace signalbox
