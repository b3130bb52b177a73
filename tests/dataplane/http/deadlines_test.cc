#include "dataplane/http/deadlines.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;

int64_t InMs(int64_t ms) { return Clock::System().MonotonicMicros() + ms * 1'000; }

class DeadlinesTest : public ::testing::Test {
 protected:
  class Noted final : public Deadline {
   public:
    Noted(DeadlinesTest& test, std::string name) : test_(test), name_(std::move(name)) {}
    std::function<void()> also;

   private:
    void OnDeadline() override {
      test_.passed_.push_back(name_);
      if (also) also();
    }
    DeadlinesTest& test_;
    const std::string name_;
  };
  void RunUntil(size_t passed) {
    io_.restart();  // it stops when it is out of work
    while (passed_.size() < passed && io_.run_one() > 0) {
    }
  }

  boost::asio::io_context io_{1};
  const std::shared_ptr<Deadlines> deadlines_ = std::make_shared<Deadlines>(io_);
  std::vector<std::string> passed_;
};

TEST_F(DeadlinesTest, PassInTheirOrderWhateverTheOrderTheyWereSetIn) {
  Noted first(*this, "first"), second(*this, "second"), third(*this, "third");
  deadlines_->Set(third, InMs(30));
  deadlines_->Set(first, InMs(-5));
  deadlines_->Set(second, InMs(15));
  RunUntil(3);
  EXPECT_THAT(passed_, ElementsAre("first", "second", "third"));
  EXPECT_EQ(first.deadline_us(), 0);
  EXPECT_FALSE(first.is_linked());
}

TEST_F(DeadlinesTest, OneThatIsMovedPassesAtItsLastTimeAndOneThatIsClearedNever) {
  Noted moved(*this, "moved"), cleared(*this, "cleared"), other(*this, "other");
  deadlines_->Set(moved, InMs(1));
  deadlines_->Set(cleared, InMs(2));
  deadlines_->Set(other, InMs(10));
  deadlines_->Set(moved, InMs(25));
  deadlines_->Set(cleared, 0);
  RunUntil(2);
  EXPECT_THAT(passed_, ElementsAre("other", "moved"));
  deadlines_->Set(cleared, InMs(1));
  RunUntil(3);
  EXPECT_EQ(passed_.back(), "cleared") << "it may have another one";
}

TEST_F(DeadlinesTest, WhoeverIsToldMayDestroyClearAndMoveOthersThatPassedToo) {
  auto destroyed = std::make_unique<Noted>(*this, "destroyed");
  Noted first(*this, "first"), cleared(*this, "cleared"), moved(*this, "moved");
  first.also = [&] {
    destroyed.reset();
    deadlines_->Set(cleared, 0);
    deadlines_->Set(moved, InMs(10));
    deadlines_->Set(first, InMs(20));
    first.also = nullptr;
  };
  const int64_t at_us = InMs(1);
  for (Noted* deadline : {&first, destroyed.get(), &cleared, &moved}) deadlines_->Set(*deadline, at_us);
  RunUntil(3);
  EXPECT_THAT(passed_, ElementsAre("first", "moved", "first"));
}

TEST_F(DeadlinesTest, DestroyedOnesAndATimerOfNobodyAreHarmless) {
  {
    Noted gone(*this, "gone"), late(*this, "late");
    deadlines_->Set(gone, InMs(1));
    deadlines_->Set(late, InMs(60'000));
  }
  Noted other(*this, "other");
  deadlines_->Set(other, InMs(5));
  RunUntil(1);
  EXPECT_THAT(passed_, ElementsAre("other"));
  auto alone = std::make_shared<Deadlines>(io_);
  Noted left(*this, "left");
  alone->Set(left, InMs(1));
  alone.reset();
  EXPECT_FALSE(left.is_linked());
  io_.restart();
  io_.run();
  EXPECT_THAT(passed_, ElementsAre("other"));
}

}  // namespace
}  // namespace signalbox
