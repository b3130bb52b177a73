#include "controlplane/api/admin_service.h"

#include <dirent.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "controlplane/api/answer.h"
#include "controlplane/api/input.h"
#include "controlplane/api/pages.h"
#include "controlplane/api/token_authority.h"

namespace signalbox {
namespace {

// Makes the directory, or takes one that is empty: a backup never mixes with what is there.
absl::Status PrepareBackupDirectory(const std::string& directory) {
  if (directory.empty() || directory.front() != '/') {
    return absl::InvalidArgumentError("directory: must be an absolute path on the server");
  }
  if (::mkdir(directory.c_str(), 0700) == 0) return absl::OkStatus();
  if (errno != EEXIST) {
    return absl::FailedPreconditionError(
        absl::StrCat("directory: cannot create ", directory, ": ", std::strerror(errno)));
  }
  DIR* listing = ::opendir(directory.c_str());
  if (listing == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("directory: cannot read ", directory, ": ", std::strerror(errno)));
  }
  bool empty = true;
  while (const dirent* entry = ::readdir(listing)) {
    const std::string_view name = entry->d_name;
    empty = empty && (name == "." || name == "..");
  }
  ::closedir(listing);
  if (empty) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("directory: ", directory, " is not empty; name a new one"));
}

}  // namespace

grpc::Status AdminService::GetServerInfo(grpc::ServerContext* context, const v1::GetServerInfoRequest* request,
                                         v1::GetServerInfoResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::GetServerInfoResponse> {
    ASSIGN_OR_RETURN(const PublishedSnapshot snapshot, deps_.store->ReadSnapshot());
    v1::GetServerInfoResponse answer;
    answer.set_build(deps_.build);
    answer.set_lineage(deps_.store->lineage());
    answer.set_snapshot_sequence(snapshot.id.sequence());
    answer.set_snapshot_sha256(snapshot.id.sha256());
    *answer.mutable_start_time() = ToTimestamp(start_us_);
    return answer;
  });
}

grpc::Status AdminService::Backup(grpc::ServerContext* context, const v1::BackupRequest* request,
                                  v1::BackupResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::BackupResponse> {
    RETURN_IF_ERROR(PrepareBackupDirectory(request->directory()));
    ASSIGN_OR_RETURN(const std::vector<std::string> files, deps_.backup(request->directory()));
    v1::BackupResponse answer;
    answer.mutable_files()->Assign(files.begin(), files.end());
    return answer;
  });
}

grpc::Status AdminService::CreateToken(grpc::ServerContext* context, const v1::CreateTokenRequest* request,
                                       v1::CreateTokenResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::CreateTokenResponse> {
    RETURN_IF_ERROR(CheckDisplayName("display_name", request->display_name()));
    ASSIGN_OR_RETURN(const auto created, deps_.authority->Create(request->role(), request->display_name()));
    v1::CreateTokenResponse answer;
    *answer.mutable_token() = created.first;
    answer.set_secret(created.second);
    return answer;
  });
}

grpc::Status AdminService::ListTokens(grpc::ServerContext* context, const v1::ListTokensRequest* request,
                                      v1::ListTokensResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::ListTokensResponse> {
    const std::string listing = "tokens";
    ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
    ASSIGN_OR_RETURN(const std::string after, DecodePageToken(listing, request->page_token()));
    ASSIGN_OR_RETURN(const Page<v1::Token> page, deps_.store->tokens().List(after, size));
    v1::ListTokensResponse answer;
    answer.mutable_tokens()->Assign(page.items.begin(), page.items.end());
    if (page.more) answer.set_next_page_token(EncodePageToken(listing, page.items.back().id()));
    return answer;
  });
}

grpc::Status AdminService::RevokeToken(grpc::ServerContext* context, const v1::RevokeTokenRequest* request,
                                       v1::Token* response) {
  return Answer(*context, deps_, *request, response,
                [&](const Caller&) { return deps_.authority->Revoke(request->id()); });
}

grpc::Status AdminService::ListAudit(grpc::ServerContext* context, const v1::ListAuditRequest* request,
                                     v1::ListAuditResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::ListAuditResponse> {
    const std::string listing = absl::StrCat("audit/", request->who(), "/", request->method());
    ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
    ASSIGN_OR_RETURN(const int64_t before, DecodeNumberToken(listing, request->page_token()));
    ASSIGN_OR_RETURN(const Page<v1::AuditEntry> page,
                     deps_.store->audit().List({request->who(), request->method()}, before, size));
    v1::ListAuditResponse answer;
    answer.mutable_entries()->Assign(page.items.begin(), page.items.end());
    if (page.more) answer.set_next_page_token(EncodePageToken(listing, absl::StrCat(page.items.back().id())));
    return answer;
  });
}

}  // namespace signalbox
