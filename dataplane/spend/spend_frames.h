// Spend records as the spool stores them, gathered to be appended in one write: each a length, a checksum over length
// and payload, and the payload. Kept and cleared by whoever gathers, so that the memory is used again. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/limits.h"
#include "signalbox/v1/spend.pb.h"

namespace signalbox {

inline constexpr int64_t kSpoolRecordBytesMax = 1 << 20;
// JSON writes a byte as six at worst, and attempts and limits need room too.
static_assert(kSpoolRecordBytesMax >= 8 * static_cast<int64_t>(kMetadataBytesMax), "no request may outgrow its record");

inline constexpr int64_t kFrameHeaderBytes = 8;  // length and checksum, little-endian uint32

// Room for a frame's header and `payload_bytes` behind what is in `out`. The payload goes to what is returned; then
// FinishFrame.
char* BeginFrame(size_t payload_bytes, std::string& out);
void FinishFrame(size_t payload_bytes, char* payload);
// The payload of the frame at the start of `data`; nullopt when there is no whole, sound one.
std::optional<std::string_view> Unframe(std::string_view data);

class SpendFrames {
 public:
  // INVALID_ARGUMENT past kSpoolRecordBytesMax; then nothing was added.
  absl::Status Add(const v1::SpendRecord& record);
  void Clear();

  bool empty() const { return ends_.empty(); }
  size_t size() const { return ends_.size(); }
  std::string_view bytes() const { return bytes_; }  // all of them, in the order they were added
  std::string_view frame(size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return bytes().substr(begin, ends_[i] - begin);
  }

 private:
  std::string bytes_;
  std::vector<size_t> ends_;
};

}  // namespace signalbox
