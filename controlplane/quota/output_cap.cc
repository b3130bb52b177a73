#include "controlplane/quota/output_cap.h"

#include <algorithm>
#include <limits>

#include "common/limits.h"
#include "common/money.h"

namespace signalbox {
namespace {

int64_t Clip(const v1::AttemptBound& bound, int64_t cap) {
  return bound.max_output_tokens() > 0 ? std::min(cap, bound.max_output_tokens()) : cap;
}

}  // namespace

int64_t DearestNanos(std::span<const v1::AttemptBound* const> bounds, int64_t cap) {
  int64_t dearest = 0;
  for (const v1::AttemptBound* bound : bounds) {
    dearest = std::max(
        dearest, BoundNanos(bound->input_nanos(), bound->choices(), Clip(*bound, cap), bound->output_nanos_per_mtok()));
  }
  return dearest;
}

int64_t LargestCap(std::span<const v1::AttemptBound* const> bounds, int64_t nanos, int64_t asked) {
  int64_t cap = asked;
  for (const v1::AttemptBound* bound : bounds) {
    const int64_t fits =
        LargestCapWithin(nanos, bound->input_nanos(), bound->choices(), bound->output_nanos_per_mtok());
    // A model whose own maximum fits is not what lowers the cap.
    if (fits < Clip(*bound, cap)) cap = fits;
  }
  return cap;
}

int64_t MinimumHoldNanos(std::span<const v1::AttemptBound* const> bounds, int64_t asked) {
  return DearestNanos(bounds, std::min(asked, kMinimumOutputTokens));
}

int64_t AddSaturating(int64_t a, int64_t b) {
  int64_t sum;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return a > 0 ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::min();
}

}  // namespace signalbox
