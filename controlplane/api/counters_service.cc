#include "controlplane/api/counters_service.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/limits.h"
#include "common/route/field_ref.h"
#include "common/route/limit_terms.h"
#include "common/seal/seal.h"
#include "common/status_macros.h"
#include "controlplane/api/answer.h"
#include "controlplane/api/input.h"
#include "controlplane/api/limit_lookup.h"
#include "controlplane/api/pages.h"
#include "controlplane/api/quota_connection.h"
#include "controlplane/api/token_authority.h"

namespace signalbox {
namespace {

template <typename Request>
LimitName NameOf(const Request& request) {
  return LimitName{request.gateway(), request.route(), request.element(), request.pool()};
}

// The counter an operator means, and the limit it is compared with where that is known.
struct Target {
  v1::CounterKey key;
  std::optional<int64_t> limit;
};

v1::LimitCounter Present(const v1::Counter& counter, const std::optional<int64_t>& limit) {
  v1::LimitCounter shown;
  shown.set_identifier(IdentifierText(counter.key().identifier()));
  *shown.mutable_counter() = counter;
  if (limit.has_value()) {
    shown.set_limit(*limit);
    shown.set_remaining(std::max<int64_t>(0, *limit - counter.used()));
  }
  return shown;
}

v1::CounterAdjustment Present(const v1::Adjustment& adjustment, const std::optional<int64_t>& limit) {
  v1::CounterAdjustment shown;
  shown.set_adjustment_id(adjustment.request().adjustment_id());
  shown.set_time_us(adjustment.time_us());
  shown.set_who(adjustment.request().who());
  shown.set_why(adjustment.request().why());
  shown.set_reset(adjustment.request().reset());
  shown.set_amount(adjustment.request().delta());
  *shown.mutable_before() = Present(adjustment.before(), limit);
  *shown.mutable_after() = Present(adjustment.after(), limit);
  return shown;
}

absl::Status SeveralKinds(const std::string& pool, const std::vector<std::string>& kinds) {
  return absl::FailedPreconditionError(absl::StrCat("pool \"", pool,
                                                    "\" has counters of several units or windows; name the limit by "
                                                    "route and element: ",
                                                    absl::StrJoin(kinds, "; ")));
}

// Before a deployed limit is looked for: what is counted in a pool that no route uses any more.
absl::StatusOr<Target> FindCounted(const QuotaConnection& quota, const LimitName& name, const Identifier& identifier) {
  v1::ListCountersRequest request;
  request.set_gateway(name.gateway);
  request.set_pool(name.pool);
  *request.mutable_identifier() = identifier;
  ASSIGN_OR_RETURN(const v1::ListCountersResponse counted, quota.Call(&v1::Quota::Stub::ListCounters, request));
  if (counted.counters().empty()) {
    return absl::NotFoundError(absl::StrCat("no deployed route has a limit in pool \"", name.pool,
                                            "\", and nothing is counted there for ", IdentifierText(identifier)));
  }
  if (counted.counters_size() == 1) return Target{counted.counters(0).key(), std::nullopt};
  std::vector<std::string> kinds;
  for (const v1::Counter& counter : counted.counters()) kinds.push_back(DescribeKind(counter.key()));
  return SeveralKinds(name.pool, kinds);
}

absl::Status CheckFields(const DeployedLimit& limit, const Identifier& identifier) {
  if (limit.key_fields.empty() || static_cast<size_t>(identifier.size()) == limit.key_fields.size()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("identifier: has ", identifier.size(), " values, and the key of ",
                                                 limit.elements[0], " has ", limit.key_fields.size(), ": ",
                                                 absl::StrJoin(limit.key_fields, ", ")));
}

template <typename Request>
absl::StatusOr<Target> FindTarget(const OperatorDeps& deps, const Request& request) {
  const LimitName name = NameOf(request);
  ASSIGN_OR_RETURN(const std::vector<DeployedLimit> limits, FindLimits(*deps.store, name));
  ASSIGN_OR_RETURN(const Identifier identifier, ParseIdentifier(request.identifier(), request.identifier_type()));
  if (identifier.empty()) return absl::InvalidArgumentError("identifier: is missing: whose counter?");
  if (limits.empty()) return FindCounted(*deps.quota, name, identifier);
  if (limits.size() > 1) {
    std::vector<std::string> kinds;
    for (const DeployedLimit& limit : limits) {
      kinds.push_back(absl::StrCat(limit.elements[0], " (", DescribeKind(limit.key), ")"));
    }
    return SeveralKinds(name.pool, kinds);
  }
  RETURN_IF_ERROR(CheckFields(limits[0], identifier));
  Target target{limits[0].key, limits[0].limit};
  *target.key.mutable_identifier() = identifier;
  return target;
}

absl::Status CheckWhy(const std::string& why) {
  if (absl::StripAsciiWhitespace(why).empty()) {
    return absl::InvalidArgumentError("why: is missing: say why, it is kept with the adjustment");
  }
  if (why.size() > kQuotaReasonBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("why: is over ", kQuotaReasonBytesMax, " bytes"));
  }
  return absl::OkStatus();
}

// What resetting and adjusting have in common. `change` is completed with who, why and whose.
template <typename Request>
absl::StatusOr<v1::CounterAdjustment> Change(const OperatorDeps& deps, const Caller& caller, const Request& request,
                                             const Target& target, v1::AdjustCounterRequest change) {
  RETURN_IF_ERROR(CheckWhy(request.why()));
  if (request.adjustment_id().size() > kQuotaIdBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("adjustment_id: is over ", kQuotaIdBytesMax, " bytes"));
  }
  change.set_adjustment_id(request.adjustment_id().empty() ? NewUuid() : request.adjustment_id());
  *change.mutable_key() = target.key;
  change.set_who(absl::StrCat(caller.name, " (", caller.token_id, ")"));
  change.set_why(request.why());
  ASSIGN_OR_RETURN(const v1::Adjustment made, deps.quota->Call(&v1::Quota::Stub::AdjustCounter, change));
  return Present(made, target.limit);
}

const char* LimitType(v1::Unit unit) {
  return unit == v1::NANO_DOLLARS ? "cost" : unit == v1::TOKENS ? "tokens" : "count";
}

v1::DeployedRateLimit Present(const v1::CompiledRoute& route, const v1::CompiledElement& element) {
  const v1::CompiledElement::Limit& limit = element.limit();
  v1::DeployedRateLimit shown;
  shown.set_route(route.name());
  shown.set_route_id(route.route_id());
  shown.set_version(route.version());
  shown.set_element_id(element.id());
  shown.set_limit_type(LimitType(limit.unit()));
  shown.set_unit(limit.unit());
  shown.set_limit(limit.limit());
  shown.set_window(WindowText(CounterOf(route.gateway(), limit)));
  shown.set_window_seconds(limit.window_seconds());
  shown.set_calendar(limit.calendar());
  shown.set_timezone(limit.timezone());
  shown.set_technique(limit.technique());
  shown.set_admission(limit.admission());
  shown.set_pool(limit.pool());
  for (const v1::FieldRef& field : limit.key()) shown.add_key(FieldRefText(field));
  shown.set_shadow(limit.shadow());
  return shown;
}

// The fullest counters of pools, each pool asked for once: several limits may share one.
class FullestCounters {
 public:
  explicit FullestCounters(const QuotaConnection& quota) : quota_(quota) {}

  absl::Status AddTo(const v1::CounterKey& key, v1::DeployedRateLimit& shown) {
    ASSIGN_OR_RETURN(const v1::ListCountersResponse* counted, OfPool(key, kAsked));
    if (!Matches(*counted, key) && counted->counters_in_pool() > kAsked) {  // others of the pool came first
      ASSIGN_OR_RETURN(counted, OfPool(key, kPageSizeMax));
    }
    shown.set_counters(counted->counters_in_pool());
    for (const v1::Counter& counter : counted->counters()) {
      if (!SharesCounters(key, counter.key())) continue;
      *shown.add_fullest() = Present(counter, shown.limit());
      if (shown.fullest_size() == kShown) break;
    }
    return absl::OkStatus();
  }

 private:
  static constexpr int kShown = 3;
  static constexpr int kAsked = 20;

  static bool Matches(const v1::ListCountersResponse& counted, const v1::CounterKey& key) {
    return std::count_if(counted.counters().begin(), counted.counters().end(),
                         [&](const v1::Counter& counter) { return SharesCounters(key, counter.key()); }) >= kShown;
  }

  absl::StatusOr<const v1::ListCountersResponse*> OfPool(const v1::CounterKey& key, int asked) {
    const auto [known, added] = pools_.try_emplace({key.pool(), asked});
    if (!added) return &known->second;
    v1::ListCountersRequest ask;
    ask.set_gateway(key.gateway());
    ask.set_pool(key.pool());
    ask.set_page_size(asked);
    absl::StatusOr<v1::ListCountersResponse> counted = quota_.Call(&v1::Quota::Stub::ListCounters, ask);
    // Without a quota service nothing is counted; the limits are there all the same.
    if (!counted.ok() && !absl::IsFailedPrecondition(counted.status())) return counted.status();
    if (counted.ok()) known->second = *std::move(counted);
    return &known->second;
  }

  const QuotaConnection& quota_;
  std::map<std::pair<std::string, int>, v1::ListCountersResponse> pools_;
};

}  // namespace

grpc::Status CountersService::ListLimits(grpc::ServerContext* context, const v1::ListLimitsRequest* request,
                                         v1::ListLimitsResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::ListLimitsResponse> {
    const std::string listing = absl::StrCat("limits/", request->gateway());
    ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
    ASSIGN_OR_RETURN(const std::string after, DecodePageToken(listing, request->page_token()));
    ASSIGN_OR_RETURN(const std::vector<v1::CompiledRoute> routes, DeployedRoutes(*deps_.store, request->gateway()));
    FullestCounters fullest(*deps_.quota);
    v1::ListLimitsResponse answer;
    std::string last;
    for (const v1::CompiledRoute& route : routes) {
      for (int i = 0; i < route.elements_size(); ++i) {
        if (!route.elements(i).has_limit()) continue;
        // Ordered as the limits are: a separator below every character of a name, then the element's place.
        const std::string cursor = absl::StrFormat("%s\x01%06d", route.name(), i);
        if (cursor <= after) continue;
        if (answer.limits_size() == size) {
          answer.set_next_page_token(EncodePageToken(listing, last));
          return answer;
        }
        v1::DeployedRateLimit shown = Present(route, route.elements(i));
        RETURN_IF_ERROR(fullest.AddTo(CounterOf(route.gateway(), route.elements(i).limit()), shown));
        *answer.add_limits() = std::move(shown);
        last = cursor;
      }
    }
    return answer;
  });
}

grpc::Status CountersService::ListCounters(grpc::ServerContext* context, const v1::ListLimitCountersRequest* request,
                                           v1::ListLimitCountersResponse* response) {
  return Answer(
      *context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::ListLimitCountersResponse> {
        ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
        const LimitName name = NameOf(*request);
        ASSIGN_OR_RETURN(const std::vector<DeployedLimit> limits, FindLimits(*deps_.store, name));
        const bool of_element = name.pool.empty();
        v1::ListCountersRequest ask;
        ask.set_gateway(name.gateway);
        ask.set_pool(of_element ? limits[0].key.pool() : name.pool);
        ASSIGN_OR_RETURN(*ask.mutable_identifier(), ParseIdentifier(request->identifier(), request->identifier_type()));
        ask.set_page_size(of_element ? kPageSizeMax : size);  // a pool may hold others' counters too
        ASSIGN_OR_RETURN(const v1::ListCountersResponse counted,
                         deps_.quota->Call(&v1::Quota::Stub::ListCounters, ask));
        v1::ListLimitCountersResponse answer;
        answer.set_pool(ask.pool());
        answer.set_counters_in_pool(counted.counters_in_pool());
        for (const v1::Counter& counter : counted.counters()) {
          const auto limit = std::find_if(limits.begin(), limits.end(), [&](const DeployedLimit& candidate) {
            return SharesCounters(candidate.key, counter.key());
          });
          if (of_element && limit == limits.end()) continue;
          if (answer.counters_size() == size) break;
          *answer.add_counters() = Present(counter, limit == limits.end() ? std::nullopt : limit->limit);
        }
        return answer;
      });
}

grpc::Status CountersService::GetCounter(grpc::ServerContext* context, const v1::GetLimitCounterRequest* request,
                                         v1::LimitCounter* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::LimitCounter> {
    ASSIGN_OR_RETURN(const Target target, FindTarget(deps_, *request));
    v1::GetCounterRequest ask;
    *ask.mutable_counter() = target.key;
    ASSIGN_OR_RETURN(const v1::Counter counter, deps_.quota->Call(&v1::Quota::Stub::GetCounter, ask));
    return Present(counter, target.limit);
  });
}

grpc::Status CountersService::ResetCounter(grpc::ServerContext* context, const v1::ResetCounterRequest* request,
                                           v1::CounterAdjustment* response) {
  return Answer(*context, deps_, *request, response,
                [&](const Caller& caller) -> absl::StatusOr<v1::CounterAdjustment> {
                  ASSIGN_OR_RETURN(const Target target, FindTarget(deps_, *request));
                  v1::AdjustCounterRequest change;
                  change.set_reset(true);
                  return Change(deps_, caller, *request, target, std::move(change));
                });
}

grpc::Status CountersService::AdjustCounter(grpc::ServerContext* context, const v1::AdjustLimitCounterRequest* request,
                                            v1::CounterAdjustment* response) {
  return Answer(*context, deps_, *request, response,
                [&](const Caller& caller) -> absl::StatusOr<v1::CounterAdjustment> {
                  ASSIGN_OR_RETURN(const Target target, FindTarget(deps_, *request));
                  v1::AdjustCounterRequest change;
                  ASSIGN_OR_RETURN(const int64_t amount, ParseAmount(request->amount(), target.key.unit()));
                  change.set_delta(amount);
                  return Change(deps_, caller, *request, target, std::move(change));
                });
}

// The quota service lists them oldest first and keeps a bounded number: all are read, then the page is cut.
grpc::Status CountersService::ListAdjustments(grpc::ServerContext* context,
                                              const v1::ListCounterAdjustmentsRequest* request,
                                              v1::ListCounterAdjustmentsResponse* response) {
  return Answer(
      *context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::ListCounterAdjustmentsResponse> {
        const std::string listing = absl::StrCat("adjustments/", request->gateway(), "/", request->pool(), "/",
                                                 absl::StrJoin(request->identifier(), "/"));
        ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
        ASSIGN_OR_RETURN(const int64_t before, DecodeNumberToken(listing, request->page_token()));
        RETURN_IF_ERROR(
            deps_.store->routes().List(request->gateway(), "", 1).status());  // an unknown gateway is an error
        std::vector<v1::Adjustment> found;
        v1::ListAdjustmentsRequest ask;
        ask.set_page_size(kPageSizeMax);
        while (true) {
          ASSIGN_OR_RETURN(const v1::ListAdjustmentsResponse page,
                           deps_.quota->Call(&v1::Quota::Stub::ListAdjustments, ask));
          if (page.adjustments().empty()) break;
          for (const v1::Adjustment& adjustment : page.adjustments()) {
            if (adjustment.sequence() <= ask.after_sequence()) {
              return absl::DataLossError("the quota service's adjustments are not in order");
            }
            ask.set_after_sequence(adjustment.sequence());
            const v1::CounterKey& key = adjustment.request().key();
            if (key.gateway() != request->gateway()) continue;
            if (!request->pool().empty() && key.pool() != request->pool()) continue;
            const bool whose = std::equal(
                key.identifier().begin(), key.identifier().end(), request->identifier().begin(),
                request->identifier().end(),
                [](const v1::Scalar& value, const std::string& text) { return IdentifierText(value) == text; });
            if (!request->identifier().empty() && !whose) continue;
            if (before == 0 || adjustment.sequence() < before) found.push_back(adjustment);
          }
        }
        v1::ListCounterAdjustmentsResponse answer;
        for (auto adjustment = found.rbegin(); adjustment != found.rend() && answer.adjustments_size() < size;
             ++adjustment) {
          *answer.add_adjustments() = Present(*adjustment, std::nullopt);
          if (answer.adjustments_size() == size && std::next(adjustment) != found.rend()) {
            answer.set_next_page_token(EncodePageToken(listing, absl::StrCat(adjustment->sequence())));
          }
        }
        return answer;
      });
}

}  // namespace signalbox
