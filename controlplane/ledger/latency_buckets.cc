#include "controlplane/ledger/latency_buckets.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace signalbox {
namespace {

constexpr double kFirstUs = 1'000;

// Where bucket `k` begins.
double Lower(int k) { return k == 0 ? kFirstUs / M_SQRT2 : kFirstUs * std::pow(2, (k - 1) / 2.0); }

}  // namespace

int LatencyBucket(int64_t us) {
  static const auto* const lower = [] {
    auto* bounds = new std::array<double, kLatencyBuckets - 1>;  // of every bucket but the first, which takes all below
    for (int k = 1; k < kLatencyBuckets; ++k) (*bounds)[static_cast<size_t>(k - 1)] = Lower(k);
    return bounds;
  }();
  return static_cast<int>(std::upper_bound(lower->begin(), lower->end(), static_cast<double>(us)) - lower->begin());
}

int64_t LatencyQuantile(std::span<const int64_t> counts, double quantile) {
  int64_t total = 0;
  for (const int64_t count : counts) total += count;
  if (total <= 0) return 0;
  const double wanted = std::clamp(quantile, 0.0, 1.0) * static_cast<double>(total);
  double below = 0;
  int last = 0;
  for (int k = 0; k < static_cast<int>(counts.size()); ++k) {
    const auto count = static_cast<double>(counts[static_cast<size_t>(k)]);
    if (count <= 0) continue;
    last = k;
    if (below + count >= wanted) {
      const double share = (wanted - below) / count;
      return std::llround(Lower(k) * std::pow(M_SQRT2, share));
    }
    below += count;
  }
  return std::llround(Lower(last + 1));
}

}  // namespace signalbox
