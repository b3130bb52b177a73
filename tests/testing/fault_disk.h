// A disk that fails on purpose: stands in front of libc's write, pwrite, writev, fsync, fdatasync, ftruncate, rename,
// link and unlink of the whole process (SQLite's too) and fails the n-th of them on files beneath one directory. Link
// it into a test for in-process faults; preloaded into one of our binaries (signalbox_fault_disk_preload) it obeys
//   SIGNALBOX_FAULT_DIRECTORY=dir  SIGNALBOX_FAULT_AT=n [SIGNALBOX_FAULT_KIND=io_error|full|torn|short]   or
//   SIGNALBOX_FAULT_DIRECTORY=dir  SIGNALBOX_FAULT_WHILE=file   (full as long as that file exists)
// Operations may come from any thread; arming is for one.
#pragma once

#include <string>

namespace signalbox {

enum class DiskFault {
  kIoError,  // nothing is done, EIO
  kFull,     // writes and syncs get ENOSPC; renaming, cutting and removing still work
  kTorn,     // half of a write is done, then EIO
  kShort,    // half of a write is done and said so, as POSIX allows; nothing else fails
};

// The n-th operation (1: the next) beneath `directory` fails, and with `stays` every later one.
void FailDisk(const std::string& directory, int n, DiskFault fault, bool stays);
void HealDisk();
bool DiskFailed();  // since FailDisk

}  // namespace signalbox
