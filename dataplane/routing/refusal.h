// Why the gateway itself answers a request with an error. docs/errors.md lists the codes.
#pragma once

#include <string>
#include <utility>

namespace signalbox {

// Not an aggregate: GCC 12 destroys brace-initialised aggregate temporaries of a co_await expression twice.
struct Refusal {
  Refusal(int status, std::string code, std::string message, std::string param = "", int retry_after_s = 0)
      : status(status),
        code(std::move(code)),
        message(std::move(message)),
        param(std::move(param)),
        retry_after_s(retry_after_s) {}

  int status = 400;
  std::string code;
  std::string message;
  std::string param;
  int retry_after_s = 0;  // > 0: sent as retry-after
};

}  // namespace signalbox
