// The quota service's metrics, embedded or of its own, and the HTTP port of the latter: /healthz and /metrics.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "controlplane/quota/quota_service.h"

namespace signalbox {

// Calls `gauge` with the name, help and value of each.
void ForEachQuotaMetric(const QuotaHostMetrics& metrics,
                        const std::function<void(const std::string&, const std::string&, double)>& gauge);

// Thread-safe; `read` is called on its threads and outlives it. Stops when destroyed.
class QuotaAdminServer {
 public:
  // UNAVAILABLE when the port is taken, FAILED_PRECONDITION off loopback: nobody is asked for a token here.
  static absl::StatusOr<std::unique_ptr<QuotaAdminServer>> Start(const std::string& address,
                                                                 std::function<QuotaHostMetrics()> read);
  virtual ~QuotaAdminServer() = default;
  virtual const std::string& address() const = 0;  // host:port as bound
};

}  // namespace signalbox
