// Heads read in our own pass, against Beast's parser: what is taken means the same to both.
#include "dataplane/http/request_head.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace signalbox {
namespace {

namespace http = boost::beast::http;

using Fields = std::vector<std::pair<std::string, std::string>>;

// By name, for Beast keeps fields of one name together.
template <typename Message>
Fields FieldsOf(const Message& headers) {
  Fields fields;
  for (const auto& field : headers) {
    std::string name(field.name_string());
    std::transform(name.begin(), name.end(), name.begin(), Lower);
    fields.emplace_back(name, std::string(field.value()));
  }
  std::stable_sort(fields.begin(), fields.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return fields;
}

template <>
Fields FieldsOf(const HeaderFields& headers) {
  Fields fields;
  for (const auto [name, value] : headers) fields.emplace_back(name, value);
  std::stable_sort(fields.begin(), fields.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return fields;
}

template <bool kRequest>
bool BeastTakes(http::parser<kRequest, http::empty_body>& parser, const std::string& head) {
  parser.header_limit(1 << 20);
  parser.body_limit(boost::none);
  parser.eager(false);
  boost::beast::error_code error;
  const size_t consumed = parser.put(boost::asio::buffer(head), error);
  return !error && parser.is_header_done() && consumed == head.size();
}

constexpr const char* kPieces[] = {"\r\n",
                                   "\r",
                                   "\n",
                                   " ",
                                   "\t",
                                   ":",
                                   ",",
                                   "\x7f",
                                   "\x80",
                                   "\x01",
                                   "\r\n ",
                                   "Connection: close\r\n",
                                   "connection: Keep-Alive\r\n",
                                   "Connection: x, close\r\n",
                                   "Connection: a b\r\n",
                                   "Proxy-Connection: close\r\n",
                                   "Upgrade: h2c\r\n",
                                   "Content-Length: 5\r\n",
                                   "Content-Length: 5, 5\r\n",
                                   "content-length: +5\r\n",
                                   "Transfer-Encoding: chunked\r\n",
                                   "Transfer-Encoding: gzip, chunked\r\n",
                                   "transfer-encoding: gzip\r\n",
                                   "X: \r\n",
                                   "X : 1\r\n",
                                   ": 1\r\n",
                                   "x: 1\r\n 2\r\n",
                                   "HTTP/1.0",
                                   "HTTP/2.0",
                                   "204",
                                   "99",
                                   "\r\n\r\n"};

// Pieces put in, taken out and over each other; the head's end is as the callers find it.
std::string Mutated(std::string head, std::mt19937& random) {
  for (int n = static_cast<int>(random() % 4); n > 0; --n) {
    const size_t at = random() % head.size();
    const std::string piece = kPieces[random() % std::size(kPieces)];
    switch (random() % 4) {
      case 0:
        head.insert(at, piece);
        break;
      case 1:
        head.replace(at, std::min(piece.size(), head.size() - at), piece);
        break;
      case 2:
        head.erase(at, random() % 4);
        break;
      default:
        if (const size_t line = head.find("\r\n", at); line != std::string::npos) head.insert(line + 2, piece);
    }
    if (head.empty()) head = "\r\n";
  }
  const size_t end = head.find("\r\n\r\n");
  return end == std::string::npos ? head + "\r\n\r\n" : head.substr(0, end + 4);
}

TEST(ParseRequestHead, WhatIsTakenMeansTheSameToBeast) {
  const std::string heads[] = {
      "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n",
      "GET /x?y=%20 HTTP/1.1\r\nhost: a:80\r\nX-A: 1\r\nx-b:  two words \t\r\nX-A: 3\r\nConnection: keep-alive\r\n\r\n",
      "POST / HTTP/1.0\r\nConnection: keep-alive\r\ncontent-length: 0\r\n\r\n",
      "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close, "
      "te\r\n\r\n"};
  std::mt19937 random(7);
  int taken = 0;
  for (int i = 0; i < 40'000; ++i) {
    const std::string head = Mutated(heads[random() % std::size(heads)], random);
    HeadScanner scanner;
    if (scanner.Scan(head) != head.size()) continue;
    HttpRequest request;
    RequestFraming framing;
    if (ParseRequestHead(head, request, framing).has_value()) continue;
    ++taken;
    http::request_parser<http::empty_body> beast;
    ASSERT_TRUE(BeastTakes(beast, head)) << head;
    EXPECT_EQ(request.method, std::string(beast.get().method_string())) << head;
    EXPECT_EQ(request.target, std::string(beast.get().target())) << head;
    EXPECT_EQ(framing.keep_alive, !framing.http_1_0 && beast.keep_alive()) << head;
    EXPECT_EQ(framing.chunked, beast.chunked()) << head;
    EXPECT_EQ(framing.content_length, beast.content_length().value_or(0)) << head;
    EXPECT_EQ(FieldsOf(request.headers), FieldsOf(beast.get())) << head;
  }
  EXPECT_GT(taken, 10'000);
}

TEST(ParseResponseHead, TakesWhatBeastTakesAndMeansTheSame) {
  const std::string heads[] = {
      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10\r\nx-request-id: 7\r\n\r\n",
      "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\nx:\t1 \r\nX: 2\r\n\r\n",
      "HTTP/1.0 404 Not Found\r\nConnection: close\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n",
      "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\n"};
  std::mt19937 random(11);
  int taken = 0, refused = 0;
  for (int i = 0; i < 40'000; ++i) {
    const std::string head = Mutated(heads[random() % std::size(heads)], random);
    http::response_parser<http::empty_body> beast;
    const bool takes = BeastTakes(beast, head);
    ResponseHead response;
    ASSERT_EQ(ParseResponseHead(head, response).empty(), takes) << head;
    ++(takes ? taken : refused);
    if (!takes) continue;
    EXPECT_EQ(response.status, static_cast<int>(beast.get().result_int())) << head;
    EXPECT_EQ(response.chunked, beast.chunked()) << head;
    EXPECT_EQ(response.encoded, beast.get().count(http::field::transfer_encoding) > 0) << head;
    EXPECT_EQ(response.content_length.has_value(), beast.content_length().has_value()) << head;
    EXPECT_EQ(response.content_length.value_or(0), beast.content_length().value_or(0)) << head;
    EXPECT_EQ(response.http_1_1, beast.get().version() >= 11) << head;
    if (!beast.need_eof()) {
      EXPECT_EQ(response.persistent, beast.keep_alive()) << head;
    }
    EXPECT_EQ(FieldsOf(response.headers), FieldsOf(beast.get())) << head;
  }
  EXPECT_GT(taken, 5'000);
  EXPECT_GT(refused, 5'000);
}

TEST(HeaderFields, AreFoundInWhateverCaseTheyCame) {
  HeaderFields fields;
  fields.Add("X-Plan", "free");
  fields.Add("x-plan", "");
  fields.Add("X-Other", "Kept As It Is");
  EXPECT_EQ(fields.Find("x-PLAN"), "free");
  EXPECT_EQ(fields.Count("X-plan"), 2u);
  EXPECT_EQ(fields.Value("x-other"), "Kept As It Is");
  EXPECT_EQ(fields.Find("x-pla"), std::nullopt);
  EXPECT_EQ(fields.Value("x-pla"), "");
  fields.Set("X-PLAN", "paid");
  EXPECT_EQ(fields.size(), 2u);
  EXPECT_EQ(fields.at(0).name, "x-other");
  EXPECT_EQ(fields.Value("x-plan"), "paid");
  fields.Remove("X-Other");
  EXPECT_EQ(fields.Find("x-other"), std::nullopt);
}

}  // namespace
}  // namespace signalbox
