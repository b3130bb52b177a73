#include "controlplane/prices/genai_prices.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/model_price.h"
#include "common/price_table.h"
#include "common/status_macros.h"
#include "controlplane/prices/genai_match.h"

namespace signalbox {
namespace {

using Json = nlohmann::json;

constexpr double kPriceDollarsMax = 1'000'000;  // per million tokens or per thousand
constexpr double kNanosPerMtok = 1e9;           // of a price per million tokens
constexpr double kNanosOfKcount = 1e6;          // of a price per thousand, each
constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kDaySeconds = 86'400;

absl::Status Fault(const std::string& what) { return absl::InvalidArgumentError(what); }

struct Unit {
  const char* key;
  void (v1::ModelPrice::*set)(int64_t);
  double nanos_per_dollar;
};

using P = v1::ModelPrice;
constexpr Unit kUnits[] = {
    {"input_mtok", &P::set_input_nanos_per_mtok, kNanosPerMtok},
    {"output_mtok", &P::set_output_nanos_per_mtok, kNanosPerMtok},
    {"cache_read_mtok", &P::set_cached_input_nanos_per_mtok, kNanosPerMtok},
    {"cache_write_mtok", &P::set_cache_write_nanos_per_mtok, kNanosPerMtok},
    {"cache_write_1h_mtok", &P::set_cache_write_1h_nanos_per_mtok, kNanosPerMtok},
    {"input_audio_mtok", &P::set_audio_input_nanos_per_mtok, kNanosPerMtok},
    {"cache_audio_read_mtok", &P::set_cached_audio_input_nanos_per_mtok, kNanosPerMtok},
    {"output_audio_mtok", &P::set_audio_output_nanos_per_mtok, kNanosPerMtok},
    {"input_image_mtok", &P::set_image_input_nanos_per_mtok, kNanosPerMtok},
    {"cache_image_read_mtok", &P::set_cached_image_input_nanos_per_mtok, kNanosPerMtok},
    {"output_image_mtok", &P::set_image_output_nanos_per_mtok, kNanosPerMtok},
    {"input_video_mtok", &P::set_video_input_nanos_per_mtok, kNanosPerMtok},
    {"output_video_mtok", &P::set_video_output_nanos_per_mtok, kNanosPerMtok},
    {"output_reasoning_mtok", &P::set_reasoning_nanos_per_mtok, kNanosPerMtok},
    {"output_citation_mtok", &P::set_citation_nanos_per_mtok, kNanosPerMtok},
    {"requests_kcount", &P::set_request_nanos, kNanosOfKcount},
    {"web_searches_kcount", &P::set_web_search_nanos, kNanosOfKcount},
    {"storage_searches_kcount", &P::set_storage_search_nanos, kNanosOfKcount},
};

// Exact: a decimal of at most nine places up to a million has 15 digits, which a double holds, and times 10^9 the
// nearest whole number is the decimal's. Finer prices (thirds) are taken to the nearest nano-dollar.
absl::StatusOr<int64_t> ReadAmount(const std::string& key, const Json& value, double nanos_per_dollar) {
  if (!value.is_number()) return Fault(absl::StrCat("\"", key, "\" must be a number or tiers"));
  const double dollars = value.get<double>();
  if (!(dollars >= 0 && dollars <= kPriceDollarsMax)) {
    return Fault(absl::StrCat("\"", key, "\" must be from 0 to ", kPriceDollarsMax, " dollars"));
  }
  return std::llround(dollars * nanos_per_dollar);
}

// One unit's price: what it is, and from which length of the prompt on it is something else.
struct UnitPrice {
  const Unit* unit;
  int64_t base = 0;
  std::vector<std::pair<int64_t, int64_t>> tiers;  // start, nanos; by start
};

absl::StatusOr<UnitPrice> ReadUnitPrice(const Unit& unit, const Json& value) {
  UnitPrice price{&unit, 0, {}};
  if (!value.is_object()) {
    ASSIGN_OR_RETURN(price.base, ReadAmount(unit.key, value, unit.nanos_per_dollar));
    return price;
  }
  const auto base = value.find("base");
  const auto tiers = value.find("tiers");
  if (base == value.end() || tiers == value.end() || !tiers->is_array()) {
    return Fault(absl::StrCat("\"", unit.key, "\" must be a number or have \"base\" and a list of \"tiers\""));
  }
  ASSIGN_OR_RETURN(price.base, ReadAmount(unit.key, *base, unit.nanos_per_dollar));
  for (const Json& tier : *tiers) {
    const auto start = tier.find("start");
    if (!tier.is_object() || start == tier.end() || !start->is_number_unsigned() || !tier.contains("price") ||
        start->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
      return Fault(absl::StrCat("\"", unit.key, "\" has a tier without a whole \"start\" and a \"price\""));
    }
    ASSIGN_OR_RETURN(const int64_t nanos, ReadAmount(unit.key, tier["price"], unit.nanos_per_dollar));
    price.tiers.emplace_back(static_cast<int64_t>(start->get<uint64_t>()), nanos);
  }
  std::stable_sort(price.tiers.begin(), price.tiers.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  return price;
}

// The data has tiers for each unit, a ModelPrice has all rates for each length.
absl::StatusOr<v1::ModelPrice> ReadRates(const Json& prices) {
  if (!prices.is_object()) return Fault("\"prices\" must be an object or a list");
  v1::ModelPrice rates;
  std::vector<UnitPrice> units;
  std::set<int64_t> starts;
  for (const auto& [key, value] : prices.items()) {
    if (value.is_null()) continue;
    const auto* unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                    [&key = key](const Unit& known) { return known.key == key; });
    if (unit == std::end(kUnits)) {
      rates.add_unmetered(key);
      continue;
    }
    ASSIGN_OR_RETURN(UnitPrice price, ReadUnitPrice(*unit, value));
    (rates.*unit->set)(price.base);
    for (const auto& [start, nanos] : price.tiers) starts.insert(start);
    units.push_back(std::move(price));
  }
  std::sort(rates.mutable_unmetered()->begin(), rates.mutable_unmetered()->end());
  for (const int64_t start : starts) {
    v1::PriceTier& tier = *rates.add_tiers();
    tier.set_above_input_tokens(start);
    for (const UnitPrice& price : units) {
      int64_t nanos = price.base;
      for (const auto& [from, in_tier] : price.tiers) nanos = from <= start ? in_tier : nanos;
      (tier.mutable_rates()->*price.unit->set)(nanos);
    }
  }
  return rates;
}

bool ReadDigits(std::string_view text, size_t from, size_t size, int& value) {
  value = 0;
  for (size_t i = from; i < from + size; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (text[i] - '0');
  }
  return true;
}

// "2026-03-13": midnight UTC, Unix microseconds.
absl::StatusOr<int64_t> ReadDate(const Json& value) {
  const std::string text = value.is_string() ? value.get<std::string>() : "";
  int year = 0, month = 0, day = 0;
  if (text.size() != 10 || text[4] != '-' || text[7] != '-' || !ReadDigits(text, 0, 4, year) ||
      !ReadDigits(text, 5, 2, month) || !ReadDigits(text, 8, 2, day)) {
    return Fault("\"start_date\" must be a date such as 2026-03-13");
  }
  const std::chrono::year_month_day date(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (!date.ok()) return Fault(absl::StrCat("\"start_date\" ", text, " does not exist"));
  return std::chrono::sys_days(date).time_since_epoch().count() * kDaySeconds * kSecondUs;
}

// "00:30:00Z", "09:00:00.5+08:00": microseconds of the UTC day.
absl::StatusOr<int64_t> ReadTimeOfDay(const char* field, const Json& value) {
  const absl::Status bad = Fault(absl::StrCat("\"", field, "\" must be a time of day such as 16:30:00Z"));
  const std::string text = value.is_string() ? value.get<std::string>() : "";
  int hour = 0, minute = 0, second = 0;
  if (text.size() < 9 || text[2] != ':' || text[5] != ':' || !ReadDigits(text, 0, 2, hour) ||
      !ReadDigits(text, 3, 2, minute) || !ReadDigits(text, 6, 2, second) || hour > 23 || minute > 59 || second > 59) {
    return bad;
  }
  size_t at = 8;
  int64_t us = ((hour * 60 + minute) * 60 + int64_t{second}) * kSecondUs;
  if (text[at] == '.') {
    int64_t place = kSecondUs;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      place /= 10;
      us += (text[at] - '0') * place;
    }
    if (text[at - 1] == '.') return bad;
  }
  const std::string zone = text.substr(at);
  if (zone != "Z") {
    int hours = 0, minutes = 0;
    if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':' || !ReadDigits(zone, 1, 2, hours) ||
        !ReadDigits(zone, 4, 2, minutes) || hours > 23 || minutes > 59) {
      return bad;
    }
    us -= (zone[0] == '+' ? 1 : -1) * (hours * 60 + minutes) * 60 * kSecondUs;
  }
  const int64_t day_us = kDaySeconds * kSecondUs;
  return (us % day_us + day_us) % day_us;
}

absl::Status ReadConstraint(const Json& constraint, v1::TimedPrice& timed) {
  const bool dated = constraint.is_object() && constraint.contains("start_date");
  const bool daily = constraint.is_object() && constraint.contains("start_time") && constraint.contains("end_time");
  const size_t fields = (dated ? 1 : 2) + (constraint.contains("type") ? 1 : 0);
  if (dated == daily || constraint.size() != fields) {
    return Fault("has a price whose constraint is neither a start_date nor a start_time and end_time");
  }
  if (dated) {
    ASSIGN_OR_RETURN(const int64_t start_us, ReadDate(constraint["start_date"]));
    timed.set_start_us(start_us);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const int64_t start_us, ReadTimeOfDay("start_time", constraint["start_time"]));
  ASSIGN_OR_RETURN(const int64_t end_us, ReadTimeOfDay("end_time", constraint["end_time"]));
  timed.mutable_time_of_day()->set_start_us(start_us);
  timed.mutable_time_of_day()->set_end_us(end_us);
  return absl::OkStatus();
}

// Several prices: the last whose constraint fits counts, and when none does the first.
absl::StatusOr<v1::ModelPrice> ReadPrices(const Json& prices) {
  if (!prices.is_array()) return ReadRates(prices);
  if (prices.empty()) return Fault("\"prices\" is empty");
  v1::ModelPrice price;
  for (size_t i = 0; i < prices.size(); ++i) {
    const Json& entry = prices[i];
    if (!entry.is_object() || !entry.contains("prices")) return Fault("has a conditional price without \"prices\"");
    ASSIGN_OR_RETURN(v1::ModelPrice rates, ReadRates(entry["prices"]));
    const auto constraint = entry.find("constraint");
    const bool constrained = constraint != entry.end() && !constraint->is_null();
    v1::TimedPrice timed;
    if (constrained) RETURN_IF_ERROR(ReadConstraint(*constraint, timed));
    if (i == 0 || !constrained) {
      price = std::move(rates);  // one that always fits leaves those before it without use
      continue;
    }
    *timed.mutable_rates() = std::move(rates);
    *price.add_times() = std::move(timed);
  }
  return price;
}

absl::StatusOr<std::string> ReadId(const Json& object, const std::string& where) {
  const auto id = object.is_object() ? object.find("id") : object.end();
  if (id == object.end() || !id->is_string() || id->get_ref<const std::string&>().empty() ||
      id->get_ref<const std::string&>().size() > kPricedNameBytesMax) {
    return Fault(absl::StrCat(where, " has no \"id\" of 1 to ", kPricedNameBytesMax, " bytes"));
  }
  return id->get<std::string>();
}

absl::StatusOr<v1::ModelPrice> ReadModel(const Json& model, const std::string& provider, const ModelLimits& limits) {
  ASSIGN_OR_RETURN(const std::string id, ReadId(model, "a model"));
  const auto fault = [&id](const absl::Status& status) {
    return Fault(absl::StrCat("model \"", id, "\": ", std::string(status.message())));
  };
  if (!model.contains("match")) return fault(Fault("\"match\" is missing"));
  if (!model.contains("prices")) return fault(Fault("\"prices\" is missing"));
  absl::StatusOr<v1::ModelPrice> price = ReadPrices(model["prices"]);
  if (!price.ok()) return fault(price.status());
  const absl::StatusOr<v1::ModelMatch> match = ReadGenaiMatch(model["match"]);
  if (!match.ok()) return fault(Fault(absl::StrCat("\"match\" ", std::string(match.status().message()))));
  *price->mutable_match() = *match;
  price->set_provider(provider);
  price->set_model(id);
  limits.Apply(*price);
  if (const std::string problem = PriceProblem(*price); !problem.empty()) return fault(Fault(problem));
  return price;
}

absl::StatusOr<PriceSource> ReadProvider(const Json& provider, const ModelLimits& limits, size_t& models) {
  PriceSource source;
  ASSIGN_OR_RETURN(source.id, ReadId(provider, "a provider"));
  const auto list = provider.find("models");
  if (list == provider.end() || !list->is_array()) {
    return Fault(absl::StrCat("provider \"", source.id, "\": \"models\" must be a list"));
  }
  models += list->size();
  if (models > kCatalogueModelsMax) return Fault(absl::StrCat("more than ", kCatalogueModelsMax, " models"));
  for (const Json& model : *list) {
    absl::StatusOr<v1::ModelPrice> price = ReadModel(model, source.id, limits);
    if (!price.ok()) {
      return Fault(absl::StrCat("provider \"", source.id, "\": ", std::string(price.status().message())));
    }
    source.prices.push_back(*std::move(price));
  }
  return source;
}

// Behind a provider's own models come those of the providers it falls back to, but not what these fall back to.
absl::Status AddFallbacks(const Json& providers, std::vector<PriceSource>& sources) {
  std::map<std::string, std::vector<v1::ModelPrice>> own;
  for (const PriceSource& source : sources) own[source.id] = source.prices;
  for (size_t i = 0; i < sources.size(); ++i) {
    const auto fallbacks = providers[i].find("fallback_model_providers");
    if (fallbacks == providers[i].end() || fallbacks->is_null()) continue;
    const absl::Status bad = Fault(
        absl::StrCat("provider \"", sources[i].id, "\": \"fallback_model_providers\" must be a list of provider ids"));
    if (!fallbacks->is_array() || fallbacks->size() > sources.size()) return bad;
    for (const Json& id : *fallbacks) {
      if (!id.is_string()) return bad;
      const auto found = own.find(id.get<std::string>());
      if (found == own.end()) continue;
      sources[i].prices.insert(sources[i].prices.end(), found->second.begin(), found->second.end());
      if (sources[i].prices.size() > kCatalogueModelsMax) return bad;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PriceCatalogue> ParseGenaiPrices(std::string_view json, std::string origin, const ModelLimits& limits) {
  if (json.size() > kCatalogueBytesMax) return Fault(absl::StrCat("it is over ", kCatalogueBytesMax, " bytes"));
  try {
    const Json providers = Json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
    if (providers.is_discarded()) return Fault("it is not JSON");
    if (!providers.is_array() || providers.empty()) return Fault("it is not a list of providers");
    std::vector<PriceSource> sources;
    size_t models = 0;
    for (const Json& provider : providers) {
      ASSIGN_OR_RETURN(PriceSource source, ReadProvider(provider, limits, models));
      sources.push_back(std::move(source));
    }
    RETURN_IF_ERROR(AddFallbacks(providers, sources));
    return PriceCatalogue::Of(std::move(sources), std::move(origin), json);
  } catch (const Json::exception& error) {
    return Fault(absl::StrCat("it is not of the shape of price data: ", error.what()));
  }
}

}  // namespace signalbox
