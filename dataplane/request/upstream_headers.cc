#include "dataplane/request/upstream_headers.h"

#include <algorithm>

#include "dataplane/request/relay.h"

namespace signalbox {
namespace {

// Only of use to a provider that is asked in the client's own format.
bool BelongsToFormat(std::string_view header) {
  return header.starts_with("anthropic-") || header.starts_with("openai-") || header.starts_with("x-goog-") ||
         header.starts_with("x-amz-");
}

using Configured = google::protobuf::Map<std::string, std::string>;

bool Has(const Configured& headers, std::string_view name) {
  return std::any_of(headers.begin(), headers.end(),
                     [name](const auto& header) { return EqualsIgnoreCase(header.first, name); });
}

}  // namespace

HeaderFields UpstreamHeaders(const HeadersWanted& wanted, const HeaderFields& own) {
  const auto& configured = wanted.provider.headers();
  HeaderFields headers = ForwardedRequestHeaders(wanted.client, wanted.presented_key);
  if (!configured.empty() || wanted.translated) {
    headers.RemoveIf([&](const HeaderFields::Field& field) {
      return Has(configured, field.name) || (wanted.translated && BelongsToFormat(field.name));
    });
  }
  headers.AppendIf(own, [&](const HeaderFields::Field& field) {
    return !headers.Find(field.name).has_value() && !Has(configured, field.name);
  });
  if (!wanted.content_type.empty()) headers.AddOwn("content-type", wanted.content_type);
  headers.AddOwn("accept-encoding", "identity");  // usage is read from the response
  headers.AddOwn("x-client-request-id", wanted.request_id);
  for (const auto& [name, value] : configured) headers.Add(name, value);
  return headers;
}

}  // namespace signalbox
