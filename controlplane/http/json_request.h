// Turns an HTTP request into a method's request message: path and query fields, and the body by proto3's JSON mapping.
// Generic over messages, by their descriptors. Pure; any thread.
#pragma once

#include <google/protobuf/message.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace signalbox {

using QueryFields = std::vector<std::pair<std::string, std::string>>;  // decoded, in order

// "a=1&b=x%20y". INVALID_ARGUMENT for a broken escape.
absl::StatusOr<QueryFields> ParseQuery(std::string_view query);

// Fills `message`. A field of the path wins over an absent one in the body; two that differ are INVALID_ARGUMENT, as
// are unknown fields, values of the wrong type and text that is no JSON object. ParamOf(status) names the field.
absl::Status FillRequest(const std::map<std::string, std::string>& path_fields, const QueryFields& query_fields,
                         std::string_view body, google::protobuf::Message& message);

// The request's field that a status is about; empty: none.
std::string ParamOf(const absl::Status& status);

}  // namespace signalbox
