// signalboxctl's commands. Each Add... registers subcommands with their options; parsing selects one, whose run does
// the calls and prints. One thread.
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/cli/control_plane_client.h"
#include "signalbox/v1/route.pb.h"

namespace CLI {
class App;
}  // namespace CLI

namespace signalbox {

struct Session {
  ConnectionFlags connection;
  std::string gateway = "default";
  std::string output = "table";  // table, json
  ControlPlaneClient client{connection};
  std::function<absl::Status()> command;  // the one that parsing selected

  bool json() const { return output == "json"; }
};

void AddRouteCommands(CLI::App& app, Session& session);     // route, version, deploy, rollback, deployments
void AddGatewayCommands(CLI::App& app, Session& session);   // gateway, key, price
void AddProviderCommands(CLI::App& app, Session& session);  // provider
void AddOperateCommands(CLI::App& app, Session& session);   // token, fleet, backup, usage, requests, info
void AddQuotaCommands(CLI::App& app, Session& session);     // quota

// A subcommand of `parent` with one required argument, or with none.
CLI::App* AddNamed(CLI::App* parent, Session& session, const std::string& verb, const std::string& help,
                   const std::string& argument, absl::Status (*run)(Session&, const std::string&));
void AddPlain(CLI::App* parent, Session& session, const std::string& verb, const std::string& help,
              absl::Status (*run)(Session&));

void Print(std::string_view text);  // to stdout
// As proto3 JSON, scalars at their default included.
absl::Status PrintJson(const google::protobuf::Message& message);
// `-` is stdin. NOT_FOUND when it cannot be read.
absl::StatusOr<std::string> ReadInput(const std::string& path);
// 0600 when `secret`; UNAVAILABLE when it cannot be written whole.
absl::Status WriteOutput(const std::string& path, const std::string& data, bool secret);

}  // namespace signalbox
