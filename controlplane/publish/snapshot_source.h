// Where published configuration comes from: the store. One implementation reads SQLite, tests script their own.
// Thread-safe. Reads are consistent: manifest and identity belong together.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "signalbox/v1/snapshot.pb.h"

namespace signalbox {

struct PublishedSnapshot {
  v1::SnapshotId id;                        // sequence 0: nothing was deployed yet, nothing is offered
  int schema = 1;                           // needed to read it
  std::vector<v1::ManifestEntry> manifest;  // ordered by name
};

class SnapshotSource {
 public:
  virtual ~SnapshotSource() = default;
  virtual absl::StatusOr<PublishedSnapshot> ReadSnapshot() const = 0;
  // A serialised v1::Resource by its sha256 (32 bytes), secrets in the clear. NOT_FOUND when it is no longer published.
  virtual absl::StatusOr<std::string> ReadBlob(const std::string& sha256) const = 0;
};

}  // namespace signalbox
