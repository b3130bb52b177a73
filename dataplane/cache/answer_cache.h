// One proxy's answers for identical requests: in memory, in flight, and in the Redis it may share with others. Owned by
// the dataplane, shared by its workers, outlives every Lead. Core: no Asio; await_answer.h is how a request waits.
// Law: only a whole successful answer gets in, and it is found only under the key it was stored with. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/clock.h"
#include "dataplane/cache/answer_store.h"
#include "dataplane/cache/cached_answer.h"
#include "dataplane/cache/flights.h"
#include "dataplane/cache/shared_cache.h"

namespace signalbox {

struct CacheHit {
  SharedAnswer answer;
  int64_t age_us = 0;
};

class AnswerCache {
 public:
  // With `bytes_max` 0 and no shared cache there is no caching. `shared` may be null; `clock` outlives the cache.
  AnswerCache(size_t bytes_max, std::unique_ptr<SharedCache> shared, const Clock& clock);
  bool enabled() const { return bytes_max_ > 0 || shared_ != nullptr; }
  bool has_shared() const { return shared_ != nullptr; }

  // In memory: not older than `max_age_us`.
  std::optional<CacheHit> Get(const std::string& key, int64_t max_age_us);
  // In the shared cache; found there, it is kept in memory too. `done` runs exactly once, on any thread. Call it only
  // when there is a shared cache.
  void GetShared(const std::string& key, int64_t max_age_us, std::function<void(std::optional<CacheHit>)> done);
  // Keeps an answer for `ttl_us`, in memory and shared.
  void Store(const std::string& key, const SharedAnswer& answer, int64_t ttl_us);
  Flights& flights() { return flights_; }

  // Ends the shared cache: what waits for it is answered. No worker runs any more, and none of their loops is gone yet.
  void Stop();

  enum class Lookup { kMemoryHit, kSharedHit, kCoalescedHit, kMiss, kCount };
  void CountLookup(Lookup lookup) { ++lookups_[static_cast<size_t>(lookup)]; }
  void CountSaved(int64_t nanos) { saved_nanos_ += nanos; }
  struct Counts {
    int64_t lookups[static_cast<size_t>(Lookup::kCount)] = {};
    int64_t saved_nanos = 0;  // what the hits would have cost
    size_t waiting = 0;       // requests that wait for an identical one now
    AnswerStore::Counts memory;
    SharedCache::Counts shared;
  };
  Counts counts() const;

 private:
  const Clock& clock_;
  const size_t bytes_max_;
  AnswerStore store_;
  Flights flights_;
  std::atomic<int64_t> lookups_[static_cast<size_t>(Lookup::kCount)] = {};
  std::atomic<int64_t> saved_nanos_{0};
  std::unique_ptr<SharedCache> shared_;  // last: its thread uses the store until it is gone
};

// Collects an answer as it is sent to the client, as long as it may be kept.
class AnswerCapture {
 public:
  void Append(std::string_view bytes);
  bool whole() const { return whole_; }  // false: it is too large to be kept
  std::string Take() { return std::move(body_); }

 private:
  std::string body_;
  bool whole_ = true;
};

}  // namespace signalbox
