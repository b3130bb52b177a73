// token, audit, fleet, backup, usage, requests, info.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/clock.h"
#include "common/money.h"
#include "controlplane/cli/commands.h"
#include "controlplane/cli/values.h"
#include "signalbox/v1/admin.grpc.pb.h"
#include "signalbox/v1/snapshot.grpc.pb.h"
#include "signalbox/v1/spend.grpc.pb.h"

namespace signalbox {
namespace {

std::string SnapshotText(const v1::SnapshotId& id) {
  if (id.sha256().empty()) return "-";
  return absl::StrCat(id.sequence(), " (", id.sha256().substr(0, 12), ")");
}

absl::Status CreateToken(Session& session, const std::string& role, const std::string& name, const std::string& write) {
  v1::CreateTokenRequest request;
  request.set_role(role);
  request.set_display_name(name);
  ASSIGN_OR_RETURN(const v1::CreateTokenResponse response,
                   session.client.Call<v1::Admin>(&v1::Admin::Stub::CreateToken, request));
  if (!write.empty()) RETURN_IF_ERROR(WriteOutput(write, response.secret() + "\n", /*secret=*/true));
  if (session.json()) return PrintJson(response);
  const std::string what = absl::StrCat(response.token().role(), " token ", response.token().id());
  Print(write.empty() ? absl::StrCat(what, ", shown only this once:\n", response.secret(), "\n")
                      : absl::StrCat(what, " written to ", write, "\n"));
  return absl::OkStatus();
}

absl::Status ListTokens(Session& session) {
  ASSIGN_OR_RETURN(v1::ListTokensResponse response,
                   session.client.CallPages<v1::Admin>(&v1::Admin::Stub::ListTokens, v1::ListTokensRequest(),
                                                       &v1::ListTokensResponse::mutable_tokens));
  if (session.json()) return PrintJson(response);
  Table table({"TOKEN", "ROLE", "NAME", "CREATED", "REVOKED"});
  for (const v1::Token& token : response.tokens()) {
    table.Add({token.id(), token.role(), token.display_name(), FormatTimestamp(token.create_time()),
               FormatTimestamp(token.revoke_time())});
  }
  Print(table.ToString());
  return absl::OkStatus();
}

absl::Status RevokeToken(Session& session, const std::string& id) {
  v1::RevokeTokenRequest request;
  request.set_id(id);
  ASSIGN_OR_RETURN(const v1::Token token, session.client.Call<v1::Admin>(&v1::Admin::Stub::RevokeToken, request));
  if (session.json()) return PrintJson(token);
  Print(absl::StrCat("token ", token.id(), " revoked\n"));
  return absl::OkStatus();
}

struct AuditArgs {
  int last = 20;
  std::string who;
  std::string method;
};

absl::Status ShowAudit(Session& session, const AuditArgs& args) {
  v1::ListAuditRequest request;
  request.set_who(args.who);
  request.set_method(args.method);
  ASSIGN_OR_RETURN(v1::ListAuditResponse response,
                   session.client.CallPages<v1::Admin>(&v1::Admin::Stub::ListAudit, request,
                                                       &v1::ListAuditResponse::mutable_entries, args.last));
  if (session.json()) return PrintJson(response);
  Table table({"TIME", "WHO", "ROLE", "METHOD", "GATEWAY", "RESOURCE", "WHAT", "ERROR"});
  for (const v1::AuditEntry& entry : response.entries()) {
    const size_t package = entry.method().rfind("v1.");
    table.Add({FormatTimeMicros(entry.time_us()), entry.who(), entry.role(),
               package == std::string::npos ? entry.method() : entry.method().substr(package + 3),
               entry.gateway().empty() ? "-" : entry.gateway(), entry.resource(), entry.summary(),
               entry.error().empty() ? "-" : entry.error()});
  }
  Print(table.ToString());
  return absl::OkStatus();
}

absl::Status ShowFleet(Session& session) {
  ASSIGN_OR_RETURN(v1::ListProxiesResponse response,
                   session.client.CallPages<v1::Fleet>(&v1::Fleet::Stub::ListProxies, v1::ListProxiesRequest(),
                                                       &v1::ListProxiesResponse::mutable_proxies));
  if (session.json()) return PrintJson(response);
  Print(absl::StrCat("published: snapshot ", SnapshotText(response.published()), "\n\n"));
  Table table({"PROXY", "STATE", "SERVES", "SINCE", "ADDRESS", "BUILD", "IN FLIGHT", "HEARD", "WHY"});
  for (const v1::ProxyStatus& proxy : response.proxies()) {
    std::string why;
    for (const v1::Fault& fault : proxy.rejected()) {
      absl::StrAppend(&why, why.empty() ? "" : "; ", fault.message(), " [", fault.code(), "]");
    }
    const std::string state = !proxy.connected()          ? "disconnected"
                              : proxy.in_sync()           ? "in sync"
                              : !proxy.rejected().empty() ? absl::StrCat("rejected ", proxy.rejected_id().sequence())
                                                          : "behind";
    table.Add({proxy.proxy_id(), state, SnapshotText(proxy.applied()), FormatTimeMicros(proxy.applied_us()),
               proxy.http_address().empty() ? "-" : proxy.http_address(), proxy.build(),
               absl::StrCat(proxy.in_flight_requests()), FormatTimeMicros(proxy.last_heard_us()), why});
  }
  Print(table.ToString());
  return absl::OkStatus();
}

absl::Status Backup(Session& session, const std::string& directory) {
  v1::BackupRequest request;
  // The server's working directory is another one.
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(directory, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("no such path: ", directory));
  request.set_directory(absolute.string());
  constexpr int kBackupMs = 600'000;
  ASSIGN_OR_RETURN(const v1::BackupResponse response,
                   session.client.Call<v1::Admin>(&v1::Admin::Stub::Backup, request, kBackupMs));
  if (session.json()) return PrintJson(response);
  for (const std::string& file : response.files()) Print(absl::StrCat(file, "\n"));
  return absl::OkStatus();
}

absl::Status ShowInfo(Session& session) {
  ASSIGN_OR_RETURN(const v1::GetServerInfoResponse info,
                   session.client.Call<v1::Admin>(&v1::Admin::Stub::GetServerInfo, v1::GetServerInfoRequest()));
  if (session.json()) return PrintJson(info);
  Print(absl::StrCat("build     ", info.build(), "\nlineage   ", info.lineage(), "\nsnapshot  ",
                     info.snapshot_sequence(), " (", info.snapshot_sha256().substr(0, 12), ")\nstarted   ",
                     FormatTimestamp(info.start_time()), "\n"));
  return absl::OkStatus();
}

struct UsageArgs {
  std::vector<std::string> by = {"model"};
  std::string since;
  std::string route;
  std::string identifier;
  std::string model;
  std::string provider;
  std::string key;
  int64_t version = 0;
};

absl::Status ShowUsage(Session& session, const UsageArgs& args) {
  v1::QueryUsageRequest request;
  request.set_gateway(session.gateway);
  for (const std::string& by : args.by) request.add_by(by);
  if (!args.since.empty()) {
    ASSIGN_OR_RETURN(const int64_t since_us, ParseDuration(args.since));
    request.set_start_time_us(Clock::System().UnixMicros() - since_us);
  }
  request.set_route(args.route);
  request.set_identifier(args.identifier);
  request.set_model(args.model);
  request.set_provider(args.provider);
  request.set_key(args.key);
  request.set_version(args.version);
  ASSIGN_OR_RETURN(v1::QueryUsageResponse response,
                   session.client.CallPages<v1::Usage>(&v1::Usage::Stub::QueryUsage, request,
                                                       &v1::QueryUsageResponse::mutable_rows));
  if (session.json()) return PrintJson(response);
  std::vector<std::string> header;
  for (const std::string& by : args.by) {
    header.push_back(by);
    for (char& c : header.back()) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  header.insert(header.end(),
                {"REQUESTS", "REFUSED", "ERRORS", "HITS", "INPUT", "CACHED", "OUTPUT", "COST", "P50", "P95"});
  Table table(header);
  v1::UsageRow total;
  for (const v1::UsageRow& row : response.rows()) {
    std::vector<std::string> cells;
    for (const std::string& by : args.by) {
      const auto group = row.group().find(by);
      cells.push_back(group == row.group().end() || group->second.empty() ? "-" : group->second);
    }
    cells.insert(cells.end(), {absl::StrCat(row.requests()), absl::StrCat(row.refused()), absl::StrCat(row.errors()),
                               absl::StrCat(row.cache_hits()), absl::StrCat(row.usage().input()),
                               absl::StrCat(row.usage().cached_input()), absl::StrCat(row.usage().output()),
                               FormatMoney(row.cost_nanos()), FormatMillis(row.latency().p50_us()),
                               FormatMillis(row.latency().p95_us())});
    table.Add(std::move(cells));
    total.set_requests(total.requests() + row.requests());
    total.set_cost_nanos(total.cost_nanos() + row.cost_nanos());
  }
  Print(table.ToString());
  Print(absl::StrCat("\n", total.requests(), " requests, ", FormatMoney(total.cost_nanos()), "\n"));
  return absl::OkStatus();
}

std::string OutcomeText(v1::Outcome outcome) {
  std::string text = v1::Outcome_Name(outcome);
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

struct RequestsArgs {
  int last = 20;
  std::string route;
  std::string identifier;
  std::string outcome;
  std::string model;
  std::string provider;
  std::string key;
  std::string error;
  std::string since;
  int64_t version = 0;
  std::string id;
};

absl::Status ShowRequests(Session& session, const RequestsArgs& args) {
  if (!args.id.empty()) {
    v1::GetRequestRequest request;
    request.set_gateway(session.gateway);
    request.set_request_id(args.id);
    ASSIGN_OR_RETURN(const v1::SpendRecord record,
                     session.client.Call<v1::Usage>(&v1::Usage::Stub::GetRequest, request));
    return PrintJson(record);
  }
  v1::ListRequestsRequest request;
  request.set_gateway(session.gateway);
  request.set_route(args.route);
  request.set_identifier(args.identifier);
  request.set_model(args.model);
  request.set_provider(args.provider);
  request.set_key_id(args.key);
  request.set_error_code(args.error);
  request.set_version(args.version);
  if (!args.since.empty()) {
    ASSIGN_OR_RETURN(const int64_t since_us, ParseDuration(args.since));
    request.set_start_time_us(Clock::System().UnixMicros() - since_us);
  }
  v1::Outcome outcome = v1::OUTCOME_UNSPECIFIED;
  std::string upper = args.outcome;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (!upper.empty() && !v1::Outcome_Parse(upper, &outcome)) {
    return absl::InvalidArgumentError(absl::StrCat("unknown outcome \"", args.outcome, "\""));
  }
  request.set_outcome(outcome);
  ASSIGN_OR_RETURN(v1::ListRequestsResponse response,
                   session.client.CallPages<v1::Usage>(&v1::Usage::Stub::ListRequests, request,
                                                       &v1::ListRequestsResponse::mutable_records, args.last));
  if (session.json()) return PrintJson(response);
  Table table({"TIME", "ROUTE", "IDENTIFIER", "STATUS", "OUTCOME", "MODEL", "TOKENS", "COST", "TOOK", "PATH", "ID"});
  for (const v1::SpendRecord& record : response.records()) {
    table.Add({FormatTimeMicros(record.start_time_us()),
               record.version() == 0 ? record.route() : absl::StrCat(record.route(), "@", record.version()),
               record.identifier().empty() ? "-" : record.identifier(), absl::StrCat(record.status()),
               record.error_code().empty()
                   ? OutcomeText(record.outcome())
                   : absl::StrCat(OutcomeText(record.outcome()), " (", record.error_code(), ")"),
               record.model().empty() ? "-" : record.model(),
               absl::StrCat(record.usage().input(), "+", record.usage().output()),
               absl::StrCat(FormatMoney(record.cost_nanos()), record.estimated() ? "~" : "",
                            record.cache() == v1::HIT ? " (cached)" : ""),
               FormatMillis(record.duration_us()), record.path(), record.request_id()});
  }
  Print(table.ToString());
  return absl::OkStatus();
}

void AddTokenCommands(CLI::App& app, Session& session) {
  CLI::App* token = app.add_subcommand("token", "who may call the control plane")->require_subcommand(1);
  struct Args {
    std::string role;
    std::string name;
    std::string write;
    std::string id;
  };
  auto args = std::make_shared<Args>();
  CLI::App* create = token->add_subcommand("create", "a new token; its text is shown once");
  create->add_option("--role", args->role)
      ->required()
      ->check(CLI::IsMember({"viewer", "editor", "deployer", "admin", "proxy"}));
  create->add_option("--name", args->name, "to know it by; the author of what is done with it");
  create->add_option("--write", args->write, "write the token's text to this file (0600), as --token_file reads it");
  create->callback([&session, args] {
    session.command = [&session, args] { return CreateToken(session, args->role, args->name, args->write); };
  });
  CLI::App* list = token->add_subcommand("list", "every token");
  list->callback([&session] { session.command = [&session] { return ListTokens(session); }; });
  CLI::App* revoke = token->add_subcommand("revoke", "refuse a token from now on");
  revoke->add_option("id", args->id)->required();
  revoke->callback([&session, args] { session.command = [&session, args] { return RevokeToken(session, args->id); }; });
}

void AddLedgerCommands(CLI::App& app, Session& session) {
  auto usage_args = std::make_shared<UsageArgs>();
  CLI::App* usage = app.add_subcommand("usage", "what was used and spent");
  usage
      ->add_option("--by", usage_args->by,
                   "model, route, version, identifier, provider, key, minute, hour, day, month, outcome, status, "
                   "endpoint, cache")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  usage->add_option("--since", usage_args->since, "such as 24h; default: from the beginning");
  usage->add_option("--route", usage_args->route, "only this route");
  usage->add_option("--identifier", usage_args->identifier, "only this identifier");
  usage->add_option("--model", usage_args->model, "only this model");
  usage->add_option("--provider", usage_args->provider, "only this provider");
  usage->add_option("--key", usage_args->key, "only the gateway key of this id");
  usage->add_option("--version", usage_args->version, "only this version, of the route");
  usage->callback(
      [&session, usage_args] { session.command = [&session, usage_args] { return ShowUsage(session, *usage_args); }; });
  auto requests_args = std::make_shared<RequestsArgs>();
  CLI::App* requests = app.add_subcommand("requests", "the newest requests, refused ones too");
  requests->add_option("--last", requests_args->last, "how many")->check(CLI::Range(1, 100'000))->capture_default_str();
  requests->add_option("--route", requests_args->route, "only this route");
  requests->add_option("--identifier", requests_args->identifier, "only this identifier");
  requests->add_option("--outcome", requests_args->outcome, "only this outcome, such as refused");
  requests->add_option("--model", requests_args->model, "only those that this model answered");
  requests->add_option("--provider", requests_args->provider, "only those that this provider answered");
  requests->add_option("--key", requests_args->key, "only the gateway key of this id");
  requests->add_option("--version", requests_args->version, "only this version, of the route");
  requests->add_option("--error", requests_args->error, "only this error code, such as timeout");
  requests->add_option("--since", requests_args->since, "such as 24h; default: from the beginning");
  requests->add_option("--id", requests_args->id, "one request, whole, by its cf-aig-log-id");
  requests->callback([&session, requests_args] {
    session.command = [&session, requests_args] { return ShowRequests(session, *requests_args); };
  });
}

}  // namespace

void AddOperateCommands(CLI::App& app, Session& session) {
  AddTokenCommands(app, session);
  CLI::App* fleet = app.add_subcommand("fleet", "which proxy runs what");
  fleet->callback([&session] { session.command = [&session] { return ShowFleet(session); }; });
  auto directory = std::make_shared<std::string>();
  CLI::App* backup = app.add_subcommand("backup", "copy the databases, online, to a directory on the server");
  backup->add_option("directory", *directory, "must not exist or be empty")->required();
  backup->callback(
      [&session, directory] { session.command = [&session, directory] { return Backup(session, *directory); }; });
  AddLedgerCommands(app, session);
  auto audit_args = std::make_shared<AuditArgs>();
  CLI::App* audit = app.add_subcommand("audit", "who changed what, the newest first");
  audit->add_option("--last", audit_args->last, "how many")->check(CLI::Range(1, 100'000))->capture_default_str();
  audit->add_option("--who", audit_args->who, "only this token's, by name or id");
  audit->add_option("--method", audit_args->method, "only this method, such as Deploy");
  audit->callback(
      [&session, audit_args] { session.command = [&session, audit_args] { return ShowAudit(session, *audit_args); }; });
  CLI::App* info = app.add_subcommand("info", "the control plane's build and state");
  info->callback([&session] { session.command = [&session] { return ShowInfo(session); }; });
}

}  // namespace signalbox
