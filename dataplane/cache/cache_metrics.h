// What the cache has counted, for Prometheus. One thread: whoever serves /metrics.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <memory>
#include <string>

#include "dataplane/cache/answer_cache.h"

namespace signalbox {

class CacheMetrics {
 public:
  // With the series of the shared cache only if there is one.
  explicit CacheMetrics(bool shared);
  // Brought up to `counts`, in Prometheus text format.
  std::string Serialize(const AnswerCache::Counts& counts);

 private:
  using Counters = prometheus::Family<prometheus::Counter>;
  Counters& AddFamily(const char* name, const char* help);
  prometheus::Gauge& AddGauge(const char* name, const char* help);

  std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  Counters& lookups_;
  Counters& removed_;
  prometheus::Counter& stored_;
  prometheus::Counter& saved_dollars_;
  prometheus::Gauge& bytes_;
  prometheus::Gauge& entries_;
  prometheus::Gauge& waiting_;
  Counters* shared_ = nullptr;
  prometheus::Gauge* shared_connected_ = nullptr;
};

}  // namespace signalbox
