#include "controlplane/quota/redis_quota_script.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/calendar.h"
#include "common/limits.h"
#include "common/sha256.h"
#include "controlplane/quota/command_check.h"
#include "controlplane/quota/counter_key.h"

namespace signalbox {
namespace {

constexpr int64_t kSaturated = kRedisExactMax + 1;
// No tick for so long: no service was there, and the silence of proxies is not their own.
constexpr int64_t kTickGapUs = 15'000'000;

int64_t Exact(int64_t value) { return std::clamp(value, -kSaturated, kSaturated); }

std::string CalendarName(const v1::CounterKey& key) {
  if (key.calendar() == v1::CALENDAR_UNSPECIFIED) return "";
  return absl::StrCat(key.calendar() == v1::DAY ? "d" : "m", key.timezone());
}

// The key as bytes, equal exactly for equal keys: what this build does not know is left out, and 0 is one number.
std::string IdentityOf(const v1::CounterKey& key) {
  v1::CounterKey plain;
  plain.set_gateway(key.gateway());
  plain.set_pool(key.pool());
  plain.set_unit(key.unit());
  plain.set_window_seconds(key.window_seconds());
  plain.set_technique(key.technique());
  plain.set_calendar(key.calendar());
  plain.set_timezone(key.timezone());
  for (const v1::Scalar& value : key.identifier()) {
    v1::Scalar& copy = *plain.add_identifier();
    if (value.has_bool_value()) copy.set_bool_value(value.bool_value());
    if (value.has_number_value()) copy.set_number_value(value.number_value() + 0.0);
    if (value.has_string_value()) copy.set_string_value(value.string_value());
  }
  return plain.SerializeAsString();
}

std::string PoolName(const std::string& gateway, const std::string& pool) {
  return absl::StrCat(gateway.size(), ":", gateway, pool);
}

// {identity, pool, length in microseconds, sliding, calendar, unit}
void WriteSpec(const v1::CounterKey& key, const std::string& identity, MessagePackWriter& out) {
  out.Array(6);
  out.Text(identity);
  out.Text(PoolName(key.gateway(), key.pool()));
  out.Integer(key.window_seconds() * 1'000'000);
  out.Boolean(key.technique() == v1::SLIDING);
  out.Text(CalendarName(key));
  out.Integer(key.unit());
}

std::string LimitFault(const v1::Acquire& acquire) {
  for (int i = 0; i < acquire.checks_size(); ++i) {
    if (acquire.checks(i).limit() <= kRedisExactMax) continue;
    return absl::StrCat("check ", i, ": the limit is above ", kRedisExactMax,
                        ", the most that a quota service on Redis counts exactly");
  }
  return "";
}

}  // namespace

const std::string& QuotaFunctionName() {
  static const std::string name = absl::StrCat(
      "signalbox_quota_",
      Sha256Hex(absl::StrCat(std::string(QuotaArithmeticScript()), std::string(QuotaCoreScript()))).substr(0, 16));
  return name;
}

const std::string& QuotaFunctionLibrary() {
  static const std::string library =
      absl::StrCat("#!lua name=", QuotaFunctionName(), "\nlocal NAME = '", QuotaFunctionName(), "'\n",
                   std::string(QuotaArithmeticScript()), std::string(QuotaCoreScript()));
  return library;
}

void RedisCalendars::Use(const v1::CounterKey& key) {
  if (const std::string name = CalendarName(key); !name.empty()) Add(name);
}

bool RedisCalendars::Learn(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (!Add(name)) return false;
  }
  seen_ = static_cast<int64_t>(names.size());
  return true;
}

bool RedisCalendars::Add(const std::string& name) {
  if (name.empty() || !IsTimezone(std::string_view(name).substr(1))) return false;
  if (bounds_.try_emplace(name).second) Around(now_us_);
  return true;
}

void RedisCalendars::Around(int64_t now_us) {
  now_us_ = now_us;
  valid_from_us_ = 0;
  valid_until_us_ = kRedisExactMax;
  for (auto& [name, bounds] : bounds_) {
    const v1::Calendar calendar = name[0] == 'd' ? v1::DAY : v1::MONTH;
    const std::string zone = name.substr(1);
    const Window current = CalendarWindow(calendar, zone, now_us);
    const Window previous = CalendarWindow(calendar, zone, current.start_us - 1);
    const Window next = CalendarWindow(calendar, zone, current.end_us);
    bounds = {previous.start_us, current.start_us, current.end_us, next.end_us};
    valid_from_us_ = std::max(valid_from_us_, previous.start_us);
    valid_until_us_ = std::min(valid_until_us_, next.end_us);
  }
}

std::string RedisCalendars::Header(std::optional<int64_t> now_us) {
  std::string bytes;
  MessagePackWriter out(bytes);
  const std::pair<const char*, int64_t> numbers[] = {
      {"calendars_seen", seen_},
      {"valid_from", valid_from_us_},
      {"valid_until", valid_until_us_},
      {"minimum_output_tokens", kMinimumOutputTokens},
      {"cap_share_of_limit", kCapShareOfLimit},
      {"answers_max", static_cast<int64_t>(kQuotaAnswersMaxPerBoot)},
      {"suspend_after", kSuspendAfterUs},
      {"suspense_retention", kQuotaSuspenseRetentionUs},
      {"suspense_max", static_cast<int64_t>(kQuotaSuspenseRecordsMax)},
      {"boot_retention", kQuotaBootRetentionUs},
      {"adjustments_max", static_cast<int64_t>(kQuotaAdjustmentsMax)},
      {"tick_gap", kTickGapUs},
  };
  out.Map(std::size(numbers) + (now_us.has_value() ? 2 : 1));
  for (const auto& [name, value] : numbers) {
    out.Text(name);
    out.Integer(value);
  }
  if (now_us.has_value()) {
    out.Text("now");
    out.Integer(*now_us);
  }
  out.Text("calendars");
  out.Map(bounds_.size());
  for (const auto& [name, bounds] : bounds_) {
    out.Text(name);
    out.Array(bounds.size());
    for (const int64_t bound : bounds) out.Integer(bound);
  }
  return bytes;
}

size_t RedisApplyBody::CounterIndex(const v1::CounterKey& key) {
  calendars_.Use(key);
  const auto [it, fresh] = index_.try_emplace(IdentityOf(key), index_.size() + 1);
  if (fresh) {
    MessagePackWriter out(counters_);
    WriteSpec(key, it->first, out);
  }
  return it->second;
}

void RedisApplyBody::Add(const v1::QuotaRequest& message) {
  ++message_count_;
  out_.Array(5);
  out_.Text(absl::StrCat(message.proxy_id().size(), ":", message.proxy_id(), message.boot_id()));
  out_.Text(message.proxy_id());
  out_.Text(message.boot_id());
  out_.Integer(static_cast<int64_t>(std::min<uint64_t>(message.acked_through(), kSaturated)));
  out_.Array(static_cast<size_t>(message.commands_size()));
  for (const v1::QuotaCommand& command : message.commands()) Command(command);
  commands_ += message.commands_size();
}

void RedisApplyBody::Command(const v1::QuotaCommand& command) {
  const auto refused = [&](std::string_view why) {
    out_.Array(3);
    out_.Integer(0);
    out_.Text("refused");
    out_.Text(why);
  };
  if (command.sequence() == 0) return refused("sequences count from 1");
  if (command.sequence() > static_cast<uint64_t>(kRedisExactMax)) {
    return refused(absl::StrCat("the sequence is above ", kRedisExactMax,
                                ", the most that a quota service on Redis counts exactly"));
  }
  const int64_t sequence = static_cast<int64_t>(command.sequence());
  const auto begin = [&](size_t size, std::string_view kind) {
    out_.Array(size);
    out_.Integer(sequence);
    out_.Text(kind);
  };
  const auto fault = [&](std::string_view why, bool cancellable) {
    begin(4, "fault");
    out_.Text(why);
    out_.Boolean(cancellable);
  };
  switch (command.kind_case()) {
    case v1::QuotaCommand::kAcquire: {
      std::string why = AcquireFault(command.acquire());
      if (why.empty()) why = LimitFault(command.acquire());
      if (!why.empty()) return fault(why, true);
      return Acquire(command.sequence(), command.acquire());
    }
    case v1::QuotaCommand::kExtend:
      if (const std::string why = ExtendFault(command.extend()); !why.empty()) return fault(why, true);
      begin(5, "extend");
      out_.Text(command.extend().request_id());
      out_.Integer(Exact(command.extend().required_nanos()));
      out_.Integer(Exact(command.extend().required_tokens()));
      return;
    case v1::QuotaCommand::kSettle:
      if (const std::string why = SettleFault(command.settle()); !why.empty()) return fault(why, false);
      begin(5, "settle");
      out_.Text(command.settle().request_id());
      out_.Integer(Exact(command.settle().cost_nanos()));
      out_.Integer(Exact(command.settle().tokens()));
      return;
    case v1::QuotaCommand::kCancel:
      begin(3, "cancel");
      out_.Integer(static_cast<int64_t>(std::min<uint64_t>(command.cancel().sequence(), kSaturated)));
      return;
    case v1::QuotaCommand::kForceCharge:
      if (const std::string why = ForceChargeFault(command.force_charge()); !why.empty()) return fault(why, false);
      begin(4, "force");
      out_.Integer(static_cast<int64_t>(CounterIndex(command.force_charge().counter())));
      out_.Integer(Exact(command.force_charge().amount()));
      return;
    case v1::QuotaCommand::KIND_NOT_SET:
      return fault("the command is empty or of a kind this quota service does not know", false);
  }
}

// {sequence, kind, request id, output cap, client's, checks, bounds}
void RedisApplyBody::Acquire(uint64_t sequence, const v1::Acquire& acquire) {
  out_.Array(7);
  out_.Integer(static_cast<int64_t>(sequence));
  out_.Text("acquire");
  out_.Text(acquire.request_id());
  out_.Integer(Exact(acquire.output_cap()));
  out_.Boolean(acquire.client_cap());
  out_.Array(static_cast<size_t>(acquire.checks_size()));
  for (const v1::LimitCheck& check : acquire.checks()) {
    out_.Array(5);
    out_.Integer(static_cast<int64_t>(CounterIndex(check.counter())));
    out_.Integer(check.limit());
    out_.Boolean(check.admission() == v1::OBSERVED);
    out_.Boolean(check.shadow());
    out_.Array(static_cast<size_t>(check.bounds_size()));
    for (const uint32_t index : check.bounds()) out_.Integer(index);
  }
  out_.Array(static_cast<size_t>(acquire.bounds_size()));
  for (const v1::AttemptBound& bound : acquire.bounds()) {
    out_.Array(5);
    out_.Integer(Exact(bound.input_nanos()));
    out_.Integer(Exact(bound.output_nanos_per_mtok()));
    out_.Integer(Exact(bound.max_output_tokens()));
    out_.Integer(Exact(bound.choices()));
    out_.Integer(Exact(bound.input_tokens()));
  }
}

std::string RedisApplyBody::Take() const {
  std::string body;
  MessagePackWriter out(body);
  out.Array(2);
  out.Array(index_.size());
  body += counters_;
  out.Array(message_count_);
  body += messages_;
  return body;
}

std::string RedisCounterBody(RedisCalendars& calendars, const v1::CounterKey& key) {
  calendars.Use(key);
  std::string body;
  MessagePackWriter out(body);
  out.Array(1);
  WriteSpec(key, IdentityOf(key), out);
  return body;
}

std::string RedisAdjustBody(RedisCalendars& calendars, const v1::AdjustCounterRequest& request) {
  calendars.Use(request.key());
  std::string body;
  MessagePackWriter out(body);
  out.Array(5);
  out.Text(request.adjustment_id());
  out.Text(request.SerializeAsString());
  WriteSpec(request.key(), IdentityOf(request.key()), out);
  out.Boolean(request.reset());
  out.Integer(Exact(request.delta()));
  return body;
}

std::string RedisPoolBody(const std::string& gateway, const std::string& pool, int64_t first, int64_t last) {
  std::string body;
  MessagePackWriter out(body);
  out.Array(3);
  out.Text(PoolName(gateway, pool));
  out.Integer(first);
  out.Integer(last);
  return body;
}

std::string RedisPageBody(int64_t after_sequence, int64_t page_size) {
  std::string body;
  MessagePackWriter out(body);
  out.Array(2);
  out.Integer(Exact(after_sequence));
  out.Integer(page_size);
  return body;
}

// {sequence, result, denied index, output cap, message, limits} a command; a limit is six numbers
void ReadRedisAnswers(MessagePackReader& in, const v1::QuotaRequest& message, v1::QuotaResponse& response) {
  const size_t count = in.Array();
  for (size_t i = 0; i < count && in.ok() && i < static_cast<size_t>(message.commands_size()); ++i) {
    const v1::QuotaCommand& command = message.commands(static_cast<int>(i));
    v1::QuotaAnswer& answer = *response.add_answers();
    in.Array();
    in.Integer();
    answer.set_sequence(command.sequence());
    answer.set_result(static_cast<v1::QuotaAnswer::Result>(in.Integer()));
    answer.set_denied_index(static_cast<uint32_t>(in.Integer()));
    const int64_t cap = in.Integer();
    // A cap beyond exact numbers that nothing lowered is what was asked.
    answer.set_output_cap(cap == kSaturated ? command.acquire().output_cap() : cap);
    answer.set_message(std::string(in.Text()));
    for (size_t left = in.Array(); left >= 6 && in.ok(); left -= 6) {
      v1::LimitState& state = *answer.add_limits();
      state.set_limit(in.Integer());
      state.set_remaining(in.Integer());
      state.set_reset_us(in.Integer());
      state.set_held(in.Integer());
      state.set_shadow_denied(in.Integer() != 0);
      state.set_retry_us(in.Integer());
    }
  }
}

void ReadRedisView(MessagePackReader& in, v1::Counter& view) {
  in.Array();
  view.set_settled(in.Integer());
  view.set_held(in.Integer());
  view.set_suspense(in.Integer());
  view.set_reset_us(in.Integer());
  view.set_used(in.Integer());
}

v1::CounterKey ReadRedisKey(MessagePackReader& in) {
  v1::CounterKey key;
  const std::string_view bytes = in.Text();
  key.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  return key;
}

void ReadRedisSuspense(MessagePackReader& in, v1::SuspendedHold& hold) {
  in.Array();
  hold.set_sequence(in.Integer());
  hold.set_request_id(std::string(in.Text()));
  hold.set_proxy_id(std::string(in.Text()));
  hold.set_boot_id(std::string(in.Text()));
  *hold.mutable_counter() = ReadRedisKey(in);
  hold.set_amount(in.Integer());
  hold.set_suspend_time_us(in.Integer());
  hold.set_resolved(in.Boolean());
  hold.set_settled(in.Integer());
  in.Integer();
}

void ReadRedisAdjustment(MessagePackReader& in, v1::Adjustment& adjustment) {
  in.Array();
  adjustment.set_sequence(in.Integer());
  adjustment.set_time_us(in.Integer());
  const std::string_view request = in.Text();
  adjustment.mutable_request()->ParseFromArray(request.data(), static_cast<int>(request.size()));
  for (v1::Counter* view : {adjustment.mutable_before(), adjustment.mutable_after()}) {
    ReadRedisView(in, *view);
    *view->mutable_key() = adjustment.request().key();
  }
  in.Skip();
}

}  // namespace signalbox
