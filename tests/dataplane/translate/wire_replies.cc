#include <map>
#include <stdexcept>

#include "dataplane/translate/sse.h"
#include "tests/dataplane/translate/wire_forms.h"

namespace signalbox {
namespace {

using nlohmann::json;

void Require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

std::string Dump(const json& value, Dice& dice) { return value.dump(-1, ' ', dice.OneIn(2)); }

std::string Sse(const json& event, const std::string& name, Dice& dice) {
  const std::string end = dice.OneIn(3) ? "\r\n" : "\n";
  std::string text = name.empty() ? "" : "event: " + name + end;
  if (dice.OneIn(10)) text = ": a comment" + end + end + text;
  return text + "data: " + Dump(event, dice) + end + end;
}

// --- chat completions

json ChatUsageOf(const Reply& reply) {
  return {{"prompt_tokens", reply.prompt},
          {"completion_tokens", reply.completion},
          {"total_tokens", reply.prompt + reply.completion},
          {"prompt_tokens_details", {{"cached_tokens", reply.cached}}},
          {"completion_tokens_details", {{"reasoning_tokens", reply.reasoning_tokens}}}};
}

json WriteChat(const Reply& reply, Dice& dice) {
  json message = {{"role", "assistant"}, {"content", reply.text.empty() ? json() : json(reply.text)}};
  if (!reply.reasoning.empty()) message[dice.OneIn(2) ? "reasoning_content" : "reasoning"] = reply.reasoning;
  for (const Call& call : reply.calls) {
    message["tool_calls"].push_back({{"id", call.id},
                                     {"type", "function"},
                                     {"function", {{"name", call.name}, {"arguments", call.arguments.dump()}}}});
  }
  return {{"id", "chatcmpl-1"},
          {"object", "chat.completion"},
          {"created", 5},
          {"model", "m"},
          {"choices", {{{"index", 0}, {"message", message}, {"finish_reason", reply.finish}}}},
          {"usage", ChatUsageOf(reply)}};
}

std::string WriteChatStream(const Reply& reply, Dice& dice) {
  std::string out;
  const auto chunk = [&](const json& choices) {
    return json{{"id", "chatcmpl-1"},
                {"object", "chat.completion.chunk"},
                {"created", 5},
                {"model", "m"},
                {"choices", choices}};
  };
  const auto delta = [&](const json& what, const json& finish = nullptr) {
    out += Sse(chunk({{{"index", 0}, {"delta", what}, {"finish_reason", finish}}}), "", dice);
  };
  delta({{"role", "assistant"}, {"content", ""}});
  const char* reasoning = dice.OneIn(2) ? "reasoning_content" : "reasoning";
  for (const std::string& piece : dice.Pieces(reply.reasoning)) delta({{reasoning, piece}});
  for (const std::string& piece : dice.Pieces(reply.text)) delta({{"content", piece}});
  for (size_t i = 0; i < reply.calls.size(); ++i) {
    const Call& call = reply.calls[i];
    delta({{"tool_calls",
            {{{"index", i},
              {"id", call.id},
              {"type", "function"},
              {"function", {{"name", call.name}, {"arguments", ""}}}}}}});
    for (const std::string& piece : dice.Pieces(call.arguments.dump())) {
      delta({{"tool_calls", {{{"index", i}, {"function", {{"arguments", piece}}}}}}});
    }
  }
  delta(json::object(), reply.finish);
  json usage = chunk(json::array());
  usage["usage"] = ChatUsageOf(reply);
  return out + Sse(usage, "", dice) + "data: [DONE]\n\n";
}

void ReadChatUsage(const json& usage, Reply& reply) {
  reply.prompt = usage.at("prompt_tokens");
  reply.completion = usage.at("completion_tokens");
  Require(usage.at("total_tokens") == reply.prompt + reply.completion, "total_tokens");
  reply.cached = usage.at("prompt_tokens_details").at("cached_tokens");
  reply.reasoning_tokens = usage.at("completion_tokens_details").at("reasoning_tokens");
}

void AddString(const json& from, const char* key, std::string& to) {
  if (from.contains(key) && from[key].is_string()) to += from[key].get<std::string>();
}

Reply ReadChat(const json& body) {
  Reply reply;
  const json& choice = body.at("choices").at(0);
  const json& message = choice.at("message");
  Require(message.at("role") == "assistant", "the role");
  AddString(message, "content", reply.text);
  AddString(message, message.contains("reasoning_content") ? "reasoning_content" : "reasoning", reply.reasoning);
  for (const json& call : message.value("tool_calls", json::array())) {
    reply.calls.push_back({call.at("id"), call.at("function").at("name"),
                           json::parse(call.at("function").at("arguments").get<std::string>())});
  }
  reply.finish = choice.at("finish_reason");
  ReadChatUsage(body.at("usage"), reply);
  return reply;
}

std::vector<SseEvent> SseEvents(std::string_view bytes) {
  SseReader reader;
  return reader.Feed(bytes).value();
}

Reply ReadChatStream(std::string_view bytes) {
  Reply reply;
  std::map<size_t, std::string> arguments;
  bool done = false;
  for (const SseEvent& event : SseEvents(bytes)) {
    Require(!done, "an event after [DONE]");
    done = event.data == "[DONE]";
    if (done) continue;
    const json chunk = json::parse(event.data);
    if (chunk.contains("usage") && !chunk["usage"].is_null()) ReadChatUsage(chunk["usage"], reply);
    for (const json& choice : chunk.at("choices")) {
      const json& delta = choice.at("delta");
      AddString(delta, "content", reply.text);
      AddString(delta, delta.contains("reasoning_content") ? "reasoning_content" : "reasoning", reply.reasoning);
      AddString(choice, "finish_reason", reply.finish);
      for (const json& call : delta.value("tool_calls", json::array())) {
        const size_t index = call.at("index");
        Require(index <= reply.calls.size(), "a tool call out of turn");
        if (index == reply.calls.size()) reply.calls.push_back({call.at("id"), call.at("function").at("name"), {}});
        AddString(call.at("function"), "arguments", arguments[index]);
      }
    }
  }
  Require(done, "no [DONE]");
  for (auto& [index, text] : arguments) reply.calls.at(index).arguments = json::parse(text);
  return reply;
}

// --- Anthropic's Messages

const std::map<std::string, std::string> kMessagesStops = {
    {"stop", "end_turn"}, {"length", "max_tokens"}, {"tool_calls", "tool_use"}, {"content_filter", "refusal"}};

json MessagesUsageOf(const Reply& reply) {
  return {{"input_tokens", reply.prompt - reply.cached},
          {"cache_read_input_tokens", reply.cached},
          {"cache_creation_input_tokens", 0},
          {"output_tokens", reply.completion},
          {"output_tokens_details", {{"thinking_tokens", reply.reasoning_tokens}}}};
}

json WriteMessages(const Reply& reply) {
  json content = json::array();
  if (!reply.reasoning.empty()) {
    content.push_back({{"type", "thinking"}, {"thinking", reply.reasoning}, {"signature", "c2ln"}});
  }
  if (!reply.text.empty()) content.push_back({{"type", "text"}, {"text", reply.text}});
  for (const Call& call : reply.calls) {
    content.push_back({{"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", call.arguments}});
  }
  return {{"id", "msg_1"},
          {"type", "message"},
          {"role", "assistant"},
          {"model", "m"},
          {"content", content},
          {"stop_reason", kMessagesStops.at(reply.finish)},
          {"stop_sequence", nullptr},
          {"usage", MessagesUsageOf(reply)}};
}

std::string WriteMessagesStream(const Reply& reply, Dice& dice) {
  std::string out;
  const auto emit = [&](json event) {
    const std::string type = event.at("type");
    if (dice.OneIn(8)) out += Sse({{"type", "ping"}}, "ping", dice);
    out += Sse(event, type, dice);
  };
  json start = WriteMessages(reply);
  start["content"] = json::array();
  start["stop_reason"] = nullptr;
  start["usage"]["output_tokens"] = 1;
  start["usage"].erase("output_tokens_details");
  emit({{"type", "message_start"}, {"message", start}});
  int index = 0;
  const auto block = [&](const json& first, const char* delta, const char* key, const std::string& text) {
    emit({{"type", "content_block_start"}, {"index", index}, {"content_block", first}});
    for (const std::string& piece : dice.Pieces(text)) {
      emit({{"type", "content_block_delta"}, {"index", index}, {"delta", {{"type", delta}, {key, piece}}}});
    }
    if (std::string_view(delta) == "thinking_delta") {
      emit({{"type", "content_block_delta"},
            {"index", index},
            {"delta", {{"type", "signature_delta"}, {"signature", "c2ln"}}}});
    }
    emit({{"type", "content_block_stop"}, {"index", index++}});
  };
  if (!reply.reasoning.empty()) {
    block({{"type", "thinking"}, {"thinking", ""}, {"signature", ""}}, "thinking_delta", "thinking", reply.reasoning);
  }
  if (!reply.text.empty()) block({{"type", "text"}, {"text", ""}}, "text_delta", "text", reply.text);
  for (const Call& call : reply.calls) {
    // A call without arguments may come without a delta.
    const bool silent = call.arguments.empty() && dice.OneIn(2);
    block({{"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", json::object()}}, "input_json_delta",
          "partial_json", silent ? "" : call.arguments.dump());
  }
  emit({{"type", "message_delta"},
        {"delta", {{"stop_reason", kMessagesStops.at(reply.finish)}, {"stop_sequence", nullptr}}},
        {"usage", MessagesUsageOf(reply)}});
  emit({{"type", "message_stop"}});
  return out;
}

void ReadMessagesEnd(const json& stop, const json& usage, Reply& reply) {
  for (const auto& [finish, reason] : kMessagesStops) {
    if (stop.at("stop_reason") == reason) reply.finish = finish;
  }
  reply.cached = usage.at("cache_read_input_tokens");
  reply.prompt = usage.at("input_tokens").get<int64_t>() + reply.cached;
  reply.completion = usage.at("output_tokens");
  const json details = usage.value("output_tokens_details", json());
  if (details.is_object()) reply.reasoning_tokens = details.at("thinking_tokens");
}

void ReadMessagesBlock(const json& block, Reply& reply) {
  const std::string type = block.at("type");
  if (type == "text") {
    reply.text += block.at("text").get<std::string>();
  } else if (type == "thinking") {
    reply.reasoning += block.at("thinking").get<std::string>();
    Require(block.at("signature").is_string(), "a signature");
  } else {
    Require(type == "tool_use", "a block of type " + type);
    reply.calls.push_back({block.at("id"), block.at("name"), block.at("input")});
  }
}

Reply ReadMessages(const json& body) {
  Reply reply;
  for (const json& block : body.at("content")) ReadMessagesBlock(block, reply);
  ReadMessagesEnd(body, body.at("usage"), reply);
  return reply;
}

Reply ReadMessagesStream(std::string_view bytes) {
  Reply reply;
  json block;
  std::string input;
  int blocks = 0;
  bool stopped = false;
  for (const SseEvent& event : SseEvents(bytes)) {
    const json data = json::parse(event.data);
    const std::string type = data.at("type");
    Require(type == event.name && !stopped, "event " + event.name);
    if (type == "content_block_start") {
      Require(block.is_null() && data.at("index") == blocks, "a block within a block");
      block = data.at("content_block");
      input.clear();
    } else if (type == "content_block_delta") {
      Require(data.at("index") == blocks && !block.is_null(), "a delta of no open block");
      const json& delta = data.at("delta");
      if (delta.at("type") == "input_json_delta") input += delta.at("partial_json").get<std::string>();
      for (const char* key : {"text", "thinking", "signature"}) {
        if (delta.contains(key)) block[key] = block.at(key).get<std::string>() + delta[key].get<std::string>();
      }
    } else if (type == "content_block_stop") {
      if (!input.empty()) block["input"] = json::parse(input);
      ReadMessagesBlock(block, reply);
      block = nullptr;
      ++blocks;
    } else if (type == "message_delta") {
      ReadMessagesEnd(data.at("delta"), data.at("usage"), reply);
    }
    stopped = type == "message_stop";
  }
  Require(stopped && block.is_null(), "no message_stop");
  return reply;
}

// --- OpenAI's Responses: clients only

Reply ReadResponses(const json& body) {
  Reply reply;
  for (const json& item : body.at("output")) {
    const std::string type = item.at("type");
    if (type == "reasoning") {
      for (const json& part : item.at("summary")) reply.reasoning += part.at("text").get<std::string>();
    } else if (type == "message") {
      for (const json& part : item.at("content")) reply.text += part.at("text").get<std::string>();
    } else {
      Require(type == "function_call", "an item of type " + type);
      reply.calls.push_back(
          {item.at("call_id"), item.at("name"), json::parse(item.at("arguments").get<std::string>())});
    }
  }
  if (body.at("status") == "incomplete") {
    reply.finish = body.at("incomplete_details").at("reason") == "max_output_tokens" ? "length" : "content_filter";
  } else {
    Require(body.at("status") == "completed", "the status");
    reply.finish = reply.calls.empty() ? "stop" : "tool_calls";
  }
  const json& usage = body.at("usage");
  reply.prompt = usage.at("input_tokens");
  reply.completion = usage.at("output_tokens");
  reply.cached = usage.at("input_tokens_details").at("cached_tokens");
  reply.reasoning_tokens = usage.at("output_tokens_details").at("reasoning_tokens");
  return reply;
}

// From the deltas, which must make what the last event says whole.
Reply ReadResponsesStream(std::string_view bytes) {
  Reply reply;
  std::map<int, json> items;
  std::map<int, std::string> texts;
  json last;
  size_t sequence = 0;
  for (const SseEvent& event : SseEvents(bytes)) {
    const json data = json::parse(event.data);
    Require(last.is_null(), "an event after the end");
    Require(data.at("type") == event.name && data.at("sequence_number") == sequence++, "event " + event.name);
    if (event.name == "response.output_item.added") items[data.at("output_index")] = data.at("item");
    if (event.name.ends_with(".delta")) texts[data.at("output_index")] += data.at("delta").get<std::string>();
    if (event.name == "response.output_item.done") {
      const json& item = data.at("item");
      Require(item.at("id") == items.at(data.at("output_index")).at("id"), "an item that was not added");
      const std::string& text = texts[data.at("output_index")];
      const std::string type = item.at("type");
      if (type == "function_call") Require(item.at("arguments") == text, "arguments");
      if (type == "message") Require(item.at("content").at(0).at("text") == text, "a message's text");
      if (type == "reasoning") Require(item.at("summary").at(0).at("text") == text, "a summary's text");
      items[data.at("output_index")] = item;
    }
    if (event.name == "response.completed" || event.name == "response.incomplete") last = data.at("response");
  }
  Require(last.is_object(), "no last event");
  json output = json::array();
  for (const auto& [index, item] : items) output.push_back(item);
  Require(last.at("output") == output, "the output is not what its items were");
  return ReadResponses(last);
}

// --- Google's generateContent: providers only

json GeminiUsageOf(const Reply& reply) {
  return {{"promptTokenCount", reply.prompt},
          {"cachedContentTokenCount", reply.cached},
          {"candidatesTokenCount", reply.completion - reply.reasoning_tokens},
          {"thoughtsTokenCount", reply.reasoning_tokens},
          {"totalTokenCount", reply.prompt + reply.completion}};
}

std::string GeminiFinish(const Reply& reply) {
  return reply.finish == "length" ? "MAX_TOKENS" : reply.finish == "content_filter" ? "SAFETY" : "STOP";
}

json GeminiCall(const Call& call) {
  json part = {{"functionCall", {{"id", call.id}, {"name", call.name}, {"args", call.arguments}}}};
  return part;
}

json WriteGemini(const Reply& reply) {
  json parts = json::array();
  if (!reply.reasoning.empty()) parts.push_back({{"text", reply.reasoning}, {"thought", true}});
  if (!reply.text.empty()) parts.push_back({{"text", reply.text}});
  for (const Call& call : reply.calls) parts.push_back(GeminiCall(call));
  return {{"candidates",
           {{{"content", {{"role", "model"}, {"parts", parts}}}, {"finishReason", GeminiFinish(reply)}, {"index", 0}}}},
          {"usageMetadata", GeminiUsageOf(reply)},
          {"modelVersion", "m"},
          {"responseId", "r"}};
}

std::string WriteGeminiStream(const Reply& reply, Dice& dice) {
  std::string out;
  const auto emit = [&](json parts, bool last) {
    json candidate = {{"content", {{"role", "model"}, {"parts", parts}}}, {"index", 0}};
    json usage = {{"promptTokenCount", reply.prompt}, {"totalTokenCount", reply.prompt}};
    if (last) candidate["finishReason"] = GeminiFinish(reply);
    if (last) usage = GeminiUsageOf(reply);
    out += Sse({{"candidates", {candidate}}, {"usageMetadata", usage}, {"modelVersion", "m"}, {"responseId", "r"}}, "",
               dice);
  };
  for (const std::string& piece : dice.Pieces(reply.reasoning)) emit({{{"text", piece}, {"thought", true}}}, false);
  for (const std::string& piece : dice.Pieces(reply.text)) emit({{{"text", piece}}}, false);
  json held = json::array();
  for (const Call& call : reply.calls) {
    held.push_back(GeminiCall(call));
    if (dice.OneIn(2)) emit(std::exchange(held, json::array()), false);
  }
  if (held.empty()) held.push_back({{"text", ""}});
  emit(held, true);
  return out;
}

// --- Bedrock's Converse: providers only

const std::map<std::string, std::string> kConverseStops = {{"stop", "end_turn"},
                                                           {"length", "max_tokens"},
                                                           {"tool_calls", "tool_use"},
                                                           {"content_filter", "guardrail_intervened"}};

json ConverseUsageOf(const Reply& reply) {
  return {{"inputTokens", reply.prompt - reply.cached},
          {"cacheReadInputTokens", reply.cached},
          {"outputTokens", reply.completion},
          {"totalTokens", reply.prompt + reply.completion}};
}

json WriteConverse(const Reply& reply) {
  json content = json::array();
  if (!reply.reasoning.empty()) {
    content.push_back({{"reasoningContent", {{"reasoningText", {{"text", reply.reasoning}, {"signature", "c2ln"}}}}}});
  }
  if (!reply.text.empty()) content.push_back({{"text", reply.text}});
  for (const Call& call : reply.calls) {
    content.push_back({{"toolUse", {{"toolUseId", call.id}, {"name", call.name}, {"input", call.arguments}}}});
  }
  return {{"output", {{"message", {{"role", "assistant"}, {"content", content}}}}},
          {"stopReason", kConverseStops.at(reply.finish)},
          {"usage", ConverseUsageOf(reply)},
          {"metrics", {{"latencyMs", 1}}}};
}

std::string WriteConverseStream(const Reply& reply, Dice& dice) {
  std::string out;
  const auto emit = [&](const std::string& type, const json& payload) {
    out += AwsMessage({{":event-type", type}, {":content-type", "application/json"}, {":message-type", "event"}},
                      Dump(payload, dice));
  };
  emit("messageStart", {{"role", "assistant"}});
  int index = 0;
  const auto deltas = [&](const std::string& text, auto&& wrap) {
    for (const std::string& piece : dice.Pieces(text)) {
      emit("contentBlockDelta", {{"contentBlockIndex", index}, {"delta", wrap(piece)}});
    }
  };
  const auto stop = [&] { emit("contentBlockStop", {{"contentBlockIndex", index++}}); };
  if (!reply.reasoning.empty()) {
    deltas(reply.reasoning, [](const std::string& piece) -> json { return {{"reasoningContent", {{"text", piece}}}}; });
    emit("contentBlockDelta",
         {{"contentBlockIndex", index}, {"delta", {{"reasoningContent", {{"signature", "c2ln"}}}}}});
    stop();
  }
  if (!reply.text.empty()) {
    deltas(reply.text, [](const std::string& piece) -> json { return {{"text", piece}}; });
    stop();
  }
  for (const Call& call : reply.calls) {
    emit("contentBlockStart",
         {{"contentBlockIndex", index}, {"start", {{"toolUse", {{"toolUseId", call.id}, {"name", call.name}}}}}});
    deltas(call.arguments.dump(), [](const std::string& piece) -> json { return {{"toolUse", {{"input", piece}}}}; });
    stop();
  }
  emit("messageStop", {{"stopReason", kConverseStops.at(reply.finish)}});
  emit("metadata", {{"usage", ConverseUsageOf(reply)}, {"metrics", {{"latencyMs", 1}}}});
  return out;
}

uint32_t Crc32(std::string_view bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (const unsigned char byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xEDB88320 & (0 - (crc & 1)));
  }
  return ~crc;
}

std::string BigEndian(uint64_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i));
  return text;
}

}  // namespace

std::string AwsMessage(const std::vector<std::pair<std::string, std::string>>& headers, const std::string& payload) {
  constexpr int kString = 7;
  std::string head;
  for (const auto& [name, value] : headers) {
    head += BigEndian(name.size(), 1) + name + BigEndian(kString, 1) + BigEndian(value.size(), 2) + value;
  }
  // Twice a length, its checksum, what was said, the whole's checksum.
  std::string message = BigEndian(16 + head.size() + payload.size(), 4) + BigEndian(head.size(), 4);
  message += BigEndian(Crc32(message), 4) + head + payload;
  return message + BigEndian(Crc32(message), 4);
}

std::string WriteReply(Wire provider, const Reply& reply, Dice& dice) {
  switch (provider) {
    case Wire::kChat:
      return Dump(WriteChat(reply, dice), dice);
    case Wire::kMessages:
      return Dump(WriteMessages(reply), dice);
    case Wire::kGenerateContent:
      return Dump(WriteGemini(reply), dice);
    case Wire::kConverse:
      return Dump(WriteConverse(reply), dice);
    case Wire::kResponses:
      break;
  }
  throw std::runtime_error("no provider answers in this format");
}

std::string WriteReplyStream(Wire provider, const Reply& reply, Dice& dice) {
  switch (provider) {
    case Wire::kChat:
      return WriteChatStream(reply, dice);
    case Wire::kMessages:
      return WriteMessagesStream(reply, dice);
    case Wire::kGenerateContent:
      return WriteGeminiStream(reply, dice);
    case Wire::kConverse:
      return WriteConverseStream(reply, dice);
    case Wire::kResponses:
      break;
  }
  throw std::runtime_error("no provider streams in this format");
}

Reply ReadReply(Wire client, std::string_view body) {
  const json parsed = json::parse(body);
  if (client == Wire::kMessages) return ReadMessages(parsed);
  return client == Wire::kResponses ? ReadResponses(parsed) : ReadChat(parsed);
}

Reply ReadReplyStream(Wire client, std::string_view bytes) {
  if (client == Wire::kMessages) return ReadMessagesStream(bytes);
  return client == Wire::kResponses ? ReadResponsesStream(bytes) : ReadChatStream(bytes);
}

}  // namespace signalbox
