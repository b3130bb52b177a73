#include "dataplane/config/offer_assembler.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"

namespace signalbox {

absl::StatusOr<bool> OfferAssembler::Add(const v1::Offer& chunk) {
  if (!open_) {
    open_ = true;
    nonce_ = chunk.nonce();
    bytes_ = 0;
    offer_ = SnapshotOffer();
    offer_.id = chunk.id();
    offer_.schema = chunk.schema();
    if (chunk.has_base()) offer_.base = chunk.base();
    partial_sha256_.clear();
  } else if (chunk.nonce() != nonce_) {
    return absl::InvalidArgumentError(
        absl::StrCat("offer ", nonce_, ": broken off by a chunk of offer ", chunk.nonce()));
  }
  bytes_ += chunk.ByteSizeLong();
  if (bytes_ > kOfferBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("offer ", nonce_, ": more than ", kOfferBytesMax, " bytes"));
  }
  offer_.manifest.insert(offer_.manifest.end(), chunk.manifest().begin(), chunk.manifest().end());
  offer_.removed.insert(offer_.removed.end(), chunk.removed().begin(), chunk.removed().end());
  for (const v1::BlobChunk& piece : chunk.blobs()) {
    if (piece.size() > kBlobBytesMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("offer ", nonce_, ": a blob of ", piece.size(), " bytes, more than ", kBlobBytesMax));
    }
    if (partial_sha256_.empty()) {
      if (!offer_.blobs.try_emplace(piece.sha256()).second) {
        return absl::InvalidArgumentError(absl::StrCat("offer ", nonce_, ": a blob comes twice"));
      }
      partial_sha256_ = piece.sha256();
      partial_size_ = piece.size();
    } else if (piece.sha256() != partial_sha256_ || piece.size() != partial_size_) {
      return absl::InvalidArgumentError(
          absl::StrCat("offer ", nonce_, ": another blob begins before the one before is whole"));
    }
    std::string& data = offer_.blobs.at(piece.sha256());
    if (data.size() + piece.data().size() > partial_size_) {
      return absl::InvalidArgumentError(absl::StrCat("offer ", nonce_, ": a blob is longer than it said"));
    }
    data += piece.data();
    if (data.size() == partial_size_) partial_sha256_.clear();
  }
  if (!chunk.last()) return false;
  if (!partial_sha256_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("offer ", nonce_, ": ends within a blob"));
  }
  open_ = false;
  return true;
}

SnapshotOffer OfferAssembler::Take() { return std::exchange(offer_, SnapshotOffer()); }

}  // namespace signalbox
