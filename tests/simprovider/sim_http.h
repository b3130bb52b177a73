// HTTP as the simulated provider needs it besides Beast's parser: heads and chunks written by hand, so that answers can
// break off anywhere, and a watch on the client while an answer is under way. One thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/status.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "tests/simprovider/format.h"

namespace signalbox::sim {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Error = boost::system::error_code;

inline auto Redirect(Error& error) { return asio::redirect_error(asio::use_awaitable, error); }

inline std::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

// Notices that the client goes while an answer is under way: the socket becomes readable, and what can be read is
// its end. Outlives the coroutine, since the wait's handler may run late.
struct ClientWatch {
  explicit ClientWatch(const asio::any_io_executor& executor) : timer(executor) {}
  asio::steady_timer timer;
  bool gone = false;
  bool over = false;
};
void Watch(asio::ip::tcp::socket::lowest_layer_type& socket, bool tls, const std::shared_ptr<ClientWatch>& watch);
// Waits; false once the client has gone. `ms` < 0: until it goes.
asio::awaitable<bool> Pause(std::shared_ptr<ClientWatch> watch, int ms);

struct Reply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  HeaderList headers;
};
// An error of the server's own pages, not of an API.
Reply OperatorError(int status, std::string_view message, std::string_view code);

// `length`: the header line that says how the body ends.
std::string Head(int status, std::string_view content_type, std::string_view length, bool keep_alive,
                 const HeaderList& more = {});
std::string Serialise(const Reply& reply, bool keep_alive);
std::string Chunk(std::string_view data);

template <typename Stream>
asio::awaitable<bool> Send(Stream& stream, std::string bytes) {
  Error error;
  co_await asio::async_write(stream, asio::buffer(bytes), Redirect(error));
  co_return !error;
}

}  // namespace signalbox::sim
