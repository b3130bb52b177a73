#include "controlplane/quota/token_file.h"

#include <sys/stat.h>

#include <fstream>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/sha256.h"

namespace signalbox {
namespace {

// Tokens are compared by digest, so that the time a comparison takes says nothing about them.
class FileTokenAuthority : public TokenAuthority {
 public:
  explicit FileTokenAuthority(absl::flat_hash_map<std::string, std::string> ids) : ids_(std::move(ids)) {}
  absl::StatusOr<Caller> Authenticate(std::string_view token) const override {
    const auto it = ids_.find(Sha256(token));
    if (it == ids_.end()) return absl::UnauthenticatedError("the token is not one of this quota service's token file");
    return Caller{it->second, it->second, Role::kProxy};
  }

 private:
  const absl::flat_hash_map<std::string, std::string> ids_;  // digest to a name for logs
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
  absl::flat_hash_map<std::string, std::string> ids;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const absl::string_view token = absl::StripAsciiWhitespace(line);
    if (token.empty() || token.front() == '#') continue;
    ids.emplace(Sha256(std::string_view(token.data(), token.size())), absl::StrCat("line ", number));
  }
  if (in.bad()) return absl::UnavailableError(absl::StrCat("cannot read ", path));
  if (ids.empty()) return absl::NotFoundError(absl::StrCat("no token in ", path, "; put one on a line"));
  return std::unique_ptr<TokenAuthority>(std::make_unique<FileTokenAuthority>(std::move(ids)));
}

}  // namespace signalbox
