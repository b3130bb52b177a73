#include "dataplane/request/limit_gate.h"

#include <algorithm>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/limits.h"
#include "common/money.h"

namespace signalbox {
namespace {

// `start` begins an operation whose Done may run on any thread; the coroutine resumes on its own executor.
template <typename Start>
asio::awaitable<absl::StatusOr<v1::QuotaAnswer>> AwaitAnswer(Start start) {
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(absl::StatusOr<v1::QuotaAnswer>)>(
      [&start](auto handler) {
        auto executor = asio::get_associated_executor(handler);
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        start([shared, executor, work = asio::make_work_guard(executor)](absl::StatusOr<v1::QuotaAnswer> answer) {
          asio::post(executor,
                     [shared, answer = std::move(answer)]() mutable { std::move (*shared)(std::move(answer)); });
        });
      },
      asio::use_awaitable);
}

Refusal QuotaUnavailable() {
  return Refusal{503, "quota_unavailable", "the limits of this route cannot be checked right now; try again", "", 1};
}

// A defect of ours or of the service: neither denied nor away, so onError has no say in it.
Refusal NotAccepted(std::string_view why) {
  return Refusal{500, "internal_error",
                 absl::StrCat("the quota service did not accept the limits of this route: ", std::string(why)), ""};
}

// The models reachable from a limit may differ in maximum: the largest is what is asked for when the client names none.
constexpr int64_t kUnknownOutputMax = 1 << 20;

int64_t OutputMax(const v1::ModelPrice& price) {
  return price.max_output_tokens() > 0 ? price.max_output_tokens() : kUnknownOutputMax;
}

int64_t InputBoundWithoutParts(size_t bytes, const v1::ModelPrice& price) {
  return BoundNanos(0, 1, static_cast<int64_t>(bytes), DearestInputPrice(price));
}

std::string FormatAmount(v1::Unit unit, int64_t amount) {
  return unit == v1::NANO_DOLLARS ? FormatDollars(amount) : absl::StrCat(amount);
}

}  // namespace

LimitGate::LimitGate(Worker& worker, const v1::CompiledRoute& route, const ChatBody& body, RequestRecord& record)
    : worker_(worker), route_(route), body_(body), record_(record) {}

v1::AttemptBound LimitGate::BoundFor(const v1::CompiledElement::Model& model, int64_t input_nanos) const {
  v1::AttemptBound bound;
  bound.set_input_nanos(input_nanos);
  bound.set_output_nanos_per_mtok(model.price().output_nanos_per_mtok());
  bound.set_max_output_tokens(OutputMax(model.price()));
  bound.set_choices(body_.choices());
  return bound;
}

std::variant<v1::Acquire, Refusal> LimitGate::BuildAcquire(const CheckLimits& asked) const {
  v1::Acquire acquire;
  acquire.set_request_id(record_.request_id());
  std::vector<std::pair<uint32_t, uint32_t>> bound_of_model;  // element -> index
  int64_t asked_cap = 0;
  for (size_t i = 0; i < asked.elements.size(); ++i) {
    const v1::CompiledElement& element = route_.elements(static_cast<int>(asked.elements[i]));
    const v1::CompiledElement::Limit& limit = element.limit();
    v1::LimitCheck& check = *acquire.add_checks();
    v1::CounterKey& counter = *check.mutable_counter();
    counter.set_gateway(route_.gateway());
    counter.set_pool(limit.pool());
    counter.set_unit(limit.unit());
    counter.set_window_seconds(limit.window_seconds());
    counter.set_technique(limit.technique());
    *counter.mutable_identifier() = asked.identifiers[i];
    check.set_limit(limit.limit());
    check.set_admission(limit.admission());
    if (limit.unit() != v1::NANO_DOLLARS) continue;
    for (const uint32_t index : limit.reachable_models()) {
      const v1::CompiledElement::Model& model = route_.elements(static_cast<int>(index)).model();
      if (!model.has_price()) continue;
      const auto known = std::find_if(bound_of_model.begin(), bound_of_model.end(),
                                      [index](const auto& entry) { return entry.first == index; });
      if (known != bound_of_model.end()) {
        check.add_bounds(known->second);
        continue;
      }
      const size_t sent_bytes = body_.body_bytes() + model.parameters_json().size();
      const absl::StatusOr<InputBound> input = BoundInput(body_, sent_bytes, model.price());
      if (!input.ok() && limit.admission() == v1::STRICT) {
        return Refusal{400, "unbounded_request",
                       absl::StrCat("element \"", element.id(), "\" holds money before it is spent, and ",
                                    std::string(input.status().message())),
                       "messages"};
      }
      const int64_t input_nanos = input.ok() ? input->input_nanos : InputBoundWithoutParts(sent_bytes, model.price());
      const auto position = static_cast<uint32_t>(acquire.bounds_size());
      *acquire.add_bounds() = BoundFor(model, input_nanos);
      bound_of_model.emplace_back(index, position);
      check.add_bounds(position);
      asked_cap = std::max(asked_cap, OutputMax(model.price()));
    }
  }
  acquire.set_client_cap(body_.output_cap().has_value());
  if (body_.output_cap().has_value()) asked_cap = *body_.output_cap();
  if (output_cap_.has_value()) asked_cap = std::min(asked_cap, *output_cap_);
  acquire.set_output_cap(std::max<int64_t>(asked_cap, 1));  // a budget that leads to no model holds nothing
  return acquire;
}

std::variant<size_t, Refusal> LimitGate::PassWithoutAnswer(const CheckLimits& asked, const v1::Acquire& acquire) {
  for (const uint32_t index : asked.elements) {
    if (route_.elements(static_cast<int>(index)).limit().on_error() != v1::ALLOW) return QuotaUnavailable();
  }
  for (const v1::LimitCheck& check : acquire.checks()) record_.ChargeLater(check.counter());
  return asked.elements.size();
}

asio::awaitable<std::variant<size_t, Refusal>> LimitGate::Check(const CheckLimits& asked) {
  std::variant<v1::Acquire, Refusal> built = BuildAcquire(asked);
  if (auto* refusal = std::get_if<Refusal>(&built)) co_return std::move(*refusal);
  const v1::Acquire& acquire = std::get<v1::Acquire>(built);
  record_.MustSettle();  // whatever becomes of the answer, the service may hold something from here on
  const absl::StatusOr<v1::QuotaAnswer> answer =
      co_await AwaitAnswer([&](QuotaClient::Done done) { worker_.quota.Acquire(acquire, std::move(done)); });
  size_t passed = 0;
  if (absl::IsInvalidArgument(answer.status())) {
    co_return NotAccepted({answer.status().message().data(), answer.status().message().size()});
  }
  if (!answer.ok()) {
    std::variant<size_t, Refusal> unanswered = PassWithoutAnswer(asked, acquire);
    if (std::holds_alternative<Refusal>(unanswered)) co_return unanswered;
    passed = std::get<size_t>(unanswered);
  } else if (answer->result() == v1::QuotaAnswer::GRANTED) {
    passed = asked.elements.size();
  } else if (answer->result() == v1::QuotaAnswer::DENIED) {
    passed = std::min<size_t>(answer->denied_index(), asked.elements.size() - 1);
  } else {
    co_return NotAccepted(answer->message());
  }
  for (size_t i = 0; i < asked.elements.size() && i <= passed; ++i) {
    const v1::CompiledElement& element = route_.elements(static_cast<int>(asked.elements[i]));
    const bool denied = i == passed;
    v1::LimitPassed& noted = *record_.record().add_limits();
    noted.set_element_id(element.id());
    noted.set_pool(element.limit().pool());
    noted.set_identifier(IdentifierText(asked.identifiers[i]));
    noted.set_denied(denied);
    if (record_.record().identifier().empty()) record_.record().set_identifier(noted.identifier());
    if (!answer.ok()) continue;
    if (static_cast<int>(i) < answer->limits_size()) {
      seen_.push_back({asked.elements[i], answer->limits(static_cast<int>(i)), denied});
    }
    if (!denied && element.limit().unit() == v1::NANO_DOLLARS) {
      holds_money_ = true;
      if (element.limit().admission() == v1::STRICT) output_cap_ = answer->output_cap();
    }
  }
  co_return passed;
}

asio::awaitable<std::optional<Refusal>> LimitGate::Extend(int64_t required_nanos) {
  if (!holds_money_) co_return std::nullopt;
  v1::Extend extend;
  extend.set_request_id(record_.request_id());
  extend.set_required_nanos(required_nanos);
  const absl::StatusOr<v1::QuotaAnswer> answer =
      co_await AwaitAnswer([&](QuotaClient::Done done) { worker_.quota.Extend(extend, std::move(done)); });
  if (!answer.ok()) co_return QuotaUnavailable();
  if (answer->result() == v1::QuotaAnswer::GRANTED) co_return std::nullopt;
  co_return Refusal{429, "limit_exceeded",
                    "an attempt ended without a known outcome, and the budget has no room for another one", "",
                    std::max(RetryAfterSeconds(), 1)};
}

int64_t LimitGate::AttemptBoundNanos(const v1::CompiledElement::Model& model) const {
  if (!model.has_price()) return 0;
  const size_t sent_bytes = body_.body_bytes() + model.parameters_json().size();
  const absl::StatusOr<InputBound> input = BoundInput(body_, sent_bytes, model.price());
  const int64_t input_nanos = input.ok() ? input->input_nanos : InputBoundWithoutParts(sent_bytes, model.price());
  int64_t cap = OutputMax(model.price());
  if (body_.output_cap().has_value()) cap = std::min(cap, *body_.output_cap());
  if (output_cap_.has_value()) cap = std::min(cap, *output_cap_);
  return BoundNanos(input_nanos, body_.choices(), cap, model.price().output_nanos_per_mtok());
}

HttpHeaders LimitGate::Headers(std::optional<int64_t> final_cost_nanos) const {
  HttpHeaders headers;
  const int64_t now_us = worker_.clock.UnixMicros();
  for (const Seen& seen : seen_) {
    const v1::CompiledElement::Limit& limit = route_.elements(static_cast<int>(seen.element)).limit();
    int64_t remaining = seen.state.remaining();
    if (final_cost_nanos.has_value() && limit.unit() == v1::NANO_DOLLARS && !seen.denied) {
      remaining = std::clamp<int64_t>(remaining + seen.state.held() - *final_cost_nanos, 0, limit.limit());
    }
    const int64_t reset_s = std::max<int64_t>(0, (seen.state.reset_us() - now_us + 999'999) / 1'000'000);
    headers.emplace_back("signalbox-limit",
                         absl::StrCat("pool=", HeaderSafe(limit.pool()),
                                      "; unit=", limit.unit() == v1::NANO_DOLLARS ? "usd" : "requests",
                                      "; limit=", FormatAmount(limit.unit(), limit.limit()),
                                      "; remaining=", FormatAmount(limit.unit(), remaining), "; reset=", reset_s));
  }
  return headers;
}

int LimitGate::RetryAfterSeconds() const {
  for (auto seen = seen_.rbegin(); seen != seen_.rend(); ++seen) {
    if (!seen->denied) continue;
    const int64_t wait_us = seen->state.reset_us() - worker_.clock.UnixMicros();
    return static_cast<int>(std::clamp<int64_t>((wait_us + 999'999) / 1'000'000, 1, kWindowSecondsMax));
  }
  return 0;
}

std::string HeaderSafe(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("._~/@:-").find(c) != std::string_view::npos;
    if (plain) {
      safe.push_back(c);
    } else {
      absl::StrAppendFormat(&safe, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return safe;
}

}  // namespace signalbox
