// The fields of a message's head, read or to be written, in their order, names in lower case. A handful of short texts
// that are looked through: they stand in one string, as they go over the wire. Nothing gets in that is not valid HTTP,
// so that no value, whoever it came from, can end its line. Views stay good until the next change.
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
bool IsToken(std::string_view text);       // RFC 9110 section 5.6.2: a method, a field's name
bool IsFieldValue(std::string_view text);  // no control character but tabs

// A name that stands in these sources: the compiler sees to it that it is a token in lower case.
class OwnName {
 public:
  consteval OwnName(const char* name) : text(name) {  // NOLINT: as it stands in a call
    if (text.empty()) throw "a field's name is empty";
    for (const char c : text) {
      if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-') throw "no small letter, digit or hyphen";
    }
  }
  const std::string_view text;
};

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
  // Neither is a view of these fields. False: it is not valid and was left out.
  bool Add(std::string_view name, std::string_view value);
  bool AddOwn(OwnName name, std::string_view value);
  void Append(const HeaderFields& others) {
    AppendIf(others, [](const Field&) { return true; });
  }
  template <typename Predicate>  // of a Field
  void AppendIf(const HeaderFields& others, Predicate predicate) {
    for (const Place& place : others.places_) {
      if (predicate(others.FieldAt(place))) AppendFrom(others, place);
    }
    if (left_out_.empty()) left_out_ = others.left_out_;
  }
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
  // The first name that Add left out; empty: none.
  const std::string& left_out() const { return left_out_; }
  size_t text_bytes() const { return text_bytes_; }  // what WriteTo appends at most
  // Appends "name: value\r\n" for each field but those that `skip`, of a name, says.
  template <typename Skip>
  void WriteTo(std::string& head, Skip skip) const {
    size_t begin = 0, end = 0;  // of a run of fields
    for (const Place& place : places_) {
      if (skip(FieldAt(place).name)) continue;
      if (place.begin != end) {
        head.append(text_, begin, end - begin);
        begin = place.begin;
      }
      end = place.begin + LineBytes(place);
    }
    head.append(text_, begin, end - begin);
  }
  Field at(size_t i) const { return FieldAt(places_[i]); }
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

 private:
  struct Place {
    size_t begin;
    uint32_t name_bytes;
    uint32_t value_bytes;
  };
  static constexpr std::string_view kColon = ": ", kEnd = "\r\n";
  static size_t LineBytes(const Place& place) {
    return place.name_bytes + kColon.size() + place.value_bytes + kEnd.size();
  }
  Field FieldAt(const Place& place) const {
    return {{text_.data() + place.begin, place.name_bytes},
            {text_.data() + place.begin + place.name_bytes + kColon.size(), place.value_bytes}};
  }
  bool Is(const Place& place, std::string_view name) const;
  void AppendFrom(const HeaderFields& others, const Place& place);
  char* NewLine(uint32_t name_bytes, uint32_t value_bytes);        // behind the others, to be filled
  char* WriteLine(std::string_view name, std::string_view value);  // where it begins
  bool LeaveOut(std::string_view name);                            // false

  std::string text_;           // lines, some of which may be no field's any more, and room for more
  size_t text_bytes_ = 0;      // of the lines; means nothing in fields that were moved from
  std::vector<Place> places_;  // of the fields, as they stand in text_
  std::string left_out_;
};

}  // namespace signalbox
