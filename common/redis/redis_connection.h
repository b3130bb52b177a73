// One blocking connection to a Redis primary, and what a redis:// URL says. The only place that knows hiredis.
// One thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct redisContext;
struct redisReply;

namespace signalbox {

// redis://[user:password@]host:port[,host:port…][/db][?prefix=…&password_file=…&wait_replicas=…&wait_ms=…&timeout_ms=…]
struct RedisUrl {
  std::vector<std::pair<std::string, int>> hosts;  // tried in turn for the one that is the primary
  std::string user;
  std::string password;
  int db = 0;
  std::string prefix = "signalbox";  // deployments that share a Redis differ in it
  int wait_replicas = 0;             // an answer waits for so many replicas to have it
  int wait_ms = 500;
  int timeout_ms = 2'000;  // of connecting and of a command
};
// INVALID_ARGUMENT says what is wrong and never repeats the password.
absl::StatusOr<RedisUrl> ParseRedisUrl(std::string_view text);
std::string PlainName(const RedisUrl& url);  // without user and password, for logs

struct RedisReplyDeleter {
  void operator()(redisReply* reply) const;
};
using RedisReply = std::unique_ptr<redisReply, RedisReplyDeleter>;

class RedisConnection {
 public:
  // To the first host that answers as a primary. UNAVAILABLE when none can be reached or is one; PERMISSION_DENIED when
  // one refuses the password.
  static absl::StatusOr<std::unique_ptr<RedisConnection>> Connect(const RedisUrl& url);
  ~RedisConnection();

  // Sends the commands in one write and reads a reply to each; error replies are replies. UNAVAILABLE: the connection
  // is of no use any more, and whether the commands took effect is unknown.
  absl::StatusOr<std::vector<RedisReply>> Pipeline(const std::vector<std::vector<std::string_view>>& commands);
  absl::StatusOr<RedisReply> Command(const std::vector<std::string_view>& words);
  // As text; an error reply as UNAVAILABLE with its text.
  absl::StatusOr<std::string> Text(const std::vector<std::string_view>& words);
  const std::string& address() const { return address_; }

 private:
  RedisConnection(redisContext* context, std::string address) : context_(context), address_(std::move(address)) {}
  static absl::StatusOr<std::unique_ptr<RedisConnection>> ConnectTo(const RedisUrl& url, const std::string& host,
                                                                    int port);
  redisContext* const context_;
  const std::string address_;
};

// What a reply holds: the text of a string, status or error; empty for others.
std::string_view RedisText(const redisReply& reply);
bool IsRedisError(const redisReply& reply);
int64_t RedisInteger(const redisReply& reply);        // 0 when it is none
std::string RedisPairValue(const redisReply& reply);  // of {name, value}; "unknown" when it is none

}  // namespace signalbox
