// Whose record it was before must not show in what is filled next: it would be another's bill.
#include "dataplane/request/spare_records.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace signalbox {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

void FillEveryField(Message& message);

void Fill(const FieldDescriptor* field, const Reflection& reflection, Message& message) {
  const bool many = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.SetInt64(&message, field, 7);
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetInt32(&message, field, 7);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(&message, field, true);
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.SetEnumValue(&message, field, 1);
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.SetString(&message, field, "a text that is too long to be kept in place");
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return FillEveryField(many ? *reflection.AddMessage(&message, field)
                                 : *reflection.MutableMessage(&message, field));
    default:
      FAIL() << field->full_name() << " has a type that this test does not fill";
  }
}

void FillEveryField(Message& message) {
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    Fill(message.GetDescriptor()->field(i), reflection, message);
  }
  std::vector<const FieldDescriptor*> set;
  reflection.ListFields(message, &set);
  ASSERT_EQ(static_cast<int>(set.size()), message.GetDescriptor()->field_count());
}

// As it is when its request has ended.
std::unique_ptr<v1::SpendRecord> Encoded(std::unique_ptr<v1::SpendRecord> record) {
  record->ByteSizeLong();
  return record;
}

TEST(SpareRecords, NothingOfTheRequestBeforeIsLeft) {
  SpareRecords spare;
  std::unique_ptr<v1::SpendRecord> record = spare.Take();
  const v1::SpendRecord* const first = record.get();
  FillEveryField(*record);
  spare.Put(Encoded(std::move(record)));
  record = spare.Take();
  EXPECT_EQ(record.get(), first) << "the same one, filled again";
  EXPECT_EQ(record->SerializeAsString(), "");
  record->add_attempts()->mutable_usage()->set_input(1);
  record->add_limits()->set_pool("p");
  EXPECT_EQ(record->ShortDebugString(), "limits { pool: \"p\" } attempts { usage { input: 1 } }");
}

TEST(SpareRecords, WhatHoldsMuchMemoryIsNotKept) {
  SpareRecords spare;
  const std::string much(SpareRecords::kRecordBytesMax + 1, 'x');
  std::unique_ptr<v1::SpendRecord> record = spare.Take();
  record->set_metadata_json(much);
  spare.Put(Encoded(std::move(record)));
  EXPECT_EQ(spare.size(), 0u);
  // The text is gone, and its memory is there.
  const auto clear = [](v1::SpendRecord& cleared) {
    cleared.clear_metadata_json();
    cleared.clear_request_body();
    cleared.clear_response_body();
  };
  for (auto set : {+[](v1::SpendRecord&r, const std::string&text) { r.set_metadata_json(text); },
                   +[](v1::SpendRecord&r, const std::string&text) { r.set_request_body(text); },
                   +[](v1::SpendRecord&r, const std::string&text) { r.set_response_body(text); }}) {
    record = spare.Take();
    set(*record, much);
    clear(*record);
    spare.Put(Encoded(std::move(record)));
    EXPECT_EQ(spare.size(), 0u);
  }
}

TEST(SpareRecords, AFewAreKept) {
  SpareRecords spare;
  std::vector<std::unique_ptr<v1::SpendRecord>> records;
  for (size_t i = 0; i < SpareRecords::kRecordsMax + 1; ++i) records.push_back(Encoded(spare.Take()));
  for (auto& record : records) spare.Put(std::move(record));
  EXPECT_EQ(spare.size(), SpareRecords::kRecordsMax);
}

}  // namespace
}  // namespace signalbox
