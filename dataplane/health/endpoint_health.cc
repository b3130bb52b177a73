#include "dataplane/health/endpoint_health.h"

#include <tuple>

#include "common/limits.h"

namespace signalbox {
namespace {

absl::string_view Abseil(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

std::shared_ptr<ModelHealth> EndpointHealth::Called(std::string_view model, int64_t now_us) {
  auto found = models.find(Abseil(model));
  if (found == models.end()) {
    if (models.size() >= kHealthModelsPerEndpointMax) {
      const auto order = [](const ModelHealth& health) {
        return std::make_tuple(health.breaker.opened(), health.last_called_us);
      };
      auto first = models.begin();
      for (auto it = models.begin(); it != models.end(); ++it) {
        if (order(*it->second) < order(*first->second)) first = it;
      }
      models.erase(first);
    }
    found = models.emplace(std::string(model), std::make_shared<ModelHealth>()).first;
  }
  found->second->last_called_us = now_us;
  return found->second;
}

const ModelHealth* EndpointHealth::FindModel(std::string_view model) const {
  const auto found = models.find(Abseil(model));
  return found == models.end() ? nullptr : found->second.get();
}

}  // namespace signalbox
