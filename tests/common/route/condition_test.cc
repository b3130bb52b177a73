#include "common/route/condition.h"

#include <set>

#include "tests/common/route/route_fixture.h"

namespace signalbox {
namespace {

v1::Condition Build(const std::string& conditions) {
  const ParsedRoute parsed = ParseRoute(ConditionAround(conditions));
  EXPECT_TRUE(parsed.faults.empty()) << conditions;
  FaultList faults;
  v1::Condition condition = BuildCondition(parsed.spec.elements(1).properties().conditions(), "x", "$", faults);
  EXPECT_EQ(faults.errors(), 0u) << conditions;
  EXPECT_EQ(ConditionProblem(condition), "") << conditions;
  return condition;
}

bool Holds(const std::string& conditions, const FakeRequest& request) {
  return EvaluateCondition(Build(conditions), request);
}

FieldValue List(std::vector<FieldValue> items) {
  FieldValue value{.kind = FieldValue::Kind::kArray};
  value.items = std::move(items);
  return value;
}

FieldValue String(std::string_view text) {
  FieldValue value{.kind = FieldValue::Kind::kString};
  value.text = text;
  return value;
}
FieldValue Number(double number) { return {.kind = FieldValue::Kind::kNumber, .number = number}; }

// One value of each kind, and what each operator makes of it.
TEST(Condition, OperatorsOverEveryTypeOfValue) {
  const std::vector<std::pair<std::string, FieldValue>> values = {
      {"missing", {}},
      {"null", {.kind = FieldValue::Kind::kNull}},
      {"true", {.kind = FieldValue::Kind::kBool, .boolean = true}},
      {"five", Number(5)},
      {"text5", String("5")},
      {"free", String("free")},
      {"list", List({String("free"), Number(5)})},
      {"object", {.kind = FieldValue::Kind::kObject}},
  };
  // For each operator the values it holds for.
  const std::vector<std::pair<std::string, std::set<std::string>>> expected = {
      {R"({"$eq":null})", {"null"}},
      {R"({"$eq":true})", {"true"}},
      {R"({"$eq":5})", {"five"}},
      {R"({"$eq":"5"})", {"text5"}},
      {R"({"$eq":"free"})", {"free"}},
      {R"("free")", {"free"}},
      {R"(5)", {"five"}},
      {R"({"$ne":5})", {"missing", "null", "true", "text5", "free", "list", "object"}},
      {R"({"$neq":"5"})", {"missing", "null", "true", "five", "free", "list", "object"}},
      {R"({"$ne":null})", {"missing", "true", "five", "text5", "free", "list", "object"}},
      {R"({"$gt":4})", {"five"}},
      {R"({"$gt":5})", {}},
      {R"({"$gte":5})", {"five"}},
      {R"({"$lt":6})", {"five"}},
      {R"({"$lt":5})", {}},
      {R"({"$lte":5})", {"five"}},
      {R"({"$gt":"4"})", {"text5", "free"}},
      {R"({"$lt":"a"})", {"text5"}},
      {R"({"$lte":"free"})", {"text5", "free"}},
      {R"({"$in":["free",5]})", {"five", "free", "list"}},
      {R"({"$in":["5",null]})", {"null", "text5"}},
      {R"({"$in":[]})", {}},
      {R"({"$nin":["free",5]})", {"missing", "null", "true", "text5", "object"}},
      {R"({"$nin":[]})", {"missing", "null", "true", "five", "text5", "free", "list", "object"}},
      {R"({"$exists":true})", {"null", "true", "five", "text5", "free", "list", "object"}},
      {R"({"$exists":false})", {"missing"}},
      {R"({"$contains":"re"})", {"free"}},
      {R"({"$contains":"free"})", {"free", "list"}},
      {R"({"$contains":5})", {"list"}},
      {R"({"$not":{"$gt":4}})", {"missing", "null", "true", "text5", "free", "list", "object"}},
      {R"({"$gt":1,"$lt":9})", {"five"}},
      {R"({"$gt":1,"$lt":5})", {}},
  };
  for (const auto& [operators, holding] : expected) {
    std::set<std::string> held;
    for (const auto& [name, value] : values) {
      FakeRequest request;
      if (value.kind != FieldValue::Kind::kMissing) request.Set("metadata.v", value);
      if (Holds(R"({"metadata.v":)" + operators + "}", request)) held.insert(name);
    }
    EXPECT_EQ(held, holding) << operators;
  }
}

TEST(Condition, NegationHoldsForExactlyWhatIsLeft) {
  for (const char* operators : {R"({"$eq":5})", R"({"$ne":5})", R"({"$gt":5})", R"({"$in":[5]})", R"({"$exists":true})",
                                R"({"$contains":"x"})"}) {
    for (const FieldValue& value : {FieldValue{}, Number(5), Number(7), String("x"), List({Number(5)})}) {
      FakeRequest request;
      if (value.kind != FieldValue::Kind::kMissing) request.Set("body.v", value);
      const std::string inner = std::string(R"({"body.v":)") + operators + "}";
      EXPECT_NE(Holds(inner, request), Holds(R"({"$not":)" + inner + "}", request)) << operators;
      EXPECT_NE(Holds(inner, request), Holds(std::string(R"({"body.v":{"$not":)") + operators + "}}", request))
          << operators;
    }
  }
}

TEST(Condition, SeveralKeysAreAnd) {
  FakeRequest request;
  request.Text("metadata.plan", "free").Number("body.max_tokens", 100).Text("headers.x-region", "eu");
  EXPECT_TRUE(Holds(R"({"metadata.plan":"free","body.max_tokens":{"$lt":200},"headers.X-Region":"eu"})", request));
  EXPECT_FALSE(Holds(R"({"metadata.plan":"free","body.max_tokens":{"$lt":100},"headers.X-Region":"eu"})", request));
  EXPECT_TRUE(Holds(R"({"$or":[{"metadata.plan":"pro"},{"body.max_tokens":100}]})", request));
  EXPECT_FALSE(Holds(R"({"$or":[{"metadata.plan":"pro"},{"body.max_tokens":101}]})", request));
  EXPECT_TRUE(
      Holds(R"({"$and":[{"metadata.plan":"free"},{"$not":{"metadata.beta":true}}],"metadata.other":{"$exists":false}})",
            request));
}

TEST(Condition, MetadataKeysMayHaveDots) {
  FakeRequest request;
  request.Text("metadata.user.id", "7");
  EXPECT_TRUE(Holds(R"({"metadata.user.id":"7"})", request));
}

TEST(ConditionProblem, NamesWhatCannotBeEvaluated) {
  v1::Condition good = Build(R"({"metadata.a":{"$eq":1}})");
  v1::Condition bad;
  EXPECT_EQ(ConditionProblem(bad), "has an unknown operator");
  bad = good;
  bad.clear_operands();
  EXPECT_EQ(ConditionProblem(bad), "compares with other than one value");
  bad = good;
  bad.mutable_operands(0)->Clear();
  EXPECT_EQ(ConditionProblem(bad), "has an empty operand");
  bad = good;
  bad.clear_field();
  EXPECT_EQ(ConditionProblem(bad), "names a field that has no root");
  bad = good;
  bad.set_op(v1::Condition::EXISTS);
  EXPECT_EQ(ConditionProblem(bad), "asks for existence with other than a boolean");
  bad.Clear();
  bad.set_op(v1::Condition::NOT);
  EXPECT_EQ(ConditionProblem(bad), "joins nothing");
  *bad.add_children() = good;
  *bad.add_children() = good;
  EXPECT_EQ(ConditionProblem(bad), "negates more than one condition");
  v1::Condition deep = good;
  for (int i = 0; i < 100; ++i) {
    v1::Condition outer;
    outer.set_op(v1::Condition::NOT);
    outer.add_children()->Swap(&deep);
    deep = std::move(outer);
  }
  EXPECT_EQ(ConditionProblem(deep), "nests too deep");
}

}  // namespace
}  // namespace signalbox
