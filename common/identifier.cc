#include "common/identifier.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace signalbox {

std::string IdentifierText(const v1::Scalar& value) {
  switch (value.kind_case()) {
    case v1::Scalar::kStringValue:
      return value.string_value();
    case v1::Scalar::kNumberValue: {
      const double number = value.number_value();
      if (number == std::floor(number) && std::abs(number) < 9007199254740992.0) {
        return absl::StrCat(static_cast<int64_t>(number));
      }
      return absl::StrFormat("%.17g", number);
    }
    case v1::Scalar::kBoolValue:
      return value.bool_value() ? "true" : "false";
    default:
      return "null";
  }
}

std::string IdentifierText(const Identifier& identifier) {
  if (identifier.size() == 1) return IdentifierText(identifier[0]);
  nlohmann::json values = nlohmann::json::array();
  for (const v1::Scalar& value : identifier) {
    if (value.has_string_value()) {
      values.push_back(value.string_value());
    } else if (value.has_bool_value()) {
      values.push_back(value.bool_value());
    } else {
      values.push_back(nlohmann::json::parse(IdentifierText(value), nullptr, false));
    }
  }
  return values.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool SameIdentifier(const Identifier& a, const Identifier& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const v1::Scalar& left, const v1::Scalar& right) {
    return left.SerializeAsString() == right.SerializeAsString();
  });
}

}  // namespace signalbox
