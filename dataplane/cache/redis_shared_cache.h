// Shared answers in a Redis: SET with a time to live under <prefix>:answer:<key>, each with version and checksum.
// One thread does all the I/O, from a bounded queue; many commands travel as one pipeline. A Redis that fails or takes
// longer than kSharedCacheTimeoutMs is left alone for kSharedCacheRetryMs, and meanwhile nothing is there. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/limits.h"
#include "dataplane/cache/shared_cache.h"

namespace signalbox {

struct RedisSharedCacheOptions {
  std::string url;                         // common/redis/redis_connection.h
  const Clock* clock = &Clock::System();   // its monotonic side only; outlives the cache
  int timeout_ms = kSharedCacheTimeoutMs;  // of connecting and of a pipeline's every reply; the URL's may lower it
  // What an operator should hear of: Redis away and back. Any thread.
  std::function<void(const std::string&)> report = [](const std::string&) {};
};

// Starts even while Redis cannot be reached. INVALID_ARGUMENT for a URL that is none, or has options that mean nothing
// here. The end of the object answers what still waits, and joins the thread.
absl::StatusOr<std::unique_ptr<SharedCache>> OpenRedisSharedCache(RedisSharedCacheOptions options);

}  // namespace signalbox
