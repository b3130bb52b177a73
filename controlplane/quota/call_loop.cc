#include "controlplane/quota/call_loop.h"

#include "common/thread_name.h"

namespace signalbox {
namespace {

constexpr int kEventsBeforeTurn = 1'024;  // whatever arrives, what was gathered is decided

thread_local CallLoop* running = nullptr;

gpr_timespec DeadlineOf(std::chrono::steady_clock::time_point time) {
  if (time == std::chrono::steady_clock::time_point::max()) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  return gpr_time_from_nanos(std::chrono::nanoseconds(time.time_since_epoch()).count(), GPR_CLOCK_MONOTONIC);
}

}  // namespace

void CallLoop::Start(Turn turn) {
  turn_ = std::move(turn);
  thread_ = std::thread([this] { Run(); });
}

void CallLoop::Run() {
  NameThread("quota");
  running = this;
  gpr_timespec next_turn = gpr_inf_past(GPR_CLOCK_MONOTONIC);
  int events = 0;  // since the last turn
  while (true) {
    void* tag = nullptr;
    bool ok = false;
    const auto next = queue_->AsyncNext(&tag, &ok, waiting_ ? next_turn : gpr_inf_past(GPR_CLOCK_MONOTONIC));
    if (next == grpc::CompletionQueue::SHUTDOWN) return;
    if (next == grpc::CompletionQueue::GOT_EVENT) {
      static_cast<Event*>(tag)->Occurred(ok);
      if (++events < kEventsBeforeTurn && !(waiting_ && gathered_)) continue;
    } else if (!waiting_ && !gathered_) {
      waiting_ = true;
      continue;
    }
    events = 0;
    gathered_ = false;
    waiting_ = false;
    next_turn = DeadlineOf(turn_());
  }
}

void CallLoop::Wake() {
  if (running == this) {
    gathered_ = true;
    return;
  }
  MutexLock lock(mutex_);
  SetAlarm();
}

void CallLoop::SetAlarm() {
  if (alarm_set_ || ended_ || queue_ == nullptr) return;
  alarm_set_ = true;
  alarm_.Set(queue_.get(), gpr_inf_past(GPR_CLOCK_MONOTONIC), static_cast<Event*>(&woken_));
}

void CallLoop::Woken::Occurred(bool ok) {
  MutexLock lock(loop_.mutex_);
  loop_.alarm_set_ = false;
  loop_.gathered_ = true;
  loop_.EndIfEmpty();
}

void CallLoop::Enter() {
  MutexLock lock(mutex_);
  ++present_;
}

void CallLoop::Leave() {
  MutexLock lock(mutex_);
  --present_;
  EndIfEmpty();
}

void CallLoop::EndIfEmpty() {
  if (!draining_ || ended_ || present_ > 0) return;
  ended_ = true;
  queue_->Shutdown();
}

void CallLoop::Drain() {
  {
    MutexLock lock(mutex_);
    draining_ = true;
    if (queue_ != nullptr) EndIfEmpty();
  }
  if (thread_.joinable()) return thread_.join();
  if (queue_ == nullptr) return;
  // Never started: nothing but what was never served is there.
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) static_cast<Event*>(tag)->Occurred(ok);
  queue_.reset();
}

}  // namespace signalbox
