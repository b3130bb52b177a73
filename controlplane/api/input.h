// What operators may send, checked before anything is stored. Errors are INVALID_ARGUMENT and start with the field.
// Pure.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

// INVALID_ARGUMENT `<field>: <what>`.
absl::Status Bad(const std::string& field, const std::string& what);
// Without control characters.
bool IsPrintable(const std::string& text);
// Routes, gateways and providers: [a-z0-9][a-z0-9._-]{0,62}.
absl::Status CheckName(const std::string& field, const std::string& name);
// Free text of at most kNameBytesMax, without control characters.
absl::Status CheckDisplayName(const std::string& field, const std::string& text);
absl::Status CheckComment(const std::string& comment);
absl::Status CheckRouteJsonSize(const std::string& json);
absl::Status CheckPositions(const std::string& positions_json);
absl::Status CheckVersionNumber(const std::string& field, int64_t number);
absl::Status CheckWait(int32_t wait_ms);
// A flat object of at most kMetadataEntriesMax strings, numbers and booleans; or nothing.
absl::Status CheckPinnedMetadata(const std::string& json);
absl::Status CheckExpiry(const google::protobuf::Timestamp& expire_time, int64_t now_us);
absl::Status CheckPrice(const v1::ModelPrice& price);

}  // namespace signalbox
