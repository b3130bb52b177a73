// What a snapshot is made of, ordered by name: its manifest, with the checked part that each name stands for. In blocks
// that copies share: a copy makes only the touched blocks anew, and what two lists differ in is found at the cost of
// the difference. Changed only before it is shared with other threads or copied; after that any thread reads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/price_table.h"
#include "signalbox/v1/compiled.pb.h"

namespace signalbox {

// A checked blob; exactly one pointer besides `bytes` is set. Shared by every snapshot that carries it.
struct SnapshotPart {
  std::shared_ptr<const std::string> bytes;
  std::shared_ptr<const v1::CompiledRoute> route;
  std::shared_ptr<const v1::SnapshotProvider> provider;
  std::shared_ptr<const v1::SnapshotKey> key;
  std::shared_ptr<const v1::SnapshotGateway> gateway;
  std::shared_ptr<const v1::SnapshotPrices> prices;
  PriceTable price_table;  // of `prices`
};

class PartList {
 public:
  struct Entry {
    std::string name;
    std::string sha256;  // 32 bytes
    SnapshotPart part;
  };
  using EntryPtr = std::shared_ptr<const Entry>;

  PartList() = default;
  PartList(const PartList& other) : blocks_(other.blocks_), own_(blocks_.size()), size_(other.size_) {}
  PartList(PartList&&) noexcept = default;
  PartList& operator=(PartList&&) noexcept = default;

  size_t size() const { return size_; }
  EntryPtr Find(std::string_view name) const;  // null: none
  template <typename Visit>                    // (const EntryPtr&), in order
  void ForEach(const Visit& visit) const {
    for (const auto& block : blocks_) {
      for (const EntryPtr& entry : block->entries) visit(entry);
    }
  }
  // Hex, of the whole manifest: what ManifestSha256 gives.
  std::string Sha256() const;

  // In the place of one of that name, if there is one.
  void Put(EntryPtr entry);
  bool Remove(std::string_view name);  // false: there is none

  // Each entry of `to` that `from` lacks or has otherwise, and each of `from` whose name `to` lacks.
  static void Compare(const PartList& from, const PartList& to, const std::function<void(const EntryPtr&)>& put,
                      const std::function<void(const EntryPtr&)>& removed);

 private:
  struct Block {
    std::vector<EntryPtr> entries;  // not empty
    std::string text;               // their lines of the manifest
  };
  class Cursor;

  size_t BlockFor(std::string_view name) const;  // where it is or would be; there are blocks
  Block& Own(size_t index);
  void Split(size_t index);

  std::vector<std::shared_ptr<Block>> blocks_;
  std::vector<bool> own_;  // by block: made by this list
  size_t size_ = 0;
};

}  // namespace signalbox
