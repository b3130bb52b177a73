// Faults on an absl::Status, so that a refusal carries all of its reasons. Any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "signalbox/v1/route.pb.h"

namespace signalbox {

// A status whose payload lists `faults`. An empty list gives the plain status.
absl::Status StatusWithFaults(absl::StatusCode code, const std::string& message, const std::vector<v1::Fault>& faults);
// The faults of a status; empty when it carries none.
std::vector<v1::Fault> FaultsOf(const absl::Status& status);
// One line a fault: `element "mini" ($.elements[3].properties.provider): unknown provider "opnai" ...`
std::string FormatFaults(const std::vector<v1::Fault>& faults);

inline constexpr char kFaultsTypeUrl[] = "type.googleapis.com/signalbox.v1.Faults";

}  // namespace signalbox
