// The publisher and the proxy's client against each other over real gRPC.
#include "dataplane/config/config_client.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "common/rpc/rpc.h"
#include "controlplane/publish/grpc_publisher.h"
#include "signalbox/v1/snapshot.grpc.pb.h"
#include "tests/controlplane/publish/snapshot_samples.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

constexpr int kPatienceMs = 30'000;

class FixedTokens final : public TokenAuthority {
 public:
  absl::StatusOr<Caller> Authenticate(std::string_view token) const override {
    if (token == "admin") return Caller{"1", "admin", Role::kAdmin};
    if (token == "proxy") return Caller{"2", "proxy", Role::kProxy};
    return absl::UnauthenticatedError("unknown token");
  }
};

// A control plane of nothing but the publisher, which can go away and come back on the same port.
class ControlPlane {
 public:
  explicit ControlPlane(const SnapshotSource& source, int port = 0)
      : publisher_(NewGrpcPublisher(source, tokens_, Clock::System())) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials(), &port_);
    for (grpc::Service* service : publisher_->services()) builder.RegisterService(service);
    server_ = builder.BuildAndStart();
    EXPECT_NE(server_, nullptr);
    publisher_->Start();
  }
  ~ControlPlane() {
    publisher_->Shutdown();
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
    server_.reset();
  }
  GrpcPublisher& publisher() { return *publisher_; }
  int port() const { return port_; }
  std::shared_ptr<grpc::Channel> Channel() const { return *NewChannel(absl::StrCat("127.0.0.1:", port_), TlsFiles()); }

 private:
  FixedTokens tokens_;
  std::unique_ptr<GrpcPublisher> publisher_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// Sees every snapshot a holder swaps in and lets a test wait for one.
class Watcher {
 public:
  explicit Watcher(SnapshotHolder& holder) {
    holder.AddListener([this](std::shared_ptr<const ActiveSnapshot> snapshot) {
      MutexLock lock(mutex_);
      seen_.push_back(std::move(snapshot));
      changed_.NotifyAll();
    });
  }
  bool WaitForVersion(int64_t version) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
    MutexLock lock(mutex_);
    while (seen_.empty() || seen_.back()->gateways.at("default").routes.at("my-saas")->version() != version) {
      if (!changed_.WaitUntil(mutex_, deadline)) return false;
    }
    return true;
  }
  size_t count() {
    MutexLock lock(mutex_);
    return seen_.size();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::shared_ptr<const ActiveSnapshot>> seen_ SB_GUARDED_BY(mutex_);
};

class ConfigClientTest : public ::testing::Test {
 protected:
  ConfigClientTest() {
    std::string pattern = ::testing::TempDir() + "/config_client_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~ConfigClientTest() override { std::filesystem::remove_all(directory_); }

  ConfigClientOptions Options(const std::shared_ptr<grpc::Channel>& channel, const std::string& id = "p1",
                              int max_schema = kSchema, const std::string& token = "proxy") {
    ConfigClientOptions options;
    options.channel = channel;
    options.token = token;
    options.proxy_id = id;
    options.boot_id = absl::StrCat(id, "-boot-", ++boots_);
    options.build = "0.1.0";
    options.labels = {{"zone", "a"}};
    options.data_dir = absl::StrCat(directory_, "/", id);
    options.max_schema = max_schema;
    options.in_flight = [] { return int64_t{3}; };
    options.status_us = 10'000;
    std::filesystem::create_directories(options.data_dir);
    return options;
  }
  std::unique_ptr<ConfigClient> NewClient(const std::shared_ptr<grpc::Channel>& channel, const std::string& id = "p1",
                                          int max_schema = kSchema, const std::string& token = "proxy") {
    auto client = NewConfigClient(Options(channel, id, max_schema, token));
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }

  // What the fleet looks like once `done` holds.
  template <typename Done>
  v1::ProxyStatus WaitForProxy(GrpcPublisher& publisher, const std::string& id, Done done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
    while (true) {
      for (const v1::ProxyStatus& proxy : publisher.Fleet()) {
        if (proxy.proxy_id() == id && done(proxy)) return proxy;
      }
      if (std::chrono::steady_clock::now() > deadline) {
        ADD_FAILURE() << "the fleet never got there";
        return {};
      }
      publisher.WaitForFleet(INT64_MAX, 1);  // gives the others the processor
    }
  }

  std::string directory_;
  int boots_ = 0;
  ScriptedSource source_;
};

TEST_F(ConfigClientTest, ADeploymentReachesTheProxyAndTheFleetTellsHowLongItTook) {
  source_.Set(VersionOfRoute(1, 1));
  ControlPlane control(source_);
  auto client = NewClient(control.Channel());
  Watcher watcher(client->holder());
  EXPECT_EQ(client->holder().Get(), nullptr);
  client->Start();
  ASSERT_TRUE(client->WaitForFirst(kPatienceMs));
  ASSERT_TRUE(watcher.WaitForVersion(1));

  source_.Set(VersionOfRoute(2, 2));
  control.publisher().OnCommitted();
  const auto results = control.publisher().WaitForFleet(2, kPatienceMs);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].proxy_id(), "p1");
  EXPECT_EQ(results[0].state(), v1::ProxyResult::APPLIED);
  EXPECT_GT(results[0].latency_us(), 0);
  EXPECT_TRUE(watcher.WaitForVersion(2));
  EXPECT_TRUE(client->Connected());
  EXPECT_EQ(client->StalenessMicros(), 0);

  const v1::ProxyStatus status = WaitForProxy(
      control.publisher(), "p1", [](const v1::ProxyStatus& proxy) { return proxy.in_flight_requests() == 3; });
  EXPECT_TRUE(status.in_sync());
  EXPECT_EQ(status.build(), "0.1.0");
  EXPECT_EQ(status.labels().at("zone"), "a");
  EXPECT_EQ(client->counters().applied, 2);
}

TEST_F(ConfigClientTest, AStatusCarriesTheHealthOfProvidersAndComesEarlyWhenItChanged) {
  source_.Set(VersionOfRoute(1, 1));
  ControlPlane control(source_);
  std::atomic<uint64_t> changes{1};
  ConfigClientOptions options = Options(control.Channel(), "p1");
  options.status_us = 3'600'000'000;  // never, in this test
  options.providers = [&changes] {
    v1::ProviderStatus status;
    status.set_gateway("default");
    status.set_provider("openai");
    status.set_failures(static_cast<int64_t>(changes.load()));
    return std::vector<v1::ProviderStatus>{status};
  };
  options.provider_changes = [&changes] { return changes.load(); };
  auto client = NewConfigClient(std::move(options));
  ASSERT_TRUE(client.ok()) << client.status();
  (*client)->Start();
  const auto told = [&control](int64_t failures) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
    while (std::chrono::steady_clock::now() < deadline) {
      const std::vector<v1::ProviderStatus> providers = control.publisher().ProviderStatuses("default");
      if (providers.size() == 1 && providers[0].proxy_id() == "p1" && providers[0].failures() == failures) return true;
      control.publisher().WaitForFleet(INT64_MAX, 1);  // gives the others the processor
    }
    return false;
  };
  EXPECT_TRUE(told(1)) << "once the stream is there";
  changes = 2;
  EXPECT_TRUE(told(2));
  (*client)->Stop();
}

TEST_F(ConfigClientTest, CommitsWithinTheDebounceTravelTogether) {
  source_.Set(VersionOfRoute(1, 1));
  ControlPlane control(source_);
  auto client = NewClient(control.Channel());
  Watcher watcher(client->holder());
  client->Start();
  ASSERT_TRUE(watcher.WaitForVersion(1));
  const int before = source_.snapshots_read();
  const int64_t start_us = Clock::System().MonotonicMicros();
  for (int64_t version = 2; version <= 100; ++version) {
    source_.Set(VersionOfRoute(version, version));
    control.publisher().OnCommitted();
  }
  ASSERT_TRUE(watcher.WaitForVersion(100));
  const int64_t elapsed_us = Clock::System().MonotonicMicros() - start_us;
  EXPECT_LE(source_.snapshots_read() - before, elapsed_us / kDebounceUs) << "at most one publication per debounce";
}

TEST_F(ConfigClientTest, ARejectedUpdateKeepsServingTheOldVersionAndTheFleetSaysWhy) {
  source_.Set(VersionOfRoute(1, 1));
  ControlPlane control(source_);
  auto client = NewClient(control.Channel());
  client->Start();
  ASSERT_TRUE(client->WaitForFirst(kPatienceMs));
  v1::Resource broken = SampleRoute("my-saas", 2);
  broken.mutable_route()->mutable_elements(0)->mutable_start()->set_next(77);
  source_.Set(MakeSnapshot(2, {SampleProvider(), SampleKey("k1"), broken}));
  control.publisher().OnCommitted();
  auto results = control.publisher().WaitForFleet(2, kPatienceMs);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].state(), v1::ProxyResult::REJECTED);
  ASSERT_EQ(results[0].faults_size(), 1);
  EXPECT_EQ(results[0].faults(0).code(), "bad_route");
  EXPECT_THAT(results[0].faults(0).message(), HasSubstr("my-saas"));
  EXPECT_EQ(client->holder().Get()->gateways.at("default").routes.at("my-saas")->version(), 1);
  EXPECT_EQ(client->counters().rejected, 1);

  source_.Set(VersionOfRoute(3, 3));
  control.publisher().OnCommitted();
  results = control.publisher().WaitForFleet(3, kPatienceMs);
  EXPECT_EQ(results.at(0).state(), v1::ProxyResult::APPLIED);
}

TEST_F(ConfigClientTest, AProxyOfAnOlderSchemaServesItsLastKnownGoodAndIsShownRejected) {
  source_.Set(VersionOfRoute(1, 1));
  ControlPlane control(source_);
  {
    auto client = NewClient(control.Channel());
    client->Start();
    control.publisher().WaitForFleet(1, 1);
    ASSERT_TRUE(client->WaitForFirst(kPatienceMs));
    WaitForProxy(control.publisher(), "p1", [](const v1::ProxyStatus& proxy) { return proxy.in_sync(); });
  }
  source_.Set(VersionOfRoute(2, 2));
  control.publisher().OnCommitted();
  auto client = NewClient(control.Channel(), "p1", /*max_schema=*/0);
  ASSERT_NE(client->holder().Get(), nullptr) << "from disk, before Start";
  client->Start();
  const v1::ProxyStatus status = WaitForProxy(control.publisher(), "p1", [](const v1::ProxyStatus& proxy) {
    return proxy.rejected_id().sequence() == 2 && proxy.connected();
  });
  EXPECT_EQ(status.rejected(0).code(), "schema_too_new");
  EXPECT_EQ(control.publisher().WaitForFleet(2, kPatienceMs).at(0).state(), v1::ProxyResult::REJECTED);
  EXPECT_EQ(client->holder().Get()->gateways.at("default").routes.at("my-saas")->version(), 1);
}

TEST_F(ConfigClientTest, ASnapshotOfManyChunksArrivesWhole) {
  std::vector<v1::Resource> resources = {SampleProvider(), SampleRoute("my-saas", 1)};
  for (int i = 0; i < 50; ++i) {
    resources.push_back(
        SampleRoute(absl::StrCat("route-", i), 1, std::string(100'000, static_cast<char>('a' + i % 26))));
  }
  resources.push_back(SampleRoute("huge", 1, std::string(5 << 20, 'h')));
  source_.Set(MakeSnapshot(1, resources));
  ControlPlane control(source_);
  auto client = NewClient(control.Channel());
  client->Start();
  ASSERT_TRUE(client->WaitForFirst(kPatienceMs));
  EXPECT_EQ(client->holder().Get()->gateways.at("default").routes.size(), 52u);
  EXPECT_EQ(client->holder().Get()->gateways.at("default").routes.at("huge")->elements(2).end().message().size(),
            5u << 20);
}

TEST_F(ConfigClientTest, UnchangedPartsAreSharedWithTheSnapshotBefore) {
  source_.Set(VersionOfRoute(1, 1));
  ControlPlane control(source_);
  auto client = NewClient(control.Channel());
  Watcher watcher(client->holder());
  client->Start();
  ASSERT_TRUE(watcher.WaitForVersion(1));
  const auto before = client->holder().Get();
  source_.Set(VersionOfRoute(2, 2));
  control.publisher().OnCommitted();
  ASSERT_TRUE(watcher.WaitForVersion(2));
  const auto after = client->holder().Get();
  EXPECT_EQ(before->gateways.at("default").providers.at("openai"),
            after->gateways.at("default").providers.at("openai"));
  EXPECT_EQ(before->gateways.at("default").routes.at("my-saas")->version(), 1) << "a pinned snapshot never changes";
}

// Offers on its first stream a change of what the proxy never had, on every later one the whole.
class MistakenControlPlane final : public v1::Snapshots::Service {
 public:
  explicit MistakenControlPlane(SampleSnapshot sample) : sample_(std::move(sample)) {}
  grpc::Status Stream(grpc::ServerContext*,
                      grpc::ServerReaderWriter<v1::ControlMessage, v1::ProxyMessage>* stream) override {
    v1::ProxyMessage said;
    if (!stream->Read(&said)) return grpc::Status::OK;
    v1::ControlMessage message;
    v1::Offer& offer = *message.mutable_offer();
    offer.set_nonce(1);
    *offer.mutable_id() = sample_.snapshot.id;
    offer.set_schema(sample_.snapshot.schema);
    offer.mutable_manifest()->Assign(sample_.snapshot.manifest.begin(), sample_.snapshot.manifest.end());
    for (const auto& [sha256, data] : sample_.blobs) {
      v1::BlobChunk* blob = offer.add_blobs();
      blob->set_sha256(sha256);
      blob->set_data(data);
      blob->set_size(data.size());
    }
    offer.set_last(true);
    if (++streams_ == 1) offer.mutable_base()->set_sequence(77);
    stream->Write(message);
    while (stream->Read(&said)) {
      if (said.has_nack()) ++nacks_;
    }
    return grpc::Status::OK;
  }
  int streams() const { return streams_; }
  int nacks() const { return nacks_; }

 private:
  const SampleSnapshot sample_;
  std::atomic<int> streams_{0}, nacks_{0};
};

TEST_F(ConfigClientTest, AChangeOfWhatItDoesNotServeEndsTheStreamAndTheNextBeginsWithTheWhole) {
  MistakenControlPlane service(VersionOfRoute(4, 4));
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  auto client = NewClient(*NewChannel(absl::StrCat("127.0.0.1:", port), TlsFiles()));
  Watcher watcher(client->holder());
  client->Start();
  ASSERT_TRUE(watcher.WaitForVersion(4));
  client->Stop();
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
  EXPECT_EQ(service.streams(), 2);
  EXPECT_EQ(service.nacks(), 0) << "nothing is wrong with the content";
  EXPECT_EQ(client->counters().rejected, 0);
}

TEST_F(ConfigClientTest, AProxyStartsFromItsDiskWithTheControlPlaneAwayAndCatchesUpWhenItIsBack) {
  int port = 0;
  {
    source_.Set(VersionOfRoute(1, 1));
    ControlPlane control(source_);
    port = control.port();
    auto client = NewClient(control.Channel());
    client->Start();
    ASSERT_TRUE(client->WaitForFirst(kPatienceMs));
    WaitForProxy(control.publisher(), "p1", [](const v1::ProxyStatus& proxy) { return proxy.in_sync(); });
  }
  auto client = NewClient(*NewChannel(absl::StrCat("127.0.0.1:", port), TlsFiles()));
  client->Start();
  ASSERT_TRUE(client->WaitForFirst(0));
  Watcher watcher(client->holder());
  EXPECT_TRUE(watcher.WaitForVersion(1));
  EXPECT_FALSE(client->Connected());

  source_.Set(VersionOfRoute(2, 2));
  ControlPlane control(source_, port);
  ASSERT_TRUE(watcher.WaitForVersion(2));
  EXPECT_TRUE(client->Connected());
}

TEST_F(ConfigClientTest, WhatCouldNotBeKeptIsKeptAsSoonAsItCan) {
  source_.Set(VersionOfRoute(1, 1));
  ControlPlane control(source_);
  auto client = NewClient(control.Channel());
  const std::string in_the_way = directory_ + "/p1/snapshot.tmp";
  std::filesystem::create_directory(in_the_way);
  client->Start();
  ASSERT_TRUE(client->WaitForFirst(kPatienceMs));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  while (client->counters().save_failures < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_GE(client->counters().save_failures, 2);
  std::filesystem::remove(in_the_way);
  const std::string kept = directory_ + "/p1/snapshot.0";
  while (!std::filesystem::exists(kept) && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(std::filesystem::exists(kept));
  EXPECT_EQ(client->counters().applied, 1);
}

TEST_F(ConfigClientTest, ALowerSequenceOfARestoredDatabaseIsApplied) {
  source_.Set(VersionOfRoute(90, 9));
  ControlPlane control(source_);
  auto client = NewClient(control.Channel());
  Watcher watcher(client->holder());
  client->Start();
  ASSERT_TRUE(watcher.WaitForVersion(9));
  source_.Set(MakeSnapshot(3, {SampleProvider(), SampleRoute("my-saas", 2)}, "lineage-b"));
  control.publisher().OnCommitted();
  ASSERT_TRUE(watcher.WaitForVersion(2));
  EXPECT_EQ(client->holder().Get()->id.lineage(), "lineage-b");
}

TEST_F(ConfigClientTest, WithoutATokenThereIsNoSnapshotAndWithoutAnAdminTokenNoFleet) {
  source_.Set(VersionOfRoute(1, 1));
  ControlPlane control(source_);
  const auto channel = control.Channel();
  for (const std::string token : {"", "wrong"}) {
    grpc::ClientContext context;
    if (!token.empty()) AddToken(context, token);
    auto stub = v1::Snapshots::NewStub(channel);
    auto stream = stub->Stream(&context);
    v1::ControlMessage message;
    EXPECT_FALSE(stream->Read(&message));
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  }
  grpc::ClientContext context;
  AddToken(context, "proxy");
  v1::ListProxiesResponse response;
  EXPECT_EQ(v1::Fleet::NewStub(channel)->ListProxies(&context, v1::ListProxiesRequest(), &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(ConfigClientTest, TheFleetIsListedInPagesOrderedById) {
  source_.Set(VersionOfRoute(1, 1));
  ControlPlane control(source_);
  std::vector<std::unique_ptr<ConfigClient>> clients;
  for (const std::string id : {"c", "a", "b"}) {
    clients.push_back(NewClient(control.Channel(), id));
    clients.back()->Start();
    WaitForProxy(control.publisher(), id, [](const v1::ProxyStatus& proxy) { return proxy.in_sync(); });
  }
  std::vector<std::string> ids;
  v1::ListProxiesRequest request;
  request.set_page_size(2);
  auto stub = v1::Fleet::NewStub(control.Channel());
  do {
    grpc::ClientContext context;
    AddToken(context, "admin");
    v1::ListProxiesResponse response;
    ASSERT_TRUE(stub->ListProxies(&context, request, &response).ok());
    EXPECT_LE(response.proxies_size(), 2);
    EXPECT_EQ(response.published().sequence(), 1);
    for (const v1::ProxyStatus& proxy : response.proxies()) ids.push_back(proxy.proxy_id());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(ids, ::testing::ElementsAre("a", "b", "c"));
}

TEST_F(ConfigClientTest, BothSidesStopWithStreamsOpen) {
  source_.Set(VersionOfRoute(1, 1));
  auto control = std::make_unique<ControlPlane>(source_);
  auto stays = NewClient(control->Channel(), "stays");
  auto goes = NewClient(control->Channel(), "goes");
  stays->Start();
  goes->Start();
  ASSERT_TRUE(stays->WaitForFirst(kPatienceMs));
  ASSERT_TRUE(goes->WaitForFirst(kPatienceMs));
  goes->Stop();
  WaitForProxy(control->publisher(), "goes", [](const v1::ProxyStatus& proxy) { return !proxy.connected(); });
  control.reset();
  stays->Stop();
  stays->Stop();
}

TEST_F(ConfigClientTest, AClientThatNeverReachesItsControlPlaneStopsToo) {
  auto client = NewClient(*NewChannel("127.0.0.1:1", TlsFiles()));
  client->Start();
  EXPECT_FALSE(client->WaitForFirst(50));
  EXPECT_FALSE(client->Connected());
  client->Stop();
}

TEST_F(ConfigClientTest, NoSecretIsOnDiskInTheClear) {
  source_.Set(VersionOfRoute(1, 1));
  ControlPlane control(source_);
  auto client = NewClient(control.Channel());
  client->Start();
  WaitForProxy(control.publisher(), "p1", [](const v1::ProxyStatus& proxy) { return proxy.in_sync(); });
  client->Stop();
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_ + "/p1")) {
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string data((std::istreambuf_iterator<char>(in)), {});
    EXPECT_EQ(data.find("sk-very-secret"), std::string::npos) << entry.path();
    EXPECT_EQ(entry.status().permissions() & std::filesystem::perms(077), std::filesystem::perms::none) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 2) << "the key and one generation";
}

}  // namespace
}  // namespace signalbox
