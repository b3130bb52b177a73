// Spend records on disk between the end of a request and the control plane's ack: numbered segment files in one
// directory, appended to in order, removed when all of them is acked. Records are written as they are appended, a write
// for what comes together, no fsync: they survive kill -9 of the process; what a power cut takes is covered by the
// quota service's suspense. Invariant: a record whose Append returned OK is read until it is acked, by this object and
// by the next one opened on the directory. What was acked may be read once more after a restart; the ledger takes
// repeats. The exception has a name: while the disk takes no write, records of requests under way are *kept* in memory,
// within bounds, and written when it does again; only if the process dies before that are they lost to the ledger.
// Thread-safe. Read and Ack are for one reader.
#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/limits.h"
#include "common/mutex.h"
#include "dataplane/spend/spend_frames.h"
#include "dataplane/spend/spool_files.h"
#include "signalbox/v1/spend.pb.h"

namespace signalbox {

inline constexpr int64_t kSpoolSegmentBytesMax = 8 << 20;
inline constexpr int64_t kSpoolKeptBytesMax = 64 << 20;  // of records in memory while the disk takes no write

struct SpoolOptions {
  std::string directory;  // made when missing; its parent must exist
  int64_t bytes_max = kSpoolBytesMax;
  int64_t segment_bytes_max = kSpoolSegmentBytesMax;  // or an eighth of bytes_max, if that is less
  int64_t kept_bytes_max = kSpoolKeptBytesMax;
  SpoolFiles* files = &PosixSpoolFiles();
};

class Spool {
 public:
  // Behind the last byte of a record, or before the first.
  struct Position {
    uint64_t segment = 0;
    int64_t offset = 0;
    auto operator<=>(const Position&) const = default;
  };
  // Encoded records, as they are sent: v1::SpendRecord.
  struct Batch {
    size_t size() const { return places.size(); }
    std::string_view record(size_t i) const { return std::string_view(data).substr(places[i].begin, places[i].bytes); }

    struct Place {
      size_t begin = 0;
      size_t bytes = 0;
    };
    std::string data;
    std::vector<Place> places;  // of the records in `data`
    Position begin;             // of `data`
    Position end;               // hand to Ack when they are committed, to Read for what follows
  };
  // A record that was not taken: its place among the frames.
  struct Refused {
    size_t frame = 0;
    absl::Status why;
  };
  // What was unreadable: cut off by a crash at the end of a segment, or damaged.
  struct Losses {
    int64_t segments = 0;  // whose rest was given up
    int64_t bytes = 0;
  };

  // Calls `on_pending` for each record of earlier runs that was not acked, oldest first. Damage is counted and skipped.
  // FAILED_PRECONDITION when another process uses the directory; UNAVAILABLE when it cannot be read.
  static absl::StatusOr<std::unique_ptr<Spool>> Open(SpoolOptions options,
                                                     const std::function<void(const v1::SpendRecord&)>& on_pending);
  ~Spool();  // tries to write what is kept; removes an active segment that is acked whole

  // What is not refused is on disk, or kept when the disk takes no write. RESOURCE_EXHAUSTED when full, UNAVAILABLE on
  // I/O errors with no room left to keep it.
  std::vector<Refused> Append(const SpendFrames& frames) SB_EXCLUDES(mutex_);
  // One record; INVALID_ARGUMENT too, past kSpoolRecordBytesMax.
  absl::Status Append(const v1::SpendRecord& record) SB_EXCLUDES(mutex_);
  // False from 95% on until it is back at 90%: requests under way still find room. False too from an Append that could
  // not be written (the disk is full) until there is room again and nothing is kept, which each call tries. Waits for
  // nobody while it is true.
  bool CanAccept() SB_EXCLUDES(mutex_);

  // The oldest records behind `from`, as many as fit (at least one if there is one); empty when there are none.
  absl::StatusOr<Batch> Read(Position from, size_t records_max, int64_t bytes_max) SB_EXCLUDES(mutex_);
  // Everything up to `end` is committed. An error means that files could not be tidied away, which the next Ack tries
  // again (also one for acked()); the records count as acked all the same.
  absl::Status Ack(Position end) SB_EXCLUDES(mutex_);
  Position acked() const SB_EXCLUDES(mutex_);
  Position end() const SB_EXCLUDES(mutex_);   // behind the newest record
  bool AllAcked() const SB_EXCLUDES(mutex_);  // and nothing is kept
  // Tries to write what is kept; how many records still are.
  size_t WriteKept() SB_EXCLUDES(mutex_);
  size_t kept() const SB_EXCLUDES(mutex_);
  int64_t bytes() const SB_EXCLUDES(mutex_);  // of all segments on disk
  Losses losses() const SB_EXCLUDES(mutex_);

 private:
  struct Segment {
    int64_t good_bytes = 0;  // of whole records; what follows is unreadable
    int64_t file_bytes = 0;
  };
  explicit Spool(SpoolOptions options);
  std::string Path(uint64_t segment) const;
  std::string AckPath() const;
  absl::Status Load(const std::function<void(const v1::SpendRecord&)>& on_pending);
  absl::StatusOr<Position> LoadAcked() const;
  absl::Status LoadSegment(uint64_t number, const std::function<void(const v1::SpendRecord&)>& on_pending)
      SB_REQUIRES(mutex_);
  absl::Status Rotate() SB_REQUIRES(mutex_);
  absl::Status Write(std::string_view data) SB_REQUIRES(mutex_);
  absl::Status WriteFrames(std::string_view frames) SB_REQUIRES(mutex_);
  absl::Status WriteOrKeep(std::string_view frame) SB_REQUIRES(mutex_);
  absl::Status DrainKept() SB_REQUIRES(mutex_);  // the oldest first; the first error ends it
  void CutOff(int64_t size) SB_REQUIRES(mutex_);
  absl::Status RemoveAcked() SB_REQUIRES(mutex_);
  void Resize(Segment& segment, int64_t file_bytes) SB_REQUIRES(mutex_);
  void GiveUpRest(uint64_t number, int64_t offset) SB_REQUIRES(mutex_);
  void NoteAccepting() SB_REQUIRES(mutex_) { accepting_.store(!full_ && !failing_, std::memory_order_relaxed); }

  const SpoolOptions options_;
  std::unique_ptr<SpoolFile> lock_;  // held as long as this object lives
  mutable Mutex mutex_;
  std::map<uint64_t, Segment> segments_ SB_GUARDED_BY(mutex_);  // the active one is the last
  std::unique_ptr<SpoolFile> active_ SB_GUARDED_BY(mutex_);     // null: the next Append opens one
  uint64_t last_number_ SB_GUARDED_BY(mutex_) = 0;              // never used again
  Position acked_ SB_GUARDED_BY(mutex_);
  int64_t bytes_ SB_GUARDED_BY(mutex_) = 0;
  bool full_ SB_GUARDED_BY(mutex_) = false;
  bool failing_ SB_GUARDED_BY(mutex_) = false;          // the last write did
  std::deque<std::string> kept_ SB_GUARDED_BY(mutex_);  // frames, oldest first; failing_ as long as there are any
  std::atomic<bool> accepting_{true};                   // neither full_ nor failing_
  int64_t kept_bytes_ SB_GUARDED_BY(mutex_) = 0;
  Losses losses_ SB_GUARDED_BY(mutex_);
};

}  // namespace signalbox
