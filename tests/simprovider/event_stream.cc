#include "tests/simprovider/event_stream.h"

#include <zlib.h>

#include <cstdint>

#include "absl/status/status.h"

namespace signalbox::sim {
namespace {

constexpr size_t kPrelude = 12;  // two lengths and their CRC
constexpr size_t kCrc = 4;
constexpr char kString = 7;  // a header value's type

void Append32(std::string& bytes, uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift);
}

uint32_t Read32(std::string_view bytes) {
  uint32_t number = 0;
  for (size_t i = 0; i < 4; ++i) number = number << 8 | static_cast<unsigned char>(bytes[i]);
  return number;
}

uint32_t Crc(std::string_view bytes) {
  return static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

absl::Status Broken(const char* what) { return absl::DataLossError(std::string("event stream: ") + what); }

absl::StatusOr<HeaderList> ReadHeaders(std::string_view bytes) {
  HeaderList headers;
  while (!bytes.empty()) {
    const size_t name = static_cast<unsigned char>(bytes[0]);
    if (bytes.size() < 1 + name + 3 || bytes[1 + name] != kString) return Broken("a header is cut or no string");
    const size_t length = static_cast<size_t>(static_cast<unsigned char>(bytes[2 + name])) << 8 |
                          static_cast<unsigned char>(bytes[3 + name]);
    if (bytes.size() < 4 + name + length) return Broken("a header's value is cut");
    headers.emplace_back(bytes.substr(1, name), bytes.substr(4 + name, length));
    bytes.remove_prefix(4 + name + length);
  }
  return headers;
}

}  // namespace

std::string EventStreamMessage(const HeaderList& headers, std::string_view payload) {
  std::string head;
  for (const auto& [name, value] : headers) {
    head += static_cast<char>(name.size());
    head += name;
    head += kString;
    head += static_cast<char>(value.size() >> 8);
    head += static_cast<char>(value.size());
    head += value;
  }
  std::string message;
  Append32(message, static_cast<uint32_t>(kPrelude + head.size() + payload.size() + kCrc));
  Append32(message, static_cast<uint32_t>(head.size()));
  Append32(message, Crc(message));
  message += head;
  message += payload;
  Append32(message, Crc(message));
  return message;
}

absl::StatusOr<std::vector<EventStreamFrame>> ReadEventStream(std::string_view bytes) {
  std::vector<EventStreamFrame> frames;
  while (!bytes.empty()) {
    if (bytes.size() < kPrelude + kCrc) return Broken("the last message is not whole");
    const size_t total = Read32(bytes);
    const size_t head = Read32(bytes.substr(4));
    if (Read32(bytes.substr(8)) != Crc(bytes.substr(0, 8))) return Broken("the prelude's CRC is wrong");
    if (total > bytes.size() || total < kPrelude + head + kCrc) return Broken("the last message is not whole");
    if (Read32(bytes.substr(total - kCrc)) != Crc(bytes.substr(0, total - kCrc))) return Broken("the CRC is wrong");
    absl::StatusOr<HeaderList> headers = ReadHeaders(bytes.substr(kPrelude, head));
    if (!headers.ok()) return headers.status();
    frames.push_back({*std::move(headers), std::string(bytes.substr(kPrelude + head, total - kPrelude - head - kCrc))});
    bytes.remove_prefix(total);
  }
  return frames;
}

}  // namespace signalbox::sim
