#include "controlplane/quota/counter_key.h"

#include <cmath>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/limits.h"

namespace signalbox {
namespace {

// Every counter of every acquire is written down: straight into room made before, no append at a time.
template <typename T>
void WriteRaw(T value, char*& out) {
  std::memcpy(out, &value, sizeof(T));
  out += sizeof(T);
}

void WriteText(const std::string& text, char*& out) {
  WriteRaw(static_cast<uint32_t>(text.size()), out);
  std::memcpy(out, text.data(), text.size());
  out += text.size();
}

size_t SizeAtMost(const v1::Scalar& value) {
  return sizeof(int32_t) + sizeof(double) + (value.has_string_value() ? value.string_value().size() : 0);
}

void WriteScalar(const v1::Scalar& value, char*& out) {
  WriteRaw(static_cast<int32_t>(value.kind_case()), out);
  switch (value.kind_case()) {
    case v1::Scalar::kBoolValue:
      *out++ = value.bool_value() ? 1 : 0;
      break;
    case v1::Scalar::kNumberValue:
      WriteRaw(value.number_value() + 0.0, out);  // -0 and 0 are one number
      break;
    case v1::Scalar::kStringValue:
      WriteText(value.string_value(), out);
      break;
    case v1::Scalar::kNullValue:
    case v1::Scalar::KIND_NOT_SET:
      break;
  }
}

std::string ScalarFault(const v1::Scalar& value) {
  switch (value.kind_case()) {
    case v1::Scalar::kBoolValue:
      return "";
    case v1::Scalar::kNumberValue:
      return std::isfinite(value.number_value()) ? "" : "the counter's identifier is not a finite number";
    case v1::Scalar::kStringValue:
      if (value.string_value().empty()) return "the counter's identifier is empty";
      if (value.string_value().size() > kIdentifierBytesMax) {
        return absl::StrCat("the counter's identifier is longer than ", kIdentifierBytesMax, " bytes");
      }
      return "";
    case v1::Scalar::kNullValue:
    case v1::Scalar::KIND_NOT_SET:
      break;
  }
  return "the counter has no identifier";
}

std::string WindowFault(const v1::CounterKey& key) {
  if (key.calendar() == v1::CALENDAR_UNSPECIFIED) {
    if (!key.timezone().empty()) return "the counter has a time zone and no calendar window";
    if (key.window_seconds() > 0 && key.window_seconds() <= kWindowSecondsMax) return "";
    return absl::StrCat("the counter's window of ", key.window_seconds(), " s is not between 1 and ",
                        kWindowSecondsMax);
  }
  if (key.calendar() != v1::DAY && key.calendar() != v1::MONTH) {
    return absl::StrCat("the counter's calendar ", static_cast<int>(key.calendar()),
                        " is not known to this quota service");
  }
  if (key.window_seconds() != 0) return "the counter has a calendar window and a length in seconds";
  if (key.technique() != v1::FIXED) return "the counter's calendar window is not fixed";
  return IsTimezone(key.timezone()) ? "" : "the counter's time zone is not known to this quota service";
}

}  // namespace

void AppendIdentity(const v1::CounterKey& key, std::string& out) {
  constexpr size_t kFixedBytes = 7 * sizeof(int32_t) + sizeof(int64_t);
  size_t bytes = kFixedBytes + key.gateway().size() + key.pool().size() + key.timezone().size();
  for (const v1::Scalar& value : key.identifier()) bytes += SizeAtMost(value);
  const size_t before = out.size();
  out.resize(before + bytes);
  char* end = out.data() + before;
  WriteText(key.gateway(), end);
  WriteText(key.pool(), end);
  WriteRaw(static_cast<int32_t>(key.unit()), end);
  WriteRaw(key.window_seconds(), end);
  WriteRaw(static_cast<int32_t>(key.technique()), end);
  WriteRaw(static_cast<int32_t>(key.calendar()), end);
  WriteText(key.timezone(), end);
  WriteRaw(static_cast<int32_t>(key.identifier_size()), end);
  for (const v1::Scalar& value : key.identifier()) WriteScalar(value, end);
  out.resize(static_cast<size_t>(end - out.data()));
}

std::string KeyFault(const v1::CounterKey& key) {
  if (key.gateway().empty()) return "the counter names no gateway";
  if (key.pool().empty()) return "the counter names no pool";
  if (key.gateway().size() > kIdentifierBytesMax || key.pool().size() > kIdentifierBytesMax) {
    return absl::StrCat("the counter's gateway or pool is longer than ", kIdentifierBytesMax, " bytes");
  }
  if (key.unit() != v1::REQUESTS && key.unit() != v1::NANO_DOLLARS && key.unit() != v1::TOKENS) {
    return absl::StrCat("the counter's unit ", static_cast<int>(key.unit()), " is not known to this quota service");
  }
  if (key.technique() != v1::FIXED && key.technique() != v1::SLIDING) {
    return absl::StrCat("the counter's technique ", static_cast<int>(key.technique()),
                        " is not known to this quota service");
  }
  if (std::string fault = WindowFault(key); !fault.empty()) return fault;
  if (key.identifier().empty()) return "the counter has no identifier";
  if (key.identifier_size() > kLimitKeyFieldsMax) {
    return absl::StrCat("the counter's identifier has more than ", kLimitKeyFieldsMax, " values");
  }
  for (const v1::Scalar& value : key.identifier()) {
    if (std::string fault = ScalarFault(value); !fault.empty()) return fault;
  }
  return "";
}

Window WindowOf(const v1::CounterKey& key, int64_t now_us) {
  if (key.calendar() != v1::CALENDAR_UNSPECIFIED) return CalendarWindow(key.calendar(), key.timezone(), now_us);
  const int64_t length_us = key.window_seconds() * 1'000'000;
  const int64_t into = now_us % length_us;
  const int64_t start_us = now_us - (into < 0 ? into + length_us : into);
  return {start_us, start_us + length_us};
}

int64_t WeighsAtMostUs(const v1::CounterKey& key) {
  constexpr int64_t kDayUs = 86'400'000'000;
  if (key.calendar() == v1::DAY) return 2 * kDayUs;  // of 25 hours, where clocks change
  if (key.calendar() == v1::MONTH) return 32 * kDayUs;
  return key.window_seconds() * 1'000'000 * (key.technique() == v1::SLIDING ? 2 : 1);
}

}  // namespace signalbox
