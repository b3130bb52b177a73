#include "controlplane/ledger/latency_buckets.h"

#include <algorithm>
#include <cmath>

namespace signalbox {
namespace {

constexpr double kFirstUs = 1'000;

// Where bucket `k` begins.
double Lower(int k) { return k == 0 ? kFirstUs / M_SQRT2 : kFirstUs * std::pow(2, (k - 1) / 2.0); }

}  // namespace

int LatencyBucket(int64_t us) {
  int bucket = 0;
  while (bucket < kLatencyBuckets - 1 && static_cast<double>(us) >= Lower(bucket + 1)) ++bucket;
  return bucket;
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
