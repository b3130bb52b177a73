#include "tests/controlplane/quota/redis_server.h"

#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/testing/eventually.h"

namespace signalbox::testing {
namespace {

constexpr int kPortTries = 20;
constexpr char kProgram[] = "/usr/bin/redis-server";

// A port nothing listens on now. Somebody may take it before Redis does: Launch notices, and Start tries another.
int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  int port = 0;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port = ntohs(address.sin_port);
  }
  close(fd);
  return port;
}

std::string TextOf(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_INTEGER:
      return absl::StrCat(reply.integer);
    case REDIS_REPLY_ARRAY: {
      std::string text;
      for (size_t i = 0; i < reply.elements; ++i) {
        absl::StrAppend(&text, i == 0 ? "" : "\n", TextOf(*reply.element[i]));
      }
      return text;
    }
    case REDIS_REPLY_NIL:
      return "";
    default:
      return std::string(reply.str, reply.len);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<RedisServer>> RedisServer::Start(RedisServerOptions options) {
  std::string directory = (std::filesystem::temp_directory_path() / "redis_XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) return absl::UnavailableError("cannot make a directory for redis-server");
  std::unique_ptr<RedisServer> server(new RedisServer);
  server->options_ = std::move(options);
  server->directory_ = directory;
  absl::Status launched;
  for (int i = 0; i < kPortTries; ++i) {
    server->port_ = FreePort();
    launched = server->Launch();
    if (launched.ok()) return server;
  }
  return launched;
}

RedisServer::~RedisServer() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

absl::Status RedisServer::Launch() {
  std::vector<std::string> arguments = {
      "--bind",       "127.0.0.1", "--port",        absl::StrCat(port_),  "--dir",  directory_,
      "--appendonly", "yes",       "--appendfsync", options_.appendfsync, "--save", "",
      "--daemonize",  "no"};
  arguments.insert(arguments.end(), options_.more_arguments.begin(), options_.more_arguments.end());
  absl::StatusOr<ChildProcess> child = ChildProcess::Start(kProgram, arguments, absl::StrCat(directory_, "/redis"));
  if (!child.ok()) return child.status();
  process_ = std::make_unique<ChildProcess>(*std::move(child));
  const std::string ours = absl::StrCat("process_id:", process_->pid(), "\r");
  bool up = false;
  Eventually([&] {
    const absl::StatusOr<std::string> info = Command({"INFO", "server"});
    const absl::StatusOr<std::string> pong = Command({"PING"});  // an error while it loads its file
    up = info.ok() && info->find(ours) != std::string::npos && pong.ok();
    return up || !process_->Running();
  });
  if (up) return absl::OkStatus();
  const std::string log = Log();
  Kill();
  return absl::UnavailableError(absl::StrCat("redis-server did not come up on port ", port_, ":\n", log));
}

void RedisServer::Kill() {
  if (process_ == nullptr) return;
  process_->Kill();
  process_ = nullptr;
}

absl::Status RedisServer::Restart() {
  Kill();
  return Launch();
}

void RedisServer::Freeze() {
  if (process_ != nullptr) process_->Freeze();
}
void RedisServer::Thaw() {
  if (process_ != nullptr) process_->Thaw();
}

std::string RedisServer::url() const { return absl::StrCat("redis://127.0.0.1:", port_); }

// Redis logs to its standard output.
std::string RedisServer::Log() const { return ReadWholeFile(absl::StrCat(directory_, "/redis.out")); }

absl::StatusOr<std::string> RedisServer::Command(const std::vector<std::string>& words) const {
  const timeval patience{10, 0};
  const std::unique_ptr<redisContext, void (*)(redisContext*)> context(
      redisConnectWithTimeout("127.0.0.1", port_, patience), redisFree);
  if (context == nullptr || context->err != 0) {
    return absl::UnavailableError(absl::StrCat("cannot connect to redis-server on port ", port_));
  }
  redisSetTimeout(context.get(), patience);
  std::vector<const char*> texts;
  std::vector<size_t> sizes;
  for (const std::string& word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  const std::unique_ptr<redisReply, void (*)(void*)> reply(
      static_cast<redisReply*>(
          redisCommandArgv(context.get(), static_cast<int>(words.size()), texts.data(), sizes.data())),
      freeReplyObject);
  if (reply == nullptr) return absl::UnavailableError(absl::StrCat("redis-server: ", context->errstr));
  if (reply->type == REDIS_REPLY_ERROR) return absl::UnavailableError(TextOf(*reply));
  return TextOf(*reply);
}

}  // namespace signalbox::testing
