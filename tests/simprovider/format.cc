#include "tests/simprovider/format.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace signalbox::sim {
namespace {

constexpr std::string_view kDeployments = "/openai/deployments/";
constexpr std::string_view kModels = "/models/";
constexpr std::string_view kBedrockModel = "/model/";

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

int Nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// What stands between `before` and the path's end `after`; empty: the path is another.
std::string Between(std::string_view path, std::string_view before, std::string_view after) {
  const size_t at = path.rfind(before);
  if (at == std::string_view::npos || !EndsWith(path, after)) return "";
  const size_t begin = at + before.size();
  if (begin + after.size() >= path.size()) return "";
  return PercentDecode(path.substr(begin, path.size() - begin - after.size()));
}

}  // namespace

std::string PercentDecode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && Nibble(text[i + 1]) >= 0 && Nibble(text[i + 2]) >= 0) {
      decoded += static_cast<char>(Nibble(text[i + 1]) * 16 + Nibble(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

std::string QueryValue(std::string_view query, std::string_view name) {
  for (const absl::string_view piece : absl::StrSplit(absl::string_view(query.data(), query.size()), '&')) {
    const std::string_view pair(piece.data(), piece.size());
    const size_t equals = pair.find('=');
    if (pair.substr(0, equals) != name || equals == std::string_view::npos) continue;
    return PercentDecode(pair.substr(equals + 1));
  }
  return "";
}

std::string Format::Wire(const Target&, const StreamEvent& event, bool, bool) const {
  return event.name.empty() ? absl::StrCat("data: ", event.data, "\n\n")
                            : absl::StrCat("event: ", event.name, "\ndata: ", event.data, "\n\n");
}

std::string_view Format::StreamType(const Target&) const { return "text/event-stream; charset=utf-8"; }

const Format* FormatOf(std::string_view target, Target& parsed) {
  const size_t question = target.find('?');
  const std::string_view path = target.substr(0, question);
  parsed.path = std::string(path);
  if (question != std::string_view::npos) parsed.query = std::string(target.substr(question + 1));
  if (EndsWith(path, "/chat/completions")) {
    parsed.model = Between(path, kDeployments, "/chat/completions");
    return &ChatFormat();
  }
  if (EndsWith(path, "/embeddings")) {
    parsed.model = Between(path, kDeployments, "/embeddings");
    return &EmbeddingsFormat();
  }
  if (EndsWith(path, "/messages")) return &MessagesFormat();
  if (EndsWith(path, "/responses")) return &ResponsesFormat();
  parsed.model = Between(path, kModels, ":generateContent");
  if (!parsed.model.empty()) return &GenerateContentFormat();
  parsed.model = Between(path, kModels, ":streamGenerateContent");
  if (!parsed.model.empty()) {
    parsed.stream = true;
    parsed.sse = QueryValue(parsed.query, "alt") == "sse";
    return &GenerateContentFormat();
  }
  parsed.model = Between(path, kBedrockModel, "/converse");
  if (!parsed.model.empty()) return &ConverseFormat();
  parsed.model = Between(path, kBedrockModel, "/converse-stream");
  parsed.stream = true;
  return parsed.model.empty() ? nullptr : &ConverseFormat();
}

absl::StatusOr<Ask> ReadAsk(const Format& format, const Target& target, std::string_view body) {
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Invalid("We could not parse the JSON body of your request.");
  try {
    return format.Read(target, json);
  } catch (const Json::exception& error) {  // a value of another type than the format has there
    return Invalid(absl::StrCat("Invalid request: ", error.what()));
  }
}

}  // namespace signalbox::sim
