// Reads the match logic of price data: {"equals": "gpt-4o"}, {"or": [{"starts_with": "o1-"}, {"regex": "^o3"}]}. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "absl/status/statusor.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

// INVALID_ARGUMENT: of an unknown kind, too deep, or not one kind with text or a list.
absl::StatusOr<v1::ModelMatch> ReadGenaiMatch(const nlohmann::json& match);

}  // namespace signalbox
