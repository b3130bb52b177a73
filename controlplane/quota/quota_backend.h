// What decides and keeps the counters behind the quota service: the core with a log (memory, SQLite), which decides on
// the thread that reads the sessions, or Redis, which decides elsewhere and is waited for on a thread of its own. Every
// implementation gives the same answers to the same messages at the same times.
// Thread-safe. Callbacks are called exactly once, within Turn() or on a thread of the backend: they must not block.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/limits.h"
#include "controlplane/quota/quota_exchange.h"
#include "signalbox/v1/quota.pb.h"

namespace signalbox {

class QuotaBackend {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;
  template <typename T>
  using Done = std::function<void(absl::StatusOr<T>)>;
  // Counted since the process started.
  struct Counts {
    std::atomic<int64_t> decisions{0};  // acquires and extends
    std::atomic<int64_t> batches{0};    // committed
    std::atomic<int64_t> counters{0};   // kept now
    std::atomic<int64_t> requests{0};   // with something held or charged now
    std::atomic<int64_t> store_failures{0};
    std::atomic<int64_t> clock_jumps{0};
  };

  virtual ~QuotaBackend() = default;
  // Decides what was submitted until now and does what is due; returns when it wants to be called at the latest though
  // nothing is submitted. A backend with a thread of its own has nothing to do here.
  virtual SteadyTime Turn() { return SteadyTime::max(); }
  virtual bool decides_elsewhere() const { return true; }  // not in Turn()
  // Evaluates the commands of one message of a session, in order; answers after the commit. `message` names proxy and
  // boot. UNAVAILABLE when the store failed: whether the commands took effect is then for the proxy's repeat to find.
  virtual void Submit(v1::QuotaRequest message, Done<v1::QuotaResponse> done) = 0;
  // The same for a session's exchange, whose response is filled; it comes back in any case.
  using ExchangeDone = std::function<void(absl::Status, std::unique_ptr<QuotaExchange>)>;
  virtual void Submit(std::unique_ptr<QuotaExchange> exchange, ExchangeDone done) {
    v1::QuotaRequest message = exchange->request();
    const auto kept = std::make_shared<std::unique_ptr<QuotaExchange>>(std::move(exchange));
    Submit(std::move(message), [kept, done = std::move(done)](absl::StatusOr<v1::QuotaResponse> response) {
      if (response.ok()) (*kept)->response() = *response;
      done(response.status(), std::move(*kept));
    });
  }

  // From committed state. INVALID_ARGUMENT for an impossible key.
  virtual void GetCounter(v1::CounterKey key, Done<v1::Counter> done) = 0;
  virtual void ListCounters(v1::ListCountersRequest request, Done<v1::ListCountersResponse> done) = 0;
  virtual void ListSuspense(v1::ListSuspenseRequest request, Done<v1::ListSuspenseResponse> done) = 0;
  virtual void ListAdjustments(v1::ListAdjustmentsRequest request, Done<v1::ListAdjustmentsResponse> done) = 0;
  // Answers after the commit. INVALID_ARGUMENT when the request is malformed.
  virtual void AdjustCounter(v1::AdjustCounterRequest request, Done<v1::Adjustment> done) = 0;

  // A copy into the new file `path`, while decisions go on; blocks the caller. UNIMPLEMENTED by a backend without a
  // file.
  virtual absl::Status BackupTo(const std::string& path) = 0;
  virtual const Counts& counts() const = 0;
  virtual std::string store() const = 0;       // sqlite, memory, redis
  virtual std::string durability() const = 0;  // what a committed decision survives, in a word
  // Decides what was submitted, then stops. What is submitted later gets UNAVAILABLE.
  virtual void Stop() = 0;

 protected:
  static int PageSize(int asked) { return asked > 0 ? std::min(asked, kPageSizeMax) : kPageSizeDefault; }
  static absl::Status ShuttingDown() { return absl::UnavailableError("the quota service is shutting down"); }
};

}  // namespace signalbox
