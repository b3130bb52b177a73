// Prices in force: a gateway's own over those of the catalogue. Setting one recompiles the deployed routes that use the
// model. Thread-safe; a view of SqliteStore, which owns it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/store/store_core.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

class PriceStore {
 public:
  explicit PriceStore(StoreCore& core) : core_(core) {}

  // NOT_FOUND when nothing prices the model.
  absl::StatusOr<v1::ModelPrice> Get(const std::string& gateway, const std::string& provider,
                                     const std::string& model) const;
  // Every price in force for the gateway's providers, ordered by provider and model.
  absl::StatusOr<std::vector<v1::ModelPrice>> List(const std::string& gateway) const;
  absl::StatusOr<v1::ModelPrice> Set(const std::string& gateway, const v1::ModelPrice& price);

 private:
  StoreCore& core_;
};

}  // namespace signalbox
