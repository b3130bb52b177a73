#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "dataplane/translate/generate_content_wire.h"

namespace signalbox {
namespace {

// Google's word for a call that another model made: Gemini 3 refuses a turn whose first call has no signature.
constexpr char kForeignCallSignature[] = "skip_thought_signature_validator";

std::string Signature(const Json& holder) {
  const Json* extra = FindObject(holder, "extra_content");
  const Json* google = extra == nullptr ? nullptr : FindObject(*extra, "google");
  return google == nullptr ? std::string() : StringAt(*google, "thought_signature");
}

struct MediaSuffix {
  std::string_view suffix;
  const char* type;
};
constexpr MediaSuffix kMediaSuffixes[] = {
    {".png", "image/png"}, {".jpg", "image/jpeg"},  {".jpeg", "image/jpeg"},     {".webp", "image/webp"},
    {".gif", "image/gif"}, {".heic", "image/heic"}, {".heif", "image/heif"},     {".pdf", "application/pdf"},
    {".mp4", "video/mp4"}, {".webm", "video/webm"}, {".mov", "video/quicktime"}, {".mp3", "audio/mp3"},
    {".wav", "audio/wav"}, {".txt", "text/plain"},
};

// Empty: the link does not tell, and Gemini finds out itself.
std::string MediaTypeOf(std::string_view url) {
  const std::string path = absl::AsciiStrToLower(std::string(url.substr(0, url.find_first_of("?#"))));
  for (const MediaSuffix& known : kMediaSuffixes) {
    if (path.ends_with(known.suffix)) return known.type;
  }
  return "";
}

// A link or data URL as inlineData or fileData.
Fault MediaPart(std::string_view url, const std::string& path, Json& part) {
  if (const std::optional<DataUrl> data = ParseDataUrl(url)) {
    part = {{"inlineData", {{"mimeType", std::string(data->media_type)}, {"data", std::string(data->data)}}}};
    return std::nullopt;
  }
  if (!url.starts_with("https://") && !url.starts_with("http://") && !url.starts_with("gs://")) {
    return Invalid(path, "is neither a base64 data URL nor an https: or gs: URL");
  }
  Json file = Json::object();
  if (std::string type = MediaTypeOf(url); !type.empty()) file["mimeType"] = std::move(type);
  file["fileUri"] = std::string(url);
  part = {{"fileData", std::move(file)}};
  return std::nullopt;
}

Fault AudioPart(const Json& part, const std::string& path, Json& parts) {
  const Json* audio = FindObject(part, "input_audio");
  if (audio == nullptr) return Invalid(absl::StrCat(path, ".input_audio"), "is missing");
  if (Fault fault = RefuseUnknown(*audio, {"data", "format"}, absl::StrCat(path, ".input_audio"))) return fault;
  parts.push_back({{"inlineData",
                    {{"mimeType", absl::StrCat("audio/", StringAt(*audio, "format", "wav"))},
                     {"data", StringAt(*audio, "data")}}}});
  return std::nullopt;
}

// The file's name goes nowhere: it names an upload, and Gemini has none.
Fault FilePart(const Json& part, const std::string& path, Json& parts) {
  const Json* file = FindObject(part, "file");
  const std::string at = absl::StrCat(path, ".file");
  if (file == nullptr) return Invalid(at, "is missing");
  if (Fault fault = RefuseUnknown(*file, {"file_data", "file_id", "filename"}, at)) return fault;
  const bool by_id = Find(*file, "file_data") == nullptr;
  const std::string url = StringAt(*file, by_id ? "file_id" : "file_data");
  if (by_id && !url.starts_with("https://") && !url.starts_with("gs://")) {
    return Unsupported(absl::StrCat(at, ".file_id"),
                       "names a file at another provider: send file_data, or the https: URI of a file at Google");
  }
  Json media;
  if (Fault fault = MediaPart(url, absl::StrCat(at, by_id ? ".file_id" : ".file_data"), media)) return fault;
  parts.push_back(std::move(media));
  return std::nullopt;
}

// JSON objects as such, anything else as text: a functionResponse is an object.
Json ResultObject(std::string text) {
  if (const size_t at = text.find_first_not_of(" \t\r\n"); at != std::string::npos && text[at] == '{') {
    if (std::optional<Json> parsed = ParseJson(text)) return *std::move(parsed);
  }
  return {{"output", std::move(text)}};
}

}  // namespace

bool ThinksInLevels(std::string_view model) {
  constexpr std::string_view kFamily = "gemini-";
  const size_t at = model.rfind(kFamily);
  if (at == std::string_view::npos) return false;
  int major = 0;
  for (const char c : model.substr(at + kFamily.size())) {
    if (!absl::ascii_isdigit(c) || major > 99) break;
    major = major * 10 + (c - '0');
  }
  return major >= 3;
}

Fault RefuseUnknown(const Json& object, std::initializer_list<std::string_view> known, const std::string& path) {
  for (const auto& [name, value] : object.get_ref<const Json::object_t&>()) {
    // Gemini caches what prompts have in common by itself, which is what Anthropic's cache_control asks for.
    if (value.is_null() || name == "cache_control" || std::find(known.begin(), known.end(), name) != known.end())
      continue;
    return Unsupported(absl::StrCat(path, ".", name), "has no counterpart in Gemini's generateContent: leave it out");
  }
  return std::nullopt;
}

Json& ContentsWriter::Parts(Turn turn) {
  if (last_ != turn) {
    contents_.push_back({{"role", turn == Turn::kModel ? "model" : "user"}, {"parts", Json::array()}});
    last_ = turn;
  }
  return contents_.back()["parts"];
}

Fault ContentsWriter::AddImage(const Json& part, const std::string& path, Json& parts) {
  const std::string at = absl::StrCat(path, ".image_url");
  const Json* image = FindObject(part, "image_url");
  if (image == nullptr) return Invalid(at, "is missing, or no object with a url");
  if (Fault fault = RefuseUnknown(*image, {"url", "detail"}, at)) return fault;
  const std::string detail = StringAt(*image, "detail", "auto");
  if (detail != "auto" && detail != "low" && detail != "high") {
    return Unsupported(absl::StrCat(at, ".detail"), "must be auto, low or high");
  }
  if (detail_ && *detail_ != detail) {
    return Unsupported(absl::StrCat(at, ".detail"), "must be the same for all images: Gemini has one for a request");
  }
  detail_ = detail;
  Json media;
  if (Fault fault = MediaPart(StringAt(*image, "url"), absl::StrCat(at, ".url"), media)) return fault;
  if (std::string signature = Signature(part); !signature.empty()) media["thoughtSignature"] = std::move(signature);
  parts.push_back(std::move(media));
  return std::nullopt;
}

Fault ContentsWriter::AddPart(const Json& part, const std::string& path, Json& parts) {
  if (!part.is_object()) return Invalid(path, "is not an object");
  const std::string type = StringAt(part, "type");
  if (Fault fault = RefuseUnknown(
          part, {"type", "text", "refusal", "image_url", "input_audio", "file", "video_url", "extra_content"}, path)) {
    return fault;
  }
  if (type == "text" || type == "refusal") {
    parts.push_back({{"text", StringAt(part, type)}});
    return std::nullopt;
  }
  if (type == "image_url") return AddImage(part, path, parts);
  if (type == "input_audio") return AudioPart(part, path, parts);
  if (type == "file") return FilePart(part, path, parts);
  if (const Json* video = FindObject(part, "video_url"); type == "video_url" && video != nullptr) {
    Json media;
    if (Fault fault = MediaPart(StringAt(*video, "url"), absl::StrCat(path, ".video_url.url"), media)) return fault;
    parts.push_back(std::move(media));
    return std::nullopt;
  }
  return Unsupported(absl::StrCat(path, ".type"),
                     "is none that Gemini takes (text, image_url, input_audio, file, video_url)");
}

Fault ContentsWriter::AddContent(const Json& message, const std::string& path, Json& parts) {
  const Json* content = Find(message, "content");
  if (content == nullptr) return std::nullopt;
  if (content->is_string()) {
    parts.push_back({{"text", *content}});
    return std::nullopt;
  }
  if (!content->is_array()) return Invalid(absl::StrCat(path, ".content"), "is neither a string nor an array of parts");
  for (size_t i = 0; i < content->size(); ++i) {
    if (Fault fault = AddPart((*content)[i], absl::StrCat(path, ".content[", i, "]"), parts)) return fault;
  }
  return std::nullopt;
}

Fault ContentsWriter::AddCall(const Json& call, const std::string& path, bool first, Json& parts) {
  const Json* function = FindObject(call, "function");
  if (StringAt(call, "type", "function") != "function" || function == nullptr) {
    return Unsupported(path, "is no function call: Gemini has no other tools of the client's");
  }
  const std::string text = StringAt(*function, "arguments");
  std::optional<Json> arguments = text.empty() ? Json::object() : ParseJson(text);
  if (!arguments || !arguments->is_object()) {
    return Invalid(absl::StrCat(path, ".function.arguments"), "is not a JSON object, as Gemini's functionCall.args is");
  }
  Json part = {{"functionCall", Json::object()}};
  const std::string id = StringAt(call, "id");
  if (!id.empty()) part["functionCall"]["id"] = id;
  part["functionCall"]["name"] = StringAt(*function, "name");
  part["functionCall"]["args"] = *std::move(arguments);
  names_[id] = StringAt(*function, "name");
  std::string signature = Signature(call);
  if (signature.empty() && first && signatures_checked_) signature = kForeignCallSignature;
  if (!signature.empty()) part["thoughtSignature"] = std::move(signature);
  parts.push_back(std::move(part));
  return std::nullopt;
}

Fault ContentsWriter::AddAssistant(const Json& message, const std::string& path) {
  // Clients send an earlier answer back whole: annotations only tell of it, and reasoning_details and thinking_blocks
  // are sealed for the provider that made them.
  if (Fault fault = RefuseUnknown(message,
                                  {"role", "content", "refusal", "tool_calls", "annotations", "reasoning_content",
                                   "reasoning", "reasoning_details", "thinking_blocks", "extra_content", "images"},
                                  path)) {
    return fault;
  }
  Json parts = Json::array();
  std::string thoughts = StringAt(message, "reasoning_content");
  if (thoughts.empty()) thoughts = StringAt(message, "reasoning");
  if (!thoughts.empty()) parts.push_back({{"text", std::move(thoughts)}, {"thought", true}});
  const size_t before = parts.size();
  if (Fault fault = AddContent(message, path, parts)) return fault;
  if (std::string refusal = StringAt(message, "refusal"); !refusal.empty()) {
    parts.push_back({{"text", std::move(refusal)}});
  }
  if (const Json* images = FindArray(message, "images")) {
    for (size_t i = 0; i < images->size(); ++i) {
      if (Fault fault = AddPart((*images)[i], absl::StrCat(path, ".images[", i, "]"), parts)) return fault;
    }
  }
  const Json* calls = FindArray(message, "tool_calls");
  const bool has_calls = calls != nullptr && !calls->empty();
  const std::string signature = Signature(message);
  // Beside calls an empty text says nothing, and Gemini takes none.
  if (has_calls && parts.size() == before + 1 && StringAt(parts.back(), "text", "-").empty() && signature.empty()) {
    parts.erase(parts.size() - 1);
  }
  if (!signature.empty()) {
    if (parts.size() == before) parts.push_back({{"text", ""}});
    parts.back()["thoughtSignature"] = signature;
  }
  if (const Json* extra = FindObject(message, "extra_content")) {
    const Json* google = FindObject(*extra, "google");
    const Json* kept = google == nullptr ? nullptr : FindArray(*google, "parts");
    if (kept != nullptr) parts.insert(parts.end(), kept->begin(), kept->end());
  }
  for (size_t i = 0; has_calls && i < calls->size(); ++i) {
    if (Fault fault = AddCall((*calls)[i], absl::StrCat(path, ".tool_calls[", i, "]"), i == 0, parts)) return fault;
  }
  Json& turn = Parts(Turn::kModel);
  turn.insert(turn.end(), parts.begin(), parts.end());
  return std::nullopt;
}

Fault ContentsWriter::AddResult(const Json& message, const std::string& path) {
  if (Fault fault = RefuseUnknown(message, {"role", "content", "tool_call_id", "name", "is_error"}, path)) return fault;
  const std::string id = StringAt(message, "tool_call_id");
  const auto found = names_.find(id);
  const std::string name = found != names_.end() ? found->second : StringAt(message, "name");
  if (name.empty()) {
    return Invalid(absl::StrCat(path, ".tool_call_id"),
                   "answers no tool call before it: Gemini wants the function's name, which stands there");
  }
  Json content = Json::array();
  if (Fault fault = AddContent(message, path, content)) return fault;
  std::string text;
  Json media = Json::array();
  for (Json& part : content) {
    if (part.contains("text")) {
      text += StringAt(part, "text");
    } else {
      media.push_back(std::move(part));
    }
  }
  Json result = Json::object();
  if (!id.empty()) result["id"] = id;
  result["name"] = name;
  const Json* failed = Find(message, "is_error");
  if (failed != nullptr && *failed == true) {
    result["response"] = {{"error", std::move(text)}};
  } else {
    result["response"] = ResultObject(std::move(text));
  }
  if (!media.empty()) result["parts"] = std::move(media);
  Parts(Turn::kResults).push_back({{"functionResponse", std::move(result)}});
  return std::nullopt;
}

Fault ContentsWriter::Add(const Json& message, size_t position) {
  const std::string path = absl::StrCat("messages[", position, "]");
  if (!message.is_object()) return Invalid(path, "is not an object");
  const std::string role = StringAt(message, "role");
  if (role == "assistant") return AddAssistant(message, path);
  if (role == "tool") return AddResult(message, path);
  if (role != "system" && role != "developer" && role != "user") {
    return Unsupported(absl::StrCat(path, ".role"), "must be system, developer, user, assistant or tool");
  }
  if (Fault fault = RefuseUnknown(message, {"role", "content"}, path)) return fault;
  return AddContent(message, path, role == "user" ? Parts(Turn::kUser) : system_parts_);
}

Fault ContentsWriter::Finish(Json& body, Json& config) {
  if (contents_.empty()) return Invalid("messages", "needs a message that is not a system one: Gemini wants contents");
  if (!system_parts_.empty()) body["systemInstruction"] = {{"parts", std::move(system_parts_)}};
  body["contents"] = std::move(contents_);
  if (detail_ && *detail_ != "auto") {
    config["mediaResolution"] = *detail_ == "low" ? "MEDIA_RESOLUTION_LOW" : "MEDIA_RESOLUTION_HIGH";
  }
  return std::nullopt;
}

}  // namespace signalbox
