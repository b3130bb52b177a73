#include "dataplane/request/limit_gate.h"

#include <algorithm>
#include <array>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/limits.h"
#include "common/money.h"
#include "common/route/limit_terms.h"
#include "dataplane/http/waiter.h"

namespace signalbox {
namespace {

// `start` begins an operation whose Done runs on the worker's loop: the coroutine resumes within it.
template <typename Start>
asio::awaitable<absl::StatusOr<v1::QuotaAnswer>> AwaitAnswer(Start start) {
  struct Pending {
    Waiter waiter;
    absl::StatusOr<v1::QuotaAnswer> answer = v1::QuotaAnswer();
  };
  auto pending = std::make_shared<Pending>();
  Pending& asked = *pending;  // Done's, as long as it is not done
  start([pending = std::move(pending)](absl::StatusOr<v1::QuotaAnswer> answer) {
    pending->answer = std::move(answer);
    pending->waiter.Wake();
  });
  co_await asked.waiter.Wait();
  co_return std::move(asked.answer);
}

Refusal QuotaUnavailable() {
  return Refusal{503, "quota_unavailable", "the limits of this route cannot be checked right now; try again", "", 1};
}

// A defect of ours or of the service: neither denied nor away, so onError has no say in it.
Refusal NotAccepted(std::string_view why) {
  return Refusal{500, "internal_error",
                 absl::StrCat("the quota service did not accept the limits of this route: ", std::string(why)), ""};
}

bool Holds(const v1::CompiledElement::Limit& limit) { return limit.unit() != v1::REQUESTS; }
bool LowersCap(const v1::CompiledElement::Limit& limit) {
  return Holds(limit) && limit.admission() == v1::STRICT && !limit.shadow();
}
bool DeniesOnError(const v1::CompiledElement::Limit& limit) { return limit.on_error() != v1::ALLOW && !limit.shadow(); }

std::string_view UnitName(v1::Unit unit) {
  return unit == v1::NANO_DOLLARS ? "usd" : unit == v1::TOKENS ? "tokens" : "requests";
}

std::string FormatAmount(v1::Unit unit, int64_t amount) {
  return unit == v1::NANO_DOLLARS ? FormatDollars(amount) : absl::StrCat(amount);
}

int64_t SecondsUntil(int64_t time_us, int64_t now_us) {
  return time_us <= now_us ? 0 : (time_us - now_us + 999'999) / 1'000'000;
}

// What is left after the request's final use. An observed limit's `remaining` does not count holds, a strict one's
// does; at 0 the use may stand above the limit, by an unknown amount, and nothing is given back.
int64_t FinallyRemaining(const v1::CompiledElement::Limit& limit, const v1::LimitState& state, const Use& use) {
  if (!Holds(limit) || (state.remaining() == 0 && limit.shadow())) return state.remaining();
  const int64_t used = limit.unit() == v1::TOKENS ? use.tokens : use.nanos;
  const int64_t held = limit.admission() == v1::STRICT ? state.held() : 0;
  return std::clamp<int64_t>(state.remaining() + held - used, 0, limit.limit());
}

}  // namespace

LimitGate::LimitGate(Worker& worker, const v1::CompiledRoute& route, const RequestBody& body, RequestRecord& record)
    : worker_(worker), route_(route), body_(body), record_(record) {}

const InputBound& LimitGate::InputOf(const v1::CompiledElement::Model& model) {
  if (input_of_ == &model) return input_;
  const size_t sent_bytes = body_.body_bytes() + model.parameters_json().size();
  if (model.has_price()) {
    input_ = BoundInput(body_, sent_bytes, model.price());
  } else {
    v1::ModelPrice unpriced;
    unpriced.set_model(model.model());
    input_ = BoundInput(body_, sent_bytes, unpriced);
  }
  input_of_ = &model;
  return input_;
}

// `bounded_models` are the model elements behind acquire.bounds, in order.
std::optional<Refusal> LimitGate::AddBounds(const v1::CompiledElement& element, v1::Acquire& acquire,
                                            v1::LimitCheck& check, BoundedModels& bounded_models) {
  const v1::CompiledElement::Limit& limit = element.limit();
  for (const uint32_t index : limit.reachable_models()) {
    const v1::CompiledElement::Model& model = at(index).model();
    if (limit.unit() == v1::NANO_DOLLARS && !model.has_price()) {
      if (limit.allow_unpriced() || limit.shadow()) continue;
      return Refusal{403, "unpriced_model",
                     absl::StrCat("element \"", element.id(), "\" limits dollars, and \"", model.provider(), "/",
                                  model.model(), "\" has no price in this gateway: set one, or call another model"),
                     "model"};
    }
    const InputBound& input = InputOf(model);
    if (!input.unbounded.ok() && LowersCap(limit)) {
      return Refusal{
          400, "unbounded_request",
          absl::StrCat("element \"", element.id(), "\" holds ",
                       limit.unit() == v1::TOKENS ? "tokens before they are used" : "money before it is spent",
                       ", and ", std::string(input.unbounded.message())),
          "messages"};
    }
    const auto known = std::find(bounded_models.begin(), bounded_models.end(), index);
    check.add_bounds(static_cast<uint32_t>(known - bounded_models.begin()));
    if (known != bounded_models.end()) continue;
    bounded_models.push_back(index);
    v1::AttemptBound& bound = *acquire.add_bounds();
    bound.set_input_nanos(input.nanos);
    bound.set_input_tokens(input.tokens);
    bound.set_output_nanos_per_mtok(input.output_nanos_per_mtok);
    bound.set_max_output_tokens(OutputTokensMax(model.price()));
    bound.set_choices(body_.choices());
  }
  return std::nullopt;
}

// An empty `counter` becomes that in which the limit counts the identifier.
void LimitGate::FillCounterAt(uint32_t element, const Identifier& identifier, v1::CounterKey& counter) const {
  FillCounter(route_.gateway(), at(element).limit(), counter);
  *counter.mutable_identifier() = identifier;
}

// Fills the worker's question.
std::variant<LimitGate::Checked, Refusal> LimitGate::BuildQuestion(const CheckLimits& asked, Ask ask) {
  Checked checked;
  v1::Acquire& acquire = worker_.question;
  acquire.Clear();
  acquire.set_request_id(record_.request_id());
  BoundedModels bounded_models;
  for (size_t i = 0; i < asked.elements.size(); ++i) {
    const v1::CompiledElement& element = at(asked.elements[i]);
    const v1::CompiledElement::Limit& limit = element.limit();
    if (asked.identifiers[i].empty() || counted_.contains(asked.elements[i])) continue;
    if (ask == Ask::kRequests && Holds(limit)) continue;
    checked.push_back(i);
    v1::LimitCheck& check = *acquire.add_checks();
    FillCounterAt(asked.elements[i], asked.identifiers[i], *check.mutable_counter());
    check.set_limit(limit.limit());
    check.set_admission(limit.admission());
    check.set_shadow(limit.shadow());
    if (!Holds(limit)) continue;
    std::optional<Refusal> refusal = AddBounds(element, acquire, check, bounded_models);
    if (refusal.has_value()) return *std::move(refusal);
  }
  // The models reachable may differ in maximum: the largest is what is asked for when the client names none.
  int64_t asked_cap = 1;  // a budget that leads to no model holds nothing
  for (const v1::AttemptBound& bound : acquire.bounds()) asked_cap = std::max(asked_cap, bound.max_output_tokens());
  acquire.set_client_cap(body_.output_cap().has_value());
  if (body_.output_cap().has_value()) asked_cap = *body_.output_cap();
  if (output_cap_.has_value()) asked_cap = std::min(asked_cap, *output_cap_);
  acquire.set_output_cap(std::max<int64_t>(asked_cap, 1));
  return checked;
}

std::variant<size_t, Refusal> LimitGate::PassWithoutAnswer(const CheckLimits& asked, const Checked& checked) {
  for (const size_t i : checked) {
    if (DeniesOnError(at(asked.elements[i]).limit())) return QuotaUnavailable();
  }
  for (const size_t i : checked) {
    v1::CounterKey counter;
    FillCounterAt(asked.elements[i], asked.identifiers[i], counter);
    const bool granted = std::any_of(granted_.begin(), granted_.end(), [&](const Granted& earlier) {
      v1::CounterKey earlier_counter;
      FillCounterAt(earlier.element, earlier.identifier, earlier_counter);
      return earlier_counter.SerializeAsString() == counter.SerializeAsString();
    });
    if (!granted) record_.ChargeLater(counter);  // once is enough
  }
  return asked.elements.size();
}

// `state` is what the service said; nullptr: it was not asked, or did not answer.
void LimitGate::Note(uint32_t index, const Identifier& identifier, const v1::LimitState* state, bool denied) {
  const v1::CompiledElement& element = at(index);
  v1::LimitPassed& noted = *record_.record().add_limits();
  noted.set_element_id(element.id());
  noted.set_pool(element.limit().pool());
  if (!identifier.empty()) noted.set_identifier(IdentifierText(identifier));
  noted.set_denied(denied);
  // Without "shadow" a request that names nobody is refused too, if with 400.
  noted.set_shadow_denied(identifier.empty() || (state != nullptr && state->shadow_denied()));
  if (noted.shadow_denied()) worker_.metrics.CountShadowDenied(route_.name(), element.id());
  if (record_.record().identifier().empty()) record_.record().set_identifier(noted.identifier());
  if (state != nullptr) seen_.push_back({index, *state, denied});
}

void LimitGate::BeginAgain() {
  passed_over_ = false;
  seen_.erase(seen_.begin() + static_cast<std::ptrdiff_t>(seen_mark_), seen_.end());
  auto& noted = *record_.record().mutable_limits();
  noted.DeleteSubrange(static_cast<int>(noted_mark_), noted.size() - static_cast<int>(noted_mark_));
}

asio::awaitable<std::variant<size_t, Refusal>> LimitGate::Check(CheckLimits asked, Ask ask) {
  if (ask == Ask::kRequests && !passed_over_) {
    seen_mark_ = seen_.size();
    noted_mark_ = static_cast<size_t>(record_.record().limits_size());
  }
  std::variant<Checked, Refusal> built = BuildQuestion(asked, ask);
  if (auto* refusal = std::get_if<Refusal>(&built)) co_return std::move(*refusal);
  const Checked& checked = std::get<Checked>(built);
  absl::StatusOr<v1::QuotaAnswer> answer = v1::QuotaAnswer();
  size_t passed = asked.elements.size();
  if (!checked.empty()) {
    record_.MustSettle();  // whatever becomes of the answer, the service may hold something from here on
    answer =
        co_await AwaitAnswer([&](QuotaClient::Done done) { worker_.quota.Acquire(worker_.question, std::move(done)); });
    if (absl::IsInvalidArgument(answer.status())) {
      co_return NotAccepted({answer.status().message().data(), answer.status().message().size()});
    }
    if (!answer.ok()) {
      std::variant<size_t, Refusal> unanswered = PassWithoutAnswer(asked, checked);
      if (std::holds_alternative<Refusal>(unanswered)) co_return unanswered;
    } else if (answer->result() == v1::QuotaAnswer::DENIED) {
      passed = checked[std::min<size_t>(answer->denied_index(), checked.size() - 1)];
    } else if (answer->result() != v1::QuotaAnswer::GRANTED) {
      co_return NotAccepted(answer->message());
    }
  }
  size_t check = 0;  // the next of the question's
  for (size_t i = 0; i < asked.elements.size() && i <= passed; ++i) {
    const uint32_t index = asked.elements[i];
    const v1::CompiledElement::Limit& limit = at(index).limit();
    const bool in_question = check < checked.size() && checked[check] == i;
    const bool decided = answer.ok() && in_question;
    const v1::LimitState* state = nullptr;
    if (decided && static_cast<int>(check) < answer->limits_size()) state = &answer->limits(static_cast<int>(check));
    if (const auto counted = counted_.find(index); counted != counted_.end() && counted->second.has_value()) {
      state = &*counted->second;
    }
    Note(index, asked.identifiers[i], state, i == passed);
    if (in_question && i < passed) ++check;
    if (ask == Ask::kRequests && i < passed) {
      if (in_question) counted_[index] = state == nullptr ? std::nullopt : std::optional<v1::LimitState>(*state);
      passed_over_ = passed_over_ || Holds(limit);
    }
    if (!decided || i == passed || !Holds(limit)) continue;
    holds_ = true;
    holds_or_denies_ = holds_or_denies_ || DeniesOnError(limit);
    if (LowersCap(limit)) output_cap_ = answer->output_cap();
  }
  if (answer.ok()) {
    for (const size_t i : std::span(checked).first(check)) {
      granted_.push_back({asked.elements[i], std::move(asked.identifiers[i])});
    }
  }
  co_return passed;
}

asio::awaitable<std::optional<Refusal>> LimitGate::Extend(Use required) {
  if (!holds_) co_return std::nullopt;
  v1::Extend extend;
  extend.set_request_id(record_.request_id());
  extend.set_required_nanos(required.nanos);
  extend.set_required_tokens(required.tokens);
  const absl::StatusOr<v1::QuotaAnswer> answer =
      co_await AwaitAnswer([&](QuotaClient::Done done) { worker_.quota.Extend(extend, std::move(done)); });
  if (absl::IsInvalidArgument(answer.status())) {
    co_return NotAccepted({answer.status().message().data(), answer.status().message().size()});
  }
  if (!answer.ok()) {
    if (holds_or_denies_) co_return QuotaUnavailable();
    co_return std::nullopt;  // what is used beyond the hold is settled with it
  }
  if (answer->result() == v1::QuotaAnswer::GRANTED) co_return std::nullopt;
  if (answer->result() != v1::QuotaAnswer::DENIED) co_return NotAccepted(answer->message());
  co_return Refusal{429, "limit_exceeded",
                    "an attempt ended without a known outcome, and the budget has no room for another one", "",
                    std::max(RetryAfterSeconds(), 1)};
}

Use LimitGate::AttemptBound(const v1::CompiledElement::Model& model) {
  const InputBound& input = InputOf(model);
  int64_t cap = OutputTokensMax(model.price());
  if (body_.output_cap().has_value()) cap = std::min(cap, *body_.output_cap());
  if (output_cap_.has_value()) cap = std::min(cap, *output_cap_);
  Use bound;
  bound.tokens = BoundNanos(input.tokens, body_.choices(), cap, kTokensPerPriceUnit);  // a token's price: one token
  if (model.has_price()) {
    bound.nanos = BoundNanos(input.nanos, body_.choices(), cap, input.output_nanos_per_mtok);
  }
  return bound;
}

void LimitGate::AddHeaders(std::optional<Use> final_use, HeaderFields& headers) const {
  const int64_t now_us = worker_.clock.UnixMicros();
  for (const Seen& seen : seen_) {
    const v1::CompiledElement::Limit& limit = at(seen.element).limit();
    const int64_t remaining = final_use.has_value() && !seen.denied ? FinallyRemaining(limit, seen.state, *final_use)
                                                                    : seen.state.remaining();
    const char* shadow = !limit.shadow() ? "" : seen.state.shadow_denied() ? "; shadow=denied" : "; shadow=passed";
    headers.AddOwn("signalbox-limit",
                   absl::StrCat("pool=", HeaderSafe(limit.pool()), "; unit=", std::string(UnitName(limit.unit())),
                                "; limit=", FormatAmount(limit.unit(), limit.limit()),
                                "; remaining=", FormatAmount(limit.unit(), remaining),
                                "; reset=", SecondsUntil(seen.state.reset_us(), now_us), shadow));
  }
}

int LimitGate::RetryAfterSeconds() const {
  const int64_t now_us = worker_.clock.UnixMicros();
  int64_t seconds = 0;
  for (const Seen& seen : seen_) {
    if (!seen.denied) continue;
    const int64_t at_us = seen.state.retry_us() > 0 ? seen.state.retry_us() : seen.state.reset_us();
    const int64_t wait_s = std::clamp<int64_t>(SecondsUntil(at_us, now_us), 1, kWindowSecondsMax);
    seconds = seconds == 0 ? wait_s : std::min(seconds, wait_s);
  }
  return static_cast<int>(seconds);
}

std::string HeaderSafe(std::string_view text) {
  static constexpr std::array<bool, 256> kPlain = [] {
    std::array<bool, 256> plain{};
    for (const char c : std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~/@:-")) {
      plain[static_cast<unsigned char>(c)] = true;
    }
    return plain;
  }();
  const auto is_plain = [](char c) { return kPlain[static_cast<unsigned char>(c)]; };
  if (std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
  std::string safe;
  for (const char c : text) {
    if (is_plain(c)) {
      safe.push_back(c);
    } else {
      absl::StrAppendFormat(&safe, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return safe;
}

}  // namespace signalbox
