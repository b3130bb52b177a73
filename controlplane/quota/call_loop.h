// One thread over one completion queue of a gRPC server: what arrives on the queue is handled there, and what was
// gathered is decided there, so that a request wakes no thread but this one; in a process without other pollers gRPC
// reads, parses and writes its sockets on this thread too. What was waited for is decided at once, what arrived during
// that is gathered for the next turn. Invariant: the queue is shut down
// only when the last call is gone. Owned by the quota host. Order of an end: the server's Shutdown, Drain(), then the
// server may be destroyed.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <thread>

#include "common/mutex.h"

namespace signalbox {

class CallLoop {
 public:
  // An operation under way on the queue; the queue's tag is its address.
  class Event {
   public:
    virtual void Occurred(bool ok) = 0;  // on the loop's thread

   protected:
    ~Event() = default;
  };
  // An operation of a call that is under way at most once at a time; `Handle` is called when it is back.
  template <typename Call, void (Call::*Handle)(bool)>
  class Operation final : public Event {
   public:
    explicit Operation(Call& call) : call_(call) {}
    void* tag() { return static_cast<Event*>(this); }
    void Occurred(bool ok) override { (call_.*Handle)(ok); }

   private:
    Call& call_;
  };
  // Held by what has operations on the queue, from before the first to after the last. Ends on any thread.
  class Presence {
   public:
    explicit Presence(CallLoop& loop) : loop_(loop) { loop_.Enter(); }
    ~Presence() { loop_.Leave(); }
    Presence(const Presence&) = delete;
    Presence& operator=(const Presence&) = delete;

   private:
    CallLoop& loop_;
  };
  // Decides what was gathered; returns when it wants to be called next at the latest. On the loop's thread.
  using Turn = std::function<std::chrono::steady_clock::time_point()>;

  CallLoop() = default;
  ~CallLoop() { Drain(); }
  CallLoop(const CallLoop&) = delete;
  CallLoop& operator=(const CallLoop&) = delete;

  void AddTo(grpc::ServerBuilder& builder) { queue_ = builder.AddCompletionQueue(); }
  grpc::ServerCompletionQueue* queue() { return queue_.get(); }
  void Start(Turn turn);  // once the server is built and what it serves awaits its first calls
  // Whether the event being handled was there before it was waited for. On the loop's thread.
  bool behind() const { return !waiting_; }
  // A turn is due. Any thread: free of cost on the loop's own.
  void Wake();
  // Waits until the last call has ended. The server must have been shut down, else calls are awaited for ever.
  void Drain();

 private:
  class Woken final : public Event {
   public:
    explicit Woken(CallLoop& loop) : loop_(loop) {}
    void Occurred(bool ok) override;

   private:
    CallLoop& loop_;
  };

  void Run();
  void Enter();
  void Leave();
  void SetAlarm() SB_REQUIRES(mutex_);
  void EndIfEmpty() SB_REQUIRES(mutex_);

  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  Turn turn_;
  // The loop's thread only.
  bool gathered_ = true;  // a turn is due
  bool waiting_ = false;  // nothing more had arrived

  Mutex mutex_;
  Woken woken_{*this};
  grpc::Alarm alarm_ SB_GUARDED_BY(mutex_);  // how other threads wake this one
  bool alarm_set_ SB_GUARDED_BY(mutex_) = false;
  bool draining_ SB_GUARDED_BY(mutex_) = false;
  bool ended_ SB_GUARDED_BY(mutex_) = false;  // the queue takes nothing any more
  int64_t present_ SB_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

}  // namespace signalbox
