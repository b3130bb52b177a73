#include "dataplane/health/provider_health.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/hash/hash.h"
#include "common/limits.h"
#include "dataplane/health/endpoint_health.h"

namespace signalbox {
namespace {

// What makes an endpoint the same one after a change of configuration.
size_t Fingerprint(const v1::SnapshotProvider& provider, const v1::SnapshotProvider::Endpoint& endpoint) {
  const std::map<std::string, std::string> headers(provider.headers().begin(), provider.headers().end());
  const std::map<std::string, std::string> options(provider.options().begin(), provider.options().end());
  return absl::HashOf(provider.kind(), endpoint.base_url(), endpoint.secret(), headers, options);
}

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// One endpoint as a place the attempt may go to.
struct Candidate {
  const v1::SnapshotProvider::Endpoint* configured;  // null: the provider's only one
  std::shared_ptr<EndpointHealth> health;            // null: of a snapshot that is not served any more, or not yet
  enum class Rank { kFresh, kTried, kEjected, kClosedOff } rank = Rank::kFresh;
  const std::string& name() const {
    static const std::string kDefault = "default";
    return configured == nullptr ? kDefault : configured->name();
  }
  int64_t weight() const { return configured == nullptr ? 1 : std::max(configured->weight(), 1); }
};

Candidate::Rank RankOf(const Candidate& candidate, const ProviderHealth::Question& question, int64_t now_us,
                       ProviderHealth::CircuitOpen& closed_off) {
  using Rank = Candidate::Rank;
  const EndpointHealth* health = candidate.health.get();
  if (health != nullptr) {
    const ModelHealth* model = health->FindModel(question.model);
    if (model != nullptr && !model->breaker.Admits(now_us)) {
      const int64_t retry_us = model->breaker.retry_us(now_us);
      if (closed_off.retry_us == 0 || retry_us < closed_off.retry_us) {
        closed_off.retry_us = retry_us;
        closed_off.resting = !model->breaker.opened();
      }
      return Rank::kClosedOff;
    }
    if (health->down()) return question.last_resort ? Rank::kEjected : Rank::kClosedOff;
    if (!health->breaker.Admits(now_us)) return Rank::kEjected;
  }
  return Contains(question.tried, candidate.name()) ? Rank::kTried : Rank::kFresh;
}

const Candidate* DrawByWeight(const std::vector<Candidate>& candidates, Candidate::Rank rank, uint64_t random) {
  uint64_t total = 0;
  for (const Candidate& candidate : candidates) {
    if (candidate.rank == rank) total += static_cast<uint64_t>(candidate.weight());
  }
  if (total == 0) return nullptr;
  uint64_t drawn = random % total;
  for (const Candidate& candidate : candidates) {
    if (candidate.rank != rank) continue;
    const auto weight = static_cast<uint64_t>(candidate.weight());
    if (drawn < weight) return &candidate;
    drawn -= weight;
  }
  return nullptr;
}

const Candidate* LeastBad(const std::vector<Candidate>& candidates) {
  const Candidate* best = nullptr;
  for (const Candidate& candidate : candidates) {
    if (candidate.rank != Candidate::Rank::kEjected) continue;
    if (best == nullptr || candidate.health->tally.consecutive_failures < best->health->tally.consecutive_failures) {
      best = &candidate;
    }
  }
  return best;
}

constexpr char kOnlyEndpoint[] = "default";  // the name of a provider's endpoint that it does not name

v1::SnapshotProvider::Endpoint OnlyEndpoint(const v1::SnapshotProvider& provider) {
  v1::SnapshotProvider::Endpoint only;
  only.set_name(kOnlyEndpoint);
  only.set_base_url(provider.base_url());
  only.set_weight(1);
  only.set_secret(provider.secret());
  return only;
}

}  // namespace

CallResult ResultOfStatus(int http_status) {
  if (http_status == 429) return CallResult::kRateLimited;
  if (http_status == 401 || http_status == 403) return CallResult::kKeyRefused;
  if (http_status == 404) return CallResult::kModelMissing;
  if (http_status == 408 || http_status >= 500) return CallResult::kFailure;
  return CallResult::kSuccess;
}

std::vector<v1::SnapshotProvider::Endpoint> EndpointsOf(const v1::SnapshotProvider& provider) {
  if (!provider.endpoints().empty()) return {provider.endpoints().begin(), provider.endpoints().end()};
  return {OnlyEndpoint(provider)};
}

std::optional<EndpointAccess> AccessTo(const v1::SnapshotProvider& provider, std::string_view endpoint) {
  for (const v1::SnapshotProvider::Endpoint& known : provider.endpoints()) {
    if (known.name() == endpoint) return EndpointAccess{known.name(), known.base_url(), known.secret()};
  }
  if (!provider.endpoints().empty() || endpoint != kOnlyEndpoint) return std::nullopt;
  return EndpointAccess{kOnlyEndpoint, provider.base_url(), provider.secret()};
}

// ---- Permits.

CallPermit::CallPermit(CallPermit&& other) noexcept { *this = std::move(other); }

CallPermit& CallPermit::operator=(CallPermit&& other) noexcept {
  if (this == &other) return *this;
  Ended(CallResult::kUnknown, 0, 0);
  health_ = std::exchange(other.health_, nullptr);
  endpoint_ = std::move(other.endpoint_);
  model_ = std::move(other.model_);
  endpoint_ticket_ = other.endpoint_ticket_;
  model_ticket_ = other.model_ticket_;
  return *this;
}

void CallPermit::Answering(int64_t now_us) {
  if (health_ == nullptr) return;
  MutexLock lock(health_->mutex_);
  const uint64_t changes = Changes();
  endpoint_->breaker.Answering(endpoint_ticket_, now_us);
  model_->breaker.Answering(model_ticket_, now_us);
  if (Changes() != changes) ++health_->changes_;
}

uint64_t CallPermit::Changes() const { return endpoint_->breaker.changes() + model_->breaker.changes(); }

void CallPermit::Ended(CallResult result, int64_t now_us, uint64_t random, std::string_view error, int64_t rest_us) {
  ProviderHealth* const health = std::exchange(health_, nullptr);
  if (health == nullptr) return;
  MutexLock lock(health->mutex_);
  const uint64_t changes = Changes();
  Resolve(result, now_us, random, error, rest_us);
  if (Changes() != changes) ++health->changes_;
}

void CallPermit::Resolve(CallResult result, int64_t now_us, uint64_t random, std::string_view error, int64_t rest_us) {
  EndpointHealth& endpoint = *endpoint_;
  ModelHealth& model = *model_;
  if (result == CallResult::kUnknown) {
    endpoint.breaker.Abandon(endpoint_ticket_);
    model.breaker.Abandon(model_ticket_);
    return;
  }
  if (result == CallResult::kSuccess) {
    endpoint.breaker.Succeeded(endpoint_ticket_, now_us);
    model.breaker.Succeeded(model_ticket_, now_us);
    endpoint.tally.consecutive_failures = 0;
    model.tally.consecutive_failures = 0;
    return;
  }
  model.tally.Failed(now_us, error);
  if (model.breaker.Failed(model_ticket_, now_us, random)) ++endpoint.counters->openings;
  if (rest_us > 0) model.breaker.Rest(now_us, now_us + std::min(rest_us, kRestUsMax));
  if (result == CallResult::kRateLimited || result == CallResult::kModelMissing) {
    // The endpoint did answer: that ends its own probe well.
    endpoint.breaker.Succeeded(endpoint_ticket_, now_us);
    endpoint.tally.consecutive_failures = 0;
    return;
  }
  endpoint.tally.Failed(now_us, error);
  if (endpoint.alone) return;
  // Other bits of the same number: the two shall not open for the same time.
  if (endpoint.breaker.Failed(endpoint_ticket_, now_us, random >> 16)) ++endpoint.counters->ejections;
}

// ---- The whole.

void ProviderHealth::Configure(const std::vector<std::shared_ptr<const v1::SnapshotProvider>>& providers) {
  MutexLock lock(mutex_);
  auto old = std::exchange(providers_, {});
  ++changes_;
  for (const auto& configured : providers) {
    Provider& provider = providers_[configured->gateway()][configured->name()];
    std::vector<std::shared_ptr<EndpointHealth>> known;
    if (const auto gateway = old.find(configured->gateway()); gateway != old.end()) {
      if (const auto found = gateway->second.find(configured->name()); found != gateway->second.end()) {
        known = found->second.endpoints;
        provider = std::move(found->second);
      }
    }
    if (provider.counters == nullptr) {
      provider.counters = std::make_shared<Counters>();
      provider.counters->gateway = configured->gateway();
      provider.counters->provider = configured->name();
    }
    provider.endpoints.clear();
    const std::vector<v1::SnapshotProvider::Endpoint> endpoints = EndpointsOf(*configured);
    for (const v1::SnapshotProvider::Endpoint& endpoint : endpoints) {
      const size_t fingerprint = Fingerprint(*configured, endpoint);
      const auto same = std::find_if(known.begin(), known.end(), [&](const auto& other) {
        return other->name == endpoint.name() && other->fingerprint == fingerprint;
      });
      std::shared_ptr<EndpointHealth> health = same == known.end() ? std::make_shared<EndpointHealth>() : *same;
      health->name = endpoint.name();
      health->fingerprint = fingerprint;
      health->alone = endpoints.size() == 1;
      health->counters = provider.counters;
      if (!configured->has_health_check()) health->failed_checks = 0;  // nobody would find out that it is up again
      provider.endpoints.push_back(std::move(health));
    }
  }
}

ProviderHealth::Provider* ProviderHealth::Find(const v1::SnapshotProvider& provider) {
  const auto gateway = providers_.find(provider.gateway());
  if (gateway == providers_.end()) return nullptr;
  const auto found = gateway->second.find(provider.name());
  return found == gateway->second.end() ? nullptr : &found->second;
}

bool ProviderHealth::BudgetAllowsRetry(const Provider& provider, int64_t now_us) const {
  const SlidingCounts::Sums sums = provider.attempts.Over(now_us);
  return sums.marked < kRetryBudgetFloor + (sums.all - sums.marked) * kRetryBudgetPercent / 100;
}

ProviderHealth::Answer ProviderHealth::Ask(const Question& question, int64_t now_us, uint64_t random) {
  MutexLock lock(mutex_);
  Provider* const provider = Find(question.provider);
  const auto find_health = [&](const std::string& name) -> std::shared_ptr<EndpointHealth> {
    if (provider == nullptr) return nullptr;
    for (const auto& endpoint : provider->endpoints) {
      if (endpoint->name == name) return endpoint;
    }
    return nullptr;
  };
  std::vector<Candidate> candidates;
  const auto add = [&](const v1::SnapshotProvider::Endpoint* configured) {
    Candidate candidate{configured, nullptr};
    if (!question.endpoint.empty() && candidate.name() != question.endpoint) return;
    candidate.health = find_health(candidate.name());
    candidates.push_back(std::move(candidate));
  };
  for (const auto& endpoint : question.provider.endpoints()) add(&endpoint);
  if (question.provider.endpoints().empty()) add(nullptr);
  if (candidates.empty()) return NoSuchEndpoint{};

  CircuitOpen closed_off;
  for (Candidate& candidate : candidates) candidate.rank = RankOf(candidate, question, now_us, closed_off);
  const Candidate* chosen = DrawByWeight(candidates, Candidate::Rank::kFresh, random);
  if (chosen == nullptr) chosen = DrawByWeight(candidates, Candidate::Rank::kTried, random);
  if (chosen == nullptr) chosen = LeastBad(candidates);
  if (chosen == nullptr) {
    if (provider != nullptr) ++provider->counters->circuit_refusals;
    return closed_off;
  }
  if (provider != nullptr) {
    if (question.retry && !BudgetAllowsRetry(*provider, now_us)) {
      ++provider->counters->budget_refusals;
      return BudgetSpent{};
    }
    if (question.retry) ++provider->counters->retries;
    provider->attempts.Add(now_us, question.retry);
  }
  Granted granted;
  granted.endpoint = chosen->name();
  if (chosen->health != nullptr) {
    EndpointHealth& endpoint = *chosen->health;
    CallPermit& permit = granted.permit;
    permit.health_ = this;
    permit.endpoint_ = chosen->health;
    permit.model_ = endpoint.Called(question.model, now_us);
    permit.endpoint_ticket_ = endpoint.breaker.Admit(now_us);
    permit.model_ticket_ = permit.model_->breaker.Admit(now_us);
    ++endpoint.tally.attempts;
    ++permit.model_->tally.attempts;
  }
  return granted;
}

void ProviderHealth::Checked(const v1::SnapshotProvider& provider, std::string_view endpoint, Check result,
                             std::string_view error, int64_t now_us) {
  MutexLock lock(mutex_);
  Provider* const found = Find(provider);
  if (found == nullptr) return;
  for (const auto& health : found->endpoints) {
    if (health->name != endpoint) continue;
    if (result != Check::kFailed) {
      if (health->down() || (result == Check::kHealthy && health->breaker.opened())) ++changes_;
      health->failed_checks = 0;
      if (result == Check::kHealthy) health->breaker.Close(now_us);
      continue;
    }
    ++found->counters->failed_checks;
    if (++health->failed_checks == kHealthCheckFailures) {
      ++found->counters->ejections;
      ++changes_;
    }
    health->tally.last_error = std::string(error);
    health->tally.last_failure_us = now_us;
  }
}

}  // namespace signalbox
