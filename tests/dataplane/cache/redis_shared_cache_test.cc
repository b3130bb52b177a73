// Answers shared in a real redis-server: found by others, gone in time; Redis dead, frozen, full or lying is a miss.
#include "dataplane/cache/redis_shared_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/mutex.h"
#include "common/sha256.h"
#include "tests/controlplane/quota/redis_server.h"
#include "tests/dataplane/cache/answers.h"
#include "tests/testing/eventually.h"

namespace signalbox::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kSecond = 1'000'000;

class Reports {
 public:
  void Add(const std::string& report) {
    const MutexLock lock(mutex_);
    text_ += report + "\n";
  }
  std::string text() {
    const MutexLock lock(mutex_);
    return text_;
  }

 private:
  Mutex mutex_;
  std::string text_ SB_GUARDED_BY(mutex_);
};

class RedisSharedCacheTest : public ::testing::Test {
 protected:
  void StartRedis(std::vector<std::string> arguments = {}) {
    RedisServerOptions options;
    options.appendfsync = "no";
    options.more_arguments = std::move(arguments);
    auto started = RedisServer::Start(options);
    ASSERT_TRUE(started.ok()) << started.status();
    redis_ = *std::move(started);
  }
  // Patient, for a slow machine: only a Redis that never answers shall be found late.
  std::unique_ptr<SharedCache> Open(const std::string& url, int timeout_ms = 2'000) {
    RedisSharedCacheOptions options;
    options.url = url;
    options.clock = &clock_;
    options.timeout_ms = timeout_ms;
    options.report = [this](const std::string& report) { reports_.Add(report); };
    auto opened = OpenRedisSharedCache(std::move(options));
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened.ok() ? *std::move(opened) : nullptr;
  }
  static std::optional<SharedCache::Found> Get(SharedCache& cache, const std::string& key) {
    std::promise<std::optional<SharedCache::Found>> promise;
    cache.Get(key, [&promise](std::optional<SharedCache::Found> found) { promise.set_value(std::move(found)); });
    return promise.get_future().get();
  }
  static SharedAnswer AnswerFor(const std::string& body, int64_t ttl_us) {
    auto answer = std::make_shared<v1::CachedAnswer>(*Answer(body));
    answer->set_ttl_ms(ttl_us / 1'000);
    return answer;
  }

  ManualClock clock_;  // stands still: what failed is left alone until it is moved
  Reports reports_;
  std::unique_ptr<RedisServer> redis_;
};

TEST_F(RedisSharedCacheTest, WhatOneProxyStoresAnotherFinds) {
  StartRedis();
  const auto one = Open(redis_->url()), other = Open(redis_->url());
  one->Put(Key('a'), AnswerFor("hello", 60 * kSecond), 60 * kSecond);
  EXPECT_FALSE(Get(*one, Key('b')).has_value());  // a later command: the put is in
  const auto found = Get(*other, Key('a'));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->answer->body(), "hello");
  EXPECT_GT(found->left_us, 0);
  EXPECT_LE(found->left_us, 60 * kSecond);
  EXPECT_EQ(found->age_us + found->left_us, 60 * kSecond);
  EXPECT_EQ(one->counts().stored, 1);
  EXPECT_EQ(one->counts().misses, 1);
  EXPECT_EQ(other->counts().hits, 1);
  EXPECT_TRUE(other->counts().connected);
}

TEST_F(RedisSharedCacheTest, RedisForgetsAnAnswerWhenItsTimeIsUp) {
  StartRedis();
  const auto cache = Open(redis_->url());
  cache->Put(Key('a'), AnswerFor("hello", 1'000), 1'000);
  EXPECT_TRUE(Eventually([&] { return !Get(*cache, Key('a')).has_value(); }));
  EXPECT_EQ(cache->counts().failed, 0);
  cache->Put(Key('b'), AnswerFor("hello", kSecond), 1'000 * kSecond);
  Get(*cache, Key('a'));
  const auto left = redis_->Command({"PTTL", absl::StrCat("signalbox:answer:", Hex(Key('b')))});
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_GT(std::stoll(*left), 900'000);
}

TEST_F(RedisSharedCacheTest, DatabaseAndPrefixKeepDeploymentsApart) {
  StartRedis();
  const auto one = Open(redis_->url() + "/1?prefix=blue"), other = Open(redis_->url() + "/1?prefix=green");
  one->Put(Key('a'), AnswerFor("hello", 60 * kSecond), 60 * kSecond);
  EXPECT_TRUE(Get(*one, Key('a')).has_value());
  EXPECT_FALSE(Get(*other, Key('a')).has_value());
  const auto elsewhere = Open(redis_->url() + "/2?prefix=blue");
  EXPECT_FALSE(Get(*elsewhere, Key('a')).has_value());
}

TEST_F(RedisSharedCacheTest, BytesOfAnyKindAndSizeComeBackAsTheyWere) {
  StartRedis();
  const auto cache = Open(redis_->url());
  std::string body;
  for (int i = 0; i < 1 << 20; ++i) body.push_back(static_cast<char>(i * 7 % 256));
  cache->Put(Key('\0', "x"), AnswerFor(body, 60 * kSecond), 60 * kSecond);
  const auto found = Get(*cache, Key('\0', "x"));
  ASSERT_TRUE(found.has_value());
  EXPECT_TRUE(found->answer->body() == body);
}

TEST_F(RedisSharedCacheTest, WhatWasTamperedWithIsAMissAndAFailure) {
  StartRedis();
  const auto cache = Open(redis_->url());
  const std::string name = absl::StrCat("signalbox:answer:", Hex(Key('a')));
  ASSERT_TRUE(redis_->Command({"SET", name, "SBA1 something else", "PX", "60000"}).ok());
  EXPECT_FALSE(Get(*cache, Key('a')).has_value());
  EXPECT_EQ(cache->counts().failed, 1);
  EXPECT_THAT(reports_.text(), HasSubstr("cut short"));
  ASSERT_TRUE(redis_->Command({"DEL", name}).ok());
  ASSERT_TRUE(redis_->Command({"LPUSH", name, "not a string"}).ok());
  EXPECT_FALSE(Get(*cache, Key('a')).has_value());
  EXPECT_EQ(cache->counts().failed, 2);
  EXPECT_THAT(reports_.text(), HasSubstr("WRONGTYPE"));
}

TEST_F(RedisSharedCacheTest, WithoutRedisEverythingIsAMissAtOnceUntilItIsTriedAgain) {
  StartRedis();
  const std::string url = redis_->url();
  redis_->Kill();
  const auto cache = Open(url);
  EXPECT_FALSE(Get(*cache, Key('a')).has_value());
  EXPECT_EQ(cache->counts().failed, 1);
  EXPECT_FALSE(cache->counts().connected);
  EXPECT_THAT(reports_.text(), HasSubstr("cannot connect to Redis"));
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(Get(*cache, Key('a')).has_value());
  EXPECT_EQ(cache->counts().failed, 1);
  EXPECT_EQ(cache->counts().skipped, 100);

  ASSERT_TRUE(redis_->Restart().ok());
  clock_.Advance(int64_t{kSharedCacheRetryMs} * 1'000);
  cache->Put(Key('a'), AnswerFor("hello", 60 * kSecond), 60 * kSecond);
  EXPECT_TRUE(Get(*cache, Key('a')).has_value());
  EXPECT_TRUE(cache->counts().connected);
  EXPECT_THAT(reports_.text(), HasSubstr("connected"));
}

TEST_F(RedisSharedCacheTest, ARedisThatDiesInBetweenIsAMissAndIsFoundAgain) {
  StartRedis();
  const auto cache = Open(redis_->url());
  cache->Put(Key('a'), AnswerFor("hello", 600 * kSecond), 600 * kSecond);
  ASSERT_TRUE(Get(*cache, Key('a')).has_value());
  ASSERT_TRUE(redis_->Restart().ok());
  EXPECT_FALSE(Get(*cache, Key('a')).has_value());  // on the connection that is no more
  EXPECT_EQ(cache->counts().failed, 1);
  clock_.Advance(int64_t{kSharedCacheRetryMs} * 1'000);
  cache->Put(Key('b'), AnswerFor("again", 600 * kSecond), 600 * kSecond);
  EXPECT_TRUE(Get(*cache, Key('b')).has_value());
}

TEST_F(RedisSharedCacheTest, AFrozenRedisIsAMiss) {
  StartRedis();
  const auto cache = Open(redis_->url());
  EXPECT_FALSE(Get(*cache, Key('a')).has_value());
  EXPECT_EQ(cache->counts().misses, 1);
  redis_->Freeze();
  EXPECT_FALSE(Get(*cache, Key('a')).has_value());
  EXPECT_EQ(cache->counts().failed, 1);
  EXPECT_FALSE(Get(*cache, Key('a')).has_value());
  EXPECT_EQ(cache->counts().skipped, 1);
  redis_->Thaw();
  clock_.Advance(int64_t{kSharedCacheRetryMs} * 1'000);
  EXPECT_TRUE(Eventually([&] {
    Get(*cache, Key('a'));
    if (cache->counts().connected) return true;
    clock_.Advance(int64_t{kSharedCacheRetryMs} * 1'000);
    return false;
  }));
}

TEST_F(RedisSharedCacheTest, AFullRedisKeepsNothingAndSaysSo) {
  StartRedis({"--maxmemory", "1mb", "--maxmemory-policy", "noeviction"});
  const auto cache = Open(redis_->url());
  cache->Put(Key('a'), AnswerFor(std::string(3 << 20, 'x'), 60 * kSecond), 60 * kSecond);
  cache->Put(Key('b'), AnswerFor(std::string(3 << 20, 'x'), 60 * kSecond), 60 * kSecond);
  EXPECT_FALSE(Get(*cache, Key('b')).has_value());
  EXPECT_GE(cache->counts().failed, 1);
  EXPECT_THAT(reports_.text(), HasSubstr("OOM"));
}

TEST_F(RedisSharedCacheTest, WhatWaitsAtTheEndIsAnswered) {
  StartRedis();
  auto cache = Open(redis_->url());
  std::atomic<int> answered{0};
  redis_->Freeze();
  for (int i = 0; i < 500; ++i) {
    cache->Get(Key('a'), [&answered](std::optional<SharedCache::Found> found) {
      EXPECT_FALSE(found.has_value());
      ++answered;
    });
  }
  cache = nullptr;
  EXPECT_EQ(answered, 500);
  redis_->Thaw();
}

TEST_F(RedisSharedCacheTest, AUrlThatIsNoneIsRefusedAndItsPasswordNotRepeated) {
  RedisSharedCacheOptions options;
  options.url = "redis://user:hunter2@127.0.0.1:port";
  const absl::Status status = OpenRedisSharedCache(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("port"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("hunter2")));
  options.url = "redis://127.0.0.1?wait_replicas=1";
  EXPECT_THAT(std::string(OpenRedisSharedCache(options).status().message()), HasSubstr("wait_replicas"));
}

}  // namespace
}  // namespace signalbox::testing
