// Keeps the price catalogue up to date from a URL: fetched, read whole, compared with the one in force, and only then
// put in force and kept (CatalogueStore). Whatever goes wrong changes nothing and is in the status. Owned by the
// control plane; a thread of its own while started; refreshes are one at a time. Thread-safe; what it refers to
// outlives it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "controlplane/store/catalogue_store.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

inline constexpr int kPriceRefreshHoursDefault = 24;
inline constexpr int kPriceRefreshHoursMax = 24 * 31;
inline constexpr int64_t kPriceRetryUs = 15LL * 60 * 1'000'000;  // after a refresh that failed, if that is sooner

struct RefreshOptions {
  std::string url;         // empty: nothing is fetched
  int64_t interval_s = 0;  // between refreshes; 0: only when asked
  // Gets the text; is to give up soon once `go_on` says no.
  std::function<absl::StatusOr<std::string>(const std::string& url, const std::function<bool()>& go_on)> fetch;
  CatalogueReader read;
  std::function<void()> on_published;  // after another catalogue came into force
};

// Why `next` must not replace `now` unasked: FAILED_PRECONDITION when it has less than half of its models, or of those
// that are not free.
absl::Status CheckReplacement(const PriceCatalogue& now, const PriceCatalogue& next);

class PriceRefresher {
 public:
  PriceRefresher(CatalogueStore& store, const Clock& clock, RefreshOptions options)
      : store_(store), clock_(clock), options_(std::move(options)) {}
  ~PriceRefresher() { Stop(); }
  PriceRefresher(const PriceRefresher&) = delete;
  PriceRefresher& operator=(const PriceRefresher&) = delete;

  // FAILED_PRECONDITION without a URL; else what went wrong, which is noted. `force` skips CheckReplacement.
  absl::Status Refresh(bool force) SB_EXCLUDES(refreshing_);
  absl::Status UseBundled() SB_EXCLUDES(refreshing_);
  absl::StatusOr<v1::PriceCatalogueStatus> Status() const;

  // Refreshes whenever it is due until Stop: at once when the last try is longer ago than the interval.
  void Start();
  void Stop() SB_EXCLUDES(mutex_);

 private:
  bool Stopped() SB_EXCLUDES(mutex_);
  absl::StatusOr<int64_t> NextUs() const;  // Unix microseconds; 0: never

  CatalogueStore& store_;
  const Clock& clock_;
  const RefreshOptions options_;
  Mutex refreshing_;  // held over the fetch

  Mutex mutex_;
  CondVar stop_changed_;
  bool stopped_ SB_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace signalbox
