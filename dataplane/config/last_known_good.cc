#include "dataplane/config/last_known_good.h"

#include <algorithm>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/little_endian.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

constexpr int kSlots = 2;
// A file begins with it; each record is then its length (4 bytes, the lowest first) and its sealed bytes.
constexpr std::string_view kMagic = "SBKEPT2\n";
constexpr size_t kLengthBytes = sizeof(uint32_t);
// A file grows to twice its first record, and by so much in any case.
constexpr size_t kGrowthBytesMin = 64 << 10;

// `taken`: blobs that are in it.
void AddPart(const PartList::Entry& entry, absl::flat_hash_set<std::string>& taken, v1::Offer& offer) {
  v1::ManifestEntry* named = offer.add_manifest();
  named->set_name(entry.name);
  named->set_sha256(entry.sha256);
  if (!taken.insert(entry.sha256).second) return;
  v1::BlobChunk* blob = offer.add_blobs();
  blob->set_sha256(entry.sha256);
  blob->set_data(*entry.part.bytes);
  blob->set_size(entry.part.bytes->size());
}

absl::StatusOr<std::shared_ptr<const BuiltSnapshot>> Build(const v1::Offer& stored, const BuiltSnapshot* before,
                                                           int max_schema) {
  OfferAssembler assembler;
  ASSIGN_OR_RETURN(const bool whole, assembler.Add(stored));
  if (!whole) return absl::DataLossError("the snapshot is not whole");
  return BuildSnapshot(assembler.Take(), before, max_schema);
}

absl::StatusOr<v1::StoredSnapshot> OpenRecord(const Sealer& sealer, std::string_view sealed) {
  ASSIGN_OR_RETURN(const std::string plain, sealer.Open(sealed));
  v1::StoredSnapshot record;
  if (!record.ParseFromString(plain)) return absl::DataLossError("no snapshot in it");
  return record;
}

// Whether a record, which opened, belongs where it stands.
bool Follows(const v1::StoredSnapshot& record, const std::vector<v1::StoredSnapshot>& before) {
  if (before.empty()) return !record.offer().has_base();
  return record.file() == before.back().file() && record.generation() == before.back().generation() + 1 &&
         record.offer().has_base();
}

}  // namespace

std::string LastKnownGood::Path(int slot) const { return absl::StrCat(directory_, "/snapshot.", slot); }

absl::StatusOr<LastKnownGood::Content> LastKnownGood::Read(int slot) const {
  ASSIGN_OR_RETURN(const std::string text, files_.Read(Path(slot)));
  Content content;
  content.slot = slot;
  std::string_view rest = text;
  if (rest.substr(0, kMagic.size()) != kMagic) {
    ASSIGN_OR_RETURN(v1::StoredSnapshot record, OpenRecord(sealer_, text));
    content.records.push_back(std::move(record));
    return content;
  }
  content.grows = true;
  rest.remove_prefix(kMagic.size());
  while (content.damage.ok() && (!rest.empty() || content.records.empty())) {
    content.bytes = text.size() - rest.size();
    if (content.records.size() == 1) content.first_bytes = content.bytes;
    const size_t size = rest.size() < kLengthBytes ? 0 : GetLittleEndian<uint32_t>(rest.data());
    if (rest.size() < kLengthBytes || rest.size() - kLengthBytes < size) {
      content.damage = absl::DataLossError("a record is cut off");
      break;
    }
    absl::StatusOr<v1::StoredSnapshot> record = OpenRecord(sealer_, rest.substr(kLengthBytes, size));
    if (!record.ok()) {
      content.damage = record.status();
    } else if (!Follows(*record, content.records)) {
      content.damage = absl::DataLossError("a record does not belong where it stands");
    } else {
      content.records.push_back(*std::move(record));
      rest.remove_prefix(kLengthBytes + size);
    }
  }
  if (content.records.empty()) return content.damage;
  if (content.damage.ok()) content.bytes = text.size();
  if (content.records.size() == 1) content.first_bytes = content.bytes;
  return content;
}

LastKnownGood::Loaded LastKnownGood::BuildFrom(const Content& content, int max_schema, absl::Status& failure) {
  Loaded loaded;
  for (const v1::StoredSnapshot& record : content.records) {
    absl::StatusOr<std::shared_ptr<const BuiltSnapshot>> built =
        Build(record.offer(), loaded.snapshot.get(), max_schema);
    if (!built.ok()) {
      failure = built.status();
      return loaded;
    }
    loaded.snapshot = *std::move(built);
    loaded.saved_us = record.saved_us();
  }
  return loaded;
}

LastKnownGood::Loaded LastKnownGood::Load(int max_schema) {
  std::vector<absl::Status> failures;
  const auto fail = [&](int slot, const absl::Status& status) {
    failures.push_back(
        absl::Status(status.code(), absl::StrCat("last known good ", Path(slot), ": ", status.message())));
  };
  std::vector<Content> contents;
  for (int slot = 0; slot < kSlots; ++slot) {
    absl::StatusOr<Content> content = Read(slot);
    if (content.ok()) {
      if (!content->damage.ok()) {
        fail(slot, absl::Status(content->damage.code(),
                                absl::StrCat("after ", content->bytes, " bytes: ", content->damage.message())));
      }
      contents.push_back(*std::move(content));
    } else if (!absl::IsNotFound(content.status())) {
      fail(slot, content.status());
    }
  }
  std::sort(contents.begin(), contents.end(), [](const Content& a, const Content& b) {
    return a.records.back().generation() > b.records.back().generation();
  });
  Loaded loaded;
  for (const Content& content : contents) {
    // A file that is whole but of no use here still counts: the next save must be newer than it.
    generation_ = std::max(generation_, content.records.back().generation());
    if (loaded.snapshot != nullptr) continue;
    absl::Status failure;
    loaded = BuildFrom(content, max_schema, failure);
    if (!failure.ok()) fail(content.slot, failure);
    if (loaded.snapshot == nullptr) continue;
    newest_slot_ = content.slot;
    if (!content.grows || !content.damage.ok() || !failure.ok()) continue;
    kept_ = loaded.snapshot;
    file_ = content.records.back().file();
    records_ = content.records.size();
    first_bytes_ = content.first_bytes;
    bytes_ = content.bytes;
  }
  loaded.failures = std::move(failures);
  return loaded;
}

absl::Status LastKnownGood::Save(std::shared_ptr<const BuiltSnapshot> snapshot, int64_t now_unix_us) {
  // A file that could not grow is left as it is: a whole snapshot in the other slot says it all again.
  const bool appended = kept_ != nullptr && Append(*snapshot, now_unix_us).ok();
  kept_ = nullptr;
  if (!appended) RETURN_IF_ERROR(WriteWhole(*snapshot, now_unix_us));
  kept_ = std::move(snapshot);
  return absl::OkStatus();
}

v1::StoredSnapshot LastKnownGood::NextRecord(const BuiltSnapshot& snapshot, int64_t now_unix_us) {
  v1::StoredSnapshot record;
  record.set_generation(++generation_);  // never twice: a failed write may be what a restart finds
  record.set_saved_us(now_unix_us);
  record.set_file(file_);
  *record.mutable_offer()->mutable_id() = snapshot.active->id;
  record.mutable_offer()->set_schema(snapshot.schema);
  record.mutable_offer()->set_last(true);
  return record;
}

std::string LastKnownGood::Frame(const v1::StoredSnapshot& record) const {
  const std::string sealed = sealer_.Seal(record.SerializeAsString());
  std::string framed(kLengthBytes, '\0');
  PutLittleEndian(static_cast<uint32_t>(sealed.size()), framed.data());
  return framed + sealed;
}

absl::Status LastKnownGood::Append(const BuiltSnapshot& snapshot, int64_t now_unix_us) {
  if (records_ >= kKeptRecordsMax) return absl::ResourceExhaustedError("the file has grown long");
  v1::StoredSnapshot record = NextRecord(snapshot, now_unix_us);
  v1::Offer& offer = *record.mutable_offer();
  *offer.mutable_base() = kept_->active->id;
  absl::flat_hash_set<std::string> taken;
  PartList::Compare(
      kept_->parts, snapshot.parts, [&](const PartList::EntryPtr& entry) { AddPart(*entry, taken, offer); },
      [&offer](const PartList::EntryPtr& entry) { offer.add_removed(entry->name); });
  const std::string framed = Frame(record);
  if (bytes_ + framed.size() > 2 * first_bytes_ + kGrowthBytesMin) {
    return absl::ResourceExhaustedError("the file has grown large");
  }
  RETURN_IF_ERROR(files_.AppendAndSync(Path(newest_slot_), bytes_, framed));
  bytes_ += framed.size();
  ++records_;
  return absl::OkStatus();
}

absl::Status LastKnownGood::WriteWhole(const BuiltSnapshot& snapshot, int64_t now_unix_us) {
  file_ = NewUuid();
  v1::StoredSnapshot record = NextRecord(snapshot, now_unix_us);
  absl::flat_hash_set<std::string> taken;
  snapshot.parts.ForEach([&](const PartList::EntryPtr& entry) { AddPart(*entry, taken, *record.mutable_offer()); });
  const int slot = (newest_slot_ + 1) % kSlots;
  const std::string tmp = absl::StrCat(directory_, "/snapshot.tmp");
  const std::string text = absl::StrCat(std::string(kMagic), Frame(record));
  RETURN_IF_ERROR(files_.WriteAndSync(tmp, text));
  RETURN_IF_ERROR(files_.Rename(tmp, Path(slot)));
  // From here the new file may be what a restart finds: another save must not overwrite it first.
  newest_slot_ = slot;
  records_ = 1;
  first_bytes_ = text.size();
  bytes_ = text.size();
  return files_.SyncDirectory(directory_);
}

}  // namespace signalbox
