#include "dataplane/provider/json_dom.h"

#include <memory>
#include <nlohmann/json.hpp>

namespace signalbox {
namespace {

namespace dom = simdjson::dom;

// A parser keeps some 4 bytes of index per byte of the largest text it saw: past this it is not kept.
constexpr size_t kKeptParserBytesMax = 256 << 10;

}  // namespace

simdjson::error_code ParseDom(std::string_view json, size_t readable_bytes, dom::document& document) {
  thread_local std::unique_ptr<dom::parser> parser;
  if (parser == nullptr) parser = std::make_unique<dom::parser>();
  const bool copy = readable_bytes < json.size() + simdjson::SIMDJSON_PADDING;
  const simdjson::error_code error = parser->parse_into_document(document, json.data(), json.size(), copy).error();
  if (parser->capacity() > kKeptParserBytesMax) parser.reset();
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
  for (auto field = object.begin(); field != object.end(); ++field) members_.emplace_back(field.key(), field.value());
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
