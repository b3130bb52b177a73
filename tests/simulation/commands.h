// What the simulated proxies say, in a compact form: the messages of the protocol are made of it when they are sent,
// the model reads it as it is. Requests, boots and counters are numbers. Values only.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "signalbox/v1/quota.pb.h"

namespace signalbox::simulation {

using Wide = __int128;

inline constexpr int kChecksMax = 6;
inline constexpr int kBoundsMax = 4;

enum class Unit : uint8_t { kRequests, kNanos, kTokens };
enum class Kind : uint8_t { kAcquire, kExtend, kSettle, kCancel, kForceCharge };

struct Bound {
  int64_t input_nanos = 0;
  int64_t nanos_per_mtok = 0;
  int64_t max_output = 0;  // 0: none
  int64_t choices = 1;
  int64_t input_tokens = 0;
};

struct Check {
  int counter = 0;
  int64_t limit = 0;
  bool strict = true;
  bool shadow = false;
  uint8_t bounds = 0;  // bit i: bound i is reachable from here
};

struct Acquire {
  std::array<Check, kChecksMax> checks;
  int checks_size = 0;
  std::array<Bound, kBoundsMax> bounds;
  int bounds_size = 0;
  int64_t output_cap = 0;
  bool client_cap = false;
};

struct Command {
  uint64_t sequence = 0;
  Kind kind = Kind::kAcquire;
  uint32_t request = 0;
  uint32_t acquire = 0;  // index of an Acquire
  uint32_t counter = 0;  // forced charge
  uint64_t target = 0;   // cancel
  int64_t nanos = 0;     // extend: required; settle: cost; forced charge: the amount
  int64_t tokens = 0;    // extend: required; settle: used
};

// splitmix64: small, fast, the same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ull + 0x1234567) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  // [0, n)
  int64_t Below(int64_t n) { return static_cast<int64_t>((Wide{static_cast<int64_t>(Next() >> 1)} * n) >> 63); }
  int64_t Between(int64_t first, int64_t last) { return first + Below(last - first + 1); }
  bool Chance(double probability) { return static_cast<double>(Next() >> 11) * 0x1.0p-53 < probability; }
  // Between the two, as many small as large in the logarithm.
  int64_t Spread(int64_t first, int64_t last);

 private:
  uint64_t state_;
};

}  // namespace signalbox::simulation
