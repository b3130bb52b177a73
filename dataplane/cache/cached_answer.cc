#include "dataplane/cache/cached_answer.h"

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/sha256.h"

namespace signalbox {
namespace {

constexpr std::string_view kVersion = "SBA1";
constexpr size_t kChecksumBytes = 32;

std::string Checksum(std::string_view key, std::string_view payload) {
  return Sha256(absl::StrCat(key.size(), ":", std::string(key), std::string(payload)));
}

}  // namespace

size_t AnswerBytes(const v1::CachedAnswer& answer) {
  size_t bytes = kCachedAnswerOverheadBytes + answer.body().size() + answer.content_type().size() +
                 answer.provider().size() + answer.model().size();
  for (const v1::CachedAnswer::Header& header : answer.headers()) {
    bytes += sizeof(v1::CachedAnswer::Header) + 2 * sizeof(std::string) + header.name().size() + header.value().size();
  }
  return bytes;
}

std::string EncodeAnswer(std::string_view key, const v1::CachedAnswer& answer) {
  std::string payload;
  answer.SerializeToString(&payload);
  return absl::StrCat(std::string(kVersion), Checksum(key, payload), payload);
}

absl::StatusOr<SharedAnswer> DecodeAnswer(std::string_view key, std::string_view bytes) {
  if (!bytes.starts_with(kVersion)) return absl::DataLossError("a cached answer is of another version");
  bytes.remove_prefix(kVersion.size());
  if (bytes.size() < kChecksumBytes) return absl::DataLossError("a cached answer is cut short");
  const std::string_view payload = bytes.substr(kChecksumBytes);
  if (bytes.substr(0, kChecksumBytes) != Checksum(key, payload)) {
    return absl::DataLossError("a cached answer does not match its checksum");
  }
  auto answer = std::make_shared<v1::CachedAnswer>();
  if (!answer->ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return absl::DataLossError("a cached answer cannot be read");
  }
  return answer;
}

}  // namespace signalbox
