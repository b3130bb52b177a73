// The arithmetic of money holds: what a set of reachable models can cost at an output cap, and the largest cap that
// costs no more than a given sum. Pure; saturating, never overflowing.
#pragma once

#include <cstdint>
#include <span>

#include "signalbox/v1/quota.pb.h"

namespace signalbox {

// The dearest of `bounds` at `cap` output tokens, each clipped to its model's own maximum (0: it has none).
int64_t DearestNanos(std::span<const v1::AttemptBound* const> bounds, int64_t cap);
// The largest cap <= `asked` at which the dearest of `bounds` is at most `nanos`; -1 when there is none.
int64_t LargestCap(std::span<const v1::AttemptBound* const> bounds, int64_t nanos, int64_t asked);
// The least a strict limit must have left for this request: input plus kMinimumOutputTokens, or fewer when fewer are
// asked for.
int64_t MinimumHoldNanos(std::span<const v1::AttemptBound* const> bounds, int64_t asked);

int64_t AddSaturating(int64_t a, int64_t b);

}  // namespace signalbox
