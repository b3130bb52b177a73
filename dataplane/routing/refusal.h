// Why the gateway itself answers a request with an error. docs/errors.md lists the codes.
#pragma once

#include <string>

namespace signalbox {

struct Refusal {
  int status = 400;
  std::string code;
  std::string message;
  std::string param;
  int retry_after_s = 0;  // > 0: sent as retry-after
};

}  // namespace signalbox
