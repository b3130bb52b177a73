#include "controlplane/compiler/explain.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/route/condition.h"
#include "common/route/field_ref.h"
#include "common/route/json_tree.h"
#include "common/route/walker.h"

namespace signalbox {
namespace {

constexpr size_t kFactsMax = 8;
constexpr size_t kItemsMax = 5;

std::string Show(const v1::Scalar& scalar) {
  return scalar.kind_case() == v1::Scalar::kStringValue ? Quoted(scalar.string_value()) : IdentifierText(scalar);
}

std::string Show(const FieldValue& value) {
  v1::Scalar scalar;
  switch (value.kind) {
    case FieldValue::Kind::kMissing:
      return "missing";
    case FieldValue::Kind::kNull:
      return "null";
    case FieldValue::Kind::kBool:
      scalar.set_bool_value(value.boolean);
      return Show(scalar);
    case FieldValue::Kind::kNumber:
      scalar.set_number_value(value.number);
      return Show(scalar);
    case FieldValue::Kind::kString:
      return Quoted(value.text);
    case FieldValue::Kind::kObject:
      return "an object";
    case FieldValue::Kind::kArray:
      break;
  }
  std::string items;
  for (size_t i = 0; i < value.items.size() && i < kItemsMax; ++i) {
    absl::StrAppend(&items, i == 0 ? "" : ", ", Show(value.items[i]));
  }
  return absl::StrCat("[", items, value.items.size() > kItemsMax ? ", ...]" : "]");
}

std::string Operands(const v1::Condition& condition) {
  std::vector<std::string> shown;
  for (const v1::Scalar& operand : condition.operands()) {
    if (shown.size() == kItemsMax) {
      shown.push_back("...");
      break;
    }
    shown.push_back(Show(operand));
  }
  return absl::StrJoin(shown, ", ");
}

// What the operator asks, as the end of "which is ...".
std::string Asks(const v1::Condition& condition) {
  const std::string operands = Operands(condition);
  switch (condition.op()) {
    case v1::Condition::GT:
      return absl::StrCat("above ", operands);
    case v1::Condition::GTE:
      return absl::StrCat("at least ", operands);
    case v1::Condition::LT:
      return absl::StrCat("below ", operands);
    case v1::Condition::LTE:
      return absl::StrCat("at most ", operands);
    case v1::Condition::IN:
    case v1::Condition::NIN:
      return absl::StrCat("one of ", operands);
    default:
      return operands;
  }
}

std::string Fact(const v1::Condition& condition, const RequestView& request, bool holds) {
  const FieldValue value = request.Get(condition.field());
  const std::string is = absl::StrCat(FieldRefText(condition.field()), " is ", Show(value));
  if (value.kind == FieldValue::Kind::kMissing) return is;
  switch (condition.op()) {
    case v1::Condition::EQ:
      return holds ? is : absl::StrCat(is, ", not ", Asks(condition));
    case v1::Condition::NE:
      return holds ? absl::StrCat(is, ", not ", Asks(condition)) : is;
    case v1::Condition::EXISTS:
      return absl::StrCat(FieldRefText(condition.field()), " is present");
    case v1::Condition::CONTAINS:
      return absl::StrCat(is, holds ? ", which contains " : ", which does not contain ", Operands(condition));
    case v1::Condition::NIN:
      return absl::StrCat(is, holds ? ", which is not " : ", which is ", Asks(condition));
    default:
      return absl::StrCat(is, holds ? ", which is " : ", which is not ", Asks(condition));
  }
}

// The children that decided: all of a true `and` or a false `or`, else the first that settled it. The depth is that
// of a checked condition, so recursion is bounded.
void Collect(const v1::Condition& condition, const RequestView& request, std::vector<std::string>& facts) {
  if (facts.size() > kFactsMax) return;
  const bool holds = EvaluateCondition(condition, request);
  if (condition.op() == v1::Condition::NOT) return Collect(condition.children(0), request, facts);
  if (condition.op() != v1::Condition::AND && condition.op() != v1::Condition::OR) {
    facts.push_back(Fact(condition, request, holds));
    return;
  }
  const bool all = (condition.op() == v1::Condition::AND) == holds;
  for (const v1::Condition& child : condition.children()) {
    if (!all && EvaluateCondition(child, request) != holds) continue;
    Collect(child, request, facts);
    if (!all) return;
  }
}

}  // namespace

std::string ExplainCondition(const v1::Condition& condition, const RequestView& request) {
  std::vector<std::string> facts;
  Collect(condition, request, facts);
  if (facts.size() > kFactsMax) {
    facts.resize(kFactsMax);
    facts.push_back("...");
  }
  return absl::StrJoin(facts, " and ");
}

}  // namespace signalbox
