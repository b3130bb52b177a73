#include "dataplane/cache/flights.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "common/limits.h"
#include "tests/dataplane/cache/answers.h"

namespace signalbox::testing {
namespace {

using Ticket = Flights::Ticket;

// One who waits, and what became of it.
struct Waiter {
  int landings = 0;
  Landing landing;
  Flights::Done Done() {
    return [this](Landing landed) {
      ++landings;
      landing = std::move(landed);
    };
  }
};

Lead MustLead(Flights& flights, const std::string& key) {
  auto joined = flights.Join(key, [](Landing) { FAIL() << "a leader waits for nobody"; });
  EXPECT_TRUE(std::holds_alternative<Lead>(joined));
  return std::move(std::get<Lead>(joined));
}

Ticket MustWait(Flights& flights, const std::string& key, Waiter& waiter) {
  auto joined = flights.Join(key, waiter.Done());
  EXPECT_TRUE(std::holds_alternative<Ticket>(joined));
  return std::get<Ticket>(joined);
}

TEST(Flights, TheFirstLeadsAndItsAnswerIsEverybodys) {
  Flights flights;
  Waiter one, two;
  Lead lead = MustLead(flights, "k");
  MustWait(flights, "k", one);
  MustWait(flights, "k", two);
  EXPECT_EQ(flights.waiting(), 2u);
  lead.Land(Answer("hello"));
  for (const Waiter* waiter : {&one, &two}) {
    EXPECT_EQ(waiter->landings, 1);
    EXPECT_EQ(waiter->landing.answer->body(), "hello");
    EXPECT_FALSE(waiter->landing.lead);
  }
  EXPECT_EQ(flights.waiting(), 0u);
  EXPECT_FALSE(lead);
  EXPECT_TRUE(MustLead(flights, "k")) << "the flight is over";
}

TEST(Flights, DifferentKeysDoNotWaitForEachOther) {
  Flights flights;
  const Lead one = MustLead(flights, "k");
  const Lead other = MustLead(flights, "l");
  EXPECT_TRUE(one);
  EXPECT_TRUE(other);
}

TEST(Flights, AFailedLeaderPassesTheLeadToOneWaiterAndTheOthersWaitOn) {
  Flights flights;
  Waiter one, two;
  Lead lead = MustLead(flights, "k");
  MustWait(flights, "k", one);
  MustWait(flights, "k", two);
  lead.Pass();
  EXPECT_EQ(one.landings, 1);
  EXPECT_TRUE(one.landing.lead);
  EXPECT_EQ(two.landings, 0);
  EXPECT_EQ(flights.waiting(), 1u);
  one.landing.lead.Land(Answer("second try"));
  EXPECT_EQ(two.landing.answer->body(), "second try");
}

TEST(Flights, ALeadThatGoesWithoutAWordIsPassedOn) {
  Flights flights;
  Waiter waiter;
  {
    const Lead lead = MustLead(flights, "k");
    MustWait(flights, "k", waiter);
  }
  EXPECT_TRUE(waiter.landing.lead);
}

TEST(Flights, ALeadEndsOnce) {
  Flights flights;
  Waiter waiter;
  Lead lead = MustLead(flights, "k");
  MustWait(flights, "k", waiter);
  Lead moved = std::move(lead);
  lead.Pass();
  EXPECT_EQ(waiter.landings, 0);
  moved.Land(Answer("hello"));
  moved.Land(Answer("again"));
  moved.Release();
  EXPECT_EQ(waiter.landings, 1);
  EXPECT_EQ(waiter.landing.answer->body(), "hello");
}

TEST(Flights, ALeadTakenInPlaceOfAnotherPassesThatOneOn) {
  Flights flights;
  Waiter waiter;
  Lead lead = MustLead(flights, "k");
  MustWait(flights, "k", waiter);
  lead = MustLead(flights, "l");
  EXPECT_TRUE(waiter.landing.lead);
}

TEST(Flights, WhenTheAnswerCannotBeSharedEverybodyGoesAlone) {
  Flights flights;
  Waiter one, two;
  Lead lead = MustLead(flights, "k");
  MustWait(flights, "k", one);
  MustWait(flights, "k", two);
  lead.Release();
  for (const Waiter* waiter : {&one, &two}) {
    EXPECT_EQ(waiter->landings, 1);
    EXPECT_EQ(waiter->landing.answer, nullptr);
    EXPECT_FALSE(waiter->landing.lead);
  }
}

TEST(Flights, WhoLeavesIsNotCalledAndNeverGetsTheLead) {
  Flights flights;
  Waiter one, two;
  Lead lead = MustLead(flights, "k");
  const Ticket ticket = MustWait(flights, "k", one);
  MustWait(flights, "k", two);
  EXPECT_TRUE(flights.Leave("k", ticket));
  EXPECT_FALSE(flights.Leave("k", ticket));
  lead.Pass();
  EXPECT_EQ(one.landings, 0);
  EXPECT_TRUE(two.landing.lead);
  EXPECT_EQ(flights.waiting(), 0u);
}

TEST(Flights, WhoWasCalledCannotLeave) {
  Flights flights;
  Waiter waiter;
  Lead lead = MustLead(flights, "k");
  const Ticket ticket = MustWait(flights, "k", waiter);
  lead.Pass();
  EXPECT_FALSE(flights.Leave("k", ticket));
  EXPECT_TRUE(waiter.landing.lead);
}

TEST(Flights, ACrowdBehindOneLeaderIsBounded) {
  Flights flights;
  std::vector<Waiter> waiters(kCacheFollowersMax);
  Waiter one_more;
  const Lead lead = MustLead(flights, "k");
  for (Waiter& waiter : waiters) MustWait(flights, "k", waiter);
  EXPECT_TRUE(std::holds_alternative<Flights::Alone>(flights.Join("k", one_more.Done())));
  EXPECT_EQ(one_more.landings, 0);
}

// Every thread joins again and again; at no time do two lead, and nobody is forgotten.
TEST(Flights, UnderThreadsOneLeadsAtATimeAndEverybodyEndsOnce) {
  constexpr int kThreads = 4, kRounds = 2'000;
  Flights flights;
  std::atomic<int> leading{0}, most{0}, ended{0}, left{0};
  const auto lead_on = [&](Lead lead, int how) {
    most = std::max(most.load(), ++leading);
    --leading;
    how % 3 == 0 ? lead.Land(Answer("x")) : how % 3 == 1 ? lead.Pass() : lead.Release();
    ++ended;
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        auto joined = flights.Join("k", [&, i](Landing landing) {
          if (landing.lead) return lead_on(std::move(landing.lead), i);
          ++ended;
        });
        if (auto* lead = std::get_if<Lead>(&joined)) {
          lead_on(std::move(*lead), i + t);
        } else if (const auto* ticket = std::get_if<Ticket>(&joined)) {
          if (i % 5 == 0 && flights.Leave("k", *ticket)) ++left;
        } else {
          ++left;  // too many waited already
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
  EXPECT_EQ(ended + left, kThreads * kRounds);
  EXPECT_EQ(flights.waiting(), 0u);
}

}  // namespace
}  // namespace signalbox::testing
