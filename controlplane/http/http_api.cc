#include "controlplane/http/http_api.h"

#include <google/protobuf/util/json_util.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <httplib.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/limits.h"
#include "common/loopback.h"
#include "common/seal/seal.h"
#include "common/status_macros.h"
#include "controlplane/api/method_roles.h"
#include "controlplane/http/api_table.h"
#include "controlplane/http/json_error.h"
#include "controlplane/http/json_request.h"
#include "controlplane/http/live_relay.h"
#include "controlplane/http/origin.h"
#include "controlplane/http/sessions.h"
#include "controlplane/http/static_files.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {
namespace {

using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

constexpr size_t kBodyBytesMax = 2 << 20;
// A call of a console takes milliseconds; a live run, of which there are kLiveRunsMax at most, takes minutes.
constexpr int kThreads = 64;
constexpr int kKeepAliveRequestsMax = 100;
constexpr int kKeepAliveSeconds = 12;  // browsers give up what they opened ahead after 10; Stop waits as long for them
constexpr auto kCallTimeout = std::chrono::minutes(10);  // a backup may take that long
constexpr char kJson[] = "application/json";
constexpr char kSessionCookie[] = "signalbox_session";
constexpr char kNoSuchPath[] = "no such path; GET /v1 lists them";

struct HostAndPort {
  std::string host;
  int port = 0;
};

absl::StatusOr<HostAndPort> SplitAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  HostAndPort result;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &result.port) || result.port < 0 ||
      result.port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is no address: give host:port"));
  }
  result.host = address.substr(0, colon);
  if (result.host.size() > 2 && result.host.front() == '[' && result.host.back() == ']') {
    result.host = result.host.substr(1, result.host.size() - 2);
  }
  return result;
}

std::string IndexPage() {
  std::string page =
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Signalbox control plane</title>"
      "<h1>Signalbox control plane</h1>"
      "<p>The API as JSON (proto3 JSON of the gRPC services). Every call carries "
      "<code>Authorization: Bearer &lt;token&gt;</code>, or the cookie of a session (<code>POST /session</code> "
      "with <code>{\"token\"}</code>) and, to change something, its <code>x-csrf-token</code>; GET and DELETE take "
      "further fields in the query, POST "
      "and "
      "PUT in the body.</p><table>";
  for (const ApiMethod& entry : ApiTable()) {
    absl::StrAppend(&page, "<tr><td>", entry.verb, "<td><code>", entry.path, "</code><td>", entry.method);
  }
  return absl::StrCat(page,
                      "</table><p>Also: <code>/healthz</code> <code>/readyz</code> <code>/metrics</code></html>\n");
}

// Who makes a request, and the token that the call is made with.
struct Authenticated {
  std::string token;
  Caller caller;
};

// One of the live runs under way, as long as it exists.
struct LiveSlot {
  explicit LiveSlot(std::atomic<int>& count) : running(count), number(++count) {}
  ~LiveSlot() { --running; }
  LiveSlot(const LiveSlot&) = delete;
  std::atomic<int>& running;
  const int number;
};

std::string PercentEncode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("-._~", std::string(1, c))) {
      encoded.push_back(c);
    } else {
      absl::StrAppend(&encoded, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
  }
  return encoded;
}

class HttplibApi final : public HttpApi {
 public:
  HttplibApi(HttpApiOptions options, std::shared_ptr<grpc::Channel> api, const TokenAuthority& tokens)
      : options_(std::move(options)), stub_(std::move(api)), tokens_(tokens), sessions_(tokens, *options_.clock) {}
  ~HttplibApi() override { Stop(); }

  absl::Status Listen() {
    RETURN_IF_ERROR(CheckListenerIsSafe(options_.address, options_.tls));
    ASSIGN_OR_RETURN(const HostAndPort address, SplitAddress(options_.address));
    if (!options_.console_dir.empty()) {
      ASSIGN_OR_RETURN(console_, StaticFiles::Load(options_.console_dir));
    }
    if (options_.tls.cert.empty()) {
      server_ = std::make_unique<httplib::Server>();
    } else {
      server_ = std::make_unique<httplib::SSLServer>(options_.tls.cert.c_str(), options_.tls.key.c_str());
      if (!server_->is_valid()) {
        return absl::FailedPreconditionError(
            absl::StrCat("cannot use the certificate ", options_.tls.cert, " with the key ", options_.tls.key));
      }
    }
    Configure();
    // httplib's own options share the port with whoever has it (SO_REUSEPORT); a taken port shall be an error.
    server_->set_socket_options([](socket_t socket) {
      const int yes = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
    int port = address.port;
    const bool bound =
        port == 0 ? (port = server_->bind_to_any_port(address.host)) > 0 : server_->bind_to_port(address.host, port);
    if (!bound) {
      return absl::UnavailableError(absl::StrCat("cannot listen on ", options_.address,
                                                 ": the port is taken or the address is not this machine's"));
    }
    address_ = absl::StrCat(options_.address.substr(0, options_.address.rfind(':')), ":", port);
    thread_ = std::thread([this] { server_->listen_after_bind(); });
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }

  void Stop() override {
    if (!thread_.joinable()) return;
    // stop() does nothing before the accept loop runs.
    while (!server_->is_running()) std::this_thread::yield();
    server_->stop();
    thread_.join();
  }

 private:
  void Configure() {
    server_->new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server_->set_payload_max_length(kBodyBytesMax);
    server_->set_keep_alive_max_count(kKeepAliveRequestsMax);
    server_->set_keep_alive_timeout(kKeepAliveSeconds);
    server_->set_read_timeout(std::chrono::seconds(10));
    server_->set_write_timeout(std::chrono::seconds(10));
    server_->set_tcp_nodelay(true);
    server_->set_logger([this](const httplib::Request&, const httplib::Response& response) {
      if (options_.on_response) options_.on_response(response.status);
    });
    server_->set_error_handler([](const httplib::Request& request, httplib::Response& response) {
      // What has a type was answered by us, or by a proxy whose body follows.
      if (response.body.empty() && !response.has_header("Content-Type")) AnswerHttpError(response);
    });
    server_->set_exception_handler([](const httplib::Request&, httplib::Response& response, std::exception_ptr) {
      response.status = 500;
      response.set_content(ErrorJson(500, "internal", "the request could not be handled"), kJson);
    });

    server_->set_post_routing_handler([](const httplib::Request&, httplib::Response& response) {
      for (const auto& [name, value] : SecurityHeaders()) response.set_header(name, value);
      if (!response.has_header("Cache-Control")) response.set_header("Cache-Control", "no-store");
    });

    const auto list = [](const httplib::Request&, httplib::Response& response) {
      response.set_content(IndexPage(), "text/html; charset=utf-8");
    };
    server_->Get("/v1", list);
    if (!console_.has_value()) server_->Get("/", list);
    server_->Get("/healthz", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("ok\n", "text/plain");
    });
    server_->Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
      const absl::Status ready = options_.ready ? options_.ready() : absl::OkStatus();
      response.status = ready.ok() ? 200 : 503;
      response.set_content(ready.ok() ? "ready\n" : absl::StrCat(std::string(ready.message()), "\n"), "text/plain");
    });
    server_->Get("/metrics", [this](const httplib::Request& request, httplib::Response& response) {
      ServeMetrics(request, response);
    });
    server_->Post("/v1/gateways/([^/]+)/live", [this](const httplib::Request& request, httplib::Response& response) {
      ServeLive(request, response);
    });
    const auto call = [this](const httplib::Request& request, httplib::Response& response) {
      Serve(request, response);
    };
    server_->Get("/v1/.*", call).Post("/v1/.*", call).Put("/v1/.*", call).Delete("/v1/.*", call).Patch("/v1/.*", call);
    server_->Post("/session", [this](const httplib::Request& request, httplib::Response& response) {
      StartSession(request, response);
    });
    server_->Get("/session", [this](const httplib::Request& request, httplib::Response& response) {
      ShowSession(request, response);
    });
    server_->Delete("/session", [this](const httplib::Request& request, httplib::Response& response) {
      EndSession(request, response);
    });
    if (console_.has_value()) {
      server_->Get("/.*", [this](const httplib::Request& request, httplib::Response& response) {
        ServeConsole(request, response);
      });
    }
  }

  // ---- The console's files ----

  void ServeConsole(const httplib::Request& request, httplib::Response& response) const {
    const StaticFile* file = console_->Find(request.path);
    if (file == nullptr) {
      // Any other path is a place in the console, except where it looks like something that is not there.
      for (const char* not_a_place : {"/assets/", "/v1/", "/session/", "/healthz/", "/readyz/", "/metrics/"}) {
        if (absl::StartsWith(request.path, not_a_place)) {
          response.status = 404;
          return response.set_content(ErrorJson(404, "not_found", kNoSuchPath), kJson);
        }
      }
      file = &console_->index();
    }
    const bool gzip = !file->gzip.empty() && absl::StrContains(request.get_header_value("Accept-Encoding"), "gzip");
    const std::string etag = gzip ? absl::StrCat(file->etag.substr(0, file->etag.size() - 1), "-gzip\"") : file->etag;
    response.set_header("ETag", etag);
    response.set_header("Vary", "Accept-Encoding");
    response.set_header("Cache-Control", file->immutable ? "public, max-age=31536000, immutable" : "no-cache");
    if (absl::StrContains(request.get_header_value("If-None-Match"), etag)) {
      response.status = 304;
      return;
    }
    if (gzip) response.set_header("Content-Encoding", "gzip");
    // As a provider of known length: httplib compresses what is set as content by itself.
    const std::string& body = gzip ? file->gzip : file->content;
    if (body.empty()) return response.set_content("", file->content_type);
    response.set_content_provider(body.size(), file->content_type,
                                  [&body](size_t offset, size_t length, httplib::DataSink& sink) {
                                    return sink.write(body.data() + offset, length);
                                  });
  }

  // ---- Live runs ----

  struct LiveCall {
    std::string proxy_id;
    std::string body;
    std::string model;
    std::string metadata;  // JSON; empty: none
  };

  static absl::StatusOr<LiveCall> ReadLiveCall(const std::string& text) {
    const auto json = nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("body") || !json["body"].is_object()) {
      return absl::InvalidArgumentError(
          "the body must read {\"body\": {chat completion request}, \"metadata\": {...}, \"proxyId\": \"...\"}");
    }
    LiveCall call;
    for (const auto& [name, value] : json.items()) {
      if (name == "proxyId" && value.is_string()) {
        call.proxy_id = value.get<std::string>();
      } else if (name == "metadata" && (value.is_object() || value.is_null())) {
        if (!value.empty()) call.metadata = value.dump(-1, ' ', /*ensure_ascii=*/true);
      } else if (name != "body") {
        return absl::InvalidArgumentError(
            absl::StrCat("\"", name, "\" is not a field of a live run, or not of its type"));
      }
    }
    const auto& body = json["body"];
    if (body.contains("model") && body["model"].is_string()) call.model = body["model"].get<std::string>();
    call.body = body.dump();
    return call;
  }

  void ServeLive(const httplib::Request& request, httplib::Response& response) {
    const std::optional<Authenticated> who = Authenticate(request, response);
    if (!who.has_value()) return;
    const std::string gateway = request.matches[1];
    const absl::StatusOr<LiveCall> call = ReadLiveCall(request.body);
    v1::AuditEntry entry = EntryOf(who->caller, kLiveRun);
    entry.set_gateway(gateway.substr(0, kNameBytesMax));
    if (call.ok()) entry.set_resource(absl::StrCat("model ", call->model.substr(0, kNameBytesMax)));
    entry.set_summary("live run");
    absl::Status status = CheckRole(who->caller.role, RoleOf(kLiveRun).role);
    if (status.ok()) status = call.status();
    absl::StatusOr<LiveTarget> target = absl::UnavailableError("this control plane makes no live runs");
    if (status.ok() && options_.live) target = options_.live(gateway, call->proxy_id);
    if (status.ok()) status = target.status();
    if (target.ok()) entry.set_summary(absl::StrCat("live run through proxy ", target->proxy_id));
    if (target.ok() && !target->new_key_id.empty()) {
      entry.set_summary(absl::StrCat(entry.summary(), "; made key ", target->new_key_id, " for live runs"));
    }
    if (!status.ok()) entry.set_error(std::string(status.message()));
    const absl::Status written = options_.audit ? options_.audit(entry) : absl::OkStatus();
    if (status.ok()) status = written;
    if (absl::IsUnavailable(status) && written.ok()) {
      response.status = 503;
      return response.set_content(ErrorJson(503, "no_proxy", std::string(status.message())), kJson);
    }
    if (!status.ok()) return Answer(status, response);
    Relay(gateway, *call, *target, response);
  }

  void Relay(const std::string& gateway, const LiveCall& call, const LiveTarget& target, httplib::Response& response) {
    const auto running = std::make_shared<LiveSlot>(live_runs_);
    if (running->number > kLiveRunsMax) {
      return Answer(absl::ResourceExhaustedError(absl::StrCat("there are ", kLiveRunsMax, " live runs already")),
                    response);
    }
    LiveRequest request;
    request.base_url = absl::StrCat(target.tls ? "https://" : "http://", target.address);
    request.path = absl::StrCat("/v1/live/", PercentEncode(gateway), "/compat/chat/completions");
    request.headers = {{"Authorization", absl::StrCat("Bearer ", target.key)}};
    if (!call.metadata.empty()) request.headers.emplace_back("cf-aig-metadata", call.metadata);
    request.body = call.body;
    request.ca_file = options_.proxy_ca;
    request.timeout_ms = kLiveRunMsMax;
    const auto relay = std::make_shared<LiveRelay>(std::move(request));
    const absl::StatusOr<LiveHead> head = relay->Head();
    if (!head.ok()) {
      response.status = 503;
      return response.set_content(ErrorJson(503, "no_proxy", std::string(head.status().message())), kJson);
    }
    response.status = head->status;
    for (const auto& [name, value] : head->headers) response.set_header(name, value);
    response.set_header("signalbox-proxy", target.proxy_id);
    response.set_chunked_content_provider(LiveContentType(head->content_type),
                                          [relay, running](size_t, httplib::DataSink& sink) {
                                            const LiveRelay::Piece piece = relay->Next(std::chrono::milliseconds(100));
                                            if (!piece.bytes.empty())
                                              return sink.write(piece.bytes.data(), piece.bytes.size());
                                            if (!piece.ended) return sink.is_writable();  // whoever asked may have left
                                            if (!piece.whole) return false;
                                            sink.done();
                                            return true;
                                          });
  }

  // A proxy's answer is shown to scripts of the console's origin: only as what such answers are. Without parameters, as
  // httplib compresses, and so holds back, what is not exactly an event stream.
  static const char* LiveContentType(const std::string& type) {
    if (absl::StartsWith(type, "text/event-stream")) return "text/event-stream";
    return absl::StartsWith(type, "application/json") ? kJson : "application/octet-stream";
  }

  // ---- Sessions ----

  static std::string SessionIdOf(const httplib::Request& request) {
    return CookieValue(request.get_header_value("Cookie"), kSessionCookie);
  }

  std::string Cookie(const std::string& id, const char* more) const {
    return absl::StrCat(kSessionCookie, "=", id, "; HttpOnly; SameSite=Strict; Path=/",
                        options_.tls.cert.empty() ? "" : "; Secure", more);
  }

  // A page of another site may neither sign anybody in nor use a session.
  static bool RefusedAsForeign(const httplib::Request& request, httplib::Response& response) {
    const absl::Status status = CheckSameOrigin(request.get_header_value("Sec-Fetch-Site"),
                                                request.get_header_value("Origin"), request.get_header_value("Host"));
    if (status.ok()) return false;
    response.status = 403;
    response.set_content(ErrorJson(403, "csrf", std::string(status.message())), kJson);
    return true;
  }

  static v1::AuditEntry EntryOf(const Caller& caller, std::string_view method) {
    v1::AuditEntry entry;
    entry.set_who(caller.name);
    entry.set_token_id(caller.token_id);
    entry.set_role(RoleName(caller.role));
    entry.set_method(std::string(method));
    return entry;
  }

  absl::Status WriteDown(const Caller& caller, std::string_view method, const std::string& summary) const {
    if (!options_.audit) return absl::OkStatus();
    v1::AuditEntry entry = EntryOf(caller, method);
    entry.set_resource(absl::StrCat("session of ", caller.name));
    entry.set_summary(summary);
    return options_.audit(std::move(entry));
  }

  void StartSession(const httplib::Request& request, httplib::Response& response) {
    if (RefusedAsForeign(request, response)) return;
    const nlohmann::json body = nlohmann::json::parse(request.body, nullptr, /*allow_exceptions=*/false);
    if (!body.is_object() || !body.contains("token") || !body["token"].is_string()) {
      return Answer(absl::InvalidArgumentError("the body must read {\"token\": \"sbt_...\"}"), response);
    }
    const absl::StatusOr<Sessions::Started> started = sessions_.Start(body["token"].get<std::string>());
    if (!started.ok()) return Answer(started.status(), response);
    if (const absl::Status written = WriteDown(started->session.caller, kSessionStart, "signed in to the console");
        !written.ok()) {
      sessions_.End(started->id);
      return Answer(written, response);
    }
    response.set_header("Set-Cookie", Cookie(started->id, ""));
    AnswerSession(started->session, response);
  }

  void ShowSession(const httplib::Request& request, httplib::Response& response) {
    if (RefusedAsForeign(request, response)) return;
    const absl::StatusOr<Sessions::Session> session = sessions_.Find(SessionIdOf(request));
    if (!session.ok()) return Answer(session.status(), response);
    AnswerSession(*session, response);
  }

  void AnswerSession(const Sessions::Session& session, httplib::Response& response) {
    nlohmann::ordered_json body = {{"name", session.caller.name},
                                   {"role", RoleName(session.caller.role)},
                                   {"csrf", session.csrf},
                                   {"gateways", nlohmann::ordered_json::array()}};
    v1::ListGatewaysRequest ask;
    ask.set_page_size(kPageSizeMax);
    v1::ListGatewaysResponse gateways;
    if (const absl::Status status =
            Call(*FindMethod("signalbox.v1.Gateways.ListGateways"), ask, gateways, session.token);
        !status.ok()) {
      return Answer(status, response);
    }
    for (const v1::Gateway& gateway : gateways.gateways()) body["gateways"].push_back(gateway.name());
    response.set_content(body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), kJson);
  }

  void EndSession(const httplib::Request& request, httplib::Response& response) {
    const std::string id = SessionIdOf(request);
    const absl::StatusOr<Sessions::Session> session = sessions_.Find(id);
    if (session.ok()) {
      if (!MayUse(*session, request, response)) return;
      sessions_.End(id);
      if (const absl::Status written = WriteDown(session->caller, kSessionEnd, "signed out of the console");
          !written.ok()) {
        return Answer(written, response);
      }
    }
    response.status = 204;
    response.set_header("Set-Cookie", Cookie("", "; Max-Age=0"));
  }

  // Whether this request may use the session that its cookie names; else it is answered.
  static bool MayUse(const Sessions::Session& session, const httplib::Request& request, httplib::Response& response) {
    if (RefusedAsForeign(request, response)) return false;
    if (request.method == "GET" || request.method == "HEAD" ||
        ConstantTimeEquals(request.get_header_value("x-csrf-token"), session.csrf)) {
      return true;
    }
    response.status = 403;
    response.set_content(
        ErrorJson(403, "csrf", "a session changes something only with the header x-csrf-token; GET /session tells it"),
        kJson);
    return false;
  }

  // Answers that httplib gave by itself.
  static void AnswerHttpError(httplib::Response& response) {
    switch (response.status) {
      case 404:
        return response.set_content(ErrorJson(404, "not_found", kNoSuchPath), kJson);
      case 413:
        return response.set_content(ErrorJson(413, "body_too_large",
                                              absl::StrCat("the body is over ", kBodyBytesMax,
                                                           " bytes, or over 8192 without the header "
                                                           "Content-Type: application/json")),
                                    kJson);
      default:
        return response.set_content(ErrorJson(response.status, "bad_request", "this is not HTTP as it should be"),
                                    kJson);
    }
  }

  static void Answer(const absl::Status& status, httplib::Response& response) {
    response.status = HttpStatusOf(status.code());
    if (response.status == 401) response.set_header("WWW-Authenticate", "Bearer");
    response.set_content(ErrorJson(status, ParamOf(status)), kJson);
  }

  // Whose request it is: of the token it carries, else of its session; what she may do is for the method to say. Empty:
  // nobody's, and it is answered.
  std::optional<Authenticated> Authenticate(const httplib::Request& request, httplib::Response& response) {
    const std::string header = request.get_header_value("Authorization");
    const std::string session_id = SessionIdOf(request);
    if (header.empty() && !session_id.empty()) {
      absl::StatusOr<Sessions::Session> session = sessions_.Find(session_id);
      if (!session.ok()) {
        Answer(session.status(), response);
        return std::nullopt;
      }
      if (!MayUse(*session, request, response)) return std::nullopt;
      return Authenticated{std::move(session->token), std::move(session->caller)};
    }
    if (!absl::StartsWithIgnoreCase(header, "bearer ")) {
      Answer(absl::UnauthenticatedError("no token: send the header Authorization: Bearer <token>"), response);
      return std::nullopt;
    }
    std::string token = header.substr(7);
    absl::StatusOr<Caller> caller = tokens_.Authenticate(token);
    if (!caller.ok()) {
      Answer(caller.status(), response);
      return std::nullopt;
    }
    return Authenticated{std::move(token), *std::move(caller)};
  }

  void ServeMetrics(const httplib::Request& request, httplib::Response& response) {
    if (!IsLoopback(options_.address)) {
      const std::optional<Authenticated> who = Authenticate(request, response);
      if (!who.has_value()) return;
      if (const absl::Status status = CheckRole(who->caller.role, Role::kViewer); !status.ok()) {
        return Answer(status, response);
      }
    }
    response.set_content(options_.metrics ? options_.metrics() : std::string(), "text/plain; version=0.0.4");
  }

  void Serve(const httplib::Request& request, httplib::Response& response) {
    const std::optional<Authenticated> who = Authenticate(request, response);
    if (!who.has_value()) return;
    const size_t question = request.target.find('?');
    const ApiMatch match = MatchApi(request.method == "HEAD" ? "GET" : request.method,
                                    std::string_view(request.target).substr(0, question));
    if (match.method == nullptr && !match.allowed.empty()) {
      const std::string allowed = absl::StrJoin(match.allowed, ", ");
      response.status = 405;
      response.set_header("Allow", allowed);
      return response.set_content(
          ErrorJson(405, "method_not_allowed", absl::StrCat("this path takes ", allowed, ", not ", request.method)),
          kJson);
    }
    if (match.method == nullptr) {
      response.status = 404;
      return response.set_content(ErrorJson(404, "not_found", kNoSuchPath), kJson);
    }
    const std::string query = question == std::string::npos ? "" : request.target.substr(question + 1);
    const absl::StatusOr<std::string> answer = Call(match, query, request.body, who->token);
    if (!answer.ok()) return Answer(answer.status(), response);
    response.set_content(*answer, kJson);
  }

  absl::StatusOr<std::string> Call(const ApiMatch& match, const std::string& query, const std::string& body,
                                   const std::string& token) {
    const MethodDescriptor& method = *FindMethod(match.method->method);
    const bool has_body =
        match.method->verb != std::string_view("GET") && match.method->verb != std::string_view("DELETE");
    if (!has_body && !body.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(match.method->verb, " takes its fields in the query, not in a body"));
    }
    auto* const factory = google::protobuf::MessageFactory::generated_factory();
    const std::unique_ptr<Message> request(factory->GetPrototype(method.input_type())->New());
    const std::unique_ptr<Message> response(factory->GetPrototype(method.output_type())->New());
    ASSIGN_OR_RETURN(const QueryFields query_fields, ParseQuery(query));
    RETURN_IF_ERROR(FillRequest(match.fields, query_fields, body, *request));

    RETURN_IF_ERROR(Call(method, *request, *response, token));
    google::protobuf::util::JsonPrintOptions options;
    options.always_print_primitive_fields = true;
    std::string json;
    const auto printed = google::protobuf::util::MessageToJsonString(*response, &json, options);
    if (!printed.ok()) {
      return absl::InternalError(absl::StrCat(method.full_name(), ": its answer cannot be written as JSON"));
    }
    return json;
  }

  absl::Status Call(const MethodDescriptor& method, const Message& request, Message& response,
                    const std::string& token) {
    grpc::ClientContext context;
    AddToken(context, token);
    context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
    const auto done = std::make_shared<std::promise<grpc::Status>>();
    stub_.UnaryCall(&context, absl::StrCat("/", method.service()->full_name(), "/", method.name()), {}, &request,
                    &response, [done](grpc::Status status) { done->set_value(std::move(status)); });
    return FromGrpcStatus(done->get_future().get());
  }

  const HttpApiOptions options_;
  grpc::TemplatedGenericStub<Message, Message> stub_;
  const TokenAuthority& tokens_;
  Sessions sessions_;
  std::optional<StaticFiles> console_;
  std::atomic<int> live_runs_{0};
  std::unique_ptr<httplib::Server> server_;
  std::string address_;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpApi>> HttpApi::Start(HttpApiOptions options, std::shared_ptr<grpc::Channel> api,
                                                        const TokenAuthority& tokens) {
  auto server = std::make_unique<HttplibApi>(std::move(options), std::move(api), tokens);
  RETURN_IF_ERROR(server->Listen());
  return server;
}

}  // namespace signalbox
