// One of our binaries as a child of a test: started with its output in files, known by its `listening` lines, ended by
// its pid and no other way. Gone when the object goes. One thread per object.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace signalbox {

class ChildProcess {
 public:
  // `arguments` without the program; stdout and stderr go to <log_prefix>.out and .log (replaced).
  static absl::StatusOr<ChildProcess> Start(const std::string& program, const std::vector<std::string>& arguments,
                                            const std::string& log_prefix);
  ~ChildProcess() { Kill(); }
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;

  // The address of its line `listening <kind> <address>`. UNAVAILABLE, with the end of its log, when it ends or says
  // nothing in time.
  absl::StatusOr<std::string> Listening(const std::string& kind);
  bool Running();
  void Kill();  // SIGKILL, and reaps
  // SIGSTOP, waited for: no thread of it runs any more when this returns. It is neither dead nor answering until Thaw.
  void Freeze();
  void Thaw();
  // SIGTERM; its exit status, or 128 + the signal that ended it. It has a minute.
  int Terminate();
  // Waits for it to end by itself; as Terminate.
  int Wait();
  pid_t pid() const { return pid_; }
  std::string Log() const;  // what it wrote to stderr
  std::string Out() const;

 private:
  ChildProcess() = default;
  void Reap(bool wait);
  pid_t pid_ = -1;  // -1: reaped
  int exit_status_ = 0;
  std::string log_prefix_;
};

struct CommandResult {
  int exit_status = 0;
  std::string out;
  std::string err;
};
// Runs a program to its end.
CommandResult RunCommand(const std::string& program, const std::vector<std::string>& arguments,
                         const std::string& log_prefix);

std::string ReadWholeFile(const std::string& path);  // empty when it cannot be read

}  // namespace signalbox
