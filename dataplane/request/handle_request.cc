#include "dataplane/request/handle_request.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/money.h"
#include "dataplane/request/active_request.h"
#include "dataplane/request/cache_stage.h"
#include "dataplane/request/model_call.h"
#include "dataplane/request/relay.h"
#include "dataplane/routing/authenticate.h"
#include "dataplane/routing/endpoint.h"
#include "dataplane/routing/request_fields.h"

namespace signalbox {
namespace {

constexpr std::string_view kRoutePrefix = "dynamic/";

asio::awaitable<void> Refuse(HttpExchange& exchange, Format format, const Refusal& refusal, HttpHeaders headers = {}) {
  HttpReply reply = ErrorReply(refusal.status, refusal.code, refusal.message, refusal.param);
  reply.body = ErrorFor(format, refusal.status, std::move(reply.body));
  reply.headers.insert(reply.headers.end(), headers.begin(), headers.end());
  if (refusal.retry_after_s > 0) reply.headers.emplace_back("retry-after", absl::StrCat(refusal.retry_after_s));
  co_await exchange.Reply(std::move(reply));
}

std::string RouteLabel(const v1::CompiledRoute& route) { return absl::StrCat(route.name(), "@", route.version()); }

// What every answer of a route says about how it came to be.
HttpHeaders RouteHeaders(const ActiveRequest& request, const Walker& walker, std::optional<Use> final_use) {
  HttpHeaders headers = {{"cf-aig-log-id", request.record.request_id()},
                         {"signalbox-route", RouteLabel(request.route)},
                         {"signalbox-path", HeaderSafe(walker.Path())}};
  const v1::CacheStatus cache = request.record.record().cache();
  if (cache != v1::CACHE_STATUS_UNSPECIFIED) headers.emplace_back("cf-aig-cache-status", v1::CacheStatus_Name(cache));
  for (auto& header : request.gate.Headers(final_use)) headers.push_back(std::move(header));
  return headers;
}

HttpHeaders AnswerHeaders(const ActiveRequest& request, const Walker& walker, const v1::CompiledElement::Model& model,
                          int step, bool unary) {
  std::optional<Use> final_use;  // known before a unary answer's first byte
  if (unary) final_use = request.record.Used();
  HttpHeaders headers = RouteHeaders(request, walker, final_use);
  headers.emplace_back("cf-aig-provider", HeaderSafe(model.provider()));
  headers.emplace_back("cf-aig-model", HeaderSafe(model.model()));
  headers.emplace_back("cf-aig-step", absl::StrCat(step));
  if (const std::optional<int64_t> cap = LoweredCap(request, model); cap.has_value()) {
    headers.emplace_back("signalbox-max-tokens", absl::StrCat(*cap));
  }
  if (final_use.has_value()) headers.emplace_back("signalbox-cost-usd", FormatDollars(final_use->nanos));
  return headers;
}

// An answer that was there: nothing was asked of a model for it.
HttpHeaders HitHeaders(const ActiveRequest& request, const Walker& walker, const CacheHit& hit, int step) {
  const Use used = request.record.Used();  // by models that failed before
  HttpHeaders headers = RouteHeaders(request, walker, used);
  headers.emplace_back("cf-aig-provider", HeaderSafe(hit.answer->provider()));
  headers.emplace_back("cf-aig-model", HeaderSafe(hit.answer->model()));
  headers.emplace_back("cf-aig-step", absl::StrCat(step));
  headers.emplace_back("age", absl::StrCat(hit.age_us / 1'000'000));
  headers.emplace_back("signalbox-cost-usd", FormatDollars(used.nanos));
  return headers;
}

asio::awaitable<void> HandleModels(HttpExchange& exchange, const ActiveSnapshot& snapshot, const std::string& gateway,
                                   const v1::SnapshotKey& key) {
  nlohmann::json models = nlohmann::json::array();
  std::vector<std::string> names;
  if (const auto found = snapshot.gateways.find(gateway); found != snapshot.gateways.end()) {
    for (const auto& [name, route] : found->second.routes) {
      if (KeyAllowsRoute(key, name)) names.push_back(name);
    }
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

std::variant<std::shared_ptr<const v1::CompiledRoute>, Refusal> FindRoute(const ActiveSnapshot& snapshot,
                                                                          const std::string& gateway,
                                                                          const v1::SnapshotKey& key,
                                                                          std::string_view model) {
  if (!model.starts_with(kRoutePrefix)) {
    return Refusal{404, "route_not_found",
                   absl::StrCat("model \"", std::string(model.substr(0, 200)),
                                "\" is no route; name one as \"dynamic/<route>\" (GET /v1/models lists them)"),
                   "model"};
  }
  const std::string name(model.substr(kRoutePrefix.size()));
  const auto found_gateway = snapshot.gateways.find(gateway);
  if (found_gateway != snapshot.gateways.end()) {
    const auto found = found_gateway->second.routes.find(name);
    if (found != found_gateway->second.routes.end()) {
      if (KeyAllowsRoute(key, name)) return found->second;
      return Refusal{403, "route_not_allowed", absl::StrCat("this key may not call the route \"", name, "\""), "model"};
    }
  }
  return Refusal{404, "route_not_found",
                 absl::StrCat("no route \"", name.substr(0, 200), "\" is deployed in the gateway \"", gateway,
                              "\" (GET /v1/models lists them)"),
                 "model"};
}

asio::awaitable<void> RefuseAndRecord(HttpExchange& exchange, Format format, RequestRecord& record, Refusal refusal) {
  record.End(refusal.status >= 500 ? v1::ERROR : v1::REFUSED, refusal.status, refusal.code);
  HttpHeaders headers = {{"cf-aig-log-id", record.request_id()}};
  co_await Refuse(exchange, format, refusal, std::move(headers));
}

// Walks the route to its end. Each step is a question: the limits' is put to the quota service, the model's to a
// provider; the first model that answers is relayed. Before each step the cache is asked for the answer of the model
// that comes next: on the way to a hit only limits on requests are asked.
asio::awaitable<void> WalkRoute(ActiveRequest& request, Walker& walker) {
  int failed_models = 0;
  std::string last_failure;
  bool last_timed_out = false;
  int64_t retry_after_s = 0;  // when the last model may be called again
  CacheStage cache(request);
  request.cache = &cache;
  std::optional<std::pair<Walker, Step>> before_hit;  // where the walk stood when it set out for one
  Step step = walker.Next();
  for (;;) {
    co_await cache.LookUp(walker, step);
    if (request.gate.passed_over() && cache.hit() == nullptr && !std::holds_alternative<Finish>(step)) {
      // A limit refused the way to the hit, and on the way around a model is to be asked: so are all limits, then.
      cache.StopLookingUp();
      request.gate.BeginAgain();
      walker = before_hit->first;
      step = before_hit->second;
    }
    request.record.record().set_path(walker.Path());
    if (request.exchange.client_gone()) co_return;  // the record says cancelled
    std::optional<Refusal> refusal;
    if (const auto* limits = std::get_if<CheckLimits>(&step)) {
      if (cache.hit() != nullptr && !request.gate.passed_over()) before_hit.emplace(walker, step);
      const LimitGate::Ask ask = cache.hit() != nullptr ? LimitGate::Ask::kRequests : LimitGate::Ask::kAll;
      std::variant<size_t, Refusal> passed = co_await request.gate.Check(*limits, ask);
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
        request.record.record().set_path(walker.Path());
        request.record.record().set_provider(hit.answer->provider());
        request.record.record().set_model(hit.answer->model());
        co_return co_await RelayKept(request, hit.answer, HitHeaders(request, walker, hit, failed_models));
      }
      cache.Asks(call->element);
      ModelResult result = co_await TryModel(request, element);
      if (std::holds_alternative<ClientGone>(result)) co_return;
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
        record.set_path(walker.Path());
        record.set_provider(element.model().provider());
        record.set_model(element.model().model());
        const bool streamed = answer.stream != nullptr;
        HttpHeaders headers = AnswerHeaders(request, walker, element.model(), failed_models, !streamed);
        if (streamed) {
          co_await RelayStream(request, element.model(), std::move(answer), std::move(headers));
        } else {
          co_await RelayUnary(request, std::move(answer), std::move(headers));
        }
        co_return;
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
      request.record.record().set_path(walker.Path());
      v1::Outcome outcome = v1::REFUSED;
      if (refusal->status >= 500) {
        outcome = last_timed_out || refusal->code == "deadline_exceeded" ? v1::TIMEOUT : v1::ERROR;
      }
      request.record.End(outcome, refusal->status, refusal->code);
      HttpHeaders headers = RouteHeaders(request, walker, request.record.Used());
      if (failed_models > 0) headers.emplace_back("cf-aig-step", absl::StrCat(failed_models));
      co_await Refuse(request.exchange, request.body.format(), *refusal, std::move(headers));
      co_return;
    }
  }
}

}  // namespace

asio::awaitable<void> HandleRequest(Worker& worker, HttpExchange& exchange) {
  const HttpRequest& http = exchange.request();

  // Which endpoint, which configuration, who calls. Strangers leave no record.
  const std::variant<Endpoint, Refusal> found_endpoint = FindEndpoint(http.method, http.target);
  if (const auto* refusal = std::get_if<Refusal>(&found_endpoint)) {
    worker.metrics.CountRefusal(refusal->code);
    co_return co_await Refuse(exchange, Format::kChat, *refusal);
  }
  const Endpoint& endpoint = std::get<Endpoint>(found_endpoint);
  const std::shared_ptr<const ActiveSnapshot> snapshot = worker.snapshot;  // kept to the request's end
  if (snapshot == nullptr) {
    worker.metrics.CountRefusal("not_ready");
    co_return co_await Refuse(
        exchange, endpoint.format,
        Refusal{503, "not_ready", "this proxy has no configuration yet: no route was deployed", "", 1});
  }
  const std::string_view presented_key = PresentedKey(http.headers);
  const auto authenticated = AuthenticateKey(*snapshot, presented_key, endpoint.gateway, worker.clock.UnixMicros());
  if (const auto* refusal = std::get_if<Refusal>(&authenticated)) {
    worker.metrics.CountRefusal(refusal->code);
    co_return co_await Refuse(exchange, endpoint.format, *refusal);
  }
  const std::shared_ptr<const v1::SnapshotKey>& key = std::get<std::shared_ptr<const v1::SnapshotKey>>(authenticated);
  if (endpoint.kind == Endpoint::Kind::kModels) {
    co_return co_await HandleModels(exchange, *snapshot, endpoint.gateway, *key);
  }
  if (!worker.reporter.CanAccept()) {
    worker.metrics.CountRefusal("spool_full");
    co_return co_await Refuse(exchange, endpoint.format,
                              Refusal{503, "spool_full",
                                      "this proxy cannot account for more requests: its spool of spend "
                                      "records is full or cannot be written",
                                      "", 5});
  }

  // From here on the request has a record: settled and reported when `record` goes, whatever happens.
  RequestRecord record(worker, endpoint.gateway);
  record.record().set_key_id(key->id());
  record.record().set_snapshot_sequence(snapshot->id.sequence());
  record.record().set_endpoint(std::string(FormatName(endpoint.format)));

  const std::variant<RequestOptions, Refusal> read_options = ReadRequestOptions(http.headers);
  if (const auto* refusal = std::get_if<Refusal>(&read_options)) {
    co_return co_await RefuseAndRecord(exchange, endpoint.format, record, *refusal);
  }
  const RequestOptions& options = std::get<RequestOptions>(read_options);
  BodyFault fault;
  const std::unique_ptr<RequestBody> body =
      RequestBody::Parse(endpoint.format, http.body, http.body.size(), PathSays(), fault);
  if (body == nullptr) {
    co_return co_await RefuseAndRecord(exchange, endpoint.format, record,
                                       Refusal{fault.status, fault.code, fault.message, fault.param});
  }
  record.record().set_stream(body->stream());
  const auto found_route = FindRoute(*snapshot, endpoint.gateway, *key, body->model());
  if (const auto* refusal = std::get_if<Refusal>(&found_route)) {
    co_return co_await RefuseAndRecord(exchange, endpoint.format, record, *refusal);
  }
  const std::shared_ptr<const v1::CompiledRoute>& route =
      std::get<std::shared_ptr<const v1::CompiledRoute>>(found_route);
  record.record().set_route_id(route->route_id());
  record.record().set_route(route->name());
  record.record().set_version(route->version());

  const auto merged = MergeMetadata(*key, http.headers, *body);
  if (const auto* refusal = std::get_if<Refusal>(&merged)) {
    co_return co_await RefuseAndRecord(exchange, endpoint.format, record, *refusal);
  }
  const Metadata& metadata = std::get<Metadata>(merged);
  record.record().set_metadata_json(MetadataJson(metadata));

  const RequestFields fields(metadata, *body, http.headers);
  LimitGate gate(worker, *route, *body, record);
  Walker walker(*route, fields, static_cast<uint32_t>(worker.random() % 10'000));
  BodyWriter writer(*body, http.body);
  ActiveRequest request{worker, exchange, record, *snapshot, *route, *body, writer, options, gate, presented_key, *key};
  co_await WalkRoute(request, walker);
}

}  // namespace signalbox
