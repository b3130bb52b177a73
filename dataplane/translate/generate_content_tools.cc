#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dataplane/translate/generate_content_wire.h"

namespace signalbox {
namespace {

// Members whose values hold schemas: under names, in a list, or one.
const std::set<std::string_view> kSchemaMaps = {"properties", "$defs", "definitions", "patternProperties"};
const std::set<std::string_view> kSchemaLists = {"anyOf", "oneOf", "allOf", "prefixItems"};
const std::set<std::string_view> kSchemas = {"items", "additionalProperties", "not"};

Json CleanMember(const std::string& name, const Json& value) {
  if (kSchemas.contains(name)) return GeminiSchema(value);
  if (kSchemaLists.contains(name) && value.is_array()) {
    Json list = Json::array();
    for (const Json& schema : value) list.push_back(GeminiSchema(schema));
    return list;
  }
  if (!kSchemaMaps.contains(name) || !value.is_object()) return value;
  Json map = Json::object();
  for (const auto& [key, schema] : value.get_ref<const Json::object_t&>()) AddMember(map, key, GeminiSchema(schema));
  return map;
}

Fault Declaration(const Json& tool, const std::string& path, Json& declarations, bool& strict) {
  const std::string at = absl::StrCat(path, ".function");
  const Json* function = FindObject(tool, "function");
  if (function == nullptr) return Invalid(at, "is missing");
  if (Fault fault = RefuseUnknown(tool, {"type", "function"}, path)) return fault;
  if (Fault fault = RefuseUnknown(*function, {"name", "description", "parameters", "strict"}, at)) return fault;
  Json declaration = {{"name", StringAt(*function, "name")}};
  if (const Json* text = Find(*function, "description")) declaration["description"] = *text;
  if (const Json* schema = Find(*function, "parameters")) declaration["parametersJsonSchema"] = GeminiSchema(*schema);
  const Json* exactly = Find(*function, "strict");
  strict |= exactly != nullptr && *exactly == true;
  declarations.push_back(std::move(declaration));
  return std::nullopt;
}

// allowed_tools: {"mode","tools":[{"type":"function","function":{"name"}}]}.
Fault AllowedTools(const Json& choice, Json& calling) {
  const Json* allowed = FindObject(choice, "allowed_tools");
  const Json* tools = allowed == nullptr ? nullptr : FindArray(*allowed, "tools");
  if (tools == nullptr) return Invalid("tool_choice.allowed_tools.tools", "is missing");
  Json names = Json::array();
  for (size_t i = 0; i < tools->size(); ++i) {
    const Json* function = FindObject((*tools)[i], "function");
    if (function == nullptr) {
      return Unsupported(absl::StrCat("tool_choice.allowed_tools.tools[", i, "]"), "is no function");
    }
    names.push_back(StringAt(*function, "name"));
  }
  calling = {{"mode", StringAt(*allowed, "mode") == "required" ? "ANY" : "VALIDATED"},
             {"allowedFunctionNames", std::move(names)}};
  return std::nullopt;
}

Fault AddToolChoice(const Json& choice, bool strict, Json& calling) {
  if (choice == "auto") {
    // VALIDATED leaves the model its choice and holds its arguments to the schema.
    calling = {{"mode", strict ? "VALIDATED" : "AUTO"}};
  } else if (choice == "none") {
    calling = {{"mode", "NONE"}};
  } else if (choice == "required") {
    calling = {{"mode", "ANY"}};
  } else if (const Json* function = FindObject(choice, "function")) {
    calling = {{"mode", "ANY"}, {"allowedFunctionNames", Json::array({StringAt(*function, "name")})}};
  } else if (StringAt(choice, "type") == "allowed_tools") {
    return AllowedTools(choice, calling);
  } else {
    return Unsupported("tool_choice", "must be auto, none, required, a function or allowed_tools");
  }
  return std::nullopt;
}

}  // namespace

Json GeminiSchema(const Json& schema) {
  if (!schema.is_object()) return schema;
  const bool reference = schema.contains("$ref");
  Json cleaned = Json::object();
  for (const auto& [name, value] : schema.get_ref<const Json::object_t&>()) {
    // Beside $ref Gemini takes only names that begin with $, and the dialect's name nowhere.
    if (name == "$schema" || (reference && !name.starts_with('$'))) continue;
    if (name == "const" && !schema.contains("enum")) {
      AddMember(cleaned, "enum", Json::array({value}));
    } else if (name != "const") {
      AddMember(cleaned, name, CleanMember(name, value));
    }
  }
  return cleaned;
}

Fault AddTools(const Json& chat, Json& body) {
  bool strict = false;
  if (const Json* tools = Find(chat, "tools")) {
    if (!tools->is_array()) return Invalid("tools", "is not an array");
    Json declarations = Json::array();
    Json native = Json::array();
    for (size_t i = 0; i < tools->size(); ++i) {
      const Json& tool = (*tools)[i];
      const std::string path = absl::StrCat("tools[", i, "]");
      if (!tool.is_object()) return Invalid(path, "is not an object");
      const Json* type = Find(tool, "type");
      if (type == nullptr && !tool.contains("function")) {
        native.push_back(tool);  // one of Google's own, e.g. {"googleSearch":{}}
      } else if (type != nullptr && *type != "function") {
        return Unsupported(absl::StrCat(path, ".type"), "must be function: Gemini has no other tools of the client's");
      } else if (Fault fault = Declaration(tool, path, declarations, strict)) {
        return fault;
      }
    }
    Json all = Json::array();
    if (!declarations.empty()) all.push_back({{"functionDeclarations", std::move(declarations)}});
    all.insert(all.end(), native.begin(), native.end());
    if (!all.empty()) body["tools"] = std::move(all);
  }
  const Json* choice = Find(chat, "tool_choice");
  if (choice == nullptr && !strict) return std::nullopt;
  Json calling;
  if (Fault fault = AddToolChoice(choice == nullptr ? Json("auto") : *choice, strict, calling)) return fault;
  body["toolConfig"] = {{"functionCallingConfig", std::move(calling)}};
  return std::nullopt;
}

}  // namespace signalbox
