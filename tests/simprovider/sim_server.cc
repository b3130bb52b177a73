#include "tests/simprovider/sim_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/simprovider/answer.h"
#include "tests/simprovider/bill.h"
#include "tests/simprovider/fail_spec.h"
#include "tests/simprovider/journal.h"

namespace signalbox::sim {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;
using Error = boost::system::error_code;
using TlsStream = asio::ssl::stream<tcp::socket>;
using Request = http::request<http::string_body>;

constexpr size_t kHeaderBytesMax = 64 << 10;
constexpr size_t kBodyBytesMax = 64 << 20;
constexpr int kSettingMax = 3'600'000;

auto Redirect(Error& error) { return asio::redirect_error(asio::use_awaitable, error); }

std::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

// Notices that the client goes while an answer is under way: the socket becomes readable, and what can be read is
// its end. Outlives the coroutine, since the wait's handler may run late.
struct ClientWatch {
  explicit ClientWatch(const asio::any_io_executor& executor) : timer(executor) {}
  asio::steady_timer timer;
  bool gone = false;
  bool over = false;
};

void Watch(tcp::socket::lowest_layer_type& socket, bool tls, const std::shared_ptr<ClientWatch>& watch) {
  socket.async_wait(tcp::socket::wait_read, [&socket, tls, watch](const Error& error) {
    if (error || watch->over) return;
    char byte = 0;
    const ssize_t got = recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    // Bytes mean a pipelined request; under TLS they are taken for the goodbye that they nearly always are.
    if (got > 0 && !tls) return;
    watch->gone = true;
    watch->timer.cancel();
  });
}

// Waits; false once the client has gone. `ms` < 0: until it goes.
asio::awaitable<bool> Pause(const std::shared_ptr<ClientWatch>& watch, int ms) {
  if (ms == 0 || watch->gone) co_return !watch->gone;
  if (ms < 0) {
    watch->timer.expires_at(std::chrono::steady_clock::time_point::max());
  } else {
    watch->timer.expires_after(std::chrono::milliseconds(ms));
  }
  Error ignored;  // cancelled when the client goes: `gone` says so
  co_await watch->timer.async_wait(Redirect(ignored));
  co_return !watch->gone;
}

struct Reply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};

Reply ApiError(int status, std::string_view message, std::string_view type, std::string_view code) {
  return {status, "application/json", RenderError(message, type, code)};
}

std::string Head(int status, std::string_view content_type, std::string_view length, bool keep_alive) {
  const boost::beast::string_view reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  return absl::StrCat(
      "HTTP/1.1 ", status, " ", std::string(View(reason)),
      "\r\nServer: simprovider\r\nContent-Type: ", std::string(content_type), "\r\n", std::string(length),
      "\r\nopenai-version: 2020-10-01\r\nConnection: ", keep_alive ? "keep-alive" : "close", "\r\n\r\n");
}

std::string Serialise(const Reply& reply, bool keep_alive) {
  return Head(reply.status, reply.content_type, absl::StrCat("Content-Length: ", reply.body.size()), keep_alive) +
         reply.body;
}

std::string Chunk(std::string_view data) {
  return absl::StrCat(absl::Hex(data.size()), "\r\n", std::string(data), "\r\n");
}

template <typename Stream>
asio::awaitable<bool> Send(Stream& stream, std::string bytes) {
  Error error;
  co_await asio::async_write(stream, asio::buffer(bytes), Redirect(error));
  co_return !error;
}

UsageShown ShownUsage(const Fate& fate) {
  if (fate.failure == Failure::kNoUsage) return UsageShown::kAbsent;
  return fate.failure == Failure::kZeroUsage ? UsageShown::kZero : UsageShown::kTrue;
}

class AsioSimServer : public SimServer {
 public:
  AsioSimServer(asio::io_context& io, SimOptions options, PriceList prices, FailSpec fail)
      : io_(io), options_(std::move(options)), fail_(std::move(fail)), bill_(std::move(prices)), acceptor_(io) {}

  absl::Status Listen() {
    const size_t colon = options_.address.rfind(':');
    int port = 0;
    if (colon == std::string::npos || !absl::SimpleAtoi(options_.address.substr(colon + 1), &port) || port < 0 ||
        port > 65'535) {
      return absl::InvalidArgumentError(absl::StrCat("--address: \"", options_.address, "\" is not host:port"));
    }
    Error error;
    const std::string host = options_.address.substr(0, colon);
    const asio::ip::address ip = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
    if (error) return absl::InvalidArgumentError(absl::StrCat("--address: \"", host, "\" is not an IP address"));
    const tcp::endpoint endpoint(ip, static_cast<unsigned short>(port));
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(4'096, error);
    if (error)
      return absl::UnavailableError(absl::StrCat("cannot listen on ", options_.address, ": ", error.message()));
    if (absl::Status status = LoadTls(); !status.ok()) return status;
    asio::co_spawn(io_, Accept(), asio::detached);
    return absl::OkStatus();
  }

  std::string address() const override {
    Error error;
    const tcp::endpoint endpoint = acceptor_.local_endpoint(error);
    return absl::StrCat(endpoint.address().to_string(), ":", endpoint.port());
  }

 private:
  struct Exchange {
    const Request& request;
    std::shared_ptr<ClientWatch> watch;
    bool keep_alive;
  };

  absl::Status LoadTls() {
    if (options_.tls_cert.empty() && options_.tls_key.empty()) return absl::OkStatus();
    tls_ = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
    Error error;
    tls_->use_certificate_chain_file(options_.tls_cert, error);
    if (error) return absl::InvalidArgumentError(absl::StrCat("--tls_cert: ", error.message()));
    tls_->use_private_key_file(options_.tls_key, asio::ssl::context::pem, error);
    if (error) return absl::InvalidArgumentError(absl::StrCat("--tls_key: ", error.message()));
    return absl::OkStatus();
  }

  asio::awaitable<void> Accept() {
    for (;;) {
      Error error;
      tcp::socket socket = co_await acceptor_.async_accept(Redirect(error));
      if (error == asio::error::operation_aborted) co_return;
      if (error) continue;  // a client that left while it queued
      Error ignored;        // a closed socket shows at its first read
      socket.set_option(tcp::no_delay(true), ignored);
      if (tls_ == nullptr) {
        asio::co_spawn(io_, Serve(std::move(socket)), asio::detached);
      } else {
        asio::co_spawn(io_, Serve(TlsStream(std::move(socket), *tls_)), asio::detached);
      }
    }
  }

  template <typename Stream>
  asio::awaitable<void> Serve(Stream stream) {
    constexpr bool kTls = std::is_same_v<Stream, TlsStream>;
    if constexpr (kTls) {
      Error error;
      co_await stream.async_handshake(asio::ssl::stream_base::server, Redirect(error));
      if (error) co_return;
    }
    ++open_connections_;
    boost::beast::flat_buffer buffer;
    for (bool keep_alive = true; keep_alive;) {
      http::request_parser<http::string_body> parser;
      parser.header_limit(kHeaderBytesMax);
      parser.body_limit(kBodyBytesMax);
      Error error;
      co_await http::async_read(stream, buffer, parser, Redirect(error));
      if (error) break;
      const Request& request = parser.get();
      auto watch = std::make_shared<ClientWatch>(stream.get_executor());
      Watch(stream.lowest_layer(), kTls, watch);
      // Named: GCC 12 destroys an aggregate temporary of a co_await expression twice.
      const Exchange exchange{request, watch, request.keep_alive()};
      keep_alive = co_await Answer(stream, exchange);
      watch->over = true;
      stream.lowest_layer().cancel(error);
    }
    --open_connections_;
    Error ignored;  // the peer may have closed first
    if (resetting_) {
      resetting_ = false;
      stream.lowest_layer().set_option(asio::socket_base::linger(true, 0), ignored);
    }
    stream.lowest_layer().close(ignored);
  }

  // True when the connection may take another request.
  template <typename Stream>
  asio::awaitable<bool> Answer(Stream& stream, const Exchange& exchange) {
    std::string_view path = View(exchange.request.target());
    path = path.substr(0, path.find('?'));
    constexpr std::string_view kChat = "/chat/completions";
    if (path.size() >= kChat.size() && path.substr(path.size() - kChat.size()) == kChat) {
      co_return co_await AnswerChat(stream, exchange);
    }
    const Reply reply = AnswerOperator(exchange.request, path);
    const bool sent = co_await Send(stream, Serialise(reply, exchange.keep_alive));
    co_return sent&& exchange.keep_alive;
  }

  // ---- What tests ask and set ----

  Reply AnswerOperator(const Request& request, std::string_view path) {
    if (request.method() == http::verb::get) {
      if (path == "/bill") return {200, "application/json", bill_.ToJson()};
      if (path == "/connections") return Connections();
      if (path == "/control") return Settings();
      if (path == "/requests/last") return {200, "application/json", journal_.ToJson(CountOf(View(request.target())))};
      if (path == "/requests/last/body") return LastBody();
    }
    if (path == "/control" && request.method() == http::verb::post) return Control(request.body());
    return ApiError(
        404, absl::StrCat("Invalid URL (", std::string(View(request.method_string())), " ", std::string(path), ")"),
        "invalid_request_error", "");
  }

  static size_t CountOf(std::string_view target) {
    const size_t at = target.find("n=");
    uint64_t count = 1;
    if (at == std::string_view::npos) return count;
    const std::string_view digits = target.substr(at + 2);
    return absl::SimpleAtoi(absl::string_view(digits.data(), digits.size()), &count) ? count : 1;
  }

  Reply LastBody() const {
    const ReceivedRequest* newest = journal_.newest();
    if (newest == nullptr) return ApiError(404, "nothing was received yet", "invalid_request_error", "");
    return {200, "application/octet-stream", newest->body};
  }

  Reply Connections() const {
    const nlohmann::ordered_json json = {{"open_connections", open_connections_},
                                         {"open_requests", open_requests_},
                                         {"requests", requests_},
                                         {"closed_by_peer_mid_answer", left_}};
    return {200, "application/json", json.dump()};
  }

  Reply Settings() const {
    const SimSettings& settings = options_.settings;
    const nlohmann::ordered_json json = {{"latency_ms", settings.latency_ms},
                                         {"chunks", settings.chunks},
                                         {"chunk_interval_ms", settings.chunk_interval_ms},
                                         {"fail", settings.fail},
                                         {"seed", settings.seed}};
    return {200, "application/json", json.dump()};
  }

  // Takes the keys of Settings, and "clear_bill": true. All or nothing.
  Reply Control(const std::string& body) {
    const auto wrong = [](std::string_view why) {
      return ApiError(400, why, "invalid_request_error", "invalid_control");
    };
    const nlohmann::json json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return wrong("expected a JSON object");
    SimSettings settings = options_.settings;
    bool clear_bill = false;
    for (const auto& [key, value] : json.items()) {
      int* number = key == "latency_ms"          ? &settings.latency_ms
                    : key == "chunks"            ? &settings.chunks
                    : key == "chunk_interval_ms" ? &settings.chunk_interval_ms
                                                 : nullptr;
      if (number != nullptr && value.is_number_integer() && value >= (key == "chunks" ? 1 : 0) &&
          value <= kSettingMax) {
        *number = value.get<int>();
      } else if (key == "fail" && value.is_string()) {
        settings.fail = value.get<std::string>();
      } else if (key == "seed" && value.is_number_unsigned()) {
        settings.seed = value.get<uint64_t>();
      } else if (key == "clear_bill" && value.is_boolean()) {
        clear_bill = value.get<bool>();
      } else {
        return wrong(absl::StrCat("\"", key, "\" is unknown or its value is of the wrong type or range"));
      }
    }
    if (json.contains("fail") || json.contains("seed")) {
      absl::StatusOr<FailSpec> fail = FailSpec::Parse(settings.fail, settings.seed);
      if (!fail.ok()) return wrong(std::string(fail.status().message()));
      fail_ = *std::move(fail);
    }
    options_.settings = settings;
    if (clear_bill) bill_.Clear();
    return Settings();
  }

  // ---- The API ----

  void Remember(const Request& request) {
    ReceivedRequest received{
        std::string(View(request.method_string())), std::string(View(request.target())), {}, request.body()};
    for (const auto& field : request) {
      received.headers.emplace_back(View(field.name_string()), View(field.value()));
    }
    journal_.Add(std::move(received));
  }

  bool KeyAccepted(const Request& request) const {
    return options_.require_key.empty() ||
           View(request[http::field::authorization]) == absl::StrCat("Bearer ", options_.require_key);
  }

  template <typename Stream>
  asio::awaitable<bool> AnswerChat(Stream& stream, const Exchange& exchange) {
    const Request& request = exchange.request;
    Remember(request);
    ++requests_;
    Reply refusal;
    const absl::StatusOr<ChatRequest> chat = ParseChatRequest(request.body());
    if (request.method() != http::verb::post) {
      refusal = ApiError(405, "Method not allowed", "invalid_request_error", "method_not_allowed");
    } else if (!KeyAccepted(request)) {
      refusal = ApiError(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key");
    } else if (!chat.ok()) {
      refusal = ApiError(400, std::string(chat.status().message()), "invalid_request_error", "");
    }
    UsageShape shape = UsageShape::kOpenAi;
    if (refusal.body.empty() && request.find("x-sim-usage") != request.end()) {
      const absl::StatusOr<UsageShape> named = ParseUsageShape(View(request["x-sim-usage"]));
      if (named.ok()) shape = *named;
      if (!named.ok()) refusal = ApiError(400, std::string(named.status().message()), "invalid_request_error", "");
    }
    absl::StatusOr<FailSpec> own_fail = FailSpec::Parse(View(request["x-sim-fail"]), 1);
    if (refusal.body.empty() && !own_fail.ok()) {
      refusal = ApiError(400, std::string(own_fail.status().message()), "invalid_request_error", "");
    }
    const std::string request_id(View(request["x-client-request-id"]));
    const size_t line = bill_.Open(request_id, chat.ok() ? chat->model : "", chat.ok() && chat->stream);
    if (!refusal.body.empty()) {
      bill_.SetStatus(line, refusal.status);
      const bool sent = co_await Send(stream, Serialise(refusal, exchange.keep_alive));
      bill_.SetCompleted(line, sent);
      co_return sent&& exchange.keep_alive;
    }
    ++open_requests_;
    ChatRequest shaped = *chat;
    shaped.shape = shape;
    FailSpec& fail = request.find("x-sim-fail") != request.end() ? *own_fail : fail_;
    const Fate fate = fail.Next(shaped.model, bill_.CallsOf(request_id));
    const bool kept = co_await AnswerValidChat(stream, exchange, shaped, fate, line);
    --open_requests_;
    co_return kept;
  }

  template <typename Stream>
  asio::awaitable<bool> AnswerValidChat(Stream& stream, const Exchange& exchange, const ChatRequest& chat, Fate fate,
                                        size_t line) {
    const int latency_ms = options_.settings.latency_ms + (fate.failure == Failure::kLatency ? fate.value : 0);
    if (!co_await Pause(exchange.watch, fate.failure == Failure::kHang ? -1 : latency_ms)) {
      ++left_;
      co_return false;
    }
    if (fate.failure == Failure::kReset) {
      resetting_ = true;
      co_return false;
    }
    if (fate.failure == Failure::kStatus) {
      bill_.SetStatus(line, fate.value);
      const Reply reply = ApiError(fate.value, "The simulated provider fails as it was told to.",
                                   fate.value == 429 ? "requests" : "server_error",
                                   fate.value == 429 ? "rate_limit_exceeded" : "server_error");
      co_return co_await Send(stream, Serialise(reply, exchange.keep_alive)) && exchange.keep_alive;
    }
    const sim::Answer answer = Compose(chat);
    if (fate.failure == Failure::kBilledStatus) {
      bill_.SetStatus(line, fate.value);
      bill_.Charge(line, answer.usage);
      bill_.SetTold(line, Readable(chat.shape));
      const Reply reply{fate.value, "application/json", RenderBilledError("It failed after it had worked.", answer)};
      co_return co_await Send(stream, Serialise(reply, exchange.keep_alive)) && exchange.keep_alive;
    }
    bill_.SetStatus(line, 200);
    if (chat.stream) co_return co_await Stream_(stream, exchange, chat, answer, fate, line);
    co_return co_await Unary(stream, exchange, answer, fate, line);
  }

  template <typename Stream>
  asio::awaitable<bool> Unary(Stream& stream, const Exchange& exchange, const sim::Answer& answer, Fate fate,
                              size_t line) {
    Reply reply{200, "application/json", RenderUnary(answer, ShownUsage(fate))};
    if (fate.failure == Failure::kMalformed) reply.body = "{\"id\":\"chatcmpl-broken\",\"choices\":[{";
    // On the bill before the last byte leaves: whoever has the answer finds it there.
    if (fate.failure != Failure::kZeroUsage) bill_.Charge(line, answer.usage);
    std::string bytes = Serialise(reply, exchange.keep_alive);
    const bool stalls = fate.failure == Failure::kStallAfter || fate.failure == Failure::kStallAtEnd;
    const bool at_end = fate.failure == Failure::kCutAtEnd || fate.failure == Failure::kStallAtEnd;
    const bool cut = fate.failure == Failure::kCut || stalls || at_end;
    bill_.SetCompleted(line, !cut);
    bill_.SetTold(line, !cut && fate.failure != Failure::kMalformed && fate.failure != Failure::kNoUsage &&
                            Readable(answer.shape));
    if (cut) bytes.resize(bytes.size() - (at_end ? 1 : reply.body.size() / 2));
    const bool sent = co_await Send(stream, std::move(bytes));
    if (sent && stalls) co_await Pause(exchange.watch, -1);
    if (!sent || exchange.watch->gone) {
      bill_.SetCompleted(line, false);
      if (!cut || exchange.watch->gone) ++left_;
    }
    if (fate.failure == Failure::kResetAfter) resetting_ = true;
    co_return sent && !cut && fate.failure != Failure::kResetAfter && exchange.keep_alive;
  }

  template <typename Stream>
  asio::awaitable<bool> Stream_(Stream& stream, const Exchange& exchange, const ChatRequest& chat,
                                const sim::Answer& answer, Fate fate, size_t line) {
    std::vector<StreamEvent> events = RenderStream(chat, answer, options_.settings.chunks, ShownUsage(fate));
    if (fate.failure == Failure::kMalformed && events.size() > 1) events[1].data = "{\"id\":\"chatcmpl-broken\",\"cho";
    if (!co_await Send(
            stream, Head(200, "text/event-stream; charset=utf-8", "Transfer-Encoding: chunked", exchange.keep_alive))) {
      ++left_;
      co_return false;
    }
    Usage usage = answer.usage;
    for (size_t i = 0; i < events.size(); ++i) {
      const bool stops = static_cast<int>(i) >= fate.value;
      if (fate.failure == Failure::kCut && stops) co_return false;
      if (fate.failure == Failure::kCutAtEnd && i + 1 == events.size()) co_return false;
      if (fate.failure == Failure::kErrorEvent && stops) {
        const std::string error =
            RenderError("The server had an error while processing your request.", "server_error", "server_error");
        co_return co_await Send(stream, Chunk(absl::StrCat("data: ", error, "\n\n")) + "0\r\n\r\n") &&
            exchange.keep_alive;
      }
      const bool stalls = (fate.failure == Failure::kStallAfter && stops) ||
                          (fate.failure == Failure::kStallAtEnd && i + 1 == events.size());
      const int pause_ms = stalls ? -1 : i == 0 ? 0 : options_.settings.chunk_interval_ms;
      if (!co_await Pause(exchange.watch, pause_ms)) {
        ++left_;
        co_return false;
      }
      usage.output = events[i].output_tokens;
      usage.reasoning = std::min(usage.reasoning, usage.output);
      usage.audio_output = std::min(answer.usage.audio_output, usage.output);
      if (events[i].tells) bill_.SetTold(line, true);
      if (fate.failure != Failure::kZeroUsage) bill_.Charge(line, usage);
      const bool last = i + 1 == events.size();
      if (last) bill_.SetCompleted(line, true);
      std::string bytes = Chunk(absl::StrCat("data: ", events[i].data, "\n\n"));
      if (last) bytes += "0\r\n\r\n";
      if (!co_await Send(stream, std::move(bytes))) {
        bill_.SetCompleted(line, false);
        ++left_;
        co_return false;
      }
    }
    if (fate.failure == Failure::kResetAfter) resetting_ = true;
    co_return fate.failure != Failure::kResetAfter&& exchange.keep_alive;
  }

  asio::io_context& io_;
  SimOptions options_;
  FailSpec fail_;
  Bill bill_;
  Journal journal_;
  std::unique_ptr<asio::ssl::context> tls_;
  tcp::acceptor acceptor_;
  int64_t open_connections_ = 0;
  int64_t open_requests_ = 0;
  int64_t requests_ = 0;
  int64_t left_ = 0;
  bool resetting_ = false;  // set and read within one step of one coroutine
};

}  // namespace

absl::StatusOr<std::unique_ptr<SimServer>> NewSimServer(asio::io_context& io, SimOptions options) {
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return absl::InvalidArgumentError("--tls_cert and --tls_key go together");
  }
  const SimSettings& settings = options.settings;
  if (settings.latency_ms < 0 || settings.chunks < 1 || settings.chunk_interval_ms < 0) {
    return absl::InvalidArgumentError("--latency_ms and --chunk_interval_ms are at least 0, --chunks at least 1");
  }
  absl::StatusOr<PriceList> prices = PriceList::Parse(options.prices_json);
  if (!prices.ok()) return prices.status();
  absl::StatusOr<FailSpec> fail = FailSpec::Parse(settings.fail, settings.seed);
  if (!fail.ok()) return fail.status();
  auto server = std::make_unique<AsioSimServer>(io, std::move(options), *std::move(prices), *std::move(fail));
  if (absl::Status status = server->Listen(); !status.ok()) return status;
  return server;
}

}  // namespace signalbox::sim
