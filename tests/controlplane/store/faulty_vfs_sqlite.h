// A SQLite VFS over the system's that fails the n-th write or sync from when it is armed, and every later one: a disk
// that is full, or gone. Half of what a failed write was to write is there. Registered once a process under kFaultyVfs;
// armed from one thread.
#pragma once

namespace signalbox {

inline constexpr char kFaultyVfs[] = "signalbox-faulty";

void RegisterFaultyVfs();
// The n-th write or sync (1: the next) and all after it fail; as "disk full", or with `io_error` as an I/O error.
void FailFromWrite(int n, bool io_error = false);
void HealWrites();
bool WriteFailed();  // since it was armed

}  // namespace signalbox
