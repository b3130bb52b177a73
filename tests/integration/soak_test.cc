// Mixed load over windows that turn, with clients that leave: what is held, memory, descriptors and the quota log stay
// as they were half way. SIGNALBOX_SOAK_SECONDS says how long (tests/soak/run); 20 s without.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/integration/books.h"
#include "tests/integration/load.h"

namespace signalbox {
namespace {

constexpr int kThreads = 6;
constexpr int64_t kRssSlackKib = 12 << 10;
constexpr int64_t kCompactAfterKib = 512;
// The log and the state that replaces it, both in the file for a moment, with SQLite's own pages.
constexpr int64_t kQuotaDbBytesMax = 6 * kCompactAfterKib << 10;

int64_t RssKib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::atoll(line.c_str() + 6);
  }
  return -1;
}

int64_t Entries(const std::string& directory) {
  std::error_code error;
  int64_t count = 0;
  for (std::filesystem::directory_iterator it(directory, error), end; it != end; it.increment(error)) ++count;
  return count;
}

struct Sizes {
  int64_t proxy_kib, quota_kib, proxy_fds, quota_fds, quota_db_bytes;
};

TEST(Soak, NothingGrowsInTheSecondHalf) {
  const char* const chosen = std::getenv("SIGNALBOX_SOAK_SECONDS");
  const int seconds = chosen == nullptr ? 20 : std::atoi(chosen);
  ASSERT_GE(seconds, 4);
  Stack stack({.proxies = 1,
               .provider_flags = {"--chunks=4"},
               .quota_flags = {absl::StrCat("--compact_after_kib=", kCompactAfterKib)}});
  stack.DeployRoute(LimitedRoute({{"limitType", "cost"}, {"limit", 1}, {"window", 2}}));
  const QuotaView quota(stack);
  const auto half = [&] {
    Traffic traffic(kThreads, [&](int thread, int round) {
      const Stack::ChatOptions chat{.route = "limited",
                                    .metadata = {{"team", absl::StrCat("team-", (thread + round) % 50)}},
                                    .stream = round % 2 == 0,
                                    .body = {{"max_tokens", 20}}};
      RawConnection client(stack.proxy_address(0));
      client.Send(stack.ChatBytes(chat, "connection: close\r\n"));
      if (round % 5 != 0) client.ReadToEnd();  // every fifth leaves at once
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(seconds * 500));
    traffic.Stop();
    EXPECT_GT(traffic.calls(), 0);
    EXPECT_TRUE(Eventually([&] { return NothingHeld(quota, {"team"}); }));
    Sizes sizes{};
    const pid_t proxy = stack.proxy(0).process->pid();
    const pid_t service = stack.quota().process->pid();
    sizes.proxy_kib = RssKib(proxy);
    sizes.quota_kib = RssKib(service);
    sizes.proxy_fds = Entries(absl::StrCat("/proc/", proxy, "/fd"));
    sizes.quota_fds = Entries(absl::StrCat("/proc/", service, "/fd"));
    sizes.quota_db_bytes = static_cast<int64_t>(std::filesystem::file_size(stack.directory() + "/quota/quota.db"));
    std::printf("soak: %d calls, proxy %ld KiB %ld fds, quota %ld KiB %ld fds, quota.db %ld bytes\n", traffic.calls(),
                sizes.proxy_kib, sizes.proxy_fds, sizes.quota_kib, sizes.quota_fds, sizes.quota_db_bytes);
    return sizes;
  };
  const Sizes before = half();
  const Sizes after = half();
  EXPECT_LE(after.proxy_kib, before.proxy_kib + kRssSlackKib);
  EXPECT_LE(after.quota_kib, before.quota_kib + kRssSlackKib);
  EXPECT_LE(after.proxy_fds, before.proxy_fds + 8);
  EXPECT_LE(after.quota_fds, before.quota_fds + 4);
  EXPECT_LE(after.quota_db_bytes, kQuotaDbBytesMax);
}

}  // namespace
}  // namespace signalbox
