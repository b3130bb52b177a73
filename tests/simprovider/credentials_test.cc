#include "tests/simprovider/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/simprovider/aws_signature.h"

namespace signalbox::sim {
namespace {

using testing::HasSubstr;

absl::Status Check(const std::string& path, const HeaderList& headers, const std::string& key = "sk-right") {
  Target target;
  const Format* const format = FormatOf(path, target);
  return CheckCredentials({format->name(), target, "POST", headers, "", key, ""});
}

TEST(Credentials, EachApiTakesItsOwnHeader) {
  EXPECT_TRUE(Check("/v1/chat/completions", {{"Authorization", "Bearer sk-right"}}).ok());
  EXPECT_TRUE(Check("/openai/deployments/d/chat/completions?api-version=1", {{"api-key", "sk-right"}}).ok());
  EXPECT_TRUE(Check("/v1/messages", {{"x-api-key", "sk-right"}, {"anthropic-version", "2023-06-01"}}).ok());
  EXPECT_TRUE(Check("/v1/messages", {{"authorization", "Bearer sk-right"}, {"anthropic-version", "2023-06-01"}}).ok());
  EXPECT_TRUE(Check("/v1beta/models/m:generateContent", {{"x-goog-api-key", "sk-right"}}).ok());
  EXPECT_TRUE(Check("/v1beta/models/m:generateContent?key=sk-right", {}).ok());
  EXPECT_TRUE(Check("/model/m/converse", {{"authorization", "Bearer sk-right"}}).ok());
}

TEST(Credentials, AWrongOneIsRefusedAndTheVersionIsAskedFor) {
  for (const char* path : {"/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings",
                           "/v1beta/models/m:generateContent", "/model/m/converse"}) {
    const absl::Status status = Check(path, {{"authorization", "Bearer sk-wrong"}, {"anthropic-version", "x"}});
    EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated) << path;
  }
  // A key meant for another API does not open this one.
  EXPECT_FALSE(Check("/v1/chat/completions", {{"x-api-key", "sk-right"}, {"api-key", "sk-right"}}).ok());
  const absl::Status unversioned = Check("/v1/messages", {{"x-api-key", "sk-right"}});
  EXPECT_EQ(unversioned.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(unversioned.message()), HasSubstr("anthropic-version"));
}

// Signed by botocore 1.43 for the credentials AKIDEXAMPLE and the secret of AWS's documentation.
SignedRequest Signed() {
  return {"POST",
          "/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse",
          "",
          {{"Host", "bedrock-runtime.us-east-1.amazonaws.com"},
           {"Content-Type", "application/json"},
           {"X-Amz-Date", "20260101T000000Z"},
           {"Authorization",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/bedrock/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date, "
            "Signature=1e85c953e6c2bd3d8bab6f7f92e54243ab231bdc2dc907608b26cd973d49fc79"}},
          R"({"messages":[]})"};
}
constexpr char kSecret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

TEST(AwsSignature, ThatOfTheSecretIsTaken) {
  EXPECT_TRUE(CheckAwsSignature(Signed(), kSecret).ok()) << CheckAwsSignature(Signed(), kSecret);
}

TEST(AwsSignature, AChangedRequestOrAnotherSecretIsRefused) {
  EXPECT_THAT(std::string(CheckAwsSignature(Signed(), "other").message()), HasSubstr("does not match"));
  SignedRequest body = Signed();
  body.body += " ";
  EXPECT_FALSE(CheckAwsSignature(body, kSecret).ok());
  SignedRequest path = Signed();
  path.path += "-stream";
  EXPECT_FALSE(CheckAwsSignature(path, kSecret).ok());
  SignedRequest host = Signed();
  host.headers[0].second = "elsewhere";
  EXPECT_FALSE(CheckAwsSignature(host, kSecret).ok());
}

TEST(AwsSignature, ItsFormIsCheckedWithoutASecretToo) {
  EXPECT_TRUE(ReadAwsCredential(Signed()).ok());
  SignedRequest unsigned_header = Signed();
  unsigned_header.headers.emplace_back("x-amz-security-token", "t");
  EXPECT_THAT(std::string(ReadAwsCredential(unsigned_header).status().message()),
              HasSubstr("'x-amz-security-token' must be a signed header"));
  SignedRequest undated = Signed();
  undated.headers[2].second = "20250101T000000Z";
  EXPECT_THAT(std::string(ReadAwsCredential(undated).status().message()), HasSubstr("x-amz-date"));
}

}  // namespace
}  // namespace signalbox::sim
