// The control plane's metrics: counts of calls by method and code, of HTTP answers by status, and gauges that the
// composition root sets when they are read. Thread-safe.
#pragma once

#include <grpcpp/support/server_interceptor.h>
#include <prometheus/registry.h>

#include <memory>
#include <string>
#include <vector>

namespace signalbox {

class ControlPlaneMetrics {
 public:
  ControlPlaneMetrics();

  // Counts every call of a server that is built with these; the metrics outlive the server.
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> RpcCounters();
  void OnHttpResponse(int status);
  void SetGauge(const std::string& name, const std::string& help, double value);
  std::string Serialize() const;  // Prometheus' text format

 private:
  const std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Family<prometheus::Counter>& rpcs_;
  prometheus::Family<prometheus::Counter>& http_;
};

}  // namespace signalbox
