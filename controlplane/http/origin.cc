#include "controlplane/http/origin.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace signalbox {

absl::Status CheckSameOrigin(std::string_view sec_fetch_site, std::string_view origin, std::string_view host) {
  const auto foreign = [](std::string_view what) {
    return absl::PermissionDeniedError(absl::StrCat(
        "a session may be used by the console's own pages only, and this request comes from ", std::string(what)));
  };
  if (!sec_fetch_site.empty()) {
    return sec_fetch_site == "same-origin" || sec_fetch_site == "none" ? absl::OkStatus()
                                                                       : foreign("another site's page");
  }
  if (origin.empty()) return absl::OkStatus();
  const size_t scheme = origin.find("://");
  if (scheme != std::string_view::npos && origin.substr(scheme + 3) == host) return absl::OkStatus();
  return foreign(origin);
}

std::string CookieValue(std::string_view header, std::string_view name) {
  for (absl::string_view pair : absl::StrSplit(absl::string_view(header.data(), header.size()), ';')) {
    pair = absl::StripAsciiWhitespace(pair);
    if (pair.size() > name.size() && pair[name.size()] == '=' &&
        pair.substr(0, name.size()) == absl::string_view(name.data(), name.size())) {
      return std::string(pair.substr(name.size() + 1));
    }
  }
  return "";
}

const std::vector<std::pair<std::string, std::string>>& SecurityHeaders() {
  static const auto* const headers = new std::vector<std::pair<std::string, std::string>>{
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
       "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
  };
  return *headers;
}

}  // namespace signalbox
