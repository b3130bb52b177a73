// Load for integration tests: many requests at once, and traffic that goes on while something is killed.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "tests/testing/http_call.h"

namespace signalbox {

// Calls `one(i)` for i = 0 … count-1 from `threads` threads; the answers in order of i.
inline std::vector<HttpAnswer> Parallel(int count, int threads, const std::function<HttpAnswer(int)>& one) {
  std::vector<HttpAnswer> answers(static_cast<size_t>(count));
  std::atomic<int> next{0};
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t) {
    pool.emplace_back([&] {
      for (int i = next++; i < count; i = next++) answers[static_cast<size_t>(i)] = one(i);
    });
  }
  for (std::thread& thread : pool) thread.join();
  return answers;
}

// Threads that call `one(thread, round)` again and again until Stop; `one` keeps its own notes.
class Traffic {
 public:
  Traffic(int threads, std::function<void(int, int)> one) {
    for (int t = 0; t < threads; ++t) {
      threads_.emplace_back([this, t, one] {
        for (int round = 0; !stop_; ++round) {
          one(t, round);
          ++calls_;
        }
      });
    }
  }
  ~Traffic() { Stop(); }
  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  int calls() const { return calls_; }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> calls_{0};
  std::vector<std::thread> threads_;
};

}  // namespace signalbox
