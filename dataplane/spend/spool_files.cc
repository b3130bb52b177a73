#include "dataplane/spend/spool_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace signalbox {
namespace {

absl::Status Fault(std::string_view action, const std::string& path, int error) {
  const std::string text = absl::StrCat("cannot ", std::string(action), " ", path, ": ", std::strerror(error));
  return error == ENOENT ? absl::NotFoundError(text) : absl::UnavailableError(text);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

absl::Status WriteAll(int fd, const std::string& path, std::string_view data) {
  while (!data.empty()) {
    const ssize_t written = ::write(fd, data.data(), data.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return Fault("write", path, errno);
    }
    data.remove_prefix(written);
  }
  return absl::OkStatus();
}

class PosixSpoolFile : public SpoolFile {
 public:
  PosixSpoolFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  absl::Status Append(std::string_view data) override { return WriteAll(fd_.get(), path_, data); }
  absl::Status Truncate(int64_t size) override {
    return ::ftruncate(fd_.get(), size) == 0 ? absl::OkStatus() : Fault("truncate", path_, errno);
  }

 private:
  const Descriptor fd_;
  const std::string path_;
};

class Posix : public SpoolFiles {
 public:
  absl::Status MakeDirectory(const std::string& path) override {
    return ::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST ? absl::OkStatus()
                                                               : Fault("make directory", path, errno);
  }

  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override {
    DIR* directory = ::opendir(path.c_str());
    if (directory == nullptr) return Fault("list", path, errno);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(directory)) names.emplace_back(entry->d_name);
    const int error = errno;
    ::closedir(directory);
    if (error != 0) return Fault("list", path, error);
    return names;
  }

  absl::StatusOr<std::unique_ptr<SpoolFile>> Lock(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) return Fault("open", path, errno);
    auto file = std::make_unique<PosixSpoolFile>(fd, path);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return Fault("lock", path, errno);
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is locked by another process: give every proxy a data directory of its own"));
    }
    return file;
  }

  absl::StatusOr<std::unique_ptr<SpoolFile>> Create(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return Fault("create", path, errno);
    return std::make_unique<PosixSpoolFile>(fd, path);
  }

  absl::StatusOr<std::string> Read(const std::string& path, int64_t offset, int64_t bytes_max) override {
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info {};
    if (fd.get() < 0 || ::fstat(fd.get(), &info) != 0) return Fault("read", path, errno);
    std::string data(std::clamp<int64_t>(info.st_size - offset, 0, bytes_max), '\0');
    size_t done = 0;
    while (done < data.size()) {
      const ssize_t count = ::pread(fd.get(), data.data() + done, data.size() - done, offset + done);
      if (count == 0) break;
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return Fault("read", path, errno);
      done += count;
    }
    data.resize(done);
    return data;
  }

  absl::Status Overwrite(const std::string& path, std::string_view data) override {
    const Descriptor fd(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    return fd.get() < 0 ? Fault("open", path, errno) : WriteAll(fd.get(), path, data);
  }

  absl::Status Remove(const std::string& path) override {
    return ::unlink(path.c_str()) == 0 || errno == ENOENT ? absl::OkStatus() : Fault("remove", path, errno);
  }
};

}  // namespace

SpoolFiles& PosixSpoolFiles() {
  static Posix files;
  return files;
}

}  // namespace signalbox
