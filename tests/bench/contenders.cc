#include "tests/bench/contenders.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "tests/bench/process_usage.h"
#include "tests/testing/eventually.h"
#include "tests/testing/http_call.h"
#include "tests/testing/stack.h"

namespace signalbox::bench {
namespace {

using nlohmann::json;

constexpr char kRoute[] = "my-trillion-dollar-saas";
constexpr char kFree[] = R"(cf-aig-metadata: {"plan":"free","email":"user-0000000@example.com"})";
constexpr char kMarkedDigits[] = "user-0000000@";

// A port that is free now: nginx and Portkey take no 0.
int FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(at);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof(at)) != 0) Die("no free port");
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
  ::close(fd);
  return ntohs(at.sin_port);
}

bool Answers(const std::string& address) { return RawConnection(address).connected(); }

void AwaitPort(ChildProcess& process, const std::string& what, const std::string& address) {
  const bool up = Eventually([&] { return Answers(address) || !process.Running(); });
  if (!up || !process.Running()) Die(absl::StrCat(what, " did not start: ", process.Log(), process.Out()));
}

unsigned Cores() { return std::max(1u, std::thread::hardware_concurrency()); }

std::string ProgramFile(const char* name) { return absl::StrCat(BENCH_BIN_DIR, "/", name); }

// What every nginx here shares. Access log off, connections to the upstream kept; bodies stay in memory.
std::string NginxConfig(const std::string& directory, const std::string& server) {
  return absl::StrCat(
      ::geteuid() == 0 ? "user root;\n" : "", "worker_processes ", Cores(), ";\ndaemon off;\npid ", directory,
      "/nginx.pid;\nerror_log ", directory, "/error.log;\nworker_rlimit_nofile 20000;\n",
      "events { worker_connections 12000; }\nhttp {\n  access_log off;\n  tcp_nodelay on;\n",
      "  keepalive_requests 1000000000;\n  keepalive_timeout 600s;\n  client_body_buffer_size 128k;\n",
      "  client_max_body_size 32m;\n  proxy_buffers 8 32k;\n  proxy_buffer_size 32k;\n  proxy_http_version 1.1;\n",
      "  proxy_set_header Connection \"\";\n  proxy_read_timeout 600s;\n  client_body_temp_path ", directory,
      "/body;\n  proxy_temp_path ", directory, "/proxy;\n  fastcgi_temp_path ", directory,
      "/fastcgi;\n  uwsgi_temp_path ", directory, "/uwsgi;\n  scgi_temp_path ", directory, "/scgi;\n", server, "}\n");
}

std::string NginxServer(const std::string& upstream, const std::string& scheme, const std::string& more) {
  return absl::StrCat("  upstream provider { server ", upstream,
                      "; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 600s; }\n",
                      "  server {\n    listen LISTEN backlog=4096;\n    proxy_buffering off;\n", more,
                      "    location / { proxy_pass ", scheme, "://provider; }\n  }\n");
}

}  // namespace

void Die(const std::string& why) {
  std::fprintf(stderr, "bench: %s\n", why.c_str());
  std::exit(1);
}

Request Contender::Chat(size_t body_bytes, bool stream) const {
  const std::string begin =
      absl::StrCat(R"({"model":")", model, R"(",)", stream ? R"("stream":true,)" : "",
                   R"("temperature":0.7,"messages":[{"role":"system","content":"You are brief."},)",
                   R"({"role":"user","content":")");
  const std::string end = R"("}]})";
  std::string body = begin;
  constexpr std::string_view kWords = "Describe my new website about kites, with \\\"care\\\". ";
  while (body.size() + kWords.size() + end.size() <= body_bytes) body += kWords;
  while (body.size() + end.size() < body_bytes) body += '.';
  body += end;
  Request request;
  request.bytes =
      absl::StrCat("POST /v1/chat/completions HTTP/1.1\r\nhost: ", address,
                   "\r\nuser-agent: bench\r\naccept: application/json\r\ncontent-type: application/json\r\n", headers,
                   "content-length: ", body.size(), "\r\n\r\n", body);
  if (const size_t at = request.bytes.find(kMarkedDigits); at != std::string::npos) {
    request.identifier_at = at + 5;
    request.identifiers = identifiers;
  }
  return request;
}

std::string BoundlessWalkthrough(const std::string& name) {
  json route = json::parse(WalkthroughRoute());
  route["name"] = name;
  for (json& element : route["elements"]) {
    if (element["type"] == "rate") {
      element["properties"]["limit"] = element["properties"]["limitType"] == "cost" ? 1'000'000 : 1'000'000'000;
    }
  }
  return route.dump();
}

Contenders::Contenders(ContenderOptions options) : options_(std::move(options)) {
  absl::StatusOr<ChildProcess> upstream = ChildProcess::Start(
      ProgramFile("bench_upstream"),
      {absl::StrCat("--events=", options_.events), absl::StrCat("--interval_ms=", options_.interval_ms)},
      options_.directory + "/upstream");
  if (!upstream.ok()) Die(std::string(upstream.status().message()));
  upstream_.emplace(*std::move(upstream));
  absl::StatusOr<std::string> address = upstream_->Listening("http");
  if (!address.ok()) Die(std::string(address.status().message()));
  upstream_address_ = *address;
}

Contenders::~Contenders() {
  for (std::optional<Nginx>* nginx : {&nginx_, &tls_nginx_, &tls_upstream_}) {
    if (nginx->has_value()) (*nginx)->process.Terminate();
  }
}

pid_t Contenders::upstream_pid() { return upstream_->pid(); }
std::string Contenders::upstream_address() { return upstream_address_; }

Contenders::Nginx Contenders::StartNginx(const std::string& name, const std::string& server) {
  const std::string directory = absl::StrCat(options_.directory, "/", name);
  ::mkdir(directory.c_str(), 0755);
  const std::string address = absl::StrCat("127.0.0.1:", FreePort());
  std::string config = NginxConfig(directory, server);
  config.replace(config.find("LISTEN"), 6, address);
  std::ofstream(directory + "/nginx.conf") << config;
  // setpriv: when this program dies, nginx's master ends its workers instead of leaving them.
  absl::StatusOr<ChildProcess> process =
      ChildProcess::Start("/usr/bin/setpriv",
                          {"--pdeathsig=TERM", "/usr/sbin/nginx", "-p", directory, "-c", directory + "/nginx.conf",
                           "-e", directory + "/error.log"},
                          directory + "/process");
  if (!process.ok()) Die(std::string(process.status().message()));
  Nginx nginx{*std::move(process), address};
  AwaitPort(nginx.process, name, address);
  // It listens before it has all its workers, whose CPU is what is measured.
  if (!Eventually([&] { return ChildrenOf(nginx.process.pid()).size() == Cores(); })) {
    Die(absl::StrCat(name, " does not have its ", Cores(), " workers: ", nginx.process.Log()));
  }
  return nginx;
}

Contender Contenders::OfNginx(const std::string& name, const Nginx& nginx) const {
  Contender contender{name, nginx.address, "gpt-4o-mini", "authorization: Bearer sk-bench\r\n", 1, {}, {}};
  contender.proxy = ChildrenOf(nginx.process.pid());
  contender.proxy.push_back(nginx.process.pid());
  return contender;
}

Contender Contenders::OfStack(const std::string& name, Stack& stack, const std::string& model) const {
  Contender contender{name,
                      stack.proxy_address(0),
                      model,
                      absl::StrCat("authorization: Bearer ", stack.key(), "\r\n"),
                      options_.identifiers,
                      {stack.proxy(0).process->pid()},
                      {stack.quota().process->pid(), stack.control_plane().process->pid()}};
  if (model.starts_with("dynamic/")) absl::StrAppend(&contender.headers, kFree, "\r\n");
  return contender;
}

// A Signalbox of one proxy that calls the trivial upstream and has the walkthrough's route.
std::unique_ptr<Stack> Contenders::NewStack() {
  MakeCertificate();
  auto stack = std::make_unique<Stack>(Stack::Options{0, {}, "", {}});
  stack->AddProxy({absl::StrCat("--upstream_ca_file=", options_.directory, "/ca.pem")});
  stack->ApplyProvider("openai", absl::StrCat("http://", upstream_address_, "/v1"), "sk-bench");
  stack->DeployRoute(BoundlessWalkthrough(kRoute));
  return stack;
}

Stack& Contenders::stack() {
  if (stack_ == nullptr) stack_ = NewStack();
  return *stack_;
}

Stack& Contenders::many_routes_stack() {
  if (many_routes_stack_ != nullptr) return *many_routes_stack_;
  many_routes_stack_ = NewStack();
  Stack& stack = *many_routes_stack_;
  for (int i = 1; i < kManyRoutesCount; ++i) {
    stack.Api("POST", "/v1/gateways/default/routes",
              {{"json", BoundlessWalkthrough(absl::StrCat("saas-", i))}, {"deploy", true}});
  }
  stack.AwaitInSync(0);
  many_routes_rss_mb_ = RssMegabytes({stack.proxy(0).process->pid()});
  return stack;
}

double Contenders::many_routes_rss_mb() {
  many_routes_stack();
  return many_routes_rss_mb_;
}

Contender Contenders::Get(const std::string& name) {
  const std::string provider_key = "authorization: Bearer sk-bench\r\n";
  if (name == kDirect) return {name, upstream_address_, "gpt-4o-mini", provider_key, 1, {upstream_->pid()}, {}};
  if (name == kDirectSimulated) {
    return {name,
            stack().provider().addresses[0],
            "gpt-4o-mini",
            absl::StrCat("authorization: Bearer ", Stack::provider_key(), "\r\n"),
            1,
            {stack().provider().process->pid()},
            {}};
  }
  if (name == kNginx) {
    if (!nginx_) nginx_ = StartNginx("nginx", NginxServer(upstream_address_, "http", ""));
    return OfNginx(name, *nginx_);
  }
  if (name == kPlainModel) return OfStack(name, stack(), "openai/gpt-4o-mini");
  if (name == kWalkthrough) return OfStack(name, stack(), absl::StrCat("dynamic/", kRoute));
  if (name == kManyRoutes) return OfStack(name, many_routes_stack(), absl::StrCat("dynamic/", kRoute));
  if (name == kManyKeys) {
    if (many_keys_stack_ == nullptr) {
      many_keys_stack_ = NewStack();
      for (int i = 0; i < kManyKeysCount; ++i) many_keys_stack_->CreateKey({{"displayName", absl::StrCat("key-", i)}});
      many_keys_stack_->AwaitInSync(0);
    }
    return OfStack(name, *many_keys_stack_, absl::StrCat("dynamic/", kRoute));
  }
  if (name != kPortkey) Die("nothing is called " + name);
  if (!portkey_) {
    const int port = FreePort();
    portkey_address_ = absl::StrCat("127.0.0.1:", port);
    absl::StatusOr<ChildProcess> process =
        ChildProcess::Start("/usr/bin/env",
                            {"NODE_ENV=production", "TRUSTED_CUSTOM_HOSTS=127.0.0.1,localhost", "node",
                             options_.portkey, absl::StrCat("--port=", port), "--headless"},
                            options_.directory + "/portkey");
    if (!process.ok()) Die(std::string(process.status().message()));
    portkey_.emplace(*std::move(process));
    AwaitPort(*portkey_, "Portkey", portkey_address_);
  }
  return {name,
          portkey_address_,
          "gpt-4o-mini",
          absl::StrCat(provider_key, "x-portkey-provider: openai\r\nx-portkey-custom-host: http://", upstream_address_,
                       "/v1\r\n"),
          1,
          {portkey_->pid()},
          {}};
}

// ---- TLS towards the provider ----

void Contenders::MakeCertificate() {
  if (::access((options_.directory + "/ca.pem").c_str(), R_OK) == 0) return;
  const CommandResult made =
      RunCommand("/usr/bin/openssl",
                 {"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                  "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
                  options_.directory + "/ca.key", "-out", options_.directory + "/ca.pem"},
                 options_.directory + "/openssl");
  if (made.exit_status != 0) Die(absl::StrCat("openssl req: ", made.err, made.out));
}

const Contenders::Nginx& Contenders::tls_upstream() {
  if (!tls_upstream_) {
    MakeCertificate();
    std::string server =
        NginxServer(upstream_address_, "http",
                    absl::StrCat("    ssl_certificate ", options_.directory, "/ca.pem;\n    ssl_certificate_key ",
                                 options_.directory, "/ca.key;\n    ssl_session_cache shared:tls:1m;\n"));
    server.replace(server.find(" backlog"), 0, " ssl");
    tls_upstream_ = StartNginx("tls-upstream", server);
  }
  return *tls_upstream_;
}

Contender Contenders::TlsNginx() {
  if (!tls_nginx_) {
    const std::string to = tls_upstream().address;
    tls_nginx_ =
        StartNginx("tls-nginx", NginxServer(to, "https",
                                            absl::StrCat("    proxy_ssl_verify on;\n    proxy_ssl_name localhost;\n"
                                                         "    proxy_ssl_trusted_certificate ",
                                                         options_.directory, "/ca.pem;\n")));
  }
  return OfNginx("nginx, TLS to the provider", *tls_nginx_);
}

Contender Contenders::TlsSignalbox() {
  if (!tls_provider_) {
    const std::string address = tls_upstream().address;
    stack().ApplyProvider("tls", absl::StrCat("https://localhost", address.substr(address.find(':')), "/v1"),
                          "sk-bench");
    stack().AwaitInSync(0);
    tls_provider_ = true;
  }
  return OfStack("Signalbox, plain model, TLS to the provider", stack(), "tls/gpt-4o-mini");
}

}  // namespace signalbox::bench
