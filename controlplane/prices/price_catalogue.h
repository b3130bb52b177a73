// The prices under the gateways' own: what every model of every known provider costs, as public data tells it. One is
// built into the program, a newer one may be fetched (price_refresher.h); either way it is read whole or not at all.
// A cheap handle to immutable content; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

// What the data calls one of its providers, and its models in the order they are tried: those of providers it falls
// back to come last.
struct PriceSource {
  std::string id;  // x-ai
  std::vector<v1::ModelPrice> prices;
};

class PriceCatalogue {
 public:
  PriceCatalogue();  // prices nothing
  // `origin`: where it comes from, for people; `text`: what it was read from. INVALID_ARGUMENT when a match cannot be
  // used or a source is there twice.
  static absl::StatusOr<PriceCatalogue> Of(std::vector<PriceSource> sources, std::string origin, std::string_view text);
  // Each price under the provider it names, in the order given.
  static absl::StatusOr<PriceCatalogue> OfPrices(const std::vector<v1::ModelPrice>& prices);

  // The price of `model`, under that name, with the origin as its source. nullopt: it has none.
  std::optional<v1::ModelPrice> Find(std::string_view source, std::string_view model) const;
  // In the order they are tried; empty for a source it does not know.
  const std::vector<v1::ModelPrice>& PricesOf(std::string_view source) const;
  std::vector<std::string> sources() const;  // ordered

  const std::string& origin() const;
  const std::string& sha256() const;  // hex, of the text
  int64_t models() const;             // those a source falls back to not counted again
  int64_t paid_models() const;        // of them, those that are not free

 private:
  struct Content;
  std::shared_ptr<const Content> content_;
};

// What price data calls a gateway's provider of that name and kind: the known name's, else the kind's (a provider of
// kind `anthropic` has Anthropic's prices), else the name itself.
std::string PriceSourceOf(std::string_view provider, std::string_view kind);

}  // namespace signalbox
