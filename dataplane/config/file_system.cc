#include "dataplane/config/file_system.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace signalbox {
namespace {

absl::Status ErrnoStatus(const char* what, const std::string& path) {
  const int error = errno;
  const std::string message = absl::StrCat("cannot ", what, " ", path, ": ", std::strerror(error));
  return error == ENOENT ? absl::NotFoundError(message) : absl::UnavailableError(message);
}

absl::Status WriteSyncAndClose(int fd, const std::string& path, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const absl::Status status = ErrnoStatus("write", path);
      ::close(fd);
      return status;
    }
    data.remove_prefix(static_cast<size_t>(n));
  }
  // A file's size is synced with its data.
  if (::fdatasync(fd) != 0) {
    const absl::Status status = ErrnoStatus("sync", path);
    ::close(fd);
    return status;
  }
  if (::close(fd) != 0) return ErrnoStatus("close", path);
  return absl::OkStatus();
}

class Posix final : public FileSystem {
 public:
  absl::StatusOr<std::string> Read(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ErrnoStatus("read", path);
    std::string data;
    char buffer[64 << 10];
    while (true) {
      const ssize_t n = ::read(fd, buffer, sizeof(buffer));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        const absl::Status status = ErrnoStatus("read", path);
        ::close(fd);
        return status;
      }
      if (n == 0) break;
      data.append(buffer, static_cast<size_t>(n));
    }
    ::close(fd);
    return data;
  }

  absl::Status WriteAndSync(const std::string& path, std::string_view data) override {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return ErrnoStatus("write", path);
    return WriteSyncAndClose(fd, path, data);
  }

  absl::Status AppendAndSync(const std::string& path, size_t size, std::string_view data) override {
    const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0) return ErrnoStatus("write", path);
    struct stat info {};
    if (::fstat(fd, &info) != 0) {
      const absl::Status status = ErrnoStatus("look at", path);
      ::close(fd);
      return status;
    }
    if (info.st_size != static_cast<off_t>(size)) {
      ::close(fd);
      return absl::FailedPreconditionError(
          absl::StrCat("cannot write ", path, ": it has ", info.st_size, " bytes instead of ", size));
    }
    return WriteSyncAndClose(fd, path, data);
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (std::rename(from.c_str(), to.c_str()) != 0) return ErrnoStatus("rename", from);
    return absl::OkStatus();
  }

  absl::Status SyncDirectory(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return ErrnoStatus("open directory", path);
    const bool synced = ::fsync(fd) == 0;
    const absl::Status status = synced ? absl::OkStatus() : ErrnoStatus("sync directory", path);
    ::close(fd);
    return status;
  }
};

}  // namespace

FileSystem& PosixFileSystem() {
  static auto* posix = new Posix();
  return *posix;
}

}  // namespace signalbox
