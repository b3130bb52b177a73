#include "controlplane/prices/price_fetch.h"

#include <httplib.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "controlplane/prices/genai_prices.h"

namespace signalbox {
namespace {

constexpr std::string_view kFileScheme = "file://";

absl::Status TooLarge(const std::string& url) {
  return absl::ResourceExhaustedError(absl::StrCat(url, " is over ", kCatalogueBytesMax, " bytes"));
}

absl::StatusOr<std::string> ReadFile(const std::string& url) {
  std::ifstream file(url.substr(kFileScheme.size()), std::ios::binary);
  if (!file) return absl::UnavailableError(absl::StrCat("cannot open ", url));
  std::string text(kCatalogueBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return absl::UnavailableError(absl::StrCat("cannot read ", url));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kCatalogueBytesMax) return TooLarge(url);
  return text;
}

}  // namespace

absl::Status CheckPriceUrl(const std::string& url) {
  const size_t scheme = url.find("://");
  const std::string name = url.substr(0, scheme == std::string::npos ? 0 : scheme);
  const size_t host = scheme + 3;
  const size_t path = scheme == std::string::npos ? scheme : url.find('/', host);
  const bool good = path != std::string::npos &&
                    ((name == "file" && path == host) || ((name == "http" || name == "https") && path > host));
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("\"", url,
                   "\" is no address of a price catalogue: give https://host/path, http://host/path or "
                   "file:///path"));
}

absl::StatusOr<std::string> FetchPriceText(const std::string& url, const std::function<bool()>& go_on) {
  RETURN_IF_ERROR(CheckPriceUrl(url));
  if (url.starts_with(kFileScheme)) return ReadFile(url);
  const size_t path = url.find('/', url.find("://") + 3);
  httplib::Client client(url.substr(0, path));
  if (!client.is_valid()) return absl::InvalidArgumentError(absl::StrCat("\"", url, "\" has no usable host"));
  client.set_connection_timeout(kFetchConnectTimeoutS);
  client.set_read_timeout(kFetchReadTimeoutS);
  client.set_follow_location(false);
  client.enable_server_certificate_verification(true);
  std::string text;
  bool too_large = false;
  const httplib::Result result = client.Get(url.substr(path).c_str(), httplib::Headers{{"accept", "application/json"}},
                                            [&](const char* data, size_t size) {
                                              too_large = text.size() + size > kCatalogueBytesMax;
                                              if (!too_large) text.append(data, size);
                                              return !too_large && go_on();
                                            });
  if (too_large) return TooLarge(url);
  if (!result && !go_on()) return absl::CancelledError(absl::StrCat("fetching ", url, " was stopped"));
  if (!result) {
    return absl::UnavailableError(absl::StrCat("cannot fetch ", url, ": ", httplib::to_string(result.error())));
  }
  if (result->status >= 300 && result->status < 400) {
    return absl::UnavailableError(absl::StrCat(url, " answered ", result->status, ", redirecting to ",
                                               result->get_header_value("location"), "; redirects are not followed"));
  }
  if (result->status != 200) return absl::UnavailableError(absl::StrCat(url, " answered ", result->status));
  return text;
}

}  // namespace signalbox
