#include "dataplane/provider/usage.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/model_price.h"
#include "dataplane/provider/answer_stream.h"
#include "dataplane/provider/json_dom.h"
#include "dataplane/provider/request_body.h"

namespace signalbox {
namespace {

namespace dom = simdjson::dom;
namespace ondemand = simdjson::ondemand;
__extension__ typedef __int128 Int128;

// No request of today's or tomorrow's models comes near: such a figure is a fault of the provider's.
constexpr int64_t kUsageTokensMax = 1'000'000'000;
constexpr int64_t kBytesPerToken = 4;
constexpr size_t kKeptDocumentBytesMax = 64 << 10;  // of a document's memory from one answer to the next

std::optional<int64_t> Tokens(const std::optional<dom::element>& element) {
  if (!element) return std::nullopt;
  int64_t count = 0;
  double number = 0;
  if (element->get_int64().get(count) != simdjson::SUCCESS) {
    // 12.0 is the same JSON number as 12.
    if (element->type() != dom::element_type::DOUBLE || element->get_double().get(number) != simdjson::SUCCESS ||
        number != std::floor(number) || number < 0 || number > kUsageTokensMax) {
      return std::nullopt;
    }
    count = static_cast<int64_t>(number);
  }
  if (count < 0 || count > kUsageTokensMax) return std::nullopt;
  return count;
}

std::optional<Members> Member(const Members& object, std::string_view key) {
  const std::optional<dom::element> found = object.Find(key);
  dom::object member;
  if (!found || found->get_object().get(member) != simdjson::SUCCESS) return std::nullopt;
  return Members(member);
}

size_t StringBytes(const Members& object, std::string_view key) {
  const std::optional<dom::element> found = object.Find(key);
  std::string_view text;
  return found && found->get_string().get(text) == simdjson::SUCCESS ? text.size() : 0;
}

size_t FunctionBytes(const Members& object) { return StringBytes(object, "name") + StringBytes(object, "arguments"); }

std::optional<dom::array> FindArray(const Members& object, std::string_view key) {
  const std::optional<dom::element> found = object.Find(key);
  dom::array inner;
  if (!found || found->get_array().get(inner) != simdjson::SUCCESS) return std::nullopt;
  return inner;
}

// What one of several names says: the first that says more than nothing, for many send a zero beside the real figure.
int64_t FirstPositive(const Members& object, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    if (const std::optional<int64_t> count = Tokens(object.Find(key)); count.value_or(0) > 0) return *count;
  }
  return 0;
}

// The figures of one usage object before they are reconciled.
struct Reported {
  int64_t input = 0;
  int64_t output = 0;
  std::optional<int64_t> total;
  int64_t cached = 0;
  int64_t written = 0;
  int64_t written_1h = 0;
  int64_t reasoning = 0;
  int64_t citation = 0;
  // What is spoken, drawn and filmed, of it cached; what the provider searched besides.
  int64_t audio_input = 0;
  int64_t image_input = 0;
  int64_t video_input = 0;
  int64_t cached_audio_input = 0;
  int64_t cached_image_input = 0;
  int64_t audio_output = 0;
  int64_t image_output = 0;
  int64_t video_output = 0;
  int64_t web_searches = 0;
  // Anthropic's names for cache reads and writes, which its own API counts beside the input.
  int64_t anthropic_cache = 0;
  bool anthropic_names = false;  // input_tokens: then they surely stand beside
  bool reasoning_apart = false;  // reasoning_tokens beside the totals, not in their details
  bool perplexity = false;       // whose reasoning and citations always stand beside the completion
};

// Citations and searches, which only some providers have.
void ReadBesides(const Members& usage, Reported& figures) {
  figures.citation = FirstPositive(usage, {"citation_tokens"});
  figures.perplexity = usage.Find("citation_tokens") || usage.Find("num_search_queries");
  figures.web_searches = FirstPositive(usage, {"num_search_queries"});
  if (const auto tools = Member(usage, "server_tool_use")) {
    figures.web_searches = FirstPositive(*tools, {"web_search_requests"});
  }
}

// False: no usage without both totals.
bool ReadFigures(const Members& usage, Reported& figures) {
  const bool plain = usage.Find("prompt_tokens") || usage.Find("completion_tokens");
  const std::optional<int64_t> input = Tokens(usage.Find(plain ? "prompt_tokens" : "input_tokens"));
  const std::optional<int64_t> output = Tokens(usage.Find(plain ? "completion_tokens" : "output_tokens"));
  if (!input || !output) return false;
  figures.input = *input;
  figures.output = *output;
  figures.total = Tokens(usage.Find("total_tokens"));
  const int64_t anthropic_read = FirstPositive(usage, {"cache_read_input_tokens"});
  const int64_t anthropic_written = FirstPositive(usage, {"cache_creation_input_tokens"});
  figures.anthropic_cache = anthropic_read + anthropic_written;
  figures.anthropic_names = !plain;
  if (const auto details = Member(usage, plain ? "prompt_tokens_details" : "input_tokens_details")) {
    figures.cached = FirstPositive(*details, {"cached_tokens", "cache_read_input_tokens"});
    figures.written =
        FirstPositive(*details, {"cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens"});
    figures.written_1h = FirstPositive(*details, {"cache_write_1h_tokens"});
    figures.audio_input = FirstPositive(*details, {"audio_tokens"});
    figures.image_input = FirstPositive(*details, {"image_tokens"});
    figures.video_input = FirstPositive(*details, {"video_tokens"});
    if (const auto cached = Member(*details, "cached_tokens_details")) {
      figures.cached_audio_input = FirstPositive(*cached, {"audio_tokens"});
      figures.cached_image_input = FirstPositive(*cached, {"image_tokens"});
    }
  }
  // DeepSeek; Moonshot; Anthropic's compatible endpoint.
  if (figures.cached == 0) figures.cached = FirstPositive(usage, {"prompt_cache_hit_tokens", "cached_tokens"});
  if (figures.cached == 0) figures.cached = anthropic_read;
  if (figures.written == 0) figures.written = FirstPositive(usage, {"cache_write_tokens"});
  if (figures.written == 0) figures.written = anthropic_written;
  if (const auto creation = Member(usage, "cache_creation"); creation && figures.written_1h == 0) {
    figures.written_1h = FirstPositive(*creation, {"ephemeral_1h_input_tokens"});
  }
  if (const auto details = Member(usage, plain ? "completion_tokens_details" : "output_tokens_details")) {
    figures.reasoning = FirstPositive(*details, {"reasoning_tokens"});
    figures.audio_output = FirstPositive(*details, {"audio_tokens"});
    figures.image_output = FirstPositive(*details, {"image_tokens"});
    figures.video_output = FirstPositive(*details, {"video_tokens"});
  }
  if (figures.reasoning == 0) {
    figures.reasoning = FirstPositive(usage, {"reasoning_tokens"});  // Perplexity
    figures.reasoning_apart = figures.reasoning > 0;
  }
  ReadBesides(usage, figures);
  return true;
}

int64_t Excess(const Reported& figures) {
  return figures.total ? std::max<int64_t>(*figures.total - figures.input - figures.output, 0) : 0;
}

// Makes input contain the cache and output the reasoning, as OpenAI counts them. What proves that a provider counts
// beside: the total, or a part larger than its whole.
void Reconcile(Reported& figures) {
  const int64_t cache = figures.anthropic_cache;
  const bool explained_by_reasoning = figures.reasoning > 0 && Excess(figures) == figures.reasoning;
  const bool listed_is_all = figures.total && *figures.total == figures.input + figures.output;
  const bool cache_beside = (figures.anthropic_names && !listed_is_all) || cache > figures.input ||
                            (Excess(figures) == cache && !explained_by_reasoning);
  if (cache > 0 && cache_beside) figures.input += cache;
  if (figures.perplexity) {
    figures.output += figures.citation + (figures.reasoning_apart ? figures.reasoning : 0);
    return;
  }
  // xAI counts reasoning beside the completion; Gemini's compatible endpoint names it nowhere but in the total.
  // A total that is more than what is listed was paid for: at the output's price, which is what reasoning costs.
  int64_t beside = Excess(figures);
  if (figures.reasoning > figures.output && (figures.reasoning_apart || !listed_is_all)) {
    beside = std::max(beside, figures.reasoning);
  }
  figures.output += beside;
  figures.reasoning = std::max(figures.reasoning, beside);
}

// As it stands in `json`. Throws where that is not what it says.
std::string_view PlainKey(ondemand::field& field, const std::string& json) {
  const char* const begin = field.key().raw();
  std::string_view key(begin, static_cast<size_t>(json.data() + json.size() - begin));
  key = key.substr(0, key.find('"'));
  if (key.find('\\') != std::string_view::npos) throw simdjson::simdjson_error(simdjson::STRING_ERROR);
  return key;
}

void ReadChoice(ondemand::object choice, const std::string& json, UnaryReport& report) {
  bool hit_cap = false;  // as the last field of that name says
  for (ondemand::field field : choice) {
    std::string_view reason;
    if (PlainKey(field, json) != "finish_reason") continue;
    hit_cap = field.value().get_string().get(reason) == simdjson::SUCCESS && reason == "length";
  }
  report.hit_cap |= hit_cap;
}

// The report of an answer whose usage is where most have it. Nothing has to be known of the text then, which is nearly
// all of the answer: it is passed over. False, or throws simdjson_error, where that cannot be done.
bool PassOver(const std::string& json, ondemand::parser& parser, UnaryReport& report) {
  ondemand::document answer = parser.iterate(json.data(), json.size(), json.capacity());
  std::string_view usage;
  bool error = false, choices = false;
  for (ondemand::field field : answer.get_object()) {
    const std::string_view key = PlainKey(field, json);
    ondemand::value value = field.value();
    if (key == "usage") {
      ondemand::object object = value.get_object();
      usage = object.raw_json();
    } else if (key == "error") {
      error = value.type() != ondemand::json_type::null;
    } else if (key == "choices") {
      choices = true;
      report.hit_cap = false;
      for (ondemand::value choice : value.get_array()) ReadChoice(choice.get_object(), json, report);
    }
  }
  const char* behind = nullptr;
  if (answer.current_location().get(behind) != simdjson::OUT_OF_BOUNDS || usage.empty()) return false;
  thread_local dom::document figures;
  if (figures.capacity() > kKeptDocumentBytesMax) figures = dom::document();
  const size_t readable_bytes = static_cast<size_t>(json.data() + json.capacity() - usage.data());
  if (ParseDom(usage, readable_bytes, figures) != simdjson::SUCCESS) return false;
  report.usage = ReadUsage(figures.root());
  report.names_usage = true;
  report.only_error = error && !choices;
  return report.usage.has_value();
}

bool PassOver(const std::string& json, UnaryReport& report) {
  if (json.capacity() < json.size() + simdjson::SIMDJSON_PADDING) return false;
  thread_local std::unique_ptr<ondemand::parser> parser;
  if (parser == nullptr) parser = std::make_unique<ondemand::parser>();
  bool passed = false;
  try {
    passed = PassOver(json, *parser, report);
  } catch (const simdjson::simdjson_error&) {  // it is read with more patience, then
  }
  if (parser->capacity() > kKeptDocumentBytesMax) parser.reset();
  return passed;
}

}  // namespace

std::optional<v1::TokenUsage> ReadUsage(dom::element element) {
  dom::object usage;
  Reported figures;
  if (element.get_object().get(usage) != simdjson::SUCCESS || !ReadFigures(Members(usage), figures)) {
    return std::nullopt;
  }
  Reconcile(figures);
  std::optional<v1::TokenUsage> read(std::in_place);
  v1::TokenUsage& result = *read;
  result.set_input(figures.input);
  result.set_cached_input(std::min(figures.cached, figures.input));
  result.set_cache_write(std::min(figures.written, figures.input - result.cached_input()));
  result.set_cache_write_1h(std::min(figures.written_1h, result.cache_write()));
  int64_t left = figures.input - result.cached_input() - result.cache_write();
  const auto part = [&left](int64_t count, int64_t cached) {
    const int64_t taken = std::min(std::max<int64_t>(count - cached, 0), left);
    left -= taken;
    return cached + taken;
  };
  result.set_cached_audio_input(std::min(figures.cached_audio_input, result.cached_input()));
  result.set_cached_image_input(
      std::min(figures.cached_image_input, result.cached_input() - result.cached_audio_input()));
  result.set_audio_input(part(figures.audio_input, result.cached_audio_input()));
  result.set_image_input(part(figures.image_input, result.cached_image_input()));
  result.set_video_input(part(figures.video_input, 0));
  result.set_output(figures.output);
  result.set_reasoning(std::min(figures.reasoning, figures.output));
  result.set_citation(std::min(figures.citation, figures.output));
  result.set_audio_output(std::min(figures.audio_output, figures.output));
  result.set_image_output(std::min(figures.image_output, figures.output));
  result.set_video_output(std::min(figures.video_output, figures.output));
  result.set_web_searches(figures.web_searches);
  return read;
}

size_t ContentBytes(const Members& choice, std::string_view holder) {
  const std::optional<Members> delta = Member(choice, holder);
  if (!delta) return 0;
  // Some providers send the same reasoning under both names.
  size_t bytes = StringBytes(*delta, "content") + StringBytes(*delta, "refusal") +
                 std::max(StringBytes(*delta, "reasoning_content"), StringBytes(*delta, "reasoning"));
  if (const std::optional<Members> call = Member(*delta, "function_call")) bytes += FunctionBytes(*call);
  const std::optional<dom::array> calls = FindArray(*delta, "tool_calls");
  if (!calls) return bytes;
  for (const dom::element call : *calls) {
    dom::object fields;
    if (call.get_object().get(fields) != simdjson::SUCCESS) continue;
    if (const std::optional<Members> function = Member(Members(fields), "function")) bytes += FunctionBytes(*function);
  }
  return bytes;
}

std::optional<v1::TokenUsage> FindUsage(const Members& message) {
  if (const std::optional<dom::element> usage = message.Find("usage")) {
    if (std::optional<v1::TokenUsage> read = ReadUsage(*usage)) return read;
  }
  if (const std::optional<Members> groq = Member(message, "x_groq")) {
    if (const std::optional<dom::element> usage = groq->Find("usage")) {
      if (std::optional<v1::TokenUsage> read = ReadUsage(*usage)) return read;
    }
  }
  const std::optional<dom::element> found = message.Find("choices");
  dom::array choices;
  if (!found || found->get_array().get(choices) != simdjson::SUCCESS) return std::nullopt;
  std::optional<v1::TokenUsage> last;
  for (const dom::element choice : choices) {
    dom::object fields;
    if (choice.get_object().get(fields) != simdjson::SUCCESS) continue;
    const std::optional<dom::element> usage = Members(fields).Find("usage");  // Moonshot's streams
    if (!usage) continue;
    if (std::optional<v1::TokenUsage> read = ReadUsage(*usage)) last = std::move(read);
  }
  return last;
}

std::optional<v1::TokenUsage> ParseUsage(std::string_view response_json) {
  return ReadUnary(std::string(response_json)).usage;
}

UnaryReport ReadUnary(const std::string& response_json) {
  UnaryReport report;
  if (PassOver(response_json, report)) return report;
  report = UnaryReport();
  report.content_bytes = response_json.size();  // nothing better is known of what cannot be read
  thread_local dom::document document;
  if (document.capacity() > kKeptDocumentBytesMax) document = dom::document();
  if (ParseDom(response_json, response_json.capacity(), document) != simdjson::SUCCESS) return report;
  dom::object object;
  if (document.root().get_object().get(object) != simdjson::SUCCESS) return report;
  const Members root(object);
  report.usage = FindUsage(root);
  report.names_usage = report.usage.has_value() || Member(root, "usage").has_value();
  const std::optional<dom::element> error = root.Find("error");
  report.only_error = error && !error->is_null() && !root.Find("choices");
  const std::optional<dom::element> found = root.Find("choices");
  dom::array choices;
  if (!found || found->get_array().get(choices) != simdjson::SUCCESS) return report;
  report.content_bytes = 0;
  for (const dom::element choice : choices) {
    dom::object fields;
    std::string_view reason;
    if (choice.get_object().get(fields) != simdjson::SUCCESS) continue;
    const Members members(fields);
    report.content_bytes += ContentBytes(members, "message");
    const std::optional<dom::element> found_reason = members.Find("finish_reason");
    report.hit_cap |= found_reason && found_reason->get_string().get(reason) == simdjson::SUCCESS && reason == "length";
  }
  return report;
}

v1::TokenUsage EstimateUsage(size_t request_bytes, size_t content_bytes) {
  const auto tokens = [](size_t bytes) {
    return static_cast<int64_t>(bytes / kBytesPerToken) + (bytes % kBytesPerToken != 0 ? 1 : 0);
  };
  v1::TokenUsage usage;
  usage.set_input(tokens(request_bytes));
  usage.set_output(tokens(content_bytes));
  return usage;
}

InputBound BoundInput(const RequestBody& body, size_t sent_bytes, const v1::ModelPrice& price) {
  const RequestBody::Parts parts = body.parts();
  struct Kind {
    const char* name;
    int64_t count;
    bool known;
    int64_t tokens_max;
  };
  const Kind kinds[] = {
      {"image", parts.images, price.has_image_tokens_max(), price.image_tokens_max()},
      {"audio", parts.audio, price.has_audio_tokens_max(), price.audio_tokens_max()},
      {"file", parts.files, price.has_file_tokens_max(), price.file_tokens_max()},
  };
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  InputBound bound;
  // A token is at least a byte, so bytes bound the text's tokens; a part may be a link to anything.
  Int128 tokens = std::max(sent_bytes, body.body_bytes());
  if (parts.tools) tokens += kToolPromptTokensMax;
  for (const Kind& kind : kinds) {
    if (kind.count == 0) continue;
    if (!kind.known && bound.unbounded.ok()) {
      bound.unbounded = absl::FailedPreconditionError(absl::StrCat(
          "the request has ", kind.count, " ", kind.name, kind.count == 1 ? " part" : " parts",
          ", and the price of model \"", price.model(), "\" does not say how many tokens one can become: set ",
          kind.name, "_tokens_max in its price, or send no ", kind.name, " parts"));
    }
    tokens += Int128{kind.count} * std::max<int64_t>(kind.tokens_max, 0);
  }
  bound.tokens = static_cast<int64_t>(std::min<Int128>(tokens, kMax));
  // A longer prompt may cost more a token: no tier that this one cannot reach counts.
  const DearestRates dearest = DearestRatesOf(price, bound.unbounded.ok() ? bound.tokens : kMax);
  const Int128 nanos =
      (Int128{bound.tokens} * std::max<int64_t>(dearest.input_nanos_per_mtok, 0) + kTokensPerPriceUnit - 1) /
          kTokensPerPriceUnit +
      dearest.request_nanos;
  bound.nanos = static_cast<int64_t>(std::min<Int128>(nanos, kMax));
  bound.output_nanos_per_mtok = dearest.output_nanos_per_mtok;
  return bound;
}

AttemptVerdict JudgeStatus(int http_status) {
  if (http_status >= 200 && http_status < 300) return AttemptVerdict::kAnswered;
  if (http_status == 408 || http_status == 409 || http_status == 429 || http_status >= 500) {
    return AttemptVerdict::kRetry;
  }
  if (http_status == 401 || http_status == 403 || http_status == 404) return AttemptVerdict::kFallback;
  if (http_status >= 400) return AttemptVerdict::kClientFault;
  // A redirect (not followed: the secret would go along) or no final status: this provider will not answer.
  return AttemptVerdict::kFallback;
}

}  // namespace signalbox
