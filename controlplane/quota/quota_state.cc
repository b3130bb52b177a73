// QuotaCore's state to and from its stored form, and the checks of its sums.
#include <google/protobuf/arena.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/identifier.h"
#include "controlplane/quota/counter_key.h"
#include "controlplane/quota/quota_core.h"

namespace signalbox {
namespace {

constexpr size_t kSaveBlockBytesMax = 256 << 10;

// Cuts the state into parts of so many records. One part is filled again and again: it keeps what it has allocated.
class PartWriter {
 public:
  PartWriter(int part_records, QuotaCore::PartSink sink, v1::QuotaStatePart& part)
      : part_records_(part_records), sink_(sink), part_(part) {}
  v1::QuotaStatePart& Next() {
    if (records_++ == part_records_) {
      sink_(part_);
      part_.Clear();
      records_ = 1;
    }
    return part_;
  }
  void Done() { sink_(part_); }

 private:
  int part_records_;
  int records_ = 0;
  QuotaCore::PartSink sink_;
  v1::QuotaStatePart& part_;
};

template <typename Map>
auto SortedByKey(Map& map) {
  std::vector<decltype(&*map.begin())> sorted;
  sorted.reserve(map.size());
  for (auto& item : map) sorted.push_back(&item);
  std::sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->first < b->first; });
  return sorted;
}

}  // namespace

v1::Counter QuotaCore::View(const v1::CounterKey& key, const Tally& tally, int64_t now_us) {
  const Amounts amounts = AmountsAt(tally, now_us);
  v1::Counter view;
  *view.mutable_key() = key;
  view.set_settled(Saturate(amounts.settled));
  view.set_held(Saturate(tally.held));
  view.set_suspense(Saturate(amounts.suspended));
  view.set_used(Saturate(amounts.settled + amounts.suspended + tally.held));
  Tally turned;
  turned.sliding = tally.sliding;
  turned.window = WindowOf(key, now_us);
  view.set_reset_us(ResetAt(turned));
  return view;
}

absl::Status QuotaCore::Read(const v1::CounterKey& key, int64_t now_us, v1::Counter& view) const {
  if (std::string fault = KeyFault(key); !fault.empty()) return absl::InvalidArgumentError(fault);
  std::string identity;
  AppendIdentity(key, identity);
  const int64_t now = std::max(now_us_, now_us);
  Tally tally;  // of a counter never used
  tally.sliding = key.technique() == v1::SLIDING;
  tally.window = WindowOf(key, now);
  if (const auto it = counters_.find(identity); it != counters_.end()) tally = it->second;
  view = View(key, tally, now);
  return absl::OkStatus();
}

v1::ListCountersResponse QuotaCore::List(const v1::ListCountersRequest& request, int64_t now_us) const {
  v1::ListCountersResponse list;
  const int64_t now = std::max(now_us_, now_us);
  const auto pool = pools_.find({request.gateway(), request.pool()});
  if (pool == pools_.end()) return list;
  list.set_counters_in_pool(static_cast<int64_t>(pool->second.counters.size()));
  struct Listed {
    Int128 used;
    const Counter* counter;
  };
  std::vector<Listed> fullest;
  for (const Counter* counter : pool->second.counters) {
    if (!request.identifier().empty() && !SameIdentifier(counter->key.identifier(), request.identifier())) continue;
    const Amounts amounts = AmountsAt(*counter, now);
    fullest.push_back({amounts.settled + amounts.suspended + counter->held, counter});
  }
  const size_t size = std::min<size_t>(fullest.size(), request.page_size() > 0 ? request.page_size() : fullest.size());
  std::partial_sort(fullest.begin(), fullest.begin() + static_cast<std::ptrdiff_t>(size), fullest.end(),
                    [](const Listed& a, const Listed& b) {
                      return a.used != b.used ? a.used > b.used : *a.counter->identity < *b.counter->identity;
                    });
  for (size_t i = 0; i < size; ++i) *list.add_counters() = View(fullest[i].counter->key, *fullest[i].counter, now);
  return list;
}

std::vector<v1::SuspendedHold> QuotaCore::Suspense(int64_t after_sequence, int page_size) const {
  std::vector<v1::SuspendedHold> page;
  for (auto it = suspense_.upper_bound(after_sequence); it != suspense_.end(); ++it) {
    if (static_cast<int>(page.size()) >= page_size) break;
    page.emplace_back().ParseFromString(it->second.hold);
  }
  return page;
}

std::vector<v1::Adjustment> QuotaCore::Adjustments(int64_t after_sequence, int page_size) const {
  std::vector<v1::Adjustment> page;
  for (auto it = adjustments_.upper_bound(after_sequence); it != adjustments_.end(); ++it) {
    if (static_cast<int>(page.size()) >= page_size) break;
    page.push_back(it->second);
  }
  return page;
}

void QuotaCore::Save(int part_records, PartSink sink) const {
  google::protobuf::ArenaOptions blocks;
  blocks.max_block_size = kSaveBlockBytesMax;
  google::protobuf::Arena arena(blocks);
  SaveThrough(*google::protobuf::Arena::CreateMessage<v1::QuotaStatePart>(&arena), part_records, sink);
}

std::vector<v1::QuotaStatePart> QuotaCore::Save(int part_records) const {
  std::vector<v1::QuotaStatePart> parts;
  v1::QuotaStatePart part;
  SaveThrough(part, part_records, [&parts](v1::QuotaStatePart& full) { parts.push_back(std::move(full)); });
  return parts;
}

void QuotaCore::SaveThrough(v1::QuotaStatePart& part, int part_records, PartSink sink) const {
  PartWriter writer(part_records, sink, part);
  part.set_now_us(now_us_);
  part.set_last_suspense_sequence(last_suspense_sequence_);
  part.set_last_adjustment_sequence(last_adjustment_sequence_);
  absl::flat_hash_map<const Counter*, uint64_t> counter_index;
  for (const auto* item : SortedByKey(counters_)) {
    const Counter& counter = item->second;
    Tally turned = counter;
    Turn(counter.key, turned);
    if (counter.references == 0 && turned.settled == 0 && turned.previous_settled == 0) continue;  // as if never used
    counter_index.emplace(&item->second, counter_index.size());
    v1::CounterState& state = *writer.Next().add_counters();
    state.set_window_start_us(turned.window.start_us);
    state.set_settled(turned.settled);
    state.set_previous_settled(turned.previous_settled);
    state.set_era(counter.references == 0 ? 0 : turned.era);
    *state.mutable_key() = counter.key;
  }
  absl::flat_hash_map<const Boot*, uint64_t> boot_index;
  v1::QuotaAnswer given;
  for (const auto* item : SortedByKey(boots_)) {
    const Boot& boot = item->second;
    boot_index.emplace(&boot, boot_index.size());
    v1::BootState& state = *writer.Next().add_boots();
    state.set_proxy_id(boot.proxy_id);
    state.set_boot_id(boot.boot_id);
    state.set_last_seen_us(boot.last_seen_us);
    state.set_acked_through(boot.acked_through);
    state.set_suspended(boot.suspended);
    for (const std::unique_ptr<Answered>& record : boot.answered) {
      v1::AnswerState& answer = *state.add_answers();
      given.Clear();
      Recall(*record, given);
      given.SerializeToString(answer.mutable_answer());
      answer.set_cancellable(record->cancellable);
      answer.set_cancelled(record->cancelled);
      answer.set_request_id(record->request_id);
      for (const Effect& effect : record->effects) {
        v1::EffectState& written = *answer.add_effects();
        written.set_counter(counter_index.at(effect.counter));
        written.set_window_start_us(effect.window_start_us);
        written.set_charge(effect.charge);
        written.set_created(effect.created);
        written.set_amount(effect.amount);
        written.set_era(effect.era);
      }
    }
  }
  for (const auto* item : SortedByKey(requests_)) {
    v1::RequestState& state = *writer.Next().add_requests();
    state.set_request_id(item->first);
    state.set_boot(boot_index.at(item->second.boot));
    for (const Entry& entry : item->second.entries) {
      v1::EntryState& written = *state.add_entries();
      written.set_counter(counter_index.at(entry.counter));
      written.set_window_start_us(entry.window_start_us);
      written.set_charge(entry.charge);
      written.set_amount(entry.amount);
      written.set_strict_limit(entry.strict_limit);
      written.set_suspense_sequence(entry.suspense_sequence);
      written.set_era(entry.era);
      written.set_shadow(entry.shadow);
    }
  }
  for (const auto& [sequence, suspended] : suspense_) writer.Next().add_suspense(suspended.hold);
  for (const auto& [sequence, adjustment] : adjustments_) *writer.Next().add_adjustments() = adjustment;
  writer.Done();
}

absl::Status QuotaCore::Load(const v1::QuotaStatePart& part) {
  now_us_ = std::max(now_us_, part.now_us());
  last_suspense_sequence_ = std::max(last_suspense_sequence_, part.last_suspense_sequence());
  last_adjustment_sequence_ = std::max(last_adjustment_sequence_, part.last_adjustment_sequence());
  const auto counter_at = [this](uint64_t index) -> Counter* {
    return index < loaded_counters_.size() ? loaded_counters_[index] : nullptr;
  };
  for (const v1::CounterState& state : part.counters()) {
    if (std::string fault = KeyFault(state.key()); !fault.empty()) {
      return absl::DataLossError(absl::StrCat("the stored quota state has an impossible counter: ", fault));
    }
    Counter& counter = CounterOf(state.key());
    counter.window = WindowOf(state.key(), state.window_start_us());
    counter.settled = state.settled();
    counter.previous_settled = state.previous_settled();
    counter.era = state.era();
    loaded_counters_.push_back(&counter);
  }
  v1::QuotaAnswer parsed;
  for (const v1::BootState& state : part.boots()) {
    Boot& boot = BootOf(state.proxy_id(), state.boot_id());
    boot.last_seen_us = state.last_seen_us();
    boot.acked_through = state.acked_through();
    boot.suspended = state.suspended();
    loaded_boots_.push_back(&boot);
    for (const v1::AnswerState& answer : state.answers()) {
      if (!parsed.ParseFromString(answer.answer())) {
        return absl::DataLossError("the stored quota state has an answer that cannot be read");
      }
      const auto place = AnsweredFrom(boot.answered, parsed.sequence());
      if (place != boot.answered.end() && (*place)->sequence == parsed.sequence()) {
        return absl::DataLossError("the stored quota state has an answer twice");
      }
      Answered& record = **boot.answered.insert(place, NewAnswered(parsed.sequence()));
      Remember(parsed, record);
      record.cancellable = answer.cancellable();
      record.cancelled = answer.cancelled();
      record.request_id = answer.request_id();
      for (const v1::EffectState& effect : answer.effects()) {
        Counter* counter = counter_at(effect.counter());
        if (counter == nullptr) return absl::DataLossError("the stored quota state names a counter it does not have");
        ++counter->references;
        record.effects.push_back(
            {counter, effect.window_start_us(), effect.charge(), effect.created(), effect.amount(), effect.era()});
      }
    }
  }
  for (const v1::RequestState& state : part.requests()) {
    if (state.boot() >= loaded_boots_.size()) {
      return absl::DataLossError("the stored quota state names a proxy it does not have");
    }
    const auto [it, fresh] = requests_.try_emplace(state.request_id());
    if (!fresh) return absl::DataLossError("the stored quota state has a request twice");
    it->second.boot = loaded_boots_[state.boot()];
    ++it->second.boot->requests;
    for (const v1::EntryState& written : state.entries()) {
      Counter* counter = counter_at(written.counter());
      if (counter == nullptr) return absl::DataLossError("the stored quota state names a counter it does not have");
      Entry& entry = it->second.entries.emplace_back();
      entry.counter = counter;
      entry.window_start_us = written.window_start_us();
      entry.charge = written.charge();
      entry.amount = written.amount();
      entry.strict_limit = written.strict_limit();
      entry.suspense_sequence = written.suspense_sequence();
      entry.era = written.era();
      entry.shadow = written.shadow();
      ++counter->references;
      if (entry.charge) continue;
      if (entry.suspense_sequence == 0) {
        counter->held += entry.amount;
      } else {
        AddSuspense(entry, entry.amount);
      }
    }
  }
  v1::SuspendedHold hold;
  for (const std::string& bytes : part.suspense()) {
    if (!hold.ParseFromString(bytes)) {
      return absl::DataLossError("the stored quota state has a suspended hold that cannot be read");
    }
    Keep(hold);
  }
  for (const v1::Adjustment& adjustment : part.adjustments()) {
    adjustments_[adjustment.sequence()] = adjustment;
    adjustment_by_id_[adjustment.request().adjustment_id()] = adjustment.sequence();
  }
  return absl::OkStatus();
}

void QuotaCore::LoadDone() {
  loaded_counters_ = {};
  loaded_boots_ = {};
}

std::string QuotaCore::Dump() const {
  std::string text;
  Save(kPartRecords, [&text](const v1::QuotaStatePart& part) { absl::StrAppend(&text, part.DebugString()); });
  return text;
}

absl::Status QuotaCore::Check() const {
  struct Sums {
    Int128 held = 0, suspense = 0, previous_suspense = 0;
    int64_t references = 0;
  };
  absl::flat_hash_map<const Counter*, Sums> sums;
  absl::flat_hash_map<const Boot*, int64_t> requests;
  for (const auto& [id, request] : requests_) {
    ++requests[request.boot];
    if (request.entries.empty()) return absl::InternalError(absl::StrCat("request ", id, " holds nothing"));
    for (const Entry& entry : request.entries) {
      Sums& sum = sums[entry.counter];
      ++sum.references;
      if (entry.amount < 0) return absl::InternalError(absl::StrCat("request ", id, " holds less than nothing"));
      if (entry.charge) continue;
      if (entry.suspense_sequence == 0) {
        sum.held += entry.amount;
        continue;
      }
      Tally turned = *entry.counter;
      Turn(entry.counter->key, turned);
      const Where where = entry.era == turned.era ? WhereIs(turned, entry.window_start_us) : Where::kPast;
      if (where == Where::kCurrent) sum.suspense += entry.amount;
      if (where == Where::kPrevious) sum.previous_suspense += entry.amount;
      if (!suspense_.contains(entry.suspense_sequence)) {
        return absl::InternalError(absl::StrCat("request ", id, " is suspended and not listed"));
      }
    }
  }
  for (const auto& [key, boot] : boots_) {
    const auto it = requests.find(&boot);
    if (boot.requests != (it == requests.end() ? 0 : it->second)) {
      return absl::InternalError(absl::StrCat("boot ", boot.boot_id, " counts its requests wrong"));
    }
    uint64_t before = boot.acked_through;
    for (const std::unique_ptr<Answered>& record : boot.answered) {
      if (record->sequence <= before) {
        return absl::InternalError(absl::StrCat("boot ", boot.boot_id, " keeps acknowledged answer ", record->sequence,
                                                " or has it out of order"));
      }
      before = record->sequence;
      for (const Effect& effect : record->effects) ++sums[effect.counter].references;
    }
  }
  size_t pooled = 0;
  for (const auto& [name, pool] : pools_) pooled += pool.counters.size();
  if (pooled != counters_.size()) return absl::InternalError("the pools do not list each counter once");
  for (const auto& [identity, counter] : counters_) {
    Tally turned = counter;
    Turn(counter.key, turned);
    const Sums& sum = sums[&counter];
    if (turned.held != sum.held || turned.suspense != sum.suspense ||
        turned.previous_suspense != sum.previous_suspense || counter.references != sum.references ||
        turned.settled < 0 || turned.previous_settled < 0 || counter.pool->counters[counter.place] != &counter) {
      return absl::InternalError(absl::StrCat("counter ", counter.key.ShortDebugString(), ": held ",
                                              Saturate(turned.held), " suspense ", Saturate(turned.suspense),
                                              " references ", counter.references, ", its requests say ",
                                              Saturate(sum.held), " ", Saturate(sum.suspense), " ", sum.references));
    }
  }
  return absl::OkStatus();
}

}  // namespace signalbox
