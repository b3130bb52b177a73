// AWS's published test suite (aws-sig-v4-test-suite): its keys, its moment, the signatures it expects.
#include "dataplane/provider/sigv4.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace signalbox {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

const AwsKeys kKeys{.access_key_id = "AKIDEXAMPLE", .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
constexpr int64_t kMoment = 1'440'938'160;  // 20150830T123600Z

std::map<std::string, std::string> Sign(const AwsRequest& request, const AwsKeys& keys = kKeys) {
  std::map<std::string, std::string> headers;
  for (auto& [name, value] : SignAwsRequest(keys, "us-east-1", "service", request, kMoment, false)) {
    headers[name] = value;
  }
  return headers;
}
std::string Authorization(AwsRequest request) {
  request.host = "example.amazonaws.com";
  return Sign(request)["authorization"];
}

TEST(SigV4, GetVanilla) {
  EXPECT_EQ(Authorization({.method = "GET", .path = "/"}),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
            "SignedHeaders=host;x-amz-date, "
            "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

TEST(SigV4, GetVanillaQueryOrderKeyCase) {
  EXPECT_THAT(Authorization({.method = "GET", .path = "/", .query = "Param2=value2&Param1=value1"}),
              EndsWith("Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"));
}

TEST(SigV4, PostVanilla) {
  EXPECT_THAT(Authorization({.method = "POST", .path = "/"}),
              EndsWith("Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"));
}

TEST(SigV4, PostXWwwFormUrlencoded) {
  EXPECT_THAT(Authorization({.method = "POST",
                             .path = "/",
                             .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                             .body = "Param1=value1"}),
              EndsWith("SignedHeaders=content-type;host;x-amz-date, "
                       "Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"));
}

TEST(SigV4, GetHeaderValueTrimAndDuplicateNames) {
  // The suite's get-header-value-trim.
  EXPECT_THAT(
      Authorization(
          {.method = "GET", .path = "/", .headers = {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}}),
      EndsWith("SignedHeaders=host;my-header1;my-header2;x-amz-date, "
               "Signature=acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"));
  // get-header-key-duplicate: the values in one line, in their order.
  EXPECT_THAT(
      Authorization({.method = "GET",
                     .path = "/",
                     .headers = {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}}}),
      EndsWith("Signature=c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"));
}

TEST(SigV4, GetUtf8AndUnreservedPaths) {
  EXPECT_THAT(Authorization({.method = "GET", .path = "/\xE1\x88\xB4"}),
              EndsWith("Signature=8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"));
  EXPECT_THAT(
      Authorization({.method = "GET", .path = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"}),
      EndsWith("Signature=07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"));
}

TEST(SigV4, GetSpace) {
  EXPECT_THAT(Authorization({.method = "GET", .path = "/example space/"}),
              EndsWith("Signature=652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"));
}

TEST(SigV4, PostStsHeaderBefore) {
  AwsKeys keys = kKeys;
  keys.session_token =
      "AQoDYXdzEPT//////////"
      "wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwth"
      "Ax7mSEI/qkPpKPi/"
      "kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAk"
      "iY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
  const AwsRequest request{.method = "POST", .host = "example.amazonaws.com", .path = "/"};
  const auto headers = Sign(request, keys);
  EXPECT_EQ(headers.at("x-amz-security-token"), keys.session_token);
  EXPECT_THAT(headers.at("authorization"),
              EndsWith("SignedHeaders=host;x-amz-date;x-amz-security-token, "
                       "Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"));
}

TEST(SigV4, AnEncodedModelIdIsEncodedOnceMore) {
  EXPECT_EQ(EncodePathSegment("anthropic.claude-3-5-sonnet-20241022-v2:0"),
            "anthropic.claude-3-5-sonnet-20241022-v2%3A0");
  EXPECT_EQ(EncodePathSegment("arn:aws:bedrock:us-east-1:1:inference-profile/us.x"),
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x");
  // Signed apart: the wire's %3A as %253A, a bare colon as %3A.
  EXPECT_NE(Authorization({.method = "POST", .path = "/model/m-v2%3A0/converse"}),
            Authorization({.method = "POST", .path = "/model/m-v2:0/converse"}));
}

// The same request signed by an independent implementation (Python's hmac and hashlib).
TEST(SigV4, ABedrockCallAsAnotherImplementationSignsIt) {
  const AwsRequest request{.method = "POST",
                           .host = "bedrock-runtime.eu-west-1.amazonaws.com",
                           .path = "/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/converse-stream",
                           .headers = {{"content-type", "application/json"}},
                           .body = R"({"messages":[]})"};
  const AwsHeaders headers = SignAwsRequest(kKeys, "eu-west-1", "bedrock", request, 1'700'000'000);
  ASSERT_EQ(headers.size(), 3u);
  EXPECT_EQ(headers[0], (std::pair<std::string, std::string>("x-amz-date", "20231114T221320Z")));
  EXPECT_EQ(headers[1].first, "x-amz-content-sha256");
  EXPECT_EQ(headers[1].second, "5e4ce7b36ba37b78a5d5f9fd08e6b7b54ba6879d651aa46ec9e1d6fa24ebe30a");
  EXPECT_EQ(headers[2].second,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20231114/eu-west-1/bedrock/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, "
            "Signature=0887d6d7d951d62dda4c259f45be965ac681fe499e5bd6ad74999f20ccaca65f");
}

}  // namespace
}  // namespace signalbox
