// What a request says its tokens cost (header cf-aig-custom-cost), in place of its models' prices. Decimal text to
// nano-dollars without a float in between. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

inline constexpr size_t kCustomCostBytesMax = 1'024;

// Nano-dollars per million tokens.
struct CustomCost {
  int64_t input = 0;
  int64_t output = 0;
  std::optional<int64_t> cached_input;  // absent: as input
  std::optional<int64_t> cache_write;   // absent: as input
};

// {"per_token_in": 0.0000025, "per_token_out": 0.00001, "per_cache_read_token": ..., "per_cache_write_token": ...},
// dollars a token; the cache's may be left out. INVALID_ARGUMENT names the field: missing, unknown, there twice, no
// number, negative, or over a dollar a token.
absl::StatusOr<CustomCost> ParseCustomCost(std::string_view json);

// The price in force for one request: `price` (of the model; empty for one without) with the rates of `cost` and none
// of its own, at whatever length and time.
v1::ModelPrice CustomPrice(const CustomCost& cost, const v1::ModelPrice& price);

// A JSON number's text times 10^places, to the nearest whole number (half up). INVALID_ARGUMENT when it is no number
// that is 0 or more; OUT_OF_RANGE when it does not fit.
absl::StatusOr<int64_t> ScaleDecimal(std::string_view number, int places);

}  // namespace signalbox
