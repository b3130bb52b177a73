// The quota store in one SQLite file: a row a batch, a digest a row, the snapshot in parts. One connection, which
// locks the file against a second service. Not thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "controlplane/quota/quota_store.h"

namespace signalbox {

// Opens or creates `path`. UNAVAILABLE when another process has it open or it cannot be opened, DATA_LOSS when it is
// no database, FAILED_PRECONDITION when it was written by a newer version.
absl::StatusOr<std::unique_ptr<QuotaStore>> OpenSqliteQuotaStore(const std::string& path, Durability durability);

}  // namespace signalbox
