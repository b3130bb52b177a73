// Decides every limit: a pure state machine over the commands of all proxies. No clock, I/O or threads: the same
// messages at the same times give the same state and the same answers, which is how the store recovers it.
// Invariants: settled + held + suspense <= limit after every strict grant; every hold ends and what it used counts
// once; the same (boot, sequence) gets the same answer; counters fall only by cancel, settle, window turn, reset or
// adjust. Not thread-safe: the engine owns it, within its turns. Input of peers is validated here and never trusted.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/container/node_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "controlplane/quota/amount_math.h"
#include "controlplane/quota/counter_key.h"
#include "signalbox/v1/quota.pb.h"
#include "signalbox/v1/quota_log.pb.h"

namespace signalbox {

class QuotaCore {
 public:
  QuotaCore() = default;
  QuotaCore(const QuotaCore&) = delete;
  QuotaCore& operator=(const QuotaCore&) = delete;

  // One message of a session; `answers` gets one answer a command, in order. A time before an earlier one counts as
  // that one. `message` names proxy and boot.
  void Apply(const v1::QuotaRequest& message, int64_t now_us, v1::QuotaResponse& answers);
  // Suspends the holds of proxies silent for kSuspendAfterUs and forgets what is past its retention.
  void Tick(int64_t now_us);
  bool TickIsDue(int64_t now_us) const;  // a Tick would change something
  // An operator's change of one counter. A repeat of its adjustment_id changes nothing and gives the first result.
  // INVALID_ARGUMENT when it is malformed: nothing changed, nothing is to be logged.
  absl::Status Adjust(const v1::AdjustCounterRequest& request, int64_t now_us, v1::Adjustment& adjustment);
  // The service was away and starts anew: no proxy's silence began before now.
  void Restarted(int64_t now_us);
  // A batch of the log; answers are dropped. DATA_LOSS when it holds what this build does not know.
  absl::Status Replay(const v1::QuotaLogBatch& batch);

  // Zeros for a counter never used. INVALID_ARGUMENT for an impossible key.
  absl::Status Read(const v1::CounterKey& key, int64_t now_us, v1::Counter& view) const;
  // The counters of a pool, fullest first.
  v1::ListCountersResponse List(const v1::ListCountersRequest& request, int64_t now_us) const;
  // Ordered by sequence, those after `after_sequence`.
  std::vector<v1::SuspendedHold> Suspense(int64_t after_sequence, int page_size) const;
  std::vector<v1::Adjustment> Adjustments(int64_t after_sequence, int page_size) const;

  // The state in slices of `part_records` records; loading them in order into a fresh core gives an equal one.
  // DATA_LOSS when parts contradict each other.
  static constexpr int kPartRecords = 10'000;
  std::vector<v1::QuotaStatePart> Save(int part_records = kPartRecords) const;
  // The same parts one after the other in the same memory: each is the sink's until it returns.
  using PartSink = absl::FunctionRef<void(v1::QuotaStatePart&)>;
  void Save(int part_records, PartSink sink) const;
  absl::Status Load(const v1::QuotaStatePart& part);
  void LoadDone();  // after the last part
  // The state as canonical text; equal states, equal text. For tests.
  std::string Dump() const;
  // Recomputes every sum and compares. INTERNAL names the first difference. For tests and the simulation.
  absl::Status Check() const;

  int64_t now_us() const { return now_us_; }
  size_t counters() const { return counters_.size(); }
  size_t requests() const { return requests_.size(); }
  size_t boots() const { return boots_.size(); }
  int64_t decisions() const { return decisions_; }  // acquires and extends evaluated by this process

 private:
  struct Pool;
  // What counts in a counter's windows. Sums of holds are 128 bits wide: observed and shadow limits do not bound them.
  struct Tally {
    Window window;
    bool sliding = false;
    int64_t settled = 0;
    int64_t previous_settled = 0;  // sliding: the same of the window before
    int64_t era = 0;               // resets so far: what was charged or suspended before one weighs nothing
    Int128 suspense = 0;           // suspended holds that this window granted
    Int128 previous_suspense = 0;
    Int128 held = 0;
  };
  struct Counter : Tally {
    v1::CounterKey key;
    const std::string* identity = nullptr;  // the map's
    Pool* pool = nullptr;
    size_t place = 0;        // in the pool
    int64_t references = 0;  // entries and effects that point here
  };
  // The counters of one (gateway, pool), in no order.
  struct Pool {
    std::vector<Counter*> counters;
  };
  struct Boot;
  // What a request did at one counter: a request charged, or dollars or tokens held.
  struct Entry {
    Counter* counter = nullptr;
    int64_t window_start_us = 0;
    bool charge = false;
    bool shadow = false;  // held for shadow limits only
    int64_t amount = 0;
    int64_t strict_limit = 0;       // the least strict limit that granted it; 0: none did
    int64_t suspense_sequence = 0;  // 0: held
    int64_t era = 0;                // the counter's, when it was charged or suspended
  };
  struct Request {
    Boot* boot = nullptr;
    absl::InlinedVector<Entry, 2> entries;
  };
  struct Effect {
    Counter* counter = nullptr;
    int64_t window_start_us = 0;
    bool charge = false;
    bool created = false;  // the entry began with it
    int64_t amount = 0;
    int64_t era = 0;
  };
  using Effects = absl::InlinedVector<Effect, 2>;
  struct AnsweredLimit {
    int64_t limit = 0;
    int64_t remaining = 0;
    int64_t reset_us = 0;
    int64_t held = 0;
    int64_t retry_us = 0;
    bool shadow_denied = false;
  };
  // A command's answer, for its repeat: few are asked for again, so that it is kept as what is cheapest to write down.
  struct Answered {
    uint64_t sequence = 0;
    v1::QuotaAnswer::Result result = v1::QuotaAnswer::RESULT_UNSPECIFIED;
    bool cancellable = false;  // an acquire or extend not yet cancelled
    bool cancelled = false;    // whatever comes with this sequence is not evaluated
    uint32_t denied_index = 0;
    int64_t output_cap = 0;
    absl::InlinedVector<AnsweredLimit, 2> limits;
    std::string message;
    std::string request_id;
    Effects effects;
  };
  // By sequence. Those of an honest proxy come in order and without gaps, which makes every access constant.
  using Answers = std::deque<std::unique_ptr<Answered>>;
  struct Boot {
    std::string proxy_id;
    std::string boot_id;
    int64_t last_seen_us = 0;
    uint64_t acked_through = 0;
    bool suspended = false;
    int64_t requests = 0;  // in flight or suspended
    Answers answered;
  };
  // A suspended hold as it is stored, there are many and they hardly change; and what says when it may be forgotten.
  struct SuspenseRecord {
    std::string hold;  // a SuspendedHold
    int64_t suspend_time_us = 0;
    int64_t weighs_at_most_us = 0;
    bool resolved = false;
  };
  // One limit of an acquire being evaluated.
  struct Candidate {
    Counter* counter = nullptr;
    const v1::LimitCheck* check = nullptr;
    bool holds = false;                        // dollars or tokens, else requests
    absl::InlinedVector<BoundLine, 4> bounds;  // those of earlier checks at the same counter too
    int64_t strict_limit = 0;                  // the least that must hold afterwards; 0: none
    bool shadow_denied = false;
  };
  using Candidates = absl::InlinedVector<Candidate, 4>;
  using RequestMap = absl::flat_hash_map<std::string, Request>;

  void Answer(Boot& boot, const v1::QuotaCommand& command, v1::QuotaAnswer& answer);
  void Evaluate(Boot& boot, const v1::QuotaCommand& command, Answered& record, v1::QuotaAnswer& answer);
  void DoAcquire(Boot& boot, const v1::Acquire& acquire, Answered& record, v1::QuotaAnswer& answer);
  bool Passes(const v1::Acquire& acquire, const Request* request, const Candidates& passed, Candidate& candidate,
              int64_t& cap) const;
  bool HoldPasses(const v1::Acquire& acquire, const Entry* own, Candidate& candidate, int64_t& cap) const;
  void Take(Request& request, const Candidate& candidate, int64_t cap, Effects& effects);
  void DoExtend(Boot& boot, const v1::Extend& extend, Answered& record, v1::QuotaAnswer& answer);
  void DoSettle(const v1::Settle& settle, v1::QuotaAnswer& answer);
  void DoForceCharge(const v1::ForceCharge& charge, v1::QuotaAnswer& answer);
  void DoCancel(Boot& boot, uint64_t own_sequence, const v1::Cancel& cancel, v1::QuotaAnswer& answer);
  void Undo(Answered& record);

  Boot& BootOf(std::string_view proxy_id, std::string_view boot_id);
  void AdvanceAcked(Boot& boot, uint64_t acked_through);
  static Answers::iterator AnsweredFrom(Answers& answers, uint64_t sequence);  // the first not before `sequence`
  static Answered* FindAnswered(Answers& answers, uint64_t sequence);
  static void Remember(const v1::QuotaAnswer& answer, Answered& record);
  static void Recall(const Answered& record, v1::QuotaAnswer& answer);
  std::unique_ptr<Answered> NewAnswered(uint64_t sequence);
  void Reuse(std::unique_ptr<Answered> record);  // its effects dropped
  Counter* FindCounter(const v1::CounterKey& key);
  Counter& CounterOf(const v1::CounterKey& key);
  Counter& Current(Counter& counter) const;  // turned into the window of now, about to be charged
  void Turn(Counter& counter) const { Turn(counter.key, counter); }  // into the window of now
  void Turn(const v1::CounterKey& key, Tally& tally) const;
  void CollectCounters();  // a few of those whose windows have passed
  void Forget(Counter* counter);
  static int64_t ResetAt(const Tally& tally);  // when all that counts now has stopped counting
  bool IsPast(const Counter& counter) const;   // equals a counter never used
  // Which window's sums of a turned counter an amount belongs to.
  enum class Where { kCurrent, kPrevious, kPast };
  static Where WhereIs(const Tally& tally, int64_t window_start_us);
  static void AddSettled(Counter& counter, int64_t window_start_us, int64_t amount);
  static void AddSuspense(const Entry& entry, int64_t amount);
  struct Amounts {
    Int128 settled = 0;
    Int128 suspended = 0;
  };
  // As weighed then; the counter need not have turned.
  static Amounts AmountsAt(const Tally& tally, int64_t now_us);
  Int128 Settled(const Counter& counter) const;
  Int128 Suspended(const Counter& counter) const;
  Int128 Used(const Counter& counter) const;  // settled + suspended + held
  static v1::Counter View(const v1::CounterKey& key, const Tally& tally, int64_t now_us);
  static const Entry* FindEntry(const Request& request, const Counter* counter, bool charge);
  void AddHeld(Entry& entry, int64_t amount);  // amount may be negative
  void EndHold(Entry& entry, int64_t used);
  void EraseEntry(RequestMap::iterator request, size_t index);  // and the request with its last one
  void DropEffects(Answered& record);
  void SaveThrough(v1::QuotaStatePart& part, int part_records, PartSink sink) const;
  void Suspend(Boot& boot);
  void Keep(const v1::SuspendedHold& hold);
  void ChangeSuspended(int64_t sequence, absl::FunctionRef<void(v1::SuspendedHold&)> change);  // if it is still kept
  bool OldestSuspenseIsPast(int64_t now_us) const;
  void ForgetOldestSuspense();
  void SetState(const Candidate& candidate, const Request* request, v1::LimitState& state) const;
  int64_t RetryAt(const v1::Acquire& acquire, const Candidate& denied) const;

  int64_t now_us_ = 0;
  int64_t last_suspense_sequence_ = 0;
  int64_t decisions_ = 0;
  absl::node_hash_map<std::string, Counter> counters_;                    // by identity
  absl::node_hash_map<std::pair<std::string, std::string>, Pool> pools_;  // by gateway and pool
  std::map<int64_t, std::vector<Counter*>> turning_;   // by when to look whether they are past; each counter once
  RequestMap requests_;                                // by id
  absl::node_hash_map<std::string, Boot> boots_;       // by proxy and boot id
  absl::btree_map<int64_t, SuspenseRecord> suspense_;  // by sequence
  int64_t last_adjustment_sequence_ = 0;
  std::map<int64_t, v1::Adjustment> adjustments_;               // by sequence; the last kQuotaAdjustmentsMax
  absl::flat_hash_map<std::string, int64_t> adjustment_by_id_;  // to its sequence
  std::vector<std::unique_ptr<Answered>> spare_answered_;       // to be filled again, with what they have allocated
  std::string scratch_;
  // While loading: counters and boots in the order written.
  std::vector<Counter*> loaded_counters_;
  std::vector<Boot*> loaded_boots_;
};

}  // namespace signalbox
