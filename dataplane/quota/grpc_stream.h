// One bidirectional gRPC call over an HTTP/2 connection of its own, on an event loop: HTTP/2 by nghttp2, bytes by Asio.
// gRPC's own library brings threads of its own, and waking them costs more than all else in a round trip.
// On the wire as in https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md; nothing is compressed.
// The loop's thread only. A call and its connection end together: whoever wants to go on opens another.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rpc/rpc.h"

namespace signalbox {

namespace asio = boost::asio;

struct GrpcTarget {
  std::string authority;  // host:port, an IPv6 host in brackets
  std::string host;
  uint16_t port = 0;
};
// INVALID_ARGUMENT when `authority` is no host:port.
absl::StatusOr<GrpcTarget> ParseGrpcTarget(std::string authority);

struct GrpcStreamOptions {
  GrpcTarget target;
  asio::ssl::context* tls = nullptr;   // null: plain text; outlives the stream
  std::string method;                  // /package.Service/Method
  std::string token;                   // sent as `authorization: Bearer <token>`
  size_t message_bytes_max = 4 << 20;  // of a received one; a longer one ends the call
};

class GrpcStream {
 public:
  // Called from the loop, never inside a call into the stream. Outlives the stream.
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void OnOpen() = 0;                             // the peer accepted the call
    virtual void OnMessage(std::string_view message) = 0;  // valid until it returns
    virtual void OnSent() = 0;                             // a message that Send could not get rid of has left
    virtual void OnEnd(const absl::Status& status) = 0;    // last; OK when the peer ended the call so
  };

  // Connects in the background.
  GrpcStream(asio::io_context& io, GrpcStreamOptions options, Handler& handler);
  // Closes the connection. The handler is not called any more.
  ~GrpcStream();
  GrpcStream(const GrpcStream&) = delete;
  GrpcStream& operator=(const GrpcStream&) = delete;
  // After OnOpen, and one message at a time: not while `sending`.
  void Send(std::string_view message);
  bool sending() const;

 private:
  class Call;
  const std::shared_ptr<Call> call_;
};

// For connections to a gRPC server: TLS 1.2 or later, the server's certificate checked against `files.ca` (the system's
// authorities without one), `files.cert` and `files.key` shown when given. NOT_FOUND when a file cannot be used.
absl::StatusOr<std::unique_ptr<asio::ssl::context>> NewGrpcTlsContext(const TlsFiles& files);

}  // namespace signalbox
