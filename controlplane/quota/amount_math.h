// The arithmetic of limits: what a set of reachable models can use at an output cap, the largest cap that uses no more
// than a given amount (dollars or tokens), how much of a sliding window's past still weighs. Pure; never overflowing.
#pragma once

#include <cstdint>
#include <span>

#include "signalbox/v1/quota.pb.h"

namespace signalbox {

__extension__ typedef __int128 Int128;

int64_t Saturate(Int128 value);  // into [0, INT64_MAX]
// ceil(amount * part / whole); amount below 2^80, 0 <= part <= whole, whole > 0.
Int128 ScaleUp(Int128 amount, int64_t part, int64_t whole);

// An attempt's bound in one unit: input + ceil(choices * min(cap, output_max) * output_per_mtok / 1e6).
struct BoundLine {
  int64_t input = 0;
  int64_t output_per_mtok = 0;
  int64_t output_max = 0;  // tokens; 0: the model has no maximum
  int64_t choices = 0;
};
BoundLine LineOf(const v1::AttemptBound& bound, v1::Unit unit);

// The largest of `bounds` at `cap` output tokens; 0 when there is none.
int64_t LargestBound(std::span<const BoundLine> bounds, int64_t cap);
// The largest cap <= `asked` at which no bound is above `amount`; -1 when there is none.
int64_t LargestCap(std::span<const BoundLine> bounds, int64_t amount, int64_t asked);
// The least a strict limit must have left for this request: input plus kMinimumOutputTokens, or fewer when fewer are
// asked for.
int64_t MinimumHold(std::span<const BoundLine> bounds, int64_t asked);

}  // namespace signalbox
