// A map from names whose copies share what did not change: entries lie in shards by their hash, and a copy that is
// changed makes only the touched shards anew. So a snapshot of thousands of routes is made from the one before at the
// cost of what changed. Changed only before it is shared with other threads or copied; after that any thread reads.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace signalbox {

template <typename Value>
class SharedMap {
 public:
  SharedMap() = default;
  // The copy owns nothing yet: it shares every shard.
  SharedMap(const SharedMap& other) : table_(other.table_) {}
  SharedMap& operator=(const SharedMap& other) {
    table_ = other.table_;
    own_table_ = nullptr;
    own_shards_ = 0;
    return *this;
  }
  SharedMap(SharedMap&&) noexcept = default;
  SharedMap& operator=(SharedMap&&) noexcept = default;

  // Null when there is none; lives as long as the map or a copy of it.
  const Value* Find(std::string_view key) const {
    if (table_ == nullptr) return nullptr;
    const absl::string_view wanted(key.data(), key.size());
    const size_t hash = Hash(wanted);
    const Shard* const shard = (*table_)[ShardOf(hash)].get();
    if (shard == nullptr) return nullptr;
    const auto found = shard->find(wanted, hash);
    return found == shard->end() ? nullptr : &found->second;
  }
  const Value& at(std::string_view key) const { return *Find(key); }  // it is there
  bool contains(std::string_view key) const { return Find(key) != nullptr; }
  size_t size() const {
    size_t size = 0;
    if (table_ == nullptr) return size;
    for (const auto& shard : *table_) size += shard == nullptr ? 0 : shard->size();
    return size;
  }
  bool empty() const { return size() == 0; }
  // In no order.
  template <typename Visit>  // (const std::string&, const Value&)
  void ForEach(const Visit& visit) const {
    if (table_ == nullptr) return;
    for (const auto& shard : *table_) {
      if (shard == nullptr) continue;
      for (const auto& [key, value] : *shard) visit(key, value);
    }
  }

  // False, and nothing changed, when the key is there.
  bool Insert(const std::string& key, Value value) {
    if (contains(key)) return false;
    Own(key).emplace(key, std::move(value));
    return true;
  }
  bool Erase(const std::string& key) {
    if (!contains(key)) return false;
    Own(key).erase(key);
    return true;
  }

 private:
  using Shard = absl::flat_hash_map<std::string, Value>;
  static constexpr int kShardBits = 6;
  using Table = std::array<std::shared_ptr<Shard>, size_t{1} << kShardBits>;

  static size_t Hash(absl::string_view key) { return typename Shard::hasher{}(key); }
  // By bits that the shard's own table uses last.
  static size_t ShardOf(size_t hash) { return hash >> (sizeof(size_t) * 8 - kShardBits); }

  Shard& Own(const std::string& key) {
    if (own_table_ == nullptr) {
      auto copy = table_ == nullptr ? std::make_shared<Table>() : std::make_shared<Table>(*table_);
      own_table_ = copy.get();
      table_ = std::move(copy);
    }
    const size_t index = ShardOf(Hash(key));
    std::shared_ptr<Shard>& shard = (*own_table_)[index];
    if ((own_shards_ >> index & 1) == 0) {
      shard = shard == nullptr ? std::make_shared<Shard>() : std::make_shared<Shard>(*shard);
      own_shards_ |= uint64_t{1} << index;
    }
    return *shard;
  }

  std::shared_ptr<const Table> table_;  // null: empty
  Table* own_table_ = nullptr;          // table_, when it was made by this map
  uint64_t own_shards_ = 0;             // bit by shard: made by this map
  static_assert(size_t{1} << kShardBits == 64, "a bit for each shard");
};

}  // namespace signalbox
