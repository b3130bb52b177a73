#include "controlplane/prices/bundled_prices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/limits.h"
#include "common/model_price.h"
#include "common/money.h"
#include "common/provider_kind.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

v1::ModelPrice Bundled(const std::string& provider, const std::string& model) {
  const auto price = BundledCatalogue().Find(PriceSourceOf(provider, "openai"), model);
  EXPECT_TRUE(price.has_value()) << provider << "/" << model;
  return price.value_or(v1::ModelPrice());
}

TEST(BundledCatalogue, IsWhatTheMakersPublish) {
  const v1::ModelPrice large = Bundled("openai", "gpt-5.1");
  EXPECT_EQ(large.input_nanos_per_mtok(), 1'250'000'000);
  EXPECT_EQ(large.cached_input_nanos_per_mtok(), 125'000'000);
  EXPECT_EQ(large.output_nanos_per_mtok(), 10'000'000'000);
  EXPECT_EQ(large.max_output_tokens(), 128'000);
  EXPECT_EQ(large.cap_field(), "max_completion_tokens");
  EXPECT_THAT(large.source(), StartsWith("@pydantic/genai-prices "));
  EXPECT_THAT(large.source(), HasSubstr(": openai/gpt-5.1"));

  const v1::ModelPrice mini = Bundled("openai", "gpt-4o-mini");
  EXPECT_EQ(mini.input_nanos_per_mtok(), 150'000'000);
  EXPECT_EQ(mini.cached_input_nanos_per_mtok(), 75'000'000);
  EXPECT_EQ(mini.output_nanos_per_mtok(), 600'000'000);
  EXPECT_EQ(mini.max_output_tokens(), 16'384);

  const v1::ModelPrice sonnet = Bundled("anthropic", "claude-sonnet-4-5");
  EXPECT_EQ(sonnet.input_nanos_per_mtok(), 3'000'000'000);
  EXPECT_EQ(sonnet.cached_input_nanos_per_mtok(), 300'000'000);
  EXPECT_EQ(sonnet.cache_write_nanos_per_mtok(), 3'750'000'000);
  EXPECT_EQ(sonnet.cache_write_1h_nanos_per_mtok(), 6'000'000'000);
  EXPECT_EQ(sonnet.output_nanos_per_mtok(), 15'000'000'000);
  EXPECT_EQ(RatesFor(sonnet, 200'001).input_nanos_per_mtok(), 6'000'000'000);
  EXPECT_EQ(sonnet.max_output_tokens(), 64'000);
  EXPECT_EQ(sonnet.cap_field(), "max_tokens");
}

TEST(BundledCatalogue, PricesDatedVariantsAndOtherMakersModelsWhereAProviderServesThem) {
  EXPECT_EQ(Bundled("anthropic", "claude-sonnet-4-5-20250929").input_nanos_per_mtok(), 3'000'000'000);
  EXPECT_EQ(Bundled("anthropic", "claude-sonnet-4-5-20250929").model(), "claude-sonnet-4-5-20250929");
  EXPECT_EQ(Bundled("openai", "GPT-4o-20241120").input_nanos_per_mtok(), 2'500'000'000);
  EXPECT_EQ(Bundled("openai", "gpt-4o-2024-05-13").input_nanos_per_mtok(), 5'000'000'000) << "it costs more";
  EXPECT_EQ(Bundled("bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0").max_output_tokens(), 64'000);
  EXPECT_EQ(Bundled("azure-openai", "gpt-4o").output_nanos_per_mtok(), 10'000'000'000) << "OpenAI's";
  EXPECT_EQ(Bundled("azure-openai", "gpt-4o").cap_field(), "max_completion_tokens");
  EXPECT_EQ(Bundled("google", "gemini-2.5-pro").max_output_tokens(), 65'536);
}

TEST(BundledCatalogue, AnUnknownModelHasNoPrice) {
  EXPECT_FALSE(BundledCatalogue().Find("openai", "gpt-4o-2099-01-01").has_value());
  EXPECT_FALSE(BundledCatalogue().Find("anthropic", "gpt-4o").has_value());
  EXPECT_FALSE(BundledCatalogue().Find("nobody", "gpt-4o").has_value());
}

TEST(BundledCatalogue, EveryKnownProviderIsInTheData) {
  for (const KnownProvider& known : KnownProviders()) {
    if (known.price_source.empty()) continue;
    EXPECT_FALSE(BundledCatalogue().PricesOf(known.price_source).empty()) << known.name;
  }
}

TEST(BundledCatalogue, EveryPriceCanBePublished) {
  EXPECT_GT(BundledCatalogue().models(), 1'000);
  EXPECT_GT(BundledCatalogue().paid_models(), 1'000);
  for (const std::string& source : BundledCatalogue().sources()) {
    size_t bytes = 0;
    for (const v1::ModelPrice& price : BundledCatalogue().PricesOf(source)) {
      EXPECT_EQ(PriceProblem(price), "") << source << "/" << price.model();
      EXPECT_FALSE(price.cap_field().empty());
      EXPECT_FALSE(price.has_image_tokens_max()) << price.model() << ": only where its maker documents a maximum";
      bytes += price.ByteSizeLong();
    }
    EXPECT_LT(bytes, kBlobBytesMax / 16) << source;
  }
}

TEST(PriceSourceOf, TakesTheNameThenTheKind) {
  EXPECT_EQ(PriceSourceOf("xai", "openai"), "x-ai");
  EXPECT_EQ(PriceSourceOf("my-claude", "anthropic"), "anthropic");
  EXPECT_EQ(PriceSourceOf("frankfurt", "bedrock"), "aws");
  EXPECT_EQ(PriceSourceOf("frankfurt", "azure-openai"), "azure");
  EXPECT_EQ(PriceSourceOf("cohere", "openai"), "cohere") << "the data knows more than we do";
  EXPECT_EQ(PriceSourceOf("my-vllm", "openai"), "my-vllm");
}

TEST(ParseDollars, IsExact) {
  EXPECT_EQ(*ParseDollars("0.000000001"), 1);
  EXPECT_EQ(*ParseDollars("0"), 0);
  EXPECT_EQ(*ParseDollars("1000000"), 1'000'000'000'000'000);
  EXPECT_EQ(*ParseDollars("0.1"), 100'000'000);
}

TEST(ParseDollars, RefusesWhatIsNoDecimal) {
  for (const char* text : {"", ".", ".5", "1.", "-1", "+1", "1e3", " 1", "0x1", "01", "1,25", "1.0000000001", "1000001",
                           "99999999", "nan"}) {
    EXPECT_EQ(ParseDollars(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace signalbox
