// The last snapshots a proxy applied, on its disk: what it serves from when the control plane is away at its start. Two
// generations in two files; a save replaces the older one (tmp, fsync, rename, fsync of the directory), so that at any
// moment, also after a crash, the newest whole one can be loaded. Sealed with the proxy's key: secrets are never on
// disk in the clear, and an altered file does not open. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "common/seal/seal.h"
#include "dataplane/config/file_system.h"
#include "dataplane/config/snapshot_builder.h"

namespace signalbox {

class LastKnownGood {
 public:
  // Files snapshot.0 and snapshot.1 in `directory`, which exists. `files` outlives the object.
  LastKnownGood(std::string directory, Sealer sealer, FileSystem& files)
      : directory_(std::move(directory)), sealer_(std::move(sealer)), files_(files) {}

  struct Loaded {
    std::shared_ptr<const BuiltSnapshot> snapshot;  // null: none
    int64_t saved_us = 0;                           // Unix
    std::vector<absl::Status> failures;             // of files that are there but cannot be used
  };
  // The newest generation that opens and builds.
  Loaded Load(int max_schema);
  // On an error the generations on disk stay as they were.
  absl::Status Save(const BuiltSnapshot& snapshot, int64_t now_unix_us);

 private:
  std::string Path(int slot) const;
  absl::StatusOr<v1::StoredSnapshot> ReadSlot(int slot);

  const std::string directory_;
  const Sealer sealer_;
  FileSystem& files_;
  uint64_t generation_ = 0;  // of the newest loaded or saved
  int newest_slot_ = 1;      // a save goes to the other one
};

}  // namespace signalbox
