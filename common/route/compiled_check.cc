// CheckCompiledRoute and what else is asked of a compiled route's shape.
#include <set>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/model_price.h"
#include "common/route/condition.h"
#include "common/route/field_ref.h"
#include "common/route/graph.h"
#include "common/route/json_tree.h"
#include "common/route/walker.h"

namespace signalbox {
namespace {

Graph GraphOf(const v1::CompiledRoute& route) {
  Graph graph;
  for (const v1::CompiledElement& element : route.elements()) graph.push_back(Targets(element));
  return graph;
}

std::string ConditionalProblem(const v1::CompiledElement::Conditional& conditional) {
  const std::string problem = ConditionProblem(conditional.condition());
  return problem.empty() ? "" : absl::StrCat("has a condition that ", problem);
}

std::string PercentageProblem(const v1::CompiledElement::Percentage& percentage) {
  uint64_t sum = 0;
  for (int i = 0; i < percentage.branches_size(); ++i) {
    const v1::CompiledElement::Branch& branch = percentage.branches(i);
    sum += branch.basis_points();
    // Ordered keys: every proxy puts a bucket into the same branch.
    if (i > 0 && percentage.branches(i - 1).output() >= branch.output()) return "has branches out of order";
  }
  if (sum != 10'000) return "has shares that do not sum to 100%";
  if (!percentage.has_sticky_key()) return "";
  const std::string problem = FieldRefProblem(percentage.sticky_key());
  return problem.empty() ? "" : absl::StrCat("has a sticky key that ", problem);
}

// Whether a time zone is known is the quota service's to know: a proxy only carries its name.
std::string WindowProblem(const v1::CompiledElement::Limit& limit) {
  if (limit.calendar() == v1::CALENDAR_UNSPECIFIED) {
    if (!limit.timezone().empty()) return "has a time zone and no calendar window";
    const bool in_range = limit.window_seconds() > 0 && limit.window_seconds() <= kWindowSecondsMax;
    return in_range ? "" : "has a window out of range";
  }
  if (limit.calendar() != v1::DAY && limit.calendar() != v1::MONTH) return "has an unknown calendar window";
  if (limit.window_seconds() != 0) return "has a calendar window and one in seconds";
  if (limit.technique() != v1::FIXED) return "has a calendar window that slides";
  return limit.timezone().size() > kNameBytesMax ? "has a time zone that is too long" : "";
}

std::string LimitProblem(const v1::CompiledElement::Limit& limit) {
  if (limit.pool().empty()) return "has no pool";
  if (limit.unit() != v1::REQUESTS && limit.unit() != v1::NANO_DOLLARS && limit.unit() != v1::TOKENS) {
    return "counts in an unknown unit";
  }
  if (limit.limit() <= 0) return "has a limit that is not positive";
  if (limit.limit() > (limit.unit() == v1::NANO_DOLLARS ? kLimitNanosMax : kLimitTokensMax)) {
    return "has a limit past the largest";
  }
  if (limit.allow_unpriced() && limit.unit() != v1::NANO_DOLLARS) return "allows unpriced models and counts no dollars";
  if (limit.technique() != v1::FIXED && limit.technique() != v1::SLIDING) return "uses an unknown technique";
  if (const std::string problem = WindowProblem(limit); !problem.empty()) return problem;
  if (limit.admission() != v1::STRICT && limit.admission() != v1::OBSERVED) return "uses an unknown admission";
  if (limit.on_error() != v1::DENY && limit.on_error() != v1::ALLOW) return "has an unknown onError";
  if (limit.key().empty()) return "has no key";
  if (limit.key_size() > kLimitKeyFieldsMax) return "has a key of too many fields";
  for (const v1::FieldRef& key : limit.key()) {
    if (const std::string problem = FieldRefProblem(key); !problem.empty()) {
      return absl::StrCat("has a key that ", problem);
    }
  }
  return "";
}

std::string ModelProblem(const v1::CompiledRoute& route, const v1::CompiledElement::Model& model) {
  if (model.provider().empty() || model.model().empty()) return "names no model";
  if (model.timeout_ms() < 0 || model.timeout_ms() > kModelTimeoutMsMax) return "has a timeout out of range";
  if (model.retries() < 0 || model.retries() > kModelRetriesMax) return "has retries out of range";
  if (!route.elements(static_cast<int>(model.on_success())).has_end()) return "leads to other than an end";
  return model.has_price() ? PriceProblem(model.price()) : "";
}

// Empty when the element, whose targets are in range, is sound by itself.
std::string ElementProblem(const v1::CompiledRoute& route, const v1::CompiledElement& element) {
  switch (element.kind_case()) {
    case v1::CompiledElement::kConditional:
      return ConditionalProblem(element.conditional());
    case v1::CompiledElement::kPercentage:
      return PercentageProblem(element.percentage());
    case v1::CompiledElement::kLimit:
      return LimitProblem(element.limit());
    case v1::CompiledElement::kModel:
      return ModelProblem(route, element.model());
    case v1::CompiledElement::kEnd:
      if (element.end().has_status() && (element.end().status() < 400 || element.end().status() > 599)) {
        return "has a status that is no error's";
      }
      return "";
    case v1::CompiledElement::kStart:
      if (element.start().cache_ttl_s() < 0 || element.start().cache_ttl_s() > kCacheTtlSecondsMax) {
        return "keeps answers for a time out of range";
      }
      return "";
    case v1::CompiledElement::KIND_NOT_SET:
      return "has no kind";
  }
  return "has no kind";
}

}  // namespace

std::vector<uint32_t> Targets(const v1::CompiledElement& element) {
  std::vector<uint32_t> targets;
  switch (element.kind_case()) {
    case v1::CompiledElement::kStart:
      targets = {element.start().next()};
      break;
    case v1::CompiledElement::kConditional:
      targets = {element.conditional().on_true(), element.conditional().on_false()};
      break;
    case v1::CompiledElement::kPercentage:
      for (const v1::CompiledElement::Branch& branch : element.percentage().branches())
        targets.push_back(branch.next());
      break;
    case v1::CompiledElement::kLimit:
      targets = {element.limit().on_success()};
      if (element.limit().has_on_fallback()) targets.push_back(element.limit().on_fallback());
      break;
    case v1::CompiledElement::kModel:
      targets = {element.model().on_success()};
      if (element.model().has_on_fallback()) targets.push_back(element.model().on_fallback());
      break;
    case v1::CompiledElement::kEnd:
    case v1::CompiledElement::KIND_NOT_SET:
      break;
  }
  return targets;
}

std::vector<uint32_t> ReachableModels(const v1::CompiledRoute& route, uint32_t from) {
  const std::vector<bool> reached = Reachable(GraphOf(route), {from});
  std::vector<uint32_t> models;
  for (uint32_t i = 0; i < reached.size(); ++i) {
    if (reached[i] && route.elements(static_cast<int>(i)).has_model()) models.push_back(i);
  }
  return models;
}

absl::Status CheckCompiledRoute(const v1::CompiledRoute& route) {
  const auto bad = [&](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat("route ", Quoted(route.name()), " v", route.version(), ": ", what));
  };
  if (route.gateway().empty() || route.route_id().empty() || route.name().empty()) {
    return bad("it lacks its gateway, id or name");
  }
  if (route.elements().empty() || route.elements_size() > kElementsMax) {
    return bad(absl::StrCat("it has ", route.elements_size(), " elements, not 1 to ", kElementsMax));
  }
  if (!route.elements(0).has_start()) return bad("its first element is no start");
  std::set<std::string_view> ids;
  for (int i = 0; i < route.elements_size(); ++i) {
    const v1::CompiledElement& element = route.elements(i);
    const auto bad_element = [&](const std::string& what) {
      return bad(absl::StrCat("element ", Quoted(element.id()), " ", what));
    };
    if (element.id().empty() || element.id().size() > kNameBytesMax) return bad_element("has no usable id");
    if (!ids.insert(element.id()).second) return bad_element("has the id of another");
    if (i > 0 && element.has_start()) return bad_element("is a second start");
    for (uint32_t target : Targets(element)) {
      if (target >= static_cast<uint32_t>(route.elements_size())) return bad_element("leads out of the route");
    }
    if (const std::string problem = ElementProblem(route, element); !problem.empty()) return bad_element(problem);
  }
  const Graph graph = GraphOf(route);
  if (const auto cycles = FindCycles(graph); !cycles.empty()) {
    return bad(absl::StrCat("element ", Quoted(route.elements(static_cast<int>(cycles[0][0])).id()), " is on a cycle"));
  }
  if (LongestPath(graph, 0) > kRouteDepthMax)
    return bad(absl::StrCat("it is more than ", kRouteDepthMax, " elements deep"));
  for (const v1::CompiledElement& element : route.elements()) {
    if (!element.has_limit()) continue;
    // A hold is the largest bound over these: one too few would be money held too low.
    const std::vector<uint32_t> models = ReachableModels(route, element.limit().on_success());
    const auto& listed = element.limit().reachable_models();
    if (!std::equal(models.begin(), models.end(), listed.begin(), listed.end())) {
      return bad(absl::StrCat("element ", Quoted(element.id()), " lists other models than it can reach"));
    }
  }
  return absl::OkStatus();
}

}  // namespace signalbox
