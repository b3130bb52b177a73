// The fields of a message's head, read or to be written, in their order, names in lower case. A handful of short texts
// that are looked through: they stand one behind the other in one string. Views stay good until the next change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace signalbox {

inline char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool EqualsIgnoreCase(std::string_view a, std::string_view b);

class HeaderFields {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };
  class Iterator {
   public:
    Iterator(const HeaderFields& fields, size_t at) : fields_(fields), at_(at) {}
    Field operator*() const { return fields_.at(at_); }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return at_ != other.at_; }

   private:
    const HeaderFields& fields_;
    size_t at_;
  };

  HeaderFields() = default;
  HeaderFields(std::initializer_list<Field> fields) {
    for (const Field& field : fields) Add(field.name, field.value);
  }

  // Room for the fields of a head of so many bytes.
  void Reserve(size_t head_bytes);
  void Add(std::string_view name, std::string_view value);
  void Append(const HeaderFields& others);
  void Set(std::string_view name, std::string_view value);  // the only one of that name
  void Remove(std::string_view name);                       // all of that name
  template <typename Predicate>                             // of a Field
  void RemoveIf(Predicate predicate) {
    std::erase_if(places_, [&](const Place& place) { return predicate(FieldAt(place)); });
  }

  // The first of that name, in whatever case.
  std::optional<std::string_view> Find(std::string_view name) const;
  std::string_view Value(std::string_view name) const { return Find(name).value_or(std::string_view()); }
  size_t Count(std::string_view name) const;

  size_t size() const { return places_.size(); }
  size_t text_bytes() const { return text_.size(); }  // of all names and values
  Field at(size_t i) const { return FieldAt(places_[i]); }
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

 private:
  struct Place {
    size_t begin;
    uint32_t name_bytes;
    uint32_t value_bytes;
  };
  Field FieldAt(const Place& place) const {
    return {{text_.data() + place.begin, place.name_bytes},
            {text_.data() + place.begin + place.name_bytes, place.value_bytes}};
  }
  bool Is(const Place& place, std::string_view name) const;

  std::string text_;  // name, value, name, value, ...
  std::vector<Place> places_;
};

}  // namespace signalbox
