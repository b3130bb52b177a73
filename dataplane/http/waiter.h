// Where one part of a thread waits for another: a coroutine, or a callback. Nothing is allocated and nothing is posted:
// who wakes the waiter runs it there and then.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>
#include <utility>

#include "absl/functional/any_invocable.h"

namespace signalbox {

namespace asio = boost::asio;
using boost::system::error_code;

// Asio's awaitable results without exceptions: `const auto [error, ...] = co_await op(..., kNoThrow)`.
inline constexpr asio::as_tuple_t<asio::use_awaitable_t<>> kNoThrow{};

// An awaitable of a tuple of one error code, of what `start` begins: it takes the handler to be run with that code.
template <typename Start>
auto Awaited(Start start) {
  return asio::async_initiate<const asio::as_tuple_t<asio::use_awaitable_t<>>, void(error_code)>(std::move(start),
                                                                                                 kNoThrow);
}

// At most one waits. One that is never woken is destroyed with the Waiter, and a coroutine's frame with it. So a Waiter
// belongs to whoever will wake it, or to what that one holds: in the frame that waits, it would hold itself, and stay
// when the loop goes.
class Waiter {
 public:
  using Handler = absl::AnyInvocable<void(error_code)>;

  bool waiting() const { return static_cast<bool>(handler_); }
  void Await(Handler handler) { handler_ = std::move(handler); }
  auto Wait() {
    return Awaited([this](auto handler) { Await(std::move(handler)); });
  }
  Handler Take() { return std::exchange(handler_, nullptr); }
  // Runs who waits, if anybody does; `this` may be gone afterwards.
  void Wake(error_code error = {}) {
    if (Handler handler = Take()) handler(error);
  }

 private:
  Handler handler_;
};

}  // namespace signalbox
