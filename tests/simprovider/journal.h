// What the simulated provider received, byte for byte, newest kept: what tests of relaying look at. One thread.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace signalbox::sim {

struct ReceivedRequest {
  std::string method;
  std::string target;
  std::vector<std::pair<std::string, std::string>> headers;  // as sent, in order
  std::string body;
};

class Journal {
 public:
  void Add(ReceivedRequest request);
  // The newest `count` as {"requests":[{"method","target","headers":[[name,value]],"body","body_base64"}]}.
  std::string ToJson(size_t count) const;
  const ReceivedRequest* newest() const { return requests_.empty() ? nullptr : &requests_.front(); }

 private:
  std::deque<ReceivedRequest> requests_;  // newest first
  size_t bytes_ = 0;
};

}  // namespace signalbox::sim
