#include "controlplane/compiler/compiler.h"

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/faults.h"
#include "common/route/condition.h"
#include "common/route/deterministic.h"
#include "common/route/element_type.h"
#include "common/route/fault_list.h"
#include "common/route/field_ref.h"
#include "common/route/graph.h"
#include "common/route/json_tree.h"
#include "common/route/limit_terms.h"
#include "common/route/quantity.h"
#include "common/route/validator.h"
#include "common/route/value_json.h"
#include "common/route/walker.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

// What the spec itself names counts as known: providers are checked where they are configured. Prices are asked for.
ValidationContext OwnContext(const v1::RouteSpec& spec, const PriceLookup& prices) {
  ValidationContext context;
  for (const v1::Element& element : spec.elements()) {
    const v1::Properties& p = element.properties();
    if (element.type() != "model") continue;
    context.providers.insert(p.provider());
    if (prices && prices(p.provider(), p.model()).has_value()) context.priced_models.insert({p.provider(), p.model()});
  }
  return context;
}

class RouteCompiler {
 public:
  RouteCompiler(const RouteIdentity& identity, const v1::RouteSpec& spec, const PriceLookup& prices)
      : identity_(identity), spec_(spec), prices_(prices) {}

  // `spec_` has passed ValidateRoute, so every lookup below finds what it looks for.
  v1::CompiledRoute Compile() {
    OrderElements();
    v1::CompiledRoute route;
    route.set_gateway(identity_.gateway);
    route.set_route_id(identity_.route_id);
    route.set_name(identity_.name);
    route.set_version(identity_.version);
    for (const v1::Element* element : ordered_) *route.add_elements() = CompileElement(*element);
    for (v1::CompiledElement& element : *route.mutable_elements()) {
      if (!element.has_limit()) continue;
      for (uint32_t model : ReachableModels(route, element.limit().on_success())) {
        element.mutable_limit()->add_reachable_models(model);
      }
    }
    return route;
  }

 private:
  void OrderElements() {
    std::map<std::string_view, uint32_t> authored;
    uint32_t start = 0;
    for (int i = 0; i < spec_.elements_size(); ++i) {
      authored.emplace(spec_.elements(i).id(), static_cast<uint32_t>(i));
      if (spec_.elements(i).type() == "start") start = static_cast<uint32_t>(i);
    }
    Graph graph(static_cast<size_t>(spec_.elements_size()));
    for (size_t i = 0; i < graph.size(); ++i) {
      const v1::Element& element = spec_.elements(static_cast<int>(i));
      for (const std::string& name : OrderedOutputs(element)) {
        graph[i].push_back(authored.at(element.outputs().at(name).element_id()));
      }
    }
    for (uint32_t index : TopologicalOrder(graph, start)) {
      const v1::Element& element = spec_.elements(static_cast<int>(index));
      place_.emplace(element.id(), static_cast<uint32_t>(ordered_.size()));
      ordered_.push_back(&element);
    }
  }

  uint32_t Target(const v1::Element& element, const std::string& output) const {
    return place_.at(element.outputs().at(output).element_id());
  }

  v1::CompiledElement CompileElement(const v1::Element& element) const {
    v1::CompiledElement compiled;
    compiled.set_id(element.id());
    if (element.type() == "start") {
      compiled.mutable_start()->set_next(Target(element, "next"));
      compiled.mutable_start()->set_cache_ttl_s(element.properties().cache_ttl());
    } else if (element.type() == "conditional") {
      CompileConditional(element, *compiled.mutable_conditional());
    } else if (element.type() == "percentage") {
      CompilePercentage(element, *compiled.mutable_percentage());
    } else if (element.type() == "rate") {
      CompileLimit(element, *compiled.mutable_limit());
    } else if (element.type() == "model") {
      CompileModel(element, *compiled.mutable_model());
    } else {
      v1::CompiledElement::End& end = *compiled.mutable_end();
      if (element.properties().has_status()) end.set_status(element.properties().status());
      if (element.properties().has_message()) end.set_message(element.properties().message());
    }
    return compiled;
  }

  void CompileConditional(const v1::Element& element, v1::CompiledElement::Conditional& conditional) const {
    FaultList none;
    *conditional.mutable_condition() = BuildCondition(element.properties().conditions(), element.id(), "$", none);
    conditional.set_on_true(Target(element, "true"));
    conditional.set_on_false(Target(element, "false"));
  }

  static v1::FieldRef Field(const std::string& text) {
    v1::FieldRef field;
    FieldRefFault none;
    ParseFieldRef(text, field, none);
    return field;
  }

  void CompilePercentage(const v1::Element& element, v1::CompiledElement::Percentage& percentage) const {
    std::vector<std::string> outputs = OrderedOutputs(element);
    std::sort(outputs.begin(), outputs.end());
    for (const std::string& output : outputs) {
      v1::CompiledElement::Branch& branch = *percentage.add_branches();
      branch.set_output(output);
      branch.set_basis_points(ParseShare(output).value_or(0));
      branch.set_next(Target(element, output));
    }
    if (element.properties().has_sticky_key())
      *percentage.mutable_sticky_key() = Field(element.properties().sticky_key());
  }

  // A shadow limit keeps what it would do without `shadow`: the day it counts for real changes one property.
  void CompileLimit(const v1::Element& element, v1::CompiledElement::Limit& limit) const {
    const v1::Properties& p = element.properties();
    limit.set_pool(p.has_pool() ? p.pool() : absl::StrCat(identity_.route_id, "/", element.id()));
    if (p.limit_type() == "cost") {
      limit.set_unit(v1::NANO_DOLLARS);
      limit.set_limit(DollarsToNanos(p.limit()).value_or(0));
    } else {
      limit.set_unit(p.limit_type() == "tokens" ? v1::TOKENS : v1::REQUESTS);
      limit.set_limit(static_cast<int64_t>(p.limit()));
    }
    const LimitWindow window = ReadWindow(p);
    limit.set_window_seconds(window.seconds);
    limit.set_calendar(window.calendar);
    limit.set_timezone(window.timezone);
    limit.set_technique(p.technique() == "sliding" ? v1::SLIDING : v1::FIXED);
    limit.set_admission(p.admission() == "observed" ? v1::OBSERVED : v1::STRICT);
    const v1::OnError by_default = limit.unit() == v1::REQUESTS ? v1::ALLOW : v1::DENY;
    limit.set_on_error(!p.has_on_error() ? by_default : p.on_error() == "allow" ? v1::ALLOW : v1::DENY);
    limit.set_shadow(p.shadow());
    limit.set_allow_unpriced(p.unpriced() == "allow");
    for (const std::string& field : KeyFields(p)) *limit.add_key() = Field(field);
    limit.set_on_success(Target(element, "success"));
    if (element.outputs().count("fallback") > 0) limit.set_on_fallback(Target(element, "fallback"));
  }

  void CompileModel(const v1::Element& element, v1::CompiledElement::Model& model) const {
    const v1::Properties& p = element.properties();
    model.set_provider(p.provider());
    model.set_model(p.model());
    model.set_timeout_ms(p.timeout());
    model.set_retries(p.retries());
    if (!p.parameters().fields().empty()) model.set_parameters_json(StructJson(p.parameters()));
    model.set_backoff(p.backoff());
    if (prices_) {
      if (std::optional<v1::ModelPrice> price = prices_(p.provider(), p.model()); price.has_value()) {
        *model.mutable_price() = *std::move(price);
      }
    }
    model.set_on_success(Target(element, "success"));
    if (element.outputs().count("fallback") > 0) model.set_on_fallback(Target(element, "fallback"));
  }

  const RouteIdentity& identity_;
  const v1::RouteSpec& spec_;
  const PriceLookup& prices_;
  std::vector<const v1::Element*> ordered_;
  std::map<std::string_view, uint32_t> place_;
};

}  // namespace

absl::StatusOr<v1::CompiledRoute> CompileRoute(const RouteIdentity& identity, const v1::RouteSpec& spec,
                                               const PriceLookup& prices) {
  const std::vector<v1::Fault> faults = ValidateRoute(spec, OwnContext(spec, prices));
  if (std::any_of(faults.begin(), faults.end(),
                  [](const v1::Fault& fault) { return fault.severity() == v1::SEVERITY_ERROR; })) {
    return StatusWithFaults(absl::StatusCode::kFailedPrecondition,
                            absl::StrCat("route ", Quoted(identity.name), " v", identity.version,
                                         " does not compile:\n", FormatFaults(faults)),
                            faults);
  }
  v1::CompiledRoute route = RouteCompiler(identity, spec, prices).Compile();
  // The same property that every proxy asserts before it walks.
  if (const absl::Status status = CheckCompiledRoute(route); !status.ok()) {
    return absl::FailedPreconditionError(status.message());
  }
  return route;
}

std::string SerializeDeterministic(const google::protobuf::MessageLite& message) { return DeterministicBytes(message); }

}  // namespace signalbox
