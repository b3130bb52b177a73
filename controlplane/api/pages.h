// Pages of listings: sizes and opaque tokens. A token belongs to the listing that gave it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace signalbox {

// 0: the default; more than the maximum: the maximum; INVALID_ARGUMENT when negative.
absl::StatusOr<int> PageSize(int32_t asked);

// `listing` names the method and what it lists ("routes/default"); `cursor` is where the next page starts.
std::string EncodePageToken(std::string_view listing, std::string_view cursor);
// The cursor; empty for the first page (empty token). INVALID_ARGUMENT when the token is none of this listing.
absl::StatusOr<std::string> DecodePageToken(std::string_view listing, std::string_view token);
// The same for cursors that are numbers; 0 for the first page.
absl::StatusOr<int64_t> DecodeNumberToken(std::string_view listing, std::string_view token);

}  // namespace signalbox
