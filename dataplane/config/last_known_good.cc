#include "dataplane/config/last_known_good.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

constexpr int kSlots = 2;

v1::StoredSnapshot ToStored(const BuiltSnapshot& snapshot) {
  v1::StoredSnapshot stored;
  v1::Offer& offer = *stored.mutable_offer();
  *offer.mutable_id() = snapshot.active->id;
  offer.set_schema(snapshot.schema);
  offer.mutable_manifest()->Assign(snapshot.manifest.begin(), snapshot.manifest.end());
  for (const auto& [sha256, part] : snapshot.parts) {
    v1::BlobChunk* blob = offer.add_blobs();
    blob->set_sha256(sha256);
    blob->set_data(*part.bytes);
    blob->set_size(part.bytes->size());
  }
  offer.set_last(true);
  return stored;
}

absl::StatusOr<std::shared_ptr<const BuiltSnapshot>> Build(const v1::StoredSnapshot& stored, int max_schema) {
  OfferAssembler assembler;
  ASSIGN_OR_RETURN(const bool whole, assembler.Add(stored.offer()));
  if (!whole) return absl::DataLossError("the snapshot is not whole");
  return BuildSnapshot(assembler.Take(), nullptr, max_schema);
}

}  // namespace

std::string LastKnownGood::Path(int slot) const { return absl::StrCat(directory_, "/snapshot.", slot); }

absl::StatusOr<v1::StoredSnapshot> LastKnownGood::ReadSlot(int slot) {
  ASSIGN_OR_RETURN(const std::string sealed, files_.Read(Path(slot)));
  ASSIGN_OR_RETURN(const std::string plain, sealer_.Open(sealed));
  v1::StoredSnapshot stored;
  if (!stored.ParseFromString(plain)) return absl::DataLossError("no snapshot in it");
  return stored;
}

LastKnownGood::Loaded LastKnownGood::Load(int max_schema) {
  Loaded loaded;
  struct Candidate {
    int slot;
    v1::StoredSnapshot stored;
  };
  std::vector<Candidate> candidates;
  const auto fail = [&](int slot, const absl::Status& status) {
    loaded.failures.push_back(
        absl::Status(status.code(), absl::StrCat("last known good ", Path(slot), ": ", status.message())));
  };
  for (int slot = 0; slot < kSlots; ++slot) {
    absl::StatusOr<v1::StoredSnapshot> stored = ReadSlot(slot);
    if (stored.ok()) {
      candidates.push_back({slot, *std::move(stored)});
    } else if (!absl::IsNotFound(stored.status())) {
      fail(slot, stored.status());
    }
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.stored.generation() > b.stored.generation(); });
  for (const Candidate& candidate : candidates) {
    // A file that is whole but of no use here still counts: the next save must be newer than it.
    generation_ = std::max(generation_, candidate.stored.generation());
    if (loaded.snapshot != nullptr) continue;
    absl::StatusOr<std::shared_ptr<const BuiltSnapshot>> built = Build(candidate.stored, max_schema);
    if (!built.ok()) {
      fail(candidate.slot, built.status());
      continue;
    }
    loaded.snapshot = *std::move(built);
    loaded.saved_us = candidate.stored.saved_us();
    newest_slot_ = candidate.slot;
  }
  return loaded;
}

absl::Status LastKnownGood::Save(const BuiltSnapshot& snapshot, int64_t now_unix_us) {
  const int slot = (newest_slot_ + 1) % kSlots;
  v1::StoredSnapshot stored = ToStored(snapshot);
  stored.set_generation(generation_ + 1);
  stored.set_saved_us(now_unix_us);
  const std::string tmp = absl::StrCat(directory_, "/snapshot.tmp");
  RETURN_IF_ERROR(files_.WriteAndSync(tmp, sealer_.Seal(stored.SerializeAsString())));
  RETURN_IF_ERROR(files_.Rename(tmp, Path(slot)));
  // From here the new file may be what a restart finds: another save must not overwrite it first.
  generation_ = stored.generation();
  newest_slot_ = slot;
  return files_.SyncDirectory(directory_);
}

}  // namespace signalbox
