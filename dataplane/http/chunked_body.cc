#include "dataplane/http/chunked_body.h"

#include <algorithm>
#include <cstring>

namespace signalbox {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsControl(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }

}  // namespace

ChunkedBody::Step ChunkedBody::Decode(char* data, size_t size) {
  Step step;
  const auto fail = [&](const char* why) {
    fault_ = why;
    return step;
  };
  while (step.consumed < size && fault_ == nullptr && state_ != State::kDone) {
    if (state_ == State::kData) {
      const size_t n = static_cast<size_t>(std::min<uint64_t>(chunk_left_, size - step.consumed));
      if (step.produced != step.consumed) std::memmove(data + step.produced, data + step.consumed, n);
      step.produced += n;
      step.consumed += n;
      chunk_left_ -= n;
      if (chunk_left_ == 0) state_ = State::kDataCr;
      continue;
    }
    const char c = data[step.consumed++];
    switch (state_) {
      case State::kSize:
        if (const int value = HexValue(c); value >= 0) {
          if (++size_digits_ > 15) return fail("a chunk size has too many digits");
          chunk_left_ = chunk_left_ * 16 + static_cast<uint64_t>(value);
        } else if (size_digits_ == 0) {
          return fail("a chunk size is not a hexadecimal number");
        } else if (c == '\r') {
          state_ = State::kSizeLf;
        } else if (c == ';' || (spaces_after_size_ && (c == ' ' || c == '\t'))) {
          state_ = State::kExtension;
        } else {
          return fail("a chunk size is not a hexadecimal number");
        }
        break;
      case State::kExtension:
        if (c == '\r') {
          state_ = State::kSizeLf;
        } else if (IsControl(c)) {
          return fail("a chunk extension has a control character");
        } else if (++extension_bytes_ > kExtensionBytesMax) {
          return fail("the chunk extensions are too long");
        }
        break;
      case State::kSizeLf:
        if (c != '\n') return fail("a chunk size line does not end in CRLF");
        state_ = chunk_left_ == 0 ? State::kTrailerStart : State::kData;
        size_digits_ = 0;
        break;
      case State::kDataCr:
        if (c != '\r') return fail("a chunk is longer than its size says");
        state_ = State::kDataLf;
        break;
      case State::kDataLf:
        if (c != '\n') return fail("a chunk does not end in CRLF");
        state_ = State::kSize;
        break;
      case State::kTrailerStart:
      case State::kTrailer:
        if (++trailer_bytes_ > kTrailerBytesMax) return fail("the trailers are too long");
        if (c == '\r') {
          state_ = state_ == State::kTrailerStart ? State::kEndLf : State::kTrailerLf;
        } else if (IsControl(c)) {
          return fail("a trailer has a control character");
        } else {
          state_ = State::kTrailer;
        }
        break;
      case State::kTrailerLf:
        if (c != '\n') return fail("a trailer line does not end in CRLF");
        state_ = State::kTrailerStart;
        break;
      case State::kEndLf:
        if (c != '\n') return fail("the chunked body does not end in CRLF");
        state_ = State::kDone;
        break;
      case State::kData:
      case State::kDone:
        break;
    }
  }
  return step;
}

}  // namespace signalbox
