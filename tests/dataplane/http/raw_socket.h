// Blocking sockets on 127.0.0.1 that send and read the bytes a test says, with or without TLS. A wait that lasts
// longer than kGuardSeconds fails the test instead of hanging it.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace signalbox::testing {

inline constexpr int kGuardSeconds = 30;

class RawSocket {
 public:
  explicit RawSocket(int fd) : fd_(fd) {
    const timeval guard{kGuardSeconds, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof guard);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &guard, sizeof guard);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  // `address` is 127.0.0.1:port.
  static RawSocket To(const std::string& address) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in peer = Loopback(std::atoi(address.c_str() + address.rfind(':') + 1));
    const bool ok = ::connect(fd, reinterpret_cast<const sockaddr*>(&peer), sizeof peer) == 0;
    RawSocket raw(fd);
    raw.connected_ = ok;
    return raw;
  }
  static sockaddr_in Loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  RawSocket(RawSocket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        ssl_(std::exchange(other.ssl_, nullptr)),
        connected_(other.connected_),
        reset_(other.reset_),
        rest_(std::move(other.rest_)) {}
  RawSocket& operator=(RawSocket&&) = delete;
  ~RawSocket() { Close(); }

  bool connected() const { return connected_; }
  bool reset() const { return reset_; }  // the peer's end was a reset
  int fd() const { return fd_; }

  bool StartTls(SSL_CTX* context, bool as_server) {
    ssl_ = SSL_new(context);
    SSL_set_fd(ssl_, fd_);
    return (as_server ? SSL_accept(ssl_) : SSL_connect(ssl_)) == 1;
  }
  bool resumed() const { return SSL_session_reused(ssl_) == 1; }
  void CloseNotify() { SSL_shutdown(ssl_); }

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ssl_ != nullptr ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                                        : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  // Up to and with `end`; what came so far when the connection ends first.
  std::string ReadUntil(std::string_view end) {
    std::string read = std::move(rest_);
    rest_.clear();
    while (true) {
      if (const size_t at = read.find(end); at != std::string::npos) {
        rest_ = read.substr(at + end.size());
        return read.substr(0, at + end.size());
      }
      if (!ReadMore(read)) return read;
    }
  }
  std::string ReadBytes(size_t count) {
    std::string read = std::move(rest_);
    rest_.clear();
    while (read.size() < count && ReadMore(read)) {
    }
    if (read.size() > count) {
      rest_ = read.substr(count);
      read.resize(count);
    }
    return read;
  }
  std::string ReadToEnd() {
    std::string read = std::move(rest_);
    rest_.clear();
    while (ReadMore(read)) {
    }
    return read;
  }
  // Head and, by its content-length, body.
  std::string ReadResponse() {
    std::string response = ReadUntil("\r\n\r\n");
    const size_t at = response.find("content-length: ");
    if (at != std::string::npos) response += ReadBytes(static_cast<size_t>(std::atoll(response.c_str() + at + 16)));
    return response;
  }
  // A request: head and, by its content-length, body.
  std::string ReadRequest() { return ReadResponse(); }

  void ShutdownSend() { ::shutdown(fd_, SHUT_WR); }
  void Reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    Close();
  }
  void Close() {
    if (ssl_ != nullptr) SSL_free(ssl_);
    ssl_ = nullptr;
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  bool ReadMore(std::string& into) {
    char buffer[16384];
    errno = 0;
    const ssize_t n = ssl_ != nullptr ? SSL_read(ssl_, buffer, sizeof buffer) : ::recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) {
      reset_ = errno == ECONNRESET;
      return false;
    }
    into.append(buffer, static_cast<size_t>(n));
    return true;
  }

  int fd_;
  SSL* ssl_ = nullptr;
  bool connected_ = true;
  bool reset_ = false;
  std::string rest_;
};

}  // namespace signalbox::testing
