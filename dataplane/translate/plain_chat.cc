#include "dataplane/translate/plain_chat.h"

#include <algorithm>
#include <utility>

#include "dataplane/translate/chat_json.h"

namespace signalbox {
namespace {

constexpr std::string_view kCap = "max_completion_tokens";
constexpr std::string_view kOlderCap = "max_tokens";

void Drop(Json& object, std::string_view key) {
  if (!object.is_object()) return;
  auto& members = object.get_ref<Json::object_t&>();
  const auto found =
      std::find_if(members.begin(), members.end(), [&](const auto& member) { return member.first == key; });
  if (found != members.end()) members.erase(found);
}

void DropMarks(Json& holder, const char* list) {
  if (!holder.is_object() || !holder.contains(list) || !holder[list].is_array()) return;
  for (Json& item : holder[list]) Drop(item, "cache_control");
}

}  // namespace

std::string PlainChat(std::string chat_body, std::string_view cap_field) {
  const bool renames_cap = cap_field == kOlderCap && chat_body.find(kCap) != std::string::npos;
  if (!renames_cap && chat_body.find("\"cache_control\"") == std::string::npos &&
      chat_body.find("\"thinking_blocks\"") == std::string::npos) {
    return chat_body;
  }
  std::optional<Json> chat = ParseJson(chat_body);
  if (!chat || !chat->is_object()) return chat_body;
  Drop(*chat, "cache_control");
  DropMarks(*chat, "tools");
  DropMarks(*chat, "messages");
  if (chat->contains("messages") && (*chat)["messages"].is_array()) {
    for (Json& message : (*chat)["messages"]) {
      Drop(message, "thinking_blocks");
      DropMarks(message, "content");
    }
  }
  const Json* cap = Find(*chat, kCap);
  if (renames_cap && cap != nullptr && Find(*chat, kOlderCap) == nullptr) {
    Json value = *cap;
    Drop(*chat, kCap);
    (*chat)[std::string(kOlderCap)] = std::move(value);
  }
  return DumpJson(*chat);
}

}  // namespace signalbox
