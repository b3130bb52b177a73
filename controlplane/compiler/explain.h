// Sentences about why a walk went where it went. Pure; any thread.
#pragma once

#include <string>

#include "common/route/request_view.h"
#include "signalbox/v1/compiled.pb.h"

namespace signalbox {

// The facts that made `condition` come out as it did: `metadata.plan is "free"`, `metadata.tier is missing`.
std::string ExplainCondition(const v1::Condition& condition, const RequestView& request);

}  // namespace signalbox
