// std::mutex with clang's thread-safety annotations. Not absl::Mutex: the packaged Abseil is built without TSan,
// which then reports races that are none.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define SB_TSA(x) __attribute__((x))
#else
#define SB_TSA(x)
#endif
#define SB_GUARDED_BY(x) SB_TSA(guarded_by(x))
#define SB_REQUIRES(x) SB_TSA(requires_capability(x))
#define SB_EXCLUDES(x) SB_TSA(locks_excluded(x))

namespace signalbox {

class SB_TSA(capability("mutex")) Mutex {
 public:
  void Lock() SB_TSA(acquire_capability()) { mutex_.lock(); }
  void Unlock() SB_TSA(release_capability()) { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class SB_TSA(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) SB_TSA(acquire_capability(mutex)) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() SB_TSA(release_capability()) { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits with the mutex held by the caller's MutexLock.
class CondVar {
 public:
  void Wait(Mutex& mutex) SB_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    cv_.wait(lock);
    lock.release();
  }
  // False when `deadline` (a steady_clock time point) passed first.
  template <typename TimePoint>
  bool WaitUntil(Mutex& mutex, TimePoint deadline) SB_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool in_time = cv_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return in_time;
  }
  void NotifyOne() { cv_.notify_one(); }
  void NotifyAll() { cv_.notify_all(); }

 private:
  std::condition_variable cv_;
};

}  // namespace signalbox
