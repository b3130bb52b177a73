// QuotaCore's state to and from its stored form, and the checks of its sums.
#include <algorithm>
#include <limits>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "controlplane/quota/counter_key.h"
#include "controlplane/quota/quota_core.h"

namespace signalbox {
namespace {

// Cuts the state into parts of so many records.
class PartWriter {
 public:
  explicit PartWriter(int part_records) : part_records_(part_records) { parts_.emplace_back(); }
  v1::QuotaStatePart& Next() {
    if (records_++ == part_records_) {
      records_ = 1;
      parts_.emplace_back();
    }
    return parts_.back();
  }
  std::vector<v1::QuotaStatePart> Take() { return std::move(parts_); }
  v1::QuotaStatePart& first() { return parts_.front(); }

 private:
  int part_records_;
  int records_ = 0;
  std::vector<v1::QuotaStatePart> parts_;
};

template <typename Map>
auto SortedByKey(Map& map) {
  std::vector<decltype(&*map.begin())> sorted;
  sorted.reserve(map.size());
  for (auto& item : map) sorted.push_back(&item);
  std::sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->first < b->first; });
  return sorted;
}

int64_t Saturate(Int128 value) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  return value > kMax ? kMax : static_cast<int64_t>(value);
}

}  // namespace

absl::Status QuotaCore::Read(const v1::CounterKey& key, int64_t now_us, CounterView& view) const {
  if (std::string fault = KeyFault(key); !fault.empty()) return absl::InvalidArgumentError(fault);
  const int64_t now = std::max(now_us_, now_us);
  const int64_t window_us = key.window_seconds() * 1'000'000;
  view = CounterView{};
  view.reset_us = (now / window_us + 1) * window_us;
  std::string identity;
  AppendIdentity(key, identity);
  const auto it = counters_.find(identity);
  if (it == counters_.end()) return absl::OkStatus();
  const Counter& counter = it->second;
  view.held = Saturate(counter.held);
  if (now >= counter.reset_us()) return absl::OkStatus();
  view.settled = counter.settled;
  view.suspense = Saturate(counter.suspense);
  return absl::OkStatus();
}

std::vector<v1::SuspendedHold> QuotaCore::Suspense(int64_t after_sequence, int page_size) const {
  std::vector<v1::SuspendedHold> page;
  for (auto it = suspense_.upper_bound(after_sequence); it != suspense_.end(); ++it) {
    if (static_cast<int>(page.size()) >= page_size) break;
    page.push_back(it->second);
  }
  return page;
}

std::vector<v1::QuotaStatePart> QuotaCore::Save(int part_records) const {
  PartWriter writer(part_records);
  writer.first().set_now_us(now_us_);
  writer.first().set_last_suspense_sequence(last_suspense_sequence_);
  absl::flat_hash_map<const Counter*, uint64_t> counter_index;
  for (const auto* item : SortedByKey(counters_)) {
    Counter counter = item->second;
    if (counter.references == 0 && counter.reset_us() <= now_us_) continue;  // equals one never used
    Turn(counter);
    counter_index.emplace(&item->second, counter_index.size());
    v1::CounterState& state = *writer.Next().add_counters();
    state.set_window_start_us(counter.window_start_us);
    state.set_settled(counter.settled);
    *state.mutable_key() = std::move(counter.key);
  }
  absl::flat_hash_map<const Boot*, uint64_t> boot_index;
  for (const auto* item : SortedByKey(boots_)) {
    const Boot& boot = item->second;
    boot_index.emplace(&boot, boot_index.size());
    v1::BootState& state = *writer.Next().add_boots();
    state.set_proxy_id(boot.proxy_id);
    state.set_boot_id(boot.boot_id);
    state.set_last_seen_us(boot.last_seen_us);
    state.set_acked_through(boot.acked_through);
    state.set_suspended(boot.suspended);
    for (const auto& [sequence, record] : boot.answered) {
      v1::AnswerState& answer = *state.add_answers();
      *answer.mutable_answer() = record.answer;
      answer.set_cancellable(record.cancellable);
      answer.set_cancelled(record.cancelled);
      answer.set_request_id(record.request_id);
      for (const Effect& effect : record.effects) {
        v1::EffectState& written = *answer.add_effects();
        written.set_counter(counter_index.at(effect.counter));
        written.set_window_start_us(effect.window_start_us);
        written.set_charge(effect.charge);
        written.set_created(effect.created);
        written.set_amount(effect.amount);
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
    }
  }
  for (const auto& [sequence, hold] : suspense_) *writer.Next().add_suspense() = hold;
  return writer.Take();
}

absl::Status QuotaCore::Load(const v1::QuotaStatePart& part) {
  now_us_ = std::max(now_us_, part.now_us());
  last_suspense_sequence_ = std::max(last_suspense_sequence_, part.last_suspense_sequence());
  const auto counter_at = [this](uint64_t index) -> Counter* {
    return index < loaded_counters_.size() ? loaded_counters_[index] : nullptr;
  };
  for (const v1::CounterState& state : part.counters()) {
    if (std::string fault = KeyFault(state.key()); !fault.empty()) {
      return absl::DataLossError(absl::StrCat("the stored quota state has an impossible counter: ", fault));
    }
    Counter& counter = CounterOf(state.key());
    counter.window_start_us = state.window_start_us();
    counter.settled = state.settled();
    loaded_counters_.push_back(&counter);
  }
  for (const v1::BootState& state : part.boots()) {
    Boot& boot = BootOf(state.proxy_id(), state.boot_id());
    boot.last_seen_us = state.last_seen_us();
    boot.acked_through = state.acked_through();
    boot.suspended = state.suspended();
    loaded_boots_.push_back(&boot);
    for (const v1::AnswerState& answer : state.answers()) {
      Answered& record = boot.answered[answer.answer().sequence()];
      record.answer = answer.answer();
      record.cancellable = answer.cancellable();
      record.cancelled = answer.cancelled();
      record.request_id = answer.request_id();
      for (const v1::EffectState& effect : answer.effects()) {
        Counter* counter = counter_at(effect.counter());
        if (counter == nullptr) return absl::DataLossError("the stored quota state names a counter it does not have");
        ++counter->references;
        record.effects.push_back(
            {counter, effect.window_start_us(), effect.charge(), effect.created(), effect.amount()});
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
      ++counter->references;
      if (entry.charge) continue;
      if (entry.suspense_sequence == 0) {
        counter->held += entry.amount;
      } else if (InWindow(entry)) {
        counter->suspense += entry.amount;
      }
    }
  }
  for (const v1::SuspendedHold& hold : part.suspense()) suspense_[hold.sequence()] = hold;
  return absl::OkStatus();
}

void QuotaCore::LoadDone() {
  loaded_counters_ = {};
  loaded_boots_ = {};
}

std::string QuotaCore::Dump() const {
  std::string text;
  for (const v1::QuotaStatePart& part : Save()) absl::StrAppend(&text, part.DebugString());
  return text;
}

absl::Status QuotaCore::Check() const {
  struct Sums {
    Int128 held = 0, suspense = 0;
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
      } else if (InWindow(entry)) {
        sum.suspense += entry.amount;
      }
      if (entry.suspense_sequence != 0 && !suspense_.contains(entry.suspense_sequence)) {
        return absl::InternalError(absl::StrCat("request ", id, " is suspended and not listed"));
      }
    }
  }
  for (const auto& [key, boot] : boots_) {
    const auto it = requests.find(&boot);
    if (boot.requests != (it == requests.end() ? 0 : it->second)) {
      return absl::InternalError(absl::StrCat("boot ", boot.boot_id, " counts its requests wrong"));
    }
    for (const auto& [sequence, record] : boot.answered) {
      if (sequence <= boot.acked_through) {
        return absl::InternalError(absl::StrCat("boot ", boot.boot_id, " keeps acknowledged answer ", sequence));
      }
      for (const Effect& effect : record.effects) ++sums[effect.counter].references;
    }
  }
  for (const auto& [identity, stored] : counters_) {
    Counter counter = stored;
    Turn(counter);
    const Sums& sum = sums[&stored];
    if (counter.held != sum.held || counter.suspense != sum.suspense || counter.references != sum.references ||
        counter.settled < 0) {
      return absl::InternalError(absl::StrCat("counter ", counter.key.ShortDebugString(), ": held ",
                                              Saturate(counter.held), " suspense ", Saturate(counter.suspense),
                                              " references ", counter.references, ", its requests say ",
                                              Saturate(sum.held), " ", Saturate(sum.suspense), " ", sum.references));
    }
  }
  return absl::OkStatus();
}

}  // namespace signalbox
