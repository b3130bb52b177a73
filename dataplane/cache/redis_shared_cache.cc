#include "dataplane/cache/redis_shared_cache.h"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/mutex.h"
#include "common/redis/redis_connection.h"
#include "common/sha256.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

// A get, or a put when it has an answer.
struct Command {
  std::string key;
  SharedAnswer answer;
  int64_t ttl_us = 0;
  SharedCache::Done done;
  int64_t asked_us = 0;  // by the monotonic clock
  size_t bytes() const { return answer == nullptr ? 0 : AnswerBytes(*answer); }
};

class RedisSharedCache final : public SharedCache {
 public:
  RedisSharedCache(RedisSharedCacheOptions options, RedisUrl url)
      : options_(std::move(options)), url_(std::move(url)), thread_([this] { Run(); }) {}

  ~RedisSharedCache() override {
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
    }
    wake_.NotifyAll();
    thread_.join();
  }

  void Get(const std::string& key, Done done) override {
    Command command;
    command.key = key;
    command.done = std::move(done);
    Enqueue(std::move(command));
  }

  void Put(const std::string& key, SharedAnswer answer, int64_t ttl_us) override {
    Command command;
    command.key = key;
    command.answer = std::move(answer);
    command.ttl_us = ttl_us;
    Enqueue(std::move(command));
  }

  Counts counts() const override {
    const MutexLock lock(mutex_);
    return counts_;
  }

 private:
  void Enqueue(Command command) {
    command.asked_us = options_.clock->MonotonicMicros();
    {
      const MutexLock lock(mutex_);
      const size_t bytes = command.bytes();
      if (!stopping_ && command.asked_us >= away_until_us_ && queue_.size() < kSharedCacheQueueMax &&
          queued_bytes_ + bytes <= kSharedCacheQueueBytesMax) {
        queued_bytes_ += bytes;
        queue_.push_back(std::move(command));
        wake_.NotifyOne();
        return;
      }
      ++counts_.skipped;
    }
    if (command.done) command.done(std::nullopt);
  }

  // Waits for work; empty: the end.
  std::vector<Command> TakeBatch() {
    std::vector<Command> batch;
    const MutexLock lock(mutex_);
    while (queue_.empty() && !stopping_) wake_.Wait(mutex_);
    size_t bytes = 0;
    while (!queue_.empty() && !stopping_ && batch.size() < kSharedCacheBatchMax &&
           (batch.empty() || bytes + queue_.front().bytes() <= kSharedCacheBatchBytesMax)) {
      bytes += queue_.front().bytes();
      batch.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    queued_bytes_ -= bytes;
    return batch;
  }

  void Run() {
    for (std::vector<Command> batch = TakeBatch(); !batch.empty(); batch = TakeBatch()) Execute(batch);
    std::deque<Command> left;
    {
      const MutexLock lock(mutex_);
      left.swap(queue_);
    }
    for (Command& command : left) {
      if (command.done) command.done(std::nullopt);
    }
  }

  absl::StatusOr<std::vector<RedisReply>> Ask(const std::vector<Command>& batch) {
    if (connection_ == nullptr) {
      ASSIGN_OR_RETURN(connection_, RedisConnection::Connect(url_));
    }
    std::vector<std::string> texts;  // what the words below are views into
    texts.reserve(3 * batch.size());
    std::vector<std::vector<std::string_view>> commands;
    for (const Command& command : batch) {
      const std::string& name = texts.emplace_back(absl::StrCat(url_.prefix, ":answer:", Hex(command.key)));
      if (command.answer == nullptr) {
        commands.push_back({"GET", name});
        commands.push_back({"PTTL", name});
      } else {
        const std::string& value = texts.emplace_back(EncodeAnswer(command.key, *command.answer));
        const std::string& millis = texts.emplace_back(absl::StrCat(std::max<int64_t>(command.ttl_us / 1'000, 1)));
        commands.push_back({"SET", name, value, "PX", millis});
      }
    }
    return connection_->Pipeline(commands);
  }

  void Execute(std::vector<Command>& batch) {
    const absl::StatusOr<std::vector<RedisReply>> replies = Ask(batch);
    if (!replies.ok()) {
      const int64_t now_us = options_.clock->MonotonicMicros();
      connection_ = nullptr;
      SetAway(now_us + int64_t{kSharedCacheRetryMs} * 1'000, absl::StrCat("the shared cache is away, so proxies do not "
                                                                          "see each other's answers: ",
                                                                          std::string(replies.status().message())));
      Count([&](Counts& counts) { counts.failed += static_cast<int64_t>(batch.size()); });
      for (Command& command : batch) {
        if (command.done) command.done(std::nullopt);
      }
      return;
    }
    SetHere();
    size_t next = 0;
    for (Command& command : batch) {
      const redisReply& reply = *(*replies)[next++];
      if (command.answer != nullptr) {
        Count([&](Counts& counts) { ++(IsRedisError(reply) ? counts.failed : counts.stored); });
        if (IsRedisError(reply)) Complain(RedisText(reply));
        continue;
      }
      const redisReply& millis_left = *(*replies)[next++];
      std::optional<Found> found = Read(command.key, reply, millis_left);
      const bool gone = reply.type == REDIS_REPLY_NIL || IsUp(millis_left);
      Count([&](Counts& counts) { ++(found.has_value() ? counts.hits : gone ? counts.misses : counts.failed); });
      command.done(std::move(found));
    }
  }

  // The key's time ended between GET and PTTL (-2), or ends now.
  static bool IsUp(const redisReply& millis_left) {
    return millis_left.type == REDIS_REPLY_INTEGER && (millis_left.integer == -2 || millis_left.integer == 0);
  }

  std::optional<Found> Read(const std::string& key, const redisReply& value, const redisReply& millis_left) {
    if (value.type == REDIS_REPLY_NIL || IsUp(millis_left)) return std::nullopt;
    const int64_t left_us = RedisInteger(millis_left) * 1'000;
    absl::StatusOr<SharedAnswer> answer = absl::UnavailableError(std::string(RedisText(value)));
    if (value.type == REDIS_REPLY_STRING) answer = DecodeAnswer(key, RedisText(value));
    if (!answer.ok()) Complain({answer.status().message().data(), answer.status().message().size()});
    if (!answer.ok() || left_us <= 0) return std::nullopt;
    Found found;
    found.age_us = std::max<int64_t>((*answer)->ttl_ms() * 1'000 - left_us, 0);
    found.left_us = left_us;
    found.answer = *std::move(answer);
    return found;
  }

  template <typename Change>
  void Count(const Change& change) {
    const MutexLock lock(mutex_);
    change(counts_);
  }

  // What is said once until it changes: a broken Redis must not fill the log.
  void Complain(std::string_view what) {
    if (complaint_ == what) return;
    complaint_ = what;
    options_.report(absl::StrCat("the shared cache at ", PlainName(url_), ": ", complaint_));
  }

  void SetAway(int64_t until_us, std::string_view why) {
    {
      const MutexLock lock(mutex_);
      away_until_us_ = until_us;
      counts_.connected = false;
    }
    Complain(why);
  }

  void SetHere() {
    bool back = false;
    {
      const MutexLock lock(mutex_);
      back = !std::exchange(counts_.connected, true);
    }
    if (back) Complain("connected");
  }

  const RedisSharedCacheOptions options_;
  const RedisUrl url_;
  mutable Mutex mutex_;
  CondVar wake_;
  std::deque<Command> queue_ SB_GUARDED_BY(mutex_);
  size_t queued_bytes_ SB_GUARDED_BY(mutex_) = 0;
  int64_t away_until_us_ SB_GUARDED_BY(mutex_) = INT64_MIN;
  Counts counts_ SB_GUARDED_BY(mutex_);
  bool stopping_ SB_GUARDED_BY(mutex_) = false;
  // The thread's own.
  std::unique_ptr<RedisConnection> connection_;
  std::string complaint_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace

absl::StatusOr<std::unique_ptr<SharedCache>> OpenRedisSharedCache(RedisSharedCacheOptions options) {
  ASSIGN_OR_RETURN(RedisUrl url, ParseRedisUrl(options.url));
  if (url.wait_replicas != 0) {
    return absl::InvalidArgumentError("the cache's Redis URL has wait_replicas, which only the quota service needs");
  }
  url.timeout_ms = std::min(url.timeout_ms, options.timeout_ms);
  return std::make_unique<RedisSharedCache>(std::move(options), std::move(url));
}

}  // namespace signalbox
