// What quota_core.lua is told and what it answers: commands to MessagePack, answers back to protos. What can be refused
// by looking at a command alone is refused here, by the same functions as in QuotaCore. Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/quota/redis_message_pack.h"
#include "signalbox/v1/quota.pb.h"

namespace signalbox {

// Lua's numbers are doubles: above it they are no longer exact, and limits are refused.
inline constexpr int64_t kRedisExactMax = (int64_t{1} << 53) - 1;

// The library of Redis Functions, compiled in, and the name of its one function: another for every other source, so
// that services of different builds share a Redis while they are replaced.
const std::string& QuotaFunctionLibrary();
const std::string& QuotaFunctionName();
std::string_view QuotaCoreScript();  // the parts of its source
std::string_view QuotaArithmeticScript();

// The windows of the calendars in use, around the store's time: Lua has no tz database.
class RedisCalendars {
 public:
  void Use(const v1::CounterKey& key);
  // As stored: `count` calendars, all of which these are. False when this machine does not know a time zone of theirs.
  bool Learn(const std::vector<std::string>& names);
  void Around(int64_t now_us);
  // The script's header: constants, windows, and `now_us` in place of Redis' own time.
  std::string Header(std::optional<int64_t> now_us);

 private:
  bool Add(const std::string& name);
  std::map<std::string, std::vector<int64_t>> bounds_;  // by name: starts of consecutive windows around now_us_
  int64_t seen_ = 0;                                    // stored ones that were learnt
  int64_t now_us_ = 0;
  int64_t valid_from_us_ = 0, valid_until_us_ = kRedisExactMax;
};

// The body of one `apply`: messages in their order, each counter described once.
class RedisApplyBody {
 public:
  explicit RedisApplyBody(RedisCalendars& calendars) : calendars_(calendars) {}
  void Add(const v1::QuotaRequest& message);  // its ids have no fault
  std::string Take() const;
  int commands() const { return commands_; }

 private:
  void Command(const v1::QuotaCommand& command);
  void Acquire(uint64_t sequence, const v1::Acquire& acquire);
  size_t CounterIndex(const v1::CounterKey& key);
  RedisCalendars& calendars_;
  std::string counters_, messages_;
  std::map<std::string, size_t> index_;
  size_t message_count_ = 0;
  int commands_ = 0;
  MessagePackWriter out_{messages_};
};

// Bodies of the other operations. Keys and requests have no fault.
std::string RedisCounterBody(RedisCalendars& calendars, const v1::CounterKey& key);
std::string RedisAdjustBody(RedisCalendars& calendars, const v1::AdjustCounterRequest& request);
std::string RedisPoolBody(const std::string& gateway, const std::string& pool, int64_t first, int64_t last);
std::string RedisPageBody(int64_t after_sequence, int64_t page_size);  // also a tick's, of its budget

// From the reader's place in a reply. The reader tells whether it was well-formed.
void ReadRedisAnswers(MessagePackReader& in, const v1::QuotaRequest& message, v1::QuotaResponse& response);
void ReadRedisView(MessagePackReader& in, v1::Counter& view);  // all but its key
v1::CounterKey ReadRedisKey(MessagePackReader& in);
void ReadRedisSuspense(MessagePackReader& in, v1::SuspendedHold& hold);
void ReadRedisAdjustment(MessagePackReader& in, v1::Adjustment& adjustment);

}  // namespace signalbox
