#include "dataplane/cache/answer_cache.h"

#include <gtest/gtest.h>

#include <map>

#include "common/limits.h"
#include "tests/dataplane/cache/answers.h"

namespace signalbox::testing {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kForever = INT64_MAX;

// What other proxies would find.
class MapCache final : public SharedCache {
 public:
  void Get(const std::string& key, Done done) override {
    ++gets;
    const auto found = answers.find(key);
    done(found == answers.end() ? std::nullopt : std::make_optional(found->second));
  }
  void Put(const std::string& key, SharedAnswer answer, int64_t ttl_us) override {
    Found found;
    found.answer = std::move(answer);
    found.left_us = ttl_us;
    answers[key] = found;
  }
  Counts counts() const override { return {}; }
  std::map<std::string, Found> answers;
  int gets = 0;
};

TEST(AnswerCache, AnAnswerLivesAsLongAsItWasStoredFor) {
  ManualClock clock;
  AnswerCache cache(1 << 20, nullptr, clock);
  cache.Store(Key('a'), Answer("one"), 60 * kSecond);
  clock.Advance(59 * kSecond);
  const std::optional<CacheHit> hit = cache.Get(Key('a'), kForever);
  ASSERT_TRUE(hit.has_value());
  EXPECT_EQ(hit->answer->body(), "one");
  EXPECT_EQ(hit->age_us, 59 * kSecond);
  EXPECT_FALSE(cache.Get(Key('a'), 59 * kSecond).has_value()) << "the asker wants a younger one";
  clock.Advance(kSecond);
  EXPECT_FALSE(cache.Get(Key('a'), kForever).has_value());
}

TEST(AnswerCache, AWallClockSetBackKeepsNothingAlive) {
  ManualClock clock;
  AnswerCache cache(1 << 20, nullptr, clock);
  cache.Store(Key('a'), Answer("one"), 60 * kSecond);
  clock.Advance(60 * kSecond);
  clock.StepWall(-3'600 * kSecond);
  EXPECT_FALSE(cache.Get(Key('a'), kForever).has_value());
}

TEST(AnswerCache, WithoutRoomAndWithoutASharedCacheThereIsNoCaching) {
  ManualClock clock;
  EXPECT_FALSE(AnswerCache(0, nullptr, clock).enabled());
  EXPECT_TRUE(AnswerCache(0, std::make_unique<MapCache>(), clock).enabled());
  EXPECT_TRUE(AnswerCache(1 << 20, nullptr, clock).enabled());
}

TEST(AnswerCache, WhatIsStoredIsSharedWithItsTime) {
  ManualClock clock;
  auto shared = std::make_unique<MapCache>();
  MapCache& others = *shared;
  AnswerCache cache(1 << 20, std::move(shared), clock);
  cache.Store(Key('a'), Answer("one"), 60 * kSecond);
  EXPECT_EQ(others.answers.at(Key('a')).answer->body(), "one");
  EXPECT_EQ(others.answers.at(Key('a')).left_us, 60 * kSecond);
}

TEST(AnswerCache, WhatAnotherProxyStoredIsKeptHereForTheTimeItHasLeft) {
  ManualClock clock;
  auto shared = std::make_unique<MapCache>();
  MapCache& others = *shared;
  AnswerCache cache(1 << 20, std::move(shared), clock);
  SharedCache::Found found;
  found.answer = Answer("theirs");
  found.age_us = 20 * kSecond;
  found.left_us = 40 * kSecond;
  others.answers[Key('a')] = found;

  std::optional<CacheHit> hit;
  cache.GetShared(Key('a'), kForever, [&hit](std::optional<CacheHit> got) { hit = std::move(got); });
  ASSERT_TRUE(hit.has_value());
  EXPECT_EQ(hit->answer->body(), "theirs");
  EXPECT_EQ(hit->age_us, 20 * kSecond);
  clock.Advance(39 * kSecond);
  ASSERT_TRUE(cache.Get(Key('a'), kForever).has_value());
  EXPECT_EQ(cache.Get(Key('a'), kForever)->age_us, 59 * kSecond);
  clock.Advance(kSecond);
  EXPECT_FALSE(cache.Get(Key('a'), kForever).has_value());
}

TEST(AnswerCache, AnotherProxysAnswerThatIsTooOldForTheAskerIsNone) {
  ManualClock clock;
  auto shared = std::make_unique<MapCache>();
  MapCache& others = *shared;
  AnswerCache cache(1 << 20, std::move(shared), clock);
  SharedCache::Found found;
  found.answer = Answer("theirs");
  found.age_us = 20 * kSecond;
  found.left_us = 40 * kSecond;
  others.answers[Key('a')] = found;
  bool called = false;
  cache.GetShared(Key('a'), 20 * kSecond, [&called](std::optional<CacheHit> got) {
    called = true;
    EXPECT_FALSE(got.has_value());
  });
  EXPECT_TRUE(called);
}

TEST(AnswerCache, CountsItsLookups) {
  ManualClock clock;
  AnswerCache cache(1 << 20, nullptr, clock);
  cache.CountLookup(AnswerCache::Lookup::kMiss);
  cache.CountLookup(AnswerCache::Lookup::kMemoryHit);
  cache.CountLookup(AnswerCache::Lookup::kMemoryHit);
  cache.CountSaved(500);
  cache.Store(Key('a'), Answer("one"), kSecond);
  const AnswerCache::Counts counts = cache.counts();
  EXPECT_EQ(counts.lookups[static_cast<size_t>(AnswerCache::Lookup::kMemoryHit)], 2);
  EXPECT_EQ(counts.lookups[static_cast<size_t>(AnswerCache::Lookup::kMiss)], 1);
  EXPECT_EQ(counts.saved_nanos, 500);
  EXPECT_EQ(counts.memory.stored, 1);
  EXPECT_EQ(counts.memory.entries, 1u);
}

TEST(AnswerCapture, KeepsWhatFitsAndNothingOfWhatDoesNot) {
  AnswerCapture capture;
  capture.Append("data: 1\n\n");
  capture.Append("data: 2\n\n");
  EXPECT_TRUE(capture.whole());
  EXPECT_EQ(capture.Take(), "data: 1\n\ndata: 2\n\n");

  AnswerCapture exact;
  exact.Append(std::string(kCachedAnswerBytesMax, 'x'));
  EXPECT_TRUE(exact.whole());
  exact.Append("y");
  EXPECT_FALSE(exact.whole());
  exact.Append("z");
  EXPECT_EQ(exact.Take(), "");
}

}  // namespace
}  // namespace signalbox::testing
