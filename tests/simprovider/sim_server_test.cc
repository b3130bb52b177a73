// The server over raw sockets: what stands on the wire, not what a client library makes of it.
#include "tests/simprovider/sim_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/simprovider/default_prices.h"

namespace signalbox::sim {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using nlohmann::json;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// A server on its own thread, with blocking raw clients.
class Running {
 public:
  explicit Running(SimSettings settings = {}, std::string require_key = "")
      : Running(Options(std::move(settings), std::move(require_key))) {}
  explicit Running(SimOptions options) {
    auto server = NewSimServer(io_, std::move(options));
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Running() {
    io_.stop();
    thread_.join();
  }

  tcp::socket Connect() {
    const std::string address = server_->address();
    const size_t colon = address.rfind(':');
    tcp::socket socket(client_io_);
    socket.connect(tcp::endpoint(asio::ip::make_address(address.substr(0, colon)),
                                 static_cast<unsigned short>(std::stoi(address.substr(colon + 1)))));
    return socket;
  }
  // One request on its own connection; everything the server sent until it closed.
  std::string Exchange(const std::string& request) {
    tcp::socket socket = Connect();
    asio::write(socket, asio::buffer(request));
    std::string all;
    boost::system::error_code end;
    asio::read(socket, asio::dynamic_buffer(all), end);
    return all;
  }
  json Get(const std::string& target) {
    const std::string answer =
        Exchange(absl::StrCat("GET ", target, " HTTP/1.1\r\nhost: s\r\nconnection: close\r\n\r\n"));
    return json::parse(answer.substr(answer.find("\r\n\r\n") + 4));
  }

 private:
  static SimOptions Options(SimSettings settings, std::string require_key) {
    SimOptions options;
    options.settings = std::move(settings);
    options.require_key = std::move(require_key);
    options.prices_json = kDefaultPrices;
    return options;
  }
  asio::io_context io_;
  asio::io_context client_io_;
  std::unique_ptr<SimServer> server_;
  std::thread thread_;
};

std::string Post(const std::string& target, const std::string& body, const std::string& headers = "") {
  return absl::StrCat("POST ", target, " HTTP/1.1\r\nhost: s\r\nconnection: close\r\n", headers,
                      "content-length: ", body.size(), "\r\n\r\n", body);
}

constexpr char kBody[] = R"({"model":"gpt-5.1","messages":[{"role":"user","content":"12345678"}],"x":"\u00e9"})";
constexpr char kStream[] =
    R"({"model":"gpt-5.1","messages":[{"role":"user","content":"12345678"}],"stream":true,"stream_options":{"include_usage":true}})";

TEST(SimServer, AnswersBillsAndRemembersEveryByte) {
  Running server;
  const std::string answer =
      server.Exchange(Post("/any/prefix/chat/completions", kBody, "X-Client-Request-Id: r-1\r\n"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  const json usage = json::parse(answer.substr(answer.find("\r\n\r\n") + 4))["usage"];
  const json bill = server.Get("/bill");
  ASSERT_EQ(bill["requests"].size(), 1u);
  EXPECT_EQ(bill["requests"][0]["request_id"], "r-1");
  EXPECT_EQ(bill["requests"][0]["completed"], true);
  EXPECT_EQ(bill["requests"][0]["input"], usage["prompt_tokens"]);
  EXPECT_EQ(bill["total_nanos"], 2 * 1'250 + usage["completion_tokens"].get<int64_t>() * 10'000);
  const json last = server.Get("/requests/last")["requests"][0];
  EXPECT_EQ(last["body"], kBody);
  EXPECT_EQ(last["target"], "/any/prefix/chat/completions");
  EXPECT_THAT(last["headers"].dump(), HasSubstr(R"(["X-Client-Request-Id","r-1"])"));
  EXPECT_THAT(server.Exchange("GET /requests/last/body HTTP/1.1\r\nhost: s\r\nconnection: close\r\n\r\n"),
              EndsWith(absl::StrCat("\r\n\r\n", kBody)));
}

TEST(SimServer, StreamsEventsAndEndsWithDone) {
  Running server;
  const std::string answer = server.Exchange(Post("/v1/chat/completions", kStream));
  EXPECT_THAT(answer, HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_THAT(answer, HasSubstr("text/event-stream"));
  EXPECT_THAT(answer, HasSubstr("\"choices\":[],\"usage\":{\"prompt_tokens\":2"));
  EXPECT_THAT(answer, EndsWith("data: [DONE]\n\n\r\n0\r\n\r\n"));
}

TEST(SimServer, ServesSeveralRequestsOnOneConnection) {
  Running server;
  tcp::socket socket = server.Connect();
  for (int i = 0; i < 3; ++i) {
    asio::write(socket, asio::buffer(std::string("GET /connections HTTP/1.1\r\nhost: s\r\n\r\n")));
    std::string answer;
    asio::read_until(socket, asio::dynamic_buffer(answer), "}");
    EXPECT_THAT(answer, HasSubstr("\"open_connections\":1"));
  }
}

TEST(SimServer, RefusesAWrongKeyInTheProvidersShape) {
  Running server({}, "sk-right");
  const std::string refused =
      server.Exchange(Post("/v1/chat/completions", kBody, "authorization: Bearer sk-wrong\r\n"));
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(refused, HasSubstr(R"("code":"invalid_api_key")"));
  EXPECT_THAT(server.Exchange(Post("/v1/chat/completions", kBody, "authorization: Bearer sk-right\r\n")),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(server.Get("/bill")["requests"][0]["cost_nanos"], 0);
}

constexpr char kMessages[] =
    R"({"model":"claude-haiku-4-5","max_tokens":99,"messages":[{"role":"user","content":"12345678"}]})";
constexpr char kMessagesStream[] =
    R"({"model":"claude-haiku-4-5","max_tokens":99,"stream":true,"messages":[{"role":"user","content":"12345678"}]})";
constexpr char kVersion[] = "anthropic-version: 2023-06-01\r\n";
constexpr char kConverse[] = R"({"messages":[{"role":"user","content":[{"text":"12345678"}]}]})";
constexpr char kGemini[] = R"({"contents":[{"parts":[{"text":"12345678"}]}]})";

TEST(SimServer, BillsEveryFormatAlike) {
  Running server;
  const std::string signature = absl::StrCat(
      "x-amz-date: 20260101T000000Z\r\nauthorization: AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/bedrock/"
      "aws4_request, SignedHeaders=host;x-amz-date, Signature=",
      std::string(64, 'a'), "\r\n");
  EXPECT_THAT(server.Exchange(Post("/v1/messages", kMessages, kVersion)), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(server.Exchange(Post("/v1/responses", R"({"model":"gpt-5.1","input":"12345678"})")),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(server.Exchange(Post("/v1/embeddings", R"({"model":"text-embedding-3-small","input":"12345678"})")),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(server.Exchange(Post("/v1beta/models/gemini-2.5-flash:generateContent", kGemini)),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(
      server.Exchange(Post("/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/converse-stream", kConverse, signature)),
      HasSubstr("Content-Type: application/vnd.amazon.eventstream"));
  const json bill = server.Get("/bill")["requests"];
  ASSERT_EQ(bill.size(), 5u);
  const char* const formats[] = {"messages", "responses", "embeddings", "generate_content", "converse"};
  for (size_t i = 0; i < bill.size(); ++i) {
    EXPECT_EQ(bill[i]["format"], formats[i]);
    EXPECT_EQ(bill[i]["input"], 2);
    EXPECT_TRUE(bill[i]["priced"].get<bool>() && bill[i]["told"].get<bool>() && bill[i]["completed"].get<bool>())
        << bill[i];
    EXPECT_GT(bill[i]["cost_nanos"], 0);
  }
}

TEST(SimServer, FailsInTheFormatsOwnShapeAndSaysWhenToComeBack) {
  Running server({.fail = "first=1:429+retry_after=3,first=1:529+retry_after_ms=40,stream:error_event=2"});
  const std::string limited = server.Exchange(Post("/v1/messages", kMessages, kVersion));
  EXPECT_THAT(limited, StartsWith("HTTP/1.1 429 "));
  EXPECT_THAT(limited, HasSubstr("\r\nretry-after: 3\r\n"));
  EXPECT_THAT(limited, HasSubstr("rate_limit_error"));
  const std::string overloaded = server.Exchange(Post("/v1/messages", kMessages, kVersion));
  EXPECT_THAT(overloaded, HasSubstr("\r\nretry-after-ms: 40\r\n"));
  EXPECT_THAT(overloaded, HasSubstr("overloaded_error"));
  const std::string stream = server.Exchange(Post("/v1/messages", kMessagesStream, kVersion));
  EXPECT_THAT(stream, HasSubstr("event: message_start\n"));
  EXPECT_THAT(stream, HasSubstr("event: error\n"));
  EXPECT_THAT(stream, Not(HasSubstr("message_stop")));
}

TEST(SimServer, RefusesBedrockCallsThatItsSecretDidNotSign) {
  SimOptions options;
  options.prices_json = kDefaultPrices;
  options.aws_secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
  Running server(std::move(options));
  const std::string refused = server.Exchange(Post("/model/m/converse", kConverse));
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(refused, HasSubstr("AccessDeniedException"));
  EXPECT_THAT(refused, HasSubstr("Missing Authentication Token"));
}

TEST(SimServer, ListsItsModelsAndIsUnwellOnlyWhenToldSo) {
  Running server({.fail = "503"});
  EXPECT_THAT(server.Get("/v1/models").dump(), HasSubstr("\"id\":\"gpt-5.1\""));
  EXPECT_THAT(server.Exchange(Post("/control", R"({"fail":"model=/models:503"})")), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(server.Exchange("GET /v1/models HTTP/1.1\r\nhost: s\r\nconnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 503 "));
}

TEST(SimServer, FailsAsToldAndChargesNothingForAnError) {
  Running server({.fail = "first=1:503"});
  EXPECT_THAT(server.Exchange(Post("/v1/chat/completions", kBody)), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(server.Get("/bill")["total_nanos"], 0);
  EXPECT_THAT(server.Exchange(Post("/v1/chat/completions", kBody)), StartsWith("HTTP/1.1 200 "));
}

TEST(SimServer, CutsAStreamWithoutACleanEndAndBillsWhatWasSent) {
  Running server({.fail = "cut=3"});
  const std::string answer = server.Exchange(Post("/v1/chat/completions", kStream));
  EXPECT_THAT(answer, Not(HasSubstr("[DONE]")));
  EXPECT_THAT(answer, Not(EndsWith("0\r\n\r\n")));
  const json line = server.Get("/bill")["requests"][0];
  EXPECT_EQ(line["completed"], false);
  EXPECT_GT(line["cost_nanos"], 0);
}

TEST(SimServer, LeavesUsageOutButBillsIt) {
  Running server({.fail = "no_usage"});
  EXPECT_THAT(server.Exchange(Post("/v1/chat/completions", kBody)), Not(HasSubstr("usage")));
  EXPECT_GT(server.Get("/bill")["total_nanos"], 0);
}

TEST(SimServer, NoticesAClientThatLeavesBeforeTheFirstByte) {
  Running server({.fail = "hang"});
  {
    tcp::socket socket = server.Connect();
    asio::write(socket, asio::buffer(Post("/v1/chat/completions", kBody)));
    while (server.Get("/connections")["open_requests"] != 1) std::this_thread::yield();
  }
  while (server.Get("/connections")["closed_by_peer_mid_answer"] != 1) std::this_thread::yield();
  EXPECT_EQ(server.Get("/connections")["open_requests"], 0);
  EXPECT_EQ(server.Get("/bill")["total_nanos"], 0);
}

TEST(SimServer, BillsAnAbandonedStreamForWhatItHadGenerated) {
  Running server({.fail = "stall_after=3"});
  {
    tcp::socket socket = server.Connect();
    asio::write(socket, asio::buffer(Post("/v1/chat/completions", kStream)));
    std::string seen;
    asio::read_until(socket, asio::dynamic_buffer(seen), "delta\":{\"content\":\"");
  }
  while (server.Get("/connections")["closed_by_peer_mid_answer"] != 1) std::this_thread::yield();
  const json line = server.Get("/bill")["requests"][0];
  EXPECT_EQ(line["completed"], false);
  EXPECT_GT(line["output"], 0);
}

TEST(SimServer, ChangesItsSettingsWhileRunningAllOrNothing) {
  Running server;
  EXPECT_THAT(server.Exchange(Post("/control", R"({"fail":"503","chunks":0})")), StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(server.Get("/control")["fail"], "");
  EXPECT_THAT(server.Exchange(Post("/control", R"({"fail":"503"})")), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(server.Exchange(Post("/v1/chat/completions", kBody)), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(server.Exchange(Post("/control", R"({"fail":"","clear_bill":true})")), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(server.Get("/bill")["requests"].size(), 0u);
}

TEST(SimServer, AnAddressInUseIsNamed) {
  asio::io_context io;
  tcp::acceptor taken(io, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0), /*reuse_addr=*/false);
  SimOptions options;
  options.prices_json = kDefaultPrices;
  options.address = absl::StrCat("127.0.0.1:", taken.local_endpoint().port());
  const auto server = NewSimServer(io, options);
  EXPECT_EQ(server.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(server.status().message()), HasSubstr(options.address));
}

}  // namespace
}  // namespace signalbox::sim
