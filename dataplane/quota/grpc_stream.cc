#include "dataplane/quota/grpc_stream.h"

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "dataplane/http/stream.h"
#include "dataplane/http/tls_peer.h"
#include "dataplane/http/upstream.h"

namespace signalbox {
namespace {

using asio::awaitable;
using asio::ip::tcp;

constexpr auto kConnectTimeout = std::chrono::seconds(5);  // TCP, TLS and the peer's acceptance of the call
constexpr auto kPingAfter = std::chrono::seconds(10);      // of connection time; the answer has until the next
constexpr size_t kReadBytes = 16 << 10;
constexpr int32_t kWindowBytes = 4 << 20;  // what the peer may send before it must wait for us
constexpr size_t kPrefixBytes = 5;         // of a message: a flag (0: not compressed) and the length, big-endian

struct SessionDeleter {
  void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
};

absl::string_view Abseil(const uint8_t* bytes, size_t size) { return {reinterpret_cast<const char*>(bytes), size}; }

nghttp2_nv Header(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));  // nghttp2 copies and does not change it
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

// grpc-message is percent-encoded.
std::string DecodeMessage(absl::string_view encoded) {
  std::string text;
  for (size_t i = 0; i < encoded.size(); ++i) {
    uint32_t code = 0;
    if (encoded[i] == '%' && i + 2 < encoded.size() && absl::SimpleHexAtoi(encoded.substr(i + 1, 2), &code)) {
      text.push_back(static_cast<char>(code));
      i += 2;
    } else {
      text.push_back(encoded[i]);
    }
  }
  return text;
}

}  // namespace

// Shared with the operations that are under way, so that the owner may go first.
class GrpcStream::Call : public std::enable_shared_from_this<Call> {
 public:
  Call(asio::io_context& io, GrpcStreamOptions options, Handler& handler)
      : io_(io), options_(std::move(options)), handler_(&handler), resolver_(io), dial_(io), timer_(io) {}

  void Start() {
    timer_.expires_after(kConnectTimeout);
    timer_.async_wait([self = shared_from_this()](const error_code& error) {
      if (!error && !self->open_) self->End(absl::UnavailableError("no connection in time"));
    });
    asio::co_spawn(
        io_, [self = shared_from_this()] { return Connect(self); }, asio::detached);
  }

  // The owner is gone.
  void Abandon() {
    handler_ = nullptr;
    End(absl::CancelledError());
  }

  void Send(std::string_view message) {
    if (ended_) return;
    const auto size = static_cast<uint32_t>(message.size());
    const std::array<char, kPrefixBytes> prefix = {0, static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                                                   static_cast<char>(size >> 8), static_cast<char>(size)};
    unsent_.assign(prefix.data(), prefix.size());
    unsent_.append(message);
    unsent_from_ = 0;
    sending_ = true;
    nghttp2_session_resume_data(session_.get(), stream_id_);
    Pump();
  }
  bool sending() const { return sending_; }

 private:
  // ---- Connecting.

  static awaitable<void> Connect(std::shared_ptr<Call> self) {
    const error_code error = co_await self->Dial();
    if (self->ended_) co_return;
    if (error)
      co_return self->End(absl::UnavailableError(absl::StrCat(self->options_.target.authority, ": ", error.message())));
    if (const absl::Status begun = self->Begin(); !begun.ok()) co_return self->End(begun);
    self->Pump();
    self->Read();
  }

  awaitable<error_code> Dial() {
    std::vector<tcp::endpoint> endpoints;
    error_code error;
    const auto address = asio::ip::make_address(options_.target.host, error);
    if (!error) {
      endpoints.emplace_back(address, options_.target.port);
    } else {
      const auto [resolve_error, results] =
          co_await resolver_.async_resolve(options_.target.host, absl::StrCat(options_.target.port), kNoThrow);
      if (resolve_error) co_return resolve_error;
      for (const auto& result : results) endpoints.push_back(result.endpoint());
    }
    if (ended_) co_return asio::error::operation_aborted;
    const auto [connect_error, endpoint] = co_await asio::async_connect(dial_, endpoints, kNoThrow);
    if (connect_error || ended_) co_return connect_error;
    stream_.emplace(std::move(dial_), options_.tls);
    if (options_.tls == nullptr) co_return error_code();
    SSL* ssl = stream_->ssl();
    if (!ExpectTlsPeer(ssl, options_.target.host)) co_return asio::error::invalid_argument;
    const error_code tls_error = co_await stream_->Handshake(asio::ssl::stream_base::client);
    if (tls_error || ended_) co_return tls_error;
    const unsigned char* chosen = nullptr;
    unsigned chosen_bytes = 0;
    ::SSL_get0_alpn_selected(ssl, &chosen, &chosen_bytes);
    if (Abseil(chosen, chosen_bytes) != "h2") co_return asio::error::no_protocol_option;
    co_return error_code();
  }

  // The session, and the call as its first stream.
  absl::Status Begin() {
    nghttp2_session_callbacks* callbacks = nullptr;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) return absl::ResourceExhaustedError("no memory");
    nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, OnFrame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnData);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnStreamClose);
    nghttp2_session* session = nullptr;
    const int made = nghttp2_session_client_new(&session, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    if (made != 0) return absl::ResourceExhaustedError("no memory");
    session_.reset(session);
    const std::array<nghttp2_settings_entry, 2> settings = {
        {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindowBytes}}};
    const std::string authorization = absl::StrCat("Bearer ", options_.token);
    const std::array<nghttp2_nv, 7> headers = {
        {Header(":method", "POST"), Header(":scheme", options_.tls == nullptr ? "http" : "https"),
         Header(":path", options_.method), Header(":authority", options_.target.authority), Header("te", "trailers"),
         Header("content-type", "application/grpc"), Header("authorization", authorization)}};
    nghttp2_data_provider body{};
    body.source.ptr = this;
    body.read_callback = ReadBody;
    if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) != 0 ||
        nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, kWindowBytes) != 0) {
      return absl::InternalError("HTTP/2 settings");
    }
    stream_id_ = nghttp2_submit_request(session, nullptr, headers.data(), headers.size(), &body, nullptr);
    if (stream_id_ < 0) return absl::InternalError(nghttp2_strerror(stream_id_));
    return absl::OkStatus();
  }

  // ---- Reading.

  void Read() {
    stream_->AsyncReadSome(asio::buffer(in_),
                           [self = shared_from_this()](const error_code& error, size_t n) { self->OnBytes(error, n); });
  }

  void OnBytes(const error_code& error, size_t n) {
    if (ended_) return;
    if (error) return End(absl::UnavailableError(absl::StrCat("the connection broke off: ", error.message())));
    const ssize_t taken = nghttp2_session_mem_recv(session_.get(), in_.data(), n);
    if (taken < 0) {
      return End(absl::UnavailableError(absl::StrCat("HTTP/2: ", nghttp2_strerror(static_cast<int>(taken)))));
    }
    if (accepted_ && !open_) {
      open_ = true;
      KeepAlive();
      handler_->OnOpen();
    }
    std::string_view rest = received_;
    for (std::string_view message; !ended_ && TakeMessage(rest, message);) handler_->OnMessage(message);
    if (ended_) return;
    received_.erase(0, received_.size() - rest.size());
    PumpAndTell();
    if (closed_) return End(status_);
    Read();
  }

  bool TakeMessage(std::string_view& bytes, std::string_view& message) {
    if (bytes.size() < kPrefixBytes) return false;
    const auto byte = [&bytes](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(bytes[i])); };
    const size_t size = byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4);
    if (bytes[0] != 0) {
      End(absl::InternalError("the peer compresses, which nobody offered"));
      return false;
    }
    if (size > options_.message_bytes_max) {
      End(absl::ResourceExhaustedError(absl::StrCat("the peer sent a message of ", size, " bytes")));
      return false;
    }
    if (bytes.size() < kPrefixBytes + size) return false;
    message = bytes.substr(kPrefixBytes, size);
    bytes.remove_prefix(kPrefixBytes + size);
    return true;
  }

  // A peer that is gone without a word is found by a ping that nobody answers.
  void KeepAlive() {
    timer_.expires_after(kPingAfter);
    timer_.async_wait([self = shared_from_this()](const error_code& error) {
      if (error || self->ended_) return;
      if (self->pinged_) return self->End(absl::UnavailableError("the peer does not answer pings"));
      self->pinged_ = true;
      nghttp2_submit_ping(self->session_.get(), NGHTTP2_FLAG_NONE, nullptr);
      self->Pump();
      self->KeepAlive();
    });
  }

  // ---- Writing.

  void Pump() {
    if (writing_ || ended_) return;
    while (true) {
      const uint8_t* data = nullptr;
      const ssize_t n = nghttp2_session_mem_send(session_.get(), &data);
      if (n < 0)
        return EndSoon(absl::UnavailableError(absl::StrCat("HTTP/2: ", nghttp2_strerror(static_cast<int>(n)))));
      if (n == 0) break;
      out_.append(reinterpret_cast<const char*>(data), static_cast<size_t>(n));
    }
    error_code error;
    const size_t at_once =
        out_.empty() ? 0 : stream_->TryWriteSome(std::array{asio::const_buffer(out_.data(), out_.size())}, error);
    if (error) return EndSoon(absl::UnavailableError(absl::StrCat("the connection broke off: ", error.message())));
    out_.erase(0, at_once);
    if (out_.empty()) {
      sending_ = unsent_from_ < unsent_.size();
      return;
    }
    writing_ = true;
    asio::co_spawn(
        io_, [self = shared_from_this()] { return WriteRest(self); }, asio::detached);
  }

  static awaitable<void> WriteRest(std::shared_ptr<Call> self) {
    size_t written = 0;
    while (written < self->out_.size()) {
      const auto [error, n] =
          co_await self->stream_->WriteSome(asio::buffer(self->out_.data() + written, self->out_.size() - written));
      if (self->ended_) co_return;
      if (error)
        co_return self->End(absl::UnavailableError(absl::StrCat("the connection broke off: ", error.message())));
      written += n;
    }
    self->out_.clear();
    self->writing_ = false;
    self->PumpAndTell();
  }

  void PumpAndTell() {
    const bool was_sending = sending_;
    Pump();
    if (!ended_ && was_sending && !sending_) handler_->OnSent();
  }

  // ---- What nghttp2 calls; they only take notes.

  static Call& Of(void* user_data) { return *static_cast<Call*>(user_data); }

  static ssize_t ReadBody(nghttp2_session*, int32_t, uint8_t* buffer, size_t size, uint32_t*,
                          nghttp2_data_source* source, void*) {
    Call& call = *static_cast<Call*>(source->ptr);
    const size_t n = std::min(size, call.unsent_.size() - call.unsent_from_);
    if (n == 0) return NGHTTP2_ERR_DEFERRED;
    std::memcpy(buffer, call.unsent_.data() + call.unsent_from_, n);
    call.unsent_from_ += n;
    return static_cast<ssize_t>(n);
  }

  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_bytes,
                      const uint8_t* value, size_t value_bytes, uint8_t, void* user_data) {
    Call& call = Of(user_data);
    if (frame->hd.stream_id != call.stream_id_) return 0;
    const absl::string_view header = Abseil(name, name_bytes), text = Abseil(value, value_bytes);
    if (header == ":status") call.http_status_ = std::string(text);
    if (header == "grpc-message") call.grpc_message_ = DecodeMessage(text);
    if (header == "grpc-status" && !absl::SimpleAtoi(text, &call.grpc_status_)) {
      call.grpc_status_ = static_cast<int>(absl::StatusCode::kUnknown);
    }
    return 0;
  }

  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    Call& call = Of(user_data);
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) call.pinged_ = false;
    if (frame->hd.stream_id != call.stream_id_) return 0;
    const bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (last) call.OnClosed(NGHTTP2_NO_ERROR);
    if (frame->hd.type == NGHTTP2_HEADERS && !last && call.http_status_ == "200") call.accepted_ = true;
    return 0;
  }

  static int OnData(nghttp2_session*, uint8_t, int32_t stream_id, const uint8_t* data, size_t size, void* user_data) {
    Call& call = Of(user_data);
    if (stream_id == call.stream_id_) call.received_.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }

  static int OnStreamClose(nghttp2_session*, int32_t stream_id, uint32_t code, void* user_data) {
    if (stream_id == Of(user_data).stream_id_) Of(user_data).OnClosed(code);
    return 0;
  }

  void OnClosed(uint32_t code) {
    if (std::exchange(closed_, true)) return;
    if (grpc_status_ >= 0) {
      status_ = absl::Status(static_cast<absl::StatusCode>(grpc_status_), grpc_message_);
    } else if (code != NGHTTP2_NO_ERROR) {
      status_ = absl::UnavailableError(absl::StrCat("the peer ended the call: ", nghttp2_http2_strerror(code)));
    } else {
      status_ = absl::UnavailableError(absl::StrCat("the peer is no gRPC server: HTTP status ", http_status_));
    }
  }

  // ---- The end.

  void EndSoon(absl::Status status) {
    asio::post(io_, [self = shared_from_this(), status = std::move(status)] { self->End(status); });
  }

  void End(const absl::Status& status) {
    if (std::exchange(ended_, true)) return;
    error_code ignored;
    resolver_.cancel();
    dial_.close(ignored);
    timer_.cancel();
    if (stream_.has_value()) stream_->Close();
    if (handler_ != nullptr) handler_->OnEnd(status);
  }

  asio::io_context& io_;
  const GrpcStreamOptions options_;
  Handler* handler_;  // null: the owner is gone
  tcp::resolver resolver_;
  tcp::socket dial_;
  asio::steady_timer timer_;  // of the connection attempt, then of pings
  std::optional<Stream> stream_;
  std::unique_ptr<nghttp2_session, SessionDeleter> session_;
  int32_t stream_id_ = -1;

  std::array<uint8_t, kReadBytes> in_;
  std::string received_;  // messages, the last one perhaps in part
  std::string unsent_;    // the message being sent
  size_t unsent_from_ = 0;
  std::string out_;  // frames on their way to the socket
  bool sending_ = false;
  bool writing_ = false;
  bool pinged_ = false;  // and not answered yet

  bool accepted_ = false;  // by the peer
  bool open_ = false;      // and the handler knows
  bool closed_ = false;    // by the peer
  bool ended_ = false;
  std::string http_status_;
  int grpc_status_ = -1;
  std::string grpc_message_;
  absl::Status status_;
};

absl::StatusOr<GrpcTarget> ParseGrpcTarget(std::string authority) {
  const size_t colon = authority.rfind(':');
  std::string host = authority.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  uint32_t port = 0;
  if (colon == std::string::npos || host.empty() || !absl::SimpleAtoi(authority.substr(colon + 1), &port) || port < 1 ||
      port > 65'535) {
    return absl::InvalidArgumentError(absl::StrCat("\"", authority, "\" is not host:port"));
  }
  return GrpcTarget{std::move(authority), std::move(host), static_cast<uint16_t>(port)};
}

GrpcStream::GrpcStream(asio::io_context& io, GrpcStreamOptions options, Handler& handler)
    : call_(std::make_shared<Call>(io, std::move(options), handler)) {
  call_->Start();
}
GrpcStream::~GrpcStream() { call_->Abandon(); }
void GrpcStream::Send(std::string_view message) { call_->Send(message); }
bool GrpcStream::sending() const { return call_->sending(); }

absl::StatusOr<std::unique_ptr<asio::ssl::context>> NewGrpcTlsContext(const TlsFiles& files) {
  ASSIGN_OR_RETURN(asio::ssl::context context, NewUpstreamTlsContext(files.ca));
  error_code error;
  if (!files.cert.empty()) context.use_certificate_chain_file(files.cert, error);
  if (error) return absl::NotFoundError(absl::StrCat("cannot use the certificate ", files.cert, ": ", error.message()));
  if (!files.key.empty()) context.use_private_key_file(files.key, asio::ssl::context::pem, error);
  if (error) return absl::NotFoundError(absl::StrCat("cannot use the private key ", files.key, ": ", error.message()));
  constexpr std::array<unsigned char, 3> kOnlyH2 = {2, 'h', '2'};
  if (SSL_CTX_set_alpn_protos(context.native_handle(), kOnlyH2.data(), kOnlyH2.size()) != 0) {
    return absl::InternalError("OpenSSL does not take the protocol h2");
  }
  return std::make_unique<asio::ssl::context>(std::move(context));
}

}  // namespace signalbox
