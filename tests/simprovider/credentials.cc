#include "tests/simprovider/credentials.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/match.h"
#include "tests/simprovider/aws_signature.h"

namespace signalbox::sim {
namespace {

std::string HeaderOf(const HeaderList& headers, std::string_view name) {
  for (const auto& [header, value] : headers) {
    if (absl::EqualsIgnoreCase(header, absl::string_view(name.data(), name.size()))) return value;
  }
  return "";
}

}  // namespace

absl::Status CheckCredentials(const Caller& caller) {
  const std::string authorization = HeaderOf(caller.headers, "authorization");
  const std::string bearer = authorization.substr(0, 7) == "Bearer " ? authorization.substr(7) : "";
  const bool any = caller.require_key.empty();
  if (caller.format == "converse") {
    if (!bearer.empty() && (any || bearer == caller.require_key)) return absl::OkStatus();
    const SignedRequest request{caller.method, caller.target.path, caller.target.query, caller.headers, caller.body};
    return caller.aws_secret.empty() ? ReadAwsCredential(request).status()
                                     : CheckAwsSignature(request, caller.aws_secret);
  }
  if (caller.format == "messages") {
    const std::string key = HeaderOf(caller.headers, "x-api-key");
    if (!any && key != caller.require_key && bearer != caller.require_key) {
      return absl::UnauthenticatedError("invalid x-api-key");
    }
    if (HeaderOf(caller.headers, "anthropic-version").empty()) {
      return absl::InvalidArgumentError("anthropic-version: header is required");
    }
    return absl::OkStatus();
  }
  if (any || bearer == caller.require_key) return absl::OkStatus();
  if (caller.format == "generate_content") {
    const bool known = HeaderOf(caller.headers, "x-goog-api-key") == caller.require_key ||
                       QueryValue(caller.target.query, "key") == caller.require_key;
    return known ? absl::OkStatus() : absl::UnauthenticatedError("API key not valid. Please pass a valid API key.");
  }
  const bool azure = caller.target.path.find("/openai/") != std::string::npos;
  if (azure && HeaderOf(caller.headers, "api-key") == caller.require_key) return absl::OkStatus();
  return absl::UnauthenticatedError("Incorrect API key provided.");
}

}  // namespace signalbox::sim
