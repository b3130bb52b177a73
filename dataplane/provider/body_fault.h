// Why a body is refused: read by everything that parses or translates one. Pure.
#pragma once

#include <string>

namespace signalbox {

// The reply's status, code and param (docs/errors.md).
struct BodyFault {
  int status = 400;
  std::string code;  // invalid_json, duplicate_key, invalid_request, unsupported_parameter
  std::string message;
  std::string param;
};

}  // namespace signalbox
