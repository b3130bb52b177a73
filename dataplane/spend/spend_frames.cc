#include "dataplane/spend/spend_frames.h"

#include <libdeflate.h>

#include "absl/strings/str_cat.h"
#include "common/give_back.h"
#include "common/little_endian.h"

namespace signalbox {
namespace {

constexpr size_t kBytesKept = 256 << 10;  // of memory from one round to the next

// CRC-32 (of gzip) over length and payload: a run of zeros, as a power cut leaves, is no record.
uint32_t Checksum(const char* length, const char* payload, size_t payload_bytes) {
  return libdeflate_crc32(libdeflate_crc32(0, length, 4), payload, payload_bytes);
}

}  // namespace

char* BeginFrame(size_t payload_bytes, std::string& out) {
  const size_t begin = out.size();
  out.resize(begin + kFrameHeaderBytes + payload_bytes);
  return out.data() + begin + kFrameHeaderBytes;
}

void FinishFrame(size_t payload_bytes, char* payload) {
  char* header = payload - kFrameHeaderBytes;
  PutLittleEndian(static_cast<uint32_t>(payload_bytes), header);
  PutLittleEndian(Checksum(header, payload, payload_bytes), header + 4);
}

std::optional<std::string_view> Unframe(std::string_view data) {
  if (data.size() < kFrameHeaderBytes) return std::nullopt;
  const uint32_t size = GetLittleEndian<uint32_t>(data.data());
  if (size > kSpoolRecordBytesMax || size > data.size() - kFrameHeaderBytes) return std::nullopt;
  const std::string_view payload = data.substr(kFrameHeaderBytes, size);
  if (GetLittleEndian<uint32_t>(data.data() + 4) != Checksum(data.data(), payload.data(), payload.size()))
    return std::nullopt;
  return payload;
}

absl::Status SpendFrames::Add(const v1::SpendRecord& record) {
  const size_t payload_bytes = record.ByteSizeLong();
  if (payload_bytes > static_cast<size_t>(kSpoolRecordBytesMax)) {
    return absl::InvalidArgumentError(absl::StrCat("spend record of request ", record.request_id(), " has ",
                                                   payload_bytes, " bytes, more than ", kSpoolRecordBytesMax));
  }
  char* payload = BeginFrame(payload_bytes, bytes_);
  record.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(payload));  // the sizes that ByteSizeLong found
  FinishFrame(payload_bytes, payload);
  ends_.push_back(bytes_.size());
  return absl::OkStatus();
}

void SpendFrames::Clear() {
  if (bytes_.capacity() > kBytesKept) GiveBack(bytes_);
  bytes_.clear();
  ends_.clear();
}

}  // namespace signalbox
