// A TCP connection that may speak TLS, and the bytes read from it but not used yet. One thread; at most one read and
// one write at a time.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>

#include "dataplane/http/ready_socket.h"
#include "dataplane/http/waiter.h"

namespace signalbox {

// Of a sized body's capacity mostly so many bytes are left behind it, so that JSON is parsed where it stands.
inline constexpr size_t kReadableBytesBehindBody = 64;

class Stream {
 public:
  // The socket does not block from here on. `tls` null: plain text.
  Stream(asio::ip::tcp::socket socket, asio::ssl::context* tls) {
    if (tls != nullptr) {
      tls_ = std::make_unique<Tls>(std::move(socket), *tls);
      error_code ignored;  // a peer that is gone already is found by the first read
      tls_->lowest_layer().set_option(asio::ip::tcp::no_delay(true), ignored);
      tls_->lowest_layer().non_blocking(true, ignored);
    } else {
      plain_.emplace(std::move(socket));
    }
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  int descriptor() { return tls_ ? tls_->lowest_layer().native_handle() : plain_->descriptor(); }
  SSL* ssl() { return tls_ ? tls_->native_handle() : nullptr; }

  // `handler` takes an error code and how many bytes were read.
  template <typename Handler>
  void AsyncReadSome(asio::mutable_buffer buffer, Handler handler) {
    if (tls_) return tls_->async_read_some(buffer, std::move(handler));
    plain_->AwaitReadable([this, buffer, handler = std::move(handler)](error_code error) mutable {
      const size_t n = error ? 0 : plain_->TryRead(buffer, error);
      if (!error && n == 0) return AsyncReadSome(buffer, std::move(handler));
      handler(error, n);
    });
  }
  asio::awaitable<std::pair<error_code, size_t>> ReadSome(asio::mutable_buffer buffer) {
    if (tls_) {
      const auto [error, n] = co_await tls_->async_read_some(buffer, kNoThrow);
      co_return std::pair(error, n);
    }
    for (;;) {
      error_code error;
      if (!plain_->maybe_readable()) std::tie(error) = co_await plain_->WaitReadable();
      const size_t n = error ? 0 : plain_->TryRead(buffer, error);
      if (n > 0 || error) co_return std::pair(error, n);
    }
  }
  // Plain sockets only: one waits without holding a buffer.
  ReadySocket& plain() { return *plain_; }
  // Tried at once on plain sockets: nearly every write fits the kernel's buffer and costs no turn of the loop.
  // Returns 0 when it has to be awaited.
  size_t TryWriteSome(std::span<const asio::const_buffer> pieces, error_code& error) {
    error = {};
    return tls_ ? 0 : plain_->TryWrite(pieces, error);
  }
  // Whether that had better be plain().WriteTogether.
  bool writes_gather() const { return plain_ && plain_->writes_gather(); }
  asio::awaitable<std::pair<error_code, size_t>> WriteSome(asio::const_buffer buffer) {
    if (tls_) {
      const auto [error, n] = co_await tls_->async_write_some(buffer, kNoThrow);
      co_return std::pair(error, n);
    }
    for (;;) {
      error_code error;
      const size_t n = plain_->TryWrite({&buffer, 1}, error);
      if (n > 0 || error) co_return std::pair(error, n);
      std::tie(error) = co_await plain_->WaitWritable();
      if (error) co_return std::pair(error, size_t{0});
    }
  }
  asio::awaitable<error_code> Handshake(asio::ssl::stream_base::handshake_type type) {
    const auto [error] = co_await tls_->async_handshake(type, kNoThrow);
    co_return error;
  }
  // Sends close_notify and waits for the peer's.
  asio::awaitable<error_code> ShutdownTls() {
    const auto [error] = co_await tls_->async_shutdown(kNoThrow);
    co_return error;
  }
  // Nothing more is sent below TLS; reading goes on.
  void ShutdownSend() {
    if (plain_) return plain_->ShutdownSend();
    error_code ignored;  // gone is as good as shut down
    tls_->lowest_layer().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  }
  // What is left below TLS, to be thrown away: 0 when it ended.
  asio::awaitable<size_t> Drain(asio::mutable_buffer buffer) {
    if (plain_) co_return (co_await ReadSome(buffer)).second;
    const auto [error, n] = co_await tls_->next_layer().async_read_some(buffer, kNoThrow);
    co_return error ? 0 : n;
  }
  // Pending operations end with operation_aborted.
  void Cancel() {
    if (plain_) return plain_->Cancel();
    error_code ignored;
    tls_->lowest_layer().cancel(ignored);
  }
  void Close() {
    if (plain_) return plain_->Close();
    error_code ignored;
    tls_->lowest_layer().close(ignored);
  }
  // The peer sees a reset, not an end.
  void Reset() {
    if (plain_) return plain_->Reset();
    error_code ignored;
    tls_->lowest_layer().set_option(asio::socket_base::linger(true, 0), ignored);
    tls_->lowest_layer().close(ignored);
  }
  // As ReadySocket says it; 0 under TLS.
  uint64_t listening() const { return plain_ ? plain_->listening() : 0; }
  // Of a connection whose bytes were all read when listening() was `listening`: whether nothing was heard of it since,
  // not even its end, by the last turn of the loop. False too where nobody listened meanwhile.
  bool nothing_heard_since(uint64_t listening) const {
    return plain_ && listening != 0 && plain_->listening() == listening && !plain_->maybe_readable();
  }
  // For a connection on which nothing is expected: quiet and open.
  bool Quiet() {
    if (plain_ && plain_->has_read_ahead()) return false;
    char byte;
    const ssize_t n = ::recv(descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

 private:
  using Tls = asio::ssl::stream<asio::ip::tcp::socket>;

  std::optional<ReadySocket> plain_;
  std::unique_ptr<Tls> tls_;  // null: plain text, which most open connections are
};

// Grows as needed; a prepared space stays valid until Commit, whatever is consumed meanwhile.
class ReadBuffer {
 public:
  std::string_view bytes() const { return {data_.get() + begin_, end_ - begin_}; }
  char* data() { return data_.get() + begin_; }
  size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  void Consume(size_t n) { begin_ += n; }
  asio::mutable_buffer Prepare(size_t n) {
    if (begin_ == end_) begin_ = end_ = 0;
    if (capacity_ - end_ < n) {
      const size_t capacity = std::max(capacity_, size() + n);
      std::unique_ptr<char[]> data(new char[capacity]);
      if (!empty()) std::memcpy(data.get(), data_.get() + begin_, size());
      data_ = std::move(data);
      end_ -= begin_;
      begin_ = 0;
      capacity_ = capacity;
    }
    return {data_.get() + end_, capacity_ - end_};
  }
  void Commit(size_t n) { end_ += n; }
  // Gives the memory back, when nothing is in it.
  void Release() {
    if (!empty()) return;
    data_.reset();
    capacity_ = begin_ = end_ = 0;
  }

 private:
  std::unique_ptr<char[]> data_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace signalbox
