// Reads price data of the shape that https://github.com/pydantic/genai-prices publishes: a list of providers, each with
// its models, their match logic and prices (dollars per million tokens, tiers by prompt length, times). The catalogue
// of the build and any that is fetched are of this shape. All or nothing: one fault refuses the whole. Pure; any
// thread.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "controlplane/prices/model_limits.h"
#include "controlplane/prices/price_catalogue.h"

namespace signalbox {

inline constexpr size_t kCatalogueBytesMax = 32 << 20;
inline constexpr size_t kCatalogueModelsMax = 100'000;

// INVALID_ARGUMENT names provider and model: `provider "openai": model "gpt-4o": "input_mtok" is negative`. What does
// not concern prices is ignored; units that no token count covers are noted as unmetered.
absl::StatusOr<PriceCatalogue> ParseGenaiPrices(std::string_view json, std::string origin, const ModelLimits& limits);

}  // namespace signalbox
