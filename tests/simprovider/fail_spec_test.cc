#include "tests/simprovider/fail_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace signalbox::sim {
namespace {

using testing::HasSubstr;

FailSpec ParsedSpec(std::string_view text, uint64_t seed = 1) {
  absl::StatusOr<FailSpec> spec = FailSpec::Parse(text, seed);
  EXPECT_TRUE(spec.ok()) << spec.status();
  return *std::move(spec);
}

TEST(FailSpec, AnEmptySpecNeverFails) {
  FailSpec spec = ParsedSpec("");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(spec.Next("gpt-5.1").failure, Failure::kNone);
}

TEST(FailSpec, FirstCallsFailAndLaterOnesDoNot) {
  FailSpec spec = ParsedSpec("first=2:503");
  EXPECT_EQ(spec.Next("a").value, 503);
  EXPECT_EQ(spec.Next("a").failure, Failure::kStatus);
  EXPECT_EQ(spec.Next("a").failure, Failure::kNone);
}

TEST(FailSpec, AModelScopeSparesOtherModelsAndDoesNotCountThem) {
  FailSpec spec = ParsedSpec("model=gpt-5.1:first=1:status=500");
  EXPECT_EQ(spec.Next("gpt-4o-mini").failure, Failure::kNone);
  EXPECT_EQ(spec.Next("gpt-5.1").value, 500);
  EXPECT_EQ(spec.Next("gpt-5.1").failure, Failure::kNone);
}

TEST(FailSpec, TheFirstRuleThatAppliesDecides) {
  FailSpec spec = ParsedSpec("model=a:cut=3,reset");
  const Fate cut = spec.Next("a");
  EXPECT_EQ(cut.failure, Failure::kCut);
  EXPECT_EQ(cut.value, 3);
  EXPECT_EQ(spec.Next("b").failure, Failure::kReset);
}

TEST(FailSpec, ProbabilitiesAreDrawnFromTheSeedAndRepeat) {
  const auto run = [](uint64_t seed) {
    FailSpec spec = ParsedSpec("status=500@0.3", seed);
    std::string outcomes;
    for (int i = 0; i < 1'000; ++i) outcomes += spec.Next("m").failure == Failure::kNone ? '.' : 'x';
    return outcomes;
  };
  const std::string outcomes = run(7);
  EXPECT_EQ(outcomes, run(7));
  EXPECT_NE(outcomes, run(8));
  const auto failed = std::count(outcomes.begin(), outcomes.end(), 'x');
  EXPECT_GT(failed, 230);
  EXPECT_LT(failed, 370);
}

TEST(FailSpec, EachRuleDrawsByItselfWhateverTheOthersDecide) {
  const auto hangs = [](std::string_view text, const char* others) {
    FailSpec spec = ParsedSpec(text);
    std::string outcomes;
    for (int i = 0; i < 2'000; ++i) {
      const Failure failure = spec.Next("m").failure;
      outcomes += failure == Failure::kStatus ? others[0] : failure == Failure::kHang ? 'h' : '.';
    }
    return outcomes;
  };
  // What the second rule draws is the same whether the first one fires or not.
  const std::string quiet = hangs("503@0,hang@0.05", "x");
  const std::string loud = hangs("503@0.3,hang@0.05", "x");
  ASSERT_EQ(quiet.size(), loud.size());
  for (size_t i = 0; i < quiet.size(); ++i) {
    if (loud[i] != 'x') {
      ASSERT_EQ(loud[i], quiet[i]) << i;
    }
  }
  EXPECT_GT(std::count(quiet.begin(), quiet.end(), 'h'), 60);
  EXPECT_LT(std::count(quiet.begin(), quiet.end(), 'h'), 140);
  EXPECT_EQ(loud, hangs("503@0.3,hang@0.05", "x"));
}

TEST(FailSpec, ScopesTellStreamsAndFormatsApart) {
  FailSpec spec = ParsedSpec("stream:cut=3,unary:format=messages:529");
  EXPECT_EQ(spec.Next(Call{.model = "m", .stream = true}).failure, Failure::kCut);
  EXPECT_EQ(spec.Next(Call{.model = "m", .format = "messages"}).value, 529);
  EXPECT_EQ(spec.Next(Call{.model = "m", .format = "converse"}).failure, Failure::kNone);
}

TEST(FailSpec, ListingModelsFailsOnlyWhenARuleNamesIt) {
  FailSpec spec = ParsedSpec("503,model=/models:500");
  EXPECT_EQ(spec.Next(kModelsPath).value, 500);
  EXPECT_EQ(spec.Next("m").value, 503);
}

TEST(FailSpec, AnErrorMaySayWhenToComeBackAndMayBeLate) {
  FailSpec spec = ParsedSpec("first=1:429+retry_after=2+latency_ms=5@1,status=503+retry_after_ms=250");
  const Fate seconds = spec.Next("m");
  EXPECT_EQ(seconds.value, 429);
  EXPECT_EQ(seconds.retry_after_ms, 2'000);
  EXPECT_TRUE(seconds.in_seconds);
  EXPECT_EQ(seconds.latency_ms, 5);
  const Fate milliseconds = spec.Next("m");
  EXPECT_EQ(milliseconds.retry_after_ms, 250);
  EXPECT_FALSE(milliseconds.in_seconds);
}

TEST(FailSpec, EveryActionIsUnderstood) {
  EXPECT_EQ(ParsedSpec("hang").Next("m").failure, Failure::kHang);
  EXPECT_EQ(ParsedSpec("reset").Next("m").failure, Failure::kReset);
  EXPECT_EQ(ParsedSpec("cut").Next("m").value, 2);
  EXPECT_EQ(ParsedSpec("stall_after=3").Next("m").value, 3);
  EXPECT_EQ(ParsedSpec("error_event=1").Next("m").failure, Failure::kErrorEvent);
  EXPECT_EQ(ParsedSpec("malformed").Next("m").failure, Failure::kMalformed);
  EXPECT_EQ(ParsedSpec("no_usage").Next("m").failure, Failure::kNoUsage);
  EXPECT_EQ(ParsedSpec("zero_usage").Next("m").failure, Failure::kZeroUsage);
  EXPECT_EQ(ParsedSpec("latency_ms=250").Next("m").value, 250);
}

TEST(FailSpec, ARuleForTheNthCallLooksAtNoOther) {
  FailSpec spec = ParsedSpec("nth=2:model=m:billed_status=500,nth=1:reset_after,cut_at_end");
  EXPECT_EQ(spec.Next("m", 1).failure, Failure::kResetAfter);
  EXPECT_EQ(spec.Next("m", 2).failure, Failure::kBilledStatus);
  EXPECT_EQ(spec.Next("other", 2).failure, Failure::kCutAtEnd);
}

TEST(FailSpec, AFaultyRuleIsNamedWithItsRemedy) {
  const auto message = [](std::string_view text) {
    const auto spec = FailSpec::Parse(text, 1);
    EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument) << text;
    return std::string(spec.status().message());
  };
  EXPECT_THAT(message("hang,explode"), HasSubstr("rule \"explode\": unknown action (known: status=N"));
  EXPECT_THAT(message("status=200"), HasSubstr("a status is 400 to 599"));
  EXPECT_THAT(message("503@1.5"), HasSubstr("a probability from 0 to 1"));
  EXPECT_THAT(message("last=2:503"), HasSubstr("before a colon stands first=N, model=NAME, nth=N"));
  EXPECT_THAT(message("stall_after"), HasSubstr("needs a value"));
  EXPECT_THAT(message("429+wait=2"), HasSubstr("after a plus sign stands retry_after=SECONDS"));
  EXPECT_THAT(message("429+retry_after"), HasSubstr("after a plus sign stands"));
  EXPECT_THAT(message("cut=x"), HasSubstr("the value is not a number"));
}

}  // namespace
}  // namespace signalbox::sim
