#include "dataplane/health/breaker.h"

#include <algorithm>

namespace signalbox {

Breaker::State Breaker::state(int64_t now_us) const {
  if (!open_) return resting(now_us) ? State::kOpen : State::kClosed;
  return std::max(open_until_us_, rest_until_us_) > now_us ? State::kOpen : State::kHalfOpen;
}

int64_t Breaker::retry_us(int64_t now_us) const {
  int64_t retry_us = std::max<int64_t>(rest_until_us_, 0);
  if (!open_) return retry_us;
  retry_us = std::max(retry_us, open_until_us_);
  return probe_ == 0 ? retry_us : std::max(retry_us, probe_since_us_ + kBreakerProbeUs);
}

Breaker::Ticket Breaker::Admit(int64_t now_us) {
  Ticket ticket;
  ticket.generation = generation_;
  if (!open_ || !Admits(now_us)) return ticket;
  probe_ = ++probes_;
  probe_since_us_ = now_us;
  ticket.probe = probe_;
  return ticket;
}

void Breaker::Answering(const Ticket& ticket, int64_t now_us) {
  if (open_ && ticket.probe != 0 && ticket.generation == generation_) Close(now_us);
}

void Breaker::Succeeded(const Ticket& ticket, int64_t now_us) {
  Answering(ticket, now_us);
  if (open_ || (ticket.generation != generation_ && ticket.probe == 0)) return;
  consecutive_failures_ = 0;
  window_.Add(now_us, false);
}

bool Breaker::Failed(const Ticket& ticket, int64_t now_us, uint64_t random) {
  const bool current = ticket.generation == generation_;
  // Of an open breaker only probes decide. One that is closed again counts no failure from before, except of the probe
  // that closed it: its answer began well and then broke off.
  if (open_ ? !current || ticket.probe == 0 : !current && ticket.probe == 0) return false;
  ++consecutive_failures_;
  window_.Add(now_us, true);
  if (!open_ && !TooManyFailures(now_us)) return false;
  Open(now_us, random);
  return true;
}

void Breaker::Abandon(const Ticket& ticket) {
  if (ticket.probe != 0 && ticket.probe == probe_) probe_ = 0;
}

void Breaker::Rest(int64_t now_us, int64_t until_us) {
  if (!resting(now_us) && until_us > now_us) ++rests_;
  rest_until_us_ = std::max(rest_until_us_, until_us);
}

void Breaker::Close(int64_t now_us) {
  if (!open_) return;
  open_ = false;
  probe_ = 0;
  ++generation_;
  consecutive_failures_ = 0;
  closed_at_us_ = now_us;
  window_.Clear();
}

void Breaker::Open(int64_t now_us, uint64_t random) {
  if (!open_ && now_us - closed_at_us_ > kBreakerCalmUs) openings_ = 0;
  int64_t open_us = kBreakerOpenUsMin;
  for (int i = 0; i < openings_ && open_us < kBreakerOpenUsMax; ++i) open_us *= 2;
  open_us = std::min(open_us, kBreakerOpenUsMax);
  ++openings_;
  open_ = true;
  probe_ = 0;
  ++generation_;
  // The upper half at random: proxies that saw the same outage must not come back in step.
  open_until_us_ = now_us + open_us / 2 + static_cast<int64_t>(random % static_cast<uint64_t>(open_us / 2 + 1));
}

bool Breaker::TooManyFailures(int64_t now_us) const {
  if (consecutive_failures_ >= consecutive_failures_max_) return true;
  const SlidingCounts::Sums sums = window_.Over(now_us);
  return sums.all >= kHealthWindowCallsMin && sums.marked * 100 >= sums.all * kHealthFailurePercent;
}

}  // namespace signalbox
