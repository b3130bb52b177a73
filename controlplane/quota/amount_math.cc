#include "controlplane/quota/amount_math.h"

#include <algorithm>
#include <limits>

#include "common/limits.h"
#include "common/money.h"

namespace signalbox {
namespace {

int64_t Clip(const BoundLine& bound, int64_t cap) {
  return bound.output_max > 0 ? std::min(cap, bound.output_max) : cap;
}

}  // namespace

int64_t Saturate(Int128 value) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  return value > kMax ? kMax : value < 0 ? 0 : static_cast<int64_t>(value);
}

Int128 ScaleUp(Int128 amount, int64_t part, int64_t whole) { return (amount * part + whole - 1) / whole; }

BoundLine LineOf(const v1::AttemptBound& bound, v1::Unit unit) {
  const bool dollars = unit == v1::NANO_DOLLARS;
  return {dollars ? bound.input_nanos() : bound.input_tokens(),
          dollars ? bound.output_nanos_per_mtok() : kTokensPerPriceUnit, bound.max_output_tokens(), bound.choices()};
}

int64_t LargestBound(std::span<const BoundLine> bounds, int64_t cap) {
  int64_t largest = 0;
  for (const BoundLine& bound : bounds) {
    largest = std::max(largest, BoundNanos(bound.input, bound.choices, Clip(bound, cap), bound.output_per_mtok));
  }
  return largest;
}

int64_t LargestCap(std::span<const BoundLine> bounds, int64_t amount, int64_t asked) {
  int64_t cap = asked;
  for (const BoundLine& bound : bounds) {
    const int64_t fits = LargestCapWithin(amount, bound.input, bound.choices, bound.output_per_mtok);
    // A model whose own maximum fits is not what lowers the cap.
    if (fits < Clip(bound, cap)) cap = fits;
  }
  return cap;
}

int64_t MinimumHold(std::span<const BoundLine> bounds, int64_t asked) {
  return LargestBound(bounds, std::min(asked, kMinimumOutputTokens));
}

}  // namespace signalbox
