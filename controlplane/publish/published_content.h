// A published snapshot with its blobs in memory, read once from the source and shared by every stream. Never changed
// after it is built; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "controlplane/publish/snapshot_source.h"

namespace signalbox {

using Blob = std::shared_ptr<const std::string>;

struct PublishedContent {
  PublishedSnapshot snapshot;
  absl::flat_hash_map<std::string, Blob> blobs;  // by sha256 (32 bytes); one for each manifest entry
  int64_t committed_us = 0;                      // monotonic: the first commit it carries
};

// Reads the published snapshot; blobs that `previous` (may be null) has are not read again. A blob that vanished
// because newer content was published meanwhile makes it start over. DATA_LOSS when a blob is not what its hash says.
absl::StatusOr<std::shared_ptr<const PublishedContent>> ReadContent(const SnapshotSource& source,
                                                                    const PublishedContent* previous,
                                                                    int64_t committed_us);

// What a proxy that has the base must know to have the other: found once for all that are at the same base.
struct ContentChange {
  v1::SnapshotId base;
  std::vector<v1::ManifestEntry> manifest;  // of entries that are new or have another blob, ordered by name
  std::vector<std::string> removed;         // names
  std::vector<std::string> blobs;           // sha256 of those that the base has not, in order
};
ContentChange ChangeBetween(const PublishedContent& base, const PublishedContent& content);

// Writes one offer as chunks of at most kOfferChunkBytesMax as serialised: the manifest, names removed, the blobs.
class OfferChunks {
 public:
  // Of the whole content. `blobs`: the sha256 of those to carry, each one in the content.
  OfferChunks(uint64_t nonce, std::shared_ptr<const PublishedContent> content, std::vector<std::string> blobs);
  // For a proxy that has the change's base.
  OfferChunks(uint64_t nonce, std::shared_ptr<const PublishedContent> content,
              std::shared_ptr<const ContentChange> change);
  bool done() const { return done_; }
  v1::Offer Next();  // not when done()
  uint64_t nonce() const { return nonce_; }

 private:
  uint64_t nonce_;
  std::shared_ptr<const PublishedContent> content_;
  std::shared_ptr<const ContentChange> change_;  // null: the whole
  std::vector<std::string> blobs_;
  size_t next_entry_ = 0;  // of the manifest
  size_t next_removed_ = 0;
  size_t next_blob_ = 0;
  size_t blob_offset_ = 0;  // within it
  bool done_ = false;
};

}  // namespace signalbox
