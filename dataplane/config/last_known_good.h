// The last snapshots a proxy applied, on its disk: what it serves from when the control plane is away at its start. A
// file begins with a whole snapshot and grows by a record for each change, so that a change costs what changed; one
// that has grown long is followed by another in the second of two slots (tmp, fsync, rename, fsync of the directory).
// At any moment, also after a crash, the newest whole snapshot can be loaded. Every record is sealed with the proxy's
// key and says which one it follows: secrets are never on disk in the clear, and what was altered does not open. One
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/seal/seal.h"
#include "dataplane/config/file_system.h"
#include "dataplane/config/snapshot_builder.h"

namespace signalbox {

inline constexpr size_t kKeptRecordsMax = 256;  // in one file

class LastKnownGood {
 public:
  // Files snapshot.0 and snapshot.1 in `directory`, which exists. `files` outlives the object.
  LastKnownGood(std::string directory, Sealer sealer, FileSystem& files)
      : directory_(std::move(directory)), sealer_(std::move(sealer)), files_(files) {}

  struct Loaded {
    std::shared_ptr<const BuiltSnapshot> snapshot;  // null: none
    int64_t saved_us = 0;                           // Unix
    std::vector<absl::Status> failures;             // of files that are there but cannot be used to their end
  };
  // The newest snapshot that opens and builds. Also reads files of before they could grow.
  Loaded Load(int max_schema);
  // Durable once it returns OK. On an error what was saved before can still be loaded.
  absl::Status Save(std::shared_ptr<const BuiltSnapshot> snapshot, int64_t now_unix_us);

 private:
  struct Content {  // of a file, as far as it is whole
    int slot = 0;
    std::vector<v1::StoredSnapshot> records;
    size_t first_bytes = 0;  // up to the end of the first
    size_t bytes = 0;
    bool grows = false;   // not of the old format
    absl::Status damage;  // why there is no more; OK: all of it was read
  };
  std::string Path(int slot) const;
  absl::StatusOr<Content> Read(int slot) const;
  // How far it builds; `failure` says why not to its end.
  Loaded BuildFrom(const Content& content, int max_schema, absl::Status& failure);

  v1::StoredSnapshot NextRecord(const BuiltSnapshot& snapshot, int64_t now_unix_us);
  std::string Frame(const v1::StoredSnapshot& record) const;
  absl::Status Append(const BuiltSnapshot& snapshot, int64_t now_unix_us);
  absl::Status WriteWhole(const BuiltSnapshot& snapshot, int64_t now_unix_us);

  const std::string directory_;
  const Sealer sealer_;
  FileSystem& files_;
  uint64_t generation_ = 0;  // of the newest that was found or may be on disk
  int newest_slot_ = 1;      // a whole snapshot goes to the other one
  // The last record of the newest file; null: that file must not grow.
  std::shared_ptr<const BuiltSnapshot> kept_;
  std::string file_;  // its name for itself
  size_t records_ = 0;
  size_t first_bytes_ = 0;
  size_t bytes_ = 0;
};

}  // namespace signalbox
