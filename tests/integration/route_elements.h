// Elements of the routes that the integration tests write.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace signalbox {

inline constexpr int64_t kLongWindowSeconds = 366LL * 86'400;  // no test sees two of them

inline nlohmann::json To(const std::string& id) { return nlohmann::json{{"elementId", id}}; }

// A limit per metadata.user over a window that no test sees the end of, in a pool named for the element; `more`
// properties over these.
inline nlohmann::json UserLimit(const std::string& id, const std::string& type, double limit,
                                const std::string& success, const std::string& fallback = "end",
                                const nlohmann::json& more = nlohmann::json::object()) {
  nlohmann::json properties = {
      {"limitType", type}, {"key", "metadata.user"}, {"limit", limit}, {"window", kLongWindowSeconds}, {"pool", id}};
  properties.update(more);
  return {{"id", id},
          {"type", "rate"},
          {"properties", properties},
          {"outputs", {{"success", To(success)}, {"fallback", To(fallback)}}}};
}

}  // namespace signalbox
