// Compiles a checked graph into what proxies walk, and simulates a walk. Pure; any thread; deterministic: the same
// input gives the same bytes.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "signalbox/v1/compiled.pb.h"
#include "signalbox/v1/route.pb.h"

namespace signalbox {

// The price in force for a model, or nullopt.
using PriceLookup = std::function<std::optional<v1::ModelPrice>(const std::string& provider, const std::string& model)>;

struct RouteIdentity {
  std::string gateway;
  std::string route_id;
  std::string name;
  int64_t version = 0;
};

// `spec` must have passed ValidateRoute without errors; else FAILED_PRECONDITION.
absl::StatusOr<v1::CompiledRoute> CompileRoute(const RouteIdentity& identity, const v1::RouteSpec& spec,
                                               const PriceLookup& prices);

// Walks `route` with the sample; limits pass and models answer unless assumed otherwise. Charges nothing.
// INVALID_ARGUMENT when the sample is not the JSON it should be, or assumes elements that are not there.
absl::StatusOr<v1::SimulateResponse> SimulateRoute(const v1::CompiledRoute& route, const v1::SampleRequest& request,
                                                   const v1::SimulateAssumptions& assumptions);

// Deterministic bytes, for hashes and blobs.
std::string SerializeDeterministic(const google::protobuf::MessageLite& message);

}  // namespace signalbox
