// HTTP as tests speak it: a plain client, and raw sockets for what no well-behaved client would send.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace signalbox {

struct HttpAnswer {
  int status = 0;                                   // 0: no HTTP answer came
  std::multimap<std::string, std::string> headers;  // names in lower case
  std::string body;
  bool complete = false;  // the body came to its clean end

  // The first of that name (lower case); empty when absent.
  std::string Header(const std::string& name) const;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

// One request to host:port on a connection of its own.
HttpAnswer Call(const std::string& address, const std::string& method, const std::string& target,
                const Headers& headers = {}, const std::string& body = "");

// A connection that sends and reads bytes as they are. Closes when it goes.
class RawConnection {
 public:
  explicit RawConnection(const std::string& address);
  ~RawConnection() { Close(); }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;
  RawConnection(RawConnection&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

  bool connected() const { return fd_ >= 0; }
  bool Send(std::string_view bytes);  // false when the peer took no more
  // Reads until `text` was seen, the peer closed or patience ended; everything read so far.
  std::string ReadUntil(std::string_view text);
  // Reads until the peer closes; `closed` false when it did not in time.
  std::string ReadToEnd(bool* closed = nullptr);
  void Close();
  void Reset();      // the peer sees a reset, not an end
  void HalfClose();  // sends no more, still reads

 private:
  bool ReadSome();  // false at the end
  int fd_ = -1;
  std::string seen_;
};

}  // namespace signalbox
