#include "controlplane/http/json_error.h"

#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "common/faults.h"

namespace signalbox {
namespace {

using Json = nlohmann::ordered_json;

std::string TypeOf(int http_status) {
  if (http_status == 401) return "authentication_error";
  if (http_status == 403) return "permission_error";
  if (http_status == 429) return "rate_limit_error";
  return http_status < 500 ? "invalid_request_error" : "server_error";
}

Json Error(int http_status, const std::string& code, const std::string& message, const std::string& param) {
  return {{"error",
           {{"message", message},
            {"type", TypeOf(http_status)},
            {"code", code},
            {"param", param.empty() ? Json(nullptr) : Json(param)}}}};
}

// A message may quote bytes of a peer that are no UTF-8.
std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

int HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kFailedPrecondition:
      return 412;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kCancelled:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

std::string ErrorJson(const absl::Status& status, const std::string& param) {
  Json json = Error(HttpStatusOf(status.code()), absl::AsciiStrToLower(absl::StatusCodeToString(status.code())),
                    std::string(status.message()), param);
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  for (const v1::Fault& fault : FaultsOf(status)) {
    std::string text;
    if (!google::protobuf::util::MessageToJsonString(fault, &text, options).ok()) continue;  // only for bad UTF-8
    json["faults"].push_back(Json::parse(text, nullptr, /*allow_exceptions=*/false));
  }
  return Dump(json);
}

std::string ErrorJson(int http_status, const std::string& code, const std::string& message) {
  return Dump(Error(http_status, code, message, ""));
}

}  // namespace signalbox
