#include "common/money.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/model_price.h"

namespace signalbox {
namespace {

__extension__ typedef __int128 Int128;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

int64_t Saturate(Int128 value) { return value > kMax ? kMax : static_cast<int64_t>(value); }

Int128 CeilDiv(Int128 value, int64_t divisor) { return (value + divisor - 1) / divisor; }

// Cuts up to `count` tokens off what is left of the whole.
int64_t Take(int64_t& left, int64_t count) {
  const int64_t taken = std::clamp<int64_t>(count, 0, left);
  left -= taken;
  return taken;
}

// Nano-dollars times 10^6. A kind without a rate of its own is not cut off, so that it stays in what it is part of.
Int128 InputSum(const v1::TokenUsage& usage, const v1::ModelPrice& rates) {
  const int64_t input_rate = rates.input_nanos_per_mtok();
  const int64_t cached_rate =
      rates.has_cached_input_nanos_per_mtok() ? rates.cached_input_nanos_per_mtok() : input_rate;
  const bool cached_apart = rates.has_cached_input_nanos_per_mtok() || rates.has_cached_audio_input_nanos_per_mtok() ||
                            rates.has_cached_image_input_nanos_per_mtok();
  int64_t left = std::max<int64_t>(usage.input(), 0);
  int64_t cached = cached_apart ? Take(left, usage.cached_input()) : 0;
  const int64_t cached_audio = Take(cached, usage.cached_audio_input());
  const int64_t cached_image = Take(cached, usage.cached_image_input());
  Int128 sum = Int128{cached} * cached_rate;
  sum += Int128{cached_audio} *
         (rates.has_cached_audio_input_nanos_per_mtok() ? rates.cached_audio_input_nanos_per_mtok() : cached_rate);
  sum += Int128{cached_image} *
         (rates.has_cached_image_input_nanos_per_mtok() ? rates.cached_image_input_nanos_per_mtok() : cached_rate);
  if (rates.has_cache_write_nanos_per_mtok() || rates.has_cache_write_1h_nanos_per_mtok()) {
    const int64_t written_rate =
        rates.has_cache_write_nanos_per_mtok() ? rates.cache_write_nanos_per_mtok() : input_rate;
    int64_t written = Take(left, usage.cache_write());
    const int64_t kept_1h = Take(written, usage.cache_write_1h());
    sum += Int128{written} * written_rate;
    sum += Int128{kept_1h} *
           (rates.has_cache_write_1h_nanos_per_mtok() ? rates.cache_write_1h_nanos_per_mtok() : written_rate);
  }
  if (rates.has_audio_input_nanos_per_mtok()) {
    sum += Int128{Take(left, usage.audio_input() - cached_audio)} * rates.audio_input_nanos_per_mtok();
  }
  if (rates.has_image_input_nanos_per_mtok()) {
    sum += Int128{Take(left, usage.image_input() - cached_image)} * rates.image_input_nanos_per_mtok();
  }
  if (rates.has_video_input_nanos_per_mtok()) {
    sum += Int128{Take(left, usage.video_input())} * rates.video_input_nanos_per_mtok();
  }
  return sum + Int128{left} * input_rate;
}

Int128 OutputSum(const v1::TokenUsage& usage, const v1::ModelPrice& rates) {
  int64_t left = std::max<int64_t>(usage.output(), 0);
  Int128 sum = 0;
  if (rates.has_audio_output_nanos_per_mtok()) {
    sum += Int128{Take(left, usage.audio_output())} * rates.audio_output_nanos_per_mtok();
  }
  if (rates.has_image_output_nanos_per_mtok()) {
    sum += Int128{Take(left, usage.image_output())} * rates.image_output_nanos_per_mtok();
  }
  if (rates.has_video_output_nanos_per_mtok()) {
    sum += Int128{Take(left, usage.video_output())} * rates.video_output_nanos_per_mtok();
  }
  if (rates.has_reasoning_nanos_per_mtok()) {
    sum += Int128{Take(left, usage.reasoning())} * rates.reasoning_nanos_per_mtok();
  }
  if (rates.has_citation_nanos_per_mtok()) {
    sum += Int128{Take(left, usage.citation())} * rates.citation_nanos_per_mtok();
  }
  return sum + Int128{left} * rates.output_nanos_per_mtok();
}

int64_t Fee(int64_t count, int64_t nanos) { return Saturate(Int128{std::max<int64_t>(count, 0)} * nanos); }

}  // namespace

int64_t CostNanos(const v1::TokenUsage& usage, const v1::ModelPrice& price) {
  const v1::ModelPrice& rates = RatesFor(price, usage.input());
  const int64_t fees =
      AddSaturating(rates.request_nanos(), AddSaturating(Fee(usage.web_searches(), rates.web_search_nanos()),
                                                         Fee(usage.storage_searches(), rates.storage_search_nanos())));
  return AddSaturating(Saturate(CeilDiv(InputSum(usage, rates) + OutputSum(usage, rates), kTokensPerPriceUnit)), fees);
}

int64_t BoundNanos(int64_t input_nanos, int64_t choices, int64_t output_cap, int64_t output_nanos_per_mtok) {
  const int64_t tokens = Saturate(Int128{std::max<int64_t>(choices, 1)} * std::max<int64_t>(output_cap, 0));
  return Saturate(Int128{input_nanos} + CeilDiv(Int128{tokens} * output_nanos_per_mtok, kTokensPerPriceUnit));
}

int64_t DearestInputPrice(const v1::ModelPrice& price) { return DearestRatesOf(price).input_nanos_per_mtok; }

int64_t DearestOutputPrice(const v1::ModelPrice& price) { return DearestRatesOf(price).output_nanos_per_mtok; }

int64_t OutputTokensMax(const v1::ModelPrice& price) {
  return price.max_output_tokens() > 0 ? price.max_output_tokens() : kUnknownOutputTokensMax;
}

int64_t AddSaturating(int64_t a, int64_t b) {
  int64_t sum;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return a > 0 ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::min();
}

void AddUsage(v1::TokenUsage& sum, const v1::TokenUsage& more) {
  using Usage = v1::TokenUsage;
  const auto add = [&](int64_t (Usage::*get)() const, void (Usage::*set)(int64_t)) {
    (sum.*set)(AddSaturating((sum.*get)(), (more.*get)()));
  };
  add(&Usage::input, &Usage::set_input);
  add(&Usage::cached_input, &Usage::set_cached_input);
  add(&Usage::cache_write, &Usage::set_cache_write);
  add(&Usage::cache_write_1h, &Usage::set_cache_write_1h);
  add(&Usage::audio_input, &Usage::set_audio_input);
  add(&Usage::cached_audio_input, &Usage::set_cached_audio_input);
  add(&Usage::image_input, &Usage::set_image_input);
  add(&Usage::cached_image_input, &Usage::set_cached_image_input);
  add(&Usage::video_input, &Usage::set_video_input);
  add(&Usage::output, &Usage::set_output);
  add(&Usage::reasoning, &Usage::set_reasoning);
  add(&Usage::citation, &Usage::set_citation);
  add(&Usage::audio_output, &Usage::set_audio_output);
  add(&Usage::image_output, &Usage::set_image_output);
  add(&Usage::video_output, &Usage::set_video_output);
  add(&Usage::web_searches, &Usage::set_web_searches);
  add(&Usage::storage_searches, &Usage::set_storage_searches);
}

int64_t LargestCapWithin(int64_t nanos, int64_t input_nanos, int64_t choices, int64_t output_nanos_per_mtok) {
  if (nanos < input_nanos) return -1;
  const Int128 per_token = Int128{std::max<int64_t>(choices, 1)} * output_nanos_per_mtok;
  if (per_token <= 0) return kMax;
  // ceil(cap × per_token / 10^6) ≤ room  ⇔  cap × per_token ≤ room × 10^6
  return Saturate(Int128{nanos - input_nanos} * kTokensPerPriceUnit / per_token);
}

std::string FormatDollars(int64_t nanos) {
  const uint64_t magnitude = nanos < 0 ? -static_cast<uint64_t>(nanos) : static_cast<uint64_t>(nanos);
  // A leading 1 keeps the zeros of the fraction, and its place is where the point goes.
  std::string fraction = absl::StrCat(kNanosPerDollar + static_cast<int64_t>(magnitude % kNanosPerDollar));
  fraction[0] = '.';
  return absl::StrCat(nanos < 0 ? "-" : "", magnitude / kNanosPerDollar, fraction);
}

std::string FormatMoney(int64_t nanos) {
  std::string text = FormatDollars(nanos);
  const size_t least = text.find('.') + 3;
  while (text.size() > least && text.back() == '0') text.pop_back();
  return text[0] == '-' ? absl::StrCat("-$", text.substr(1)) : absl::StrCat("$", text);
}

}  // namespace signalbox
