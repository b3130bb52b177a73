// Provider health as Prometheus sees it: made anew for each scrape, so that what is forgotten is gone. Pure.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "dataplane/health/provider_health.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

std::vector<prometheus::MetricFamily> HealthMetrics(const std::vector<v1::ProviderStatus>& statuses,
                                                    const std::vector<ProviderHealth::Counters>& counters);

}  // namespace signalbox
