// The few file operations the last known good needs, as a seam where tests let the n-th one fail. Thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace signalbox {

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  // NOT_FOUND when there is no such file, UNAVAILABLE on other errors; messages name the path and the reason.
  virtual absl::StatusOr<std::string> Read(const std::string& path) = 0;
  // Creates or truncates `path` (mode 0600), writes and syncs it.
  virtual absl::Status WriteAndSync(const std::string& path, std::string_view data) = 0;
  // Adds to a file that has `size` bytes and syncs what it then holds. FAILED_PRECONDITION, and nothing done, when it
  // has another size; after any other error what follows those bytes is unknown.
  virtual absl::Status AppendAndSync(const std::string& path, size_t size, std::string_view data) = 0;
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status SyncDirectory(const std::string& path) = 0;
};

FileSystem& PosixFileSystem();  // the machine's

}  // namespace signalbox
