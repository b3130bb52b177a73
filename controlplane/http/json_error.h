// The one place where a status becomes an HTTP answer: OpenAI's error shape, and the faults beside it. Pure.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace signalbox {

int HttpStatusOf(absl::StatusCode code);

// {"error":{"message","type","code","param"},"faults":[...]}; `faults` only when the status carries some. `param`
// empty: null.
std::string ErrorJson(const absl::Status& status, const std::string& param);

// The same for what never became a status: 404, 405, 413 and broken HTTP.
std::string ErrorJson(int http_status, const std::string& code, const std::string& message);

}  // namespace signalbox
