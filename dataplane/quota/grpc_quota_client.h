// The quota client over gRPC: one bidirectional stream, one write outstanding, commands paced by kQuotaBatchPaceUs and,
// in dense traffic, gathered for longer; settles travel with acquires.
// Thread-safe; callbacks run on gRPC's threads or the client's own, never inside a call into the client.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/limits.h"
#include "dataplane/quota/quota_client.h"

namespace grpc {
class Channel;
}

namespace signalbox {

// Counters for which forced charges wait while the service is away; past it further counters' are dropped, and counted.
inline constexpr size_t kQuotaWaitingChargesMax = 100'000;

struct QuotaClientOptions {
  std::shared_ptr<grpc::Channel> channel;  // NewChannel of common/rpc/rpc.h
  std::string token;
  std::string proxy_id;
  std::string boot_id;                    // fresh each start of the proxy: a boot's sequences are never used again
  const Clock* clock = &Clock::System();  // monotonic side only; outlives the client
  int64_t call_timeout_us = kQuotaCallTimeoutUs;
};

struct QuotaClientMetrics {
  int64_t messages = 0;    // with commands
  int64_t commands = 0;    // resent ones included
  int64_t reconnects = 0;  // streams opened after the first
  int64_t timeouts = 0;
  int64_t dropped_charges = 0;  // forced, beyond kQuotaWaitingChargesMax
  int64_t waiting = 0;          // commands without an answer now
  int64_t refused = 0;          // settles and forced charges answered INVALID: a bug here or there, logged
};

class GrpcQuotaClient : public QuotaClient {
 public:
  virtual QuotaClientMetrics metrics() const = 0;
};

// Connects in the background. What an answer other than GRANTED and DENIED becomes: INVALID is INVALID_ARGUMENT with
// the service's message, UNKNOWN_SEQUENCE is UNAVAILABLE. Destroying the client ends what is pending with CANCELLED;
// settles not yet answered are then lost to the service (Flush first), whose suspense covers them.
std::unique_ptr<GrpcQuotaClient> NewGrpcQuotaClient(QuotaClientOptions options);

}  // namespace signalbox
