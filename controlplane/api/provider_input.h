// What operators may say of a provider, completed and checked before anything is stored. Errors are INVALID_ARGUMENT
// and start with the field. Pure.
#pragma once

#include "absl/status/status.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

// What goes without saying: the kind of a well-known name (of others: openai), base URLs without slashes at their end.
// Checked are names, kind, addresses, headers, the kind's options, endpoints, the health check, and the shape of the
// secrets that the request carries.
absl::Status CompleteProviderRequest(v1::ApplyProviderRequest& request);

}  // namespace signalbox
