// What a browser says about where a request comes from, and the headers that tell it what an answer may do. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace signalbox {

// PERMISSION_DENIED when Sec-Fetch-Site, or without one Origin, says that another site's page made the request. Absent
// ones (programs) pass. `host`: the Host header.
absl::Status CheckSameOrigin(std::string_view sec_fetch_site, std::string_view origin, std::string_view host);

// The value of a cookie in a Cookie header; empty: it is not there.
std::string CookieValue(std::string_view header, std::string_view name);

// On every answer of the port. Styles set by scripts through the CSSOM need no 'unsafe-inline'.
const std::vector<std::pair<std::string, std::string>>& SecurityHeaders();

}  // namespace signalbox
