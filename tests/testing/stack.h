// A whole Signalbox for a test: simulated providers, control plane, quota service of its own, proxies; the real
// binaries, on free ports and in a directory that goes with it. A process that is started again keeps its address and
// its data. Calls that prepare (Start, routes, keys) end the process with a sentence when they fail: nothing after them
// makes sense. Thread-safe are Chat, Ask and what only reads; starting and stopping is for one thread.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/testing/child_process.h"
#include "tests/testing/http_call.h"

namespace signalbox {

class Stack {
 public:
  struct Options {
    int proxies = 2;
    std::vector<std::string> provider_flags;  // of the simulated provider
    std::string provider_prices;              // its price file; empty: the one built in
    std::vector<std::string> quota_flags;     // of the quota service
  };
  Stack() : Stack(Options{}) {}
  explicit Stack(Options options);
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  // ---- Processes ----
  struct Member {
    std::string name;
    std::string program;
    std::vector<std::string> flags;
    std::vector<std::pair<std::string, std::string>> listens;  // flag, kind
    std::vector<std::string> addresses;                        // as `listens`, once known
    std::optional<ChildProcess> process;
  };
  Member& provider(size_t index = 0) { return index == 0 ? provider_ : more_providers_[index - 1]; }
  Member& control_plane() { return control_plane_; }
  Member& quota() { return quota_; }
  Member& proxy(size_t index) { return proxies_[index]; }
  // Another simulated provider, started with `flags` besides the usual; its index, from 1.
  size_t AddProvider(const std::vector<std::string>& flags = {});
  // Another proxy, started with `flags` besides the usual; its index.
  size_t AddProxy(const std::vector<std::string>& flags = {}, const std::string& token_file = "");
  void StartMember(Member& member);
  std::string proxy_address(size_t index) const { return proxies_[index].addresses[0]; }
  std::string admin_address(size_t index) const { return proxies_[index].addresses[1]; }
  // Until the proxy has a snapshot and the control plane's newest one.
  void AwaitInSync(size_t index);

  // ---- Operator ----
  // The control plane's JSON API with the admin token; Api dies unless the answer is 2xx.
  HttpAnswer Ask(const std::string& method, const std::string& path, const nlohmann::json& body = nullptr);
  nlohmann::json Api(const std::string& method, const std::string& path, const nlohmann::json& body = nullptr);
  CommandResult Ctl(const std::vector<std::string>& arguments);
  void ApplyProvider(const std::string& name, const std::string& base_url, const std::string& secret);
  // As the JSON API takes them: {"kind","baseUrl","options","endpoints",...}; secrets of endpoints by their names.
  void ApplyProvider(const std::string& name, const nlohmann::json& provider, const std::string& secret,
                     const nlohmann::json& endpoint_secrets = nlohmann::json::object());
  // A provider of every kind, each at the simulated one in its own format: openai, groq, anthropic, google,
  // google-ai-studio, aws-bedrock, azure-openai (by deployment) and azure-v1; waits until the proxies have them.
  void ApplyEveryKind();
  void SetGateway(const nlohmann::json& settings);  // of the gateway `default`
  std::string CreateKey(const nlohmann::json& fields = nlohmann::json::object(),
                        const std::string& gateway = "default");
  // Saves and deploys a route and waits until every proxy runs it; the version's number.
  int64_t DeployRoute(const std::string& json);
  // The ledger's records, newest first; all of them.
  std::vector<nlohmann::json> Records();
  // Waits until the ledger has `count` records.
  std::vector<nlohmann::json> AwaitRecords(size_t count);

  // ---- Application ----
  struct ChatOptions {
    size_t proxy = 0;
    std::string route = "my-trillion-dollar-saas";
    nlohmann::json metadata = nullptr;  // {"plan","email"}
    bool stream = false;
    nlohmann::json body = nlohmann::json::object();  // merged over the usual body
    std::string key;                                 // empty: the stack's own
  };
  HttpAnswer Chat(const ChatOptions& options);
  // The bytes of such a request, for raw connections.
  std::string ChatBytes(const ChatOptions& options, const std::string& extra_headers = "");

  // ---- Provider ----
  nlohmann::json Provider(const std::string& target, size_t index = 0);  // GET, e.g. /bill
  void ControlProvider(const nlohmann::json& settings, size_t index = 0);

  const std::string& directory() const { return directory_; }
  const std::string& key() const { return key_; }
  std::string admin_token() const;
  std::string provider_root(size_t index = 0) const {
    return "http://" + (index == 0 ? provider_ : more_providers_[index - 1]).addresses[0];
  }
  std::string provider_url(size_t index = 0) const { return provider_root(index) + "/v1"; }
  static std::string provider_key();  // what the simulated providers ask for

 private:
  void AwaitPublished();
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  std::string directory_;
  Member provider_, control_plane_, quota_;
  std::vector<Member> more_providers_, proxies_;
  std::string key_;
};

std::string BinDir();  // where the binaries are

// The walkthrough's route; deploy/examples has it.
std::string WalkthroughRoute();

int64_t CostNanos(const nlohmann::json& record);  // 0 when absent

}  // namespace signalbox
