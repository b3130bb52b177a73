// One connection of the proxy's front: reads requests within limits, runs the handler, writes the answers. Owned by its
// own coroutine, by the read in flight, and by nobody else. One thread.
#pragma once

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/give_back.h"
#include "dataplane/http/http_server.h"
#include "dataplane/http/request_head.h"
#include "dataplane/http/stream.h"

namespace signalbox {

class HttpSession;

// What all connections of one server share. Outlives the server while connections wind down.
struct HttpServerShared {
  HttpServerShared(asio::io_context& io, HttpServerOptions options, HttpHandler handler)
      : io(io),
        options(std::move(options)),
        handler(std::move(handler)),
        acceptor(io),
        sweep_timer(io),
        accept_pause(io) {}

  asio::io_context& io;
  const HttpServerOptions options;
  const HttpHandler handler;
  asio::ip::tcp::acceptor acceptor;
  asio::steady_timer sweep_timer;  // one for all deadlines of all connections; runs while there are any
  bool sweeping = false;
  asio::steady_timer accept_pause;
  std::list<HttpSession*> sessions;
  size_t open_exchanges = 0;
  bool draining = false;
  bool closed = false;
};

// A connection and, while `exchange_open_`, the exchange on it. A read is always pending while the handler works: it
// notices the client's leaving, also under TLS, and takes in what is pipelined.
class HttpSession final : public HttpExchange, public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(std::shared_ptr<HttpServerShared> core, asio::ip::tcp::socket socket)
      : core_(std::move(core)), stream_(std::move(socket), core_->options.tls) {
    position_ = core_->sessions.insert(core_->sessions.end(), this);
  }
  ~HttpSession() override { core_->sessions.erase(position_); }

  static asio::awaitable<void> Run(std::shared_ptr<HttpSession> self) {
    co_await self->Serve();
    self->stream_.Close();
  }

  // HttpExchange.
  const HttpRequest& request() const override { return request_; }
  asio::awaitable<bool> Reply(HttpReply reply) override;
  asio::awaitable<bool> BeginStream(int status, std::string content_type, HeaderFields headers,
                                    std::string_view first) override;
  asio::awaitable<bool> WriteChunk(std::string_view data) override;
  asio::awaitable<bool> EndStream(std::string_view last) override;
  void AbortStream() override;
  void ForgetRequest() override {
    GiveBack(request_.headers);
    GiveBack(request_.body);
  }
  bool client_gone() const override { return gone_; }
  void OnClientGone(std::function<void()> callback) override;

  // HttpServerShared's.
  void CheckDeadline(int64_t now_ms) {
    if (deadline_ms_ == 0 || now_ms < deadline_ms_) return;
    deadline_ms_ = 0;
    expired_ = true;
    stream_.Cancel();
  }
  void BeginDrain() {
    if (idle_) stream_.Close();
  }
  void CloseNow() {
    MarkGone();
    stream_.Close();
  }

 private:
  using Pieces = std::array<std::string_view, 3>;
  enum class ReplyState { kNone, kStreaming, kEnded, kAborted };

  asio::awaitable<void> Serve();
  asio::awaitable<bool> ReadRequest();
  asio::awaitable<std::optional<HeadFault>> ReadHead(bool& lost);
  bool TakeBody();
  asio::awaitable<std::optional<HeadFault>> ReadBody(bool& lost);
  asio::awaitable<std::optional<HeadFault>> ReadSizedBody(bool& lost);
  asio::awaitable<std::optional<HeadFault>> ReadChunkedBody(bool& lost);
  asio::awaitable<bool> RunHandler();
  asio::awaitable<void> Refuse(const HeadFault& fault);
  asio::awaitable<void> Linger();

  // A read on its way, which holds the session. When the loop goes instead of ending it, who waits for it goes too.
  class PendingRead {
   public:
    explicit PendingRead(std::shared_ptr<HttpSession> session) : session_(std::move(session)) {}
    PendingRead(PendingRead&&) = default;
    PendingRead& operator=(PendingRead&&) = delete;
    ~PendingRead() {
      if (session_ != nullptr) static_cast<void>(session_->reader_.Take());
    }
    std::shared_ptr<HttpSession> End() { return std::move(session_); }

   private:
    std::shared_ptr<HttpSession> session_;
  };

  void StartRead(size_t bytes);
  void OnRead(error_code error, size_t n);
  asio::awaitable<bool> ReadMore(size_t bytes);
  asio::awaitable<bool> WriteAll(Pieces pieces);
  bool sends_body() const { return request_.method != "HEAD"; }
  std::string ReplyHead(int status, std::string_view content_type, const HeaderFields& headers) const;

  void SetDeadline(int timeout_ms) {
    expired_ = false;
    deadline_ms_ = Clock::System().CoarseMonotonicMs() + timeout_ms;
  }
  void ClearDeadline() {
    expired_ = false;
    deadline_ms_ = 0;
  }
  void MarkGone();
  void FireGone();

  const std::shared_ptr<HttpServerShared> core_;
  std::list<HttpSession*>::iterator position_;
  Stream stream_;
  ReadBuffer in_;
  Waiter reader_;  // ReadMore, while a read is on its way
  bool reading_ = false;
  error_code read_error_;
  int64_t deadline_ms_ = 0;  // 0: none
  bool expired_ = false;
  bool idle_ = true;  // between requests, no byte of the next one

  HttpRequest request_;
  RequestFraming framing_;
  bool keep_alive_ = false;
  bool exchange_open_ = false;
  ReplyState reply_state_ = ReplyState::kNone;
  bool gone_ = false;
  std::function<void()> on_gone_;
};

}  // namespace signalbox
