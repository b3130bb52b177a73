#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/give_back.h"
#include "common/limits.h"
#include "dataplane/provider/answer_stream.h"
#include "dataplane/provider/json_dom.h"
#include "dataplane/provider/usage.h"

namespace signalbox {
namespace {

namespace dom = simdjson::dom;

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kDone = "[DONE]";
// Scratch memory larger than this is given back: a thread serves thousands of streams.
constexpr size_t kKeptBytesMax = 64 << 10;

// The offset of the first CR or LF from `at` on; bytes.size() when there is none.
size_t LineEnd(std::string_view bytes, size_t at) {
  return std::find_if(bytes.begin() + at, bytes.end(), [](char c) { return c == '\n' || c == '\r'; }) - bytes.begin();
}

}  // namespace

struct ChatStream::State {
  explicit State(bool client_wants_usage) : client_wants_usage(client_wants_usage) {}

  // Takes in one whole event; true when the client gets it.
  bool TakeEvent(std::string_view event);
  bool TakeJson(const std::string& data);
  void NoteChoice(dom::element choice);
  void TakeUsage(v1::TokenUsage read, bool no_choices);
  // The event's data lines joined, into `data`; false when it has none.
  bool ReadData(std::string_view event, std::string& data, bool& is_error_event) const;

  const bool client_wants_usage;
  std::string pending;        // of the event that is not whole yet
  bool line_empty = true;     // nothing of the current line came yet
  bool first_line = true;     // of the stream: may be a byte order mark only
  bool skip_lf = false;       // the last byte was a CR that ended a line; a LF belongs to it
  bool last_relayed = false;  // whether the event that CR ended went to the client
  bool at_start = true;       // no event was whole yet
  bool too_long = false;
  bool done = false;
  bool error_event = false;
  size_t content_bytes = 0;
  std::optional<v1::TokenUsage> reported;  // the last one that says anything
  size_t content_bytes_reported = 0;       // content seen when it came
  bool report_is_final = false;            // nothing can come after it
  bool several_choices = false;
  bool began = false;     // a choice was seen
  bool finished = false;  // a choice said why it ended
  bool hit_cap = false;   // and that it was the cap
};

void ChatStream::State::NoteChoice(dom::element choice) {
  dom::object object;
  if (choice.get_object().get(object) != simdjson::SUCCESS) return;
  const Members fields(object);
  content_bytes += ContentBytes(fields, "delta");
  int64_t index = 0;
  const std::optional<dom::element> place = fields.Find("index");
  several_choices |= place && place->get_int64().get(index) == simdjson::SUCCESS && index > 0;
  const std::optional<dom::element> reason = fields.Find("finish_reason");
  std::string_view why;
  if (!reason || reason->get_string().get(why) != simdjson::SUCCESS) return;
  finished = true;
  hit_cap |= why == "length";
}

// A provider may report with every chunk what it was up to then: a report counts as the whole once the stream has said
// that it ends, else it is where an estimate begins.
void ChatStream::State::TakeUsage(v1::TokenUsage read, bool no_choices) {
  const bool says_nothing = read.input() == 0 && read.output() == 0;
  const bool said_something = reported && (reported->input() > 0 || reported->output() > 0);
  if (says_nothing && said_something) return;
  reported = std::move(read);
  content_bytes_reported = content_bytes;
  report_is_final = no_choices || (finished && !several_choices);
}

bool ChatStream::State::ReadData(std::string_view event, std::string& data, bool& is_error_event) const {
  data.clear();
  data.reserve(event.size() + simdjson::SIMDJSON_PADDING);  // so that it is parsed where it stands
  bool found = false;
  if (at_start && event.substr(0, kByteOrderMark.size()) == kByteOrderMark) event.remove_prefix(kByteOrderMark.size());
  while (!event.empty()) {
    const size_t end = LineEnd(event, 0);
    const std::string_view line = event.substr(0, end);
    // The LF of a CRLF then makes an empty line, which says nothing.
    event.remove_prefix(std::min(end + 1, event.size()));
    const size_t colon = line.find(':');
    const std::string_view field = line.substr(0, colon);
    std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
    if (!value.empty() && value[0] == ' ') value.remove_prefix(1);
    if (field == "event") is_error_event = value == "error";
    if (field != "data") continue;
    if (found) data += '\n';
    data.append(value);
    found = true;
  }
  return found;
}

bool ChatStream::State::TakeJson(const std::string& json) {
  thread_local dom::document document;
  if (document.capacity() > kKeptBytesMax) document = dom::document();
  if (ParseDom(json, json.capacity(), document) != simdjson::SUCCESS) return true;
  dom::object object;
  if (document.root().get_object().get(object) != simdjson::SUCCESS) return true;
  const Members chunk(object);
  const std::optional<dom::element> error = chunk.Find("error");
  const bool has_error = error && !error->is_null();
  error_event |= has_error;
  bool no_choices = true;
  dom::array choices;
  if (const std::optional<dom::element> found = chunk.Find("choices");
      found && found->get_array().get(choices) == simdjson::SUCCESS) {
    no_choices = choices.begin() == choices.end();
    for (const dom::element choice : choices) {
      NoteChoice(choice);
      began = true;
    }
  }
  if (std::optional<v1::TokenUsage> read = FindUsage(chunk)) TakeUsage(*std::move(read), no_choices);
  const std::optional<dom::element> named = chunk.Find("usage");
  const bool usage_only = no_choices && named && named->type() == dom::element_type::OBJECT;
  return client_wants_usage || !usage_only || has_error;
}

bool ChatStream::State::TakeEvent(std::string_view event) {
  thread_local std::string data;  // scratch
  if (data.capacity() > kKeptBytesMax) GiveBack(data);
  bool is_error_event = false;
  const bool has_data = ReadData(event, data, is_error_event);
  const bool was_done = done;
  at_start = false;
  bool relay = true;
  if (has_data) {
    if (data == kDone) {
      done = true;
    } else {
      error_event |= is_error_event;
      relay = TakeJson(data);
    }
  }
  return relay && !was_done;
}

ChatStream::ChatStream(bool client_wants_usage) : state_(std::make_unique<State>(client_wants_usage)) {}
ChatStream::~ChatStream() = default;

absl::StatusOr<std::string> ChatStream::Feed(std::string_view bytes) {
  State& s = *state_;
  std::string out;
  size_t begin = 0;  // of the event in `bytes`, behind what is pending
  size_t at = 0;
  if (s.skip_lf && !bytes.empty()) {
    s.skip_lf = false;
    if (bytes[0] == '\n') {
      at = 1;
      // Behind a blank line the LF belongs to an event already given out; else to a line of the pending one.
      if (s.pending.empty()) {
        begin = 1;
        if (s.last_relayed) out += '\n';
      }
    }
  }
  while (at < bytes.size() && !s.too_long) {
    const size_t end = LineEnd(bytes, at);
    if (end == bytes.size()) {
      s.line_empty = false;
      break;
    }
    size_t next = end + 1;
    bool cut_cr = false;
    if (bytes[end] == '\r') {
      if (next == bytes.size()) {
        cut_cr = true;
      } else if (bytes[next] == '\n') {
        ++next;
      }
    }
    bool blank = s.line_empty && end == at;
    if (s.first_line && !blank) {
      const std::string line = absl::StrCat(s.pending, std::string(bytes.substr(begin, end - begin)));
      blank = line == kByteOrderMark;
    }
    s.first_line = false;
    s.line_empty = true;
    s.skip_lf = cut_cr;
    at = next;
    if (!blank) continue;
    const std::string_view part = bytes.substr(begin, next - begin);
    s.too_long = s.pending.size() + part.size() > kSseEventBytesMax;
    if (s.too_long) break;
    if (s.pending.empty()) {
      s.last_relayed = s.TakeEvent(part);
      if (s.last_relayed) out.append(part);
    } else {
      s.pending.append(part);
      s.last_relayed = s.TakeEvent(s.pending);
      if (s.last_relayed) out.append(s.pending);
      GiveBack(s.pending);
    }
    begin = next;
  }
  const std::string_view rest = bytes.substr(begin);
  s.too_long |= s.pending.size() + rest.size() > kSseEventBytesMax;
  if (s.too_long) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the provider sent a stream event of more than ", kSseEventBytesMax, " bytes"));
  }
  s.pending.append(rest);
  return out;
}

std::string ChatStream::Finish() {
  State& s = *state_;
  std::string rest = std::exchange(s.pending, std::string());
  if (rest.empty() || s.done || s.too_long) return "";
  s.TakeEvent(rest);
  return s.done ? rest + "\n\n" : "";
}

bool ChatStream::done() const { return state_->done; }
std::optional<v1::TokenUsage> ChatStream::usage() const {
  const State& s = *state_;
  return s.done || s.report_is_final ? s.reported : std::nullopt;
}

v1::TokenUsage ChatStream::Estimate(size_t request_bytes) const {
  const State& s = *state_;
  if (!s.reported) return EstimateUsage(request_bytes, s.content_bytes);
  v1::TokenUsage usage = *s.reported;
  usage.set_output(usage.output() + EstimateUsage(0, s.content_bytes - s.content_bytes_reported).output());
  return usage;
}

size_t ChatStream::content_bytes() const { return state_->content_bytes; }
bool ChatStream::began() const { return state_->began; }
bool ChatStream::error_event() const { return state_->error_event; }
bool ChatStream::hit_cap() const { return state_->hit_cap; }
std::string ChatStream::ErrorEvent(std::string_view chat_error) {
  return absl::StrCat("data: ", std::string(chat_error), "\n\n");
}

}  // namespace signalbox
