// Walks one request through one compiled route. Pure: no I/O, clock or threads; whoever drives it (the proxy, the
// simulator) answers its questions. Contract: call Next once, then the On... method that the step asks for, until
// Finish. A copy walks on by itself. The route must have passed CheckCompiledRoute; route and view outlive the walker.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "common/identifier.h"
#include "common/route/request_view.h"
#include "signalbox/v1/compiled.pb.h"

namespace signalbox {

inline constexpr size_t kLimitsExpected = 4;  // in a chain

// The consecutive limits of one success chain, to be decided together. Answer with OnLimits.
struct CheckLimits {
  absl::InlinedVector<uint32_t, kLimitsExpected> elements;
  // One per element. Empty: a shadow limit whose key finds nobody; there is nothing to count, and it passes.
  absl::InlinedVector<Identifier, kLimitsExpected> identifiers;
};

// Answer with OnModel.
struct CallModel {
  uint32_t element = 0;
};

struct Finish {
  enum class Kind { kAnswered, kRefused };  // a model answered; or the gateway says no
  Kind kind = Kind::kRefused;
  int status = 0;    // kRefused: 400 missing_identifier, 429 limit_exceeded, 502 model_failed, 403 no_model, or the
  std::string code;  // end element's own status with code `route_ended`
  std::string message;
  std::string param;  // the field at fault, if one is
};

using Step = std::variant<CheckLimits, CallModel, Finish>;

// One element passed and the output taken from it (empty at the last one).
struct TrailEntry {
  uint32_t element = 0;
  std::string_view output;
};
using Trail = absl::InlinedVector<TrailEntry, 8>;

class Walker {
 public:
  // `draw` decides percentages without a sticky key: uniform over all 32 bits or over [0, 10000).
  Walker(const v1::CompiledRoute& route, const RequestView& request, uint32_t draw);

  Step Next();
  // `passed` of the asked limits held, in order; fewer than all: the one after them denied.
  Step OnLimits(size_t passed);
  // `answered`: the model's response is what the client gets (its own 4xx included).
  Step OnModel(bool answered);

  const Trail& trail() const { return trail_; }
  // start/plan/free-requests/... Bytes of ids that a header or a path cannot carry are percent-encoded.
  const std::string& Path() const { return path_; }
  // Whether a model can still be reached from where the walk stands (else holds are released).
  bool CanReachModel() const;

 private:
  Step Advance(uint32_t element);
  Step AskLimits(uint32_t first);
  Step End(const v1::CompiledElement& element);
  Step Refuse(uint32_t element, int status, std::string_view code, std::string message, std::string_view param = "");
  void Take(uint32_t element, std::string_view output);
  const v1::CompiledElement& at(uint32_t element) const { return route_->elements(static_cast<int>(element)); }

  const v1::CompiledRoute* route_;
  const RequestView* request_;
  uint32_t draw_;
  enum class LastEdge { kNone, kLimit, kModel } last_edge_ = LastEdge::kNone;
  bool model_answered_ = false;
  bool finished_ = false;
  uint32_t position_ = 0;                  // the element the last step is about
  int percentages_ = 0;                    // drawn so far
  decltype(CheckLimits::elements) asked_;  // and not answered yet
  Trail trail_;
  std::string path_;  // of the trail
};

// Whether every index, share and reference of `route` is in range, so that no walk can leave it. Errors name the
// route and the element. Run on every blob that comes from a peer or a disk.
absl::Status CheckCompiledRoute(const v1::CompiledRoute& route);

// Where `element` leads, in the fixed order of its outputs.
std::vector<uint32_t> Targets(const v1::CompiledElement& element);

// Model elements that a request may still call after passing the limit whose `success` is `from`; ascending.
std::vector<uint32_t> ReachableModels(const v1::CompiledRoute& route, uint32_t from);

}  // namespace signalbox
