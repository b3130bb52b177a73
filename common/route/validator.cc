#include "common/route/validator.h"

#include <algorithm>
#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/calendar.h"
#include "common/limits.h"
#include "common/provider_kind.h"
#include "common/route/condition.h"
#include "common/route/element_type.h"
#include "common/route/fault_list.h"
#include "common/route/field_ref.h"
#include "common/route/graph.h"
#include "common/route/json_tree.h"
#include "common/route/limit_terms.h"
#include "common/route/quantity.h"
#include "common/route/value_json.h"
#include "google/protobuf/descriptor.h"

namespace signalbox {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Value;

constexpr uint32_t kNoElement = UINT32_MAX;
constexpr int64_t kCountLimitMax = 1'000'000'000'000'000;

bool HasControlCharacters(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

std::string JoinSet(const std::set<std::string>& names) { return names.empty() ? "none" : absl::StrJoin(names, ", "); }

class RouteValidator {
 public:
  RouteValidator(const v1::RouteSpec& spec, const ValidationContext& context) : spec_(spec), context_(context) {}

  std::vector<v1::Fault> Run() {
    CheckName();
    if (spec_.elements_size() > kElementsMax) {
      faults_.Error("too_many_elements", "", "$.elements",
                    absl::StrCat("the route has ", spec_.elements_size(), " elements; the most is ", kElementsMax));
    }
    IndexElements();
    for (index_ = 0; index_ < static_cast<uint32_t>(spec_.elements_size()); ++index_) CheckElement(element());
    CheckStarts();
    CheckPools();
    if (spec_.elements_size() > kElementsMax) return faults_.Take();  // the rest takes time in the square of the size
    CheckShape();
    CheckPrices();
    return faults_.Take();
  }

 private:
  const v1::Element& element() const { return spec_.elements(static_cast<int>(index_)); }
  const v1::Element& at(uint32_t index) const { return spec_.elements(static_cast<int>(index)); }
  static std::string ElementPath(uint32_t index) { return JsonPathItem("$.elements", index); }
  std::string PropertyPath(std::string_view name) const {
    return JsonPathMember(ElementPath(index_) + ".properties", name);
  }
  std::string OutputPath(std::string_view name) const { return JsonPathMember(ElementPath(index_) + ".outputs", name); }
  void Error(std::string_view code, const std::string& path, const std::string& message) {
    faults_.Error(code, element().id(), path, message);
  }
  void PropertyError(std::string_view code, std::string_view property, const std::string& message) {
    Error(code, PropertyPath(property), message);
  }
  void Missing(std::string_view property, const std::string& what) {
    PropertyError("missing_property", property,
                  absl::StrCat("a ", element().type(), " element needs ", Quoted(property), ": ", what));
  }

  void CheckName() {
    const std::string& name = spec_.name();
    if (name.size() > kNameBytesMax) {
      faults_.Error("invalid_name", "", "$.name", absl::StrCat("a route's name has at most ", kNameBytesMax, " bytes"));
    } else if (HasControlCharacters(name) || (!name.empty() && (name.front() == ' ' || name.back() == ' '))) {
      faults_.Error("invalid_name", "", "$.name",
                    "a route's name has no control characters and no space at either end");
    }
  }

  void IndexElements() {
    graph_.resize(static_cast<size_t>(spec_.elements_size()));
    for (index_ = 0; index_ < static_cast<uint32_t>(spec_.elements_size()); ++index_) {
      const std::string& id = element().id();
      const std::string path = ElementPath(index_) + ".id";
      if (id.empty() || id.size() > kNameBytesMax) {
        Error("invalid_id", path, absl::StrCat("an element needs an id of 1 to ", kNameBytesMax, " bytes"));
      } else if (const auto [first, added] = by_id_.emplace(id, index_); !added) {
        Error("duplicate_id", path,
              absl::StrCat("id ", Quoted(id), " is already used by ", ElementPath(first->second)));
        duplicates_.insert(index_);
      }
      if (element().type() == "start") starts_.push_back(index_);
    }
  }

  void CheckElement(const v1::Element& element) {
    const ElementType* type = FindElementType(element.type());
    if (type == nullptr) {
      UnknownType(element);
    } else {
      CheckProperties(*type, element);
      CheckOutputNames(*type, element);
    }
    for (const std::string& name : OrderedOutputs(element)) CheckOutput(name, element.outputs().at(name));
  }

  void UnknownType(const v1::Element& element) {
    std::vector<std::string_view> known;
    for (const ElementType& type : ElementTypes()) known.push_back(type.name);
    const std::string_view nearest = NearestName(element.type(), known);
    Error("unknown_type", ElementPath(index_) + ".type",
          absl::StrCat("unknown element type ", Quoted(element.type()),
                       nearest.empty() ? "" : absl::StrCat("; did you mean ", Quoted(nearest), "?"),
                       " (known: ", JoinNames(known), ")"));
  }

  void CheckProperties(const ElementType& type, const v1::Element& element) {
    const v1::Properties& properties = element.properties();
    std::vector<const FieldDescriptor*> present;
    properties.GetReflection()->ListFields(properties, &present);
    for (const FieldDescriptor* field : present) {
      const std::string_view name = field->json_name();
      if (std::find(type.properties.begin(), type.properties.end(), name) != type.properties.end()) continue;
      std::vector<std::string_view> owners;
      for (const ElementType& other : ElementTypes()) {
        if (std::find(other.properties.begin(), other.properties.end(), name) != other.properties.end()) {
          owners.push_back(other.name);
        }
      }
      PropertyError("misplaced_property", name,
                    absl::StrCat(Quoted(name), " does not belong to a ", std::string(type.name),
                                 " element; it belongs to: ", JoinNames(owners)));
    }
    if (type.name == "start") CheckStart(properties);
    if (type.name == "conditional") CheckConditional(properties);
    if (type.name == "percentage" && properties.has_sticky_key()) CheckFieldName("stickyKey", properties.sticky_key());
    if (type.name == "rate") CheckRate(properties);
    if (type.name == "model") CheckModel(properties);
    if (type.name == "end") CheckEnd(properties);
  }

  void CheckStart(const v1::Properties& p) {
    if (p.cache_ttl() >= 0 && p.cache_ttl() <= kCacheTtlSecondsMax) return;
    PropertyError(
        "invalid_cache_ttl", "cacheTtl",
        absl::StrCat("answers are kept for 0 (not at all) to ", kCacheTtlSecondsMax, " seconds; not ", p.cache_ttl()));
  }

  void CheckConditional(const v1::Properties& properties) {
    if (!properties.has_conditions())
      return Missing("conditions", "an object such as {\"metadata.plan\": {\"$eq\": \"free\"}}");
    BuildCondition(properties.conditions(), element().id(), PropertyPath("conditions"), faults_);
  }

  void CheckFieldName(std::string_view property, const std::string& text) {
    v1::FieldRef field;
    FieldRefFault fault;
    if (!ParseFieldRef(text, field, fault)) PropertyError(fault.code, property, fault.message);
  }

  void CheckChoice(std::string_view property, bool present, const std::string& value, std::string_view code,
                   const std::vector<std::string_view>& choices) {
    if (!present || std::find(choices.begin(), choices.end(), value) != choices.end()) return;
    const std::string_view nearest = NearestName(value, choices);
    PropertyError(code, property,
                  absl::StrCat(Quoted(property), " is ", JoinNames(choices), "; not ", Quoted(value),
                               nearest.empty() ? "" : absl::StrCat("; did you mean ", Quoted(nearest), "?")));
  }

  void CheckRate(const v1::Properties& p) {
    if (!p.has_limit_type()) Missing("limitType", "count, cost or tokens");
    CheckChoice("limitType", p.has_limit_type(), p.limit_type(), "invalid_limit_type", {"count", "cost", "tokens"});
    CheckChoice("technique", p.has_technique(), p.technique(), "invalid_technique", {"fixed", "sliding"});
    CheckChoice("admission", p.has_admission(), p.admission(), "invalid_admission", {"strict", "observed"});
    CheckChoice("onError", p.has_on_error(), p.on_error(), "invalid_on_error", {"allow", "deny"});
    CheckChoice("unpriced", p.has_unpriced(), p.unpriced(), "invalid_unpriced", {"allow", "deny"});
    if (p.has_unpriced() && (p.limit_type() == "count" || p.limit_type() == "tokens")) {
      PropertyError("misplaced_property", "unpriced",
                    absl::StrCat("\"unpriced\" belongs to a cost limit; a ", p.limit_type(), " limit needs no prices"));
    }
    CheckKey(p);
    CheckLimit(p);
    CheckWindow(p);
    if (p.has_pool() && (p.pool().empty() || p.pool().size() > kNameBytesMax || HasControlCharacters(p.pool()))) {
      PropertyError("invalid_pool", "pool",
                    absl::StrCat("a pool's name has 1 to ", kNameBytesMax, " bytes and no control characters"));
    }
    if (p.limit_type() == "count" && p.admission() == "observed") {
      faults_.Warning("admission_without_effect", element().id(), PropertyPath("admission"),
                      "a count limit is exact however it is admitted: a request weighs 1 and holds nothing; remove "
                      "\"admission\"");
    }
  }

  void CheckKey(const v1::Properties& p) {
    if (!p.has_key())
      return Missing("key", "the field that tells one counter from another, such as \"metadata.email\"");
    if (p.key().has_string_value()) return CheckFieldName("key", p.key().string_value());
    if (!p.key().has_list_value()) {
      return PropertyError("invalid_key", "key",
                           "\"key\" is the name of a field, such as \"metadata.email\", or a list of names");
    }
    const auto& items = p.key().list_value().values();
    if (items.empty() || items.size() > kLimitKeyFieldsMax) {
      return PropertyError(
          "invalid_key", "key",
          absl::StrCat("a list of fields has 1 to ", kLimitKeyFieldsMax, " of them; not ", items.size()));
    }
    std::map<std::string, int> first_at;
    for (int i = 0; i < items.size(); ++i) {
      const std::string path = JsonPathItem(PropertyPath("key"), static_cast<size_t>(i));
      if (!items[i].has_string_value()) {
        Error("invalid_key", path, "each item of \"key\" is the name of a field, such as \"metadata.email\"");
        continue;
      }
      v1::FieldRef field;
      FieldRefFault fault;
      if (!ParseFieldRef(items[i].string_value(), field, fault)) {
        Error(fault.code, path, fault.message);
      } else if (const auto [first, added] = first_at.emplace(FieldRefText(field), i); !added) {
        Error("invalid_key", path,
              absl::StrCat(Quoted(items[i].string_value()), " is the same field as item ", first->second,
                           "; name each field once"));
      }
    }
  }

  void CheckLimit(const v1::Properties& p) {
    if (!p.has_limit()) return Missing("limit", "how much each identifier may use per window");
    if (p.limit_type() == "cost") {
      if (!DollarsToNanos(p.limit()).has_value()) {
        PropertyError("invalid_limit", "limit",
                      absl::StrCat("a cost limit is a positive number of dollars, at most ",
                                   kLimitNanosMax / kNanosPerDollar, "; not ", absl::StrFormat("%g", p.limit())));
      }
    } else if (p.limit_type() == "count") {
      CheckWholeLimit(p, "a count limit is a positive whole number of requests", kCountLimitMax);
    } else if (p.limit_type() == "tokens") {
      CheckWholeLimit(p, "a tokens limit is a positive whole number of tokens", kLimitTokensMax);
    } else if (!(p.limit() > 0)) {  // of a type unknown here; positive it is in any case
      PropertyError("invalid_limit", "limit",
                    absl::StrCat("a limit is positive; not ", absl::StrFormat("%g", p.limit())));
    }
  }

  void CheckWholeLimit(const v1::Properties& p, const std::string& wanted, int64_t max) {
    if (WholeNumber(p.limit(), 1, max).has_value()) return;
    PropertyError("invalid_limit", "limit",
                  absl::StrCat(wanted, ", at most ", max, "; not ", absl::StrFormat("%g", p.limit())));
  }

  void CheckWindow(const v1::Properties& p) {
    const bool calendar = ParseCalendar(p.window().string_value()) != v1::CALENDAR_UNSPECIFIED;
    if (!p.has_window()) {
      Missing("window", "the window's length in seconds, such as 86400, or \"day\" or \"month\"");
    } else if (!calendar && ReadWindow(p).seconds == 0) {
      PropertyError("invalid_window", "window",
                    absl::StrCat("a window is a positive whole number of seconds, at most ", kWindowSecondsMax,
                                 ", or \"day\" or \"month\", which follow the calendar; not ", ValueJson(p.window())));
    } else if (calendar && p.technique() == "sliding") {
      PropertyError("invalid_technique", "technique",
                    absl::StrCat("a calendar window does not slide: write \"technique\": \"fixed\", or a window in "
                                 "seconds instead of ",
                                 Quoted(p.window().string_value())));
    }
    if (!p.has_timezone()) return;
    if (p.has_window() && !calendar) {
      PropertyError("invalid_timezone", "timezone",
                    "only a calendar window has a time zone (windows in seconds align to UTC): write \"window\": "
                    "\"day\" or \"month\", or remove \"timezone\"");
    } else if (p.timezone().empty() || !IsTimezone(p.timezone())) {
      PropertyError("invalid_timezone", "timezone",
                    absl::StrCat("unknown time zone ", Quoted(p.timezone()),
                                 "; it is an IANA name such as \"Europe/Berlin\" (without one, days and months are "
                                 "those of UTC)"));
    }
  }

  void CheckModel(const v1::Properties& p) {
    if (p.provider().empty()) {
      Missing("provider", "the name of a configured provider");
    } else if (context_.providers.count(p.provider()) == 0) {
      PropertyError("unknown_provider", "provider", UnknownProvider(p.provider()));
    }
    if (p.model().empty()) {
      Missing("model", "the provider's name of the model");
    } else if (p.model().size() > kNameBytesMax || HasControlCharacters(p.model())) {
      PropertyError("invalid_model", "model",
                    absl::StrCat("a model's name has at most ", kNameBytesMax, " bytes and no control characters"));
    }
    if (p.timeout() < 0 || p.timeout() > kModelTimeoutMsMax) {
      PropertyError("invalid_timeout", "timeout",
                    absl::StrCat("a timeout is 0 (none) to ", kModelTimeoutMsMax, " milliseconds; not ", p.timeout()));
    }
    if (p.retries() < 0 || p.retries() > kModelRetriesMax) {
      PropertyError("invalid_retries", "retries",
                    absl::StrCat("retries are 0 to ", kModelRetriesMax, "; not ", p.retries()));
    }
    CheckChoice("backoff", p.has_backoff(), p.backoff(), "invalid_backoff", {"constant", "linear", "exponential"});
    CheckParameters(p);
  }

  std::string UnknownProvider(const std::string& name) const {
    if (FindKnownProvider(name) != nullptr) {
      return absl::StrCat("provider ", Quoted(name),
                          " is not set up in this gateway (set up: ", JoinSet(context_.providers),
                          "); apply it first: signalboxctl provider apply ", name);
    }
    const std::string_view nearest = NearestName(name, {context_.providers.begin(), context_.providers.end()});
    return absl::StrCat("unknown provider ", Quoted(name),
                        nearest.empty() ? "" : absl::StrCat("; did you mean ", Quoted(nearest), "?"),
                        " (known: ", JoinSet(context_.providers), ")");
  }

  // Keys that decide what the request is or what it may cost are the gateway's: overriding them unseen would make a
  // hold smaller than what is spent.
  void CheckParameters(const v1::Properties& p) {
    const std::string path = PropertyPath("parameters");
    for (std::string_view key : {"model", "messages", "metadata", "n", "stream", "stream_options"}) {
      if (p.parameters().fields().count(std::string(key)) == 0) continue;
      Error("invalid_parameters", JsonPathMember(path, key), absl::StrCat("parameters cannot override ", Quoted(key)));
    }
    for (std::string_view key : {"max_tokens", "max_completion_tokens"}) {
      const auto found = p.parameters().fields().find(std::string(key));
      if (found == p.parameters().fields().end()) continue;
      if (found->second.has_number_value() && WholeNumber(found->second.number_value(), 1, INT32_MAX).has_value())
        continue;
      Error("invalid_parameters", JsonPathMember(path, key),
            absl::StrCat(Quoted(key), " is a positive whole number of tokens"));
    }
  }

  void CheckEnd(const v1::Properties& p) {
    if (p.has_status() && (p.status() < 400 || p.status() > 599)) {
      PropertyError("invalid_status", "status",
                    absl::StrCat("an end's status is an error's, 400 to 599; not ", p.status()));
    }
  }

  void CheckOutputNames(const ElementType& type, const v1::Element& element) {
    if (type.shares) return CheckShares(element);
    std::vector<std::string_view> fitting = type.required_outputs;
    fitting.insert(fitting.end(), type.optional_outputs.begin(), type.optional_outputs.end());
    for (const std::string& name : OrderedOutputs(element)) {
      if (std::find(fitting.begin(), fitting.end(), name) != fitting.end()) continue;
      Error("wrong_output", OutputPath(name),
            absl::StrCat("a ", std::string(type.name), " element has no output ", Quoted(name),
                         " (outputs: ", fitting.empty() ? "none" : JoinNames(fitting), ")"));
    }
    for (std::string_view name : type.required_outputs) {
      if (element.outputs().count(std::string(name)) > 0) continue;
      Error("missing_output", OutputPath(name),
            absl::StrCat("a ", std::string(type.name), " element needs an output ", Quoted(name)));
    }
  }

  void CheckShares(const v1::Element& element) {
    uint64_t sum = 0;
    bool readable = true;
    for (const std::string& name : OrderedOutputs(element)) {
      const std::optional<uint32_t> share = ParseShare(name);
      if (share.has_value()) {
        sum += *share;
        continue;
      }
      readable = false;
      Error("wrong_output", OutputPath(name),
            absl::StrCat("an output of a percentage element is its share, such as \"10%\" or \"33.34% canary\"; not ",
                         Quoted(name)));
    }
    const std::string path = ElementPath(index_) + ".outputs";
    if (element.outputs().empty()) {
      Error("missing_output", path, "a percentage element needs outputs such as \"10%\" and \"90%\"");
    } else if (readable && sum != 10'000) {
      Error("percentages_not_100", path,
            absl::StrFormat("the shares sum to %d.%02d%%, not to 100%%", sum / 100, sum % 100));
    }
  }

  void CheckOutput(const std::string& name, const v1::Output& output) {
    const std::string path = OutputPath(name) + ".elementId";
    if (output.element_id().empty())
      return Error("dangling_output", path,
                   absl::StrCat("output ", Quoted(name), " leads nowhere; it needs \"elementId\""));
    const auto target = by_id_.find(output.element_id());
    if (target == by_id_.end()) {
      return Error("dangling_output", path,
                   absl::StrCat("output ", Quoted(name), " leads to ", Quoted(output.element_id()),
                                ", which is no element of this route"));
    }
    graph_[index_].push_back(target->second);
    if (element().type() == "model" && name == "success" && at(target->second).type() != "end" &&
        FindElementType(at(target->second).type()) != nullptr) {
      Error("model_success_not_end", path,
            absl::StrCat("\"success\" of a model leads to an end element; ", Quoted(output.element_id()), " is a ",
                         at(target->second).type()));
    }
  }

  void CheckStarts() {
    if (starts_.empty()) {
      faults_.Error("no_start", "", "$.elements", "the route has no start element; it needs exactly one");
    }
    for (size_t i = 1; i < starts_.size(); ++i) {
      faults_.Error("two_starts", at(starts_[i]).id(), ElementPath(starts_[i]),
                    absl::StrCat("a second start element; the first is ", ElementPath(starts_[0])));
    }
  }

  void CheckShape() {
    const std::vector<std::vector<uint32_t>> cycles = FindCycles(graph_);
    for (const std::vector<uint32_t>& cycle : cycles) {
      constexpr size_t kNamedMax = 12;
      std::string way;
      for (size_t i = 0; i < std::min(cycle.size(), kNamedMax); ++i)
        absl::StrAppend(&way, Quoted(at(cycle[i]).id()), " -> ");
      if (cycle.size() > kNamedMax) absl::StrAppend(&way, "... -> ");
      faults_.Error("cycle", at(cycle[0]).id(), ElementPath(cycle[0]),
                    absl::StrCat("a cycle: ", way, Quoted(at(cycle[0]).id()), "; a request would never end"));
    }
    if (starts_.empty()) return;  // everything is unreachable, for a reason already named
    const std::vector<bool> reached = Reachable(graph_, starts_);
    for (uint32_t i = 0; i < graph_.size(); ++i) {
      if (!reached[i] && duplicates_.count(i) == 0)
        faults_.Error("unreachable_element", at(i).id(), ElementPath(i), "no way from the start leads here");
    }
    if (cycles.empty()) {
      if (const int longest = LongestPath(graph_, starts_[0]); longest > kRouteDepthMax) {
        faults_.Error(
            "route_too_deep", "", "$.elements",
            absl::StrCat("the longest way from the start passes ", longest, " elements; the most is ", kRouteDepthMax));
      }
    }
  }

  // The first limit of `limit_type` that treats unpriced models so, above each element; kNoElement: none.
  std::vector<uint32_t> LimitedBy(std::string_view limit_type, bool allows_unpriced = false) const {
    std::vector<uint32_t> limited_by(graph_.size(), kNoElement);
    for (uint32_t i = 0; i < graph_.size(); ++i) {
      if (at(i).type() != "rate" || at(i).properties().limit_type() != limit_type) continue;
      if ((at(i).properties().unpriced() == "allow") != allows_unpriced) continue;
      const auto success = at(i).outputs().find("success");
      if (success == at(i).outputs().end()) continue;
      const auto target = by_id_.find(success->second.element_id());
      if (target == by_id_.end()) continue;
      const std::vector<bool> reached = Reachable(graph_, {target->second});
      for (uint32_t j = 0; j < graph_.size(); ++j) {
        if (reached[j] && limited_by[j] == kNoElement) limited_by[j] = i;
      }
    }
    return limited_by;
  }

  // Dollars cannot be held without a price. Tokens can: the bound is then the request's bytes and the cap asked for.
  void CheckPrices() {
    if (!context_.check_prices) return;
    const std::vector<uint32_t> by_cost = LimitedBy("cost"), by_tokens = LimitedBy("tokens");
    const std::vector<uint32_t> by_lax_cost = LimitedBy("cost", /*allows_unpriced=*/true);
    for (index_ = 0; index_ < graph_.size(); ++index_) {
      const v1::Properties& p = element().properties();
      if (element().type() != "model" || p.model().empty()) continue;
      if (context_.providers.count(p.provider()) == 0 || context_.Prices(p.provider(), p.model())) continue;
      const std::string model = absl::StrCat("model ", Quoted(p.model()), " of ", Quoted(p.provider()));
      if (by_cost[index_] != kNoElement) {
        PropertyError("unpriced_model", "model",
                      absl::StrCat(model, " has no price, which the cost limit ", Quoted(at(by_cost[index_]).id()),
                                   " needs; set one, or let such models pass it with \"unpriced\": \"allow\""));
      } else if (by_lax_cost[index_] != kNoElement) {
        faults_.Warning("unpriced_model", element().id(), PropertyPath("model"),
                        absl::StrCat(model, " has no price, so what it is used for counts $0 at the cost limit ",
                                     Quoted(at(by_lax_cost[index_]).id()), ", which allows that"));
      } else if (by_tokens[index_] != kNoElement) {
        faults_.Warning("unknown_output_maximum", element().id(), PropertyPath("model"),
                        absl::StrCat(model, " has no price, so its output maximum is not known and the tokens limit ",
                                     Quoted(at(by_tokens[index_]).id()), " reckons with ", kUnknownOutputTokensMax,
                                     " where the client names no cap; set a price with its maximum"));
      }
    }
  }

  void CheckPools() {
    std::map<std::string_view, uint32_t> first_of;
    for (index_ = 0; index_ < graph_.size(); ++index_) {
      const v1::Properties& p = element().properties();
      if (element().type() != "rate" || p.pool().empty()) continue;
      const auto [entry, added] = first_of.emplace(p.pool(), index_);
      if (added) continue;
      const std::vector<std::string_view> differences = PoolDifferences(at(entry->second).properties(), p);
      if (differences.empty()) continue;
      faults_.Warning("pool_mismatch", element().id(), PropertyPath("pool"),
                      absl::StrCat("pool ", Quoted(p.pool()), " is used by ", Quoted(at(entry->second).id()),
                                   " with another ", JoinNames(differences), ", so the two do not share a counter"));
    }
  }

  // What makes two limits of one pool count apart, but for whose they are: the values found are the request's.
  static std::vector<std::string_view> PoolDifferences(const v1::Properties& a, const v1::Properties& b) {
    std::vector<std::string_view> differences;
    const auto sliding = [](const v1::Properties& p) { return p.technique() == "sliding"; };
    const std::vector<std::string> keys_a = KeyFields(a), keys_b = KeyFields(b);
    if (a.limit_type() != b.limit_type()) differences.push_back("unit");
    if (ReadWindow(a) != ReadWindow(b)) differences.push_back("window");
    if (sliding(a) != sliding(b)) differences.push_back("technique");
    if (keys_a.size() != keys_b.size()) {
      differences.push_back("number of key fields");
    } else if (keys_a != keys_b && std::is_permutation(keys_a.begin(), keys_a.end(), keys_b.begin())) {
      differences.push_back("order of key fields");
    }
    return differences;
  }

  const v1::RouteSpec& spec_;
  const ValidationContext& context_;
  FaultList faults_;
  uint32_t index_ = 0;  // of the element being checked
  std::map<std::string_view, uint32_t> by_id_;
  std::set<uint32_t> duplicates_;  // nothing can lead to these
  std::vector<uint32_t> starts_;
  Graph graph_;
};

bool IsWithin(const std::string& path, const std::string& outer) {
  return path.starts_with(outer) &&
         (path.size() == outer.size() || path[outer.size()] == '.' || path[outer.size()] == '[');
}

// Whether `code` may only follow from what could not be read at `path`: $.elements[3], or its id, type or outputs.
bool MayFollow(std::string_view code, const std::string& path) {
  const size_t end = path.find(']');
  if (!path.starts_with("$.elements[") || end == std::string::npos) return false;
  const std::string rest = path.substr(end + 1);
  if (code == "dangling_output") return rest.empty() || rest == ".id";
  if (code == "no_start") return rest.empty() || rest == ".type";
  return code == "unreachable_element" &&
         (rest.empty() || rest == ".id" || rest == ".type" || rest.starts_with(".outputs"));
}

}  // namespace

const std::set<std::string>& BuiltInProviders() {
  static const auto& names = *new std::set<std::string>([] {
    std::set<std::string> known;
    for (const KnownProvider& provider : KnownProviders()) known.emplace(provider.name);
    return known;
  }());
  return names;
}

std::vector<v1::Fault> ValidateRoute(const v1::RouteSpec& spec, const ValidationContext& context) {
  return RouteValidator(spec, context).Run();
}

CheckedRoute CheckRoute(std::string_view json, const ValidationContext& context) {
  ParsedRoute parsed = ParseRoute(json);
  CheckedRoute checked;
  checked.faults = std::move(parsed.faults);
  const std::vector<std::string>& blamed = parsed.blamed_paths;
  for (v1::Fault& fault : ValidateRoute(parsed.spec, context)) {
    const bool repeats = std::any_of(blamed.begin(), blamed.end(), [&](const std::string& path) {
      return IsWithin(fault.path(), path) || MayFollow(fault.code(), path);
    });
    if (!repeats) checked.faults.push_back(std::move(fault));
  }
  SortFaults(checked.faults);
  checked.compiles = std::none_of(checked.faults.begin(), checked.faults.end(),
                                  [](const v1::Fault& fault) { return fault.severity() == v1::SEVERITY_ERROR; });
  checked.spec = std::move(parsed.spec);
  return checked;
}

}  // namespace signalbox
