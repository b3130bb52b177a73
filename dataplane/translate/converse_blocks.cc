#include "dataplane/translate/converse_blocks.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace signalbox {
namespace {

// "png" of "image/png"; empty when Converse has no such format.
std::string ImageFormat(std::string_view media_type) {
  for (const std::string_view known : {"png", "jpeg", "gif", "webp"}) {
    if (media_type == absl::StrCat("image/", std::string(known))) return std::string(known);
  }
  return media_type == "image/jpg" ? "jpeg" : "";
}

std::string DocumentFormat(std::string_view media_type) {
  constexpr std::pair<std::string_view, std::string_view> kFormats[] = {
      {"application/pdf", "pdf"},
      {"text/plain", "txt"},
      {"text/csv", "csv"},
      {"text/html", "html"},
      {"text/markdown", "md"},
      {"application/msword", "doc"},
      {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"},
      {"application/vnd.ms-excel", "xls"},
      {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"},
  };
  for (const auto& [type, format] : kFormats) {
    if (type == media_type) return std::string(format);
  }
  return "";
}

Json Bytes(std::string_view base64) { return {{"bytes", std::string(base64)}}; }

}  // namespace

Json ConverseBlocks::Text(std::string text) { return {{"text", std::move(text)}}; }

Json ConverseBlocks::Image(const Json& image_url, const std::string& path, FirstFault& fault) {
  const std::string url = StringAt(image_url, "url");
  if (StringAt(image_url, "detail") == "low") {
    fault.Refuse(Unsupported(path + ".detail", "`low` has no counterpart in Bedrock's Converse"));
  }
  const std::optional<DataUrl> data = ParseDataUrl(url);
  if (!data) {
    fault.Refuse(Unsupported(path + ".url", "has to be a base64 data URL: Bedrock fetches no images"));
    return nullptr;
  }
  std::string format = ImageFormat(data->media_type);
  if (format.empty()) {
    fault.Refuse(Unsupported(path + ".url", "has to be a PNG, JPEG, GIF or WebP image for Bedrock"));
  }
  return {{"image", {{"format", std::move(format)}, {"source", Bytes(data->data)}}}};
}

Json ConverseBlocks::File(const Json& file, const std::string& path, FirstFault& fault) {
  const std::string file_data = StringAt(file, "file_data");
  const std::optional<DataUrl> data = ParseDataUrl(file_data);
  if (!data) {
    const bool by_id = Find(file, "file_id") != nullptr;
    fault.Refuse(by_id ? Unsupported(path + ".file_id", "has no counterpart in Bedrock: send the file itself")
                       : Invalid(path + ".file_data", "is not a base64 data URL"));
    return nullptr;
  }
  if (std::string image = ImageFormat(data->media_type); !image.empty()) {
    return {{"image", {{"format", std::move(image)}, {"source", Bytes(data->data)}}}};
  }
  std::string format = DocumentFormat(data->media_type);
  if (format.empty()) {
    fault.Refuse(Unsupported(path + ".file_data", "is of a kind that Bedrock takes no documents of"));
  }
  return {{"document",
           {{"format", std::move(format)},
            {"name", DocumentName(StringAt(file, "filename"))},
            {"source", Bytes(data->data)}}}};
}

std::string ConverseBlocks::DocumentName(std::string_view filename) {
  constexpr size_t kNameBytesMax = 100;
  std::string name;
  for (const char c : filename.substr(0, std::min(filename.rfind('.'), kNameBytesMax))) {
    const bool taken = absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == ' ' || c == '-' || c == '(' ||
                       c == ')' || c == '[' || c == ']';
    // More than one space in a row is refused as well.
    if (const char written = taken ? c : '-'; written != ' ' || (!name.empty() && name.back() != ' ')) name += written;
  }
  if (name.empty()) name = "document";
  std::string unique = name;
  for (int number = 2; !document_names_.insert(unique).second; ++number) unique = absl::StrCat(name, "-", number);
  return unique;
}

Json ConverseBlocks::ToolUse(std::string id, std::string name, Json input) {
  called_tools_ = true;
  return {{"toolUse", {{"toolUseId", std::move(id)}, {"name", std::move(name)}, {"input", std::move(input)}}}};
}

Json ConverseBlocks::ToolResult(std::string id, Json content, bool is_error) {
  called_tools_ = true;
  // Bedrock wants something in it.
  if (content.empty()) content.push_back(Text(" "));
  Json result = {{"toolUseId", std::move(id)}, {"content", std::move(content)}};
  if (is_error) result["status"] = "error";
  return {{"toolResult", std::move(result)}};
}

Json ConverseBlocks::Thinking(const Json& block) {
  if (StringAt(block, "type") == "redacted_thinking") {
    return {{"reasoningContent", {{"redactedContent", StringAt(block, "data")}}}};
  }
  Json text = {{"text", StringAt(block, "thinking")}};
  if (std::string signature = StringAt(block, "signature"); !signature.empty()) {
    text["signature"] = std::move(signature);
  }
  return {{"reasoningContent", {{"reasoningText", std::move(text)}}}};
}

void ConverseBlocks::MarkCache(Json& blocks, const Json& cache_control) { blocks.push_back(CachePoint(cache_control)); }

Json CachePoint(const Json& cache_control) {
  Json point = {{"type", "default"}};
  if (std::string ttl = StringAt(cache_control, "ttl"); !ttl.empty()) point["ttl"] = std::move(ttl);
  return {{"cachePoint", std::move(point)}};
}

}  // namespace signalbox
