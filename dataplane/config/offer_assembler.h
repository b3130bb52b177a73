// Puts the chunks of an offer together. Pure; one thread. What comes in is a peer's: every length is checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "signalbox/v1/snapshot.pb.h"

namespace signalbox {

inline constexpr size_t kOfferBytesMax = 512 << 20;  // manifest and blobs of one offer

// A snapshot as offered: the blobs are those the receiver lacks.
struct SnapshotOffer {
  v1::SnapshotId id;
  int schema = 0;
  std::optional<v1::SnapshotId> base;                   // set: manifest and removed say what differs from that snapshot
  std::vector<v1::ManifestEntry> manifest;              // ordered by name
  std::vector<std::string> removed;                     // names
  absl::flat_hash_map<std::string, std::string> blobs;  // by sha256 (32 bytes)
};

class OfferAssembler {
 public:
  // True with the last chunk: Take() then gives the offer. INVALID_ARGUMENT when the chunks do not fit together; the
  // stream they came on is then of no use.
  absl::StatusOr<bool> Add(const v1::Offer& chunk);
  uint64_t nonce() const { return nonce_; }
  SnapshotOffer Take();

 private:
  bool open_ = false;  // between the first chunk and the last
  uint64_t nonce_ = 0;
  size_t bytes_ = 0;
  SnapshotOffer offer_;
  std::string partial_sha256_;  // of a blob that is not whole yet; empty: none
  uint64_t partial_size_ = 0;
};

}  // namespace signalbox
