// How the simulated provider fails on purpose: `--fail=SPEC`, read once, asked once per call. Draws come from a seeded
// generator, so a run repeats. One thread.
//
//   SPEC  = RULE ("," RULE)*          the first rule that applies decides
//   RULE  = (SCOPE ":")* ACTION ["@" PROBABILITY]
//   SCOPE = first=N | model=NAME | nth=N      first: only the first N calls the rest of the rule matches; nth: only
//                                             the N-th call with the same x-client-request-id, from 1
//   ACTION, e.g. status=500, 503, hang, cut=3 (see kActions in the source for all)
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace signalbox::sim {

enum class Failure {
  kNone,
  kStatus,        // answers with `value` as its HTTP status
  kHang,          // never answers
  kReset,         // resets the connection instead of answering
  kCut,           // breaks off after `value` events of a stream, or half way through a unary body
  kStallAfter,    // goes silent after `value` events
  kErrorEvent,    // sends {"error":...} after `value` events and ends
  kMalformed,     // answers something that is not JSON
  kNoUsage,       // leaves usage out
  kZeroUsage,     // says it used nothing, and bills nothing
  kLatency,       // answers, `value` ms late
  kBilledStatus,  // answers with `value` as its HTTP status and bills the answer; the error tells the usage
  kCutAtEnd,      // breaks off when all but the stream's [DONE] or the unary body's last byte was sent
  kStallAtEnd,    // goes silent there
  kResetAfter,    // sends the whole answer, then resets the connection
};

struct Fate {
  Failure failure = Failure::kNone;
  int value = 0;
};

class FailSpec {
 public:
  // INVALID_ARGUMENT naming the rule and what would be right. An empty spec never fails.
  static absl::StatusOr<FailSpec> Parse(std::string_view spec, uint64_t seed);

  // `nth`: how many calls with this request's id there were, this one included.
  Fate Next(std::string_view model, int nth = 1);

 private:
  struct Rule {
    Fate fate;
    std::string model;   // empty: every model
    int64_t first = -1;  // calls left to fail; -1: no end
    int64_t nth = 0;     // 0: any
    double probability = 1;
  };
  static absl::StatusOr<Rule> ParseRule(std::string_view text);
  std::vector<Rule> rules_;
  std::mt19937_64 random_;
};

}  // namespace signalbox::sim
