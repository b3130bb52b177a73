#include "common/route/condition.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/route/field_ref.h"
#include "common/route/json_tree.h"

namespace signalbox {
namespace {

using google::protobuf::ListValue;
using google::protobuf::Struct;
using google::protobuf::Value;
using Op = v1::Condition;

constexpr size_t kOperandsMax = 1'000;

struct NamedOp {
  std::string_view name;
  v1::Condition::Op op;
};
constexpr NamedOp kFieldOps[] = {
    {"$eq", Op::EQ},
    {"$ne", Op::NE},
    {"$neq", Op::NE},
    {"$gt", Op::GT},
    {"$gte", Op::GTE},
    {"$lt", Op::LT},
    {"$lte", Op::LTE},
    {"$in", Op::IN},
    {"$nin", Op::NIN},
    {"$exists", Op::EXISTS},
    {"$contains", Op::CONTAINS},
};
const std::vector<std::string_view>& OperatorNames() {
  static const auto& names = *new std::vector<std::string_view>{
      "$and", "$contains", "$eq", "$exists", "$gt", "$gte", "$in", "$lt", "$lte", "$ne", "$neq", "$nin", "$not", "$or"};
  return names;
}

bool IsLogical(std::string_view name) { return name == "$and" || name == "$or" || name == "$not"; }

const NamedOp* FindFieldOp(std::string_view name) {
  for (const NamedOp& known : kFieldOps) {
    if (known.name == name) return &known;
  }
  return nullptr;
}

std::vector<const std::string*> SortedKeys(const Struct& object) {
  std::vector<const std::string*> keys;
  for (const auto& [key, value] : object.fields()) keys.push_back(&key);
  std::sort(keys.begin(), keys.end(), [](const std::string* a, const std::string* b) { return *a < *b; });
  return keys;
}

bool ToScalar(const Value& value, v1::Scalar& scalar) {
  switch (value.kind_case()) {
    case Value::kNullValue:
      scalar.set_null_value(true);
      return true;
    case Value::kBoolValue:
      scalar.set_bool_value(value.bool_value());
      return true;
    case Value::kNumberValue:
      scalar.set_number_value(value.number_value());
      return true;
    case Value::kStringValue:
      scalar.set_string_value(value.string_value());
      return true;
    default:
      return false;
  }
}

// One leaf stays itself; several become `and`.
v1::Condition AllOf(std::vector<v1::Condition> children) {
  if (children.size() == 1) return std::move(children.front());
  v1::Condition all;
  all.set_op(Op::AND);
  for (v1::Condition& child : children) *all.add_children() = std::move(child);
  return all;
}

class ConditionBuilder {
 public:
  ConditionBuilder(const std::string& element_id, FaultList& faults) : element_id_(element_id), faults_(faults) {}

  v1::Condition Object(const Struct& object, const std::string& path, int depth) {
    if (!DepthFits(path, depth)) return {};
    if (object.fields().empty()) Fault("empty_condition", path, "a condition needs at least one field or operator");
    std::vector<v1::Condition> all;
    for (const std::string* key : SortedKeys(object)) {
      const Value& value = object.fields().at(*key);
      const std::string at = JsonPathMember(path, *key);
      if (*key == "$and" || *key == "$or") {
        all.push_back(List(*key == "$and" ? Op::AND : Op::OR, *key, value, at, depth));
      } else if (*key == "$not") {
        if (!value.has_struct_value()) {
          Fault("invalid_operand", at, "$not takes a condition object");
          continue;
        }
        v1::Condition negation;
        negation.set_op(Op::NOT);
        *negation.add_children() = Object(value.struct_value(), at, depth + 1);
        all.push_back(std::move(negation));
      } else if (key->starts_with('$')) {
        if (FindFieldOp(*key) != nullptr) {
          Fault("misplaced_operator", at,
                absl::StrCat(*key, " compares a field and stands inside one: {\"metadata.plan\": {\"", *key,
                             "\": ...}}"));
        } else {
          UnknownOperator(*key, at);
        }
      } else {
        all.push_back(Field(*key, value, at, depth));
      }
    }
    return AllOf(std::move(all));
  }

 private:
  void Fault(std::string_view code, const std::string& path, const std::string& message) {
    faults_.Error(code, element_id_, path, message);
  }

  bool DepthFits(const std::string& path, int depth) {
    if (depth <= kConditionDepthMax) return true;
    Fault("condition_too_deep", path, absl::StrCat("conditions nest more than ", kConditionDepthMax, " deep"));
    return false;
  }

  void UnknownOperator(const std::string& name, const std::string& path) {
    if (faults_.full()) return Fault("unknown_operator", path, "");
    const std::string_view nearest = NearestName(name, OperatorNames());
    Fault("unknown_operator", path,
          absl::StrCat("unknown operator ", Quoted(name),
                       nearest.empty() ? "" : absl::StrCat("; did you mean ", Quoted(nearest), "?"),
                       " (known: ", JoinNames(OperatorNames()), ")"));
  }

  v1::Condition List(v1::Condition::Op op, const std::string& name, const Value& value, const std::string& path,
                     int depth) {
    v1::Condition condition;
    condition.set_op(op);
    if (!value.has_list_value() || value.list_value().values().empty()) {
      Fault("invalid_operand", path, absl::StrCat(name, " takes a list of at least one condition object"));
      return condition;
    }
    for (int i = 0; i < value.list_value().values_size(); ++i) {
      const Value& item = value.list_value().values(i);
      const std::string at = JsonPathItem(path, static_cast<size_t>(i));
      if (!item.has_struct_value()) {
        Fault("invalid_operand", at, absl::StrCat(name, " takes condition objects"));
        continue;
      }
      *condition.add_children() = Object(item.struct_value(), at, depth + 1);
    }
    return condition;
  }

  v1::Condition Field(const std::string& key, const Value& value, const std::string& path, int depth) {
    v1::FieldRef field;
    FieldRefFault fault;
    if (!ParseFieldRef(key, field, fault)) Fault(fault.code, path, fault.message);
    return Operators(field, value, path, depth);
  }

  // The value beside a field: an object of operators, or a bare value, which means $eq.
  v1::Condition Operators(const v1::FieldRef& field, const Value& value, const std::string& path, int depth) {
    if (!value.has_struct_value()) return Comparison({"$eq", Op::EQ}, field, value, path);
    if (!DepthFits(path, depth)) return {};
    const Struct& object = value.struct_value();
    if (object.fields().empty())
      Fault("empty_condition", path, "a field needs an operator, such as {\"$eq\": \"free\"}");
    std::vector<v1::Condition> all;
    for (const std::string* name : SortedKeys(object)) {
      const Value& operand = object.fields().at(*name);
      const std::string at = JsonPathMember(path, *name);
      if (const NamedOp* op = FindFieldOp(*name); op != nullptr) {
        all.push_back(Comparison(*op, field, operand, at));
      } else if (*name == "$not") {
        if (!operand.has_struct_value()) {
          Fault("invalid_operand", at, "$not takes an object of operators");
          continue;
        }
        v1::Condition negation;
        negation.set_op(Op::NOT);
        *negation.add_children() = Operators(field, operand, at, depth + 1);
        all.push_back(std::move(negation));
      } else if (IsLogical(*name)) {
        Fault("misplaced_operator", at, absl::StrCat(*name, " joins conditions and stands outside a field"));
      } else {
        UnknownOperator(*name, at);
      }
    }
    return AllOf(std::move(all));
  }

  v1::Condition Comparison(NamedOp op, const v1::FieldRef& field, const Value& operand, const std::string& path) {
    v1::Condition condition;
    condition.set_op(op.op);
    *condition.mutable_field() = field;
    const std::string name(op.name);
    if (op.op == Op::IN || op.op == Op::NIN) {
      if (!operand.has_list_value()) {
        Fault("invalid_operand", path, absl::StrCat(name, " takes a list of values"));
        return condition;
      }
      if (operand.list_value().values_size() > static_cast<int>(kOperandsMax)) {
        Fault("invalid_operand", path, absl::StrCat(name, " takes at most ", kOperandsMax, " values"));
        return condition;
      }
      for (int i = 0; i < operand.list_value().values_size(); ++i) {
        if (!ToScalar(operand.list_value().values(i), *condition.add_operands())) {
          Fault("invalid_operand", JsonPathItem(path, static_cast<size_t>(i)),
                absl::StrCat(name, " lists strings, numbers, booleans or null"));
        }
      }
      return condition;
    }
    v1::Scalar& scalar = *condition.add_operands();
    if (!ToScalar(operand, scalar)) {
      Fault("invalid_operand", path, absl::StrCat(name, " takes a string, a number, a boolean or null"));
    } else if (op.op == Op::EXISTS && scalar.kind_case() != v1::Scalar::kBoolValue) {
      Fault("invalid_operand", path, "$exists takes true or false");
    } else if (op.op >= Op::GT && op.op <= Op::LTE && scalar.kind_case() != v1::Scalar::kNumberValue &&
               scalar.kind_case() != v1::Scalar::kStringValue) {
      Fault("invalid_operand", path, absl::StrCat(name, " compares numbers or strings"));
    } else if (op.op == Op::CONTAINS && scalar.kind_case() == v1::Scalar::kNullValue) {
      Fault("invalid_operand", path, "$contains takes a string, a number or a boolean");
    }
    return condition;
  }

  const std::string& element_id_;
  FaultList& faults_;
};

bool Equal(const FieldValue& value, const v1::Scalar& operand) {
  switch (operand.kind_case()) {
    case v1::Scalar::kNullValue:
      return value.kind == FieldValue::Kind::kNull;
    case v1::Scalar::kBoolValue:
      return value.kind == FieldValue::Kind::kBool && value.boolean == operand.bool_value();
    case v1::Scalar::kNumberValue:
      return value.kind == FieldValue::Kind::kNumber && value.number == operand.number_value();
    case v1::Scalar::kStringValue:
      return value.kind == FieldValue::Kind::kString && value.text == operand.string_value();
    case v1::Scalar::KIND_NOT_SET:
      return false;
  }
  return false;
}

// -1, 0, 1; false when the types differ or have no order.
bool Order(const FieldValue& value, const v1::Scalar& operand, int& order) {
  if (value.kind == FieldValue::Kind::kNumber && operand.kind_case() == v1::Scalar::kNumberValue) {
    order = value.number < operand.number_value() ? -1 : value.number > operand.number_value() ? 1 : 0;
    return true;
  }
  if (value.kind == FieldValue::Kind::kString && operand.kind_case() == v1::Scalar::kStringValue) {
    const int compared = value.text.compare(operand.string_value());
    order = compared < 0 ? -1 : compared > 0 ? 1 : 0;
    return true;
  }
  return false;
}

// As in Mongo, a list is in a set when one of its items is.
bool AnyOf(const FieldValue& value, const google::protobuf::RepeatedPtrField<v1::Scalar>& operands) {
  for (const v1::Scalar& operand : operands) {
    if (Equal(value, operand)) return true;
    if (value.kind != FieldValue::Kind::kArray) continue;
    for (const FieldValue& item : value.items) {
      if (Equal(item, operand)) return true;
    }
  }
  return false;
}

bool Contains(const FieldValue& value, const v1::Scalar& operand) {
  if (value.kind == FieldValue::Kind::kString) {
    return operand.kind_case() == v1::Scalar::kStringValue &&
           value.text.find(operand.string_value()) != std::string_view::npos;
  }
  if (value.kind != FieldValue::Kind::kArray) return false;
  return std::any_of(value.items.begin(), value.items.end(),
                     [&](const FieldValue& item) { return Equal(item, operand); });
}

bool Compare(const v1::Condition& condition, const RequestView& request) {
  const FieldValue value = request.Get(condition.field());
  const bool missing = value.kind == FieldValue::Kind::kMissing;
  int order = 0;
  switch (condition.op()) {
    case Op::EQ:
      return !missing && Equal(value, condition.operands(0));
    case Op::NE:
      return missing || !Equal(value, condition.operands(0));
    case Op::GT:
      return Order(value, condition.operands(0), order) && order > 0;
    case Op::GTE:
      return Order(value, condition.operands(0), order) && order >= 0;
    case Op::LT:
      return Order(value, condition.operands(0), order) && order < 0;
    case Op::LTE:
      return Order(value, condition.operands(0), order) && order <= 0;
    case Op::IN:
      return !missing && AnyOf(value, condition.operands());
    case Op::NIN:
      return missing || !AnyOf(value, condition.operands());
    case Op::EXISTS:
      return condition.operands(0).bool_value() != missing;
    case Op::CONTAINS:
      return Contains(value, condition.operands(0));
    default:
      return false;
  }
}

std::string Problem(const v1::Condition& condition, int depth) {
  if (depth > kCompiledConditionDepthMax) return "nests too deep";
  const bool many = condition.op() == Op::IN || condition.op() == Op::NIN;
  switch (condition.op()) {
    case Op::AND:
    case Op::OR:
    case Op::NOT:
      if (condition.children().empty()) return "joins nothing";
      if (condition.op() == Op::NOT && condition.children_size() != 1) return "negates more than one condition";
      for (const v1::Condition& child : condition.children()) {
        if (std::string problem = Problem(child, depth + 1); !problem.empty()) return problem;
      }
      return "";
    case Op::EQ:
    case Op::NE:
    case Op::GT:
    case Op::GTE:
    case Op::LT:
    case Op::LTE:
    case Op::IN:
    case Op::NIN:
    case Op::EXISTS:
    case Op::CONTAINS:
      break;
    default:
      return "has an unknown operator";
  }
  if (!many && condition.operands_size() != 1) return "compares with other than one value";
  for (const v1::Scalar& operand : condition.operands()) {
    if (operand.kind_case() == v1::Scalar::KIND_NOT_SET) return "has an empty operand";
  }
  if (condition.op() == Op::EXISTS && condition.operands(0).kind_case() != v1::Scalar::kBoolValue) {
    return "asks for existence with other than a boolean";
  }
  const std::string problem = FieldRefProblem(condition.field());
  return problem.empty() ? "" : absl::StrCat("names a field that ", problem);
}

}  // namespace

v1::Condition BuildCondition(const Struct& conditions, const std::string& element_id, const std::string& path,
                             FaultList& faults) {
  return ConditionBuilder(element_id, faults).Object(conditions, path, 1);
}

bool EvaluateCondition(const v1::Condition& condition, const RequestView& request) {
  switch (condition.op()) {
    case Op::AND:
      return std::all_of(condition.children().begin(), condition.children().end(),
                         [&](const v1::Condition& child) { return EvaluateCondition(child, request); });
    case Op::OR:
      return std::any_of(condition.children().begin(), condition.children().end(),
                         [&](const v1::Condition& child) { return EvaluateCondition(child, request); });
    case Op::NOT:
      return !EvaluateCondition(condition.children(0), request);
    default:
      return Compare(condition, request);
  }
}

std::string ConditionProblem(const v1::Condition& condition) { return Problem(condition, 1); }

}  // namespace signalbox
