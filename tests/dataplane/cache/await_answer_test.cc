// A request's coroutine waiting for an answer: on real loops, with the leader on the same one or on another thread.
#include "dataplane/cache/await_answer.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <thread>
#include <vector>

#include "common/limits.h"
#include "tests/dataplane/cache/answers.h"
#include "tests/testing/eventually.h"

namespace signalbox::testing {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kForever = INT64_MAX;

// A shared cache that answers when the test says.
class SlowCache final : public SharedCache {
 public:
  void Get(const std::string&, Done done) override { waiting.push_back(std::move(done)); }
  void Put(const std::string&, SharedAnswer, int64_t) override {}
  Counts counts() const override { return {}; }
  std::vector<Done> waiting;
};

// One lookup on a loop, and what became of it.
struct Lookup {
  Lookup(AnswerCache& cache, asio::io_context& io, int64_t wait_us = 60 * kSecond) : wait(cache, io) {
    asio::co_spawn(io, Run(wait_us), asio::detached);
  }
  asio::awaitable<void> Run(int64_t wait_us) {
    result = co_await wait.Find(Key('a'), kForever, wait_us);
    over = true;
  }
  std::string Body() const { return result.hit.has_value() ? result.hit->answer->body() : "none"; }
  AnswerWait wait;
  AnswerWait::Result result;
  bool over = false;
};

class AwaitAnswerTest : public ::testing::Test {
 protected:
  // Runs the loop until nothing is left to do at once.
  void Settle() {
    io_.restart();
    io_.poll();
  }
  int64_t Count(AnswerCache::Lookup lookup) { return cache_.counts().lookups[static_cast<size_t>(lookup)]; }

  ManualClock clock_;
  AnswerCache cache_{1 << 20, nullptr, clock_};
  asio::io_context io_{1};
};

TEST_F(AwaitAnswerTest, AnAnswerInMemoryIsAHitAtOnce) {
  cache_.Store(Key('a'), Answer("kept"), kSecond);
  const Lookup lookup(cache_, io_);
  Settle();
  EXPECT_TRUE(lookup.over);
  EXPECT_EQ(lookup.Body(), "kept");
  EXPECT_FALSE(lookup.result.lead);
  EXPECT_EQ(Count(AnswerCache::Lookup::kMemoryHit), 1);
}

TEST_F(AwaitAnswerTest, TheFirstWhoMissesLeadsAndTheOthersGetItsAnswer) {
  Lookup first(cache_, io_), second(cache_, io_), third(cache_, io_);
  Settle();
  EXPECT_TRUE(first.over);
  EXPECT_TRUE(first.result.lead);
  EXPECT_FALSE(second.over);
  EXPECT_FALSE(third.over);
  first.result.lead.Land(Answer("fresh"));
  Settle();
  EXPECT_EQ(second.Body(), "fresh");
  EXPECT_EQ(third.Body(), "fresh");
  EXPECT_EQ(Count(AnswerCache::Lookup::kMiss), 1);
  EXPECT_EQ(Count(AnswerCache::Lookup::kCoalescedHit), 2);
}

TEST_F(AwaitAnswerTest, WhenTheLeaderFailsTheNextLeads) {
  Lookup first(cache_, io_), second(cache_, io_), third(cache_, io_);
  Settle();
  first.result.lead.Pass();
  Settle();
  EXPECT_TRUE(second.over);
  EXPECT_TRUE(second.result.lead);
  EXPECT_FALSE(third.over);
  second.result.lead.Release();
  Settle();
  EXPECT_TRUE(third.over);
  EXPECT_FALSE(third.result.lead);
  EXPECT_EQ(third.Body(), "none");
}

TEST_F(AwaitAnswerTest, AWaiterWhoseClientLeavesGoesAndNeverHoldsTheLead) {
  Lookup first(cache_, io_), second(cache_, io_), third(cache_, io_);
  Settle();
  second.wait.Cancel();
  Settle();
  EXPECT_TRUE(second.over);
  EXPECT_FALSE(second.result.lead);
  first.result.lead.Pass();
  Settle();
  EXPECT_TRUE(third.result.lead);
}

TEST_F(AwaitAnswerTest, WhoGetsTheLeadWhileItsClientLeavesPassesItOn) {
  Lookup first(cache_, io_);
  auto second = std::make_unique<Lookup>(cache_, io_);
  Lookup third(cache_, io_);
  Settle();
  first.result.lead.Pass();  // on its way to the second
  second->wait.Cancel();
  Settle();
  EXPECT_TRUE(second->over);
  EXPECT_TRUE(second->result.lead);
  second = nullptr;  // its request ends
  Settle();
  EXPECT_TRUE(third.result.lead);
}

TEST_F(AwaitAnswerTest, NobodyWaitsForAnotherLongerThanAsked) {
  Lookup first(cache_, io_), second(cache_, io_, 1'000);
  io_.restart();
  io_.run();  // until the second's time is up
  EXPECT_TRUE(second.over);
  EXPECT_FALSE(second.result.lead);
  EXPECT_EQ(second.Body(), "none");
  EXPECT_EQ(cache_.flights().waiting(), 0u);
  EXPECT_TRUE(first.result.lead);
}

TEST_F(AwaitAnswerTest, AFrameThatIsDestroyedGivesItsPlaceUp) {
  Lookup first(cache_, io_);
  Settle();
  {
    asio::io_context other{1};
    Lookup second(cache_, other);
    other.poll();
    EXPECT_EQ(cache_.flights().waiting(), 1u);
  }
  EXPECT_EQ(cache_.flights().waiting(), 0u);
}

TEST_F(AwaitAnswerTest, OnlyTheLeaderAsksTheSharedCacheAndItsHitIsEverybodys) {
  auto shared = std::make_unique<SlowCache>();
  SlowCache& others = *shared;
  AnswerCache cache(1 << 20, std::move(shared), clock_);
  Lookup first(cache, io_), second(cache, io_);
  Settle();
  EXPECT_FALSE(first.over);
  ASSERT_EQ(others.waiting.size(), 1u);
  SharedCache::Found found;
  found.answer = Answer("theirs");
  found.left_us = kSecond;
  others.waiting[0](found);
  Settle();
  EXPECT_EQ(first.Body(), "theirs");
  EXPECT_FALSE(first.result.lead);
  EXPECT_EQ(second.Body(), "theirs");
  EXPECT_EQ(others.waiting.size(), 1u);
}

TEST_F(AwaitAnswerTest, ASharedCacheThatDoesNotAnswerIsAMissAndItsLateAnswerIsStillKept) {
  auto shared = std::make_unique<SlowCache>();
  SlowCache& others = *shared;
  AnswerCache cache(1 << 20, std::move(shared), clock_);
  Lookup first(cache, io_);
  io_.restart();
  io_.run();  // until its patience is over
  EXPECT_TRUE(first.over);
  EXPECT_TRUE(first.result.lead);
  SharedCache::Found found;
  found.answer = Answer("late");
  found.left_us = kSecond;
  others.waiting[0](found);
  Settle();
  EXPECT_EQ(first.Body(), "none");
  EXPECT_TRUE(cache.Get(Key('a'), kForever).has_value());
}

TEST_F(AwaitAnswerTest, WhenTheSharedCacheHasNothingTheLeaderGoesOn) {
  auto shared = std::make_unique<SlowCache>();
  SlowCache& others = *shared;
  AnswerCache cache(1 << 20, std::move(shared), clock_);
  Lookup first(cache, io_);
  Settle();
  others.waiting[0](std::nullopt);
  Settle();
  EXPECT_TRUE(first.over);
  EXPECT_TRUE(first.result.lead);
}

// As a proxy's workers: loops on threads of their own, one answer for all of them.
TEST_F(AwaitAnswerTest, WorkersShareOneAnswer) {
  constexpr int kWorkers = 4, kEach = 50;
  struct WorkerLoop {
    asio::io_context io{1};
    asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);
    std::thread thread;
  };
  std::atomic<int> leads{0}, hits{0}, other{0};
  std::vector<std::unique_ptr<WorkerLoop>> workers;
  const auto request = [&](asio::io_context& io) -> asio::awaitable<void> {
    AnswerWait wait(cache_, io);
    AnswerWait::Result result = co_await wait.Find(Key('a'), kForever, 60 * kSecond);
    if (result.lead) {
      ++leads;
      const SharedAnswer answer = Answer("one for all");
      cache_.Store(Key('a'), answer, kSecond);
      result.lead.Land(answer);
    } else {
      ++(result.hit.has_value() && result.hit->answer->body() == "one for all" ? hits : other);
    }
  };
  for (int w = 0; w < kWorkers; ++w) {
    workers.push_back(std::make_unique<WorkerLoop>());
    for (int i = 0; i < kEach; ++i) asio::co_spawn(workers[w]->io, request(workers[w]->io), asio::detached);
  }
  for (auto& worker : workers) worker->thread = std::thread([&worker] { worker->io.run(); });
  for (auto& worker : workers) worker->work.reset();
  for (auto& worker : workers) worker->thread.join();
  EXPECT_EQ(leads, 1);
  EXPECT_EQ(hits, kWorkers * kEach - 1);
  EXPECT_EQ(other, 0);
}

}  // namespace
}  // namespace signalbox::testing
