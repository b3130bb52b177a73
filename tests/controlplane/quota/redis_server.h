// A redis-server of a test's own: on a free port of 127.0.0.1, with its own directory, append-only file on. Ended by
// its pid and no other way; gone, with its directory, when the object goes. Killing and starting again keeps port and
// data. One thread per object.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/testing/child_process.h"

namespace signalbox::testing {

struct RedisServerOptions {
  std::string appendfsync = "always";       // always, everysec, no
  std::vector<std::string> more_arguments;  // for redis-server, e.g. {"--maxmemory", "100mb"}
};

class RedisServer {
 public:
  // Running and answering PING. UNAVAILABLE, with the end of its log, when it does not come up.
  static absl::StatusOr<std::unique_ptr<RedisServer>> Start(RedisServerOptions options = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  void Kill();             // kill -9
  absl::Status Restart();  // starts again on the same port and data; kills first if it runs
  bool Running() { return process_ != nullptr && process_->Running(); }
  // Neither dead nor answering, as ChildProcess's.
  void Freeze();
  void Thaw();

  int port() const { return port_; }
  std::string url() const;  // redis://127.0.0.1:port
  pid_t pid() const { return process_ == nullptr ? -1 : process_->pid(); }
  std::string Log() const;
  // One command; its reply as text (arrays: elements joined by newlines), for tests' own looks into it.
  absl::StatusOr<std::string> Command(const std::vector<std::string>& words) const;

 private:
  RedisServer() = default;
  absl::Status Launch();
  RedisServerOptions options_;
  std::string directory_;
  int port_ = 0;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace signalbox::testing
