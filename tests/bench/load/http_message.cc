#include "tests/bench/load/http_message.h"

#include <strings.h>

#include <cstdlib>

namespace signalbox::bench {
namespace {

constexpr size_t kHeadBytesMax = 64 << 10;

bool Is(std::string_view name, std::string_view line) {
  return line.size() > name.size() && line[name.size()] == ':' &&
         strncasecmp(line.data(), name.data(), name.size()) == 0;
}

std::string_view ValueOf(std::string_view line, std::string_view name) {
  line.remove_prefix(name.size() + 1);
  while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  return line;
}

}  // namespace

size_t HttpMessage::TakeHead(std::string_view data) {
  const size_t before = head_.size();
  const size_t from = before < 3 ? 0 : before - 3;
  head_.append(data);
  const size_t end = head_.find("\r\n\r\n", from);
  if (end == std::string::npos) {
    if (head_.size() > kHeadBytesMax) state_ = State::kBad;
    return data.size();
  }
  head_.resize(end + 2);
  ReadHead();
  return end + 4 - before;
}

void HttpMessage::ReadHead() {
  left_ = 0;
  closes_ = false;
  bool chunked = false;
  std::string_view lines = head_;
  lines.remove_prefix(lines.find("\r\n") + 2);
  while (!lines.empty()) {
    const size_t end = lines.find("\r\n");
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end + 2);
    switch (line.empty() ? '\0' : line.front() | 0x20) {
      case 'c':
        if (Is("content-length", line)) {
          left_ = std::strtoull(ValueOf(line, "content-length").data(), nullptr, 10);
        } else if (Is("connection", line)) {
          closes_ = strncasecmp(ValueOf(line, "connection").data(), "close", 5) == 0;
        }
        break;
      case 't':
        if (Is("transfer-encoding", line)) chunked = true;
        break;
      default:
        break;
    }
  }
  if (chunked) left_ = 0;
  in_extension_ = false;
  state_ = chunked ? State::kChunkSize : left_ == 0 ? State::kDone : State::kBody;
}

// The lines around chunks: its size, the empty one after it, trailers and the empty line after them.
void HttpMessage::TakeChunkLine(char c) {
  if (state_ == State::kChunkEnd) {
    if (c == '\n') {
      state_ = State::kChunkSize;
      left_ = 0;
      in_extension_ = false;
    }
    return;
  }
  if (state_ == State::kTrailer) {
    if (c == '\n') {
      if (line_length_ == 0) state_ = State::kDone;
      line_length_ = 0;
    } else if (c != '\r') {
      ++line_length_;
    }
    return;
  }
  if (c == '\n') {
    state_ = left_ > 0 ? State::kChunk : State::kTrailer;
    line_length_ = 0;
    return;
  }
  if (c == ';') in_extension_ = true;
  if (c == '\r' || in_extension_) return;
  const int digit = c >= '0' && c <= '9'                     ? c - '0'
                    : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                             : -1;
  if (digit < 0) {
    state_ = State::kBad;
    return;
  }
  left_ = left_ * 16 + static_cast<uint64_t>(digit);
}

int HttpMessage::status() const {
  const size_t space = head_.find(' ');
  return space == std::string::npos ? 0 : std::atoi(head_.c_str() + space + 1);
}

}  // namespace signalbox::bench
