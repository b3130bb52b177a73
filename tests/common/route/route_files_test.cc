// Every file of tests/routes: the valid ones are accepted, each invalid one is refused for its own fault.
#include <filesystem>
#include <set>

#include "tests/common/route/route_fixture.h"

namespace signalbox {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

std::set<std::string> FilesIn(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(SIGNALBOX_SOURCE_DIR "/tests/routes/") + folder)) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

TEST(RouteFiles, EveryValidFileIsAcceptedWithoutAFault) {
  const std::set<std::string> files = FilesIn("valid");
  EXPECT_GE(files.size(), 5u);
  for (const std::string& file : files) {
    const CheckedRoute checked = CheckRoute(RouteFile("valid/" + file), TestContext());
    EXPECT_TRUE(checked.compiles) << file;
    EXPECT_THAT(Codes(checked.faults), IsEmpty()) << file;
  }
}

struct Expected {
  std::string file;
  std::string fault;  // "code element path"
};

const std::vector<Expected>& ExpectedFaults() {
  static const std::vector<Expected> expected = {
      {"cache-ttl-too-long.json", "invalid_cache_ttl start $.elements[0].properties.cacheTtl"},
      {"cache-ttl-negative.json", "invalid_cache_ttl start $.elements[0].properties.cacheTtl"},
      {"cache-ttl-on-a-model.json", "misplaced_property small $.elements[2].properties.cacheTtl"},
      {"unpriced-of-a-count-limit.json", "misplaced_property requests $.elements[1].properties.unpriced"},
      {"unpriced-unknown.json", "invalid_unpriced dollars $.elements[1].properties.unpriced"},
      {"unpriced-model.json", "unpriced_model small $.elements[2].properties.model"},
      {"cycle.json", "cycle free-model $.elements[4]"},
      {"dangling-output.json", "dangling_output paid-model $.elements[7].outputs.fallback.elementId"},
      {"many-faults.json", "unknown_operator c $.elements[1].properties.conditions[\"metadata.plan\"].$like"},
      {"missing-key.json", "missing_property free-requests $.elements[2].properties.key"},
      {"misspelt-property.json", "unknown_property plan $.elements[1].properties.condition"},
      {"negative-limit.json", "invalid_limit free-requests $.elements[2].properties.limit"},
      {"no-start.json", "no_start  $.elements"},
      {"percentages-not-100.json", "percentages_not_100 s $.elements[1].outputs"},
      {"two-starts.json", "two_starts start $.elements[9]"},
      {"unknown-field-root.json", "unknown_field_root plan $.elements[1].properties.conditions.plan"},
      {"unknown-operator.json", "unknown_operator plan $.elements[1].properties.conditions[\"metadata.plan\"].$equals"},
      {"unknown-provider.json", "unknown_provider free-model $.elements[4].properties.provider"},
      {"unknown-type.json", "unknown_type free-requests $.elements[2].type"},
      {"unreachable-element.json", "unreachable_element orphan $.elements[9]"},
      {"wrong-output-name.json", "wrong_output plan $.elements[1].outputs.else"},
      {"fractional-tokens.json", "invalid_limit tokens $.elements[1].properties.limit"},
      {"key-list-empty.json", "invalid_key tokens $.elements[1].properties.key"},
      {"key-list-repeats-a-field.json", "invalid_key tokens $.elements[1].properties.key[1]"},
      {"shadow-as-text.json", "mistyped_field tokens $.elements[1].properties.shadow"},
      {"sliding-calendar-window.json", "invalid_technique tokens $.elements[1].properties.technique"},
      {"timezone-without-calendar.json", "invalid_timezone tokens $.elements[1].properties.timezone"},
      {"unknown-calendar-window.json", "invalid_window tokens $.elements[1].properties.window"},
      {"unknown-technique.json", "invalid_technique tokens $.elements[1].properties.technique"},
      {"unknown-timezone.json", "invalid_timezone tokens $.elements[1].properties.timezone"},
      {"zero-window.json", "invalid_window free-requests $.elements[2].properties.window"},
  };
  return expected;
}

TEST(RouteFiles, EveryInvalidFileIsRefusedForItsFault) {
  std::set<std::string> tried;
  for (const auto& [file, fault] : ExpectedFaults()) {
    tried.insert(file);
    const CheckedRoute checked = CheckRoute(RouteFile("invalid/" + file), TestContext());
    EXPECT_FALSE(checked.compiles) << file;
    EXPECT_THAT(Codes(checked.faults), Contains(fault)) << file;
  }
  EXPECT_EQ(tried, FilesIn("invalid")) << "a file without an expectation, or the reverse";
}

TEST(RouteFiles, AFileWithOneFaultGetsNoSecondaryFaults) {
  // wrong-output-name lacks an output too; two-starts uses an id twice.
  const std::set<std::string> several = {"many-faults.json", "wrong-output-name.json", "two-starts.json"};
  for (const auto& [file, fault] : ExpectedFaults()) {
    if (several.count(file) > 0) continue;
    EXPECT_EQ(Codes(CheckRoute(RouteFile("invalid/" + file), TestContext()).faults), std::vector<std::string>{fault})
        << file;
  }
}

TEST(RouteFiles, ManyFaultsAreAllNamedInOneAnswer) {
  EXPECT_EQ(Codes(CheckRoute(RouteFile("invalid/many-faults.json"), TestContext()).faults),
            (std::vector<std::string>{
                "dangling_output c $.elements[1].outputs.false.elementId",
                "unknown_operator c $.elements[1].properties.conditions[\"metadata.plan\"].$like",
                "cycle r $.elements[2]",
                "invalid_limit r $.elements[2].properties.limit",
                "invalid_limit_type r $.elements[2].properties.limitType",
                "model_success_not_end m $.elements[3].outputs.success.elementId",
                "missing_property m $.elements[3].properties.model",
                "invalid_timeout m $.elements[3].properties.timeout",
            }));
}

TEST(RouteFiles, FaultsReadAsSentences) {
  const auto faults = [](const std::string& file) {
    return CheckRoute(RouteFile("invalid/" + file), TestContext()).faults;
  };
  EXPECT_EQ(
      MessageOf(faults("unknown-provider.json"), "unknown_provider"),
      "unknown provider \"opnai\"; did you mean \"openai\"? (known: anthropic, aws-bedrock, azure-openai, bedrock, "
      "cerebras, deepseek, fireworks, google, google-ai-studio, grok, groq, mistral, moonshotai, ollama, openai, "
      "openrouter, perplexity, together, vllm, xai)");
  EXPECT_EQ(MessageOf(faults("cycle.json"), "cycle"),
            "a cycle: \"free-model\" -> \"paid-model\" -> \"free-model\"; a request would never end");
  EXPECT_THAT(MessageOf(faults("misspelt-property.json"), "unknown_property"),
              ::testing::HasSubstr("did you mean \"conditions\"?"));
  EXPECT_THAT(MessageOf(faults("unknown-field-root.json"), "unknown_field_root"),
              ::testing::HasSubstr("did you mean \"metadata.plan\"?"));
  EXPECT_EQ(MessageOf(faults("percentages-not-100.json"), "percentages_not_100").substr(0, 16), "the shares sum t");
}

}  // namespace
}  // namespace signalbox
