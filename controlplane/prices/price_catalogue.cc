#include "controlplane/prices/price_catalogue.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/model_price.h"
#include "common/price_table.h"
#include "common/provider_kind.h"
#include "common/sha256.h"
#include "common/status_macros.h"

namespace signalbox {

struct PriceCatalogue::Content {
  std::string origin;
  std::string sha256;
  int64_t models = 0;
  int64_t paid_models = 0;
  std::map<std::string, PriceTable, std::less<>> tables;
};

PriceCatalogue::PriceCatalogue() : content_(std::make_shared<const Content>()) {}

absl::StatusOr<PriceCatalogue> PriceCatalogue::Of(std::vector<PriceSource> sources, std::string origin,
                                                  std::string_view text) {
  auto content = std::make_shared<Content>();
  content->origin = std::move(origin);
  content->sha256 = Sha256Hex(text);
  for (PriceSource& source : sources) {
    for (const v1::ModelPrice& price : source.prices) {
      if (price.provider() != source.id) continue;
      const DearestRates dearest = DearestRatesOf(price);
      ++content->models;
      if (dearest.input_nanos_per_mtok > 0 || dearest.output_nanos_per_mtok > 0) ++content->paid_models;
    }
    ASSIGN_OR_RETURN(PriceTable table, PriceTable::Of(std::move(source.prices)));
    if (!content->tables.emplace(source.id, std::move(table)).second) {
      return absl::InvalidArgumentError(absl::StrCat("provider \"", source.id, "\" is there twice"));
    }
  }
  PriceCatalogue catalogue;
  catalogue.content_ = std::move(content);
  return catalogue;
}

absl::StatusOr<PriceCatalogue> PriceCatalogue::OfPrices(const std::vector<v1::ModelPrice>& prices) {
  std::vector<PriceSource> sources;
  std::string text;
  for (const v1::ModelPrice& price : prices) {
    PriceSource* source = nullptr;
    for (PriceSource& known : sources) {
      if (known.id == price.provider()) source = &known;
    }
    if (source == nullptr) source = &sources.emplace_back(PriceSource{price.provider(), {}});
    source->prices.push_back(price);
    const std::string bytes = price.SerializeAsString();
    absl::StrAppend(&text, bytes.size(), ":", bytes);
  }
  return Of(std::move(sources), "", text);
}

std::optional<v1::ModelPrice> PriceCatalogue::Find(std::string_view source, std::string_view model) const {
  const auto table = content_->tables.find(source);
  if (table == content_->tables.end()) return std::nullopt;
  const v1::ModelPrice* found = table->second.Find(model);
  if (found == nullptr) return std::nullopt;
  v1::ModelPrice price = *found;
  price.clear_match();
  price.set_model(std::string(model));
  if (!content_->origin.empty()) {
    price.set_source(absl::StrCat(content_->origin, ": ", found->provider(), "/", found->model()));
  }
  return price;
}

const std::vector<v1::ModelPrice>& PriceCatalogue::PricesOf(std::string_view source) const {
  static const auto& none = *new std::vector<v1::ModelPrice>;
  const auto table = content_->tables.find(source);
  return table == content_->tables.end() ? none : table->second.prices();
}

std::vector<std::string> PriceCatalogue::sources() const {
  std::vector<std::string> ids;
  for (const auto& [id, table] : content_->tables) ids.push_back(id);
  return ids;
}

const std::string& PriceCatalogue::origin() const { return content_->origin; }
const std::string& PriceCatalogue::sha256() const { return content_->sha256; }
int64_t PriceCatalogue::models() const { return content_->models; }
int64_t PriceCatalogue::paid_models() const { return content_->paid_models; }

std::string PriceSourceOf(std::string_view provider, std::string_view kind) {
  if (const KnownProvider* known = FindKnownProvider(provider)) {
    if (!known->price_source.empty()) return std::string(known->price_source);
  }
  ProviderKind parsed = ProviderKind::kOpenAi;
  if (ParseProviderKind(kind, parsed) && parsed != ProviderKind::kOpenAi) {
    return std::string(FindKnownProvider(ProviderKindText(parsed))->price_source);
  }
  return std::string(provider);
}

}  // namespace signalbox
