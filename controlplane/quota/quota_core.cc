#include "controlplane/quota/quota_core.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "controlplane/quota/counter_key.h"
#include "controlplane/quota/output_cap.h"

namespace signalbox {
namespace {

constexpr int kCollectPerMessage = 64;

int64_t Saturate(Int128 value) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  return value > kMax ? kMax : value < 0 ? 0 : static_cast<int64_t>(value);
}

int64_t WindowStart(int64_t now_us, int64_t window_us) {
  const int64_t into = now_us % window_us;
  return now_us - (into < 0 ? into + window_us : into);
}

void Refuse(v1::QuotaAnswer& answer, std::string message) {
  answer.set_result(v1::QuotaAnswer::INVALID);
  answer.set_message(std::move(message));
}

std::string IdFault(std::string_view what, const std::string& id) {
  if (id.empty()) return absl::StrCat("the ", std::string(what), " is empty");
  if (id.size() > kQuotaIdBytesMax) {
    return absl::StrCat("the ", std::string(what), " is longer than ", kQuotaIdBytesMax, " bytes");
  }
  return "";
}

std::string CheckFault(const v1::Acquire& acquire, const v1::LimitCheck& check) {
  if (std::string fault = KeyFault(check.counter()); !fault.empty()) return fault;
  if (check.limit() <= 0) return absl::StrCat("the limit ", check.limit(), " is not positive");
  if (check.counter().unit() != v1::NANO_DOLLARS) return "";
  if (check.limit() > kLimitNanosMax) return absl::StrCat("the limit is above ", kLimitNanosMax, " nano-dollars");
  if (check.admission() != v1::STRICT && check.admission() != v1::OBSERVED) {
    return absl::StrCat("the admission ", static_cast<int>(check.admission()), " is not known to this quota service");
  }
  if (acquire.output_cap() <= 0) return "an acquire of money asks for no output tokens";
  for (const uint32_t index : check.bounds()) {
    if (index >= static_cast<uint32_t>(acquire.bounds_size())) {
      return absl::StrCat("bound ", index, " does not exist; there are ", acquire.bounds_size());
    }
  }
  return "";
}

std::string AcquireFault(const v1::Acquire& acquire) {
  if (std::string fault = IdFault("request id", acquire.request_id()); !fault.empty()) return fault;
  if (acquire.checks_size() > kQuotaChecksMax) return absl::StrCat("more than ", kQuotaChecksMax, " limits at once");
  if (acquire.bounds_size() > kQuotaBoundsMax) return absl::StrCat("more than ", kQuotaBoundsMax, " bounds at once");
  if (acquire.output_cap() < 0) return "the output cap is negative";
  for (int i = 0; i < acquire.bounds_size(); ++i) {
    const v1::AttemptBound& bound = acquire.bounds(i);
    if (bound.input_nanos() < 0 || bound.output_nanos_per_mtok() < 0 || bound.max_output_tokens() < 0 ||
        bound.choices() < 0) {
      return absl::StrCat("bound ", i, " has a negative number");
    }
  }
  for (int i = 0; i < acquire.checks_size(); ++i) {
    std::string fault = CheckFault(acquire, acquire.checks(i));
    if (!fault.empty()) return absl::StrCat("check ", i, ": ", fault);
  }
  return "";
}

v1::QuotaAnswer Tombstone(uint64_t sequence) {
  v1::QuotaAnswer answer;
  answer.set_sequence(sequence);
  answer.set_result(v1::QuotaAnswer::DENIED);
  answer.set_message("cancelled by its proxy");
  return answer;
}

}  // namespace

void QuotaCore::Apply(const v1::QuotaRequest& message, int64_t now_us, v1::QuotaResponse& answers) {
  now_us_ = std::max(now_us_, now_us);
  CollectCounters();
  std::string fault = IdFault("proxy id", message.proxy_id());
  if (fault.empty()) fault = IdFault("boot id", message.boot_id());
  if (!fault.empty()) {
    for (const v1::QuotaCommand& command : message.commands()) {
      v1::QuotaAnswer* answer = answers.add_answers();
      answer->set_sequence(command.sequence());
      Refuse(*answer, fault);
    }
    return;
  }
  Boot& boot = BootOf(message.proxy_id(), message.boot_id());
  boot.last_seen_us = now_us_;
  boot.suspended = false;
  AdvanceAcked(boot, message.acked_through());
  for (const v1::QuotaCommand& command : message.commands()) Answer(boot, command, *answers.add_answers());
}

void QuotaCore::Answer(Boot& boot, const v1::QuotaCommand& command, v1::QuotaAnswer& answer) {
  const uint64_t sequence = command.sequence();
  answer.set_sequence(sequence);
  if (sequence == 0) return Refuse(answer, "sequences count from 1");
  if (sequence <= boot.acked_through) {
    answer.set_result(v1::QuotaAnswer::UNKNOWN_SEQUENCE);
    return;
  }
  if (const auto it = boot.answered.find(sequence); it != boot.answered.end()) {
    answer = it->second.answer;
    return;
  }
  if (boot.answered.size() >= kQuotaAnswersMaxPerBoot) {
    return Refuse(answer, absl::StrCat("more than ", kQuotaAnswersMaxPerBoot, " answers are not acknowledged"));
  }
  Answered record;
  record.answer.set_sequence(sequence);
  Evaluate(boot, command, record);
  answer = record.answer;
  boot.answered.emplace_hint(boot.answered.end(), sequence, std::move(record));
}

void QuotaCore::Evaluate(Boot& boot, const v1::QuotaCommand& command, Answered& record) {
  switch (command.kind_case()) {
    case v1::QuotaCommand::kAcquire:
      ++decisions_;
      record.cancellable = true;
      return DoAcquire(boot, command.acquire(), record);
    case v1::QuotaCommand::kExtend:
      ++decisions_;
      record.cancellable = true;
      return DoExtend(boot, command.extend(), record);
    case v1::QuotaCommand::kSettle:
      return DoSettle(command.settle(), record.answer);
    case v1::QuotaCommand::kCancel:
      return DoCancel(boot, command.sequence(), command.cancel(), record.answer);
    case v1::QuotaCommand::kForceCharge:
      return DoForceCharge(command.force_charge(), record.answer);
    case v1::QuotaCommand::KIND_NOT_SET:
      return Refuse(record.answer, "the command is empty or of a kind this quota service does not know");
  }
}

void QuotaCore::DoAcquire(Boot& boot, const v1::Acquire& acquire, Answered& record) {
  if (std::string fault = AcquireFault(acquire); !fault.empty()) return Refuse(record.answer, std::move(fault));
  const auto known = requests_.find(acquire.request_id());
  const Request* request = known == requests_.end() ? nullptr : &known->second;
  if (request != nullptr && request->boot != &boot) {
    return Refuse(record.answer, absl::StrCat("request ", acquire.request_id(), " belongs to another proxy"));
  }
  Candidates passed;
  Candidate denied;
  int64_t cap = acquire.output_cap();
  for (const v1::LimitCheck& check : acquire.checks()) {
    Candidate candidate;
    candidate.counter = &CounterOf(check.counter());
    candidate.check = &check;
    candidate.money = check.counter().unit() == v1::NANO_DOLLARS;
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
  v1::QuotaAnswer& answer = record.answer;
  answer.set_result(denied.check == nullptr ? v1::QuotaAnswer::GRANTED : v1::QuotaAnswer::DENIED);
  answer.set_output_cap(cap);
  const Request* after = taken != nullptr ? taken : request;
  for (const Candidate& candidate : passed) *answer.add_limits() = StateOf(candidate, after);
  if (denied.check != nullptr) {
    answer.set_denied_index(static_cast<uint32_t>(passed.size()));
    *answer.add_limits() = StateOf(denied, after);
  }
}

// Whether the candidate passes, given those that passed before it in the same acquire; lowers `cap` where its money
// does not reach.
bool QuotaCore::Passes(const v1::Acquire& acquire, const Request* request, const Candidates& passed,
                       Candidate& candidate, int64_t& cap) const {
  const Entry* own = request == nullptr ? nullptr : FindEntry(*request, candidate.counter, !candidate.money);
  if (!candidate.money) {
    if (own != nullptr) return true;
    for (const Candidate& earlier : passed) {
      if (earlier.counter == candidate.counter) return true;
    }
    return candidate.counter->settled < candidate.check->limit();
  }
  const auto tighten = [&candidate](int64_t limit) {
    if (limit > 0 && (candidate.strict_limit == 0 || limit < candidate.strict_limit)) candidate.strict_limit = limit;
  };
  if (candidate.check->admission() == v1::STRICT) tighten(candidate.check->limit());
  for (const uint32_t index : candidate.check->bounds()) {
    candidate.bounds.push_back(&acquire.bounds(static_cast<int>(index)));
  }
  // The same counter again: one hold, the larger, which every strict limit that granted it must bear.
  if (own != nullptr) tighten(own->strict_limit);
  for (const Candidate& earlier : passed) {
    if (earlier.counter != candidate.counter) continue;
    tighten(earlier.strict_limit);
    candidate.bounds.insert(candidate.bounds.end(), earlier.bounds.begin(), earlier.bounds.end());
  }
  return MoneyPasses(acquire, own, candidate, cap);
}

bool QuotaCore::MoneyPasses(const v1::Acquire& acquire, const Entry* own, Candidate& candidate, int64_t& cap) const {
  const Counter& counter = *candidate.counter;
  if (own != nullptr && own->suspense_sequence != 0) return false;  // its proxy was given up; the hold is charged
  const int64_t own_amount = own == nullptr ? 0 : own->amount;
  if (candidate.check->admission() == v1::OBSERVED &&
      Int128{counter.settled} + counter.suspense >= candidate.check->limit()) {
    return false;
  }
  if (candidate.strict_limit == 0) return true;
  const Int128 others = Int128{counter.settled} + counter.held + counter.suspense - own_amount;
  const Int128 room = Int128{candidate.strict_limit} - others;
  const int64_t minimum = MinimumHoldNanos(candidate.bounds, acquire.output_cap());
  if (room < std::max(minimum, own_amount)) return false;
  const int64_t available = static_cast<int64_t>(room);
  if (acquire.client_cap() && DearestNanos(candidate.bounds, acquire.output_cap()) <= available) return true;
  const int64_t ceiling = std::min(available, std::max(candidate.strict_limit / kCapShareOfLimit, minimum));
  cap = std::min(cap, LargestCap(candidate.bounds, ceiling, acquire.output_cap()));
  return true;
}

void QuotaCore::Take(Request& request, const Candidate& candidate, int64_t cap, Effects& effects) {
  Counter& counter = *candidate.counter;
  const int64_t hold = candidate.money ? DearestNanos(candidate.bounds, cap) : 1;
  Entry* entry = const_cast<Entry*>(FindEntry(request, &counter, !candidate.money));
  const bool created = entry == nullptr;
  if (!created && (!candidate.money || hold <= entry->amount)) {
    if (candidate.strict_limit > 0) entry->strict_limit = candidate.strict_limit;
    return;
  }
  if (created) {
    Entry fresh;
    fresh.counter = &counter;
    fresh.window_start_us = counter.window_start_us;
    fresh.charge = !candidate.money;
    ++counter.references;
    entry = &request.entries.emplace_back(fresh);
  }
  const int64_t added = hold - entry->amount;
  if (candidate.money) {
    AddHeld(*entry, added);
    entry->strict_limit = candidate.strict_limit;
  } else {
    entry->amount = 1;
    counter.settled = AddSaturating(counter.settled, 1);
  }
  ++counter.references;
  effects.push_back({&counter, entry->window_start_us, !candidate.money, created, added});
}

void QuotaCore::DoExtend(Boot& boot, const v1::Extend& extend, Answered& record) {
  v1::QuotaAnswer& answer = record.answer;
  if (std::string fault = IdFault("request id", extend.request_id()); !fault.empty()) {
    return Refuse(answer, std::move(fault));
  }
  if (extend.required_nanos() < 0) return Refuse(answer, "the sum to extend to is negative");
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
    const Counter& counter = *entry.counter;
    const Int128 after = Int128{counter.settled} + counter.held + counter.suspense - entry.amount +
                         std::max(entry.amount, extend.required_nanos());
    const bool raised = extend.required_nanos() > entry.amount;
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
    const int64_t added = extend.required_nanos() - entry.amount;
    if (added > 0) {
      AddHeld(entry, added);
      ++entry.counter->references;
      record.effects.push_back({entry.counter, entry.window_start_us, false, false, added});
    }
    v1::LimitState& state = *answer.add_limits();
    const Int128 used = Int128{entry.counter->settled} + entry.counter->held + entry.counter->suspense;
    state.set_limit(entry.strict_limit);
    state.set_remaining(entry.strict_limit == 0 ? 0 : Saturate(Int128{entry.strict_limit} - used));
    state.set_reset_us(entry.counter->reset_us());
    state.set_held(entry.amount);
  }
  answer.set_result(v1::QuotaAnswer::GRANTED);
}

void QuotaCore::DoSettle(const v1::Settle& settle, v1::QuotaAnswer& answer) {
  if (std::string fault = IdFault("request id", settle.request_id()); !fault.empty()) {
    return Refuse(answer, std::move(fault));
  }
  if (settle.cost_nanos() < 0) return Refuse(answer, "the cost is negative");
  answer.set_result(v1::QuotaAnswer::GRANTED);
  const auto it = requests_.find(settle.request_id());
  if (it == requests_.end()) return;  // settled before, or it held nothing
  for (Entry& entry : it->second.entries) {
    if (!entry.charge) EndHold(entry, settle.cost_nanos());
    --entry.counter->references;
  }
  --it->second.boot->requests;
  requests_.erase(it);
}

void QuotaCore::DoForceCharge(const v1::ForceCharge& charge, v1::QuotaAnswer& answer) {
  std::string fault = IdFault("request id", charge.request_id());
  if (fault.empty()) fault = KeyFault(charge.counter());
  if (fault.empty() && charge.amount() < 0) fault = "the amount is negative";
  if (!fault.empty()) return Refuse(answer, std::move(fault));
  Counter& counter = CounterOf(charge.counter());
  counter.settled = AddSaturating(counter.settled, charge.amount());
  answer.set_result(v1::QuotaAnswer::GRANTED);
}

void QuotaCore::DoCancel(Boot& boot, uint64_t own_sequence, const v1::Cancel& cancel, v1::QuotaAnswer& answer) {
  const uint64_t target = cancel.sequence();
  if (target == 0 || target == own_sequence) return Refuse(answer, "the cancel names no other sequence");
  if (target <= boot.acked_through) {
    answer.set_result(v1::QuotaAnswer::UNKNOWN_SEQUENCE);
    return;
  }
  const auto [it, fresh] = boot.answered.try_emplace(target);
  Answered& record = it->second;
  if (!fresh && !record.cancellable && !record.cancelled) {
    return Refuse(answer, "only an acquire or an extend can be cancelled");
  }
  if (record.cancellable) Undo(record);
  record.cancellable = false;
  record.cancelled = true;
  record.answer = Tombstone(target);
  answer.set_result(v1::QuotaAnswer::GRANTED);
}

void QuotaCore::Undo(Answered& record) {
  const auto request = requests_.find(record.request_id);
  bool found = request != requests_.end();
  for (const Effect& effect : record.effects) {
    Turn(*effect.counter);
    if (effect.charge && effect.window_start_us == effect.counter->window_start_us && effect.counter->settled > 0) {
      --effect.counter->settled;
    }
    if (!found) continue;
    auto& entries = request->second.entries;
    const Entry* entry = FindEntry(request->second, effect.counter, effect.charge);
    if (entry == nullptr) continue;
    const size_t index = static_cast<size_t>(entry - entries.data());
    if (!effect.charge) AddHeld(entries[index], -std::min(effect.amount, entries[index].amount));
    if (!effect.created) continue;
    if (!effect.charge) EndHold(entries[index], 0);
    found = entries.size() > 1;
    EraseEntry(request, index);
  }
  DropEffects(record);
}

void QuotaCore::Tick(int64_t now_us) {
  now_us_ = std::max(now_us_, now_us);
  CollectCounters();
  std::vector<std::string> silent;
  for (const auto& [key, boot] : boots_) {
    if (!boot.suspended && now_us_ - boot.last_seen_us >= kSuspendAfterUs) silent.push_back(key);
  }
  std::sort(silent.begin(), silent.end());  // suspense is numbered alike in every replay
  for (const std::string& key : silent) Suspend(boots_.find(key)->second);
  while (OldestSuspenseIsPast(now_us_) || suspense_.size() > kQuotaSuspenseRecordsMax) ForgetOldestSuspense();
  for (auto it = boots_.begin(); it != boots_.end();) {
    Boot& boot = it->second;
    if (boot.requests > 0 || now_us_ - boot.last_seen_us < kQuotaBootRetentionUs) {
      ++it;
      continue;
    }
    for (auto& [sequence, record] : boot.answered) DropEffects(record);
    boots_.erase(it++);
  }
}

bool QuotaCore::TickIsDue(int64_t now_us) const {
  if (OldestSuspenseIsPast(now_us)) return true;
  for (const auto& [key, boot] : boots_) {
    if (!boot.suspended && now_us - boot.last_seen_us >= kSuspendAfterUs) return true;
    if (boot.requests == 0 && now_us - boot.last_seen_us >= kQuotaBootRetentionUs) return true;
  }
  return false;
}

void QuotaCore::Restarted(int64_t now_us) {
  now_us_ = std::max(now_us_, now_us);
  for (auto& [key, boot] : boots_) {
    if (!boot.suspended) boot.last_seen_us = now_us_;
  }
}

absl::Status QuotaCore::Replay(const v1::QuotaLogBatch& batch) {
  for (const v1::QuotaLogEntry& entry : batch.entries()) {
    v1::QuotaResponse ignored;
    switch (entry.kind_case()) {
      case v1::QuotaLogEntry::kMessage:
        Apply(entry.message(), batch.now_us(), ignored);
        break;
      case v1::QuotaLogEntry::kTick:
        Tick(batch.now_us());
        break;
      case v1::QuotaLogEntry::kRestarted:
        Restarted(batch.now_us());
        break;
      case v1::QuotaLogEntry::KIND_NOT_SET:
        return absl::DataLossError("the quota log holds an entry of a kind that this build does not know");
    }
  }
  return absl::OkStatus();
}

void QuotaCore::Suspend(Boot& boot) {
  boot.suspended = true;
  std::vector<std::string> ids;
  for (const auto& [id, request] : requests_) {
    if (request.boot == &boot) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  for (const std::string& id : ids) {
    const auto request = requests_.find(id);
    auto& entries = request->second.entries;
    for (size_t i = entries.size(); i-- > 0;) {
      if (entries[i].charge) {  // nothing of it is in flight; the count stays charged
        EraseEntry(request, i);
        continue;
      }
      Entry& entry = entries[i];
      if (entry.suspense_sequence != 0) continue;
      Turn(*entry.counter);
      entry.counter->held -= entry.amount;
      if (InWindow(entry)) entry.counter->suspense += entry.amount;
      entry.suspense_sequence = ++last_suspense_sequence_;
      v1::SuspendedHold& hold = suspense_[entry.suspense_sequence];
      hold.set_sequence(entry.suspense_sequence);
      hold.set_request_id(id);
      hold.set_proxy_id(boot.proxy_id);
      hold.set_boot_id(boot.boot_id);
      *hold.mutable_counter() = entry.counter->key;
      hold.set_amount_nanos(entry.amount);
      hold.set_suspend_time_us(now_us_);
    }
  }
}

bool QuotaCore::OldestSuspenseIsPast(int64_t now_us) const {
  if (suspense_.empty()) return false;
  const v1::SuspendedHold& oldest = suspense_.begin()->second;
  if (now_us - oldest.suspend_time_us() < kQuotaSuspenseRetentionUs) return false;
  // Suspended in the window that granted it or later, so one whole window on it weighs nothing.
  return oldest.resolved() || now_us - oldest.suspend_time_us() >= oldest.counter().window_seconds() * 1'000'000;
}

void QuotaCore::ForgetOldestSuspense() {
  const auto oldest = suspense_.begin();
  const auto request = requests_.find(oldest->second.request_id());
  if (!oldest->second.resolved() && request != requests_.end()) {
    auto& entries = request->second.entries;
    for (size_t i = 0; i < entries.size(); ++i) {
      if (entries[i].suspense_sequence != oldest->first) continue;
      EndHold(entries[i], entries[i].amount);  // where the window still runs it stays charged
      EraseEntry(request, i);
      break;
    }
  }
  suspense_.erase(oldest);
}

QuotaCore::Boot& QuotaCore::BootOf(std::string_view proxy_id, std::string_view boot_id) {
  scratch_.clear();
  absl::StrAppend(&scratch_, proxy_id.size(), ":");
  scratch_.append(proxy_id).append(boot_id);
  const auto [it, fresh] = boots_.try_emplace(scratch_);
  if (fresh) {
    it->second.proxy_id = proxy_id;
    it->second.boot_id = boot_id;
  }
  return it->second;
}

void QuotaCore::AdvanceAcked(Boot& boot, uint64_t acked_through) {
  if (acked_through <= boot.acked_through) return;
  boot.acked_through = acked_through;
  auto end = boot.answered.begin();
  for (; end != boot.answered.end() && end->first <= acked_through; ++end) DropEffects(end->second);
  boot.answered.erase(boot.answered.begin(), end);
}

QuotaCore::Counter& QuotaCore::CounterOf(const v1::CounterKey& key) {
  scratch_.clear();
  AppendIdentity(key, scratch_);
  const auto [it, fresh] = counters_.try_emplace(scratch_);
  Counter& counter = it->second;
  if (fresh) {
    counter.key = key;
    counter.identity = &it->first;
    counter.window_us = key.window_seconds() * 1'000'000;
    counter.window_start_us = WindowStart(now_us_, counter.window_us);
    turning_[counter.reset_us()].push_back(&counter);
  }
  Turn(counter);
  return counter;
}

void QuotaCore::Turn(Counter& counter) const {
  if (now_us_ < counter.reset_us()) return;
  counter.window_start_us = WindowStart(now_us_, counter.window_us);
  counter.settled = 0;
  counter.suspense = 0;
}

// Who is empty in a past window is forgotten: it equals a counter never used, so no answer depends on when this
// happens.
void QuotaCore::CollectCounters() {
  for (int n = 0; n < kCollectPerMessage && !turning_.empty() && turning_.begin()->first <= now_us_; ++n) {
    const auto bucket = turning_.begin();
    Counter* counter = bucket->second.back();
    bucket->second.pop_back();
    if (bucket->second.empty()) turning_.erase(bucket);
    if (counter->references == 0 && counter->reset_us() <= now_us_) {
      counters_.erase(*counter->identity);
      continue;
    }
    Turn(*counter);
    turning_[counter->reset_us()].push_back(counter);
  }
}

const QuotaCore::Entry* QuotaCore::FindEntry(const Request& request, const Counter* counter, bool charge) {
  for (const Entry& entry : request.entries) {
    if (entry.counter == counter && entry.charge == charge) return &entry;
  }
  return nullptr;
}

bool QuotaCore::InWindow(const Entry& entry) const {
  return entry.window_start_us == entry.counter->window_start_us && now_us_ < entry.counter->reset_us();
}

void QuotaCore::AddHeld(Entry& entry, int64_t amount) {
  entry.amount += amount;
  if (entry.suspense_sequence == 0) {
    entry.counter->held += amount;
    return;
  }
  if (InWindow(entry)) entry.counter->suspense += amount;
  if (const auto it = suspense_.find(entry.suspense_sequence); it != suspense_.end()) {
    it->second.set_amount_nanos(entry.amount);
  }
}

void QuotaCore::EndHold(Entry& entry, int64_t settled_nanos) {
  Counter& counter = *entry.counter;
  Turn(counter);
  const bool in_window = InWindow(entry);
  if (entry.suspense_sequence == 0) {
    counter.held -= entry.amount;
  } else {
    if (in_window) counter.suspense -= entry.amount;
    if (const auto it = suspense_.find(entry.suspense_sequence); it != suspense_.end()) {
      it->second.set_resolved(true);
      it->second.set_settled_nanos(settled_nanos);
    }
  }
  if (in_window) counter.settled = AddSaturating(counter.settled, settled_nanos);
  entry.amount = 0;
}

void QuotaCore::EraseEntry(RequestMap::iterator request, size_t index) {
  auto& entries = request->second.entries;
  --entries[index].counter->references;
  entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(index));
  if (!entries.empty()) return;
  --request->second.boot->requests;
  requests_.erase(request);
}

void QuotaCore::DropEffects(Answered& record) {
  for (const Effect& effect : record.effects) --effect.counter->references;
  record.effects.clear();
}

v1::LimitState QuotaCore::StateOf(const Candidate& candidate, const Request* request) const {
  const Counter& counter = *candidate.counter;
  const int64_t limit = candidate.check->limit();
  Int128 used = counter.settled;
  if (candidate.money) used += counter.suspense;
  if (candidate.money && candidate.check->admission() == v1::STRICT) used += counter.held;
  v1::LimitState state;
  state.set_limit(limit);
  state.set_remaining(Saturate(Int128{limit} - used));
  state.set_reset_us(counter.reset_us());
  const Entry* own = request == nullptr || !candidate.money ? nullptr : FindEntry(*request, &counter, false);
  state.set_held(own == nullptr ? 0 : own->amount);
  return state;
}

}  // namespace signalbox
