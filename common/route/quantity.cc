#include "common/route/quantity.h"

#include <charconv>
#include <cmath>
#include <string>

#include "common/limits.h"

namespace signalbox {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::optional<int64_t> DollarsToNanos(double dollars) {
  if (!std::isfinite(dollars) || dollars <= 0 || dollars > static_cast<double>(kLimitNanosMax / kNanosPerDollar)) {
    return std::nullopt;
  }
  // "d.ddddde[+-]xx": digits and a decimal exponent, exact from here on.
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), dollars, std::chars_format::scientific).ptr;
  std::string digits;
  int exponent = 0;
  for (const char* p = buffer; p != end; ++p) {
    if (IsDigit(*p)) digits.push_back(*p);
    if (*p == 'e') {
      std::from_chars(p[1] == '+' ? p + 2 : p + 1, end, exponent);
      break;
    }
  }
  // nanos = digits[0 .. whole) . digits[whole ..]
  const int whole = 1 + exponent + 9;
  if (whole < 0) return std::nullopt;  // below half a nano-dollar
  while (static_cast<int>(digits.size()) < whole) digits.push_back('0');
  int64_t nanos = 0;
  for (int i = 0; i < whole; ++i) nanos = nanos * 10 + (digits[static_cast<size_t>(i)] - '0');
  const std::string rest = digits.substr(static_cast<size_t>(whole));
  const bool above_half =
      !rest.empty() && (rest[0] > '5' || (rest[0] == '5' && rest.find_first_not_of('0', 1) != std::string::npos));
  const bool half = !rest.empty() && rest[0] == '5' && !above_half;
  if (above_half || (half && nanos % 2 == 1)) ++nanos;
  if (nanos <= 0 || nanos > kLimitNanosMax) return std::nullopt;
  return nanos;
}

std::optional<int64_t> WholeNumber(double value, int64_t low, int64_t high) {
  if (!std::isfinite(value) || value != std::floor(value)) return std::nullopt;
  if (value < static_cast<double>(low) || value > static_cast<double>(high)) return std::nullopt;
  return static_cast<int64_t>(value);
}

std::optional<uint32_t> ParseShare(std::string_view output) {
  size_t i = 0;
  uint32_t percent = 0;
  while (i < output.size() && IsDigit(output[i])) {
    if (i >= 3) return std::nullopt;
    percent = percent * 10 + static_cast<uint32_t>(output[i++] - '0');
  }
  if (i == 0) return std::nullopt;
  uint32_t hundredths = 0;
  if (i < output.size() && output[i] == '.') {
    const size_t first = ++i;
    uint32_t place = 10;
    while (i < output.size() && IsDigit(output[i])) {
      if (i - first >= 2) return std::nullopt;
      hundredths += static_cast<uint32_t>(output[i++] - '0') * place;
      place /= 10;
    }
    if (i == first) return std::nullopt;
  }
  if (i >= output.size() || output[i++] != '%') return std::nullopt;
  if (i < output.size() && (output[i] != ' ' || i + 1 == output.size())) return std::nullopt;
  const uint32_t basis_points = percent * 100 + hundredths;
  if (basis_points > 10'000) return std::nullopt;
  return basis_points;
}

}  // namespace signalbox
