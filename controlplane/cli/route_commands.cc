// route, version, deploy, rollback, deployments.
#include <CLI/CLI.hpp>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/faults.h"
#include "common/model_price.h"
#include "common/money.h"
#include "common/route/validator.h"
#include "controlplane/cli/commands.h"
#include "controlplane/cli/values.h"
#include "controlplane/prices/bundled_prices.h"
#include "signalbox/v1/route.grpc.pb.h"

namespace signalbox {
namespace {

using Routes = v1::Routes;
using RoutesStub = v1::Routes::Stub;

// Names the file in front of what is wrong with it.
absl::Status InFile(const std::string& file, const absl::Status& status) {
  if (status.ok()) return status;
  return StatusWithFaults(status.code(), absl::StrCat(file, ": ", std::string(status.message())), FaultsOf(status));
}

struct Waiting {
  bool wait = false;
  int timeout_s = 30;
  int ms() const { return wait ? timeout_s * 1'000 : 0; }
};

void AddWaiting(CLI::App* command, Waiting& waiting) {
  command->add_flag("--wait", waiting.wait, "wait until every proxy applied or refused it");
  command->add_option("--timeout", waiting.timeout_s, "seconds to wait at most")
      ->check(CLI::Range(1, 3'600))
      ->capture_default_str();
}

// Prints what was deployed and, after a wait, a line per proxy. FAILED_PRECONDITION when a proxy refused it,
// DEADLINE_EXCEEDED when one did not answer.
absl::Status ReportDeployment(const Session& session, const std::string& route, const v1::DeployResponse& response,
                              const Waiting& waiting) {
  int refused = 0;
  int silent = 0;
  Table table({"  PROXY", "STATE", "AFTER", "WHY"});
  for (const v1::ProxyResult& proxy : response.proxies()) {
    std::string state = "applied";
    std::string after = FormatMillis(proxy.latency_us());
    std::string why;
    if (proxy.state() != v1::ProxyResult::APPLIED) {
      const bool is_refusal = proxy.state() == v1::ProxyResult::REJECTED;
      ++(is_refusal ? refused : silent);
      state = is_refusal ? "rejected" : "not heard";
      after = "-";
      for (const v1::Fault& fault : proxy.faults()) {
        absl::StrAppend(&why, why.empty() ? "" : "; ", fault.message(), " [", fault.code(), "]");
      }
    }
    table.Add({absl::StrCat("  ", proxy.proxy_id()), state, after, why});
  }
  if (session.json()) {
    RETURN_IF_ERROR(PrintJson(response));
  } else {
    const v1::Deployment& deployment = response.deployment();
    Print(absl::StrCat(route, " v", deployment.version(), deployment.rollback() ? " rolled back to" : " deployed"));
    if (deployment.previous_version() != 0) Print(absl::StrCat(" (before: v", deployment.previous_version(), ")"));
    Print(absl::StrCat(", snapshot ", deployment.snapshot_sequence(), "\n"));
    if (waiting.wait)
      Print(response.proxies().empty()
                ? "  no proxy is connected, and none was when the control plane was last heard: nothing runs it yet\n"
                : table.ToString());
  }
  const int total = response.proxies_size();
  if (refused > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(refused, " of ", total, " proxies refused it and go on serving what they had"));
  }
  if (silent > 0) {
    return absl::DeadlineExceededError(
        absl::StrCat(silent, " of ", total, " proxies did not answer within ", waiting.timeout_s, " s"));
  }
  return absl::OkStatus();
}

absl::Status Deploy(Session& session, const std::string& route, int64_t version, const std::string& comment, bool force,
                    const Waiting& waiting) {
  v1::DeployRequest request;
  request.set_gateway(session.gateway);
  request.set_route(route);
  request.set_version(version);
  request.set_comment(comment);
  request.set_force(force);
  request.set_wait_ms(waiting.ms());
  ASSIGN_OR_RETURN(const v1::DeployResponse response,
                   session.client.Call<Routes>(&RoutesStub::Deploy, request, waiting.ms()));
  return ReportDeployment(session, route, response, waiting);
}

struct ApplyArgs {
  std::string file;
  std::string comment;
  bool deploy = false;
  bool draft = false;
  bool force = false;
  Waiting waiting;
};

// Creates the route, or saves a version of the one that has the file's name already.
absl::StatusOr<v1::SaveVersionResponse> Save(Session& session, const std::string& name, const std::string& json,
                                             const ApplyArgs& args) {
  v1::SaveVersionRequest save;
  save.set_gateway(session.gateway);
  save.set_route(name);
  save.set_json(json);
  save.set_comment(args.comment);
  save.set_allow_draft(args.draft);
  absl::StatusOr<v1::SaveVersionResponse> saved = session.client.Call<Routes>(&RoutesStub::SaveVersion, save);
  if (!absl::IsNotFound(saved.status())) return saved;
  v1::CreateRouteRequest create;
  create.set_gateway(session.gateway);
  create.set_json(json);
  create.set_comment(args.comment);
  create.set_allow_draft(args.draft);
  ASSIGN_OR_RETURN(const v1::CreateRouteResponse created,
                   session.client.Call<Routes>(&RoutesStub::CreateRoute, create));
  v1::SaveVersionResponse response;
  *response.mutable_route() = created.route();
  *response.mutable_version() = created.version();
  return response;
}

absl::Status Apply(Session& session, const ApplyArgs& args) {
  ASSIGN_OR_RETURN(const std::string json, ReadInput(args.file));
  const ParsedRoute parsed = ParseRoute(json);
  if (parsed.spec.name().empty()) {
    return InFile(args.file,
                  StatusWithFaults(absl::StatusCode::kInvalidArgument, "cannot read the route's name", parsed.faults));
  }
  const std::string& name = parsed.spec.name();
  const absl::StatusOr<v1::SaveVersionResponse> saved = Save(session, name, json, args);
  if (!saved.ok()) return InFile(args.file, saved.status());
  const v1::Version& version = saved->version();
  const bool serves = saved->unchanged() && saved->route().deployed_version() == version.number();
  if (session.json() && !(args.deploy && !serves)) return PrintJson(*saved);
  if (!session.json()) {
    const char* state = saved->unchanged() ? "unchanged" : version.compiles() ? "saved" : "saved as a draft";
    Print(absl::StrCat(name, " v", version.number(), " ", state, serves ? ", serving" : "", "\n"));
    Print(FormatFaults({version.faults().begin(), version.faults().end()}));
  }
  if (!args.deploy || serves) return absl::OkStatus();
  return Deploy(session, name, version.number(), args.comment, args.force, args.waiting);
}

absl::Status Validate(const Session& session, const std::string& file) {
  ASSIGN_OR_RETURN(const std::string json, ReadInput(file));
  ValidationContext context;
  context.providers = BuiltInProviders();
  context.is_priced = [](const std::string& provider, const std::string& model) {
    const std::optional<v1::ModelPrice> price = BundledCatalogue().Find(PriceSourceOf(provider, ""), model);
    return price.has_value() && PricesTokens(*price);
  };
  const CheckedRoute checked = CheckRoute(json, context);
  v1::ValidateRouteResponse response;
  response.set_compiles(checked.compiles);
  response.mutable_faults()->Assign(checked.faults.begin(), checked.faults.end());
  if (session.json()) {
    RETURN_IF_ERROR(PrintJson(response));
  } else {
    Print(FormatFaults(checked.faults));
    if (checked.compiles) Print(absl::StrCat(file, ": ok\n"));
  }
  if (checked.compiles) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(file, ": the route cannot be deployed"));
}

absl::Status List(Session& session) {
  v1::ListRoutesRequest request;
  request.set_gateway(session.gateway);
  ASSIGN_OR_RETURN(
      v1::ListRoutesResponse response,
      session.client.CallPages<Routes>(&RoutesStub::ListRoutes, request, &v1::ListRoutesResponse::mutable_routes));
  if (session.json()) return PrintJson(response);
  Table table({"ROUTE", "LATEST", "DEPLOYED", "UPDATED", "ID"});
  for (const v1::Route& route : response.routes()) {
    table.Add({route.name(), absl::StrCat("v", route.latest_version()),
               route.deployed_version() == 0 ? "-" : absl::StrCat("v", route.deployed_version()),
               FormatTimestamp(route.update_time()), route.id()});
  }
  Print(table.ToString());
  return absl::OkStatus();
}

absl::Status Get(Session& session, const std::string& name) {
  v1::GetRouteRequest request;
  request.set_gateway(session.gateway);
  request.set_route(name);
  ASSIGN_OR_RETURN(const v1::Route route, session.client.Call<Routes>(&RoutesStub::GetRoute, request));
  if (session.json()) return PrintJson(route);
  Print(absl::StrCat("route     ", route.name(), "\nid        ", route.id(), "\nlatest    v", route.latest_version(),
                     "\ndeployed  ", route.deployed_version() == 0 ? "-" : absl::StrCat("v", route.deployed_version()),
                     "\ncreated   ", FormatTimestamp(route.create_time()), "\nupdated   ",
                     FormatTimestamp(route.update_time()), "\netag      ", route.etag(), "\n"));
  return absl::OkStatus();
}

absl::StatusOr<v1::Version> GetVersion(Session& session, const std::string& name, int64_t number) {
  v1::GetVersionRequest request;
  request.set_gateway(session.gateway);
  request.set_route(name);
  request.set_number(number);
  return session.client.Call<Routes>(&RoutesStub::GetVersion, request);
}

struct SimulateArgs {
  std::string name;
  std::string file;
  int64_t version = 0;
  std::vector<std::string> metadata;
  std::string body;
  std::vector<std::string> headers;
  std::vector<std::string> denied;
  std::vector<std::string> failed;
};

absl::Status Simulate(Session& session, const SimulateArgs& args) {
  v1::SimulateRequest request;
  request.set_gateway(session.gateway);
  request.set_route(args.name);
  request.set_version(args.version);
  if (args.name.empty() == args.file.empty()) {
    return absl::InvalidArgumentError("give either a route's name or a file with -f");
  }
  if (!args.file.empty()) {
    ASSIGN_OR_RETURN(*request.mutable_json(), ReadInput(args.file));
  }
  ASSIGN_OR_RETURN(*request.mutable_request()->mutable_metadata_json(), PairsToJson(args.metadata));
  if (!args.body.empty()) {
    ASSIGN_OR_RETURN(*request.mutable_request()->mutable_body_json(), ReadInput(args.body));
  }
  for (const std::string& header : args.headers) {
    ASSIGN_OR_RETURN(const auto sides, SplitPair(header));
    (*request.mutable_request()->mutable_headers())[sides.first] = sides.second;
  }
  request.mutable_assumptions()->mutable_denied_elements()->Assign(args.denied.begin(), args.denied.end());
  request.mutable_assumptions()->mutable_failed_elements()->Assign(args.failed.begin(), args.failed.end());
  ASSIGN_OR_RETURN(const v1::SimulateResponse response, session.client.Call<Routes>(&RoutesStub::Simulate, request));
  if (session.json()) return PrintJson(response);
  Table table({"ELEMENT", "TYPE", "OUTPUT", "HOLD", "REASON"});
  for (const v1::SimulatedStep& step : response.steps()) {
    const std::string hold = step.hold_nanos() > 0    ? FormatMoney(step.hold_nanos())
                             : step.hold_tokens() > 0 ? absl::StrCat(step.hold_tokens(), " tokens")
                                                      : "-";
    table.Add({step.element_id(), step.type(), step.output().empty() ? "-" : step.output(), hold, step.reason()});
  }
  Print(table.ToString());
  Print(absl::StrCat("\n", response.path(), "\n", response.status()));
  if (!response.model().empty()) Print(absl::StrCat(" from ", response.provider(), " ", response.model()));
  if (!response.error_code().empty()) Print(absl::StrCat(" ", response.error_code(), ": ", response.message()));
  Print("\n");
  return absl::OkStatus();
}

absl::Status ListVersions(Session& session, const std::string& name) {
  v1::ListVersionsRequest request;
  request.set_gateway(session.gateway);
  request.set_route(name);
  ASSIGN_OR_RETURN(v1::ListVersionsResponse response,
                   session.client.CallPages<Routes>(&RoutesStub::ListVersions, request,
                                                    &v1::ListVersionsResponse::mutable_versions));
  if (session.json()) return PrintJson(response);
  Table table({"VERSION", "STATE", "CREATED", "AUTHOR", "SHA256", "COMMENT"});
  for (const v1::Version& version : response.versions()) {
    table.Add({absl::StrCat("v", version.number()), version.compiles() ? "ok" : "draft",
               FormatTimestamp(version.create_time()), version.author(), version.sha256().substr(0, 12),
               version.comment()});
  }
  Print(table.ToString());
  return absl::OkStatus();
}

absl::Status Diff(Session& session, const std::string& name, int64_t a, int64_t b) {
  v1::DiffVersionsRequest request;
  request.set_gateway(session.gateway);
  request.set_route(name);
  request.set_a(a);
  request.set_b(b);
  ASSIGN_OR_RETURN(const v1::DiffVersionsResponse response,
                   session.client.Call<Routes>(&RoutesStub::DiffVersions, request));
  if (session.json()) return PrintJson(response);
  Print(absl::StrCat(name, " v", response.a(), " -> v", response.b(), response.changes().empty() ? ": equal\n" : "\n"));
  for (const v1::ElementChange& change : response.changes()) {
    switch (change.kind()) {
      case v1::ElementChange::ADDED:
        Print(absl::StrCat("+ ", change.element_id(), "  ", change.after(), "\n"));
        break;
      case v1::ElementChange::REMOVED:
        Print(absl::StrCat("- ", change.element_id(), "  ", change.before(), "\n"));
        break;
      default:
        Print(absl::StrCat("~ ", change.element_id(), " ", change.path(), ": ",
                           change.before().empty() ? "(absent)" : change.before(), " -> ",
                           change.after().empty() ? "(absent)" : change.after(), "\n"));
    }
  }
  return absl::OkStatus();
}

absl::Status ListDeployments(Session& session, const std::string& name) {
  v1::ListDeploymentsRequest request;
  request.set_gateway(session.gateway);
  request.set_route(name);
  ASSIGN_OR_RETURN(v1::ListDeploymentsResponse response,
                   session.client.CallPages<Routes>(&RoutesStub::ListDeployments, request,
                                                    &v1::ListDeploymentsResponse::mutable_deployments));
  if (session.json()) return PrintJson(response);
  Table table({"DEPLOYMENT", "VERSION", "BEFORE", "KIND", "SNAPSHOT", "TIME", "AUTHOR", "COMMENT"});
  for (const v1::Deployment& deployment : response.deployments()) {
    table.Add({absl::StrCat(deployment.id()), absl::StrCat("v", deployment.version()),
               deployment.previous_version() == 0 ? "-" : absl::StrCat("v", deployment.previous_version()),
               deployment.rollback() ? "rollback" : "deploy", absl::StrCat(deployment.snapshot_sequence()),
               FormatTimestamp(deployment.create_time()), deployment.author(), deployment.comment()});
  }
  Print(table.ToString());
  return absl::OkStatus();
}

void AddApply(CLI::App* route, Session& session) {
  auto args = std::make_shared<ApplyArgs>();
  CLI::App* command = route->add_subcommand("apply", "create a route, or save a new version, under the file's name");
  command->add_option("-f,--file", args->file, "route JSON; - for stdin")->required();
  command->add_flag("--deploy", args->deploy, "deploy the version too");
  command->add_flag("--draft", args->draft, "save it even if it cannot be deployed");
  command->add_flag("--force", args->force, "deploy even if the snapshot loses over half its routes");
  command->add_option("--comment", args->comment, "kept with the version");
  AddWaiting(command, args->waiting);
  command->callback([&session, args] { session.command = [&session, args] { return Apply(session, *args); }; });
}

void AddExport(CLI::App* route, Session& session) {
  struct Args {
    std::string name;
    int64_t version = 0;
    std::string output;
  };
  auto args = std::make_shared<Args>();
  CLI::App* command = route->add_subcommand("export", "a version's JSON, byte for byte as it was written");
  command->add_option("name", args->name)->required();
  command->add_option("--version", args->version, "default: the latest");
  command->add_option("--output", args->output, "a file; default: stdout");
  command->callback([&session, args] {
    session.command = [&session, args]() -> absl::Status {
      ASSIGN_OR_RETURN(const v1::Version version, GetVersion(session, args->name, args->version));
      if (!args->output.empty()) return WriteOutput(args->output, version.json(), /*secret=*/false);
      Print(version.json());
      return absl::OkStatus();
    };
  });
}

void AddSimulate(CLI::App* route, Session& session) {
  auto args = std::make_shared<SimulateArgs>();
  CLI::App* command = route->add_subcommand("simulate", "walk a route with a sample request; charges nothing");
  command->add_option("name", args->name, "a route; or an unsaved graph with -f");
  command->add_option("-f,--file", args->file, "an unsaved graph; - for stdin");
  command->add_option("--version", args->version, "default: the deployed one, or the latest");
  command->add_option("-m,--metadata", args->metadata, "k=v (text) or k:=v (JSON: 5, true)")->allow_extra_args(false);
  command->add_option("--body", args->body, "file with a chat-completion body; - for stdin");
  command->add_option("--header", args->headers, "name=value")->allow_extra_args(false);
  command->add_option("--deny", args->denied, "take this rate element as over its limit")->allow_extra_args(false);
  command->add_option("--fail", args->failed, "take this model element as failed")->allow_extra_args(false);
  command->callback([&session, args] { session.command = [&session, args] { return Simulate(session, *args); }; });
}

void AddRename(CLI::App* route, Session& session) {
  auto request = std::make_shared<v1::RenameRouteRequest>();
  CLI::App* command = route->add_subcommand("rename", "clients then call it by the new name; its counters stay");
  command->add_option_function<std::string>("name", [request](const std::string& v) { request->set_route(v); })
      ->required();
  command->add_option_function<std::string>("new_name", [request](const std::string& v) { request->set_new_name(v); })
      ->required();
  command->callback([&session, request] {
    session.command = [&session, request]() -> absl::Status {
      request->set_gateway(session.gateway);
      ASSIGN_OR_RETURN(const v1::Route renamed, session.client.Call<Routes>(&RoutesStub::RenameRoute, *request));
      if (session.json()) return PrintJson(renamed);
      Print(absl::StrCat(request->route(), " is now ", renamed.name(), "\n"));
      return absl::OkStatus();
    };
  });
}

void AddDelete(CLI::App* route, Session& session) {
  struct Args {
    std::string name;
    bool force = false;
  };
  auto args = std::make_shared<Args>();
  CLI::App* command = route->add_subcommand("delete", "stop serving a route and free its name");
  command->add_option("name", args->name)->required();
  command->add_flag("--force", args->force, "also when the snapshot loses over half its routes");
  command->callback([&session, args] {
    session.command = [&session, args]() -> absl::Status {
      v1::DeleteRouteRequest request;
      request.set_gateway(session.gateway);
      request.set_route(args->name);
      request.set_force(args->force);
      RETURN_IF_ERROR(session.client.Call<Routes>(&RoutesStub::DeleteRoute, request).status());
      if (!session.json()) Print(absl::StrCat(args->name, " deleted\n"));
      return absl::OkStatus();
    };
  });
}

// A command with one argument, a route's name.
void AddNamed(CLI::App* parent, Session& session, const std::string& verb, const std::string& help,
              absl::Status (*run)(Session&, const std::string&)) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = parent->add_subcommand(verb, help);
  command->add_option("name", *name, "a route's name or id")->required();
  command->callback([&session, name, run] { session.command = [&session, name, run] { return run(session, *name); }; });
}

void AddVersionCommands(CLI::App& app, Session& session) {
  CLI::App* version = app.add_subcommand("version", "the versions of a route")->require_subcommand(1);
  AddNamed(version, session, "list", "every version, newest first", &ListVersions);
  struct Args {
    std::string name;
    int64_t a = 0;
    int64_t b = 0;
  };
  auto get_args = std::make_shared<Args>();
  CLI::App* get = version->add_subcommand("get", "a version with its JSON");
  get->add_option("name", get_args->name)->required();
  get->add_option("number", get_args->a, "default: the latest");
  get->callback([&session, get_args] {
    session.command = [&session, get_args]() -> absl::Status {
      ASSIGN_OR_RETURN(const v1::Version got, GetVersion(session, get_args->name, get_args->a));
      if (session.json()) return PrintJson(got);
      Print(absl::StrCat(get_args->name, " v", got.number(), got.compiles() ? "" : " (draft)", ", ",
                         FormatTimestamp(got.create_time()), " by ", got.author(), "\n"));
      if (!got.comment().empty()) Print(absl::StrCat(got.comment(), "\n"));
      Print(FormatFaults({got.faults().begin(), got.faults().end()}));
      Print(absl::StrCat(got.json(), got.json().empty() || got.json().back() != '\n' ? "\n" : ""));
      return absl::OkStatus();
    };
  });
  auto diff_args = std::make_shared<Args>();
  CLI::App* diff = version->add_subcommand("diff", "what changed between two versions");
  diff->add_option("name", diff_args->name)->required();
  diff->add_option("a", diff_args->a, "default: the deployed one");
  diff->add_option("b", diff_args->b, "default: the latest");
  diff->callback([&session, diff_args] {
    session.command = [&session, diff_args] { return Diff(session, diff_args->name, diff_args->a, diff_args->b); };
  });
}

void AddDeployCommands(CLI::App& app, Session& session) {
  struct Args {
    std::string name;
    int64_t version = 0;
    std::string comment;
    bool force = false;
    Waiting waiting;
  };
  auto deploy_args = std::make_shared<Args>();
  CLI::App* deploy = app.add_subcommand("deploy", "let a version serve its route");
  deploy->add_option("name", deploy_args->name)->required();
  deploy->add_option("--version", deploy_args->version, "default: the latest");
  deploy->add_option("--comment", deploy_args->comment);
  deploy->add_flag("--force", deploy_args->force, "also when the snapshot loses over half its routes");
  AddWaiting(deploy, deploy_args->waiting);
  deploy->callback([&session, deploy_args] {
    session.command = [&session, deploy_args] {
      return Deploy(session, deploy_args->name, deploy_args->version, deploy_args->comment, deploy_args->force,
                    deploy_args->waiting);
    };
  });
  auto back_args = std::make_shared<Args>();
  CLI::App* rollback = app.add_subcommand("rollback", "deploy an earlier version");
  rollback->add_option("name", back_args->name)->required();
  rollback->add_option("--to", back_args->version, "default: the version deployed before the current one");
  rollback->add_option("--comment", back_args->comment);
  rollback->add_flag("--force", back_args->force, "also when the snapshot loses over half its routes");
  AddWaiting(rollback, back_args->waiting);
  rollback->callback([&session, back_args] {
    session.command = [&session, back_args]() -> absl::Status {
      v1::RollbackRequest request;
      request.set_gateway(session.gateway);
      request.set_route(back_args->name);
      request.set_to(back_args->version);
      request.set_comment(back_args->comment);
      request.set_force(back_args->force);
      request.set_wait_ms(back_args->waiting.ms());
      ASSIGN_OR_RETURN(const v1::DeployResponse response,
                       session.client.Call<Routes>(&RoutesStub::Rollback, request, back_args->waiting.ms()));
      return ReportDeployment(session, back_args->name, response, back_args->waiting);
    };
  });
}

}  // namespace

void AddRouteCommands(CLI::App& app, Session& session) {
  CLI::App* route = app.add_subcommand("route", "routes")->require_subcommand(1);
  AddApply(route, session);
  CLI::App* list = route->add_subcommand("list", "every route of the gateway");
  list->callback([&session] { session.command = [&session] { return List(session); }; });
  AddNamed(route, session, "get", "one route", &Get);
  AddRename(route, session);
  AddDelete(route, session);
  AddExport(route, session);
  AddSimulate(route, session);
  auto file = std::make_shared<std::string>();
  CLI::App* validate = route->add_subcommand("validate", "check a file without a control plane; lists every fault");
  validate->add_option("-f,--file", *file, "route JSON; - for stdin")->required();
  validate->callback([&session, file] { session.command = [&session, file] { return Validate(session, *file); }; });
  AddVersionCommands(app, session);
  AddDeployCommands(app, session);
  AddNamed(&app, session, "deployments", "what served a route, newest first", &ListDeployments);
}

}  // namespace signalbox
