#include "controlplane/prices/genai_match.h"

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/price_table.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

using Json = nlohmann::json;

absl::StatusOr<v1::ModelMatch> Read(const Json& match, int depth) {
  if (depth > kModelMatchDepthMax) return absl::InvalidArgumentError("is too deep");
  if (!match.is_object() || match.size() != 1) {
    return absl::InvalidArgumentError("must be an object with one kind of match");
  }
  const std::string& kind = match.begin().key();
  const Json& value = match.begin().value();
  v1::ModelMatch result;
  if (kind == "or" || kind == "and") {
    if (!value.is_array()) return absl::InvalidArgumentError(absl::StrCat("has \"", kind, "\" without a list"));
    v1::ModelMatch::List& list = kind == "or" ? *result.mutable_any() : *result.mutable_all();
    for (const Json& child : value) {
      ASSIGN_OR_RETURN(*list.add_matches(), Read(child, depth + 1));
    }
    return result;
  }
  if (!value.is_string()) return absl::InvalidArgumentError(absl::StrCat("has \"", kind, "\" without text"));
  const auto& text = value.get_ref<const std::string&>();
  if (kind == "equals") {
    result.set_equals(text);
  } else if (kind == "starts_with") {
    result.set_starts_with(text);
  } else if (kind == "ends_with") {
    result.set_ends_with(text);
  } else if (kind == "contains") {
    result.set_contains(text);
  } else if (kind == "regex") {
    result.set_regex(text);
  } else {
    return absl::InvalidArgumentError(absl::StrCat("has the unknown kind \"", kind, "\""));
  }
  return result;
}

}  // namespace

absl::StatusOr<v1::ModelMatch> ReadGenaiMatch(const Json& match) { return Read(match, 0); }

}  // namespace signalbox
