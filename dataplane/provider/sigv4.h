// AWS Signature Version 4: what proves to Bedrock who asks. Pure: the clock is passed in; any thread. Reference: the
// IAM guide's "Create a signed AWS API request"; AWS's published test suite is the test.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace signalbox {

struct AwsKeys {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  // of temporary keys; empty: none
};

struct AwsRequest {
  std::string_view method;  // GET
  std::string_view host;    // as the host header has it, with the port where that one has it
  // As they are on the wire: encoded already. The signature encodes the path once more (AWS's rule for every service
  // but S3), so %3A is signed as %253A, while a bare : would be signed as %3A.
  std::string_view path;
  std::string_view query;  // without its ?
  // Signed beside host and the x-amz headers; names in any case.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string_view body;
};

using AwsHeaders = std::vector<std::pair<std::string, std::string>>;
// The headers to add: x-amz-date, x-amz-content-sha256 when `send_body_hash`, x-amz-security-token for temporary keys,
// authorization. `now_s`: Unix seconds; AWS takes a signature for five minutes.
AwsHeaders SignAwsRequest(const AwsKeys& keys, std::string_view region, std::string_view service,
                          const AwsRequest& request, int64_t now_s, bool send_body_hash = true);

// All but unreserved characters as %XX: a model id or ARN as one segment of a path.
std::string EncodePathSegment(std::string_view segment);

}  // namespace signalbox
