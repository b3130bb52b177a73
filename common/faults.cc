#include "common/faults.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace signalbox {

absl::Status StatusWithFaults(absl::StatusCode code, const std::string& message, const std::vector<v1::Fault>& faults) {
  absl::Status status(code, message);
  if (faults.empty()) return status;
  v1::Faults payload;
  payload.mutable_faults()->Assign(faults.begin(), faults.end());
  status.SetPayload(kFaultsTypeUrl, absl::Cord(payload.SerializeAsString()));
  return status;
}

std::vector<v1::Fault> FaultsOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kFaultsTypeUrl);
  v1::Faults faults;
  if (!payload.has_value() || !faults.ParseFromString(std::string(*payload))) return {};
  return {faults.faults().begin(), faults.faults().end()};
}

std::string FormatFaults(const std::vector<v1::Fault>& faults) {
  std::string text;
  for (const v1::Fault& fault : faults) {
    absl::StrAppend(&text, fault.severity() == v1::SEVERITY_WARNING ? "warning: " : "error: ");
    if (!fault.element_id().empty()) absl::StrAppend(&text, "element \"", fault.element_id(), "\" ");
    absl::StrAppend(&text, "(", fault.path(), "): ", fault.message(), " [", fault.code(), "]\n");
  }
  return text;
}

}  // namespace signalbox
