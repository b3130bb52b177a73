#include "tests/dataplane/translate/meaning.h"

namespace signalbox {
namespace {

using nlohmann::json;

constexpr const char* kWords[] = {
    "hello",        " ",           "wörld", "日本語",   "🦀",        "👩‍👩‍👧",
    "\"quoted\"",   "back\\slash", "\n",    "\r\n\r\n", "\t",          "data: [DONE]",
    "event: error", "{\"a\":",     "]}",    "\x01",     "\x7f",        "\xEF\xBB\xBF",
    "\xE2\x80\xA8", "ß",           "0",     "null",     "</thinking>", "\xF4\x8F\xBF\xBF"};
constexpr const char* kNames[] = {"get_weather", "look", "now", "search-web", "Run_2"};

std::string Said(const std::string& what, const json& value) { return what + ": " + value.dump(); }

std::string CallFact(const Call& call) { return Said("call " + call.id + " " + call.name, call.arguments); }

void AddTurn(Dice& dice, Talk& talk, int& ids) {
  Turn user{.kind = Turn::kUser};
  for (size_t n = 1 + dice.Below(3); n > 0; --n) {
    Part part;
    if (!dice.OneIn(4)) {
      part.text = dice.Text();
    } else if (dice.OneIn(3)) {
      part.url = "https://example.com/" + std::to_string(dice.Below(100)) + ".png";
    } else {
      part.media_type = dice.OneIn(2) ? "image/png" : "image/jpeg";
      part.data = dice.OneIn(2) ? "iVBORw0KGgo=" : "/9j/4AAQSkZJRg==";
    }
    user.parts.push_back(part);
  }
  talk.turns.push_back(user);
  for (size_t rounds = dice.Below(3); rounds > 0; --rounds) {
    Turn answer{.kind = Turn::kAssistant};
    for (size_t n = dice.Below(3); n > 0 && !talk.tools.empty(); --n) {
      answer.calls.push_back(
          {"call_" + std::to_string(++ids), talk.tools[dice.Below(talk.tools.size())].name, dice.Object()});
    }
    if (answer.calls.empty() || dice.OneIn(2)) answer.text = dice.Text();
    talk.turns.push_back(answer);
    for (const Call& call : answer.calls) {
      Turn result{.kind = Turn::kResult, .call_id = call.id};
      if (!dice.OneIn(6)) result.text = dice.OneIn(2) ? dice.Object().dump() : dice.Text();
      talk.turns.push_back(result);
    }
    if (answer.calls.empty()) break;
  }
}

}  // namespace

std::string Dice::Text() {
  std::string text = kWords[0];
  if (!OneIn(4)) text.clear();
  for (size_t n = 1 + Below(8); n > 0; --n) text += kWords[Below(std::size(kWords))];
  return text.find_first_not_of(" \t\r\n") == std::string::npos ? text + "x" : text;
}

json Dice::Value(int depth) {
  switch (Below(depth > 0 ? 8 : 6)) {
    case 0:
      return Text();
    case 1:
      return static_cast<int64_t>(Below(1000)) - 500;
    case 2:
      return static_cast<double>(Below(1000)) / 8 + 0.5;
    case 3:
      return OneIn(2);
    case 4:
      return nullptr;
    case 5:
      return int64_t{9'007'199'254'740'993} + static_cast<int64_t>(Below(9));  // no double holds these
    case 6: {
      json list = json::array();
      for (size_t n = Below(3); n > 0; --n) list.push_back(Value(depth - 1));
      return list;
    }
    default:
      return Object(depth - 1);
  }
}

json Dice::Object(int depth) {
  json object = json::object();
  for (size_t n = Below(4); n > 0; --n) object[OneIn(3) ? Text() : "k" + std::to_string(Below(9))] = Value(depth);
  return object;
}

std::vector<std::string> Dice::Pieces(const std::string& text) {
  std::vector<std::string> pieces;
  std::string piece;
  for (size_t i = 0; i < text.size(); ++i) {
    piece += text[i];
    const bool inside = i + 1 < text.size() && (static_cast<unsigned char>(text[i + 1]) & 0xC0) == 0x80;
    if (!inside && (OneIn(5) || i + 1 == text.size())) pieces.push_back(std::exchange(piece, ""));
  }
  return pieces;
}

bool Talk::has_links() const {
  for (const Turn& turn : turns) {
    for (const Part& part : turn.parts) {
      if (!part.url.empty()) return true;
    }
  }
  return false;
}

bool Talk::has_calls() const {
  for (const Turn& turn : turns) {
    if (!turn.calls.empty()) return true;
  }
  return false;
}

Talk RandomTalk(Dice& dice) {
  Talk talk;
  for (size_t n = dice.Below(3); n > 0; --n) talk.system.push_back(dice.Text());
  for (size_t n = dice.Below(4); n > 0; --n) {
    json schema = {{"type", "object"}, {"properties", {{"k1", {{"type", "string"}, {"description", dice.Text()}}}}}};
    if (dice.OneIn(2)) schema["required"] = {"k1"};
    talk.tools.push_back({kNames[talk.tools.size()], dice.Text(), schema});
  }
  int ids = 0;
  for (size_t n = 1 + dice.Below(3); n > 0; --n) AddTurn(dice, talk, ids);
  if (!talk.tools.empty()) {
    const char* const choices[] = {"", "auto", "none", "required", "="};
    talk.choice = choices[dice.Below(5)];
    if (talk.choice == "=") talk.choice += talk.tools[0].name;
  }
  if (dice.OneIn(2)) talk.cap = 1 + dice.Below(4000);
  if (dice.OneIn(2)) talk.temperature = static_cast<double>(dice.Below(5)) / 4;
  if (dice.OneIn(3)) talk.top_p = static_cast<double>(1 + dice.Below(4)) / 4;
  for (size_t n = dice.OneIn(2) ? 1 + dice.Below(2) : 0; n > 0; --n) talk.stop.push_back(dice.Text());
  return talk;
}

std::string ResultFact(const std::string& call_id, const std::string& text) {
  const json parsed = json::parse(text, nullptr, false);
  return Said("result " + call_id, parsed.is_object() ? parsed : json(text));
}

std::vector<std::string> Facts(const Talk& talk) {
  std::vector<std::string> facts;
  for (const std::string& text : talk.system) facts.push_back(Said("system", text));
  for (const Turn& turn : talk.turns) {
    for (const Part& part : turn.parts) {
      if (!part.url.empty()) {
        facts.push_back(Said("image at", part.url));
      } else if (!part.media_type.empty()) {
        facts.push_back(Said("image " + part.media_type, part.data));
      } else {
        facts.push_back(Said("user", part.text));
      }
    }
    if (turn.kind == Turn::kAssistant && !turn.text.empty()) facts.push_back(Said("assistant", turn.text));
    for (const Call& call : turn.calls) facts.push_back(CallFact(call));
    if (turn.kind == Turn::kResult) facts.push_back(ResultFact(turn.call_id, turn.text));
  }
  for (const Tool& tool : talk.tools) facts.push_back(Said("tool " + tool.name + " " + tool.description, tool.schema));
  if (!talk.choice.empty()) facts.push_back(Said("choice", talk.choice));
  if (talk.cap) facts.push_back(Said("cap", *talk.cap));
  if (talk.temperature) facts.push_back(Said("temperature", *talk.temperature));
  if (talk.top_p) facts.push_back(Said("top_p", *talk.top_p));
  for (const std::string& text : talk.stop) facts.push_back(Said("stop", text));
  return facts;
}

Reply RandomReply(Dice& dice) {
  Reply reply;
  if (dice.OneIn(2)) reply.reasoning = dice.Text();
  for (size_t n = dice.OneIn(2) ? dice.Below(4) : 0; n > 0; --n) {
    reply.calls.push_back({"call_" + std::to_string(n), kNames[dice.Below(std::size(kNames))], dice.Object()});
  }
  if (reply.calls.empty() || dice.OneIn(2)) reply.text = dice.Text();
  const char* const reasons[] = {"stop", "length", "content_filter"};
  reply.finish = reply.calls.empty() ? reasons[dice.Below(3)] : dice.OneIn(5) ? "length" : "tool_calls";
  reply.prompt = dice.Below(10'000);
  reply.cached = dice.OneIn(2) ? dice.Below(reply.prompt + 1) : 0;
  reply.completion = 1 + dice.Below(5'000);
  reply.reasoning_tokens = reply.reasoning.empty() ? 0 : dice.Below(reply.completion + 1);
  return reply;
}

std::vector<std::string> Facts(const Reply& reply) {
  std::vector<std::string> facts;
  if (!reply.reasoning.empty()) facts.push_back(Said("reasoning", reply.reasoning));
  if (!reply.text.empty()) facts.push_back(Said("text", reply.text));
  for (const Call& call : reply.calls) facts.push_back(CallFact(call));
  facts.push_back(Said("finish", reply.finish));
  facts.push_back(Said("prompt, cached, completion, reasoning",
                       {reply.prompt, reply.cached, reply.completion, reply.reasoning_tokens}));
  return facts;
}

}  // namespace signalbox
