// Sends what the spool holds to the control plane over one Spend.Report stream and acks the spool as the control plane
// commits. A thread of its own does the work; requests only wake it. What was sent and not acked when a stream breaks
// is sent again on the next one. Thread-safe. The spool outlives it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/limits.h"
#include "dataplane/spend/spool.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace signalbox {

struct SpendClientOptions {
  std::shared_ptr<grpc::Channel> channel;
  std::string token;  // a proxy token
  std::string proxy_id;
  Spool* spool = nullptr;
  size_t batch_records_max = kSpendBatchRecordsMax;
  int64_t batch_bytes_max = 1 << 20;  // well under gRPC's 4 MiB a message
  size_t batches_in_flight_max = 4;
  // The first record after a quiet moment goes at once, later ones together: a batch costs what a dozen records do.
  // Long ones keep a core from requests: with 50 ms the 99th percentile of what limits add was half as much again.
  int64_t pace_us = 20'000;
  int64_t ack_timeout_us = 10'000'000;  // a stream silent for so long is given up
  int64_t backoff_us_min = 50'000;
  int64_t backoff_us_max = 5'000'000;
  // A record that cannot be read or that the control plane will never take is dropped: its request's id. Called on the
  // client's thread.
  std::function<void(const std::string& request_id)> on_refused;
};

class SpendClient {
 public:
  virtual ~SpendClient() = default;  // stops
  // There may be something new in the spool.
  virtual void Wake() = 0;
  // Sends without pacing until all is acked; false when `timeout_ms` passed first.
  virtual bool Flush(int timeout_ms) = 0;
  // Ends the stream; what is unacked stays in the spool. A second call does nothing.
  virtual void Stop() = 0;
};

// Starts sending at once.
std::unique_ptr<SpendClient> NewSpendClient(SpendClientOptions options);

}  // namespace signalbox
