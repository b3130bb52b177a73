#include "controlplane/quota/redis_quota_backend.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/identifier.h"
#include "common/loopback.h"
#include "common/mutex.h"
#include "common/redis/redis_connection.h"
#include "common/status_macros.h"
#include "controlplane/quota/command_check.h"
#include "controlplane/quota/counter_key.h"
#include "controlplane/quota/redis_quota_script.h"

namespace signalbox {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr int kVersionMin = 7;
constexpr int kBatchCommandsMax = 1'000;  // of one call: Redis serves nobody else meanwhile
constexpr int kAttemptsMax = 6;           // of one call that asks for its functions, calendars or another time first
constexpr int64_t kTickBudget = 2'000;    // counters, suspended holds and boots looked at in one call
constexpr int kTickCallsMax = 50;
constexpr int64_t kListPage = 2'000;

// A status of its own each time: none is shared between threads.
absl::Status StoreFailed(const absl::Status& cause) {
  return absl::UnavailableError(absl::StrCat("the quota store failed: ", std::string(cause.message())));
}

// A line `name:value` of INFO.
std::string InfoField(const std::string& info, const std::string& name) {
  for (const absl::string_view line : absl::StrSplit(info, absl::ByAnyChar("\r\n"), absl::SkipEmpty())) {
    if (absl::StartsWith(line, absl::StrCat(name, ":"))) return std::string(line.substr(name.size() + 1));
  }
  return "";
}

class RedisQuotaBackend final : public QuotaBackend {
 public:
  RedisQuotaBackend(RedisQuotaOptions options, RedisUrl url)
      : options_(std::move(options)), url_(std::move(url)), prefix_(absl::StrCat("{", url_.prefix, "}:")) {}
  ~RedisQuotaBackend() override { Stop(); }

  absl::Status Start() {
    for (const auto& [host, port] : url_.hosts) {
      if (!IsLoopbackHost(host) && !absl::StartsWith(host, "/")) {  // "/": a socket of this machine
        options_.report(absl::StrCat("Redis at ", host, ":", port,
                                     " is reached without TLS: whoever can listen on the way reads identifiers and may "
                                     "change counters; use a private network or a TLS tunnel"));
      }
    }
    if (absl::Status status = Connect(); status.code() == absl::StatusCode::kPermissionDenied ||
                                         status.code() == absl::StatusCode::kFailedPrecondition) {
      return status;
    }
    thread_ = std::thread([this] { Run(); });
    return absl::OkStatus();
  }

  void Submit(v1::QuotaRequest message, Done<v1::QuotaResponse> done) override {
    if (const std::string fault = SenderFault(message); !fault.empty()) {
      v1::QuotaResponse refused;
      RefuseAll(message, fault, refused);
      return done(std::move(refused));
    }
    {
      MutexLock lock(mutex_);
      if (!stopping_) {
        queued_.submissions.push_back({std::move(message), std::move(done)});
        wake_.NotifyOne();
        return;
      }
    }
    done(ShuttingDown());
  }

  void GetCounter(v1::CounterKey key, Done<v1::Counter> done) override {
    if (const std::string fault = KeyFault(key); !fault.empty()) return done(absl::InvalidArgumentError(fault));
    Ask<v1::Counter>(std::move(done), [this, key = std::move(key)]() -> absl::StatusOr<v1::Counter> {
      return Read<v1::Counter>("get", RedisCounterBody(calendars_, key), [&](MessagePackReader& in, v1::Counter& view) {
        ReadRedisView(in, view);
        *view.mutable_key() = key;
      });
    });
  }

  void ListCounters(v1::ListCountersRequest request, Done<v1::ListCountersResponse> done) override {
    Ask<v1::ListCountersResponse>(std::move(done), [this, request = std::move(request)] { return List(request); });
  }

  void ListSuspense(v1::ListSuspenseRequest request, Done<v1::ListSuspenseResponse> done) override {
    Ask<v1::ListSuspenseResponse>(std::move(done), [this, request = std::move(request)] {
      return Read<v1::ListSuspenseResponse>("suspense",
                                            RedisPageBody(request.after_sequence(), PageSize(request.page_size())),
                                            [](MessagePackReader& in, v1::ListSuspenseResponse& page) {
                                              for (size_t left = in.Array(); left > 0 && in.ok(); --left)
                                                ReadRedisSuspense(in, *page.add_holds());
                                            });
    });
  }

  void ListAdjustments(v1::ListAdjustmentsRequest request, Done<v1::ListAdjustmentsResponse> done) override {
    Ask<v1::ListAdjustmentsResponse>(std::move(done), [this, request = std::move(request)] {
      return Read<v1::ListAdjustmentsResponse>("adjustments",
                                               RedisPageBody(request.after_sequence(), PageSize(request.page_size())),
                                               [](MessagePackReader& in, v1::ListAdjustmentsResponse& page) {
                                                 for (size_t left = in.Array(); left > 0 && in.ok(); --left) {
                                                   ReadRedisAdjustment(in, *page.add_adjustments());
                                                 }
                                               });
    });
  }

  void AdjustCounter(v1::AdjustCounterRequest request, Done<v1::Adjustment> done) override {
    if (const std::string fault = AdjustFault(request); !fault.empty()) return done(absl::InvalidArgumentError(fault));
    Ask<v1::Adjustment>(std::move(done), [this, request = std::move(request)] {
      return Read<v1::Adjustment>(
          "adjust", RedisAdjustBody(calendars_, request),
          [](MessagePackReader& in, v1::Adjustment& adjustment) { ReadRedisAdjustment(in, adjustment); });
    });
  }

  absl::Status Tick() {
    std::promise<absl::Status> ticked;
    Ask<bool>([&](absl::StatusOr<bool> done) { ticked.set_value(done.status()); },
              [this]() -> absl::StatusOr<bool> {
                RETURN_IF_ERROR(TickNow());
                return true;
              });
    return ticked.get_future().get();
  }

  absl::Status BackupTo(const std::string&) override {
    return absl::UnimplementedError("counters in Redis are copied by Redis' own means: BGSAVE, or a replica");
  }
  const Counts& counts() const override { return counts_; }
  std::string store() const override { return "redis"; }
  std::string durability() const override {
    MutexLock lock(mutex_);
    return durability_;
  }

  void Stop() override {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      wake_.NotifyOne();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  struct Submission {
    v1::QuotaRequest message;
    Done<v1::QuotaResponse> done;
  };
  struct Work {
    std::vector<Submission> submissions;
    std::vector<std::function<void()>> questions;  // run on the thread, each calls its own callback
    bool empty() const { return submissions.empty() && questions.empty(); }
  };

  // Queues `question` for the thread and hands what it returns to `done`.
  template <typename T>
  void Ask(Done<T> done, std::function<absl::StatusOr<T>()> question) {
    {
      MutexLock lock(mutex_);
      if (!stopping_) {
        queued_.questions.push_back([this, done, question = std::move(question)] {
          absl::StatusOr<T> answer = question();
          if (!answer.ok()) ++counts_.store_failures;
          done(answer.ok() ? std::move(answer) : absl::StatusOr<T>(StoreFailed(answer.status())));
        });
        wake_.NotifyOne();
        return;
      }
    }
    done(ShuttingDown());
  }

  void Run() {
    SteadyTime next_tick = std::chrono::steady_clock::now();
    while (true) {
      Work work;
      bool stopping = false;
      {
        MutexLock lock(mutex_);
        while (queued_.empty() && !stopping_) {
          if (options_.tick_us == 0) {
            wake_.Wait(mutex_);
          } else if (!wake_.WaitUntil(mutex_, next_tick)) {
            break;
          }
        }
        work = std::exchange(queued_, Work{});
        stopping = stopping_;
      }
      Decide(work.submissions);
      for (const std::function<void()>& question : work.questions) question();
      if (options_.tick_us != 0 && std::chrono::steady_clock::now() >= next_tick) {
        next_tick = std::chrono::steady_clock::now() + std::chrono::microseconds(options_.tick_us);
        if (absl::Status status = TickNow(); !status.ok()) ++counts_.store_failures;
      }
      if (stopping) return;  // nothing is queued after it was set
    }
  }

  void Decide(std::vector<Submission>& submissions) {
    for (size_t begin = 0; begin < submissions.size();) {
      RedisApplyBody body(calendars_);
      size_t end = begin;
      while (end < submissions.size() && end - begin < kQuotaBatchMessagesMax && body.commands() < kBatchCommandsMax) {
        body.Add(submissions[end++].message);
      }
      Apply(body.Take(), submissions, begin, end);
      begin = end;
    }
  }

  void Apply(const std::string& body, std::vector<Submission>& submissions, size_t begin, size_t end) {
    std::vector<v1::QuotaResponse> responses(end - begin);
    absl::StatusOr<std::string> reply = Call("apply", body);
    absl::Status status = reply.status();
    if (status.ok()) {
      MessagePackReader in(*reply);
      in.Array();
      in.Text();
      in.Integer();
      const size_t messages = in.Array();
      for (size_t i = 0; i < messages && i < responses.size(); ++i) {
        ReadRedisAnswers(in, submissions[begin + i].message, responses[i]);
      }
      const int64_t decisions = in.Integer();
      if (in.ok() && messages == responses.size()) {
        counts_.decisions += decisions;
        ++counts_.batches;
      } else {
        status = absl::UnavailableError("the functions in Redis answered what this build does not understand");
      }
    }
    if (!status.ok()) ++counts_.store_failures;
    for (size_t i = begin; i < end; ++i) {
      if (status.ok()) {
        submissions[i].done(std::move(responses[i - begin]));
      } else {
        submissions[i].done(StoreFailed(status));
      }
    }
  }

  // An operation whose reply is {kind, time, what `read` reads, ...}.
  template <typename T>
  absl::StatusOr<T> Read(const char* operation, const std::string& body,
                         const std::function<void(MessagePackReader&, T&)>& read) {
    ASSIGN_OR_RETURN(const std::string reply, Call(operation, body));
    MessagePackReader in(reply);
    in.Array();
    in.Text();
    in.Integer();
    T value{};
    read(in, value);
    if (in.ok()) return value;
    return absl::UnavailableError("the functions in Redis answered what this build does not understand");
  }

  absl::StatusOr<v1::ListCountersResponse> List(const v1::ListCountersRequest& request) {
    std::map<std::string, v1::Counter> found;  // by identity; a counter may move between two pages
    int64_t in_pool = 0;
    const auto matches = [&](const v1::CounterKey& key) {
      return request.identifier().empty() || SameIdentifier(key.identifier(), request.identifier());
    };
    for (int64_t first = 0; first == 0 || first < in_pool; first += kListPage) {
      const auto read = [&](MessagePackReader& in, bool&) {
        for (size_t left = in.Array(); left > 0 && in.ok(); --left) {
          in.Array();
          v1::Counter counter;
          *counter.mutable_key() = ReadRedisKey(in);
          ReadRedisView(in, counter);
          if (!matches(counter.key())) continue;
          std::string identity;
          AppendIdentity(counter.key(), identity);
          found[identity] = std::move(counter);
        }
        in_pool = in.Integer();
      };
      const std::string body = RedisPoolBody(request.gateway(), request.pool(), first, first + kListPage - 1);
      RETURN_IF_ERROR(Read<bool>("list", body, read).status());
    }
    std::vector<std::pair<const std::string, v1::Counter>*> fullest;
    for (auto& item : found) fullest.push_back(&item);
    std::stable_sort(fullest.begin(), fullest.end(),
                     [](const auto* a, const auto* b) { return a->second.used() > b->second.used(); });
    v1::ListCountersResponse response;
    response.set_counters_in_pool(in_pool);
    const size_t size = std::min(fullest.size(), static_cast<size_t>(PageSize(request.page_size())));
    for (size_t i = 0; i < size; ++i) *response.add_counters() = std::move(fullest[i]->second);
    return response;
  }

  absl::Status TickNow() {
    for (int calls = 0; calls < kTickCallsMax; ++calls) {
      bool more = false;
      const auto read = [&](MessagePackReader& in, bool&) {
        more = in.Boolean();
        counts_.counters = in.Integer();
        counts_.requests = in.Integer();
      };
      RETURN_IF_ERROR(Read<bool>("tick", RedisPageBody(kTickBudget, 0), read).status());
      if (!more) break;
    }
    return absl::OkStatus();
  }

  // One call of the function, which first may want to be loaded, or to know calendars or windows of another time.
  // Nothing has happened in Redis when it asks so.
  absl::StatusOr<std::string> Call(std::string_view operation, const std::string& body) {
    for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
      RETURN_IF_ERROR(EnsureConnected());
      absl::StatusOr<std::string> reply = CallOnce(operation, body);
      if (!reply.ok()) return reply;
      if (reply->empty()) continue;  // the functions were loaded
      MessagePackReader in(*reply);
      in.Array();
      const std::string_view kind = in.Text();
      const int64_t now_us = in.Integer();
      Heard(now_us);
      if (kind == "time") {
        calendars_.Around(now_us);
      } else if (kind == "calendars") {
        std::vector<std::string> names;
        for (size_t left = in.Array(); left > 0 && in.ok(); --left) names.emplace_back(in.Text());
        if (!calendars_.Learn(names)) {
          return absl::UnavailableError(
              "a counter in Redis is in a time zone that this machine's tz database does not know: update tzdata");
        }
      } else {
        return reply;
      }
    }
    return absl::UnavailableError("the functions in Redis ask for calendars again and again");
  }

  // Empty: the functions were not there and now are.
  absl::StatusOr<std::string> CallOnce(std::string_view operation, const std::string& body) {
    std::optional<int64_t> now_us;
    if (options_.time_for_test) now_us = options_.time_for_test();
    const std::string header = calendars_.Header(now_us);
    std::vector<std::vector<std::string_view>> commands = {
        {"FCALL", QuotaFunctionName(), "1", prefix_, operation, header, body}};
    const std::string replicas = absl::StrCat(url_.wait_replicas), patience = absl::StrCat(url_.wait_ms);
    const bool writes = operation == "apply" || operation == "adjust";
    if (url_.wait_replicas > 0 && writes) commands.push_back({"WAIT", replicas, patience});
    absl::StatusOr<std::vector<RedisReply>> replies = connection_->Pipeline(commands);
    if (!replies.ok()) {
      Lost(replies.status());
      return replies.status();
    }
    const std::string text(RedisText(*replies->front()));
    if (IsRedisError(*replies->front())) {
      if (absl::StrContains(text, "Function not found")) {
        RETURN_IF_ERROR(LoadLibrary());
        return std::string();
      }
      const absl::Status status = absl::UnavailableError(absl::StrCat("Redis says: ", text));
      // A primary that was demoted or is starting: elsewhere, or later, there is one that serves.
      Lost(status);
      return status;
    }
    if (commands.size() > 1 && RedisInteger(*replies->back()) < url_.wait_replicas) {
      return absl::UnavailableError(absl::StrCat("only ", RedisInteger(*replies->back()), " of ", url_.wait_replicas,
                                                 " replicas confirmed within ", url_.wait_ms, " ms"));
    }
    return text;
  }

  // Redis keeps it like data: replicas and restarts have it too. Another service's loading it is as good.
  absl::Status LoadLibrary() {
    absl::StatusOr<RedisReply> loaded = connection_->Command({"FUNCTION", "LOAD", QuotaFunctionLibrary()});
    absl::Status status = loaded.status();
    if (loaded.ok() && IsRedisError(**loaded) && RedisText(**loaded).find("already exists") == std::string_view::npos) {
      status = absl::UnavailableError(
          absl::StrCat("Redis does not take the quota functions: ", std::string(RedisText(**loaded))));
    }
    if (!status.ok()) Lost(status);
    return status;
  }

  absl::Status EnsureConnected() {
    if (connection_ != nullptr) return absl::OkStatus();
    if (std::chrono::steady_clock::now() < retry_at_) return absl::UnavailableError(lost_);
    return Connect();
  }

  absl::Status Connect() {
    absl::StatusOr<std::unique_ptr<RedisConnection>> connected = RedisConnection::Connect(url_);
    if (!connected.ok()) {
      Lost(connected.status());
      return connected.status();
    }
    connection_ = *std::move(connected);
    if (absl::Status status = Inspect(); !status.ok()) {
      Lost(status);
      return status;
    }
    RETURN_IF_ERROR(LoadLibrary());
    if (reported_lost_) options_.report(absl::StrCat("Redis at ", connection_->address(), " is back"));
    reported_lost_ = false;
    backoff_ms_ = kQuotaReconnectMsMin;
    return absl::OkStatus();
  }

  // Whether this Redis can keep what it says it kept.
  absl::Status Inspect() {
    ASSIGN_OR_RETURN(const std::string info, connection_->Text({"INFO"}));
    int major = 0;
    const std::string version = InfoField(info, "redis_version");
    if (!absl::SimpleAtoi(version.substr(0, version.find('.')), &major) || major < kVersionMin) {
      return absl::FailedPreconditionError(absl::StrCat("Redis at ", connection_->address(), " is version ", version,
                                                        "; the quota service needs ", kVersionMin, " or later"));
    }
    std::string durability = "memory";
    if (InfoField(info, "aof_enabled") == "1") {
      // A pair {name, value}; not allowed on some hosted ones, where it stays unknown.
      absl::StatusOr<RedisReply> fsync = connection_->Command({"CONFIG", "GET", "appendfsync"});
      if (!fsync.ok()) return fsync.status();
      durability = absl::StrCat("aof-", RedisPairValue(**fsync));
    } else {
      options_.report(absl::StrCat("DANGER: Redis at ", connection_->address(),
                                   " keeps no append-only file: when it restarts, counters, holds and adjustments of "
                                   "an unknown time are gone and limits can be passed. Set appendonly yes"));
    }
    if (durability == "aof-no") {
      options_.report(absl::StrCat("DANGER: Redis at ", connection_->address(),
                                   " never syncs its append-only file (appendfsync no): a power failure loses what "
                                   "the kernel had not written. Set appendfsync always or everysec"));
    }
    const std::string policy = InfoField(info, "maxmemory_policy");
    if (!policy.empty() && policy != "noeviction") {
      options_.report(absl::StrCat("DANGER: Redis at ", connection_->address(), " has maxmemory-policy ", policy,
                                   ": it may throw counters away, and limits can be passed. Set noeviction"));
    }
    MutexLock lock(mutex_);
    durability_ = durability;
    return absl::OkStatus();
  }

  void Lost(const absl::Status& status) {
    connection_.reset();
    lost_ = std::string(status.message());
    retry_at_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(backoff_ms_);
    backoff_ms_ = std::min(2 * backoff_ms_, kQuotaReconnectMsMax);
    if (reported_lost_) return;
    reported_lost_ = true;
    options_.report(absl::StrCat("no quota is decided, ", PlainName(url_), ": ", std::string(status.message())));
  }

  // Redis' time, against the time that has passed here since it last told it.
  void Heard(int64_t now_us) {
    const int64_t monotonic_us = options_.clock->MonotonicMicros();
    const int64_t jump_us = now_us - heard_us_ - (monotonic_us - heard_at_us_);
    if (heard_us_ != 0 && jump_us > kBelievedClockJumpUs) {
      ++counts_.clock_jumps;
      options_.report(absl::StrCat("the clock of Redis jumped ", jump_us / 1'000'000,
                                   " s forward; it is believed and never goes back: windows may end early now and "
                                   "stand still if the clock is set back. docs/redis.md says what to do"));
    }
    heard_us_ = now_us;
    heard_at_us_ = monotonic_us;
  }

  const RedisQuotaOptions options_;
  const RedisUrl url_;
  const std::string prefix_;  // its braces put all keys into one slot of a cluster
  Counts counts_;

  // The thread's only, but for Start.
  std::unique_ptr<RedisConnection> connection_;
  RedisCalendars calendars_;
  std::string lost_;  // why there is no connection
  SteadyTime retry_at_;
  int backoff_ms_ = kQuotaReconnectMsMin;
  bool reported_lost_ = false;
  int64_t heard_us_ = 0, heard_at_us_ = 0;

  mutable Mutex mutex_;
  CondVar wake_;
  Work queued_ SB_GUARDED_BY(mutex_);
  bool stopping_ SB_GUARDED_BY(mutex_) = false;
  std::string durability_ SB_GUARDED_BY(mutex_) = "unknown";
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<QuotaBackend>> OpenRedisQuotaBackend(RedisQuotaOptions options) {
  ASSIGN_OR_RETURN(RedisUrl url, ParseRedisUrl(options.url));
  auto backend = std::make_unique<RedisQuotaBackend>(std::move(options), std::move(url));
  RETURN_IF_ERROR(backend->Start());
  return backend;
}

absl::Status RedisQuotaTick(QuotaBackend& backend) { return static_cast<RedisQuotaBackend&>(backend).Tick(); }

}  // namespace signalbox
