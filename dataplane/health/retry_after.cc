#include "dataplane/health/retry_after.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace signalbox {
namespace {

constexpr size_t kErrorBodyBytesSearched = 64 << 10;
constexpr int64_t kRetryAfterUsMax = 86'400LL * 1'000'000;

absl::string_view Abseil(std::string_view text) { return {text.data(), text.size()}; }

std::optional<int64_t> Bounded(double microseconds) {
  if (std::isnan(microseconds) || microseconds < 0) return std::nullopt;
  if (microseconds >= static_cast<double>(kRetryAfterUsMax)) return kRetryAfterUsMax;
  return static_cast<int64_t>(std::ceil(microseconds));
}

std::optional<int64_t> ParseNumber(std::string_view text, double microseconds_each) {
  double number = 0;
  if (!absl::SimpleAtod(Abseil(text), &number)) return std::nullopt;
  return Bounded(number * microseconds_each);
}

std::optional<int64_t> ParseDate(const std::string& format, std::string_view text, int64_t unix_us) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(format, Abseil(text), &time, &error)) return std::nullopt;
  return Bounded(static_cast<double>(std::max<int64_t>(absl::ToUnixMicros(time) - unix_us, 0)));
}

// OpenAI: 1s, 6m0s, 20ms.
std::optional<int64_t> ParseDuration(std::string_view text) {
  absl::Duration duration;
  if (!absl::ParseDuration(Abseil(text), &duration)) return std::nullopt;
  return Bounded(absl::ToDoubleMicroseconds(duration));
}

void Longer(std::optional<int64_t>& wait, std::optional<int64_t> other) {
  if (other.has_value() && other.value() > wait.value_or(-1)) wait = other;
}

// The longest wait among the limits that are spent: the others would let the request pass.
std::optional<int64_t> FromRateLimits(const HeaderReader& header, int64_t unix_us) {
  std::optional<int64_t> wait;
  for (const char* unit : {"requests", "tokens"}) {
    if (header(absl::StrCat("x-ratelimit-remaining-", unit)) != "0") continue;
    Longer(wait, ParseDuration(header(absl::StrCat("x-ratelimit-reset-", unit))));
  }
  for (const char* unit : {"requests", "tokens", "input-tokens", "output-tokens"}) {
    if (header(absl::StrCat("anthropic-ratelimit-", unit, "-remaining")) != "0") continue;
    Longer(wait, ParseDate(absl::RFC3339_full, header(absl::StrCat("anthropic-ratelimit-", unit, "-reset")), unix_us));
  }
  return wait;
}

}  // namespace

std::optional<int64_t> RetryAfterUs(int http_status, const HeaderReader& header, int64_t unix_us) {
  if (const std::string_view text = header("retry-after-ms"); !text.empty()) {
    if (const auto wait = ParseNumber(text, 1e3); wait.has_value()) return wait;
  }
  if (const std::string_view text = header("retry-after"); !text.empty()) {
    if (const auto wait = ParseNumber(text, 1e6); wait.has_value()) return wait;
    if (const auto wait = ParseDate("%a, %d %b %Y %H:%M:%S GMT", text, unix_us); wait.has_value()) return wait;
  }
  return http_status == 429 ? FromRateLimits(header, unix_us) : std::nullopt;
}

std::optional<int64_t> RetryDelayInBody(int http_status, std::string_view body) {
  if (http_status != 429 && http_status != 503) return std::nullopt;
  constexpr std::string_view kName = "\"retryDelay\"";
  size_t at = body.substr(0, kErrorBodyBytesSearched).find(kName);
  if (at == std::string_view::npos) return std::nullopt;
  at = body.find_first_not_of(" \t\r\n:", at + kName.size());
  if (at == std::string_view::npos || body[at] != '"') return std::nullopt;
  const size_t end = body.find('"', at + 1);
  if (end == std::string_view::npos) return std::nullopt;
  return ParseDuration(body.substr(at + 1, end - at - 1));
}

std::optional<bool> ShouldRetry(const HeaderReader& header) {
  const std::string_view text = header("x-should-retry");
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

}  // namespace signalbox
