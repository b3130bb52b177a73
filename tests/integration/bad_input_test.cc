// Everything a client can get wrong: a documented status, an OpenAI-shaped body, honest clients unaffected, no crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/integration/load.h"
#include "tests/testing/eventually.h"
#include "tests/testing/stack.h"

namespace signalbox {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

const json kUser = {{"plan", "free"}, {"email", "honest@example.com"}};
constexpr char kMessages[] = R"("messages":[{"role":"user","content":"hello"}])";

// One stack for all: that it answers honest clients to the end is part of the test.
class BadInput : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    stack_ = new Stack({.proxies = 1});
    stack_->DeployRoute(WalkthroughRoute());
  }
  static void TearDownTestSuite() {
    delete stack_;
    stack_ = nullptr;
  }
  void TearDown() override {
    const HttpAnswer honest = stack_->Chat({.metadata = {{"plan", "paid"}, {"email", "honest@example.com"}}});
    EXPECT_EQ(honest.status, 200) << honest.body;
    EXPECT_TRUE(stack_->proxy(0).process->Running());
  }

  HttpAnswer Post(const std::string& body, Headers headers = {}, const std::string& target = "/v1/chat/completions",
                  const std::string& key = "") {
    headers.emplace_back("authorization", absl::StrCat("Bearer ", key.empty() ? stack_->key() : key));
    return Call(stack_->proxy_address(0), "POST", target, headers, body);
  }
  static void ExpectError(const HttpAnswer& answer, int status, const std::string& code,
                          const std::string& param = "") {
    EXPECT_EQ(answer.status, status) << answer.body;
    const json body = json::parse(answer.body, nullptr, false);
    ASSERT_TRUE(body.is_object() && body.contains("error")) << answer.body;
    EXPECT_EQ(body["error"].value("code", ""), code) << answer.body;
    EXPECT_TRUE(body["error"]["message"].is_string() && !body["error"]["message"].get<std::string>().empty());
    EXPECT_TRUE(body["error"].contains("type"));
    if (!param.empty()) {
      EXPECT_EQ(body["error"]["param"], param) << answer.body;
    }
  }
  static std::string Body(const std::string& more = "", const std::string& route = "my-trillion-dollar-saas") {
    return absl::StrCat("{\"model\":\"dynamic/", route, "\",", more, kMessages, "}");
  }
  static Headers User() { return {{"cf-aig-metadata", kUser.dump()}}; }

  static Stack* stack_;
};
Stack* BadInput::stack_ = nullptr;

TEST_F(BadInput, BrokenJsonIsRefused) {
  for (const char* body : {"{", "", "[]", "null", "{\"model\":\"dynamic/x\",}", "{\"model\":tru}", "{\"a\":1} x"}) {
    ExpectError(Post(body, User()), 400, "invalid_json");
  }
}

TEST_F(BadInput, ADuplicateOrEscapedSecondCapIsRefused) {
  ExpectError(Post(Body("\"max_tokens\":1,\"max_tokens\":100000,"), User()), 400, "duplicate_key", "max_tokens");
  ExpectError(Post(Body("\"max_tokens\":1,\"max\\u005ftokens\":100000,"), User()), 400, "duplicate_key", "max_tokens");
}

TEST_F(BadInput, ValuesOfTheWrongKindAreRefused) {
  ExpectError(Post(Body("\"max_tokens\":\"10\","), User()), 400, "invalid_request", "max_tokens");
  ExpectError(Post(Body("\"n\":0,"), User()), 400, "invalid_request", "n");
  ExpectError(Post(Body("\"stream\":\"yes\","), User()), 400, "invalid_request", "stream");
}

TEST_F(BadInput, BadMetadataIsRefused) {
  for (const char* metadata : {"not json", "[1]", "{\"a\":{\"b\":1}}"}) {
    ExpectError(Post(Body(), {{"cf-aig-metadata", metadata}}), 400, "invalid_metadata");
  }
  ExpectError(Post(Body(), {{"cf-aig-metadata", "{}"}, {"signalbox-metadata", "{}"}}), 400, "invalid_metadata");
}

TEST_F(BadInput, AMissingIdentifierNamesTheField) {
  ExpectError(Post(Body(), {{"cf-aig-metadata", R"({"plan":"free"})"}}), 400, "missing_identifier", "metadata.email");
  ExpectError(Post(Body(), {{"cf-aig-metadata", R"({"plan":"free","email":""})"}}), 400, "missing_identifier",
              "metadata.email");
}

TEST_F(BadInput, AnUnknownRouteOrPathIsNotFound) {
  ExpectError(Post(Body("", "no-such-route"), User()), 404, "route_not_found");
  ExpectError(Post(Body(), User(), "/v1/nonsense"), 404, "unknown_path");
}

TEST_F(BadInput, WrongKeysAreRefused) {
  ExpectError(Post(Body(), User(), "/v1/chat/completions", "sbx_wrong"), 401, "invalid_key");
  ExpectError(Call(stack_->proxy_address(0), "POST", "/v1/chat/completions", User(), Body()), 401, "missing_key");
}

TEST_F(BadInput, AKeyOfAnotherGatewayIsRefused) {
  stack_->Api("POST", "/v1/gateways", {{"name", "other"}});
  const std::string key = stack_->CreateKey(json::object(), "other");
  // The proxy has heard of it once it no longer calls it unknown.
  ASSERT_TRUE(Eventually([&] { return Post(Body(), User(), "/v1/chat/completions", key).status != 401; }));
  ExpectError(Post(Body(), User(), "/v1/chat/completions", key), 403, "wrong_gateway");
}

TEST_F(BadInput, FortyKilobytesOfHeadersAreRefused) {
  RawConnection client(stack_->proxy_address(0));
  client.Send(stack_->ChatBytes({.metadata = kUser}, absl::StrCat("x-long: ", std::string(40 << 10, 'x'), "\r\n")));
  EXPECT_THAT(client.ReadUntil("}}"), StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(client.ReadUntil("}}"), HasSubstr("\"code\":\"headers_too_large\""));
}

TEST_F(BadInput, ThirtyThreeMegabytesOfBodyAreRefusedBeforeTheyAreSent) {
  RawConnection client(stack_->proxy_address(0));
  client.Send(absl::StrCat("POST /v1/chat/completions HTTP/1.1\r\nhost: p\r\nauthorization: Bearer ", stack_->key(),
                           "\r\ncontent-length: ", 33 << 20, "\r\n\r\n{"));
  EXPECT_THAT(client.ReadUntil("}}"), StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(client.ReadUntil("}}"), HasSubstr("\"code\":\"body_too_large\""));
}

TEST_F(BadInput, AmbiguousFramingIsRefusedAndTheConnectionClosed) {
  for (const std::string framing :
       {"content-length: 5\r\ntransfer-encoding: chunked\r\n", "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: -1\r\n", "transfer-encoding: chunked, gzip\r\n"}) {
    RawConnection client(stack_->proxy_address(0));
    client.Send(absl::StrCat("POST /v1/chat/completions HTTP/1.1\r\nhost: p\r\n", framing,
                             "\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"));
    bool closed = false;
    const std::string answer = client.ReadToEnd(&closed);
    EXPECT_TRUE(closed) << framing;
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400")) << framing;
    EXPECT_THAT(answer, HasSubstr("\"code\":\"bad_framing\"")) << framing;
    EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << "what follows was taken for a request: " << answer;
  }
}

TEST_F(BadInput, TwoHundredSlowClientsDoNotKeepHonestOnesWaiting) {
  std::vector<RawConnection> slow;
  for (int i = 0; i < 200; ++i) {
    slow.emplace_back(stack_->proxy_address(0));
    ASSERT_TRUE(slow.back().Send(i % 2 == 0 ? std::string("POST /v1/chat/compl")
                                            : stack_->ChatBytes({.metadata = kUser}).substr(0, 300)));
  }
  const std::vector<HttpAnswer> honest = Parallel(100, 8, [&](int) {
    return stack_->Chat({.metadata = {{"plan", "paid"}, {"email", "honest@example.com"}}});
  });
  for (const HttpAnswer& answer : honest) EXPECT_EQ(answer.status, 200) << answer.body;
}

TEST_F(BadInput, AnUnknownPlainModelIsRefused) {
  const HttpAnswer answer = Post(absl::StrCat("{\"model\":\"\",", kMessages, "}"), User());
  EXPECT_TRUE(answer.status == 400 || answer.status == 404) << answer.status << answer.body;
  EXPECT_TRUE(json::parse(answer.body, nullptr, false).contains("error")) << answer.body;
}

}  // namespace
}  // namespace signalbox
