// SimulateRoute: the proxies' own walker over a sample, with assumed answers.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/limits.h"
#include "common/model_price.h"
#include "common/money.h"
#include "common/route/field_ref.h"
#include "common/route/json_tree.h"
#include "common/route/limit_terms.h"
#include "common/route/walker.h"
#include "common/sha256.h"
#include "common/status_macros.h"
#include "controlplane/compiler/compiler.h"
#include "controlplane/compiler/explain.h"
#include "controlplane/compiler/sample_request.h"
#include "controlplane/quota/amount_math.h"
#include "signalbox/v1/quota.pb.h"

namespace signalbox {
namespace {

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

// What the models reachable from a limit can use in its unit, and the output cap the client asked for, as a proxy would
// put them into its question to the quota service.
struct Bounds {
  std::vector<BoundLine> models;
  int64_t asked_cap = 1;
  bool client_cap = false;
};

Bounds BoundsAt(const v1::CompiledRoute& route, const v1::CompiledElement::Limit& limit,
                const SampleRequestView& request) {
  Bounds bounds;
  for (uint32_t index : limit.reachable_models()) {
    const v1::CompiledElement::Model& model = route.elements(static_cast<int>(index)).model();
    const v1::ModelPrice& price = model.price();
    const int64_t sent_bytes = request.body_bytes() + static_cast<int64_t>(model.parameters_json().size());
    v1::AttemptBound bound;
    const DearestRates dearest = DearestRatesOf(price, sent_bytes);
    bound.set_input_nanos(BoundNanos(dearest.request_nanos, 1, sent_bytes, dearest.input_nanos_per_mtok));
    bound.set_output_nanos_per_mtok(dearest.output_nanos_per_mtok);
    bound.set_max_output_tokens(OutputTokensMax(price));
    bound.set_choices(request.choices());
    bound.set_input_tokens(sent_bytes);
    bounds.models.push_back(LineOf(bound, limit.unit()));
    bounds.asked_cap = std::max(bounds.asked_cap, bound.max_output_tokens());
  }
  bounds.client_cap = request.output_cap() > 0;
  if (bounds.client_cap) bounds.asked_cap = request.output_cap();
  return bounds;
}

// The least that must be left of a strict limit for this request.
int64_t LeastHold(const Bounds& bounds) { return MinimumHold(bounds.models, bounds.asked_cap); }

// The cap with which the request passes an unused strict limit: the client's own when it fits, else what fits into
// the share of the limit that one request may take, but never less than the minimum hold needs.
int64_t CapAt(const v1::CompiledElement::Limit& limit, const Bounds& bounds) {
  if (limit.admission() != v1::STRICT || limit.shadow()) return bounds.asked_cap;
  if (bounds.client_cap && LargestBound(bounds.models, bounds.asked_cap) <= limit.limit()) return bounds.asked_cap;
  const int64_t ceiling = std::min(limit.limit(), std::max(limit.limit() / kCapShareOfLimit, LeastHold(bounds)));
  return LargestCap(bounds.models, ceiling, bounds.asked_cap);
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

  // Whether not even the least that this request can use fits under the limit.
  bool NeverFits(const v1::CompiledElement::Limit& limit) const {
    return limit.unit() != v1::REQUESTS && limit.admission() == v1::STRICT &&
           LeastHold(BoundsAt(route_, limit, request_)) > limit.limit();
  }

  // One decision over the chain, as the quota service makes it: limits before the first denial are held, all with the
  // smallest cap that any of them leaves.
  size_t Passed(const CheckLimits& ask) {
    int64_t cap = INT64_MAX;
    size_t passed = 0;
    for (; passed < ask.elements.size(); ++passed) {
      const v1::CompiledElement& element = at(ask.elements[passed]);
      const v1::CompiledElement::Limit& limit = element.limit();
      if (ask.identifiers[passed].empty()) continue;  // a shadow limit that finds nobody
      identifiers_[ask.elements[passed]] = IdentifierText(ask.identifiers[passed]);
      const bool denies = assumed_.denied.count(element.id()) > 0 || NeverFits(limit);
      if (denies && !limit.shadow()) break;
      if (limit.unit() != v1::REQUESTS) cap = std::min(cap, CapAt(limit, BoundsAt(route_, limit, request_)));
    }
    for (size_t i = 0; i < passed; ++i) {
      const v1::CompiledElement::Limit& limit = at(ask.elements[i]).limit();
      if (limit.unit() == v1::REQUESTS || ask.identifiers[i].empty()) continue;
      holds_[ask.elements[i]] = LargestBound(BoundsAt(route_, limit, request_).models, cap);
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
        step.set_reason(element.start().cache_ttl_s() == 0
                            ? std::string("every request starts here")
                            : absl::StrCat("every request starts here; answers are kept for identical requests for ",
                                           element.start().cache_ttl_s(), " s"));
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
    step.set_shadow(limit.shadow());
    if (!refusal.empty()) return step.set_reason(refusal);
    const auto identifier = identifiers_.find(entry.element);
    if (identifier == identifiers_.end()) {
      return step.set_reason(absl::StrCat(KeyText(limit),
                                          " identifies nobody: this shadow limit counts nothing here, "
                                          "and without \"shadow\" the request would be refused with 400"));
    }
    step.set_identifier(identifier->second);
    if (const auto hold = holds_.find(entry.element); hold != holds_.end() && entry.output == "success") {
      limit.unit() == v1::TOKENS ? step.set_hold_tokens(hold->second) : step.set_hold_nanos(hold->second);
    }
    const std::string whose =
        absl::StrCat(LimitText(limit), " for ", KeyText(limit), " ", IdentifierShown(limit, step.identifier()));
    std::string reason;
    if (assumed_.denied.count(element.id()) > 0) {
      reason = absl::StrCat("assumed to be over ", whose);
    } else if (NeverFits(limit)) {
      reason = absl::StrCat("the least this request can ", limit.unit() == v1::TOKENS ? "use" : "cost", ", ",
                            AmountText(limit.unit(), LeastHold(BoundsAt(route_, limit, request_))),
                            ", does not fit into ", whose);
    } else {
      return step.set_reason(absl::StrCat(limit.shadow() ? "shadow: " : "", "within ", whose, UnpricedText(limit)));
    }
    step.set_reason(limit.shadow() ? absl::StrCat("shadow: would deny, but only reports: ", reason) : reason);
  }

  // What a limit that allows it does not count.
  std::string UnpricedText(const v1::CompiledElement::Limit& limit) const {
    if (!limit.allow_unpriced()) return "";
    std::string names;
    for (uint32_t index : limit.reachable_models()) {
      const v1::CompiledElement::Model& model = at(index).model();
      if (model.has_price()) continue;
      absl::StrAppend(&names, names.empty() ? "" : ", ", model.provider(), "/", model.model());
    }
    return names.empty() ? "" : absl::StrCat("; without a price and so not counted: ", names);
  }

  static std::string KeyText(const v1::CompiledElement::Limit& limit) {
    std::string text;
    for (const v1::FieldRef& field : limit.key()) absl::StrAppend(&text, text.empty() ? "" : ", ", FieldRefText(field));
    return text;
  }
  // A combination is JSON already.
  static std::string IdentifierShown(const v1::CompiledElement::Limit& limit, const std::string& identifier) {
    return limit.key_size() > 1 ? identifier : Quoted(identifier);
  }

  const v1::CompiledRoute& route_;
  const SampleRequestView& request_;
  const Assumed& assumed_;
  Walker walker_;
  std::map<uint32_t, std::string> identifiers_;  // by element
  std::map<uint32_t, int64_t> holds_;            // by element, of cost and tokens limits passed
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
