#include "dataplane/http/request_head.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <utility>

#include "common/limits.h"

namespace signalbox {
namespace {

namespace http = boost::beast::http;

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
  int connections = 0;  // of Connection and of Proxy-Connection
  std::string_view length, encoding, host, expect, connection;
};

// By length first: most names have none of these.
void Note(std::string_view name, std::string_view value, Seen& seen) {
  switch (name.size()) {
    case 4:
      if (EqualsIgnoreCase(name, "host")) ++seen.hosts, seen.host = value;
      break;
    case 6:
      if (EqualsIgnoreCase(name, "expect")) ++seen.expects, seen.expect = value;
      break;
    case 10:
      if (EqualsIgnoreCase(name, "connection")) ++seen.connections, seen.connection = value;
      break;
    case 14:
      if (EqualsIgnoreCase(name, "content-length")) ++seen.lengths, seen.length = value;
      break;
    case 16:
      if (EqualsIgnoreCase(name, "proxy-connection")) ++seen.connections, seen.connection = value;
      break;
    case 17:
      if (EqualsIgnoreCase(name, "transfer-encoding")) ++seen.encodings, seen.encoding = value;
      break;
    default:
      break;
  }
}

bool IsLength(std::string_view text) {
  return !text.empty() && text.size() <= 18 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

uint64_t LengthOf(std::string_view digits) {
  uint64_t length = 0;
  for (const char c : digits) length = length * 10 + static_cast<uint64_t>(c - '0');
  return length;
}

// What Connection mostly says, where it says anything. `close`: it does.
bool IsPlainConnection(const Seen& seen, bool& close, bool& keep_alive) {
  close = seen.connections == 1 && EqualsIgnoreCase(seen.connection, "close");
  keep_alive = seen.connections == 1 && EqualsIgnoreCase(seen.connection, "keep-alive");
  return seen.connections == 0 || close || keep_alive;
}

bool IsTarget(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
}

std::optional<HeadFault> CheckLine(std::string_view line, HeaderFields& fields, Seen& seen) {
  if (line.front() == ' ' || line.front() == '\t') return Fault("a header line is folded; write it on one line");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return Fault("a header line has no colon");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = Trim(line.substr(colon + 1));
  if (++seen.fields > kRequestHeaderFieldsMax) {
    return HeadFault{431, "headers_too_large",
                     "the request has more than " + std::to_string(kRequestHeaderFieldsMax) + " header fields"};
  }
  if (!fields.Add(name, value)) {
    if (IsToken(name)) return Fault("a header value has a control character");
    return Fault("a header name is empty or has a blank or a character that is not allowed");
  }
  Note(name, value, seen);
  return std::nullopt;
}

std::optional<HeadFault> CheckFraming(const Seen& seen, RequestFraming& framing) {
  if (seen.lengths > 0 && seen.encodings > 0) {
    return Fault("the request has both Content-Length and Transfer-Encoding; send one of them");
  }
  if (seen.lengths > 1) return Fault("the request has more than one Content-Length");
  if (seen.encodings > 1) return Fault("the request has more than one Transfer-Encoding");
  if (seen.lengths == 1) {
    if (!IsLength(seen.length)) return Fault("Content-Length is not a decimal number");
    framing.content_length = LengthOf(seen.length);
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

// Refuses what is no HTTP to Beast either; method and target are what it reads, and what Connection's lists come to.
std::optional<HeadFault> AskBeast(std::string_view head, HttpRequest& request, RequestFraming& framing) {
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
  request.method = std::string(parser.get().method_string());
  request.target = std::string(parser.get().target());
  return std::nullopt;
}

// False: `head` is not plain, and Beast may make something of it.
bool ParsePlainResponse(std::string_view head, ResponseHead& response) {
  const size_t start_end = head.find("\r\n");
  const std::string_view start_line = head.substr(0, start_end);
  if (start_end == std::string_view::npos || start_line.size() < 13) return false;
  const bool http_1_1 = start_line.starts_with("HTTP/1.1 ");
  if (!http_1_1 && !start_line.starts_with("HTTP/1.0 ")) return false;
  for (const char c : start_line.substr(9, 3)) {
    if (c < '0' || c > '9') return false;
    response.status = response.status * 10 + (c - '0');
  }
  if (start_line[12] != ' ' || !IsFieldValue(start_line.substr(13))) return false;
  Seen seen;
  size_t at = start_end + 2;
  for (; head.substr(at, 2) != "\r\n";) {
    const size_t end = head.find("\r\n", at);
    if (end == std::string_view::npos || CheckLine(head.substr(at, end - at), response.headers, seen)) return false;
    at = end + 2;
  }
  bool close = false, keep_alive = false;
  if (at + 2 != head.size() || !IsPlainConnection(seen, close, keep_alive)) return false;
  if (seen.lengths + seen.encodings > 1) return false;
  if (seen.lengths == 1) {
    if (!IsLength(seen.length)) return false;
    response.content_length = LengthOf(seen.length);
  }
  if (seen.encodings == 1) {
    if (!EqualsIgnoreCase(seen.encoding, "chunked")) return false;
    response.encoded = response.chunked = true;
  }
  response.http_1_1 = http_1_1;
  response.persistent = http_1_1 ? !close : keep_alive;
  return true;
}

}  // namespace

size_t HeadScanner::Scan(std::string_view bytes) {
  while (scanned_ < bytes.size()) {
    const size_t end = std::min(bytes.find('\r', scanned_), bytes.size());
    const std::string_view line = bytes.substr(scanned_, end - scanned_);  // or what of it came now
    if (!IsFieldValue(line)) {
      const auto is_fine = [](char c) { return IsFieldValue({&c, 1}); };
      fault_ = *std::find_if_not(line.begin(), line.end(), is_fine) == '\n'
                   ? "a line ends in a bare LF; lines end in CRLF"
                   : "the request's head has a control character; is this HTTP?";
      return 0;
    }
    scanned_ = end;
    if (end + 1 >= bytes.size()) return 0;  // a CR is looked at together with what follows it
    if (bytes[end + 1] != '\n') {
      fault_ = "a CR stands without its LF";
      return 0;
    }
    const bool empty_line = end == line_begin_;
    scanned_ = line_begin_ = end + 2;
    if (empty_line) return scanned_;
  }
  return 0;
}

std::optional<HeadFault> ParseRequestHead(std::string_view head, HttpRequest& request, RequestFraming& framing) {
  framing = RequestFraming{};
  request.headers = HeaderFields();
  request.headers.Reserve(head.size());
  request.body.clear();
  const size_t start_end = head.find("\r\n");
  if (start_end == std::string_view::npos) return Fault("the request line does not end in CRLF");
  const std::string_view start_line = head.substr(0, start_end);
  if (start_line.size() < 9) return Fault("the request line is not HTTP");
  const std::string_view version = start_line.substr(start_line.size() - 9);
  if (version != " HTTP/1.1" && version != " HTTP/1.0")
    return Fault("the request line is not that of HTTP/1.1 or HTTP/1.0");
  framing.http_1_0 = version == " HTTP/1.0";

  Seen seen;
  size_t at = start_end + 2;
  while (at < head.size()) {
    const size_t end = head.find("\r\n", at);
    if (end == std::string_view::npos) return Fault("a header line does not end in CRLF");
    if (end == at) break;
    if (auto fault = CheckLine(head.substr(at, end - at), request.headers, seen)) return fault;
    at = end + 2;
  }
  if (auto fault = CheckFraming(seen, framing)) return fault;

  const std::string_view asked = start_line.substr(0, start_line.size() - version.size());
  const size_t blank = asked.find(' ');
  const std::string_view method = asked.substr(0, blank);
  const std::string_view target = blank == std::string_view::npos ? std::string_view() : asked.substr(blank + 1);
  bool close = false, keep_alive = false;
  const bool plain = IsToken(method) && IsTarget(target) && IsPlainConnection(seen, close, keep_alive);
  if (!plain || at + 2 != head.size()) return AskBeast(head, request, framing);
  framing.keep_alive = !framing.http_1_0 && !close;
  request.method = method;
  request.target = target;
  return std::nullopt;
}

std::string ParseResponseHead(std::string_view head, ResponseHead& response) {
  response = ResponseHead();
  response.headers.Reserve(head.size());
  if (ParsePlainResponse(head, response)) return "";
  response = ResponseHead();
  http::response_parser<http::empty_body> parser;
  parser.header_limit(static_cast<uint32_t>(2 * kResponseHeaderBytesMax));  // ours was checked by the caller
  parser.body_limit(boost::none);
  parser.eager(false);
  boost::beast::error_code error;
  const size_t consumed = parser.put(boost::asio::buffer(head.data(), head.size()), error);
  if (error) return error.message();
  if (!parser.is_header_done() || consumed != head.size()) return "malformed head";
  const auto& message = parser.get();
  response.status = static_cast<int>(message.result_int());
  response.http_1_1 = message.version() >= 11;
  // One whose body ends with the connection is never kept; what Connection says still counts for a HEAD's.
  response.persistent = parser.need_eof()
                            ? response.http_1_1 && !http::token_list(message[http::field::connection]).exists("close")
                            : parser.keep_alive();
  response.chunked = parser.chunked();
  response.encoded = message.find(http::field::transfer_encoding) != message.end();
  if (const auto length = parser.content_length()) response.content_length = *length;
  for (const auto& field : message) response.headers.Add(field.name_string(), field.value());
  return "";
}

}  // namespace signalbox
