#include "controlplane/store/catalogue_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/store/publication.h"

namespace signalbox {

// The one row of `price_catalogue` is there from the migration on; an empty origin: the build's catalogue.
absl::Status LoadCatalogue(StoreCore& core, const CatalogueReader& read) {
  std::string origin, text;
  {
    ASSIGN_OR_RETURN(SqliteStatement query, core.db->Query("SELECT origin, content FROM price_catalogue"));
    RETURN_IF_ERROR(query.Step().status());
    origin = query.Text(0);
    text = query.Text(1);
  }
  if (origin.empty() || !read) return absl::OkStatus();
  absl::StatusOr<PriceCatalogue> catalogue = read(text, origin);
  if (catalogue.ok()) {
    core.catalogue = *std::move(catalogue);
    return absl::OkStatus();
  }
  return core.db->Run("UPDATE price_catalogue SET last_error=?",
                      absl::StrCat("the catalogue fetched from ", origin,
                                   " cannot be read by this build, which uses "
                                   "its own: ",
                                   std::string(catalogue.status().message())));
}

PriceCatalogue CatalogueStore::InForce() const {
  MutexLock lock(core_.mutex);
  return core_.catalogue;
}

absl::Status CatalogueStore::Replace(const PriceCatalogue& catalogue, std::string_view text) {
  MutexLock lock(core_.mutex);
  const PriceCatalogue before = std::exchange(core_.catalogue, catalogue);
  const auto replace = [&]() SB_REQUIRES(core_.mutex) -> absl::Status {
    const int64_t now_us = core_.clock->UnixMicros();
    ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
    const std::string& origin = text.empty() ? std::string() : catalogue.origin();
    RETURN_IF_ERROR(
        core_.db->Run("UPDATE price_catalogue SET origin=?, content=?, update_us=?, last_refresh_us=?, last_error=''",
                      origin, SqlBlob{std::string(text)}, now_us, now_us));
    RETURN_IF_ERROR(PublishEverything(core_, absl::StrCat("prices of ", catalogue.origin())));
    return transaction.Commit();
  };
  const absl::Status status = replace();
  if (!status.ok()) core_.catalogue = before;
  return status;
}

absl::Status CatalogueStore::Install(const PriceCatalogue& catalogue, std::string_view text) {
  if (text.empty() || catalogue.origin().empty()) {
    return absl::InvalidArgumentError("a catalogue to keep has a text and an origin");
  }
  return Replace(catalogue, text);
}

absl::Status CatalogueStore::InstallBundled() {
  PriceCatalogue bundled;
  {
    MutexLock lock(core_.mutex);
    bundled = core_.bundled_catalogue;
  }
  return Replace(bundled, "");
}

absl::Status CatalogueStore::NoteRefresh(std::string_view error) {
  MutexLock lock(core_.mutex);
  return core_.db->Run("UPDATE price_catalogue SET last_refresh_us=?, last_error=?", core_.clock->UnixMicros(),
                       std::string(error));
}

absl::StatusOr<v1::PriceCatalogueStatus> CatalogueStore::Status() const {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core_.db->Query("SELECT update_us, last_refresh_us, last_error FROM price_catalogue"));
  RETURN_IF_ERROR(query.Step().status());
  v1::PriceCatalogueStatus status;
  status.set_source(core_.catalogue.origin());
  status.set_bundled(core_.catalogue.sha256() == core_.bundled_catalogue.sha256());
  status.set_sha256(core_.catalogue.sha256());
  status.set_models(core_.catalogue.models());
  if (!status.bundled()) status.set_update_us(query.Int(0));
  status.set_last_refresh_us(query.Int(1));
  status.set_last_error(query.Text(2));
  return status;
}

}  // namespace signalbox
