#include "dataplane/request/handle_request.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/money.h"
#include "dataplane/request/active_request.h"
#include "dataplane/request/cache_stage.h"
#include "dataplane/request/call.h"
#include "dataplane/request/model_call.h"
#include "dataplane/request/passthrough.h"
#include "dataplane/request/relay.h"
#include "dataplane/request/universal.h"
#include "dataplane/routing/authenticate.h"
#include "dataplane/routing/endpoint.h"
#include "dataplane/routing/find_route.h"
#include "dataplane/routing/request_fields.h"

namespace signalbox {
namespace {

asio::awaitable<void> Refuse(HttpExchange& exchange, Format format, const Refusal& refusal, HeaderFields headers = {}) {
  HttpReply reply = ErrorReply(refusal.status, refusal.code, refusal.message, refusal.param);
  reply.body = ErrorFor(format, refusal.status, std::move(reply.body));
  reply.headers.Append(headers);
  if (refusal.retry_after_s > 0) reply.headers.AddOwn("retry-after", absl::StrCat(refusal.retry_after_s));
  co_await exchange.Reply(std::move(reply));
}

std::string RouteLabel(const v1::CompiledRoute& route) { return absl::StrCat(route.name(), "@", route.version()); }

constexpr size_t kRouteHeaderBytesExpected = 1 << 10;

// What every answer of a route says about how it came to be.
HeaderFields RouteHeaders(const ActiveRequest& request, const Walker& walker, std::optional<Use> final_use) {
  HeaderFields headers;
  headers.Reserve(kRouteHeaderBytesExpected);
  headers.AddOwn("cf-aig-log-id", request.record.request_id());
  // A plain model without a default route passes through a route that nobody wrote.
  if (!request.route.name().empty()) headers.AddOwn("signalbox-route", RouteLabel(request.route));
  headers.AddOwn("signalbox-path", HeaderSafe(walker.Path()));
  const v1::CacheStatus cache = request.record.record().cache();
  if (cache != v1::CACHE_STATUS_UNSPECIFIED) headers.AddOwn("cf-aig-cache-status", v1::CacheStatus_Name(cache));
  request.gate.AddHeaders(final_use, headers);
  return headers;
}

HeaderFields AnswerHeaders(const ActiveRequest& request, const Walker& walker, const v1::CompiledElement::Model& model,
                           int step, bool unary) {
  std::optional<Use> final_use;  // known before a unary answer's first byte
  if (unary) final_use = request.record.Used();
  HeaderFields headers = RouteHeaders(request, walker, final_use);
  headers.AddOwn("cf-aig-provider", HeaderSafe(model.provider()));
  headers.AddOwn("cf-aig-model", HeaderSafe(model.model()));
  headers.AddOwn("cf-aig-step", absl::StrCat(step));
  if (const std::optional<int64_t> cap = LoweredCap(request, model); cap.has_value()) {
    headers.AddOwn("signalbox-max-tokens", absl::StrCat(*cap));
  }
  if (final_use.has_value()) headers.AddOwn("signalbox-cost-usd", FormatDollars(final_use->nanos));
  return headers;
}

// An answer that was there: nothing was asked of a model for it.
HeaderFields HitHeaders(const ActiveRequest& request, const Walker& walker, const CacheHit& hit, int step) {
  const Use used = request.record.Used();  // by models that failed before
  HeaderFields headers = RouteHeaders(request, walker, used);
  headers.AddOwn("cf-aig-provider", HeaderSafe(hit.answer->provider()));
  headers.AddOwn("cf-aig-model", HeaderSafe(hit.answer->model()));
  headers.AddOwn("cf-aig-step", absl::StrCat(step));
  headers.AddOwn("age", absl::StrCat(hit.age_us / 1'000'000));
  headers.AddOwn("signalbox-cost-usd", FormatDollars(used.nanos));
  return headers;
}

asio::awaitable<void> HandleModels(HttpExchange& exchange, const ActiveSnapshot& snapshot, const std::string& gateway,
                                   const v1::SnapshotKey& key) {
  nlohmann::json models = nlohmann::json::array();
  std::vector<std::string> names;
  if (const auto found = snapshot.gateways.find(gateway); found != snapshot.gateways.end()) {
    found->second.routes.ForEach([&](const std::string& name, const auto&) {
      if (KeyAllowsRoute(key, name)) names.push_back(name);
    });
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    models.push_back(
        {{"id", absl::StrCat("dynamic/", name)}, {"object", "model"}, {"created", 0}, {"owned_by", "signalbox"}});
  }
  HttpReply reply;
  reply.body = nlohmann::json{{"object", "list"}, {"data", models}}.dump();
  co_await exchange.Reply(std::move(reply));
}

// Whom a request is from and what it calls.
struct Admission {
  std::optional<Refusal> refusal;  // why it is not admitted
  Endpoint endpoint;
  std::shared_ptr<const ActiveSnapshot> snapshot;
  std::string presented_key;
  std::shared_ptr<const v1::SnapshotKey> key;
};

std::unique_ptr<Admission> Admit(const Worker& worker, const HttpRequest& http) {
  auto admission = std::make_unique<Admission>();
  const auto refuse = [&admission](Refusal refusal) {
    admission->refusal = std::move(refusal);
    return std::move(admission);
  };
  std::variant<Endpoint, Refusal> endpoint = FindEndpoint(http.method, http.target);
  if (auto* refusal = std::get_if<Refusal>(&endpoint)) return refuse(std::move(*refusal));
  admission->endpoint = std::get<Endpoint>(std::move(endpoint));
  admission->snapshot = worker.snapshot;
  if (admission->snapshot == nullptr) {
    return refuse(Refusal(503, "not_ready", "this proxy has no configuration yet: no route was deployed", "", 1));
  }
  admission->presented_key = PresentedKey(http.headers, http.target);
  auto authenticated = AuthenticateKey(*admission->snapshot, admission->presented_key, admission->endpoint.gateway,
                                       worker.clock.UnixMicros());
  if (auto* refusal = std::get_if<Refusal>(&authenticated)) return refuse(std::move(*refusal));
  admission->key = std::get<std::shared_ptr<const v1::SnapshotKey>>(std::move(authenticated));
  if (admission->endpoint.kind != Endpoint::Kind::kModels && !worker.reporter.CanAccept()) {
    return refuse(Refusal(503, "spool_full",
                          "this proxy cannot account for more requests: its spool of spend records is full or cannot "
                          "be written",
                          "", 5));
  }
  return admission;
}

// Refused before it has a record.
asio::awaitable<void> RefuseStranger(Worker& worker, HttpExchange& exchange, const Admission& admission) {
  const Refusal& refusal = *admission.refusal;
  const Endpoint& endpoint = admission.endpoint;
  worker.metrics.CountRefusal(refusal.code);
  if (endpoint.kind == Endpoint::Kind::kUniversal) {
    const bool gateway_exists =
        admission.snapshot == nullptr || admission.snapshot->gateways.contains(endpoint.gateway);
    HttpReply reply = UniversalError(refusal, gateway_exists);
    co_await exchange.Reply(std::move(reply));
    co_return;
  }
  co_await Refuse(exchange, endpoint.format, refusal);
}

std::string_view EndpointName(const Endpoint& endpoint) {
  if (endpoint.kind == Endpoint::Kind::kPassthrough) return "passthrough";
  return endpoint.kind == Endpoint::Kind::kUniversal ? "universal" : FormatName(endpoint.format);
}

// With the prices that this request names itself, where it does.
FoundRoute FindPricedRoute(const Call& call, const RequestOptions& options, std::string_view model) {
  RouteWanted wanted;
  wanted.gateway = call.gateway;
  wanted.format = call.format;
  wanted.model = model;
  wanted.provider = call.provider;
  FoundRoute found = FindRoute(call.snapshot, call.key, wanted);
  if (options.custom_cost.empty() || std::holds_alternative<Refusal>(found)) return found;
  const absl::StatusOr<CustomCost> cost = ParseCustomCost(options.custom_cost);
  if (!cost.ok()) {
    return Refusal(400, "invalid_header", std::string(cost.status().message()), "cf-aig-custom-cost");
  }
  return AtCustomCost(*std::get<std::shared_ptr<const v1::CompiledRoute>>(found), *cost);
}

// However the walk ends, its record says how far it came.
class RecordPath {
 public:
  RecordPath(const Walker& walker, v1::SpendRecord& record) : walker_(walker), record_(record) {}
  ~RecordPath() { record_.set_path(walker_.Path()); }
  RecordPath(const RecordPath&) = delete;
  RecordPath& operator=(const RecordPath&) = delete;

 private:
  const Walker& walker_;
  v1::SpendRecord& record_;
};

// Walks the route to its end. Each step is a question: the limits' is put to the quota service, the model's to a
// provider; the first model that answers is relayed, a stream (returned, else null) by the caller. Before each step the
// cache is asked for the answer of the model that comes next: on the way to a hit only limits on requests are asked.
asio::awaitable<std::unique_ptr<OpenStream>> WalkRoute(ActiveRequest& request, Walker& walker) {
  int failed_models = 0;
  std::string last_failure;
  bool last_timed_out = false;
  int64_t retry_after_s = 0;  // when the last model may be called again
  CacheStage cache(request);
  request.cache = &cache;
  std::optional<std::pair<Walker, Step>> before_hit;  // where the walk stood when it set out for one
  const RecordPath path(walker, request.record.record());
  Step step = walker.Next();
  for (;;) {
    if (cache.looks_up()) co_await cache.LookUp(walker, step);
    if (request.gate.passed_over() && cache.hit() == nullptr && !std::holds_alternative<Finish>(step)) {
      // A limit refused the way to the hit, and on the way around a model is to be asked: so are all limits, then.
      cache.StopLookingUp();
      request.gate.BeginAgain();
      walker = before_hit->first;
      step = before_hit->second;
    }
    if (request.exchange.client_gone()) co_return nullptr;  // the record says cancelled
    std::optional<Refusal> refusal;
    if (auto* limits = std::get_if<CheckLimits>(&step)) {
      if (cache.hit() != nullptr && !request.gate.passed_over()) before_hit.emplace(walker, step);
      const LimitGate::Ask ask = cache.hit() != nullptr ? LimitGate::Ask::kRequests : LimitGate::Ask::kAll;
      std::variant<size_t, Refusal> passed = co_await request.gate.Check(std::move(*limits), ask);
      if (auto* refused = std::get_if<Refusal>(&passed)) {
        refusal = std::move(*refused);
      } else {
        step = walker.OnLimits(std::get<size_t>(passed));
      }
    } else if (const auto* call = std::get_if<CallModel>(&step)) {
      const v1::CompiledElement& element = request.route.elements(static_cast<int>(call->element));
      if (cache.hit() != nullptr) {
        const CacheHit hit = *cache.hit();
        walker.OnModel(true);
        request.record.record().set_provider(hit.answer->provider());
        request.record.record().set_model(hit.answer->model());
        co_await RelayKept(request, hit.answer, HitHeaders(request, walker, hit, failed_models));
        co_return nullptr;
      }
      cache.Asks(call->element);
      ModelResult result = co_await TryModel(request, element);
      if (std::holds_alternative<ClientGone>(result)) co_return nullptr;
      if (auto* refused = std::get_if<Refusal>(&result)) {
        refusal = std::move(*refused);
      } else if (auto* failure = std::get_if<ModelFailure>(&result)) {
        ++failed_models;
        last_failure = std::move(failure->message);
        last_timed_out = failure->timed_out;
        retry_after_s = failure->retry_after_s;
        cache.Failed();
        step = walker.OnModel(false);
      } else {
        auto& answer = std::get<ModelAnswer>(result);
        walker.OnModel(true);
        v1::SpendRecord& record = request.record.record();
        record.set_provider(element.model().provider());
        record.set_model(element.model().model());
        const bool streamed = answer.stream != nullptr;
        HeaderFields headers = AnswerHeaders(request, walker, element.model(), failed_models, !streamed);
        if (streamed) co_return OpenStreamOf(request, element.model(), std::move(answer), std::move(headers));
        co_await RelayUnary(request, std::move(answer), std::move(headers));
        co_return nullptr;
      }
    } else {
      const Finish& finish = std::get<Finish>(step);
      refusal = Refusal{finish.status, finish.code, finish.message, finish.param};
      if (finish.status == 429 || finish.status == 503) {
        refusal->retry_after_s = std::max(request.gate.RetryAfterSeconds(), 1);
      }
      if (finish.code == "model_failed" && !last_failure.empty()) {
        absl::StrAppend(&refusal->message, " (last: ", last_failure, ")");
        refusal->retry_after_s = static_cast<int>(retry_after_s);
      }
    }
    if (refusal.has_value()) {
      v1::Outcome outcome = v1::REFUSED;
      if (refusal->status >= 500) {
        outcome = last_timed_out || refusal->code == "deadline_exceeded" ? v1::TIMEOUT : v1::ERROR;
      }
      request.record.End(outcome, refusal->status, refusal->code);
      HeaderFields headers = RouteHeaders(request, walker, request.record.Used());
      if (failed_models > 0) headers.AddOwn("cf-aig-step", absl::StrCat(failed_models));
      co_await Refuse(request.exchange, request.body.format(), *refusal, std::move(headers));
      co_return nullptr;
    }
  }
}

void SayWhoCalls(const Admission& admission, const LoggedExchange& exchange, v1::SpendRecord& record) {
  record.set_key_id(admission.key->id());
  record.set_snapshot_sequence(admission.snapshot->id.sequence());
  record.set_endpoint(std::string(EndpointName(admission.endpoint)));
  record.set_event_id(exchange.event_id());
}

// Null: answered; else the stream to relay, with nothing left of the call but what it holds.
asio::awaitable<std::unique_ptr<OpenStream>> AnswerAdmitted(Worker& worker, LoggedExchange& exchange,
                                                            const Admission& admission, RequestRecord& record) {
  const Endpoint& endpoint = admission.endpoint;
  const Call call{worker,
                  exchange,
                  exchange,
                  record,
                  *admission.snapshot,
                  *admission.key,
                  endpoint.gateway,
                  admission.presented_key,
                  endpoint.format,
                  "",
                  PathSays(),
                  ""};
  switch (endpoint.kind) {
    case Endpoint::Kind::kUniversal:
      co_await AnswerUniversal(call);
      co_return nullptr;
    case Endpoint::Kind::kPassthrough: {
      const std::string query(QueryOf(exchange.request().target));
      co_return co_await AnswerNative(call, endpoint.provider, endpoint.rest, query);
    }
    default:
      co_return co_await AnswerCall(call);
  }
}

}  // namespace

asio::awaitable<void> RefuseCall(const Call& call, Refusal refusal) {
  RequestRecord& record = call.record;
  record.End(refusal.status >= 500 ? v1::ERROR : v1::REFUSED, refusal.status, refusal.code);
  HeaderFields headers = {{"cf-aig-log-id", record.request_id()}};
  co_await Refuse(call.exchange, call.format, refusal, std::move(headers));
}

void ApplyLogOptions(const Call& call, const RequestOptions& options) {
  const v1::GatewaySettings& settings = SettingsOf(call.snapshot, call.gateway);
  v1::SpendRecord& record = call.record.record();
  record.set_skip_log(options.collect_log.has_value() ? !*options.collect_log : settings.skip_log());
  record.set_event_id(options.event_id);
  const bool keep = options.collect_log_payload.value_or(settings.collect_log_payload());
  call.logged.KeepPayload(keep && !record.skip_log() ? &record : nullptr);
}

asio::awaitable<std::unique_ptr<OpenStream>> AnswerCall(const Call& call) {
  const HttpRequest& http = call.exchange.request();
  v1::SpendRecord& record = call.record.record();

  std::variant<RequestOptions, Refusal> read_options = ReadRequestOptions(http.headers);
  if (auto* refusal = std::get_if<Refusal>(&read_options)) {
    co_await RefuseCall(call, std::move(*refusal));
    co_return nullptr;
  }
  const RequestOptions& options = std::get<RequestOptions>(read_options);
  ApplyLogOptions(call, options);
  BodyFault fault;
  const std::unique_ptr<RequestBody> body =
      RequestBody::Parse(call.format, http.body, http.body.capacity(), call.path, fault);
  if (body == nullptr) {
    Refusal refusal(fault.status, fault.code, fault.message, fault.param);
    co_await RefuseCall(call, std::move(refusal));
    co_return nullptr;
  }
  record.set_stream(body->stream());
  FoundRoute found_route = FindPricedRoute(call, options, body->model());
  if (auto* refusal = std::get_if<Refusal>(&found_route)) {
    co_await RefuseCall(call, std::move(*refusal));
    co_return nullptr;
  }
  const auto& route = std::get<std::shared_ptr<const v1::CompiledRoute>>(found_route);
  record.set_route_id(route->route_id());
  record.set_route(route->name());
  record.set_version(route->version());

  std::variant<Metadata, Refusal> merged = MergeMetadata(call.key, http.headers, *body);
  if (auto* refusal = std::get_if<Refusal>(&merged)) {
    co_await RefuseCall(call, std::move(*refusal));
    co_return nullptr;
  }
  const Metadata& metadata = std::get<Metadata>(merged);
  if (!record.skip_log()) record.set_metadata_json(MetadataJson(metadata));

  const RequestFields fields(metadata, *body, http.headers);
  LimitGate gate(call.worker, *route, *body, call.record);
  Walker walker(*route, fields, static_cast<uint32_t>(call.worker.random() % 10'000));
  BodyWriter writer(*body, http.body);
  ActiveRequest request{call.worker, call.exchange, call.record, call.snapshot,      *route,  *body,
                        writer,      options,       gate,        call.presented_key, call.key};
  request.native_query = call.query;
  std::unique_ptr<OpenStream> stream = co_await WalkRoute(request, walker);
  if (stream != nullptr) stream->route = route;
  co_return stream;
}

asio::awaitable<void> HandleRequest(Worker& worker, HttpExchange& plain_exchange) {
  LoggedExchange exchange(plain_exchange);

  // Which endpoint, which configuration, who calls. Strangers leave no record.
  std::unique_ptr<Admission> admission = Admit(worker, exchange.request());
  if (admission->refusal.has_value()) co_return co_await RefuseStranger(worker, exchange, *admission);
  if (admission->endpoint.kind == Endpoint::Kind::kModels) {
    co_return co_await HandleModels(exchange, *admission->snapshot, admission->endpoint.gateway, *admission->key);
  }

  // From here on the request has a record: settled and reported when `record` goes, whatever happens.
  const std::shared_ptr<const ActiveSnapshot> snapshot = admission->snapshot;  // kept to the request's end
  RequestRecord record(worker, admission->endpoint.gateway);
  SayWhoCalls(*admission, exchange, record.record());
  std::unique_ptr<OpenStream> stream = co_await AnswerAdmitted(worker, exchange, *admission, record);
  if (stream == nullptr) co_return;
  admission.reset();
  co_await RelayStream(worker, exchange, record, std::move(stream));
}

}  // namespace signalbox
