#include "dataplane/cache/cache_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace signalbox::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

AnswerCache::Counts SomeCounts() {
  AnswerCache::Counts counts;
  counts.lookups[static_cast<size_t>(AnswerCache::Lookup::kMemoryHit)] = 5;
  counts.lookups[static_cast<size_t>(AnswerCache::Lookup::kSharedHit)] = 2;
  counts.lookups[static_cast<size_t>(AnswerCache::Lookup::kCoalescedHit)] = 3;
  counts.lookups[static_cast<size_t>(AnswerCache::Lookup::kMiss)] = 7;
  counts.saved_nanos = 1'500'000'000;
  counts.waiting = 4;
  counts.memory.bytes = 1'000;
  counts.memory.entries = 6;
  counts.memory.stored = 8;
  counts.memory.evicted = 1;
  counts.memory.expired = 2;
  counts.shared.failed = 9;
  counts.shared.connected = true;
  return counts;
}

TEST(CacheMetrics, TellsEveryCount) {
  CacheMetrics metrics(false);
  const std::string text = metrics.Serialize(SomeCounts());
  EXPECT_THAT(text, HasSubstr("signalbox_cache_lookups_total{result=\"hit\"} 5"));
  EXPECT_THAT(text, HasSubstr("signalbox_cache_lookups_total{result=\"shared_hit\"} 2"));
  EXPECT_THAT(text, HasSubstr("signalbox_cache_lookups_total{result=\"coalesced_hit\"} 3"));
  EXPECT_THAT(text, HasSubstr("signalbox_cache_lookups_total{result=\"miss\"} 7"));
  EXPECT_THAT(text, HasSubstr("signalbox_cache_removed_total{reason=\"evicted\"} 1"));
  EXPECT_THAT(text, HasSubstr("signalbox_cache_removed_total{reason=\"expired\"} 2"));
  EXPECT_THAT(text, HasSubstr("signalbox_cache_stored_total 8"));
  EXPECT_THAT(text, HasSubstr("signalbox_cache_saved_dollars_total 1.5"));
  EXPECT_THAT(text, HasSubstr("signalbox_cache_bytes 1000"));
  EXPECT_THAT(text, HasSubstr("signalbox_cache_entries 6"));
  EXPECT_THAT(text, HasSubstr("signalbox_cache_waiting_requests 4"));
  EXPECT_THAT(text, Not(HasSubstr("signalbox_cache_shared")));
}

TEST(CacheMetrics, TellsOfTheSharedCacheWhenThereIsOne) {
  CacheMetrics metrics(true);
  const std::string text = metrics.Serialize(SomeCounts());
  EXPECT_THAT(text, HasSubstr("signalbox_cache_shared_total{result=\"failed\"} 9"));
  EXPECT_THAT(text, HasSubstr("signalbox_cache_shared_connected 1"));
}

TEST(CacheMetrics, ACountThatStandsStillIsToldAgainUnchanged) {
  CacheMetrics metrics(false);
  EXPECT_EQ(metrics.Serialize(SomeCounts()), metrics.Serialize(SomeCounts()));
}

}  // namespace
}  // namespace signalbox::testing
