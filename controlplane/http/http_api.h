// The control plane's HTTP port: the console's files, its sessions, the gRPC services as JSON, health and metrics.
// Every call becomes a call on the gRPC server's in-process channel with the caller's own token, or that of her
// session, so there is one implementation of everything, authorisation included. cpp-httplib, a thread a request: right
// for operators, who are few. Thread-safe. The token authority, the clock and what the functions refer to outlive it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/rpc/rpc.h"
#include "controlplane/api/live_target.h"
#include "signalbox/v1/admin.pb.h"

namespace signalbox {

struct HttpApiOptions {
  std::string address;                   // host:port; port 0 takes a free one
  TlsFiles tls;                          // cert and key; off loopback they are required
  std::function<absl::Status()> ready;   // /readyz
  std::function<std::string()> metrics;  // /metrics, in Prometheus' text format
  std::function<void(int)> on_response;  // the HTTP status of every answer; any thread
  std::string console_dir;               // the built console, served at /; empty: the list of calls is there
  const Clock* clock = &Clock::System();
  // Where a live run of a gateway goes; `proxy_id` empty: through any. Null: there are none.
  std::function<absl::StatusOr<LiveTarget>(const std::string& gateway, const std::string& proxy_id)> live;
  std::string proxy_ca;  // PEM roots to check proxies that serve with TLS against; empty: the system's
  // Writes down what is no call of the gRPC API (its time is filled in); what fails is refused. Null: nowhere.
  std::function<absl::Status(v1::AuditEntry)> audit;
};

class HttpApi {
 public:
  // Listens. FAILED_PRECONDITION when the address is not safe, the certificate does not load or the console is none,
  // UNAVAILABLE when the port is taken.
  static absl::StatusOr<std::unique_ptr<HttpApi>> Start(HttpApiOptions options, std::shared_ptr<grpc::Channel> api,
                                                        const TokenAuthority& tokens);
  virtual ~HttpApi() = default;
  virtual const std::string& address() const = 0;  // host:port as bound
  // Takes no more connections and waits for the requests that run. A second call does nothing.
  virtual void Stop() = 0;
};

}  // namespace signalbox
