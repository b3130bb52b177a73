// The price catalogue that ships with the build: made of @pydantic/genai-prices by write_catalogue.mjs, with the limits
// of model_limits.json. Read when first used; a bad one is a bug of the build, which its test finds, so it stops the
// process. Any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "controlplane/prices/model_limits.h"
#include "controlplane/prices/price_catalogue.h"

namespace signalbox {

const PriceCatalogue& BundledCatalogue();
// For catalogues that are fetched, too.
const ModelLimits& BundledModelLimits();

// "1.25" -> 1,250,000,000 nano-dollars. INVALID_ARGUMENT for anything but digits with at most nine decimals, or an
// amount over 1,000,000 dollars.
absl::StatusOr<int64_t> ParseDollars(std::string_view text);

}  // namespace signalbox
