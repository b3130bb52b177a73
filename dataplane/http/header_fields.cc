#include "dataplane/http/header_fields.h"

#include <algorithm>

namespace signalbox {
namespace {

constexpr size_t kFieldBytesExpected = 32;

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
  char* own = text_.data() + begin;
  std::transform(own, own + name.size(), own, Lower);
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
