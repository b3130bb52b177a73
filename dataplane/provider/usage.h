// Reads a provider's `usage` object. Shared by unary and streamed responses.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string_view>

#include "dataplane/provider/json_dom.h"
#include "signalbox/v1/spend.pb.h"

namespace signalbox {

// nullopt when a total is missing, mistyped, negative or absurd: an estimate is better than a wrong bill. Input
// contains the cache and output the reasoning, whichever way the provider counts.
std::optional<v1::TokenUsage> ReadUsage(simdjson::dom::element usage);

// The usage of a whole response or of one stream event, wherever the provider puts it: `usage`, Groq's `x_groq.usage`,
// a choice's `usage`.
std::optional<v1::TokenUsage> FindUsage(const Members& message);

// Bytes of text, reasoning and tool-call arguments in one choice; `holder` is message or delta.
size_t ContentBytes(const Members& choice, std::string_view holder);

}  // namespace signalbox
