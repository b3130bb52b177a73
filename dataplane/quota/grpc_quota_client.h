// The quota client over gRPC: a session of the caller's own on the caller's loop, one write outstanding, commands paced
// by kQuotaBatchPaceUs and, in dense traffic, gathered for longer; settles travel with acquires. No thread but the
// loop's takes part in a question, so none has to be woken for it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/limits.h"
#include "dataplane/quota/command_queue.h"
#include "dataplane/quota/grpc_stream.h"
#include "dataplane/quota/quota_client.h"

namespace signalbox {

struct QuotaClientOptions {
  GrpcTarget target;                         // host:port
  boost::asio::ssl::context* tls = nullptr;  // NewGrpcTlsContext; null: plain text; outlives the client
  std::string token;
  std::string proxy_id;
  std::string boot_id;                    // fresh for each client: a boot's sequences are never used again
  const Clock* clock = &Clock::System();  // monotonic side only; outlives the client
  int64_t call_timeout_us = kQuotaCallTimeoutUs;
};

class GrpcQuotaClient : public QuotaClient {
 public:
  virtual QuotaClientMetrics metrics() const = 0;
  // Any thread.
  virtual bool Connected() const = 0;
  // Any thread but the loop's: waits until every Settle and ForceCharge is answered; false when `timeout_ms` passed
  // first.
  virtual bool Flush(int timeout_ms) = 0;
};

// Connects in the background once `io` runs; destroyed when it does not run any more. What an answer other than GRANTED
// and DENIED becomes: INVALID is INVALID_ARGUMENT with the service's message, UNKNOWN_SEQUENCE is UNAVAILABLE.
// Destroying the client ends what is pending with CANCELLED; settles not yet answered are then lost to the service
// (Flush first), whose suspense covers them.
std::unique_ptr<GrpcQuotaClient> NewGrpcQuotaClient(boost::asio::io_context& io, QuotaClientOptions options);

}  // namespace signalbox
