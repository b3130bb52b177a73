// Decodes Transfer-Encoding: chunked, in place, byte by byte as it comes. Strict, because what two parties frame
// differently is a way to smuggle requests: CRLF only, hex sizes without sign or space, bounded extensions and
// trailers (both are dropped: a trailer must never become a header). Pure.
#pragma once

#include <cstddef>
#include <cstdint>

namespace signalbox {

class ChunkedBody {
 public:
  static constexpr size_t kExtensionBytesMax = 16 << 10;  // of the whole body
  static constexpr size_t kTrailerBytesMax = 8 << 10;

  // `spaces_after_size`: some origin servers pad the size with blanks; from clients that is refused.
  explicit ChunkedBody(bool spaces_after_size = false) : spaces_after_size_(spaces_after_size) {}

  struct Step {
    size_t consumed = 0;  // of the input; the rest belongs to the next message
    size_t produced = 0;  // body bytes, now at the front of the input
  };
  // Rewrites `data` so that its first `produced` bytes are the body's next ones. Stops at the end of the body or at
  // the first fault.
  Step Decode(char* data, size_t size);
  bool done() const { return state_ == State::kDone; }
  const char* fault() const { return fault_; }  // null: none

 private:
  enum class State {
    kSize,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailer,
    kTrailerLf,
    kEndLf,
    kDone
  };

  bool spaces_after_size_;
  State state_ = State::kSize;
  const char* fault_ = nullptr;
  uint64_t chunk_left_ = 0;
  int size_digits_ = 0;
  size_t extension_bytes_ = 0;
  size_t trailer_bytes_ = 0;
};

}  // namespace signalbox
