#include "controlplane/quota/counter_key.h"

#include <cmath>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/limits.h"

namespace signalbox {
namespace {

template <typename T>
void AppendRaw(T value, std::string& out) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void AppendText(const std::string& text, std::string& out) {
  AppendRaw(static_cast<uint32_t>(text.size()), out);
  out += text;
}

}  // namespace

void AppendIdentity(const v1::CounterKey& key, std::string& out) {
  AppendText(key.gateway(), out);
  AppendText(key.pool(), out);
  AppendRaw(static_cast<int32_t>(key.unit()), out);
  AppendRaw(key.window_seconds(), out);
  AppendRaw(static_cast<int32_t>(key.technique()), out);
  const v1::Scalar& identifier = key.identifier();
  AppendRaw(static_cast<int32_t>(identifier.kind_case()), out);
  switch (identifier.kind_case()) {
    case v1::Scalar::kBoolValue:
      out.push_back(identifier.bool_value() ? 1 : 0);
      break;
    case v1::Scalar::kNumberValue:
      AppendRaw(identifier.number_value() + 0.0, out);  // -0 and 0 are one number
      break;
    case v1::Scalar::kStringValue:
      AppendText(identifier.string_value(), out);
      break;
    case v1::Scalar::kNullValue:
    case v1::Scalar::KIND_NOT_SET:
      break;
  }
}

std::string KeyFault(const v1::CounterKey& key) {
  if (key.gateway().empty()) return "the counter names no gateway";
  if (key.pool().empty()) return "the counter names no pool";
  if (key.gateway().size() > kIdentifierBytesMax || key.pool().size() > kIdentifierBytesMax) {
    return absl::StrCat("the counter's gateway or pool is longer than ", kIdentifierBytesMax, " bytes");
  }
  if (key.unit() != v1::REQUESTS && key.unit() != v1::NANO_DOLLARS) {
    return absl::StrCat("the counter's unit ", static_cast<int>(key.unit()), " is not known to this quota service");
  }
  if (key.technique() != v1::FIXED) {
    return absl::StrCat("the counter's technique ", static_cast<int>(key.technique()),
                        " is not known to this quota service");
  }
  if (key.window_seconds() <= 0 || key.window_seconds() > kWindowSecondsMax) {
    return absl::StrCat("the counter's window of ", key.window_seconds(), " s is not between 1 and ",
                        kWindowSecondsMax);
  }
  const v1::Scalar& identifier = key.identifier();
  switch (identifier.kind_case()) {
    case v1::Scalar::kBoolValue:
      return "";
    case v1::Scalar::kNumberValue:
      return std::isfinite(identifier.number_value()) ? "" : "the counter's identifier is not a finite number";
    case v1::Scalar::kStringValue:
      if (identifier.string_value().empty()) return "the counter's identifier is empty";
      if (identifier.string_value().size() > kIdentifierBytesMax) {
        return absl::StrCat("the counter's identifier is longer than ", kIdentifierBytesMax, " bytes");
      }
      return "";
    case v1::Scalar::kNullValue:
    case v1::Scalar::KIND_NOT_SET:
      break;
  }
  return "the counter has no identifier";
}

}  // namespace signalbox
