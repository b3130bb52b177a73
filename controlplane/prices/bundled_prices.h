// Prices that ship with the build, from prices.json in this folder: what a model costs in a gateway that has not
// set its own price. Read by the store (price in force), the price API and the compiler. The file is checked when
// first used and by its test; a bad file is a bug of the build, so it stops the process. Immutable after that; any
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

// The bundled price of a model, or nullopt. Exact names only: a dated variant of a model is another model.
std::optional<v1::ModelPrice> BundledPrice(const std::string& provider, const std::string& model);

// Every bundled price, ordered by provider and model.
std::vector<v1::ModelPrice> BundledPrices();

// Reads a file of the shape of prices.json. INVALID_ARGUMENT names the entry and the field: unknown and missing
// fields, duplicates, amounts that are no decimal dollars. No float is involved.
absl::StatusOr<std::vector<v1::ModelPrice>> ParsePriceFile(std::string_view json);

// "1.25" -> 1,250,000,000 nano-dollars. INVALID_ARGUMENT for anything but digits with at most nine decimals, or an
// amount over 1,000,000 dollars.
absl::StatusOr<int64_t> ParseDollars(std::string_view text);

}  // namespace signalbox
