// Equality and difference of two graphs.
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/route/deterministic.h"
#include "common/route/element_type.h"
#include "common/route/json_tree.h"
#include "common/route/validator.h"
#include "common/route/value_json.h"
#include "common/sha256.h"
#include "google/protobuf/descriptor.h"

namespace signalbox {
namespace {

using google::protobuf::FieldDescriptor;

// "properties.limit" -> JSON, "outputs.true" -> JSON, "type" -> JSON: an element taken apart, ordered by path.
using Parts = std::map<std::string, std::string>;

std::string PropertyJson(const v1::Properties& properties, const FieldDescriptor& field) {
  const auto& reflection = *properties.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return JsonString(reflection.GetString(properties, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return JsonNumber(reflection.GetDouble(properties, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(properties, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_INT32:
      return JsonNumber(reflection.GetInt32(properties, &field));
    default:
      break;
  }
  const google::protobuf::Message& message = reflection.GetMessage(properties, &field);
  if (const auto* value = google::protobuf::DynamicCastToGenerated<google::protobuf::Value>(&message)) {
    return ValueJson(*value);
  }
  if (const auto* object = google::protobuf::DynamicCastToGenerated<google::protobuf::Struct>(&message)) {
    return StructJson(*object);
  }
  return "null";
}

Parts Take(const v1::Element& element) {
  Parts parts;
  parts["type"] = JsonString(element.type());
  std::vector<const FieldDescriptor*> present;
  element.properties().GetReflection()->ListFields(element.properties(), &present);
  for (const FieldDescriptor* field : present) {
    parts[JsonPathMember("properties", field->json_name())] = PropertyJson(element.properties(), *field);
  }
  for (const std::string& name : OrderedOutputs(element)) {
    parts[JsonPathMember("outputs", name)] =
        absl::StrCat("{\"elementId\":", JsonString(element.outputs().at(name).element_id()), "}");
  }
  return parts;
}

std::string ElementJson(const v1::Element& element) {
  std::string properties, outputs;
  std::vector<const FieldDescriptor*> present;
  element.properties().GetReflection()->ListFields(element.properties(), &present);
  for (const FieldDescriptor* field : present) {
    absl::StrAppend(&properties, properties.empty() ? "" : ",", JsonString(field->json_name()), ":",
                    PropertyJson(element.properties(), *field));
  }
  for (const std::string& name : OrderedOutputs(element)) {
    absl::StrAppend(&outputs, outputs.empty() ? "" : ",", JsonString(name),
                    ":{\"elementId\":", JsonString(element.outputs().at(name).element_id()), "}");
  }
  return absl::StrCat("{\"id\":", JsonString(element.id()), ",\"type\":", JsonString(element.type()),
                      element.has_properties() ? absl::StrCat(",\"properties\":{", properties, "}") : "",
                      ",\"outputs\":{", outputs, "}}");
}

v1::ElementChange Change(v1::ElementChange::Kind kind, const std::string& element_id, const std::string& path,
                         const std::string& before, const std::string& after) {
  v1::ElementChange change;
  change.set_kind(kind);
  change.set_element_id(element_id);
  change.set_path(path);
  change.set_before(before);
  change.set_after(after);
  return change;
}

// Drafts may use an id twice: the second is compared with the second.
using Key = std::pair<std::string, int>;
std::vector<std::pair<Key, const v1::Element*>> Keyed(const v1::RouteSpec& spec) {
  std::map<std::string, int> uses;
  std::vector<std::pair<Key, const v1::Element*>> keyed;
  for (const v1::Element& element : spec.elements()) keyed.push_back({{element.id(), uses[element.id()]++}, &element});
  return keyed;
}

void DiffElement(const v1::Element& a, const v1::Element& b, std::vector<v1::ElementChange>& changes) {
  const Parts before = Take(a), after = Take(b);
  std::map<std::string, std::pair<std::string, std::string>> both;
  for (const auto& [path, json] : before) both[path].first = json;
  for (const auto& [path, json] : after) both[path].second = json;
  for (const auto& [path, json] : both) {
    if (json.first != json.second)
      changes.push_back(Change(v1::ElementChange::CHANGED, b.id(), path, json.first, json.second));
  }
}

}  // namespace

std::string RouteSpecSha256(const v1::RouteSpec& spec) { return Sha256Hex(DeterministicBytes(spec)); }

std::vector<v1::ElementChange> DiffRoutes(const v1::RouteSpec& a, const v1::RouteSpec& b) {
  std::vector<v1::ElementChange> changes;
  if (a.name() != b.name()) {
    changes.push_back(Change(v1::ElementChange::CHANGED, "", "name", JsonString(a.name()), JsonString(b.name())));
  }
  const auto before = Keyed(a), after = Keyed(b);
  const std::map<Key, const v1::Element*> in_a(before.begin(), before.end()), in_b(after.begin(), after.end());
  for (const auto& [key, element] : before) {
    if (in_b.count(key) == 0)
      changes.push_back(Change(v1::ElementChange::REMOVED, key.first, "", ElementJson(*element), ""));
  }
  for (const auto& [key, element] : after) {
    const auto old = in_a.find(key);
    if (old == in_a.end()) {
      changes.push_back(Change(v1::ElementChange::ADDED, key.first, "", "", ElementJson(*element)));
    } else {
      DiffElement(*old->second, *element, changes);
    }
  }
  return changes;
}

}  // namespace signalbox
