#include "common/calendar.h"

#include <gtest/gtest.h>

#include <random>

namespace signalbox {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kHourUs = 3'600 * kSecondUs;

TEST(Calendar, ADayInUtcIsAlignedToTheEpoch) {
  const Window day = CalendarWindow(v1::DAY, "", 20'000 * 24 * kHourUs + 5);
  EXPECT_EQ(day.start_us, 20'000 * 24 * kHourUs);
  EXPECT_EQ(day.end_us, 20'001 * 24 * kHourUs);
}

TEST(Calendar, DaysAreOf23And25HoursWhereClocksChange) {
  const Window spring = CalendarWindow(v1::DAY, "Europe/Berlin", 1'743'300'000 * kSecondUs);  // 2025-03-30
  EXPECT_EQ(spring.end_us - spring.start_us, 23 * kHourUs);
  const Window autumn = CalendarWindow(v1::DAY, "Europe/Berlin", 1'761'450'000 * kSecondUs);  // 2025-10-26
  EXPECT_EQ(autumn.end_us - autumn.start_us, 25 * kHourUs);
}

TEST(Calendar, AMonthBeginsAtItsFirstMidnightThere) {
  const Window june = CalendarWindow(v1::MONTH, "Asia/Tokyo", 1'750'000'000 * kSecondUs);
  EXPECT_EQ(june.start_us, 1'748'703'600 * kSecondUs);  // 2025-05-31T15:00Z
  EXPECT_EQ(june.end_us - june.start_us, 30 * 24 * kHourUs);
}

TEST(Calendar, EveryMomentIsInItsWindowAndWindowsFollowEachOther) {
  std::mt19937_64 random(7);
  // Zones with half hours, with clock changes at midnight, and one that skipped a whole day.
  for (const char* zone : {"", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe",
                           "Africa/Cairo", "Asia/Beirut", "Pacific/Apia", "America/Havana"}) {
    for (int i = 0; i < 300; ++i) {
      const int64_t now_us = static_cast<int64_t>(random() % (80ULL * 366 * 24 * kHourUs));
      for (const v1::Calendar calendar : {v1::DAY, v1::MONTH}) {
        const Window window = CalendarWindow(calendar, zone, now_us);
        ASSERT_LE(window.start_us, now_us) << zone;
        ASSERT_GT(window.end_us, now_us) << zone;
        ASSERT_EQ(CalendarWindow(calendar, zone, window.end_us).start_us, window.end_us) << zone << " " << now_us;
        ASSERT_EQ(CalendarWindow(calendar, zone, window.end_us - 1).start_us, window.start_us) << zone << " " << now_us;
      }
    }
  }
}

TEST(Calendar, OnlyNamesOfTheDatabaseAreTimezones) {
  EXPECT_TRUE(IsTimezone(""));
  EXPECT_TRUE(IsTimezone("UTC"));
  EXPECT_TRUE(IsTimezone("America/Argentina/Buenos_Aires"));
  for (const char* name :
       {"Mars/Olympus", "/etc/localtime", "../localtime", "Europe/../../x", "Berlin ", "a\nb", "localtime",
        "posixrules", "right/Europe/Berlin", "posix/Europe/Berlin", "Fixed/UTC+05:00:00"}) {
    EXPECT_FALSE(IsTimezone(name)) << name;
  }
  EXPECT_FALSE(IsTimezone(std::string(65, 'a')));
}

}  // namespace
}  // namespace signalbox
