// MessagePack, as much of it as Redis' cmsgpack library speaks: what goes to and comes from quota_core.lua. Integers
// beyond 2^53 do not survive Lua and are refused by the callers. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace signalbox {

class MessagePackWriter {
 public:
  explicit MessagePackWriter(std::string& out) : out_(out) {}
  void Integer(int64_t value);
  void Boolean(bool value) { out_.push_back(static_cast<char>(value ? 0xc3 : 0xc2)); }
  void Text(std::string_view text);
  void Array(size_t size);  // so many values follow
  void Map(size_t size);    // so many pairs of values follow

 private:
  void BigEndian(uint64_t value, int bytes);
  std::string& out_;
};

// Reads in the order written. What does not fit makes `ok` false for good and gives zeros.
class MessagePackReader {
 public:
  explicit MessagePackReader(std::string_view data) : data_(data) {}
  int64_t Integer();
  bool Boolean();
  std::string_view Text();  // a view into the data
  size_t Array();           // its size
  void Skip();              // one value, whatever it is
  bool ok() const { return ok_; }

 private:
  uint8_t Byte();
  uint64_t BigEndian(int bytes);
  std::string_view Take(size_t size);
  void SkipAt(int depth);
  std::string_view data_;
  bool ok_ = true;
};

}  // namespace signalbox
