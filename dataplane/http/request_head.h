// A message's head, from raw bytes to fields, in one strict pass. Of a request it refuses what two parties may frame
// differently: bare CR or LF, folded lines, blanks around a name, lists of lengths, unknown or doubled encodings, a
// missing or doubled Host. Beast is asked only where a plain head ends: Connection lists of a request, and a provider's
// head that is anything but lines of name and value. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/http/http_server.h"

namespace signalbox {

inline constexpr int kRequestHeaderFieldsMax = 256;

// Finds the end of a head in a growing buffer, looking at each byte once.
class HeadScanner {
 public:
  // The head's length including its empty line, 0 while more bytes are needed. `fault` is set at the first byte that
  // cannot be part of a head, so that nobody waits for an end that cannot come.
  size_t Scan(std::string_view bytes);
  const char* fault() const { return fault_; }

 private:
  size_t scanned_ = 0;
  size_t line_begin_ = 0;
  const char* fault_ = nullptr;
};

struct RequestFraming {
  bool keep_alive = true;
  bool http_1_0 = false;
  bool chunked = false;
  bool expect_continue = false;
  uint64_t content_length = 0;
};

struct HeadFault {
  int status = 400;
  std::string code = "bad_framing";
  std::string message;
};

// `head` as HeadScanner found it. Fills method, target and headers of `request`, and `framing`.
std::optional<HeadFault> ParseRequestHead(std::string_view head, HttpRequest& request, RequestFraming& framing);

struct ResponseHead {
  int status = 0;
  HeaderFields headers;
  bool http_1_1 = true;
  bool persistent = true;  // as version and Connection say
  bool chunked = false;
  bool encoded = false;                    // by whatever Transfer-Encoding
  std::optional<uint64_t> content_length;  // never beside `encoded`
};

// `head` up to and with its empty line. What is wrong with it, in words; empty: nothing.
std::string ParseResponseHead(std::string_view head, ResponseHead& response);

}  // namespace signalbox
