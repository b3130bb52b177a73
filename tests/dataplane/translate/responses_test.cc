// OpenAI's Responses for clients, and its answers as chat completions; embeddings' answers beside them. Bodies and
// events in the shape of OpenAI's documentation.
#include <gtest/gtest.h>

#include "tests/dataplane/translate/translated.h"

namespace signalbox {
namespace {

using nlohmann::json;

json Asked(std::string_view body) { return Translated(ResponsesClient().Request(body)); }

json Answered(const ClientTranslator& client, std::string_view chat) {
  const absl::StatusOr<std::string> answer = client.Answer(chat, kContext);
  EXPECT_TRUE(answer.ok()) << answer.status();
  return Parsed(answer.value_or("null"));
}

json Read(const AnswerTranslator& answers, std::string_view body) {
  const absl::StatusOr<std::string> answer = answers.Answer(body, kContext);
  EXPECT_TRUE(answer.ok()) << answer.status();
  return Parsed(answer.value_or("null"));
}

std::string Chunk(const std::string& delta, const std::string& finish = "null") {
  return R"(data: {"id":"c1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":)" +
         delta + R"(,"finish_reason":)" + finish + "}]}\n\n";
}

// The names of events, and the events; checks what holds of every stream of responses.
std::vector<Event> StreamOf(const std::string& chat, size_t piece = 7) {
  const Streamed streamed = FeedAll(*ResponsesClient().Stream(kContext), chat, piece);
  EXPECT_TRUE(streamed.status.ok()) << streamed.status;
  std::vector<Event> events = Events(streamed.text);
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].data["type"], events[i].name);
    EXPECT_EQ(events[i].data["sequence_number"], i);
  }
  return events;
}

std::string Names(const std::vector<Event>& events) {
  std::string names;
  for (const Event& event : events) names += event.name + "\n";
  return names;
}

TEST(ResponsesRequest, AStringIsTheUsersMessage) {
  EXPECT_EQ(Asked(R"({"model":"dynamic/r","instructions":"Be brief.","input":"Hi","max_output_tokens":50,
      "temperature":0.5,"top_p":0.25,"parallel_tool_calls":false,"metadata":{"email":"a@b.c"},"store":false,
      "truncation":"disabled","user":"u","service_tier":"flex","reasoning":{"effort":"low","summary":"auto"},
      "text":{"verbosity":"low","format":{"type":"json_schema","name":"out","strict":true,"schema":{"type":"object"}}},
      "include":["reasoning.encrypted_content","message.output_text.logprobs"],"top_logprobs":2,
      "previous_response_id":null,"stream":true,"stream_options":{"include_obfuscation":false},"seed":7})"),
            Parsed(R"({"model":"dynamic/r","messages":[{"role":"system","content":"Be brief."},
      {"role":"user","content":"Hi"}],"max_completion_tokens":50,"temperature":0.5,"top_p":0.25,
      "parallel_tool_calls":false,"metadata":{"email":"a@b.c"},"user":"u","service_tier":"flex",
      "reasoning_effort":"low","verbosity":"low","response_format":{"type":"json_schema","json_schema":{"name":"out",
      "strict":true,"schema":{"type":"object"}}},"logprobs":true,"top_logprobs":2,"stream":true,
      "stream_options":{"include_usage":true},"seed":7})"));
}

TEST(ResponsesRequest, ItemsOfOneTurnBecomeOneMessage) {
  EXPECT_EQ(Asked(R"({"model":"m","input":[
      {"role":"developer","content":"Rules."},
      {"type":"message","role":"user","content":[{"type":"input_text","text":"What is this?"},
        {"type":"input_image","image_url":"https://x/y.png","detail":"low"},
        {"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERg=="},
        {"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}}]},
      {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"Hm."}],
        "encrypted_content":"{\"thinking_blocks\":[{\"type\":\"thinking\",\"thinking\":\"Hm.\",\"signature\":\"s\"}]}"},
      {"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[
        {"type":"output_text","text":"Let me look.","annotations":[],"logprobs":[]}]},
      {"type":"function_call","id":"fc_1","call_id":"call_1","name":"look","arguments":"{\"a\":1}","status":"completed",
        "extra_content":{"google":{"thought_signature":"c2ln"}}},
      {"type":"function_call","call_id":"call_2","name":"now","arguments":"{}"},
      {"type":"function_call_output","call_id":"call_1","output":"a cat"},
      {"type":"function_call_output","call_id":"call_2","output":[{"type":"input_text","text":"12:30"}]},
      {"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"gAAAA"},
      {"role":"assistant","content":[{"type":"output_text","text":"A "},{"type":"output_text","text":"cat."}]},
      {"role":"assistant","content":[{"type":"refusal","refusal":"No more."}]},
      {"role":"user","content":"Thanks."}]})")["messages"],
            Parsed(R"([{"role":"developer","content":"Rules."},
      {"role":"user","content":[{"type":"text","text":"What is this?"},
        {"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"}},
        {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERg=="}},
        {"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}}]},
      {"role":"assistant","content":"Let me look.","reasoning_content":"Hm.",
        "thinking_blocks":[{"type":"thinking","thinking":"Hm.","signature":"s"}],"tool_calls":[
        {"id":"call_1","type":"function","function":{"name":"look","arguments":"{\"a\":1}"},
         "extra_content":{"google":{"thought_signature":"c2ln"}}},
        {"id":"call_2","type":"function","function":{"name":"now","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"call_1","content":"a cat"},
      {"role":"tool","tool_call_id":"call_2","content":[{"type":"text","text":"12:30"}]},
      {"role":"assistant","content":"A cat."},
      {"role":"assistant","content":"","refusal":"No more."},
      {"role":"user","content":"Thanks."}])"));
}

TEST(ResponsesRequest, ToolsAndToolChoice) {
  const json chat = Asked(R"({"model":"m","input":"x","tools":[{"type":"function","name":"f","description":"d",
      "parameters":{"type":"object"},"strict":true}],"tool_choice":{"type":"function","name":"f"}})");
  EXPECT_EQ(chat["tools"], Parsed(R"([{"type":"function","function":{"name":"f","description":"d",
      "parameters":{"type":"object"},"strict":true}}])"));
  EXPECT_EQ(chat["tool_choice"], Parsed(R"({"type":"function","function":{"name":"f"}})"));
  EXPECT_EQ(Asked(R"({"model":"m","input":"x","tool_choice":"required"})")["tool_choice"], "required");
  EXPECT_EQ(Asked(R"({"model":"m","input":"x","tool_choice":{"type":"allowed_tools","mode":"required","tools":[
      {"type":"function","name":"f"}]}})")["tool_choice"],
            Parsed(R"({"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[
      {"type":"function","function":{"name":"f"}}]}})"));
}

TEST(ResponsesRequest, WhatHasNoCounterpartIsRefusedByName) {
  const struct {
    const char* members;
    const char* param;
  } kCases[] = {
      {R"("input":"x","previous_response_id":"resp_1")", "previous_response_id"},
      {R"("input":"x","conversation":{"id":"c"})", "conversation"},
      {R"("input":"x","prompt":{"id":"p"})", "prompt"},
      {R"("input":"x","background":true)", "background"},
      {R"("input":"x","store":true)", "store"},
      {R"("input":"x","truncation":"auto")", "truncation"},
      {R"("input":"x","max_tool_calls":3)", "max_tool_calls"},
      {R"("input":"x","n":2)", "n"},
      {R"("input":"x","messages":[])", "messages"},
      {R"("input":"x","max_tokens":5)", "max_tokens"},
      {R"("input":"x","tools":[{"type":"web_search"}])", "tools[0].type"},
      {R"("input":"x","tools":[{"type":"function","name":"f","defer_loading":true}])", "tools[0].defer_loading"},
      {R"("input":"x","tool_choice":{"type":"mcp"})", "tool_choice"},
      {R"("input":"x","include":["web_search_call.results"])", "include[0]"},
      {R"("input":"x","text":{"format":{"type":"grammar"}})", "text.format.type"},
      {R"("input":"x","reasoning":{"context":"all"})", "reasoning.context"},
      {R"("instructions":[{"role":"user"}],"input":"x")", "instructions"},
      {R"("input":[{"type":"item_reference","id":"x"}])", "input[0].type"},
      {R"("input":[{"role":"user","content":[{"type":"input_image","file_id":"file-1"}]}])",
       "input[0].content[0].file_id"},
      {R"("input":[{"role":"user","content":[{"type":"input_file","file_url":"https://x"}]}])",
       "input[0].content[0].file_url"},
      {R"("input":[{"role":"user","content":[{"type":"input_video"}]}])", "input[0].content[0].type"},
      {R"("input":[{"role":"critic","content":"x"}])", "input[0].role"},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.members);
    const BodyFault fault = Refused(ResponsesClient().Request(std::string(R"({"model":"m",)") + test.members + "}"));
    EXPECT_EQ(fault.status, 400);
    EXPECT_EQ(fault.code, "unsupported_parameter");
    EXPECT_EQ(fault.param, test.param);
    EXPECT_NE(fault.message.find(std::string("`") + test.param + "` "), std::string::npos) << fault.message;
  }
}

TEST(ResponsesRequest, BadInputIsTheClientsFault) {
  EXPECT_EQ(Refused(ResponsesClient().Request("[]")).code, "invalid_json");
  for (const char* input : {"null", "7", "{}"}) {
    const BodyFault fault = Refused(ResponsesClient().Request(std::string(R"({"model":"m","input":)") + input + "}"));
    EXPECT_EQ(fault.code, "invalid_request");
    EXPECT_EQ(fault.param, "input");
  }
  EXPECT_EQ(Refused(ResponsesClient().Request(R"({"input":["x"]})")).param, "input[0]");
  EXPECT_EQ(Refused(ResponsesClient().Request(R"({"input":[{"role":"user","content":5}]})")).param, "input[0].content");
  EXPECT_EQ(Refused(ResponsesClient().Request(R"({"input":[{"type":"function_call_output","call_id":"a"}]})")).param,
            "input[0].output");
}

TEST(ResponsesAnswer, EveryKindOfOutput) {
  EXPECT_EQ(
      Answered(ResponsesClient(), R"({"id":"chatcmpl-1","object":"chat.completion","created":5,"model":"m-1",
      "choices":[{"index":0,"message":{"role":"assistant","content":"Hi é","reasoning_content":"Hm.","refusal":null,
      "annotations":[{"type":"url_citation","url_citation":{"url":"https://x","title":"X","start_index":0,"end_index":2}}],
      "thinking_blocks":[{"type":"thinking","thinking":"Hm.","signature":"s"}],
      "images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}],
      "tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"},
        "extra_content":{"google":{"thought_signature":"c2ln"}}}]},
      "logprobs":{"content":[{"token":"Hi","logprob":-0.5,"bytes":[72,105],"top_logprobs":[]}]},
      "finish_reason":"tool_calls"}],
      "usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,
      "prompt_tokens_details":{"cached_tokens":4,"audio_tokens":2},"completion_tokens_details":{"reasoning_tokens":3}}})"),
      Parsed(R"({"id":"resp_chatcmpl-1","object":"response","created_at":5,"status":"completed","background":false,
      "error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":null,"model":"m-1","output":[
      {"id":"rs_chatcmpl-1_0","type":"reasoning","status":"completed","summary":[{"type":"summary_text","text":"Hm."}],
       "encrypted_content":"{\"thinking_blocks\":[{\"type\":\"thinking\",\"thinking\":\"Hm.\",\"signature\":\"s\"}]}"},
      {"id":"msg_chatcmpl-1_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text",
       "text":"Hi é","annotations":[{"type":"url_citation","url":"https://x","title":"X","start_index":0,"end_index":2}],
       "logprobs":[{"token":"Hi","logprob":-0.5,"bytes":[72,105],"top_logprobs":[]}]}]},
      {"id":"ig_chatcmpl-1_2","type":"image_generation_call","status":"completed","result":"AAAA"},
      {"id":"fc_chatcmpl-1_3","type":"function_call","status":"completed","call_id":"call_1","name":"f",
       "arguments":"{\"a\":1}","extra_content":{"google":{"thought_signature":"c2ln"}}}],
      "parallel_tool_calls":true,"previous_response_id":null,"reasoning":{"effort":null,"summary":null},"store":false,
      "temperature":null,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":null,
      "truncation":"disabled","usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4,"audio_tokens":2},
      "output_tokens":7,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":17},"metadata":{}})"));
}

TEST(ResponsesAnswer, FinishReasonsAreStatuses) {
  const auto status = [](const std::string& reason) {
    const json response =
        Answered(ResponsesClient(), R"({"choices":[{"message":{"content":"x"},"finish_reason":")" + reason + "\"}]}");
    const json details = response["incomplete_details"];
    return response["status"].get<std::string>() +
           (details.is_null() ? "" : " " + details["reason"].get<std::string>());
  };
  EXPECT_EQ(status("stop"), "completed");
  EXPECT_EQ(status("tool_calls"), "completed");
  EXPECT_EQ(status("length"), "incomplete max_output_tokens");
  EXPECT_EQ(status("content_filter"), "incomplete content_filter");
}

TEST(ResponsesAnswer, AnAnswerGoesBackAsTheTurnItWas) {
  const json message = Parsed(R"({"role":"assistant","content":"Hi","reasoning_content":"Hm.",
      "thinking_blocks":[{"type":"thinking","thinking":"Hm.","signature":"s"}],
      "extra_content":{"google":{"thought_signature":"dGV4dA=="}},
      "tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"},
      "extra_content":{"google":{"thought_signature":"c2ln"}}}]})");
  const json chat = {{"choices", {{{"index", 0}, {"message", message}, {"finish_reason", "tool_calls"}}}}};
  const json response = Answered(ResponsesClient(), chat.dump());
  const json next = {{"model", "m"}, {"input", response["output"]}};
  EXPECT_EQ(Asked(next.dump())["messages"], json::array({message}));
}

TEST(ResponsesAnswer, WhatIsNoChatCompletionIsDataLoss) {
  for (const char* body : {"", "{}", R"({"choices":[]})", R"({"choices":[{"message":5}]})"}) {
    EXPECT_EQ(ResponsesClient().Answer(body, kContext).status().code(), absl::StatusCode::kDataLoss) << body;
  }
}

TEST(ResponsesError, IsOpenAisAlready) {
  const std::string error = R"({"error":{"message":"no","type":"rate_limit_error","code":"x","param":null}})";
  EXPECT_EQ(ResponsesClient().Error(429, error), error);
  EXPECT_EQ(Parsed(ResponsesClient().Error(502, "<html>"))["error"]["type"], "server_error");
}

TEST(ResponsesStream, ReasoningTextAndCallsInTheWholeSequence) {
  const std::string chat =
      Chunk(R"({"role":"assistant","content":""})") + Chunk(R"({"reasoning_content":"Hm"})") +
      Chunk(R"({"reasoning_content":"."})") + Chunk(R"({"content":"Hel"})") + Chunk(R"({"content":"lo é"})") +
      Chunk(R"({"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"f","arguments":""}}]})") +
      Chunk(R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]})") +
      Chunk(
          R"({"tool_calls":[{"index":1,"id":"call_b","type":"function","function":{"name":"g","arguments":"{}"}}]})") +
      Chunk(R"({"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]})") + Chunk("{}", R"("tool_calls")") +
      R"(data: {"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":9,"total_tokens":12}})"
      "\n\n" +
      "data: [DONE]\n\n";
  const std::vector<Event> events = StreamOf(chat);
  EXPECT_EQ(Names(events),
            "response.created\nresponse.in_progress\n"
            "response.output_item.added\nresponse.reasoning_summary_part.added\n"
            "response.reasoning_summary_text.delta\nresponse.reasoning_summary_text.delta\n"
            "response.reasoning_summary_text.done\nresponse.reasoning_summary_part.done\nresponse.output_item.done\n"
            "response.output_item.added\nresponse.content_part.added\n"
            "response.output_text.delta\nresponse.output_text.delta\n"
            "response.output_text.done\nresponse.content_part.done\nresponse.output_item.done\n"
            "response.output_item.added\nresponse.function_call_arguments.delta\n"
            "response.output_item.added\nresponse.function_call_arguments.delta\n"
            "response.function_call_arguments.delta\n"
            "response.function_call_arguments.done\nresponse.output_item.done\n"
            "response.function_call_arguments.done\nresponse.output_item.done\nresponse.completed\n");
  const json response = events.back().data["response"];
  EXPECT_EQ(response["status"], "completed");
  EXPECT_EQ(response["id"], "resp_c1");
  EXPECT_EQ(response["created_at"], 5);
  EXPECT_EQ(response["output"], Parsed(R"([
      {"id":"rs_c1_0","type":"reasoning","status":"completed","summary":[{"type":"summary_text","text":"Hm."}]},
      {"id":"msg_c1_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text",
       "text":"Hello é","annotations":[],"logprobs":[]}]},
      {"id":"fc_c1_2","type":"function_call","status":"completed","call_id":"call_a","name":"f","arguments":"{\"a\":1}"},
      {"id":"fc_c1_3","type":"function_call","status":"completed","call_id":"call_b","name":"g","arguments":"{}"}])"));
  EXPECT_EQ(response["usage"]["input_tokens"], 3);
  EXPECT_EQ(response["usage"]["output_tokens"], 9);
}

TEST(ResponsesStream, WhatTheProviderHidIsKeptForTheNextTurn) {
  const std::vector<Event> events =
      StreamOf(Chunk(R"({"reasoning_content":"Hm."})") +
               Chunk(R"({"thinking_blocks":[{"type":"thinking","thinking":"Hm.","signature":"s"}]})") +
               Chunk(R"({"content":"x"})") + Chunk(R"({"extra_content":{"google":{"thought_signature":"c2ln"}}})") +
               Chunk("{}", R"("stop")") + "data: [DONE]\n\n");
  const json output = events.back().data["response"]["output"];
  ASSERT_EQ(output.size(), 2u);
  EXPECT_EQ(output[0]["encrypted_content"],
            R"({"thinking_blocks":[{"type":"thinking","thinking":"Hm.","signature":"s"}]})");
  EXPECT_EQ(output[1]["extra_content"]["google"]["thought_signature"], "c2ln");
}

TEST(ResponsesStream, CapAndFilterMakeItIncomplete) {
  const std::vector<Event> events =
      StreamOf(Chunk(R"({"content":"x"})") + Chunk("{}", R"("length")") + "data: [DONE]\n\n");
  EXPECT_EQ(events.back().name, "response.incomplete");
  EXPECT_EQ(events.back().data["response"]["incomplete_details"]["reason"], "max_output_tokens");
}

TEST(ResponsesStream, RefusalsAndEmptyAnswersAreMessages) {
  std::vector<Event> events =
      StreamOf(Chunk(R"({"refusal":"I "})") + Chunk(R"({"refusal":"won't."})") + "data: [DONE]\n\n");
  EXPECT_EQ(events.back().data["response"]["output"][0]["content"],
            Parsed(R"([{"type":"refusal","refusal":"I won't."}])"));
  events = StreamOf(Chunk(R"({"role":"assistant","content":""})") + Chunk("{}", R"("stop")") + "data: [DONE]\n\n");
  EXPECT_EQ(events.back().data["response"]["output"][0]["content"][0]["text"], "");
}

TEST(ResponsesStream, AnErrorFailsTheResponseAndIsSaid) {
  const std::string error =
      R"(data: {"error":{"message":"cut","type":"server_error","code":"upstream_cut","param":null}})"
      "\n\n";
  std::vector<Event> events = StreamOf(Chunk(R"({"content":"x"})") + error + "data: [DONE]\n\n");
  ASSERT_GE(events.size(), 2u);
  EXPECT_EQ(events[events.size() - 2].name, "response.failed");
  EXPECT_EQ(events[events.size() - 2].data["response"]["status"], "failed");
  EXPECT_EQ(events[events.size() - 2].data["response"]["error"]["message"], "cut");
  EXPECT_EQ(events.back().name, "error");
  EXPECT_EQ(events.back().data["code"], "upstream_cut");
  EXPECT_EQ(events.back().data["error"]["message"], "cut");  // what the official client throws on
  events = StreamOf(error);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].name, "error");
}

TEST(ResponsesStream, ACutStreamHasNoEnd) {
  const std::vector<Event> events = StreamOf(Chunk(R"({"content":"x"})"));
  EXPECT_EQ(events.back().name, "response.output_text.delta");
}

TEST(ResponsesAnswers, OutputAndUsageAsAChatCompletion) {
  EXPECT_EQ(Read(ResponsesAnswers(), R"({"id":"resp_1","object":"response","created_at":9,"status":"completed",
      "model":"gpt-5-mini","output":[
      {"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"Hm."}]},
      {"id":"ws_1","type":"web_search_call","status":"completed"},
      {"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi","annotations":[]}]},
      {"id":"fc_1","type":"function_call","call_id":"call_1","name":"f","arguments":"{}"}],
      "usage":{"input_tokens":100,"input_tokens_details":{"cached_tokens":60},"output_tokens":50,
      "output_tokens_details":{"reasoning_tokens":30},"total_tokens":150}})"),
            Parsed(R"({"id":"resp_1","object":"chat.completion","created":9,"model":"gpt-5-mini","choices":[{"index":0,
      "message":{"role":"assistant","content":"Hi","reasoning_content":"Hm.","tool_calls":[{"id":"call_1",
      "type":"function","function":{"name":"f","arguments":"{}"}}],"refusal":null},"finish_reason":"tool_calls"}],
      "usage":{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
      "prompt_tokens_details":{"cached_tokens":60},"completion_tokens_details":{"reasoning_tokens":30}}})"));
}

TEST(ResponsesAnswers, IncompleteAndForeignBodies) {
  EXPECT_EQ(Read(ResponsesAnswers(), R"({"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},
      "output":[]})")["choices"][0]["finish_reason"],
            "length");
  EXPECT_EQ(Read(ResponsesAnswers(), R"({"status":"incomplete","incomplete_details":{"reason":"content_filter"},
      "output":[]})")["choices"][0]["finish_reason"],
            "content_filter");
  EXPECT_EQ(ResponsesAnswers().Answer(R"({"choices":[]})", kContext).status().code(), absl::StatusCode::kDataLoss);
}

constexpr char kNativeStream[] =
    "event: response.created\ndata: "
    "{\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\","
    "\"object\":\"response\",\"status\":\"in_progress\",\"model\":\"gpt-5\",\"output\":[]}}\n\n"
    "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{"
    "\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[]}}\n\n"
    "event: response.reasoning_summary_text.delta\ndata: {\"type\":\"response.reasoning_summary_text.delta\","
    "\"output_index\":0,\"delta\":\"Hm.\"}\n\n"
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":1,"
    "\"content_index\":0,\"delta\":\"Hi\",\"obfuscation\":\"x\"}\n\n"
    "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":2,\"item\":{"
    "\"type\":\"function_call\",\"call_id\":\"call_1\",\"name\":\"f\",\"arguments\":\"\"}}\n\n"
    "event: response.function_call_arguments.delta\ndata: {\"type\":\"response.function_call_arguments.delta\","
    "\"output_index\":2,\"delta\":\"{}\"}\n\n"
    "event: response.some_new_event\ndata: {\"type\":\"response.some_new_event\"}\n\n";

TEST(ResponsesAnswers, AStreamEndsWithItsLastEvent) {
  for (const size_t piece : {1, 13, 100000}) {
    const Gathered chat = GatherChat(
        FeedAll(*ResponsesAnswers().Stream(kContext),
                std::string(kNativeStream) +
                    R"(data: {"type":"response.completed","response":{"status":"completed","usage":{"input_tokens":9,)"
                    R"("input_tokens_details":{"cached_tokens":4},"output_tokens":5,"output_tokens_details":)"
                    R"({"reasoning_tokens":2},"total_tokens":14}}})"
                    "\n\n",
                piece)
            .text);
    EXPECT_EQ(chat.content, "Hi");
    EXPECT_EQ(chat.reasoning, "Hm.");
    EXPECT_EQ(chat.calls, std::vector<json>({Parsed(R"({"id":"call_1","name":"f","arguments":"{}"})")}));
    EXPECT_EQ(chat.finish_reason, "tool_calls");
    EXPECT_EQ(chat.usage, Parsed(R"({"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,
        "prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}})"));
    EXPECT_TRUE(chat.done);
  }
}

TEST(ResponsesAnswers, AStreamThatFailedOrWasCutHasNoEnd) {
  const auto gather = [](const std::string& last) {
    return GatherChat(FeedAll(*ResponsesAnswers().Stream(kContext), kNativeStream + last, 64).text);
  };
  Gathered chat = gather("");
  EXPECT_FALSE(chat.done);
  EXPECT_TRUE(chat.usage.is_null());
  chat = gather(R"(data: {"type":"response.failed","response":{"status":"failed","error":{"code":"server_error",)"
                R"("message":"boom"},"usage":{"input_tokens":9,"output_tokens":5}}})"
                "\n\n");
  EXPECT_FALSE(chat.done);
  EXPECT_EQ(chat.error["message"], "boom");
  EXPECT_EQ(chat.usage["prompt_tokens"], 9);
  chat = gather("event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"}\n\n");
  EXPECT_FALSE(chat.done);
  EXPECT_EQ(chat.error["type"], "rate_limit_error");
  EXPECT_EQ(chat.error["message"], "slow");
}

TEST(ResponsesAnswers, ErrorsKeepTheirWordsAndTheOriginal) {
  const json error = Parsed(ResponsesAnswers().Error(
      400, R"({"error":{"message":"bad","type":"invalid_request_error","param":"input","code":"x"}})"))["error"];
  EXPECT_EQ(error["message"], "bad");
  EXPECT_EQ(error["param"], "input");
  EXPECT_EQ(error["code"], "x");
  EXPECT_EQ(error["provider_error"]["type"], "invalid_request_error");
  EXPECT_EQ(Parsed(ResponsesAnswers().Error(503, "oops"))["error"]["provider_error"], "oops");
}

TEST(EmbeddingsAnswers, UsageIsInputAlone) {
  EXPECT_EQ(Read(EmbeddingsAnswers(), R"({"object":"list","data":[{"object":"embedding","index":0,
      "embedding":[0.0023,-0.009]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}})"),
            Parsed(R"({"id":"log-1","object":"chat.completion","created":1700000000,"model":"text-embedding-3-small",
      "choices":[],"usage":{"prompt_tokens":8,"completion_tokens":0,"total_tokens":8,
      "prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}})"));
  EXPECT_FALSE(Read(EmbeddingsAnswers(), R"({"data":[]})").contains("usage"));
  EXPECT_FALSE(Read(EmbeddingsAnswers(), R"({"data":[],"usage":{"prompt_tokens":-1}})").contains("usage"));
}

TEST(EmbeddingsAnswers, AnythingElseIsDataLoss) {
  for (const char* body : {"", "[]", "{}", R"({"data":7})"}) {
    EXPECT_EQ(EmbeddingsAnswers().Answer(body, kContext).status().code(), absl::StatusCode::kDataLoss) << body;
  }
  EXPECT_EQ(EmbeddingsAnswers().Stream(kContext)->Feed("x").status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace signalbox
