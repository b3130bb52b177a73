// How the simulated provider fails on purpose: `--fail=SPEC`, read once, asked once per call. One thread.
//
//   SPEC  = RULE ("," RULE)*          the first rule that applies decides
//   RULE  = (SCOPE ":")* ACTION ("+" MORE)* ["@" PROBABILITY]
//   SCOPE = first=N | model=NAME | nth=N | stream | unary | format=NAME
//                                     first: only the first N calls the rest of the rule matches; nth: only the N-th
//                                     call with the same x-client-request-id, from 1; format: chat, messages ...
//   ACTION, e.g. status=500, 503, hang, cut=3 (see kActions in the source for all)
//   MORE  = retry_after=SECONDS | retry_after_ms=N | latency_ms=N         as in 429+retry_after=2@0.3
//
// Each rule draws from a generator of its own for every call in its scope, whatever the rules before it decided: what
// becomes of the n-th such call is a function of the seed, the rule's place and n.
// `503@0.3,hang@0.05,stream:cut=3@0.02` fails 30 % of calls, hangs 5 % of the rest, and cuts 2 % of the streams that
// are left. Calls of GET /models are of the model "/models", which only rules that name it match.
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
  int retry_after_ms = -1;  // told with an error status; -1: not
  bool in_seconds = true;   // as retry-after; else as retry-after-ms
  int latency_ms = 0;       // before whatever happens
};

// What rules look at.
struct Call {
  std::string_view model;
  int nth = 1;  // how many calls with this request's id there were, this one included
  bool stream = false;
  std::string_view format = "chat";
};

inline constexpr std::string_view kModelsPath = "/models";

class FailSpec {
 public:
  // INVALID_ARGUMENT naming the rule and what would be right. An empty spec never fails.
  static absl::StatusOr<FailSpec> Parse(std::string_view spec, uint64_t seed);

  Fate Next(const Call& call);
  Fate Next(std::string_view model, int nth = 1) { return Next(Call{model, nth}); }

 private:
  enum class Kind { kBoth, kStream, kUnary };
  struct Rule {
    Fate fate;
    std::string model;   // empty: every model
    std::string format;  // empty: every format
    Kind kind = Kind::kBoth;
    std::mt19937_64 random;
    int64_t first = -1;  // calls left to fail; -1: no end
    int64_t nth = 0;     // 0: any
    double probability = 1;
  };
  static absl::StatusOr<Rule> ParseRule(std::string_view text);
  static bool TakeScope(std::string_view scope, Rule& rule);
  std::vector<Rule> rules_;
};

}  // namespace signalbox::sim
