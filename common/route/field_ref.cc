#include "common/route/field_ref.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/route/json_tree.h"

namespace signalbox {
namespace {

constexpr size_t kFieldBytesMax = 512;
constexpr int kBodyPathMax = 32;

std::string_view RootName(v1::FieldRef::Root root) {
  switch (root) {
    case v1::FieldRef::METADATA:
      return "metadata";
    case v1::FieldRef::BODY:
      return "body";
    case v1::FieldRef::HEADERS:
      return "headers";
    default:
      return "";
  }
}

}  // namespace

bool ParseFieldRef(std::string_view text, v1::FieldRef& field, FieldRefFault& fault) {
  field.Clear();
  const size_t dot = text.find('.');
  const std::string_view root = text.substr(0, dot);
  for (v1::FieldRef::Root known : {v1::FieldRef::METADATA, v1::FieldRef::BODY, v1::FieldRef::HEADERS}) {
    if (root == RootName(known)) field.set_root(known);
  }
  if (field.root() == v1::FieldRef::ROOT_UNSPECIFIED) {
    const std::string likely = dot == std::string_view::npos
                                   ? absl::StrCat("; did you mean ", Quoted("metadata." + std::string(text)), "?")
                                   : "";
    fault = {"unknown_field_root", absl::StrCat("unknown field ", Quoted(text),
                                                ": a field begins with metadata., body. or headers.", likely)};
    return false;
  }
  if (text.size() > kFieldBytesMax) {
    fault = {"invalid_field", absl::StrCat("field ", Quoted(text), " is longer than ", kFieldBytesMax, " bytes")};
    return false;
  }
  const std::string rest(dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1));
  if (field.root() == v1::FieldRef::BODY) {
    for (absl::string_view part : absl::StrSplit(rest, '.')) field.add_path(std::string(part));
  } else {
    field.add_path(field.root() == v1::FieldRef::HEADERS ? absl::AsciiStrToLower(rest) : rest);
  }
  if (const std::string problem = FieldRefProblem(field); !problem.empty()) {
    fault = {"invalid_field", absl::StrCat("field ", Quoted(text), " ", problem)};
    return false;
  }
  return true;
}

std::string FieldRefProblem(const v1::FieldRef& field) {
  if (RootName(field.root()).empty()) return "has no root";
  if (field.path().empty()) return "names nothing";
  if (field.root() != v1::FieldRef::BODY && field.path_size() != 1) return "names more than one key";
  if (field.path_size() > kBodyPathMax) return absl::StrCat("is more than ", kBodyPathMax, " names deep");
  for (const std::string& part : field.path()) {
    if (part.empty()) return "has an empty name";
  }
  return "";
}

std::string FieldRefText(const v1::FieldRef& field) {
  return absl::StrCat(std::string(RootName(field.root())), ".", absl::StrJoin(field.path(), "."));
}

}  // namespace signalbox
