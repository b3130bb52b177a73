// What this proxy knows of its providers' health, from its own calls and probes: a breaker for each endpoint and model,
// one for each endpoint as a whole (its ejection), and a budget of retries for each provider. Every attempt asks here
// first and holds a CallPermit until it ended. Invariant: every permit is resolved exactly once, so a probe can never
// be lost. Pure (time and randomness come as parameters; times are monotonic microseconds unless named otherwise).
// Thread-safe by one
// mutex, held for a look-up and a few additions; owned by the proxy, shared by its workers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/mutex.h"
#include "dataplane/health/breaker.h"
#include "signalbox/v1/compiled.pb.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

// How an attempt ended, in what it says about who was called.
enum class CallResult {
  kSuccess,       // it answered; a request that is the client's own fault is well answered
  kFailure,       // no connection, no answer in time, broken off, 408, 5xx
  kRateLimited,   // 429: this model at this endpoint, no other
  kKeyRefused,    // 401, 403: the endpoint, whatever the model
  kModelMissing,  // 404: this model at this endpoint
  kUnknown,       // nothing was learnt: the client left, the proxy stops
};
CallResult ResultOfStatus(int http_status);

struct EndpointHealth;
struct ModelHealth;
class ProviderHealth;

// The right to make one attempt, and the duty to tell how it ended. Destroyed without a word it says kUnknown.
class CallPermit {
 public:
  CallPermit() = default;  // of nothing: every call is a no-op
  CallPermit(CallPermit&& other) noexcept;
  CallPermit& operator=(CallPermit&& other) noexcept;
  ~CallPermit() {
    if (health_ != nullptr) Ended(CallResult::kUnknown, 0, 0);
  }

  // The answer began: enough for a probe to close its breaker, however long the answer takes.
  void Answering(int64_t now_us);
  // Once; later calls do nothing. `rest_us` > 0: the provider asked to be left alone so long. `error` is what the
  // attempt's record says: timeout, status_503 ...
  void Ended(CallResult result, int64_t now_us, uint64_t random, std::string_view error = "", int64_t rest_us = 0);

 private:
  friend class ProviderHealth;
  // Both under the mutex of `health_`.
  void Resolve(CallResult result, int64_t now_us, uint64_t random, std::string_view error, int64_t rest_us);
  uint64_t Changes() const;

  ProviderHealth* health_ = nullptr;  // null: nothing, or resolved
  std::shared_ptr<EndpointHealth> endpoint_;
  std::shared_ptr<ModelHealth> model_;
  Breaker::Ticket endpoint_ticket_;
  Breaker::Ticket model_ticket_;
};

class ProviderHealth {
 public:
  ProviderHealth() = default;
  ProviderHealth(const ProviderHealth&) = delete;
  ProviderHealth& operator=(const ProviderHealth&) = delete;

  // The providers of the snapshot served from now on. What is known of an endpoint stays unless where it is or its key
  // changed: a repaired one starts fresh. Providers that are gone are forgotten.
  void Configure(const std::vector<std::shared_ptr<const v1::SnapshotProvider>>& providers);

  struct Question {
    const v1::SnapshotProvider& provider;
    std::string_view model;
    std::string_view endpoint;              // only the one of that name; empty: any, by weight
    const std::vector<std::string>& tried;  // endpoints this request failed at: others first
    bool retry = false;                     // of a model this request tried already: takes from the retry budget
    bool last_resort = false;               // no fallback follows: an endpoint that only probes call down is called
  };
  struct Granted {
    std::string endpoint;
    CallPermit permit;
  };
  struct CircuitOpen {
    int64_t retry_us = 0;  // when a call may pass again
    bool resting = false;  // only because the provider asked for a pause
  };
  struct BudgetSpent {};
  struct NoSuchEndpoint {};
  using Answer = std::variant<Granted, CircuitOpen, BudgetSpent, NoSuchEndpoint>;
  // Which endpoint the attempt goes to. Endpoints that are ejected get calls only when all are: then the one with the
  // fewest failures in a row. `random`: any number.
  Answer Ask(const Question& question, int64_t now_us, uint64_t random);

  // An active check's result. An endpoint is down after kHealthCheckFailures in a row, until one reaches it.
  enum class Check {
    kHealthy,  // it answered well: an ejected endpoint is back
    kReached,  // it refused (4xx), so it works; whether our calls would pass is not known
    kFailed,   // 5xx, or no answer
  };
  void Checked(const v1::SnapshotProvider& provider, std::string_view endpoint, Check result, std::string_view error,
               int64_t now_us);

  // Of each endpoint, and of each of its models called so far; ordered by gateway, provider, endpoint, model; at most
  // kHealthStatusesMax, the endpoints before the models. `unix_us` is the wall clock at `now_us`.
  std::vector<v1::ProviderStatus> Report(int64_t now_us, int64_t unix_us) const;

  // Goes up whenever a breaker opens or closes or an endpoint goes down or comes back: then a report says something
  // new.
  uint64_t changes() const;

  // Since start, by provider; for metrics.
  struct Counters {
    std::string gateway;
    std::string provider;
    int64_t retries = 0;
    int64_t budget_refusals = 0;   // retries not made
    int64_t circuit_refusals = 0;  // attempts not made
    int64_t ejections = 0;         // of endpoints
    int64_t openings = 0;          // of models' breakers
    int64_t failed_checks = 0;     // active ones
  };
  std::vector<Counters> counters() const;

 private:
  friend class CallPermit;
  struct Provider {
    std::shared_ptr<Counters> counters;
    SlidingCounts attempts{kRetryBudgetWindowUs};  // marked: retries
    std::vector<std::shared_ptr<EndpointHealth>> endpoints;
  };
  Provider* Find(const v1::SnapshotProvider& provider) SB_REQUIRES(mutex_);
  bool BudgetAllowsRetry(const Provider& provider, int64_t now_us) const SB_REQUIRES(mutex_);

  mutable Mutex mutex_;
  uint64_t changes_ SB_GUARDED_BY(mutex_) = 0;
  // By gateway, by name.
  absl::flat_hash_map<std::string, absl::flat_hash_map<std::string, Provider>> providers_ SB_GUARDED_BY(mutex_);
};

// A provider's endpoints as configured: one named "default" where it names none.
std::vector<v1::SnapshotProvider::Endpoint> EndpointsOf(const v1::SnapshotProvider& provider);
// How one of them is reached: views of its provider.
struct EndpointAccess {
  std::string_view name;
  std::string_view base_url;
  std::string_view secret;
};
// Of the endpoint of that name; nullopt: there is none.
std::optional<EndpointAccess> AccessTo(const v1::SnapshotProvider& provider, std::string_view endpoint);

}  // namespace signalbox
