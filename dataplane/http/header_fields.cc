#include "dataplane/http/header_fields.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace signalbox {
namespace {

constexpr size_t kFieldBytesExpected = 32;

constexpr uint64_t kOnes = 0x0101010101010101, kTops = 0x80 * kOnes;

uint64_t Eight(const char* text) {
  uint64_t bytes;
  std::memcpy(&bytes, text, sizeof bytes);
  return bytes;
}

// `visit` for each eight characters of `text`, which has eight at least; the last eight may have been seen in part.
template <typename Visit>
void ForEachEight(std::string_view text, Visit visit) {
  const char* const last = text.data() + text.size() - 8;
  for (const char* at = text.data(); at < last; at += 8) visit(at);
  visit(last);
}

// Of eight characters the capitals A to Z become small, all other bytes stay.
uint64_t LowerEight(uint64_t bytes) {
  const uint64_t low_bits = bytes & 0x7f * kOnes;
  const uint64_t from_a = low_bits + (0x80 - 'A') * kOnes;    // the top bit of a byte: its low bits are 'A' or more
  const uint64_t beyond_z = low_bits + (0x7f - 'Z') * kOnes;  // more than 'Z'
  const uint64_t capitals = (from_a ^ beyond_z) & ~bytes & kTops;
  return bytes | capitals >> 2;  // 0x20
}

void LowerAll(char* text, size_t bytes) {
  if (bytes < 8) {
    std::transform(text, text + bytes, text, Lower);
    return;
  }
  ForEachEight({text, bytes}, [text](const char* at) {
    const uint64_t lower = LowerEight(Eight(at));
    std::memcpy(text + (at - text), &lower, sizeof lower);
  });
}

constexpr std::array<bool, 256> kToken = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = table[c - 'a' + 'A'] = true;
  for (const char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'}) table[c] = true;
  return table;
}();

// The top bits of those of eight characters that are no small letters and no hyphens, which, with capitals made small,
// is what most names have.
uint64_t Uncommon(uint64_t bytes) {
  const uint64_t low_bits = bytes & 0x7f * kOnes;
  const uint64_t small = (low_bits + (0x80 - 'a') * kOnes) & ~(low_bits + (0x7f - 'z') * kOnes);
  const uint64_t no_hyphen = (low_bits ^ '-' * kOnes) + 0x7f * kOnes;
  return (bytes | (~small & no_hyphen)) & kTops;
}

// The top bits of those below 0x20 or that are 0x7f, tabs included; and of some behind them.
uint64_t Controls(uint64_t bytes) {
  const uint64_t below_space = (bytes - 0x20 * kOnes) & ~bytes;
  const uint64_t without_delete = bytes ^ 0x7f * kOnes;
  const uint64_t is_delete = (without_delete - kOnes) & ~without_delete;
  return (below_space | is_delete) & kTops;
}

bool IsFieldChar(char c) { return (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) || c == '\t'; }

}  // namespace

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return Lower(x) == Lower(y); });
}

bool IsToken(std::string_view text) {
  uint64_t uncommon = text.size() < 8;
  if (text.size() >= 8) ForEachEight(text, [&](const char* at) { uncommon |= Uncommon(LowerEight(Eight(at))); });
  return uncommon == 0 || (!text.empty() && std::all_of(text.begin(), text.end(),
                                                        [](char c) { return kToken[static_cast<unsigned char>(c)]; }));
}

bool IsFieldValue(std::string_view text) {
  uint64_t controls = text.size() < 8;
  if (text.size() >= 8) ForEachEight(text, [&](const char* at) { controls |= Controls(Eight(at)); });
  return controls == 0 || std::all_of(text.begin(), text.end(), IsFieldChar);
}

void HeaderFields::Reserve(size_t head_bytes) {
  if (head_bytes > text_.size()) text_.resize(head_bytes);
  places_.reserve(head_bytes / kFieldBytesExpected + 1);
}

char* HeaderFields::NewLine(uint32_t name_bytes, uint32_t value_bytes) {
  const Place place{text_bytes_, name_bytes, value_bytes};
  text_bytes_ += LineBytes(place);
  if (text_bytes_ > text_.size()) text_.resize(std::max(text_bytes_, 2 * text_.size()));
  places_.push_back(place);
  return text_.data() + place.begin;
}

char* HeaderFields::WriteLine(std::string_view name, std::string_view value) {
  char* const line = NewLine(static_cast<uint32_t>(name.size()), static_cast<uint32_t>(value.size()));
  char* at = std::copy(name.begin(), name.end(), line);
  at = std::copy(kColon.begin(), kColon.end(), at);
  at = std::copy(value.begin(), value.end(), at);
  std::copy(kEnd.begin(), kEnd.end(), at);
  return line;
}

bool HeaderFields::LeaveOut(std::string_view name) {
  if (left_out_.empty()) left_out_ = name.empty() ? "(empty)" : name;
  return false;
}

bool HeaderFields::Add(std::string_view name, std::string_view value) {
  if (!IsToken(name) || !IsFieldValue(value)) return LeaveOut(name);
  LowerAll(WriteLine(name, value), name.size());
  return true;
}

bool HeaderFields::AddOwn(OwnName name, std::string_view value) {
  if (!IsFieldValue(value)) return LeaveOut(name.text);
  WriteLine(name.text, value);
  return true;
}

void HeaderFields::AppendFrom(const HeaderFields& others, const Place& place) {
  std::memcpy(NewLine(place.name_bytes, place.value_bytes), others.text_.data() + place.begin, LineBytes(place));
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
