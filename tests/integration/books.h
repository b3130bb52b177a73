// The three accounts of what requests cost: the ledger, the quota service's counters and the provider's own bill; read
// when nothing is in flight any more, and compared. Tests only.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/integration/quota_view.h"
#include "tests/testing/stack.h"

namespace signalbox {

// Prices of the models that tests of the books sell: so odd that a sum rounded twice, or a kind of token priced as
// another, shows in the last digits. The same decimals for the provider's price file and for the gateway's price.
struct OddPrice {
  std::string model;
  std::string input, cached_input, cache_write, output, audio_input, audio_output;
  int64_t max_output_tokens = 4'096;
};
std::string PriceFile(const std::vector<OddPrice>& prices);
void SetPrices(Stack& stack, const std::vector<OddPrice>& prices, const std::string& provider = "openai");

// A figure of a proxy's /metrics summed over its labels; 0 when absent.
double Metric(Stack& stack, size_t proxy, const std::string& name);

struct Books {
  std::vector<nlohmann::json> records;
  nlohmann::json bill;
};
// Waits until the proxies [0, proxies) answer nothing any more and the ledger has a record of each request that began
// (`begun_before`: of those, what proxies counted that are gone), and until nothing is held in `pools`.
Books CloseBooks(Stack& stack, const QuotaView& quota, size_t proxies, const std::vector<std::string>& pools,
                 size_t begun_before = 0, size_t providers = 1);

// held and suspense of every counter are 0.
bool NothingHeld(const QuotaView& quota, const std::vector<std::string>& pools);

// For each counter of `pools`: what is settled is what the records that passed there cost, in the counter's unit.
void ExpectQuotaEqualsLedger(const QuotaView& quota, const Books& books, const std::vector<std::string>& pools);

// What a comparison of ledger and bill found.
struct Matched {
  int64_t exact_nanos = 0;      // over attempts that are not estimated: the same in both
  int64_t estimated_nanos = 0;  // in the ledger
  int exact = 0;                // attempts
  int estimated = 0;
  int failed_but_billed = 0;  // attempts that ended with an error status and cost something
};
// Each attempt that is not estimated stands on the bill under its request's id at the same price to the nano-dollar;
// what else stands there belongs to an estimated attempt and is at most its bound, as is the estimate.
Matched ExpectLedgerEqualsBill(const Books& books);

int64_t Number(const nlohmann::json& object, const std::string& field);  // proto JSON's int64; 0 when absent

}  // namespace signalbox
