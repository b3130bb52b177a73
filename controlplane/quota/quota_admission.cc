// QuotaCore's decisions: which limits of an acquire pass, what they hold, whether a hold may grow.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/money.h"
#include "controlplane/quota/command_check.h"
#include "controlplane/quota/quota_core.h"

namespace signalbox {
namespace {

constexpr int64_t kRetrySoonUs = 1'000'000;

int64_t Required(const v1::Extend& extend, v1::Unit unit) {
  return unit == v1::TOKENS ? extend.required_tokens() : extend.required_nanos();
}

// When ceil(weighing * what remains of the window / its length) has fallen to `room`, in microseconds before the
// window's end. weighing > room >= 0.
int64_t RemainsWhenFits(Int128 weighing, Int128 room, int64_t length_us) {
  return static_cast<int64_t>(std::min<Int128>(room * length_us / weighing, length_us));
}

}  // namespace

void QuotaCore::DoAcquire(Boot& boot, const v1::Acquire& acquire, Answered& record, v1::QuotaAnswer& answer) {
  absl::InlinedVector<Counter*, 4> counters;  // null: never used
  const auto exists = [this, &counters](const v1::CounterKey& key) {
    return counters.emplace_back(FindCounter(key)) != nullptr;
  };
  if (std::string fault = AcquireFault(acquire, exists); !fault.empty()) return Refuse(answer, std::move(fault));
  const auto known = requests_.find(acquire.request_id());
  const Request* request = known == requests_.end() ? nullptr : &known->second;
  if (request != nullptr && request->boot != &boot) {
    return Refuse(answer, absl::StrCat("request ", acquire.request_id(), " belongs to another proxy"));
  }
  Candidates passed;
  Candidate denied;
  int64_t cap = acquire.output_cap();
  for (int i = 0; i < acquire.checks_size(); ++i) {
    const v1::LimitCheck& check = acquire.checks(i);
    Counter* counter = counters[static_cast<size_t>(i)];
    Candidate candidate;
    candidate.counter = counter == nullptr ? &CounterOf(check.counter()) : &Current(*counter);
    candidate.check = &check;
    candidate.holds = check.counter().unit() != v1::REQUESTS;
    if (!Passes(acquire, request, passed, candidate, cap)) {
      denied = std::move(candidate);
      break;
    }
    passed.push_back(std::move(candidate));
  }
  Request* taken = nullptr;
  if (!passed.empty()) {
    const auto [it, fresh] = requests_.try_emplace(acquire.request_id());
    taken = &it->second;
    if (fresh) {
      taken->boot = &boot;
      ++boot.requests;
    }
    for (const Candidate& candidate : passed) Take(*taken, candidate, cap, record.effects);
    record.request_id = acquire.request_id();
  }
  answer.set_result(denied.check == nullptr ? v1::QuotaAnswer::GRANTED : v1::QuotaAnswer::DENIED);
  answer.set_output_cap(cap);
  const Request* after = taken != nullptr ? taken : request;
  answer.mutable_limits()->Reserve(static_cast<int>(passed.size()) + (denied.check == nullptr ? 0 : 1));
  for (const Candidate& candidate : passed) SetState(candidate, after, *answer.add_limits());
  if (denied.check != nullptr) {
    answer.set_denied_index(static_cast<uint32_t>(passed.size()));
    v1::LimitState& state = *answer.add_limits();
    SetState(denied, after, state);
    state.set_retry_us(RetryAt(acquire, denied));
  }
}

// Whether the candidate passes, given those that passed before it in the same acquire; lowers `cap` where its limit
// does not reach. A shadow always passes and lowers nothing.
bool QuotaCore::Passes(const v1::Acquire& acquire, const Request* request, const Candidates& passed,
                       Candidate& candidate, int64_t& cap) const {
  const Entry* own = request == nullptr ? nullptr : FindEntry(*request, candidate.counter, !candidate.holds);
  if (!candidate.holds) {
    if (own != nullptr) return true;
    for (const Candidate& earlier : passed) {
      if (earlier.counter == candidate.counter) return true;
    }
    candidate.shadow_denied = Settled(*candidate.counter) >= candidate.check->limit();
    return candidate.check->shadow() || !candidate.shadow_denied;
  }
  const auto tighten = [&candidate](int64_t limit) {
    if (limit > 0 && (candidate.strict_limit == 0 || limit < candidate.strict_limit)) candidate.strict_limit = limit;
  };
  if (candidate.check->admission() == v1::STRICT) tighten(candidate.check->limit());
  for (const uint32_t index : candidate.check->bounds()) {
    candidate.bounds.push_back(LineOf(acquire.bounds(static_cast<int>(index)), candidate.check->counter().unit()));
  }
  if (candidate.check->shadow()) {
    int64_t unchanged = cap;
    candidate.shadow_denied = !HoldPasses(acquire, own, candidate, unchanged);
    candidate.strict_limit = 0;
    return true;
  }
  // The same counter again: one hold, the larger, which every strict limit that granted it must bear.
  if (own != nullptr) tighten(own->strict_limit);
  for (const Candidate& earlier : passed) {
    if (earlier.counter != candidate.counter || earlier.check->shadow()) continue;
    tighten(earlier.strict_limit);
    candidate.bounds.insert(candidate.bounds.end(), earlier.bounds.begin(), earlier.bounds.end());
  }
  return HoldPasses(acquire, own, candidate, cap);
}

bool QuotaCore::HoldPasses(const v1::Acquire& acquire, const Entry* own, Candidate& candidate, int64_t& cap) const {
  const Counter& counter = *candidate.counter;
  if (own != nullptr && own->suspense_sequence != 0) return false;  // its proxy was given up; the hold is charged
  if (candidate.check->admission() == v1::OBSERVED &&
      Settled(counter) + Suspended(counter) >= candidate.check->limit()) {
    return false;
  }
  if (candidate.strict_limit == 0) return true;
  const Int128 others = Used(counter) - (own == nullptr ? 0 : own->amount);
  const Int128 room = Int128{candidate.strict_limit} - others;
  const int64_t minimum = MinimumHold(candidate.bounds, acquire.output_cap());
  const int64_t kept = own == nullptr || own->shadow ? 0 : own->amount;  // a hold that a limit bears does not shrink
  if (room < std::max(minimum, kept)) return false;
  const int64_t available = Saturate(room);
  if (acquire.client_cap() && LargestBound(candidate.bounds, acquire.output_cap()) <= available) return true;
  const int64_t ceiling = std::min(available, std::max(candidate.strict_limit / kCapShareOfLimit, minimum));
  cap = std::min(cap, LargestCap(candidate.bounds, ceiling, acquire.output_cap()));
  return true;
}

void QuotaCore::Take(Request& request, const Candidate& candidate, int64_t cap, Effects& effects) {
  Counter& counter = *candidate.counter;
  const bool shadow = candidate.check->shadow();
  const int64_t hold = candidate.holds ? LargestBound(candidate.bounds, cap) : 1;
  Entry* entry = const_cast<Entry*>(FindEntry(request, &counter, !candidate.holds));
  const bool created = entry == nullptr;
  if (!created) {
    if (!candidate.holds || (shadow && !entry->shadow)) return;
    if (candidate.strict_limit > 0) entry->strict_limit = candidate.strict_limit;
    // What only shadows held is no bound of this limit's.
    const bool replaces = entry->shadow && !shadow;
    entry->shadow = entry->shadow && shadow;
    if (hold == entry->amount || (hold < entry->amount && !replaces)) return;
  } else {
    Entry fresh;
    fresh.counter = &counter;
    fresh.window_start_us = counter.window.start_us;
    fresh.charge = !candidate.holds;
    fresh.shadow = shadow;
    fresh.era = counter.era;
    fresh.strict_limit = candidate.strict_limit;
    ++counter.references;
    entry = &request.entries.emplace_back(fresh);
  }
  const int64_t added = hold - entry->amount;
  if (candidate.holds) {
    AddHeld(*entry, added);
  } else {
    entry->amount = 1;
    counter.settled = AddSaturating(counter.settled, 1);
  }
  ++counter.references;
  effects.push_back({&counter, entry->window_start_us, !candidate.holds, created, added, counter.era});
}

void QuotaCore::DoExtend(Boot& boot, const v1::Extend& extend, Answered& record, v1::QuotaAnswer& answer) {
  if (std::string fault = ExtendFault(extend); !fault.empty()) return Refuse(answer, std::move(fault));
  answer.set_result(v1::QuotaAnswer::DENIED);
  const auto it = requests_.find(extend.request_id());
  if (it == requests_.end()) {
    answer.set_message(absl::StrCat("request ", extend.request_id(), " has no hold"));
    return;
  }
  if (it->second.boot != &boot) {
    return Refuse(answer, absl::StrCat("request ", extend.request_id(), " belongs to another proxy"));
  }
  Request& request = it->second;
  uint32_t index = 0;
  for (const Entry& entry : request.entries) {
    if (entry.charge) continue;
    Turn(*entry.counter);
    const int64_t required = Required(extend, entry.counter->key.unit());
    const Int128 after = Used(*entry.counter) - entry.amount + std::max(entry.amount, required);
    const bool raised = required > entry.amount;
    if (entry.suspense_sequence != 0 || (raised && entry.strict_limit > 0 && after > entry.strict_limit)) {
      answer.set_denied_index(index);
      answer.set_message(entry.suspense_sequence != 0 ? "the hold was suspended while its proxy was silent"
                                                      : "the next attempt does not fit under a strict limit");
      return;
    }
    ++index;
  }
  record.request_id = extend.request_id();
  for (Entry& entry : request.entries) {
    if (entry.charge) continue;
    const int64_t added = Required(extend, entry.counter->key.unit()) - entry.amount;
    if (added > 0) {
      AddHeld(entry, added);
      ++entry.counter->references;
      record.effects.push_back({entry.counter, entry.window_start_us, false, false, added, entry.counter->era});
    }
    v1::LimitState& state = *answer.add_limits();
    state.set_limit(entry.strict_limit);
    state.set_remaining(entry.strict_limit == 0 ? 0 : Saturate(Int128{entry.strict_limit} - Used(*entry.counter)));
    state.set_reset_us(ResetAt(*entry.counter));
    state.set_held(entry.amount);
  }
  answer.set_result(v1::QuotaAnswer::GRANTED);
}

void QuotaCore::SetState(const Candidate& candidate, const Request* request, v1::LimitState& state) const {
  const Counter& counter = *candidate.counter;
  const int64_t limit = candidate.check->limit();
  Int128 used = Settled(counter);
  if (candidate.holds) used += Suspended(counter);
  if (candidate.holds && candidate.check->admission() == v1::STRICT) used += counter.held;
  state.set_limit(limit);
  state.set_remaining(Saturate(Int128{limit} - used));
  state.set_reset_us(ResetAt(counter));
  const Entry* own = request == nullptr || !candidate.holds ? nullptr : FindEntry(*request, &counter, false);
  state.set_held(own == nullptr ? 0 : own->amount);
  state.set_shadow_denied(candidate.check->shadow() && candidate.shadow_denied);
}

// When the denied check could pass at the earliest if nothing more is used: soon when only holds in flight are in the
// way, else when the window's past has weighed off. An upper bound where holds outlive a window.
int64_t QuotaCore::RetryAt(const v1::Acquire& acquire, const Candidate& denied) const {
  const Counter& counter = *denied.counter;
  const bool strict = denied.holds && denied.strict_limit > 0;
  const int64_t limit = strict ? denied.strict_limit : denied.check->limit();
  const int64_t need = strict ? std::max<int64_t>(MinimumHold(denied.bounds, acquire.output_cap()), 1) : 1;
  const Int128 room = Int128{limit} - need;  // what may be used beside this request
  if (room < 0) return ResetAt(counter);     // it never fits
  const Int128 settled = Settled(counter) + (denied.holds ? Suspended(counter) : 0);
  if (settled <= room) return now_us_ + kRetrySoonUs;
  if (!counter.sliding) return counter.window.end_us;
  const int64_t length_us = counter.window.end_us - counter.window.start_us;
  const Int128 current = Int128{counter.settled} + (denied.holds ? counter.suspense : 0);
  if (current <= room) {
    const Int128 previous = Int128{counter.previous_settled} + (denied.holds ? counter.previous_suspense : 0);
    // Settled and suspended are rounded up apart, so that together they may be a unit more than reckoned here.
    return std::max(counter.window.end_us - RemainsWhenFits(previous, room - current, length_us), now_us_ + 1);
  }
  return counter.window.end_us + length_us - RemainsWhenFits(current, room, length_us);
}

}  // namespace signalbox
