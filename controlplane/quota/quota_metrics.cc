#include "controlplane/quota/quota_metrics.h"

#include <httplib.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/loopback.h"

namespace signalbox {
namespace {

std::string PrometheusText(const QuotaHostMetrics& metrics) {
  prometheus::Registry registry;
  ForEachQuotaMetric(metrics, [&registry](const std::string& name, const std::string& help, double value) {
    prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({}).Set(value);
  });
  return prometheus::TextSerializer().Serialize(registry.Collect());
}

class HttpQuotaAdminServer final : public QuotaAdminServer {
 public:
  explicit HttpQuotaAdminServer(std::function<QuotaHostMetrics()> read) {
    server_.Get("/healthz",
                [](const httplib::Request&, httplib::Response& reply) { reply.set_content("ok\n", "text/plain"); });
    server_.Get("/metrics", [read = std::move(read)](const httplib::Request&, httplib::Response& reply) {
      reply.set_content(PrometheusText(read()), "text/plain; version=0.0.4");
    });
  }
  ~HttpQuotaAdminServer() override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Listen(const std::string& address) {
    const size_t colon = address.rfind(':');
    int port = 0;
    if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 ||
        port > 65'535) {
      return absl::InvalidArgumentError(absl::StrCat("--admin_address=", address, " is not host:port"));
    }
    const std::string host = address.substr(0, colon);
    const int bound = port == 0 ? server_.bind_to_any_port(host) : server_.bind_to_port(host, port) ? port : -1;
    if (bound < 0) {
      return absl::UnavailableError(
          absl::StrCat("cannot listen on ", address, ": is the port taken by another process?"));
    }
    address_ = absl::StrCat(host, ":", bound);
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }

 private:
  httplib::Server server_;
  std::string address_;
  std::thread thread_;
};

}  // namespace

void ForEachQuotaMetric(const QuotaHostMetrics& metrics,
                        const std::function<void(const std::string&, const std::string&, double)>& gauge) {
  const auto count = [&gauge](const std::string& name, const std::string& help, int64_t value) {
    gauge(absl::StrCat("signalbox_quota_", name), help, static_cast<double>(value));
  };
  count("decisions", "acquires and extends decided since the start", metrics.decisions);
  count("batches", "transactions committed since the start", metrics.batches);
  count("sessions", "proxies with an open quota session", metrics.sessions);
  count("counters", "counters kept", metrics.counters);
  count("holds", "requests with something held or charged", metrics.holds);
  count("store_failures", "batches that could not be committed since the start", metrics.store_failures);
  count("clock_jumps", "steps of the wall clock that were not believed", metrics.clock_jumps);
}

absl::StatusOr<std::unique_ptr<QuotaAdminServer>> QuotaAdminServer::Start(const std::string& address,
                                                                          std::function<QuotaHostMetrics()> read) {
  if (!IsLoopback(address)) {
    return absl::FailedPreconditionError(
        absl::StrCat("--admin_address=", address, " is off loopback, where anybody could read it: use 127.0.0.1"));
  }
  auto server = std::make_unique<HttpQuotaAdminServer>(std::move(read));
  if (absl::Status status = server->Listen(address); !status.ok()) return status;
  return server;
}

}  // namespace signalbox
