#include "tests/simprovider/schema_example.h"

#include <algorithm>
#include <cctype>

namespace signalbox::sim {
namespace {

constexpr int kDepthMax = 16;  // of a schema that refers to itself

// What "#/$defs/name" stands for; null: nothing.
const Json* Resolve(const Json& root, const std::string& reference) {
  if (reference.empty() || reference[0] != '#') return nullptr;
  const Json* at = &root;
  size_t begin = 2;
  while (begin <= reference.size()) {
    const size_t end = std::min(reference.find('/', begin), reference.size());
    at = Find(*at, reference.substr(begin, end - begin).c_str());
    if (at == nullptr) return nullptr;
    begin = end + 1;
  }
  return at;
}

// "object", whether it was written object, OBJECT or ["object","null"].
std::string TypeOf(const Json& schema) {
  const Json* type = Find(schema, "type");
  if (type != nullptr && type->is_array()) {
    const auto real = std::find_if(type->begin(), type->end(), [](const Json& one) { return one != "null"; });
    type = real == type->end() ? nullptr : &*real;
  }
  if (type == nullptr || !type->is_string()) return Find(schema, "properties") != nullptr ? "object" : "string";
  std::string name = type->get<std::string>();
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

class Example {
 public:
  Example(const Json& root, const std::string& prompt) : root_(root), prompt_(prompt) {}

  OrderedJson Of(const Json& schema, const std::string& name, int depth) const {
    if (!schema.is_object() || depth > kDepthMax) return prompt_;
    if (IsString(schema, "$ref")) {
      const Json* const meant = Resolve(root_, schema["$ref"].get<std::string>());
      return meant == nullptr ? OrderedJson(nullptr) : Of(*meant, name, depth + 1);
    }
    if (schema.contains("const")) return OrderedJson::parse(schema["const"].dump());
    if (const Json* const values = Find(schema, "enum"); values != nullptr && values->is_array() && !values->empty()) {
      return OrderedJson::parse((*values)[0].dump());
    }
    for (const char* key : {"anyOf", "oneOf", "allOf"}) {
      const Json* const choices = Find(schema, key);
      if (choices != nullptr && choices->is_array() && !choices->empty()) return Of((*choices)[0], name, depth + 1);
    }
    const std::string type = TypeOf(schema);
    if (type == "integer" || type == "number") return Number(schema, name);
    if (type == "boolean") return true;
    if (type == "null") return nullptr;
    if (type == "array") return Array(schema, name, depth);
    if (type == "object") return Object(schema, depth);
    return Text(schema, name);
  }

 private:
  OrderedJson Number(const Json& schema, const std::string& name) const {
    int64_t number = static_cast<int64_t>(1 + HashOf(name + prompt_) % 9);
    if (const Json* const least = Find(schema, "minimum"); least != nullptr && least->is_number()) {
      number = std::max(number, static_cast<int64_t>(std::max(-1e9, std::min(1e9, least->get<double>()))) + 1);
    }
    if (const Json* const most = Find(schema, "maximum"); most != nullptr && most->is_number()) {
      if (static_cast<double>(number) > most->get<double>()) return OrderedJson::parse(most->dump());
    }
    return number;
  }

  OrderedJson Array(const Json& schema, const std::string& name, int depth) const {
    OrderedJson array = OrderedJson::array();
    const Json* const items = Find(schema, "items");
    if (items == nullptr) return array;
    const Json* const least = Find(schema, "minItems");
    // Gemini writes int64 as text.
    const std::string written = least == nullptr ? "1" : least->is_string() ? least->get<std::string>() : least->dump();
    const size_t count = std::clamp<size_t>(static_cast<size_t>(std::atoi(written.c_str())), 1, 16);
    for (size_t i = 0; i < count; ++i) array.push_back(Of(*items, name, depth + 1));
    return array;
  }

  OrderedJson Object(const Json& schema, int depth) const {
    OrderedJson object = OrderedJson::object();
    if (const Json* const properties = Find(schema, "properties"); properties != nullptr && properties->is_object()) {
      for (const auto& [key, value] : properties->items()) object[key] = Of(value, key, depth + 1);
    }
    return object;
  }

  static OrderedJson Text(const Json& schema, const std::string& name) {
    const std::string format = TextOf(schema, "format");
    if (format == "date-time") return "2026-01-01T00:00:00Z";
    if (format == "date") return "2026-01-01";
    if (format == "email") return "someone@example.com";
    if (format == "uri") return "https://example.com/";
    return absl::StrCat("example ", name);
  }

  const Json& root_;
  const std::string& prompt_;
};

size_t SchemaBytesAt(const Json& schema, int depth) {
  if (!schema.is_object() || depth > kDepthMax) return 0;
  size_t bytes = TextOf(schema, "description").size();
  if (const Json* const properties = Find(schema, "properties"); properties != nullptr && properties->is_object()) {
    for (const auto& [key, value] : properties->items()) bytes += key.size() + SchemaBytesAt(value, depth + 1);
  }
  if (const Json* const items = Find(schema, "items")) bytes += SchemaBytesAt(*items, depth + 1);
  return bytes;
}

}  // namespace

uint64_t HashOf(std::string_view text, uint64_t hash) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

OrderedJson ExampleOf(const Json& schema, const std::string& name, const std::string& prompt) {
  return Example(schema, prompt).Of(schema, name, 0);
}

size_t SchemaBytes(const Json& schema) { return SchemaBytesAt(schema, 0); }

}  // namespace signalbox::sim
