// Time as a parameter: nothing in this project reads a clock except through a `Clock`. Thread-safe.
#pragma once

#include <cstdint>

namespace signalbox {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t UnixMicros() const = 0;       // wall clock; may jump
  virtual int64_t MonotonicMicros() const = 0;  // never goes back; its zero means nothing
  // The same in milliseconds, by up to 4 behind: as of the kernel's last tick, which costs next to nothing to read.
  virtual int64_t CoarseMonotonicMs() const { return MonotonicMicros() / 1'000; }
  static const Clock& System();  // the machine's clocks
};

// For tests: stands still until told.
class ManualClock : public Clock {
 public:
  explicit ManualClock(int64_t unix_us = 1'750'000'000'000'000) : unix_us_(unix_us) {}
  int64_t UnixMicros() const override { return unix_us_; }
  int64_t MonotonicMicros() const override { return monotonic_us_; }
  void Advance(int64_t us) {
    unix_us_ += us;
    monotonic_us_ += us;
  }
  void StepWall(int64_t us) { unix_us_ += us; }

 private:
  int64_t unix_us_;
  int64_t monotonic_us_ = 0;
};

}  // namespace signalbox
