// Where the quota engine keeps what it has decided: a snapshot of the core's state and the batches applied since.
// Recovery replays the batches over the snapshot at their logged time, which gives the same state and the same
// answers. Used by one thread at a time, the engine's turn.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "signalbox/v1/quota_log.pb.h"

namespace signalbox {

// What a committed batch survives: nothing, the death of the process, or of the machine (fsync).
enum class Durability { kNone, kProcess, kPower };

class QuotaStore {
 public:
  virtual ~QuotaStore() = default;
  // One batch, one transaction. On an error it is unknown whether the batch was kept: recover before going on.
  virtual absl::Status Append(const v1::QuotaLogBatch& batch) = 0;
  // Replaces snapshot and log by `parts`, in one transaction.
  virtual absl::Status Compact(const std::vector<v1::QuotaStatePart>& parts) = 0;
  // Calls back with each part of the snapshot, then each batch since, in order. DATA_LOSS when a row is damaged; the
  // first error of a callback ends it.
  virtual absl::Status Recover(const std::function<absl::Status(const v1::QuotaStatePart&)>& on_part,
                               const std::function<absl::Status(const v1::QuotaLogBatch&)>& on_batch) = 0;
  // An online copy into the new file `path`, as a function to call in the engine's turns until it says true; batches
  // may be appended between the calls. UNIMPLEMENTED by a store that has no file.
  virtual absl::StatusOr<std::function<absl::StatusOr<bool>()>> StartBackup(const std::string& path) const {
    return absl::UnimplementedError("this quota store has no file to copy");
  }
  virtual int64_t log_bytes() const = 0;  // since the last compaction
  virtual std::string name() const = 0;
  virtual Durability durability() const = 0;
};

}  // namespace signalbox
