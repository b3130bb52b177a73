#include "controlplane/cli/control_plane_client.h"

#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace signalbox {
namespace {

constexpr char kDefaultTokenFile[] = "data/controlplane/admin.token";

absl::StatusOr<std::string> FindTokenFile(const std::string& flag) {
  if (!flag.empty()) return flag;
  const char* variable = std::getenv("SIGNALBOX_TOKEN_FILE");
  if (variable != nullptr && *variable != '\0') return std::string(variable);
  if (::access(kDefaultTokenFile, F_OK) == 0) return std::string(kDefaultTokenFile);
  return absl::NotFoundError(
      absl::StrCat("no admin token: give --token_file or set SIGNALBOX_TOKEN_FILE (there is no ./", kDefaultTokenFile,
                   "; the control plane writes admin.token into its data directory)"));
}

}  // namespace

absl::Status ControlPlaneClient::Connect() {
  if (channel_ != nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string path, FindTokenFile(flags_.token_file));
  ASSIGN_OR_RETURN(token_, ReadTokenFile(path));
  ASSIGN_OR_RETURN(channel_, NewChannel(flags_.server, flags_.tls));
  return absl::OkStatus();
}

void ControlPlaneClient::Prepare(grpc::ClientContext& context, int extra_ms) const {
  AddToken(context, token_);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(kCallTimeoutMs + extra_ms));
}

absl::Status ControlPlaneClient::Explain(const grpc::Status& status) const {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    return absl::UnavailableError(
        absl::StrCat("no answer from the control plane at ", flags_.server, ": ", status.error_message()));
  }
  return FromGrpcStatus(status);
}

}  // namespace signalbox
