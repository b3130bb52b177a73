#include "dataplane/http/http_session.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/beast/http/status.hpp>
#include <exception>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "dataplane/http/chunked_body.h"

namespace signalbox {

using asio::awaitable;
using asio::ip::tcp;

namespace {

constexpr size_t kReadBytes = 4 << 10;  // under TLS kept per open connection
constexpr size_t kBodyReadBytes = 64 << 10;
constexpr size_t kReplyHeadBytesExpected = 256;  // but for names and values of fields

// Of a chunk.
std::string SizeLine(std::string_view data) { return absl::StrCat(absl::Hex(data.size()), "\r\n"); }

}  // namespace

// ---- Reading.

// A connection that waits holds no buffer, which with thousands of open streams is what counts; TLS needs one.
void HttpSession::StartRead(size_t bytes) {
  reading_ = true;
  PendingRead read(shared_from_this());
  if (stream_.ssl() != nullptr) {
    return stream_.AsyncReadSome(
        in_.Prepare(bytes),
        [read = std::move(read)](const error_code& error, size_t n) mutable { read.End()->OnRead(error, n); });
  }
  in_.Release();
  stream_.plain().AwaitReadable([read = std::move(read), bytes](error_code error) mutable {
    const std::shared_ptr<HttpSession> self = read.End();
    const size_t n = error ? 0 : self->stream_.plain().TryRead(self->in_.Prepare(bytes), error);
    if (!error && n == 0 && !self->expired_) return self->StartRead(bytes);  // nothing after all
    self->OnRead(error, n);
  });
}

void HttpSession::OnRead(error_code error, size_t n) {
  reading_ = false;
  in_.Commit(n);
  if (error) read_error_ = error;
  if (!exchange_open_) return reader_.Wake();
  if (error) {
    MarkGone();
  } else if (in_.size() < kRequestHeaderBytesMax) {
    StartRead(kReadBytes);  // pipelined bytes: keep them, watch on
  }
}

// False when the connection is of no more use, or `expired_`.
awaitable<bool> HttpSession::ReadMore(size_t bytes) {
  if (!reading_ && !read_error_ && !expired_) StartRead(bytes);
  if (reading_) co_await reader_.Wait();
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
  if (!fault && !lost && !TakeBody()) fault = co_await ReadBody(lost);
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

// The body, when all of it came along with the head, as most do. False: it has to be read, or refused.
bool HttpSession::TakeBody() {
  if (framing_.chunked || framing_.content_length > std::min(in_.size(), core_->options.body_bytes_max)) return false;
  const size_t length = static_cast<size_t>(framing_.content_length);
  request_.body.reserve(length + kReadableBytesBehindBody);
  request_.body.assign(in_.data(), length);
  in_.Consume(length);
  return true;
}

awaitable<std::optional<HeadFault>> HttpSession::ReadBody(bool& lost) {
  if (framing_.content_length > core_->options.body_bytes_max) {
    co_return HeadFault{413, "body_too_large",
                        absl::StrCat("the request's body exceeds ", core_->options.body_bytes_max, " bytes")};
  }
  if (framing_.expect_continue && in_.empty() && !co_await WriteAll({"HTTP/1.1 100 Continue\r\n\r\n", {}, {}})) {
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
      body.resize(room == length ? length + 1 : room);  // a read that leaves room says that nothing follows yet
    }
    size_t n = std::min({in_.size(), body.size() - filled, length - filled});
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
  if (filled > length) {  // the next request's first byte; in_ is empty, else nothing would have been read
    *static_cast<char*>(in_.Prepare(1).data()) = body[length];
    in_.Commit(1);
  }
  body.resize(length);
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
awaitable<bool> HttpSession::WriteAll(Pieces pieces) {
  if (gone_) co_return false;
  std::array<asio::const_buffer, std::tuple_size_v<Pieces>> buffers;
  size_t total = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    buffers[i] = asio::buffer(pieces[i].data(), pieces[i].size());
    total += pieces[i].size();
  }
  error_code error;
  size_t written = 0;
  if (stream_.writes_gather()) {
    std::tie(error) = co_await stream_.plain().WriteTogether(buffers, written);
  } else {
    written = stream_.TryWriteSome(buffers, error);
  }
  if (!error && written < total) {
    std::string joined;  // under TLS small pieces share a record
    if (stream_.ssl() != nullptr && total <= kBodyReadBytes) {
      joined.append(pieces[0]).append(pieces[1]).append(pieces[2]);
      pieces = {joined, {}, {}};
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

std::string HttpSession::ReplyHead(int status, std::string_view content_type, const HeaderFields& headers) const {
  const auto reason =
      boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(static_cast<unsigned>(status)));
  std::string head;
  head.reserve(kReplyHeadBytesExpected + headers.text_bytes());
  absl::StrAppend(&head, "HTTP/1.1 ", status, " ", absl::string_view(reason.data(), reason.size()), "\r\n");
  if (!content_type.empty() && IsFieldValue(content_type)) {
    head.append("content-type: ").append(content_type).append("\r\n");
  }
  if (!headers.left_out().empty()) {
    LOG_EVERY_N(WARNING, 100) << "an answer's header is not valid HTTP and was left out: " << headers.left_out();
  }
  headers.WriteTo(head, [](std::string_view) { return false; });
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
  const bool send_body = !bodiless && sends_body();
  co_return co_await WriteAll({head, send_body ? std::string_view(reply.body) : std::string_view(), {}});
}

awaitable<bool> HttpSession::BeginStream(int status, std::string content_type, HeaderFields headers,
                                         std::string_view first) {
  if (reply_state_ != ReplyState::kNone) {
    LOG(ERROR) << request_.method << " " << request_.target << ": a second answer was dropped";
    co_return false;
  }
  std::string head = ReplyHead(status, content_type, headers);
  head.append(framing_.http_1_0 ? "\r\n" : "transfer-encoding: chunked\r\n\r\n");
  reply_state_ = ReplyState::kStreaming;
  if (first.empty() || !sends_body()) co_return co_await WriteAll({head, {}, {}});
  if (framing_.http_1_0) co_return co_await WriteAll({head, first, {}});
  head.append(SizeLine(first));
  co_return co_await WriteAll({head, first, "\r\n"});
}

awaitable<bool> HttpSession::WriteChunk(std::string_view data) {
  if (reply_state_ != ReplyState::kStreaming) co_return false;
  if (data.empty() || !sends_body()) co_return !gone_;  // an empty chunk would be the end
  if (framing_.http_1_0) co_return co_await WriteAll({data, {}, {}});
  const std::string size_line = SizeLine(data);
  co_return co_await WriteAll({size_line, data, "\r\n"});
}

awaitable<bool> HttpSession::EndStream(std::string_view last) {
  if (reply_state_ != ReplyState::kStreaming) co_return false;
  reply_state_ = ReplyState::kEnded;
  if (!sends_body()) co_return !gone_;
  if (framing_.http_1_0) co_return last.empty() ? !gone_ : co_await WriteAll({last, {}, {}});
  if (last.empty()) co_return co_await WriteAll({"0\r\n\r\n", {}, {}});
  const std::string size_line = SizeLine(last);
  co_return co_await WriteAll({size_line, last, "\r\n0\r\n\r\n"});
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
  stream_.ShutdownSend();
  size_t drained = 0;
  while (drained < kLingerBytesMax && !expired_) {
    in_.Consume(in_.size());
    if (reading_) {
      if (!co_await ReadMore(0)) break;
      drained += in_.size();
    } else {
      const size_t n = co_await stream_.Drain(in_.Prepare(kBodyReadBytes));
      if (n == 0) break;
      drained += n;
    }
  }
}

}  // namespace signalbox
