// What the counters must be and what the core must answer, worked out a second time from the commands that reached the
// service. Shares no code with the core: windows, sums, caps and calendars are its own. Everything the core says goes
// through here; the first difference or broken invariant is kept as the violation.
// One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "controlplane/quota/quota_core.h"
#include "tests/simulation/commands.h"
#include "tests/simulation/quota_simulation.h"

namespace signalbox::simulation {

// Starts of the days or months of UTC, Asia/Kolkata or America/New_York from before `from_us` to after `to_us`, by the
// rules in force since 2007.
enum class Zone : uint8_t { kUtc, kKolkata, kNewYork };
std::vector<int64_t> CalendarEdges(Zone zone, bool months, int64_t from_us, int64_t to_us);

class QuotaModel {
 public:
  explicit QuotaModel(int64_t now_us) : now_us_(now_us) {}

  // `edges`: the window starts of a calendar, else null.
  int AddCounter(v1::CounterKey key, Unit unit, bool sliding, int64_t length_us, const std::vector<int64_t>* edges);
  uint32_t AddBoot(const std::string& proxy_id, const std::string& boot_id);
  uint32_t AddRequest(const std::string& id);
  uint32_t AddAcquire(const Acquire& acquire);
  const Acquire& acquire(uint32_t index) const { return acquires_[index]; }
  const std::string& request_id(uint32_t index) const { return request_ids_[index]; }
  const v1::CounterKey& key(int counter) const { return counters_[counter].key; }

  // What the core did, after it did it, in its order.
  void Message(uint32_t boot, uint64_t acked_through, std::span<const Command> commands, int64_t now_us,
               const v1::QuotaResponse& answers);
  void Tick(int64_t now_us, const QuotaCore& core);
  // Holds that the last tick stopped waiting for: charged in full for good.
  struct Forgotten {
    uint32_t request = 0;
    int counter = 0;
    int64_t amount = 0;
  };
  const std::vector<Forgotten>& forgotten() const { return forgotten_; }
  void Restarted(int64_t now_us);
  void Adjusted(int counter, const v1::AdjustCounterRequest& request, int64_t now_us, const v1::Adjustment& adjustment);

  // The counters touched since the last call.
  void CheckTouched(const QuotaCore& core);
  void CheckCounters(const QuotaCore& core);
  // All counters, the list of suspended holds, the ledger, the core's own sums.
  void CheckAll(const QuotaCore& core);
  // Nothing is in flight any more.
  void CheckEnded(const QuotaCore& core);

  bool failed() const { return !violation_.empty(); }
  const std::string& violation() const { return violation_; }
  void Fail(std::string violation) {
    if (violation_.empty()) violation_ = std::move(violation);
  }
  int64_t now_us() const { return now_us_; }
  // Requests of which something is charged or held.
  const std::vector<uint32_t>& open_requests() const { return open_; }
  bool Owns(uint32_t boot, uint32_t request) const {
    return requests_[request] != nullptr && requests_[request]->boot == boot;
  }
  // A boot is to be suspended at the next tick.
  bool SilenceIsDue(int64_t now_us) const;
  int64_t evaluated() const { return evaluated_; }
  const Coverage& coverage() const { return coverage_; }

 private:
  struct Counter {
    v1::CounterKey key;
    Unit unit = Unit::kRequests;
    bool sliding = false;
    int64_t length_us = 0;
    const std::vector<int64_t>* edges = nullptr;
    int64_t start_us = 0, end_us = 0;
    int64_t settled = 0, settled_before = 0;  // this window and, sliding, the one before
    Wide suspense = 0, suspense_before = 0;
    Wide held = 0;
    int64_t resets = 0;
    bool touched = false;
    // For what may not fall.
    bool may_fall = true;
    int64_t seen_settled = 0;
    Wide seen_total = 0;
  };
  struct Entry {
    int counter = 0;
    int64_t window_us = 0;
    bool charge = false;
    int64_t amount = 0;
    int64_t strict_limit = 0;  // 0: none
    int64_t suspense_sequence = 0;
    int64_t resets = 0;
    bool shadow = false;
  };
  struct Request {
    uint32_t boot = 0;
    uint32_t place = 0;  // in open_
    absl::InlinedVector<Entry, 4> entries;
  };
  struct Effect {
    int counter = 0;
    int64_t window_us = 0;
    int64_t amount = 0;
    int64_t resets = 0;
    bool charge = false;
    bool created = false;
  };
  struct Answer {
    bool known = false;
    bool cancellable = false;
    bool cancelled = false;
    bool held = false;  // `request` is what it charged or held for
    uint32_t request = 0;
    uint64_t digest = 0;  // of the first answer
    absl::InlinedVector<Effect, 3> effects;
  };
  struct Boot {
    std::string proxy_id, boot_id;
    bool exists = false;
    bool suspended = false;
    int64_t last_seen_us = 0;
    uint64_t acked = 0;
    int64_t requests = 0;
    std::deque<Answer> answers;  // of acked + 1, ...
  };
  struct Suspended {
    int64_t sequence = 0;
    uint32_t request = 0;
    int counter = 0;
    uint32_t boot = 0;
    int64_t time_us = 0;
    int64_t amount = 0;
    int64_t settled = 0;
    bool resolved = false;
  };
  // What a request was charged in the end, or an operator or an outage charged, as a bill would list it.
  struct LedgerRow {
    int64_t window_us = 0;
    int64_t amount = 0;
  };
  struct Candidate {
    int counter = 0;
    const Check* check = nullptr;
    bool holds = false;
    uint8_t bounds = 0;
    int64_t strict_limit = 0;
    bool shadow_denied = false;
    bool shadow = false;
  };

  void Count(Event event) const { ++coverage_[static_cast<size_t>(event)]; }
  void Advance(int64_t now_us) { now_us_ = now_us > now_us_ ? now_us : now_us_; }
  Counter& Touch(int counter);
  void Turn(Counter& counter) const;
  // 0: this window, 1: the one before (and it still weighs), 2: past.
  static int Age(const Counter& counter, int64_t window_us);
  static int SuspendedAge(const Counter& counter, const Entry& entry);
  Wide Settled(const Counter& counter) const;
  Wide Suspense(const Counter& counter) const;
  Wide Used(const Counter& counter) const;
  void AddSettled(int counter, int64_t window_us, int64_t amount);

  void Evaluate(uint32_t boot, const Command& command, Answer& record, const v1::QuotaAnswer& answer);
  void EvaluateAcquire(uint32_t boot, const Command& command, Answer& record, const v1::QuotaAnswer& answer);
  bool Passes(const Acquire& acquire, const Request* request, std::span<const Candidate> passed, Candidate& candidate,
              int64_t& cap);
  void Take(uint32_t request, const Acquire& acquire, const Candidate& candidate, int64_t cap, Answer& record);
  void CompareLimit(const Acquire& acquire, const Candidate& candidate, const Request* request,
                    const v1::LimitState& state, bool denied);
  void EvaluateExtend(uint32_t boot, const Command& command, Answer& record, const v1::QuotaAnswer& answer);
  void EvaluateSettle(const Command& command, const v1::QuotaAnswer& answer);
  void EvaluateCancel(Boot& boot, const Command& command, const v1::QuotaAnswer& answer);
  void Undo(Answer& record);
  void AddHeld(Entry& entry, int64_t amount);
  void EndHold(Entry& entry, int64_t used);
  void EraseEntry(uint32_t request, size_t index);
  void Close(uint32_t request);
  void Suspend(uint32_t boot);
  void NumberSuspended(const QuotaCore& core);
  void ForgetSuspended(const QuotaCore& core);
  Answer& AnswerAt(Boot& boot, uint64_t sequence);
  Request* Find(uint32_t request);

  void CompareCounter(Counter& counter, const QuotaCore& core);
  void Expect(bool holds, const char* what, const v1::QuotaAnswer& answer, const Command& command);
  void CheckLedger();

  int64_t now_us_;
  int64_t evaluated_ = 0;
  mutable Coverage coverage_{};
  std::deque<Counter> counters_;
  std::vector<int> touched_;
  std::deque<Acquire> acquires_;
  std::vector<std::string> request_ids_;
  std::vector<std::unique_ptr<Request>> requests_;  // null: nothing charged or held
  std::vector<uint32_t> open_;
  std::deque<Boot> boots_;
  std::deque<Suspended> suspended_;
  std::vector<Forgotten> forgotten_;
  int64_t last_suspense_sequence_ = 0;
  std::vector<std::pair<uint32_t, size_t>> unnumbered_;
  std::vector<std::vector<LedgerRow>> ledger_;      // by counter
  std::map<std::string, std::string> adjustments_;  // by id: the first result
  int64_t adjustments_made_ = 0;
  v1::Counter seen_;  // kept for its memory
  std::string violation_;
};

}  // namespace signalbox::simulation
