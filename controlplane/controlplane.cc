#include "controlplane/controlplane.h"

#include <glog/logging.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/seal/seal.h"
#include "common/status_macros.h"
#include "controlplane/api/limit_lookup.h"
#include "controlplane/api/live_runs.h"
#include "controlplane/api/operator_services.h"
#include "controlplane/api/quota_connection.h"
#include "controlplane/api/token_authority.h"
#include "controlplane/data_dir.h"
#include "controlplane/http/http_api.h"
#include "controlplane/ledger/ledger_service.h"
#include "controlplane/ledger/suspense_client.h"
#include "controlplane/ledger/suspense_reader.h"
#include "controlplane/prices/bundled_prices.h"
#include "controlplane/prices/genai_prices.h"
#include "controlplane/prices/price_fetch.h"
#include "controlplane/prices/price_refresher.h"
#include "controlplane/publish/grpc_publisher.h"
#include "controlplane/quota/quota_metrics.h"
#include "controlplane/quota/quota_service.h"
#include "controlplane/rpc_metrics.h"
#include "controlplane/store/sqlite_store.h"

namespace signalbox {
namespace {

constexpr char kBuild[] = "0.1.0";
constexpr int kSuspenseIntervalMs = 5'000;
constexpr int kRetentionIntervalMs = 60'000;
constexpr int kMessageBytesMax = 16 << 20;  // a batch of spend records with long metadata
constexpr auto kStreamsEndWithin = std::chrono::milliseconds(500);

absl::StatusOr<PriceCatalogue> ReadCatalogue(std::string_view text, std::string origin) {
  return ParseGenaiPrices(text, std::move(origin), BundledModelLimits());
}

// What the tokens table says, and one token that lives in this process only: with it the control plane reads its own
// quota service's suspense, and reads and adjusts its counters for operators.
class PlaneAuthority final : public TokenAuthority {
 public:
  explicit PlaneAuthority(const TokenAuthority& stored) : stored_(stored), own_token_(NewSecret("sbt_")) {}
  absl::StatusOr<Caller> Authenticate(std::string_view token) const override {
    if (ConstantTimeEquals(token, own_token_)) return Caller{"control-plane", "control-plane", Role::kAdmin};
    return stored_.Authenticate(token);
  }
  const std::string& own_token() const { return own_token_; }

 private:
  const TokenAuthority& stored_;
  const std::string own_token_;
};

class RunningControlPlane final : public ControlPlane {
 public:
  explicit RunningControlPlane(const ControlPlaneOptions& options) : options_(options) {}
  ~RunningControlPlane() override { Stop(); }

  absl::Status Open() {
    if (options_.quota != "embedded" && options_.quota != "off" && options_.quota.find(':') == std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("--quota=", options_.quota, " is not known: give embedded, off, or host:port"));
    }
    if (options_.quota.find(':') != std::string::npos && options_.quota_token_file.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--quota=", options_.quota, " needs --quota_token_file=F with a token of that service"));
    }
    if (options_.ledger_retention_days != 0 && options_.ledger_retention_days < kLedgerRetentionDaysMin) {
      return absl::InvalidArgumentError(absl::StrCat("--ledger_retention_days=", options_.ledger_retention_days,
                                                     " is too short: give 0 to keep everything, or at least ",
                                                     kLedgerRetentionDaysMin));
    }
    RETURN_IF_ERROR(CheckPriceRefresh());
    RETURN_IF_ERROR(CheckListenerIsSafe(options_.grpc_address, options_.listener_tls));
    RETURN_IF_ERROR(CheckListenerIsSafe(options_.http_address, options_.listener_tls));
    ASSIGN_OR_RETURN(data_dir_, DataDir::Open(options_.data_dir));
    RETURN_IF_ERROR(OpenStores());
    RETURN_IF_ERROR(OpenQuota());
    RETURN_IF_ERROR(StartGrpc());
    RETURN_IF_ERROR(StartHttp());
    publisher_->Start();
    RETURN_IF_ERROR(ConnectQuota());
    StartRetention();
    refresher_->Start();
    return absl::OkStatus();
  }

  std::string grpc_address() const override { return grpc_address_; }
  std::string http_address() const override { return http_->address(); }

  // Readers of others' services first, then what wakes waiting calls, then the listeners; the databases close last.
  void Stop() override {
    if (refresher_ != nullptr) refresher_->Stop();
    if (retention_ != nullptr) retention_->Stop();
    if (suspense_ != nullptr) suspense_->Stop();
    if (server_ != nullptr) server_->GetHealthCheckService()->SetServingStatus(false);
    if (publisher_ != nullptr) publisher_->Shutdown();
    if (quota_ != nullptr) quota_->Shutdown();
    if (http_ != nullptr) http_->Stop();
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now() + kStreamsEndWithin);
    if (quota_ != nullptr && server_ != nullptr) quota_->Drain();
  }

 private:
  absl::Status CheckPriceRefresh() const {
    if (options_.price_refresh_hours < 0 || options_.price_refresh_hours > kPriceRefreshHoursMax) {
      return absl::InvalidArgumentError(absl::StrCat("--price_refresh_hours=", options_.price_refresh_hours,
                                                     " is not from 0 (only when asked) to ", kPriceRefreshHoursMax));
    }
    if (options_.price_url.empty()) return absl::OkStatus();
    const absl::Status url = CheckPriceUrl(options_.price_url);
    if (url.ok()) return url;
    return absl::InvalidArgumentError(absl::StrCat("--price_url: ", std::string(url.message())));
  }

  absl::Status OpenStores() {
    StoreOptions store_options;
    store_options.data_dir = data_dir_->path();
    store_options.master_key_path = options_.master_key_file;
    store_options.bundled_catalogue = BundledCatalogue();
    store_options.read_catalogue = ReadCatalogue;
    ASSIGN_OR_RETURN(store_, SqliteStore::Open(store_options, *options_.clock));
    ASSIGN_OR_RETURN(authority_, StoredTokenAuthority::Open(store_->tokens(), data_dir_->path()));
    plane_authority_ = std::make_unique<PlaneAuthority>(*authority_);
    ASSIGN_OR_RETURN(ledger_, SqliteLedger::Open({.path = data_dir_->File("ledger.db")}));
    return absl::OkStatus();
  }

  absl::Status OpenQuota() {
    if (options_.quota != "embedded") return absl::OkStatus();
    QuotaHostOptions quota_options;
    quota_options.data_dir = data_dir_->path();
    quota_options.durability = options_.quota_power_safe ? Durability::kPower : Durability::kProcess;
    quota_options.clock = options_.clock;
    ASSIGN_OR_RETURN(quota_, QuotaHost::Open(quota_options, *plane_authority_));
    return absl::OkStatus();
  }

  absl::Status StartGrpc() {
    ASSIGN_OR_RETURN(const auto credentials, ServerCredentials(options_.grpc_address, options_.listener_tls));
    FleetMemory memory;
    ASSIGN_OR_RETURN(memory.known, store_->RememberedFleet());
    memory.remember = [this](const std::vector<std::string>& known) { return store_->RememberFleet(known); };
    publisher_ = NewGrpcPublisher(*store_, *authority_, *options_.clock, std::move(memory));
    RefreshOptions refresh;
    refresh.url = options_.price_url;
    refresh.interval_s = int64_t{options_.price_refresh_hours} * 3'600;
    refresh.fetch = FetchPriceText;
    refresh.read = ReadCatalogue;
    refresh.on_published = [this] { publisher_->OnCommitted(); };
    refresher_ = std::make_unique<PriceRefresher>(store_->catalogue(), *options_.clock, std::move(refresh));
    OperatorDeps deps;
    deps.store = store_.get();
    deps.refresher = refresher_.get();
    deps.publisher = publisher_.get();
    deps.authority = authority_.get();
    deps.quota = &quota_connection_;
    deps.clock = options_.clock;
    deps.build = kBuild;
    deps.backup = [this](const std::string& directory) { return Backup(directory); };
    operators_ = std::make_unique<OperatorServices>(deps);
    live_runs_ = std::make_unique<LiveRuns>(*store_, *publisher_);
    spend_ = std::make_unique<SpendService>(*ledger_, *authority_);
    usage_ = std::make_unique<UsageService>(*ledger_, *authority_);

    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(options_.grpc_address, credentials, &port);
    builder.SetMaxReceiveMessageSize(kMessageBytesMax);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a taken port is an error, not a second listener
    // Proxies ping idle streams every ten seconds; that is no abuse. The other way round finds dead proxies.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
    builder.experimental().SetInterceptorCreators(metrics_.RpcCounters());
    operators_->Register(builder);
    for (grpc::Service* service : publisher_->services()) builder.RegisterService(service);
    builder.RegisterService(spend_.get());
    builder.RegisterService(usage_.get());
    if (quota_ != nullptr) quota_->Register(builder);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      server_.reset();
      return absl::UnavailableError(absl::StrCat("cannot listen on ", options_.grpc_address,
                                                 ": the port is taken or the address is not this machine's"));
    }
    if (quota_ != nullptr) quota_->Start();
    grpc_address_ = absl::StrCat(options_.grpc_address.substr(0, options_.grpc_address.rfind(':')), ":", port);
    return absl::OkStatus();
  }

  absl::Status StartHttp() {
    HttpApiOptions http_options;
    http_options.address = options_.http_address;
    http_options.tls = options_.listener_tls;
    http_options.ready = [this] { return Ready(); };
    http_options.metrics = [this] { return Metrics(); };
    http_options.console_dir = options_.console_dir;
    http_options.clock = options_.clock;
    http_options.proxy_ca = options_.peer_tls.ca;
    http_options.live = [this](const std::string& gateway, const std::string& proxy_id) {
      return live_runs_->Prepare(gateway, proxy_id);
    };
    http_options.audit = [this](const v1::AuditEntry& entry) {
      const absl::Status written = store_->audit().Append(entry);
      LOG_IF(ERROR, !written.ok()) << "not in the audit log: " << entry.ShortDebugString() << ": " << written;
      return written;
    };
    http_options.on_response = [this](int status) { metrics_.OnHttpResponse(status); };
    ASSIGN_OR_RETURN(http_, HttpApi::Start(std::move(http_options), OwnChannel(), *authority_));
    return absl::OkStatus();
  }

  absl::Status ConnectQuota() {
    if (options_.quota == "off") return absl::OkStatus();
    std::shared_ptr<grpc::Channel> channel = OwnChannel();
    std::string token = plane_authority_->own_token();
    if (quota_ == nullptr) {
      ASSIGN_OR_RETURN(token, ReadTokenFile(options_.quota_token_file));
      ASSIGN_OR_RETURN(channel, NewChannel(options_.quota, options_.peer_tls));
    }
    quota_connection_.Connect(channel, token, options_.quota);
    suspense_ = std::make_unique<SuspenseReader>(
        ListSuspenseOver(channel, token), SettleOver(channel, token), *ledger_,
        [this](const v1::CounterKey& counter, v1::SpendRecord& record) { FillInRoute(counter, record); });
    suspense_->Start(kSuspenseIntervalMs);
    return absl::OkStatus();
  }

  // While the quota service may still ask what a request cost, its record stays. Without one nobody asks.
  void StartRetention() {
    retention_ = std::make_unique<LedgerRetention>(*ledger_, *options_.clock, options_.ledger_retention_days,
                                                   [this] { return suspense_ == nullptr || suspense_->HasSettled(); });
    retention_->Start(kRetentionIntervalMs);
  }

  // A suspended hold knows its pool only. One that was not named by hand begins with its route's id; else the one
  // deployed route that uses it will do.
  void FillInRoute(const v1::CounterKey& counter, v1::SpendRecord& record) const {
    std::string name = counter.pool().substr(0, counter.pool().find('/'));
    absl::StatusOr<v1::Route> route = store_->routes().Get(counter.gateway(), name);
    if (!route.ok() || route->id() != name) {
      const auto limits = FindLimits(*store_, {counter.gateway(), "", "", counter.pool()});
      if (!limits.ok() || limits->empty()) return;
      name = (*limits)[0].elements[0].substr(0, (*limits)[0].elements[0].find('/'));
      for (const DeployedLimit& limit : *limits) {
        for (const std::string& element : limit.elements) {
          if (element.substr(0, element.find('/')) != name) return;  // any of several routes
        }
      }
      route = store_->routes().Get(counter.gateway(), name);
      if (!route.ok()) return;
    }
    record.set_route_id(route->id());
    record.set_route(route->name());
  }

  // A channel to this very server, without a socket; callers bring their own tokens.
  std::shared_ptr<grpc::Channel> OwnChannel() const {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    return server_->InProcessChannel(arguments);
  }

  // Each database through the connection that owns it. The master key stays where it is: a backup that had it would
  // hold the providers' secrets in the clear.
  absl::StatusOr<std::vector<std::string>> Backup(const std::string& directory) {
    const auto path = [&](const char* name) { return absl::StrCat(directory, "/", name); };
    std::vector<std::string> files = {path("routes.db"), path("ledger.db")};
    RETURN_IF_ERROR(store_->Backup(files[0]));
    RETURN_IF_ERROR(ledger_->BackupTo(files[1]));
    if (quota_ != nullptr) {
      files.push_back(path("quota.db"));
      RETURN_IF_ERROR(quota_->BackupTo(files[2]));
    }
    LOG(INFO) << "backup written to " << directory << "; the master key file is not part of it, keep it apart";
    return files;
  }

  absl::Status Ready() const {
    RETURN_IF_ERROR(store_->ReadSnapshot().status());
    return ledger_->CountRecords().status();
  }

  std::string Metrics() {
    if (const auto snapshot = store_->ReadSnapshot(); snapshot.ok()) {
      metrics_.SetGauge("signalbox_snapshot_sequence", "sequence of the published snapshot",
                        static_cast<double>(snapshot->id.sequence()));
    }
    const std::vector<v1::ProxyStatus> fleet = publisher_->Fleet();
    metrics_.SetGauge("signalbox_proxies_connected", "proxies with an open snapshot stream",
                      static_cast<double>(std::count_if(
                          fleet.begin(), fleet.end(), [](const v1::ProxyStatus& proxy) { return proxy.connected(); })));
    metrics_.SetGauge("signalbox_proxies_in_sync", "proxies that serve the published snapshot",
                      static_cast<double>(std::count_if(fleet.begin(), fleet.end(),
                                                        [](const v1::ProxyStatus& proxy) { return proxy.in_sync(); })));
    if (const auto size = ledger_->Size(); size.ok()) {
      metrics_.SetGauge("signalbox_ledger_records", "requests in the ledger", static_cast<double>(size->records));
      metrics_.SetGauge("signalbox_ledger_bytes", "size of ledger.db", static_cast<double>(size->bytes));
      metrics_.SetGauge("signalbox_ledger_free_bytes", "of it, free to be used again",
                        static_cast<double>(size->free_bytes));
      metrics_.SetGauge("signalbox_ledger_open_suspense", "requests of vanished proxies, charged in full so far",
                        static_cast<double>(size->open));
    }
    const LedgerCounts counts = ledger_->counts();
    metrics_.SetGauge("signalbox_ledger_records_deleted", "records deleted for their age since the start",
                      static_cast<double>(counts.deleted));
    metrics_.SetGauge("signalbox_ledger_records_expired",
                      "records acknowledged and not kept, older than the retention, since the start",
                      static_cast<double>(counts.expired));
    if (quota_ != nullptr) {
      ForEachQuotaMetric(quota_->metrics(), [this](const std::string& name, const std::string& help, double value) {
        metrics_.SetGauge(name, help, value);
      });
    }
    return metrics_.Serialize();
  }

  // In the order of construction; destroyed from the bottom up, so that services go before what they stand on.
  const ControlPlaneOptions options_;
  ControlPlaneMetrics metrics_;
  std::unique_ptr<DataDir> data_dir_;
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<StoredTokenAuthority> authority_;
  std::unique_ptr<PlaneAuthority> plane_authority_;
  std::unique_ptr<SqliteLedger> ledger_;
  std::unique_ptr<QuotaHost> quota_;
  QuotaConnection quota_connection_;
  std::unique_ptr<GrpcPublisher> publisher_;
  std::unique_ptr<PriceRefresher> refresher_;
  std::unique_ptr<OperatorServices> operators_;
  std::unique_ptr<LiveRuns> live_runs_;
  std::unique_ptr<SpendService> spend_;
  std::unique_ptr<UsageService> usage_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<HttpApi> http_;
  std::unique_ptr<SuspenseReader> suspense_;
  std::unique_ptr<LedgerRetention> retention_;
  std::string grpc_address_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ControlPlane>> ControlPlane::Start(const ControlPlaneOptions& options) {
  auto plane = std::make_unique<RunningControlPlane>(options);
  RETURN_IF_ERROR(plane->Open());
  return plane;
}

}  // namespace signalbox
