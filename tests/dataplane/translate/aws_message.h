// Writes messages of application/vnd.amazon.eventstream, for tests of what reads them.
#pragma once

#include <zlib.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace signalbox {

inline std::string BigEndian32(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

inline std::string WithCrc(std::string bytes) {
  const uint32_t crc =
      static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
  return bytes + BigEndian32(crc);
}

inline std::string AwsMessageOfHeaders(const std::string& headers, std::string_view payload) {
  const std::string prelude = WithCrc(BigEndian32(static_cast<uint32_t>(16 + headers.size() + payload.size())) +
                                      BigEndian32(static_cast<uint32_t>(headers.size())));
  return WithCrc(prelude + headers + std::string(payload));
}

inline std::string AwsStringHeader(const std::string& name, const std::string& value) {
  return std::string(1, static_cast<char>(name.size())) + name + '\x07' + static_cast<char>(value.size() >> 8) +
         static_cast<char>(value.size()) + value;
}

// An event of ConverseStream, as AWS writes it.
inline std::string AwsEventMessage(const std::string& type, std::string_view payload) {
  return AwsMessageOfHeaders(AwsStringHeader(":event-type", type) +
                                 AwsStringHeader(":content-type", "application/json") +
                                 AwsStringHeader(":message-type", "event"),
                             payload);
}

inline std::string AwsExceptionMessage(const std::string& type, std::string_view payload) {
  return AwsMessageOfHeaders(AwsStringHeader(":exception-type", type) +
                                 AwsStringHeader(":content-type", "application/json") +
                                 AwsStringHeader(":message-type", "exception"),
                             payload);
}

}  // namespace signalbox
