#include "controlplane/api/pages.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/sha256.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

constexpr size_t kTagBytes = 8;

std::string Tag(std::string_view listing) { return Sha256(listing).substr(0, kTagBytes); }

absl::Status BadToken() {
  return absl::InvalidArgumentError(
      "page_token: not a token of this listing; pass next_page_token of its previous page, or nothing");
}

}  // namespace

absl::StatusOr<int> PageSize(int32_t asked) {
  if (asked < 0) return absl::InvalidArgumentError(absl::StrCat("page_size: ", asked, " is negative"));
  return asked == 0 ? kPageSizeDefault : std::min(asked, kPageSizeMax);
}

std::string EncodePageToken(std::string_view listing, std::string_view cursor) {
  return absl::WebSafeBase64Escape(absl::StrCat(Tag(listing), std::string(cursor)));
}

absl::StatusOr<std::string> DecodePageToken(std::string_view listing, std::string_view token) {
  if (token.empty()) return std::string();
  std::string raw;
  if (!absl::WebSafeBase64Unescape(absl::string_view(token.data(), token.size()), &raw) || raw.size() <= kTagBytes ||
      raw.substr(0, kTagBytes) != Tag(listing)) {
    return BadToken();
  }
  return raw.substr(kTagBytes);
}

absl::StatusOr<int64_t> DecodeNumberToken(std::string_view listing, std::string_view token) {
  ASSIGN_OR_RETURN(const std::string cursor, DecodePageToken(listing, token));
  int64_t number = 0;
  if (!cursor.empty() && (!absl::SimpleAtoi(cursor, &number) || number < 1)) return BadToken();
  return number;
}

}  // namespace signalbox
