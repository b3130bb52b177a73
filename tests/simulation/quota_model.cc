#include "tests/simulation/quota_model.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"

namespace signalbox::simulation {
namespace {

constexpr int64_t kDayUs = 86'400'000'000;
constexpr int64_t kHourUs = 3'600'000'000;

int64_t DaysFromCivil(int64_t year, int month, int day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = year / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

// The n-th Sunday of a month, in days since the epoch, which was a Thursday.
int64_t Sunday(int64_t year, int month, int n) {
  const int64_t first = DaysFromCivil(year, month, 1);
  return first + (10 - first % 7) % 7 + 7 * (n - 1);
}

// When the day `days` begins in `zone`.
int64_t Midnight(Zone zone, int64_t year, int64_t days) {
  switch (zone) {
    case Zone::kUtc:
      return days * kDayUs;
    case Zone::kKolkata:
      return days * kDayUs - 5 * kHourUs - kHourUs / 2;
    case Zone::kNewYork:
      break;
  }
  const bool summer = days > Sunday(year, 3, 2) && days <= Sunday(year, 11, 1);
  return days * kDayUs + (summer ? 4 : 5) * kHourUs;
}

int64_t Use(const Bound& bound, Unit unit, int64_t cap) {
  const int64_t output = bound.choices * (bound.max_output > 0 ? std::min(cap, bound.max_output) : cap);
  if (unit == Unit::kTokens) return bound.input_tokens + output;
  return bound.input_nanos + static_cast<int64_t>((Wide{output} * bound.nanos_per_mtok + 999'999) / 1'000'000);
}

int64_t Dearest(const Acquire& acquire, uint8_t bounds, Unit unit, int64_t cap) {
  int64_t dearest = 0;
  for (int i = 0; i < acquire.bounds_size; ++i) {
    if ((bounds >> i & 1) != 0) dearest = std::max(dearest, Use(acquire.bounds[i], unit, cap));
  }
  return dearest;
}

// By bisection: the use grows with the cap.
int64_t MostThatFits(const Acquire& acquire, uint8_t bounds, Unit unit, int64_t amount) {
  int64_t fits = -1, above = acquire.output_cap + 1;
  while (above - fits > 1) {
    const int64_t cap = fits + (above - fits) / 2;
    (Dearest(acquire, bounds, unit, cap) <= amount ? fits : above) = cap;
  }
  return fits;
}

int64_t Least(const Acquire& acquire, uint8_t bounds, Unit unit) {
  return Dearest(acquire, bounds, unit, std::min<int64_t>(acquire.output_cap, kMinimumOutputTokens));
}

int64_t NotBelowZero(Wide value) { return value < 0 ? 0 : static_cast<int64_t>(value); }

uint64_t Mix(uint64_t hash, uint64_t value) {
  hash ^= value;
  hash *= 0x9E3779B97F4A7C15ull;
  return hash ^ (hash >> 29);
}

uint64_t Digest(const v1::QuotaAnswer& answer) {
  uint64_t hash = Mix(answer.sequence(), static_cast<uint64_t>(answer.result()));
  hash = Mix(hash, answer.denied_index());
  hash = Mix(hash, static_cast<uint64_t>(answer.output_cap()));
  hash = Mix(hash, static_cast<uint64_t>(answer.limits_size()));
  for (const v1::LimitState& state : answer.limits()) {
    hash = Mix(hash, static_cast<uint64_t>(state.limit()));
    hash = Mix(hash, static_cast<uint64_t>(state.remaining()));
    hash = Mix(hash, static_cast<uint64_t>(state.reset_us()));
    hash = Mix(hash, static_cast<uint64_t>(state.held()));
    hash = Mix(hash, static_cast<uint64_t>(state.retry_us()));
    hash = Mix(hash, state.shadow_denied() ? 1 : 0);
  }
  for (const char c : answer.message()) hash = Mix(hash, static_cast<uint64_t>(c));
  return hash;
}

bool IsTombstone(const v1::QuotaAnswer& answer) {
  return answer.result() == v1::QuotaAnswer::DENIED && answer.limits_size() == 0 && answer.output_cap() == 0;
}

const char* NameOf(Kind kind) {
  switch (kind) {
    case Kind::kAcquire:
      return "acquire";
    case Kind::kExtend:
      return "extend";
    case Kind::kSettle:
      return "settle";
    case Kind::kCancel:
      return "cancel";
    case Kind::kForceCharge:
      return "forced charge";
  }
  return "";
}

}  // namespace

int64_t Random::Spread(int64_t first, int64_t last) {
  int64_t low = first;
  int64_t high = std::max<int64_t>(first, 1);
  int octaves = 0;
  while (high < last) {
    high *= 2;
    ++octaves;
  }
  high = std::max<int64_t>(first, 1) << Below(octaves + 1);
  return Between(low, std::min(high, last));
}

std::vector<int64_t> CalendarEdges(Zone zone, bool months, int64_t from_us, int64_t to_us) {
  std::vector<int64_t> edges;
  for (int64_t year = 1970; year < 2200; ++year) {
    if (DaysFromCivil(year + 1, 1, 2) * kDayUs < from_us) continue;
    for (int month = 1; month <= 12; ++month) {
      const int64_t first = DaysFromCivil(year, month, 1);
      const int64_t next = month == 12 ? DaysFromCivil(year + 1, 1, 1) : DaysFromCivil(year, month + 1, 1);
      for (int64_t day = first; day < (months ? first + 1 : next); ++day) {
        edges.push_back(Midnight(zone, year, day));
        if (edges.back() > to_us) return edges;
      }
    }
  }
  return edges;
}

int QuotaModel::AddCounter(v1::CounterKey key, Unit unit, bool sliding, int64_t length_us,
                           const std::vector<int64_t>* edges) {
  Counter& counter = counters_.emplace_back();
  counter.key = std::move(key);
  counter.unit = unit;
  counter.sliding = sliding;
  counter.length_us = length_us;
  counter.edges = edges;
  counter.start_us = counter.end_us = std::numeric_limits<int64_t>::min();
  Turn(counter);
  ledger_.emplace_back();
  return static_cast<int>(counters_.size()) - 1;
}

uint32_t QuotaModel::AddBoot(const std::string& proxy_id, const std::string& boot_id) {
  Boot& boot = boots_.emplace_back();
  boot.proxy_id = proxy_id;
  boot.boot_id = boot_id;
  boot.last_seen_us = now_us_;
  return static_cast<uint32_t>(boots_.size() - 1);
}

uint32_t QuotaModel::AddRequest(const std::string& id) {
  request_ids_.push_back(id);
  requests_.emplace_back();
  return static_cast<uint32_t>(requests_.size() - 1);
}

uint32_t QuotaModel::AddAcquire(const Acquire& acquire) {
  acquires_.push_back(acquire);
  return static_cast<uint32_t>(acquires_.size() - 1);
}

QuotaModel::Counter& QuotaModel::Touch(int index) {
  Counter& counter = counters_[index];
  if (!counter.touched) {
    counter.touched = true;
    touched_.push_back(index);
  }
  Turn(counter);
  return counter;
}

void QuotaModel::Turn(Counter& counter) const {
  if (now_us_ < counter.end_us) return;
  const int64_t past_end_us = counter.end_us;
  if (counter.edges != nullptr) {
    const auto next = std::upper_bound(counter.edges->begin(), counter.edges->end(), now_us_);
    counter.start_us = *(next - 1);
    counter.end_us = *next;
  } else {
    counter.start_us = now_us_ / counter.length_us * counter.length_us;
    counter.end_us = counter.start_us + counter.length_us;
  }
  if (past_end_us != std::numeric_limits<int64_t>::min()) Count(Event::kWindowTurned);
  const bool weighs = counter.sliding && counter.start_us == past_end_us;
  counter.settled_before = weighs ? counter.settled : 0;
  counter.suspense_before = weighs ? counter.suspense : 0;
  counter.settled = 0;
  counter.suspense = 0;
  counter.may_fall = true;
}

int QuotaModel::Age(const Counter& counter, int64_t window_us) {
  if (window_us == counter.start_us) return 0;
  return counter.sliding && window_us + counter.length_us == counter.start_us ? 1 : 2;
}

int QuotaModel::SuspendedAge(const Counter& counter, const Entry& entry) {
  return entry.resets == counter.resets ? Age(counter, entry.window_us) : 2;
}

Wide QuotaModel::Settled(const Counter& counter) const {
  if (!counter.sliding) return counter.settled;
  return counter.settled +
         (Wide{counter.settled_before} * (counter.end_us - now_us_) + counter.length_us - 1) / counter.length_us;
}

Wide QuotaModel::Suspense(const Counter& counter) const {
  if (!counter.sliding) return counter.suspense;
  return counter.suspense +
         (counter.suspense_before * (counter.end_us - now_us_) + counter.length_us - 1) / counter.length_us;
}

Wide QuotaModel::Used(const Counter& counter) const { return Settled(counter) + Suspense(counter) + counter.held; }

void QuotaModel::AddSettled(int index, int64_t window_us, int64_t amount) {
  Counter& counter = Touch(index);
  if (amount < 0) counter.may_fall = true;
  const int age = Age(counter, window_us);
  if (age != 0) Count(Event::kSettledInPastWindow);
  if (age == 2) return;
  int64_t& settled = age == 0 ? counter.settled : counter.settled_before;
  settled += amount;
  if (settled < 0) {  // only after an operator took more than there was: the bill cannot know
    ledger_[index].push_back({window_us, -settled});
    settled = 0;
  }
  ledger_[index].push_back({window_us, amount});
}

QuotaModel::Request* QuotaModel::Find(uint32_t request) { return requests_[request].get(); }

QuotaModel::Answer& QuotaModel::AnswerAt(Boot& boot, uint64_t sequence) {
  const size_t index = sequence - boot.acked - 1;
  if (index >= boot.answers.size()) boot.answers.resize(index + 1);
  return boot.answers[index];
}

void QuotaModel::Expect(bool holds, const char* what, const v1::QuotaAnswer& answer, const Command& command) {
  if (holds || failed()) return;
  std::string detail;
  if (command.kind == Kind::kAcquire) {
    const Acquire& acquire = acquires_[command.acquire];
    absl::StrAppend(&detail, " cap ", acquire.output_cap, acquire.client_cap ? " of the client" : "");
    for (int i = 0; i < acquire.checks_size; ++i) {
      const Check& check = acquire.checks[i];
      const Counter& counter = counters_[check.counter];
      absl::StrAppend(&detail, "\n  check ", i, ": limit ", check.limit, check.strict ? " strict" : " observed",
                      check.shadow ? " shadow" : "", " settled ", NotBelowZero(Settled(counter)), " held ",
                      NotBelowZero(counter.held), " suspense ", NotBelowZero(Suspense(counter)), " ",
                      counter.key.ShortDebugString());
    }
  }
  Fail(absl::StrCat(what, ": ", NameOf(command.kind), " ", command.sequence, " of request ",
                    command.request < request_ids_.size() ? request_ids_[command.request] : "", ", nanos ",
                    command.nanos, ", tokens ", command.tokens, ", answered ", answer.ShortDebugString(), detail));
}

void QuotaModel::Message(uint32_t boot_index, uint64_t acked_through, std::span<const Command> commands, int64_t now_us,
                         const v1::QuotaResponse& answers) {
  Advance(now_us);
  Boot& boot = boots_[boot_index];
  boot.exists = true;
  boot.last_seen_us = now_us_;
  boot.suspended = false;
  while (boot.acked < acked_through) {
    ++boot.acked;
    if (!boot.answers.empty()) boot.answers.pop_front();
  }
  if (answers.answers_size() != static_cast<int>(commands.size())) {
    return Fail(absl::StrCat(answers.answers_size(), " answers to ", commands.size(), " commands"));
  }
  for (size_t i = 0; i < commands.size() && !failed(); ++i) {
    const Command& command = commands[i];
    const v1::QuotaAnswer& answer = answers.answers(static_cast<int>(i));
    Expect(answer.sequence() == command.sequence, "an answer to another sequence", answer, command);
    if (command.sequence <= boot.acked) {
      Count(Event::kAcknowledgedRepeated);
      Expect(answer.result() == v1::QuotaAnswer::UNKNOWN_SEQUENCE, "an acknowledged sequence is evaluated again",
             answer, command);
      continue;
    }
    if (Answer& known = AnswerAt(boot, command.sequence); known.known) {
      Count(Event::kRepeatAnswered);
      Expect(known.cancelled ? IsTombstone(answer) : known.digest == Digest(answer),
             "a repeat does not get the first answer", answer, command);
      continue;
    }
    Answer record;
    record.known = true;
    record.request = command.request;
    Evaluate(boot_index, command, record, answer);
    record.digest = Digest(answer);
    AnswerAt(boot, command.sequence) = std::move(record);
    ++evaluated_;
  }
}

void QuotaModel::Evaluate(uint32_t boot, const Command& command, Answer& record, const v1::QuotaAnswer& answer) {
  switch (command.kind) {
    case Kind::kAcquire:
      record.cancellable = true;
      return EvaluateAcquire(boot, command, record, answer);
    case Kind::kExtend:
      record.cancellable = true;
      return EvaluateExtend(boot, command, record, answer);
    case Kind::kSettle:
      return EvaluateSettle(command, answer);
    case Kind::kCancel:
      return EvaluateCancel(boots_[boot], command, answer);
    case Kind::kForceCharge:
      Expect(answer.result() == v1::QuotaAnswer::GRANTED, "a forced charge is refused", answer, command);
      return AddSettled(static_cast<int>(command.counter), Touch(static_cast<int>(command.counter)).start_us,
                        command.nanos);
  }
}

void QuotaModel::EvaluateAcquire(uint32_t boot, const Command& command, Answer& record, const v1::QuotaAnswer& answer) {
  const Acquire& acquire = acquires_[command.acquire];
  const Request* known = Find(command.request);
  if (known != nullptr && known->boot != boot) {
    return Expect(answer.result() == v1::QuotaAnswer::INVALID, "a request is taken over", answer, command);
  }
  absl::InlinedVector<Candidate, kChecksMax> passed;
  Candidate denied;
  int64_t cap = acquire.output_cap;
  for (int i = 0; i < acquire.checks_size; ++i) {
    Candidate candidate;
    candidate.check = &acquire.checks[i];
    candidate.counter = candidate.check->counter;
    candidate.holds = Touch(candidate.counter).unit != Unit::kRequests;
    candidate.shadow = candidate.check->shadow;
    if (!Passes(acquire, known, passed, candidate, cap)) {
      denied = candidate;
      break;
    }
    passed.push_back(candidate);
  }
  const bool grants = denied.check == nullptr;
  Count(grants ? Event::kGranted : Event::kDenied);
  if (answer.result() == v1::QuotaAnswer::DENIED &&
      answer.denied_index() < static_cast<uint32_t>(acquire.checks_size)) {
    Expect(!acquire.checks[answer.denied_index()].shadow, "a shadow refuses", answer, command);
  }
  if (grants) {
    Expect(answer.result() == v1::QuotaAnswer::GRANTED, "what every limit admits is not granted", answer, command);
  } else {
    Expect(answer.result() == v1::QuotaAnswer::DENIED, "what a limit does not admit is granted", answer, command);
    Expect(answer.denied_index() == passed.size(), "another limit denies", answer, command);
  }
  Expect(answer.output_cap() == cap, "the output cap is not what fits", answer, command);
  Expect(answer.limits_size() == static_cast<int>(passed.size()) + (grants ? 0 : 1),
         "not every limit evaluated is reported", answer, command);
  if (failed()) return;
  if (!passed.empty()) {
    if (known == nullptr) {
      requests_[command.request] = std::make_unique<Request>();
      Request& fresh = *requests_[command.request];
      fresh.boot = boot;
      fresh.place = static_cast<uint32_t>(open_.size());
      open_.push_back(command.request);
      ++boots_[boot].requests;
      known = &fresh;
    }
    record.held = true;
    for (const Candidate& candidate : passed) Take(command.request, acquire, candidate, cap, record);
  }
  for (size_t i = 0; i < passed.size() && !failed(); ++i) {
    CompareLimit(acquire, passed[i], known, answer.limits(static_cast<int>(i)), false);
  }
  if (!grants && !failed()) CompareLimit(acquire, denied, known, answer.limits(static_cast<int>(passed.size())), true);
  if (failed()) Fail(absl::StrCat(violation_, " in ", answer.ShortDebugString()));
}

bool QuotaModel::Passes(const Acquire& acquire, const Request* request, std::span<const Candidate> passed,
                        Candidate& candidate, int64_t& cap) {
  const Counter& counter = counters_[candidate.counter];
  const Check& check = *candidate.check;
  const Entry* own = nullptr;
  if (request != nullptr) {
    for (const Entry& entry : request->entries) {
      if (entry.counter == candidate.counter) own = &entry;
    }
  }
  if (!candidate.holds) {
    if (own != nullptr) return true;
    for (const Candidate& earlier : passed) {
      if (earlier.counter == candidate.counter) return true;
    }
    candidate.shadow_denied = Settled(counter) >= check.limit;
    return check.shadow || !candidate.shadow_denied;
  }
  int64_t strict_limit = check.strict ? check.limit : 0;
  const auto also = [&strict_limit](int64_t limit) {
    if (limit > 0 && (strict_limit == 0 || limit < strict_limit)) strict_limit = limit;
  };
  candidate.bounds = check.bounds;
  if (!check.shadow) {
    if (own != nullptr) also(own->strict_limit);
    for (const Candidate& earlier : passed) {
      if (earlier.counter != candidate.counter || earlier.shadow) continue;
      also(earlier.strict_limit);
      candidate.bounds |= earlier.bounds;
    }
    candidate.strict_limit = strict_limit;
  }
  bool admits = own == nullptr || own->suspense_sequence == 0;
  if (!admits) Count(Event::kAskedAfterSuspension);
  if (!check.strict && Settled(counter) + Suspense(counter) >= check.limit) admits = false;
  if (admits && strict_limit > 0) {
    const int64_t own_amount = own == nullptr ? 0 : own->amount;
    const Wide room = strict_limit - (Used(counter) - own_amount);
    const int64_t least = Least(acquire, candidate.bounds, counter.unit);
    const int64_t kept = own != nullptr && !own->shadow ? own_amount : 0;
    admits = room >= least && room >= kept;
    const bool whole =
        acquire.client_cap && Dearest(acquire, candidate.bounds, counter.unit, acquire.output_cap) <= room;
    if (admits && !whole && !check.shadow) {
      const Wide share = std::max<int64_t>(strict_limit / kCapShareOfLimit, least);
      const int64_t amount = static_cast<int64_t>(std::min(room, share));
      cap = std::min(cap, MostThatFits(acquire, candidate.bounds, counter.unit, amount));
    }
  }
  candidate.shadow_denied = check.shadow && !admits;
  return check.shadow || admits;
}

void QuotaModel::Take(uint32_t request, const Acquire& acquire, const Candidate& candidate, int64_t cap,
                      Answer& record) {
  Counter& counter = Touch(candidate.counter);
  auto& entries = Find(request)->entries;
  const auto own = std::find_if(entries.begin(), entries.end(),
                                [&candidate](const Entry& entry) { return entry.counter == candidate.counter; });
  const int64_t hold = candidate.holds ? Dearest(acquire, candidate.bounds, counter.unit, cap) : 1;
  if (own == entries.end()) {
    Entry entry;
    entry.counter = candidate.counter;
    entry.window_us = counter.start_us;
    entry.charge = !candidate.holds;
    entry.shadow = candidate.shadow;
    entry.strict_limit = candidate.strict_limit;
    entry.resets = counter.resets;
    entry.amount = candidate.holds ? 0 : 1;
    if (candidate.holds) {
      AddHeld(entry, hold);
    } else {
      AddSettled(candidate.counter, counter.start_us, 1);
    }
    entries.push_back(entry);
    record.effects.push_back({candidate.counter, entry.window_us, hold, counter.resets, entry.charge, true});
    return;
  }
  if (!candidate.holds) return;
  if (candidate.shadow && !own->shadow) return;
  if (candidate.strict_limit > 0) own->strict_limit = candidate.strict_limit;
  const bool replaces = own->shadow && !candidate.shadow;
  own->shadow = candidate.shadow;
  if (hold == own->amount || (hold < own->amount && !replaces)) return;
  const int64_t added = hold - own->amount;
  if (added < 0) counter.may_fall = true;
  AddHeld(*own, added);
  record.effects.push_back({candidate.counter, own->window_us, added, counter.resets, false, false});
}

void QuotaModel::CompareLimit(const Acquire& acquire, const Candidate& candidate, const Request* request,
                              const v1::LimitState& state, bool denied) {
  const Counter& counter = counters_[candidate.counter];
  const Check& check = *candidate.check;
  const Wide used =
      candidate.holds ? Settled(counter) + Suspense(counter) + (check.strict ? counter.held : 0) : Settled(counter);
  int64_t held = 0;
  if (candidate.holds && request != nullptr) {
    for (const Entry& entry : request->entries) {
      if (entry.counter == candidate.counter) held = entry.amount;
    }
  }
  // The promises themselves, whatever led to the answer.
  if (!denied && !check.shadow) {
    if (candidate.holds && check.strict && used > check.limit) return Fail("a strict grant passes its limit");
    if (!candidate.holds && used > check.limit && request == nullptr) return Fail("a count passes its limit");
    if (candidate.holds && held < Dearest(acquire, check.bounds, counter.unit, 0))
      return Fail("a hold below its bound");
  }
  const int64_t reset_us = counter.end_us + (counter.sliding ? counter.length_us : 0);
  if (state.limit() != check.limit || state.held() != held || state.remaining() != NotBelowZero(check.limit - used) ||
      state.reset_us() != reset_us || state.shadow_denied() != (check.shadow && candidate.shadow_denied)) {
    return Fail(absl::StrCat("a limit is reported wrong: limit ", check.limit, " used ", NotBelowZero(used), " held ",
                             held, " reset ", reset_us, " expected, not ", state.ShortDebugString(), " of ",
                             counter.key.ShortDebugString()));
  }
  if (!denied) {
    if (state.retry_us() != 0) Fail("a limit that passed says when to retry");
    return;
  }
  if (state.retry_us() <= now_us_ || state.retry_us() > std::max(reset_us, now_us_ + 1'000'000)) {
    Fail(absl::StrCat("retry at ", state.retry_us(), " is not after now, ", now_us_, ", and before ", reset_us));
  }
}

void QuotaModel::EvaluateExtend(uint32_t boot, const Command& command, Answer& record, const v1::QuotaAnswer& answer) {
  Request* request = Find(command.request);
  if (request == nullptr) {
    return Expect(answer.result() == v1::QuotaAnswer::DENIED, "nothing held is extended", answer, command);
  }
  if (request->boot != boot) {
    return Expect(answer.result() == v1::QuotaAnswer::INVALID, "a hold is taken over", answer, command);
  }
  const auto required = [&command](const Counter& counter) {
    return counter.unit == Unit::kTokens ? command.tokens : command.nanos;
  };
  bool fits = true;
  for (const Entry& entry : request->entries) {
    if (entry.charge) continue;
    const Counter& counter = Touch(entry.counter);
    const int64_t more = std::max<int64_t>(required(counter) - entry.amount, 0);
    if (entry.suspense_sequence != 0) fits = false;
    if (more > 0 && entry.strict_limit > 0 && Used(counter) + more > entry.strict_limit) fits = false;
  }
  Expect(answer.result() == (fits ? v1::QuotaAnswer::GRANTED : v1::QuotaAnswer::DENIED),
         fits ? "an extension that fits is denied" : "an extension that does not fit is granted", answer, command);
  if (!fits || failed()) return;
  record.held = true;
  int index = 0;
  for (Entry& entry : request->entries) {
    if (entry.charge) continue;
    Counter& counter = Touch(entry.counter);
    const int64_t more = std::max<int64_t>(required(counter) - entry.amount, 0);
    if (more > 0) {
      AddHeld(entry, more);
      record.effects.push_back({entry.counter, entry.window_us, more, counter.resets, false, false});
      Expect(entry.strict_limit == 0 || Used(counter) <= entry.strict_limit, "an extension passes its limit", answer,
             command);
    }
    Expect(index < answer.limits_size() && answer.limits(index).held() == entry.amount,
           "an extended hold is reported wrong", answer, command);
    ++index;
  }
}

void QuotaModel::EvaluateSettle(const Command& command, const v1::QuotaAnswer& answer) {
  Expect(answer.result() == v1::QuotaAnswer::GRANTED, "a settle is refused", answer, command);
  Request* request = Find(command.request);
  if (request == nullptr) return;
  for (Entry& entry : request->entries) {
    if (!entry.charge) EndHold(entry, Touch(entry.counter).unit == Unit::kTokens ? command.tokens : command.nanos);
  }
  Close(command.request);
}

void QuotaModel::EvaluateCancel(Boot& boot, const Command& command, const v1::QuotaAnswer& answer) {
  if (command.target <= boot.acked) {
    return Expect(answer.result() == v1::QuotaAnswer::UNKNOWN_SEQUENCE, "an acknowledged command is cancelled", answer,
                  command);
  }
  Expect(answer.result() == v1::QuotaAnswer::GRANTED, "a cancel is refused", answer, command);
  Answer& target = AnswerAt(boot, command.target);
  if (target.known && target.cancellable) {
    if (!target.effects.empty()) Count(Event::kCancelled);
    Undo(target);
  }
  target.known = true;
  target.cancellable = false;
  target.cancelled = true;
  target.effects.clear();
}

void QuotaModel::Undo(Answer& record) {
  for (const Effect& effect : record.effects) {
    Counter& counter = Touch(effect.counter);
    counter.may_fall = true;
    if (effect.charge && effect.resets == counter.resets) AddSettled(effect.counter, effect.window_us, -1);
    Request* request = Find(record.request);
    if (request == nullptr) continue;
    for (size_t i = 0; i < request->entries.size(); ++i) {
      Entry& entry = request->entries[i];
      if (entry.counter != effect.counter) continue;
      if (!effect.charge) AddHeld(entry, -std::min(effect.amount, entry.amount));
      if (effect.created) {
        if (!effect.charge) EndHold(entry, 0);
        EraseEntry(record.request, i);
      }
      break;
    }
  }
}

void QuotaModel::AddHeld(Entry& entry, int64_t amount) {
  Counter& counter = Touch(entry.counter);
  entry.amount += amount;
  if (amount < 0) counter.may_fall = true;
  if (entry.suspense_sequence == 0) {
    counter.held += amount;
    return;
  }
  const int age = SuspendedAge(counter, entry);
  if (age == 0) counter.suspense += amount;
  if (age == 1) counter.suspense_before += amount;
  const size_t index = static_cast<size_t>(entry.suspense_sequence - suspended_.front().sequence);
  if (!suspended_[index].resolved) suspended_[index].amount = entry.amount;
}

void QuotaModel::EndHold(Entry& entry, int64_t used) {
  Counter& counter = Touch(entry.counter);
  if (entry.suspense_sequence == 0) {
    AddHeld(entry, -entry.amount);
    return AddSettled(entry.counter, entry.window_us, used);
  }
  const size_t index = static_cast<size_t>(entry.suspense_sequence - suspended_.front().sequence);
  Count(Event::kSuspendedResolved);
  AddHeld(entry, -entry.amount);
  suspended_[index].resolved = true;
  suspended_[index].settled = used;
  if (entry.resets == counter.resets) AddSettled(entry.counter, entry.window_us, used);
}

void QuotaModel::EraseEntry(uint32_t request, size_t index) {
  auto& entries = Find(request)->entries;
  entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(index));
  if (entries.empty()) Close(request);
}

void QuotaModel::Close(uint32_t request) {
  const uint32_t place = requests_[request]->place;
  open_[place] = open_.back();
  requests_[open_[place]]->place = place;
  open_.pop_back();
  --boots_[requests_[request]->boot].requests;
  requests_[request].reset();
}

bool QuotaModel::SilenceIsDue(int64_t now_us) const {
  return std::any_of(boots_.begin(), boots_.end(), [now_us](const Boot& boot) {
    return boot.exists && !boot.suspended && now_us - boot.last_seen_us >= kSuspendAfterUs;
  });
}

void QuotaModel::Tick(int64_t now_us, const QuotaCore& core) {
  Advance(now_us);
  for (uint32_t i = 0; i < boots_.size(); ++i) {
    if (boots_[i].exists && !boots_[i].suspended && now_us_ - boots_[i].last_seen_us >= kSuspendAfterUs) Suspend(i);
  }
  NumberSuspended(core);
  ForgetSuspended(core);
  for (Boot& boot : boots_) {
    if (!boot.exists || boot.requests > 0 || now_us_ - boot.last_seen_us < kQuotaBootRetentionUs) continue;
    boot.exists = boot.suspended = false;
    boot.acked = 0;
    boot.answers.clear();
  }
}

void QuotaModel::Suspend(uint32_t boot) {
  boots_[boot].suspended = true;
  const std::vector<uint32_t> open = open_;
  for (const uint32_t id : open) {
    if (Find(id)->boot != boot) continue;
    for (size_t i = Find(id)->entries.size(); i-- > 0;) {
      Entry& entry = Find(id)->entries[i];
      if (entry.charge) {
        EraseEntry(id, i);
        continue;
      }
      if (entry.suspense_sequence != 0) continue;
      Counter& counter = Touch(entry.counter);
      counter.held -= entry.amount;
      entry.resets = counter.resets;
      entry.suspense_sequence = -1;
      Count(Event::kSuspended);
      const int age = Age(counter, entry.window_us);
      if (age == 0) counter.suspense += entry.amount;
      if (age == 1) counter.suspense_before += entry.amount;
      if (age != 0) counter.may_fall = true;
      unnumbered_.push_back({id, i});
    }
  }
}

// Which number each got is the core's choice; that each is listed, as it was held, is not.
void QuotaModel::NumberSuspended(const QuotaCore& core) {
  if (unnumbered_.empty()) return;
  const std::vector<v1::SuspendedHold> listed = core.Suspense(last_suspense_sequence_, std::numeric_limits<int>::max());
  if (listed.size() != unnumbered_.size()) {
    return Fail(absl::StrCat(listed.size(), " holds were suspended, not ", unnumbered_.size()));
  }
  unnumbered_.clear();
  for (const v1::SuspendedHold& hold : listed) {
    const auto id = static_cast<uint32_t>(std::strtoul(hold.request_id().c_str() + 1, nullptr, 10));
    Request* request = id < requests_.size() ? Find(id) : nullptr;
    Entry* entry = nullptr;
    for (size_t i = 0; request != nullptr && i < request->entries.size(); ++i) {
      Entry& candidate = request->entries[i];
      if (candidate.suspense_sequence != -1) continue;
      const v1::CounterKey& key = counters_[candidate.counter].key;
      if (key.pool() == hold.counter().pool() && key.unit() == hold.counter().unit() &&
          key.window_seconds() == hold.counter().window_seconds() && key.technique() == hold.counter().technique() &&
          key.calendar() == hold.counter().calendar() && key.timezone() == hold.counter().timezone() &&
          key.SerializeAsString() == hold.counter().SerializeAsString()) {
        entry = &candidate;
      }
    }
    if (entry == nullptr || hold.sequence() != last_suspense_sequence_ + 1 || hold.amount() != entry->amount ||
        hold.boot_id() != boots_[request->boot].boot_id || hold.suspend_time_us() != now_us_ || hold.resolved()) {
      return Fail(absl::StrCat("a hold is listed as suspended that is not: ", hold.ShortDebugString()));
    }
    entry->suspense_sequence = hold.sequence();
    last_suspense_sequence_ = hold.sequence();
    suspended_.push_back({hold.sequence(), id, entry->counter, request->boot, now_us_, entry->amount, 0, false});
  }
}

// When a record leaves the list is the core's choice within bounds: not before its retention, not while it still
// weighs, and not long after both; or when there are too many. It stays charged in full.
void QuotaModel::ForgetSuspended(const QuotaCore& core) {
  forgotten_.clear();
  if (suspended_.empty()) return;
  const bool crowded = suspended_.size() > kQuotaSuspenseRecordsMax;
  if (!crowded && now_us_ - suspended_.front().time_us < kQuotaSuspenseRetentionUs) return;
  const std::vector<v1::SuspendedHold> first = core.Suspense(0, 1);
  const int64_t kept = first.empty() ? last_suspense_sequence_ + 1 : first.front().sequence();
  while (!suspended_.empty() && suspended_.front().sequence < kept) {
    const Suspended oldest = suspended_.front();
    const bool too_many = suspended_.size() > kQuotaSuspenseRecordsMax;
    if (!too_many && now_us_ - oldest.time_us < kQuotaSuspenseRetentionUs) {
      return Fail("a suspended hold is forgotten too early");
    }
    if (!oldest.resolved) {
      Request* request = Find(oldest.request);
      for (size_t i = 0; i < request->entries.size(); ++i) {
        Entry& entry = request->entries[i];
        if (entry.suspense_sequence != oldest.sequence) continue;
        if (!too_many && SuspendedAge(Touch(entry.counter), entry) != 2) {
          return Fail("a suspended hold is forgotten while it weighs");
        }
        forgotten_.push_back({oldest.request, entry.counter, entry.amount});
        EndHold(entry, entry.amount);
        EraseEntry(oldest.request, i);
        break;
      }
    }
    suspended_.pop_front();
    Count(Event::kSuspendedForgotten);
  }
  if (suspended_.size() > kQuotaSuspenseRecordsMax) return Fail("the list of suspended holds grows without bound");
  if (!suspended_.empty() && now_us_ - suspended_.front().time_us > kQuotaSuspenseRetentionUs + 75 * kDayUs) {
    const Counter& counter = counters_[suspended_.front().counter];
    if (counter.length_us < 70 * kDayUs) Fail("a suspended hold is never forgotten");
  }
}

void QuotaModel::Restarted(int64_t now_us) {
  Advance(now_us);
  for (Boot& boot : boots_) {
    if (boot.exists && !boot.suspended) boot.last_seen_us = now_us_;
  }
}

void QuotaModel::Adjusted(int index, const v1::AdjustCounterRequest& request, int64_t now_us,
                          const v1::Adjustment& adjustment) {
  const std::string result = adjustment.SerializeAsString();
  const auto [known, fresh] = adjustments_.try_emplace(request.adjustment_id(), result);
  if (!fresh) {
    if (known->second != result) Fail("a repeated adjustment does not get the first result");
    return;
  }
  Advance(now_us);
  Counter& counter = Touch(index);
  counter.may_fall = true;
  const auto same = [this, &counter](const v1::Counter& seen) {
    return seen.settled() == NotBelowZero(Settled(counter)) && seen.held() == NotBelowZero(counter.held) &&
           seen.suspense() == NotBelowZero(Suspense(counter));
  };
  if (adjustment.sequence() != ++adjustments_made_ || adjustment.time_us() != now_us_ || !same(adjustment.before())) {
    return Fail(absl::StrCat("an adjustment is reported wrong: ", adjustment.ShortDebugString()));
  }
  if (request.reset()) {
    ++counter.resets;
    counter.settled = counter.settled_before = 0;
    counter.suspense = counter.suspense_before = 0;
    ledger_[index].clear();
  } else {
    const int64_t after = std::max<int64_t>(counter.settled + request.delta(), 0);
    ledger_[index].push_back({counter.start_us, after - counter.settled});
    counter.settled = after;
  }
  if (!same(adjustment.after())) {
    Fail(absl::StrCat("an adjustment does something else: ", adjustment.ShortDebugString()));
  }
}

void QuotaModel::CompareCounter(Counter& counter, const QuotaCore& core) {
  Turn(counter);
  v1::Counter& seen = seen_;
  if (const absl::Status status = core.Read(counter.key, now_us_, seen); !status.ok()) return Fail(status.ToString());
  const Wide settled = Settled(counter), suspense = Suspense(counter), used = Used(counter);
  if (seen.settled() != settled || seen.held() != counter.held || seen.suspense() != suspense || seen.used() != used ||
      seen.reset_us() != counter.end_us + (counter.sliding ? counter.length_us : 0)) {
    return Fail(absl::StrCat("a counter stands wrong: settled ", NotBelowZero(settled), " held ",
                             NotBelowZero(counter.held), " suspense ", NotBelowZero(suspense), " window ",
                             counter.start_us, "-", counter.end_us, " expected, not ", seen.ShortDebugString()));
  }
  const Wide total = Wide{seen.settled()} + seen.held() + seen.suspense();
  if (!counter.may_fall && !counter.sliding && (total < counter.seen_total || seen.settled() < counter.seen_settled)) {
    return Fail(absl::StrCat("a counter fell by itself: ", seen.ShortDebugString()));
  }
  counter.seen_total = total;
  counter.seen_settled = seen.settled();
  counter.may_fall = false;
}

void QuotaModel::CheckTouched(const QuotaCore& core) {
  if (failed()) return;
  if (core.now_us() != now_us_) return Fail(absl::StrCat("the core's time is ", core.now_us(), ", not ", now_us_));
  if (core.requests() != open_.size()) {
    return Fail(absl::StrCat(core.requests(), " requests are open in the core, not ", open_.size()));
  }
  for (const int index : touched_) {
    counters_[index].touched = false;
    if (!failed()) CompareCounter(counters_[index], core);
  }
  touched_.clear();
}

void QuotaModel::CheckLedger() {
  for (size_t i = 0; i < counters_.size(); ++i) {
    Counter& counter = counters_[i];
    Turn(counter);
    Wide now = 0, before = 0;
    std::vector<LedgerRow> kept;
    for (const LedgerRow& row : ledger_[i]) {
      if (row.window_us == counter.start_us) now += row.amount;
      if (row.window_us + counter.length_us == counter.start_us) before += row.amount;
      if (row.window_us + counter.length_us >= counter.start_us || counter.edges != nullptr) kept.push_back(row);
    }
    ledger_[i] = std::move(kept);
    if (now != counter.settled || (counter.sliding && before != counter.settled_before)) {
      return Fail(absl::StrCat("the bill of ", counter.key.ShortDebugString(), " is ", NotBelowZero(now),
                               " and settled is ", counter.settled));
    }
  }
}

void QuotaModel::CheckCounters(const QuotaCore& core) {
  CheckTouched(core);
  for (Counter& counter : counters_) {
    if (!failed()) CompareCounter(counter, core);
  }
}

void QuotaModel::CheckAll(const QuotaCore& core) {
  CheckCounters(core);
  if (failed()) return;
  if (const absl::Status sums = core.Check(); !sums.ok()) return Fail(sums.ToString());
  size_t boots = 0;
  for (const Boot& boot : boots_) boots += boot.exists ? 1 : 0;
  if (core.boots() != boots) return Fail(absl::StrCat(core.boots(), " boots are known to the core, not ", boots));
  const std::vector<v1::SuspendedHold> listed = core.Suspense(0, std::numeric_limits<int>::max());
  if (listed.size() != suspended_.size()) {
    return Fail(absl::StrCat(listed.size(), " suspended holds are listed, not ", suspended_.size()));
  }
  for (size_t i = 0; i < listed.size() && !failed(); ++i) {
    const Suspended& hold = suspended_[i];
    const v1::SuspendedHold& seen = listed[i];
    if (seen.sequence() != hold.sequence || seen.request_id() != request_ids_[hold.request] ||
        seen.resolved() != hold.resolved || (hold.resolved && seen.settled() != hold.settled) ||
        (!hold.resolved && seen.amount() != hold.amount)) {
      Fail(absl::StrCat("a suspended hold is listed wrong: ", seen.ShortDebugString()));
    }
  }
  if (!failed()) CheckLedger();
}

void QuotaModel::CheckEnded(const QuotaCore& core) {
  CheckAll(core);
  if (failed()) return;
  if (core.requests() != 0) return Fail(absl::StrCat(core.requests(), " requests never end"));
  for (const Counter& counter : counters_) {
    if (counter.held != 0 || counter.suspense != 0 || counter.suspense_before != 0) {
      return Fail(absl::StrCat("something is held for ever at ", counter.key.ShortDebugString()));
    }
  }
}

}  // namespace signalbox::simulation
