// The few file operations of the spool, as a seam where tests let the n-th one fail. Thread-safe; the files it opens
// are used by one thread at a time. Errors are UNAVAILABLE (NOT_FOUND where said) and name the path and the reason.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace signalbox {

class SpoolFile {
 public:
  virtual ~SpoolFile() = default;  // closes, and gives up a lock
  // All of `data` at the end (no sync). On an error a part of it may have been written.
  virtual absl::Status Append(std::string_view data) = 0;
  virtual absl::Status Truncate(int64_t size) = 0;
};

class SpoolFiles {
 public:
  virtual ~SpoolFiles() = default;
  virtual absl::Status MakeDirectory(const std::string& path) = 0;                     // fine when it is there
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& path) = 0;  // names
  // FAILED_PRECONDITION when another process (or object) holds it.
  virtual absl::StatusOr<std::unique_ptr<SpoolFile>> Lock(const std::string& path) = 0;
  // A new, empty file, mode 0600; an error when there is one.
  virtual absl::StatusOr<std::unique_ptr<SpoolFile>> Create(const std::string& path) = 0;
  // At most `bytes_max` from `offset` on; shorter at the file's end. NOT_FOUND when there is no such file.
  virtual absl::StatusOr<std::string> Read(const std::string& path, int64_t offset, int64_t bytes_max) = 0;
  // Writes `data` at the start of `path`, which is created when missing and keeps what it has behind.
  virtual absl::Status Overwrite(const std::string& path, std::string_view data) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;  // fine when it is gone
};

SpoolFiles& PosixSpoolFiles();  // the machine's

}  // namespace signalbox
