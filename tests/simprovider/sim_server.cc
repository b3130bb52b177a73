#include "tests/simprovider/sim_server.h"

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
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
#include "tests/simprovider/answer.h"
#include "tests/simprovider/bill.h"
#include "tests/simprovider/credentials.h"
#include "tests/simprovider/fail_spec.h"
#include "tests/simprovider/format.h"
#include "tests/simprovider/journal.h"
#include "tests/simprovider/sim_http.h"

namespace signalbox::sim {
namespace {

using tcp = asio::ip::tcp;
using TlsStream = asio::ssl::stream<tcp::socket>;
using Request = http::request<http::string_body>;

constexpr size_t kHeaderBytesMax = 64 << 10;
constexpr size_t kBodyBytesMax = 64 << 20;
constexpr int kSettingMax = 3'600'000;

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
    const std::string_view asked = View(exchange.request.target());
    Target target;
    if (const Format* const format = FormatOf(asked, target); format != nullptr) {
      co_return co_await AnswerApi(stream, exchange, target, *format);
    }
    const std::string_view path = asked.substr(0, asked.find('?'));
    const bool models = path.size() >= kModelsPath.size() &&
                        path.substr(path.size() - kModelsPath.size()) == kModelsPath &&
                        exchange.request.method() == http::verb::get;
    if (models) co_return co_await AnswerModels(stream, exchange, target);
    const Reply reply = AnswerOperator(exchange.request, path);
    const bool sent = co_await Send(stream, Serialise(reply, exchange.keep_alive));
    co_return sent&& exchange.keep_alive;
  }

  // ---- What tests ask and set ----

  Reply AnswerOperator(const Request& request, std::string_view path) {
    if (request.method() == http::verb::get) {
      if (path == "/bill") return {200, "application/json", bill_.ToJson(), {}};
      if (path == "/connections") return Connections();
      if (path == "/control") return Settings();
      if (path == "/requests/last")
        return {200, "application/json", journal_.ToJson(CountOf(View(request.target()))), {}};
      if (path == "/requests/last/body") return LastBody();
    }
    if (path == "/control" && request.method() == http::verb::post) return Control(request.body());
    return OperatorError(
        404, absl::StrCat("Invalid URL (", std::string(View(request.method_string())), " ", std::string(path), ")"),
        "");
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
    if (newest == nullptr) return OperatorError(404, "nothing was received yet", "");
    return {200, "application/octet-stream", newest->body, {}};
  }

  Reply Connections() const {
    const nlohmann::ordered_json json = {{"open_connections", open_connections_},
                                         {"open_requests", open_requests_},
                                         {"requests", requests_},
                                         {"closed_by_peer_mid_answer", left_}};
    return {200, "application/json", json.dump(), {}};
  }

  Reply Settings() const {
    const SimSettings& settings = options_.settings;
    const nlohmann::ordered_json json = {{"latency_ms", settings.latency_ms},
                                         {"chunks", settings.chunks},
                                         {"chunk_interval_ms", settings.chunk_interval_ms},
                                         {"fail", settings.fail},
                                         {"seed", settings.seed}};
    return {200, "application/json", json.dump(), {}};
  }

  // Takes the keys of Settings, and "clear_bill": true. All or nothing.
  Reply Control(const std::string& body) {
    const auto wrong = [](std::string_view why) { return OperatorError(400, why, "invalid_control"); };
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

  static HeaderList HeadersOf(const Request& request) {
    HeaderList headers;
    for (const auto& field : request) headers.emplace_back(View(field.name_string()), View(field.value()));
    return headers;
  }

  void Remember(const Request& request) {
    ReceivedRequest received{
        std::string(View(request.method_string())), std::string(View(request.target())), {}, request.body()};
    received.headers = HeadersOf(request);
    journal_.Add(std::move(received));
  }

  static std::string HeaderOf(const Request& request, std::string_view name) {
    return std::string(View(request[boost::beast::string_view(name.data(), name.size())]));
  }

  // Why this caller may not; OK: it may.
  absl::Status Authorise(const Request& request, const Target& target, const Format& format) const {
    return CheckCredentials({format.name(), target, std::string(View(request.method_string())), HeadersOf(request),
                             request.body(), options_.require_key, options_.aws_secret});
  }

  // What keeps a call from being answered at all: status and sentence; 0: nothing.
  struct Refusal {
    int status = 0;
    std::string why;
  };
  Refusal Examine(const Request& request, const Target& target, const Format& format, absl::StatusOr<Ask>& ask,
                  absl::StatusOr<FailSpec>& own_fail) const {
    if (request.method() != http::verb::post) return {405, "Method not allowed"};
    if (absl::Status status = Authorise(request, target, format); !status.ok()) {
      const bool bad = status.code() == absl::StatusCode::kInvalidArgument;
      return {bad                                                          ? 400
              : options_.aws_secret.empty() || format.name() != "converse" ? 401
                                                                           : 403,
              std::string(status.message())};
    }
    if (!ask.ok()) return {400, std::string(ask.status().message())};
    if (request.find("x-sim-usage") != request.end()) {
      const absl::StatusOr<UsageShape> named = ParseUsageShape(View(request["x-sim-usage"]));
      if (!named.ok()) return {400, std::string(named.status().message())};
      if (format.name() == "chat") ask->shape = *named;
    }
    if (!own_fail.ok()) return {400, std::string(own_fail.status().message())};
    return {};
  }

  Reply ErrorOf(const Format& format, int status, std::string_view why, const Fate& fate = {}) const {
    ErrorReply error = format.Error(status, why, fate.retry_after_ms);
    if (fate.retry_after_ms >= 0) {
      error.headers.emplace_back(fate.in_seconds ? "retry-after" : "retry-after-ms",
                                 absl::StrCat(fate.in_seconds ? fate.retry_after_ms / 1'000 : fate.retry_after_ms));
    }
    return {status, "application/json", std::move(error.body), std::move(error.headers)};
  }

  template <typename Stream>
  asio::awaitable<bool> AnswerApi(Stream& stream, const Exchange& exchange, const Target& target,
                                  const Format& format) {
    const Request& request = exchange.request;
    Remember(request);
    ++requests_;
    absl::StatusOr<Ask> ask = ReadAsk(format, target, request.body());
    absl::StatusOr<FailSpec> own_fail = FailSpec::Parse(View(request["x-sim-fail"]), 1);
    const Refusal refusal = Examine(request, target, format, ask, own_fail);
    const std::string request_id = HeaderOf(request, "x-client-request-id");
    const size_t line =
        bill_.Open(request_id, ask.ok() ? ask->model : "", ask.ok() && ask->stream, std::string(format.name()));
    if (refusal.status != 0) {
      bill_.SetStatus(line, refusal.status);
      const Reply reply = ErrorOf(format, refusal.status, refusal.why);
      const bool sent = co_await Send(stream, Serialise(reply, exchange.keep_alive));
      bill_.SetCompleted(line, sent);
      co_return sent&& exchange.keep_alive;
    }
    ++open_requests_;
    FailSpec& fail = request.find("x-sim-fail") != request.end() ? *own_fail : fail_;
    const Call call{ask->model, bill_.CallsOf(request_id), ask->stream, format.name()};
    const Work work{format, target, *ask, fail.Next(call), line};
    const bool kept = co_await AnswerValid(stream, exchange, work);
    --open_requests_;
    co_return kept;
  }

  // A call that is answered, one way or another.
  struct Work {
    const Format& format;
    const Target& target;
    const Ask& ask;
    Fate fate;
    size_t line;
  };

  template <typename Stream>
  asio::awaitable<bool> AnswerValid(Stream& stream, const Exchange& exchange, const Work& work) {
    const Fate& fate = work.fate;
    const int latency_ms =
        options_.settings.latency_ms + fate.latency_ms + (fate.failure == Failure::kLatency ? fate.value : 0);
    if (!co_await Pause(exchange.watch, fate.failure == Failure::kHang ? -1 : latency_ms)) {
      ++left_;
      co_return false;
    }
    if (fate.failure == Failure::kReset) {
      resetting_ = true;
      co_return false;
    }
    const bool chat = work.format.name() == "chat";
    if (fate.failure == Failure::kStatus || (fate.failure == Failure::kBilledStatus && !chat)) {
      bill_.SetStatus(work.line, fate.value);
      const Reply reply = ErrorOf(work.format, fate.value, "The simulated provider fails as it was told to.", fate);
      co_return co_await Send(stream, Serialise(reply, exchange.keep_alive)) && exchange.keep_alive;
    }
    const sim::Answer answer = Compose(work.ask);
    if (fate.failure == Failure::kBilledStatus) {
      bill_.SetStatus(work.line, fate.value);
      bill_.Charge(work.line, answer.usage);
      bill_.SetTold(work.line, Readable(answer.shape));
      const Reply reply{fate.value, "application/json", BilledChatError("It failed after it had worked.", answer), {}};
      co_return co_await Send(stream, Serialise(reply, exchange.keep_alive)) && exchange.keep_alive;
    }
    bill_.SetStatus(work.line, 200);
    if (work.ask.stream) co_return co_await Stream_(stream, exchange, work, answer);
    co_return co_await Unary(stream, exchange, work, answer);
  }

  template <typename Stream>
  asio::awaitable<bool> Unary(Stream& stream, const Exchange& exchange, const Work& work, const sim::Answer& answer) {
    const Fate& fate = work.fate;
    Reply reply{200, "application/json", work.format.Unary(work.ask, answer, ShownUsage(fate)), {}};
    if (fate.failure == Failure::kMalformed) reply.body.resize(std::min<size_t>(reply.body.size() / 2, 40));
    // On the bill before the last byte leaves: whoever has the answer finds it there.
    if (fate.failure != Failure::kZeroUsage) bill_.Charge(work.line, answer.usage);
    std::string bytes = Serialise(reply, exchange.keep_alive);
    const bool stalls = fate.failure == Failure::kStallAfter || fate.failure == Failure::kStallAtEnd;
    const bool at_end = fate.failure == Failure::kCutAtEnd || fate.failure == Failure::kStallAtEnd;
    const bool cut = fate.failure == Failure::kCut || stalls || at_end;
    bill_.SetCompleted(work.line, !cut);
    bill_.SetTold(work.line, !cut && fate.failure != Failure::kMalformed && fate.failure != Failure::kNoUsage &&
                                 Readable(answer.shape));
    if (cut) bytes.resize(bytes.size() - (at_end ? 1 : reply.body.size() / 2));
    const bool sent = co_await Send(stream, std::move(bytes));
    if (sent && stalls) co_await Pause(exchange.watch, -1);
    if (!sent || exchange.watch->gone) {
      bill_.SetCompleted(work.line, false);
      if (!cut || exchange.watch->gone) ++left_;
    }
    if (fate.failure == Failure::kResetAfter) resetting_ = true;
    co_return sent && !cut && fate.failure != Failure::kResetAfter && exchange.keep_alive;
  }

  void ChargeEvent(const Work& work, const sim::Answer& answer, const StreamEvent& event) {
    Usage usage = answer.usage;
    usage.output = event.output_tokens;
    usage.reasoning = std::min(usage.reasoning, usage.output);
    usage.audio_output = std::min(answer.usage.audio_output, usage.output);
    if (event.tells) bill_.SetTold(work.line, true);
    if (work.fate.failure != Failure::kZeroUsage) bill_.Charge(work.line, usage);
  }

  template <typename Stream>
  asio::awaitable<bool> Stream_(Stream& stream, const Exchange& exchange, const Work& work, const sim::Answer& answer) {
    const Fate& fate = work.fate;
    const Format& format = work.format;
    std::vector<StreamEvent> events = format.Stream(work.ask, answer, options_.settings.chunks, ShownUsage(fate));
    if (fate.failure == Failure::kMalformed && events.size() > 1) {
      events[1].data.resize(std::min<size_t>(events[1].data.size() / 2, 40));
    }
    const std::string head =
        Head(200, format.StreamType(work.target), "Transfer-Encoding: chunked", exchange.keep_alive);
    if (!co_await Send(stream, head)) {
      ++left_;
      co_return false;
    }
    for (size_t i = 0; i < events.size(); ++i) {
      const bool stops = static_cast<int>(i) >= fate.value;
      const bool last = i + 1 == events.size();
      if (fate.failure == Failure::kCut && stops) co_return false;
      if (fate.failure == Failure::kCutAtEnd && last) co_return false;
      if (fate.failure == Failure::kErrorEvent && stops) {
        co_return co_await Send(stream, Chunk(format.ErrorEvent(work.target)) + "0\r\n\r\n") && exchange.keep_alive;
      }
      const bool stalls =
          (fate.failure == Failure::kStallAfter && stops) || (fate.failure == Failure::kStallAtEnd && last);
      const int pause_ms = stalls ? -1 : i == 0 ? 0 : options_.settings.chunk_interval_ms;
      if (!co_await Pause(exchange.watch, pause_ms)) {
        ++left_;
        co_return false;
      }
      ChargeEvent(work, answer, events[i]);
      if (last) bill_.SetCompleted(work.line, true);
      std::string bytes = Chunk(format.Wire(work.target, events[i], i == 0, last));
      if (last) bytes += "0\r\n\r\n";
      if (!co_await Send(stream, std::move(bytes))) {
        bill_.SetCompleted(work.line, false);
        ++left_;
        co_return false;
      }
    }
    if (fate.failure == Failure::kResetAfter) resetting_ = true;
    co_return fate.failure != Failure::kResetAfter&& exchange.keep_alive;
  }

  // GET .../models, which is also what health checks ask; fails as rules for the model "/models" say.
  template <typename Stream>
  asio::awaitable<bool> AnswerModels(Stream& stream, const Exchange& exchange, const Target& target) {
    const Format& format = exchange.request.find("anthropic-version") != exchange.request.end() ? MessagesFormat()
                           : exchange.request.find("x-goog-api-key") != exchange.request.end() ? GenerateContentFormat()
                                                                                               : ChatFormat();
    const Fate fate = fail_.Next(kModelsPath);
    const int latency_ms = fate.latency_ms + (fate.failure == Failure::kLatency ? fate.value : 0);
    if (!co_await Pause(exchange.watch, fate.failure == Failure::kHang ? -1 : latency_ms)) co_return false;
    if (fate.failure == Failure::kReset) {
      resetting_ = true;
      co_return false;
    }
    const absl::Status allowed = Authorise(exchange.request, target, format);
    Reply reply{200, "application/json", ModelsJson(format), {}};
    if (!allowed.ok()) reply = ErrorOf(format, 401, std::string(allowed.message()));
    if (fate.failure == Failure::kStatus)
      reply = ErrorOf(format, fate.value, "The simulated provider is unwell.", fate);
    co_return co_await Send(stream, Serialise(reply, exchange.keep_alive)) && exchange.keep_alive;
  }

  std::string ModelsJson(const Format& format) const {
    const bool google = format.name() == "generate_content";
    OrderedJson list = OrderedJson::array();
    for (const std::string& model : bill_.prices().Models()) {
      if (google) list.push_back({{"name", absl::StrCat("models/", model)}, {"displayName", model}});
      if (!google) list.push_back({{"id", model}, {"object", "model"}, {"created", 0}, {"owned_by", "simprovider"}});
    }
    if (google) return Dump({{"models", std::move(list)}});
    return Dump({{"object", "list"}, {"data", std::move(list)}});
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
