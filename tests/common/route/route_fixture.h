// Routes and requests as literals, for tests of the route language.
#pragma once

#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "common/route/request_view.h"
#include "common/route/validator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace signalbox {

inline std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline std::string RouteFile(const std::string& name) {
  return ReadFile(std::string(SIGNALBOX_SOURCE_DIR "/tests/routes/") + name);
}

inline ValidationContext TestContext() {
  ValidationContext context;
  context.providers = BuiltInProviders();
  context.priced_models = {
      {"openai", "gpt-5.1"}, {"openai", "gpt-4o"}, {"openai", "gpt-4o-mini"}, {"anthropic", "claude-sonnet-4-5"}};
  return context;
}

// "code element path" of each fault.
inline std::vector<std::string> Codes(const std::vector<v1::Fault>& faults) {
  std::vector<std::string> codes;
  for (const v1::Fault& fault : faults) codes.push_back(fault.code() + " " + fault.element_id() + " " + fault.path());
  return codes;
}

inline std::string MessageOf(const std::vector<v1::Fault>& faults, const std::string& code) {
  for (const v1::Fault& fault : faults) {
    if (fault.code() == code) return fault.message();
  }
  return "(no fault " + code + ")";
}

// start -> x -> (model m, end e), where `x` is the element under test.
inline std::string RouteAround(const std::string& element) {
  return R"({"name":"r","elements":[{"id":"s","type":"start","outputs":{"next":{"elementId":"x"}}},)" + element +
         R"(,{"id":"m","type":"model","properties":{"provider":"openai","model":"gpt-4o"},)"
         R"("outputs":{"success":{"elementId":"e"},"fallback":{"elementId":"e"}}},{"id":"e","type":"end","outputs":{}}]})";
}

inline std::string RateAround(const std::string& properties) {
  return RouteAround(R"({"id":"x","type":"rate","properties":{)" + properties +
                     R"(},"outputs":{"success":{"elementId":"m"},"fallback":{"elementId":"e"}}})");
}

inline std::string ModelAround(const std::string& properties) {
  return R"({"name":"r","elements":[{"id":"s","type":"start","outputs":{"next":{"elementId":"x"}}},)"
         R"({"id":"x","type":"model","properties":{)" +
         properties + R"(},"outputs":{"success":{"elementId":"e"}}},{"id":"e","type":"end","outputs":{}}]})";
}

inline std::string ConditionAround(const std::string& conditions) {
  return RouteAround(R"({"id":"x","type":"conditional","properties":{"conditions":)" + conditions +
                     R"(},"outputs":{"true":{"elementId":"m"},"false":{"elementId":"e"}}})");
}

// A request whose fields are set by name: "metadata.plan".
class FakeRequest : public RequestView {
 public:
  FakeRequest& Set(const std::string& field, FieldValue value) {
    values_[field] = std::move(value);
    return *this;
  }
  FakeRequest& Text(const std::string& field, const std::string& text) {
    FieldValue value{.kind = FieldValue::Kind::kString};
    value.text = *texts_.insert(texts_.end(), std::make_unique<std::string>(text))->get();
    return Set(field, value);
  }
  FakeRequest& Number(const std::string& field, double number) {
    return Set(field, {.kind = FieldValue::Kind::kNumber, .number = number});
  }
  FakeRequest& Bool(const std::string& field, bool value) {
    return Set(field, {.kind = FieldValue::Kind::kBool, .boolean = value});
  }
  FieldValue Get(const v1::FieldRef& field) const override {
    std::string name = field.root() == v1::FieldRef::METADATA ? "metadata"
                       : field.root() == v1::FieldRef::BODY   ? "body"
                                                              : "headers";
    for (const std::string& part : field.path()) name += "." + part;
    const auto found = values_.find(name);
    return found == values_.end() ? FieldValue{} : found->second;
  }

 private:
  std::map<std::string, FieldValue> values_;
  std::vector<std::unique_ptr<std::string>> texts_;
};

}  // namespace signalbox
