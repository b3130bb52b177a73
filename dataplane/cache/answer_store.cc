#include "dataplane/cache/answer_store.h"

#include <algorithm>

#include "common/limits.h"

namespace signalbox {

// A shard must hold a few of the largest answers, or they would only drive each other out.
AnswerStore::AnswerStore(size_t bytes_max) {
  const size_t shards = std::clamp<size_t>(bytes_max / (4 * kCachedAnswerBytesMax), 1, kCacheShardsMax);
  for (size_t i = 0; i < shards; ++i) shards_.push_back(std::make_unique<Shard>());
  shard_bytes_max_ = bytes_max / shards;
}

// Keys are hashes: their first byte is as good as any hash of them.
AnswerStore::Shard& AnswerStore::ShardOf(std::string_view key) const {
  return *shards_[key.empty() ? 0 : static_cast<unsigned char>(key[0]) % shards_.size()];
}

void AnswerStore::Remove(Shard& shard, Entries::iterator entry, Entries& gone) {
  shard.by_key.erase(std::string_view(entry->key));
  shard.by_expiry.erase({entry->expire_us, std::string_view(entry->key)});
  shard.counts.bytes -= entry->bytes;
  --shard.counts.entries;
  gone.splice(gone.end(), shard.entries, entry);
}

AnswerStore::Found AnswerStore::Get(std::string_view key, int64_t now_us, int64_t max_age_us) {
  Shard& shard = ShardOf(key);
  Entries gone;
  const MutexLock lock(shard.mutex);
  const auto found = shard.by_key.find(key);
  if (found == shard.by_key.end()) return {};
  const Entries::iterator entry = found->second;
  if (entry->expire_us <= now_us) {
    ++shard.counts.expired;
    Remove(shard, entry, gone);
    return {};
  }
  const int64_t age_us = now_us - entry->stored_us;
  if (age_us >= max_age_us) return {};
  shard.entries.splice(shard.entries.begin(), shard.entries, entry);
  return {entry->answer, age_us};
}

bool AnswerStore::Put(std::string_view key, SharedAnswer answer, int64_t stored_us, int64_t expire_us, int64_t now_us) {
  const size_t bytes = key.size() + AnswerBytes(*answer);
  if (bytes > shard_bytes_max_ || expire_us <= now_us) return false;
  Shard& shard = ShardOf(key);
  Entries gone;
  const MutexLock lock(shard.mutex);
  if (const auto old = shard.by_key.find(key); old != shard.by_key.end()) Remove(shard, old->second, gone);
  while (!shard.by_expiry.empty() && shard.by_expiry.begin()->first <= now_us) {
    ++shard.counts.expired;
    Remove(shard, shard.by_key.at(shard.by_expiry.begin()->second), gone);
  }
  while (shard.counts.bytes + bytes > shard_bytes_max_) {
    ++shard.counts.evicted;
    Remove(shard, std::prev(shard.entries.end()), gone);
  }
  shard.entries.push_front({std::string(key), std::move(answer), stored_us, expire_us, bytes});
  const std::string_view kept = shard.entries.front().key;
  shard.by_key.emplace(kept, shard.entries.begin());
  shard.by_expiry.emplace(expire_us, kept);
  shard.counts.bytes += bytes;
  ++shard.counts.entries;
  ++shard.counts.stored;
  return true;
}

AnswerStore::Counts AnswerStore::counts() const {
  Counts sum;
  for (const auto& shard : shards_) {
    const MutexLock lock(shard->mutex);
    sum.entries += shard->counts.entries;
    sum.bytes += shard->counts.bytes;
    sum.stored += shard->counts.stored;
    sum.evicted += shard->counts.evicted;
    sum.expired += shard->counts.expired;
  }
  return sum;
}

}  // namespace signalbox
