#include "dataplane/quota/command_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controlplane/quota/quota_core.h"
#include "tests/controlplane/quota/quota_testing.h"

namespace signalbox::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr int64_t kTimeoutUs = 1'000'000;
constexpr int64_t kStartUs = 50'000'000;

class QuotaCommandQueueTest : public ::testing::Test {
 protected:
  QuotaCommandQueueTest() { queue_.Connected(now_); }

  void Ask(const std::string& request_id) {
    queue_.Acquire(
        Acq(request_id).Check(Count(), 100).acquire,
        [this, request_id](absl::StatusOr<v1::QuotaAnswer> answer) {
          ends_.push_back(absl::StrCat(request_id, " ", answer.ok() ? "OK" : answer.status().message()));
        },
        now_);
  }
  void Settle(const std::string& request_id) {
    v1::Settle settle;
    settle.set_request_id(request_id);
    queue_.Settle(settle, now_);
  }
  std::optional<v1::QuotaRequest> Take() {
    const std::optional<std::string> bytes = queue_.TakeMessage(now_);
    if (!bytes.has_value()) return std::nullopt;
    v1::QuotaRequest request;
    EXPECT_TRUE(request.ParseFromString(*bytes));
    return request;
  }
  // The sequences of what is due now; empty when nothing is.
  std::vector<uint64_t> TakeSequences() {
    std::vector<uint64_t> sequences;
    if (const auto request = Take()) {
      for (const v1::QuotaCommand& command : request->commands()) sequences.push_back(command.sequence());
    }
    return sequences;
  }
  void Answer(const std::vector<uint64_t>& sequences) {
    v1::QuotaResponse response;
    for (const uint64_t sequence : sequences) {
      v1::QuotaAnswer& answer = *response.add_answers();
      answer.set_sequence(sequence);
      answer.set_result(v1::QuotaAnswer::GRANTED);
    }
    queue_.TakeAnswers(response);
    Complete();
  }
  void Complete() {
    for (auto& completion : queue_.TakeCompletions()) completion.done(std::move(completion.result));
  }

  int64_t now_ = kStartUs;
  std::vector<std::string> ends_;
  QuotaCommandQueue queue_{"proxy", "boot", kTimeoutUs, kStartUs};
};

TEST_F(QuotaCommandQueueTest, TheFirstMessageSaysWhoseItIs) {
  Ask("a");
  const auto first = Take();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->proxy_id(), "proxy");
  EXPECT_EQ(first->boot_id(), "boot");
  EXPECT_TRUE(first->heartbeat());
  Answer({1});
  Ask("b");
  const auto second = Take();
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->proxy_id(), "");
  EXPECT_FALSE(second->heartbeat());
  EXPECT_EQ(second->acked_through(), 1u);
}

TEST_F(QuotaCommandQueueTest, AnAcquireAfterAQuietMomentGoesAtOnceAndLaterOnesWithItsAnswer) {
  Ask("a");
  EXPECT_THAT(TakeSequences(), ElementsAre(1));
  Ask("b");
  Ask("c");
  EXPECT_THAT(TakeSequences(), SizeIs(0));
  Answer({1});
  EXPECT_THAT(TakeSequences(), ElementsAre(2, 3));
  EXPECT_THAT(ends_, ElementsAre("a OK"));
}

TEST_F(QuotaCommandQueueTest, WithoutAnAnswerThePaceLetsThemGo) {
  Ask("a");
  EXPECT_THAT(TakeSequences(), ElementsAre(1));
  Ask("b");
  EXPECT_EQ(queue_.NextLookUs(true), now_ + kQuotaBatchPaceUs);
  now_ += kQuotaBatchPaceUs;
  EXPECT_THAT(TakeSequences(), ElementsAre(2));
}

TEST_F(QuotaCommandQueueTest, DenseAcquiresGather) {
  for (int i = 0; i < 100; ++i) {
    Ask(absl::StrCat("warm-", i));
    now_ += 50;
  }
  const std::vector<uint64_t> warm = TakeSequences();
  EXPECT_THAT(warm, SizeIs(100));
  Answer(warm);
  Ask("a");
  EXPECT_THAT(TakeSequences(), SizeIs(0));  // though nothing is out
  const int64_t due = queue_.NextLookUs(true);
  EXPECT_GT(due, now_);
  EXPECT_LE(due, now_ + 2'000);
  now_ = due;
  EXPECT_THAT(TakeSequences(), ElementsAre(101));
}

TEST_F(QuotaCommandQueueTest, ASettleTravelsWithTheNextAcquireOrSoonAlone) {
  Ask("a");
  Answer(TakeSequences());
  Settle("a");
  EXPECT_THAT(TakeSequences(), SizeIs(0));
  Ask("b");
  EXPECT_THAT(TakeSequences(), ElementsAre(2, 3));
  Answer({2, 3});
  Settle("b");
  const int64_t due = queue_.NextLookUs(true);
  EXPECT_LE(due, now_ + 5'000);
  now_ = due;
  EXPECT_THAT(TakeSequences(), ElementsAre(4));
  EXPECT_EQ(queue_.reliable(), 1);
  Answer({4});
  EXPECT_EQ(queue_.reliable(), 0);
}

TEST_F(QuotaCommandQueueTest, AfterAReconnectAllThatIsUnansweredGoesAgainInItsOrder) {
  Ask("a");
  Ask("b");
  EXPECT_THAT(TakeSequences(), ElementsAre(1, 2));
  Answer({1});
  queue_.Disconnected(now_);
  EXPECT_EQ(Take(), std::nullopt);
  Ask("c");
  queue_.Connected(now_);
  const auto again = Take();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->boot_id(), "boot");
  EXPECT_EQ(again->acked_through(), 1u);
  ASSERT_EQ(again->commands_size(), 2);
  EXPECT_EQ(again->commands(0).sequence(), 2u);
  EXPECT_EQ(again->commands(1).sequence(), 3u);
}

TEST_F(QuotaCommandQueueTest, ACallGivenUpIsCancelledAndNotAcknowledgedUntilThatIsAnswered) {
  Ask("a");
  Take();
  now_ += kTimeoutUs;
  queue_.GiveUpOverdue(now_);
  Complete();
  EXPECT_THAT(ends_, ElementsAre("a the quota service did not answer in time"));
  const auto request = Take();
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->acked_through(), 0u);
  ASSERT_EQ(request->commands_size(), 1);
  EXPECT_EQ(request->commands(0).cancel().sequence(), 1u);
  Answer({1});  // late: nobody waits
  Answer({2});
  Ask("b");
  EXPECT_EQ(Take()->acked_through(), 2u);
  EXPECT_THAT(ends_, SizeIs(1));
}

TEST_F(QuotaCommandQueueTest, ACallThatNeverLeftNeedsNoCancel) {
  queue_.Disconnected(now_);
  Ask("a");
  EXPECT_EQ(queue_.NextLookUs(true), now_ + kTimeoutUs);
  now_ += kTimeoutUs;
  queue_.GiveUpOverdue(now_);
  Complete();
  EXPECT_THAT(ends_, SizeIs(1));
  queue_.Connected(now_);
  EXPECT_THAT(TakeSequences(), SizeIs(0));
}

TEST_F(QuotaCommandQueueTest, LongWithoutASessionCallsAreTurnedAwayAndTheirSettlesNotKept) {
  queue_.Disconnected(now_);
  now_ += kTimeoutUs + 1;
  Ask("a");
  Complete();
  EXPECT_THAT(ends_, ElementsAre("a no connection to the quota service"));
  Settle("a");
  EXPECT_EQ(queue_.reliable(), 0);
  EXPECT_EQ(queue_.metrics().waiting, 0);
}

TEST_F(QuotaCommandQueueTest, ChargesOfOneCounterTravelAsOneUntilTheyLeave) {
  v1::ForceCharge charge;
  charge.set_request_id("a");
  charge.set_amount(2);
  *charge.mutable_counter() = Count();
  queue_.ForceCharge(charge, now_);
  queue_.ForceCharge(charge, now_);
  const auto request = Take();
  ASSERT_TRUE(request.has_value());
  ASSERT_EQ(request->commands_size(), 1);
  EXPECT_EQ(request->commands(0).force_charge().amount(), 4);
  queue_.ForceCharge(charge, now_);
  EXPECT_THAT(TakeSequences(), ElementsAre(2));
}

TEST_F(QuotaCommandQueueTest, ARefusedChargeIsReported) {
  Settle("a");
  Take();
  v1::QuotaResponse response;
  response.add_answers()->set_sequence(1);
  response.mutable_answers(0)->set_result(v1::QuotaAnswer::INVALID);
  response.mutable_answers(0)->set_message("because");
  queue_.TakeAnswers(response);
  EXPECT_EQ(queue_.metrics().refused, 1);
  EXPECT_THAT(queue_.TakeReports(), ElementsAre(::testing::HasSubstr("because")));
}

TEST_F(QuotaCommandQueueTest, AHeartbeatGoesAlone) {
  Ask("a");
  Answer(TakeSequences());
  queue_.GiveUpOverdue(now_);
  EXPECT_EQ(Take(), std::nullopt);
  EXPECT_EQ(queue_.NextLookUs(true), kStartUs + kHeartbeatUs);
  now_ += kHeartbeatUs;
  const auto request = Take();
  ASSERT_TRUE(request.has_value());
  EXPECT_TRUE(request->heartbeat());
  EXPECT_EQ(request->commands_size(), 0);
}

// Several queues against a real core over sessions that break off, lose what is on its way in either direction, and
// stand still for longer than a call waits: at the end the counters hold exactly what was granted and what it cost.
class LossySession {
 public:
  LossySession(QuotaCore& core, int number, std::mt19937_64& random, int64_t now_us)
      : core_(core),
        random_(random),
        proxy_(absl::StrCat("proxy-", number)),
        queue_(proxy_, "boot", kTimeoutUs, now_us) {}

  void Step(int64_t now_us, int64_t core_now_us, bool calm) {
    queue_.GiveUpOverdue(now_us);
    const uint64_t dice = calm ? 99 : random_() % 100;
    if (!queue_.connected()) {
      if (dice >= 50) queue_.Connected(now_us);
    } else if (dice < 3) {  // what is on its way is lost; what the service had taken is decided all the same
      queue_.Disconnected(now_us);
      while (!to_core_.empty() && random_() % 2 == 0) Deliver(core_now_us);
      to_core_.clear();
      from_core_.clear();
    }
    if (!calm && queue_.connected()) AskSomething(now_us);
    if (std::optional<std::string> message = queue_.TakeMessage(now_us)) to_core_.push_back(*std::move(message));
    if (dice >= 20) {
      while (!to_core_.empty()) Deliver(core_now_us);
    }
    if (dice >= 40) {
      for (v1::QuotaResponse& response : from_core_) queue_.TakeAnswers(response);
      from_core_.clear();
    }
    for (auto& completion : queue_.TakeCompletions()) completion.done(std::move(completion.result));
  }

  bool idle() const { return queue_.metrics().waiting == 0; }
  int64_t granted = 0, settled_nanos = 0, forced = 0;

 private:
  void Deliver(int64_t core_now_us) {
    v1::QuotaRequest request;
    ASSERT_TRUE(request.ParseFromString(to_core_.front()));
    to_core_.pop_front();
    request.set_proxy_id(proxy_);
    request.set_boot_id("boot");
    v1::QuotaResponse response;
    core_.Apply(request, core_now_us, response);
    from_core_.push_back(std::move(response));
  }

  void AskSomething(int64_t now_us) {
    const std::string id = absl::StrCat(proxy_, "-", ++asked_);
    if (random_() % 8 == 0) {
      v1::ForceCharge charge;
      charge.set_request_id(id);
      charge.set_amount(1);
      *charge.mutable_counter() = Count("forced");
      queue_.ForceCharge(charge, now_us);
      return static_cast<void>(++forced);
    }
    queue_.Acquire(
        Acq(id).Check(Count(), 1'000'000).Check(Money(), 1'000'000 * kDollar).acquire,
        [this, id, now_us](absl::StatusOr<v1::QuotaAnswer> answer) {
          v1::Settle settle;
          settle.set_request_id(id);
          if (answer.ok()) {
            ASSERT_EQ(answer->result(), v1::QuotaAnswer::GRANTED);
            ++granted;
            settle.set_cost_nanos(7);
            settled_nanos += 7;
          }
          queue_.Settle(settle, now_us);
        },
        now_us);
  }

  QuotaCore& core_;
  std::mt19937_64& random_;
  const std::string proxy_;
  QuotaCommandQueue queue_;
  std::deque<std::string> to_core_;
  std::vector<v1::QuotaResponse> from_core_;
  int asked_ = 0;
};

TEST(QuotaCommandQueueSimulation, NothingIsLostAndNothingCountsTwiceOverLossySessions) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    QuotaCore core;
    int64_t now_us = kStartUs;
    std::deque<LossySession> sessions;
    for (int i = 0; i < 3; ++i) sessions.emplace_back(core, i, random, now_us);
    const auto step = [&](bool calm) {
      now_us += static_cast<int64_t>(random() % 100 == 0 ? 2 * kTimeoutUs : random() % 2'000);
      for (LossySession& session : sessions) session.Step(now_us, kNoonUs + now_us - kStartUs, calm);
    };
    for (int i = 0; i < 2'000; ++i) step(false);
    for (int i = 0; i < 200; ++i) step(true);
    int64_t granted = 0, settled = 0, forced = 0;
    for (const LossySession& session : sessions) {
      EXPECT_TRUE(session.idle());
      granted += session.granted;
      settled += session.settled_nanos;
      forced += session.forced;
    }
    EXPECT_GT(granted, 1'000);
    const auto counter = [&](const v1::CounterKey& key) {
      v1::Counter read;
      EXPECT_EQ(core.Read(key, kNoonUs + now_us - kStartUs, read), absl::OkStatus());
      return read;
    };
    EXPECT_EQ(counter(Count()).settled(), granted);
    EXPECT_EQ(counter(Money()).settled(), settled);
    EXPECT_EQ(counter(Money()).held(), 0);
    EXPECT_EQ(counter(Count("forced")).settled(), forced);
  }
}

}  // namespace
}  // namespace signalbox::testing
