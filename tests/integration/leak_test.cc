// Nothing leaks: a request is aborted at every stage of its life, in every way a client or a proxy can go, and
// afterwards nothing is held, each request that began has its record, and no descriptor stays open.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "tests/integration/books.h"
#include "tests/integration/route_elements.h"

namespace signalbox {
namespace {

using nlohmann::json;

const std::vector<OddPrice> kPrices = {
    {"leak-a", "1.234567891", "0.123456789", "1.543209864", "9.876543211", "40.000000007", "80.000000013"},
    {"leak-b", "3.000000001", "0.300000001", "3.750000002", "15.000000007", "33.333333337", "66.666666661"},
};
const std::vector<std::string> kPools = {"count", "tokens", "dollars"};

json Model(const std::string& id, const std::string& provider, const std::string& model, int retries,
           const std::string& fallback) {
  return {{"id", id},
          {"type", "model"},
          {"properties", {{"provider", provider}, {"model", model}, {"timeout", 0}, {"retries", retries}}},
          {"outputs", {{"success", To("end")}, {"fallback", To(fallback)}}}};
}

// metadata.to says which way: the provider, or one that never takes a connection.
std::string Route() {
  const json elements = {{{"id", "start"}, {"type", "start"}, {"outputs", {{"next", To("count")}}}},
                         UserLimit("count", "count", 1'000'000, "tokens"),
                         UserLimit("tokens", "tokens", 100'000'000, "dollars"),
                         UserLimit("dollars", "cost", 1'000, "way"),
                         {{"id", "way"},
                          {"type", "conditional"},
                          {"properties", {{"conditions", {{"metadata.to", "hole"}}}}},
                          {"outputs", {{"true", To("hole")}, {"false", To("model-a")}}}},
                         Model("hole", "hole", "leak-a", 0, "end"),
                         Model("model-a", "openai", "leak-a", 1, "model-b"),
                         Model("model-b", "openai", "leak-b", 0, "end"),
                         {{"id", "end"}, {"type", "end"}, {"outputs", json::object()}}};
  return json{{"name", "leak"}, {"elements", elements}}.dump();
}

// A listener whose queue is full: a connection to it is never taken and never refused.
class BlackHole {
 public:
  BlackHole() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(listener_, 0), 0);
    socklen_t length = sizeof(address);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    for (int i = 0; i < 8; ++i) {
      const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address));  // those past the queue stay under way
      fillers_.push_back(fd);
    }
  }
  ~BlackHole() {
    for (const int fd : fillers_) close(fd);
    close(listener_);
  }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_, "/v1"); }

 private:
  int listener_ = -1;
  int port_ = 0;
  std::vector<int> fillers_;
};

// Where a request stands when it is aborted.
struct Stage {
  std::string name;
  std::string fail;  // what the provider does with it
  bool stream = false;
  std::string seen;         // what the client has read by then; empty: nothing is to come
  bool at_provider = true;  // the provider holds it open
  double share = 1;         // of the request's bytes that are sent
  bool began = true;        // so it has a record
  std::string to = "provider";
};

std::vector<Stage> Stages() {
  return {
      {.name = "head", .at_provider = false, .share = 0.1, .began = false},
      {.name = "body", .at_provider = false, .share = 0.98, .began = false},
      {.name = "connecting", .at_provider = false, .to = "hole"},
      {.name = "first-byte-unary", .fail = "hang"},
      {.name = "first-byte-stream", .fail = "hang", .stream = true},
      {.name = "mid-unary-body", .fail = "stall_after=1"},
      {.name = "end-of-unary-body", .fail = "stall_at_end"},
      {.name = "first-event", .fail = "stall_after=1", .stream = true, .seen = "\"role\""},
      {.name = "mid-stream", .fail = "stall_after=4", .stream = true, .seen = "\"delta\":{\"content\":\""},
      {.name = "before-done", .fail = "stall_at_end", .stream = true, .seen = "\"finish_reason\":\"stop\""},
      {.name = "retrying", .fail = "nth=1:503,hang", .stream = true},
      {.name = "retrying-after-cut", .fail = "nth=1:cut=0,hang"},
      {.name = "falling-back", .fail = "model=leak-a:status=404,hang"},
      {.name = "falling-back-billed", .fail = "model=leak-a:billed_status=404,hang", .stream = true},
  };
}

enum class Leave { kClose, kReset, kHalfClose };
const char* NameOf(Leave leave) {
  return leave == Leave::kClose ? "close" : leave == Leave::kReset ? "reset" : "half-close";
}

size_t OpenFds(pid_t pid) {
  size_t count = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc/" + std::to_string(pid) + "/fd", error), end; it != end;
       it.increment(error)) {
    ++count;
  }
  return count;
}

class Leaks : public testing::Test {
 protected:
  Leaks() : stack_({.proxies = 0, .provider_prices = PriceFile(kPrices)}) {
    stack_.AddProxy({"--drain_timeout_ms=300", "--workers=2"});
    SetPrices(stack_, kPrices);
    stack_.ApplyProvider("hole", hole_.url(), "none");
    stack_.Api("PUT", "/v1/gateways/default/prices/hole/leak-a",
               {{"price",
                 {{"inputNanosPerMtok", "1000000000"},
                  {"outputNanosPerMtok", "2000000000"},
                  {"maxOutputTokens", 4'096},
                  {"capField", "max_tokens"}}}});
    stack_.DeployRoute(Route());
    quota_.emplace(stack_);
  }

  // Requests that the proxy took up since it started.
  size_t Begun() {
    return static_cast<size_t>(Metric(stack_, 0, "signalbox_in_flight_requests") +
                               Metric(stack_, 0, "signalbox_requests_total"));
  }

  int64_t ProviderHolds() { return stack_.Provider("/connections")["open_requests"].get<int64_t>(); }

  std::string BytesOf(const Stage& stage, const std::string& user) {
    return stack_.ChatBytes({.route = "leak",
                             .metadata = {{"user", user}, {"to", stage.to}},
                             .stream = stage.stream,
                             .body = {{"max_tokens", 64}}},
                            stage.fail.empty() ? "" : absl::StrCat("x-sim-fail: ", stage.fail, "\r\n"));
  }

  // A client of each stage, `copies` times, all at their stage when this returns.
  std::vector<RawConnection> Advance(const std::vector<Stage>& stages, int copies, const std::string& suffix) {
    std::vector<RawConnection> clients;
    int64_t at_provider = ProviderHolds();
    for (const Stage& stage : stages) {
      for (int i = 0; i < copies; ++i) {
        const std::string bytes = BytesOf(stage, absl::StrCat(stage.name, "/", suffix));
        clients.emplace_back(stack_.proxy_address(0));
        EXPECT_TRUE(
            clients.back().Send(bytes.substr(0, static_cast<size_t>(static_cast<double>(bytes.size()) * stage.share))));
        at_provider += stage.at_provider;
        begun_[absl::StrCat(stage.name, "/", suffix)] += stage.began;
      }
    }
    size_t client = 0;
    for (const Stage& stage : stages) {
      for (int i = 0; i < copies; ++i, ++client) {
        if (stage.seen.empty()) continue;
        EXPECT_THAT(clients[client].ReadUntil(stage.seen), testing::HasSubstr(stage.seen)) << stage.name;
      }
    }
    EXPECT_TRUE(Eventually([&] { return ProviderHolds() == at_provider; }))
        << ProviderHolds() << " instead of " << at_provider;
    return clients;
  }

  // Each stage's records: one for each request that began, and how they ended.
  void ExpectRecords(const Books& books, const std::string& outcome) {
    std::map<std::string, int> found;
    for (const json& record : books.records) {
      const std::string user = record.value("identifier", "");
      ++found[user];
      if (user == "plain") continue;
      // A wait for a connection or for the quota service may end by itself before its client goes.
      const bool may_fail = user.empty() || user.starts_with("connecting/") || user.starts_with("quota/");
      if (may_fail && record.value("outcome", "") == "ERROR") continue;
      EXPECT_EQ(record.value("outcome", ""), outcome) << record;
    }
    for (const auto& [user, count] : begun_) EXPECT_EQ(found[user], count) << user;
  }

  BlackHole hole_;
  Stack stack_;
  std::optional<QuotaView> quota_;
  std::map<std::string, int> begun_;  // by identifier
};

TEST_F(Leaks, AClientThatGoesAtAnyStageInAnyWayLeavesNothingBehind) {
  constexpr int kRounds = 4;
  constexpr int kCopies = 2;
  constexpr int kWell = 12;
  const pid_t proxy = stack_.proxy(0).process->pid();
  size_t fds_first = 0;
  size_t begun = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (const Leave leave : {Leave::kClose, Leave::kReset, Leave::kHalfClose}) {
      const std::string suffix = NameOf(leave);
      SCOPED_TRACE(suffix);
      std::vector<RawConnection> clients = Advance(Stages(), kCopies, suffix);
      // And some that wait for the quota service's answer.
      stack_.quota().process->Freeze();
      for (int i = 0; i < kCopies; ++i) {
        clients.emplace_back(stack_.proxy_address(0));
        EXPECT_TRUE(clients.back().Send(BytesOf({.name = "quota"}, absl::StrCat("quota/", suffix))));
      }
      begun += (Stages().size() - 2 + 1) * kCopies;
      EXPECT_TRUE(Eventually([&] { return Begun() >= begun; })) << Begun() << " instead of " << begun;
      for (RawConnection& client : clients) {
        if (leave == Leave::kClose) client.Close();
        if (leave == Leave::kReset) client.Reset();
        if (leave == Leave::kHalfClose) client.HalfClose();
      }
      // Before the quota service goes on: else its answer and the client's going meet, and some are answered in full.
      EXPECT_TRUE(Eventually([&] { return Metric(stack_, 0, "signalbox_in_flight_requests") == 0; }));
      stack_.quota().process->Thaw();
      EXPECT_TRUE(Eventually([&] { return ProviderHolds() == 0; })) << ProviderHolds();
      // Between so many failures the provider answers too, or its breaker would open and there were no stages to be at.
      for (int i = 0; i < kWell; ++i) {
        EXPECT_EQ(stack_.Chat({.route = "leak", .metadata = {{"user", "plain"}}}).status, 200);
      }
      begun += kWell;
    }
    if (round == 0) {
      ASSERT_TRUE(Eventually([&] { return NothingHeld(*quota_, kPools); }));
      fds_first = OpenFds(proxy);
    }
  }
  const Books books = CloseBooks(stack_, *quota_, 1, kPools);
  ExpectRecords(books, "CANCELLED");
  ExpectQuotaEqualsLedger(*quota_, books, kPools);
  ExpectLedgerEqualsBill(books);
  // Pooled connections to the provider come and go; a descriptor lost with each abort would be dozens.
  EXPECT_TRUE(Eventually([&] { return OpenFds(proxy) <= fds_first + 4; })) << fds_first << " -> " << OpenFds(proxy);
  // And the next one is served.
  EXPECT_EQ(stack_.Chat({.route = "leak", .metadata = {{"user", "plain"}}}).status, 200);
}

TEST_F(Leaks, AProxyThatStopsLeavesNothingBehindAtAnyStage) {
  std::vector<RawConnection> clients = Advance(Stages(), 2, "stop");
  EXPECT_EQ(stack_.proxy(0).process->Terminate(), 0);
  EXPECT_TRUE(Eventually([&] { return ProviderHolds() == 0; }));
  size_t begun = 0;
  for (const auto& [user, count] : begun_) begun += static_cast<size_t>(count);
  stack_.StartMember(stack_.proxy(0));
  const Books books = CloseBooks(stack_, *quota_, 1, kPools, begun);
  ExpectRecords(books, "SHUTDOWN");
  ExpectQuotaEqualsLedger(*quota_, books, kPools);
  ExpectLedgerEqualsBill(books);
}

// Requests that end on the provider's side, one outcome each, hold nothing either.
TEST_F(Leaks, NoOutcomeLeavesAnythingBehind) {
  const std::vector<std::string> fails = {"",
                                          "503",
                                          "status=400",
                                          "model=leak-a:401",
                                          "reset",
                                          "cut=0",
                                          "cut=4",
                                          "cut_at_end",
                                          "error_event=0",
                                          "error_event=4",
                                          "429",
                                          "malformed",
                                          "no_usage",
                                          "zero_usage",
                                          "reset_after",
                                          "billed_status=500",
                                          "model=leak-a:billed_status=500"};
  for (const bool stream : {false, true}) {
    for (const std::string& fail : fails) {
      SCOPED_TRACE(fail);
      const Stage stage{.name = "x", .fail = fail, .stream = stream};
      std::string bytes = BytesOf(stage, "outcomes");
      bytes.insert(bytes.find("\r\n") + 2, "connection: close\r\n");
      RawConnection client(stack_.proxy_address(0));
      ASSERT_TRUE(client.Send(bytes));
      bool closed = false;
      EXPECT_THAT(client.ReadToEnd(&closed), testing::StartsWith("HTTP/1.1 "));
      EXPECT_TRUE(closed);
    }
  }
  const Books books = CloseBooks(stack_, *quota_, 1, kPools);
  EXPECT_EQ(books.records.size(), 2 * fails.size());
  ExpectQuotaEqualsLedger(*quota_, books, kPools);
  ExpectLedgerEqualsBill(books);
}

}  // namespace
}  // namespace signalbox
