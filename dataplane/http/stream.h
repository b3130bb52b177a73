// A TCP connection that may speak TLS, and the bytes read from it but not used yet. One thread; at most one read and
// one write at a time.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace signalbox {

namespace asio = boost::asio;
using boost::system::error_code;

// Asio's awaitable results without exceptions: `const auto [error, ...] = co_await op(..., kNoThrow)`.
inline constexpr asio::as_tuple_t<asio::use_awaitable_t<>> kNoThrow{};

// Of a sized body's capacity mostly so many bytes are left behind it, so that JSON is parsed where it stands.
inline constexpr size_t kReadableBytesBehindBody = 64;

class Stream {
 public:
  // The socket does not block from here on. `tls` null: plain text.
  Stream(asio::ip::tcp::socket socket, asio::ssl::context* tls) : socket_(std::move(socket)) {
    if (tls != nullptr) tls_ = std::make_unique<Tls>(socket_, *tls);
    error_code ignored;  // a peer that is gone already is found by the first read
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket_.non_blocking(true, ignored);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  asio::ip::tcp::socket& socket() { return socket_; }
  SSL* ssl() { return tls_ ? tls_->native_handle() : nullptr; }

  template <typename Handler>
  void AsyncReadSome(asio::mutable_buffer buffer, Handler handler) {
    if (tls_) {
      tls_->async_read_some(buffer, std::move(handler));
    } else {
      socket_.async_read_some(buffer, std::move(handler));
    }
  }
  asio::awaitable<std::pair<error_code, size_t>> ReadSome(asio::mutable_buffer buffer) {
    if (tls_) {
      const auto [error, n] = co_await tls_->async_read_some(buffer, kNoThrow);
      co_return std::pair(error, n);
    }
    const auto [error, n] = co_await socket_.async_read_some(buffer, kNoThrow);
    co_return std::pair(error, n);
  }
  // Plain sockets only: until there is something to read, or an end. Nobody holds a buffer meanwhile.
  template <typename Handler>
  void AsyncWaitReadable(Handler handler) {
    socket_.async_wait(asio::socket_base::wait_read, std::move(handler));
  }
  // An awaitable of one error code, without a frame of its own.
  auto WaitReadable() { return socket_.async_wait(asio::socket_base::wait_read, kNoThrow); }
  // Plain sockets only: what is there. 0 without an error: nothing is.
  size_t TryReadSome(asio::mutable_buffer buffer, error_code& error) {
    error = {};
    const size_t n = socket_.read_some(buffer, error);
    if (error == asio::error::would_block || error == asio::error::try_again) error = {};
    return n;
  }
  // Tried at once on plain sockets: nearly every write fits the kernel's buffer and costs no turn of the loop.
  // Returns 0 when it has to be awaited.
  template <typename Buffers>
  size_t TryWriteSome(const Buffers& buffers, error_code& error) {
    error = {};
    if (tls_) return 0;
    const size_t n = socket_.write_some(buffers, error);
    if (error == asio::error::would_block || error == asio::error::try_again) error = {};
    return n;
  }
  asio::awaitable<std::pair<error_code, size_t>> WriteSome(asio::const_buffer buffer) {
    if (tls_) {
      const auto [error, n] = co_await tls_->async_write_some(buffer, kNoThrow);
      co_return std::pair(error, n);
    }
    const auto [error, n] = co_await socket_.async_write_some(buffer, kNoThrow);
    co_return std::pair(error, n);
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
  // Pending operations end with operation_aborted.
  void Cancel() {
    error_code ignored;
    socket_.cancel(ignored);
  }
  void Close() {
    error_code ignored;
    socket_.close(ignored);
  }
  // The peer sees a reset, not an end.
  void Reset() {
    error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    socket_.close(ignored);
  }
  // For a connection on which nothing is expected: quiet and open.
  bool Quiet() {
    char byte;
    const ssize_t n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

 private:
  using Tls = asio::ssl::stream<asio::ip::tcp::socket&>;

  asio::ip::tcp::socket socket_;
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
