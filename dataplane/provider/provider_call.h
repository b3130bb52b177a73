// How a provider of each kind is called: which format it speaks, at which path, with which credentials. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/provider_kind.h"
#include "dataplane/http/header_fields.h"
#include "dataplane/provider/format.h"
#include "signalbox/v1/compiled.pb.h"

namespace signalbox {

// The format in which a provider is asked what a client says in `client`: the same where it speaks that, else its own
// for chats. nullopt: it has no such thing (embeddings of Anthropic's).
std::optional<Format> ProviderFormat(const v1::SnapshotProvider& provider, Format client);

// The kind of a provider in a snapshot, which the control plane has checked; kOpenAi for what it cannot be.
ProviderKind KindOf(const v1::SnapshotProvider& provider);

struct CallPlace {
  std::string_view secret;       // of the endpoint; empty: none is sent
  std::string_view host;         // as in the host header: what signatures are made over
  std::string_view path_prefix;  // of the base URL, no slash at the end
};

struct CallOperation {
  Format format = Format::kChat;  // as ProviderFormat says
  std::string_view model;
  bool stream = false;
};

struct ProviderCall {
  std::string target;
  HeaderFields headers;  // credentials, and what the format wants; no content-type
};

// `unix_us` is the time that signatures tell.
ProviderCall BuildProviderCall(const v1::SnapshotProvider& provider, const CallPlace& place,
                               const CallOperation& operation, std::string_view body, int64_t unix_us);
// A call of anything else of the provider's API: `target` is whole, with its query.
ProviderCall BuildRawCall(const v1::SnapshotProvider& provider, const CallPlace& place, std::string_view method,
                          std::string target, std::string_view body, int64_t unix_us);

}  // namespace signalbox
