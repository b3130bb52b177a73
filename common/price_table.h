// Finds a model's price by its name in a list of prices, as the public price data does it: each price says which names
// it is for (v1::ModelMatch), the first that fits counts; a name that nothing fits is tried again with its compact
// dates spelled out (-20250115 as -2025-01-15). Case and surrounding blanks do not count. The control plane looks up
// models of routes so, proxies those of plain `{provider}/{model}` calls (v1::SnapshotPrices). Immutable; any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

inline constexpr size_t kPricedNameBytesMax = 256;  // no longer name has a price
inline constexpr size_t kModelPatternBytesMax = 256;
inline constexpr int kModelMatchDepthMax = 8;
inline constexpr int kModelMatchNodesMax = 256;   // of one price
inline constexpr int kPatternRepeatsMax = 1'000;  // product of a pattern's {n}: what it unrolls to

class PriceTable {
 public:
  PriceTable();
  // INVALID_ARGUMENT names the price whose match cannot be used, and why.
  static absl::StatusOr<PriceTable> Of(std::vector<v1::ModelPrice> prices);

  // Null when nothing prices the model. Lives as long as the table or a copy of it.
  const v1::ModelPrice* Find(std::string_view model) const;
  // Null also when the price found is not one of tokens (PricesTokens): what calls are reckoned with.
  const v1::ModelPrice* FindForTokens(std::string_view model) const;
  const std::vector<v1::ModelPrice>& prices() const;  // in the order they are tried

 private:
  struct Content;
  std::shared_ptr<const Content> content_;
};

// "claude-opus-4-20250514" -> "claude-opus-4-2025-05-14": dates of this century that exist, at the end or before
// '-' or ':'.
std::string SpellOutDates(std::string_view name);

}  // namespace signalbox
