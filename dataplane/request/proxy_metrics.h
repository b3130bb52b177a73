// What a proxy counts. Owned by the dataplane, shared by its workers; thread-safe (prometheus-cpp's atomics).
#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "common/mutex.h"
#include "dataplane/health/provider_health.h"
#include "signalbox/v1/gateway.pb.h"
#include "signalbox/v1/spend.pb.h"

namespace signalbox {

class ProxyMetrics {
 public:
  ProxyMetrics();
  void CountRequest(v1::Outcome outcome, int64_t duration_us);
  void CountRefusal(const std::string& code);  // refused before a record existed: bad key, unknown path
  void CountAttempt(const std::string& provider, const std::string& model, const std::string& result);
  void CountShadowDenied(const std::string& route, const std::string& element);
  void CountLostRecord() { lost_records_.Increment(); }
  void CountRefusedRecord() { refused_records_.Increment(); }
  void SetSnapshot(int64_t sequence) { snapshot_sequence_.Set(static_cast<double>(sequence)); }
  void SetStaleness(double seconds) { snapshot_staleness_seconds_.Set(seconds); }
  void SetSnapshotCounts(int64_t applied, int64_t rejected, int64_t save_failures);  // since start
  void SetInFlight(double requests) { in_flight_requests_.Set(requests); }
  void SetQuotaConnected(bool connected) { quota_connected_.Set(connected ? 1 : 0); }
  // As of now: breakers, ejections, retries.
  void SetHealth(const std::vector<v1::ProviderStatus>& statuses,
                 const std::vector<ProviderHealth::Counters>& counters);
  std::string Serialize() const;  // Prometheus text format

 private:
  std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Counter>& refusals_;
  prometheus::Family<prometheus::Counter>& attempts_;
  prometheus::Family<prometheus::Counter>& shadow_denied_;
  prometheus::Counter& lost_records_;
  prometheus::Counter& refused_records_;
  prometheus::Gauge& snapshot_sequence_;
  prometheus::Gauge& snapshot_staleness_seconds_;
  prometheus::Gauge& snapshots_applied_;
  prometheus::Gauge& snapshots_rejected_;
  prometheus::Gauge& snapshot_save_failures_;
  prometheus::Gauge& in_flight_requests_;
  prometheus::Gauge& quota_connected_;
  prometheus::Histogram& duration_seconds_;
  mutable Mutex mutex_;
  // Counters once looked up by their labels; the registry keeps them for good.
  std::array<std::atomic<prometheus::Counter*>, v1::Outcome_ARRAYSIZE> by_outcome_{};
  absl::flat_hash_map<std::string, prometheus::Counter*> by_attempt_ SB_GUARDED_BY(mutex_);
  absl::flat_hash_set<std::string> models_ SB_GUARDED_BY(mutex_);  // that have counters of their own
  std::vector<prometheus::MetricFamily> health_ SB_GUARDED_BY(mutex_);
};

}  // namespace signalbox
