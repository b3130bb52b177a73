// ParseRoute: the strict pass over an authored route, driven by the message descriptors.
#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/route/fault_list.h"
#include "common/route/json_tree.h"
#include "common/route/quantity.h"
#include "common/route/validator.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/struct.pb.h"

namespace signalbox {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::Struct;
using google::protobuf::Value;

std::vector<std::string_view> FieldNames(const Descriptor& type) {
  std::vector<std::string_view> names;
  for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->json_name());
  std::sort(names.begin(), names.end());
  return names;
}

const FieldDescriptor* FindByJsonName(const Descriptor& type, std::string_view name) {
  for (int i = 0; i < type.field_count(); ++i) {
    if (type.field(i)->json_name() == name) return type.field(i);
  }
  return nullptr;
}

// element_id, ElementId, elementid, element-id -> elementid
std::string Folded(std::string_view name) {
  std::string folded;
  for (char c : name) {
    if (c != '_' && c != '-') folded.push_back(absl::ascii_tolower(static_cast<unsigned char>(c)));
  }
  return folded;
}

const FieldDescriptor* FindByFoldedName(const Descriptor& type, std::string_view name) {
  const std::string folded = Folded(name);
  for (int i = 0; i < type.field_count(); ++i) {
    if (Folded(type.field(i)->json_name()) == folded) return type.field(i);
  }
  return nullptr;
}

class RouteReader {
 public:
  explicit RouteReader(ParsedRoute& parsed) : parsed_(parsed) {}

  void Read(const JsonTree& tree) {
    if (tree.kind != JsonTree::Kind::kObject) {
      Mistyped("$", "a route is an object {\"name\": ..., \"elements\": [...]}", tree);
    } else {
      ReadMessage(tree, "$", parsed_.spec);
    }
    parsed_.faults = faults_.Take();
  }

 private:
  // What could not be read: what the graph then lacks is no second fault.
  void Fault(std::string_view code, const std::string& path, const std::string& message) {
    if (!faults_.full()) parsed_.blamed_paths.push_back(path);
    faults_.Error(code, element_id_, path, message);
  }
  void Mistyped(const std::string& path, const std::string& wanted, const JsonTree& got) {
    Fault("mistyped_field", path, absl::StrCat(wanted, ", not ", std::string(JsonKindName(got))));
  }

  // Whether `name` is the first of its name in the object; a later one is a fault and not read.
  bool IsFirst(std::set<std::string_view>& seen, const std::string& name, const std::string& path) {
    if (seen.insert(name).second) return true;
    faults_.Error("duplicate_field", element_id_, path, absl::StrCat(Quoted(name), " stands here more than once"));
    return false;
  }

  void ReadMessage(const JsonTree& tree, const std::string& path, Message& message) {
    const Descriptor& type = *message.GetDescriptor();
    std::set<std::string_view> seen;
    for (const auto& [name, value] : tree.members) {
      const std::string at = JsonPathMember(path, name);
      if (!IsFirst(seen, name, at)) continue;
      if (const FieldDescriptor* field = FindByJsonName(type, name); field != nullptr) {
        ReadField(value, at, *field, message);
      } else if (const FieldDescriptor* meant = FindByFoldedName(type, name); meant != nullptr) {
        Fault("wrong_case", at, absl::StrCat(Quoted(name), " must be written ", Quoted(meant->json_name())));
        const std::string right = JsonPathMember(path, meant->json_name());
        const bool also_right = std::any_of(tree.members.begin(), tree.members.end(),
                                            [&](const auto& member) { return member.first == meant->json_name(); });
        if (!also_right && seen.insert(meant->json_name()).second) ReadField(value, right, *meant, message);
      } else {
        Unknown(name, at, path, type);
      }
    }
  }

  void Unknown(const std::string& name, const std::string& at, const std::string& path, const Descriptor& type) {
    if (faults_.full()) return Fault("unknown_field", at, "");
    const std::vector<std::string_view> known = FieldNames(type);
    const std::string_view nearest = NearestName(name, known);
    const bool property = &type == v1::Properties::descriptor();
    std::string hint;
    if (&type == v1::Element::descriptor() && FindByJsonName(*v1::Properties::descriptor(), name) != nullptr) {
      hint = "; it belongs inside \"properties\"";
      parsed_.blamed_paths.push_back(JsonPathMember(JsonPathMember(path, "properties"), name));
    } else if (!nearest.empty()) {
      hint = absl::StrCat("; did you mean ", Quoted(nearest), "?");
      parsed_.blamed_paths.push_back(JsonPathMember(path, nearest));
    }
    Fault(property ? "unknown_property" : "unknown_field", at,
          absl::StrCat("unknown ", property ? "property " : "field ", Quoted(name), hint, " (known: ", JoinNames(known),
                       ")"));
  }

  void ReadField(const JsonTree& value, const std::string& path, const FieldDescriptor& field, Message& message) {
    const Reflection& reflection = *message.GetReflection();
    if (field.is_map()) return ReadOutputs(value, path, field, message);
    if (field.is_repeated()) return ReadElements(value, path, field, message);
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        if (value.kind != JsonTree::Kind::kString)
          return Mistyped(path, absl::StrCat(Name(field), " is a string"), value);
        return reflection.SetString(&message, &field, value.text);
      case FieldDescriptor::CPPTYPE_DOUBLE:
        if (!value.is_number()) return Mistyped(path, absl::StrCat(Name(field), " is a number"), value);
        return reflection.SetDouble(&message, &field, value.number);
      case FieldDescriptor::CPPTYPE_BOOL:
        if (value.kind != JsonTree::Kind::kBool)
          return Mistyped(path, absl::StrCat(Name(field), " is true or false"), value);
        return reflection.SetBool(&message, &field, value.boolean);
      case FieldDescriptor::CPPTYPE_INT32:
        return ReadInt32(value, path, field, message);
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return ReadSubmessage(value, path, field, *reflection.MutableMessage(&message, &field));
      default:
        return Fault("mistyped_field", path, absl::StrCat(Name(field), " has a type this version cannot read"));
    }
  }

  void ReadInt32(const JsonTree& value, const std::string& path, const FieldDescriptor& field, Message& message) {
    if (!value.is_number()) return Mistyped(path, absl::StrCat(Name(field), " is a whole number"), value);
    const auto number = WholeNumber(value.number, INT32_MIN, INT32_MAX);
    if (!number.has_value()) {
      return Fault("mistyped_field", path, absl::StrCat(Name(field), " is a whole number of at most ", INT32_MAX));
    }
    message.GetReflection()->SetInt32(&message, &field, static_cast<int32_t>(*number));
  }

  void ReadSubmessage(const JsonTree& value, const std::string& path, const FieldDescriptor& field, Message& message) {
    if (auto* any = google::protobuf::DynamicCastToGenerated<Value>(&message); any != nullptr) {
      return ReadValue(value, path, *any);
    }
    if (value.kind != JsonTree::Kind::kObject) return Mistyped(path, absl::StrCat(Name(field), " is an object"), value);
    if (auto* object = google::protobuf::DynamicCastToGenerated<Struct>(&message); object != nullptr) {
      return ReadStruct(value, path, *object);
    }
    ReadMessage(value, path, message);
  }

  void ReadElements(const JsonTree& value, const std::string& path, const FieldDescriptor& field, Message& message) {
    if (value.kind != JsonTree::Kind::kArray) return Mistyped(path, absl::StrCat(Name(field), " is an array"), value);
    for (size_t i = 0; i < value.items.size(); ++i) {
      const JsonTree& item = value.items[i];
      const std::string at = JsonPathItem(path, i);
      // Kept even when unreadable: paths of graph faults count elements as the author does.
      Message& element = *message.GetReflection()->AddMessage(&message, &field);
      if (item.kind != JsonTree::Kind::kObject) {
        Mistyped(at, "an element is an object {\"id\": ..., \"type\": ...}", item);
        continue;
      }
      for (const auto& [name, id] : item.members) {
        if (name == "id" && id.kind == JsonTree::Kind::kString) {
          element_id_ = id.text;
          break;
        }
      }
      ReadMessage(item, at, element);
      element_id_.clear();
    }
  }

  void ReadOutputs(const JsonTree& value, const std::string& path, const FieldDescriptor& field, Message& message) {
    auto* element = google::protobuf::DynamicCastToGenerated<v1::Element>(&message);
    if (value.kind != JsonTree::Kind::kObject || element == nullptr) {
      return Mistyped(path, absl::StrCat(Name(field), " is an object"), value);
    }
    std::set<std::string_view> seen;
    for (const auto& [name, output] : value.members) {
      const std::string at = JsonPathMember(path, name);
      if (!IsFirst(seen, name, at)) continue;
      v1::Output& target = (*element->mutable_outputs())[name];
      if (output.kind != JsonTree::Kind::kObject) {
        Mistyped(at, "an output is an object {\"elementId\": ...}", output);
        continue;
      }
      ReadMessage(output, at, target);
    }
  }

  void ReadStruct(const JsonTree& tree, const std::string& path, Struct& object) {
    std::set<std::string_view> seen;
    for (const auto& [name, value] : tree.members) {
      const std::string at = JsonPathMember(path, name);
      if (IsFirst(seen, name, at)) ReadValue(value, at, (*object.mutable_fields())[name]);
    }
  }

  // Recursion here is bounded by kRouteJsonDepthMax.
  void ReadValue(const JsonTree& tree, const std::string& path, Value& value) {
    switch (tree.kind) {
      case JsonTree::Kind::kNull:
        value.set_null_value(google::protobuf::NULL_VALUE);
        return;
      case JsonTree::Kind::kBool:
        value.set_bool_value(tree.boolean);
        return;
      case JsonTree::Kind::kInteger:
      case JsonTree::Kind::kFloat:
        if (!tree.exact) {
          faults_.Error("inexact_number", element_id_, path,
                        "this integer is past 2^53 and would be changed by rounding");
        }
        value.set_number_value(tree.number);
        return;
      case JsonTree::Kind::kString:
        value.set_string_value(tree.text);
        return;
      case JsonTree::Kind::kArray:
        value.mutable_list_value();
        for (size_t i = 0; i < tree.items.size(); ++i) {
          ReadValue(tree.items[i], JsonPathItem(path, i), *value.mutable_list_value()->add_values());
        }
        return;
      case JsonTree::Kind::kObject:
        ReadStruct(tree, path, *value.mutable_struct_value());
        return;
    }
  }

  static std::string Name(const FieldDescriptor& field) { return Quoted(field.json_name()); }

  ParsedRoute& parsed_;
  FaultList faults_;
  std::string element_id_;  // of the element being read
};

}  // namespace

ParsedRoute ParseRoute(std::string_view json) {
  ParsedRoute parsed;
  FaultList fatal;
  if (json.size() > kRouteJsonBytesMax) {
    fatal.Error("route_too_large", "", "$", absl::StrCat("a route has at most ", kRouteJsonBytesMax, " bytes of JSON"));
  } else {
    JsonTree tree;
    JsonError error;
    if (ParseJsonTree(json, kRouteJsonDepthMax, tree, error)) {
      RouteReader(parsed).Read(tree);
      return parsed;
    }
    fatal.Error(error.kind == JsonError::Kind::kTooDeep ? "nested_too_deep" : "invalid_json", "", error.path,
                error.message);
  }
  parsed.faults = fatal.Take();
  parsed.blamed_paths = {"$"};
  return parsed;
}

}  // namespace signalbox
