#include "controlplane/publish/published_content.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/manifest.h"
#include "common/sha256.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

constexpr int kReadAttemptsMax = 5;
constexpr size_t kResourceNameBytesMax = 1024;

// Tag and length of an embedded field, and of the fields within it: a generous bound of protobuf's framing.
constexpr size_t kEntryOverheadBytes = 24;
constexpr size_t kBlobOverheadBytes = 80;  // with the 32 bytes of the hash
static_assert(kOfferChunkBytesMax > 64 * kBlobOverheadBytes, "a chunk must carry more than its framing");

absl::StatusOr<Blob> ReadCheckedBlob(const SnapshotSource& source, const v1::ManifestEntry& entry) {
  if (entry.name().size() > kResourceNameBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("resource ", entry.name().substr(0, 64),
                                                   "...: its name has more than ", kResourceNameBytesMax, " bytes"));
  }
  ASSIGN_OR_RETURN(std::string data, source.ReadBlob(entry.sha256()));
  if (Sha256(data) != entry.sha256()) {
    return absl::DataLossError(
        absl::StrCat("resource ", entry.name(), ": the stored blob is not what its sha256 says; restore the database"));
  }
  if (data.size() > kBlobBytesMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("resource ", entry.name(), ": ", data.size(), " bytes, more than ", kBlobBytesMax));
  }
  return std::make_shared<const std::string>(std::move(data));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const PublishedContent>> ReadContent(const SnapshotSource& source,
                                                                    const PublishedContent* previous,
                                                                    int64_t committed_us) {
  absl::Status failure;
  for (int attempt = 0; attempt < kReadAttemptsMax; ++attempt) {
    auto content = std::make_shared<PublishedContent>();
    content->committed_us = committed_us;
    ASSIGN_OR_RETURN(content->snapshot, source.ReadSnapshot());
    failure = absl::OkStatus();
    for (const v1::ManifestEntry& entry : content->snapshot.manifest) {
      if (previous != nullptr) {
        const auto known = previous->blobs.find(entry.sha256());
        if (known != previous->blobs.end()) {
          content->blobs.insert(*known);
          continue;
        }
      }
      if (content->blobs.contains(entry.sha256())) continue;
      absl::StatusOr<Blob> blob = ReadCheckedBlob(source, entry);
      if (!blob.ok()) {
        failure = blob.status();
        break;
      }
      content->blobs.emplace(entry.sha256(), *std::move(blob));
    }
    if (failure.ok()) return std::shared_ptr<const PublishedContent>(std::move(content));
    if (!absl::IsNotFound(failure)) return failure;
  }
  return failure;
}

ContentChange ChangeBetween(const PublishedContent& base, const PublishedContent& content) {
  ContentChange change;
  change.base = base.snapshot.id;
  auto before = base.snapshot.manifest.begin();
  const auto before_end = base.snapshot.manifest.end();
  for (const v1::ManifestEntry& entry : content.snapshot.manifest) {
    while (before != before_end && before->name() < entry.name()) change.removed.push_back((before++)->name());
    const bool named = before != before_end && before->name() == entry.name();
    if (!named || before->sha256() != entry.sha256()) {
      change.manifest.push_back(entry);
      if (!base.blobs.contains(entry.sha256())) change.blobs.push_back(entry.sha256());
    }
    if (named) ++before;
  }
  for (; before != before_end; ++before) change.removed.push_back(before->name());
  std::sort(change.blobs.begin(), change.blobs.end());
  change.blobs.erase(std::unique(change.blobs.begin(), change.blobs.end()), change.blobs.end());
  return change;
}

OfferChunks::OfferChunks(uint64_t nonce, std::shared_ptr<const PublishedContent> content,
                         std::vector<std::string> blobs)
    : nonce_(nonce), content_(std::move(content)), blobs_(std::move(blobs)) {}

OfferChunks::OfferChunks(uint64_t nonce, std::shared_ptr<const PublishedContent> content,
                         std::shared_ptr<const ContentChange> change)
    : nonce_(nonce), content_(std::move(content)), change_(std::move(change)), blobs_(change_->blobs) {}

v1::Offer OfferChunks::Next() {
  const std::vector<v1::ManifestEntry>& manifest = change_ == nullptr ? content_->snapshot.manifest : change_->manifest;
  v1::Offer offer;
  offer.set_nonce(nonce_);
  *offer.mutable_id() = content_->snapshot.id;
  offer.set_schema(content_->snapshot.schema);
  if (change_ != nullptr) *offer.mutable_base() = change_->base;
  // `last` and the framing of the message around the offer.
  size_t left = kOfferChunkBytesMax - offer.ByteSizeLong() - kEntryOverheadBytes;
  while (next_entry_ < manifest.size()) {
    const size_t size = manifest[next_entry_].ByteSizeLong() + kEntryOverheadBytes;
    if (size > left) return offer;
    left -= size;
    *offer.add_manifest() = manifest[next_entry_++];
  }
  while (change_ != nullptr && next_removed_ < change_->removed.size()) {
    const size_t size = change_->removed[next_removed_].size() + kEntryOverheadBytes;
    if (size > left) return offer;
    left -= size;
    offer.add_removed(change_->removed[next_removed_++]);
  }
  while (next_blob_ < blobs_.size()) {
    if (left <= kBlobOverheadBytes) return offer;
    const std::string& sha256 = blobs_[next_blob_];
    const std::string& data = *content_->blobs.at(sha256);
    const size_t piece = std::min(left - kBlobOverheadBytes, data.size() - blob_offset_);
    v1::BlobChunk* chunk = offer.add_blobs();
    chunk->set_sha256(sha256);
    chunk->set_data(data.substr(blob_offset_, piece));
    chunk->set_size(data.size());
    left -= piece + kBlobOverheadBytes;
    blob_offset_ += piece;
    if (blob_offset_ < data.size()) return offer;
    ++next_blob_;
    blob_offset_ = 0;
  }
  offer.set_last(true);
  done_ = true;
  return offer;
}

}  // namespace signalbox
