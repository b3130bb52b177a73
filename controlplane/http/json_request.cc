#include "controlplane/http/json_request.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>

#include <memory>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "controlplane/http/api_table.h"

namespace signalbox {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr char kParamUrl[] = "signalbox.http/param";

absl::Status BadField(const std::string& name, const std::string& what) {
  absl::Status status = absl::InvalidArgumentError(absl::StrCat("\"", name, "\" ", what));
  status.SetPayload(kParamUrl, absl::Cord(name));
  return status;
}

// camelCase as in the JSON, or the proto's own name.
const FieldDescriptor* FindField(const Message& message, const std::string& name) {
  const auto* const type = message.GetDescriptor();
  const FieldDescriptor* const by_name = type->FindFieldByName(name);
  if (by_name != nullptr) return by_name;
  for (int i = 0; i < type->field_count(); ++i) {
    if (type->field(i)->json_name() == name) return type->field(i);
  }
  return nullptr;
}

template <typename T>
absl::StatusOr<T> Number(const std::string& name, const std::string& text) {
  T value = 0;
  if (!absl::SimpleAtoi(text, &value))
    return BadField(name, absl::StrCat("must be a whole number, not \"", text, "\""));
  return value;
}

absl::Status SetScalar(const std::string& name, const std::string& text, const FieldDescriptor& field,
                       Message& message) {
  const Reflection& reflection = *message.GetReflection();
  const auto set = [&](auto one, auto add, const auto& value) {
    if (field.is_repeated()) {
      (reflection.*add)(&message, &field, value);
    } else {
      (reflection.*one)(&message, &field, value);
    }
    return absl::OkStatus();
  };
  if (field.is_map()) return BadField(name, "cannot be given in a URL");
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      if (field.type() == FieldDescriptor::TYPE_BYTES) return BadField(name, "cannot be given in a URL");
      if (!google::protobuf::internal::IsStructurallyValidUTF8(text)) return BadField(name, "is not UTF-8");
      return set(&Reflection::SetString, &Reflection::AddString, text);
    case FieldDescriptor::CPPTYPE_INT32: {
      ASSIGN_OR_RETURN(const int32_t value, Number<int32_t>(name, text));
      return set(&Reflection::SetInt32, &Reflection::AddInt32, value);
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      ASSIGN_OR_RETURN(const int64_t value, Number<int64_t>(name, text));
      return set(&Reflection::SetInt64, &Reflection::AddInt64, value);
    }
    case FieldDescriptor::CPPTYPE_UINT32: {
      ASSIGN_OR_RETURN(const uint32_t value, Number<uint32_t>(name, text));
      return set(&Reflection::SetUInt32, &Reflection::AddUInt32, value);
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      ASSIGN_OR_RETURN(const uint64_t value, Number<uint64_t>(name, text));
      return set(&Reflection::SetUInt64, &Reflection::AddUInt64, value);
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") {
        return BadField(name, absl::StrCat("must be true or false, not \"", text, "\""));
      }
      return set(&Reflection::SetBool, &Reflection::AddBool, text == "true");
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto* const value = field.enum_type()->FindValueByName(text);
      if (value == nullptr) return BadField(name, absl::StrCat("has no value \"", text, "\""));
      return set(&Reflection::SetEnumValue, &Reflection::AddEnumValue, value->number());
    }
    default:
      return BadField(name, "cannot be given in a URL");
  }
}

// The message that holds the field `name`, dots leading into sub-messages; null when there is none.
Message* Descend(Message& message, const std::string& name, std::string& leaf) {
  Message* holder = &message;
  std::vector<std::string> parts = absl::StrSplit(name, '.');
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    const FieldDescriptor* const field = FindField(*holder, parts[i]);
    if (field == nullptr || field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_repeated()) {
      return nullptr;
    }
    holder = holder->GetReflection()->MutableMessage(holder, field);
  }
  leaf = parts.back();
  return holder;
}

absl::Status SetPathField(const std::string& name, const std::string& text, Message& message) {
  std::string leaf;
  Message* const holder = Descend(message, name, leaf);
  const FieldDescriptor* const field = holder == nullptr ? nullptr : FindField(*holder, leaf);
  if (field == nullptr) return absl::InternalError(absl::StrCat("no field for the path's {", name, "}"));
  const Reflection& reflection = *holder->GetReflection();
  if (!reflection.HasField(*holder, field)) return SetScalar(name, text, *field, *holder);
  const std::unique_ptr<Message> from_path(holder->New());
  RETURN_IF_ERROR(SetScalar(name, text, *field, *from_path));
  std::string in_body, in_path;
  google::protobuf::TextFormat::PrintFieldValueToString(*holder, field, -1, &in_body);
  google::protobuf::TextFormat::PrintFieldValueToString(*from_path, field, -1, &in_path);
  if (in_body == in_path) return absl::OkStatus();
  return BadField(name, absl::StrCat("is ", in_body, " in the body and ", in_path, " in the path"));
}

absl::Status SetQueryField(const std::string& name, const std::string& text,
                           const std::map<std::string, std::string>& path_fields, Message& message) {
  std::string leaf;
  Message* const holder = Descend(message, name, leaf);
  const FieldDescriptor* const field = holder == nullptr ? nullptr : FindField(*holder, leaf);
  if (field == nullptr) return BadField(name, "is not a parameter of this call");
  if (path_fields.contains(field->name())) return BadField(name, "is in the path already");
  if (!field->is_repeated() && holder->GetReflection()->HasField(*holder, field)) {
    return BadField(name, "is given twice");
  }
  return SetScalar(name, text, *field, *holder);
}

}  // namespace

absl::StatusOr<QueryFields> ParseQuery(std::string_view query) {
  QueryFields fields;
  for (const absl::string_view part :
       absl::StrSplit(absl::string_view(query.data(), query.size()), '&', absl::SkipEmpty())) {
    const size_t equals = part.find('=');
    const absl::string_view name = part.substr(0, equals);
    const absl::string_view value = equals == absl::string_view::npos ? "" : part.substr(equals + 1);
    std::pair<std::string, std::string> field;
    if (!PercentDecode({name.data(), name.size()}, true, field.first) ||
        !PercentDecode({value.data(), value.size()}, true, field.second)) {
      return absl::InvalidArgumentError("the query has a broken percent escape");
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

absl::Status FillRequest(const std::map<std::string, std::string>& path_fields, const QueryFields& query_fields,
                         std::string_view body, Message& message) {
  if (!body.empty()) {
    const auto parsed = google::protobuf::util::JsonStringToMessage(
        google::protobuf::StringPiece(body.data(), static_cast<ptrdiff_t>(body.size())), &message);
    if (!parsed.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("the body is not the JSON of ",
                                                     message.GetDescriptor()->full_name(), ": ",
                                                     std::string(parsed.message().data(), parsed.message().size())));
    }
  }
  for (const auto& [name, text] : path_fields) RETURN_IF_ERROR(SetPathField(name, text, message));
  for (const auto& [name, text] : query_fields) RETURN_IF_ERROR(SetQueryField(name, text, path_fields, message));
  return absl::OkStatus();
}

std::string ParamOf(const absl::Status& status) {
  const auto param = status.GetPayload(kParamUrl);
  return param.has_value() ? std::string(*param) : std::string();
}

}  // namespace signalbox
