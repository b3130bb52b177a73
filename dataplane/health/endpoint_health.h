// What is known of one endpoint and of each model called there. Private to provider health, whose mutex guards it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "dataplane/health/breaker.h"
#include "dataplane/health/provider_health.h"

namespace signalbox {

// What a report tells beside the breaker.
struct Tally {
  int64_t attempts = 0;
  int64_t failures = 0;
  int64_t consecutive_failures = 0;
  std::string last_error;
  int64_t last_failure_us = -1;  // monotonic; -1: none

  void Failed(int64_t now_us, std::string_view error) {
    ++failures;
    ++consecutive_failures;
    last_error = std::string(error);
    last_failure_us = now_us;
  }
};

struct ModelHealth {
  Breaker breaker{kBreakerConsecutiveFailures};
  Tally tally;
  int64_t last_called_us = 0;
};

struct EndpointHealth {
  std::string name;
  size_t fingerprint = 0;
  bool alone = false;  // its provider has no other: its breaker never opens, there is nowhere else to go
  Breaker breaker{kEjectionConsecutiveFailures};
  Tally tally;
  int failed_checks = 0;  // active ones in a row
  std::shared_ptr<ProviderHealth::Counters> counters;
  absl::flat_hash_map<std::string, std::shared_ptr<ModelHealth>> models;

  bool down() const { return failed_checks >= kHealthCheckFailures; }
  bool Ejected(int64_t now_us) const { return down() || breaker.state(now_us) != Breaker::State::kClosed; }

  // Of a model that is called now; the least recently called one makes room, an opened breaker only if all are.
  std::shared_ptr<ModelHealth> Called(std::string_view model, int64_t now_us);
  const ModelHealth* FindModel(std::string_view model) const;  // null before its first call
};

}  // namespace signalbox
