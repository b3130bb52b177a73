// The tokens a quota service of its own accepts, from a file: one a line, a proxy's by itself, an operator's (the
// control plane's) behind the word `admin`; `#` begins a comment line. Read once. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/token_authority.h"

namespace signalbox {

// NOT_FOUND when there is no file or no token in it, FAILED_PRECONDITION when
// others may read it, INVALID_ARGUMENT naming the line that is neither.
absl::StatusOr<std::unique_ptr<TokenAuthority>> NewFileTokenAuthority(const std::string& path);

}  // namespace signalbox
