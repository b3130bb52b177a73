// What comes next while one model of a request's walk is tried: an attempt at which endpoint, a wait, or the end. Joins
// the route's word, the request's headers, what the request has left and what is known of the provider's health; makes
// no call itself. Lives in TryModel's frame; worker's thread only.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "dataplane/health/provider_health.h"
#include "dataplane/health/retry_policy.h"
#include "dataplane/request/active_request.h"

namespace signalbox {

struct ModelFailure {
  bool timed_out = false;
  std::string message;        // of the last attempt
  int64_t retry_after_s = 0;  // when the model may be called again; 0: not known
};

class AttemptGate {
 public:
  AttemptGate(ActiveRequest& request, const v1::CompiledElement& element, const v1::SnapshotProvider& provider);

  struct Attempt {
    CallPermit permit;
    std::string endpoint;
    int64_t wait_us = 0;  // before it is made
  };
  struct Wait {
    int64_t us = 0;  // then ask again
  };
  // Refusal: the whole request ends, for its time is up or it names an endpoint that is not there. An attempt that is
  // not made because the breaker is open is in the record, as such.
  using Next = std::variant<Attempt, Wait, ModelFailure, Refusal>;
  Next Ask();

  // The attempt at `endpoint` came to nothing.
  struct Failed {
    std::string endpoint;
    bool retry_may_help = false;           // at the same endpoint
    bool other_endpoint_may_help = false;  // at another one only
    std::optional<int64_t> retry_after_us;
    ModelFailure failure;
  };
  void OnFailed(Failed failed);

  const RetryPolicy& policy() const { return policy_; }
  // What a time limit that ran out tells of the provider: nothing, when only the request set it and it was short.
  CallResult ResultOfTimeout(int64_t waited_us) const;

 private:
  Next OnCircuitOpen(const ProviderHealth::CircuitOpen& open, int64_t now_us);
  Next Refused() const;
  ModelFailure GaveUp(const std::string& why) const;
  bool TriedAlready(const std::string& endpoint) const;

  ActiveRequest& request_;
  const v1::CompiledElement& element_;
  const v1::SnapshotProvider& provider_;
  const RetryPolicy policy_;
  const bool last_resort_;
  std::vector<std::string> tried_;  // endpoints that failed
  int attempts_ = 0;
  int waits_ = 0;
  std::optional<Failed> last_;
  int64_t failed_at_us_ = 0;  // with last_
};

}  // namespace signalbox
