// The quota service's idea of the time: the wall clock, kept from running backwards and from being believed when it
// steps far against the monotonic clock, so that one bad NTP step cannot freeze the resets. Pure; one thread.
#pragma once

#include <cstdint>

namespace signalbox {

class BelievedTime {
 public:
  // `last_us` is the last time believed before a restart (0: none). Across a restart nothing measures how long the
  // service was away, so a wall clock ahead of it is believed: restarting is how an operator accepts a step.
  explicit BelievedTime(int64_t last_us) : now_us_(last_us) {}

  struct Reading {
    int64_t now_us = 0;
    bool jumped = false;  // this reading began to disbelieve the wall clock: report it once
    int64_t step_us = 0;  // how far the wall clock stood off then
  };
  // Within kBelievedClockJumpUs of what the monotonic clock leads to expect, the wall clock is followed, standing still
  // while it is behind. Beyond, time goes on by the monotonic clock until the wall clock comes back.
  Reading Read(int64_t wall_us, int64_t monotonic_us);

  int64_t now_us() const { return now_us_; }
  bool believes_wall() const { return !disbelieving_; }

 private:
  int64_t now_us_;
  int64_t monotonic_us_ = 0;
  bool first_ = true;
  bool disbelieving_ = false;
};

}  // namespace signalbox
