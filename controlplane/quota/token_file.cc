#include "controlplane/quota/token_file.h"

#include <sys/stat.h>

#include <fstream>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/sha256.h"

namespace signalbox {
namespace {

// Tokens are compared by digest, so that the time a comparison takes says nothing about them.
class FileTokenAuthority : public TokenAuthority {
 public:
  explicit FileTokenAuthority(absl::flat_hash_map<std::string, Caller> callers) : callers_(std::move(callers)) {}
  absl::StatusOr<Caller> Authenticate(std::string_view token) const override {
    const auto it = callers_.find(Sha256(token));
    if (it == callers_.end())
      return absl::UnauthenticatedError("the token is not one of this quota service's token file");
    return it->second;
  }

 private:
  const absl::flat_hash_map<std::string, Caller> callers_;  // by digest
};

}  // namespace

absl::StatusOr<std::unique_ptr<TokenAuthority>> NewFileTokenAuthority(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return absl::NotFoundError(absl::StrCat("no token file at ", path));
  if ((info.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("token file ", path, " is accessible by others; make it private: chmod 600 ", path));
  }
  std::ifstream in(path);
  absl::flat_hash_map<std::string, Caller> callers;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    absl::string_view token = absl::StripAsciiWhitespace(line);
    if (token.empty() || token.front() == '#') continue;
    Caller caller{absl::StrCat("line ", number), absl::StrCat("line ", number), Role::kProxy};
    if (absl::ConsumePrefix(&token, "admin ") || absl::ConsumePrefix(&token, "admin\t")) {
      caller.role = Role::kAdmin;
      token = absl::StripAsciiWhitespace(token);
    }
    if (token.find_first_of(" \t") != absl::string_view::npos) {
      return absl::InvalidArgumentError(absl::StrCat("token file ", path, ", line ", number,
                                                     ": a line is a proxy's token, or \"admin\" and an admin's"));
    }
    callers.emplace(Sha256(std::string_view(token.data(), token.size())), std::move(caller));
  }
  if (in.bad()) return absl::UnavailableError(absl::StrCat("cannot read ", path));
  if (callers.empty()) return absl::NotFoundError(absl::StrCat("no token in ", path, "; put one on a line"));
  return std::unique_ptr<TokenAuthority>(std::make_unique<FileTokenAuthority>(std::move(callers)));
}

}  // namespace signalbox
