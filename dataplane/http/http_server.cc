#include "dataplane/http/http_server.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/status.hpp>
#include <chrono>
#include <exception>
#include <list>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "dataplane/http/chunked_body.h"
#include "dataplane/http/request_head.h"
#include "dataplane/http/stream.h"

namespace signalbox {
namespace {

using asio::awaitable;
using asio::ip::tcp;

constexpr size_t kReadBytes = 4 << 10;  // kept per open connection
constexpr size_t kBodyReadBytes = 64 << 10;
constexpr int kSweepMsMax = 250;
constexpr int kAcceptPauseMs = 50;

class Session;

// What all connections of one server share. Outlives the server while connections wind down.
struct Core {
  Core(asio::io_context& io, HttpServerOptions options, HttpHandler handler)
      : io(io),
        options(std::move(options)),
        handler(std::move(handler)),
        acceptor(io),
        sweep_timer(io),
        accept_pause(io) {}

  int64_t NowMs() const { return Clock::System().MonotonicMicros() / 1000; }
  void Sweep();

  asio::io_context& io;
  HttpServerOptions options;
  HttpHandler handler;
  tcp::acceptor acceptor;
  asio::steady_timer sweep_timer;  // one for all deadlines of all connections; runs while there are any
  bool sweeping = false;
  asio::steady_timer accept_pause;
  std::list<Session*> sessions;
  size_t open_exchanges = 0;
  bool draining = false;
  bool closed = false;
};

// A connection and, while `exchange_open_`, the exchange on it. A read is always pending while the handler works: it
// notices the client's leaving, also under TLS, and takes in what is pipelined.
class Session final : public HttpExchange, public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<Core> core, tcp::socket socket)
      : core_(std::move(core)), stream_(std::move(socket), core_->options.tls), wake_(core_->io) {
    wake_.expires_at(std::chrono::steady_clock::time_point::max());
    position_ = core_->sessions.insert(core_->sessions.end(), this);
  }
  ~Session() override { core_->sessions.erase(position_); }

  static awaitable<void> Run(std::shared_ptr<Session> self) {
    co_await self->Serve();
    self->stream_.Close();
  }

  // HttpExchange.
  const HttpRequest& request() const override { return request_; }
  awaitable<bool> Reply(HttpReply reply) override;
  awaitable<bool> BeginStream(int status, std::string content_type, HttpHeaders headers) override;
  awaitable<bool> WriteChunk(std::string_view data) override;
  awaitable<bool> EndStream() override;
  void AbortStream() override;
  bool client_gone() const override { return gone_; }
  void OnClientGone(std::function<void()> callback) override;

  // Core's.
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
  enum class ReplyState { kNone, kStreaming, kEnded, kAborted };

  awaitable<void> Serve();
  awaitable<bool> ServeRequest();
  awaitable<std::optional<HeadFault>> ReadHead(bool& lost);
  awaitable<std::optional<HeadFault>> ReadBody(bool& lost);
  awaitable<std::optional<HeadFault>> ReadSizedBody(bool& lost);
  awaitable<std::optional<HeadFault>> ReadChunkedBody(bool& lost);
  awaitable<bool> RunHandler();
  awaitable<bool> Refuse(const HeadFault& fault);
  awaitable<void> Linger();

  void StartRead(size_t bytes);
  void OnRead(error_code error, size_t n);
  awaitable<bool> ReadMore(size_t bytes);
  awaitable<bool> WriteAll(std::string_view head, std::string_view data, std::string_view tail);
  std::string ReplyHead(int status, std::string_view content_type, const HttpHeaders& headers) const;

  void SetDeadline(int timeout_ms) {
    expired_ = false;
    deadline_ms_ = core_->NowMs() + timeout_ms;
  }
  void ClearDeadline() {
    expired_ = false;
    deadline_ms_ = 0;
  }
  void MarkGone();
  void FireGone();

  const std::shared_ptr<Core> core_;
  std::list<Session*>::iterator position_;
  Stream stream_;
  ReadBuffer in_;
  asio::steady_timer wake_;  // never expires; cancelled to wake ReadMore
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

void Core::Sweep() {
  if (sessions.empty() || closed) {
    sweeping = false;
    return;
  }
  sweeping = true;
  const int shortest_ms = std::min({options.header_timeout_ms, options.body_timeout_ms, options.idle_timeout_ms,
                                    options.write_stall_timeout_ms, options.linger_timeout_ms});
  sweep_timer.expires_after(std::chrono::milliseconds(std::clamp(shortest_ms / 8, 1, kSweepMsMax)));
  const int64_t now_ms = NowMs();
  for (Session* session : sessions) session->CheckDeadline(now_ms);
}

// ---- Reading.

void Session::StartRead(size_t bytes) {
  reading_ = true;
  stream_.AsyncReadSome(in_.Prepare(bytes),
                        [self = shared_from_this()](const error_code& error, size_t n) { self->OnRead(error, n); });
}

void Session::OnRead(error_code error, size_t n) {
  reading_ = false;
  in_.Commit(n);
  if (error) read_error_ = error;
  wake_.cancel();
  if (!exchange_open_) return;
  if (error) {
    MarkGone();
  } else if (in_.size() < kRequestHeaderBytesMax) {
    StartRead(kReadBytes);  // pipelined bytes: keep them, watch on
  }
}

// False when the connection is of no more use, or `expired_`.
awaitable<bool> Session::ReadMore(size_t bytes) {
  if (!reading_ && !read_error_ && !expired_) StartRead(bytes);
  while (reading_) co_await wake_.async_wait(kNoThrow);
  co_return !read_error_ && !expired_;
}

awaitable<void> Session::Serve() {
  if (stream_.ssl() != nullptr) {
    SetDeadline(core_->options.header_timeout_ms);
    const error_code error = co_await stream_.Handshake(asio::ssl::stream_base::server);
    if (error || expired_) co_return;
  }
  SetDeadline(core_->options.header_timeout_ms);
  while (true) {
    if (in_.empty()) {
      idle_ = true;
      if (core_->draining || !co_await ReadMore(kReadBytes)) co_return;
      idle_ = false;
    }
    struct Count {
      explicit Count(size_t& value) : value(value) { ++value; }
      ~Count() { --value; }
      size_t& value;
    };
    bool again = false;
    {
      const Count count(core_->open_exchanges);
      again = co_await ServeRequest();
    }
    if (!again) break;
    SetDeadline(core_->options.idle_timeout_ms);
  }
  if (!gone_ && reply_state_ != ReplyState::kAborted) co_await Linger();
}

// True when another request may follow.
awaitable<bool> Session::ServeRequest() {
  bool lost = false;
  reply_state_ = ReplyState::kNone;
  std::optional<HeadFault> fault = co_await ReadHead(lost);
  if (!fault && !lost) fault = co_await ReadBody(lost);
  if (lost) {
    gone_ = true;
    co_return false;
  }
  if (fault) co_return co_await Refuse(*fault);
  co_return co_await RunHandler();
}

awaitable<std::optional<HeadFault>> Session::ReadHead(bool& lost) {
  SetDeadline(core_->options.header_timeout_ms);
  HeadScanner scanner;
  bool skipped_empty_line = false;
  while (true) {
    const size_t head_bytes = scanner.Scan(in_.bytes());
    if (scanner.fault() != nullptr) co_return HeadFault{400, "bad_framing", scanner.fault()};
    if (head_bytes == 2 && !skipped_empty_line) {  // RFC 9112, 2.2: some send one more CRLF after a body
      skipped_empty_line = true;
      in_.Consume(head_bytes);
      scanner = HeadScanner();
      continue;
    }
    if (head_bytes > kRequestHeaderBytesMax || (head_bytes == 0 && in_.size() >= kRequestHeaderBytesMax)) {
      co_return HeadFault{431, "headers_too_large",
                          absl::StrCat("the request's headers exceed ", kRequestHeaderBytesMax, " bytes")};
    }
    if (head_bytes > 0) {
      std::optional<HeadFault> fault = ParseRequestHead(in_.bytes().substr(0, head_bytes), request_, framing_);
      in_.Consume(head_bytes);
      co_return fault;
    }
    if (!co_await ReadMore(kReadBytes)) {
      if (expired_) {
        co_return HeadFault{
            408, "request_timeout",
            absl::StrCat("the request's headers took longer than ", core_->options.header_timeout_ms, " ms")};
      }
      lost = true;
      co_return std::nullopt;
    }
  }
}

awaitable<std::optional<HeadFault>> Session::ReadBody(bool& lost) {
  if (framing_.content_length > core_->options.body_bytes_max) {
    co_return HeadFault{413, "body_too_large",
                        absl::StrCat("the request's body exceeds ", core_->options.body_bytes_max, " bytes")};
  }
  if (framing_.content_length == 0 && !framing_.chunked) co_return std::nullopt;
  if (framing_.expect_continue && in_.empty() && !co_await WriteAll("HTTP/1.1 100 Continue\r\n\r\n", {}, {})) {
    lost = true;
    co_return std::nullopt;
  }
  SetDeadline(core_->options.body_timeout_ms);
  std::optional<HeadFault> fault;
  if (framing_.chunked) {
    fault = co_await ReadChunkedBody(lost);
  } else {
    fault = co_await ReadSizedBody(lost);
  }
  if (lost && expired_) {
    lost = false;
    fault = HeadFault{408, "request_timeout",
                      absl::StrCat("the request's body took longer than ", core_->options.body_timeout_ms, " ms")};
  }
  co_return fault;
}

awaitable<std::optional<HeadFault>> Session::ReadSizedBody(bool& lost) {
  std::string& body = request_.body;
  const size_t length = static_cast<size_t>(framing_.content_length);
  size_t filled = 0;
  while (filled < length) {
    if (filled == body.size()) {  // memory follows what came, not what was announced
      body.resize(std::min(length, std::max({filled * 2, filled + kBodyReadBytes, in_.size()})));
    }
    size_t n = std::min(in_.size(), body.size() - filled);
    if (n > 0) {
      std::copy_n(in_.data(), n, body.data() + filled);
      in_.Consume(n);
    } else if (reading_) {  // left from the exchange before, while this request was being sent
      if (!co_await ReadMore(kReadBytes)) {
        lost = true;
        co_return std::nullopt;
      }
    } else {
      const auto [error, read] = co_await stream_.ReadSome(asio::buffer(body.data() + filled, body.size() - filled));
      if (error || expired_) {
        lost = true;
        co_return std::nullopt;
      }
      n = read;
    }
    filled += n;
  }
  co_return std::nullopt;
}

awaitable<std::optional<HeadFault>> Session::ReadChunkedBody(bool& lost) {
  ChunkedBody decoder;
  while (true) {
    const ChunkedBody::Step step = decoder.Decode(in_.data(), in_.size());
    if (decoder.fault() != nullptr) co_return HeadFault{400, "bad_framing", decoder.fault()};
    if (request_.body.size() + step.produced > core_->options.body_bytes_max) {
      co_return HeadFault{413, "body_too_large",
                          absl::StrCat("the request's body exceeds ", core_->options.body_bytes_max, " bytes")};
    }
    request_.body.append(in_.data(), step.produced);
    in_.Consume(step.consumed);
    if (decoder.done()) co_return std::nullopt;
    if (!co_await ReadMore(request_.body.size() < kBodyReadBytes ? kReadBytes : kBodyReadBytes)) {
      lost = true;
      co_return std::nullopt;
    }
  }
}

// ---- The exchange.

awaitable<bool> Session::RunHandler() {
  ClearDeadline();
  if (read_error_) {  // left while its request was still in our buffer
    gone_ = true;
    co_return false;
  }
  keep_alive_ = framing_.keep_alive;
  exchange_open_ = true;
  if (!reading_ && in_.size() < kRequestHeaderBytesMax) StartRead(kReadBytes);
  std::string thrown;
  try {
    co_await core_->handler(*this);
  } catch (const std::exception& e) {
    thrown = absl::StrCat("exception: ", e.what());
  } catch (...) {
    thrown = "unknown exception";
  }
  on_gone_ = nullptr;
  if (reply_state_ == ReplyState::kNone && !gone_) {
    LOG(ERROR) << request_.method << " " << request_.target << ": the handler ended without an answer"
               << (thrown.empty() ? "" : ": ") << thrown;
    keep_alive_ = false;
    co_await Reply(ErrorReply(500, "internal_error", "the gateway failed on this request; see its log"));
  } else if (!thrown.empty()) {
    LOG(ERROR) << request_.method << " " << request_.target << ": the handler failed: " << thrown;
  }
  if (reply_state_ == ReplyState::kStreaming) AbortStream();
  exchange_open_ = false;
  request_ = HttpRequest();  // an idle connection holds no body
  co_return keep_alive_ && !gone_ && reply_state_ == ReplyState::kEnded && !core_->draining;
}

void Session::OnClientGone(std::function<void()> callback) {
  on_gone_ = std::move(callback);
  if (gone_ && on_gone_) asio::post(core_->io, [self = shared_from_this()] { self->FireGone(); });
}

void Session::MarkGone() {
  if (gone_) return;
  gone_ = true;
  stream_.Close();
  if (on_gone_) asio::post(core_->io, [self = shared_from_this()] { self->FireGone(); });
}

void Session::FireGone() {
  if (!on_gone_) return;
  const std::function<void()> callback = std::move(on_gone_);
  on_gone_ = nullptr;
  callback();
}

// ---- Writing.

// Everything or nothing is known to be sent; false: the client is gone.
awaitable<bool> Session::WriteAll(std::string_view head, std::string_view data, std::string_view tail) {
  if (gone_) co_return false;
  const std::array<asio::const_buffer, 3> buffers = {asio::buffer(head.data(), head.size()),
                                                     asio::buffer(data.data(), data.size()),
                                                     asio::buffer(tail.data(), tail.size())};
  const size_t total = head.size() + data.size() + tail.size();
  error_code error;
  size_t written = stream_.TryWriteSome(buffers, error);
  if (!error && written < total) {
    std::string joined;  // under TLS small pieces share a record
    std::string_view pieces[3] = {head, data, tail};
    if (stream_.ssl() != nullptr && total <= kBodyReadBytes) {
      joined = absl::StrCat(absl::string_view(head.data(), head.size()), absl::string_view(data.data(), data.size()),
                            absl::string_view(tail.data(), tail.size()));
      pieces[0] = joined;
      pieces[1] = pieces[2] = {};
    }
    for (std::string_view piece : pieces) {
      const size_t skip = std::min(written, piece.size());
      piece.remove_prefix(skip);
      written -= skip;
      while (!piece.empty() && !error && !gone_) {
        SetDeadline(core_->options.write_stall_timeout_ms);
        const auto [write_error, n] = co_await stream_.WriteSome(asio::buffer(piece.data(), piece.size()));
        if (write_error || expired_) error = write_error ? write_error : asio::error::timed_out;
        piece.remove_prefix(n);
      }
    }
    ClearDeadline();
  }
  if (error) MarkGone();
  co_return !gone_;
}

std::string Session::ReplyHead(int status, std::string_view content_type, const HttpHeaders& headers) const {
  const auto reason =
      boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(static_cast<unsigned>(status)));
  std::string head = absl::StrCat("HTTP/1.1 ", status, " ", absl::string_view(reason.data(), reason.size()), "\r\n");
  if (!content_type.empty() && IsFieldValue(content_type)) {
    head.append("content-type: ").append(content_type).append("\r\n");
  }
  for (const auto& [name, value] : headers) {
    // Values may come from peers: what could end the line never gets into it.
    if (!IsToken(name) || !IsFieldValue(value)) {
      LOG_EVERY_N(WARNING, 100) << "an answer's header is not valid HTTP and was left out: " << name;
      continue;
    }
    head.append(name).append(": ").append(value).append("\r\n");
  }
  if (!keep_alive_ || core_->draining) head.append("connection: close\r\n");
  return head;
}

awaitable<bool> Session::Reply(HttpReply reply) {
  if (reply_state_ != ReplyState::kNone) {
    LOG(ERROR) << request_.method << " " << request_.target << ": a second answer was dropped";
    co_return false;
  }
  const bool bodiless = reply.status == 204 || reply.status == 304;
  std::string head = ReplyHead(reply.status, reply.content_type, reply.headers);
  if (!bodiless) absl::StrAppend(&head, "content-length: ", reply.body.size(), "\r\n");
  head.append("\r\n");
  reply_state_ = ReplyState::kEnded;
  const bool send_body = !bodiless && request_.method != "HEAD";
  co_return co_await WriteAll(head, send_body ? std::string_view(reply.body) : std::string_view(), {});
}

awaitable<bool> Session::BeginStream(int status, std::string content_type, HttpHeaders headers) {
  if (reply_state_ != ReplyState::kNone) {
    LOG(ERROR) << request_.method << " " << request_.target << ": a second answer was dropped";
    co_return false;
  }
  std::string head = ReplyHead(status, content_type, headers);
  head.append(framing_.http_1_0 ? "\r\n" : "transfer-encoding: chunked\r\n\r\n");
  reply_state_ = ReplyState::kStreaming;
  co_return co_await WriteAll(head, {}, {});
}

awaitable<bool> Session::WriteChunk(std::string_view data) {
  if (reply_state_ != ReplyState::kStreaming) co_return false;
  if (data.empty() || request_.method == "HEAD") co_return !gone_;  // an empty chunk would be the end
  if (framing_.http_1_0) co_return co_await WriteAll(data, {}, {});
  const std::string size_line = absl::StrCat(absl::Hex(data.size()), "\r\n");
  co_return co_await WriteAll(size_line, data, "\r\n");
}

awaitable<bool> Session::EndStream() {
  if (reply_state_ != ReplyState::kStreaming) co_return false;
  reply_state_ = ReplyState::kEnded;
  if (framing_.http_1_0 || request_.method == "HEAD") co_return !gone_;
  co_return co_await WriteAll("0\r\n\r\n", {}, {});
}

void Session::AbortStream() {
  reply_state_ = ReplyState::kAborted;
  keep_alive_ = false;
  gone_ = true;  // nothing is written after this; nobody is told, for it is the handler's own doing
  on_gone_ = nullptr;
  // A chunked stream is cut by its missing end, and what was written still arrives. One that ends with the
  // connection has only a reset to be told from a whole one.
  if (framing_.http_1_0) {
    stream_.Reset();
  } else {
    stream_.Close();
  }
}

awaitable<bool> Session::Refuse(const HeadFault& fault) {
  ClearDeadline();
  keep_alive_ = false;
  request_ = HttpRequest();
  reply_state_ = ReplyState::kNone;
  HttpReply reply = ErrorReply(fault.status, fault.code, fault.message);
  co_await Reply(std::move(reply));
  co_return false;
}

// Closing with unread bytes would reset the connection and take the answer from the client: read on for a while.
awaitable<void> Session::Linger() {
  SetDeadline(core_->options.linger_timeout_ms);
  if (stream_.ssl() != nullptr) {
    // An error is expected: few peers answer close_notify with theirs.
    static_cast<void>(co_await stream_.ShutdownTls());
  }
  error_code ignored;  // gone is as good as shut down
  stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  size_t drained = 0;
  while (drained < kLingerBytesMax && !expired_) {
    in_.Consume(in_.size());
    if (reading_) {
      if (!co_await ReadMore(0)) break;
      drained += in_.size();
    } else {
      const auto [error, n] = co_await stream_.socket().async_read_some(in_.Prepare(kBodyReadBytes), kNoThrow);
      if (error) break;
      drained += n;
    }
  }
}

// ---- Accepting.

void LogFailure(std::exception_ptr failure) {
  if (!failure) return;
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& e) {
    LOG(ERROR) << "a connection ended by an exception: " << e.what();
  } catch (...) {
    LOG(ERROR) << "a connection ended by an unknown exception";
  }
}

awaitable<void> SweepLoop(std::shared_ptr<Core> core) {
  while (true) {
    core->Sweep();
    if (!core->sweeping) co_return;
    co_await core->sweep_timer.async_wait(kNoThrow);
  }
}

void RefuseForLoad(tcp::socket socket, bool tls) {
  error_code ignored;  // best effort: this is the cheapest way to say no
  if (!tls) {
    const std::string body = ErrorReply(503, "overloaded", "the gateway has too many open connections; try again").body;
    const std::string text =
        absl::StrCat("HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n",
                     "retry-after: 1\r\nconnection: close\r\ncontent-length: ", body.size(), "\r\n\r\n", body);
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(text), ignored);
    socket.shutdown(tcp::socket::shutdown_send, ignored);
    std::array<char, 4096> unread;  // so that closing does not reset
    while (socket.read_some(asio::buffer(unread), ignored) == unread.size()) {
    }
  }
}

awaitable<void> AcceptLoop(std::shared_ptr<Core> core) {
  while (!core->draining && !core->closed) {
    tcp::socket socket(core->io);
    const auto [error] = co_await core->acceptor.async_accept(socket, kNoThrow);
    if (core->draining || core->closed) co_return;
    if (error) {  // out of descriptors, or a client that left while queued
      LOG_EVERY_N(WARNING, 100) << "accept on " << core->options.address << ": " << error.message();
      core->accept_pause.expires_after(std::chrono::milliseconds(kAcceptPauseMs));
      co_await core->accept_pause.async_wait(kNoThrow);
      continue;
    }
    if (core->sessions.size() >= static_cast<size_t>(core->options.connections_max)) {
      RefuseForLoad(std::move(socket), core->options.tls != nullptr);
      continue;
    }
    auto session = std::make_shared<Session>(core, std::move(socket));
    asio::co_spawn(core->io, Session::Run(std::move(session)), LogFailure);
    if (!core->sweeping) {
      core->sweeping = true;
      asio::co_spawn(core->io, SweepLoop(core), LogFailure);
    }
  }
}

class BeastHttpServer final : public HttpServer {
 public:
  explicit BeastHttpServer(std::shared_ptr<Core> core, std::string address)
      : core_(std::move(core)), address_(std::move(address)) {}
  ~BeastHttpServer() override { CloseAll(); }

  void Start() override { asio::co_spawn(core_->io, AcceptLoop(core_), LogFailure); }
  std::string address() const override { return address_; }
  void BeginDrain() override {
    core_->draining = true;
    StopAccepting();
    for (Session* session : core_->sessions) session->BeginDrain();
  }
  size_t open_exchanges() const override { return core_->open_exchanges; }
  void CloseAll() override {
    core_->draining = true;
    core_->closed = true;
    StopAccepting();
    core_->sweep_timer.cancel();
    for (Session* session : core_->sessions) session->CloseNow();
  }

 private:
  void StopAccepting() {
    error_code ignored;
    core_->acceptor.close(ignored);
    core_->accept_pause.cancel();
  }

  const std::shared_ptr<Core> core_;
  const std::string address_;
};

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

absl::StatusOr<tcp::endpoint> ParseAddress(asio::io_context& io, const std::string& address) {
  const size_t colon = address.rfind(':');
  const std::string port = colon == std::string::npos ? "" : address.substr(colon + 1);
  std::string host = address.substr(0, colon == std::string::npos ? 0 : colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host.empty() || port.empty() ||
      !std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return absl::InvalidArgumentError(absl::StrCat("listen address \"", address, "\" is not host:port"));
  }
  error_code error;
  const auto results = tcp::resolver(io).resolve(host, port, tcp::resolver::passive, error);
  if (error || results.empty()) {
    return absl::UnavailableError(absl::StrCat("listen address \"", address, "\": ", error.message()));
  }
  return results.begin()->endpoint();
}

error_code Bind(tcp::acceptor& acceptor, const tcp::endpoint& endpoint, bool reuse_port) {
  error_code error;
  if (acceptor.open(endpoint.protocol(), error); error) return error;
  if (acceptor.set_option(tcp::acceptor::reuse_address(true), error); error) return error;
  if (reuse_port) {
    if (acceptor.set_option(ReusePort(true), error); error) return error;
  }
  if (acceptor.bind(endpoint, error); error) return error;
  acceptor.listen(tcp::acceptor::max_listen_connections, error);
  return error;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> NewHttpServer(asio::io_context& io, HttpServerOptions options,
                                                          HttpHandler handler) {
  const absl::StatusOr<tcp::endpoint> endpoint = ParseAddress(io, options.address);
  if (!endpoint.ok()) return endpoint.status();
  auto core = std::make_shared<Core>(io, std::move(options), std::move(handler));
  error_code error;
  if (core->options.reuse_port && core->options.refuse_taken_port) {
    tcp::acceptor probe(io);
    error = Bind(probe, *endpoint, /*reuse_port=*/false);
  }
  if (!error) error = Bind(core->acceptor, *endpoint, core->options.reuse_port);
  if (error) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", core->options.address, ": ", error.message()));
  }
  const tcp::endpoint bound = core->acceptor.local_endpoint(error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", core->options.address, ": ", error.message()));
  }
  const std::string host = bound.address().to_string();
  std::string address = absl::StrCat(bound.address().is_v6() ? absl::StrCat("[", host, "]") : host, ":", bound.port());
  return std::make_unique<BeastHttpServer>(std::move(core), std::move(address));
}

}  // namespace signalbox
