// Reading a request's JSON in the simulated provider: small questions that every format asks. Pure.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace signalbox::sim {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

inline absl::Status Invalid(std::string_view message) { return absl::InvalidArgumentError(std::string(message)); }

// Null when `object` is none, has no such key, or null there.
inline const Json* Find(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

inline bool IsString(const Json& object, const char* key) {
  const Json* const found = Find(object, key);
  return found != nullptr && found->is_string();
}

// "" when there is no such string.
inline std::string TextOf(const Json& object, const char* key) {
  return IsString(object, key) ? object[key].get<std::string>() : "";
}

inline bool IsTrue(const Json& object, const char* key) {
  const Json* const found = Find(object, key);
  return found != nullptr && *found == true;
}

// The first key of `object` that is not among `known`; empty: none.
inline std::string UnknownKey(const Json& object, std::initializer_list<std::string_view> known) {
  if (!object.is_object()) return "";
  for (const auto& [key, value] : object.items()) {
    bool found = false;
    for (const std::string_view name : known) found = found || name == key;
    if (!found) return key;
  }
  return "";
}

// An integer of at least 1, `fallback` when absent.
inline absl::StatusOr<int64_t> PositiveOr(const Json& object, const char* key, int64_t fallback) {
  const Json* const found = Find(object, key);
  if (found == nullptr) return fallback;
  if (!found->is_number_integer() || found->get<int64_t>() < 1) {
    return Invalid(absl::StrCat("Invalid value for '", key, "': expected an integer of at least 1."));
  }
  return found->get<int64_t>();
}

inline std::string Dump(const OrderedJson& json) {
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace signalbox::sim
