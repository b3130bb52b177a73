// Spend records of requests that ended, to be filled again: a record is some two dozen small texts, whose memory is
// kept that way. One thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "signalbox/v1/spend.pb.h"

namespace signalbox {

class SpareRecords {
 public:
  static constexpr size_t kRecordsMax = 64;
  static constexpr int kRecordBytesMax = 4'096;  // encoded, and of each text that a client makes as long as it likes

  // An empty one.
  std::unique_ptr<v1::SpendRecord> Take() {
    if (spare_.empty()) return std::make_unique<v1::SpendRecord>();
    std::unique_ptr<v1::SpendRecord> record = std::move(spare_.back());
    spare_.pop_back();
    return record;
  }
  // The record has been encoded, which is when it learned its size.
  void Put(std::unique_ptr<v1::SpendRecord> record) {
    if (spare_.size() == kRecordsMax || record->GetCachedSize() > kRecordBytesMax) return;
    // What was cleared on the way still has its memory.
    for (const std::string* text : {&record->metadata_json(), &record->request_body(), &record->response_body()}) {
      if (text->capacity() > kRecordBytesMax) return;
    }
    record->Clear();
    spare_.push_back(std::move(record));
  }
  size_t size() const { return spare_.size(); }

 private:
  std::vector<std::unique_ptr<v1::SpendRecord>> spare_;
};

}  // namespace signalbox
