// Spend records of requests that ended, to be filled again: a record is some two dozen small texts, whose memory is
// kept that way. One thread.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "signalbox/v1/spend.pb.h"

namespace signalbox {

class SpareRecords {
 public:
  static constexpr size_t kRecordsMax = 64;
  static constexpr int kRecordBytesMax = 4'096;  // encoded: what was larger holds too much

  // An empty one.
  std::unique_ptr<v1::SpendRecord> Take() {
    if (spare_.empty()) return std::make_unique<v1::SpendRecord>();
    std::unique_ptr<v1::SpendRecord> record = std::move(spare_.back());
    spare_.pop_back();
    return record;
  }
  // It was encoded, as what is in it is now.
  void Put(std::unique_ptr<v1::SpendRecord> record) {
    const bool held_bodies =
        record->request_body().capacity() > kRecordBytesMax || record->response_body().capacity() > kRecordBytesMax;
    if (spare_.size() == kRecordsMax || record->GetCachedSize() > kRecordBytesMax || held_bodies) return;
    record->Clear();
    spare_.push_back(std::move(record));
  }
  size_t size() const { return spare_.size(); }

 private:
  std::vector<std::unique_ptr<v1::SpendRecord>> spare_;
};

}  // namespace signalbox
