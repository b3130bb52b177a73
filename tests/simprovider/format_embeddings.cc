// OpenAI embeddings.
#include <algorithm>
#include <cstring>

#include "absl/strings/escaping.h"
#include "tests/simprovider/format.h"

namespace signalbox::sim {
namespace {

constexpr int64_t kDimensions = 1'536;
constexpr int64_t kDimensionsMax = 4'096;
constexpr size_t kInputsMax = 2'048;

absl::Status WrongInput() {
  return Invalid(
      "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.");
}

// One input, text or tokens: as text to embed, and its tokens.
absl::Status ReadInput(const Json& input, Ask& ask) {
  if (input.is_string()) {
    if (input.get_ref<const std::string&>().empty()) return WrongInput();
    ask.inputs.push_back(input.get<std::string>());
    ask.input_tokens += TokensOf(ask.inputs.back().size());
    return absl::OkStatus();
  }
  if (!input.is_array() || input.empty()) return WrongInput();
  for (const Json& token : input) {
    if (!token.is_number_integer()) return WrongInput();
  }
  ask.inputs.push_back(input.dump());
  ask.input_tokens += static_cast<int64_t>(input.size());
  return absl::OkStatus();
}

// The floats' bytes, little-endian, as OpenAI encodes them.
std::string Base64Of(const std::vector<float>& numbers) {
  std::string bytes;
  for (const float number : numbers) {
    uint32_t bits = 0;
    std::memcpy(&bits, &number, sizeof(bits));
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(bits >> shift);
  }
  return absl::Base64Escape(bytes);
}

class Embeddings : public Format {
 public:
  std::string_view name() const override { return "embeddings"; }

  absl::StatusOr<Ask> Read(const Target& target, const Json& body) const override {
    const std::string unknown =
        UnknownKey(body, {"model", "input", "encoding_format", "dimensions", "user", "input_type"});
    if (!unknown.empty()) return Invalid(absl::StrCat("Unrecognized request argument supplied: ", unknown));
    Ask ask;
    ask.model = IsString(body, "model") ? TextOf(body, "model") : target.model;
    if (ask.model.empty()) return Invalid("you must provide a model parameter");
    const Json* const input = Find(body, "input");
    if (input == nullptr) return WrongInput();
    const bool several = input->is_array() && !input->empty() && !(*input)[0].is_number();
    if (several && input->size() > kInputsMax) return WrongInput();
    for (const Json& one : several ? *input : Json::array({*input})) {
      if (absl::Status status = ReadInput(one, ask); !status.ok()) return status;
    }
    const absl::StatusOr<int64_t> dimensions = PositiveOr(body, "dimensions", kDimensions);
    if (!dimensions.ok()) return dimensions.status();
    if (*dimensions > kDimensionsMax) return Invalid("Invalid value for 'dimensions': too large.");
    ask.dimensions = *dimensions;
    const std::string encoding = TextOf(body, "encoding_format");
    if (!encoding.empty() && encoding != "float" && encoding != "base64") {
      return Invalid("Invalid value for 'encoding_format': expected 'float' or 'base64'.");
    }
    ask.base64 = encoding == "base64";
    return ask;
  }

  std::string Unary(const Ask& ask, const Answer& answer, UsageShown usage) const override {
    OrderedJson data = OrderedJson::array();
    for (size_t i = 0; i < ask.inputs.size(); ++i) {
      const std::vector<float> numbers = Embed(ask.inputs[i], ask.dimensions);
      OrderedJson entry = {{"object", "embedding"}, {"index", i}};
      entry["embedding"] = ask.base64 ? OrderedJson(Base64Of(numbers)) : OrderedJson(numbers);
      data.push_back(std::move(entry));
    }
    OrderedJson json = {{"object", "list"}, {"data", std::move(data)}, {"model", answer.model}};
    if (usage != UsageShown::kAbsent) {
      const int64_t tokens = usage == UsageShown::kZero ? 0 : answer.usage.input;
      json["usage"] = {{"prompt_tokens", tokens}, {"total_tokens", tokens}};
    }
    return Dump(json);
  }

  std::vector<StreamEvent> Stream(const Ask&, const Answer&, int, UsageShown) const override { return {}; }

  ErrorReply Error(int status, std::string_view message, int64_t retry_after_ms) const override {
    return ChatFormat().Error(status, message, retry_after_ms);
  }
  std::string ErrorEvent(const Target&) const override { return ""; }
};

}  // namespace

const Format& EmbeddingsFormat() {
  static const Embeddings format;
  return format;
}

}  // namespace signalbox::sim
