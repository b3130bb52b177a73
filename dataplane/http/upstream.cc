#include "dataplane/http/upstream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/limits.h"
#include "dataplane/http/chunked_body.h"
#include "dataplane/http/connection_pool.h"
#include "dataplane/http/request_head.h"
#include "dataplane/http/stream.h"
#include "dataplane/http/tcp_acked.h"
#include "dataplane/http/tls_peer.h"

namespace signalbox {
namespace {

using asio::awaitable;
using asio::ip::tcp;

constexpr size_t kReadBytes = 16 << 10;
constexpr size_t kBodyReadBytesMax = 64 << 10;    // of a body whose length is known
constexpr size_t kBodyJoinedBytesMax = 16 << 10;  // a body up to here shares the head's buffer

int64_t NowUs() { return Clock::System().MonotonicMicros(); }

absl::string_view Abseil(std::string_view text) { return {text.data(), text.size()}; }

// How the end of a response's body is found.
enum class Framing { kNone, kLength, kChunked, kUntilClose };

// The state of one call; shared by the caller's handle and the coroutine at work, so that either may go first.
class Call final : public std::enable_shared_from_this<Call>, private Deadline {
 public:
  Call(std::shared_ptr<ConnectionPool> pool, std::shared_ptr<const UpstreamEndpoint> endpoint)
      : pool_(std::move(pool)), endpoint_(std::move(endpoint)) {}

  // The request as written on the wire but for a long body.
  struct Message {
    std::string method;
    std::string head;
    std::string_view body;  // not in `head` yet
  };
  absl::StatusOr<Message> Serialize(const UpstreamRequest& request) const;

  static awaitable<absl::StatusOr<UpstreamHead>> Start(std::shared_ptr<Call> self, absl::StatusOr<Message> message,
                                                       int64_t deadline_us) {
    if (!message.ok()) co_return message.status();
    absl::StatusOr<UpstreamHead> head = co_await self->Begin(*message, deadline_us);
    self->SetDeadline(0);
    if (!head.ok()) self->Fail(head.status());
    co_return head;
  }
  static awaitable<absl::StatusOr<std::string_view>> ReadSome(std::shared_ptr<Call> self, int64_t deadline_us);
  static awaitable<absl::StatusOr<std::string>> ReadAll(std::shared_ptr<Call> self, size_t max_bytes,
                                                        int64_t deadline_us) {
    std::string all;
    if (self->framing_ == Framing::kLength) {
      all.reserve(std::min<uint64_t>(self->length_left_, max_bytes) + kReadableBytesBehindBody);
    }
    while (true) {
      std::optional<absl::StatusOr<std::string_view>> ready = self->ReadyOfBody();
      if (!ready.has_value()) ready = co_await ReadSome(self, deadline_us);
      const absl::StatusOr<std::string_view>& some = *ready;
      if (!some.ok()) co_return some.status();
      if (some->empty()) co_return all;
      if (all.size() + some->size() > max_bytes) {
        const absl::Status too_long = absl::ResourceExhaustedError(
            absl::StrCat("provider ", self->authority(), ": the response exceeds ", max_bytes, " bytes"));
        self->Fail(too_long);
        co_return too_long;
      }
      all.append(*some);
    }
  }

  void Cancel() {
    if (cancelled_) return;
    cancelled_ = true;
    Fail(absl::CancelledError(absl::StrCat("the call to provider ", authority(), " was cancelled")));
    SetDeadline(0);
  }
  bool request_sent() const { return request_sent_; }
  bool finished() const { return finished_; }  // the response was read to its end

 private:
  // One address being tried.
  struct Dial {
    explicit Dial(asio::io_context& io) : socket(io) {}
    void GiveUp() {
      given_up = true;
      error_code ignored;
      socket.close(ignored);
    }
    tcp::socket socket;
    bool given_up = false;
  };
  // What an attempt on one connection came to. `stale`: the peer had closed a pooled connection before it took any byte
  // of this request, so sending it again cannot make the provider answer, and bill, twice.
  struct Attempt {
    absl::Status status;
    bool stale = false;
  };

  awaitable<absl::StatusOr<UpstreamHead>> Begin(const Message& message, int64_t deadline_us);
  awaitable<Attempt> SendAndAwait(const Message& message, UpstreamHead& response);
  awaitable<absl::Status> Connect();
  awaitable<absl::StatusOr<std::vector<tcp::endpoint>>> Resolve();
  awaitable<absl::Status> ConnectTls();
  void NoteWritten(size_t n, std::string_view& head, std::string_view& body);
  awaitable<error_code> WriteRest(std::string_view data);
  size_t ReadBytesExpected() const;
  bool FillAtOnce(error_code& error);
  awaitable<std::tuple<error_code>> FillTls();
  awaitable<std::tuple<error_code>> AwaitMore();
  absl::Status ParseHead(size_t head_bytes, const std::string& method, UpstreamHead& response);
  std::optional<absl::StatusOr<std::string_view>> NextOfBody();
  std::optional<absl::StatusOr<std::string_view>> ReadyOfBody();
  absl::StatusOr<std::string_view> EndBody(const error_code& error);
  void Finish();

  absl::string_view authority() const { return Abseil(endpoint_->authority()); }
  absl::Status Explain(std::string_view what, const error_code& error) const {
    if (cancelled_) return failure_;
    if (timed_out_) {
      return absl::DeadlineExceededError(
          absl::StrCat("provider ", authority(), ": no answer in time (", Abseil(what), ")"));
    }
    return absl::UnavailableError(absl::StrCat("provider ", authority(), ": ", Abseil(what), ": ", error.message()));
  }

  // Every later operation ends with `status`; the connection, in whatever state, closes at once.
  void Fail(absl::Status status) {
    if (failure_.ok()) failure_ = std::move(status);
    if (connection_) connection_->stream.Close();
    if (dial_) dial_->GiveUp();
    // Not here and now: whoever cancels does not expect the coroutine to run meanwhile.
    if (resolving_ != nullptr) {
      asio::post(pool_->io(), [self = shared_from_this()] {
        if (self->resolving_ != nullptr) self->resolving_->Wake();
      });
    }
  }

  void SetDeadline(int64_t deadline_us) { pool_->deadlines().Set(*this, deadline_us); }
  void OnDeadline() override {
    timed_out_ = true;
    Fail(absl::DeadlineExceededError(absl::StrCat("provider ", authority(), ": no answer in time")));
  }

  const std::shared_ptr<ConnectionPool> pool_;
  const std::shared_ptr<const UpstreamEndpoint> endpoint_;

  std::unique_ptr<UpstreamConnection> connection_;
  std::shared_ptr<Dial> dial_;   // while connecting
  Waiter* resolving_ = nullptr;  // while Resolve waits
  bool timed_out_ = false;
  bool cancelled_ = false;
  bool request_sent_ = false;
  absl::Status failure_;

  ReadBuffer in_;
  bool any_byte_ = false;
  Framing framing_ = Framing::kNone;
  uint64_t length_left_ = 0;
  ChunkedBody chunked_{/*spaces_after_size=*/true};
  bool keep_alive_ = false;
  size_t delivered_bytes_ = 0;  // at the front of in_: what the last ReadSome returned
  size_t delivered_span_ = 0;   // and what it took on the wire
  bool finished_ = false;
};

// ---- Connecting.

awaitable<absl::StatusOr<std::vector<tcp::endpoint>>> Call::Resolve() {
  error_code not_literal;
  const asio::ip::address literal = asio::ip::make_address(endpoint_->host, not_literal);
  int port = 0;
  for (const char c : endpoint_->port) port = port * 10 + (c - '0');
  if (!not_literal) co_return std::vector<tcp::endpoint>{tcp::endpoint(literal, static_cast<uint16_t>(port))};

  // A look-up cannot be interrupted: it is left alone when the call ends first.
  struct Lookup {
    explicit Lookup(asio::io_context& io) : resolver(io) {}
    tcp::resolver resolver;
    error_code error;
    std::vector<tcp::endpoint> endpoints;
    Waiter waiter;
  };
  auto owned = std::make_shared<Lookup>(pool_->io());
  Lookup& lookup = *owned;  // the handler's, until it ran
  lookup.resolver.async_resolve(
      endpoint_->host, endpoint_->port,
      [lookup = std::move(owned)](const error_code& error, const tcp::resolver::results_type& results) {
        lookup->error = error;
        for (const auto& result : results) lookup->endpoints.push_back(result.endpoint());
        lookup->waiter.Wake();
      });
  resolving_ = &lookup.waiter;
  co_await lookup.waiter.Wait();
  resolving_ = nullptr;
  if (!failure_.ok()) co_return failure_;
  if (lookup.error || lookup.endpoints.empty()) co_return Explain("looking up its address", lookup.error);
  co_return std::move(lookup.endpoints);
}

awaitable<absl::Status> Call::Connect() {
  const absl::StatusOr<std::vector<tcp::endpoint>> endpoints = co_await Resolve();
  if (!endpoints.ok()) co_return endpoints.status();
  absl::Status last;
  for (size_t i = 0; i < endpoints->size(); ++i) {
    const auto dial = std::make_shared<Dial>(pool_->io());
    // Each address gets its share of the time left, so that a black hole does not hide the one that works.
    asio::steady_timer share(pool_->io());
    if (i + 1 < endpoints->size()) {
      const int64_t left_us = std::max<int64_t>(deadline_us() - NowUs(), 0);
      share.expires_after(std::chrono::microseconds(left_us / static_cast<int64_t>(endpoints->size() - i)));
      share.async_wait([dial](const error_code& error) {
        if (!error) dial->GiveUp();
      });
    }
    dial_ = dial;
    auto [error] = co_await dial->socket.async_connect((*endpoints)[i], kNoThrow);
    dial_.reset();
    share.cancel();
    if (!failure_.ok()) co_return failure_;
    if (!error && !dial->given_up) {
      connection_ =
          std::make_unique<UpstreamConnection>(std::move(dial->socket), endpoint_->tls ? &pool_->tls() : nullptr);
      if (endpoint_->tls) co_return co_await ConnectTls();
      co_return absl::OkStatus();
    }
    last = Explain("connecting", dial->given_up ? error_code(asio::error::timed_out) : error);
  }
  co_return last;
}

awaitable<absl::Status> Call::ConnectTls() {
  SSL* ssl = connection_->stream.ssl();
  if (!ExpectTlsPeer(ssl, endpoint_->host)) {
    co_return absl::UnavailableError(absl::StrCat("provider ", authority(), ": not a host name TLS can verify"));
  }
  if (SSL_SESSION* session = pool_->TlsSession(endpoint_->origin); session != nullptr) SSL_set_session(ssl, session);
  const error_code error = co_await connection_->stream.Handshake(asio::ssl::stream_base::client);
  if (!failure_.ok()) co_return failure_;
  if (!error) co_return absl::OkStatus();
  if (const long verdict = SSL_get_verify_result(ssl); verdict != X509_V_OK) {
    co_return absl::UnavailableError(absl::StrCat(
        "provider ", authority(), ": its TLS certificate is refused: ", X509_verify_cert_error_string(verdict)));
  }
  co_return Explain("TLS handshake", error);
}

// ---- Sending.

absl::StatusOr<Call::Message> Call::Serialize(const UpstreamRequest& request) const {
  const bool target_ok =
      !request.target.empty() && std::all_of(request.target.begin(), request.target.end(),
                                             [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
  if (!IsToken(request.method) || !target_ok) {
    return absl::InvalidArgumentError(absl::StrCat("provider ", authority(), ": the request line is not valid HTTP"));
  }
  if (!request.headers.left_out().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("provider ", authority(), ": header \"", request.headers.left_out(), "\" is not valid HTTP"));
  }
  Message message{request.method, {}, request.body};
  std::string& head = message.head;
  head.reserve(512 + request.headers.text_bytes() +
               (request.body.size() <= kBodyJoinedBytesMax ? request.body.size() : 0));
  absl::StrAppend(&head, request.method, " ", request.target, " HTTP/1.1\r\nhost: ", authority(), "\r\n");
  request.headers.WriteTo(head, [](std::string_view name) {
    return name == "host" || name == "content-length" || name == "transfer-encoding" || name == "connection";
  });
  const bool has_body =
      !request.body.empty() || request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (has_body) absl::StrAppend(&head, "content-length: ", request.body.size(), "\r\n");
  head.append("\r\n");
  if (message.body.size() <= kBodyJoinedBytesMax) {
    head.append(message.body);
    message.body = {};
  }
  return message;
}

// Of head and body so much was written.
void Call::NoteWritten(size_t n, std::string_view& head, std::string_view& body) {
  if (n > 0) request_sent_ = true;
  connection_->written_bytes += n;
  const size_t of_head = std::min(n, head.size());
  head.remove_prefix(of_head);
  body.remove_prefix(n - of_head);
}

awaitable<error_code> Call::WriteRest(std::string_view data) {
  Stream& stream = connection_->stream;
  while (!data.empty()) {
    // Under TLS nothing says how much of a record left before an error: counted as sent from here on.
    if (stream.ssl() != nullptr) request_sent_ = true;
    const auto [write_error, n] = co_await stream.WriteSome(asio::buffer(data.data(), data.size()));
    if (n > 0) request_sent_ = true;
    connection_->written_bytes += n;
    if (write_error) co_return write_error;
    if (!failure_.ok()) co_return error_code(asio::error::operation_aborted);
    data.remove_prefix(n);
  }
  co_return error_code();
}

// One more than is to come: a read that leaves room says that nothing follows.
size_t Call::ReadBytesExpected() const { return std::clamp<uint64_t>(length_left_ + 1, kReadBytes, kBodyReadBytesMax); }

// What is there, if it is known without waiting; under TLS it never is.
bool Call::FillAtOnce(error_code& error) {
  if (connection_->stream.ssl() != nullptr) return false;
  ReadySocket& socket = connection_->stream.plain();
  if (!socket.maybe_readable()) return false;
  const size_t n = socket.TryRead(in_.Prepare(ReadBytesExpected()), error);
  in_.Commit(n);
  if (n > 0) any_byte_ = true;
  return n > 0;
}

awaitable<std::tuple<error_code>> Call::FillTls() {
  const auto [error, n] = co_await connection_->stream.ReadSome(in_.Prepare(ReadBytesExpected()));
  in_.Commit(n);
  if (n > 0) any_byte_ = true;
  co_return std::tuple(error);
}

// Until FillAtOnce may find something, or under TLS something was read: a plain connection that waits holds no buffer,
// and no frame but its caller's, as streams are silent most of the time.
awaitable<std::tuple<error_code>> Call::AwaitMore() {
  if (connection_->stream.ssl() != nullptr) return FillTls();
  in_.Release();
  return connection_->stream.plain().WaitReadable();
}

awaitable<absl::StatusOr<UpstreamHead>> Call::Begin(const Message& message, int64_t deadline_us) {
  if (!failure_.ok()) co_return failure_;
  UpstreamHead response;
  SetDeadline(deadline_us);
  connection_ = pool_->Take(endpoint_->origin);
  if (connection_) {
    const Attempt attempt = co_await SendAndAwait(message, response);
    if (attempt.status.ok()) co_return response;
    if (!attempt.stale) co_return attempt.status;
    connection_.reset();
    in_.Consume(in_.size());
  }
  const int64_t connect_by_us = NowUs() + int64_t{kConnectTimeoutMs} * 1000;
  const bool connect_ends_first = deadline_us == 0 || connect_by_us < deadline_us;
  SetDeadline(connect_ends_first ? connect_by_us : deadline_us);
  const absl::Status connected = co_await Connect();
  if (timed_out_ && connect_ends_first) {
    co_return absl::UnavailableError(
        absl::StrCat("provider ", authority(), ": no connection within ", kConnectTimeoutMs, " ms"));
  }
  if (!connected.ok()) co_return connected;
  SetDeadline(deadline_us);
  const Attempt attempt = co_await SendAndAwait(message, response);
  if (!attempt.status.ok()) co_return attempt.status;
  co_return response;
}

// ---- Receiving.

awaitable<Call::Attempt> Call::SendAndAwait(const Message& message, UpstreamHead& response) {
  const bool sent_before = request_sent_;
  std::optional<uint64_t> acked_before;  // at most, if the peer takes nothing from here on
  if (connection_->reused) acked_before = connection_->AckedAtMost();
  any_byte_ = false;
  error_code write_error;
  std::string_view head_left = message.head, body_left = message.body;
  const std::array<asio::const_buffer, 2> both = {asio::buffer(head_left.data(), head_left.size()),
                                                  asio::buffer(body_left.data(), body_left.size())};
  size_t written = 0;
  if (connection_->stream.writes_gather()) {
    std::tie(write_error) = co_await connection_->stream.plain().WriteTogether(both, written);
  } else {
    written = connection_->stream.TryWriteSome(both, write_error);
  }
  NoteWritten(written, head_left, body_left);
  if (!write_error && !(head_left.empty() && body_left.empty())) {
    write_error = co_await WriteRest(head_left);
    if (!write_error) write_error = co_await WriteRest(body_left);
  }
  if (!failure_.ok()) co_return Attempt{Explain("sending the request", asio::error::operation_aborted)};
  // A refusal may have been sent before the request was read: look for one even when writing failed.
  size_t interim_bytes = 0;
  while (true) {
    const size_t end = in_.bytes().find("\r\n\r\n");
    const size_t head_bytes = end == std::string_view::npos ? in_.size() : end + 4;
    if (head_bytes + interim_bytes > kResponseHeaderBytesMax) {
      co_return Attempt{absl::DataLossError(
          absl::StrCat("provider ", authority(), ": the response's head exceeds ", kResponseHeaderBytesMax, " bytes"))};
    }
    if (end == std::string_view::npos) {
      if (in_.size() >= 5 && in_.bytes().substr(0, 5) != "HTTP/") {
        co_return Attempt{absl::DataLossError(absl::StrCat("provider ", authority(), ": the response is not HTTP"))};
      }
      error_code error;
      if (!FillAtOnce(error) && !error) std::tie(error) = co_await AwaitMore();
      if (!failure_.ok()) co_return Attempt{Explain("waiting for the response", error)};
      if (!error) continue;
      if (any_byte_) {
        co_return Attempt{absl::DataLossError(
            absl::StrCat("provider ", authority(), ": the response's head broke off: ", error.message()))};
      }
      Attempt attempt{write_error ? Explain("sending the request", write_error)
                                  : Explain("waiting for the response", error)};
      // Only an end proves it: a reset may throw away the acknowledgement of bytes that were read.
      const bool ended = error == asio::error::eof || error == asio::ssl::error::stream_truncated;
      std::optional<uint64_t> acked;
      if (ended && acked_before.has_value()) acked = TcpBytesAcked(connection_->stream.descriptor());
      const bool untouched = !request_sent_ || (acked.has_value() && *acked <= *acked_before);
      attempt.stale = connection_->reused && untouched;
      if (untouched) request_sent_ = sent_before;
      co_return attempt;
    }
    const absl::Status parsed = ParseHead(head_bytes, message.method, response);
    if (!parsed.ok()) co_return Attempt{parsed};
    in_.Consume(head_bytes);
    if (response.status >= 200) break;
    interim_bytes += head_bytes;
  }
  if (write_error) keep_alive_ = false;
  if (framing_ == Framing::kNone || (framing_ == Framing::kLength && length_left_ == 0)) Finish();
  co_return Attempt{absl::OkStatus()};
}

absl::Status Call::ParseHead(size_t head_bytes, const std::string& method, UpstreamHead& response) {
  ResponseHead head;
  if (const std::string wrong = ParseResponseHead({in_.data(), head_bytes}, head); !wrong.empty()) {
    return absl::DataLossError(absl::StrCat("provider ", authority(), ": the response is not HTTP: ", wrong));
  }
  response.status = head.status;
  if (response.status < 100 || response.status > 599 || response.status == 101) {
    return absl::DataLossError(absl::StrCat("provider ", authority(), ": unexpected status ", response.status));
  }
  keep_alive_ = head.persistent;
  const bool bodiless = response.status < 200 || response.status == 204 || response.status == 304 || method == "HEAD";
  if (bodiless) {
    framing_ = Framing::kNone;
    if (method == "HEAD" && !head.chunked && !head.content_length) {
      keep_alive_ = head.http_1_1 && head.persistent && !head.encoded;
    }
  } else if (head.chunked) {
    framing_ = Framing::kChunked;
  } else if (head.encoded) {
    return absl::DataLossError(absl::StrCat("provider ", authority(), ": unknown Transfer-Encoding"));
  } else if (head.content_length) {
    framing_ = Framing::kLength;
    length_left_ = *head.content_length;
  } else {
    framing_ = Framing::kUntilClose;
    keep_alive_ = false;
  }
  response.headers = std::move(head.headers);
  return absl::OkStatus();
}

// What is in the buffer of the body, or its end; nullopt: more must be read.
std::optional<absl::StatusOr<std::string_view>> Call::NextOfBody() {
  if (framing_ == Framing::kChunked) {
    const ChunkedBody::Step step = chunked_.Decode(in_.data(), in_.size());
    delivered_bytes_ = step.produced;
    delivered_span_ = step.consumed;
    if (chunked_.done()) {
      Finish();
    } else if (chunked_.fault() != nullptr) {
      // What came before the fault is good; the fault is told next time.
      Fail(absl::DataLossError(absl::StrCat("provider ", authority(), ": bad chunked body: ", chunked_.fault())));
      if (delivered_bytes_ == 0) return failure_;
    }
  } else {
    const uint64_t want = framing_ == Framing::kLength ? length_left_ : in_.size();
    delivered_bytes_ = delivered_span_ = static_cast<size_t>(std::min<uint64_t>(want, in_.size()));
    if (framing_ == Framing::kLength) {
      length_left_ -= delivered_bytes_;
      if (length_left_ == 0) Finish();
    }
  }
  if (delivered_bytes_ > 0 || finished_) return std::string_view(in_.data(), delivered_bytes_);
  in_.Consume(delivered_span_);
  delivered_span_ = 0;
  return std::nullopt;
}

// Nothing more can be read.
absl::StatusOr<std::string_view> Call::EndBody(const error_code& error) {
  // Under TLS only close_notify is an end; a bare end of the connection may be an attacker's cut.
  if (framing_ == Framing::kUntilClose && error == asio::error::eof) {
    Finish();
    return std::string_view();
  }
  Fail(absl::DataLossError(absl::StrCat("provider ", authority(), ": the response broke off: ", error.message())));
  return failure_;
}

// What ReadSome returns without waiting.
std::optional<absl::StatusOr<std::string_view>> Call::ReadyOfBody() {
  in_.Consume(delivered_span_);
  delivered_bytes_ = delivered_span_ = 0;
  if (finished_) return std::string_view();
  if (!failure_.ok()) return failure_;
  if (!connection_) return absl::FailedPreconditionError("ReadSome before Start");
  return NextOfBody();
}

// An open stream spends its time here, so that one frame holds the whole of it.
awaitable<absl::StatusOr<std::string_view>> Call::ReadSome(std::shared_ptr<Call> self, int64_t deadline_us) {
  Call& call = *self;
  for (;;) {
    if (std::optional<absl::StatusOr<std::string_view>> next = call.ReadyOfBody()) co_return *std::move(next);
    call.SetDeadline(deadline_us);
    error_code error;
    if (!call.FillAtOnce(error) && !error) std::tie(error) = co_await call.AwaitMore();
    call.SetDeadline(0);
    if (!call.failure_.ok()) co_return call.failure_;
    if (error && call.in_.empty()) co_return call.EndBody(error);
  }
}

// The response was read to its end.
void Call::Finish() {
  finished_ = true;
  SetDeadline(0);
  const bool surplus = in_.size() > delivered_span_;
  if (keep_alive_ && !surplus) {
    pool_->Put(endpoint_->origin, std::move(connection_));
  } else {
    connection_->stream.Close();
  }
}

class PooledCall final : public UpstreamCall {
 public:
  explicit PooledCall(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  ~PooledCall() override {
    if (!call_->finished()) call_->Cancel();
  }
  awaitable<absl::StatusOr<UpstreamHead>> Start(const UpstreamRequest& request, int64_t deadline_us) override {
    return Call::Start(call_, call_->Serialize(request), deadline_us);
  }
  awaitable<absl::StatusOr<std::string_view>> ReadSome(int64_t deadline_us) override {
    return Call::ReadSome(call_, deadline_us);
  }
  awaitable<absl::StatusOr<std::string>> ReadAll(size_t max_bytes, int64_t deadline_us) override {
    return Call::ReadAll(call_, max_bytes, deadline_us);
  }
  void Cancel() override { call_->Cancel(); }
  bool request_sent() const override { return call_->request_sent(); }

 private:
  const std::shared_ptr<Call> call_;
};

class KeepAlivePool final : public UpstreamPool {
 public:
  KeepAlivePool(asio::io_context& io, asio::ssl::context& tls) : pool_(std::make_shared<ConnectionPool>(io, tls)) {}
  ~KeepAlivePool() override { pool_->Close(); }
  std::unique_ptr<UpstreamCall> NewCall(std::shared_ptr<const UpstreamEndpoint> endpoint) override {
    return std::make_unique<PooledCall>(std::make_shared<Call>(pool_, std::move(endpoint)));
  }

 private:
  const std::shared_ptr<ConnectionPool> pool_;
};

}  // namespace

std::unique_ptr<UpstreamPool> NewUpstreamPool(asio::io_context& io, asio::ssl::context& tls) {
  return std::make_unique<KeepAlivePool>(io, tls);
}

}  // namespace signalbox
