#include "dataplane/http/request_head.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <cstring>
#include <utility>

#include "common/limits.h"

namespace signalbox {
namespace {

namespace http = boost::beast::http;

constexpr std::array<bool, 256> MakeTokenTable() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = table[c - 'a' + 'A'] = true;
  for (const char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'}) table[c] = true;
  return table;
}
constexpr std::array<bool, 256> kToken = MakeTokenTable();

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool IsHost(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == ':';
    return plain || (c > 0x20 && c < 0x7f && std::string_view("\"#,/<>?@\\^`{|}").find(c) == std::string_view::npos);
  });
}

HeadFault Fault(std::string message) { return HeadFault{400, "bad_framing", std::move(message)}; }

// What the framing headers say, collected over the lines of a head.
struct Seen {
  int fields = 0;
  int hosts = 0;
  int lengths = 0;
  int encodings = 0;
  int expects = 0;
  std::string_view length, encoding, host, expect;
};

std::optional<HeadFault> CheckLine(std::string_view line, Seen& seen) {
  if (line.front() == ' ' || line.front() == '\t') return Fault("a header line is folded; write it on one line");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return Fault("a header line has no colon");
  const std::string_view name = line.substr(0, colon);
  if (!IsToken(name)) return Fault("a header name is empty or has a blank or a character that is not allowed");
  const std::string_view value = Trim(line.substr(colon + 1));
  if (!IsFieldValue(value)) return Fault("a header value has a control character");
  if (++seen.fields > kRequestHeaderFieldsMax) {
    return HeadFault{431, "headers_too_large",
                     "the request has more than " + std::to_string(kRequestHeaderFieldsMax) + " header fields"};
  }
  if (EqualsIgnoreCase(name, "host")) ++seen.hosts, seen.host = value;
  if (EqualsIgnoreCase(name, "content-length")) ++seen.lengths, seen.length = value;
  if (EqualsIgnoreCase(name, "transfer-encoding")) ++seen.encodings, seen.encoding = value;
  if (EqualsIgnoreCase(name, "expect")) ++seen.expects, seen.expect = value;
  return std::nullopt;
}

std::optional<HeadFault> CheckFraming(const Seen& seen, RequestFraming& framing) {
  if (seen.lengths > 0 && seen.encodings > 0) {
    return Fault("the request has both Content-Length and Transfer-Encoding; send one of them");
  }
  if (seen.lengths > 1) return Fault("the request has more than one Content-Length");
  if (seen.encodings > 1) return Fault("the request has more than one Transfer-Encoding");
  if (seen.lengths == 1) {
    const bool digits =
        !seen.length.empty() && seen.length.size() <= 18 &&
        std::all_of(seen.length.begin(), seen.length.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) return Fault("Content-Length is not a decimal number");
    for (const char c : seen.length)
      framing.content_length = framing.content_length * 10 + static_cast<uint64_t>(c - '0');
  }
  if (seen.encodings == 1) {
    if (framing.http_1_0) return Fault("Transfer-Encoding needs HTTP/1.1");
    if (!EqualsIgnoreCase(seen.encoding, "chunked")) return Fault("the only Transfer-Encoding known here is chunked");
    framing.chunked = true;
  }
  if (seen.hosts > 1) return Fault("the request has more than one Host");
  if (seen.hosts == 0 && !framing.http_1_0) return Fault("an HTTP/1.1 request needs a Host header");
  if (!IsHost(seen.host)) return Fault("the Host header has a character that is not allowed");
  if (seen.expects > 0 && !framing.http_1_0) {
    if (seen.expects > 1 || !EqualsIgnoreCase(seen.expect, "100-continue")) {
      return HeadFault{417, "expectation_failed", "the only expectation known here is 100-continue"};
    }
    framing.expect_continue = true;
  }
  return std::nullopt;
}

// Whether some of eight bytes is below 0x20 or is 0x7f, a tab included.
bool HasControl(const char* eight) {
  uint64_t bytes;
  std::memcpy(&bytes, eight, sizeof bytes);
  constexpr uint64_t kOnes = 0x0101010101010101, kTops = 0x80 * kOnes;
  const uint64_t below_space = (bytes - 0x20 * kOnes) & ~bytes;
  const uint64_t without_delete = bytes ^ 0x7f * kOnes;
  const uint64_t is_delete = (without_delete - kOnes) & ~without_delete;
  return ((below_space | is_delete) & kTops) != 0;
}

// How many bytes from the start surely are no controls, in steps of eight.
size_t SkipPlain(std::string_view text) {
  size_t at = 0;
  while (at + 8 <= text.size() && !HasControl(text.data() + at)) at += 8;
  return at;
}

}  // namespace

bool IsToken(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return kToken[static_cast<unsigned char>(c)]; });
}

bool IsFieldValue(std::string_view text) {
  text.remove_prefix(SkipPlain(text));
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) || c == '\t'; });
}

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return Lower(x) == Lower(y); });
}

size_t HeadScanner::Scan(std::string_view bytes) {
  for (; scanned_ < bytes.size(); ++scanned_) {
    if (scanned_ > 0 && bytes[scanned_ - 1] != '\r') {
      scanned_ += SkipPlain(bytes.substr(scanned_));
      if (scanned_ == bytes.size()) break;
    }
    const char c = bytes[scanned_];
    if (c == '\n') {
      if (scanned_ == 0 || bytes[scanned_ - 1] != '\r') {
        fault_ = "a line ends in a bare LF; lines end in CRLF";
        return 0;
      }
      const bool empty_line = scanned_ - line_begin_ == 1;
      line_begin_ = scanned_ + 1;
      if (empty_line) return ++scanned_;
      continue;
    }
    if (scanned_ > 0 && bytes[scanned_ - 1] == '\r') {
      fault_ = "a CR stands without its LF";
      return 0;
    }
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\r') || c == 0x7f) {
      fault_ = "the request's head has a control character; is this HTTP?";
      return 0;
    }
  }
  return 0;
}

std::optional<HeadFault> ParseRequestHead(std::string_view head, HttpRequest& request, RequestFraming& framing) {
  framing = RequestFraming{};
  const size_t start_end = head.find("\r\n");
  if (start_end == std::string_view::npos) return Fault("the request line does not end in CRLF");
  const std::string_view start_line = head.substr(0, start_end);
  if (start_line.size() < 9) return Fault("the request line is not HTTP");
  const std::string_view version = start_line.substr(start_line.size() - 9);
  if (version != " HTTP/1.1" && version != " HTTP/1.0")
    return Fault("the request line is not that of HTTP/1.1 or HTTP/1.0");
  framing.http_1_0 = version == " HTTP/1.0";

  Seen seen;
  for (size_t at = start_end + 2; at < head.size();) {
    const size_t end = head.find("\r\n", at);
    if (end == std::string_view::npos) return Fault("a header line does not end in CRLF");
    if (end == at) break;
    if (auto fault = CheckLine(head.substr(at, end - at), seen)) return fault;
    at = end + 2;
  }
  if (auto fault = CheckFraming(seen, framing)) return fault;

  http::request_parser<http::empty_body> parser;
  parser.header_limit(static_cast<uint32_t>(2 * kRequestHeaderBytesMax));  // ours was checked by the caller
  parser.body_limit(boost::none);
  parser.eager(false);
  boost::beast::error_code error;
  const size_t consumed = parser.put(boost::asio::buffer(head.data(), head.size()), error);
  if (error || !parser.is_header_done() || consumed != head.size()) {
    return Fault("the request's head is malformed: " + (error ? error.message() : std::string("incomplete")));
  }
  framing.keep_alive = !framing.http_1_0 && parser.keep_alive();
  auto message = parser.release();
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  request.headers = std::move(static_cast<http::fields&>(message));
  request.body.clear();
  return std::nullopt;
}

}  // namespace signalbox
