// The control plane's directory, held by one process at a time: a lock on <dir>/lock that the kernel drops when the
// process ends, however it ends.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace signalbox {

class DataDir {
 public:
  // Makes the directory (0700) when it is missing. FAILED_PRECONDITION when another process holds it, UNAVAILABLE when
  // it cannot be used.
  static absl::StatusOr<std::unique_ptr<DataDir>> Open(const std::string& path);
  ~DataDir();
  DataDir(const DataDir&) = delete;
  DataDir& operator=(const DataDir&) = delete;

  std::string File(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  DataDir(std::string path, int lock_fd) : path_(std::move(path)), lock_fd_(lock_fd) {}
  const std::string path_;
  const int lock_fd_;
};

}  // namespace signalbox
