// Reads HTTP/1.1 messages off a byte stream, as benchmarks need it: where one ends, its first line, what is in its
// body; nothing is kept or checked that a measurement does not need. For requests and answers alike. One reader a
// connection; not thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace signalbox::bench {

class HttpMessage {
 public:
  // Takes bytes up to the end of one message and returns how many; the rest belongs to the next one, after Reset.
  // `body(std::string_view)` is called with each piece of the body.
  template <typename Body>
  size_t Take(std::string_view data, Body&& body) {
    size_t taken = state_ == State::kHead ? TakeHead(data) : 0;
    while (state_ != State::kDone && state_ != State::kHead && state_ != State::kBad && taken < data.size()) {
      if (state_ == State::kBody || state_ == State::kChunk) {
        const size_t piece = static_cast<size_t>(std::min<uint64_t>(left_, data.size() - taken));
        body(data.substr(taken, piece));
        taken += piece;
        left_ -= piece;
        if (left_ == 0) state_ = state_ == State::kBody ? State::kDone : State::kChunkEnd;
      } else {
        TakeChunkLine(data[taken++]);
      }
    }
    return taken;
  }
  void Reset() {
    state_ = State::kHead;
    head_.clear();
  }
  bool done() const { return state_ == State::kDone; }
  bool bad() const { return state_ == State::kBad; }
  bool idle() const { return state_ == State::kHead && head_.empty(); }
  // Of the message whose head was read last: its first line and headers.
  const std::string& head() const { return head_; }
  int status() const;  // of an answer
  bool closes() const { return closes_; }

 private:
  enum class State { kHead, kBody, kChunkSize, kChunk, kChunkEnd, kTrailer, kDone, kBad };
  size_t TakeHead(std::string_view data);
  void ReadHead();
  void TakeChunkLine(char c);

  State state_ = State::kHead;
  std::string head_;
  uint64_t left_ = 0;       // of the body or the chunk
  size_t line_length_ = 0;  // of a trailer
  bool in_extension_ = false;
  bool closes_ = false;
};

}  // namespace signalbox::bench
