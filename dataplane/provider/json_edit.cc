#include "dataplane/provider/json_edit.h"

#include <algorithm>
#include <utility>

namespace signalbox {

std::string ApplyEdits(std::string_view json, std::vector<JsonEdit> edits) {
  const auto before = [](const JsonEdit& a, const JsonEdit& b) { return a.range.begin < b.range.begin; };
  if (!std::is_sorted(edits.begin(), edits.end(), before)) std::stable_sort(edits.begin(), edits.end(), before);
  size_t bytes = json.size();
  for (const JsonEdit& edit : edits) bytes += edit.text.size();
  std::string out;
  out.reserve(bytes);
  size_t at = 0;
  for (const JsonEdit& edit : edits) {
    out.append(json.substr(at, edit.range.begin - at)).append(edit.text);
    at = edit.range.end;
  }
  return out.append(json.substr(at));
}

std::string WithMember(std::string_view text, simdjson::dom::object object, std::string_view key,
                       std::string_view value) {
  std::vector<JsonEdit> edits;
  size_t insert_at = 0;
  ForEachMember(text, 0, object, insert_at, [&](std::string_view name, simdjson::dom::element, JsonRange range) {
    if (name == key && range.Of(text) != value) edits.push_back({range, std::string(value)});
    return true;
  });
  bool present = false;
  for (const simdjson::dom::key_value_pair field : object) present = present || field.key == key;
  if (!present) {
    std::string member = object.size() == 0 ? "" : ",";
    std::string added;
    AddMember(added, key, value);
    edits.push_back({{insert_at, insert_at}, member + added});
  }
  return ApplyEdits(text, std::move(edits));
}

void AddMember(std::string& members, std::string_view key, std::string_view value) {
  if (!members.empty()) members += ',';
  members.append(QuoteJson(key)).append(":").append(value);
}

}  // namespace signalbox
