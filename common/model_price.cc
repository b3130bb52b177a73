#include "common/model_price.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace signalbox {
namespace {

constexpr int64_t kDayUs = 86'400'000'000;

struct Rate {
  const char* name;
  int64_t (v1::ModelPrice::*get)() const;
  enum { kInput, kOutput, kEach } of;
};

using P = v1::ModelPrice;
constexpr Rate kRates[] = {
    {"input_nanos_per_mtok", &P::input_nanos_per_mtok, Rate::kInput},
    {"cached_input_nanos_per_mtok", &P::cached_input_nanos_per_mtok, Rate::kInput},
    {"cache_write_nanos_per_mtok", &P::cache_write_nanos_per_mtok, Rate::kInput},
    {"cache_write_1h_nanos_per_mtok", &P::cache_write_1h_nanos_per_mtok, Rate::kInput},
    {"audio_input_nanos_per_mtok", &P::audio_input_nanos_per_mtok, Rate::kInput},
    {"cached_audio_input_nanos_per_mtok", &P::cached_audio_input_nanos_per_mtok, Rate::kInput},
    {"image_input_nanos_per_mtok", &P::image_input_nanos_per_mtok, Rate::kInput},
    {"cached_image_input_nanos_per_mtok", &P::cached_image_input_nanos_per_mtok, Rate::kInput},
    {"video_input_nanos_per_mtok", &P::video_input_nanos_per_mtok, Rate::kInput},
    {"output_nanos_per_mtok", &P::output_nanos_per_mtok, Rate::kOutput},
    {"reasoning_nanos_per_mtok", &P::reasoning_nanos_per_mtok, Rate::kOutput},
    {"citation_nanos_per_mtok", &P::citation_nanos_per_mtok, Rate::kOutput},
    {"audio_output_nanos_per_mtok", &P::audio_output_nanos_per_mtok, Rate::kOutput},
    {"image_output_nanos_per_mtok", &P::image_output_nanos_per_mtok, Rate::kOutput},
    {"video_output_nanos_per_mtok", &P::video_output_nanos_per_mtok, Rate::kOutput},
    {"request_nanos", &P::request_nanos, Rate::kEach},
    {"web_search_nanos", &P::web_search_nanos, Rate::kEach},
    {"storage_search_nanos", &P::storage_search_nanos, Rate::kEach},
};

bool Fits(const v1::TimedPrice& timed, int64_t unix_us) {
  if (timed.start_us() != 0 && unix_us < timed.start_us()) return false;
  if (!timed.has_time_of_day()) return true;
  const int64_t now = (unix_us % kDayUs + kDayUs) % kDayUs;
  const int64_t start = timed.time_of_day().start_us();
  const int64_t end = timed.time_of_day().end_us();
  return end < start ? now >= start || now < end : now >= start && now < end;
}

void Raise(DearestRates& dearest, const v1::ModelPrice& rates) {
  for (const Rate& rate : kRates) {
    const int64_t nanos = (rates.*rate.get)();
    if (rate.of == Rate::kInput) dearest.input_nanos_per_mtok = std::max(dearest.input_nanos_per_mtok, nanos);
    if (rate.of == Rate::kOutput) dearest.output_nanos_per_mtok = std::max(dearest.output_nanos_per_mtok, nanos);
  }
  dearest.request_nanos = std::max(dearest.request_nanos, rates.request_nanos());
}

void RaiseWithTiers(DearestRates& dearest, const v1::ModelPrice& price, int64_t input_tokens_max) {
  Raise(dearest, price);
  for (const v1::PriceTier& tier : price.tiers()) {
    if (input_tokens_max > tier.above_input_tokens()) Raise(dearest, tier.rates());
  }
}

std::string RatesProblem(const v1::ModelPrice& rates) {
  for (const Rate& rate : kRates) {
    const int64_t nanos = (rates.*rate.get)();
    if (nanos < 0) return absl::StrCat("has a negative price (", rate.name, ")");
    if (nanos > kPriceNanosMax) return absl::StrCat("has a price past the largest (", rate.name, ")");
  }
  return "";
}

std::string TiersProblem(const v1::ModelPrice& price) {
  if (price.tiers_size() > kPriceTiersMax) return absl::StrCat("has more than ", kPriceTiersMax, " tiers");
  int64_t below = -1;
  for (const v1::PriceTier& tier : price.tiers()) {
    if (tier.above_input_tokens() <= below) return "has tiers that do not rise from 0 input tokens on";
    below = tier.above_input_tokens();
    if (tier.rates().tiers_size() > 0 || tier.rates().times_size() > 0) return "has a tier with tiers or times";
    if (std::string problem = RatesProblem(tier.rates()); !problem.empty()) return problem;
  }
  return "";
}

}  // namespace

v1::ModelPrice PriceAt(const v1::ModelPrice& price, int64_t unix_us) {
  v1::ModelPrice result = price;
  result.clear_times();
  const auto& times = price.times();
  const auto fitting = std::find_if(times.rbegin(), times.rend(),
                                    [unix_us](const v1::TimedPrice& timed) { return Fits(timed, unix_us); });
  if (fitting == times.rend()) return result;
  v1::ModelPrice timed = fitting->rates();
  timed.set_provider(price.provider());
  timed.set_model(price.model());
  timed.set_max_output_tokens(price.max_output_tokens());
  timed.set_cap_field(price.cap_field());
  if (price.has_image_tokens_max()) timed.set_image_tokens_max(price.image_tokens_max());
  if (price.has_audio_tokens_max()) timed.set_audio_tokens_max(price.audio_tokens_max());
  if (price.has_file_tokens_max()) timed.set_file_tokens_max(price.file_tokens_max());
  timed.set_source(price.source());
  if (price.has_match()) *timed.mutable_match() = price.match();
  return timed;
}

const v1::ModelPrice& RatesFor(const v1::ModelPrice& price, int64_t input_tokens) {
  const v1::ModelPrice* rates = &price;
  for (const v1::PriceTier& tier : price.tiers()) {
    if (input_tokens > tier.above_input_tokens()) rates = &tier.rates();
  }
  return *rates;
}

DearestRates DearestRatesOf(const v1::ModelPrice& price, int64_t input_tokens_max) {
  DearestRates dearest;
  RaiseWithTiers(dearest, price, input_tokens_max);
  for (const v1::TimedPrice& timed : price.times()) RaiseWithTiers(dearest, timed.rates(), input_tokens_max);
  return dearest;
}

bool PricesTokens(const v1::ModelPrice& price) {
  if (price.unmetered().empty()) return true;
  return std::any_of(std::begin(kRates), std::end(kRates),
                     [&price](const Rate& rate) { return (price.*rate.get)() != 0; });
}

std::string PriceProblem(const v1::ModelPrice& price) {
  if (std::string problem = RatesProblem(price); !problem.empty()) return problem;
  if (std::string problem = TiersProblem(price); !problem.empty()) return problem;
  if (price.max_output_tokens() < 0 || price.image_tokens_max() < 0 || price.audio_tokens_max() < 0 ||
      price.file_tokens_max() < 0) {
    return "has a negative number of tokens";
  }
  if (price.times_size() > kPriceTimesMax) return absl::StrCat("has more than ", kPriceTimesMax, " timed prices");
  for (const v1::TimedPrice& timed : price.times()) {
    const v1::TimedPrice::TimeOfDay& day = timed.time_of_day();
    if (day.start_us() < 0 || day.start_us() >= kDayUs || day.end_us() < 0 || day.end_us() >= kDayUs) {
      return "has a time of day that is none";
    }
    if (timed.rates().times_size() > 0) return "has a timed price with times";
    if (std::string problem = RatesProblem(timed.rates()); !problem.empty()) return problem;
    if (std::string problem = TiersProblem(timed.rates()); !problem.empty()) return problem;
  }
  return "";
}

}  // namespace signalbox
