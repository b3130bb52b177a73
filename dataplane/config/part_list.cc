#include "dataplane/config/part_list.h"

#include <algorithm>
#include <utility>

#include "common/manifest.h"
#include "common/sha256.h"

namespace signalbox {
namespace {

constexpr size_t kBlockEntriesMax = 64;

size_t PlaceIn(const std::vector<PartList::EntryPtr>& entries, std::string_view name) {
  const auto place =
      std::lower_bound(entries.begin(), entries.end(), name,
                       [](const PartList::EntryPtr& entry, std::string_view wanted) { return entry->name < wanted; });
  return static_cast<size_t>(place - entries.begin());
}

std::string TextOf(const std::vector<PartList::EntryPtr>& entries) {
  std::string text;
  for (const PartList::EntryPtr& entry : entries) AppendManifestLine(entry->name, entry->sha256, text);
  return text;
}

}  // namespace

// Walks a list, over whole blocks where that is wanted.
class PartList::Cursor {
 public:
  explicit Cursor(const PartList& list) : list_(list) {}
  bool done() const { return block_ == list_.blocks_.size(); }
  const EntryPtr& entry() const { return list_.blocks_[block_]->entries[index_]; }
  void Next() {
    if (++index_ == list_.blocks_[block_]->entries.size()) NextBlock();
  }
  // Null when it stands within one.
  const Block* begun_block() const { return index_ == 0 ? list_.blocks_[block_].get() : nullptr; }
  void NextBlock() {
    ++block_;
    index_ = 0;
  }

 private:
  const PartList& list_;
  size_t block_ = 0;
  size_t index_ = 0;
};

size_t PartList::BlockFor(std::string_view name) const {
  const auto after = std::upper_bound(blocks_.begin(), blocks_.end(), name,
                                      [](std::string_view wanted, const std::shared_ptr<Block>& block) {
                                        return wanted < block->entries.front()->name;
                                      });
  return after == blocks_.begin() ? 0 : static_cast<size_t>(after - blocks_.begin()) - 1;
}

PartList::EntryPtr PartList::Find(std::string_view name) const {
  if (blocks_.empty()) return nullptr;
  const std::vector<EntryPtr>& entries = blocks_[BlockFor(name)]->entries;
  const size_t place = PlaceIn(entries, name);
  return place < entries.size() && entries[place]->name == name ? entries[place] : nullptr;
}

std::string PartList::Sha256() const {
  std::vector<std::string_view> pieces;
  pieces.reserve(blocks_.size());
  for (const auto& block : blocks_) pieces.push_back(block->text);
  return Sha256Hex(pieces);
}

PartList::Block& PartList::Own(size_t index) {
  if (!own_[index]) {
    blocks_[index] = std::make_shared<Block>(*blocks_[index]);
    own_[index] = true;
  }
  return *blocks_[index];
}

void PartList::Split(size_t index) {
  Block& block = *blocks_[index];
  auto second = std::make_shared<Block>();
  // What is filled in order stays full.
  const size_t keep = index + 1 == blocks_.size() ? kBlockEntriesMax : block.entries.size() / 2;
  second->entries.assign(block.entries.begin() + static_cast<std::ptrdiff_t>(keep), block.entries.end());
  second->text = TextOf(second->entries);
  block.entries.resize(keep);
  block.text = TextOf(block.entries);
  blocks_.insert(blocks_.begin() + static_cast<std::ptrdiff_t>(index) + 1, std::move(second));
  own_.insert(own_.begin() + static_cast<std::ptrdiff_t>(index) + 1, true);
}

void PartList::Put(EntryPtr entry) {
  if (blocks_.empty()) {
    auto first = std::make_shared<Block>();
    first->entries.push_back(std::move(entry));
    first->text = TextOf(first->entries);
    blocks_.push_back(std::move(first));
    own_.push_back(true);
    size_ = 1;
    return;
  }
  const size_t index = BlockFor(entry->name);
  Block& block = Own(index);
  const size_t place = PlaceIn(block.entries, entry->name);
  if (place == block.entries.size()) {
    AppendManifestLine(entry->name, entry->sha256, block.text);
    block.entries.push_back(std::move(entry));
    ++size_;
  } else {
    if (block.entries[place]->name == entry->name) {
      block.entries[place] = std::move(entry);
    } else {
      block.entries.insert(block.entries.begin() + static_cast<std::ptrdiff_t>(place), std::move(entry));
      ++size_;
    }
    block.text = TextOf(block.entries);
  }
  if (block.entries.size() > kBlockEntriesMax) Split(index);
}

bool PartList::Remove(std::string_view name) {
  if (Find(name) == nullptr) return false;
  const size_t index = BlockFor(name);
  Block& block = Own(index);
  block.entries.erase(block.entries.begin() + static_cast<std::ptrdiff_t>(PlaceIn(block.entries, name)));
  block.text = TextOf(block.entries);
  --size_;
  if (block.entries.empty()) {
    blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(index));
    own_.erase(own_.begin() + static_cast<std::ptrdiff_t>(index));
  }
  return true;
}

void PartList::Compare(const PartList& from, const PartList& to, const std::function<void(const EntryPtr&)>& put,
                       const std::function<void(const EntryPtr&)>& removed) {
  Cursor before(from);
  Cursor after(to);
  while (!before.done() || !after.done()) {
    if (after.done() || (!before.done() && before.entry()->name < after.entry()->name)) {
      removed(before.entry());
      before.Next();
    } else if (before.done() || after.entry()->name < before.entry()->name) {
      put(after.entry());
      after.Next();
    } else if (before.begun_block() != nullptr && before.begun_block() == after.begun_block()) {
      before.NextBlock();
      after.NextBlock();
    } else {
      if (before.entry()->sha256 != after.entry()->sha256) put(after.entry());
      before.Next();
      after.Next();
    }
  }
}

}  // namespace signalbox
