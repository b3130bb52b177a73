// What a v1::ModelPrice says: which rates hold at a time and for a length of prompt. A request resolves its models'
// prices once, at its start (PriceAt); what it is charged is common/money.h. Pure; any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

inline constexpr int kPriceTiersMax = 16;
inline constexpr int kPriceTimesMax = 64;
inline constexpr int64_t kPriceNanosMax = 1'000'000'000'000'000;  // a million dollars: per million tokens, or each

// The price as it is at `unix_us`: of `times` the last one that fits, else the price itself. Names, limits and match
// stay; the result has no times.
v1::ModelPrice PriceAt(const v1::ModelPrice& price, int64_t unix_us);

// The rates for a request of so many input tokens: of `tiers` the last one that fits, else the price itself. Lives as
// long as `price`.
const v1::ModelPrice& RatesFor(const v1::ModelPrice& price, int64_t input_tokens);

// The dearest that an input token (plain, cached, written, spoken ...), an output token and a call can be at any time,
// in a request of at most `input_tokens_max` input tokens. What bounds are reckoned with.
struct DearestRates {
  int64_t input_nanos_per_mtok = 0;
  int64_t output_nanos_per_mtok = 0;
  int64_t request_nanos = 0;
};
DearestRates DearestRatesOf(const v1::ModelPrice& price,
                            int64_t input_tokens_max = std::numeric_limits<int64_t>::max());

// False when the price is told only in units that no token count covers, such as hours of speech: a limit on dollars
// knows nothing about such a model. A price of zero is a price.
bool PricesTokens(const v1::ModelPrice& price);

// What is wrong with the amounts, tiers and times: "has a negative price"; empty: nothing. Names are not looked at.
std::string PriceProblem(const v1::ModelPrice& price);

}  // namespace signalbox
