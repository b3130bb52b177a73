// The script's arithmetic inside Redis against 128-bit integers, at random and at the edges of what a double can count.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "controlplane/quota/amount_math.h"
#include "controlplane/quota/redis_quota_script.h"
#include "tests/controlplane/quota/redis_server.h"

namespace signalbox::testing {
namespace {

constexpr int64_t kSaturated = kRedisExactMax + 1;
constexpr int kCases = 40'000;
constexpr int kCasesPerCall = 2'000;

// Numbers of every size, and those around the powers of two and of ten where arithmetic breaks.
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : random_(seed) {}
  int64_t Next(int64_t least = 0) {
    const int bits = static_cast<int>(random_() % 54);
    int64_t value = static_cast<int64_t>(random_() >> (63 - bits) >> 1);
    if (random_() % 8 == 0) value = (int64_t{1} << bits) + static_cast<int64_t>(random_() % 5) - 2;
    if (random_() % 16 == 0) value = kRedisExactMax - static_cast<int64_t>(random_() % 3);
    if (random_() % 16 == 0) value = 1'000'000 + static_cast<int64_t>(random_() % 3) - 1;
    return std::clamp(value, least, kSaturated);
  }

 private:
  std::mt19937_64 random_;
};

int64_t Saturated(Int128 value) { return value > kSaturated ? kSaturated : static_cast<int64_t>(value); }

class RedisArithmetic : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto started = RedisServer::Start();
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = started->release();
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  // `call` for each case, whose numbers are a[i], a[i + 1], …; all results in order.
  static std::vector<int64_t> Evaluate(const std::string& call, const std::vector<std::vector<int64_t>>& cases) {
    std::vector<int64_t> results;
    for (size_t begin = 0; begin < cases.size(); begin += kCasesPerCall) {
      const std::string script =
          absl::StrCat(std::string(QuotaArithmeticScript()), "\nuse_math()\nlocal results, a = {}, {}\n",
                       "for i = 1, #ARGV do a[i] = tonumber(ARGV[i]) end\n", "for i = 1, #a, ", cases[0].size(),
                       " do results[#results + 1] = string.format('%.0f', ", call, ") end\nreturn results\n");
      std::vector<std::string> words = {"EVAL", script, "0"};
      for (size_t i = begin; i < std::min(cases.size(), begin + kCasesPerCall); ++i) {
        for (const int64_t number : cases[i]) words.push_back(absl::StrCat(number));
      }
      const absl::StatusOr<std::string> reply = server_->Command(words);
      EXPECT_TRUE(reply.ok()) << reply.status();
      if (!reply.ok()) return {};
      for (const absl::string_view text : absl::StrSplit(*reply, '\n')) {
        results.push_back(0);
        EXPECT_TRUE(absl::SimpleAtoi(text, &results.back())) << text;
      }
    }
    EXPECT_EQ(results.size(), cases.size());
    results.resize(cases.size());
    return results;
  }

  static std::string Words(const std::vector<int64_t>& numbers) {
    std::string text;
    for (const int64_t number : numbers) absl::StrAppend(&text, number, " ");
    return text;
  }

  static RedisServer* server_;
};
RedisServer* RedisArithmetic::server_ = nullptr;

TEST_F(RedisArithmetic, ScalesAsWholeNumbersRoundedDownAndUp) {
  Numbers numbers(1);
  std::vector<std::vector<int64_t>> cases;
  for (int i = 0; i < kCases; ++i) cases.push_back({numbers.Next(), numbers.Next(), numbers.Next(1)});
  const std::vector<int64_t> down = Evaluate("(scale(a[i], a[i + 1], a[i + 2]))", cases);
  const std::vector<int64_t> up = Evaluate("scale_up(a[i], a[i + 1], a[i + 2])", cases);
  for (size_t i = 0; i < cases.size(); ++i) {
    const Int128 product = Int128{cases[i][0]} * cases[i][1];
    ASSERT_EQ(down[i], Saturated(product / cases[i][2])) << Words(cases[i]);
    ASSERT_EQ(up[i], Saturated((product + cases[i][2] - 1) / cases[i][2])) << Words(cases[i]);
  }
}

TEST_F(RedisArithmetic, BoundsAreTheCoresAndNeverBelowThem) {
  Numbers numbers(2);
  std::vector<std::vector<int64_t>> cases;
  for (int i = 0; i < kCases; ++i) {
    cases.push_back({numbers.Next(), numbers.Next() % 1'000, numbers.Next(), numbers.Next()});
  }
  const std::vector<int64_t> bounds = Evaluate("bound_at(a[i], a[i + 1], a[i + 2], a[i + 3])", cases);
  int exact = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const std::vector<int64_t>& n = cases[i];
    const BoundLine line{n[0], n[3], 0, n[1]};
    const int64_t expected = std::min(LargestBound({&line, 1}, n[2]), kSaturated);
    const bool tokens_exact = Int128{std::max<int64_t>(n[1], 1)} * n[2] <= kRedisExactMax;
    if (tokens_exact) {
      ASSERT_EQ(bounds[i], expected) << Words(n);
      exact += expected < kSaturated;
    } else {
      ASSERT_GE(bounds[i], expected) << Words(n);
    }
  }
  EXPECT_GT(exact, kCases / 4);
}

TEST_F(RedisArithmetic, TheLargestCapIsTheCores) {
  Numbers numbers(3);
  std::vector<std::vector<int64_t>> cases;
  for (int i = 0; i < kCases; ++i) {
    const int64_t input = numbers.Next();
    const int64_t amount = std::min(kSaturated, input / 2 + numbers.Next());
    cases.push_back({amount, input, i % 3 == 0 ? numbers.Next() : numbers.Next() % 9, numbers.Next()});
  }
  const std::vector<int64_t> caps = Evaluate("largest_cap_within(a[i], a[i + 1], a[i + 2], a[i + 3])", cases);
  for (size_t i = 0; i < cases.size(); ++i) {
    const std::vector<int64_t>& n = cases[i];
    const BoundLine line{n[1], n[3], 0, n[2]};
    ASSERT_EQ(caps[i], LargestCap({&line, 1}, n[0], kSaturated)) << Words(n);
  }
}

TEST_F(RedisArithmetic, SumsOfHoldsStayExactPastWhatADoubleCounts) {
  std::mt19937_64 random(4);
  std::string script = absl::StrCat(
      std::string(QuotaArithmeticScript()), "\nuse_math()\nlocal high, low, results = 0, 0, {}\n",
      "for i = 1, #ARGV do high, low = sum_add(high, low, tonumber(ARGV[i]))\n",
      "results[i] = string.format('%.0f %.0f %.0f', high, low, sum_value(high, low)) end\nreturn results\n");
  std::vector<std::string> words = {"EVAL", script, "0"};
  std::vector<int64_t> amounts;
  std::vector<Int128> sums;
  Int128 sum = 0;
  for (int i = 0; i < 3'000; ++i) {
    int64_t amount = static_cast<int64_t>(random() % static_cast<uint64_t>(kSaturated + 1));
    if (random() % 4 == 0) amount >>= random() % 53;
    if (random() % 2 == 0 || i > 2'900) amount = static_cast<int64_t>(-std::min<Int128>(sum, amount));
    sum += amount;
    sums.push_back(sum);
    words.push_back(absl::StrCat(amount));
  }
  const absl::StatusOr<std::string> reply = server_->Command(words);
  ASSERT_TRUE(reply.ok()) << reply.status();
  const std::vector<std::string> lines = absl::StrSplit(*reply, '\n');
  ASSERT_EQ(lines.size(), sums.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::vector<std::string> parts = absl::StrSplit(lines[i], ' ');
    int64_t high = 0, low = 0, value = 0;
    ASSERT_TRUE(absl::SimpleAtoi(parts[0], &high) && absl::SimpleAtoi(parts[1], &low) &&
                absl::SimpleAtoi(parts[2], &value));
    ASSERT_TRUE((Int128{high} << 52) + low == sums[i]) << "after " << i + 1 << " amounts";
    ASSERT_EQ(value, Saturated(sums[i]));
  }
}

}  // namespace
}  // namespace signalbox::testing
