#include "dataplane/request/relay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/header_pairs.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(ForwardedRequestHeaders, CredentialsAndTheGatewaysOwnStay) {
  HeaderFields headers;
  headers.Add("Host", "gateway");
  headers.Add("Authorization", "Bearer sbx_secret");
  headers.Add("cf-aig-authorization", "Bearer sbx_secret");
  headers.Add("cf-aig-metadata", "{}");
  headers.Add("signalbox-metadata", "{}");
  headers.Add("X-Api-Key", "other");
  headers.Add("Cookie", "a=b");
  headers.Add("Connection", "keep-alive, X-Hop");
  headers.Add("X-Hop", "1");
  headers.Add("X-Copy", "my key is sbx_secret, keep it");
  headers.Add("OpenAI-Beta", "assistants=v2");
  headers.Add("X-Trace", "7");
  EXPECT_THAT(testing::HeaderPairs(ForwardedRequestHeaders(headers, "sbx_secret")),
              ElementsAre(Pair("openai-beta", "assistants=v2"), Pair("x-trace", "7")));
}

TEST(ForwardedResponseHeaders, FramingAndCookiesStay) {
  HeaderFields headers;
  headers.Add("Content-Length", "10");
  headers.Add("Transfer-Encoding", "chunked");
  headers.Add("Set-Cookie", "a=b");
  headers.Add("x-request-id", "req_1");
  headers.Add("cf-aig-model", "not theirs to say");
  EXPECT_THAT(testing::HeaderPairs(ForwardedResponseHeaders(headers)), ElementsAre(Pair("x-request-id", "req_1")));
}

TEST(HeaderSafe, NamesOfAuthorsCannotBreakAHeader) {
  EXPECT_EQ(HeaderSafe("start/plan-1"), "start/plan-1");
  EXPECT_EQ(HeaderSafe("a\r\nset-cookie: x; \xc3\xa9"), "a%0D%0Aset-cookie:%20x%3B%20%C3%A9");
}

}  // namespace
}  // namespace signalbox
