#include "controlplane/data_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace signalbox {

absl::StatusOr<std::unique_ptr<DataDir>> DataDir::Open(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("no data directory: give --data_dir=DIR");
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::absolute(path, error).parent_path();
  if (!error) std::filesystem::create_directories(parent, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make ", parent.string(), ": ", error.message()));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::UnavailableError(absl::StrCat("cannot make the data directory ", path, ": ", std::strerror(errno)));
  }
  const std::string lock = absl::StrCat(path, "/lock");
  const int fd = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return absl::UnavailableError(absl::StrCat("cannot use the data directory ", path, ": ", std::strerror(errno)));
  }
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int why = errno;
    ::close(fd);
    if (why == EWOULDBLOCK) {
      return absl::FailedPreconditionError(absl::StrCat("another control plane is running on the data directory ", path,
                                                        ": stop it, or give another --data_dir"));
    }
    return absl::UnavailableError(absl::StrCat("cannot lock ", lock, ": ", std::strerror(why)));
  }
  return std::unique_ptr<DataDir>(new DataDir(path, fd));
}

// The file stays: removing it would let two processes lock two files of the same name.
DataDir::~DataDir() { ::close(lock_fd_); }

}  // namespace signalbox
