#include "dataplane/spend/spend_client.h"

#include <glog/logging.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "common/rpc/rpc.h"
#include "common/thread_name.h"
#include "signalbox/v1/spend.pb.h"

namespace signalbox {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::microseconds;

// Records go to the control plane as they stand in the spool, encoded already: hence a stub that takes bytes.
using SpendStub = grpc::TemplatedGenericStub<grpc::ByteBuffer, v1::SpendAck>;
constexpr uint32_t kBytes = 2;  // protobuf's wire type of what has a length

bool IsRecord(std::string_view encoded, v1::SpendRecord& record) {
  return record.ParseFromArray(encoded.data(), static_cast<int>(encoded.size()));
}

// One stream. Its callbacks only note what happened, under the client's mutex, and wake the client's thread, which
// starts every write: hence the hold, given back by Close.
class ReportStream final : public grpc::ClientBidiReactor<grpc::ByteBuffer, v1::SpendAck> {
 public:
  ReportStream(SpendStub& stub, const std::string& token, Mutex& mutex, CondVar& changed)
      : mutex_(mutex), changed_(changed) {
    AddToken(context_, token);
    stub.PrepareBidiStreamingCall(&context_, method_, {}, this);
    AddHold();
    StartRead(&ack_);
    StartCall();
  }

  // An encoded v1::SpendBatch.
  void Write(grpc::ByteBuffer batch) SB_EXCLUDES(mutex_) {
    {
      MutexLock lock(mutex_);
      writing_ = true;
    }
    batch_ = std::move(batch);
    StartWrite(&batch_);
  }

  // Returns when no callback will come any more. The status is the server's, if it ended the stream.
  grpc::Status Close() SB_EXCLUDES(mutex_) {
    bool ended = false;
    {
      MutexLock lock(mutex_);
      ended = ended_;
    }
    if (!ended) context_.TryCancel();
    RemoveHold();
    MutexLock lock(mutex_);
    while (!done_) changed_.Wait(mutex_);
    return status_;
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(mutex_);
    writing_ = false;
    broken_ |= !ok;
    changed_.NotifyAll();
  }
  void OnReadDone(bool ok) override {
    {
      MutexLock lock(mutex_);
      if (ok) {
        acked_batch_ = std::max(acked_batch_, ack_.batch());
      } else {
        broken_ = ended_ = true;
      }
      changed_.NotifyAll();
      if (!ok) return;
    }
    StartRead(&ack_);
  }
  void OnDone(const grpc::Status& status) override {
    MutexLock lock(mutex_);
    status_ = status;
    done_ = true;
    changed_.NotifyAll();
  }

  // Said by the client once it holds its mutex, which is this stream's too: the analysis cannot know that.
  void MutexIsHeld() const SB_TSA(assert_capability(mutex_)) {}
  bool broken() const SB_REQUIRES(mutex_) { return broken_; }
  bool writing() const SB_REQUIRES(mutex_) { return writing_; }
  uint64_t acked_batch() const SB_REQUIRES(mutex_) { return acked_batch_; }

 private:
  Mutex& mutex_;
  CondVar& changed_;
  const std::string method_ = "/signalbox.v1.Spend/Report";
  grpc::ClientContext context_;
  grpc::ByteBuffer batch_;
  v1::SpendAck ack_;
  bool writing_ SB_GUARDED_BY(mutex_) = false;
  bool broken_ SB_GUARDED_BY(mutex_) = false;
  bool ended_ SB_GUARDED_BY(mutex_) = false;  // by the server: its status follows
  bool done_ SB_GUARDED_BY(mutex_) = false;
  uint64_t acked_batch_ SB_GUARDED_BY(mutex_) = 0;
  grpc::Status status_ SB_GUARDED_BY(mutex_);
};

class GrpcSpendClient final : public SpendClient {
 public:
  explicit GrpcSpendClient(SpendClientOptions options)
      : options_(std::move(options)), stub_(options_.channel), thread_([this] { Run(); }) {}
  ~GrpcSpendClient() override { Stop(); }

  void Wake() override {
    MutexLock lock(mutex_);
    if (idle_) changed_.NotifyAll();
  }

  bool Flush(int timeout_ms) override {
    const auto deadline = SteadyClock::now() + std::chrono::milliseconds(timeout_ms);
    MutexLock lock(mutex_);
    ++flushing_;
    changed_.NotifyAll();
    bool in_time = true;
    while (!options_.spool->AllAcked() && !stopping_ && in_time) in_time = changed_.WaitUntil(mutex_, deadline);
    --flushing_;
    return options_.spool->AllAcked();
  }

  void Stop() override {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.NotifyAll();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  struct Sent {
    uint64_t batch = 0;
    Spool::Position end;
    std::string first_record;  // encoded
    SteadyClock::time_point at;
  };
  enum class Next { kStop, kWrite, kAcked, kBroken, kSilent };

  void Run() {
    NameThread("spend client");
    int64_t backoff_us = options_.backoff_us_min;
    AckSpool(options_.spool->acked());  // removes what an earlier run left acked
    while (WaitForRecords()) {
      if (RunStream()) {
        backoff_us = options_.backoff_us_min;
        continue;
      }
      if (!Pause(backoff_us)) return;
      backoff_us = std::min(backoff_us * 2, options_.backoff_us_max);
    }
  }

  // False: stop.
  bool WaitForRecords() {
    MutexLock lock(mutex_);
    while (!stopping_ && options_.spool->AllAcked()) {
      idle_ = true;
      if (untidy_) {
        changed_.WaitUntil(mutex_, SteadyClock::now() + microseconds(options_.backoff_us_max));
        mutex_.Unlock();
        AckSpool(options_.spool->acked());
        mutex_.Lock();
      } else {
        changed_.Wait(mutex_);
      }
    }
    idle_ = false;
    return !stopping_;
  }

  // False: stop. A Flush makes it short.
  bool Pause(int64_t backoff_us) {
    const auto now = SteadyClock::now();
    MutexLock lock(mutex_);
    while (!stopping_) {
      const int64_t us = flushing_ > 0 ? std::min(backoff_us, options_.backoff_us_min) : backoff_us;
      if (SteadyClock::now() >= now + microseconds(us)) return true;
      changed_.WaitUntil(mutex_, now + microseconds(us));
    }
    return false;
  }

  // One stream from its start to its end; true when the control plane acked something on it.
  bool RunStream() {
    ReportStream stream(stub_, options_.token, mutex_, changed_);
    std::deque<Sent> sent;
    Spool::Position cursor = options_.spool->acked();
    auto write_at = SteadyClock::now();
    uint64_t batch = 0;
    bool progress = false;
    std::string fault;
    while (fault.empty()) {
      const Next next = WaitForNext(stream, sent, cursor, write_at);
      if (next == Next::kStop || next == Next::kBroken) break;
      if (next == Next::kSilent) {
        fault = "the control plane did not ack in time";
        break;
      }
      if (next == Next::kAcked) {
        progress |= TakeAcks(stream, sent, batch, fault);
        continue;
      }
      const size_t records_max = isolate_ ? 1 : options_.batch_records_max;
      absl::StatusOr<Spool::Batch> read = options_.spool->Read(cursor, records_max, options_.batch_bytes_max);
      if (!read.ok()) {
        fault = std::string(read.status().message());
        break;
      }
      cursor = read->end;
      const auto now = SteadyClock::now();
      if (read->size() < records_max) write_at = now + microseconds(options_.pace_us);
      if (!progress) DropUnreadable(*read);
      if (read->size() == 0) {
        // Nothing to send: done with it, once what was sent before is acked.
        if (sent.empty()) {
          AckSpool(cursor);
        } else {
          sent.back().end = cursor;
        }
        continue;
      }
      sent.push_back({++batch, cursor, std::string(read->record(0)), now});
      stream.Write(ToMessage(batch, *read));
    }
    Conclude(stream.Close(), fault, sent, progress);
    return progress;
  }

  Next WaitForNext(ReportStream& stream, const std::deque<Sent>& sent, Spool::Position cursor,
                   SteadyClock::time_point write_at) SB_EXCLUDES(mutex_) {
    const size_t in_flight_max = isolate_ ? 1 : options_.batches_in_flight_max;
    MutexLock lock(mutex_);
    stream.MutexIsHeld();
    while (true) {
      if (stopping_) return Next::kStop;
      if (!sent.empty() && stream.acked_batch() >= sent.front().batch) return Next::kAcked;
      if (stream.broken()) return Next::kBroken;
      const auto now = SteadyClock::now();
      auto wake_at = now + std::chrono::hours(1);
      if (!sent.empty()) wake_at = sent.front().at + microseconds(options_.ack_timeout_us);
      if (now >= wake_at) return Next::kSilent;
      if (TryKept()) wake_at = std::min(wake_at, now + microseconds(options_.backoff_us_max));
      // Only a new record is worth a wake-up by a request; every other change comes from the stream.
      idle_ = false;
      if (!stream.writing() && sent.size() < in_flight_max) {
        if (options_.spool->end() <= cursor) {
          idle_ = true;
        } else if (now >= write_at || flushing_ > 0) {
          return Next::kWrite;
        } else {
          wake_at = std::min(wake_at, write_at);
        }
      }
      changed_.WaitUntil(mutex_, wake_at);
      idle_ = false;
    }
  }

  // Records that the disk did not take are tried again; whether there still are any.
  bool TryKept() {
    const size_t kept = options_.spool->WriteKept();
    if (kept > 0 && !keeping_) LOG(ERROR) << "the spool cannot be written: spend records are kept in memory";
    if (kept == 0 && keeping_) LOG(INFO) << "the spool is written again";
    keeping_ = kept > 0;
    return keeping_;
  }

  bool TakeAcks(ReportStream& stream, std::deque<Sent>& sent, uint64_t last_batch, std::string& fault) {
    uint64_t acked = 0;
    {
      MutexLock lock(mutex_);
      stream.MutexIsHeld();
      acked = stream.acked_batch();
    }
    if (acked > last_batch) {
      fault = "the control plane acked a batch that was never sent";
      return false;
    }
    Spool::Position end;
    while (!sent.empty() && sent.front().batch <= acked) {
      end = sent.front().end;
      sent.pop_front();
    }
    AckSpool(end);
    isolate_ = false;
    if (failing_) LOG(INFO) << "the control plane takes spend records again";
    failing_ = false;
    return true;
  }

  void AckSpool(Spool::Position end) {
    const absl::Status status = options_.spool->Ack(end);
    if (!status.ok() && !untidy_) LOG(WARNING) << "spool: " << status.message() << "; will be tried again";
    MutexLock lock(mutex_);
    untidy_ = !status.ok();
    changed_.NotifyAll();
  }

  void Conclude(const grpc::Status& status, const std::string& fault, const std::deque<Sent>& sent, bool progress) {
    {
      MutexLock lock(mutex_);
      if (stopping_) return;
    }
    // A record the control plane will never take must not block those behind it: find it by sending one at a time.
    if (status.error_code() == grpc::StatusCode::INVALID_ARGUMENT && !sent.empty()) {
      if (isolate_ && sent.size() == 1) {
        v1::SpendRecord record;
        IsRecord(sent.front().first_record, record);
        Drop(record, absl::StrCat("the control plane refuses it (", status.error_message(), ")"));
        AckSpool(sent.front().end);
      }
      isolate_ = true;
    }
    if (!failing_ && !progress) {
      LOG(WARNING) << "spend records wait in the spool: "
                   << (!fault.empty() ? fault
                       : status.ok()  ? std::string("the control plane ended the stream")
                                      : status.error_message());
      failing_ = true;
    }
  }

  void Drop(const v1::SpendRecord& record, const std::string& why) const {
    LOG(ERROR) << "the spend record of request " << record.request_id() << " is dropped: " << why;
    if (options_.on_refused) options_.on_refused(record.request_id());
  }

  // The control plane would end the stream at a record that is none, and never say so: until it has acked something on
  // a stream, nothing is sent unread.
  void DropUnreadable(Spool::Batch& batch) {
    std::erase_if(batch.places, [&](const Spool::Batch::Place& place) {
      v1::SpendRecord record;
      if (IsRecord(std::string_view(batch.data).substr(place.begin, place.bytes), record)) return false;
      const Spool::Position at{batch.begin.segment, batch.begin.offset + static_cast<int64_t>(place.begin)};
      if (at <= dropped_) return true;  // said before: nothing behind it was acked yet
      dropped_ = at;
      Drop(record, "it cannot be read");
      return true;
    });
  }

  // A message's fields may come in any order and pieces (protobuf's encoding): the records follow the rest.
  grpc::ByteBuffer ToMessage(uint64_t batch, const Spool::Batch& records) const {
    v1::SpendBatch head;
    head.set_batch(batch);
    head.set_proxy_id(options_.proxy_id);
    std::string message = head.SerializeAsString();
    message.reserve(message.size() + records.data.size());
    {
      google::protobuf::io::StringOutputStream stream(&message);
      google::protobuf::io::CodedOutputStream out(&stream);
      for (size_t i = 0; i < records.size(); ++i) {
        const std::string_view record = records.record(i);
        out.WriteTag(v1::SpendBatch::kRecordsFieldNumber << 3 | kBytes);
        out.WriteVarint32(static_cast<uint32_t>(record.size()));
        out.WriteRaw(record.data(), static_cast<int>(record.size()));
      }
    }
    const grpc::Slice slice(message);
    return grpc::ByteBuffer(&slice, 1);
  }

  const SpendClientOptions options_;
  SpendStub stub_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ SB_GUARDED_BY(mutex_) = false;
  bool idle_ SB_GUARDED_BY(mutex_) = false;  // the thread waits for a record
  int flushing_ SB_GUARDED_BY(mutex_) = 0;
  // Written by the thread alone.
  Spool::Position dropped_;  // of the last record that could not be read
  bool untidy_ = false;      // files acked whole could not be removed
  bool isolate_ = false;     // after a refused batch: one record at a time
  bool failing_ = false;     // said so already
  bool keeping_ = false;     // records in memory, said so already
  std::thread thread_;       // last: it uses all of the above
};

}  // namespace

std::unique_ptr<SpendClient> NewSpendClient(SpendClientOptions options) {
  return std::make_unique<GrpcSpendClient>(std::move(options));
}

}  // namespace signalbox
