// signalboxctl: the control plane from a shell. Exit codes: 0 done, 1 refused or failed, 2 called wrongly.
#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/faults.h"
#include "controlplane/cli/commands.h"

namespace signalbox {

void Print(std::string_view text) { std::cout << text; }

absl::Status PrintJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) return absl::InternalError(absl::StrCat("cannot print the answer as JSON: ", status.ToString()));
  Print(json);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadInput(const std::string& path) {
  std::stringstream content;
  if (path == "-") {
    content << std::cin.rdbuf();
    return content.str();
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError(absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
  // An empty file makes `<<` fail; it is read whole all the same.
  if (in.peek() != std::ifstream::traits_type::eof()) content << in.rdbuf();
  if (in.bad() || content.bad()) return absl::UnavailableError(absl::StrCat("cannot read ", path));
  return content.str();
}

absl::Status WriteOutput(const std::string& path, const std::string& data, bool secret) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, secret ? 0600 : 0644);
  bool written = fd >= 0 && (!secret || ::fchmod(fd, 0600) == 0);
  for (size_t done = 0; written && done < data.size();) {
    const ssize_t n = ::write(fd, data.data() + done, data.size() - done);
    if (n < 0 && errno == EINTR) continue;
    written = n > 0;
    done += written ? static_cast<size_t>(n) : 0;
  }
  const int error = errno;
  if (fd >= 0 && ::close(fd) != 0) written = false;
  if (!written) return absl::UnavailableError(absl::StrCat("cannot write ", path, ": ", std::strerror(error)));
  return absl::OkStatus();
}

CLI::App* AddNamed(CLI::App* parent, Session& session, const std::string& verb, const std::string& help,
                   const std::string& argument, absl::Status (*run)(Session&, const std::string&)) {
  auto value = std::make_shared<std::string>();
  CLI::App* command = parent->add_subcommand(verb, help);
  command->add_option(argument, *value)->required();
  command->callback(
      [&session, value, run] { session.command = [&session, value, run] { return run(session, *value); }; });
  return command;
}

void AddPlain(CLI::App* parent, Session& session, const std::string& verb, const std::string& help,
              absl::Status (*run)(Session&)) {
  CLI::App* command = parent->add_subcommand(verb, help);
  command->callback([&session, run] { session.command = [&session, run] { return run(session); }; });
}

namespace {

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;

int Main(int argc, char** argv) {
  CLI::App app("Signalbox's control plane from a shell", "signalboxctl");
  Session session;
  app.fallthrough();  // `signalboxctl route list -o json` as well as `signalboxctl -o json route list`
  app.require_subcommand(1);
  app.add_option("--server", session.connection.server, "the control plane's gRPC address")->capture_default_str();
  app.add_option("--token_file,--token-file", session.connection.token_file,
                 "admin token; default: $SIGNALBOX_TOKEN_FILE, then ./data/controlplane/admin.token");
  app.add_option("--gateway", session.gateway, "the gateway that commands work on")->capture_default_str();
  app.add_option("-o", session.output, "table or json")->check(CLI::IsMember({"table", "json"}))->capture_default_str();
  app.add_option("--tls_ca,--tls-ca", session.connection.tls.ca, "PEM file to check the control plane's certificate");
  app.add_option("--tls_cert,--tls-cert", session.connection.tls.cert, "PEM client certificate, for mutual TLS");
  app.add_option("--tls_key,--tls-key", session.connection.tls.key, "its key");
  AddRouteCommands(app, session);
  AddGatewayCommands(app, session);
  AddProviderCommands(app, session);
  AddOperateCommands(app, session);
  AddQuotaCommands(app, session);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // CLI11 reports by throwing; --help too
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  const absl::Status status = session.command();
  std::cout.flush();
  if (status.ok()) return 0;
  std::cerr << "signalboxctl: " << status.message() << "\n" << FormatFaults(FaultsOf(status));
  return kExitError;
}

}  // namespace
}  // namespace signalbox

int main(int argc, char** argv) { return signalbox::Main(argc, argv); }
