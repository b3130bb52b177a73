// The control plane's HTTP port: the gRPC services as JSON, for the console and curl, and health and metrics. Every
// call becomes a call on the gRPC server's in-process channel with the caller's own token, so there is one
// implementation of everything, authorisation included. cpp-httplib, a thread a request: right for operators, who are
// few. Thread-safe. The token authority and what the functions refer to outlive it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rpc/rpc.h"

namespace signalbox {

struct HttpApiOptions {
  std::string address;                   // host:port; port 0 takes a free one
  TlsFiles tls;                          // cert and key; off loopback they are required
  std::function<absl::Status()> ready;   // /readyz
  std::function<std::string()> metrics;  // /metrics, in Prometheus' text format
  std::function<void(int)> on_response;  // the HTTP status of every answer; any thread
};

class HttpApi {
 public:
  // Listens. FAILED_PRECONDITION when the address is not safe or the certificate does not load, UNAVAILABLE when the
  // port is taken.
  static absl::StatusOr<std::unique_ptr<HttpApi>> Start(HttpApiOptions options, std::shared_ptr<grpc::Channel> api,
                                                        const TokenAuthority& tokens);
  virtual ~HttpApi() = default;
  virtual const std::string& address() const = 0;  // host:port as bound
  // Takes no more connections and waits for the requests that run. A second call does nothing.
  virtual void Stop() = 0;
};

}  // namespace signalbox
