// What price data does not say of models: how many tokens an answer can have at most, and in which field a cap on them
// is told. model_limits.json in this folder, with its sources. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/price_table.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

class ModelLimits {
 public:
  // INVALID_ARGUMENT names the entry and the field.
  static absl::StatusOr<ModelLimits> Parse(std::string_view json);

  // Sets the cap field and, where they are known, the limits of the model that `price` names.
  void Apply(v1::ModelPrice& price) const;

 private:
  std::vector<std::pair<std::string, std::string>> cap_fields_;  // by provider
  std::vector<std::pair<std::string, PriceTable>> by_provider_;  // the first that fits counts
};

}  // namespace signalbox
