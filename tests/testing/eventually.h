// Waiting for a condition in tests: asks until it holds or a generous deadline passes, so that a slow machine waits
// longer and a fast one does not.
#pragma once

#include <chrono>
#include <thread>

namespace signalbox {

inline constexpr int kPatienceMs = 30'000;

// What `condition` answered last.
template <typename Condition>
bool Eventually(const Condition& condition, int patience_ms = kPatienceMs) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return condition();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace signalbox
