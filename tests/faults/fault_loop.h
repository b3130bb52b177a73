// The n-th operation on the disk fails, for n = 1, 2, 3 … until a run sees no failure. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>

#include "tests/testing/fault_disk.h"

namespace signalbox {

// A directory of its own, gone with it.
class FaultDirectory {
 public:
  FaultDirectory() {
    path_ = (std::filesystem::temp_directory_path() / "signalbox-faults-XXXXXX").string();
    EXPECT_NE(::mkdtemp(path_.data()), nullptr);
  }
  ~FaultDirectory() {
    HealDisk();
    std::filesystem::remove_all(path_);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct FaultCase {
  const char* name;
  DiskFault fault;
  bool stays;
};
inline constexpr FaultCase kFaultCases[] = {{"IoErrorOnce", DiskFault::kIoError, false},
                                            {"IoErrorThatStays", DiskFault::kIoError, true},
                                            {"DiskFull", DiskFault::kFull, true},
                                            {"TornWrite", DiskFault::kTorn, false},
                                            {"ShortWrite", DiskFault::kShort, false}};

class DiskFaults : public ::testing::TestWithParam<FaultCase> {
 protected:
  // `run(directory)` with the disk armed at n = 1, 2, 3 …, each in a new directory; ends with the first that saw no
  // failure. `run` heals the disk where it wants to.
  void ForEveryOperation(const std::function<void(const std::string& directory)>& run) {
    for (int n = 1;; ++n) {
      ASSERT_LT(n, 5'000);
      SCOPED_TRACE(::testing::Message() << "operation " << n << " fails");
      FaultDirectory directory;
      FailDisk(directory.path(), n, GetParam().fault, GetParam().stays);
      run(directory.path());
      const bool failed = DiskFailed();
      HealDisk();
      if (HasFailure()) return;
      if (!failed) {
        EXPECT_GT(n, 1) << "nothing was written";
        RecordProperty("operations", n - 1);
        return;
      }
    }
  }
};

#define SIGNALBOX_FAULT_CASES(Suite)                                           \
  INSTANTIATE_TEST_SUITE_P(OnTheDisk, Suite, ::testing::ValuesIn(kFaultCases), \
                           [](const auto& info) { return info.param.name; })

}  // namespace signalbox
