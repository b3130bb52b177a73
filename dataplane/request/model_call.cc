#include "dataplane/request/model_call.h"

#include <glog/logging.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/model_price.h"
#include "common/money.h"
#include "dataplane/health/retry_after.h"
#include "dataplane/provider/provider_call.h"
#include "dataplane/request/upstream_headers.h"

namespace signalbox {
namespace {

enum class Verdict { kAnswered, kRetry, kFallback, kClientGone };

struct AttemptResult {
  Verdict verdict = Verdict::kRetry;
  ModelAnswer answer;                        // kAnswered
  ModelFailure failure;                      // otherwise
  CallResult health = CallResult::kUnknown;  // but for a stream, whose end tells
  std::optional<int64_t> retry_after_us;
};

// Cancels whatever the request waits for when its client leaves; clears the callback on every way out.
class CancelOnClientGone {
 public:
  CancelOnClientGone(HttpExchange& exchange, std::function<void()> cancel) : exchange_(exchange) {
    exchange_.OnClientGone(std::move(cancel));
  }
  ~CancelOnClientGone() { exchange_.OnClientGone({}); }
  CancelOnClientGone(const CancelOnClientGone&) = delete;
  CancelOnClientGone& operator=(const CancelOnClientGone&) = delete;

 private:
  HttpExchange& exchange_;
};

// Built outside coroutines: see Refusal.
AttemptResult Failed(Verdict verdict, std::string message, CallResult health = CallResult::kUnknown) {
  AttemptResult result;
  result.verdict = verdict;
  result.health = health;
  result.failure.message = std::move(message);
  return result;
}

ModelFailure NotConfigured(const std::string& provider) {
  ModelFailure failure;
  failure.message = absl::StrCat("provider \"", provider, "\" is not configured");
  return failure;
}

bool IsStream(const UpstreamHead& head) {
  const std::string_view field = head.headers.Value("content-type");
  const absl::string_view type(field.data(), field.size());
  return absl::StartsWithIgnoreCase(type, "text/event-stream") ||
         absl::StartsWithIgnoreCase(type, "application/vnd.amazon.eventstream");
}

// What one attempt sends, and in which format.
struct PlannedCall {
  const v1::SnapshotProvider& provider;
  std::shared_ptr<const UpstreamEndpoint> place;  // of the attempt's endpoint, as is its key
  std::string_view secret;
  CallOperation operation;
  std::string body;
};

// False when the client left meanwhile.
asio::awaitable<bool> WaitUnlessClientGone(ActiveRequest& request, int64_t delay_us) {
  asio::steady_timer timer(request.worker.io, std::chrono::microseconds(delay_us));
  CancelOnClientGone cancel(request.exchange, [&timer] { timer.cancel(); });
  if (request.exchange.client_gone()) co_return false;
  boost::system::error_code ignored;  // cancelled: the client left, which is asked below
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  co_return !request.exchange.client_gone();
}

// The outcome of a call that broke off is unknown once bytes of its request left: charged its bound, and marked.
void ChargeUnknownOutcome(v1::Attempt& attempt) {
  attempt.set_cost_nanos(attempt.bound_nanos());
  attempt.set_estimated(true);
}

AttemptResult Broken(const ActiveRequest& request, const v1::CompiledElement::Model& model, v1::Attempt& attempt,
                     const UpstreamCall& call, const absl::Status& status, const v1::TokenUsage& estimate) {
  AttemptResult result;
  if (!call.request_sent()) {
    attempt.set_cost_nanos(0);
    attempt.set_estimated(false);
  }
  if (request.exchange.client_gone()) {
    attempt.set_error("cancelled");
    result.verdict = Verdict::kClientGone;
    if (call.request_sent()) SettleAttempt(request.record, model, attempt, std::nullopt, estimate);
    return result;
  }
  result.verdict = Verdict::kRetry;
  result.failure.timed_out = absl::IsDeadlineExceeded(status);
  attempt.set_error(result.failure.timed_out ? "timeout" : call.request_sent() ? "cut" : "connect");
  // The status names addresses, which are the operator's to see and not the client's.
  LOG(WARNING) << "request " << request.record.request_id() << ": " << status.message();
  result.failure.message = result.failure.timed_out ? "the provider did not answer in time"
                           : call.request_sent()    ? "the provider's answer broke off"
                                                    : "the provider could not be reached";
  if (call.request_sent()) ChargeUnknownOutcome(attempt);
  result.health = CallResult::kFailure;
  return result;
}

// What the headers and the body of a provider's error say about trying again.
void ReadRetryAdvice(const UpstreamHead& head, const absl::StatusOr<std::string>& body, int64_t unix_us,
                     AttemptResult& result) {
  const HeaderReader reader = [&head](std::string_view name) { return head.headers.Value(name); };
  result.retry_after_us = RetryAfterUs(head.status, reader, unix_us);
  if (!result.retry_after_us.has_value() && body.ok()) result.retry_after_us = RetryDelayInBody(head.status, *body);
  if (ShouldRetry(reader) == false && result.verdict == Verdict::kRetry) result.verdict = Verdict::kFallback;
}

UpstreamRequest BuildUpstreamRequest(const ActiveRequest& request, const PlannedCall& planned) {
  const v1::SnapshotProvider& provider = planned.provider;
  CallPlace place;
  place.secret = planned.secret;
  place.host = planned.place->authority();
  place.path_prefix = planned.place->path_prefix;
  ProviderCall call =
      BuildProviderCall(provider, place, planned.operation, planned.body, request.worker.clock.UnixMicros());
  UpstreamRequest upstream;
  upstream.target = std::move(call.target);
  const bool translated = planned.operation.format != request.body.format();
  if (!translated && !request.native_query.empty() && KindOf(provider) != ProviderKind::kBedrock) {
    absl::StrAppend(&upstream.target, upstream.target.find('?') == std::string::npos ? "?" : "&",
                    std::string(request.native_query));
  }
  upstream.headers = UpstreamHeaders({request.exchange.request().headers, request.presented_key, provider,
                                      request.record.request_id(), "application/json", translated},
                                     std::move(call.headers));
  upstream.body = planned.body;
  return upstream;
}

// The fault is the client's, and the same however often it is tried.
std::variant<PlannedCall, Refusal> PlanCall(ActiveRequest& request, const v1::CompiledElement::Model& model,
                                            const v1::SnapshotProvider& provider) {
  Format format = Format::kChat;
  const std::optional<Format> spoken = ProviderFormat(provider, request.body.format());
  if (!spoken.has_value()) {
    return Refusal(400, "unsupported_endpoint",
                   absl::StrCat("provider \"", provider.name(), "\" has no counterpart of ",
                                std::string(FormatName(request.body.format())), " requests"),
                   "model");
  }
  format = *spoken;
  if (format == Format::kResponses && !ParametersFit(format, model.parameters_json())) format = Format::kChat;
  RequestBody::Rewrite rewrite;
  rewrite.model = model.model();
  rewrite.output_cap = LoweredCap(request, model);
  if (!model.price().cap_field().empty()) rewrite.cap_field = model.price().cap_field();
  rewrite.parameters_json = model.parameters_json();
  std::variant<std::string, BodyFault> body = request.writer.Write(format, rewrite);
  if (const auto* fault = std::get_if<BodyFault>(&body)) {
    return Refusal(fault->status, fault->code,
                   absl::StrCat("model \"", model.provider(), "/", model.model(), "\": ", fault->message),
                   fault->param);
  }
  CallOperation operation;
  operation.format = format;
  operation.model = model.model();
  operation.stream = request.body.stream();
  return PlannedCall{provider, nullptr, "", operation, std::get<std::string>(std::move(body))};
}

// False when the endpoint's address is none, which the control plane does not let pass.
bool AimAt(const std::string& endpoint, KnownEndpoints& endpoints, PlannedCall& planned) {
  const std::optional<EndpointAccess> access = AccessTo(planned.provider, endpoint);
  if (!access.has_value()) return false;
  absl::StatusOr<std::shared_ptr<const UpstreamEndpoint>> place = endpoints.At(access->base_url);
  if (!place.ok()) return false;
  planned.place = *std::move(place);
  planned.secret = access->secret;
  return true;
}

AnswerContext ContextOf(const ActiveRequest& request, const v1::CompiledElement::Model& model) {
  AnswerContext context;
  context.id = request.record.request_id();
  context.model = model.model();
  context.created_s = request.record.record().start_time_us() / 1'000'000;
  return context;
}

// Of a wait for more of what has begun.
int64_t IdleDeadlineUs(int64_t now_us, int idle_ms) { return now_us + int64_t{idle_ms} * 1'000; }

asio::awaitable<AttemptResult> AttemptOnce(ActiveRequest& request, const v1::CompiledElement& element,
                                           const PlannedCall& planned, const AttemptGate& gate, CallPermit& permit,
                                           v1::Attempt& attempt, int index) {
  const v1::CompiledElement::Model& model = element.model();
  const Clock& clock = request.worker.clock;
  const std::string& body = planned.body;
  const AnswerPath path(planned.operation.format, request.body.format());
  const AnswerContext context = ContextOf(request, model);

  std::unique_ptr<UpstreamCall> call = request.worker.upstreams->NewCall(planned.place);
  CancelOnClientGone cancel(request.exchange, [&call] { call->Cancel(); });
  if (request.exchange.client_gone()) co_return Failed(Verdict::kClientGone, "");
  const int64_t begin_us = request.record.start_us() + attempt.start_us();
  const int64_t first_byte_deadline_us = request.allowance.AttemptDeadlineUs(gate.policy(), begin_us);
  const auto broken = [&](const UpstreamCall& broken_call, const absl::Status& status, const v1::TokenUsage& estimate) {
    AttemptResult result = Broken(request, model, attempt, broken_call, status, estimate);
    if (result.failure.timed_out) result.health = gate.ResultOfTimeout(clock.MonotonicMicros() - begin_us);
    return result;
  };
  ChargeUnknownOutcome(attempt);  // until something better is known
  absl::StatusOr<UpstreamHead> head =
      co_await call->Start(BuildUpstreamRequest(request, planned), first_byte_deadline_us);
  if (!head.ok()) co_return broken(*call, head.status(), EstimateUsage(body.size(), 0));
  attempt.set_status(head->status);
  const int64_t answered_us = clock.MonotonicMicros();
  attempt.set_first_byte_us(answered_us - begin_us);

  const AttemptVerdict judged = JudgeStatus(head->status);
  AttemptResult result;
  result.answer.attempt = index;
  result.answer.as_it_came = path.as_it_came();
  if (judged == AttemptVerdict::kAnswered && IsStream(*head)) {
    std::unique_ptr<AnswerStream> stream = path.Stream(request.body.client_wants_usage(), context);
    while (result.answer.body.empty() && !stream->done()) {
      const absl::StatusOr<std::string_view> bytes = co_await call->ReadSome(
          std::min(IdleDeadlineUs(clock.MonotonicMicros(), kStreamIdleTimeoutMs), first_byte_deadline_us));
      if (!bytes.ok()) co_return broken(*call, bytes.status(), stream->Estimate(body.size()));
      if (bytes->empty()) {
        result.answer.body += stream->Finish();
        if (stream->done()) break;
        co_return Broken(request, model, attempt, *call,
                         absl::DataLossError("the provider ended the stream before its first event"),
                         stream->Estimate(body.size()));
      }
      const absl::StatusOr<std::string> events = stream->Feed(*bytes);
      if (!events.ok()) co_return broken(*call, events.status(), stream->Estimate(body.size()));
      result.answer.body += *events;
    }
    if (stream->error_event() && stream->content_bytes() == 0) {
      // An error of the provider, only told inside a 200: definite, unless the model was at work already.
      attempt.set_error("provider_error");
      if (stream->began() || stream->usage().has_value()) {
        SettleAttempt(request.record, model, attempt, stream->usage(), stream->Estimate(body.size()));
      } else {
        attempt.set_cost_nanos(0);
        attempt.set_estimated(false);
      }
      co_return Failed(Verdict::kRetry, "the provider answered with an error event", CallResult::kFailure);
    }
    permit.Answering(clock.MonotonicMicros());
    result.verdict = Verdict::kAnswered;
    result.answer.head = *std::move(head);
    result.answer.stream = std::move(stream);
    result.answer.call = std::move(call);
    co_return result;
  }

  const bool answered = judged == AttemptVerdict::kAnswered;
  if (answered) permit.Answering(answered_us);
  absl::StatusOr<std::string> whole = co_await call->ReadAll(
      answered ? kUnaryResponseBytesMax : kErrorBodyBytesMax,
      std::min(IdleDeadlineUs(answered_us, answered ? kStreamIdleTimeoutMs : kErrorBodyTimeoutMs),
               request.allowance.deadline_us()));
  AnswerPath::Unary unary;
  if (answered) {
    if (!whole.ok()) co_return broken(*call, whole.status(), EstimateUsage(body.size(), 0));
    absl::StatusOr<AnswerPath::Unary> read = path.Answer(*std::move(whole), context);
    if (!read.ok()) co_return broken(*call, read.status(), EstimateUsage(body.size(), 0));
    unary = *std::move(read);
    if (unary.report.only_error) {
      // Some providers tell what went wrong behind them in a 200: definite, and free unless it says what was used.
      attempt.set_error("provider_error");
      attempt.set_cost_nanos(0);
      attempt.set_estimated(false);
      if (unary.report.usage.has_value()) {
        SettleAttempt(request.record, model, attempt, unary.report.usage, v1::TokenUsage());
      }
      co_return Failed(Verdict::kRetry, "the provider answered with an error", CallResult::kFailure);
    }
    SettleAttempt(request.record, model, attempt, unary.report.usage,
                  EstimateUsage(body.size(), unary.report.content_bytes));
  } else {
    // A definite error costs nothing, unless it says itself what was used.
    attempt.set_cost_nanos(0);
    attempt.set_estimated(false);
    if (whole.ok()) unary = path.Error(head->status, *whole);
    if (unary.report.names_usage) {
      SettleAttempt(request.record, model, attempt, unary.report.usage, EstimateUsage(body.size(), 0));
    }
    attempt.set_error(absl::StrCat("status_", head->status));
    if (request.exchange.client_gone()) co_return Failed(Verdict::kClientGone, "");
  }
  result.health = ResultOfStatus(head->status);
  if (answered || (judged == AttemptVerdict::kClientFault && whole.ok())) {
    result.verdict = Verdict::kAnswered;
    result.answer.head = *std::move(head);
    result.answer.body = std::move(unary.body);
    result.answer.hit_cap = unary.report.hit_cap;
    co_return result;
  }
  result.verdict = judged == AttemptVerdict::kRetry ? Verdict::kRetry : Verdict::kFallback;
  result.failure.message = absl::StrCat("the provider answered ", attempt.status());
  ReadRetryAdvice(*head, whole, clock.UnixMicros(), result);
  co_return result;
}

}  // namespace

std::optional<int64_t> LoweredCap(const ActiveRequest& request, const v1::CompiledElement::Model& model) {
  std::optional<int64_t> granted = request.gate.output_cap();
  if (!granted.has_value()) return std::nullopt;
  const std::optional<int64_t> asked = request.body.output_cap();
  if (model.price().max_output_tokens() > 0) {
    granted = std::min(*granted, model.price().max_output_tokens());
  } else if (!asked.has_value() && *granted >= kUnknownOutputTokensMax) {
    return std::nullopt;  // not lowered, and no figure that the model would know
  }
  if (asked.has_value() && *asked <= *granted) return std::nullopt;
  return granted;
}

void SettleAttempt(RequestRecord& record, const v1::CompiledElement::Model& model, v1::Attempt& attempt,
                   const std::optional<v1::TokenUsage>& usage, const v1::TokenUsage& estimate) {
  std::optional<v1::ModelPrice> timed;
  if (!model.price().times().empty()) timed = PriceAt(model.price(), record.record().start_time_us());
  const v1::ModelPrice& price = timed.has_value() ? *timed : model.price();
  if (usage.has_value()) {
    *attempt.mutable_usage() = *usage;
    attempt.set_cost_nanos(CostNanos(*usage, price));
    attempt.set_estimated(false);
    return;
  }
  *attempt.mutable_usage() = estimate;
  attempt.set_cost_nanos(std::min(CostNanos(attempt.usage(), price), attempt.bound_nanos()));
  attempt.set_estimated(true);
}

asio::awaitable<ModelResult> TryModel(ActiveRequest& request, const v1::CompiledElement& element) {
  const v1::CompiledElement::Model& model = element.model();
  const ActiveSnapshot::Gateway& gateway = request.snapshot.gateways.at(request.route.gateway());
  const auto provider = gateway.providers.find(model.provider());
  if (provider == gateway.providers.end()) {
    co_return NotConfigured(model.provider());
  }
  std::variant<PlannedCall, Refusal> plan = PlanCall(request, model, *provider->second);
  if (auto* refusal = std::get_if<Refusal>(&plan)) co_return std::move(*refusal);
  PlannedCall& planned = std::get<PlannedCall>(plan);
  const Use bound = request.gate.AttemptBound(model);
  const Clock& clock = request.worker.clock;
  AttemptGate attempts(request, element, *provider->second);
  for (;;) {
    AttemptGate::Next next = attempts.Ask();
    if (auto* refusal = std::get_if<Refusal>(&next)) co_return std::move(*refusal);
    if (auto* failure = std::get_if<ModelFailure>(&next)) co_return std::move(*failure);
    if (const auto* wait = std::get_if<AttemptGate::Wait>(&next)) {
      if (!co_await WaitUnlessClientGone(request, wait->us)) co_return ClientGone{};
      continue;
    }
    auto& granted = std::get<AttemptGate::Attempt>(next);
    if (granted.wait_us > 0 && !co_await WaitUnlessClientGone(request, granted.wait_us)) co_return ClientGone{};
    if (!AimAt(granted.endpoint, request.worker.endpoints, planned)) co_return NotConfigured(model.provider());
    // What earlier attempts may have cost stays charged; the next one needs room of its own.
    if (const Use charged = request.record.Used(); charged.nanos > 0 || charged.tokens > 0) {
      Use required;
      required.nanos = AddSaturating(charged.nanos, bound.nanos);
      required.tokens = AddSaturating(charged.tokens, bound.tokens);
      std::optional<Refusal> refusal = co_await request.gate.Extend(required);
      if (refusal.has_value()) co_return *std::move(refusal);
    }
    const int index = request.record.record().attempts_size();
    v1::Attempt& attempt = request.record.AddAttempt();
    attempt.set_element_id(element.id());
    attempt.set_provider(model.provider());
    attempt.set_model(model.model());
    if (provider->second->endpoints_size() > 0) attempt.set_endpoint(granted.endpoint);
    attempt.set_bound_nanos(bound.nanos);
    attempt.set_bound_tokens(bound.tokens);
    AttemptResult result = co_await AttemptOnce(request, element, planned, attempts, granted.permit, attempt, index);
    const int64_t ended_us = clock.MonotonicMicros();
    attempt.set_duration_us(ended_us - request.record.start_us() - attempt.start_us());
    request.worker.metrics.CountAttempt(model.provider(), model.model(),
                                        attempt.error().empty() ? "ok" : attempt.error());
    if (result.verdict == Verdict::kClientGone) co_return ClientGone{};
    if (result.answer.stream != nullptr) {
      result.answer.permit = std::move(granted.permit);
    } else {
      granted.permit.Ended(result.health, ended_us, request.worker.random(), attempt.error(),
                           result.retry_after_us.value_or(0));
    }
    if (result.verdict == Verdict::kAnswered) co_return std::move(result.answer);
    AttemptGate::Failed failed;
    failed.endpoint = std::move(granted.endpoint);
    failed.retry_may_help = result.verdict == Verdict::kRetry;
    failed.other_endpoint_may_help =
        result.health == CallResult::kKeyRefused || result.health == CallResult::kModelMissing;
    failed.retry_after_us = result.retry_after_us;
    failed.failure = std::move(result.failure);
    attempts.OnFailed(std::move(failed));
  }
}

}  // namespace signalbox
