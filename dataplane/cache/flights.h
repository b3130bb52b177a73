// Identical requests in flight: the first one asks its model and leads, the others wait for its answer. Exactly one
// leads at any time, so a failing provider is asked by one of them after the other and not by all at once.
// Invariant: a waiter's `done` runs exactly once, or never when its Leave returned true; a lead ends exactly once, at
// the latest when its object goes. Pure but for its lock; thread-safe. Outlives every Lead.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/mutex.h"
#include "dataplane/cache/cached_answer.h"

namespace signalbox {

class Flights;

// The duty to ask the model for all who wait. Movable; one thread at a time.
class Lead {
 public:
  Lead() = default;
  Lead(Flights* flights, std::string key) : flights_(flights), key_(std::move(key)) {}
  Lead(Lead&& other) noexcept;
  Lead& operator=(Lead&& other) noexcept;
  ~Lead() { Pass(); }
  explicit operator bool() const { return flights_ != nullptr; }

  void Land(const SharedAnswer& answer);  // every waiter gets it
  void Pass();                            // it failed: the waiter that came first leads now
  void Release();                         // there is an answer, but none that can be shared: every waiter goes on alone

 private:
  Flights* flights_ = nullptr;
  std::string key_;
};

// What a waiter gets: an answer; or the lead; or neither, and it goes on alone.
struct Landing {
  SharedAnswer answer;
  Lead lead;
};

class Flights {
 public:
  using Done = std::function<void(Landing)>;
  using Ticket = uint64_t;

  struct Alone {};  // too many wait already
  // The lead when nobody has it. Else a ticket: `done` runs on whatever thread ends the wait, outside any lock.
  std::variant<Lead, Ticket, Alone> Join(const std::string& key, Done done);
  // Ends a wait from the waiter's side. False: `done` runs, or ran.
  bool Leave(const std::string& key, Ticket ticket);

  size_t waiting() const;  // over all flights

 private:
  friend class Lead;
  struct Waiter {
    Ticket ticket;
    Done done;
  };
  std::deque<Waiter> Close(const std::string& key);  // the flight's waiters; it is no more
  void PassOn(const std::string& key);

  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, std::deque<Waiter>> waiters_ SB_GUARDED_BY(mutex_);  // by key, while somebody leads
  size_t waiting_ SB_GUARDED_BY(mutex_) = 0;
  Ticket next_ticket_ SB_GUARDED_BY(mutex_) = 1;
};

}  // namespace signalbox
