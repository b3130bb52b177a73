// The ledger's database, as migrations: step n brings schema n to n + 1. A step that was released never changes; a
// change is a new step at the end. A new kind of usage is one (kUsageColumns in usage_query.h).
#pragma once

#include <string>
#include <vector>

namespace signalbox {

const std::vector<std::string>& LedgerMigrations();

}  // namespace signalbox
