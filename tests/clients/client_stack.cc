// The stack that the official clients are run against: providers of every kind on the simulated one, a route to each,
// plain models and one provider that is always sick. Starts it, tells the tests where it is by environment variables,
// runs `node --test` over the files named, and ends with node's status.
//
//   client_stack NODE FILE.test.mjs...
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/testing/stack.h"

namespace {

using nlohmann::json;
using signalbox::Stack;

constexpr const char* kProviders[] = {"openai",      "groq",         "anthropic", "google",
                                      "aws-bedrock", "azure-openai", "azure-v1"};
// One name everywhere: the simulated provider's words depend on it, and so can be compared.
constexpr char kModel[] = "claude-haiku-4-5";
constexpr char kSickModel[] = "sick-model";

json To(const char* id) { return {{"elementId", id}}; }

json Model(const char* id, const std::string& provider, const char* model, const char* fallback) {
  return {{"id", id},
          {"type", "model"},
          {"properties", {{"provider", provider}, {"model", model}, {"timeout", 10'000}, {"retries", 0}}},
          {"outputs", {{"success", To("end")}, {"fallback", To(fallback)}}}};
}

std::string Route(const std::string& name, const json& models) {
  json elements = json::array({{{"id", "start"}, {"type", "start"}, {"outputs", {{"next", To("first")}}}}});
  for (const json& model : models) elements.push_back(model);
  elements.push_back({{"id", "end"}, {"type", "end"}, {"outputs", json::object()}});
  return json{{"name", name}, {"elements", elements}}.dump();
}

void Tell(const char* name, const std::string& value) { setenv(name, value.c_str(), 1); }

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: client_stack NODE FILE.test.mjs...\n");
    return 2;
  }
  Stack stack({.proxies = 1, .provider_flags = {std::string("--fail=model=") + kSickModel + ":503"}});
  stack.ApplyEveryKind();
  for (const char* provider : kProviders) {
    stack.DeployRoute(Route(std::string("on-") + provider, json::array({Model("first", provider, kModel, "end")})));
  }
  stack.DeployRoute(Route("healed", json::array({Model("first", "openai", kSickModel, "second"),
                                                 Model("second", "anthropic", kModel, "end")})));
  stack.DeployRoute(Route("embedded", json::array({Model("first", "openai", "text-embedding-3-small", "end")})));
  Tell("SIGNALBOX_URL", "http://" + stack.proxy_address(0));
  Tell("SIGNALBOX_KEY", stack.key());
  Tell("SIGNALBOX_PROVIDER", stack.provider_root());
  Tell("SIGNALBOX_API", "http://" + stack.control_plane().addresses[1]);
  Tell("SIGNALBOX_ADMIN_TOKEN", stack.admin_token());
  std::vector<std::string> arguments = {"--test"};
  arguments.insert(arguments.end(), argv + 2, argv + argc);
  const signalbox::CommandResult tests = signalbox::RunCommand(argv[1], arguments, stack.directory() + "/node");
  std::fputs(tests.out.c_str(), stdout);
  std::fputs(tests.err.c_str(), stderr);
  return tests.exit_status;
}
