// What a conversation and an answer mean, whatever their wire format, made at random: the middle of the property that
// translations keep it. Pure; a seed gives the same every time.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace signalbox {

class Dice {
 public:
  explicit Dice(uint32_t seed) : random_(seed) {}
  size_t Below(size_t n) { return n == 0 ? 0 : random_() % n; }
  bool OneIn(size_t n) { return Below(n) == 0; }
  // Never empty and never only spaces; of all planes of Unicode, quotes and control characters.
  std::string Text();
  nlohmann::json Object(int depth = 2);
  nlohmann::json Value(int depth);
  // `text` in pieces that end between characters; an empty text is no piece.
  std::vector<std::string> Pieces(const std::string& text);

 private:
  std::mt19937 random_;
};

struct Call {
  std::string id, name;
  nlohmann::json arguments;
};

struct Part {
  std::string text;
  std::string media_type, data;  // an image, when the media type is not empty
  std::string url;               // an image elsewhere
};

struct Turn {
  enum Kind { kUser, kAssistant, kResult } kind = kUser;
  std::vector<Part> parts;  // of kUser
  std::string text;         // of kAssistant (empty: none) and kResult
  std::vector<Call> calls;  // of kAssistant
  std::string call_id;      // of kResult
};

struct Tool {
  std::string name, description;
  nlohmann::json schema;
};

struct Talk {
  std::vector<std::string> system;
  std::vector<Turn> turns;
  std::vector<Tool> tools;
  std::string choice;  // empty: not said; auto, none, required, or a tool's name after "="
  std::optional<int64_t> cap;
  std::optional<double> temperature, top_p;
  std::vector<std::string> stop;

  bool has_links() const;
  bool has_calls() const;
};
Talk RandomTalk(Dice& dice);
// One line for each thing said, in order; where turns begin does not count, for formats join neighbours.
std::vector<std::string> Facts(const Talk& talk);
// A tool's result as it counts: an object is the same however it is written.
std::string ResultFact(const std::string& call_id, const std::string& text);

struct Reply {
  std::string reasoning, text;
  std::vector<Call> calls;
  std::string finish;  // stop, length, tool_calls, content_filter
  int64_t prompt = 0, cached = 0, completion = 0, reasoning_tokens = 0;
};
Reply RandomReply(Dice& dice);
std::vector<std::string> Facts(const Reply& reply);

}  // namespace signalbox
