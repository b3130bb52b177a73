#include "dataplane/request/relay.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/give_back.h"
#include "common/limits.h"

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

constexpr size_t kOwnHeaderBytesExpected = 1 << 10;  // of an answer: what the gateway adds

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
HeaderFields Filter(const HeaderFields& headers, Drop drop) {
  const std::string_view field = headers.Value("connection");
  const absl::string_view connection(field.data(), field.size());
  HeaderFields kept;
  kept.Reserve(headers.text_bytes() + kOwnHeaderBytesExpected);
  kept.AppendIf(headers, [&](const HeaderFields::Field& field) {
    return !Contains(kHopByHop, field.name) && !IsOurs(field.name) && !NamedByConnection(connection, field.name) &&
           !drop(field.name, field.value);
  });
  return kept;
}

std::string ContentType(const ModelAnswer& answer) {
  if (!answer.as_it_came) return answer.stream != nullptr ? "text/event-stream; charset=utf-8" : "application/json";
  const std::string_view type = answer.head.headers.Value("content-type");
  return type.empty() ? "application/json" : std::string(type);
}

std::string CutEvent(AnswerStream& stream, const std::string& fault) {
  return stream.ErrorEvent(ErrorReply(502, "stream_cut", fault).body);
}

// Headers and first events; false: the client is gone.
asio::awaitable<bool> BeginStream(HttpExchange& exchange, RequestRecord& record, OpenStream& opened) {
  const bool open = co_await exchange.BeginStream(opened.status, std::move(opened.content_type),
                                                  std::move(opened.headers), opened.first);
  record.MarkFirstByte();
  GiveBack(opened.first);
  co_return open;
}

// Reads to the response's end, which mostly came along already, so that the connection can serve again.
asio::awaitable<void> ReadTail(UpstreamCall& call, int64_t deadline_us) {
  const absl::StatusOr<std::string_view> rest = co_await call.ReadSome(deadline_us);
  if (!rest.ok() || !rest->empty()) call.Cancel();
}

}  // namespace

HeaderFields ForwardedRequestHeaders(const HeaderFields& headers, std::string_view presented_key) {
  return Filter(headers, [presented_key](std::string_view name, std::string_view value) {
    return Contains(kNotForwarded, name) ||
           (!presented_key.empty() && value.find(presented_key) != std::string_view::npos);
  });
}

HeaderFields ForwardedResponseHeaders(const HeaderFields& headers) {
  return Filter(headers, [](std::string_view name, std::string_view) { return Contains(kNotReturned, name); });
}

asio::awaitable<void> RelayUnary(ActiveRequest& request, ModelAnswer answer, HeaderFields headers) {
  HttpReply reply;
  reply.status = answer.head.status;
  reply.content_type = ContentType(answer);
  reply.headers = ForwardedResponseHeaders(answer.head.headers);
  reply.body = std::move(answer.body);
  if (const std::unique_ptr<AnswerKeep> keep = request.cache->Keep(); keep != nullptr) {
    keep->Begin(reply.status, reply.content_type, reply.headers, false);
    keep->Append(reply.body);
    keep->End(answer.hit_cap, request.record.record());
  }
  reply.headers.Append(headers);
  const bool success = answer.head.status < 300;
  const int status = reply.status;
  request.record.MarkFirstByte();
  if (!co_await request.exchange.Reply(std::move(reply))) co_return;  // the record says cancelled
  request.record.End(success ? v1::SUCCESS : v1::ERROR, status, success ? "" : "provider_rejected");
}

std::unique_ptr<OpenStream> OpenStreamOf(ActiveRequest& request, const v1::CompiledElement::Model& model,
                                         ModelAnswer answer, HeaderFields headers) {
  auto open = std::make_unique<OpenStream>();
  open->model = &model;
  open->request_bytes = request.body.body_bytes();
  open->attempt = answer.attempt;
  open->status = answer.head.status;
  open->content_type = ContentType(answer);
  open->headers = ForwardedResponseHeaders(answer.head.headers);
  open->keep = request.cache->Keep();
  if (open->keep != nullptr) {
    open->keep->Begin(open->status, open->content_type, open->headers, true);
    open->keep->Append(answer.body);
  }
  open->headers.Append(headers);
  open->first = std::move(answer.body);
  open->events = std::move(answer.stream);
  open->call = std::move(answer.call);
  open->permit = std::move(answer.permit);
  return open;
}

asio::awaitable<void> RelayStream(Worker& worker, HttpExchange& exchange, RequestRecord& record,
                                  std::unique_ptr<OpenStream> opened) {
  AnswerStream& stream = *opened->events;
  UpstreamCall& call = *opened->call;
  v1::Attempt& attempt = *record.record().mutable_attempts(opened->attempt);
  exchange.OnClientGone([&call] { call.Cancel(); });
  const int64_t stream_deadline_us = worker.clock.MonotonicMicros() + int64_t{kStreamDurationMsMax} * 1000;
  const auto keep = [&opened](std::string_view events) {
    if (opened->keep != nullptr) opened->keep->Append(events);
  };
  const auto told = [&](CallResult result) {
    opened->permit.Ended(result, worker.clock.MonotonicMicros(), worker.random(), attempt.error());
  };

  bool open = co_await BeginStream(exchange, record, *opened);
  exchange.ForgetRequest();
  std::string& fault = opened->fault;
  std::string last;  // travels with the stream's end
  while (open && !stream.done() && fault.empty()) {
    const int64_t idle_deadline_us = worker.clock.MonotonicMicros() + int64_t{kStreamIdleTimeoutMs} * 1000;
    const absl::StatusOr<std::string_view> bytes =
        co_await call.ReadSome(std::min(idle_deadline_us, stream_deadline_us));
    if (exchange.client_gone()) break;
    if (!bytes.ok()) {
      LOG(WARNING) << "request " << record.request_id() << ": " << bytes.status().message();
      fault = absl::IsDeadlineExceeded(bytes.status()) ? "the provider fell silent" : "the provider's answer broke off";
    } else if (bytes->empty()) {
      last = stream.Finish();
      keep(last);
      if (!stream.done()) fault = "the provider ended the stream before its end";
      break;
    } else {
      const absl::StatusOr<std::string> events = stream.Feed(*bytes);
      if (!events.ok()) {
        fault = std::string(events.status().message());
      } else if (!events->empty()) {
        keep(*events);
        if (stream.done()) {
          last = *events;
        } else {
          open = co_await exchange.WriteChunk(*events);
        }
      }
    }
  }
  bool ended = false;  // the client has everything
  if (open && fault.empty() && !exchange.client_gone()) {
    ended = co_await exchange.EndStream(last) || last.empty();
  } else if (open && !last.empty()) {
    open = co_await exchange.WriteChunk(last);
  }
  exchange.OnClientGone({});
  SettleAttempt(record, *opened->model, attempt, stream.usage(), stream.Estimate(opened->request_bytes));
  attempt.set_duration_us(record.ElapsedUs() - attempt.start_us());
  if (!ended && (!open || fault.empty() || exchange.client_gone())) {
    attempt.set_error("cancelled");
    call.Cancel();
    co_return;  // the record says cancelled
  }
  if (stream.error_event()) {
    // The client has the provider's own words; whatever came after them adds nothing.
    attempt.set_error("provider_error");
    told(CallResult::kFailure);
    record.End(v1::ERROR, opened->status, "provider_error");
    if (!fault.empty()) call.Cancel();
  } else if (!fault.empty()) {
    attempt.set_error("cut");
    told(CallResult::kFailure);
    call.Cancel();
    record.End(v1::ERROR, opened->status, "stream_cut");
    if (const std::string event = CutEvent(stream, fault); event.empty()) {
      exchange.AbortStream();
    } else {
      co_await exchange.EndStream(event);
    }
    co_return;
  } else {
    told(CallResult::kSuccess);
    record.End(v1::SUCCESS, opened->status, "");
    if (opened->keep != nullptr) opened->keep->End(stream.hit_cap(), record.record());
  }
  if (!fault.empty()) {
    co_await exchange.EndStream({});
  } else {
    co_await ReadTail(call, worker.clock.MonotonicMicros() + int64_t{kStreamTailTimeoutMs} * 1000);
  }
}

}  // namespace signalbox
