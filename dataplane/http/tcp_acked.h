// How many of the bytes a TCP socket sent the peer's kernel has acknowledged, since the connection began. A peer that
// ended the connection (a FIN carries its acknowledgement) without the count having moved took none of what was sent
// since: no program there can have read it. Any thread.
#pragma once

#include <cstdint>
#include <optional>

namespace signalbox {

std::optional<uint64_t> TcpBytesAcked(int fd);  // nullopt when the kernel does not say

}  // namespace signalbox
