// From authored JSON to a checked graph. Pure; any thread. Used by the API, the CLI (offline) and the console.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "signalbox/v1/gateway.pb.h"
#include "signalbox/v1/route.pb.h"

namespace signalbox {

// What the graph may refer to.
struct ValidationContext {
  std::set<std::string> providers;  // configured in the gateway; offline: the built-in names
  // Priced models by (provider, model), and those that `is_priced` knows besides. With `check_prices` an unpriced model
  // behind a cost limit is a fault.
  std::set<std::pair<std::string, std::string>> priced_models;
  std::function<bool(const std::string& provider, const std::string& model)> is_priced;
  bool check_prices = true;

  bool Prices(const std::string& provider, const std::string& model) const {
    return priced_models.contains({provider, model}) || (is_priced && is_priced(provider, model));
  }
};

// The names routes may use without a configured provider when validating offline.
const std::set<std::string>& BuiltInProviders();

struct ParsedRoute {
  v1::RouteSpec spec;                     // what could be read
  std::vector<v1::Fault> faults;          // of the JSON itself: syntax, unknown, duplicate, wrong-case, mistyped fields
  std::vector<std::string> blamed_paths;  // what those faults are about, also where a misspelt field was meant to be
};

// Strict: walks the JSON against the message descriptor and lists all faults, where Protobuf's parser is lax
// (NaN, numeric strings, snake_case, trailing commas) or stops at the first.
ParsedRoute ParseRoute(std::string_view json);

// Every fault of the graph at once, each with element, JSON path and a sentence; ordered by path.
std::vector<v1::Fault> ValidateRoute(const v1::RouteSpec& spec, const ValidationContext& context);

// Parse and validate: the faults of both (graph faults that only repeat a parse fault are left out).
struct CheckedRoute {
  v1::RouteSpec spec;
  std::vector<v1::Fault> faults;
  bool compiles = false;  // no fault of SEVERITY_ERROR
};
CheckedRoute CheckRoute(std::string_view json, const ValidationContext& context);

// Hex sha256 over the deterministic binary of `spec`: equal graphs have equal hashes however they are spaced.
std::string RouteSpecSha256(const v1::RouteSpec& spec);

// The changes that lead from `a` to `b`, by element id; within an element by property and output.
std::vector<v1::ElementChange> DiffRoutes(const v1::RouteSpec& a, const v1::RouteSpec& b);

}  // namespace signalbox
