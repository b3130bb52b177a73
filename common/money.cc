#include "common/money.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_format.h"
#include "common/limits.h"

namespace signalbox {
namespace {

__extension__ typedef __int128 Int128;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

int64_t Saturate(Int128 value) { return value > kMax ? kMax : static_cast<int64_t>(value); }

Int128 CeilDiv(Int128 value, int64_t divisor) { return (value + divisor - 1) / divisor; }

}  // namespace

int64_t CostNanos(const v1::TokenUsage& usage, const v1::ModelPrice& price) {
  const int64_t input = std::max<int64_t>(usage.input(), 0);
  const int64_t cached = std::clamp<int64_t>(usage.cached_input(), 0, input);
  const int64_t written = std::clamp<int64_t>(usage.cache_write(), 0, input - cached);
  const int64_t spoken_in = std::clamp<int64_t>(usage.audio_input(), 0, input - cached - written);
  const int64_t output = std::max<int64_t>(usage.output(), 0);
  const int64_t spoken_out = std::clamp<int64_t>(usage.audio_output(), 0, output);
  const int64_t input_price = price.input_nanos_per_mtok();
  const int64_t output_price = price.output_nanos_per_mtok();
  const int64_t cached_price =
      price.has_cached_input_nanos_per_mtok() ? price.cached_input_nanos_per_mtok() : input_price;
  const int64_t written_price =
      price.has_cache_write_nanos_per_mtok() ? price.cache_write_nanos_per_mtok() : input_price;
  const int64_t spoken_in_price =
      price.has_audio_input_nanos_per_mtok() ? price.audio_input_nanos_per_mtok() : input_price;
  const int64_t spoken_out_price =
      price.has_audio_output_nanos_per_mtok() ? price.audio_output_nanos_per_mtok() : output_price;
  const Int128 sum = Int128{input - cached - written - spoken_in} * input_price + Int128{cached} * cached_price +
                     Int128{written} * written_price + Int128{spoken_in} * spoken_in_price +
                     Int128{output - spoken_out} * output_price + Int128{spoken_out} * spoken_out_price;
  return Saturate(CeilDiv(sum, kTokensPerPriceUnit));
}

int64_t BoundNanos(int64_t input_nanos, int64_t choices, int64_t output_cap, int64_t output_nanos_per_mtok) {
  const int64_t tokens = Saturate(Int128{std::max<int64_t>(choices, 1)} * std::max<int64_t>(output_cap, 0));
  return Saturate(Int128{input_nanos} + CeilDiv(Int128{tokens} * output_nanos_per_mtok, kTokensPerPriceUnit));
}

int64_t DearestInputPrice(const v1::ModelPrice& price) {
  return std::max({price.input_nanos_per_mtok(), price.cache_write_nanos_per_mtok(),
                   price.cached_input_nanos_per_mtok(), price.audio_input_nanos_per_mtok()});
}

int64_t DearestOutputPrice(const v1::ModelPrice& price) {
  return std::max(price.output_nanos_per_mtok(), price.audio_output_nanos_per_mtok());
}

int64_t OutputTokensMax(const v1::ModelPrice& price) {
  return price.max_output_tokens() > 0 ? price.max_output_tokens() : kUnknownOutputTokensMax;
}

int64_t AddSaturating(int64_t a, int64_t b) {
  int64_t sum;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return a > 0 ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::min();
}

int64_t LargestCapWithin(int64_t nanos, int64_t input_nanos, int64_t choices, int64_t output_nanos_per_mtok) {
  if (nanos < input_nanos) return -1;
  const Int128 per_token = Int128{std::max<int64_t>(choices, 1)} * output_nanos_per_mtok;
  if (per_token <= 0) return kMax;
  // ceil(cap × per_token / 10^6) ≤ room  ⇔  cap × per_token ≤ room × 10^6
  return Saturate(Int128{nanos - input_nanos} * kTokensPerPriceUnit / per_token);
}

std::string FormatDollars(int64_t nanos) {
  const uint64_t magnitude = nanos < 0 ? -static_cast<uint64_t>(nanos) : static_cast<uint64_t>(nanos);
  return absl::StrFormat("%s%d.%09d", nanos < 0 ? "-" : "", magnitude / kNanosPerDollar, magnitude % kNanosPerDollar);
}

}  // namespace signalbox
