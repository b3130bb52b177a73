#include "dataplane/request/passthrough.h"

#include <glog/logging.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/limits.h"
#include "dataplane/health/provider_health.h"
#include "dataplane/provider/provider_call.h"
#include "dataplane/request/limit_gate.h"
#include "dataplane/request/relay.h"
#include "dataplane/request/upstream_headers.h"
#include "dataplane/routing/authenticate.h"
#include "dataplane/routing/find_route.h"
#include "dataplane/routing/native_path.h"
#include "dataplane/routing/percent.h"
#include "dataplane/routing/request_fields.h"
#include "dataplane/routing/request_options.h"

namespace signalbox {
namespace {

constexpr char kElement[] = "passthrough";  // of its attempt, since no element of a route made it

// A call that is only relayed: nothing in it is read.
struct RawCall {
  const v1::SnapshotProvider& provider;
  EndpointAccess endpoint;
  std::shared_ptr<const UpstreamEndpoint> place;
  std::string target;
  int64_t timeout_us = 0;
};

bool AsksNothing(std::string_view method, std::string_view rest) {
  return method == "GET" || (method == "POST" && IsFree(rest));
}

// The body for conditions to look at; an empty one where it is no JSON object.
std::unique_ptr<RequestBody> ReadableBody(std::string_view json) {
  BodyFault unread;
  std::unique_ptr<RequestBody> body = RequestBody::Parse(Format::kConverse, json, json.size(), PathSays(), unread);
  static constexpr std::string_view kEmpty = "{}";
  if (body == nullptr) body = RequestBody::Parse(Format::kConverse, kEmpty, kEmpty.size(), PathSays(), unread);
  return body;
}

// Walks the default route up to the model that it would call: its conditions and its limits on requests hold for this
// call too. nullopt: it may be made.
asio::awaitable<std::optional<Refusal>> PassDefaultRoute(const Call& call, const v1::CompiledRoute& route) {
  const HttpRequest& http = call.exchange.request();
  const std::unique_ptr<RequestBody> body = ReadableBody(http.body);
  const std::variant<Metadata, Refusal> merged = MergeMetadata(call.key, http.headers, *body);
  if (const auto* refusal = std::get_if<Refusal>(&merged)) co_return *refusal;
  v1::SpendRecord& record = call.record.record();
  record.set_route_id(route.route_id());
  record.set_route(route.name());
  record.set_version(route.version());
  if (!record.skip_log()) record.set_metadata_json(MetadataJson(std::get<Metadata>(merged)));
  const RequestFields fields(std::get<Metadata>(merged), *body, http.headers);
  LimitGate gate(call.worker, route, *body, call.record);
  Walker walker(route, fields, static_cast<uint32_t>(call.worker.random() % 10'000));
  Step step = walker.Next();
  while (const auto* limits = std::get_if<CheckLimits>(&step)) {
    const std::variant<size_t, Refusal> passed = co_await gate.Check(*limits);
    if (const auto* refusal = std::get_if<Refusal>(&passed)) co_return *refusal;
    step = walker.OnLimits(std::get<size_t>(passed));
  }
  record.set_path(walker.Path());
  if (std::holds_alternative<CallModel>(step)) co_return std::nullopt;
  const Finish& finish = std::get<Finish>(step);
  const int retry_after_s = finish.status == 429 || finish.status == 503 ? std::max(gate.RetryAfterSeconds(), 1) : 0;
  co_return Refusal(finish.status, finish.code, finish.message, finish.param, retry_after_s);
}

// By weight, or the one the client names.
std::optional<EndpointAccess> ChooseEndpoint(const v1::SnapshotProvider& provider, const std::string& alias,
                                             uint64_t random) {
  if (!alias.empty()) return AccessTo(provider, alias);
  const std::vector<v1::SnapshotProvider::Endpoint> endpoints = EndpointsOf(provider);
  uint64_t total = 0;
  for (const auto& endpoint : endpoints) total += static_cast<uint64_t>(std::max(endpoint.weight(), 1));
  uint64_t at = random % total;
  for (const auto& endpoint : endpoints) {
    const uint64_t weight = static_cast<uint64_t>(std::max(endpoint.weight(), 1));
    if (at < weight) return AccessTo(provider, endpoint.name());
    at -= weight;
  }
  return AccessTo(provider, endpoints.back().name());
}

std::variant<RawCall, Refusal> PlanRaw(const Call& call, const v1::SnapshotProvider& provider, const std::string& rest,
                                       const std::string& query, const RequestOptions& options) {
  const std::optional<EndpointAccess> endpoint = ChooseEndpoint(provider, options.byok_alias, call.worker.random());
  if (!endpoint.has_value()) {
    return Refusal(400, "invalid_request",
                   absl::StrCat("provider \"", provider.name(), "\" has no endpoint \"", options.byok_alias, "\""),
                   "cf-aig-byok-alias");
  }
  const absl::StatusOr<std::shared_ptr<const UpstreamEndpoint>> place = call.worker.endpoints.At(endpoint->base_url);
  if (!place.ok()) {
    return Refusal(502, "model_failed", absl::StrCat("provider \"", provider.name(), "\" cannot be called"));
  }
  std::optional<std::string> path = ProviderPath((*place)->path_prefix, rest);
  if (!path.has_value()) {
    return Refusal(400, "invalid_request", "the path may not contain \".\" and \"..\": write it without");
  }
  if (PercentDecoded(*path).find(call.presented_key) != std::string::npos) {
    return Refusal(400, "invalid_request",
                   "the path contains the gateway key, which never leaves: send it in a header");
  }
  const std::string kept = QueryWithoutKey(query, call.presented_key);
  if (!kept.empty()) absl::StrAppend(&*path, "?", kept);
  const int64_t timeout_us =
      options.request_timeout_ms.has_value() ? *options.request_timeout_ms * 1'000 : call.worker.request_timeout_us;
  return RawCall{provider, *endpoint, *place, *std::move(path), timeout_us};
}

UpstreamRequest BuildRaw(const Call& call, const RawCall& raw) {
  const HttpRequest& http = call.exchange.request();
  CallPlace place;
  place.secret = raw.endpoint.secret;
  place.host = raw.place->authority();
  place.path_prefix = raw.place->path_prefix;
  ProviderCall built =
      BuildRawCall(raw.provider, place, http.method, raw.target, http.body, call.worker.clock.UnixMicros());
  UpstreamRequest upstream;
  upstream.method = http.method;
  upstream.target = std::move(built.target);
  upstream.headers = UpstreamHeaders(
      {http.headers, call.presented_key, raw.provider, call.record.request_id(), http.headers.Value("content-type")},
      std::move(built.headers));
  upstream.body = http.body;
  return upstream;
}

HeaderFields AnswerHeaders(const Call& call, const RawCall& raw, const UpstreamHead& head) {
  HeaderFields headers = ForwardedResponseHeaders(head.headers);
  headers.AddOwn("cf-aig-log-id", call.record.request_id());
  headers.AddOwn("cf-aig-provider", HeaderSafe(raw.provider.name()));
  headers.AddOwn("cf-aig-step", "0");
  return headers;
}

// The body as it comes, whatever it is. False when the provider broke off.
asio::awaitable<bool> RelayChunks(const Call& call, UpstreamCall& upstream) {
  for (;;) {
    const int64_t idle_deadline_us = call.worker.clock.MonotonicMicros() + int64_t{kStreamIdleTimeoutMs} * 1'000;
    const absl::StatusOr<std::string_view> bytes = co_await upstream.ReadSome(idle_deadline_us);
    if (call.exchange.client_gone()) co_return true;
    if (!bytes.ok()) co_return false;
    if (bytes->empty()) {
      co_await call.exchange.EndStream({});
      co_return true;
    }
    if (!co_await call.exchange.WriteChunk(*bytes)) co_return true;
  }
}

asio::awaitable<void> RelayRaw(const Call& call, const RawCall& raw) {
  v1::Attempt& attempt = call.record.AddAttempt();
  attempt.set_element_id(kElement);
  attempt.set_provider(raw.provider.name());
  attempt.set_endpoint(std::string(raw.endpoint.name));
  call.record.record().set_provider(raw.provider.name());
  const UpstreamRequest request = BuildRaw(call, raw);
  const std::unique_ptr<UpstreamCall> upstream = call.worker.upstreams->NewCall(raw.place);
  call.exchange.OnClientGone([&upstream] { upstream->Cancel(); });
  const absl::StatusOr<UpstreamHead> head =
      co_await upstream->Start(request, call.worker.clock.MonotonicMicros() + raw.timeout_us);
  attempt.set_first_byte_us(call.record.ElapsedUs() - attempt.start_us());
  if (call.exchange.client_gone()) {
    call.exchange.OnClientGone({});
    attempt.set_error("cancelled");
    co_return;  // the record says cancelled
  }
  if (!head.ok()) {
    call.exchange.OnClientGone({});
    const bool timed_out = absl::IsDeadlineExceeded(head.status());
    attempt.set_error(timed_out ? "timeout" : upstream->request_sent() ? "cut" : "connect");
    // The status names addresses, which are the operator's to see and not the client's.
    LOG(WARNING) << "request " << call.record.request_id() << ": " << head.status().message();
    Refusal refusal(502, "model_failed",
                    absl::StrCat("provider \"", raw.provider.name(), "\" ",
                                 timed_out ? "did not answer in time" : "could not be reached, or broke off"));
    co_await RefuseCall(call, std::move(refusal));
    co_return;
  }
  attempt.set_status(head->status);
  if (head->status >= 400) attempt.set_error(absl::StrCat("status_", head->status));
  std::string content_type(head->headers.Value("content-type"));
  if (content_type.empty()) content_type = "application/octet-stream";
  const bool events = absl::StartsWithIgnoreCase(content_type, "text/event-stream");
  call.record.MarkFirstByte();
  bool whole = true;
  if (head->status < 300 && head->status != 204) {
    call.record.record().set_stream(events);
    HeaderFields headers = AnswerHeaders(call, raw, *head);
    if (co_await call.exchange.BeginStream(head->status, std::move(content_type), std::move(headers), {})) {
      whole = co_await RelayChunks(call, *upstream);
    }
  } else {
    const int64_t deadline_us = call.worker.clock.MonotonicMicros() + int64_t{kErrorBodyTimeoutMs} * 1'000;
    absl::StatusOr<std::string> body = co_await upstream->ReadAll(kErrorBodyBytesMax, deadline_us);
    HttpReply reply;
    reply.status = head->status;
    reply.content_type = std::move(content_type);
    reply.headers = AnswerHeaders(call, raw, *head);
    if (body.ok()) reply.body = *std::move(body);
    co_await call.exchange.Reply(std::move(reply));
  }
  call.exchange.OnClientGone({});
  attempt.set_duration_us(call.record.ElapsedUs() - attempt.start_us());
  if (call.exchange.client_gone()) {
    attempt.set_error("cancelled");
  } else if (!whole) {
    attempt.set_error("cut");
  }
  call.worker.metrics.CountAttempt(raw.provider.name(), "", attempt.error().empty() ? "ok" : attempt.error());
  if (call.exchange.client_gone()) co_return;  // the record says cancelled
  if (!whole) {
    call.record.End(v1::ERROR, head->status, "stream_cut");
    call.exchange.AbortStream();  // what it is was never read, so no event can tell
    co_return;
  }
  const bool success = head->status < 400;
  call.record.End(success ? v1::SUCCESS : v1::ERROR, head->status, success ? "" : "provider_rejected");
}

asio::awaitable<void> AnswerUnmetered(const Call& call, const v1::SnapshotProvider& provider, const std::string& rest,
                                      const std::string& query) {
  const HttpRequest& http = call.exchange.request();
  std::variant<RequestOptions, Refusal> read = ReadRequestOptions(http.headers);
  if (auto* refusal = std::get_if<Refusal>(&read)) co_return co_await RefuseCall(call, std::move(*refusal));
  const RequestOptions& options = std::get<RequestOptions>(read);
  ApplyLogOptions(call, options);
  FoundRoute by_default = DefaultRouteFor(call.snapshot, call.key, call.gateway);
  if (auto* refusal = std::get_if<Refusal>(&by_default)) co_return co_await RefuseCall(call, std::move(*refusal));
  const auto& route = std::get<std::shared_ptr<const v1::CompiledRoute>>(by_default);
  if (route != nullptr && !AsksNothing(http.method, rest)) {
    std::optional<Refusal> refusal;
    if (LimitsUse(*route)) {
      refusal.emplace(403, "unmetered_call",
                      absl::StrCat("the gateway cannot tell what ", http.method, " ", rest.substr(0, 200),
                                   " uses, and its default route \"", route->name(),
                                   "\" limits dollars or tokens: call a model in a format it can meter"));
    } else {
      refusal = co_await PassDefaultRoute(call, *route);
    }
    if (refusal.has_value()) co_return co_await RefuseCall(call, *std::move(refusal));
  }
  std::variant<RawCall, Refusal> planned = PlanRaw(call, provider, rest, query, options);
  if (auto* refusal = std::get_if<Refusal>(&planned)) co_return co_await RefuseCall(call, std::move(*refusal));
  co_await RelayRaw(call, std::get<RawCall>(planned));
}

// Of a metered call the gateway writes the query anew; what else the client said there goes along.
std::string NativeQuery(std::string_view query, std::string_view presented_key, const v1::SnapshotProvider& provider) {
  std::string kept;
  const std::string without_key = QueryWithoutKey(query, presented_key);
  for (const absl::string_view part : absl::StrSplit(without_key, '&', absl::SkipEmpty())) {
    const absl::string_view name = part.substr(0, part.find('='));
    if (name == "alt" || (name == "api-version" && provider.options().contains("api_version"))) continue;
    absl::StrAppend(&kept, kept.empty() ? "" : "&", part);
  }
  return kept;
}

}  // namespace

asio::awaitable<std::unique_ptr<OpenStream>> AnswerNative(const Call& call, const std::string& name,
                                                          const std::string& rest, const std::string& query) {
  const auto gateway = call.snapshot.gateways.find(call.gateway);
  std::shared_ptr<const v1::SnapshotProvider> provider;
  if (gateway != call.snapshot.gateways.end()) provider = FindProvider(gateway->second, name);
  if (provider == nullptr) {
    Refusal refusal = ProviderNotFound(gateway == call.snapshot.gateways.end() ? nullptr : &gateway->second, name);
    refusal.param = "provider";
    co_await RefuseCall(call, std::move(refusal));
    co_return nullptr;
  }
  std::optional<NativeCall> native;
  if (call.exchange.request().method == "POST") {
    const absl::StatusOr<std::shared_ptr<const UpstreamEndpoint>> place =
        call.worker.endpoints.At(provider->base_url());
    native = ReadNativePath(KindOf(*provider), place.ok() ? (*place)->path_prefix : "", rest, query);
  }
  Call own{call.worker,  call.exchange,      call.logged,   call.record,      call.snapshot, call.key,
           call.gateway, call.presented_key, Format::kChat, provider->name(), PathSays(),    ""};
  if (!native.has_value()) {
    if (KindOf(*provider) == ProviderKind::kAnthropic) own.format = Format::kMessages;
    co_await AnswerUnmetered(own, *provider, rest, query);
    co_return nullptr;
  }
  own.format = native->format;
  own.path = native->says;
  own.query = NativeQuery(query, call.presented_key, *provider);
  if (native->wants_json_array) {
    Refusal refusal(400, "unsupported_parameter",
                    "streams are relayed as events only: add ?alt=sse to :streamGenerateContent", "alt");
    co_await RefuseCall(own, std::move(refusal));
    co_return nullptr;
  }
  co_return co_await AnswerCall(own);
}

}  // namespace signalbox
