#include "controlplane/http/http_api.h"

#include <google/protobuf/util/json_util.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <httplib.h>
#include <sys/socket.h>

#include <chrono>
#include <future>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/loopback.h"
#include "common/status_macros.h"
#include "controlplane/http/api_table.h"
#include "controlplane/http/json_error.h"
#include "controlplane/http/json_request.h"

namespace signalbox {
namespace {

using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

constexpr size_t kBodyBytesMax = 2 << 20;
constexpr int kThreads = 16;
constexpr int kKeepAliveRequestsMax = 100;
constexpr int kKeepAliveSeconds = 2;                     // also the longest that Stop waits for an idle connection
constexpr auto kCallTimeout = std::chrono::minutes(10);  // a backup may take that long
constexpr char kJson[] = "application/json";

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
      "<code>Authorization: Bearer &lt;admin token&gt;</code>; GET and DELETE take further fields in the query, POST "
      "and "
      "PUT in the body.</p><table>";
  for (const ApiMethod& entry : ApiTable()) {
    absl::StrAppend(&page, "<tr><td>", entry.verb, "<td><code>", entry.path, "</code><td>", entry.method);
  }
  return absl::StrCat(page,
                      "</table><p>Also: <code>/healthz</code> <code>/readyz</code> <code>/metrics</code></html>\n");
}

class HttplibApi final : public HttpApi {
 public:
  HttplibApi(HttpApiOptions options, std::shared_ptr<grpc::Channel> api, const TokenAuthority& tokens)
      : options_(std::move(options)), stub_(std::move(api)), tokens_(tokens) {}
  ~HttplibApi() override { Stop(); }

  absl::Status Listen() {
    RETURN_IF_ERROR(CheckListenerIsSafe(options_.address, options_.tls));
    ASSIGN_OR_RETURN(const HostAndPort address, SplitAddress(options_.address));
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
      if (response.body.empty()) AnswerHttpError(response);
    });
    server_->set_exception_handler([](const httplib::Request&, httplib::Response& response, std::exception_ptr) {
      response.status = 500;
      response.set_content(ErrorJson(500, "internal", "the request could not be handled"), kJson);
    });

    server_->Get("/", [](const httplib::Request&, httplib::Response& response) {
      response.set_content(IndexPage(), "text/html; charset=utf-8");
    });
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
    const auto call = [this](const httplib::Request& request, httplib::Response& response) {
      Serve(request, response);
    };
    server_->Get("/v1/.*", call).Post("/v1/.*", call).Put("/v1/.*", call).Delete("/v1/.*", call).Patch("/v1/.*", call);
  }

  // Answers that httplib gave by itself.
  static void AnswerHttpError(httplib::Response& response) {
    switch (response.status) {
      case 404:
        return response.set_content(ErrorJson(404, "not_found", "no such path; GET / lists them"), kJson);
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

  // The token of the request, known to be valid; what it may do is for the method to say.
  absl::StatusOr<std::pair<std::string, Caller>> Authenticate(const httplib::Request& request) const {
    const std::string header = request.get_header_value("Authorization");
    if (!absl::StartsWithIgnoreCase(header, "bearer ")) {
      return absl::UnauthenticatedError("no token: send the header Authorization: Bearer <token>");
    }
    std::string token = header.substr(7);
    ASSIGN_OR_RETURN(Caller caller, tokens_.Authenticate(token));
    return std::make_pair(std::move(token), std::move(caller));
  }

  void ServeMetrics(const httplib::Request& request, httplib::Response& response) {
    if (!IsLoopback(options_.address)) {
      const auto caller = Authenticate(request);
      if (!caller.ok()) return Answer(caller.status(), response);
      if (caller->second.role != Role::kAdmin) {
        return Answer(absl::PermissionDeniedError("metrics need an admin token"), response);
      }
    }
    response.set_content(options_.metrics ? options_.metrics() : std::string(), "text/plain; version=0.0.4");
  }

  void Serve(const httplib::Request& request, httplib::Response& response) {
    const auto caller = Authenticate(request);
    if (!caller.ok()) return Answer(caller.status(), response);
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
      return response.set_content(ErrorJson(404, "not_found", "no such path; GET / lists them"), kJson);
    }
    const std::string query = question == std::string::npos ? "" : request.target.substr(question + 1);
    const absl::StatusOr<std::string> answer = Call(match, query, request.body, caller->first);
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

    grpc::ClientContext context;
    AddToken(context, token);
    context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
    const auto done = std::make_shared<std::promise<grpc::Status>>();
    stub_.UnaryCall(&context, absl::StrCat("/", method.service()->full_name(), "/", method.name()), {}, request.get(),
                    response.get(), [done](grpc::Status status) { done->set_value(std::move(status)); });
    RETURN_IF_ERROR(FromGrpcStatus(done->get_future().get()));

    google::protobuf::util::JsonPrintOptions options;
    options.always_print_primitive_fields = true;
    std::string json;
    const auto printed = google::protobuf::util::MessageToJsonString(*response, &json, options);
    if (!printed.ok()) {
      return absl::InternalError(absl::StrCat(method.full_name(), ": its answer cannot be written as JSON"));
    }
    return json;
  }

  const HttpApiOptions options_;
  grpc::TemplatedGenericStub<Message, Message> stub_;
  const TokenAuthority& tokens_;
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
