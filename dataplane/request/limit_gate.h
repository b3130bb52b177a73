// The limits of one request's walk: asks the quota service, remembers what was granted, says what remains. Worker's
// thread only; lives as long as the walk. Invariant: a shadow limit never refuses, whatever the service answers or
// however long it is away, and never lowers the output cap.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "common/route/walker.h"
#include "dataplane/provider/request_body.h"
#include "dataplane/request/request_record.h"
#include "dataplane/routing/refusal.h"

namespace signalbox {

class LimitGate {
 public:
  LimitGate(Worker& worker, const v1::CompiledRoute& route, const RequestBody& body, RequestRecord& record);

  // How many of the asked limits passed, in order (fewer than all: the next one denied), or why the request cannot go
  // on: 503 quota_unavailable where onError says deny, 400 unbounded_request. kRequests is for what costs nothing:
  // limits on dollars and tokens are passed over, and nothing is held.
  enum class Ask { kAll, kRequests };
  asio::awaitable<std::variant<size_t, Refusal>> Check(CheckLimits asked, Ask ask = Ask::kAll);
  // Whether some limit was passed over: then what costs something must not be called before BeginAgain.
  bool passed_over() const { return passed_over_; }
  // The walk goes back to before the first limit that was passed over, to be asked this time. What counted a request
  // on the way there did so once and passes.
  void BeginAgain();

  // Before an attempt that follows one whose outcome is unknown: what is held must reach `required`.
  // 429 when it does not fit; 503 when nobody answers, unless onError lets every limit held through.
  asio::awaitable<std::optional<Refusal>> Extend(Use required);

  // The cap that strict limits on dollars and tokens granted; nullopt: none was passed and the client's own stands.
  std::optional<int64_t> output_cap() const { return output_cap_; }
  // The most one attempt at `model` can use under that cap; no dollars when it has no price.
  Use AttemptBound(const v1::CompiledElement::Model& model);

  // signalbox-limit, one a limit that the service decided. With what the request finally used, what its hold did not
  // use is given back to `remaining`.
  void AddHeaders(std::optional<Use> final_use, HeaderFields& headers) const;
  // Seconds until the first of the limits that denied could pass; 0: none denied.
  int RetryAfterSeconds() const;

 private:
  struct Seen {
    uint32_t element;
    v1::LimitState state;
    bool denied;
  };
  // The asked limit behind each check of the worker's question: those of a shadow that finds nobody are left out.
  using Checked = absl::InlinedVector<size_t, kLimitsExpected>;
  struct Granted {
    uint32_t element;
    Identifier identifier;
  };
  using BoundedModels = absl::InlinedVector<uint32_t, 4>;  // elements
  const v1::CompiledElement& at(uint32_t element) const { return route_.elements(static_cast<int>(element)); }
  void FillCounterAt(uint32_t element, const Identifier& identifier, v1::CounterKey& counter) const;
  std::variant<Checked, Refusal> BuildQuestion(const CheckLimits& asked, Ask ask);
  std::optional<Refusal> AddBounds(const v1::CompiledElement& element, v1::Acquire& acquire, v1::LimitCheck& check,
                                   BoundedModels& bounded_models);
  std::variant<size_t, Refusal> PassWithoutAnswer(const CheckLimits& asked, const Checked& checked);
  void Note(uint32_t element, const Identifier& identifier, const v1::LimitState* state, bool denied);
  const InputBound& InputOf(const v1::CompiledElement::Model& model);

  Worker& worker_;
  const v1::CompiledRoute& route_;
  const RequestBody& body_;
  RequestRecord& record_;
  const v1::CompiledElement::Model* input_of_ = nullptr;  // whose bound `input_` is: the last one asked for
  InputBound input_;
  std::optional<int64_t> output_cap_;
  bool holds_ = false;            // dollars or tokens
  bool holds_or_denies_ = false;  // one of them at a limit that neither is a shadow nor lets through on errors
  bool passed_over_ = false;
  size_t seen_mark_ = 0, noted_mark_ = 0;  // of `seen_` and the record's limits, before the first passed over
  absl::InlinedVector<Seen, kLimitsExpected> seen_;
  absl::InlinedVector<Granted, kLimitsExpected> granted_;  // where the walk was charged, or holds and will settle
  absl::flat_hash_map<uint32_t, std::optional<v1::LimitState>> counted_;  // by element: requests counted on a hit's way
};

// Keeps [A-Za-z0-9._~/@:-] and percent-encodes the rest: names of authors must not break a header.
std::string HeaderSafe(std::string_view text);

}  // namespace signalbox
