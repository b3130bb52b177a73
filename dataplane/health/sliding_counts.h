// How often something happened lately, and how often it was of note: two sums over a window that slides by tenths.
// Pure; not thread-safe. Time is monotonic microseconds and may stand still or go on, never back.
#pragma once

#include <array>
#include <cstdint>

namespace signalbox {

class SlidingCounts {
 public:
  struct Sums {
    int64_t all = 0;
    int64_t marked = 0;  // of them
  };

  explicit SlidingCounts(int64_t window_us) : bucket_us_(window_us / static_cast<int64_t>(kBuckets)) {}

  void Add(int64_t now_us, bool marked) {
    Bucket& bucket = buckets_[Slot(now_us)];
    if (bucket.number != Number(now_us)) bucket = {Number(now_us), {}};
    ++bucket.sums.all;
    if (marked) ++bucket.sums.marked;
  }
  Sums Over(int64_t now_us) const {
    Sums sums;
    for (const Bucket& bucket : buckets_) {
      if (bucket.number <= Number(now_us) - static_cast<int64_t>(kBuckets)) continue;
      sums.all += bucket.sums.all;
      sums.marked += bucket.sums.marked;
    }
    return sums;
  }
  void Clear() { buckets_ = {}; }

 private:
  static constexpr size_t kBuckets = 10;
  struct Bucket {
    int64_t number = -1'000'000;
    Sums sums;
  };
  int64_t Number(int64_t now_us) const { return now_us / bucket_us_; }
  size_t Slot(int64_t now_us) const { return static_cast<size_t>(Number(now_us)) % kBuckets; }

  int64_t bucket_us_;
  std::array<Bucket, kBuckets> buckets_;
};

}  // namespace signalbox
