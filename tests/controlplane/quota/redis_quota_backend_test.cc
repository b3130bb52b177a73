// The Redis backend in front of a real redis-server: several services at once, Redis dying and coming back, what an
// operator is told, what is refused, what is forgotten.
#include "controlplane/quota/redis_quota_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/limits.h"
#include "common/mutex.h"
#include "common/redis/redis_connection.h"
#include "controlplane/quota/redis_quota_script.h"
#include "tests/controlplane/quota/quota_testing.h"
#include "tests/controlplane/quota/redis_server.h"
#include "tests/controlplane/quota/redis_testing.h"
#include "tests/testing/eventually.h"

namespace signalbox::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int64_t kSecondUs = 1'000'000;

// What the backend reported, from any thread.
class Reports {
 public:
  void Add(const std::string& text) {
    MutexLock lock(mutex_);
    texts_.push_back(text);
  }
  std::vector<std::string> All() {
    MutexLock lock(mutex_);
    return texts_;
  }

 private:
  Mutex mutex_;
  std::vector<std::string> texts_ SB_GUARDED_BY(mutex_);
};

v1::QuotaRequest MessageOf(const std::string& proxy, uint64_t sequence, const Acq& acq) {
  v1::QuotaRequest message;
  message.set_proxy_id(proxy);
  message.set_boot_id("boot");
  v1::QuotaCommand& command = *message.add_commands();
  command.set_sequence(sequence);
  *command.mutable_acquire() = acq.acquire;
  return message;
}

v1::QuotaAnswer Answer(QuotaBackend& backend, const v1::QuotaRequest& message) {
  const absl::StatusOr<v1::QuotaResponse> response = Submit(backend, message);
  EXPECT_TRUE(response.ok()) << response.status();
  return response.ok() && response->answers_size() == 1 ? response->answers(0) : v1::QuotaAnswer();
}

std::unique_ptr<RedisServer> StartRedis(RedisServerOptions options = {}) {
  absl::StatusOr<std::unique_ptr<RedisServer>> started = RedisServer::Start(std::move(options));
  EXPECT_TRUE(started.ok()) << started.status();
  return started.ok() ? *std::move(started) : nullptr;
}

TEST(RedisUrl, NamesHostsCredentialsDatabaseAndOptions) {
  const absl::StatusOr<RedisUrl> url = ParseRedisUrl(
      "redis://ann:p%40ss%3A@one:7001,[::1]:7002,three/5?prefix=eu&wait_replicas=2&wait_ms=70&timeout_ms=9");
  ASSERT_TRUE(url.ok()) << url.status();
  const std::vector<std::pair<std::string, int>> hosts = {{"one", 7001}, {"::1", 7002}, {"three", 6379}};
  EXPECT_EQ(url->hosts, hosts);
  EXPECT_EQ(url->user, "ann");
  EXPECT_EQ(url->password, "p@ss:");
  EXPECT_EQ(url->db, 5);
  EXPECT_EQ(url->prefix, "eu");
  EXPECT_EQ(url->wait_replicas, 2);
  EXPECT_EQ(url->wait_ms, 70);
  EXPECT_EQ(url->timeout_ms, 9);
  EXPECT_THAT(PlainName(*url), Not(HasSubstr("p@ss")));
}

TEST(RedisUrl, APasswordMayBeInAFile) {
  const std::string path =
      (std::filesystem::temp_directory_path() / absl::StrCat("redis_password_", getpid())).string();
  std::ofstream(path) << "s3cret\n";
  const absl::StatusOr<RedisUrl> url = ParseRedisUrl(absl::StrCat("redis://h?password_file=", path));
  std::filesystem::remove(path);
  ASSERT_TRUE(url.ok()) << url.status();
  EXPECT_EQ(url->password, "s3cret");
}

TEST(RedisUrl, SaysWhatIsWrongWithoutThePassword) {
  const std::pair<const char*, const char*> faults[] = {
      {"http://h", "does not begin with redis://"},
      {"rediss://h", "asks for TLS"},
      {"redis://:pw1@", "names no host"},
      {"redis://ann:pw1@h:port", "a port that is not a number"},
      {"redis://ann:pw1@h:70000", "a port that is not a number"},
      {"redis://ann:pw1@h/x", "a database that is not a number"},
      {"redis://ann@h", "credentials without a colon"},
      {"redis://ann:pw1%4@h", "a broken %-escape"},
      {"redis://ann:pw1@h?colour=red", "the option colour (known: prefix,"},
      {"redis://h?wait_replicas=many", "wait_replicas not in 0 to 100"},
      {"redis://h?timeout_ms=0", "timeout_ms not in 1 to 60000"},
      {"redis://h?prefix={x}", "a prefix that is empty or has a brace"},
      {"redis://h?password_file=/nowhere", "a password_file that cannot be read: /nowhere"},
      {"redis://[::1", "without its closing bracket"},
  };
  for (const auto& [text, fault] : faults) {
    const absl::Status status = ParseRedisUrl(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(fault)) << text;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("pw1"))) << text;
  }
}

TEST(RedisMessagePack, ReadsWhatItWroteAndSurvivesWhatIsCut) {
  std::string bytes;
  MessagePackWriter out(bytes);
  out.Array(20);
  const std::vector<int64_t> numbers = {0, 1, 127, 128, -1, -32, -33, 255, 65'536, kRedisExactMax, -kRedisExactMax};
  for (const int64_t number : numbers) out.Integer(number);
  out.Text("short");
  out.Text(std::string(70'000, 'x'));
  out.Boolean(true);
  MessagePackReader in(bytes);
  EXPECT_EQ(in.Array(), 20u);
  for (const int64_t number : numbers) EXPECT_EQ(in.Integer(), number);
  EXPECT_EQ(in.Text(), "short");
  EXPECT_EQ(in.Text().size(), 70'000u);
  EXPECT_TRUE(in.Boolean());
  EXPECT_TRUE(in.ok());
  EXPECT_EQ(in.Integer(), 0);
  EXPECT_FALSE(in.ok());
  for (size_t size = 0; size < bytes.size(); size += size < 100 ? 1 : 9'999) {
    MessagePackReader cut(std::string_view(bytes).substr(0, size));
    for (size_t left = cut.Array(); left > 0 && cut.ok(); --left) cut.Skip();
    EXPECT_FALSE(cut.ok()) << size;
  }
}

TEST(RedisQuotaBackend, SeveralServicesAdmitExactlyWhatOneWould) {
  const std::unique_ptr<RedisServer> server = StartRedis();
  ASSERT_NE(server, nullptr);
  constexpr int kServices = 3, kClients = 12, kEach = 60, kCountLimit = 200, kMoneyLimit = 100'000;
  std::vector<std::unique_ptr<QuotaBackend>> services;
  for (int i = 0; i < kServices; ++i) services.push_back(OpenRedis(server->url()));
  std::atomic<int> counted{0}, held{0};
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      for (int i = 1; i <= kEach; ++i) {
        // Each proxy asks every service in turn, and the next one again the same.
        const std::string id = absl::StrCat(client, "-", i);
        const v1::QuotaRequest message =
            MessageOf(absl::StrCat("proxy", client), static_cast<uint64_t>(i),
                      Acq(id).Check(Count("all"), kCountLimit).Check(Money("all"), kMoneyLimit).Cap(700, true));
        const v1::QuotaAnswer answer = Answer(*services[static_cast<size_t>(i % kServices)], message);
        const v1::QuotaAnswer again = Answer(*services[static_cast<size_t>((i + 1) % kServices)], message);
        EXPECT_EQ(answer.DebugString(), again.DebugString());
        if (answer.result() == v1::QuotaAnswer::GRANTED) ++held;
        if (answer.result() == v1::QuotaAnswer::GRANTED || answer.denied_index() == 1) ++counted;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(counted, kCountLimit);
  const v1::Counter money = *Get(*services[0], Money("all"));
  EXPECT_EQ(Get(*services[1], Count("all"))->settled(), kCountLimit);
  EXPECT_LE(money.held(), kMoneyLimit);
  EXPECT_GT(money.held(), kMoneyLimit - 256);  // less is left than a minimum hold
  EXPECT_GE(held, kMoneyLimit / 700);
  int64_t decisions = 0;
  for (const auto& service : services) decisions += service->counts().decisions;
  EXPECT_EQ(decisions, kClients * kEach);
}

TEST(RedisQuotaBackend, NothingAcknowledgedIsLostWhenRedisIsKilledAgainAndAgain) {
  const std::unique_ptr<RedisServer> server = StartRedis();
  ASSERT_NE(server, nullptr);
  const std::unique_ptr<QuotaBackend> backend = OpenRedis(server->url());
  ASSERT_NE(backend, nullptr);
  constexpr int kClients = 4, kKills = 3, kLimit = 1'000'000;
  std::atomic<bool> stop{false};
  std::atomic<int64_t> answered{0};
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      for (uint64_t sequence = 1; !stop; ++sequence) {
        const v1::QuotaRequest message =
            MessageOf(absl::StrCat("proxy", client), sequence,
                      Acq(absl::StrCat(client, "-", sequence)).Check(Count("all"), kLimit));
        // The same until it is answered, as a proxy does.
        absl::StatusOr<v1::QuotaResponse> response = Submit(*backend, message);
        Eventually([&] {
          if (!response.ok()) response = Submit(*backend, message);
          return response.ok();
        });
        ASSERT_TRUE(response.ok()) << response.status();
        ASSERT_EQ(response->answers(0).result(), v1::QuotaAnswer::GRANTED);
        ++answered;
      }
    });
  }
  for (int kill = 0; kill < kKills; ++kill) {
    const int64_t before = answered;
    EXPECT_TRUE(Eventually([&] { return answered > before + 50; }));
    server->Kill();
    const absl::Status restarted = server->Restart();
    ASSERT_TRUE(restarted.ok()) << restarted;
  }
  const int64_t before = answered;
  EXPECT_TRUE(Eventually([&] { return answered > before + 50; }));
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(Get(*backend, Count("all"))->settled(), answered);
  EXPECT_GT(backend->counts().store_failures, 0);
}

TEST(RedisQuotaBackend, WhileRedisIsAwayEverythingIsUnavailableAndItIsReportedOnce) {
  const std::unique_ptr<RedisServer> server = StartRedis();
  ASSERT_NE(server, nullptr);
  Reports reports;
  RedisQuotaOptions options;
  options.url = server->url();
  options.report = [&](const std::string& text) { reports.Add(text); };
  const std::unique_ptr<QuotaBackend> backend = *OpenRedisQuotaBackend(options);
  EXPECT_THAT(reports.All(), IsEmpty());
  server->Kill();
  const v1::QuotaRequest message = MessageOf("p1", 1, Acq("r1").Check(Count(), 5));
  for (int i = 0; i < 5; ++i) {
    const absl::Status status = Submit(*backend, message).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(status.message()), HasSubstr("the quota store failed: "));
  }
  EXPECT_EQ(Get(*backend, Count()).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(reports.All().size(), 1u);
  EXPECT_THAT(reports.All()[0], HasSubstr("no quota is decided, redis://127.0.0.1:"));
  ASSERT_TRUE(server->Restart().ok());
  EXPECT_TRUE(Eventually([&] { return Submit(*backend, message).ok(); }));
  EXPECT_EQ(Get(*backend, Count())->settled(), 1);
  EXPECT_THAT(reports.All().back(), HasSubstr("is back"));
}

TEST(RedisQuotaBackend, AFrozenRedisIsUnavailableAfterTheTimeoutAndTheRepeatGetsOneAnswer) {
  const std::unique_ptr<RedisServer> server = StartRedis();
  ASSERT_NE(server, nullptr);
  const std::unique_ptr<QuotaBackend> backend = OpenRedis(absl::StrCat(server->url(), "?timeout_ms=100"));
  ASSERT_NE(backend, nullptr);
  const v1::QuotaRequest message = MessageOf("p1", 1, Acq("r1").Check(Count(), 5));
  server->Freeze();
  EXPECT_EQ(Submit(*backend, message).status().code(), absl::StatusCode::kUnavailable);
  server->Thaw();
  EXPECT_TRUE(Eventually([&] { return Submit(*backend, message).ok(); }));
  EXPECT_EQ(Answer(*backend, message).result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(Get(*backend, Count())->settled(), 1);
}

TEST(RedisQuotaBackend, StartsBeforeRedisDoes) {
  const std::unique_ptr<RedisServer> server = StartRedis();
  ASSERT_NE(server, nullptr);
  server->Kill();
  const std::unique_ptr<QuotaBackend> backend = OpenRedis(server->url());
  ASSERT_NE(backend, nullptr);
  const v1::QuotaRequest message = MessageOf("p1", 1, Acq("r1").Check(Count(), 5));
  EXPECT_EQ(Submit(*backend, message).status().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(server->Restart().ok());
  EXPECT_TRUE(Eventually([&] { return Submit(*backend, message).ok(); }));
}

TEST(RedisQuotaBackend, TheFunctionsAreLoadedAgainWhenRedisForgotThem) {
  const std::unique_ptr<RedisServer> server = StartRedis();
  ASSERT_NE(server, nullptr);
  const std::unique_ptr<QuotaBackend> backend = OpenRedis(server->url());
  ASSERT_TRUE(server->Command({"FUNCTION", "FLUSH"}).ok());
  EXPECT_EQ(Answer(*backend, MessageOf("p1", 1, Acq("r1").Check(Count(), 5))).result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(backend->counts().store_failures, 0);
}

TEST(RedisQuotaBackend, AWrongPasswordFailsTheStartAndARightOneDoesNot) {
  RedisServerOptions options;
  const std::unique_ptr<RedisServer> server = StartRedis(options);
  ASSERT_NE(server, nullptr);
  ASSERT_TRUE(server->Command({"ACL", "SETUSER", "ann", "on", ">right", "~*", "+@all"}).ok());
  const std::string host = absl::StrCat("127.0.0.1:", server->port());
  RedisQuotaOptions wrong;
  wrong.url = absl::StrCat("redis://ann:wrong@", host);
  const absl::Status refused = OpenRedisQuotaBackend(wrong).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("refuses user and password"));
  const std::unique_ptr<QuotaBackend> backend = OpenRedis(absl::StrCat("redis://ann:right@", host));
  ASSERT_NE(backend, nullptr);
  EXPECT_EQ(Answer(*backend, MessageOf("p1", 1, Acq("r1").Check(Count(), 5))).result(), v1::QuotaAnswer::GRANTED);
}

TEST(RedisQuotaBackend, ASetupThatLosesDataIsReportedLoudly) {
  RedisServerOptions careless;
  careless.appendfsync = "no";
  careless.more_arguments = {"--appendonly", "no", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"};
  const std::unique_ptr<RedisServer> server = StartRedis(careless);
  ASSERT_NE(server, nullptr);
  Reports reports;
  RedisQuotaOptions options;
  options.url = server->url();
  options.report = [&](const std::string& text) { reports.Add(text); };
  const std::unique_ptr<QuotaBackend> backend = *OpenRedisQuotaBackend(options);
  EXPECT_EQ(backend->durability(), "memory");
  EXPECT_THAT(reports.All(), Contains(HasSubstr("keeps no append-only file")));
  EXPECT_THAT(reports.All(), Contains(HasSubstr("maxmemory-policy allkeys-lru")));
}

TEST(RedisQuotaBackend, AFullRedisDecidesNothingAndChangesNothing) {
  const std::unique_ptr<RedisServer> server = StartRedis();
  ASSERT_NE(server, nullptr);
  const std::unique_ptr<QuotaBackend> backend = OpenRedis(server->url());
  ASSERT_EQ(Answer(*backend, MessageOf("p1", 1, Acq("r1").Check(Count(), 5))).result(), v1::QuotaAnswer::GRANTED);
  ASSERT_TRUE(server->Command({"CONFIG", "SET", "maxmemory", "1"}).ok());
  const v1::QuotaRequest second = MessageOf("p1", 2, Acq("r2").Check(Count(), 5));
  EXPECT_EQ(Submit(*backend, second).status().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(server->Command({"CONFIG", "SET", "maxmemory", "0"}).ok());
  EXPECT_TRUE(Eventually([&] { return Get(*backend, Count()).ok(); }));
  EXPECT_EQ(Get(*backend, Count())->settled(), 1);
  EXPECT_TRUE(Eventually([&] { return Submit(*backend, second).ok(); }));
  EXPECT_EQ(Get(*backend, Count())->settled(), 2);
}

TEST(RedisQuotaBackend, WaitsForReplicasAndAnswersNothingThatTheyDoNotHave) {
  const std::unique_ptr<RedisServer> primary = StartRedis();
  ASSERT_NE(primary, nullptr);
  RedisServerOptions options;
  options.more_arguments = {"--replicaof", "127.0.0.1", absl::StrCat(primary->port()), "--repl-diskless-sync-delay",
                            "0"};
  const std::unique_ptr<RedisServer> replica = StartRedis(options);
  ASSERT_NE(replica, nullptr);
  ASSERT_TRUE(Eventually([&] {
    const auto info = replica->Command({"INFO", "replication"});
    return info.ok() && info->find("master_link_status:up") != std::string::npos;
  }));
  const std::unique_ptr<QuotaBackend> backend = OpenRedis(absl::StrCat(primary->url(), "?wait_replicas=1&wait_ms=200"));
  const v1::QuotaRequest first = MessageOf("p1", 1, Acq("r1").Check(Count(), 5));
  EXPECT_TRUE(Eventually([&] { return Submit(*backend, first).ok(); }));
  replica->Freeze();
  const v1::QuotaRequest second = MessageOf("p1", 2, Acq("r2").Check(Count(), 5));
  const absl::Status alone = Submit(*backend, second).status();
  EXPECT_EQ(alone.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(alone.message()), HasSubstr("only 0 of 1 replicas confirmed within 200 ms"));
  replica->Thaw();
  EXPECT_TRUE(Eventually([&] { return Submit(*backend, second).ok(); }));
  // The replica takes over: it has all that was answered, and the service finds it by itself.
  const std::unique_ptr<QuotaBackend> failing_over =
      OpenRedis(absl::StrCat("redis://127.0.0.1:", primary->port(), ",127.0.0.1:", replica->port()));
  EXPECT_EQ(Get(*failing_over, Count())->settled(), 2);
  primary->Kill();
  ASSERT_TRUE(replica->Command({"REPLICAOF", "NO", "ONE"}).ok());
  EXPECT_TRUE(Eventually([&] { return Submit(*failing_over, second).ok(); }));
  EXPECT_EQ(Get(*failing_over, Count())->settled(), 2);
}

TEST(RedisQuotaBackend, WhatADoubleCannotCountIsRefusedOrStandsStill) {
  const std::unique_ptr<RedisServer> server = StartRedis();
  ASSERT_NE(server, nullptr);
  int64_t now_us = kNoonUs;
  const std::unique_ptr<QuotaBackend> backend = OpenRedis(server->url(), &now_us);
  EXPECT_EQ(Answer(*backend, MessageOf("p1", 1, Acq("r1").Check(Money(), kRedisExactMax + 1))).message(),
            "check 0: the limit is above 9007199254740991, the most that a quota service on Redis counts exactly");
  EXPECT_EQ(Answer(*backend, MessageOf("p1", 2, Acq("r2").Check(Money(), kRedisExactMax))).result(),
            v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(Answer(*backend, MessageOf("p1", std::numeric_limits<uint64_t>::max(), Acq("r3"))).message(),
            "the sequence is above 9007199254740991, the most that a quota service on Redis counts exactly");
  // A cap beyond it comes back as it was asked, where nothing lowers it.
  Acq free("r4");
  free.With(Bound(0, 0, 0)).Check(Money("bob"), 100).Cap(std::numeric_limits<int64_t>::max(), true);
  EXPECT_EQ(Answer(*backend, MessageOf("p1", 4, free)).output_cap(), std::numeric_limits<int64_t>::max());
  // What is charged beyond it is full under every limit.
  v1::QuotaRequest forced = MessageOf("p1", 5, Acq("r5"));
  v1::ForceCharge& charge = *forced.mutable_commands(0)->mutable_force_charge();
  charge.set_request_id("r5");
  *charge.mutable_counter() = Money("cid");
  charge.set_amount(std::numeric_limits<int64_t>::max());
  EXPECT_EQ(Answer(*backend, forced).result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(Get(*backend, Money("cid"))->settled(), kRedisExactMax + 1);
  EXPECT_EQ(Answer(*backend, MessageOf("p1", 6, Acq("r6").Check(Money("cid"), kRedisExactMax))).result(),
            v1::QuotaAnswer::DENIED);
}

TEST(RedisQuotaBackend, ALeapOfRedisClockIsReportedAndTimeNeverGoesBack) {
  const std::unique_ptr<RedisServer> server = StartRedis();
  ASSERT_NE(server, nullptr);
  std::atomic<int64_t> now_us{kNoonUs};
  ManualClock clock;
  Reports reports;
  RedisQuotaOptions options;
  options.url = server->url();
  options.clock = &clock;
  options.tick_us = 0;
  options.report = [&](const std::string& text) { reports.Add(text); };
  options.time_for_test = [&] { return now_us.load(); };
  const std::unique_ptr<QuotaBackend> backend = *OpenRedisQuotaBackend(options);
  EXPECT_EQ(Answer(*backend, MessageOf("p1", 1, Acq("r1").Check(Count(), 5))).result(), v1::QuotaAnswer::GRANTED);
  now_us += 59 * 60 * kSecondUs;
  EXPECT_TRUE(Get(*backend, Count()).ok());
  EXPECT_EQ(backend->counts().clock_jumps, 0);
  now_us += kDayUs;
  EXPECT_EQ(Answer(*backend, MessageOf("p1", 2, Acq("r2").Check(Count(), 5))).limits(0).remaining(), 4);
  EXPECT_EQ(backend->counts().clock_jumps, 1);
  EXPECT_THAT(reports.All(), Contains(HasSubstr("the clock of Redis jumped 86400 s forward")));
  now_us -= kDayUs;
  EXPECT_EQ(Answer(*backend, MessageOf("p1", 3, Acq("r3").Check(Count(), 5))).limits(0).remaining(), 3);
  EXPECT_EQ(backend->counts().clock_jumps, 1);
}

TEST(RedisQuotaBackend, NothingIsLeftWhenAllIsPast) {
  const std::unique_ptr<RedisServer> server = StartRedis();
  ASSERT_NE(server, nullptr);
  int64_t now_us = kNoonUs;
  const std::unique_ptr<QuotaBackend> backend = OpenRedis(server->url(), &now_us);
  ASSERT_TRUE(RedisQuotaTick(*backend).ok());
  v1::QuotaRequest message;
  message.set_proxy_id("p1");
  message.set_boot_id("boot");
  uint64_t sequence = 0;
  for (int user = 0; user < 3'000; ++user) {
    const std::string id = absl::StrCat("user", user);
    v1::QuotaCommand& command = *message.add_commands();
    command.set_sequence(++sequence);
    *command.mutable_acquire() = Acq(id).Check(Count(id), 5).Check(Money(id), kDollar).acquire;
    if (user % 2 == 0) {
      v1::QuotaCommand& settle = *message.add_commands();
      settle.set_sequence(++sequence);
      settle.mutable_settle()->set_request_id(id);
    }
  }
  ASSERT_TRUE(Submit(*backend, message).ok());
  ASSERT_TRUE(RedisQuotaTick(*backend).ok());
  EXPECT_EQ(backend->counts().counters, 6'000);
  EXPECT_EQ(backend->counts().requests, 1'500);
  for (int day = 0; day < 18; ++day) {
    now_us += kDayUs;
    ASSERT_TRUE(RedisQuotaTick(*backend).ok());  // after a gap nobody is silent yet
    for (int minute = 0; minute < 9; ++minute) {
      now_us += 10 * kSecondUs;
      ASSERT_TRUE(RedisQuotaTick(*backend).ok());
    }
  }
  EXPECT_EQ(backend->counts().counters, 0);
  EXPECT_EQ(backend->counts().requests, 0);
  EXPECT_EQ(*server->Command({"KEYS", "*"}), "{signalbox}:meta");
}

TEST(RedisQuotaBackend, DeploymentsWithDifferentPrefixesShareNothing) {
  const std::unique_ptr<RedisServer> server = StartRedis();
  ASSERT_NE(server, nullptr);
  const std::unique_ptr<QuotaBackend> eu = OpenRedis(absl::StrCat(server->url(), "?prefix=eu"));
  const std::unique_ptr<QuotaBackend> us = OpenRedis(absl::StrCat(server->url(), "?prefix=us"));
  EXPECT_EQ(Answer(*eu, MessageOf("p1", 1, Acq("r1").Check(Count(), 1))).result(), v1::QuotaAnswer::GRANTED);
  EXPECT_EQ(Answer(*us, MessageOf("p1", 1, Acq("r1").Check(Count(), 1))).result(), v1::QuotaAnswer::GRANTED);
  for (const absl::string_view key : absl::StrSplit(*server->Command({"KEYS", "*"}), '\n')) {
    EXPECT_TRUE(absl::StartsWith(key, "{eu}:") || absl::StartsWith(key, "{us}:")) << std::string(key);
  }
}

}  // namespace
}  // namespace signalbox::testing
