// What tests of translators share: JSON compared by value, answers fed in pieces, seeded mutations of peers' input.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "dataplane/translate/sse.h"
#include "dataplane/translate/translator.h"
#include "tests/testing/mutator.h"

namespace signalbox {

// Member order does not count.
inline nlohmann::json Parsed(std::string_view text) {
  nlohmann::json value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  EXPECT_FALSE(value.is_discarded()) << text;
  return value;
}

inline nlohmann::json Translated(const std::variant<std::string, BodyFault>& request) {
  if (const auto* fault = std::get_if<BodyFault>(&request)) {
    ADD_FAILURE() << fault->code << ": " << fault->message;
    return nullptr;
  }
  return Parsed(std::get<std::string>(request));
}

inline BodyFault Refused(const std::variant<std::string, BodyFault>& request) {
  const auto* fault = std::get_if<BodyFault>(&request);
  if (fault != nullptr) return *fault;
  ADD_FAILURE() << "not refused: " << std::get<std::string>(request);
  return {};
}

inline const AnswerContext kContext{.id = "log-1", .model = "asked-model", .created_s = 1'700'000'000};

struct Streamed {
  std::string text;     // everything given
  absl::Status status;  // of the first feed that failed
};
// Feeds `bytes` in pieces of `piece` bytes, then the end.
inline Streamed FeedAll(StreamTranslator& stream, std::string_view bytes, size_t piece) {
  Streamed streamed;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    absl::StatusOr<std::string> given = stream.Feed(bytes.substr(at, piece));
    if (!given.ok()) {
      streamed.status = given.status();
      return streamed;
    }
    streamed.text += *given;
  }
  streamed.text += stream.Finish();
  return streamed;
}

struct Event {
  std::string name;
  nlohmann::json data;  // null for [DONE]
};
inline std::vector<Event> Events(std::string_view text) {
  SseReader reader;
  absl::StatusOr<std::vector<SseEvent>> read = reader.Feed(text);
  EXPECT_TRUE(read.ok());
  std::vector<Event> events;
  for (const SseEvent& event : *read) {
    events.push_back({event.name, event.data == "[DONE]" ? nlohmann::json() : Parsed(event.data)});
  }
  return events;
}

// A whole streamed chat completion put together again, as clients do.
struct Gathered {
  std::string content, reasoning, refusal, finish_reason;
  std::vector<nlohmann::json> calls;  // {"id","name","arguments"}
  nlohmann::json usage, error, thinking_blocks = nlohmann::json::array();
  bool done = false;
};
inline Gathered GatherChat(std::string_view text) {
  Gathered gathered;
  const auto add = [](const nlohmann::json& from, const char* key, std::string& to) {
    if (from.contains(key) && from[key].is_string()) to += from[key].get<std::string>();
  };
  for (const Event& event : Events(text)) {
    EXPECT_FALSE(gathered.done) << "an event after [DONE]";
    if (event.data.is_null()) {
      gathered.done = true;
      continue;
    }
    if (event.data.contains("error")) gathered.error = event.data["error"];
    if (event.data.contains("usage")) gathered.usage = event.data["usage"];
    if (!event.data.contains("choices")) continue;
    for (const nlohmann::json& choice : event.data["choices"]) {
      const nlohmann::json& delta = choice["delta"];
      add(delta, "content", gathered.content);
      add(delta, "reasoning_content", gathered.reasoning);
      add(delta, "refusal", gathered.refusal);
      add(choice, "finish_reason", gathered.finish_reason);
      if (delta.contains("thinking_blocks")) {
        for (const nlohmann::json& block : delta["thinking_blocks"]) gathered.thinking_blocks.push_back(block);
      }
      if (!delta.contains("tool_calls")) continue;
      for (const nlohmann::json& call : delta["tool_calls"]) {
        const size_t index = call["index"].get<size_t>();
        if (index >= 64) {
          ADD_FAILURE() << "a tool call at " << index;
          return gathered;
        }
        while (gathered.calls.size() <= index) {
          gathered.calls.push_back({{"id", ""}, {"name", ""}, {"arguments", ""}});
        }
        nlohmann::json& place = gathered.calls[index];
        if (call.contains("id")) place["id"] = call["id"];
        if (call["function"].contains("name")) place["name"] = call["function"]["name"];
        place["arguments"] = place["arguments"].get<std::string>() + call["function"]["arguments"].get<std::string>();
      }
    }
  }
  return gathered;
}

}  // namespace signalbox
