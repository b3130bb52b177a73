#include "controlplane/quota/quota_core.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/money.h"
#include "controlplane/quota/command_check.h"

namespace signalbox {
namespace {

constexpr int kCollectPerMessage = 64;
constexpr size_t kSpareAnsweredMax = 16'384;

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
  if (const std::string fault = SenderFault(message); !fault.empty()) return RefuseAll(message, fault, answers);
  Boot& boot = BootOf(message.proxy_id(), message.boot_id());
  boot.last_seen_us = now_us_;
  boot.suspended = false;
  AdvanceAcked(boot, message.acked_through());
  answers.mutable_answers()->Reserve(message.commands_size());
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
  if (const Answered* known = FindAnswered(boot.answered, sequence); known != nullptr) return Recall(*known, answer);
  if (boot.answered.size() >= kQuotaAnswersMaxPerBoot) {
    return Refuse(answer, absl::StrCat("more than ", kQuotaAnswersMaxPerBoot, " answers are not acknowledged"));
  }
  std::unique_ptr<Answered> record = NewAnswered(sequence);
  Evaluate(boot, command, *record, answer);
  Remember(answer, *record);
  boot.answered.insert(AnsweredFrom(boot.answered, sequence), std::move(record));
}

void QuotaCore::Evaluate(Boot& boot, const v1::QuotaCommand& command, Answered& record, v1::QuotaAnswer& answer) {
  switch (command.kind_case()) {
    case v1::QuotaCommand::kAcquire:
      ++decisions_;
      record.cancellable = true;
      return DoAcquire(boot, command.acquire(), record, answer);
    case v1::QuotaCommand::kExtend:
      ++decisions_;
      record.cancellable = true;
      return DoExtend(boot, command.extend(), record, answer);
    case v1::QuotaCommand::kSettle:
      return DoSettle(command.settle(), answer);
    case v1::QuotaCommand::kCancel:
      return DoCancel(boot, command.sequence(), command.cancel(), answer);
    case v1::QuotaCommand::kForceCharge:
      return DoForceCharge(command.force_charge(), answer);
    case v1::QuotaCommand::KIND_NOT_SET:
      return Refuse(answer, "the command is empty or of a kind this quota service does not know");
  }
}

void QuotaCore::DoSettle(const v1::Settle& settle, v1::QuotaAnswer& answer) {
  if (std::string fault = SettleFault(settle); !fault.empty()) return Refuse(answer, std::move(fault));
  answer.set_result(v1::QuotaAnswer::GRANTED);
  const auto it = requests_.find(settle.request_id());
  if (it == requests_.end()) return;  // settled before, or it held nothing
  for (Entry& entry : it->second.entries) {
    if (!entry.charge) {
      EndHold(entry, entry.counter->key.unit() == v1::TOKENS ? settle.tokens() : settle.cost_nanos());
    }
    --entry.counter->references;
  }
  --it->second.boot->requests;
  requests_.erase(it);
}

void QuotaCore::DoForceCharge(const v1::ForceCharge& charge, v1::QuotaAnswer& answer) {
  if (std::string fault = ForceChargeFault(charge); !fault.empty()) return Refuse(answer, std::move(fault));
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
  Answered* known = FindAnswered(boot.answered, target);
  const bool fresh = known == nullptr;
  if (fresh) {
    known = boot.answered.insert(AnsweredFrom(boot.answered, target), NewAnswered(target))->get();
  }
  Answered& record = *known;
  if (!fresh && !record.cancellable && !record.cancelled) {
    return Refuse(answer, "only an acquire or an extend can be cancelled");
  }
  if (record.cancellable) Undo(record);
  record.cancellable = false;
  record.cancelled = true;
  Remember(Tombstone(target), record);
  answer.set_result(v1::QuotaAnswer::GRANTED);
}

void QuotaCore::Undo(Answered& record) {
  const auto request = requests_.find(record.request_id);
  bool found = request != requests_.end();
  for (const Effect& effect : record.effects) {
    Turn(*effect.counter);
    if (effect.charge && effect.era == effect.counter->era) AddSettled(*effect.counter, effect.window_start_us, -1);
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
    for (const std::unique_ptr<Answered>& record : boot.answered) DropEffects(*record);
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

absl::Status QuotaCore::Adjust(const v1::AdjustCounterRequest& request, int64_t now_us, v1::Adjustment& adjustment) {
  if (std::string fault = AdjustFault(request); !fault.empty()) return absl::InvalidArgumentError(fault);
  if (const auto known = adjustment_by_id_.find(request.adjustment_id()); known != adjustment_by_id_.end()) {
    adjustment = adjustments_.at(known->second);
    return absl::OkStatus();
  }
  now_us_ = std::max(now_us_, now_us);
  Counter& counter = CounterOf(request.key());
  adjustment.set_sequence(++last_adjustment_sequence_);
  adjustment.set_time_us(now_us_);
  *adjustment.mutable_request() = request;
  *adjustment.mutable_before() = View(counter.key, counter, now_us_);
  if (request.reset()) {
    ++counter.era;
    counter.settled = counter.previous_settled = 0;
    counter.suspense = counter.previous_suspense = 0;
  } else {
    counter.settled = std::max<int64_t>(AddSaturating(counter.settled, request.delta()), 0);
  }
  *adjustment.mutable_after() = View(counter.key, counter, now_us_);
  adjustments_.emplace(adjustment.sequence(), adjustment);
  adjustment_by_id_.emplace(request.adjustment_id(), adjustment.sequence());
  if (adjustments_.size() > kQuotaAdjustmentsMax) {
    adjustment_by_id_.erase(adjustments_.begin()->second.request().adjustment_id());
    adjustments_.erase(adjustments_.begin());
  }
  return absl::OkStatus();
}

void QuotaCore::Restarted(int64_t now_us) {
  now_us_ = std::max(now_us_, now_us);
  for (auto& [key, boot] : boots_) {
    if (!boot.suspended) boot.last_seen_us = now_us_;
  }
}

absl::Status QuotaCore::Replay(const v1::QuotaLogBatch& batch) {
  v1::QuotaResponse ignored;
  for (const v1::QuotaLogEntry& entry : batch.entries()) {
    ignored.Clear();
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
      case v1::QuotaLogEntry::kAdjust: {
        v1::Adjustment ignored_too;
        if (!Adjust(entry.adjust(), batch.now_us(), ignored_too).ok()) {
          return absl::DataLossError("the quota log holds an adjustment that this build does not accept");
        }
        break;
      }
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
      entry.suspense_sequence = ++last_suspense_sequence_;
      entry.era = entry.counter->era;
      AddSuspense(entry, entry.amount);
      v1::SuspendedHold hold;
      hold.set_sequence(entry.suspense_sequence);
      hold.set_request_id(id);
      hold.set_proxy_id(boot.proxy_id);
      hold.set_boot_id(boot.boot_id);
      *hold.mutable_counter() = entry.counter->key;
      hold.set_amount(entry.amount);
      hold.set_suspend_time_us(now_us_);
      Keep(hold);
    }
  }
}

bool QuotaCore::OldestSuspenseIsPast(int64_t now_us) const {
  if (suspense_.empty()) return false;
  const SuspenseRecord& oldest = suspense_.begin()->second;
  if (now_us - oldest.suspend_time_us < kQuotaSuspenseRetentionUs) return false;
  return oldest.resolved || now_us - oldest.suspend_time_us >= oldest.weighs_at_most_us;
}

void QuotaCore::ForgetOldestSuspense() {
  const auto oldest = suspense_.begin();
  v1::SuspendedHold hold;
  hold.ParseFromString(oldest->second.hold);
  const auto request = requests_.find(hold.request_id());
  if (!hold.resolved() && request != requests_.end()) {
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
  while (!boot.answered.empty() && boot.answered.front()->sequence <= acked_through) {
    DropEffects(*boot.answered.front());
    Reuse(std::move(boot.answered.front()));
    boot.answered.pop_front();
  }
}

QuotaCore::Answers::iterator QuotaCore::AnsweredFrom(Answers& answers, uint64_t sequence) {
  if (answers.empty() || answers.back()->sequence < sequence) return answers.end();
  const uint64_t first = answers.front()->sequence;
  if (sequence <= first) return answers.begin();
  // Where it is when there are no gaps.
  const uint64_t offset = sequence - first;
  if (offset < answers.size() && answers[offset]->sequence == sequence) {
    return answers.begin() + static_cast<std::ptrdiff_t>(offset);
  }
  return std::lower_bound(answers.begin(), answers.end(), sequence,
                          [](const auto& record, uint64_t wanted) { return record->sequence < wanted; });
}

QuotaCore::Answered* QuotaCore::FindAnswered(Answers& answers, uint64_t sequence) {
  const auto it = AnsweredFrom(answers, sequence);
  return it == answers.end() || (*it)->sequence != sequence ? nullptr : it->get();
}

void QuotaCore::Remember(const v1::QuotaAnswer& answer, Answered& record) {
  record.result = answer.result();
  record.denied_index = answer.denied_index();
  record.output_cap = answer.output_cap();
  record.message = answer.message();
  record.limits.clear();
  for (const v1::LimitState& state : answer.limits()) {
    record.limits.push_back(
        {state.limit(), state.remaining(), state.reset_us(), state.held(), state.retry_us(), state.shadow_denied()});
  }
}

void QuotaCore::Recall(const Answered& record, v1::QuotaAnswer& answer) {
  answer.set_sequence(record.sequence);
  answer.set_result(record.result);
  answer.set_denied_index(record.denied_index);
  answer.set_output_cap(record.output_cap);
  answer.set_message(record.message);
  for (const AnsweredLimit& limit : record.limits) {
    v1::LimitState& state = *answer.add_limits();
    state.set_limit(limit.limit);
    state.set_remaining(limit.remaining);
    state.set_reset_us(limit.reset_us);
    state.set_held(limit.held);
    state.set_retry_us(limit.retry_us);
    state.set_shadow_denied(limit.shadow_denied);
  }
}

std::unique_ptr<QuotaCore::Answered> QuotaCore::NewAnswered(uint64_t sequence) {
  std::unique_ptr<Answered> record;
  if (spare_answered_.empty()) {
    record = std::make_unique<Answered>();
  } else {
    record = std::move(spare_answered_.back());
    spare_answered_.pop_back();
  }
  record->sequence = sequence;
  return record;
}

void QuotaCore::Reuse(std::unique_ptr<Answered> record) {
  if (spare_answered_.size() >= kSpareAnsweredMax) return;
  record->cancellable = record->cancelled = false;
  record->request_id.clear();
  spare_answered_.push_back(std::move(record));
}

QuotaCore::Counter* QuotaCore::FindCounter(const v1::CounterKey& key) {
  scratch_.clear();
  AppendIdentity(key, scratch_);
  const auto it = counters_.find(scratch_);
  return it == counters_.end() ? nullptr : &it->second;
}

QuotaCore::Counter& QuotaCore::CounterOf(const v1::CounterKey& key) {
  scratch_.clear();
  AppendIdentity(key, scratch_);
  const auto [it, fresh] = counters_.try_emplace(scratch_);
  Counter& counter = it->second;
  if (fresh) {
    counter.key = key;
    counter.identity = &it->first;
    counter.sliding = key.technique() == v1::SLIDING;
    counter.window = WindowOf(key, now_us_);
    turning_[ResetAt(counter)].push_back(&counter);
    Pool& pool = pools_[{key.gateway(), key.pool()}];
    counter.pool = &pool;
    counter.place = pool.counters.size();
    pool.counters.push_back(&counter);
    return counter;
  }
  return Current(counter);
}

QuotaCore::Counter& QuotaCore::Current(Counter& counter) const {
  Turn(counter);
  if (counter.references == 0) counter.era = 0;  // nothing is left of before a reset: equals one made anew
  return counter;
}

void QuotaCore::Forget(Counter* counter) {
  Pool& pool = *counter->pool;
  pool.counters[counter->place] = pool.counters.back();
  pool.counters[counter->place]->place = counter->place;
  pool.counters.pop_back();
  if (pool.counters.empty()) pools_.erase({counter->key.gateway(), counter->key.pool()});
  counters_.erase(std::string(*counter->identity));
}

void QuotaCore::Turn(const v1::CounterKey& key, Tally& tally) const {
  if (now_us_ < tally.window.end_us) return;
  const Window past = tally.window;
  tally.window = WindowOf(key, now_us_);
  const bool next = tally.sliding && tally.window.start_us == past.end_us;
  tally.previous_settled = next ? tally.settled : 0;
  tally.previous_suspense = next ? tally.suspense : 0;
  tally.settled = 0;
  tally.suspense = 0;
}

// Who is empty in a past window is forgotten: it equals a counter never used, so no answer depends on when this
// happens.
void QuotaCore::CollectCounters() {
  for (int n = 0; n < kCollectPerMessage && !turning_.empty() && turning_.begin()->first <= now_us_; ++n) {
    const auto bucket = turning_.begin();
    Counter* counter = bucket->second.back();
    bucket->second.pop_back();
    if (bucket->second.empty()) turning_.erase(bucket);
    if (IsPast(*counter)) {
      Forget(counter);
      continue;
    }
    Turn(*counter);
    turning_[ResetAt(*counter)].push_back(counter);
  }
}

int64_t QuotaCore::ResetAt(const Tally& tally) {
  const Window& window = tally.window;
  return tally.sliding ? window.end_us + (window.end_us - window.start_us) : window.end_us;
}

bool QuotaCore::IsPast(const Counter& counter) const { return counter.references == 0 && ResetAt(counter) <= now_us_; }

QuotaCore::Where QuotaCore::WhereIs(const Tally& tally, int64_t window_start_us) {
  if (window_start_us == tally.window.start_us) return Where::kCurrent;
  const int64_t length_us = tally.window.end_us - tally.window.start_us;
  return tally.sliding && window_start_us == tally.window.start_us - length_us ? Where::kPrevious : Where::kPast;
}

void QuotaCore::AddSettled(Counter& counter, int64_t window_start_us, int64_t amount) {
  const Where where = WhereIs(counter, window_start_us);
  if (where == Where::kPast) return;
  int64_t& settled = where == Where::kCurrent ? counter.settled : counter.previous_settled;
  settled = std::max<int64_t>(AddSaturating(settled, amount), 0);  // an adjustment may have taken it below
}

void QuotaCore::AddSuspense(const Entry& entry, int64_t amount) {
  Counter& counter = *entry.counter;
  if (entry.era != counter.era) return;
  const Where where = WhereIs(counter, entry.window_start_us);
  if (where == Where::kCurrent) counter.suspense += amount;
  if (where == Where::kPrevious) counter.previous_suspense += amount;
}

QuotaCore::Amounts QuotaCore::AmountsAt(const Tally& tally, int64_t now_us) {
  const int64_t length_us = tally.window.end_us - tally.window.start_us;
  const auto weigh = [length_us](Int128 amount, int64_t remains_us) {
    return amount == 0 || remains_us <= 0 ? 0 : ScaleUp(amount, remains_us, length_us);
  };
  if (now_us < tally.window.end_us) {
    const int64_t remains_us = tally.window.end_us - now_us;
    return {tally.settled + weigh(tally.previous_settled, remains_us),
            tally.suspense + weigh(tally.previous_suspense, remains_us)};
  }
  if (!tally.sliding) return {};
  const int64_t remains_us = tally.window.end_us + length_us - now_us;  // of the window after
  return {weigh(tally.settled, remains_us), weigh(tally.suspense, remains_us)};
}

Int128 QuotaCore::Settled(const Counter& counter) const { return AmountsAt(counter, now_us_).settled; }

Int128 QuotaCore::Suspended(const Counter& counter) const { return AmountsAt(counter, now_us_).suspended; }

Int128 QuotaCore::Used(const Counter& counter) const {
  const Amounts amounts = AmountsAt(counter, now_us_);
  return amounts.settled + amounts.suspended + counter.held;
}

const QuotaCore::Entry* QuotaCore::FindEntry(const Request& request, const Counter* counter, bool charge) {
  for (const Entry& entry : request.entries) {
    if (entry.counter == counter && entry.charge == charge) return &entry;
  }
  return nullptr;
}

void QuotaCore::AddHeld(Entry& entry, int64_t amount) {
  entry.amount += amount;
  if (entry.suspense_sequence == 0) {
    entry.counter->held += amount;
    return;
  }
  AddSuspense(entry, amount);
  ChangeSuspended(entry.suspense_sequence, [&entry](v1::SuspendedHold& hold) { hold.set_amount(entry.amount); });
}

void QuotaCore::Keep(const v1::SuspendedHold& hold) {
  SuspenseRecord& kept = suspense_[hold.sequence()];
  hold.SerializeToString(&kept.hold);
  kept.suspend_time_us = hold.suspend_time_us();
  kept.weighs_at_most_us = WeighsAtMostUs(hold.counter());
  kept.resolved = hold.resolved();
}

void QuotaCore::ChangeSuspended(int64_t sequence, absl::FunctionRef<void(v1::SuspendedHold&)> change) {
  const auto it = suspense_.find(sequence);
  if (it == suspense_.end()) return;
  v1::SuspendedHold hold;
  hold.ParseFromString(it->second.hold);
  change(hold);
  Keep(hold);
}

// Ends as `used`, in the window that granted it. What was suspended before a reset is forgiven.
void QuotaCore::EndHold(Entry& entry, int64_t used) {
  Counter& counter = *entry.counter;
  Turn(counter);
  const bool suspended = entry.suspense_sequence != 0;
  const int64_t held = entry.amount;
  AddHeld(entry, -held);
  if (suspended) {
    ChangeSuspended(entry.suspense_sequence, [used, held](v1::SuspendedHold& hold) {
      hold.set_resolved(true);
      hold.set_settled(used);
      hold.set_amount(held);
    });
  }
  if (!suspended || entry.era == counter.era) AddSettled(counter, entry.window_start_us, used);
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

}  // namespace signalbox
