// Money in int64 nano-dollars. One 128-bit product sum, rounded up once; never a float. Pure.
// Prices: nano-dollars per million tokens (v1::ModelPrice), as they are at the request's start: common/model_price.h.
#pragma once

#include <cstdint>
#include <string>

#include "signalbox/v1/compiled.pb.h"
#include "signalbox/v1/spend.pb.h"

namespace signalbox {

// ceil(Σ tokens × rate / 10^6) and what the call and its searches cost each. The rates are those of the tier that the
// usage's input falls into. A part of input or output is priced apart where the price says so, else as the whole it is
// part of. Saturates at INT64_MAX; negative counts are taken as 0, and parts that together exceed the whole are cut in
// the order cached, written, audio, image, video, and of output audio, image, video, reasoning, citations.
int64_t CostNanos(const v1::TokenUsage& usage, const v1::ModelPrice& price);

// The most one attempt can cost: input_nanos + ceil(choices × output_cap × output price / 10^6). Saturating.
int64_t BoundNanos(int64_t input_nanos, int64_t choices, int64_t output_cap, int64_t output_nanos_per_mtok);

// The dearest price an input token of this model can have (plain, cached, cache write, audio ...) and an output token
// (plain, audio ...) in any of its tiers and at any time, nano-dollars per million tokens.
int64_t DearestInputPrice(const v1::ModelPrice& price);
int64_t DearestOutputPrice(const v1::ModelPrice& price);

// The largest output cap whose bound is at most `nanos`, or -1 when not even 0 tokens fit. The inverse of BoundNanos.
int64_t LargestCapWithin(int64_t nanos, int64_t input_nanos, int64_t choices, int64_t output_nanos_per_mtok);

// What an answer of this model can have at most, in tokens: kUnknownOutputTokensMax where its price does not say.
int64_t OutputTokensMax(const v1::ModelPrice& price);

int64_t AddSaturating(int64_t a, int64_t b);

// Every count of `more` onto `sum`.
void AddUsage(v1::TokenUsage& sum, const v1::TokenUsage& more);

std::string FormatDollars(int64_t nanos);  // nine decimals, sign kept: "1.250000000"
std::string FormatMoney(int64_t nanos);    // "$1.25", "-$0.50": at least two decimals, no more than it needs

}  // namespace signalbox
