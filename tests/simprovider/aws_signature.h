// Checks an AWS Signature Version 4, by code of its own: from the request as received, not from how it was made. Pure.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "tests/simprovider/format.h"

namespace signalbox::sim {

struct SignedRequest {
  std::string method;
  std::string path;   // as on the wire
  std::string query;  // as on the wire
  HeaderList headers;
  std::string body;
};

// What an authorization header of SigV4 says.
struct AwsCredential {
  std::string access_key, date, region, service;
  std::string signed_headers;  // a;b;c
  std::string signature;
};
// UNAUTHENTICATED with what is wrong: another scheme, a scope that is none, a header that must be signed and is not.
absl::StatusOr<AwsCredential> ReadAwsCredential(const SignedRequest& request);

// UNAUTHENTICATED unless the signature is that of `secret`; the sentence has the canonical request, as AWS's has.
absl::Status CheckAwsSignature(const SignedRequest& request, std::string_view secret);

}  // namespace signalbox::sim
