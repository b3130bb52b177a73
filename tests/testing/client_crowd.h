// Many HTTP clients in one thread: each has a connection of its own, kept open, and at most one request in flight. What
// a client does next is decided by the test when its answer is there. Connections that break are an answer too
// (status 0), and the next request opens another. One thread; Decide is called on the one that runs it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/testing/http_call.h"

namespace signalbox {

class ClientCrowd {
 public:
  struct Next {
    std::string bytes;  // a whole request; its answer comes on the same connection
    int pause_ms = 0;   // before it is sent
  };
  // Nothing: this client is finished.
  using Decide = std::function<std::optional<Next>(size_t client, const HttpAnswer& answer)>;

  // One client for each address (host:port).
  ClientCrowd(std::vector<std::string> addresses, Decide decide);
  ~ClientCrowd();
  ClientCrowd(const ClientCrowd&) = delete;
  ClientCrowd& operator=(const ClientCrowd&) = delete;

  void Send(size_t client, Next next);  // its first request, or another after it had finished
  // Until every client is finished; false when `patience_ms` passed first.
  bool Run(int patience_ms);
  size_t in_flight_max() const { return in_flight_max_; }

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  struct Client {
    std::string address;
    int fd = -1;
    bool waiting = false;  // for an answer
    std::string out, in;
    size_t sent = 0;
  };
  void Start(size_t index);
  void Connect(Client& client, size_t index);
  void OnReady(size_t index, uint32_t events);
  void Flush(size_t index);
  void Close(Client& client);
  void Answered(size_t index, HttpAnswer answer);

  std::vector<Client> clients_;
  const Decide decide_;
  const int epoll_;
  std::multimap<SteadyTime, size_t> paused_;
  size_t busy_ = 0;  // paused or waiting
  size_t in_flight_ = 0;
  size_t in_flight_max_ = 0;
};

}  // namespace signalbox
