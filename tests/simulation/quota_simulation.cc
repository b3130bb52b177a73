#include "tests/simulation/quota_simulation.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "controlplane/quota/quota_core.h"
#include "tests/simulation/commands.h"
#include "tests/simulation/quota_model.h"

namespace signalbox::simulation {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kDayUs = 86'400 * kSecondUs;
constexpr int64_t kWholeSeconds = 366LL * 86'400;  // a window that does not turn during a run
constexpr int64_t kRunUsMax = 330 * kDayUs;
constexpr int kFullCheckEvery = 1'000;
constexpr size_t kNetworkMax = 64;
constexpr size_t kLiveMax = 400;
constexpr size_t kLoggedMax = 15'000;  // commands between snapshots

// A limit as an element of a route has it. Several may share a pool.
struct Limit {
  std::string pool;
  Unit unit = Unit::kRequests;
  v1::CounterKey key;  // without an identifier
  int64_t length_us = 0;
  const std::vector<int64_t>* edges = nullptr;
  bool strict = true;
  bool shadow = false;
  int64_t limit = 0;
  std::vector<int> counters;  // by identifier
};

struct Chain {
  std::vector<int> limits;
  std::vector<uint8_t> bounds;  // reachable from each
  int fallback = -1;            // another chain
};

struct RequestState {
  int identifier = 0;
  int64_t held_nanos = 0;
  int64_t held_tokens = 0;
  bool holds = false;    // something of it is charged or held
  bool waiting = false;  // for an answer
  bool slow = false;
  int whole = -1;  // counter of the whole-run limit that granted it, as the answers say
  uint32_t whole_boot = 0;
  uint64_t whole_sequence = 0;
};

struct Slot {
  Command command;
  int chain = 0;
  bool sent = false;
  bool done = false;
  bool cancelling = false;
  bool foreign = false;  // of a request of another boot: must be refused
};

struct Proxy {
  std::string id;
  uint32_t boot = 0;
  uint64_t base = 1;  // sequence of the first slot
  std::deque<Slot> slots;
  std::vector<uint32_t> live;  // granted and not settled
  std::vector<v1::QuotaResponse> late_answers;
};

struct Envelope {
  uint32_t boot = 0;
  uint64_t acked_through = 0;
  int64_t sent_us = 0;
  std::vector<Command> commands;
};

// How probable what is, drawn for each seed; a quarter of it never happens in a run.
struct Profile {
  explicit Profile(Random& random) : random_(random) {
    step_us = random.Spread(kSecondUs / 1'000, 8 * kSecondUs);
    batch = static_cast<int>(random.Spread(2, 200));
    clock_forward = Draw(0.01);
    clock_back = Draw(0.05);
    days_away = Draw(0.0015);
    lose_message = Draw(0.1);
    delay_message = Draw(0.1);
    duplicate_message = Draw(0.1);
    deliver_late = 0.05 + Draw(0.3);
    lose_answers = Draw(0.1);
    delay_answers = Draw(0.1);
    resend = 0.1 + Draw(0.4);
    crash_proxy = Draw(0.006);
    spool = Draw(1);
    crash_before_commit = Draw(0.003);
    crash_after_commit = Draw(0.003);
    compact = 0.001 + Draw(0.006);
    give_up = Draw(0.03);
    extend = Draw(0.2);
    slow = Draw(0.1);
    change_limit = Draw(0.03);
    adjust = Draw(0.03);
    force_charge = Draw(0.02);
    over = Draw(0.05);
    foreign = Draw(0.002);
    fallback = Draw(0.6);
    whole = Draw(1);
  }
  double Draw(double most) { return random_.Chance(0.25) ? 0 : most * random_.Below(1'000) / 1'000.0; }

  Random& random_;
  int64_t step_us;
  int batch;
  double clock_forward, clock_back, days_away, lose_message, delay_message, duplicate_message, deliver_late,
      lose_answers, delay_answers, resend, crash_proxy, spool, crash_before_commit, crash_after_commit, compact,
      give_up, extend, slow, change_limit, adjust, force_charge, over, foreign, fallback, whole;
};

v1::Unit WireUnit(Unit unit) {
  return unit == Unit::kRequests ? v1::REQUESTS : unit == Unit::kNanos ? v1::NANO_DOLLARS : v1::TOKENS;
}

class Simulation {
 public:
  explicit Simulation(uint64_t seed)
      : random_(seed),
        profile_(random_),
        start_us_((55 + random_.Below(2)) * kWholeSeconds * kSecondUs + random_.Below(20 * kDayUs)),
        now_us_(start_us_),
        model_(start_us_) {
    BuildLimits();
    proxies_.resize(static_cast<size_t>(random_.Between(1, 8)));
    for (size_t i = 0; i < proxies_.size(); ++i) {
      proxies_[i].id = absl::StrCat("proxy", i);
      Boot(proxies_[i]);
    }
    spooler_ = model_.AddBoot("spooler", "b0");
    boot_names_.push_back({"spooler", "b0"});
    Restart();
  }

  Outcome Run(int steps) {
    for (outcome_.steps = 1; outcome_.steps <= steps; ++outcome_.steps) {
      Step();
      model_.CheckTouched(*core_);
      if (outcome_.steps % kFullCheckEvery == 0) CheckEverything();
      if (model_.failed()) break;
    }
    if (!model_.failed()) EndEverything();
    outcome_.commands = model_.evaluated();
    for (size_t i = 0; i < outcome_.coverage.size(); ++i) outcome_.coverage[i] += model_.coverage()[i];
    outcome_.violation = model_.violation();
    return std::move(outcome_);
  }

 private:
  int64_t& At(Event event) { return outcome_.coverage[static_cast<size_t>(event)]; }
  void Count(Event event) { ++At(event); }

  // --- what is limited ---

  v1::Scalar IdentifierValue(int n) {
    v1::Scalar value;
    switch (n % 4) {
      case 0:
        value.set_string_value(absl::StrCat("user", n));
        break;
      case 1:
        value.set_number_value(n);
        break;
      case 2:
        value.set_string_value(absl::StrCat(n - 1));  // the text of the number before
        break;
      default:
        n == 3 ? value.set_bool_value(true) : value.set_string_value(absl::StrCat("an identifier of some length ", n));
    }
    return value;
  }

  void SetWindow(Limit& limit) {
    static constexpr int64_t kSeconds[] = {1, 10, 60, 600, 3'600, 86'400, 7 * 86'400};
    if (random_.Chance(0.25)) {
      const bool month = random_.Chance(0.4);
      const auto zone = static_cast<Zone>(random_.Below(3));
      static constexpr const char* kNames[] = {"", "Asia/Kolkata", "America/New_York"};
      limit.key.set_calendar(month ? v1::MONTH : v1::DAY);
      limit.key.set_timezone(kNames[static_cast<int>(zone)]);
      limit.key.set_technique(v1::FIXED);
      edges_.push_back(CalendarEdges(zone, month, start_us_ - 40 * kDayUs, start_us_ + kRunUsMax + 80 * kDayUs));
      limit.edges = &edges_.back();
      return;
    }
    limit.key.set_window_seconds(kSeconds[random_.Below(std::size(kSeconds))]);
    limit.key.set_technique(random_.Chance(0.4) ? v1::SLIDING : v1::FIXED);
    limit.length_us = limit.key.window_seconds() * kSecondUs;
  }

  // Somewhere about what the run asks for in a window, so that some of it is refused.
  int64_t SomeLimit(const Limit& limit) {
    int64_t window_us = kStepsPerSeed * profile_.step_us;
    if (limit.edges == nullptr) window_us = std::min(window_us, limit.length_us);
    const int64_t asked = 1 + profile_.batch * window_us / profile_.step_us / identifiers_;
    const int64_t times = std::max<int64_t>(1, asked * random_.Spread(1, 300) / 100);
    if (limit.unit == Unit::kRequests) return times;
    return times * (limit.unit == Unit::kNanos ? 1'000'000 : 2'000);
  }

  void BuildLimits() {
    identifiers_ = static_cast<int>(random_.Spread(1, 32));
    const int count = static_cast<int>(random_.Between(3, 10));
    for (int i = 0; i < count; ++i) {
      Limit& limit = limits_.emplace_back();
      if (i == 0) {  // the whole run's money, which nobody adjusts: what was billed must be what it says
        limit.unit = Unit::kNanos;
        limit.key.set_window_seconds(kWholeSeconds);
        limit.key.set_technique(v1::FIXED);
        limit.length_us = kWholeSeconds * kSecondUs;
        limit.strict = random_.Chance(0.5);
        limit.limit = kLimitNanosMax;
        limit.pool = "whole";
      } else if (i > 2 && random_.Chance(0.35)) {  // shares the counters of another
        limit = limits_[1 + random_.Below(i - 1)];
        limit.strict = random_.Chance(0.7);
        limit.shadow = random_.Chance(0.2);
        limit.limit = std::max<int64_t>(1, limit.limit * random_.Between(50, 200) / 100);
        continue;
      } else {
        limit.unit = static_cast<Unit>(random_.Below(3));
        limit.strict = random_.Chance(0.7);
        limit.shadow = random_.Chance(0.15);
        limit.pool = random_.Chance(0.5) ? absl::StrCat("pool", i) : absl::StrCat("route/limit", i % 2);
        SetWindow(limit);
        limit.limit = SomeLimit(limit);
      }
      limit.key.set_gateway(random_.Chance(0.8) ? "default" : "other");
      limit.key.set_pool(limit.pool);
      limit.key.set_unit(WireUnit(limit.unit));
      const bool combined = random_.Chance(0.2);
      for (int n = 0; n < identifiers_; ++n) {
        v1::CounterKey key = limit.key;
        *key.add_identifier() = IdentifierValue(n);
        if (combined) key.add_identifier()->set_string_value("team");
        limit.counters.push_back(-1);
        const std::string identity = key.SerializeAsString();
        const auto [it, fresh] = counter_by_key_.try_emplace(identity, 0);
        if (fresh) {
          it->second = model_.AddCounter(key, limit.unit, key.technique() == v1::SLIDING, limit.length_us, limit.edges);
        }
        limit.counters.back() = it->second;
        if (i == 0) whole_counters_.push_back(it->second);
      }
    }
    bill_.resize(counter_by_key_.size());
    const int chains = static_cast<int>(random_.Between(1, 6));
    for (int i = 0; i < chains; ++i) {
      Chain& chain = chains_.emplace_back();
      const int length = static_cast<int>(random_.Between(1, kChecksMax - 1));
      if (random_.Chance(profile_.whole)) chain.limits.push_back(0);
      while (static_cast<int>(chain.limits.size()) < length) {
        chain.limits.push_back(1 + static_cast<int>(random_.Below(static_cast<int64_t>(limits_.size()) - 1)));
      }
      for (size_t n = 0; n < chain.limits.size(); ++n) {
        chain.bounds.push_back(static_cast<uint8_t>(random_.Between(1, (1 << kBoundsMax) - 1)));
      }
      if (random_.Chance(profile_.fallback)) chain.fallback = static_cast<int>(random_.Below(chains));
    }
  }

  // --- proxies ---

  void Boot(Proxy& proxy) {
    const std::string boot = absl::StrCat("b", boot_names_.size());
    proxy.boot = model_.AddBoot(proxy.id, boot);
    boot_names_.push_back({proxy.id, boot});
    proxy.base = 1;
    proxy.slots.clear();
    proxy.live.clear();
    proxy.late_answers.clear();
  }

  Slot& NewSlot(Proxy& proxy, Kind kind, uint32_t request) {
    Slot& slot = proxy.slots.emplace_back();
    slot.command.sequence = proxy.base + proxy.slots.size() - 1;
    slot.command.kind = kind;
    slot.command.request = request;
    return slot;
  }

  void Ask(Proxy& proxy, uint32_t request, int chain_index) {
    const Chain& chain = chains_[static_cast<size_t>(chain_index)];
    Acquire acquire;
    acquire.bounds_size = static_cast<int>(random_.Between(1, kBoundsMax));
    for (int i = 0; i < acquire.bounds_size; ++i) {
      Bound& bound = acquire.bounds[static_cast<size_t>(i)];
      bound.input_nanos = random_.Below(200'000);
      bound.nanos_per_mtok = random_.Below(3'000'000'000);
      bound.max_output = random_.Chance(0.3) ? 0 : random_.Between(1, 8'000);
      bound.choices = random_.Chance(0.9) ? 1 : random_.Between(1, 4);
      bound.input_tokens = random_.Below(1'000);
    }
    acquire.output_cap = random_.Chance(0.5) ? random_.Spread(1, 8'000) : random_.Between(1'000, 32'000);
    acquire.client_cap = random_.Chance(0.5);
    for (size_t i = 0; i < chain.limits.size(); ++i) {
      const Limit& limit = limits_[static_cast<size_t>(chain.limits[i])];
      Check& check = acquire.checks[i];
      check.counter = limit.counters[static_cast<size_t>(requests_[request].identifier)];
      check.limit = limit.limit;
      check.strict = limit.strict;
      check.shadow = limit.shadow;
      check.bounds = static_cast<uint8_t>(chain.bounds[i] & ((1 << acquire.bounds_size) - 1));
    }
    acquire.checks_size = static_cast<int>(chain.limits.size());
    Slot& slot = NewSlot(proxy, Kind::kAcquire, request);
    slot.command.acquire = model_.AddAcquire(acquire);
    acquired_.push_back(false);
    slot.chain = chain_index;
    requests_[request].waiting = true;
  }

  void Begin(Proxy& proxy) {
    char id[16];
    std::snprintf(id, sizeof(id), "r%08u", static_cast<unsigned>(requests_.size()));
    const uint32_t request = model_.AddRequest(id);
    RequestState& state = requests_.emplace_back();
    state.identifier = static_cast<int>(random_.Below(identifiers_));
    state.slow = random_.Chance(profile_.slow);
    ++outcome_.requests;
    Ask(proxy, request, static_cast<int>(random_.Below(static_cast<int64_t>(chains_.size()))));
  }

  void SetUsage(Command& settle) {
    const RequestState& state = requests_[settle.request];
    settle.nanos = random_.Below(state.held_nanos + 1);
    settle.tokens = random_.Below(state.held_tokens + 1);
    if (random_.Chance(0.1)) settle.nanos = state.held_nanos;
    if (state.held_nanos > 0 && random_.Chance(profile_.over)) {
      settle.nanos = state.held_nanos + random_.Below(100'000);
      settle.tokens = state.held_tokens + random_.Below(1'000);
      Count(Event::kUsedMoreThanHeld);
    }
  }

  void End(Proxy& proxy, uint32_t request) {
    Slot& slot = NewSlot(proxy, Kind::kSettle, request);
    SetUsage(slot.command);
  }

  void GoOn(Proxy& proxy) {
    const int64_t turns = random_.Below(2 * profile_.batch + 1) + (proxy.live.size() > kLiveMax ? profile_.batch : 0);
    for (int64_t i = 0; i < turns && !proxy.live.empty(); ++i) {
      const size_t at = static_cast<size_t>(random_.Below(static_cast<int64_t>(proxy.live.size())));
      const uint32_t request = proxy.live[at];
      RequestState& state = requests_[request];
      if (state.waiting || (state.slow && random_.Chance(0.95))) continue;
      if (random_.Chance(profile_.extend)) {
        Slot& slot = NewSlot(proxy, Kind::kExtend, request);
        slot.command.nanos = state.held_nanos + random_.Spread(1, 2'000'000);
        slot.command.tokens = state.held_tokens + random_.Spread(1, 4'000);
        state.waiting = true;
        continue;
      }
      proxy.live[at] = proxy.live.back();
      proxy.live.pop_back();
      End(proxy, request);
    }
  }

  // An acquire or extend without an answer is cancelled. Nothing more comes of an acquired request; an extended one
  // ends with what it has.
  void GiveUp(Proxy& proxy) {
    const size_t size = proxy.slots.size();
    for (size_t i = 0; i < size; ++i) {
      Slot& slot = proxy.slots[i];
      if (slot.done || slot.cancelling || slot.foreign) continue;
      if (slot.command.kind != Kind::kAcquire && slot.command.kind != Kind::kExtend) continue;
      if (!random_.Chance(0.3)) continue;
      slot.cancelling = true;
      const Command given_up = slot.command;
      Slot& cancel = NewSlot(proxy, Kind::kCancel, given_up.request);
      cancel.command.target = given_up.sequence;
      RequestState& state = requests_[given_up.request];
      state.waiting = false;
      if (given_up.kind == Kind::kAcquire && state.holds) End(proxy, given_up.request);
    }
  }

  void Crash(Proxy& proxy) {
    Count(Event::kProxyCrash);
    std::vector<Command> settles;
    for (const Slot& slot : proxy.slots) {
      if (!slot.done && slot.command.kind == Kind::kSettle) settles.push_back(slot.command);
    }
    for (const uint32_t request : proxy.live) {
      Command settle;
      settle.kind = Kind::kSettle;
      settle.request = request;
      SetUsage(settle);
      settles.push_back(settle);
    }
    Boot(proxy);
    for (Command& settle : settles) {
      if (!random_.Chance(profile_.spool)) continue;  // never heard of again, until the end
      if (random_.Chance(0.5)) {
        spool_.push_back(settle);
        continue;
      }
      settle.sequence = NewSlot(proxy, Kind::kSettle, settle.request).command.sequence;
      proxy.slots.back().command = settle;
      Count(Event::kSettledFromSpool);
    }
  }

  void Work(Proxy& proxy) {
    for (v1::QuotaResponse& late : proxy.late_answers) Hear(proxy, late);
    proxy.late_answers.clear();
    if (proxy.live.size() < kLiveMax) {
      const int64_t begun = random_.Below(2 * profile_.batch + 1);
      for (int64_t i = 0; i < begun; ++i) Begin(proxy);
    }
    GoOn(proxy);
    if (random_.Chance(profile_.give_up)) GiveUp(proxy);
    if (random_.Chance(profile_.force_charge)) {
      const size_t limit = 1 + static_cast<size_t>(random_.Below(static_cast<int64_t>(limits_.size()) - 1));
      Slot& slot = NewSlot(proxy, Kind::kForceCharge, 0);
      slot.command.counter =
          static_cast<uint32_t>(limits_[limit].counters[static_cast<size_t>(random_.Below(identifiers_))]);
      slot.command.nanos = limits_[limit].unit == Unit::kRequests ? 1 : random_.Spread(1, 1'000'000);
      Count(Event::kForceCharged);
    }
    if (!spool_.empty() && random_.Chance(0.1)) {
      Command settle = spool_.back();
      spool_.pop_back();
      settle.sequence = NewSlot(proxy, Kind::kSettle, settle.request).command.sequence;
      proxy.slots.back().command = settle;
      Count(Event::kSettledFromSpool);
    }
    if (!model_.open_requests().empty() && random_.Chance(profile_.foreign)) {
      const auto& open = model_.open_requests();
      const uint32_t request = open[static_cast<size_t>(random_.Below(static_cast<int64_t>(open.size())))];
      if (!model_.Owns(proxy.boot, request)) {
        NewSlot(proxy, Kind::kExtend, request).command.nanos = 1;
        proxy.slots.back().foreign = true;
      }
    }
  }

  Envelope Send(Proxy& proxy, bool everything) {
    Envelope envelope;
    envelope.boot = proxy.boot;
    envelope.acked_through = proxy.base - 1;
    envelope.sent_us = now_us_;
    for (Slot& slot : proxy.slots) {
      if (slot.done || (slot.cancelling && slot.sent) || (slot.sent && !everything)) continue;
      if (static_cast<int>(envelope.commands.size()) >= kQuotaBatchCommandsMax) break;
      slot.sent = true;
      if (slot.cancelling && random_.Chance(0.5)) continue;  // its cancel comes first, or alone
      envelope.commands.push_back(slot.command);
    }
    return envelope;
  }

  void Hear(Proxy& proxy, const v1::QuotaResponse& answers) {
    for (const v1::QuotaAnswer& answer : answers.answers()) {
      if (answer.sequence() < proxy.base) continue;
      const size_t at = answer.sequence() - proxy.base;
      if (at >= proxy.slots.size() || proxy.slots[at].done) continue;
      if (proxy.slots[at].cancelling) continue;
      Take(proxy, at, answer);
    }
    while (!proxy.slots.empty() && proxy.slots.front().done) {
      proxy.slots.pop_front();
      ++proxy.base;
    }
  }

  void Take(Proxy& proxy, size_t at, const v1::QuotaAnswer& answer) {
    const Command command = proxy.slots[at].command;
    const int chain = proxy.slots[at].chain;
    if (answer.result() == v1::QuotaAnswer::UNKNOWN_SEQUENCE && command.kind != Kind::kCancel) {
      return model_.Fail(absl::StrCat("sequence ", answer.sequence(), " was forgotten before it was acknowledged"));
    }
    proxy.slots[at].done = true;
    if (proxy.slots[at].foreign) return;
    if (command.kind == Kind::kCancel) {
      if (command.target >= proxy.base) proxy.slots[command.target - proxy.base].done = true;
      return;
    }
    if (command.kind == Kind::kSettle || command.kind == Kind::kForceCharge) return;
    RequestState& state = requests_[command.request];
    state.waiting = false;
    const bool granted = answer.result() == v1::QuotaAnswer::GRANTED;
    if (command.kind == Kind::kExtend) {
      Count(granted ? Event::kExtended : Event::kExtendDenied);
      if (!granted) return;
      state.held_nanos = std::max(state.held_nanos, command.nanos);
      state.held_tokens = std::max(state.held_tokens, command.tokens);
      return;
    }
    const Acquire& acquire = model_.acquire(command.acquire);
    if (answer.output_cap() < acquire.output_cap) Count(Event::kCapLowered);
    const int passed = answer.limits_size() - (granted ? 0 : 1);
    for (int i = 0; i < passed; ++i) {
      const v1::LimitState& limit = answer.limits(i);
      if (limit.shadow_denied()) Count(Event::kShadowDenied);
      const v1::Unit unit = model_.key(acquire.checks[static_cast<size_t>(i)].counter).unit();
      if (unit == v1::REQUESTS) continue;
      int64_t& held = unit == v1::TOKENS ? state.held_tokens : state.held_nanos;
      held = held == 0 ? limit.held() : std::min(held, limit.held());
    }
    state.holds = state.holds || passed > 0;
    if (granted) {
      proxy.live.push_back(command.request);
    } else if (chains_[static_cast<size_t>(chain)].fallback >= 0 && random_.Chance(0.6)) {
      Count(Event::kFallback);
      Ask(proxy, command.request, chains_[static_cast<size_t>(chain)].fallback);
    } else if (state.holds) {
      End(proxy, command.request);
      proxy.slots.back().command.nanos = proxy.slots.back().command.tokens = 0;
    }
  }

  // --- the service ---

  void NewSegment() {
    log_.clear();
    logged_ = 0;
    arena_.Reset();
  }

  v1::QuotaLogBatch* NewBatch(int64_t now_us) {
    auto* batch = google::protobuf::Arena::CreateMessage<v1::QuotaLogBatch>(&arena_);
    batch->set_now_us(now_us);
    return batch;
  }

  // The model's own: a batch in the arena does not free it, the core only reads it, and a copy for each check is most
  // of what a batch would be.
  v1::CounterKey* KeyOf(int counter) const { return const_cast<v1::CounterKey*>(&model_.key(counter)); }

  void Write(const Envelope& envelope, v1::QuotaRequest& message) {
    message.set_proxy_id(boot_names_[envelope.boot].first);
    message.set_boot_id(boot_names_[envelope.boot].second);
    message.set_acked_through(envelope.acked_through);
    message.set_heartbeat(envelope.commands.empty());
    message.mutable_commands()->Reserve(static_cast<int>(envelope.commands.size()));
    for (const Command& command : envelope.commands) Write(command, *message.add_commands());
  }

  void Write(const Command& command, v1::QuotaCommand& out) {
    out.set_sequence(command.sequence);
    switch (command.kind) {
      case Kind::kAcquire:
        return Write(command.request, model_.acquire(command.acquire), *out.mutable_acquire());
      case Kind::kExtend:
        out.mutable_extend()->set_request_id(model_.request_id(command.request));
        out.mutable_extend()->set_required_nanos(command.nanos);
        out.mutable_extend()->set_required_tokens(command.tokens);
        return;
      case Kind::kSettle:
        out.mutable_settle()->set_request_id(model_.request_id(command.request));
        out.mutable_settle()->set_cost_nanos(command.nanos);
        out.mutable_settle()->set_tokens(command.tokens);
        return;
      case Kind::kCancel:
        out.mutable_cancel()->set_sequence(command.target);
        return;
      case Kind::kForceCharge:
        out.mutable_force_charge()->set_request_id("forced");
        out.mutable_force_charge()->unsafe_arena_set_allocated_counter(KeyOf(static_cast<int>(command.counter)));
        out.mutable_force_charge()->set_amount(command.nanos);
        return;
    }
  }

  void Write(uint32_t request, const Acquire& acquire, v1::Acquire& out) {
    out.set_request_id(model_.request_id(request));
    out.set_output_cap(acquire.output_cap);
    out.set_client_cap(acquire.client_cap);
    for (int i = 0; i < acquire.bounds_size; ++i) {
      const Bound& bound = acquire.bounds[static_cast<size_t>(i)];
      v1::AttemptBound& written = *out.add_bounds();
      written.set_input_nanos(bound.input_nanos);
      written.set_output_nanos_per_mtok(bound.nanos_per_mtok);
      written.set_max_output_tokens(bound.max_output);
      written.set_choices(bound.choices);
      written.set_input_tokens(bound.input_tokens);
    }
    for (int i = 0; i < acquire.checks_size; ++i) {
      const Check& check = acquire.checks[static_cast<size_t>(i)];
      v1::LimitCheck& written = *out.add_checks();
      written.unsafe_arena_set_allocated_counter(KeyOf(check.counter));
      written.set_limit(check.limit);
      written.set_admission(check.strict ? v1::STRICT : v1::OBSERVED);
      written.set_shadow(check.shadow);
      if (model_.key(check.counter).unit() == v1::REQUESTS) continue;
      for (uint32_t bound = 0; bound < static_cast<uint32_t>(acquire.bounds_size); ++bound) {
        if ((check.bounds >> bound & 1) != 0) written.add_bounds(bound);
      }
    }
  }

  // What the answers say was billed to the limit of the whole run; the model has no part in it.
  void Bill(const Envelope& envelope, const v1::QuotaResponse& answers) {
    for (size_t i = 0; i < envelope.commands.size(); ++i) {
      const Command& command = envelope.commands[i];
      const v1::QuotaAnswer& answer = answers.answers(static_cast<int>(i));
      RequestState& state = requests_[command.request];
      switch (command.kind) {
        case Kind::kAcquire: {
          if (answer.result() != v1::QuotaAnswer::GRANTED && answer.result() != v1::QuotaAnswer::DENIED) break;
          if (acquired_[command.acquire]) break;
          acquired_[command.acquire] = true;
          const Acquire& acquire = model_.acquire(command.acquire);
          const int passed = answer.limits_size() - (answer.result() == v1::QuotaAnswer::GRANTED ? 0 : 1);
          for (int n = 0; n < passed && state.whole < 0; ++n) {
            const int counter = acquire.checks[static_cast<size_t>(n)].counter;
            if (!IsWhole(counter)) continue;
            state.whole = counter;
            state.whole_boot = envelope.boot;
            state.whole_sequence = command.sequence;
          }
          break;
        }
        case Kind::kCancel:
          if (answer.result() == v1::QuotaAnswer::GRANTED && state.whole_boot == envelope.boot &&
              state.whole_sequence == command.target) {
            state.whole = -1;
          }
          break;
        case Kind::kSettle:
          if (answer.result() != v1::QuotaAnswer::GRANTED || state.whole < 0) break;
          bill_[static_cast<size_t>(state.whole)] += command.nanos;
          state.whole = -1;
          break;
        case Kind::kExtend:
        case Kind::kForceCharge:
          break;
      }
    }
  }
  void BillForgotten() {
    for (const QuotaModel::Forgotten& forgotten : model_.forgotten()) {
      RequestState& state = requests_[forgotten.request];
      if (state.whole != forgotten.counter) continue;
      bill_[static_cast<size_t>(state.whole)] += forgotten.amount;
      state.whole = -1;
    }
  }
  bool IsWhole(int counter) const {
    return std::find(whole_counters_.begin(), whole_counters_.end(), counter) != whole_counters_.end();
  }

  std::unique_ptr<QuotaCore> Recovered() {
    auto core = std::make_unique<QuotaCore>();
    for (const std::string& bytes : snapshot_) {
      if (!part_.ParseFromString(bytes)) model_.Fail("a snapshot cannot be read");
      if (const absl::Status status = core->Load(part_); !status.ok()) model_.Fail(status.ToString());
    }
    core->LoadDone();
    for (const v1::QuotaLogBatch* batch : log_) {
      if (const absl::Status status = core->Replay(*batch); !status.ok()) model_.Fail(status.ToString());
    }
    return core;
  }

  void Restart() {
    core_ = Recovered();
    v1::QuotaLogBatch* batch = NewBatch(now_us_);
    batch->add_entries()->set_restarted(true);
    if (const absl::Status status = core_->Replay(*batch); !status.ok()) model_.Fail(status.ToString());
    log_.push_back(batch);
    model_.Restarted(now_us_);
    model_.CheckCounters(*core_);
  }

  void Compact() {
    Count(Event::kCompaction);
    snapshot_.clear();
    core_->Save(static_cast<int>(random_.Spread(1, QuotaCore::kPartRecords)),
                [this](const v1::QuotaStatePart& part) { snapshot_.push_back(part.SerializeAsString()); });
    NewSegment();
  }

  static std::string Stored(const QuotaCore& core) {
    std::string bytes;
    core.Save(QuotaCore::kPartRecords, [&bytes](const v1::QuotaStatePart& part) { part.AppendToString(&bytes); });
    return bytes;
  }

  static std::string Difference(const std::string& a, const std::string& b) {
    const size_t size = std::min(a.size(), b.size());
    size_t at = 0;
    while (at < size && a[at] == b[at]) ++at;
    const size_t from = at < 300 ? 0 : at - 300;
    return absl::StrCat("on disk\n", a.substr(from, 400), "\nin memory\n", b.substr(from, 400));
  }

  void CheckEverything() {
    model_.CheckAll(*core_);
    if (model_.failed()) return;
    const std::unique_ptr<QuotaCore> recovered = Recovered();
    if (Stored(*recovered) != Stored(*core_)) {
      model_.Fail("what is on disk is not what answered: " + Difference(recovered->Dump(), core_->Dump()));
    }
  }

  // One transaction of the service: applied, committed, answered, unless it dies in between.
  void Commit(std::vector<Envelope>& envelopes, bool perfect) {
    const bool back = !perfect && random_.Chance(profile_.clock_back);
    if (back) Count(Event::kClockBack);
    const int64_t seen_us = back ? now_us_ - random_.Below(3'600 * kSecondUs) : now_us_;
    const bool dies = !perfect && random_.Chance(profile_.crash_before_commit);
    v1::QuotaLogBatch* batch = NewBatch(seen_us);
    if (responses_.size() < envelopes.size()) responses_.resize(envelopes.size());
    for (size_t i = 0; i < envelopes.size(); ++i) {
      v1::QuotaRequest& message = *batch->add_entries()->mutable_message();
      Write(envelopes[i], message);
      responses_[i].Clear();
      core_->Apply(message, seen_us, responses_[i]);
      if (dies) continue;
      model_.Message(envelopes[i].boot, envelopes[i].acked_through, envelopes[i].commands, seen_us, responses_[i]);
      if (model_.failed()) return;
      Bill(envelopes[i], responses_[i]);
    }
    const bool due = core_->TickIsDue(seen_us);
    if (!due && !dies && model_.SilenceIsDue(seen_us)) return model_.Fail("a tick that is due is not made");
    if (due || random_.Chance(0.02)) {
      batch->add_entries()->set_tick(true);
      core_->Tick(seen_us);
      if (!dies) {
        model_.Tick(seen_us, *core_);
        BillForgotten();
      }
    }
    if (!perfect && random_.Chance(profile_.adjust)) Adjust(*batch, seen_us, dies);
    if (dies) {
      Count(Event::kServiceCrashBeforeCommit);
      return Restart();
    }
    log_.push_back(batch);
    for (const Envelope& envelope : envelopes) logged_ += envelope.commands.size() + 1;
    if (!perfect && random_.Chance(profile_.crash_after_commit)) {
      Count(Event::kServiceCrashAfterCommit);
      return Restart();
    }
    for (size_t i = 0; i < envelopes.size(); ++i) Deliver(envelopes[i].boot, responses_[i], perfect);
    if (random_.Chance(profile_.compact) || logged_ > kLoggedMax) Compact();
  }

  void Adjust(v1::QuotaLogBatch& batch, int64_t now_us, bool dies) {
    v1::AdjustCounterRequest request;
    int counter = 0;
    if (!adjusted_.empty() && random_.Chance(0.2)) {
      const auto& [first, at] = adjusted_[static_cast<size_t>(random_.Below(static_cast<int64_t>(adjusted_.size())))];
      request = first;
      counter = at;
      Count(Event::kAdjustmentRepeated);
    } else {
      const size_t limit = 1 + static_cast<size_t>(random_.Below(static_cast<int64_t>(limits_.size()) - 1));
      counter = limits_[limit].counters[static_cast<size_t>(random_.Below(identifiers_))];
      request.set_adjustment_id(absl::StrCat("a", ++adjustments_));
      *request.mutable_key() = model_.key(counter);
      const int64_t some = limits_[limit].unit == Unit::kRequests ? 5 : 1'000'000;
      random_.Chance(0.4) ? request.set_reset(true)
                          : request.set_delta(random_.Between(1, some) * (random_.Chance(0.5) ? 1 : -1));
      Count(request.reset() ? Event::kReset : Event::kAdjusted);
      request.set_who("ann");
      request.set_why("a refund");
    }
    *batch.add_entries()->mutable_adjust() = request;
    v1::Adjustment adjustment;
    const absl::Status status = core_->Adjust(request, now_us, adjustment);
    if (!status.ok()) return model_.Fail(status.ToString());
    if (dies) return;
    adjusted_.push_back({request, counter});
    model_.Adjusted(counter, request, now_us, adjustment);
  }

  void Deliver(uint32_t boot, v1::QuotaResponse& answers, bool perfect) {
    for (Proxy& proxy : proxies_) {
      if (proxy.boot != boot) continue;
      if (!perfect && random_.Chance(profile_.lose_answers)) return Count(Event::kAnswersLost);
      if (!perfect && random_.Chance(profile_.delay_answers)) {
        proxy.late_answers.push_back(answers);
        return Count(Event::kAnswersDelayed);
      }
      Hear(proxy, answers);
    }
  }

  // --- time and fate ---

  void Step() {
    now_us_ += random_.Below(2 * profile_.step_us);
    if (now_us_ - start_us_ < kRunUsMax) {
      if (random_.Chance(profile_.clock_forward)) {
        now_us_ += random_.Below(random_.Chance(0.5) ? 2 * kSuspendAfterUs : kBelievedClockJumpUs);
        Count(Event::kClockForward);
      }
      if (random_.Chance(profile_.days_away)) DaysAway();
    }
    if (random_.Chance(profile_.change_limit)) {
      Limit& limit = limits_[1 + static_cast<size_t>(random_.Below(static_cast<int64_t>(limits_.size()) - 1))];
      limit.limit = std::clamp<int64_t>(limit.limit * random_.Between(30, 250) / 100, 1, kLimitTokensMax);
      Count(Event::kLimitChanged);
    }
    Proxy& proxy = proxies_[static_cast<size_t>(random_.Below(static_cast<int64_t>(proxies_.size())))];
    if (random_.Chance(profile_.crash_proxy)) Crash(proxy);
    Work(proxy);
    arriving_.clear();
    Envelope fresh = Send(proxy, random_.Chance(profile_.resend));
    if (network_.size() < kNetworkMax && random_.Chance(profile_.duplicate_message)) {
      network_.push_back(fresh);
      Count(Event::kMessageDuplicated);
    }
    if (random_.Chance(profile_.lose_message)) {
      Count(Event::kMessageLost);
    } else if (network_.size() < kNetworkMax && random_.Chance(profile_.delay_message)) {
      network_.push_back(std::move(fresh));
      Count(Event::kMessageDelayed);
    } else {
      arriving_.push_back(std::move(fresh));
    }
    while (!network_.empty() && arriving_.size() < 4 && random_.Chance(profile_.deliver_late)) {
      const size_t at = static_cast<size_t>(random_.Below(static_cast<int64_t>(network_.size())));
      std::swap(network_[at], network_.back());
      // Nothing is in flight for days: the core forgets a silent boot after its retention.
      if (now_us_ - network_.back().sent_us < kQuotaBootRetentionUs / 2)
        arriving_.push_back(std::move(network_.back()));
      network_.pop_back();
      if (random_.Chance(0.5) && arriving_.size() > 1) std::swap(arriving_.front(), arriving_.back());
    }
    Commit(arriving_, false);
  }

  // The machine room was dark for days: nobody keeps waiting.
  void DaysAway() {
    Count(Event::kDaysAway);
    now_us_ += random_.Below(20 * kDayUs);
    network_.clear();
    for (Proxy& proxy : proxies_) Crash(proxy);
    Restart();
  }

  // Every record comes in the end: nothing stays held, and the money counts once.
  void EndEverything() {
    for (Proxy& proxy : proxies_) {
      for (int round = 0; round < 1'000 && !model_.failed() && !(proxy.slots.empty() && proxy.live.empty()); ++round) {
        for (v1::QuotaResponse& late : proxy.late_answers) Hear(proxy, late);
        proxy.late_answers.clear();
        for (const uint32_t request : proxy.live) {
          if (!requests_[request].waiting) End(proxy, request);
        }
        std::erase_if(proxy.live, [this](uint32_t request) { return !requests_[request].waiting; });
        arriving_.clear();
        arriving_.push_back(Send(proxy, true));
        Commit(arriving_, true);
      }
    }
    Envelope last;
    last.boot = spooler_;
    std::vector<bool> spooled(requests_.size());
    for (Command settle : spool_) {
      settle.sequence = last.commands.size() + 1;
      last.commands.push_back(settle);
      spooled[settle.request] = true;
    }
    for (const uint32_t request : model_.open_requests()) {
      if (spooled[request]) continue;
      Command settle;
      settle.kind = Kind::kSettle;
      settle.request = request;
      settle.sequence = last.commands.size() + 1;
      SetUsage(settle);
      last.commands.push_back(settle);
    }
    arriving_.clear();
    arriving_.push_back(std::move(last));
    if (model_.failed()) return;
    Commit(arriving_, true);
    CheckEverything();
    model_.CheckEnded(*core_);
    for (const int counter : whole_counters_) {
      v1::Counter seen;
      if (const absl::Status status = core_->Read(model_.key(counter), now_us_, seen); !status.ok()) {
        return model_.Fail(status.ToString());
      }
      if (seen.settled() != bill_[static_cast<size_t>(counter)]) {
        return model_.Fail(absl::StrCat("billed ", bill_[static_cast<size_t>(counter)], ", settled ", seen.settled()));
      }
    }
  }

  Random random_;
  Profile profile_;
  const int64_t start_us_;
  int64_t now_us_;
  QuotaModel model_;
  Outcome outcome_;

  int identifiers_ = 1;
  std::deque<std::vector<int64_t>> edges_;
  std::vector<Limit> limits_;
  std::vector<Chain> chains_;
  std::map<std::string, int> counter_by_key_;
  std::vector<int> whole_counters_;
  std::vector<int64_t> bill_;  // by counter

  std::vector<Proxy> proxies_;
  std::vector<std::pair<std::string, std::string>> boot_names_;
  std::vector<RequestState> requests_;
  std::vector<bool> acquired_;  // by acquire: its first answer was billed
  std::vector<Command> spool_;
  uint32_t spooler_ = 0;
  std::vector<Envelope> network_;
  std::vector<Envelope> arriving_;

  google::protobuf::Arena arena_;
  std::vector<v1::QuotaLogBatch*> log_;  // since the snapshot
  size_t logged_ = 0;
  std::vector<std::string> snapshot_;
  v1::QuotaStatePart part_;  // read again and again: keeps its memory
  std::unique_ptr<QuotaCore> core_ = std::make_unique<QuotaCore>();
  std::vector<v1::QuotaResponse> responses_;
  std::vector<std::pair<v1::AdjustCounterRequest, int>> adjusted_;
  int64_t adjustments_ = 0;
};

}  // namespace

const char* NameOf(Event event) {
  static constexpr const char* kNames[] = {
      "granted",
      "denied",
      "cap lowered",
      "shadow denied",
      "extended",
      "extend denied",
      "fallback",
      "repeat answered",
      "acknowledged repeated",
      "cancelled",
      "force charged",
      "message lost",
      "message delayed",
      "message duplicated",
      "answers lost",
      "answers delayed",
      "proxy crash",
      "settled from spool",
      "service crash before commit",
      "service crash after commit",
      "compaction",
      "days away",
      "clock back",
      "clock forward",
      "suspended",
      "suspended resolved",
      "suspended forgotten",
      "asked after suspension",
      "window turned",
      "limit changed",
      "reset",
      "adjusted",
      "adjustment repeated",
      "settled in a past window",
      "used more than held",
  };
  static_assert(std::size(kNames) == kEvents);
  return kNames[static_cast<int>(event)];
}

Outcome Simulate(uint64_t seed, int steps) { return Simulation(seed).Run(steps); }

}  // namespace signalbox::simulation
