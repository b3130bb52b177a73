#include "tests/testing/stack.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/testing/eventually.h"
#include "tests/testing/reserved_port.h"

#ifndef SIGNALBOX_BIN_DIR
#error "the folder of the binaries must be given"
#endif

namespace signalbox {
namespace {

using nlohmann::json;

constexpr char kProviderKey[] = "sk-the-providers-own-secret";
constexpr char kAwsSecret[] = "of-the-providers-own/access+key";
constexpr char kQuotaAdminToken[] = "sbt_of-the-control-plane";
constexpr size_t kPageSize = 1'000;

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "stack: %s\n", why.c_str());
  std::fflush(stderr);
  std::_Exit(3);
}

std::string MakeDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "signalbox-stack-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) Die("cannot make a temporary directory");
  return name;
}

void WriteFile(const std::string& path, const std::string& text) {
  std::FILE* out = std::fopen(path.c_str(), "w");
  const bool written = out != nullptr && std::fwrite(text.data(), 1, text.size(), out) == text.size();
  if (out == nullptr || std::fclose(out) != 0 || !written) Die(absl::StrCat("cannot write ", path));
}

// What only its owner may read, as the binaries ask for with tokens.
void WriteSecret(const std::string& path, const std::string& text) {
  WriteFile(path, "");
  if (chmod(path.c_str(), 0600) != 0) Die(absl::StrCat("cannot make ", path, " private"));
  WriteFile(path, text);
}

json ParseOrDie(const std::string& text, const std::string& what) {
  json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) Die(absl::StrCat(what, " is not JSON: ", text.substr(0, 500)));
  return parsed;
}

}  // namespace

std::string BinDir() {
  const char* chosen = std::getenv("SIGNALBOX_BIN_DIR");
  return chosen != nullptr ? chosen : SIGNALBOX_BIN_DIR;
}

std::string WalkthroughRoute() {
  const std::string route = ReadWholeFile(SIGNALBOX_SOURCE_DIR "/deploy/examples/my-trillion-dollar-saas.json");
  if (route.empty()) Die("deploy/examples/my-trillion-dollar-saas.json is missing");
  return route;
}

int64_t CostNanos(const json& record) {
  const auto found = record.find("costNanos");
  if (found == record.end()) return 0;
  int64_t nanos = 0;
  if (found->is_number_integer()) return found->get<int64_t>();
  if (!found->is_string() || !absl::SimpleAtoi(found->get_ref<const std::string&>(), &nanos))
    Die("costNanos: no number");
  return nanos;
}

Stack::Stack(Options options) : directory_(MakeDirectory()) {
  provider_ = {"provider", "signalbox-simprovider", {}, {{"address", "http"}}, {}, std::nullopt};
  provider_.flags = {absl::StrCat("--require_key=", kProviderKey), absl::StrCat("--aws_secret=", kAwsSecret)};
  provider_.flags.insert(provider_.flags.end(), options.provider_flags.begin(), options.provider_flags.end());
  if (!options.provider_prices.empty()) {
    WriteFile(Path("prices.json"), options.provider_prices);
    provider_.flags.push_back(absl::StrCat("--prices=", Path("prices.json")));
  }
  StartMember(provider_);
  const std::string token_file = Path("controlplane/proxy.token");
  control_plane_ = {"controlplane",
                    "signalbox-controlplane",
                    {absl::StrCat("--data_dir=", Path("controlplane")), "--quota=off"},
                    {{"grpc_address", "grpc"}, {"http_address", "http"}},
                    {},
                    std::nullopt};
  // Its first start makes the tokens that the quota service accepts, whose address it then needs.
  StartMember(control_plane_);
  control_plane_.process->Terminate();
  // Proxies decide, the control plane may also adjust.
  WriteSecret(Path("quota-admin.token"), absl::StrCat(kQuotaAdminToken, "\n"));
  WriteSecret(Path("quota.tokens"), absl::StrCat("admin ", kQuotaAdminToken, "\n", ReadWholeFile(token_file)));
  quota_ = {"quota",
            "signalbox-quota",
            {absl::StrCat("--data_dir=", Path("quota")), absl::StrCat("--token_file=", Path("quota.tokens"))},
            {{"grpc_address", "grpc"}},
            {},
            std::nullopt};
  quota_.flags.insert(quota_.flags.end(), options.quota_flags.begin(), options.quota_flags.end());
  StartMember(quota_);
  control_plane_.flags.back() = absl::StrCat("--quota=", quota_.addresses[0]);
  control_plane_.flags.push_back(absl::StrCat("--quota_token_file=", Path("quota-admin.token")));
  StartMember(control_plane_);
  ApplyProvider("openai", provider_url(), kProviderKey);
  ApplyProvider("anthropic", provider_url(), kProviderKey);
  key_ = CreateKey();
  proxies_.reserve(16);  // members stay where they are
  more_providers_.reserve(16);
  for (int i = 0; i < options.proxies; ++i) AddProxy();
}

Stack::~Stack() {
  for (Member& proxy : proxies_) proxy.process.reset();
  for (Member* member : {&quota_, &control_plane_, &provider_}) member->process.reset();
  for (Member& provider : more_providers_) provider.process.reset();
  if (std::getenv("SIGNALBOX_KEEP_STACK") != nullptr) {
    std::fprintf(stderr, "stack: kept %s\n", directory_.c_str());
    return;
  }
  std::error_code ignored;  // a directory left over in /tmp harms no test
  std::filesystem::remove_all(directory_, ignored);
}

void Stack::StartMember(Member& member) {
  std::vector<std::string> arguments = member.flags;
  for (size_t i = 0; i < member.listens.size(); ++i) {
    const std::string address =
        i < member.addresses.size() ? member.addresses[i] : absl::StrCat("127.0.0.1:", ReservedPort());
    arguments.push_back(absl::StrCat("--", member.listens[i].first, "=", address));
  }
  member.process.reset();
  absl::StatusOr<ChildProcess> child =
      ChildProcess::Start(absl::StrCat(BinDir(), "/", member.program), arguments, Path(member.name));
  if (!child.ok()) Die(std::string(child.status().message()));
  member.process.emplace(*std::move(child));
  std::vector<std::string> addresses;
  for (const auto& [flag, kind] : member.listens) {
    absl::StatusOr<std::string> address = member.process->Listening(kind);
    if (!address.ok()) Die(std::string(address.status().message()));
    addresses.push_back(*std::move(address));
  }
  member.addresses = std::move(addresses);
}

size_t Stack::AddProvider(const std::vector<std::string>& flags) {
  Member provider = {absl::StrCat("provider-", more_providers_.size() + 2),
                     "signalbox-simprovider",
                     {absl::StrCat("--require_key=", kProviderKey), absl::StrCat("--aws_secret=", kAwsSecret)},
                     {{"address", "http"}},
                     {},
                     std::nullopt};
  provider.flags.insert(provider.flags.end(), flags.begin(), flags.end());
  if (std::filesystem::exists(Path("prices.json"))) {
    provider.flags.push_back(absl::StrCat("--prices=", Path("prices.json")));
  }
  StartMember(provider);
  more_providers_.push_back(std::move(provider));
  return more_providers_.size();
}

size_t Stack::AddProxy(const std::vector<std::string>& flags, const std::string& token_file) {
  const std::string name = absl::StrCat("proxy-", proxies_.size() + 1);
  Member proxy{
      name,
      "signalbox-proxy",
      {absl::StrCat("--proxy_id=", name), absl::StrCat("--data_dir=", Path(name)),
       absl::StrCat("--control_plane=", control_plane_.addresses[0]), absl::StrCat("--quota=", quota_.addresses[0]),
       absl::StrCat("--token_file=", token_file.empty() ? Path("controlplane/proxy.token") : token_file)},
      {{"http_address", "http"}, {"admin_address", "admin"}},
      {},
      std::nullopt};
  proxy.flags.insert(proxy.flags.end(), flags.begin(), flags.end());
  StartMember(proxy);
  proxies_.push_back(std::move(proxy));
  return proxies_.size() - 1;
}

void Stack::AwaitInSync(size_t index) {
  const bool in_sync = Eventually([&] {
    const json fleet = Api("GET", "/v1/proxies");
    for (const json& proxy : fleet["proxies"]) {
      if (proxy.value("proxyId", "") == proxies_[index].name && proxy.value("connected", false)) {
        return proxy.value("inSync", false);
      }
    }
    return false;
  });
  if (!in_sync) Die(absl::StrCat(proxies_[index].name, " is not in sync: ", Api("GET", "/v1/proxies").dump()));
}

std::string Stack::admin_token() const {
  const std::string file = ReadWholeFile(Path("controlplane/admin.token"));
  return file.substr(0, file.find_first_of("\r\n"));
}

HttpAnswer Stack::Ask(const std::string& method, const std::string& path, const json& body) {
  return Call(control_plane_.addresses[1], method, path, {{"authorization", absl::StrCat("Bearer ", admin_token())}},
              body.is_null() ? "" : body.dump());
}

json Stack::Api(const std::string& method, const std::string& path, const json& body) {
  const HttpAnswer answer = Ask(method, path, body);
  if (answer.status / 100 != 2) Die(absl::StrCat(method, " ", path, ": ", answer.status, " ", answer.body));
  return ParseOrDie(answer.body, path);
}

CommandResult Stack::Ctl(const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {absl::StrCat("--server=", control_plane_.addresses[0]),
                                  absl::StrCat("--token_file=", Path("controlplane/admin.token"))};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return RunCommand(absl::StrCat(BinDir(), "/signalboxctl"), all, Path("ctl"));
}

void Stack::ApplyProvider(const std::string& name, const std::string& base_url, const std::string& secret) {
  Api("PUT", absl::StrCat("/v1/gateways/default/providers/", name),
      {{"provider", {{"kind", "openai"}, {"baseUrl", base_url}}}, {"secret", secret}});
}

void Stack::ApplyProvider(const std::string& name, const json& provider, const std::string& secret,
                          const json& endpoint_secrets) {
  Api("PUT", absl::StrCat("/v1/gateways/default/providers/", name),
      {{"provider", provider}, {"secret", secret}, {"endpointSecrets", endpoint_secrets}});
}

std::string Stack::provider_key() { return kProviderKey; }

// Nothing is published before the first deployment.
void Stack::AwaitPublished() {
  if (Api("GET", "/v1/proxies")["published"].value("sequence", "0") == "0") return;
  for (size_t i = 0; i < proxies_.size(); ++i) AwaitInSync(i);
}

void Stack::ApplyEveryKind() {
  const std::string root = provider_root();
  const auto apply = [&](const char* name, const char* kind, const std::string& base_url, const json& options) {
    const bool aws = std::string_view(kind) == "bedrock";
    const json provider = {{"kind", kind}, {"baseUrl", base_url}, {"options", options}};
    ApplyProvider(name, provider, aws ? absl::StrCat("AKIDEXAMPLE:", kAwsSecret) : std::string(kProviderKey));
  };
  const json none = json::object();
  apply("openai", "openai", root + "/v1", none);
  apply("groq", "openai", root + "/openai/v1", none);
  apply("anthropic", "anthropic", root + "/v1", none);
  apply("google", "google", root + "/v1beta", none);
  apply("google-ai-studio", "google", root + "/v1beta", none);
  apply("aws-bedrock", "bedrock", root, {{"region", "us-east-1"}});
  apply("azure-openai", "azure-openai", root, {{"api_version", "2024-10-21"}});
  apply("azure-v1", "azure-openai", root + "/openai/v1", none);
  AwaitPublished();
}

void Stack::SetGateway(const json& settings) {
  Api("PUT", "/v1/gateways/default", {{"settings", settings}});
  AwaitPublished();
}

std::string Stack::CreateKey(const json& fields, const std::string& gateway) {
  const json made = Api("POST", absl::StrCat("/v1/gateways/", gateway, "/keys"), fields);
  return made.value("secret", "");
}

int64_t Stack::DeployRoute(const std::string& text) {
  for (size_t i = 0; i < proxies_.size(); ++i) {
    // A deployment waits for the proxies that the control plane knows.
    const bool connected = Eventually([&] {
      const std::string fleet = Api("GET", "/v1/proxies").dump();
      return fleet.find(absl::StrCat("\"", proxies_[i].name, "\"")) != std::string::npos;
    });
    if (!connected)
      Die(absl::StrCat(proxies_[i].name, " did not reach the control plane: ", proxies_[i].process->Log()));
  }
  const std::string file = Path("route.json");
  WriteFile(file, text);
  const CommandResult applied = Ctl({"route", "apply", "-f", file, "--deploy", "--wait"});
  if (applied.exit_status != 0) Die(absl::StrCat("route apply: ", applied.out, applied.err));
  const std::string name = ParseOrDie(text, "the route").value("name", "");
  const json route = Api("GET", absl::StrCat("/v1/gateways/default/routes/", name));
  int64_t version = 0;
  const json& deployed = route["deployedVersion"];
  if (deployed.is_string() && absl::SimpleAtoi(deployed.get<std::string>(), &version)) return version;
  return deployed.is_number() ? deployed.get<int64_t>() : 0;
}

std::vector<json> Stack::Records() {
  std::vector<json> records;
  std::string token;
  do {
    const json page = Api("GET", absl::StrCat("/v1/gateways/default/requests?page_size=", kPageSize,
                                              token.empty() ? "" : "&page_token=", token));
    if (page.contains("records")) {
      for (const json& record : page["records"]) records.push_back(record);
    }
    token = page.value("nextPageToken", "");
  } while (!token.empty());
  return records;
}

std::vector<json> Stack::AwaitRecords(size_t count) {
  std::vector<json> records;
  Eventually([&] {
    records = Records();
    return records.size() >= count;
  });
  return records;
}

std::string Stack::ChatBytes(const ChatOptions& options, const std::string& extra_headers) {
  json body = {{"model", absl::StrCat("dynamic/", options.route)},
               {"messages", {{{"role", "user"}, {"content", "Describe my new website about kites"}}}}};
  if (options.stream) body["stream"] = true;
  body.update(options.body);
  const std::string text = body.dump();
  return absl::StrCat(
      "POST /v1/chat/completions HTTP/1.1\r\nhost: proxy\r\nauthorization: Bearer ",
      options.key.empty() ? key_ : options.key, "\r\ncontent-type: application/json\r\n",
      options.metadata.is_null() ? "" : absl::StrCat("cf-aig-metadata: ", options.metadata.dump(), "\r\n"),
      extra_headers, "content-length: ", text.size(), "\r\n\r\n", text);
}

HttpAnswer Stack::Chat(const ChatOptions& options) {
  const std::string bytes = ChatBytes(options);
  Headers headers = {{"authorization", absl::StrCat("Bearer ", options.key.empty() ? key_ : options.key)}};
  if (!options.metadata.is_null()) headers.emplace_back("cf-aig-metadata", options.metadata.dump());
  return Call(proxy_address(options.proxy), "POST", "/v1/chat/completions", headers,
              bytes.substr(bytes.find("\r\n\r\n") + 4));
}

json Stack::Provider(const std::string& target, size_t index) {
  return ParseOrDie(Call(provider(index).addresses[0], "GET", target).body, target);
}

void Stack::ControlProvider(const json& settings, size_t index) {
  const HttpAnswer answer = Call(provider(index).addresses[0], "POST", "/control", {}, settings.dump());
  if (answer.status != 200) Die(absl::StrCat("the provider's /control: ", answer.body));
}

}  // namespace signalbox
