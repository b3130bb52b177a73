#include "dataplane/cache/cache_metrics.h"

#include <prometheus/text_serializer.h>

namespace signalbox {
namespace {

using Lookup = AnswerCache::Lookup;

// Counts only grow.
void RaiseTo(prometheus::Counter& counter, double value) { counter.Increment(value - counter.Value()); }

double ValueOf(const AnswerCache::Counts& counts, Lookup lookup) {
  return static_cast<double>(counts.lookups[static_cast<size_t>(lookup)]);
}

}  // namespace

CacheMetrics::Counters& CacheMetrics::AddFamily(const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(*registry_);
}

prometheus::Gauge& CacheMetrics::AddGauge(const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(*registry_).Add({});
}

CacheMetrics::CacheMetrics(bool shared)
    : lookups_(
          AddFamily("signalbox_cache_lookups_total",
                    "Answers looked up: hit (in memory), shared_hit (another proxy's, in Redis), coalesced_hit (of "
                    "an identical request in flight), miss")),
      removed_(AddFamily("signalbox_cache_removed_total", "Answers dropped: evicted (to make room) or expired")),
      stored_(AddFamily("signalbox_cache_stored_total", "Answers kept in memory").Add({})),
      saved_dollars_(AddFamily("signalbox_cache_saved_dollars_total", "What hits cost when they were made").Add({})),
      bytes_(AddGauge("signalbox_cache_bytes", "Memory that kept answers take")),
      entries_(AddGauge("signalbox_cache_entries", "Answers in memory")),
      waiting_(AddGauge("signalbox_cache_waiting_requests", "Requests that wait for an identical one in flight")) {
  if (!shared) return;
  shared_ = &AddFamily("signalbox_cache_shared_total",
                       "Commands for the shared cache: hit, miss, stored, failed (an error or too slow), skipped (not "
                       "tried: it failed just before, or too many wait)");
  shared_connected_ = &AddGauge("signalbox_cache_shared_connected", "1 while the shared cache answers");
}

std::string CacheMetrics::Serialize(const AnswerCache::Counts& counts) {
  RaiseTo(lookups_.Add({{"result", "hit"}}), ValueOf(counts, Lookup::kMemoryHit));
  RaiseTo(lookups_.Add({{"result", "shared_hit"}}), ValueOf(counts, Lookup::kSharedHit));
  RaiseTo(lookups_.Add({{"result", "coalesced_hit"}}), ValueOf(counts, Lookup::kCoalescedHit));
  RaiseTo(lookups_.Add({{"result", "miss"}}), ValueOf(counts, Lookup::kMiss));
  RaiseTo(removed_.Add({{"reason", "evicted"}}), static_cast<double>(counts.memory.evicted));
  RaiseTo(removed_.Add({{"reason", "expired"}}), static_cast<double>(counts.memory.expired));
  RaiseTo(stored_, static_cast<double>(counts.memory.stored));
  RaiseTo(saved_dollars_, static_cast<double>(counts.saved_nanos) / 1e9);
  bytes_.Set(static_cast<double>(counts.memory.bytes));
  entries_.Set(static_cast<double>(counts.memory.entries));
  waiting_.Set(static_cast<double>(counts.waiting));
  if (shared_ != nullptr) {
    RaiseTo(shared_->Add({{"result", "hit"}}), static_cast<double>(counts.shared.hits));
    RaiseTo(shared_->Add({{"result", "miss"}}), static_cast<double>(counts.shared.misses));
    RaiseTo(shared_->Add({{"result", "stored"}}), static_cast<double>(counts.shared.stored));
    RaiseTo(shared_->Add({{"result", "failed"}}), static_cast<double>(counts.shared.failed));
    RaiseTo(shared_->Add({{"result", "skipped"}}), static_cast<double>(counts.shared.skipped));
    shared_connected_->Set(counts.shared.connected ? 1 : 0);
  }
  return prometheus::TextSerializer().Serialize(registry_->Collect());
}

}  // namespace signalbox
