// A SQLite VFS over another that writes what a transaction adds to the write-ahead log with one system call. SQLite
// itself writes each frame with two, its header of 24 bytes and its page, which a commit of a few rows mostly is.
//
// Frames are held back up to the one that commits, whose write returns when all are written: SQLite learns of a failure
// where it expects it, and nothing that is committed is ever held back. The log's format:
// https://sqlite.org/fileformat2.html#walformat
#pragma once

#include <string>

namespace signalbox {

// The name to open a database with; `base` empty: over SQLite's default. It must be one, like SQLite's for Unix, that
// does not look at which VFS it is called for. Registers it with the first call. Any thread.
std::string JoinedWalVfs(const std::string& base);

}  // namespace signalbox
