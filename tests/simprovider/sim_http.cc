#include "tests/simprovider/sim_http.h"

#include <sys/socket.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "tests/simprovider/read_json.h"

namespace signalbox::sim {

void Watch(asio::ip::tcp::socket::lowest_layer_type& socket, bool tls, const std::shared_ptr<ClientWatch>& watch) {
  socket.async_wait(asio::ip::tcp::socket::wait_read, [&socket, tls, watch](const Error& error) {
    if (error || watch->over) return;
    char byte = 0;
    const ssize_t got = recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    // Bytes mean a pipelined request; under TLS they are taken for the goodbye that they nearly always are.
    if (got > 0 && !tls) return;
    watch->gone = true;
    watch->timer.cancel();
  });
}

asio::awaitable<bool> Pause(std::shared_ptr<ClientWatch> watch, int ms) {
  if (ms == 0 || watch->gone) co_return !watch->gone;
  if (ms < 0) {
    watch->timer.expires_at(std::chrono::steady_clock::time_point::max());
  } else {
    watch->timer.expires_after(std::chrono::milliseconds(ms));
  }
  Error ignored;  // cancelled when the client goes: `gone` says so
  co_await watch->timer.async_wait(Redirect(ignored));
  co_return !watch->gone;
}

Reply OperatorError(int status, std::string_view message, std::string_view code) {
  const OrderedJson error = {
      {"message", std::string(message)}, {"type", "invalid_request_error"}, {"code", std::string(code)}};
  return {status, "application/json", Dump({{"error", error}}), {}};
}

std::string Head(int status, std::string_view content_type, std::string_view length, bool keep_alive,
                 const HeaderList& more) {
  std::string extra;
  for (const auto& [name, value] : more) absl::StrAppend(&extra, name, ": ", value, "\r\n");
  const boost::beast::string_view reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  return absl::StrCat("HTTP/1.1 ", status, " ", std::string(View(reason)),
                      "\r\nServer: simprovider\r\nContent-Type: ", std::string(content_type), "\r\n",
                      std::string(length), "\r\nopenai-version: 2020-10-01\r\n", extra,
                      "Connection: ", keep_alive ? "keep-alive" : "close", "\r\n\r\n");
}

std::string Serialise(const Reply& reply, bool keep_alive) {
  return Head(reply.status, reply.content_type, absl::StrCat("Content-Length: ", reply.body.size()), keep_alive,
              reply.headers) +
         reply.body;
}

std::string Chunk(std::string_view data) {
  return absl::StrCat(absl::Hex(data.size()), "\r\n", std::string(data), "\r\n");
}

}  // namespace signalbox::sim
