#include "dataplane/provider/body_parts.h"

#include "absl/strings/match.h"
#include "dataplane/provider/json_dom.h"

namespace signalbox {
namespace {

namespace dom = simdjson::dom;

// Providers refuse deeper nesting of content (a tool's result inside a message) than this.
constexpr int kPartDepthMax = 8;

// Content parts named by their `type`: chat completions, Messages, Responses.
struct TypedParts {
  RequestBody::Parts& parts;

  static bool IsText(std::string_view type) {
    for (const std::string_view text : {"text", "input_text", "output_text", "refusal", "summary_text",
                                        "reasoning_text", "tool_use", "thinking", "redacted_thinking"}) {
      if (type == text) return true;
    }
    return false;
  }

  void Count(dom::element part, int depth) {
    dom::object object;
    if (part.get_object().get(object) != simdjson::SUCCESS) return;
    bool typed = false;
    for (const dom::key_value_pair field : object) {
      if (field.key != "type") continue;
      // A part naming several types (a duplicate key) counts as each.
      typed = true;
      std::string_view type;
      if (field.value.get_string().get(type) != simdjson::SUCCESS) type = "";
      if (IsText(type)) continue;
      if (type == "tool_result") {
        if (const std::optional<dom::element> content = FindLast(object, "content")) CountContent(*content, depth + 1);
      } else if (type == "image_url" || type == "input_image" || type == "image") {
        ++parts.images;
      } else if (type == "input_audio") {
        ++parts.audio;
      } else {
        ++parts.files;
      }
    }
    if (!typed) ++parts.files;
  }

  void CountContent(dom::element content, int depth) {
    if (depth > kPartDepthMax) {
      ++parts.files;
      return;
    }
    dom::array list;
    if (content.get_array().get(list) == simdjson::SUCCESS) {
      for (const dom::element part : list) Count(part, depth);
    } else {
      Count(content, depth);
    }
  }

  void CountMessages(dom::element messages) {
    dom::array list;
    if (messages.get_array().get(list) != simdjson::SUCCESS) return;
    for (const dom::element message : list) {
      dom::object fields;
      if (message.get_object().get(fields) != simdjson::SUCCESS) continue;
      for (const dom::key_value_pair field : fields) {
        if (field.key == "audio" && !field.value.is_null()) ++parts.audio;  // an earlier answer, by its id
        if (field.key == "content") CountContent(field.value, 0);
      }
    }
  }

  // Responses: items are messages, calls and their outputs, or name something the provider keeps.
  void CountItems(dom::element input) {
    dom::array list;
    if (input.get_array().get(list) != simdjson::SUCCESS) return;
    for (const dom::element item : list) {
      dom::object fields;
      if (item.get_object().get(fields) != simdjson::SUCCESS) continue;
      std::string_view type = "message";
      if (const std::optional<dom::element> named = FindLast(fields, "type")) {
        if (named->get_string().get(type) != simdjson::SUCCESS) type = "";
      }
      if (type != "message" && type != "reasoning" &&
          !absl::StartsWith(absl::string_view(type.data(), type.size()), "function_call")) {
        ++parts.files;
      }
      for (const dom::key_value_pair field : fields) {
        if (field.key == "content" || field.key == "output") CountContent(field.value, 0);
      }
    }
  }

  // Tools that the provider runs add tokens of their own.
  void CountTools(dom::element tools, std::string_view own_type) {
    dom::array list;
    if (tools.get_array().get(list) != simdjson::SUCCESS) return;
    for (const dom::element tool : list) {
      dom::object fields;
      if (tool.get_object().get(fields) != simdjson::SUCCESS) continue;
      const std::optional<dom::element> named = FindLast(fields, "type");
      std::string_view type = own_type;
      if (named && named->get_string().get(type) != simdjson::SUCCESS) type = "";
      if (type != own_type && type != "custom") ++parts.files;
    }
  }
};

// Content parts named by the one key they have: generateContent and Converse.
struct KeyedParts {
  RequestBody::Parts& parts;

  void CountMedia(dom::element media) {
    dom::object fields;
    std::string_view mime;
    if (media.get_object().get(fields) == simdjson::SUCCESS) {
      for (const dom::key_value_pair field : fields) {
        if (field.key == "mimeType" || field.key == "mime_type") {
          if (field.value.get_string().get(mime) != simdjson::SUCCESS) mime = "";
        }
      }
    }
    if (mime.starts_with("image/")) {
      ++parts.images;
    } else if (mime.starts_with("audio/")) {
      ++parts.audio;
    } else {
      ++parts.files;
    }
  }

  void Count(dom::element part, int depth) {
    dom::object fields;
    if (part.get_object().get(fields) != simdjson::SUCCESS) return;
    for (const dom::key_value_pair field : fields) {
      const std::string_view key = field.key;
      if (key == "inlineData" || key == "fileData" || key == "inline_data" || key == "file_data") {
        CountMedia(field.value);
      } else if (key == "image") {
        ++parts.images;
      } else if (key == "document" || key == "video" || key == "audio") {
        ++(key == "audio" ? parts.audio : parts.files);
      } else if (key == "toolResult" || key == "functionResponse") {
        dom::object result;
        if (field.value.get_object().get(result) != simdjson::SUCCESS) continue;
        for (const std::string_view inner : {"content", "parts"}) {
          if (const std::optional<dom::element> content = FindLast(result, inner)) CountList(*content, depth + 1);
        }
      }
    }
  }

  void CountList(dom::element list, int depth) {
    dom::array items;
    if (list.get_array().get(items) != simdjson::SUCCESS) return;
    if (depth > kPartDepthMax) {
      ++parts.files;
      return;
    }
    for (const dom::element item : items) Count(item, depth);
  }

  void CountTurns(dom::element turns, std::string_view content_key) {
    dom::array list;
    if (turns.get_array().get(list) != simdjson::SUCCESS) return;
    for (const dom::element turn : list) {
      dom::object fields;
      if (turn.get_object().get(fields) != simdjson::SUCCESS) continue;
      for (const dom::key_value_pair field : fields) {
        if (field.key == content_key) CountList(field.value, 0);
      }
    }
  }

  // Gemini's tools: functionDeclarations are text, every other kind is run by the provider.
  void CountTools(dom::element tools) {
    dom::array list;
    if (tools.get_array().get(list) != simdjson::SUCCESS) return;
    for (const dom::element tool : list) {
      dom::object fields;
      if (tool.get_object().get(fields) != simdjson::SUCCESS) continue;
      for (const dom::key_value_pair field : fields) {
        if (field.key != "functionDeclarations" && field.key != "function_declarations") ++parts.files;
      }
    }
  }
};

}  // namespace

void CountParts(Format format, std::string_view key, dom::element value, RequestBody::Parts& parts) {
  TypedParts typed{parts};
  KeyedParts keyed{parts};
  if (key == "tools" || key == "functions" || key == "toolConfig") parts.tools = true;
  switch (format) {
    case Format::kChat:
      if (key == "messages") typed.CountMessages(value);
      return;
    case Format::kMessages:
      if (key == "messages") typed.CountMessages(value);
      if (key == "tools") typed.CountTools(value, "custom");
      if (key == "mcp_servers" || key == "container") ++parts.files;
      return;
    case Format::kResponses:
      if (key == "input") typed.CountItems(value);
      if (key == "tools") typed.CountTools(value, "function");
      if ((key == "previous_response_id" || key == "conversation" || key == "prompt") && !value.is_null())
        ++parts.files;
      return;
    case Format::kEmbeddings:
      return;
    case Format::kGenerateContent:
      if (key == "contents") keyed.CountTurns(value, "parts");
      if (key == "tools") keyed.CountTools(value);
      if ((key == "cachedContent" || key == "cached_content") && !value.is_null()) ++parts.files;
      return;
    case Format::kConverse:
      if (key == "messages") keyed.CountTurns(value, "content");
      return;
  }
}

}  // namespace signalbox
