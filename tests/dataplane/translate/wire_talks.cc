#include <stdexcept>

#include "tests/dataplane/translate/wire_forms.h"

namespace signalbox {
namespace {

using nlohmann::json;

void Require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

std::string DataUrl(const Part& part) { return "data:" + part.media_type + ";base64," + part.data; }

Part PartOfUrl(const std::string& url) {
  if (!url.starts_with("data:")) return {.url = url};
  const size_t semicolon = url.find(';');
  const size_t comma = url.find(',');
  return {.media_type = url.substr(5, semicolon - 5), .data = url.substr(comma + 1)};
}

Turn& LastOf(Turn::Kind kind, Talk& talk) {
  if (talk.turns.empty() || talk.turns.back().kind != kind) talk.turns.push_back({.kind = kind});
  return talk.turns.back();
}

// --- chat completions

json ChatParts(const Turn& turn, Dice& dice) {
  const Part& only = turn.parts[0];
  if (turn.parts.size() == 1 && only.media_type.empty() && only.url.empty() && dice.OneIn(2)) return only.text;
  json parts = json::array();
  for (const Part& part : turn.parts) {
    if (!part.url.empty() || !part.media_type.empty()) {
      parts.push_back({{"type", "image_url"}, {"image_url", {{"url", part.url.empty() ? DataUrl(part) : part.url}}}});
    } else {
      parts.push_back({{"type", "text"}, {"text", part.text}});
    }
  }
  return parts;
}

json ChatCall(const Call& call) {
  return {
      {"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", call.arguments.dump()}}}};
}

json WriteChat(const Talk& talk, Dice& dice) {
  json body;
  body["messages"] = json::array();
  for (const std::string& text : talk.system) {
    body["messages"].push_back({{"role", dice.OneIn(2) ? "system" : "developer"}, {"content", text}});
  }
  for (const Turn& turn : talk.turns) {
    json message = {{"role", "user"}};
    if (turn.kind == Turn::kUser) message["content"] = ChatParts(turn, dice);
    if (turn.kind == Turn::kResult)
      message = {{"role", "tool"}, {"tool_call_id", turn.call_id}, {"content", turn.text}};
    if (turn.kind == Turn::kAssistant) {
      message = {{"role", "assistant"}, {"content", turn.text.empty() ? json() : json(turn.text)}};
      for (const Call& call : turn.calls) message["tool_calls"].push_back(ChatCall(call));
    }
    body["messages"].push_back(message);
  }
  for (const Tool& tool : talk.tools) {
    body["tools"].push_back(
        {{"type", "function"},
         {"function", {{"name", tool.name}, {"description", tool.description}, {"parameters", tool.schema}}}});
  }
  if (talk.choice.starts_with('=')) {
    body["tool_choice"] = {{"type", "function"}, {"function", {{"name", talk.choice.substr(1)}}}};
  } else if (!talk.choice.empty()) {
    body["tool_choice"] = talk.choice;
  }
  if (talk.cap) body[dice.OneIn(2) ? "max_tokens" : "max_completion_tokens"] = *talk.cap;
  if (talk.temperature) body["temperature"] = *talk.temperature;
  if (talk.top_p) body["top_p"] = *talk.top_p;
  if (talk.stop.size() == 1 && dice.OneIn(2)) {
    body["stop"] = talk.stop[0];
  } else if (!talk.stop.empty()) {
    body["stop"] = talk.stop;
  }
  return body;
}

void ReadSampling(const json& from, const char* cap, const char* temperature, const char* top_p, const char* stop,
                  Talk& talk) {
  if (from.contains(cap)) talk.cap = from[cap];
  if (from.contains(temperature)) talk.temperature = from[temperature];
  if (from.contains(top_p)) talk.top_p = from[top_p];
  if (from.contains(stop)) talk.stop = from[stop].is_string() ? json::array({from[stop]}) : from[stop];
}

Talk ReadChat(const json& body) {
  Talk talk;
  for (const json& message : body.at("messages")) {
    const std::string role = message.at("role");
    std::vector<Part> parts;
    const json content = message.at("content");
    if (content.is_string() && !content.empty()) parts.push_back({.text = content});
    for (const json& part : content.is_array() ? content : json::array()) {
      const bool text = part.at("type") == "text";
      parts.push_back(text ? Part{.text = part.at("text")} : PartOfUrl(part.at("image_url").at("url")));
    }
    std::string text;
    for (const Part& part : parts) text += part.text;
    if (role == "system" || role == "developer") {
      for (const Part& part : parts) talk.system.push_back(part.text);
    } else if (role == "user") {
      talk.turns.push_back({.kind = Turn::kUser, .parts = parts});
    } else if (role == "tool") {
      talk.turns.push_back({.kind = Turn::kResult, .text = text, .call_id = message.at("tool_call_id")});
    } else {
      Turn turn{.kind = Turn::kAssistant, .text = text};
      for (const json& call : message.value("tool_calls", json::array())) {
        turn.calls.push_back({call.at("id"), call.at("function").at("name"),
                              json::parse(call.at("function").at("arguments").get<std::string>())});
      }
      talk.turns.push_back(turn);
    }
  }
  for (const json& tool : body.value("tools", json::array())) {
    const json& function = tool.at("function");
    talk.tools.push_back({function.at("name"), function.at("description"), function.at("parameters")});
  }
  if (body.contains("tool_choice")) {
    const json& choice = body["tool_choice"];
    talk.choice = choice.is_string() ? choice.get<std::string>() : "=" + choice["function"]["name"].get<std::string>();
  }
  ReadSampling(body, body.contains("max_tokens") ? "max_tokens" : "max_completion_tokens", "temperature", "top_p",
               "stop", talk);
  return talk;
}

// --- Anthropic's Messages

json MessagesBlocks(const Turn& turn) {
  json blocks = json::array();
  for (const Part& part : turn.parts) {
    if (!part.url.empty()) {
      blocks.push_back({{"type", "image"}, {"source", {{"type", "url"}, {"url", part.url}}}});
    } else if (!part.media_type.empty()) {
      blocks.push_back(
          {{"type", "image"}, {"source", {{"type", "base64"}, {"media_type", part.media_type}, {"data", part.data}}}});
    } else {
      blocks.push_back({{"type", "text"}, {"text", part.text}});
    }
  }
  if (turn.kind == Turn::kResult) {
    json block = {{"type", "tool_result"}, {"tool_use_id", turn.call_id}};
    if (!turn.text.empty()) block["content"] = turn.text;
    blocks.push_back(block);
  }
  if (turn.kind == Turn::kAssistant && !turn.text.empty()) blocks.push_back({{"type", "text"}, {"text", turn.text}});
  for (const Call& call : turn.calls) {
    blocks.push_back({{"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", call.arguments}});
  }
  return blocks;
}

// As clients write it: no two messages of one role, results before what the user says.
json WriteMessages(const Talk& talk, Dice& dice) {
  json body = {{"messages", json::array()}};
  for (const std::string& text : talk.system) body["system"].push_back({{"type", "text"}, {"text", text}});
  if (talk.system.size() == 1 && dice.OneIn(2)) body["system"] = talk.system[0];
  for (const Turn& turn : talk.turns) {
    const char* role = turn.kind == Turn::kAssistant ? "assistant" : "user";
    json& messages = body["messages"];
    if (messages.empty() || messages.back()["role"] != role) {
      messages.push_back({{"role", role}, {"content", json::array()}});
    }
    for (const json& block : MessagesBlocks(turn)) messages.back()["content"].push_back(block);
  }
  for (const Tool& tool : talk.tools) {
    body["tools"].push_back({{"name", tool.name}, {"description", tool.description}, {"input_schema", tool.schema}});
  }
  if (talk.choice.starts_with('=')) {
    body["tool_choice"] = {{"type", "tool"}, {"name", talk.choice.substr(1)}};
  } else if (!talk.choice.empty()) {
    body["tool_choice"] = {{"type", talk.choice == "required" ? "any" : talk.choice}};
  }
  if (talk.cap) body["max_tokens"] = *talk.cap;
  if (talk.temperature) body["temperature"] = *talk.temperature;
  if (talk.top_p) body["top_p"] = *talk.top_p;
  if (!talk.stop.empty()) body["stop_sequences"] = talk.stop;
  return body;
}

json AsBlocks(const json& content) {
  return content.is_string() ? json::array({{{"type", "text"}, {"text", content}}}) : content;
}

std::string BlocksText(const json& content) {
  std::string text;
  for (const json& block : AsBlocks(content)) text += block.at("text").get<std::string>();
  return text;
}

void ReadMessagesBlock(const json& block, const std::string& role, Talk& talk) {
  const std::string type = block.at("type");
  if (type == "tool_result") {
    talk.turns.push_back({.kind = Turn::kResult,
                          .text = BlocksText(block.value("content", json::array())),
                          .call_id = block.at("tool_use_id")});
  } else if (type == "tool_use") {
    LastOf(Turn::kAssistant, talk).calls.push_back({block.at("id"), block.at("name"), block.at("input")});
  } else if (type == "text" && role == "assistant") {
    talk.turns.push_back({.kind = Turn::kAssistant, .text = block.at("text")});
  } else if (type == "text") {
    LastOf(Turn::kUser, talk).parts.push_back({.text = block.at("text")});
  } else {
    Require(type == "image" && role == "user", "a block of type " + type);
    const json& source = block.at("source");
    LastOf(Turn::kUser, talk)
        .parts.push_back(source.at("type") == "url"
                             ? Part{.url = source.at("url")}
                             : Part{.media_type = source.at("media_type"), .data = source.at("data")});
  }
}

Talk ReadMessages(const json& body) {
  Talk talk;
  for (const json& block : AsBlocks(body.value("system", json::array()))) talk.system.push_back(block.at("text"));
  std::string before;
  for (const json& message : body.at("messages")) {
    const std::string role = message.at("role");
    Require(role != before, "two messages of one role");
    before = role;
    for (const json& block : AsBlocks(message.at("content"))) ReadMessagesBlock(block, role, talk);
  }
  for (const json& tool : body.value("tools", json::array())) {
    talk.tools.push_back({tool.at("name"), tool.at("description"), tool.at("input_schema")});
  }
  if (body.contains("tool_choice")) {
    const std::string type = body["tool_choice"].at("type");
    talk.choice = type == "any" ? "required" : type == "tool" ? "=" : type;
    if (type == "tool") talk.choice += body["tool_choice"].at("name").get<std::string>();
  }
  Require(body.at("max_tokens") > 0, "Messages wants max_tokens");
  ReadSampling(body, "max_tokens", "temperature", "top_p", "stop_sequences", talk);
  return talk;
}

// --- OpenAI's Responses: clients only

json WriteResponses(const Talk& talk, Dice& dice) {
  json body = {{"input", json::array()}};
  json& input = body["input"];
  for (size_t i = 0; i < talk.system.size(); ++i) {
    if (i == 0 && dice.OneIn(2)) {
      body["instructions"] = talk.system[0];
    } else {
      input.push_back({{"role", "system"}, {"content", talk.system[i]}});
    }
  }
  for (const Turn& turn : talk.turns) {
    if (turn.kind == Turn::kUser) {
      json content = json::array();
      for (const Part& part : turn.parts) {
        if (part.url.empty() && part.media_type.empty()) {
          content.push_back({{"type", "input_text"}, {"text", part.text}});
        } else {
          content.push_back({{"type", "input_image"}, {"image_url", part.url.empty() ? DataUrl(part) : part.url}});
        }
      }
      input.push_back({{"type", "message"}, {"role", "user"}, {"content", content}});
    } else if (turn.kind == Turn::kResult) {
      input.push_back({{"type", "function_call_output"}, {"call_id", turn.call_id}, {"output", turn.text}});
    } else {
      if (!turn.text.empty()) {
        input.push_back(
            {{"type", "message"},
             {"role", "assistant"},
             {"id", "msg_1"},
             {"status", "completed"},
             {"content", {{{"type", "output_text"}, {"text", turn.text}, {"annotations", json::array()}}}}});
      }
      for (const Call& call : turn.calls) {
        input.push_back({{"type", "function_call"},
                         {"call_id", call.id},
                         {"name", call.name},
                         {"arguments", call.arguments.dump()}});
      }
    }
  }
  for (const Tool& tool : talk.tools) {
    body["tools"].push_back({{"type", "function"},
                             {"name", tool.name},
                             {"description", tool.description},
                             {"parameters", tool.schema},
                             {"strict", false}});
  }
  if (talk.choice.starts_with('=')) {
    body["tool_choice"] = {{"type", "function"}, {"name", talk.choice.substr(1)}};
  } else if (!talk.choice.empty()) {
    body["tool_choice"] = talk.choice;
  }
  if (talk.cap) body["max_output_tokens"] = *talk.cap;
  if (talk.temperature) body["temperature"] = *talk.temperature;
  if (talk.top_p) body["top_p"] = *talk.top_p;
  return body;
}

// --- Google's generateContent: providers only

void ReadGeminiPart(const json& part, const std::string& role, Talk& talk) {
  if (part.contains("functionResponse")) {
    const json& result = part["functionResponse"];
    const json& response = result.at("response");
    const bool text = response.size() == 1 && response.contains("output");
    talk.turns.push_back({.kind = Turn::kResult,
                          .text = text ? response["output"].get<std::string>() : response.dump(),
                          .call_id = result.at("id")});
    std::string name;
    for (const Turn& turn : talk.turns) {
      for (const Call& call : turn.calls) {
        if (call.id == result.at("id")) name = call.name;
      }
    }
    Require(result.at("name") == name, "a functionResponse of another function");
  } else if (part.contains("functionCall")) {
    Require(role == "model", "a functionCall of the user's");
    const json& call = part["functionCall"];
    LastOf(Turn::kAssistant, talk).calls.push_back({call.at("id"), call.at("name"), call.at("args")});
  } else if (role == "model") {
    talk.turns.push_back({.kind = Turn::kAssistant, .text = part.at("text")});
  } else if (part.contains("text")) {
    LastOf(Turn::kUser, talk).parts.push_back({.text = part["text"]});
  } else if (part.contains("inlineData")) {
    const json& data = part["inlineData"];
    LastOf(Turn::kUser, talk).parts.push_back({.media_type = data.at("mimeType"), .data = data.at("data")});
  } else {
    LastOf(Turn::kUser, talk).parts.push_back({.url = part.at("fileData").at("fileUri")});
  }
}

Talk ReadGemini(const json& body) {
  Talk talk;
  if (body.contains("systemInstruction")) {
    for (const json& part : body["systemInstruction"].at("parts")) talk.system.push_back(part.at("text"));
  }
  size_t calls = 0;  // of the content before: Gemini wants as many responses in the next one
  for (const json& content : body.at("contents")) {
    Require(!content.at("parts").empty(), "a content without parts");
    size_t called = 0, responses = 0;
    for (const json& part : content["parts"]) {
      called += part.contains("functionCall");
      responses += part.contains("functionResponse");
    }
    Require(responses == calls, "not as many functionResponses as there were functionCalls");
    calls = called;
    for (const json& part : content["parts"]) ReadGeminiPart(part, content.at("role"), talk);
  }
  for (const json& tool : body.value("tools", json::array())) {
    for (const json& function : tool.at("functionDeclarations")) {
      talk.tools.push_back({function.at("name"), function.at("description"), function.at("parametersJsonSchema")});
    }
  }
  if (body.contains("toolConfig")) {
    const json& calling = body["toolConfig"].at("functionCallingConfig");
    const std::string mode = calling.at("mode");
    talk.choice = mode == "AUTO" ? "auto" : mode == "NONE" ? "none" : "required";
    if (calling.contains("allowedFunctionNames")) {
      Require(mode == "ANY" && calling["allowedFunctionNames"].size() == 1, "allowedFunctionNames");
      talk.choice = "=" + calling["allowedFunctionNames"][0].get<std::string>();
    }
  }
  ReadSampling(body.value("generationConfig", json::object()), "maxOutputTokens", "temperature", "topP",
               "stopSequences", talk);
  return talk;
}

// --- Bedrock's Converse: providers only

void ReadConverseBlock(const json& block, const std::string& role, Talk& talk) {
  if (block.contains("toolResult")) {
    const json& result = block["toolResult"];
    std::string text;
    for (const json& part : result.at("content")) {
      text += part.contains("json") ? part["json"].dump() : part.at("text").get<std::string>();
    }
    if (text == " ") text.clear();  // Bedrock wants something, and no empty text
    talk.turns.push_back({.kind = Turn::kResult, .text = text, .call_id = result.at("toolUseId")});
  } else if (block.contains("toolUse")) {
    const json& call = block["toolUse"];
    LastOf(Turn::kAssistant, talk).calls.push_back({call.at("toolUseId"), call.at("name"), call.at("input")});
  } else if (block.contains("image")) {
    const json& image = block["image"];
    LastOf(Turn::kUser, talk)
        .parts.push_back(
            {.media_type = "image/" + image.at("format").get<std::string>(), .data = image.at("source").at("bytes")});
  } else if (role == "assistant") {
    talk.turns.push_back({.kind = Turn::kAssistant, .text = block.at("text")});
  } else {
    LastOf(Turn::kUser, talk).parts.push_back({.text = block.at("text")});
  }
}

Talk ReadConverse(const json& body) {
  Talk talk;
  for (const json& block : body.value("system", json::array())) talk.system.push_back(block.at("text"));
  std::string before;
  for (const json& message : body.at("messages")) {
    const std::string role = message.at("role");
    Require(role != before, "two messages of one role");
    before = role;
    for (const json& block : message.at("content")) ReadConverseBlock(block, role, talk);
  }
  if (body.contains("toolConfig")) {
    for (const json& tool : body["toolConfig"].at("tools")) {
      const json& spec = tool.at("toolSpec");
      talk.tools.push_back({spec.at("name"), spec.at("description"), spec.at("inputSchema").at("json")});
    }
    if (body["toolConfig"].contains("toolChoice")) {
      const json& choice = body["toolConfig"]["toolChoice"];
      talk.choice = choice.contains("auto") ? "auto" : choice.contains("any") ? "required" : "=";
      if (talk.choice == "=") talk.choice += choice.at("tool").at("name").get<std::string>();
    }
  }
  ReadSampling(body.value("inferenceConfig", json::object()), "maxTokens", "temperature", "topP", "stopSequences",
               talk);
  return talk;
}

}  // namespace

const char* WireName(Wire wire) {
  const char* const names[] = {"chat", "messages", "responses", "generateContent", "converse"};
  return names[static_cast<int>(wire)];
}

std::string WriteTalk(Wire client, const Talk& talk, const std::string& model, bool stream, Dice& dice) {
  json body = client == Wire::kChat       ? WriteChat(talk, dice)
              : client == Wire::kMessages ? WriteMessages(talk, dice)
                                          : WriteResponses(talk, dice);
  body["model"] = model;
  if (stream) body["stream"] = true;
  return body.dump(dice.OneIn(4) ? 1 : -1, ' ', dice.OneIn(2));
}

Talk ReadTalk(Wire provider, std::string_view body) {
  const json parsed = json::parse(body);
  switch (provider) {
    case Wire::kChat:
      return ReadChat(parsed);
    case Wire::kMessages:
      return ReadMessages(parsed);
    case Wire::kGenerateContent:
      return ReadGemini(parsed);
    case Wire::kConverse:
      return ReadConverse(parsed);
    case Wire::kResponses:
      break;
  }
  throw std::runtime_error("no provider is asked in this format");
}

}  // namespace signalbox
