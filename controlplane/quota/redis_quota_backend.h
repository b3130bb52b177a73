// The quota service's state in Redis: any number of services in front of one primary admit exactly what one would.
// Invariant: what is decided is decided by quota_core.lua in one atomic call; this side keeps no state but the queue.
// One thread takes what all sessions sent, sends it as one call and answers when Redis has. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/limits.h"
#include "controlplane/quota/quota_backend.h"

namespace signalbox {

struct RedisQuotaOptions {
  std::string url;                        // common/redis/redis_connection.h says what it may be
  const Clock* clock = &Clock::System();  // its monotonic side only; outlives the backend
  // What an operator should hear of: Redis away and back, a setup that loses data, clock steps. Any thread.
  std::function<void(const std::string&)> report = [](const std::string&) {};
  int64_t tick_us = kQuotaTickUs;  // 0: only RedisQuotaTick
  // Tests only: in place of Redis' own time, in Unix microseconds. Called on the backend's thread.
  std::function<int64_t()> time_for_test;
};

// Starts even while Redis cannot be reached: it is tried again and again, and meanwhile everything is UNAVAILABLE.
// INVALID_ARGUMENT for a URL that is none, PERMISSION_DENIED when Redis refuses the password, FAILED_PRECONDITION when
// it is too old.
absl::StatusOr<std::unique_ptr<QuotaBackend>> OpenRedisQuotaBackend(RedisQuotaOptions options);

// Looks for silent proxies now, blocking; for tests with tick_us 0. `backend` is one of OpenRedisQuotaBackend's.
absl::Status RedisQuotaTick(QuotaBackend& backend);

}  // namespace signalbox
