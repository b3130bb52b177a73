#include "dataplane/request/health_metrics.h"

#include <string>
#include <utility>

namespace signalbox {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

prometheus::MetricFamily Family(const char* name, const char* help, prometheus::MetricType type) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  return family;
}

void Add(prometheus::MetricFamily& family, const Labels& labels, double value) {
  prometheus::ClientMetric metric;
  for (const auto& [name, text] : labels) {
    prometheus::ClientMetric::Label label;
    label.name = name;
    label.value = text;
    metric.label.push_back(std::move(label));
  }
  (family.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  family.metric.push_back(std::move(metric));
}

double StateNumber(v1::ProviderStatus::Breaker breaker) {
  return breaker == v1::ProviderStatus::OPEN ? 2 : breaker == v1::ProviderStatus::HALF_OPEN ? 1 : 0;
}

}  // namespace

std::vector<prometheus::MetricFamily> HealthMetrics(const std::vector<v1::ProviderStatus>& statuses,
                                                    const std::vector<ProviderHealth::Counters>& counters) {
  std::vector<prometheus::MetricFamily> families;
  prometheus::MetricFamily states =
      Family("signalbox_provider_breaker_state", "Of a model at an endpoint: 0 closed, 1 half-open, 2 open or resting",
             prometheus::MetricType::Gauge);
  prometheus::MetricFamily ejected =
      Family("signalbox_provider_endpoint_ejected", "1 while an endpoint gets no calls as long as another one is there",
             prometheus::MetricType::Gauge);
  for (const v1::ProviderStatus& status : statuses) {
    Labels labels = {{"gateway", status.gateway()}, {"provider", status.provider()}, {"endpoint", status.endpoint()}};
    if (status.model().empty()) {
      Add(ejected, labels, status.ejected() ? 1 : 0);
    } else {
      labels.emplace_back("model", status.model());
      Add(states, labels, StateNumber(status.breaker()));
    }
  }
  families.push_back(std::move(states));
  families.push_back(std::move(ejected));

  struct Count {
    const char* name;
    const char* help;
    int64_t ProviderHealth::Counters::*value;
  };
  static constexpr Count kCounts[] = {
      {"signalbox_provider_retries_total", "Attempts after a failed one of the same model",
       &ProviderHealth::Counters::retries},
      {"signalbox_provider_retries_refused_total", "Retries not made because the provider's retry budget was spent",
       &ProviderHealth::Counters::budget_refusals},
      {"signalbox_provider_circuit_refused_total", "Attempts not made because every breaker was open",
       &ProviderHealth::Counters::circuit_refusals},
      {"signalbox_provider_ejections_total", "Endpoints ejected", &ProviderHealth::Counters::ejections},
      {"signalbox_provider_breaker_openings_total", "Breakers of models that opened",
       &ProviderHealth::Counters::openings},
      {"signalbox_provider_failed_checks_total", "Active health checks that failed",
       &ProviderHealth::Counters::failed_checks},
  };
  for (const Count& count : kCounts) {
    prometheus::MetricFamily family = Family(count.name, count.help, prometheus::MetricType::Counter);
    for (const ProviderHealth::Counters& of : counters) {
      Add(family, {{"gateway", of.gateway}, {"provider", of.provider}}, static_cast<double>(of.*count.value));
    }
    families.push_back(std::move(family));
  }
  return families;
}

}  // namespace signalbox
