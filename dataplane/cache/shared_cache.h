// Answers that the proxies of a fleet share. Asked only by who leads, when this proxy has no answer of its own.
// Whatever goes wrong is "not there", soon: a cache never fails a request. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "dataplane/cache/cached_answer.h"

namespace signalbox {

class SharedCache {
 public:
  virtual ~SharedCache() = default;

  struct Found {
    SharedAnswer answer;
    int64_t age_us = 0;
    int64_t left_us = 0;  // until it expires
  };
  // `done` runs exactly once, on any thread and maybe at once; nullopt: not there, or nobody says.
  using Done = std::function<void(std::optional<Found>)>;
  virtual void Get(const std::string& key, Done done) = 0;
  // Kept for `ttl_us`; may be lost.
  virtual void Put(const std::string& key, SharedAnswer answer, int64_t ttl_us) = 0;

  struct Counts {
    int64_t hits = 0, misses = 0, stored = 0;
    int64_t failed = 0;   // gets and puts that an error or a timeout ended
    int64_t skipped = 0;  // gets and puts not tried: it failed just before, or too much waits
    bool connected = false;
  };
  virtual Counts counts() const = 0;
};

}  // namespace signalbox
