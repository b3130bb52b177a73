// The price catalogue in force under the gateways' own prices: the build's, or a newer one that was fetched and is kept
// here so that a restart has it. Putting another one in force recompiles the deployed routes and publishes what
// changed, all in one transaction. Thread-safe; a view of SqliteStore, which owns it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/prices/price_catalogue.h"
#include "controlplane/store/store_core.h"
#include "signalbox/v1/gateway.pb.h"

namespace signalbox {

// Reads a catalogue's text; `origin` is where it came from.
using CatalogueReader = std::function<absl::StatusOr<PriceCatalogue>(std::string_view text, std::string origin)>;

class CatalogueStore {
 public:
  explicit CatalogueStore(StoreCore& core) : core_(core) {}

  PriceCatalogue InForce() const;
  // Puts `catalogue` in force and keeps `text`, which it was read from; its origin is where that came from. Also notes
  // that a refresh went well.
  absl::Status Install(const PriceCatalogue& catalogue, std::string_view text);
  // Back to the one of the build.
  absl::Status InstallBundled();
  // A refresh changed nothing: because nothing had changed (`error` empty), or why.
  absl::Status NoteRefresh(std::string_view error);
  // What the store knows of it; the refresh's URL and pace are left empty.
  absl::StatusOr<v1::PriceCatalogueStatus> Status() const;

 private:
  absl::Status Replace(const PriceCatalogue& catalogue, std::string_view text);

  StoreCore& core_;
};

// Puts the stored catalogue in force, at the start. One that this build cannot read is left alone, and the build's is
// in force: the status says why.
absl::Status LoadCatalogue(StoreCore& core, const CatalogueReader& read) SB_REQUIRES(core.mutex);

}  // namespace signalbox
