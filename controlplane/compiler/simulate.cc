// SimulateRoute: the proxies' own walker over a sample, with assumed answers.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/limits.h"
#include "common/money.h"
#include "common/route/field_ref.h"
#include "common/route/json_tree.h"
#include "common/route/walker.h"
#include "common/sha256.h"
#include "common/status_macros.h"
#include "controlplane/compiler/compiler.h"
#include "controlplane/compiler/explain.h"
#include "controlplane/compiler/sample_request.h"

namespace signalbox {
namespace {

constexpr int64_t kUnknownMaxOutputTokens = 1 << 20;  // of a model whose price names no maximum

struct Assumed {
  std::set<std::string> denied;
  std::set<std::string> failed;
};

absl::StatusOr<Assumed> ReadAssumptions(const v1::CompiledRoute& route, const v1::SimulateAssumptions& assumptions) {
  std::set<std::string> limits, models;
  for (const v1::CompiledElement& element : route.elements()) {
    if (element.has_limit()) limits.insert(element.id());
    if (element.has_model()) models.insert(element.id());
  }
  Assumed assumed;
  for (const std::string& id : assumptions.denied_elements()) {
    if (limits.count(id) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("denied_elements names ", Quoted(id), ", which is no rate element of this route"));
    }
    assumed.denied.insert(id);
  }
  for (const std::string& id : assumptions.failed_elements()) {
    if (models.count(id) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("failed_elements names ", Quoted(id), ", which is no model element of this route"));
    }
    assumed.failed.insert(id);
  }
  return assumed;
}

struct Hold {
  int64_t nanos = 0;
  int64_t minimum_nanos = 0;  // with kMinimumOutputTokens; more than the limit: nothing can pass
};

// The cap a model's own parameters put into the body, as compiled; 0: none.
int64_t ParametersCap(const v1::CompiledElement::Model& model) {
  const nlohmann::json parameters = nlohmann::json::parse(model.parameters_json(), nullptr, false);
  if (!parameters.is_object()) return 0;
  int64_t smallest = 0;
  for (const char* key : {"max_tokens", "max_completion_tokens"}) {
    const auto found = parameters.find(key);
    if (found == parameters.end() || !found->is_number_integer()) continue;
    const int64_t cap = found->get<int64_t>();
    if (cap > 0 && (smallest == 0 || cap < smallest)) smallest = cap;
  }
  return smallest;
}

// What one attempt at `model` would hold of a fresh counter with `limit`.
Hold HoldFor(const v1::CompiledElement::Limit& limit, const v1::CompiledElement::Model& model,
             const SampleRequestView& request) {
  const v1::ModelPrice& price = model.price();
  const int64_t input_nanos = BoundNanos(0, 1, request.body_bytes(), DearestInputPrice(price));
  const int64_t model_max = price.max_output_tokens() > 0 ? price.max_output_tokens() : kUnknownMaxOutputTokens;
  const int64_t parameters_cap = ParametersCap(model);
  const int64_t asked = parameters_cap > 0 ? parameters_cap : request.output_cap();
  const int64_t cap = asked > 0 ? std::min(asked, model_max) : model_max;
  Hold hold;
  hold.minimum_nanos =
      BoundNanos(input_nanos, request.choices(), std::min(cap, kMinimumOutputTokens), price.output_nanos_per_mtok());
  hold.nanos = BoundNanos(input_nanos, request.choices(), cap, price.output_nanos_per_mtok());
  // A cap from the client is lowered only when it does not fit.
  const bool lowered = limit.admission() == v1::STRICT && (asked == 0 || hold.nanos > limit.limit());
  if (lowered) {
    const int64_t share = limit.limit() / kCapShareOfLimit;
    const int64_t fitting = LargestCapWithin(share, input_nanos, request.choices(), price.output_nanos_per_mtok());
    const int64_t lowered_cap = std::min(cap, std::max(fitting, kMinimumOutputTokens));
    hold.nanos = BoundNanos(input_nanos, request.choices(), lowered_cap, price.output_nanos_per_mtok());
  }
  return hold;
}

Hold LargestHold(const v1::CompiledRoute& route, const v1::CompiledElement::Limit& limit,
                 const SampleRequestView& request) {
  Hold largest;
  for (uint32_t index : limit.reachable_models()) {
    const Hold hold = HoldFor(limit, route.elements(static_cast<int>(index)).model(), request);
    largest.nanos = std::max(largest.nanos, hold.nanos);
    largest.minimum_nanos = std::max(largest.minimum_nanos, hold.minimum_nanos);
  }
  return largest;
}

class Simulation {
 public:
  Simulation(const v1::CompiledRoute& route, const SampleRequestView& request, const Assumed& assumed, uint32_t draw)
      : route_(route), request_(request), assumed_(assumed), walker_(route, request, draw) {}

  v1::SimulateResponse Run() {
    Step step = walker_.Next();
    while (!std::holds_alternative<Finish>(step)) {
      if (const auto* ask = std::get_if<CheckLimits>(&step)) {
        step = walker_.OnLimits(Passed(*ask));
      } else {
        const uint32_t model = std::get<CallModel>(step).element;
        const bool answers = assumed_.failed.count(at(model).id()) == 0;
        if (answers) answered_ = &at(model).model();
        step = walker_.OnModel(answers);
      }
    }
    return Respond(std::get<Finish>(step));
  }

 private:
  const v1::CompiledElement& at(uint32_t element) const { return route_.elements(static_cast<int>(element)); }

  bool Fits(const v1::CompiledElement::Limit& limit) const {
    return limit.unit() != v1::NANO_DOLLARS || limit.admission() != v1::STRICT ||
           LargestHold(route_, limit, request_).minimum_nanos <= limit.limit();
  }

  size_t Passed(const CheckLimits& ask) {
    for (size_t i = 0; i < ask.elements.size(); ++i) identifiers_[ask.elements[i]] = IdentifierText(ask.identifiers[i]);
    size_t passed = 0;
    while (passed < ask.elements.size()) {
      const v1::CompiledElement& element = at(ask.elements[passed]);
      if (assumed_.denied.count(element.id()) > 0 || !Fits(element.limit())) break;
      ++passed;
    }
    return passed;
  }

  v1::SimulateResponse Respond(const Finish& finish) {
    v1::SimulateResponse response;
    for (const TrailEntry& entry : walker_.trail()) {
      v1::SimulatedStep& step = *response.add_steps();
      step.set_element_id(at(entry.element).id());
      step.set_output(std::string(entry.output));
      Describe(entry, finish, step);
    }
    response.set_path(walker_.Path());
    if (finish.kind == Finish::Kind::kAnswered) {
      response.set_status(200);
      response.set_provider(answered_->provider());
      response.set_model(answered_->model());
    } else {
      response.set_status(finish.status);
      response.set_error_code(finish.code);
      response.set_message(finish.message);
    }
    return response;
  }

  void Describe(const TrailEntry& entry, const Finish& finish, v1::SimulatedStep& step) const {
    const v1::CompiledElement& element = at(entry.element);
    const bool refused_here = finish.code == "missing_identifier" && entry.output.empty();
    switch (element.kind_case()) {
      case v1::CompiledElement::kStart:
        step.set_type("start");
        step.set_reason("every request starts here");
        break;
      case v1::CompiledElement::kConditional:
        step.set_type("conditional");
        step.set_reason(ExplainCondition(element.conditional().condition(), request_));
        break;
      case v1::CompiledElement::kPercentage:
        step.set_type("percentage");
        step.set_reason(refused_here ? finish.message
                        : element.percentage().has_sticky_key()
                            ? absl::StrCat(FieldRefText(element.percentage().sticky_key()), " always falls into ",
                                           Quoted(entry.output))
                            : absl::StrCat("this sample was drawn into ", Quoted(entry.output)));
        break;
      case v1::CompiledElement::kLimit:
        step.set_type("rate");
        DescribeLimit(entry, refused_here ? finish.message : "", step);
        break;
      case v1::CompiledElement::kModel:
        step.set_type("model");
        step.set_reason(absl::StrCat(element.model().provider(), "/", element.model().model(),
                                     entry.output == "success" ? " answers" : " is assumed to fail"));
        break;
      case v1::CompiledElement::kEnd:
      case v1::CompiledElement::KIND_NOT_SET:
        step.set_type("end");
        step.set_reason(finish.kind == Finish::Kind::kAnswered ? "the client gets the model's answer" : finish.message);
        break;
    }
  }

  void DescribeLimit(const TrailEntry& entry, const std::string& refusal, v1::SimulatedStep& step) const {
    const v1::CompiledElement& element = at(entry.element);
    const v1::CompiledElement::Limit& limit = element.limit();
    step.set_pool(limit.pool());
    if (!refusal.empty()) return step.set_reason(refusal);
    const auto identifier = identifiers_.find(entry.element);
    if (identifier != identifiers_.end()) step.set_identifier(identifier->second);
    const bool cost = limit.unit() == v1::NANO_DOLLARS;
    const std::string amount =
        cost ? absl::StrCat("$", FormatDollars(limit.limit())) : absl::StrCat(limit.limit(), " requests");
    const std::string whose = absl::StrCat(amount, " per ", limit.window_seconds(), " s for ",
                                           FieldRefText(limit.key()), " ", Quoted(step.identifier()));
    if (entry.output == "success") {
      if (cost) step.set_hold_nanos(LargestHold(route_, limit, request_).nanos);
      step.set_reason(absl::StrCat("within ", whose));
    } else if (assumed_.denied.count(element.id()) > 0) {
      step.set_reason(absl::StrCat("assumed to be over ", whose));
    } else {
      step.set_reason(absl::StrCat("the least this request can cost, $",
                                   FormatDollars(LargestHold(route_, limit, request_).minimum_nanos),
                                   ", does not fit into ", whose));
    }
  }

  const v1::CompiledRoute& route_;
  const SampleRequestView& request_;
  const Assumed& assumed_;
  Walker walker_;
  std::map<uint32_t, std::string> identifiers_;
  const v1::CompiledElement::Model* answered_ = nullptr;
};

// The same sample always draws the same share, other samples others.
uint32_t DrawOf(const v1::SampleRequest& request) {
  const std::string digest =
      Sha256(absl::StrCat(request.metadata_json().size(), ":", request.metadata_json(), request.body_json()));
  uint32_t draw = 0;
  for (size_t i = 0; i < 4; ++i) draw = draw << 8 | static_cast<unsigned char>(digest[i]);
  return draw;
}

}  // namespace

absl::StatusOr<v1::SimulateResponse> SimulateRoute(const v1::CompiledRoute& route, const v1::SampleRequest& request,
                                                   const v1::SimulateAssumptions& assumptions) {
  RETURN_IF_ERROR(CheckCompiledRoute(route));
  ASSIGN_OR_RETURN(const Assumed assumed, ReadAssumptions(route, assumptions));
  ASSIGN_OR_RETURN(const std::unique_ptr<SampleRequestView> view, SampleRequestView::Parse(request, route.name()));
  return Simulation(route, *view, assumed, DrawOf(request)).Run();
}

}  // namespace signalbox
