// The ledger's database, as migrations: step n brings schema n to n + 1. A step that was released never changes; a
// change is a new step at the end. A new kind of usage is one (kUsageKinds in usage_query.h).
#pragma once

#include <string>
#include <vector>

namespace signalbox {

const std::vector<std::string>& LedgerMigrations();

// Run once a connection, after the migrations: `identified_requests`, which is the index and what came since. Whoever
// deletes from `requests` without it leaves strays in the index, which find nothing.
const std::string& LedgerConnectionSetup();

}  // namespace signalbox
