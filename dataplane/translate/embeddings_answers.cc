#include <simdjson.h>

#include <utility>

#include "dataplane/translate/responses_wire.h"

namespace signalbox {
namespace {

namespace dom = simdjson::dom;

// Past so many bytes a parser is not kept: embeddings are large, and a thread has them now and then.
constexpr size_t kKeptParserBytesMax = 256 << 10;

class NoStream : public StreamTranslator {
 public:
  absl::StatusOr<std::string> Feed(std::string_view bytes) override {
    if (bytes.empty()) return std::string();
    return absl::DataLossError("the provider streams embeddings, which are one JSON object");
  }
  std::string Finish() override { return ""; }
};

class EmbeddingsTranslator : public AnswerTranslator {
 public:
  // Only what is said of the vectors is read: they are megabytes of numbers that nobody here wants.
  absl::StatusOr<std::string> Answer(std::string_view body, const AnswerContext& context) const override {
    thread_local std::unique_ptr<dom::parser> parser;
    if (parser == nullptr) parser = std::make_unique<dom::parser>();
    std::optional<std::string> chat = Read(*parser, body, context);
    if (parser->capacity() > kKeptParserBytesMax) parser.reset();
    if (!chat) return absl::DataLossError("the provider's answer has no data: a list of embeddings was expected");
    return *std::move(chat);
  }

  std::string Error(int status, std::string_view body) const override { return OpenAiError(status, body); }

  std::unique_ptr<StreamTranslator> Stream(const AnswerContext& context) const override {
    return std::make_unique<NoStream>();
  }

 private:
  static std::optional<std::string> Read(dom::parser& parser, std::string_view body, const AnswerContext& context) {
    dom::element root;
    dom::array data;
    if (parser.parse(body.data(), body.size()).get(root) != simdjson::SUCCESS || !root.is_object() ||
        root["data"].get_array().get(data) != simdjson::SUCCESS) {
      return std::nullopt;
    }
    AnswerContext named = context;
    std::string_view model;
    if (root["model"].get_string().get(model) == simdjson::SUCCESS) named.model = std::string(model);
    Json chat = ChatCompletion(named);
    dom::element usage;
    if (root["usage"].get(usage) == simdjson::SUCCESS) {
      const std::optional<Json> said = ParseJson(simdjson::minify(usage));
      const std::optional<int64_t> prompt = said ? CountAt(*said, "prompt_tokens") : std::nullopt;
      if (prompt) {
        ChatUsage read;
        read.prompt = *prompt;
        chat["usage"] = ChatUsageJson(read);
      }
    }
    return DumpJson(chat);
  }
};

}  // namespace

const AnswerTranslator& EmbeddingsAnswers() {
  static const EmbeddingsTranslator kTranslator;
  return kTranslator;
}

}  // namespace signalbox
