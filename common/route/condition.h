// Conditions: from the Mongo-style object an author writes to a tree, and the tree's truth for one request.
// Types compare strictly; a missing field satisfies $ne, $nin and $exists:false and nothing else. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "common/route/fault_list.h"
#include "common/route/request_view.h"
#include "google/protobuf/struct.pb.h"
#include "signalbox/v1/compiled.pb.h"

namespace signalbox {

// A compiled tree is at most this deep: every authored level may add an implicit `and` over its keys and over the
// operators of one field.
inline constexpr int kCompiledConditionDepthMax = 64;

// Builds the tree of `conditions`, which stands at `path`; every fault of it goes to `faults` under `element_id`. What
// is built is complete only when no fault was added.
v1::Condition BuildCondition(const google::protobuf::Struct& conditions, const std::string& element_id,
                             const std::string& path, FaultList& faults);

// `condition` must have passed ConditionProblem.
bool EvaluateCondition(const v1::Condition& condition, const RequestView& request);

// Empty when `condition` can be evaluated, else what is wrong with it (bad operator, operands, field, too deep).
std::string ConditionProblem(const v1::Condition& condition);

}  // namespace signalbox
