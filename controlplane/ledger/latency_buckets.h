// Latencies as counts in fixed buckets: the ledger keeps which bucket a request is in, SQL counts them, and quantiles
// are read off the counts. A bucket is half an octave wide, so an estimate is within it. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>

namespace signalbox {

// Bucket 0 is below 1 ms, bucket k from 1 ms * 2^((k-1)/2) on, the last one everything from about 35 minutes on.
inline constexpr int kLatencyBuckets = 44;

// Of microseconds; negative ones are in bucket 0.
int LatencyBucket(int64_t us);

// Where the share `quantile` (0 to 1) of the counted latencies lies below, in microseconds; 0 where nothing is counted.
// Within a bucket latencies are taken to be spread evenly on a logarithmic scale.
int64_t LatencyQuantile(std::span<const int64_t> counts, double quantile);

}  // namespace signalbox
