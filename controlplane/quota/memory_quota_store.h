// A quota store that keeps nothing: a restart forgets every counter. For tests and benchmarks.
#pragma once

#include <memory>

#include "controlplane/quota/quota_store.h"

namespace signalbox {

std::unique_ptr<QuotaStore> NewMemoryQuotaStore();

}  // namespace signalbox
