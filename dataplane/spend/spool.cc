#include "dataplane/spend/spool.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/little_endian.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

constexpr std::string_view kSuffix = ".spool";
constexpr size_t kAckBytes = 16;          // a position
constexpr size_t kProbeBytes = 16 << 10;  // room to find before records are taken again

std::optional<uint64_t> SegmentNumber(std::string_view name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number == 0) return std::nullopt;
  return number;
}

}  // namespace

Spool::Spool(SpoolOptions options) : options_(std::move(options)) {}

std::string Spool::Path(uint64_t segment) const {
  return absl::StrCat(options_.directory, "/", absl::StrFormat("%08u", segment), std::string(kSuffix));
}

std::string Spool::AckPath() const { return absl::StrCat(options_.directory, "/acked"); }

absl::StatusOr<std::unique_ptr<Spool>> Spool::Open(SpoolOptions options,
                                                   const std::function<void(const v1::SpendRecord&)>& on_pending) {
  options.segment_bytes_max = std::min(options.segment_bytes_max, std::max<int64_t>(options.bytes_max / 8, 1));
  std::unique_ptr<Spool> spool(new Spool(std::move(options)));
  RETURN_IF_ERROR(spool->Load(on_pending));
  return spool;
}

absl::Status Spool::Load(const std::function<void(const v1::SpendRecord&)>& on_pending) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(options_.files->MakeDirectory(options_.directory));
  ASSIGN_OR_RETURN(lock_, options_.files->Lock(absl::StrCat(options_.directory, "/lock")));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, options_.files->List(options_.directory));
  ASSIGN_OR_RETURN(acked_, LoadAcked());
  // Numbers are never used twice, so what the ack file says of a lost segment never covers a new one.
  last_number_ = acked_.segment;
  std::vector<uint64_t> numbers;
  for (const std::string& name : names) {
    if (const std::optional<uint64_t> number = SegmentNumber(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  for (const uint64_t number : numbers) {
    last_number_ = std::max(last_number_, number);
    RETURN_IF_ERROR(LoadSegment(number, on_pending));
  }
  return absl::OkStatus();
}

// A file that is missing or damaged only means that records are read again. One that may be read next time must stop us
// now: the numbers of the segments it covers would be used twice.
absl::StatusOr<Spool::Position> Spool::LoadAcked() const {
  const absl::StatusOr<std::string> data = options_.files->Read(AckPath(), 0, 64);
  if (absl::IsNotFound(data.status())) return Position{};
  if (!data.ok()) return data.status();
  const std::optional<std::string_view> payload = Unframe(*data);
  if (!payload || payload->size() != kAckBytes) return Position{};
  Position position;
  position.segment = GetLittleEndian<uint64_t>(payload->data());
  position.offset = static_cast<int64_t>(GetLittleEndian<uint64_t>(payload->data() + 8));
  return position;
}

absl::Status Spool::LoadSegment(uint64_t number, const std::function<void(const v1::SpendRecord&)>& on_pending) {
  ASSIGN_OR_RETURN(const std::string data, options_.files->Read(Path(number), 0, std::numeric_limits<int64_t>::max()));
  Segment& segment = segments_[number];
  Resize(segment, data.size());
  const std::string_view all = data;
  while (const std::optional<std::string_view> payload = Unframe(all.substr(segment.good_bytes))) {
    segment.good_bytes += kFrameHeaderBytes + payload->size();
    if (Position{number, segment.good_bytes} <= acked_) continue;
    v1::SpendRecord record;
    if (record.ParseFromArray(payload->data(), payload->size())) {
      on_pending(record);
    } else {
      losses_.bytes += payload->size();
    }
  }
  if (segment.good_bytes < segment.file_bytes) GiveUpRest(number, segment.good_bytes);
  return absl::OkStatus();
}

Spool::~Spool() {
  MutexLock lock(mutex_);
  DrainKept().IgnoreError();  // said by every Append since
  if (segments_.size() != 1 || active_ == nullptr) return;
  const auto& [number, segment] = *segments_.begin();
  // A leftover is read again at the next start, no more.
  if (acked_ >= Position{number, segment.good_bytes}) options_.files->Remove(Path(number)).IgnoreError();
}

void Spool::Resize(Segment& segment, int64_t file_bytes) {
  bytes_ += file_bytes - segment.file_bytes;
  segment.file_bytes = file_bytes;
}

void Spool::GiveUpRest(uint64_t number, int64_t offset) {
  Segment& segment = segments_[number];
  segment.good_bytes = offset;
  ++losses_.segments;
  losses_.bytes += segment.file_bytes - offset;
}

absl::Status Spool::Rotate() {
  const uint64_t number = last_number_ + 1;
  ASSIGN_OR_RETURN(active_, options_.files->Create(Path(number)));
  last_number_ = number;
  segments_[number] = Segment{};
  return absl::OkStatus();
}

absl::Status Spool::Append(const v1::SpendRecord& record) {
  SpendFrames frames;
  RETURN_IF_ERROR(frames.Add(record));
  const std::vector<Refused> refused = Append(frames);
  return refused.empty() ? absl::OkStatus() : refused.front().why;
}

std::vector<Spool::Refused> Spool::Append(const SpendFrames& frames) {
  std::vector<Refused> refused;
  if (frames.empty()) return refused;
  MutexLock lock(mutex_);
  const bool fit = bytes_ + static_cast<int64_t>(frames.bytes().size()) <= options_.bytes_max;
  if (!fit || failing_ || !WriteFrames(frames.bytes()).ok()) {
    // Each by itself: as many as there is room for.
    for (size_t i = 0; i < frames.size(); ++i) {
      if (absl::Status status = WriteOrKeep(frames.frame(i)); !status.ok()) refused.push_back({i, std::move(status)});
    }
  }
  NoteAccepting();
  return refused;
}

absl::Status Spool::WriteOrKeep(std::string_view frame) {
  const int64_t size = frame.size();
  if (bytes_ + size > options_.bytes_max) {
    full_ = true;
    return absl::ResourceExhaustedError(
        absl::StrCat("the spool ", options_.directory, " is full: ", bytes_, " of ", options_.bytes_max,
                     " bytes wait for the control plane, which must come back to empty it"));
  }
  // In the order they were made: behind those that are kept.
  absl::Status status = DrainKept();
  if (status.ok()) status = WriteFrames(frame);
  failing_ = !status.ok();
  if (status.ok() || kept_bytes_ + size > options_.kept_bytes_max) return status;
  kept_.emplace_back(frame);
  kept_bytes_ += size;
  return absl::OkStatus();
}

absl::Status Spool::WriteFrames(std::string_view frames) {
  RETURN_IF_ERROR(Write(frames));
  Segment& segment = segments_.rbegin()->second;
  segment.good_bytes += frames.size();
  Resize(segment, segment.good_bytes);
  full_ = full_ || bytes_ >= options_.bytes_max / 20 * 19;
  return absl::OkStatus();
}

absl::Status Spool::DrainKept() {
  while (!kept_.empty()) {
    RETURN_IF_ERROR(WriteFrames(kept_.front()));
    kept_bytes_ -= static_cast<int64_t>(kept_.front().size());
    kept_.pop_front();
  }
  return absl::OkStatus();
}

size_t Spool::WriteKept() {
  MutexLock lock(mutex_);
  if (!kept_.empty()) failing_ = !DrainKept().ok();
  NoteAccepting();
  return kept_.size();
}

size_t Spool::kept() const {
  MutexLock lock(mutex_);
  return kept_.size();
}

// Behind the last record of the active segment, or of a new one. After an error nothing of `data` is there, or nothing
// follows it.
absl::Status Spool::Write(std::string_view data) {
  const int64_t size = data.size();
  if (active_ == nullptr || segments_.rbegin()->second.good_bytes + size > options_.segment_bytes_max) {
    if (active_ == nullptr || segments_.rbegin()->second.good_bytes > 0) RETURN_IF_ERROR(Rotate());
  }
  absl::Status status = active_->Append(data);
  if (!status.ok()) CutOff(size);
  return status;
}

// A part of what was written may be there. If it cannot be cut off, nothing may follow it.
void Spool::CutOff(int64_t size) {
  Segment& segment = segments_.rbegin()->second;
  if (active_->Truncate(segment.good_bytes).ok()) return;
  Resize(segment, segment.good_bytes + size);
  GiveUpRest(segments_.rbegin()->first, segment.good_bytes);
  active_.reset();
}

bool Spool::CanAccept() {
  if (accepting_.load(std::memory_order_relaxed)) return true;
  MutexLock lock(mutex_);
  if (failing_ && DrainKept().ok() && Write(std::string(kProbeBytes, '\0')).ok()) {
    CutOff(kProbeBytes);
    failing_ = active_ == nullptr;
  }
  NoteAccepting();
  return !full_ && !failing_;
}

absl::StatusOr<Spool::Batch> Spool::Read(Position from, size_t records_max, int64_t bytes_max) {
  Batch batch;
  batch.end = from;
  while (true) {
    uint64_t number = 0;
    int64_t size = 0;
    {
      MutexLock lock(mutex_);
      batch.end = std::max(batch.end, acked_);
      auto segment = segments_.lower_bound(batch.end.segment);
      while (segment != segments_.end() && Position{segment->first, segment->second.good_bytes} <= batch.end) ++segment;
      if (segment == segments_.end()) return batch;
      number = segment->first;
      if (number != batch.end.segment) batch.end = {number, 0};
      size = segment->second.good_bytes - batch.end.offset;
    }
    // The file is read without the lock: what is within good_bytes never changes, and only Ack removes it.
    const int64_t wanted = std::min(size, std::max(bytes_max, kSpoolRecordBytesMax + kFrameHeaderBytes));
    batch.begin = batch.end;
    ASSIGN_OR_RETURN(batch.data, options_.files->Read(Path(number), batch.end.offset, wanted));
    int64_t taken = 0;
    while (batch.size() < records_max) {
      const std::optional<std::string_view> payload = Unframe(std::string_view(batch.data).substr(taken));
      if (!payload) break;
      const int64_t frame_bytes = kFrameHeaderBytes + payload->size();
      if (batch.size() > 0 && taken + frame_bytes > bytes_max) break;
      batch.places.push_back({static_cast<size_t>(taken + kFrameHeaderBytes), payload->size()});
      taken += frame_bytes;
    }
    batch.end.offset += taken;
    if (batch.size() > 0) return batch;
    // Damaged since it was written.
    MutexLock lock(mutex_);
    if (number == segments_.rbegin()->first) active_.reset();
    GiveUpRest(number, batch.end.offset);
  }
}

absl::Status Spool::Ack(Position end) {
  MutexLock lock(mutex_);
  if (end > acked_) acked_ = end;
  return RemoveAcked();
}

absl::Status Spool::RemoveAcked() {
  absl::Status result;
  for (auto segment = segments_.begin(); segment != segments_.end();) {
    const bool active = active_ != nullptr && std::next(segment) == segments_.end();
    if (active || Position{segment->first, segment->second.good_bytes} > acked_) break;
    if (absl::Status removed = options_.files->Remove(Path(segment->first)); !removed.ok()) {
      result = std::move(removed);
      ++segment;  // the next Ack tries again
      continue;
    }
    Resize(segment->second, 0);
    segment = segments_.erase(segment);
  }
  if (full_ && bytes_ <= options_.bytes_max / 10 * 9) full_ = false;
  NoteAccepting();
  std::string frame;
  char* payload = BeginFrame(kAckBytes, frame);
  PutLittleEndian(acked_.segment, payload);
  PutLittleEndian(static_cast<uint64_t>(acked_.offset), payload + 8);
  FinishFrame(kAckBytes, payload);
  if (absl::Status written = options_.files->Overwrite(AckPath(), frame); !written.ok()) result = written;
  return result;
}

Spool::Position Spool::acked() const {
  MutexLock lock(mutex_);
  return acked_;
}

Spool::Position Spool::end() const {
  MutexLock lock(mutex_);
  if (segments_.empty()) return acked_;
  return std::max(acked_, Position{segments_.rbegin()->first, segments_.rbegin()->second.good_bytes});
}

bool Spool::AllAcked() const { return acked() >= end() && kept() == 0; }

int64_t Spool::bytes() const {
  MutexLock lock(mutex_);
  return bytes_;
}

Spool::Losses Spool::losses() const {
  MutexLock lock(mutex_);
  return losses_;
}

}  // namespace signalbox
