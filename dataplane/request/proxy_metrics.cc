#include "dataplane/request/proxy_metrics.h"

#include <prometheus/text_serializer.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "dataplane/request/health_metrics.h"

namespace signalbox {
namespace {

const std::string kOtherModels = "other";

prometheus::Gauge& AddGauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

ProxyMetrics::ProxyMetrics()
    : requests_(prometheus::BuildCounter()
                    .Name("signalbox_requests_total")
                    .Help("Requests ended, by outcome of their spend record")
                    .Register(*registry_)),
      refusals_(prometheus::BuildCounter()
                    .Name("signalbox_early_refusals_total")
                    .Help("Requests refused before a spend record existed, by error code")
                    .Register(*registry_)),
      attempts_(prometheus::BuildCounter()
                    .Name("signalbox_attempts_total")
                    .Help("Calls of models, by provider, model and result")
                    .Register(*registry_)),
      shadow_denied_(prometheus::BuildCounter()
                         .Name("signalbox_limit_shadow_denied_total")
                         .Help("Requests that a shadow limit let pass and would have denied, by route and element")
                         .Register(*registry_)),
      lost_records_(prometheus::BuildCounter()
                        .Name("signalbox_spend_records_lost_total")
                        .Help("Spend records that could not be written to the spool")
                        .Register(*registry_)
                        .Add({})),
      refused_records_(prometheus::BuildCounter()
                           .Name("signalbox_spend_records_refused_total")
                           .Help("Spend records dropped because the control plane will never take them")
                           .Register(*registry_)
                           .Add({})),
      snapshot_sequence_(AddGauge(*registry_, "signalbox_snapshot_sequence", "Sequence of the snapshot being served")),
      snapshot_staleness_seconds_(
          AddGauge(*registry_, "signalbox_snapshot_staleness_seconds", "Time since the control plane was last heard")),
      snapshots_applied_(AddGauge(*registry_, "signalbox_snapshots_applied", "Snapshots applied since start")),
      snapshots_rejected_(AddGauge(*registry_, "signalbox_snapshots_rejected", "Snapshots refused since start")),
      snapshot_save_failures_(AddGauge(*registry_, "signalbox_snapshot_save_failures",
                                       "Last known goods that could not be written since start")),
      in_flight_requests_(AddGauge(*registry_, "signalbox_in_flight_requests", "Requests being answered")),
      quota_connected_(AddGauge(*registry_, "signalbox_quota_connected", "1 while the quota service answers")),
      duration_seconds_(
          prometheus::BuildHistogram()
              .Name("signalbox_request_duration_seconds")
              .Help("From a request's head to its answer's end")
              .Register(*registry_)
              .Add({}, prometheus::Histogram::BucketBoundaries{0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300})) {}

void ProxyMetrics::CountRequest(v1::Outcome outcome, int64_t duration_us) {
  std::atomic<prometheus::Counter*>& known = by_outcome_[static_cast<size_t>(outcome)];
  prometheus::Counter* counter = known.load(std::memory_order_relaxed);
  if (counter == nullptr) {
    counter = &requests_.Add({{"outcome", absl::AsciiStrToLower(v1::Outcome_Name(outcome))}});
    known.store(counter, std::memory_order_relaxed);
  }
  counter->Increment();
  duration_seconds_.Observe(static_cast<double>(duration_us) / 1e6);
}

void ProxyMetrics::CountRefusal(const std::string& code) { refusals_.Add({{"code", code}}).Increment(); }

void ProxyMetrics::CountAttempt(const std::string& provider, const std::string& model, const std::string& result) {
  MutexLock lock(mutex_);
  // Clients may name any model: past a number of them the rest is counted together.
  const bool own = models_.contains(model) || (models_.size() < kModelsCountedMax && models_.insert(model).second);
  const std::string& counted = own ? model : kOtherModels;
  prometheus::Counter*& counter = by_attempt_[absl::StrCat(provider, "\n", counted, "\n", result)];
  if (counter == nullptr) counter = &attempts_.Add({{"provider", provider}, {"model", counted}, {"result", result}});
  counter->Increment();
}

void ProxyMetrics::CountShadowDenied(const std::string& route, const std::string& element) {
  shadow_denied_.Add({{"route", route}, {"element", element}}).Increment();
}

void ProxyMetrics::SetSnapshotCounts(int64_t applied, int64_t rejected, int64_t save_failures) {
  snapshots_applied_.Set(static_cast<double>(applied));
  snapshots_rejected_.Set(static_cast<double>(rejected));
  snapshot_save_failures_.Set(static_cast<double>(save_failures));
}

void ProxyMetrics::SetHealth(const std::vector<v1::ProviderStatus>& statuses,
                             const std::vector<ProviderHealth::Counters>& counters) {
  std::vector<prometheus::MetricFamily> families = HealthMetrics(statuses, counters);
  MutexLock lock(mutex_);
  health_ = std::move(families);
}

std::string ProxyMetrics::Serialize() const {
  std::vector<prometheus::MetricFamily> families = registry_->Collect();
  {
    MutexLock lock(mutex_);
    families.insert(families.end(), health_.begin(), health_.end());
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace signalbox
