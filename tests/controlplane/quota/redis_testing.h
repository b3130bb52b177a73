// Asking a backend and waiting for what it says. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <utility>

#include "controlplane/quota/quota_backend.h"
#include "controlplane/quota/redis_quota_backend.h"

namespace signalbox::testing {

template <typename T, typename Ask>
absl::StatusOr<T> Wait(const Ask& ask) {
  std::promise<absl::StatusOr<T>> promise;
  ask([&](absl::StatusOr<T> answer) { promise.set_value(std::move(answer)); });
  return promise.get_future().get();
}

inline absl::StatusOr<v1::QuotaResponse> Submit(QuotaBackend& backend, const v1::QuotaRequest& message) {
  return Wait<v1::QuotaResponse>([&](auto done) { backend.Submit(message, std::move(done)); });
}
inline absl::StatusOr<v1::Counter> Get(QuotaBackend& backend, const v1::CounterKey& key) {
  return Wait<v1::Counter>([&](auto done) { backend.GetCounter(key, std::move(done)); });
}
inline absl::StatusOr<v1::Adjustment> Adjust(QuotaBackend& backend, const v1::AdjustCounterRequest& request) {
  return Wait<v1::Adjustment>([&](auto done) { backend.AdjustCounter(request, std::move(done)); });
}
inline absl::StatusOr<v1::ListCountersResponse> List(QuotaBackend& backend, const v1::ListCountersRequest& request) {
  return Wait<v1::ListCountersResponse>([&](auto done) { backend.ListCounters(request, std::move(done)); });
}
inline absl::StatusOr<v1::ListSuspenseResponse> Suspense(QuotaBackend& backend, int64_t after = 0, int size = 1'000) {
  v1::ListSuspenseRequest request;
  request.set_after_sequence(after);
  request.set_page_size(size);
  return Wait<v1::ListSuspenseResponse>([&](auto done) { backend.ListSuspense(request, std::move(done)); });
}
inline absl::StatusOr<v1::ListAdjustmentsResponse> Adjustments(QuotaBackend& backend, int64_t after = 0,
                                                               int size = 1'000) {
  v1::ListAdjustmentsRequest request;
  request.set_after_sequence(after);
  request.set_page_size(size);
  return Wait<v1::ListAdjustmentsResponse>([&](auto done) { backend.ListAdjustments(request, std::move(done)); });
}

// At a time of the test's when `now_us` is given, and then ticking only when told.
inline std::unique_ptr<QuotaBackend> OpenRedis(const std::string& url, const int64_t* now_us = nullptr) {
  RedisQuotaOptions options;
  options.url = url;
  if (now_us != nullptr) {
    options.tick_us = 0;
    options.time_for_test = [now_us] { return *now_us; };
  }
  absl::StatusOr<std::unique_ptr<QuotaBackend>> opened = OpenRedisQuotaBackend(std::move(options));
  EXPECT_TRUE(opened.ok()) << opened.status();
  return opened.ok() ? *std::move(opened) : nullptr;
}

}  // namespace signalbox::testing
