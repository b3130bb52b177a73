// Changing single values of a JSON text and keeping every other byte. Included by this folder's sources only
// (simdjson's header is large). Pure.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>
#include <vector>

#include "dataplane/provider/json_scan.h"

namespace signalbox {

// Calls `visit(key, value, range)` for each member of `object`, whose text begins at `begin` of `json`. False when
// text and DOM disagree, which validated text never does, or when `visit` says so.
template <typename Visit>
bool ForEachMember(std::string_view json, size_t begin, simdjson::dom::object object, size_t& insert_at,
                   const Visit& visit) {
  MemberScanner scanner(json, begin);
  for (const simdjson::dom::key_value_pair field : object) {
    JsonRange range;
    if (!scanner.Next(range) || !visit(field.key, field.value, range)) return false;
  }
  JsonRange rest;
  if (scanner.Next(rest)) return false;
  insert_at = scanner.insert_at();
  return true;
}

// One change of the text: `range` becomes `text`. An insertion has an empty range.
struct JsonEdit {
  JsonRange range;
  std::string text;
};

// `edits` do not overlap; an insertion at the end of a replaced range comes behind it.
std::string ApplyEdits(std::string_view json, std::vector<JsonEdit> edits);

// `object`, whose text is `text`, with `"key":value` in it, in place of what stands there.
std::string WithMember(std::string_view text, simdjson::dom::object object, std::string_view key,
                       std::string_view value);

// Appends `"key":value` to a list of members.
void AddMember(std::string& members, std::string_view key, std::string_view value);

}  // namespace signalbox
