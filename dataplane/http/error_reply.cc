#include <nlohmann/json.hpp>

#include "dataplane/http/http_server.h"

namespace signalbox {
namespace {

// Peer bytes may be quoted in a message: invalid UTF-8 becomes U+FFFD.
std::string Quoted(std::string_view text) {
  return nlohmann::json(std::string(text)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string_view ErrorType(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 408:
    case 504:
      return "timeout_error";
    case 409:
      return "conflict_error";
    case 429:
      return "rate_limit_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

}  // namespace

HttpReply ErrorReply(int status, std::string_view code, std::string_view message, std::string_view param) {
  HttpReply reply;
  reply.status = status;
  reply.body = "{\"error\":{\"message\":" + Quoted(message) + ",\"type\":" + Quoted(ErrorType(status)) +
               ",\"code\":" + Quoted(code) + ",\"param\":" + (param.empty() ? "null" : Quoted(param)) + "}}";
  return reply;
}

}  // namespace signalbox
