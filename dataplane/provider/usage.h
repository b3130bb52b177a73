// Reads a provider's `usage` object. Shared by unary and streamed responses.
#pragma once

#include <simdjson.h>

#include <optional>

#include "signalbox/v1/spend.pb.h"

namespace signalbox {

// nullopt when a total is missing, mistyped, negative or absurd: an estimate is better than a wrong bill.
std::optional<v1::TokenUsage> ReadUsage(simdjson::dom::element usage);

}  // namespace signalbox
