#include "controlplane/cli/values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/money.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

TEST(CliValues, DurationsAreExactAndNothingElseIsOne) {
  EXPECT_EQ(*ParseDuration("90s"), 90'000'000);
  EXPECT_EQ(*ParseDuration("24h"), 86'400'000'000);
  EXPECT_EQ(*ParseDuration("30d"), 30LL * 86'400'000'000);
  for (const std::string bad : {"", "d", "10", "-1d", "1.5h", "99999999999999w"}) {
    EXPECT_THAT(std::string(ParseDuration(bad).status().message()), HasSubstr("is no duration such as")) << bad;
  }
}

TEST(CliValues, PairsAreTextUnlessMarkedAsJson) {
  EXPECT_EQ(*PairsToJson({}), "");
  EXPECT_EQ(*PairsToJson({"plan=free", "seats:=5", "note=a=b", "vip:=true"}),
            R"({"plan":"free","seats":5,"note":"a=b","vip":true})");
  EXPECT_THAT(std::string(PairsToJson({"plan"}).status().message()), HasSubstr("not of the form name=value"));
  EXPECT_THAT(std::string(PairsToJson({"seats:=five"}).status().message()), HasSubstr("no JSON value"));
  EXPECT_THAT(std::string(PairsToJson({"a=1", "a=2"}).status().message()), HasSubstr("given twice"));
}

TEST(CliValues, MoneyShowsWhatItNeedsAndNoLess) {
  EXPECT_EQ(FormatMoney(1'250'000'000), "$1.25");
  EXPECT_EQ(FormatMoney(0), "$0.00");
  EXPECT_EQ(FormatMoney(1), "$0.000000001");
  EXPECT_EQ(FormatMoney(-500'000'000), "-$0.50");
}

TEST(CliValues, ColumnsAlignAlsoBeyondAscii) {
  Table table({"NAME", "COST"});
  table.Add({"zoë", "$1.00"});
  table.Add({"a-long-name", "$2.00"});
  EXPECT_EQ(table.ToString(), "NAME         COST\nzoë          $1.00\na-long-name  $2.00\n");
}

}  // namespace
}  // namespace signalbox
