#include "common/route/value_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace signalbox {
namespace {

using google::protobuf::Value;

nlohmann::json Number(double number) {
  if (number == std::floor(number) && std::abs(number) <= 9007199254740992.0) return static_cast<int64_t>(number);
  return number;
}

// Values come from bounded JSON (kRouteJsonDepthMax), so the recursion is bounded.
nlohmann::json ToJson(const Value& value) {
  switch (value.kind_case()) {
    case Value::kBoolValue:
      return value.bool_value();
    case Value::kNumberValue:
      return Number(value.number_value());
    case Value::kStringValue:
      return value.string_value();
    case Value::kListValue: {
      nlohmann::json list = nlohmann::json::array();
      for (const Value& item : value.list_value().values()) list.push_back(ToJson(item));
      return list;
    }
    case Value::kStructValue: {
      nlohmann::json object = nlohmann::json::object();
      for (const auto& [name, member] : value.struct_value().fields()) object[name] = ToJson(member);
      return object;
    }
    case Value::kNullValue:
    case Value::KIND_NOT_SET:
      return nullptr;
  }
  return nullptr;
}

std::string Dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string ValueJson(const Value& value) { return Dump(ToJson(value)); }
std::string StructJson(const google::protobuf::Struct& object) {
  Value value;
  *value.mutable_struct_value() = object;
  return ValueJson(value);
}
std::string JsonString(const std::string& text) { return Dump(nlohmann::json(text)); }
std::string JsonNumber(double number) { return Dump(Number(number)); }

}  // namespace signalbox
