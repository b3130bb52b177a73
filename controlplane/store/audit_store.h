// Who changed what: one row for each call that changes something, also for those that were refused or failed. The
// newest kAuditEntriesMax are kept. Thread-safe; a view of SqliteStore, which owns it.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/limits.h"
#include "controlplane/store/store_core.h"
#include "signalbox/v1/admin.pb.h"

namespace signalbox {

class AuditStore {
 public:
  explicit AuditStore(StoreCore& core) : core_(core) {}

  // Id and time are assigned; on disk on return.
  absl::Status Append(const v1::AuditEntry& entry);

  struct Filter {
    std::string who;     // name or id of the token
    std::string method;  // whole, or its last part
  };
  // Newest first; only those older than the entry `before` (0: all).
  absl::StatusOr<Page<v1::AuditEntry>> List(const Filter& filter, int64_t before, int limit) const;

  void set_entries_max(int64_t entries_max) { entries_max_ = entries_max; }  // for tests, before others use it

 private:
  StoreCore& core_;
  int64_t entries_max_ = kAuditEntriesMax;
};

}  // namespace signalbox
