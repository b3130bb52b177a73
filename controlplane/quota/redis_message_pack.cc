#include "controlplane/quota/redis_message_pack.h"

namespace signalbox {
namespace {

constexpr int kDepthMax = 16;

}  // namespace

void MessagePackWriter::BigEndian(uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out_.push_back(static_cast<char>(value >> shift));
}

void MessagePackWriter::Integer(int64_t value) {
  if (value >= -32 && value < 128) {
    out_.push_back(static_cast<char>(value));
    return;
  }
  out_.push_back(static_cast<char>(0xd3));
  BigEndian(static_cast<uint64_t>(value), 8);
}

void MessagePackWriter::Text(std::string_view text) {
  if (text.size() < 32) {
    out_.push_back(static_cast<char>(0xa0 | text.size()));
  } else {
    out_.push_back(static_cast<char>(0xdb));
    BigEndian(text.size(), 4);
  }
  out_.append(text);
}

void MessagePackWriter::Array(size_t size) {
  if (size < 16) {
    out_.push_back(static_cast<char>(0x90 | size));
  } else {
    out_.push_back(static_cast<char>(0xdd));
    BigEndian(size, 4);
  }
}

void MessagePackWriter::Map(size_t size) {
  out_.push_back(static_cast<char>(0xdf));
  BigEndian(size, 4);
}

std::string_view MessagePackReader::Take(size_t size) {
  if (!ok_ || size > data_.size()) {
    ok_ = false;
    return {};
  }
  const std::string_view taken = data_.substr(0, size);
  data_.remove_prefix(size);
  return taken;
}

uint8_t MessagePackReader::Byte() {
  const std::string_view byte = Take(1);
  return byte.empty() ? 0xc1 : static_cast<uint8_t>(byte[0]);  // 0xc1 is never used
}

uint64_t MessagePackReader::BigEndian(int bytes) {
  uint64_t value = 0;
  for (const char byte : Take(static_cast<size_t>(bytes))) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

int64_t MessagePackReader::Integer() {
  const uint8_t tag = Byte();
  if (tag < 0x80) return tag;
  if (tag >= 0xe0) return static_cast<int8_t>(tag);
  switch (tag) {
    case 0xcc:
      return static_cast<int64_t>(BigEndian(1));
    case 0xcd:
      return static_cast<int64_t>(BigEndian(2));
    case 0xce:
      return static_cast<int64_t>(BigEndian(4));
    case 0xcf:
    case 0xd3:
      return static_cast<int64_t>(BigEndian(8));
    case 0xd0:
      return static_cast<int8_t>(BigEndian(1));
    case 0xd1:
      return static_cast<int16_t>(BigEndian(2));
    case 0xd2:
      return static_cast<int32_t>(BigEndian(4));
    default:
      ok_ = false;  // fractions and infinities too: the script counts in integers
      return 0;
  }
}

bool MessagePackReader::Boolean() {
  const uint8_t tag = Byte();
  if (tag != 0xc2 && tag != 0xc3) ok_ = false;
  return tag == 0xc3;
}

std::string_view MessagePackReader::Text() {
  const uint8_t tag = Byte();
  if ((tag & 0xe0) == 0xa0) return Take(tag & 0x1f);
  if (tag == 0xd9) return Take(BigEndian(1));
  if (tag == 0xda) return Take(BigEndian(2));
  if (tag == 0xdb) return Take(BigEndian(4));
  ok_ = false;
  return {};
}

size_t MessagePackReader::Array() {
  const uint8_t tag = Byte();
  size_t size = 0;
  if ((tag & 0xf0) == 0x90) {
    size = tag & 0x0f;
  } else if (tag == 0xdc) {
    size = BigEndian(2);
  } else if (tag == 0xdd) {
    size = BigEndian(4);
  } else {
    ok_ = false;
  }
  if (size > data_.size()) ok_ = false;  // each value is a byte at least
  return ok_ ? size : 0;
}

void MessagePackReader::Skip() { SkipAt(0); }

void MessagePackReader::SkipAt(int depth) {
  if (!ok_ || data_.empty() || depth > kDepthMax) {
    ok_ = false;
    return;
  }
  const uint8_t tag = static_cast<uint8_t>(data_[0]);
  if (tag == 0xc0 || tag == 0xc2 || tag == 0xc3) {
    Take(1);
  } else if ((tag & 0xe0) == 0xa0 || (tag >= 0xd9 && tag <= 0xdb)) {
    Text();
  } else if ((tag & 0xf0) == 0x90 || tag == 0xdc || tag == 0xdd) {
    for (size_t size = Array(); size > 0 && ok_; --size) SkipAt(depth + 1);
  } else if (tag == 0xca || tag == 0xcb) {
    Take(tag == 0xca ? 5 : 9);
  } else {
    Integer();
  }
}

}  // namespace signalbox
