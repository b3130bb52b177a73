#include "dataplane/translate/aws_event_stream.h"

#include <zlib.h>

#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/limits.h"

namespace signalbox {
namespace {

constexpr size_t kPreludeBytes = 12;
constexpr size_t kMessageBytesMin = kPreludeBytes + 4;

uint32_t BigEndian(std::string_view bytes, size_t at, size_t size) {
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

uint32_t Crc(std::string_view bytes) {
  return static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

absl::Status Broken(std::string_view how) {
  return absl::DataLossError(absl::StrCat("the provider's event stream is broken: ", std::string(how)));
}

// Takes `size` bytes off the front; nullopt when there are fewer.
std::optional<std::string_view> Take(std::string_view& bytes, size_t size) {
  if (bytes.size() < size) return std::nullopt;
  const std::string_view taken = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return taken;
}

// The bytes of a header's value by its type; 0 to 9: true, false, byte, short, int, long, bytes, string, time, uuid.
std::optional<std::string_view> TakeValue(std::string_view& bytes, uint8_t type) {
  constexpr size_t kSizes[] = {0, 0, 1, 2, 4, 8, 0, 0, 8, 16};
  if (type > 9) return std::nullopt;
  if (type != 6 && type != 7) return Take(bytes, kSizes[type]);
  const std::optional<std::string_view> length = Take(bytes, 2);
  return length ? Take(bytes, BigEndian(*length, 0, 2)) : std::nullopt;
}

bool ReadHeaders(std::string_view bytes, AwsEvent& event) {
  constexpr uint8_t kString = 7;
  while (!bytes.empty()) {
    const std::optional<std::string_view> name_size = Take(bytes, 1);
    const std::optional<std::string_view> name = Take(bytes, BigEndian(*name_size, 0, 1));
    if (!name) return false;
    const std::optional<std::string_view> type = Take(bytes, 1);
    if (!type) return false;
    const auto kind = static_cast<uint8_t>((*type)[0]);
    const std::optional<std::string_view> value = TakeValue(bytes, kind);
    if (!value) return false;
    if (kind == kString) event.headers.emplace_back(std::string(*name), std::string(*value));
  }
  return true;
}

}  // namespace

std::string_view AwsEvent::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

absl::StatusOr<std::vector<AwsEvent>> AwsEventReader::Feed(std::string_view bytes) {
  pending_.append(bytes);
  std::string_view rest = pending_;
  std::vector<AwsEvent> events;
  while (rest.size() >= kPreludeBytes) {
    const size_t size = BigEndian(rest, 0, 4);
    const size_t header_bytes = BigEndian(rest, 4, 4);
    if (BigEndian(rest, 8, 4) != Crc(rest.substr(0, 8))) return Broken("a message's prelude has a wrong CRC");
    if (size < kMessageBytesMin || header_bytes > size - kMessageBytesMin) return Broken("a length is impossible");
    if (size > kSseEventBytesMax) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the provider sent a stream event of more than ", kSseEventBytesMax, " bytes"));
    }
    if (rest.size() < size) break;
    const std::string_view message = rest.substr(0, size);
    if (BigEndian(message, size - 4, 4) != Crc(message.substr(0, size - 4))) return Broken("a message has a wrong CRC");
    AwsEvent& event = events.emplace_back();
    if (!ReadHeaders(message.substr(kPreludeBytes, header_bytes), event)) return Broken("a header ends nowhere");
    event.payload = message.substr(kPreludeBytes + header_bytes, size - kMessageBytesMin - header_bytes);
    rest.remove_prefix(size);
  }
  pending_.erase(0, pending_.size() - rest.size());
  return events;
}

}  // namespace signalbox
