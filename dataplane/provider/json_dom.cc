#include "dataplane/provider/json_dom.h"

#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

namespace signalbox {
namespace {

namespace dom = simdjson::dom;

// A parser keeps some 4 bytes of index per byte of the largest text it saw: past this it is not kept.
constexpr size_t kKeptParserBytesMax = 256 << 10;

// simdjson's tape (its doc/tape.md): words of a type in the upper 8 bits and a value below. The first word's value is
// the last one's index; an integer or double has a second word; a string's value is its offset in the string buffer,
// where its length precedes it and a zero follows it.
struct Extent {
  size_t words = 0;
  size_t string_bytes = 0;
};
Extent UsedBy(const dom::document& document) {
  constexpr uint64_t kValueMask = (uint64_t{1} << 56) - 1;
  const size_t last = document.tape[0] & kValueMask;
  std::optional<size_t> last_string;
  for (size_t i = 1; i < last; ++i) {
    const char type = static_cast<char>(document.tape[i] >> 56);
    if (type == 'l' || type == 'u' || type == 'd') ++i;
    if (type == '"') last_string = document.tape[i] & kValueMask;
  }
  Extent used{last + 1, 0};
  if (last_string.has_value()) {
    uint32_t length = 0;
    std::memcpy(&length, &document.string_buf[*last_string], sizeof length);
    used.string_bytes = *last_string + sizeof length + length + 1;
  }
  return used;
}

// Read from what simdjson found in its first stage (the offsets of all brackets, colons, commas and first characters of
// strings and scalars; then the text's length), so that no value is looked through again. `json` is valid, and has no
// byte order mark: this version of simdjson refuses one.
MemberRanges RangesOf(std::string_view json, const dom::parser& parser) {
  const uint32_t* const offsets = parser.implementation->structural_indexes.get();
  MemberRanges members;
  if (json[offsets[0]] != '{' || json[offsets[1]] == '}') return members;
  constexpr size_t kKeyAndColon = 2;
  size_t depth = 1;
  size_t begin = offsets[1 + kKeyAndColon];
  for (size_t i = 1 + kKeyAndColon; depth > 0; ++i) {
    const char c = json[offsets[i]];
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (depth > 1 || (depth == 1 && c != ',')) continue;
    size_t end = offsets[i];
    while (IsJsonSpace(json[end - 1])) --end;
    members.push_back({begin, end});
    if (depth == 1) begin = offsets[i + 1 + kKeyAndColon];
  }
  return members;
}

simdjson::error_code Parse(std::string_view json, size_t readable_bytes, dom::document& document,
                           MemberRanges* members) {
  thread_local std::unique_ptr<dom::parser> parser;
  if (parser == nullptr) parser = std::make_unique<dom::parser>();
  const bool copy = readable_bytes < json.size() + simdjson::SIMDJSON_PADDING;
  const simdjson::error_code error = parser->parse_into_document(document, json.data(), json.size(), copy).error();
  if (error == simdjson::SUCCESS && members != nullptr) *members = RangesOf(json, *parser);
  if (parser->capacity() > kKeptParserBytesMax) parser.reset();
  return error;
}

}  // namespace

simdjson::error_code ParseDom(std::string_view json, size_t readable_bytes, dom::document& document) {
  return Parse(json, readable_bytes, document, nullptr);
}

simdjson::error_code ParseLastingDom(std::string_view json, size_t readable_bytes, dom::document& document,
                                     MemberRanges& members) {
  thread_local dom::document scratch;
  const simdjson::error_code error = Parse(json, readable_bytes, scratch, &members);
  if (error == simdjson::SUCCESS) {
    const Extent used = UsedBy(scratch);
    // Its capacity stays 0, so that nobody parses into what has room for this content only.
    document = dom::document();
    document.tape = std::make_unique_for_overwrite<uint64_t[]>(used.words);
    document.string_buf = std::make_unique_for_overwrite<uint8_t[]>(used.string_bytes);
    std::memcpy(document.tape.get(), scratch.tape.get(), used.words * sizeof(uint64_t));
    std::memcpy(document.string_buf.get(), scratch.string_buf.get(), used.string_bytes);
  }
  if (scratch.capacity() > kKeptParserBytesMax) scratch = dom::document();
  return error;
}

std::optional<dom::element> FindLast(dom::object object, std::string_view key) {
  std::optional<dom::element> found;
  for (auto field = object.begin(); field != object.end(); ++field) {
    if (field.key_equals(key)) found = field.value();
  }
  return found;
}

Members::Members(dom::object object) {
  for (auto field = object.begin(); field != object.end(); ++field) {
    members_.emplace_back(field.key(), field.value());
    known_ |= Bit(members_.back().first);
  }
}

std::optional<size_t> FaultOffset(std::string_view json) {
  struct Handler : nlohmann::json_sax<nlohmann::json> {
    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_unsigned(number_unsigned_t) override { return true; }
    bool number_float(number_float_t, const string_t&) override { return true; }
    bool string(string_t&) override { return true; }
    bool binary(binary_t&) override { return true; }
    bool start_object(size_t) override { return true; }
    bool key(string_t&) override { return true; }
    bool end_object() override { return true; }
    bool start_array(size_t) override { return true; }
    bool end_array() override { return true; }
    bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
      offset = position == 0 ? 0 : position - 1;  // it counts from 1
      return false;
    }
    std::optional<size_t> offset;
  } handler;
  nlohmann::json::sax_parse(json.begin(), json.end(), &handler);
  return handler.offset;
}

}  // namespace signalbox
