// JSON as it was written: members in order, duplicates kept, numbers with their kind. What authors send is read
// through this, because a map-shaped DOM would hide a second "limit". Tokens come from nlohmann's SAX parser, so the
// grammar is RFC 8259 without extensions. Depth is bounded, so every walk over a tree may recurse. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace signalbox {

struct JsonTree {
  enum class Kind { kNull, kBool, kInteger, kFloat, kString, kArray, kObject };
  Kind kind = Kind::kNull;
  bool boolean = false;
  double number = 0;                                      // kInteger and kFloat
  bool exact = true;                                      // false: an integer that a double cannot hold
  std::string text;                                       // kString
  std::vector<JsonTree> items;                            // kArray
  std::vector<std::pair<std::string, JsonTree>> members;  // kObject

  bool is_number() const { return kind == Kind::kInteger || kind == Kind::kFloat; }
};

// Where and why reading stopped.
struct JsonError {
  enum class Kind { kNone, kSyntax, kTooDeep };
  Kind kind = Kind::kNone;
  std::string path;     // JSON path of the value being read
  std::string message;  // a sentence with line and column; valid UTF-8
};

// False and `error` filled when `json` is not one JSON value nested at most `depth_max` deep.
bool ParseJsonTree(std::string_view json, int depth_max, JsonTree& tree, JsonError& error);

// "an object", "a string", "a number" ...
std::string_view JsonKindName(const JsonTree& tree);

// `path` extended by a member: .name, or ["10%"] where the name is no identifier.
std::string JsonPathMember(std::string_view path, std::string_view name);
std::string JsonPathItem(std::string_view path, size_t index);

// `text` in double quotes, control characters escaped, cut to a readable length; always valid UTF-8.
std::string Quoted(std::string_view text);

}  // namespace signalbox
