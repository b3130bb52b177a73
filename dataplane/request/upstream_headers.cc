#include "dataplane/request/upstream_headers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "dataplane/request/relay.h"

namespace signalbox {
namespace {

// Only of use to a provider that is asked in the client's own format.
bool BelongsToFormat(std::string_view header) {
  return header.starts_with("anthropic-") || header.starts_with("openai-") || header.starts_with("x-goog-") ||
         header.starts_with("x-amz-");
}

template <typename Headers>
bool Has(const Headers& headers, const std::string& name) {
  return std::any_of(headers.begin(), headers.end(),
                     [&name](const auto& header) { return absl::EqualsIgnoreCase(header.first, name); });
}

}  // namespace

HttpHeaders UpstreamHeaders(const HeadersWanted& wanted, HttpHeaders own) {
  const auto& configured = wanted.provider.headers();
  HttpHeaders headers = ForwardedRequestHeaders(wanted.client, wanted.presented_key);
  if (!configured.empty() || wanted.translated) {
    std::erase_if(headers, [&](const auto& header) {
      return Has(configured, header.first) || (wanted.translated && BelongsToFormat(header.first));
    });
  }
  for (auto& header : own) {
    if (!Has(headers, header.first) && !Has(configured, header.first)) headers.push_back(std::move(header));
  }
  if (!wanted.content_type.empty()) headers.emplace_back("content-type", std::string(wanted.content_type));
  headers.emplace_back("accept-encoding", "identity");  // usage is read from the response
  headers.emplace_back("x-client-request-id", std::string(wanted.request_id));
  for (const auto& [name, value] : configured) headers.emplace_back(name, value);
  return headers;
}

}  // namespace signalbox
