#include "dataplane/request/relay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(ForwardedRequestHeaders, CredentialsAndTheGatewaysOwnStay) {
  boost::beast::http::fields headers;
  headers.insert("Host", "gateway");
  headers.insert("Authorization", "Bearer sbx_secret");
  headers.insert("cf-aig-authorization", "Bearer sbx_secret");
  headers.insert("cf-aig-metadata", "{}");
  headers.insert("signalbox-metadata", "{}");
  headers.insert("X-Api-Key", "other");
  headers.insert("Cookie", "a=b");
  headers.insert("Connection", "keep-alive, X-Hop");
  headers.insert("X-Hop", "1");
  headers.insert("X-Copy", "my key is sbx_secret, keep it");
  headers.insert("OpenAI-Beta", "assistants=v2");
  headers.insert("X-Trace", "7");
  EXPECT_THAT(ForwardedRequestHeaders(headers, "sbx_secret"),
              ElementsAre(Pair("openai-beta", "assistants=v2"), Pair("x-trace", "7")));
}

TEST(ForwardedResponseHeaders, FramingAndCookiesStay) {
  boost::beast::http::fields headers;
  headers.insert("Content-Length", "10");
  headers.insert("Transfer-Encoding", "chunked");
  headers.insert("Set-Cookie", "a=b");
  headers.insert("x-request-id", "req_1");
  headers.insert("cf-aig-model", "not theirs to say");
  EXPECT_THAT(ForwardedResponseHeaders(headers), ElementsAre(Pair("x-request-id", "req_1")));
}

TEST(HeaderSafe, NamesOfAuthorsCannotBreakAHeader) {
  EXPECT_EQ(HeaderSafe("start/plan-1"), "start/plan-1");
  EXPECT_EQ(HeaderSafe("a\r\nset-cookie: x; \xc3\xa9"), "a%0D%0Aset-cookie:%20x%3B%20%C3%A9");
}

}  // namespace
}  // namespace signalbox
