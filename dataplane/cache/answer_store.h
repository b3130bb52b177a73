// The answers one proxy keeps in memory, in at most so many bytes. Eviction: expired answers first, then the one not
// used for the longest (exact LRU, within the shard that the key falls into; a shard has its share of the bytes).
// Pure but for its locks: the caller says what time it is, by a clock that never goes back. Thread-safe.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "common/mutex.h"
#include "dataplane/cache/cached_answer.h"

namespace signalbox {

class AnswerStore {
 public:
  explicit AnswerStore(size_t bytes_max);

  struct Found {
    SharedAnswer answer;  // null: none
    int64_t age_us = 0;
  };
  // An answer that has not expired and is younger than `max_age_us`.
  Found Get(std::string_view key, int64_t now_us, int64_t max_age_us);
  // Keeps it from `stored_us` (at most now) until `expire_us`, in place of one there was. False when it is expired or
  // larger than a shard.
  bool Put(std::string_view key, SharedAnswer answer, int64_t stored_us, int64_t expire_us, int64_t now_us);

  struct Counts {
    size_t entries = 0, bytes = 0;                 // now
    int64_t stored = 0, evicted = 0, expired = 0;  // since the start; evicted: to make room
  };
  Counts counts() const;
  size_t shards() const { return shards_.size(); }

 private:
  struct Entry {
    std::string key;
    SharedAnswer answer;
    int64_t stored_us;
    int64_t expire_us;
    size_t bytes;
  };
  using Entries = std::list<Entry>;  // used last stands first; keys below are views into it
  struct Shard {
    mutable Mutex mutex;
    Entries entries SB_GUARDED_BY(mutex);
    absl::flat_hash_map<std::string_view, Entries::iterator> by_key SB_GUARDED_BY(mutex);
    absl::btree_set<std::pair<int64_t, std::string_view>> by_expiry SB_GUARDED_BY(mutex);
    Counts counts SB_GUARDED_BY(mutex);
  };
  Shard& ShardOf(std::string_view key) const;
  // Moves the entry to `gone`, whose end is outside the lock: freeing megabytes takes a while.
  static void Remove(Shard& shard, Entries::iterator entry, Entries& gone) SB_REQUIRES(shard.mutex);

  std::vector<std::unique_ptr<Shard>> shards_;
  size_t shard_bytes_max_;
};

}  // namespace signalbox
