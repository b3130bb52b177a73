// Gets the text of a price catalogue from a URL. Blocking; any thread.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace signalbox {

inline constexpr int kFetchConnectTimeoutS = 5;
inline constexpr int kFetchReadTimeoutS = 10;  // without a byte

// INVALID_ARGUMENT: not http://, https:// or file://, or no host or path.
absl::Status CheckPriceUrl(const std::string& url);

// The body of a 200, or the file. Certificates are checked against the machine's roots; redirects are not followed (a
// 3xx is an error that names the new address). UNAVAILABLE: unreachable or not 200; RESOURCE_EXHAUSTED: larger than
// kCatalogueBytesMax; CANCELLED: `go_on`, asked with every piece, said no.
absl::StatusOr<std::string> FetchPriceText(const std::string& url, const std::function<bool()>& go_on);

}  // namespace signalbox
