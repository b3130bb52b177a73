// One request to a proxy, whose answer is handed on as it comes: a thread makes the call and fills a bounded queue, the
// HTTP port's thread empties it. Whoever reads may leave at any moment; the call is then cut. The object belongs to the
// reader; Start, Head, Next and the destructor are for one thread.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"

namespace httplib {
class Client;
}

namespace signalbox {

struct LiveRequest {
  std::string base_url;  // http://127.0.0.1:8080
  std::string path;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string ca_file;  // what the certificate is checked against; empty: the system's
  int timeout_ms = 0;   // of all of it
};

struct LiveHead {
  int status = 0;
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> headers;  // those that are handed on
};

class LiveRelay {
 public:
  explicit LiveRelay(LiveRequest request);
  // Cuts the call when it has not ended, and waits for its thread.
  ~LiveRelay();
  LiveRelay(const LiveRelay&) = delete;
  LiveRelay& operator=(const LiveRelay&) = delete;

  // Until the answer begins. UNAVAILABLE when none came.
  absl::StatusOr<LiveHead> Head() SB_EXCLUDES(mutex_);

  struct Piece {
    std::string bytes;   // empty: nothing new for now
    bool ended = false;  // and nothing follows
    bool whole = true;   // ended: whether the answer came to its end
  };
  // What came since, at most after `wait`.
  Piece Next(std::chrono::milliseconds wait) SB_EXCLUDES(mutex_);

 private:
  static constexpr size_t kQueueBytesMax = 1 << 20;
  void Run() SB_EXCLUDES(mutex_);
  bool Push(const char* data, size_t size) SB_EXCLUDES(mutex_);

  const LiveRequest request_;
  const std::chrono::steady_clock::time_point deadline_;
  std::unique_ptr<httplib::Client> client_;
  Mutex mutex_;
  CondVar changed_;
  std::optional<LiveHead> head_ SB_GUARDED_BY(mutex_);
  std::string queue_ SB_GUARDED_BY(mutex_);
  std::string error_ SB_GUARDED_BY(mutex_);  // why it ended, unless whole
  bool ended_ SB_GUARDED_BY(mutex_) = false;
  bool cut_ SB_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace signalbox
