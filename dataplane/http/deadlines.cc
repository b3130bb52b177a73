#include "dataplane/http/deadlines.h"

#include <algorithm>
#include <chrono>

#include "common/clock.h"

namespace signalbox {
namespace {

constexpr int64_t kPaceUs = 1'000;  // between two looks at all of them

}  // namespace

void Deadlines::Set(Deadline& whose, int64_t deadline_us) {
  whose.deadline_us_ = deadline_us;
  if (deadline_us == 0) return;
  if (!whose.is_linked()) set_.push_back(whose);
  if (deadline_us < fires_at_us_) Arm(deadline_us);
}

void Deadlines::Arm(int64_t at_us) {
  fires_at_us_ = at_us;
  timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::microseconds(at_us)));
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    if (error) return;  // set to another time, or gone
    if (const std::shared_ptr<Deadlines> self = weak.lock()) self->OnTimer();
  });
}

void Deadlines::OnTimer() {
  fires_at_us_ = kNever;
  const int64_t now_us = Clock::System().MonotonicMicros();
  int64_t next_us = kNever;
  decltype(set_) passed;  // apart: whoever is told may set and destroy others
  for (auto at = set_.begin(); at != set_.end();) {
    Deadline& deadline = *at++;
    if (deadline.deadline_us_ > now_us) {
      next_us = std::min(next_us, deadline.deadline_us_);
      continue;
    }
    deadline.unlink();
    if (deadline.deadline_us_ != 0) passed.push_back(deadline);
  }
  if (next_us != kNever) Arm(std::max(next_us, now_us + kPaceUs));
  while (!passed.empty()) {
    Deadline& deadline = passed.front();
    passed.pop_front();
    if (deadline.deadline_us_ == 0 || deadline.deadline_us_ > now_us) {
      Set(deadline, deadline.deadline_us_);  // moved meanwhile
      continue;
    }
    deadline.deadline_us_ = 0;
    deadline.OnDeadline();
  }
}

}  // namespace signalbox
