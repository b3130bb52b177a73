#include "dataplane/http/header_fields.h"

#include <algorithm>
#include <cstring>

namespace signalbox {
namespace {

constexpr size_t kFieldBytesExpected = 32;

constexpr uint64_t kOnes = 0x0101010101010101;

// Of eight characters the capitals A to Z become small, all other bytes stay.
uint64_t LowerEight(uint64_t bytes) {
  const uint64_t low_bits = bytes & 0x7f * kOnes;
  const uint64_t from_a = low_bits + (0x80 - 'A') * kOnes;    // the top bit of a byte: its low bits are 'A' or more
  const uint64_t beyond_z = low_bits + (0x7f - 'Z') * kOnes;  // more than 'Z'
  const uint64_t capitals = (from_a ^ beyond_z) & ~bytes & 0x80 * kOnes;
  return bytes | capitals >> 2;  // 0x20
}

void LowerAll(char* text, size_t bytes) {
  for (; bytes >= sizeof(uint64_t); text += sizeof(uint64_t), bytes -= sizeof(uint64_t)) {
    uint64_t eight;
    std::memcpy(&eight, text, sizeof eight);
    eight = LowerEight(eight);
    std::memcpy(text, &eight, sizeof eight);
  }
  std::transform(text, text + bytes, text, Lower);
}

}  // namespace

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return Lower(x) == Lower(y); });
}

void HeaderFields::Reserve(size_t head_bytes) {
  text_.reserve(head_bytes);
  places_.reserve(head_bytes / kFieldBytesExpected + 1);
}

void HeaderFields::Add(std::string_view name, std::string_view value) {
  const size_t begin = text_.size();
  places_.push_back({begin, static_cast<uint32_t>(name.size()), static_cast<uint32_t>(value.size())});
  text_.append(name).append(value);
  LowerAll(text_.data() + begin, name.size());
}

void HeaderFields::Append(const HeaderFields& others) {
  const size_t begin = text_.size();
  text_ += others.text_;
  places_.reserve(places_.size() + others.places_.size());
  for (Place place : others.places_) {
    place.begin += begin;
    places_.push_back(place);
  }
}

void HeaderFields::Set(std::string_view name, std::string_view value) {
  Remove(name);
  Add(name, value);
}

void HeaderFields::Remove(std::string_view name) {
  std::erase_if(places_, [&](const Place& place) { return Is(place, name); });
}

bool HeaderFields::Is(const Place& place, std::string_view name) const {
  return place.name_bytes == name.size() && std::equal(name.begin(), name.end(), text_.data() + place.begin,
                                                       [](char c, char own) { return Lower(c) == own; });
}

std::optional<std::string_view> HeaderFields::Find(std::string_view name) const {
  for (size_t i = 0; i < places_.size(); ++i) {
    if (Is(places_[i], name)) return at(i).value;
  }
  return std::nullopt;
}

size_t HeaderFields::Count(std::string_view name) const {
  return std::count_if(places_.begin(), places_.end(), [&](const Place& place) { return Is(place, name); });
}

}  // namespace signalbox
