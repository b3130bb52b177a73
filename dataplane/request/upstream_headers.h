// The headers of a call to a provider: what the client sent and may travel, what the provider is configured to get, and
// what the gateway itself says. Pure.
#pragma once

#include <string>
#include <string_view>

#include "dataplane/http/header_fields.h"
#include "dataplane/http/http_server.h"
#include "dataplane/provider/provider_call.h"

namespace signalbox {

struct HeadersWanted {
  const HeaderFields& client;
  std::string_view presented_key;  // must never leave
  const v1::SnapshotProvider& provider;
  std::string_view request_id;
  std::string_view content_type;  // empty: none
  bool translated = false;        // the provider is asked in another format than the client's
};

// `own` is what the kind of provider wants (ProviderCall::headers). A client that speaks the provider's format may name
// the version of it that it was written for; what the provider is configured to get, a client can neither change nor
// add to.
HeaderFields UpstreamHeaders(const HeadersWanted& wanted, const HeaderFields& own);

}  // namespace signalbox
