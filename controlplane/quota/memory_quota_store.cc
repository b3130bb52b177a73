#include "controlplane/quota/memory_quota_store.h"

namespace signalbox {
namespace {

class MemoryQuotaStore final : public QuotaStore {
 public:
  absl::Status Append(const v1::QuotaLogBatch&) override { return absl::OkStatus(); }
  absl::Status Compact(const std::vector<v1::QuotaStatePart>&) override { return absl::OkStatus(); }
  absl::Status Recover(const std::function<absl::Status(const v1::QuotaStatePart&)>&,
                       const std::function<absl::Status(const v1::QuotaLogBatch&)>&) override {
    return absl::OkStatus();
  }
  int64_t log_bytes() const override { return 0; }
  std::string name() const override { return "memory"; }
  Durability durability() const override { return Durability::kNone; }
};

}  // namespace

std::unique_ptr<QuotaStore> NewMemoryQuotaStore() { return std::make_unique<MemoryQuotaStore>(); }

}  // namespace signalbox
