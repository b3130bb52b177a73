// One circuit breaker: CLOSED lets calls pass and counts how they end; too many failures open it; OPEN lets none pass
// for a while, longer each time; then HALF_OPEN lets one probe at a time find out. A result counts only for the state
// its call was admitted in, so that late ones of before an opening change nothing after it. Invariant: one probe is out
// at a time, unless it has been for kBreakerProbeUs. Pure, clock and randomness passed in; not thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "common/limits.h"
#include "dataplane/health/sliding_counts.h"

namespace signalbox {

class Breaker {
 public:
  enum class State { kClosed, kOpen, kHalfOpen };

  // What an admitted call holds until its result is known; exactly one of Succeeded, Failed and Abandon takes it.
  struct Ticket {
    uint64_t generation = 0;
    uint64_t probe = 0;  // 0: an ordinary call
  };

  explicit Breaker(int consecutive_failures) : consecutive_failures_max_(consecutive_failures) {}

  State state(int64_t now_us) const;
  // When the next call may pass: now or earlier when one may already.
  int64_t retry_us(int64_t now_us) const;
  bool Admits(int64_t now_us) const { return retry_us(now_us) <= now_us; }

  // Whether or not Admits: who calls all the same (a last resort) holds a ticket that changes counts alone, unless the
  // breaker is closed.
  Ticket Admit(int64_t now_us);

  // The call is being answered; how it ends is not known yet. Closes the breaker if it was the probe.
  void Answering(const Ticket& ticket, int64_t now_us);
  void Succeeded(const Ticket& ticket, int64_t now_us);
  // `random`: any number, for the jitter of the time it stays open. True when this failure opened it.
  bool Failed(const Ticket& ticket, int64_t now_us, uint64_t random);
  // Nothing was learnt.
  void Abandon(const Ticket& ticket);
  // Keeps calls away until then without opening: nobody is sick, somebody asked for a pause. Never shortens one.
  void Rest(int64_t now_us, int64_t until_us);
  bool resting(int64_t now_us) const { return rest_until_us_ > now_us; }
  // Somebody else found out that all is well.
  void Close(int64_t now_us);

  // Another number after every opening, closing and beginning of a rest.
  uint64_t changes() const { return generation_ + rests_; }
  // OPEN or HALF_OPEN for failures, not for a rest.
  bool opened() const { return open_; }

 private:
  void Open(int64_t now_us, uint64_t random);
  bool TooManyFailures(int64_t now_us) const;

  const int consecutive_failures_max_;
  SlidingCounts window_{kHealthWindowUs};
  int64_t consecutive_failures_ = 0;
  bool open_ = false;          // OPEN or, from open_until_us_ on, HALF_OPEN
  uint64_t generation_ = 0;    // goes up with every opening and closing
  int64_t open_until_us_ = 0;  // with open_
  int64_t rest_until_us_ = 0;
  int64_t closed_at_us_ = 0;
  uint64_t rests_ = 0;          // ever begun
  int openings_ = 0;            // in a row, with no calm between
  uint64_t probe_ = 0;          // the one that is out; 0: none
  uint64_t probes_ = 0;         // ever let out
  int64_t probe_since_us_ = 0;  // with probe_
};

}  // namespace signalbox
