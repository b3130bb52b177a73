#include "common/route/json_tree.h"

#include <simdjson.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace signalbox {
namespace {

constexpr size_t kQuotedBytesMax = 160;

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// The reader's own words without its internal name and without the raw bytes it read last, which need not be UTF-8.
std::string Reason(std::string what) {
  if (const size_t end = what.find("] "); !what.empty() && what[0] == '[' && end != std::string::npos) {
    what.erase(0, end + 2);
  }
  if (const size_t begin = what.find("; last read: '"); begin != std::string::npos) {
    what.erase(begin, what.rfind('\'') - begin + 1);
  }
  for (char& c : what) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E) c = '?';
  }
  return what;
}

class TreeBuilder {
 public:
  using Json = nlohmann::json;

  TreeBuilder(int depth_max, JsonTree& root, JsonError& error) : depth_max_(depth_max), root_(root), error_(error) {}

  bool null() { return Add({.kind = JsonTree::Kind::kNull}); }
  bool boolean(bool value) { return Add({.kind = JsonTree::Kind::kBool, .boolean = value}); }
  bool number_integer(Json::number_integer_t value) {
    return Add({.kind = JsonTree::Kind::kInteger,
                .number = static_cast<double>(value),
                .exact = value >= -kExactMax && value <= kExactMax});
  }
  bool number_unsigned(Json::number_unsigned_t value) {
    return Add({.kind = JsonTree::Kind::kInteger,
                .number = static_cast<double>(value),
                .exact = value <= static_cast<uint64_t>(kExactMax)});
  }
  bool number_float(Json::number_float_t value, const Json::string_t& text) {
    // An integer past 64 bits arrives here too.
    const bool integer = text.find_first_of(".eE") == std::string::npos;
    return Add(
        {.kind = integer ? JsonTree::Kind::kInteger : JsonTree::Kind::kFloat, .number = value, .exact = !integer});
  }
  bool string(Json::string_t& value) { return Add({.kind = JsonTree::Kind::kString, .text = std::move(value)}); }
  bool binary(Json::binary_t&) { return false; }  // JSON text has none
  bool start_object(size_t) { return Open(JsonTree::Kind::kObject); }
  bool start_array(size_t) { return Open(JsonTree::Kind::kArray); }
  bool key(Json::string_t& name) {
    open_.back()->members.emplace_back(std::move(name), JsonTree{});
    return true;
  }
  bool end_object() { return Close(); }
  bool end_array() { return Close(); }
  bool parse_error(size_t, const std::string&, const Json::exception& why) {
    error_ = {JsonError::Kind::kSyntax, Path(), absl::StrCat("not valid JSON: ", Reason(why.what()))};
    return false;
  }

 private:
  static constexpr int64_t kExactMax = 1LL << 53;

  // The place the next value goes to. Addresses in `open_` stay valid: a container grows only while it is the last.
  JsonTree& Slot() {
    if (open_.empty()) return root_;
    JsonTree& parent = *open_.back();
    return parent.kind == JsonTree::Kind::kObject ? parent.members.back().second : parent.items.emplace_back();
  }
  bool Add(JsonTree value) {
    Slot() = std::move(value);
    return true;
  }
  bool Open(JsonTree::Kind kind) {
    if (open_.size() >= static_cast<size_t>(depth_max_)) {
      error_ = {JsonError::Kind::kTooDeep, Path(), absl::StrCat("nested more than ", depth_max_, " levels deep")};
      return false;
    }
    JsonTree& slot = Slot();
    slot.kind = kind;
    open_.push_back(&slot);
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }
  std::string Path() const {
    std::string path = "$";
    for (const JsonTree* node : open_) {
      if (node->kind == JsonTree::Kind::kObject && !node->members.empty()) {
        path = JsonPathMember(path, node->members.back().first);
      } else if (node->kind == JsonTree::Kind::kArray && !node->items.empty()) {
        path = JsonPathItem(path, node->items.size() - 1);
      }
    }
    return path;
  }

  const int depth_max_;
  JsonTree& root_;
  JsonError& error_;
  std::vector<JsonTree*> open_;
};

bool IsIdentifier(std::string_view name) {
  if (name.empty() || name.size() > kQuotedBytesMax) return false;
  for (char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
    if (!letter && (c < '0' || c > '9' || &c == name.data())) return false;
  }
  return name[0] < '0' || name[0] > '9';
}

}  // namespace

bool ParseJsonTree(std::string_view json, int depth_max, JsonTree& tree, JsonError& error) {
  tree = JsonTree{};
  error = JsonError{};
  if (!simdjson::validate_utf8(json.data(), json.size())) {
    // The reader checks strings only; bytes elsewhere are a syntax error of their own. Say the cause in either case.
    error = {JsonError::Kind::kSyntax, "$", "not valid JSON: the text is not valid UTF-8"};
    return false;
  }
  TreeBuilder builder(depth_max, tree, error);
  return nlohmann::json::sax_parse(json.begin(), json.end(), &builder);
}

std::string_view JsonKindName(const JsonTree& tree) {
  switch (tree.kind) {
    case JsonTree::Kind::kNull:
      return "null";
    case JsonTree::Kind::kBool:
      return "a boolean";
    case JsonTree::Kind::kInteger:
    case JsonTree::Kind::kFloat:
      return "a number";
    case JsonTree::Kind::kString:
      return "a string";
    case JsonTree::Kind::kArray:
      return "an array";
    case JsonTree::Kind::kObject:
      return "an object";
  }
  return "a value";
}

std::string Quoted(std::string_view text) {
  size_t end = text.size();
  if (end > kQuotedBytesMax) {
    end = kQuotedBytesMax;
    while (end > 0 && IsContinuation(text[end])) --end;
  }
  const bool valid = simdjson::validate_utf8(text.data(), end);
  std::string quoted = "\"";
  for (char c : text.substr(0, end)) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted.push_back('\\');
      quoted.push_back(c);
    } else if (byte < 0x20 || byte == 0x7F) {
      absl::StrAppendFormat(&quoted, "\\u%04x", byte);
    } else {
      quoted.push_back(byte > 0x7F && !valid ? '?' : c);
    }
  }
  return absl::StrCat(quoted, end < text.size() ? "...\"" : "\"");
}

std::string JsonPathMember(std::string_view path, std::string_view name) {
  if (IsIdentifier(name)) return absl::StrCat(std::string(path), ".", std::string(name));
  return absl::StrCat(std::string(path), "[", Quoted(name), "]");
}

std::string JsonPathItem(std::string_view path, size_t index) {
  return absl::StrCat(std::string(path), "[", index, "]");
}

}  // namespace signalbox
