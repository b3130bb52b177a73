// What a ProviderHealth tells operators: status reports and metrics.
#include <algorithm>
#include <iterator>
#include <tuple>

#include "common/limits.h"
#include "dataplane/health/endpoint_health.h"
#include "dataplane/health/provider_health.h"

namespace signalbox {
namespace {

v1::ProviderStatus::Breaker BreakerText(Breaker::State state) {
  switch (state) {
    case Breaker::State::kClosed:
      return v1::ProviderStatus::CLOSED;
    case Breaker::State::kOpen:
      return v1::ProviderStatus::OPEN;
    case Breaker::State::kHalfOpen:
      return v1::ProviderStatus::HALF_OPEN;
  }
  return v1::ProviderStatus::BREAKER_UNSPECIFIED;
}

}  // namespace

std::vector<v1::ProviderStatus> ProviderHealth::Report(int64_t now_us, int64_t unix_us) const {
  std::vector<v1::ProviderStatus> endpoints;
  std::vector<v1::ProviderStatus> models;
  {
    MutexLock lock(mutex_);
    const auto wall = [&](int64_t monotonic_us) { return unix_us + (monotonic_us - now_us); };
    const auto describe = [&](const Provider& provider, const EndpointHealth& endpoint, const std::string& model,
                              const Breaker& breaker, const Tally& tally) {
      v1::ProviderStatus status;
      status.set_gateway(provider.counters->gateway);
      status.set_provider(provider.counters->provider);
      status.set_endpoint(endpoint.name);
      status.set_model(model);
      status.set_breaker(BreakerText(breaker.state(now_us)));
      status.set_attempts(tally.attempts);
      status.set_failures(tally.failures);
      status.set_consecutive_failures(tally.consecutive_failures);
      status.set_last_error(tally.last_error);
      if (tally.last_failure_us >= 0) status.set_last_failure_us(wall(tally.last_failure_us));
      if (status.breaker() == v1::ProviderStatus::OPEN) status.set_retry_us(wall(breaker.retry_us(now_us)));
      status.set_ejected(endpoint.Ejected(now_us));
      return status;
    };
    for (const auto& [gateway, providers] : providers_) {
      for (const auto& [name, provider] : providers) {
        for (const auto& endpoint : provider.endpoints) {
          endpoints.push_back(describe(provider, *endpoint, "", endpoint->breaker, endpoint->tally));
          for (const auto& [model, health] : endpoint->models) {
            models.push_back(describe(provider, *endpoint, model, health->breaker, health->tally));
          }
        }
      }
    }
  }
  // Troubled ones stay when not all fit.
  std::sort(models.begin(), models.end(), [](const auto& a, const auto& b) {
    return std::make_tuple(a.breaker() == v1::ProviderStatus::CLOSED, -a.last_failure_us()) <
           std::make_tuple(b.breaker() == v1::ProviderStatus::CLOSED, -b.last_failure_us());
  });
  endpoints.insert(endpoints.end(), std::make_move_iterator(models.begin()), std::make_move_iterator(models.end()));
  if (endpoints.size() > kHealthStatusesMax) endpoints.resize(kHealthStatusesMax);
  std::sort(endpoints.begin(), endpoints.end(), [](const auto& a, const auto& b) {
    return std::tie(a.gateway(), a.provider(), a.endpoint(), a.model()) <
           std::tie(b.gateway(), b.provider(), b.endpoint(), b.model());
  });
  return endpoints;
}

uint64_t ProviderHealth::changes() const {
  MutexLock lock(mutex_);
  return changes_;
}

std::vector<ProviderHealth::Counters> ProviderHealth::counters() const {
  std::vector<Counters> all;
  MutexLock lock(mutex_);
  for (const auto& [gateway, providers] : providers_) {
    for (const auto& [name, provider] : providers) all.push_back(*provider.counters);
  }
  std::sort(all.begin(), all.end(), [](const Counters& a, const Counters& b) {
    return std::tie(a.gateway, a.provider) < std::tie(b.gateway, b.provider);
  });
  return all;
}

}  // namespace signalbox
