#include "dataplane/http/http_session.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/beast/http/status.hpp>
#include <exception>

#include "absl/strings/str_cat.h"
#include "dataplane/http/chunked_body.h"

namespace signalbox {

using asio::awaitable;
using asio::ip::tcp;

namespace {

constexpr size_t kReadBytes = 4 << 10;  // under TLS kept per open connection
constexpr size_t kBodyReadBytes = 64 << 10;
constexpr size_t kReplyHeadBytesExpected = 1 << 10;

}  // namespace

// ---- Reading.

// A connection that waits holds no buffer, which with thousands of open streams is what counts; TLS needs one.
void HttpSession::StartRead(size_t bytes) {
  reading_ = true;
  if (stream_.ssl() != nullptr) {
    return stream_.AsyncReadSome(
        in_.Prepare(bytes), [self = shared_from_this()](const error_code& error, size_t n) { self->OnRead(error, n); });
  }
  in_.Release();
  stream_.AsyncWaitReadable([self = shared_from_this(), bytes](error_code error) {
    const size_t n = error ? 0 : self->stream_.TryReadSome(self->in_.Prepare(bytes), error);
    if (!error && n == 0 && !self->expired_) return self->StartRead(bytes);  // nothing after all
    self->OnRead(error, n);
  });
}

void HttpSession::OnRead(error_code error, size_t n) {
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
awaitable<bool> HttpSession::ReadMore(size_t bytes) {
  if (!reading_ && !read_error_ && !expired_) StartRead(bytes);
  while (reading_) co_await wake_.async_wait(kNoThrow);
  co_return !read_error_ && !expired_;
}

awaitable<void> HttpSession::Serve() {
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
      if (co_await ReadRequest()) again = co_await RunHandler();
    }
    if (!again) break;
    SetDeadline(core_->options.idle_timeout_ms);
  }
  if (!gone_ && reply_state_ != ReplyState::kAborted) co_await Linger();
}

// False when there is none to be handled: the client is gone, or was refused.
awaitable<bool> HttpSession::ReadRequest() {
  bool lost = false;
  reply_state_ = ReplyState::kNone;
  std::optional<HeadFault> fault = co_await ReadHead(lost);
  if (!fault && !lost) fault = co_await ReadBody(lost);
  if (lost) gone_ = true;
  if (fault && !lost) co_await Refuse(*fault);
  co_return !fault && !lost;
}

awaitable<std::optional<HeadFault>> HttpSession::ReadHead(bool& lost) {
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

awaitable<std::optional<HeadFault>> HttpSession::ReadBody(bool& lost) {
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

awaitable<std::optional<HeadFault>> HttpSession::ReadSizedBody(bool& lost) {
  std::string& body = request_.body;
  const size_t length = static_cast<size_t>(framing_.content_length);
  size_t filled = 0;
  while (filled < length) {
    if (filled == body.size()) {  // memory follows what came, not what was announced
      const size_t room = std::min(length, std::max({filled * 2, filled + kBodyReadBytes, in_.size()}));
      body.reserve(room + kReadableBytesBehindBody);
      body.resize(room);
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

awaitable<std::optional<HeadFault>> HttpSession::ReadChunkedBody(bool& lost) {
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

awaitable<bool> HttpSession::RunHandler() {
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
  GiveBack(request_);  // an idle connection holds no body
  co_return keep_alive_ && !gone_ && reply_state_ == ReplyState::kEnded && !core_->draining;
}

void HttpSession::OnClientGone(std::function<void()> callback) {
  on_gone_ = std::move(callback);
  if (gone_ && on_gone_) asio::post(core_->io, [self = shared_from_this()] { self->FireGone(); });
}

void HttpSession::MarkGone() {
  if (gone_) return;
  gone_ = true;
  stream_.Close();
  if (on_gone_) asio::post(core_->io, [self = shared_from_this()] { self->FireGone(); });
}

void HttpSession::FireGone() {
  if (!on_gone_) return;
  const std::function<void()> callback = std::move(on_gone_);
  on_gone_ = nullptr;
  callback();
}

// ---- Writing.

// Everything or nothing is known to be sent; false: the client is gone.
awaitable<bool> HttpSession::WriteAll(std::string_view head, std::string_view data, std::string_view tail) {
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

std::string HttpSession::ReplyHead(int status, std::string_view content_type, const HttpHeaders& headers) const {
  const auto reason =
      boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(static_cast<unsigned>(status)));
  std::string head;
  head.reserve(kReplyHeadBytesExpected);
  absl::StrAppend(&head, "HTTP/1.1 ", status, " ", absl::string_view(reason.data(), reason.size()), "\r\n");
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

awaitable<bool> HttpSession::Reply(HttpReply reply) {
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

awaitable<bool> HttpSession::BeginStream(int status, std::string content_type, HttpHeaders headers) {
  if (reply_state_ != ReplyState::kNone) {
    LOG(ERROR) << request_.method << " " << request_.target << ": a second answer was dropped";
    co_return false;
  }
  std::string head = ReplyHead(status, content_type, headers);
  head.append(framing_.http_1_0 ? "\r\n" : "transfer-encoding: chunked\r\n\r\n");
  reply_state_ = ReplyState::kStreaming;
  co_return co_await WriteAll(head, {}, {});
}

awaitable<bool> HttpSession::WriteChunk(std::string_view data) {
  if (reply_state_ != ReplyState::kStreaming) co_return false;
  if (data.empty() || request_.method == "HEAD") co_return !gone_;  // an empty chunk would be the end
  if (framing_.http_1_0) co_return co_await WriteAll(data, {}, {});
  const std::string size_line = absl::StrCat(absl::Hex(data.size()), "\r\n");
  co_return co_await WriteAll(size_line, data, "\r\n");
}

awaitable<bool> HttpSession::EndStream() {
  if (reply_state_ != ReplyState::kStreaming) co_return false;
  reply_state_ = ReplyState::kEnded;
  if (framing_.http_1_0 || request_.method == "HEAD") co_return !gone_;
  co_return co_await WriteAll("0\r\n\r\n", {}, {});
}

void HttpSession::AbortStream() {
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

awaitable<void> HttpSession::Refuse(const HeadFault& fault) {
  ClearDeadline();
  keep_alive_ = false;
  GiveBack(request_);
  reply_state_ = ReplyState::kNone;
  HttpReply reply = ErrorReply(fault.status, fault.code, fault.message);
  co_await Reply(std::move(reply));
}

// Closing with unread bytes would reset the connection and take the answer from the client: read on for a while.
awaitable<void> HttpSession::Linger() {
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

}  // namespace signalbox
