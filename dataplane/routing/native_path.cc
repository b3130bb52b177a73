#include "dataplane/routing/native_path.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "dataplane/routing/percent.h"

namespace signalbox {
namespace {

using Segments = std::vector<std::string>;

Segments SegmentsOf(std::string_view path) {
  return absl::StrSplit(absl::string_view(path.data(), path.size()), '/', absl::SkipEmpty());
}

// v1, v1beta, v2alpha
bool IsVersion(std::string_view segment) {
  return segment.size() >= 2 && segment[0] == 'v' && absl::ascii_isdigit(static_cast<unsigned char>(segment[1])) &&
         std::all_of(segment.begin(), segment.end(), [](unsigned char c) { return absl::ascii_isalnum(c); });
}

// How many of the first segments of `rest` the base's last ones name already.
size_t Overlap(const Segments& base, const Segments& rest) {
  for (size_t count = std::min(base.size(), rest.size()); count > 0; --count) {
    if (std::equal(base.end() - static_cast<std::ptrdiff_t>(count), base.end(), rest.begin())) return count;
  }
  return 0;
}

void Drop(Segments& segments, size_t count) {
  segments.erase(segments.begin(), segments.begin() + static_cast<std::ptrdiff_t>(count));
}

std::optional<NativeCall> Call(Format format, std::string model = "", bool stream = false) {
  NativeCall call;
  call.format = format;
  call.says.model = std::move(model);
  call.says.stream = stream;
  return call;
}

std::optional<NativeCall> OpenAiCall(const Segments& path, std::string model = "") {
  const std::string tail = absl::StrJoin(path, "/");
  if (tail == "chat/completions") return Call(Format::kChat, std::move(model));
  if (tail == "responses") return Call(Format::kResponses, std::move(model));
  if (tail == "embeddings") return Call(Format::kEmbeddings, std::move(model));
  return std::nullopt;
}

// [openai/]deployments/{d}/..., or {resource}/{d}/... as Cloudflare's clients say it.
std::optional<NativeCall> AzureCall(Segments path) {
  if (!path.empty() && path[0] == "openai") Drop(path, 1);
  if (!path.empty() && IsVersion(path[0])) Drop(path, 1);
  if (std::optional<NativeCall> plain = OpenAiCall(path)) return plain;
  if (path.size() < 3) return std::nullopt;
  std::string deployment = PercentDecoded(path[1]);
  Drop(path, 2);
  return OpenAiCall(path, std::move(deployment));
}

std::optional<NativeCall> GoogleCall(Segments path, std::string_view query) {
  if (path.size() > 1 && path[0] == "openai") {
    Drop(path, 1);
    std::optional<NativeCall> call = OpenAiCall(path);
    if (call.has_value() && call->format == Format::kResponses) return std::nullopt;
    return call;
  }
  if (path.size() != 2 || path[0] != "models") return std::nullopt;
  const size_t colon = path[1].rfind(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  const std::string method = path[1].substr(colon + 1);
  if (method != "generateContent" && method != "streamGenerateContent") return std::nullopt;
  const bool stream = method == "streamGenerateContent";
  std::optional<NativeCall> call =
      Call(Format::kGenerateContent, PercentDecoded(std::string_view(path[1]).substr(0, colon)), stream);
  const Segments parts = absl::StrSplit(absl::string_view(query.data(), query.size()), '&');
  const bool events = std::any_of(parts.begin(), parts.end(), [](const std::string& part) {
    return part == "alt=sse" || part == "%24alt=sse" || part == "$alt=sse";
  });
  call->wants_json_array = stream && !events;
  return call;
}

std::optional<NativeCall> BedrockCall(Segments path) {
  if (path.size() > 2 && path[0] == "bedrock-runtime") Drop(path, 2);
  // A model's ARN has slashes, which some clients leave as they are.
  if (path.size() < 3 || path[0] != "model") return std::nullopt;
  const std::string operation = path.back();
  if (operation != "converse" && operation != "converse-stream") return std::nullopt;
  const std::string model = absl::StrJoin(path.begin() + 1, path.end() - 1, "/");
  return Call(Format::kConverse, PercentDecoded(model), operation == "converse-stream");
}

}  // namespace

std::optional<NativeCall> ReadNativePath(ProviderKind kind, std::string_view base_path, std::string_view rest,
                                         std::string_view query) {
  const Segments base = SegmentsOf(base_path);
  Segments path = SegmentsOf(rest);
  Drop(path, Overlap(base, path));
  if (!path.empty() && IsVersion(path[0])) Drop(path, 1);
  switch (kind) {
    case ProviderKind::kOpenAi:
      return OpenAiCall(path);
    case ProviderKind::kAzureOpenAi:
      return AzureCall(std::move(path));
    case ProviderKind::kAnthropic:
      if (path.size() == 1 && path[0] == "messages") return Call(Format::kMessages);
      if (absl::StrJoin(path, "/") == "chat/completions") return Call(Format::kChat);
      return std::nullopt;
    case ProviderKind::kGoogle:
      return GoogleCall(std::move(path), query);
    case ProviderKind::kBedrock:
      return BedrockCall(std::move(path));
  }
  return std::nullopt;
}

bool IsFree(std::string_view rest) {
  return rest.ends_with("/messages/count_tokens") || rest.ends_with(":countTokens") ||
         rest.ends_with("/responses/input_tokens");
}

std::optional<std::string> ProviderPath(std::string_view base_path, std::string_view rest) {
  Segments base = SegmentsOf(base_path);
  Segments path = SegmentsOf(rest);
  for (const std::string& segment : path) {
    const std::string plain = PercentDecoded(segment);
    if (plain == "." || plain == "..") return std::nullopt;
  }
  const size_t overlap = Overlap(base, path);
  Drop(path, overlap);
  if (overlap == 0 && !base.empty() && !path.empty() && IsVersion(base.back()) && IsVersion(path[0])) base.pop_back();
  std::string whole;
  for (const Segments* part : {&base, &path}) {
    for (const std::string& segment : *part) absl::StrAppend(&whole, "/", segment);
  }
  if (rest.ends_with('/') && !whole.empty()) whole.push_back('/');
  return whole.empty() ? "/" : whole;
}

}  // namespace signalbox
