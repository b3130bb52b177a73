#include "dataplane/provider/usage.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/money.h"
#include "dataplane/provider/json_dom.h"
#include "dataplane/provider/openai_wire.h"

namespace signalbox {
namespace {

namespace dom = simdjson::dom;
__extension__ typedef __int128 Int128;

// No request of today's or tomorrow's models comes near: such a figure is a fault of the provider's.
constexpr int64_t kUsageTokensMax = 1'000'000'000;
constexpr int64_t kBytesPerToken = 4;

std::optional<int64_t> Tokens(const std::optional<dom::element>& element) {
  if (!element) return std::nullopt;
  int64_t count = 0;
  double number = 0;
  if (element->get_int64().get(count) != simdjson::SUCCESS) {
    // 12.0 is the same JSON number as 12.
    if (element->type() != dom::element_type::DOUBLE || element->get_double().get(number) != simdjson::SUCCESS ||
        number != std::floor(number) || number < 0 || number > kUsageTokensMax) {
      return std::nullopt;
    }
    count = static_cast<int64_t>(number);
  }
  if (count < 0 || count > kUsageTokensMax) return std::nullopt;
  return count;
}

std::optional<int64_t> Detail(dom::object usage, std::string_view details, std::string_view key) {
  const std::optional<dom::element> found = FindLast(usage, details);
  dom::object object;
  if (!found || found->get_object().get(object) != simdjson::SUCCESS) return std::nullopt;
  return Tokens(FindLast(object, key));
}

}  // namespace

std::optional<v1::TokenUsage> ReadUsage(dom::element element) {
  dom::object usage;
  if (element.get_object().get(usage) != simdjson::SUCCESS) return std::nullopt;
  const std::optional<int64_t> input = Tokens(FindLast(usage, "prompt_tokens"));
  std::optional<int64_t> output = Tokens(FindLast(usage, "completion_tokens"));
  if (!input || !output) return std::nullopt;

  std::optional<int64_t> cached = Detail(usage, "prompt_tokens_details", "cached_tokens");
  if (!cached) cached = Tokens(FindLast(usage, "prompt_cache_hit_tokens"));  // DeepSeek
  if (!cached) cached = Tokens(FindLast(usage, "cache_read_input_tokens"));  // Anthropic's compatible endpoint
  const int64_t written = Tokens(FindLast(usage, "cache_creation_input_tokens")).value_or(0);
  const int64_t reasoning = Detail(usage, "completion_tokens_details", "reasoning_tokens").value_or(0);
  // OpenAI counts reasoning within completion_tokens. Some providers (xAI) count it beside, which the total shows.
  const std::optional<int64_t> total = Tokens(FindLast(usage, "total_tokens"));
  if (reasoning > 0 && total == *input + *output + reasoning) output = *output + reasoning;

  v1::TokenUsage result;
  result.set_input(*input);
  result.set_cached_input(std::min(cached.value_or(0), *input));
  result.set_cache_write(std::min(written, *input - result.cached_input()));
  result.set_output(*output);
  result.set_reasoning(std::min(reasoning, *output));
  return result;
}

std::optional<v1::TokenUsage> ParseUsage(std::string_view response_json) {
  dom::document document;
  if (ParseDom(response_json, response_json.size(), document) != simdjson::SUCCESS) return std::nullopt;
  dom::object root;
  if (document.root().get_object().get(root) != simdjson::SUCCESS) return std::nullopt;
  const std::optional<dom::element> usage = FindLast(root, "usage");
  return usage ? ReadUsage(*usage) : std::nullopt;
}

v1::TokenUsage EstimateUsage(size_t request_bytes, size_t content_bytes) {
  const auto tokens = [](size_t bytes) {
    return static_cast<int64_t>(bytes / kBytesPerToken) + (bytes % kBytesPerToken != 0 ? 1 : 0);
  };
  v1::TokenUsage usage;
  usage.set_input(tokens(request_bytes));
  usage.set_output(tokens(content_bytes));
  return usage;
}

absl::StatusOr<InputBound> BoundInput(const ChatBody& body, size_t sent_bytes, const v1::ModelPrice& price) {
  const ChatBody::Parts parts = body.parts();
  struct Kind {
    const char* name;
    int64_t count;
    bool known;
    int64_t tokens_max;
  };
  const Kind kinds[] = {
      {"image", parts.images, price.has_image_tokens_max(), price.image_tokens_max()},
      {"audio", parts.audio, price.has_audio_tokens_max(), price.audio_tokens_max()},
      {"file", parts.files, price.has_file_tokens_max(), price.file_tokens_max()},
  };
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  // A token is at least a byte, so bytes bound the text's tokens; a part may be a link to anything.
  Int128 tokens = std::max(sent_bytes, body.body_bytes());
  for (const Kind& kind : kinds) {
    if (kind.count == 0) continue;
    if (!kind.known) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the request has ", kind.count, " ", kind.name, kind.count == 1 ? " part" : " parts",
          ", and the price of model \"", price.model(), "\" does not say how many tokens one can become: set ",
          kind.name, "_tokens_max in its price, or send no ", kind.name, " parts"));
    }
    tokens += Int128{kind.count} * std::max<int64_t>(kind.tokens_max, 0);
  }
  tokens = std::min<Int128>(tokens, kMax);
  const Int128 nanos =
      (tokens * std::max<int64_t>(DearestInputPrice(price), 0) + kTokensPerPriceUnit - 1) / kTokensPerPriceUnit;
  return InputBound{static_cast<int64_t>(std::min<Int128>(nanos, kMax))};
}

AttemptVerdict JudgeStatus(int http_status) {
  if (http_status >= 200 && http_status < 300) return AttemptVerdict::kAnswered;
  if (http_status == 408 || http_status == 409 || http_status == 429 || http_status >= 500) {
    return AttemptVerdict::kRetry;
  }
  if (http_status == 401 || http_status == 403 || http_status == 404) return AttemptVerdict::kFallback;
  if (http_status >= 400) return AttemptVerdict::kClientFault;
  // A redirect (not followed: the secret would go along) or no final status: this provider will not answer.
  return AttemptVerdict::kFallback;
}

}  // namespace signalbox
