// A port for a process that a test stops and starts again at the same address. One that the kernel gave (port 0) may be
// somebody's outgoing connection by then, or a neighbour test's listener. Reserved ports lie below the range that the
// kernel gives from, and each belongs to one process at a time, which holds it until it ends.
#pragma once

namespace signalbox {

// On 127.0.0.1. Ends the process when there is none left.
int ReservedPort();

}  // namespace signalbox
