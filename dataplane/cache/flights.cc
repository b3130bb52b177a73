#include "dataplane/cache/flights.h"

#include <algorithm>
#include <utility>

#include "common/limits.h"

namespace signalbox {

Lead::Lead(Lead&& other) noexcept : flights_(std::exchange(other.flights_, nullptr)), key_(std::move(other.key_)) {}

Lead& Lead::operator=(Lead&& other) noexcept {
  if (this == &other) return *this;
  Pass();
  flights_ = std::exchange(other.flights_, nullptr);
  key_ = std::move(other.key_);
  return *this;
}

void Lead::Land(const SharedAnswer& answer) {
  if (flights_ == nullptr) return;
  for (Flights::Waiter& waiter : std::exchange(flights_, nullptr)->Close(key_)) waiter.done(Landing{answer, Lead()});
}

void Lead::Pass() {
  if (flights_ != nullptr) std::exchange(flights_, nullptr)->PassOn(key_);
}

void Lead::Release() {
  if (flights_ == nullptr) return;
  for (Flights::Waiter& waiter : std::exchange(flights_, nullptr)->Close(key_)) waiter.done(Landing());
}

std::variant<Lead, Flights::Ticket, Flights::Alone> Flights::Join(const std::string& key, Done done) {
  const MutexLock lock(mutex_);
  const auto [flight, first] = waiters_.try_emplace(key);
  if (first) return Lead(this, key);
  if (flight->second.size() >= kCacheFollowersMax) return Alone();
  ++waiting_;
  flight->second.push_back({next_ticket_, std::move(done)});
  return next_ticket_++;
}

bool Flights::Leave(const std::string& key, Ticket ticket) {
  Done gone;  // what it holds is freed outside the lock
  const MutexLock lock(mutex_);
  const auto flight = waiters_.find(key);
  if (flight == waiters_.end()) return false;
  std::deque<Waiter>& waiters = flight->second;
  const auto waiter =
      std::find_if(waiters.begin(), waiters.end(), [ticket](const Waiter& one) { return one.ticket == ticket; });
  if (waiter == waiters.end()) return false;
  gone = std::move(waiter->done);
  waiters.erase(waiter);
  --waiting_;
  return true;
}

std::deque<Flights::Waiter> Flights::Close(const std::string& key) {
  const MutexLock lock(mutex_);
  const auto flight = waiters_.find(key);
  std::deque<Waiter> waiters = std::move(flight->second);
  waiters_.erase(flight);
  waiting_ -= waiters.size();
  return waiters;
}

void Flights::PassOn(const std::string& key) {
  Waiter next;
  {
    const MutexLock lock(mutex_);
    const auto flight = waiters_.find(key);
    if (flight->second.empty()) {
      waiters_.erase(flight);
      return;
    }
    next = std::move(flight->second.front());
    flight->second.pop_front();
    --waiting_;
  }
  next.done(Landing{nullptr, Lead(this, key)});
}

size_t Flights::waiting() const {
  const MutexLock lock(mutex_);
  return waiting_;
}

}  // namespace signalbox
