#include "controlplane/prices/price_refresher.h"

#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "common/status_macros.h"

namespace signalbox {

absl::Status CheckReplacement(const PriceCatalogue& now, const PriceCatalogue& next) {
  const auto lost = [](const char* what, int64_t before, int64_t after) {
    return absl::FailedPreconditionError(absl::StrCat("it has ", after, " ", what, " where the catalogue in force has ",
                                                      before, ": less than half; refresh with force if that is meant"));
  };
  if (next.models() * 2 < now.models()) return lost("models", now.models(), next.models());
  if (next.paid_models() * 2 < now.paid_models()) {
    return lost("models that are not free", now.paid_models(), next.paid_models());
  }
  return absl::OkStatus();
}

absl::Status PriceRefresher::Refresh(bool force) {
  if (options_.url.empty()) {
    return absl::FailedPreconditionError(
        "this control plane has no address to refresh prices from: start it with --price_url=URL");
  }
  MutexLock lock(refreshing_);
  const auto refresh = [&]() -> absl::StatusOr<bool> {
    ASSIGN_OR_RETURN(const std::string text, options_.fetch(options_.url, [this] { return !Stopped(); }));
    const PriceCatalogue now = store_.InForce();
    if (now.origin() == options_.url && now.sha256() == Sha256Hex(text)) return false;
    absl::StatusOr<PriceCatalogue> next = options_.read(text, options_.url);
    absl::Status status = next.status();
    if (status.ok() && !force) status = CheckReplacement(now, *next);
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat("the catalogue at ", options_.url,
                                                      " is not taken: ", std::string(status.message())));
    }
    RETURN_IF_ERROR(store_.Install(*next, text));
    return true;
  };
  const absl::StatusOr<bool> changed = refresh();
  if (changed.ok() && *changed) {
    LOG(INFO) << "prices are those of " << options_.url << " now: " << store_.InForce().models() << " models";
    if (options_.on_published) options_.on_published();
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(store_.NoteRefresh(changed.ok() ? "" : std::string(changed.status().message())));
  return changed.status();
}

absl::Status PriceRefresher::UseBundled() {
  MutexLock lock(refreshing_);
  RETURN_IF_ERROR(store_.InstallBundled());
  if (options_.on_published) options_.on_published();
  return absl::OkStatus();
}

absl::StatusOr<int64_t> PriceRefresher::NextUs() const {
  if (options_.url.empty() || options_.interval_s == 0) return 0;
  ASSIGN_OR_RETURN(const v1::PriceCatalogueStatus status, store_.Status());
  if (status.last_refresh_us() == 0) return clock_.UnixMicros();
  const int64_t interval_us = options_.interval_s * 1'000'000;
  // A clock that was ahead when the last refresh was noted must not keep the next one away.
  const int64_t last_us = std::min(status.last_refresh_us(), clock_.UnixMicros());
  return last_us + (status.last_error().empty() ? interval_us : std::min(interval_us, kPriceRetryUs));
}

absl::StatusOr<v1::PriceCatalogueStatus> PriceRefresher::Status() const {
  ASSIGN_OR_RETURN(v1::PriceCatalogueStatus status, store_.Status());
  status.set_refresh_url(options_.url);
  status.set_refresh_interval_s(options_.url.empty() ? 0 : options_.interval_s);
  ASSIGN_OR_RETURN(const int64_t next_us, NextUs());
  status.set_next_refresh_us(next_us);
  return status;
}

void PriceRefresher::Start() {
  if (options_.url.empty() || options_.interval_s == 0) return;
  thread_ = std::thread([this] {
    constexpr int64_t kLookUs = 60'000'000;  // a stepped wall clock is noticed within so long
    absl::Status last;
    while (true) {
      const absl::StatusOr<int64_t> next_us = NextUs();
      int64_t wait_us = next_us.ok() ? *next_us - clock_.UnixMicros() : kLookUs;
      if (next_us.ok() && wait_us <= 0) {
        const absl::Status status = Refresh(/*force=*/false);
        if (!status.ok() && status != last) LOG(WARNING) << "prices stay as they are: " << status.message();
        last = status;
        wait_us = 1'000'000;  // NextUs says how long, unless what was done could not be noted
      }
      const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(std::min(wait_us, kLookUs));
      MutexLock lock(mutex_);
      while (!stopped_ && stop_changed_.WaitUntil(mutex_, until)) {
      }
      if (stopped_) return;
    }
  });
}

bool PriceRefresher::Stopped() {
  MutexLock lock(mutex_);
  return stopped_;
}

void PriceRefresher::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    stop_changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace signalbox
