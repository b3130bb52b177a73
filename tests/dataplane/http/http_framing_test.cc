// The pure parts: heads and chunked bodies, fed whole and byte by byte.
#include <gtest/gtest.h>

#include <string>

#include "dataplane/http/chunked_body.h"
#include "dataplane/http/http_server.h"
#include "dataplane/http/request_head.h"
#include "dataplane/http/upstream.h"

namespace signalbox {
namespace {

struct Decoded {
  std::string body;
  std::string rest;
  std::string fault;
  bool done = false;
};

Decoded DecodeInPieces(const std::string& wire, size_t piece, bool spaces = false) {
  ChunkedBody decoder(spaces);
  Decoded decoded;
  for (size_t at = 0; at < wire.size(); at += piece) {
    std::string bytes = wire.substr(at, piece);
    const ChunkedBody::Step step = decoder.Decode(bytes.data(), bytes.size());
    decoded.body += bytes.substr(0, step.produced);
    if (decoder.fault() != nullptr) {
      decoded.fault = decoder.fault();
      break;
    }
    if (decoder.done()) {
      decoded.rest = wire.substr(at + step.consumed);
      decoded.done = true;
      break;
    }
  }
  return decoded;
}

TEST(ChunkedBody, SameResultHoweverTheBytesAreCut) {
  const std::string wire = "5\r\nhello\r\n1;name=\"v\"\r\n \r\nB\r\nwide\r\nworld\r\n0\r\nx-trailer: 1\r\n\r\nGET /";
  for (size_t piece = 1; piece <= wire.size(); ++piece) {
    const Decoded decoded = DecodeInPieces(wire, piece);
    EXPECT_TRUE(decoded.done) << piece << " " << decoded.fault;
    EXPECT_EQ(decoded.body, "hello wide\r\nworld");
    EXPECT_EQ(decoded.rest, "GET /");
  }
}

TEST(ChunkedBody, WhatTwoPartiesCouldReadDifferentlyIsAFault) {
  const struct {
    std::string wire, fault;
  } cases[] = {
      {"\r\n", "a chunk size is not a hexadecimal number"},
      {"-1\r\n", "a chunk size is not a hexadecimal number"},
      {"0x5\r\nhello", "a chunk size is not a hexadecimal number"},
      {" 5\r\nhello", "a chunk size is not a hexadecimal number"},
      {"5 \r\nhello", "a chunk size is not a hexadecimal number"},
      {"5\nhello", "a chunk size is not a hexadecimal number"},
      {"5\rhello", "a chunk size line does not end in CRLF"},
      {"5;a\nb\r\nhello", "a chunk extension has a control character"},
      {"5\r\nhello!\r\n", "a chunk is longer than its size says"},
      {"5\r\nhello\r5", "a chunk does not end in CRLF"},
      {"ffffffffffffffff\r\n", "a chunk size has too many digits"},
      {"0\r\nx: 1\ny: 2\r\n\r\n", "a trailer has a control character"},
      {"0\r\n\rx", "the chunked body does not end in CRLF"},
      {"5;" + std::string(20'000, 'x'), "the chunk extensions are too long"},
      {"0\r\nx: " + std::string(20'000, 'x'), "the trailers are too long"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(DecodeInPieces(c.wire, c.wire.size()).fault, c.fault) << c.wire.substr(0, 40);
    EXPECT_EQ(DecodeInPieces(c.wire, 1).fault, c.fault) << c.wire.substr(0, 40);
  }
}

TEST(ChunkedBody, ProvidersMayPadTheSize) {
  const Decoded decoded = DecodeInPieces("5  \r\nhello\r\n0\r\n\r\n", 3, /*spaces=*/true);
  EXPECT_TRUE(decoded.done) << decoded.fault;
  EXPECT_EQ(decoded.body, "hello");
}

TEST(HeadScanner, FindsTheEndHoweverTheBytesCome) {
  const std::string head = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  HeadScanner scanner;
  for (size_t n = 1; n < head.size(); ++n) EXPECT_EQ(scanner.Scan(std::string_view(head).substr(0, n)), 0u);
  EXPECT_EQ(scanner.Scan(head + "rest"), head.size());
  EXPECT_EQ(scanner.fault(), nullptr);
}

TEST(ErrorReply, IsOpenAiShapedAndEscaped) {
  EXPECT_EQ(ErrorReply(400, "invalid_json", "say \"hi\"\n\xff", "model").body,
            "{\"error\":{\"message\":\"say \\\"hi\\\"\\n\xEF\xBF\xBD\",\"type\":\"invalid_request_error\","
            "\"code\":\"invalid_json\",\"param\":\"model\"}}");
  EXPECT_EQ(ErrorReply(429, "limit_exceeded", "m").body,
            "{\"error\":{\"message\":\"m\",\"type\":\"rate_limit_error\",\"code\":\"limit_exceeded\",\"param\":null}}");
  EXPECT_NE(ErrorReply(401, "c", "m").body.find("\"authentication_error\""), std::string::npos);
  EXPECT_NE(ErrorReply(403, "c", "m").body.find("\"permission_error\""), std::string::npos);
  EXPECT_NE(ErrorReply(404, "c", "m").body.find("\"not_found_error\""), std::string::npos);
  EXPECT_NE(ErrorReply(502, "c", "m").body.find("\"api_error\""), std::string::npos);
}

TEST(ParseEndpoint, TakesBaseUrls) {
  const auto plain = ParseEndpoint("http://127.0.0.1:8000/v1/");
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_FALSE(plain->tls);
  EXPECT_EQ(plain->host, "127.0.0.1");
  EXPECT_EQ(plain->port, "8000");
  EXPECT_EQ(plain->path_prefix, "/v1");
  const auto tls = ParseEndpoint("HTTPS://API.OpenAI.com");
  ASSERT_TRUE(tls.ok()) << tls.status();
  EXPECT_TRUE(tls->tls);
  EXPECT_EQ(tls->host, "api.openai.com");
  EXPECT_EQ(tls->port, "443");
  EXPECT_EQ(tls->path_prefix, "");
  const auto v6 = ParseEndpoint("http://[::1]:80");
  ASSERT_TRUE(v6.ok()) << v6.status();
  EXPECT_EQ(v6->host, "::1");
}

TEST(ParseEndpoint, RefusesTheRestBySayingWhy) {
  const struct {
    const char *url, *why;
  } cases[] = {
      {"ftp://x", "does not begin with http:// or https://"},
      {"https://", "has no valid host name"},
      {"https://user@host/", "has no valid host name"},
      {"https://host:0/", "has no valid port"},
      {"https://host:65536", "has no valid port"},
      {"https://host:", "has no valid port"},
      {"https://host:8x", "has no valid port"},
      {"https://[::1", "has no ] after its IPv6 address"},
      {"https://[zz]", "has no IPv6 address between [ and ]"},
      {"https://[::1]x", "has no valid port"},
      {"https://host/v1?x=1", "has a query, a fragment"},
      {"https://host/v 1", "has a query, a fragment"},
  };
  for (const auto& c : cases) {
    const auto endpoint = ParseEndpoint(c.url);
    EXPECT_EQ(endpoint.status().code(), absl::StatusCode::kInvalidArgument) << c.url;
    EXPECT_NE(std::string(endpoint.status().message()).find(c.why), std::string::npos) << endpoint.status();
  }
}

}  // namespace
}  // namespace signalbox
