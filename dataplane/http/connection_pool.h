// Idle connections to providers, by origin. An idle connection is open, quiet and between two messages. One thread; the
// calls share it, for they may outlive the UpstreamPool.
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/clock.h"
#include "common/limits.h"
#include "dataplane/http/deadlines.h"
#include "dataplane/http/stream.h"
#include "dataplane/http/tcp_acked.h"

namespace signalbox {

struct SslSessionFree {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using SslSession = std::unique_ptr<SSL_SESSION, SslSessionFree>;

// One connection to a provider. `reused`: it served a call before, so the peer may have closed it meanwhile.
struct UpstreamConnection {
  UpstreamConnection(asio::ip::tcp::socket socket, asio::ssl::context* tls)
      : stream(std::move(socket), tls), acked_when_new(TcpBytesAcked(stream.descriptor())) {}
  // How many bytes the peer can have acknowledged of what was written so far; nullopt: not known. Plain text: all of
  // it. Under TLS what is written has another size on the wire: what it has acknowledged by now.
  std::optional<uint64_t> AckedAtMost() {
    if (stream.ssl() != nullptr) return TcpBytesAcked(stream.descriptor());
    if (!acked_when_new.has_value()) return std::nullopt;
    return *acked_when_new + written_bytes;
  }
  Stream stream;
  const std::optional<uint64_t> acked_when_new;  // the kernel counts the connection's start too
  uint64_t written_bytes = 0;
  bool reused = false;
  uint64_t listening = 0;     // Stream::listening when it became idle
  int64_t idle_since_ms = 0;  // by the clock's CoarseMonotonicMs
};

class ConnectionPool : public std::enable_shared_from_this<ConnectionPool> {
 public:
  ConnectionPool(asio::io_context& io, asio::ssl::context& tls)
      : io_(io), tls_(tls), deadlines_(std::make_shared<Deadlines>(io)), reaper_(io) {}

  asio::io_context& io() { return io_; }
  asio::ssl::context& tls() { return tls_; }
  Deadlines& deadlines() { return *deadlines_; }

  // The one used last, which is the least likely to be closed; null when there is none that is open. One that was in
  // use just now is taken for open unless it was heard of meanwhile: a peer closes those that were idle for long.
  std::unique_ptr<UpstreamConnection> Take(const std::string& origin) {
    const auto found = idle_.find(origin);
    if (found == idle_.end()) return nullptr;
    while (!found->second.empty()) {
      std::unique_ptr<UpstreamConnection> connection = std::move(found->second.back());
      found->second.pop_back();
      const bool just_used = Clock::System().CoarseMonotonicMs() - connection->idle_since_ms < kJustUsedMs;
      if (just_used && connection->stream.nothing_heard_since(connection->listening)) return connection;
      if (connection->stream.Quiet()) return connection;
    }
    return nullptr;
  }

  void Put(const std::string& origin, std::unique_ptr<UpstreamConnection> connection) {
    if (closed_) return;
    if (SSL* ssl = connection->stream.ssl(); ssl != nullptr && !connection->reused) {
      // A copy: OpenSSL spoils a connection's own session when that ends without close_notify.
      SSL_SESSION* session = SSL_get0_session(ssl);
      if (session != nullptr && SSL_SESSION_is_resumable(session)) {
        tls_sessions_[origin].reset(SSL_SESSION_dup(session));
      }
    }
    connection->reused = true;
    connection->listening = connection->stream.listening();
    connection->idle_since_ms = Clock::System().CoarseMonotonicMs();
    auto& idle = idle_[origin];
    if (idle.size() >= kUpstreamIdlePerHostMax) idle.erase(idle.begin());
    idle.push_back(std::move(connection));
    if (!reaping_) ScheduleReap();
  }

  SSL_SESSION* TlsSession(const std::string& origin) {
    const auto found = tls_sessions_.find(origin);
    return found == tls_sessions_.end() ? nullptr : found->second.get();
  }

  void Close() {
    closed_ = true;
    idle_.clear();
    reaper_.cancel();
  }

 private:
  static constexpr int kReapMs = 1'000;
  static constexpr int kJustUsedMs = 1'000;

  void ScheduleReap() {
    reaping_ = true;
    reaper_.expires_after(std::chrono::milliseconds(kReapMs));
    reaper_.async_wait([self = shared_from_this()](const error_code&) { self->Reap(); });
  }

  void Reap() {
    reaping_ = false;
    const int64_t oldest_ms = Clock::System().CoarseMonotonicMs() - kUpstreamIdleTimeoutMs;
    size_t left = 0;
    for (auto& [origin, idle] : idle_) {
      std::erase_if(idle, [&](const auto& connection) { return connection->idle_since_ms < oldest_ms; });
      left += idle.size();
    }
    if (left > 0 && !closed_) ScheduleReap();
  }

  asio::io_context& io_;
  asio::ssl::context& tls_;
  const std::shared_ptr<Deadlines> deadlines_;
  asio::steady_timer reaper_;
  bool reaping_ = false;
  bool closed_ = false;
  absl::flat_hash_map<std::string, std::vector<std::unique_ptr<UpstreamConnection>>> idle_;
  absl::flat_hash_map<std::string, SslSession> tls_sessions_;
};

}  // namespace signalbox
