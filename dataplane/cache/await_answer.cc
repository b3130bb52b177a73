#include "dataplane/cache/await_answer.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <utility>

#include "common/limits.h"

namespace signalbox {
namespace {

// Where one value arrives from any thread and is awaited on the worker's.
template <typename T>
class Mailbox {
 public:
  explicit Mailbox(asio::io_context& io) : state_(std::make_shared<State>(io)) {}

  // To be called once, on any thread.
  auto Slot() {
    return [state = state_, executor = state_->bell.get_executor()](T value) {
      asio::post(executor, [state, value = std::move(value)]() mutable {
        state->value.emplace(std::move(value));
        state->bell.cancel();
      });
    };
  }
  // Returns when the value is there, at the deadline, or when woken.
  asio::awaitable<void> WaitUntil(std::chrono::steady_clock::time_point deadline) {
    if (state_->value.has_value()) co_return;
    state_->bell.expires_at(deadline);
    boost::system::error_code ignored;  // cancelled: the value is there, or somebody wants to know
    co_await state_->bell.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  std::function<void()> Waker() {
    return [state = state_] { state->bell.cancel(); };
  }
  std::optional<T>& value() { return state_->value; }

 private:
  struct State {
    explicit State(asio::io_context& io) : bell(io) {}
    asio::steady_timer bell;
    std::optional<T> value;
  };
  std::shared_ptr<State> state_;
};

// A place in a flight's queue, given up with the frame that waits in it.
class Place {
 public:
  Place(Flights& flights, const std::string& key, Flights::Ticket ticket)
      : flights_(flights), key_(key), ticket_(ticket) {}
  ~Place() { Leave(); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  // False: what is waited for is here or on its way.
  bool Leave() { return flights_.Leave(key_, ticket_); }

 private:
  Flights& flights_;
  const std::string& key_;
  const Flights::Ticket ticket_;
};

std::chrono::steady_clock::time_point After(int64_t us) {
  return std::chrono::steady_clock::now() + std::chrono::microseconds(us);
}

}  // namespace

void AnswerWait::Cancel() {
  cancelled_ = true;
  if (wake_) wake_();
}

asio::awaitable<AnswerWait::Result> AnswerWait::Find(const std::string& key, int64_t max_age_us, int64_t wait_us) {
  Result result;
  result.hit = cache_.Get(key, max_age_us);
  if (result.hit.has_value()) {
    cache_.CountLookup(AnswerCache::Lookup::kMemoryHit);
    co_return result;
  }
  Mailbox<Landing> mailbox(io_);
  std::variant<Lead, Flights::Ticket, Flights::Alone> joined = cache_.flights().Join(key, mailbox.Slot());
  if (auto* lead = std::get_if<Lead>(&joined)) {
    // Somebody may have landed between the look and the join.
    result.hit = cache_.Get(key, max_age_us);
    if (!result.hit.has_value()) co_return co_await FindAsLead(key, max_age_us, std::move(*lead));
    lead->Land(result.hit->answer);
    cache_.CountLookup(AnswerCache::Lookup::kMemoryHit);
    co_return result;
  }
  if (const auto* ticket = std::get_if<Flights::Ticket>(&joined)) {
    Place place(cache_.flights(), key, *ticket);
    wake_ = mailbox.Waker();
    const auto deadline = After(wait_us);
    bool waits = true;
    while (waits && !mailbox.value().has_value()) {
      co_await mailbox.WaitUntil(deadline);
      const bool over = cancelled_ || std::chrono::steady_clock::now() >= deadline;
      if (!mailbox.value().has_value() && over) {
        waits = !place.Leave();
        if (waits) co_await mailbox.WaitUntil(std::chrono::steady_clock::time_point::max());
      }
    }
    wake_ = nullptr;
    if (mailbox.value().has_value()) {
      Landing landing = std::move(*mailbox.value());
      if (landing.lead) co_return co_await FindAsLead(key, max_age_us, std::move(landing.lead));
      if (landing.answer != nullptr) {
        cache_.CountLookup(AnswerCache::Lookup::kCoalescedHit);
        result.hit.emplace();
        result.hit->answer = std::move(landing.answer);
        co_return result;
      }
    }
  }
  cache_.CountLookup(AnswerCache::Lookup::kMiss);
  co_return result;
}

asio::awaitable<AnswerWait::Result> AnswerWait::FindAsLead(const std::string& key, int64_t max_age_us, Lead lead) {
  Result result;
  if (cache_.has_shared() && !cancelled_) {
    Mailbox<std::optional<CacheHit>> mailbox(io_);
    wake_ = mailbox.Waker();
    cache_.GetShared(key, max_age_us, mailbox.Slot());
    co_await mailbox.WaitUntil(After(int64_t{kSharedCacheTimeoutMs} * 1'000));
    wake_ = nullptr;
    if (mailbox.value().has_value()) result.hit = std::move(*mailbox.value());
  }
  if (result.hit.has_value()) {
    lead.Land(result.hit->answer);
    cache_.CountLookup(AnswerCache::Lookup::kSharedHit);
  } else {
    result.lead = std::move(lead);
    cache_.CountLookup(AnswerCache::Lookup::kMiss);
  }
  co_return result;
}

}  // namespace signalbox
