// What a provider says about when to come back: `retry-after-ms`, `retry-after` (seconds or a date), and the rate-limit
// headers of OpenAI and Anthropic where one of their limits is spent. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

namespace signalbox {

// The value of a response header by its lower-case name; empty when there is none.
using HeaderReader = std::function<std::string_view(std::string_view name)>;

// Microseconds from now; nullopt when the provider does not say, or not in words that mean a time. At most a day, never
// negative. `unix_us` is the wall clock, for dates.
std::optional<int64_t> RetryAfterUs(int http_status, const HeaderReader& header, int64_t unix_us);

// Gemini says it in the body of its error: "retryDelay": "34s". Of a 429 or 503 only.
std::optional<int64_t> RetryDelayInBody(int http_status, std::string_view body);

// `x-should-retry`, by which OpenAI and Anthropic tell their own clients; nullopt when it is not there.
std::optional<bool> ShouldRetry(const HeaderReader& header);

}  // namespace signalbox
