#include "dataplane/cache/answer_store.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "tests/dataplane/cache/answers.h"

namespace signalbox::testing {
namespace {

constexpr int64_t kHour = 3'600'000'000;
constexpr int64_t kForever = INT64_MAX;

std::string BodyOf(AnswerStore& store, const std::string& key, int64_t now_us, int64_t max_age_us = kForever) {
  const AnswerStore::Found found = store.Get(key, now_us, max_age_us);
  return found.answer == nullptr ? "none" : found.answer->body();
}

TEST(AnswerStore, GivesBackWhatWasPut) {
  AnswerStore store(1 << 20);
  EXPECT_TRUE(store.Put(Key('a'), Answer("one"), 0, kHour, 0));
  EXPECT_EQ(BodyOf(store, Key('a'), 5), "one");
  EXPECT_EQ(store.Get(Key('a'), 5, kForever).age_us, 5);
  EXPECT_EQ(BodyOf(store, Key('b'), 5), "none");
}

TEST(AnswerStore, AnAnswerIsThereUntilItsTimeIsUpAndNotAMicrosecondLonger) {
  AnswerStore store(1 << 20);
  store.Put(Key('a'), Answer("one"), 100, 200, 100);
  EXPECT_EQ(BodyOf(store, Key('a'), 199), "one");
  EXPECT_EQ(BodyOf(store, Key('a'), 200), "none");
  EXPECT_EQ(store.counts().entries, 0u);
  EXPECT_EQ(store.counts().bytes, 0u);
  EXPECT_EQ(store.counts().expired, 1);
}

TEST(AnswerStore, AnAnswerOlderThanTheAskerAcceptsIsNotGivenAndStaysForOthers) {
  AnswerStore store(1 << 20);
  store.Put(Key('a'), Answer("one"), 0, kHour, 0);
  EXPECT_EQ(BodyOf(store, Key('a'), 60, 60), "none");
  EXPECT_EQ(BodyOf(store, Key('a'), 60, 61), "one");
}

TEST(AnswerStore, AnExpiredAnswerIsNotPut) {
  AnswerStore store(1 << 20);
  EXPECT_FALSE(store.Put(Key('a'), Answer("one"), 0, 10, 10));
  EXPECT_EQ(store.counts().entries, 0u);
}

TEST(AnswerStore, ALaterAnswerReplacesAnEarlierOne) {
  AnswerStore store(1 << 20);
  store.Put(Key('a'), Answer("one"), 0, kHour, 0);
  const size_t bytes = store.counts().bytes;
  store.Put(Key('a'), Answer("two"), 10, kHour, 10);
  EXPECT_EQ(BodyOf(store, Key('a'), 10), "two");
  EXPECT_EQ(store.counts().entries, 1u);
  EXPECT_EQ(store.counts().bytes, bytes);
  EXPECT_EQ(store.counts().evicted, 0);
}

TEST(AnswerStore, TheAnswerNotUsedForTheLongestGoesFirst) {
  AnswerStore store(10'000);  // one shard, room for three
  const std::string body(2'500, 'x');
  store.Put(Key('a'), Answer(body), 0, kHour, 0);
  store.Put(Key('b'), Answer(body), 0, kHour, 0);
  store.Put(Key('c'), Answer(body), 0, kHour, 0);
  EXPECT_EQ(BodyOf(store, Key('a'), 1), body);
  store.Put(Key('d'), Answer(body), 2, kHour, 2);
  EXPECT_EQ(BodyOf(store, Key('b'), 3), "none");
  EXPECT_EQ(BodyOf(store, Key('a'), 3), body);
  EXPECT_EQ(BodyOf(store, Key('c'), 3), body);
  EXPECT_EQ(BodyOf(store, Key('d'), 3), body);
  EXPECT_EQ(store.counts().evicted, 1);
}

TEST(AnswerStore, ExpiredAnswersGoBeforeAnyThatIsStillGood) {
  AnswerStore store(10'000);
  const std::string body(2'500, 'x');
  store.Put(Key('a'), Answer(body), 0, kHour, 0);  // used last before the others, and good for long
  store.Put(Key('b'), Answer(body), 0, 100, 0);
  store.Put(Key('c'), Answer(body), 0, 100, 0);
  store.Put(Key('d'), Answer(body), 200, kHour, 200);
  EXPECT_EQ(BodyOf(store, Key('a'), 200), body);
  EXPECT_EQ(store.counts().expired, 2);
  EXPECT_EQ(store.counts().evicted, 0);
}

TEST(AnswerStore, AnAnswerLargerThanAShardIsNotKeptAndDrivesNobodyOut) {
  AnswerStore store(10'000);
  store.Put(Key('a'), Answer("one"), 0, kHour, 0);
  EXPECT_FALSE(store.Put(Key('b'), Answer(std::string(10'000, 'x')), 0, kHour, 0));
  EXPECT_EQ(BodyOf(store, Key('a'), 1), "one");
}

TEST(AnswerStore, WithoutRoomNothingIsKept) {
  AnswerStore store(0);
  EXPECT_FALSE(store.Put(Key('a'), Answer("one"), 0, kHour, 0));
  EXPECT_EQ(BodyOf(store, Key('a'), 1), "none");
}

TEST(AnswerStore, EveryShardHoldsAFewOfTheLargestAnswers) {
  for (const size_t bytes : {size_t{1} << 20, size_t{64} << 20, size_t{256} << 20, size_t{4} << 30}) {
    const AnswerStore store(bytes);
    EXPECT_GE(bytes / store.shards(), std::min(bytes, 4 * kCachedAnswerBytesMax)) << bytes;
    EXPECT_LE(store.shards(), static_cast<size_t>(kCacheShardsMax));
  }
  EXPECT_EQ(AnswerStore(kCacheBytesDefault).shards(), 16u);
}

TEST(AnswerStore, AnAnswerInHandOutlivesItsEviction) {
  AnswerStore store(3'000);
  store.Put(Key('a'), Answer(std::string(2'000, 'a')), 0, kHour, 0);
  const SharedAnswer held = store.Get(Key('a'), 1, kForever).answer;
  store.Put(Key('b'), Answer(std::string(2'000, 'b')), 1, kHour, 1);
  EXPECT_EQ(BodyOf(store, Key('a'), 2), "none");
  EXPECT_EQ(held->body(), std::string(2'000, 'a'));
}

// Against a plain list of what was put: the store never gives anything else, never passes its bytes, and counts right.
TEST(AnswerStore, NeverPassesItsBytesAndNeverGivesAnythingButWhatWasPut) {
  constexpr size_t kBytesMax = 20'000;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    AnswerStore store(kBytesMax);
    std::vector<std::pair<std::string, int64_t>> truth(16, {"none", 0});  // body, expiry
    int64_t now_us = 0;
    for (int i = 0; i < 3'000; ++i) {
      now_us += static_cast<int64_t>(random() % 20);
      const size_t which = random() % truth.size();
      const std::string key = Key('k', absl::StrCat(which));
      if (random() % 2 == 0) {
        const std::string body = absl::StrCat(i, ":", std::string(random() % 4'000, 'x'));
        const int64_t expire_us = now_us + 1 + static_cast<int64_t>(random() % 3'000);
        ASSERT_TRUE(store.Put(key, Answer(body), now_us, expire_us, now_us));
        truth[which] = {body, expire_us};
        ASSERT_EQ(BodyOf(store, key, now_us), body) << "seed " << seed;
      } else {
        const std::string body = BodyOf(store, key, now_us);
        if (body != "none") {
          ASSERT_EQ(body, truth[which].first) << "seed " << seed;
          ASSERT_LT(now_us, truth[which].second) << "seed " << seed;
        }
      }
      const AnswerStore::Counts counts = store.counts();
      ASSERT_LE(counts.bytes, kBytesMax) << "seed " << seed;
      ASSERT_LE(counts.entries, truth.size()) << "seed " << seed;
      ASSERT_LE(counts.evicted + counts.expired, counts.stored - static_cast<int64_t>(counts.entries));
    }
    EXPECT_GT(store.counts().evicted, 0) << "seed " << seed;
    EXPECT_GT(store.counts().expired, 0) << "seed " << seed;
  }
}

TEST(AnswerStore, ThreadsShareIt) {
  AnswerStore store(50'000);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&store, &wrong, t] {
      std::mt19937_64 random(static_cast<uint64_t>(t));
      for (int i = 0; i < 5'000; ++i) {
        const std::string name = absl::StrCat(random() % 40);
        const std::string key = Key('k', name);
        if (random() % 3 == 0) {
          store.Put(key, Answer(absl::StrCat(name, ":", std::string(random() % 3'000, 'x'))), i, i + 500, i);
        } else {
          const AnswerStore::Found found = store.Get(key, i, kForever);
          if (found.answer != nullptr && !found.answer->body().starts_with(absl::StrCat(name, ":"))) ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(store.counts().bytes, 50'000u);
}

}  // namespace
}  // namespace signalbox::testing
