#include "tests/testing/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/testing/eventually.h"

namespace signalbox {
namespace {

constexpr size_t kLogTailBytes = 2'000;

std::string Tail(const std::string& text) {
  return text.size() <= kLogTailBytes ? text : text.substr(text.size() - kLogTailBytes);
}

// In the child, between fork and exec: only calls that are safe there.
[[noreturn]] void Become(const char* program, char* const* argv, int out, int err, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that crashes leaves nothing running
  if (getppid() != parent) _exit(127);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  execv(program, argv);
  _exit(127);
}

}  // namespace

std::string ReadWholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

absl::StatusOr<ChildProcess> ChildProcess::Start(const std::string& program, const std::vector<std::string>& arguments,
                                                 const std::string& log_prefix) {
  if (access(program.c_str(), X_OK) != 0) return absl::NotFoundError(absl::StrCat("no program ", program));
  const int out = open(absl::StrCat(log_prefix, ".out").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const int err = open(absl::StrCat(log_prefix, ".log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (out < 0 || err < 0) return absl::UnavailableError(absl::StrCat("cannot write ", log_prefix, ".*"));
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) Become(program.c_str(), argv.data(), out, err, parent);
  close(out);
  close(err);
  if (pid < 0) return absl::UnavailableError(absl::StrCat("cannot start ", program, ": ", std::strerror(errno)));
  ChildProcess child;
  child.pid_ = pid;
  child.log_prefix_ = log_prefix;
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      exit_status_(other.exit_status_),
      log_prefix_(std::move(other.log_prefix_)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    Kill();
    pid_ = std::exchange(other.pid_, -1);
    exit_status_ = other.exit_status_;
    log_prefix_ = std::move(other.log_prefix_);
  }
  return *this;
}

void ChildProcess::Reap(bool wait) {
  if (pid_ < 0) return;
  int status = 0;
  pid_t reaped = 0;
  do {
    reaped = waitpid(pid_, &status, wait ? 0 : WNOHANG);
  } while (reaped < 0 && errno == EINTR);
  if (reaped != pid_) return;
  exit_status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  pid_ = -1;
}

bool ChildProcess::Running() {
  Reap(/*wait=*/false);
  return pid_ >= 0;
}

absl::StatusOr<std::string> ChildProcess::Listening(const std::string& kind) {
  const std::string prefix = absl::StrCat("listening ", kind, " ");
  std::string address;
  Eventually([&] {
    std::istringstream lines(Out());
    for (std::string line; address.empty() && std::getline(lines, line) && !lines.eof();) {
      if (line.rfind(prefix, 0) == 0) address = line.substr(prefix.size());
    }
    return !address.empty() || !Running();
  });
  if (!address.empty()) return address;
  return absl::UnavailableError(absl::StrCat(log_prefix_, Running() ? " did not say \"" : " ended before it said \"",
                                             prefix, "\":\n", Tail(Log())));
}

void ChildProcess::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  Reap(/*wait=*/true);
}

void ChildProcess::Freeze() {
  if (!Running()) return;
  kill(pid_, SIGSTOP);
  // The signal stops one thread after the other; the wait ends with the last. (WNOWAIT: Reap takes a death.)
  siginfo_t stopped;
  while (waitid(P_PID, static_cast<id_t>(pid_), &stopped, WSTOPPED | WEXITED | WNOWAIT) < 0 && errno == EINTR) {
  }
}

void ChildProcess::Thaw() {
  if (Running()) kill(pid_, SIGCONT);
}

int ChildProcess::Terminate() {
  if (!Running()) return exit_status_;
  kill(pid_, SIGTERM);
  return Wait();
}

int ChildProcess::Wait() {
  Eventually([this] { return !Running(); }, 60'000);
  if (Running()) Kill();
  return exit_status_;
}

std::string ChildProcess::Log() const { return ReadWholeFile(absl::StrCat(log_prefix_, ".log")); }
std::string ChildProcess::Out() const { return ReadWholeFile(absl::StrCat(log_prefix_, ".out")); }

CommandResult RunCommand(const std::string& program, const std::vector<std::string>& arguments,
                         const std::string& log_prefix) {
  unlink(absl::StrCat(log_prefix, ".log").c_str());
  absl::StatusOr<ChildProcess> child = ChildProcess::Start(program, arguments, log_prefix);
  if (!child.ok()) return {127, "", std::string(child.status().message())};
  CommandResult result;
  result.exit_status = child->Wait();
  result.out = child->Out();
  result.err = child->Log();
  return result;
}

}  // namespace signalbox
