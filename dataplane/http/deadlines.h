// Deadlines that are mostly met: one timer for all of them, which is set anew only when it would fire too late. One
// thread: the io_context's.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <limits>
#include <memory>

namespace signalbox {

class Deadlines;

// Whoever has one; destroyed, it has none any more.
class Deadline : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  // Microseconds of Clock::MonotonicMicros; 0: none.
  int64_t deadline_us() const { return deadline_us_; }

 protected:
  ~Deadline() = default;

 private:
  friend class Deadlines;
  virtual void OnDeadline() = 0;  // it has passed, and is no more
  int64_t deadline_us_ = 0;
};

// Those still set when it goes have no deadline any more. Its io_context has work until the last one set would have
// passed.
class Deadlines : public std::enable_shared_from_this<Deadlines> {
 public:
  explicit Deadlines(boost::asio::io_context& io) : timer_(io) {}

  void Set(Deadline& whose, int64_t deadline_us);

 private:
  void Arm(int64_t at_us);
  void OnTimer();

  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  boost::asio::steady_timer timer_;
  int64_t fires_at_us_ = kNever;
  boost::intrusive::list<Deadline, boost::intrusive::constant_time_size<false>> set_;  // and some that are 0 again
};

}  // namespace signalbox
