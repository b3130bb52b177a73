// The tokens a quota service of its own accepts, from a file: one a line, `#` begins a comment line. Read once.
// Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/token_authority.h"

namespace signalbox {

// Every token of the file is a proxy's. NOT_FOUND when there is no file or no token in it, FAILED_PRECONDITION when
// others may read it.
absl::StatusOr<std::unique_ptr<TokenAuthority>> NewFileTokenAuthority(const std::string& path);

}  // namespace signalbox
