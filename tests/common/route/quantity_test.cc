#include "common/route/quantity.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace signalbox {
namespace {

TEST(DollarsToNanos, TakesTheDecimalAsWritten) {
  EXPECT_EQ(DollarsToNanos(0.1), 100'000'000);
  EXPECT_EQ(DollarsToNanos(10), 10'000'000'000);
  EXPECT_EQ(DollarsToNanos(0.3), 300'000'000);
  EXPECT_EQ(DollarsToNanos(1.005), 1'005'000'000);
  EXPECT_EQ(DollarsToNanos(123456.789012345), 123'456'789'012'345);
  EXPECT_EQ(DollarsToNanos(1e-9), 1);
  EXPECT_EQ(DollarsToNanos(1e9), 1'000'000'000'000'000'000);
}

TEST(DollarsToNanos, RoundsHalfToEvenAtTheNinthPlace) {
  EXPECT_EQ(DollarsToNanos(1.5e-9), 2);
  EXPECT_EQ(DollarsToNanos(2.5e-9), 2);
  EXPECT_EQ(DollarsToNanos(2.51e-9), 3);
  EXPECT_EQ(DollarsToNanos(3.5e-9), 4);
  EXPECT_EQ(DollarsToNanos(0.6e-9), 1);
}

TEST(DollarsToNanos, RefusesWhatIsNoLimit) {
  for (double bad :
       {0.0, -1.0, 0.5e-9, 1e-12, 1e-300, 1.1e9, 1e300, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(DollarsToNanos(bad), std::nullopt) << bad;
  }
}

TEST(ParseShare, ReadsBasisPointsAndLabels) {
  EXPECT_EQ(ParseShare("10%"), 1'000u);
  EXPECT_EQ(ParseShare("33.34%"), 3'334u);
  EXPECT_EQ(ParseShare("33.3%"), 3'330u);
  EXPECT_EQ(ParseShare("0.01%"), 1u);
  EXPECT_EQ(ParseShare("0%"), 0u);
  EXPECT_EQ(ParseShare("100%"), 10'000u);
  EXPECT_EQ(ParseShare("50% a"), 5'000u);
  EXPECT_EQ(ParseShare("50% new model"), 5'000u);
}

TEST(ParseShare, RefusesWhatIsNoShare) {
  for (const char* bad : {"", "%", "10", "10.%", ".5%", "10.123%", "-10%", "+10%", "1e1%", "100.01%", "101%", "1000%",
                          "10%a", "10% ", " 10%", "ten%", "10 %", "10%%", "9999999999999999999%"}) {
    EXPECT_EQ(ParseShare(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace signalbox
