#include "common/redis/redis_connection.h"

#include <hiredis/hiredis.h>

#include <fstream>
#include <iterator>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

constexpr int kMillisMax = 60'000;
constexpr int kPortDefault = 6379;

absl::Status Fault(std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("the Redis URL ", std::string(what),
                   "; it looks like redis://[user:password@]host:port[,host:port][/db][?wait_replicas=1]"));
}

std::optional<std::string> PercentDecoded(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain.push_back(text[i]);
      continue;
    }
    const std::string hex(text.substr(i + 1, 2));
    if (hex.size() != 2 || !absl::ascii_isxdigit(static_cast<unsigned char>(hex[0])) ||
        !absl::ascii_isxdigit(static_cast<unsigned char>(hex[1]))) {
      return std::nullopt;
    }
    plain += absl::HexStringToBytes(hex);
    i += 2;
  }
  return plain;
}

bool ParseInt(std::string_view text, int least, int most, int& value) {
  return absl::SimpleAtoi(std::string(text), &value) && value >= least && value <= most;
}

absl::Status ParseHost(std::string_view text, RedisUrl& url) {
  int port = kPortDefault;
  std::string_view host = text;
  if (text.starts_with('[')) {  // [::1]:6379
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return Fault("has an IPv6 address without its closing bracket");
    host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
  } else {
    host = text.substr(0, text.find(':'));
    text.remove_prefix(host.size());
  }
  if (host.empty()) return Fault("names no host");
  if (!text.empty() && (text[0] != ':' || !ParseInt(text.substr(1), 1, 65'535, port))) {
    return Fault("has a port that is not a number from 1 to 65535");
  }
  url.hosts.emplace_back(host, port);
  return absl::OkStatus();
}

absl::Status ParseOption(std::string_view name, const std::string& value, RedisUrl& url) {
  if (name == "prefix") {
    if (value.empty() || value.find_first_of("{}") != std::string::npos) {
      return Fault("has a prefix that is empty or has a brace");
    }
    url.prefix = value;
    return absl::OkStatus();
  }
  if (name == "password_file") {
    std::ifstream file(value, std::ios::binary);
    if (!file) return Fault(absl::StrCat("names a password_file that cannot be read: ", value));
    std::string text(std::istreambuf_iterator<char>(file), {});
    url.password = text.substr(0, text.find_first_of("\r\n"));
    return url.password.empty() ? Fault(absl::StrCat("names an empty password_file: ", value)) : absl::OkStatus();
  }
  if (name == "wait_replicas") {
    return ParseInt(value, 0, 100, url.wait_replicas) ? absl::OkStatus() : Fault("has wait_replicas not in 0 to 100");
  }
  int* const millis = name == "wait_ms" ? &url.wait_ms : name == "timeout_ms" ? &url.timeout_ms : nullptr;
  if (millis == nullptr) {
    return Fault(absl::StrCat("has the option ", std::string(name),
                              " (known: prefix, password_file, wait_replicas, wait_ms, timeout_ms)"));
  }
  if (ParseInt(value, 1, kMillisMax, *millis)) return absl::OkStatus();
  return Fault(absl::StrCat("has ", std::string(name), " not in 1 to ", kMillisMax));
}

timeval TimeOf(int millis) { return {millis / 1'000, millis % 1'000 * 1'000}; }

}  // namespace

absl::StatusOr<RedisUrl> ParseRedisUrl(std::string_view text) {
  RedisUrl url;
  constexpr std::string_view kScheme = "redis://";
  if (text.starts_with("rediss://")) {
    return Fault("asks for TLS, which this build cannot speak: put a TLS tunnel or a private network between");
  }
  if (!text.starts_with(kScheme)) return Fault("does not begin with redis://");
  text.remove_prefix(kScheme.size());
  const size_t question = text.find('?');
  const std::string_view options = question == std::string_view::npos ? "" : text.substr(question + 1);
  text = text.substr(0, question);
  if (const size_t at = text.rfind('@'); at != std::string_view::npos) {
    const std::string_view credentials = text.substr(0, at);
    const size_t colon = credentials.find(':');
    if (colon == std::string_view::npos) return Fault("has credentials without a colon");
    const auto user = PercentDecoded(credentials.substr(0, colon));
    const auto password = PercentDecoded(credentials.substr(colon + 1));
    if (!user.has_value() || !password.has_value()) return Fault("has credentials with a broken %-escape");
    url.user = *user;
    url.password = *password;
    text.remove_prefix(at + 1);
  }
  if (const size_t slash = text.find('/'); slash != std::string_view::npos) {
    const std::string_view db = text.substr(slash + 1);
    if (!db.empty() && !ParseInt(db, 0, 1'000'000, url.db)) return Fault("has a database that is not a number");
    text = text.substr(0, slash);
  }
  for (const absl::string_view host : absl::StrSplit(absl::string_view(text.data(), text.size()), ',')) {
    RETURN_IF_ERROR(ParseHost(std::string_view(host.data(), host.size()), url));
  }
  for (const absl::string_view option :
       absl::StrSplit(absl::string_view(options.data(), options.size()), '&', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(option, absl::MaxSplits('=', 1));
    const auto value = PercentDecoded(pair.second);
    if (!value.has_value()) return Fault("has an option with a broken %-escape");
    RETURN_IF_ERROR(ParseOption(pair.first, *value, url));
  }
  return url;
}

std::string PlainName(const RedisUrl& url) {
  std::string name = "redis://";
  for (const auto& [host, port] : url.hosts) {
    absl::StrAppend(&name, name.ends_with('/') ? "" : ",", host, ":", port);
  }
  return absl::StrCat(name, "/", url.db, " (", url.prefix, ")");
}

void RedisReplyDeleter::operator()(redisReply* reply) const { freeReplyObject(reply); }

std::string_view RedisText(const redisReply& reply) {
  const bool text =
      reply.type == REDIS_REPLY_STRING || reply.type == REDIS_REPLY_STATUS || reply.type == REDIS_REPLY_ERROR;
  return text ? std::string_view(reply.str, reply.len) : std::string_view();
}

bool IsRedisError(const redisReply& reply) { return reply.type == REDIS_REPLY_ERROR; }

int64_t RedisInteger(const redisReply& reply) { return reply.type == REDIS_REPLY_INTEGER ? reply.integer : 0; }

std::string RedisPairValue(const redisReply& reply) {
  return reply.type == REDIS_REPLY_ARRAY && reply.elements == 2 ? std::string(RedisText(*reply.element[1])) : "unknown";
}

RedisConnection::~RedisConnection() { redisFree(context_); }

absl::StatusOr<std::unique_ptr<RedisConnection>> RedisConnection::Connect(const RedisUrl& url) {
  absl::Status status = absl::UnavailableError("no Redis host is named");
  for (const auto& [host, port] : url.hosts) {
    absl::StatusOr<std::unique_ptr<RedisConnection>> connected = ConnectTo(url, host, port);
    if (connected.ok()) return connected;
    status = connected.status();
  }
  return status;
}

absl::StatusOr<std::unique_ptr<RedisConnection>> RedisConnection::ConnectTo(const RedisUrl& url,
                                                                            const std::string& host, int port) {
  const std::string address = absl::StrCat(host, ":", port);
  redisContext* const context = redisConnectWithTimeout(host.c_str(), port, TimeOf(url.timeout_ms));
  if (context == nullptr) return absl::UnavailableError("cannot allocate a Redis connection");
  std::unique_ptr<RedisConnection> connection(new RedisConnection(context, address));
  if (context->err != 0) {
    return absl::UnavailableError(absl::StrCat("cannot connect to Redis at ", address, ": ", context->errstr));
  }
  redisSetTimeout(context, TimeOf(url.timeout_ms));
  redisEnableKeepAlive(context);
  if (!url.password.empty()) {
    std::vector<std::string_view> auth = {"AUTH"};
    if (!url.user.empty()) auth.push_back(url.user);
    auth.push_back(url.password);
    ASSIGN_OR_RETURN(const RedisReply reply, connection->Command(auth));
    if (IsRedisError(*reply)) {
      return absl::PermissionDeniedError(
          absl::StrCat("Redis at ", address, " refuses user and password: ", std::string(RedisText(*reply))));
    }
  }
  if (url.db != 0) RETURN_IF_ERROR(connection->Text({"SELECT", absl::StrCat(url.db)}).status());
  ASSIGN_OR_RETURN(const RedisReply role, connection->Command({"ROLE"}));
  if (IsRedisError(*role)) {
    const std::string text(RedisText(*role));
    if (text.starts_with("NOAUTH")) {
      return absl::PermissionDeniedError(absl::StrCat("Redis at ", address, " wants a password: ", text));
    }
    return absl::UnavailableError(absl::StrCat("Redis at ", address, " does not tell its role: ", text));
  }
  if (role->type != REDIS_REPLY_ARRAY || role->elements == 0 || RedisText(*role->element[0]) != "master") {
    return absl::UnavailableError(absl::StrCat("Redis at ", address, " is a replica, not the primary"));
  }
  return connection;
}

absl::StatusOr<std::vector<RedisReply>> RedisConnection::Pipeline(
    const std::vector<std::vector<std::string_view>>& commands) {
  for (const std::vector<std::string_view>& words : commands) {
    std::vector<const char*> texts;
    std::vector<size_t> sizes;
    for (const std::string_view word : words) {
      texts.push_back(word.data());
      sizes.push_back(word.size());
    }
    if (redisAppendCommandArgv(context_, static_cast<int>(words.size()), texts.data(), sizes.data()) != REDIS_OK) {
      return absl::UnavailableError(absl::StrCat("Redis at ", address_, ": ", context_->errstr));
    }
  }
  std::vector<RedisReply> replies;
  for (size_t i = 0; i < commands.size(); ++i) {
    void* reply = nullptr;
    if (redisGetReply(context_, &reply) != REDIS_OK || reply == nullptr) {
      return absl::UnavailableError(absl::StrCat("Redis at ", address_, " went away: ", context_->errstr));
    }
    replies.emplace_back(static_cast<redisReply*>(reply));
  }
  return replies;
}

absl::StatusOr<RedisReply> RedisConnection::Command(const std::vector<std::string_view>& words) {
  ASSIGN_OR_RETURN(std::vector<RedisReply> replies, Pipeline({words}));
  return std::move(replies[0]);
}

absl::StatusOr<std::string> RedisConnection::Text(const std::vector<std::string_view>& words) {
  ASSIGN_OR_RETURN(const RedisReply reply, Command(words));
  std::string text(RedisText(*reply));
  if (IsRedisError(*reply)) return absl::UnavailableError(absl::StrCat("Redis at ", address_, ": ", text));
  return text;
}

}  // namespace signalbox
