#include "dataplane/request/relay.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/limits.h"
#include "dataplane/request/cache_stage.h"

namespace signalbox {
namespace {

constexpr std::array<std::string_view, 9> kHopByHop = {"connection",          "keep-alive", "proxy-authenticate",
                                                       "proxy-authorization", "te",         "trailer",
                                                       "transfer-encoding",   "upgrade",    "proxy-connection"};
// Set anew by the gateway, or not the provider's business.
constexpr std::array<std::string_view, 16> kNotForwarded = {
    "host",           "content-length", "content-type",         "authorization",       "accept-encoding", "expect",
    "cookie",         "x-api-key",      "x-client-request-id",  "x-forwarded-for",     "forwarded",       "api-key",
    "x-goog-api-key", "x-amz-date",     "x-amz-security-token", "x-amz-content-sha256"};
constexpr std::array<std::string_view, 5> kNotReturned = {"content-length", "content-type", "set-cookie", "server",
                                                          "date"};

constexpr size_t kHeadersExpected = 24;  // of an answer, the gateway's own among them

template <size_t N>
bool Contains(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool IsOurs(std::string_view name) { return name.starts_with("cf-aig-") || name.starts_with("signalbox-"); }

// `connection`: the field of that name.
bool NamedByConnection(absl::string_view connection, std::string_view name) {
  if (connection.empty() || connection == "keep-alive") return false;  // which is dropped anyway
  for (absl::string_view token : absl::StrSplit(connection, ',')) {
    if (absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(token), absl::string_view(name.data(), name.size()))) {
      return true;
    }
  }
  return false;
}

template <typename Drop>
HttpHeaders Filter(const HeaderFields& headers, Drop drop) {
  const std::string_view field = headers.Value("connection");
  const absl::string_view connection(field.data(), field.size());
  HttpHeaders kept;
  kept.reserve(kHeadersExpected);
  for (const auto [name, value] : headers) {
    if (Contains(kHopByHop, name) || IsOurs(name) || NamedByConnection(connection, name) || drop(name, value)) continue;
    kept.emplace_back(name, value);
  }
  return kept;
}

std::string ContentType(const ModelAnswer& answer) {
  if (!answer.as_it_came) return answer.stream != nullptr ? "text/event-stream; charset=utf-8" : "application/json";
  const std::string_view type = answer.head.headers.Value("content-type");
  return type.empty() ? "application/json" : std::string(type);
}

}  // namespace

HttpHeaders ForwardedRequestHeaders(const HeaderFields& headers, std::string_view presented_key) {
  return Filter(headers, [presented_key](std::string_view name, std::string_view value) {
    return Contains(kNotForwarded, name) ||
           (!presented_key.empty() && value.find(presented_key) != std::string_view::npos);
  });
}

HttpHeaders ForwardedResponseHeaders(const HeaderFields& headers) {
  return Filter(headers, [](std::string_view name, std::string_view) { return Contains(kNotReturned, name); });
}

asio::awaitable<void> RelayUnary(ActiveRequest& request, ModelAnswer& answer, HttpHeaders headers) {
  HttpReply reply;
  reply.status = answer.head.status;
  reply.content_type = ContentType(answer);
  reply.headers = ForwardedResponseHeaders(answer.head.headers);
  reply.body = std::move(answer.body);
  request.cache->BeginAnswer(reply.status, reply.content_type, reply.headers, false);
  request.cache->Append(reply.body);
  request.cache->EndAnswer(answer.hit_cap);
  reply.headers.insert(reply.headers.end(), std::make_move_iterator(headers.begin()),
                       std::make_move_iterator(headers.end()));
  const bool success = answer.head.status < 300;
  const int status = reply.status;
  request.record.MarkFirstByte();
  if (!co_await request.exchange.Reply(std::move(reply))) co_return;  // the record says cancelled
  request.record.End(success ? v1::SUCCESS : v1::ERROR, status, success ? "" : "provider_rejected");
}

asio::awaitable<void> RelayStream(ActiveRequest& request, const v1::CompiledElement::Model& model, ModelAnswer& answer,
                                  HttpHeaders headers) {
  HttpHeaders all = ForwardedResponseHeaders(answer.head.headers);
  request.cache->BeginAnswer(answer.head.status, ContentType(answer), all, true);
  request.cache->Append(answer.body);
  all.insert(all.end(), std::make_move_iterator(headers.begin()), std::make_move_iterator(headers.end()));
  AnswerStream& stream = *answer.stream;
  UpstreamCall& call = *answer.call;
  v1::Attempt& attempt = *request.record.record().mutable_attempts(answer.attempt);
  request.exchange.OnClientGone([&call] { call.Cancel(); });
  const Clock& clock = request.worker.clock;
  const int64_t stream_deadline_us = clock.MonotonicMicros() + int64_t{kStreamDurationMsMax} * 1000;
  const auto told = [&](CallResult result) {
    answer.permit.Ended(result, clock.MonotonicMicros(), request.worker.random(), attempt.error());
  };

  bool open = co_await request.exchange.BeginStream(answer.head.status, ContentType(answer), std::move(all));
  request.record.MarkFirstByte();
  if (open && !answer.body.empty()) open = co_await request.exchange.WriteChunk(answer.body);
  // A stream is long: what began it need not stay.
  answer.head.headers = HeaderFields();
  answer.body = std::string();
  std::string fault;  // why the stream broke off
  while (open && !stream.done() && fault.empty()) {
    const int64_t idle_deadline_us = clock.MonotonicMicros() + int64_t{kStreamIdleTimeoutMs} * 1000;
    const absl::StatusOr<std::string_view> bytes =
        co_await call.ReadSome(std::min(idle_deadline_us, stream_deadline_us));
    if (request.exchange.client_gone()) break;
    if (!bytes.ok()) {
      LOG(WARNING) << "request " << request.record.request_id() << ": " << bytes.status().message();
      fault = absl::IsDeadlineExceeded(bytes.status()) ? "the provider fell silent" : "the provider's answer broke off";
    } else if (bytes->empty()) {
      const std::string last = stream.Finish();
      request.cache->Append(last);
      if (!last.empty()) open = co_await request.exchange.WriteChunk(last);
      if (!stream.done()) fault = "the provider ended the stream before its end";
      break;
    } else {
      const absl::StatusOr<std::string> events = stream.Feed(*bytes);
      if (!events.ok()) {
        fault = std::string(events.status().message());
      } else if (!events->empty()) {
        request.cache->Append(*events);
        open = co_await request.exchange.WriteChunk(*events);
      }
    }
  }
  request.exchange.OnClientGone({});
  SettleAttempt(request, model, attempt, stream.usage(), stream.Estimate(request.body.body_bytes()));
  attempt.set_duration_us(request.record.ElapsedUs() - attempt.start_us());
  if (!open || request.exchange.client_gone()) {
    attempt.set_error("cancelled");
    call.Cancel();
    co_return;  // the record says cancelled
  }
  if (stream.error_event()) {
    // The client has the provider's own words; whatever came after them adds nothing.
    attempt.set_error("provider_error");
    told(CallResult::kFailure);
    request.record.End(v1::ERROR, answer.head.status, "provider_error");
    if (!fault.empty()) call.Cancel();
  } else if (!fault.empty()) {
    attempt.set_error("cut");
    told(CallResult::kFailure);
    call.Cancel();
    request.record.End(v1::ERROR, answer.head.status, "stream_cut");
    const std::string event = stream.ErrorEvent(ErrorReply(502, "stream_cut", fault).body);
    if (event.empty()) {
      request.exchange.AbortStream();
    } else if (co_await request.exchange.WriteChunk(event)) {
      co_await request.exchange.EndStream();
    }
    co_return;
  } else {
    told(CallResult::kSuccess);
    request.record.End(v1::SUCCESS, answer.head.status, "");
    request.cache->EndAnswer(stream.hit_cap());
  }
  co_await request.exchange.EndStream();
  if (!fault.empty()) co_return;
  // Read to the response's end, which mostly came along already, so that the connection can serve again.
  const absl::StatusOr<std::string_view> rest =
      co_await call.ReadSome(request.worker.clock.MonotonicMicros() + int64_t{kStreamTailTimeoutMs} * 1000);
  if (!rest.ok() || !rest->empty()) call.Cancel();
}

}  // namespace signalbox
