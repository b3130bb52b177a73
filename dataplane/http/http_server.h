// The proxy's HTTP/1.1 front: one per worker, on the worker's own io_context and listener (SO_REUSEPORT).
// Reads head and body within limits, refuses ambiguous framing (400 and close), hands over one exchange at a time per
// connection, watches the client's socket while the handler works. A client that shuts down its sending side counts as
// gone, as one that closes: the two look alike until something is written. Everything runs on the worker's thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/limits.h"
#include "dataplane/http/header_fields.h"

namespace signalbox {

namespace asio = boost::asio;

struct HttpRequest {
  std::string method;
  std::string target;  // as sent, query included
  HeaderFields headers;
  std::string body;
};

struct HttpReply {
  int status = 200;
  std::string content_type = "application/json";
  HeaderFields headers;
  std::string body;
};

// One request being answered. The handler calls Reply, or BeginStream, WriteChunk..., then EndStream or AbortStream.
// Every write returns false once the client has gone; nothing is sent after that.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual const HttpRequest& request() const = 0;
  virtual asio::awaitable<bool> Reply(HttpReply reply) = 0;
  // `first` and `last`: what there is of the body already, and what is left of it; each travels in one packet with the
  // head, or with the clean end. Both live until the call is over, and may be empty.
  virtual asio::awaitable<bool> BeginStream(int status, std::string content_type, HeaderFields headers,
                                            std::string_view first) = 0;
  virtual asio::awaitable<bool> WriteChunk(std::string_view data) = 0;  // back when it is on its way
  virtual asio::awaitable<bool> EndStream(std::string_view last) = 0;
  virtual void AbortStream() = 0;  // closes without a clean end, so that the client sees a cut
  // The handler needs the request's headers and body no more: their memory goes while the answer is still being given.
  // Method and target stay.
  virtual void ForgetRequest() = 0;
  virtual bool client_gone() const = 0;
  // `callback` runs once, on the worker's thread, when the client goes while the exchange is open; empty clears it.
  // Never from inside a call of this interface: when the client is gone already, soon after.
  virtual void OnClientGone(std::function<void()> callback) = 0;
};

using HttpHandler = std::function<asio::awaitable<void>(HttpExchange&)>;

struct HttpServerOptions {
  std::string address;                // host:port; port 0: any
  asio::ssl::context* tls = nullptr;  // null: plain text
  bool reuse_port = false;            // several workers listen on one port; a second process can then join unnoticed,
  bool refuse_taken_port = false;     // so the first worker sets this: UNAVAILABLE if anybody listens there already
  int connections_max = kConnectionsMaxPerWorker;  // one more gets 503 `overloaded` and is closed
  size_t body_bytes_max = kRequestBodyBytesMax;
  int header_timeout_ms = kRequestHeaderTimeoutMs;  // from the first byte (or the connect) to the head's end
  int body_timeout_ms = kRequestBodyTimeoutMs;
  int idle_timeout_ms = kIdleConnectionTimeoutMs;
  int write_stall_timeout_ms = kWriteStallTimeoutMs;  // a client that takes no byte for so long is gone
  int linger_timeout_ms = kLingerTimeoutMs;           // after the last answer: how long the client may take to read it
};

class HttpServer {
 public:
  virtual ~HttpServer() = default;
  virtual void Start() = 0;                 // begins to accept
  virtual std::string address() const = 0;  // host:port really bound
  // Stops accepting, lets exchanges in flight end (answers carry `connection: close`), closes idle connections at once.
  virtual void BeginDrain() = 0;
  virtual size_t open_exchanges() const = 0;  // from a request's first byte to its answer's last
  virtual void CloseAll() = 0;                // what drain did not end in time; handlers see client_gone
};

// The server is destroyed before `io`; that is CloseAll. INVALID_ARGUMENT when the address is not host:port,
// UNAVAILABLE when the address cannot be bound (in use, not ours); the message names it.
absl::StatusOr<std::unique_ptr<HttpServer>> NewHttpServer(asio::io_context& io, HttpServerOptions options,
                                                          HttpHandler handler);

// The error body every refusal has: {"error":{"message","type","code","param"}}. docs/errors.md lists the codes.
HttpReply ErrorReply(int status, std::string_view code, std::string_view message, std::string_view param = "");

}  // namespace signalbox
