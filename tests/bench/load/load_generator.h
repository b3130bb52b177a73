// Makes the load: many keep-alive connections to one address in one thread over epoll, in three shapes. Closed loop:
// each connection sends its next request when its answer is there. Open loop: requests fall due at a fixed rate
// whatever the answers do, and latency counts from the moment one fell due, so that waiting is counted. Streams: each
// connection asks for one stream of events. What it uses itself is measured too. One thread; blocks until its time is
// over.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace signalbox::bench {

// The bytes of a request; in each one sent, the digits at `identifier_at` (if any) say another of `identifiers`.
struct Request {
  static constexpr size_t kIdentifierDigits = 7;
  std::string bytes;
  size_t identifier_at = 0;  // 0: every request is the same
  int64_t identifiers = 1;
};

struct Load {
  std::string address;  // host:port
  Request request;
  int connections = 1;
  double seconds = 1;          // measured
  double warm_up_seconds = 0;  // before that
  double rate = 0;             // requests a second, open loop; 0: closed loop
  // Called when measuring begins and when it ends, while the load goes on.
  std::function<void()> on_begin = [] {};
  std::function<void()> on_end = [] {};
};

struct LoadResult {
  int64_t answered = 0;  // 200, while it was measured
  int64_t failed = 0;    // any other answer or end of a request, whenever
  absl::Status error;    // the first of these
  double seconds = 0;
  double own_cpu_us = 0;            // of this thread, meanwhile
  std::vector<float> latencies_us;  // one an answer
  int64_t late_max = 0;             // open loop: the most requests that were due and waited for a connection
  double rate() const { return static_cast<double>(answered) / seconds; }
};

// UNAVAILABLE when the address cannot be reached; other answers than 200 and broken connections are counted.
absl::StatusOr<LoadResult> RunLoad(const Load& load);

struct StreamLoad {
  std::string address;
  Request request;
  int streams = 1;
  double ramp_seconds = 1;                    // in which they are asked for, evenly
  double patience_seconds = 60;               // for all of them, after the last began
  std::function<void()> on_all_open = [] {};  // once, when every stream had its first event
};

struct StreamResult {
  int complete = 0;    // ended with [DONE] and the end of the answer
  absl::Status error;  // the first answer that was not 200
  int64_t events = 0;
  double own_cpu_us = 0;
  std::vector<float> first_event_us;  // from the request to the first event
};

absl::StatusOr<StreamResult> RunStreams(const StreamLoad& load);

// The whole answer's body of one request. UNAVAILABLE unless it is a 200.
absl::StatusOr<std::string> AskOnce(const std::string& address, const Request& request);

}  // namespace signalbox::bench
